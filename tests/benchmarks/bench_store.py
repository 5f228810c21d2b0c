"""Durability: what a turn costs on disk, how many conversations a second, how long it takes to take one up again.

    python tests/benchmarks/bench_store.py [--conversations 10000]

CPU times are of the whole process; every figure that has a goal is a ratio to something measured in the same run.
"""

import argparse
import asyncio
import gc
import json
import os
import platform
import random
import resource
import sqlite3
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from agentcomm import Agent, enact, load
from agentcomm.protocol.library import loads
from agentcomm.runtime.runtime import Runtime
from agentcomm.store.memory import MemoryStore
from agentcomm.store.sqlite import SQLiteStore
from agentcomm.store.writer import Writer

ROOT = Path(__file__).resolve().parent.parent.parent
WORDS = (ROOT / "README.md").read_text(encoding="utf-8").split()
LOOP = """
agentcomm: 1
protocol: loop
version: 1
roles: [a, b]
acts:
  ask:  {act: query-ref, content: {text: text}}
  tell: {act: inform, content: {text: text}}
  stop: {act: inform, content: {}}
states:
  x: {a: {ask: {next: y, max: 100000, then: done}, stop: done}}
  y: {b: {tell: x}}
outcomes: {done: success, expired: expired}
limits: {reply_within: 1d, else: expired}
"""


def text(dice: random.Random, size: int = 600) -> str:
    made: list[str] = []
    while sum(map(len, made)) + len(made) < size:
        made.append(dice.choice(WORDS))
    return " ".join(made)[:size]


def loop_team(texts: list[str], turns: int) -> list[Agent]:
    a, b = Agent("a"), Agent("b")
    said = {"a": 0}

    def ask(turn: Any) -> Any:
        said["a"] += 1
        if turn.conversation.n + 2 > turns:
            return turn.say("stop")
        return turn.say("ask", text=texts[said["a"] % len(texts)])

    a.opens(ask)
    a.on("tell")(ask)
    b.on("ask")(lambda turn: turn.say("tell", text=texts[-said["a"] % len(texts)]))
    return [a, b]


async def plain_talk(store: Any, turns: int, texts: list[str]) -> float:
    """Return CPU microseconds a turn of a talk."""
    team = loop_team(texts, turns)
    async with Runtime(store=store, agents=team) as runtime:
        began = time.process_time()
        name = await runtime.open(loads(LOOP), cast={"a": team[0], "b": team[1]}, conversation_id="long")
        await runtime.outcome(name)
        spent = time.process_time() - began
    store.close()
    return spent / turns * 1e6


def against_raw(folder: Path, texts: list[str], rounds: int = 7, turns: int = 1000) -> dict[str, float]:
    """Compare a durable turn, the same turn in memory, and raw inserts of the same bytes, one after the other, again and again."""
    every: list[tuple[float, float, float, float]] = []
    for number in range(rounds):
        path = folder / f"round{number}.db"
        durable = asyncio.run(plain_talk(SQLiteStore(path), turns, texts))
        with sqlite3.connect(path) as file:
            rows = [row[0] for row in file.execute("SELECT lines FROM entry")]
        raw = raw_inserts_fresh(folder, rows)
        floor = asyncio.run(enacted_and_inserted(folder / f"floor{number}.db", turns, texts))
        every.append((durable, asyncio.run(plain_talk(MemoryStore(), turns, texts)), raw, floor))
    return {
        "durable turn (us CPU)": median(one[0] for one in every),
        "the same turn in memory (us CPU)": median(one[1] for one in every),
        "raw WAL insert of the same bytes (us CPU)": median(one[2] for one in every),
        "a durable turn / raw insert": median(one[0] / one[2] for one in every),
        "... least and most of the rounds": min(one[0] / one[2] for one in every),
        "...": max(one[0] / one[2] for one in every),
        "what durability adds / raw insert": median((one[0] - one[1]) / one[2] for one in every),
        "floor: a turn of `enact`, then a raw insert / raw insert": median(one[3] / one[2] for one in every),
    }


