"""The unit of the figures: a bare hop, one message of a request-agree-inform conversation over plain asyncio queues.

Two tasks, a queue each, a tuple a message; nothing is typed, checked, recorded or traced. `hop` is timed in the process that is
measured, just before and just after, in CPU time of the process.
"""

import asyncio
import gc
import statistics
from collections.abc import Callable, Coroutine
from time import process_time
from typing import Any

CONVERSATIONS = 500
MESSAGES = 3


async def _answer(inbox: asyncio.Queue[Any], outbox: asyncio.Queue[Any]) -> None:
    while (message := await inbox.get()) is not None:
        name, _, content = message
        await outbox.put((name, "agree", {}))
        await outbox.put((name, "inform", content))


async def bare(conversations: int = CONVERSATIONS) -> int:
    """Hold bare conversations, one after the other; return how many messages were passed on."""
    there: asyncio.Queue[Any] = asyncio.Queue()
    back: asyncio.Queue[Any] = asyncio.Queue()
    other = asyncio.create_task(_answer(there, back))
    for name in range(conversations):
        await there.put((name, "request", {"goal": "sum", "n": name}))
        await back.get()
        await back.get()
    await there.put(None)
    await other
    return conversations * MESSAGES


async def bare_at_once(conversations: int = 1000) -> int:
    """Hold so many bare conversations at once: a task and a queue for each party of each."""
    await asyncio.gather(*(bare(1) for _ in range(conversations)))
    return conversations * MESSAGES


def cost(work: Callable[[], Coroutine[Any, Any, int]]) -> float:
    """Return microseconds of CPU for one message of what `work` does; it returns how many messages there were."""
    gc.collect()

    async def run() -> tuple[int, float]:
        begun = process_time()
        count = await work()
        return count, process_time() - begun

    count, seconds = asyncio.run(run())
    return seconds / count * 1e6


def in_hops(work: Callable[[], Coroutine[Any, Any, int]], rounds: int = 25) -> tuple[float, float, float]:
    """Return (hops a message, microseconds a message, microseconds a hop): medians of some rounds, a bare hop before and after each."""
    ratios: list[float] = []
    times: list[float] = []
    units: list[float] = []
    for _ in range(rounds):
        before = cost(bare)
        took = cost(work)
        unit = (before + cost(bare)) / 2
        ratios.append(took / unit)
        times.append(took)
        units.append(unit)
    return statistics.median(ratios), statistics.median(times), statistics.median(units)
