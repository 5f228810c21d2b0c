"""Who may call when: so many calls at a time for a model and for its server, the others wait in the order they came.

A server that is asked for more than it can do makes its own queue, with a limit, and answers 503 beyond it. Waiting here costs
nothing, can be cancelled, and is told.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

import msgspec

from agentcomm.models.base import Progress

__all__ = ("Places", "in_turn")

SLOW_SECONDS = 1.0
"""After this, waiting is told."""


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls may be under way; who opens the first model of a server decides for it."""

    model: int = 2
    """For one model: a server runs one at a time unless told otherwise, the other is ready when that ends."""
    server: int = 4
    """For all models of a server together."""


class _Line:
    """Places of one kind."""

    def __init__(self, places: int) -> None:
        self.free = asyncio.Semaphore(places)
        self.waiting = 0


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], _Line]] = WeakKeyDictionary()


@asynccontextmanager
async def in_turn(
    server: str, model: str, places: Places, progress: Progress | None = None
) -> AsyncGenerator[float, None]:
    """Wait for a place and hold it; gives the seconds waited.

    Args:
        server: Its address.
        model: The model's string.
        places: How many there are, where nobody was here before.
        progress: Told how many are before this call when it waits for more than a second.
    """
    lines = _lines.setdefault(asyncio.get_running_loop(), {})
    own = lines.get((server, model)) or lines.setdefault((server, model), _Line(places.model))
    all_of_it = lines.get((server, "")) or lines.setdefault((server, ""), _Line(places.server))
    began = time.perf_counter()
    timer = None
    if progress is not None and (own.free.locked() or all_of_it.free.locked()):
        ahead = f"; {own.waiting} more before this one" if own.waiting else ""
        line = f"waiting for `{model}`, which answers somebody else{ahead}"
        timer = asyncio.get_running_loop().call_later(SLOW_SECONDS, progress, line)
    own.waiting += 1
    has_left = False
    try:
        async with own.free, all_of_it.free:
            own.waiting -= 1
            has_left = True
            if timer is not None:
                timer.cancel()
            yield time.perf_counter() - began
    finally:
        if not has_left:
            own.waiting -= 1
        if timer is not None:
            timer.cancel()