async def enacted_and_inserted(path: Path, turns: int, texts: list[str]) -> float:
    """Return CPU microseconds of a turn that no store hosts, and a raw insert after it: what a durable turn cannot be below.

    Code between two waits for a disk runs with cold caches, so this is more than the sum of the two.
    """
    file = raw_file(path)
    team, seq = loop_team(texts, turns), 0

    def watch(event: Any) -> None:
        nonlocal seq
        if type(event).__name__ == "Heard":
            seq += 1
            file.execute("BEGIN IMMEDIATE")
            row = b"x" * (len(texts[0]) + 200)
            file.execute("INSERT INTO entry(conv, seq, lines) VALUES (1, ?, ?)", (seq, row))
            file.execute("COMMIT")

    protocol = loads(LOOP)
    began = time.process_time()
    await enact(protocol, cast={"a": team[0], "b": team[1]}, watch=watch)
    spent = time.process_time() - began
    file.close()
    return spent / turns * 1e6


async def long_talk(folder: Path, turns: int, texts: list[str]) -> dict[str, float]:
    """Hold one long conversation; return CPU microseconds a turn early and late, and bytes."""
    slice_ = max(50, turns // 20)
    store = SQLiteStore(folder / "long.db")
    team = loop_team(texts, turns)
    marks: dict[int, float] = {}
    json_bytes = 0

    def watch(_name: str, event: Any) -> None:
        nonlocal json_bytes
        if type(event).__name__ == "Heard":
            json_bytes += len(event.message.content.model_dump_json()) + _ENVELOPE
            if event.n % slice_ == 0:
                marks[event.n] = time.process_time()

    async with Runtime(store=store, agents=team, watch=watch) as runtime:
        name = await runtime.open(loads(LOOP), cast={"a": team[0], "b": team[1]}, conversation_id="long")
        await runtime.outcome(name)
    pages = store._writer.call(
        lambda file: file.execute("SELECT sum(length(lines)) FROM entry").fetchone()[0]
    )
    store.close()
    with sqlite3.connect(folder / "long.db") as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = (folder / "long.db").stat().st_size
    per = {n: (marks[n] - marks[n - slice_]) / slice_ * 1e6 for n in marks if n - slice_ in marks}
    first, last = min(n for n in per if n >= min(1000, turns // 2)), max(per)
    return {
        "turn early (us CPU)": per[first],
        "turn late (us CPU)": per[last],
        "late / early": median([v for n, v in per.items() if n > turns * 0.8])
        / median([v for n, v in per.items() if n <= turns * 0.2 + slice_]),
        "file bytes / message JSON": size / json_bytes,
        "records bytes / message JSON": pages / json_bytes,
    }


_ENVELOPE = len(
    '{"act":"tell","id":"long:10000","sender":"b","receivers":["a"],"in_reply_to":"long:9999","about":"","made_by":"handler","lane":"","content":}'
)


def raw_file(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = FULL")
    file.execute("CREATE TABLE entry(k INTEGER PRIMARY KEY, conv INTEGER, seq INTEGER, lines BLOB)")
    file.execute("CREATE UNIQUE INDEX place ON entry(conv, seq)")
    return file


def raw_inserts(folder: Path, rows: list[bytes], grouped: int = 1) -> float:
    """Return CPU microseconds a row of plain inserts into a WAL file, synchronous FULL."""
    file = raw_file(folder / f"raw{grouped}.db")
    began = time.process_time()
    for first in range(0, len(rows), grouped):
        file.execute("BEGIN IMMEDIATE")
        for place, row in enumerate(rows[first : first + grouped], first):
            file.execute("INSERT INTO entry(conv, seq, lines) VALUES (?, ?, ?)", (place % 64, place, row))
        file.execute("COMMIT")
    spent = time.process_time() - began
    file.close()
    return spent / len(rows) * 1e6


async def bare_writer(folder: Path, rows: list[bytes], flight: int = 64) -> tuple[float, float]:
    """Return rows a second, and CPU microseconds a row, of a bare writer that groups what waits: nothing is checked or delivered."""

    def connect() -> sqlite3.Connection:
        file = sqlite3.connect(folder / "bare.db", isolation_level=None, check_same_thread=False)
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = FULL")
        file.execute(
            "CREATE TABLE IF NOT EXISTS entry(k INTEGER PRIMARY KEY, conv INTEGER, seq INTEGER, lines BLOB)"
        )
        file.execute("CREATE UNIQUE INDEX IF NOT EXISTS place ON entry(conv, seq)")
        return file

    writer = Writer(connect, "bare")

    async def worker(mine: range) -> None:
        for place in mine:
            row = rows[place % len(rows)]
            await writer.submit(
                lambda file, place=place, row=row: (
                    file.execute(
                        "INSERT INTO entry(conv, seq, lines) VALUES (?, ?, ?)", (place % flight, place, row)
                    ).rowcount
                )
            )

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker(range(n, len(rows), flight)) for n in range(flight)))
    spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    writer.close()
    (folder / "bare.db").unlink()
    return len(rows) / spent, cpu / len(rows) * 1e6


async def many(folder: Path, count: int, texts: list[str], flight: int = 64) -> dict[str, float]:
    """Hold many conversations of three messages, some at once."""
    store = SQLiteStore(folder / "many.db")
    ann, bob = Agent("ann"), Agent("bob")
    ann.opens(lambda turn: turn.say("request", action=texts[0]))
    bob.on("request")(lambda turn: turn.say("agree"))
    bob.on("request", state="agreed")(lambda turn: turn.say("inform-result", result=texts[1]))
    request = load("request")
    cast = {"initiator": ann, "participant": bob}
    async with Runtime(store=store, agents=[ann, bob], turns=flight, backlog=10**9) as runtime:

        async def worker(mine: range) -> None:
            for _ in mine:
                await runtime.outcome(await runtime.open(request, cast=cast))

        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker(range(n, count, flight)) for n in range(flight)))
        spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    entries = store._writer.call(lambda file: file.execute("SELECT count(*) FROM entry").fetchone()[0])
    rows = [row[0] for row in store._rows("SELECT lines FROM entry LIMIT 2000", ())]
    syncs = store._writer.count
    store.close()
    cpu_enacted = time.process_time()
    for _ in range(2000):
        await enact(request, cast=cast)
    cpu_enacted = (time.process_time() - cpu_enacted) / 2000 * 1e6
    wanted = min(20_000, max(4000, entries))
    bare, bare_cpu = await bare_writer(folder, (rows * (wanted // len(rows) + 1))[:wanted])  # the same bytes
    alone = raw_inserts_fresh(folder, rows)
    return {
        "conversations/s": count / spent,
        "CPU us/conversation": cpu / count * 1e6,
        "rows/s (one a turn, one an opening)": entries / spent,
        "rows a transaction": entries / syncs,
        "bare rows/s": bare,
        "rows/s / bare": entries / spent / bare,
        "CPU us/row": cpu / entries * 1e6,
        "bare CPU us/row": bare_cpu,
        "... / raw WAL insert of the same bytes, one a transaction": cpu / entries * 1e6 / alone,
        "bare CPU a row / CPU a row": bare_cpu / (cpu / entries * 1e6),
        "floor: `enact`, CPU us/conversation": cpu_enacted,
        "... with its rows by the bare writer: bare CPU a row / CPU a row": bare_cpu
        / (bare_cpu + cpu_enacted / (entries / count)),
    }


async def reopened(folder: Path, count: int, texts: list[str]) -> dict[str, float]:
    """Open conversations that wait for a person; then take the store up in a new runtime."""
    store = SQLiteStore(folder / "open.db")
    request = load("request")
    some = asyncio.Semaphore(256)
    runtime = Runtime(store=store, backlog=10**9)

    async def one(number: int) -> None:
        async with some:
            who = "ann" if number == count // 2 else "lena"
            await runtime.open(request, cast={"initiator": who, "participant": "bob"}, deadline="3d")

    await asyncio.gather(*map(one, range(count)))
    store.close()

    gc.collect()
    before = _memory()
    began = time.perf_counter()
    served = asyncio.Event()
    ann = Agent("ann")

    @ann.opens
    def ask(turn: Any) -> Any:
        served.set()
        return turn.say("request", action=texts[0])

    store = SQLiteStore(folder / "open.db")
    async with Runtime(store=store, agents=[ann]):
        await served.wait()
        first = time.perf_counter() - began
        await asyncio.sleep(0.5)
        used = _memory() - before
    store.close()
    return {"first one served (s)": first, "bytes a waiting conversation": max(0.0, used) / count}


def _memory() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


async def resumed(folder: Path, turns: int, texts: list[str]) -> dict[str, float]:
    """Leave a long talk open; return seconds to take it up, and what else there is to know of that."""
    path = folder / "left.db"
    store = SQLiteStore(path, synchronous="normal")
    team = loop_team(texts, turns + 1000)
    reached = asyncio.Event()

    def watch(_name: str, event: Any) -> None:
        if type(event).__name__ == "Heard" and event.n >= turns:
            reached.set()

    async with Runtime(store=store, agents=team, watch=watch) as runtime:
        await runtime.open(loads(LOOP), cast={"a": team[0], "b": team[1]}, conversation_id="left")
        await reached.wait()
        await runtime.drain(0.0)
    store.close()

    async def take_up(*, old: bool) -> tuple[float, int, int]:
        store = SQLiteStore(path)
        runtime = Runtime(store=store)
        await runtime._talk("left")  # the stage is made once for a protocol
        runtime._talks.clear()
        began = time.process_time()
        talk = await runtime._talk("left")
        if old:
            list(talk.conversation.seen.values())
        spent = time.process_time() - began
        store.close()
        last = talk.snapped.shared.n if talk.snapped is not None else 0
        return spent, talk.conversation.n, talk.conversation.n - last

    lazily = sorted([await take_up(old=False) for _ in range(5)])[2]
    whole = min([await take_up(old=True) for _ in range(3)])
    with sqlite3.connect(path) as file:
        size = file.execute("SELECT length(data) FROM snapshot").fetchone()[0]
        file.execute("DELETE FROM snapshot")
    replayed = min([await take_up(old=False) for _ in range(3)])
    return {
        "messages of the talk that was left": lazily[1],
        "... behind its snapshot": lazily[2],
        "bytes of its snapshot": size,
        "taken up, old messages unread (s CPU)": lazily[0],
        "... every old message read (s CPU)": whole[0],
        "... without a snapshot, replayed (s CPU)": replayed[0],
    }


def main() -> None:
    """Print the figures and write them down."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=10_000)
    options = parser.parse_args()
    texts = [text(random.Random(n)) for n in range(500)]  # noqa: S311
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=ROOT) as place:
        folder = Path(place)
        found |= asyncio.run(long_talk(folder, options.turns, texts))
        found |= against_raw(folder, texts)
        found |= asyncio.run(resumed(folder, options.turns, texts))
        found |= asyncio.run(many(folder, options.conversations, texts))
        found |= asyncio.run(reopened(folder, options.conversations, texts))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    for name, value in found.items():
        print(f"{name:<45} {value:>12,.3f}")
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "load": os.getloadavg()[0],
        "commit": commit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "turns": options.turns,
        "conversations": options.conversations,
        "figures": {name: round(value, 4) for name, value in found.items()},
    }
    path = ROOT / "tests/benchmarks/results/store.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


def raw_inserts_fresh(folder: Path, rows: list[bytes]) -> float:
    for path in folder.glob("raw1.db*"):
        path.unlink()
    return raw_inserts(folder, rows)


if __name__ == "__main__":
    main()
