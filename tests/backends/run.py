"""Real backends: install Phoenix and MLflow, send them conversations, ask them what they have, and take pictures.

    python tests/backends/run.py [--venv FOLDER] [--pictures FOLDER] [phoenix] [mlflow]

Needs about 2 GB and some minutes the first time; the venvs, one of each, are kept and used again. Pictures need chromium, chromedriver and selenium.
Exit code 1 if a backend does not have what was sent.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

PACKAGES = {"phoenix": "arize-phoenix", "mlflow": "mlflow"}
PATIENCE = 240
"""Seconds for a backend to come up: the first start of both makes a database."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return answer.status == 200
    except OSError:
        return False


@contextmanager
def served(command: list[str], url: str, environment: dict[str, str], log: Path) -> Iterator[str]:
    """Run a server until the block ends."""
    with log.open("wb") as out:
        server = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdout=out,
            stderr=out,
            cwd=log.parent,
            start_new_session=True,
        )
        try:
            end = time.monotonic() + PATIENCE
            while not answers(url):
                if server.poll() is not None or time.monotonic() > end:
                    raise SystemExit(
                        f"{command[0]} did not come up: {log.read_text(errors='replace')[-2000:]}"
                    )
                time.sleep(1)
            yield url
        finally:
            try:
                if server.poll() is None:
                    os.killpg(server.pid, signal.SIGTERM)
                server.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait(20)


def conversations(folder: Path) -> list[Path]:
    """Hold the demo conversations; return their transcripts: one with a repair and a refusal, one that fails, one of the examples."""
    import msgspec

    from agentcomm import Agent, enact_sync
    from agentcomm.cli.main import main
    from agentcomm.models.scripted import ScriptedModel
    from tests.tracing.traced_scenes import cast, sale

    class Counting(ScriptedModel):
        """Says what it was told to, and counts tokens: a word is one."""

        async def reply(self, request: Any) -> Any:
            reply = await super().reply(request)
            asked = sum(len(str(message.content).split()) for message in request.messages)
            return msgspec.structs.replace(reply, prompt_tokens=asked, output_tokens=len(reply.text.split()))

    def seller() -> Agent:
        bob = Agent("bob", model=Counting(["rubbish", {"act": "propose", "content": {"price": "20 EUR"}}]))
        bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
        return bob

    paths = []
    for name, how in (("mended", {"slip": True, "misfires": 1}), ("failed", {"misfires": 9})):
        path = folder / f"{name}.jsonl"
        enact_sync(
            sale(folder),
            cast={**cast(**how), **({"seller": seller()} if name == "mended" else {})},
            transcript=path,
            conversation_id=f"conv-{name}-{os.getpid()}",
        )
        paths.append(path)
    os.chdir(folder)
    assert main(["run", "incident-handoff", "--model", "scripted"]) == 0
    return [*paths, next((folder / "transcripts").glob("*.jsonl"))]


def push(paths: list[Path], url: str) -> None:
    """Send them as a user does."""
    from agentcomm.cli.main import main

    assert main(["trace", "push", *map(str, paths), "--to", url]) == 0


def expected(path: Path) -> dict[str, Any]:
    """Return what a backend has to know of a conversation."""
    from agentcomm.runtime.replay import read_transcript
    from agentcomm.views.story import story_of

    story = story_of(read_transcript(path))
    return {
        "conversation": story.conversation,
        "messages": len(story.messages),
        "rejected": story.refusals,
        "repairs": story.repairs,
        "tokens": list(story.tokens),
        "turns": len(story.messages),
        "chats": sum(call.kind == "model" for row in story.rows for call in row.calls),
    }


def ask(venv: Path, script: str, *arguments: str) -> Any:
    """Run a script of ours with the backend's own client; return the JSON it prints last."""
    done = subprocess.run(
        [venv / "bin" / "python", HERE / script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise SystemExit(f"{script}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def settled(venv: Path, script: str, url: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Ask until a backend has what was sent, or two minutes have passed: what it took it may show later."""
    end = time.monotonic() + 120
    while True:
        found = ask(venv, script, url, wanted["conversation"])
        if all(found.get(key) == value for key, value in wanted.items()) or time.monotonic() > end:
            return found
        time.sleep(2)


def compare(name: str, found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    wrong = {key: (value, found.get(key)) for key, value in wanted.items() if found.get(key) != value}
    print(f"{name}: {wanted['conversation']}: {'as sent' if not wrong else f'sent, found: {wrong}'}  {found}")
    return not wrong


def pictures(folder: Path | None, name: str, pages: dict[str, str]) -> None:
    """Take a picture of each page, for somebody to look at."""
    if folder is None:
        return
    from tests.views.browser import chromium

    folder.mkdir(parents=True, exist_ok=True)
    with chromium(size=(1500, 950)) as browser:
        for label, url in pages.items():
            browser.get(url)
            end = time.monotonic() + 120
            while "cfp" not in browser.page_source and time.monotonic() < end:
                time.sleep(1)
            time.sleep(5)
            browser.save_screenshot(str(folder / f"{name}-{label}.png"))
            print(f"picture: {folder / f'{name}-{label}.png'}")


def phoenix(venv: Path, folder: Path, paths: list[Path], pics: Path | None) -> bool:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PHOENIX_WORKING_DIR": str(folder / "phoenix"),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
    }
    with served([str(venv / "bin" / "phoenix"), "serve"], url, environment, folder / "phoenix.log"):
        push(paths, url)
        good = True
        for path in paths:
            wanted = expected(path)
            good &= compare("phoenix", settled(venv, "ask_phoenix.py", url, wanted), wanted)
        found = ask(venv, "ask_phoenix.py", url, "--links", expected(paths[0])["conversation"])
        pictures(pics, "phoenix", {label: url + rest for label, rest in found.items()})
    return good


def mlflow(venv: Path, folder: Path, paths: list[Path], pics: Path | None) -> bool:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(venv / "bin" / "mlflow"), "server", "--workers", "1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
    }
    with served(command, f"{url}/health", quiet, folder / "mlflow.log"):
        os.environ["OTEL_EXPORTER_OTLP_HEADERS"] = "x-mlflow-experiment-id=0"
        push(paths, url)
        del os.environ["OTEL_EXPORTER_OTLP_HEADERS"]
        good = True
        for path in paths:
            wanted = expected(path)
            good &= compare("mlflow", settled(venv, "ask_mlflow.py", url, wanted), wanted)
        session = expected(paths[0])["conversation"]
        pages = {
            "traces": f"{url}/#/experiments/0/traces",
            "session": f"{url}/#/experiments/0/chat-sessions/{session}",
        }
        pictures(pics, "mlflow", pages)
    return good


BACKENDS: dict[str, Callable[[Path, Path, list[Path], Path | None], bool]] = {
    "phoenix": phoenix,
    "mlflow": mlflow,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("backends", nargs="*", metavar="BACKEND", help="phoenix, mlflow; both without")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-backends")
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    names = options.backends or list(BACKENDS)
    venvs = {name: options.venv.resolve() / name for name in names}  # what both need does not agree in one
    for name, venv in venvs.items():
        if not venv.exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        if not (venv / "bin" / name).exists():
            subprocess.run([venv / "bin" / "pip", "install", "-q", PACKAGES[name]], check=True)
    pics = options.pictures.resolve() if options.pictures else None
    folder = Path(tempfile.mkdtemp(prefix="agentcomm-backends-"))
    try:
        paths = conversations(folder)
        good = [BACKENDS[name](venv, folder, paths, pics) for name, venv in venvs.items()]
    finally:
        os.chdir(ROOT)
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
