"""What this library costs around a call of a model, in processor time.

    python tests/benchmarks/bench_models.py

One answer of 60 tokens is heard from a server in another process, as a stream; a conversation with scripted replies is enacted, for
everything else a turn takes: prompt, schema, core, record. Beside that stands what the demo model itself needs for one short answer,
in this process and with one thread: where xllamacpp and the demo model are there. Medians of several.
"""

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/models"), str(Path(__file__).parent)]

from bench_process import commit  # noqa: E402

from agentcomm import Agent, enact_sync, load  # noqa: E402
from agentcomm.models.base import ChatMessage, ModelRequest  # noqa: E402
from agentcomm.models.ollama import OllamaModel  # noqa: E402
from agentcomm.models.scripted import ScriptedModel  # noqa: E402

TOKENS = 60
SERVER = f"""
import json, sys
sys.path.insert(0, {str(ROOT / "tests/models")!r})
from fake_ollama import Answer, FakeOllama, says, token_line
lines = [token_line('"word' if n % 2 else '", ') for n in range({TOKENS})] + [says("").body]
with FakeOllama([Answer(pieces=lines, content_type="application/x-ndjson")], repeat=True) as server:
    print(server.url, flush=True)
    sys.stdin.readline()
"""
ASKED = ModelRequest(
    messages=(
        ChatMessage("system", "Read back what you heard, value by value, as one JSON object."),
        ChatMessage(
            "user",
            "inform host=db-1 service=postgres errors=17 first_seen=2026-03-04T05:06:07Z severity=high",
        ),
    ),
    schema={
        "type": "object",
        "properties": {
            name: {"type": "string", "maxLength": 40}
            for name in ("host", "service", "first_seen", "severity")
        },
        "required": ["host", "service", "first_seen", "severity"],
    },
)
SAID = (
    {"act": "cfp", "content": {"item": "bike", "budget": "120 EUR"}},
    {"act": "readback", "content": {"fields": {"price": "110 EUR", "valid_until": "2026-12-01"}}},
    {"act": "accept-proposal", "content": {"price": "110 EUR"}},
)


async def median(call: Callable[[], Awaitable[object]], rounds: int) -> float:
    """Return the median processor time of a call, in seconds, the first ones left out."""
    times: list[float] = []
    for _ in range(rounds + 2):
        begun = time.process_time()
        await call()
        times.append(time.process_time() - begun)
    return statistics.median(times[2:])


def heard() -> float:
    """Return the seconds for one streamed answer."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        address = server.stdout.readline().strip()

        async def all_of_them() -> float:
            model = OllamaModel("demo", host=address)
            try:
                return await median(lambda: model.reply(ASKED), 30)
            finally:
                await model.close()

        found = asyncio.run(all_of_them())
        server.communicate("\n")
    return found


def rest() -> float:
    """Return the seconds for everything else, for each call of a model."""
    sale = load(ROOT / "examples/purchase/protocol.yaml")
    bob = Agent("Bob")
    bob.on("cfp")(lambda turn: turn.say("propose", item="bike", price="110 EUR", valid_until="2026-12-01"))
    times: list[float] = []
    for _ in range(30):
        ann = Agent("Ann", model=ScriptedModel(SAID))
        begun = time.process_time()
        enact_sync(
            sale, cast={"buyer": ann, "seller": bob}, brief={"buyer": "Buy a bike for at most 120 EUR."}
        )
        times.append(time.process_time() - begun)
    return statistics.median(times[2:]) / len(SAID)


async def demo() -> float | None:
    """Return the seconds the demo model takes for a short answer, prompts kept; None where it is not there."""
    from agentcomm.models.embedded import EmbeddedModel
    from agentcomm.models.fetch import demo_path

    try:
        import xllamacpp  # noqa: F401
    except ImportError:
        return None
    if not demo_path().is_file():
        return None
    model = EmbeddedModel()
    try:
        return await median(lambda: model.reply(ASKED), 5)
    finally:
        await model.close()


def main() -> None:
    """Measure, print and write."""
    stream, others = heard(), rest()
    own = asyncio.run(demo())
    figures = {
        "hearing_ms": round(1000 * stream, 2),
        "turn_ms": round(1000 * others, 2),
        "demo_model_ms": None if own is None else round(1000 * own, 1),
        "share": None if own is None else round((stream + others) / own, 4),
    }
    print(f"hearing an answer of {TOKENS} tokens      {figures['hearing_ms']} ms")
    print(f"everything else of a turn           {figures['turn_ms']} ms")
    if own is not None:
        print(f"the demo model for a short answer   {figures['demo_model_ms']} ms")
        print(f"ours to the model's                 {100 * (stream + others) / own:.2f} %")
    kept = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "commit": commit(),
        "figures": figures,
    }
    (Path(__file__).parent / "results" / "models.json").write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
