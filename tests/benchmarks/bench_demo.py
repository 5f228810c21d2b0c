"""The demo model in conversations: is what reaches a peer legal and typed, how do they end, and what did it cost to get there?

    python tests/benchmarks/bench_demo.py                  # all parts, more than an hour
    python tests/benchmarks/bench_demo.py flagship 48      # the handover of an incident, over so many logs
    python tests/benchmarks/bench_demo.py turns 500        # examples and protocols of the library, until so many model turns
    python tests/benchmarks/bench_demo.py nonsense 500     # all protocols of the library, with a model of random weights

`flagship` runs `incident-handoff` as `agentcomm run` does, over logs of four kinds made from a seed: every other one at temperature
0.3. `turns` runs the examples, and protocols of the library in which the model alone plays every role and chooses every act, though
it does not judge: there it ends where it ends, but never in an exception, and never with a message that is not legal. `nonsense` asks
the same of a model that knows nothing at all.

A model turn is a turn in which the model was asked, however often. A message counts as legal and typed if the protocol's file has its
act in that state for that role, and its content class takes what was recorded; that is looked up here anew, apart from the core. An
exit is forced where all tries of a turn are used up.
"""

import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from agentcomm.acts.content import to_plain  # noqa: E402
from agentcomm.cli.examples import example_names, find_example, find_protocol  # noqa: E402
from agentcomm.cli.run import brief_of, cast_of  # noqa: E402
from agentcomm.conversation.events import Heard, Moved, Refused, TroubleFound  # noqa: E402
from agentcomm.models.embedded import EmbeddedModel  # noqa: E402
from agentcomm.protocol.graph import OutcomeClass  # noqa: E402
from agentcomm.protocol.library import load, names  # noqa: E402
from agentcomm.runtime.enact import enact  # noqa: E402
from agentcomm.runtime.replay import replay  # noqa: E402
from agentcomm.testing.choices import Dice  # noqa: E402
from agentcomm.testing.comparing import Metered  # noqa: E402
from agentcomm.testing.lab import wilson  # noqa: E402
from tests.models.tiny_model import write_tiny_model  # noqa: E402

RESULTS = Path(__file__).parent / "results"
HOT, WILD = 0.3, 1.0
"""Temperatures."""
BRIEFS = {
    "request": {"initiator": "Have web-1 restarted.", "participant": "You restart servers."},
    "query": {"initiator": "Ask how full disk sda1 of db-2 is.", "participant": "Disk sda1 of db-2 is 91 % full."},
    "propose": {"initiator": "Propose to move the backup to 03:00.", "participant": "You run the backups."},
    "read-back-clearance": {},
    "delegate": {},
    "checklist": {},
    "information-seeking": {},
    "ask-a-human": {},
}  # fmt: skip
"""Protocols of the library, and what each role is told; where nothing is said, every role is told what the protocol is about."""


