"""Many turns of a real, small model: how many conversations end well, and what it took.

    python tests/benchmarks/bench_turns.py                       # 500 turns with the demo model, about half an hour
    python tests/benchmarks/bench_turns.py --model ollama:qwen3:4b --turns 200

Both roles of each protocol are played by the model alone: no handler helps. So that the figures are no trick, how many ends were
natural and how many were forced, how often a model was asked again, and which fields it got wrong stand beside the rest.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import time
from collections import Counter, defaultdict
from pathlib import Path

from agentcomm.agents.agent import Agent
from agentcomm.conversation.events import Ended, Heard, Refused, TroubleFound
from agentcomm.protocol.library import load
from agentcomm.runtime.conforms import conforms
from agentcomm.runtime.enact import enact

HERE = Path(__file__).parent
SALE = HERE.parent.parent / "examples" / "purchase" / "protocol.yaml"

ITEMS = ["city bike", "desk lamp", "winter coat", "water pump", "steel ladder", "garden hose"]
TALKS = [
    (
        SALE,
        lambda n: {
            "buyer": f"Buy one {ITEMS[n % 6]} for at most {120 + n} EUR.",
            "seller": f"Offer the {ITEMS[n % 6]} for {100 + n} EUR, valid until 2026-12-{1 + n % 28:02}.",
        },
    ),
    (
        "propose",
        lambda n: {"initiator": f"Propose to meet in room {n + 1}.", "participant": "Accept it if you can."},
    ),
    (
        "request",
        lambda n: {
            "initiator": f"Ask for a backup of db-{n}.",
            "participant": "Do what is asked, and say so.",
        },
    ),
    ("query", lambda n: {"initiator": f"Ask whether db-{n} is up.", "participant": f"db-{n} is up."}),
    (
        "information-seeking",
        lambda n: {"seeker": f"Find out who owns service-{n}.", "informant": f"team-{n} owns service-{n}."},
    ),
]


async def run(model: str, turns: int, minutes: float) -> dict:
    """Hold conversations until so many turns of a model were made, and count."""
    ann, bob = Agent("Ann", model=model), Agent("Bob", model=model)
    talks, taken, asked, seconds = 0, 0, 0, 0.0
    ends: Counter[str] = Counter()
    by_act: dict[str, Counter[str]] = defaultdict(Counter)
    readbacks: dict[str, Counter[str]] = defaultdict(Counter)
    heard: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    begun = time.monotonic()
    while taken < turns and time.monotonic() - begun < 60 * minutes:
        where, told = TALKS[talks % len(TALKS)]
        protocol = load(where)
        one, other = protocol.roles
        try:
            result = await enact(protocol, cast={one: ann, other: bob}, brief=told(talks // len(TALKS)))
        except Exception as error:  # noqa: BLE001  (that is what is counted)
            ends[f"exception {type(error).__name__}"] += 1
            talks += 1
            continue
        talks += 1
        requests, forced, again = 0, 0, 0
        for record in result.transcript.records:
            requests += record.type == "model.request"
            forced += record.type == "exit.taken"
            seconds += record.data.get("seconds", 0.0) if record.type == "model.result" else 0.0
        asked += requests
        for event in result.transcript.events():
            match event:
                case Heard():
                    heard["by a model" if event.message.made_by == "model" else "by code"] += 1
                    if event.message.made_by == "model":
                        taken += 1
                        by_act[event.message.act]["said"] += 1
                    if event.message.act == "readback":
                        for field in event.message.content["fields"]:
                            readbacks[field]["read back"] += 1
                case Refused():
                    again += 1
                    by_act[event.act or "(no act)"]["refused"] += 1
                    reasons[event.code] += 1
                case TroubleFound():
                    for difference in event.differs:
                        readbacks[difference.field][event.kind] += 1
                case Ended():
                    how = "forced" if forced else "natural"
                    ends[f"{protocol.name}: {event.outcome} ({how})"] += 1
                case _:
                    pass
        verdict = conforms(protocol, result.transcript)
        heard["legal and typed, as the conformance check judges"] += verdict.messages if verdict.ok else 0
        ends["all, natural"] += not forced
        ends["all, forced"] += bool(forced)
        print(
            f"{talks:4} {protocol.name:20} {result.outcome:12} {requests:3} asked, {again:2} refused, {taken} turns",
            flush=True,
        )
    return {
        "conversations": talks,
        "turns of a model": taken,
        "asked": asked,
        "seconds a call": round(seconds / max(1, asked), 2),
        "messages": dict(heard),
        "ends": dict(sorted(ends.items())),
        "re-asks an act": round((asked - taken) / max(1, taken), 3),
        "acts": {act: dict(count) for act, count in sorted(by_act.items())},
        "refused because": dict(reasons),
        "fields": {field: dict(count) for field, count in sorted(readbacks.items())},
    }


def commit() -> str:
    """Return the commit that is measured."""
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False
    )
    return told.stdout.strip()


def main() -> None:
    """Run, print, and keep the figures beside machine and commit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="embedded:")
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=600, help="begin no conversation after that")
    options = parser.parse_args()
    begun = time.perf_counter()
    figures = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "commit": commit(),
        "model": options.model,
        **asyncio.run(run(options.model, options.turns, options.minutes)),
    }
    figures["minutes"] = round((time.perf_counter() - begun) / 60, 1)
    print(json.dumps(figures, indent=2))
    (HERE / "results" / "turns.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
