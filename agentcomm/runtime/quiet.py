"""Turns go on side by side, but for those that must be alone."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextvars import ContextVar

__all__ = ("Lock", "Quiet")


class Lock:
    """Lets one in, and the others in order; who finds it free need not wait, and so need be no task."""

    __slots__ = ("_waiting", "is_held")

    def __init__(self) -> None:
        self.is_held = False
        self._waiting: deque[asyncio.Future[None]] | None = None

    def hold(self) -> None:
        """Hold it; it must be free."""
        self.is_held = True

    def leave(self) -> None:
        """Let the next one in."""
        self.is_held = False
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():
                first.set_result(None)
                self.is_held = True  # for him
                return

    async def __aenter__(self) -> None:
        if not self.is_held:
            self.is_held = True
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(mine)
        try:
            await mine
        except BaseException:
            if mine.done() and not mine.cancelled():
                self.leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self.leave()


_PATIENCE = 60.0
"""Seconds that somebody waits at most: a turn may itself wait for another turn of this process, in a way that nobody told us of."""


class _Place:
    """That of one turn."""

    __slots__ = ("aside", "has_lock", "is_alone", "is_in", "is_over", "is_wanted")

    def __init__(self, *, is_alone: bool = False) -> None:
        self.is_alone = is_alone
        self.aside = 0
        """For how many others it waits."""
        self.is_in = self.is_wanted = self.has_lock = self.is_over = False


_PLACE: ContextVar[_Place | None] = ContextVar("agentcomm_place", default=None)


class Quiet:
    """Lets many in, or one alone; who wants to be alone waits for those who are in, and the others wait for it."""

    def __init__(self) -> None:
        self._in = 0
        self.wanted = 0
        """How many are alone or want to be."""
        self._one = asyncio.Lock()
        self._waiting: set[asyncio.Future[None]] = set()

    def enter(self) -> None:
        """Be in among others, until `exit`, for what is no task; nobody may want to be alone."""
        self._in += 1

    def exit(self) -> None:
        """Be in no more, after `enter`."""
        self._in -= 1
        self._tell()

    async def come_in(self) -> None:
        """Be in among others, until `leave`, which the same task calls."""
        place = _Place()
        await self._enter(place)
        _PLACE.set(place)

    def leave(self) -> None:
        """Be in no more."""
        place = _PLACE.get()
        if place is not None:
            place.is_over = True
            self._exit(place)

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        """Be in alone."""
        before, place = _PLACE.get(), _Place(is_alone=True)
        try:
            await self._enter_alone(place)
            _PLACE.set(place)
            yield
        finally:
            _PLACE.set(before)
            place.is_over = True
            self._exit(place)

    @contextlib.asynccontextmanager
    async def aside(self) -> AsyncGenerator[None]:
        """Be out of it while a turn waits for turns of others, which could not be taken otherwise; then come back as before."""
        place = _PLACE.get()
        if place is None or place.is_over:
            yield
            return
        place.aside += 1
        if place.aside == 1:
            self._exit(place)
        try:
            yield
        finally:
            place.aside -= 1
            if not place.aside and not place.is_over:
                await (self._enter_alone(place) if place.is_alone else self._enter(place))
                if place.is_over:
                    self._exit(place)

    async def _enter(self, place: _Place) -> None:
        if self.wanted:
            await self._until(lambda: not self.wanted)
        self._in += 1
        place.is_in = True

    async def _enter_alone(self, place: _Place) -> None:
        self.wanted += 1
        place.is_wanted = True
        await self._one.acquire()
        place.has_lock = True
        await self._until(lambda: not self._in)

    def _exit(self, place: _Place) -> None:
        if place.is_in:
            place.is_in = False
            self._in -= 1
        if place.has_lock:
            place.has_lock = False
            self._one.release()
        if place.is_wanted:
            place.is_wanted = False
            self.wanted -= 1
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