def say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def a_log(number: int, folder: Path) -> Path:
    """Write a log from a seed: of nginx, an access log, PostgreSQL or syslog."""
    dice = Dice(number)
    at = datetime(
        2026, dice.randint(1, 12), dice.randint(1, 28), dice.randint(0, 23), dice.randint(0, 59), tzinfo=UTC
    )
    host = dice.choice(["web", "db", "mail", "shop", "cache"]) + f"-{dice.randint(1, 40)}"
    lines: list[str] = []
    kind = number % 4
    what = dice.choice([
        ["upstream timed out (110: Connection timed out) while reading response header from upstream",
         "connect() failed (111: Connection refused) while connecting to upstream", "no live upstreams while connecting to upstream"],
        ["GET /cart", "POST /checkout", "GET /search"],
        ["FATAL:  remaining connection slots are reserved for non-replication superuser connections",
         "ERROR:  deadlock detected", 'FATAL:  password authentication failed for user "shop"'],
        ["Out of memory: Killed process (java)", "I/O error, dev sda, sector", "Failed password for root from 192.0.2.7"],
    ][kind:kind + 1] or [[""]])  # fmt: skip
    for _ in range(dice.randint(4, 90)):
        at += timedelta(seconds=dice.randint(0, 9))
        text = dice.choice(what)
        match kind:
            case 0:
                lines.append(f'{at:%Y/%m/%d %H:%M:%S} [error] 42#42: *{dice.randint(1, 999)} {text}, client: 127.0.0.1, server: {host}, request: "GET / HTTP/1.1"')  # fmt: skip
            case 1:
                lines.append(f'127.0.0.1 - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "{text} HTTP/1.1" {dice.choice([500, 502, 503])} 141 "-" "curl"')  # fmt: skip
            case 2:
                lines.append(f"{at:%Y-%m-%d %H:%M:%S.123} UTC [42] shop@shop {text}")
            case _:
                lines.append(f"<11>1 {at:%Y-%m-%dT%H:%M:%SZ} {host} kernel 42 - - {text}")
    path = folder / f"{host}-{number}.log"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Tally:
    """Counts over conversations."""

    def __init__(self) -> None:
        self.runs = self.natural = self.well = self.turns = self.calls = self.messages = self.by_model = 0
        self.illegal: list[str] = []
        self.raised: list[str] = []
        self.unnamed: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.exits: Counter[str] = Counter()
        self.again: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.compared: Counter[str] = Counter()
        self.code: Counter[str] = Counter()
        self.per_protocol: Counter[str] = Counter()

    def add(self, name: str, protocol, result, calls: int) -> None:
        """Count one conversation from its record alone."""
        self.runs, self.calls = self.runs + 1, self.calls + calls
        self.outcomes[f"{name}: {result.outcome}"] += 1
        if result.outcome not in {*protocol.outcomes, *OutcomeClass}:
            self.unnamed.append(f"{name}: {result.outcome}")
        if not replay(result.transcript).same:
            self.illegal.append(f"{name}: its replay is another conversation")
        forced = False
        offered: list[str] = []
        for record in result.transcript.records:
            if record.type == "model.request":
                offered = record.data["offered"]
                if record.data["attempt"] == 1:
                    self.turns += 1
                    self.per_protocol[name] += 1
                    self.asked[_act(offered)] += 1
        for event in result.transcript.events():
            match event:
                case Heard():
                    self._heard(name, protocol, event)
                case Moved() if event.act and event.state in protocol.states:
                    if event.act not in protocol.states[event.state].moves:
                        self.illegal.append(f"{name}: {event.act} in {event.state}")
                case Refused():
                    self.again[event.act or "no act"] += 1
                    self.reasons[f"{event.code}: {event.reason[:60]}"] += 1
                    if not event.left:
                        forced = True
                        self.exits[f"{name}: {event.act or 'no act'}"] += 1
                case TroubleFound():
                    self.wrong.update(item.field for item in event.differs)
                case _:
                    pass
        self.natural += not forced
        self.well += not forced and result.outcome_class in {"success", "partial"}

    def _heard(self, name: str, protocol, event: Heard) -> None:
        message = event.message
        self.messages += 1
        self.by_model += message.made_by == "model"
        if event.overlay:
            if message.act == "readback":
                self.compared.update(list(to_plain(message.content)["fields"]))
            return
        act = protocol.acts.get(message.act)
        if act is None:
            self.illegal.append(f"{name}: {message.act} is no act")
            return
        try:
            act.content.model_validate(to_plain(message.content))
        except ValueError as error:
            self.illegal.append(f"{name}: {message.act}: {error}")
        if message.made_by != "model":
            self.code.update(f"{name}: {message.act}.{field}" for field in act.fields)

    def as_dict(self) -> dict:
        """Return the figures."""
        return {
            "conversations": self.runs,
            "model turns": self.turns,
            "calls of the model": self.calls,
            "messages that reached a peer": self.messages,
            "of them made by the model": self.by_model,
            "not legal or not typed": self.illegal,
            "ended in an exception": self.raised,
            "ended in no named outcome": self.unnamed,
            "natural ends": _share(self.natural, self.runs),
            "of them well": _share(self.well, self.runs),
            "forced exits": dict(self.exits.most_common()),
            "asked again, by act": dict(self.again.most_common()),
            "... of turns in which it was offered": dict(self.asked.most_common(30)),
            "why asked again": dict(self.reasons.most_common(12)),
            "wrong values, by field": dict(self.wrong.most_common()),
            "... of values read back": dict(self.compared.most_common()),
            "outcomes": dict(self.outcomes.most_common()),
            "model turns by protocol": dict(self.per_protocol.most_common()),
            "fields that code filled": dict(self.code.most_common()),
        }


