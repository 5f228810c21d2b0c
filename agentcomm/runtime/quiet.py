"""Turns go on side by side, but for those that must be alone."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

__all__ = ("Quiet",)


_PATIENCE = 60.0
"""Seconds that somebody waits at most: a turn may itself wait for another conversation of this process."""


class Quiet:
    """Lets many in, or one alone; who wants to be alone waits for those who are in, and the others wait for it."""

    def __init__(self) -> None:
        self._in = 0
        self._wanted = 0
        """Those who are alone or want to be."""
        self._one = asyncio.Lock()
        self._waiting: set[asyncio.Future[None]] = set()

    async def come_in(self) -> None:
        """Be in among others, until `leave`."""
        if self._wanted:
            await self._until(lambda: not self._wanted)
        self._in += 1

    def leave(self) -> None:
        """Be in no more."""
        self._in -= 1
        if self._wanted:
            self._tell()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        """Be in alone."""
        self._wanted += 1
        try:
            async with self._one:
                await self._until(lambda: not self._in)
                yield
        finally:
            self._wanted -= 1
            self._tell()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + _PATIENCE
        while not is_so() and loop.time() < end:
            changed: asyncio.Future[None] = loop.create_future()
            self._waiting.add(changed)
            await asyncio.wait((changed,), timeout=end - loop.time())
            self._waiting.discard(changed)

    def _tell(self) -> None:
        for changed in self._waiting:
            if not changed.done():
                changed.set_result(None)
