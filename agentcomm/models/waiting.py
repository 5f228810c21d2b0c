"""Tell somebody who waits that something goes on: after a second, and then now and again."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from agentcomm.models.base import Progress

__all__ = ("told_while",)

FIRST_SECONDS = 1.0
EVERY_SECONDS = 5.0


@asynccontextmanager
async def told_while(what: str, progress: Progress | None) -> AsyncGenerator[None, None]:
    """Tell `what`, and later how many seconds it has taken, while the body runs; say nothing if that is short."""
    if progress is None:
        yield
        return
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    told = False

    def tell() -> None:
        nonlocal told, timer
        seconds = time.monotonic() - began
        progress(f"{what}, {seconds:.0f} s so far" if told else what)
        told = True
        timer = loop.call_later(EVERY_SECONDS, tell)

    timer = loop.call_later(FIRST_SECONDS, tell)
    try:
        yield
    finally:
        timer.cancel()
    if told:
        progress(f"{what}: done after {time.monotonic() - began:.1f} s")