def _act(offered: list[str]) -> str:
    return offered[0] if len(offered) == 1 else " | ".join(offered)


def _share(hits: int, of: int) -> str:
    found = wilson(hits, of)
    return f"{hits} of {of}, {100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"


async def one(
    tally: Tally, name: str, model: Metered, run: int, source: Path | None = None, deadline: str = "5m"
) -> None:
    """Hold one conversation, and count what came of it; an exception is counted, and nothing stops."""
    example = find_example(name)
    protocol = load(find_protocol(name))
    about = protocol.about.strip()
    briefs = (
        brief_of(protocol, example, [], source)
        if example
        else BRIEFS.get(name) or dict.fromkeys(protocol.roles, about)
    )
    model.begin(run)
    try:
        result = await enact(
            protocol, cast=cast_of(protocol, example, lambda _role: model), brief=briefs, deadline=deadline
        )
    except Exception as error:  # noqa: BLE001 - that there is none is what is measured
        tally.raised.append(f"{name}: {type(error).__name__}: {error}")
        return
    tally.add(name, protocol, result, len(model.replies) + len(model.errors))


async def flagship(tally: Tally, runs: int, kept: Callable[[], object]) -> None:
    """Hand over an incident, log after log."""
    embedded = EmbeddedModel()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(runs):
            model = Metered(embedded, HOT if number % 2 else 0.0)
            await one(tally, "incident-handoff", model, number, a_log(number // 2, Path(folder)))
            kept()
            say(f"{number + 1} of {runs}: {tally.natural} natural ends, {tally.turns} model turns")
    await embedded.close()


async def turns(tally: Tally, least: int, kept: Callable[[], object]) -> None:
    """Run everything in turn until the model has had its turns."""
    embedded = EmbeddedModel()
    model = Metered(embedded, HOT)
    # Two of the examples ask the demo model nothing, and one needs another framework.
    chosen = [name for name in example_names() if name not in {"other-frameworks", "release-approval"}]
    run = 0
    while tally.turns < least:
        for name in (*chosen, *BRIEFS):
            if not run or tally.per_protocol[name]:  # what asks the model nothing is held once
                await one(tally, name, model, run)
                kept()
        run += 1
        say(
            f"round {run}: {tally.turns} model turns, {len(tally.illegal)} not legal, {len(tally.raised)} raised"
        )
    await embedded.close()


async def nonsense(tally: Tally, least: int, kept: Callable[[], object]) -> None:
    """Let a model of random weights play every role of every protocol of the library: it keeps to the schema and to nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        embedded = EmbeddedModel(write_tiny_model(Path(folder) / "random.gguf"))
        model = Metered(embedded, WILD)
        run = 0
        while tally.turns < least:
            for name in names():
                await one(tally, name, model, run, deadline="60s")
            run += 1
            say(
                f"round {run}: {tally.turns} model turns, {len(tally.illegal)} not legal, {len(tally.raised)} raised"
            )
        await embedded.close()


PARTS = {"flagship": (flagship, 48), "turns": (turns, 500), "nonsense": (nonsense, 500)}


def keep(tally: Tally, part: str, number: int, begun: float) -> dict:
    """Write what was counted so far, so that a run that is stopped leaves its figures."""
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    figures = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "commit": told.stdout.strip(),
        "command": f"python tests/benchmarks/bench_demo.py {part} {number}",
        "seconds": round(time.time() - begun),
        **tally.as_dict(),
    }
    (RESULTS / f"demo-{part}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures


def main() -> None:
    """Run, print and write."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    for part in [name] if name else PARTS:
        function, usual = PARTS[part]
        number = int(sys.argv[2]) if len(sys.argv) > 2 else usual
        begun = time.time()
        tally = Tally()
        asyncio.run(function(tally, number, lambda t=tally, p=part, n=number, b=begun: keep(t, p, n, b)))
        print(json.dumps(keep(tally, part, number, begun), indent=1))


if __name__ == "__main__":
    main()
