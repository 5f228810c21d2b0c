"""The demo model in conversations: is what reaches a peer legal and typed, how do they end, and what did it cost to get there?

    python tests/benchmarks/bench_demo.py                  # all parts, about an hour
    python tests/benchmarks/bench_demo.py flagship 48      # the handover of an incident, over so many logs
    python tests/benchmarks/bench_demo.py turns 500        # examples and protocols of the library, until so many model turns
    python tests/benchmarks/bench_demo.py nonsense 500     # all protocols of the library, with a model of random weights

`flagship` runs `incident-handoff` as `agentcomm run` does, over logs of four kinds made from a seed: every other one at temperature
0.3. `turns` runs the examples, and protocols of the library in which the model alone plays every role and chooses every act, though
it does not judge: there it ends where it ends, but never in an exception, and never with a message that is not legal. `nonsense` asks
the same of a model that knows nothing at all.

As many conversations are held at a time as there are processors, each in a process with a model of its own. What was held is kept, so a
run that was stopped goes on where it was: give the same command again, at the same commit.

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
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
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

    def __init__(self, counts: dict | None = None) -> None:
        self.runs = self.natural = self.well = self.turns = self.calls = self.messages = self.by_model = 0
        self.illegal: list[str] = []
        self.raised: list[str] = []
        self.unnamed: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.exits: Counter[str] = Counter()
        self.again: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.compared: Counter[str] = Counter()
        self.code: Counter[str] = Counter()
        self.per_protocol: Counter[str] = Counter()
        if counts is not None:
            self.merge(counts)

    def merge(self, counts: dict) -> None:
        """Add what another one counted, as its `vars`."""
        for name, more in counts.items():
            mine = getattr(self, name)
            if isinstance(mine, Counter):
                mine.update(more)
            else:
                setattr(self, name, mine + more)

    def add(self, name: str, protocol, result, calls: int) -> None:
        """Count one conversation from its record alone."""
        self.runs, self.calls = self.runs + 1, self.calls + calls
        self.outcomes[f"{name}: {result.outcome}"] += 1
        self.failed.update(f"{name}: {error.code} {error.what}" for error in result.errors)
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
            "models and tools that failed": dict(self.failed.most_common()),
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
        tally.runs += 1
        tally.raised.append(f"{name}: {type(error).__name__}: {error}")
        return
    tally.add(name, protocol, result, len(model.replies) + len(model.errors))


# --- what is held: (name, number of the run) in turn, for ever ---


def flagship(_tally: Tally, held: int) -> list[tuple[str, int]]:
    """Hand over an incident, log after log: the next one."""
    return [("incident-handoff", held)]


def turns(tally: Tally, held: int) -> list[tuple[str, int]]:
    """Run everything in turn; what asks the model nothing is held once."""
    # Two of the examples ask the demo model nothing, and one needs another framework.
    chosen = [name for name in example_names() if name not in {"other-frameworks", "release-approval"}]
    every = [*chosen, *BRIEFS]
    return [(name, held) for name in every if not held or tally.per_protocol[name]]


def nonsense(_tally: Tally, held: int) -> list[tuple[str, int]]:
    """Let a model of random weights play every role of every protocol of the library: it keeps to the schema and to nothing else."""
    return [(name, held) for name in names()]


PARTS = {"flagship": (flagship, 48), "turns": (turns, 500), "nonsense": (nonsense, 500)}


class Worker:
    """One process's model."""

    part = ""
    loop: asyncio.AbstractEventLoop
    model: EmbeddedModel
    folder: Path


def begin(part: str, folder: str) -> None:
    """Open the model of this process."""
    Worker.part, Worker.folder, Worker.loop = part, Path(folder), asyncio.new_event_loop()
    random = write_tiny_model(Worker.folder / f"random-{os.getpid()}.gguf") if part == "nonsense" else None
    Worker.model = EmbeddedModel(random)


def hold(name: str, number: int) -> dict:
    """Hold one conversation in this process; return what was counted."""
    tally = Tally()
    match Worker.part:
        case "flagship":
            model = Metered(Worker.model, HOT if number % 2 else 0.0)
            held = one(tally, name, model, number, a_log(number // 2, Worker.folder))
        case "nonsense":
            held = one(tally, name, Metered(Worker.model, WILD), number, deadline="60s")
        case _:
            held = one(tally, name, Metered(Worker.model, HOT), number)
    Worker.loop.run_until_complete(held)
    return vars(tally)


def commit() -> str:
    """Return the commit that is measured, with a `+` if what is measured was changed since."""
    what = ["agentcomm", "protocols", "examples", "tests/benchmarks/bench_demo.py"]
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *what], cwd=ROOT, check=False)
    return told.stdout.strip() + ("+" if changed.returncode else "")


class Kept:
    """What was held so far, a line for each conversation, for a run that is stopped."""

    def __init__(self, part: str) -> None:
        self.path = Path(tempfile.gettempdir()) / f"agentcomm-demo-{part}-{commit()}.jsonl"
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        rows = [json.loads(line) for line in lines]
        self.seconds = sum(row["seconds"] for row in rows)
        self.rows = {(row["name"], row["number"]): row["counts"] for row in rows}

    def add(self, name: str, number: int, seconds: float, counts: dict) -> None:
        """Keep one more."""
        row = {"name": name, "number": number, "seconds": seconds, "counts": counts}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def run(part: str, number: int) -> dict:
    """Hold conversations until there are enough, and return the figures."""
    which, tally, kept = PARTS[part][0], Tally(), Kept(part)
    begun = last = time.time()
    if kept.rows:
        say(f"{len(kept.rows)} conversations were held before: {kept.path}")
    running: dict[Future, tuple[str, int]] = {}

    def enough() -> bool:
        return (tally.runs + len(running) if part == "flagship" else tally.turns) >= number

    def rounds() -> Iterator[tuple[str, int]]:
        held = 0
        while True:
            yield from which(tally, held)
            held += 1

    def count(counts: dict) -> None:
        tally.merge(counts)
        if tally.runs % 5 == 0:
            say(
                f"{tally.runs} conversations, {tally.turns} model turns, {tally.natural} natural ends, "
                f"{len(tally.illegal)} not legal, {len(tally.raised)} raised"
            )

    processes = os.cpu_count() or 1
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(processes, get_context("spawn"), begin, (part, folder)) as pool,
    ):
        following = rounds()
        while running or not enough():
            while len(running) < processes and not enough():
                item = next(following)
                if item in kept.rows:
                    count(kept.rows[item])
                    continue
                running[pool.submit(hold, *item)] = item
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                counts, now = future.result(), time.time()
                kept.add(*running.pop(future), now - last, counts)
                last = now
                count(counts)
                write(tally, part, number, kept.seconds + now - begun)
    figures = write(tally, part, number, kept.seconds + time.time() - begun)
    kept.path.unlink(missing_ok=True)
    return figures


def write(tally: Tally, part: str, number: int, seconds: float) -> dict:
    """Write what was counted so far."""
    figures = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "commit": commit(),
        "command": f"python tests/benchmarks/bench_demo.py {part} {number}",
        "seconds": round(seconds),
        **tally.as_dict(),
    }
    (RESULTS / f"demo-{part}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures


def main() -> None:
    """Run, print and write."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    for part in [name] if name else PARTS:
        number = int(sys.argv[2]) if len(sys.argv) > 2 else PARTS[part][1]
        print(json.dumps(run(part, number), indent=1))


if __name__ == "__main__":
    main()
