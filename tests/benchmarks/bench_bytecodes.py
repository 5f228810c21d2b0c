"""What a stored turn, and a stored conversation, take of the interpreter: bytecodes and calls in the loop's thread.

    python tests/benchmarks/bench_bytecodes.py [--functions 20]

Times differ from minute to minute where a machine is shared; bytecodes hardly do. What is done by the clock counts more where counting
is slow, so that the least of some rounds is taken. They say nothing of what is done in C: encoding, hashing, validating, and of the
store's thread.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from bench_store import LOOP, loop_team
from results import write

from agentcomm import Agent, load
from agentcomm.protocol.library import loads
from agentcomm.runtime.runtime import Runtime
from agentcomm.store.sqlite import SQLiteStore

TEXTS = ["word " * 120] * 8
FLIGHT = 64


class Counting:
    """Counts while it is on."""

    def __init__(self) -> None:
        self.codes: Counter[CodeType] = Counter()
        self.calls: Counter[CodeType] = Counter()
        self.is_on = False

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        """Count an event of the interpreter."""
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            self.calls[frame.f_code] += self.is_on
        elif event == "opcode":
            self.codes[frame.f_code] += self.is_on
        return self.trace


async def counted(work: Callable[[int], Awaitable[None]], before: int, count: int) -> Counting:
    """Return what some pieces of work take once so many were done before."""
    counting = Counting()
    sys.settrace(counting.trace)
    try:
        await work(before)
        counting.is_on = True
        await work(count)
    finally:
        sys.settrace(None)
    return counting


async def turns(folder: Path, count: int) -> Counting:
    """Count the turns of one long conversation, its opening and its end among them."""
    store = SQLiteStore(folder / "turns.db")

    async def work(some: int) -> None:
        team = loop_team(TEXTS, some)
        async with Runtime(store=store, agents=team) as runtime:
            await runtime.run(loads(LOOP), cast={"a": team[0], "b": team[1]})

    found = await counted(work, 20, count)
    store.close()
    return found


async def conversations(folder: Path, count: int) -> Counting:
    """Count conversations of three messages, some at once."""
    store = SQLiteStore(folder / "many.db")
    ann, bob = Agent("ann"), Agent("bob")
    ann.opens(lambda turn: turn.say("request", action=TEXTS[0]))
    bob.on("request")(lambda turn: turn.say("agree"))
    bob.on("request", state="agreed")(lambda turn: turn.say("inform-result", result=TEXTS[1]))
    request, cast = load("request"), {"initiator": ann, "participant": bob}
    async with Runtime(store=store, agents=[ann, bob], turns=FLIGHT, backlog=10**9) as runtime:

        async def work(some: int) -> None:
            async def worker(mine: range) -> None:
                for _ in mine:
                    await runtime.outcome(await runtime.open(request, cast=cast))

            await asyncio.gather(*(worker(range(n, some, FLIGHT)) for n in range(FLIGHT)))

        found = await counted(work, FLIGHT, count)
    store.close()
    return found


def main() -> None:
    """Print the figures and write them down."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--functions", type=int, default=0, help="print the functions that take the most, too"
    )
    options = parser.parse_args()
    figures: dict[str, float] = {}
    for what, count, run in (("turn", 1000, turns), ("conversation", 512, conversations)):
        rounds: list[Counting] = []
        for _ in range(5):
            with tempfile.TemporaryDirectory() as place:
                rounds.append(asyncio.run(run(Path(place), count)))
        found = min(rounds, key=lambda one: sum(one.codes.values()))
        figures[f"bytecodes a {what}"] = sum(found.codes.values()) / count
        figures[f"calls a {what}"] = sum(found.calls.values()) / count
        for code, number in found.codes.most_common(options.functions):
            calls = found.calls[code] / count
            print(
                f"{number / count:8.1f} {calls:7.2f} calls  {Path(code.co_filename).name} {code.co_qualname}"
            )
    for name, value in figures.items():
        print(f"{name:<30} {value:>10,.1f}")
    write("bytecodes", {name: round(value, 1) for name, value in figures.items()})


if __name__ == "__main__":
    main()
