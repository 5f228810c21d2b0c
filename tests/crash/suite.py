"""Conversations whose processes are killed, stopped and cut off; what is counted is what was lost, twice, or in doubt.

python -m tests.crash.suite --conversations 10000 --kill 40
python -m tests.crash.suite --conversations 2000 --stop 20
"""

import argparse
import asyncio
import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from agentcomm import load
from agentcomm.conversation.entries import lines_of
from agentcomm.conversation.replaying import replay_inputs
from agentcomm.conversation.transcript import Transcript
from agentcomm.protocol.library import loads
from agentcomm.runtime.replay import rules_of
from agentcomm.runtime.runtime import Runtime
from agentcomm.store.sqlite import SQLiteStore
from tests.benchmarks.results import write

ROOT = Path(__file__).resolve().parent.parent.parent


async def opened(
    folder: Path, count: int, actions=("sing",), first: int = 0, participant: str = "bob"
) -> list[str]:
    """Open conversations that nobody carries on yet."""
    store = SQLiteStore(folder / "talks.db")
    runtime = Runtime(store=store, backlog=10**9)
    text = load("request").text
    request = loads(
        text.replace("reply_within: 60s", "reply_within: 1d")
    )  # ten thousand take longer than that
    cast = {"initiator": "ann", "participant": participant}
    some = asyncio.Semaphore(256)

    async def one(number: int) -> str:
        async with some:
            return await runtime.open(
                request,
                cast=cast,
                brief={"initiator": actions[number % len(actions)]},
                conversation_id=f"c{number}",
            )

    names = await asyncio.gather(*map(one, range(first, first + count)))
    store.close()
    return list(names)


def start(folder: Path, name: str, cut: str = "", **env: str) -> subprocess.Popen[bytes]:
    """Start a process that hosts the cast."""
    with (folder / f"{name}.err").open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.crash.team", str(folder), name, cut],
            cwd=ROOT,
            env={**os.environ, **env},
            stderr=errors,
        )


def left(folder: Path) -> int:
    store = SQLiteStore(folder / "talks.db")
    rows = store.rows(closed=False)
    store.close()
    return sum(not row.dead for row in rows)


def harass(
    folder: Path,
    dice: random.Random,
    *,
    kills: int,
    stops: int,
    processes: int,
    pause: float,
    limit: float,
    **env: str,
) -> dict[str, int]:
    """Keep some processes at work, and kill or stop one at random moments, until all is done."""
    end = time.monotonic() + limit
    number = 0
    running: list[subprocess.Popen[bytes]] = []
    done = {"killed": 0, "stopped": 0}
    asleep: list[tuple[float, subprocess.Popen[bytes]]] = []
    looked = 0.0
    while time.monotonic() < end:
        running = [one for one in running if one.poll() is None]
        if time.monotonic() - looked > 0.5:
            looked = time.monotonic()
            if left(folder) == 0:
                break
        while len(running) < processes:
            number += 1
            running.append(start(folder, f"p{number}", **env))
        time.sleep(dice.uniform(0.2, 0.2 + pause))
        for moment, one in list(asleep):
            if time.monotonic() > moment:
                one.send_signal(signal.SIGCONT)
                asleep.remove((moment, one))
        at_work = set(told_in(folder / "started"))  # one that is not yet at work has nothing to lose
        asleep_now = [sleeper for _, sleeper in asleep]
        awake = [one for one in running if one not in asleep_now and str(one.args[4]) in at_work]  # type: ignore[index]
        if not awake:
            continue
        one = dice.choice(awake)
        to_kill, to_stop = kills - done["killed"], stops - done["stopped"]
        if to_kill and (len(awake) == 1 or dice.randrange(to_kill + to_stop) < to_kill):
            one.kill()
            one.wait()
            done["killed"] += 1
        elif to_stop and len(awake) > 1:
            one.send_signal(signal.SIGSTOP)
            done["stopped"] += 1
            asleep.append((time.monotonic() + 3 * float(env.get("LEASE", "1.0")), one))
    for _, one in asleep:
        one.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    for one in running:
        if one.poll() is None:
            one.terminate()
        one.wait()
    return done


def told_in(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def counted(folder: Path, names: list[str], *, deep: int | None = None) -> dict[str, int]:
    """Return what became of the conversations: read from the log and from what the outside saw."""
    store = SQLiteStore(folder / "talks.db")
    rows = {row.conversation: row for row in store.rows()}
    found = collections.Counter(
        conversations=len(names),
        lost=0,
        duplicated=0,
        unfinished=0,
        in_doubt=0,
        not_done=0,
        damaged=0,
        differ=0,
    )
    for place, name in enumerate(names):
        row = rows.get(name)
        if row is None:
            found["lost"] += 1
            continue
        if row.dead:
            found["in_doubt"] += sum("in doubt" in one.reason for one in store.dead(name))
        if row.closed is None:
            found["unfinished"] += not row.dead
            continue
        found["not_done"] += json.loads(row.about)["outcome"] != "done"
        if deep is not None and place % deep:
            continue
        found["read"] += 1
        lines, damage = lines_of(entry.data for entry in store.read(name))
        transcript = Transcript.from_lines(lines)
        heard = [record.data["message"] for record in transcript.records if record.type == "heard"]
        results = [record.data["key"] for record in transcript.records if record.type == "tool.result"]
        found["damaged"] += damage is not None or transcript.damage is not None
        found["duplicated"] += len(heard) != len(set(heard)) or len(results) != len(set(results))
        if place % 10 == 0:
            found["differ"] += not replay_inputs(rules_of(transcript), transcript).same
    bodies = collections.Counter(told_in(folder / "bodies"))
    found["bodies"] = sum(bodies.values())
    found["bodies_twice"] = sum(count - 1 for count in bodies.values())
    effects = collections.Counter(told_in(folder / "effects"))
    found["effects"] = len(effects)
    found["keyed_effects_called_again"] = sum(count - 1 for count in effects.values())
    posts = collections.Counter(told_in(folder / "posts"))
    found["unkeyed_effects"] = len(posts)
    found["unkeyed_effects_twice"] = sum(count - 1 for count in posts.values())
    store.close()
    return dict(found)


def main() -> None:
    """Run it at length and print the counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--kill", type=int, default=50)
    parser.add_argument("--stop", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=3600.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        names = asyncio.run(opened(folder, options.conversations))
        began = time.monotonic()
        done = harass(
            folder,
            random.Random(options.seed),  # noqa: S311
            kills=options.kill,
            stops=options.stop,
            processes=options.processes,
            pause=1.5,
            limit=options.limit,
        )
        found = {**done, **counted(folder, names), "seconds": round(time.monotonic() - began)}
        write("crash", {"load": os.getloadavg()[0], "processes": options.processes, **found})
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
