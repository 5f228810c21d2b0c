"""Waiting for an answer, only where there is something to wait for."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Generator
from time import monotonic
from types import CoroutineType, coroutine
from typing import Any, TypeVar, cast

__all__ = ("Alarm", "Late", "answer_within", "clock_now", "forever")

T = TypeVar("T")


def clock_now() -> Callable[[], float]:
    """Return the running loop's clock, in as few calls as it takes."""
    clock = asyncio.get_running_loop().time
    return monotonic if getattr(clock, "__func__", None) is asyncio.BaseEventLoop.time else clock


class Late(Exception):
    """The time was up before there was an answer."""


class Alarm:
    """Wakes the task that waits for an answer when its time is up.

    It is set for one answer after another; a timer that still runs for an earlier one is left to find out that it was for nothing,
    since answers come and timers seldom ring.
    """

    __slots__ = ("_handle", "_loop", "_rang", "_task", "_until")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._until = math.inf
        self._rang = False
        self._task: asyncio.Task[Any] | None = None

    @coroutine
    def wait(self, answer: Awaitable[T], seconds: float | None) -> Generator[Any, Any, T]:
        """Return what something comes to; to be awaited.

        A coroutine runs at once, in the caller's task, as an eager task would: one that never waits costs no timer.

        Args:
            answer: What to wait for.
            seconds: How long; None for ever.

        Raises:
            Late: If the time is up.
            Exception: Whatever the coroutine raises.
        """
        rest = cast("Any", answer if type(answer) is CoroutineType else answer.__await__())
        try:
            wanted = rest.send(None) if rest is answer else next(rest)
        except StopIteration as done:
            return done.value
        task, cancelling = None, 0
        if seconds is not None:
            task = self._task = cast("asyncio.Task[Any]", asyncio.current_task())
            cancelling = task.cancelling()
            self._set(self._loop.time() + seconds)
        try:
            while True:
                try:
                    yield wanted
                except BaseException as error:  # noqa: BLE001  (a cancellation, too, is for the coroutine)
                    wanted = rest.throw(error)
                else:
                    wanted = rest.send(None)
        except StopIteration as done:
            return done.value
        except asyncio.CancelledError:
            if task is not None and self._rang and task.uncancel() <= cancelling:
                raise Late from None
            raise
        finally:
            self._until, self._rang = math.inf, False

    def stop(self) -> None:
        """Let it never ring again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _set(self, until: float) -> None:
        self._until = until
        if self._handle is not None:
            if self._handle.when() <= until:
                return
            self._handle.cancel()
        self._handle = self._loop.call_at(until, self._ring)

    def _ring(self) -> None:
        handle, self._handle = self._handle, None
        if handle is None or self._until == math.inf:
            return
        if self._until > handle.when():
            self._set(self._until)
        elif self._task is not None:
            self._rang = True
            self._task.cancel()


async def answer_within(answer: Awaitable[T], seconds: float | None) -> T:
    """Return what something comes to; see `Alarm.wait`."""
    alarm = Alarm()
    try:
        return await alarm.wait(answer, seconds)
    finally:
        alarm.stop()


async def forever() -> Any:
    """Wait for nothing, until somebody cancels it."""
    await asyncio.Event().wait()
