"""Whole processes: what importing costs, what hello world costs, what the example costs.

    python tests/benchmarks/bench_process.py

Every figure is a ratio to the bare interpreter, timed in the same run, best of several; counts do not depend on the machine.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HELLO = f"""
from agentcomm import Agent, enact_sync, load
from agentcomm.models.scripted import ScriptedModel
ann = Agent("Ann", model=ScriptedModel([
    {{"act": "cfp", "content": {{"item": "bike", "budget": "120 EUR"}}}},
    {{"act": "readback", "content": {{"fields": {{"price": "110 EUR", "valid_until": "2026-12-01"}}}}}},
    {{"act": "accept-proposal", "content": {{"price": "110 EUR"}}}}]))
bob = Agent("Bob", model=ScriptedModel([
    {{"act": "propose", "content": {{"item": "bike", "price": "110 EUR", "valid_until": "2026-12-01"}}}}]))
result = enact_sync(load({str(ROOT / "examples/purchase/protocol.yaml")!r}), cast={{"buyer": ann, "seller": bob}})
assert result.outcome == "sold", result.cause
"""
CASES = {
    "bare interpreter": ["-c", "pass"],
    "import pydantic": ["-c", "import pydantic"],
    "import agentcomm": ["-c", "import agentcomm"],
    "hello world, two scripted agents": ["-c", HELLO],
    "agentcomm run incident-handoff --model scripted": [
        "-m",
        "agentcomm.cli.main",
        "run",
        "incident-handoff",
        "--model",
        "scripted",
    ],
}


def best(arguments: list[str], folder: str, rounds: int = 7) -> float:
    """Return the shortest wall time of some rounds, in seconds."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=folder, check=True, capture_output=True)
        times.append(time.perf_counter() - begun)
    return min(times)


def modules(program: str) -> set[str]:
    """Return the modules that a program has loaded at its end."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def commit() -> str:
    """Return the commit that is measured."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def main() -> None:
    """Measure, print, and keep the figures beside machine and commit."""
    os.environ["PYTHONPATH"] = str(ROOT)
    bare = modules("")
    counts = {
        "modules above bare: import agentcomm": len(modules("import agentcomm") - bare),
        "modules above bare: hello world": len(modules(HELLO) - bare),
        "hello world imports networkx": "networkx" in modules(HELLO),
    }
    with tempfile.TemporaryDirectory() as folder:
        times = {name: best(arguments, folder) for name, arguments in CASES.items()}
    base = times["bare interpreter"]
    for name, count in counts.items():
        print(f"{name:<50} {count}")
    for name, seconds in times.items():
        print(f"{name:<50} {seconds:6.3f} s  {seconds / base:5.1f} x bare")
    figures = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "commit": commit(),
        "counts": counts,
        "seconds": {name: round(seconds, 4) for name, seconds in times.items()},
    }
    (Path(__file__).parent / "results" / "process.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
