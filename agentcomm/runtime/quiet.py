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
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def among(self) -> AsyncGenerator[None]:
        """Be in among others."""
        if self._wanted:
            await self._until(lambda: not self._wanted)
        self._in += 1
        try:
            yield
        finally:
            self._in -= 1
            if self._wanted and not self._in:
                await self._tell()

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
            await self._tell()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE), self._changed:
                await self._changed.wait_for(is_so)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
