"""Tells who waits in this process that there may be something to do."""

import asyncio
from collections.abc import Sequence

from agentcomm.store.base import Delivery, Timer

__all__ = ("Bell", "is_news")


def is_news(out: Sequence[Delivery], timers: Sequence[Timer], now: float) -> bool:
    """Say whether there is something to do now for others than for whoever commits it."""
    for one in out:
        if not one.keep:
            return True
    return any(one.due is not None and one.due <= now + _SOON for one in timers)


_SOON = 0.25
"""Seconds; who waits looks by himself after that."""


class Bell:
    """Rings for everybody who waits, or for the next who does."""

    def __init__(self) -> None:
        self._has_rung = False
        self._sleepers: set[asyncio.Future[None]] = set()

    def ring(self, _: object = None) -> None:
        """Wake everybody."""
        self._has_rung = True
        for sleeper in self._sleepers:
            _wake(sleeper)

    async def rings(self, within: float) -> bool:
        """Wait so many seconds at most; return whether it has rung since somebody waited last."""
        if not self._has_rung:  # no task and no exception, since this is done all the time
            loop = asyncio.get_running_loop()
            sleeper: asyncio.Future[None] = loop.create_future()
            later = loop.call_later(within, _wake, sleeper)
            self._sleepers.add(sleeper)
            try:
                await sleeper
            finally:
                later.cancel()
                self._sleepers.discard(sleeper)
        has_rung, self._has_rung = self._has_rung, False
        return has_rung


def _wake(sleeper: "asyncio.Future[None]") -> None:
    if not sleeper.done():
        sleeper.set_result(None)
