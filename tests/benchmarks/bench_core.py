"""The core: what a step costs beside validating the message's content, and whether that grows with the talk.

    python tests/benchmarks/bench_core.py

Every figure is a ratio to pydantic's validation of the same content, timed in the same run, best of several.
"""

import gc
import json
import platform
import subprocess
import sys
import timeit
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Say
from agentcomm.conversation.moves import legal, wants
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.conversation.step import open_conversation, step
from agentcomm.protocol.library import load, loads

ROOT = Path(__file__).resolve().parent.parent.parent
CONTENT = {"host": "db-1", "count": 4, "note": "disk is full"}
PROTOCOL = """
agentcomm: 1
protocol: loop
version: 1
roles: [a, b]
acts:
  report: {act: inform, content: {host: id, count: int, note: text}}
  order:  {act: request, content: {host: id, count: int, note: text}, outlives: true}
  noted:  {act: inform, content: {}}
  did:    {act: inform, content: {}, discharges: order}
states:
  x:
    a:
      report: {next: y, max: 100000, then: done}
      order: {next: z, max: 100000, then: done}
  y: {b: {noted: x}}
  z: {b: {did: x}}
outcomes: {done: success, expired: expired}
"""
READBACK = """
agentcomm: 1
protocol: read
version: 1
roles: [a, b]
acts: {report: {act: inform, content: {host: id, count: int, note: text}}}
grounding: {report: {readback: [host, count]}}
states: {x: {a: {report: done}}}
outcomes: {done: success, expired: expired}
"""


def best(work: Callable[[], object], rounds: int = 15, number: int = 4000) -> float:
    """Return microseconds for one call: the best of some rounds, so that what else runs does not count."""
    gc.collect()
    return min(timeit.repeat(work, number=number, repeat=rounds)) / number * 1e6


def said(conversation: Conversation, sender: str, act: str, content: object, name: str = "") -> Say:
    return Say(Message(act=act, content=content, sender=sender, id=name or f"c:{conversation.n + 1}"), 1.0)


def at_turn(rules: Rules, turns: int) -> Conversation:
    """Return a conversation in which `turns` messages are on record, and `a` speaks."""
    conversation, _ = open_conversation(rules, "c")
    for _ in range(turns // 2):
        conversation, _ = step(conversation, said(conversation, "a", "order", CONTENT))
        conversation, _ = step(conversation, said(conversation, "b", "did", {}))
    return conversation


def going_on(rules: Rules, turns: int, steps: int = 512) -> float:
    """Return microseconds for one step of a conversation that goes on from a turn."""
    now = at_turn(rules, turns)
    given = [
        Say(
            Message(
                act=("order", "did")[n % 2], content=(CONTENT, {})[n % 2], sender="ab"[n % 2], id=f"new:{n}"
            ),
            1.0,
        )
        for n in range(steps)
    ]
    begun = timeit.default_timer()
    for one in given:
        now, _ = step(now, one)
    return (timeit.default_timer() - begun) / steps * 1e6


def measure() -> dict[str, float]:
    """Return microseconds by what was measured."""
    overlays = {name: load(f"_overlays/{name}") for name in ("read-back", "repair", "not-understood")}
    rules = Rules(loads(PROTOCOL), overlays)
    new, _ = open_conversation(rules, "c")
    kind = rules.protocol.acts["report"].content
    typed = kind.model_validate(CONTENT)
    answering, _ = step(new, said(new, "a", "report", CONTENT))
    empty = rules.protocol.acts["noted"].content()
    noted = said(answering, "b", "noted", empty)
    reported, told, ordered = (
        said(new, "a", "report", CONTENT), said(new, "a", "report", typed), said(new, "a", "order", CONTENT)
    )  # fmt: skip
    wrong = said(new, "a", "report", {"host": "db-1"})
    reading, _ = step(
        open_conversation(Rules(loads(READBACK), overlays), "c")[0], said(new, "a", "report", CONTENT)
    )
    back = said(reading, "b", "readback", {"fields": {"host": "db-1", "count": 4}})
    found = {
        "validate content of 3 fields": best(lambda: kind.model_validate(CONTENT)),
        "step: content validated, ledger": best(lambda: step(new, ordered)),
        "step: content validated, no ledger": best(lambda: step(new, reported)),
        "step: content of the act's class, no ledger": best(lambda: step(new, told)),
        "step: legality and position alone": best(lambda: step(answering, noted)),
        "step: refused": best(lambda: step(new, wrong)),
        "step: a read-back, compared": best(lambda: step(reading, back)),
        "legal moves": best(lambda: legal(new)),
        "what is wanted": best(lambda: wants(answering)),
    }
    for turns in (10, 100, 1000, 10_000):
        found[f"step at turn {turns}"] = min(going_on(rules, turns) for _ in range(7))
    unit = "validate content of 3 fields"  # everything is a ratio to it, so it is measured at both ends
    found[unit] = min(found[unit], best(lambda: kind.model_validate(CONTENT)))
    return found


def main() -> None:
    """Print the table and write it down."""
    found = measure()
    unit = found["validate content of 3 fields"]
    for what, cost in found.items():
        print(f"{what:<46} {cost:8.2f} us {cost / unit:7.1f} x")
    growth = found["step at turn 10000"] / found["step at turn 10"]
    print(f"{'turn 10,000 to turn 10':<46} {growth:19.2f} x")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    result = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
        "us": {what: round(cost, 3) for what, cost in found.items()},
        "ratio to validation": {what: round(cost / unit, 2) for what, cost in found.items()},
        "turn 10000 to turn 10": round(growth, 2),
    }
    target = Path(__file__).parent / "results" / "core.json"
    target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
