"""A clock that jumps: where everybody waits, it goes on at once to the moment at which the next wait is over.

The clock of a conversation is that of the event loop, so deadlines, `asyncio.sleep` and `asyncio.timeout` all follow it. Time
does not jump while something outside the loop is at work: a thread, a connection. The idea is that of trio's `MockClock`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from types import TracebackType
from typing import Any, Self

from agentcomm.errors import UsageError

__all__ = ("JumpingClock", "jumps")


def jumps() -> bool:
    """Say whether the time of the running loop jumps already."""
    return isinstance(getattr(asyncio.get_running_loop(), "_selector", None), _Selector)


class JumpingClock:
    """Let the time of the running event loop jump.

    Within the block time stands still while code runs, and jumps where everybody waits. It never runs backwards, so what was
    jumped over stays over when the block is left::

        async def test_nobody_answers_for_three_days():
            with JumpingClock() as clock:
                result = await enact(protocol, cast=…)
            assert clock.elapsed == 3 * 86400
    """

    def __init__(self) -> None:
        self.elapsed = 0.0
        """Seconds that have passed since the block was entered."""
        self._start = 0.0
        self._loop: Any = None
        self._real: Callable[[], float] = float
        self._busy = 0

    def __enter__(self) -> Self:
        """Take over the time of the running loop.

        Raises:
            UsageError: If no loop runs, its time jumps already, or it cannot be taken over.
        """
        try:
            loop: Any = asyncio.get_running_loop()
        except RuntimeError:
            raise UsageError(
                "no event loop runs whose time could jump",
                fix="enter the clock within a coroutine: `async def test_…(): with JumpingClock(): …`",
                code="U510",
            ) from None
        if jumps():
            raise UsageError("the time of this loop jumps already", fix="use one clock", code="U511")
        if not isinstance(loop, asyncio.BaseEventLoop) or not hasattr(loop, "_selector"):
            raise UsageError(
                f"the time of a {type(loop).__name__} cannot jump",
                fix="run the test in a loop of asyncio's own",
                code="U512",
            )
        passed = loop.time
        self._loop, self._start = loop, loop.time()
        self._real = passed.real if isinstance(passed, _Ahead) else passed
        attributes: Any = loop
        self._selector: Any = attributes._selector  # noqa: SLF001
        own = len(self._selector.get_map() or ())
        self._execute: Callable[..., asyncio.Future[Any]] = loop.run_in_executor
        attributes.time = self.time
        attributes.run_in_executor = self._run_in_executor
        attributes._selector = _Selector(self, self._selector, own)  # noqa: SLF001
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the loop its own time back; it goes on from where this one stands."""
        self._loop._selector = self._selector  # noqa: SLF001
        self._loop.time = _Ahead(self._real, self.time() - self._real())
        del self._loop.run_in_executor

    def time(self) -> float:
        """Return the time of the loop."""
        return self._start + self.elapsed

    def jump(self, seconds: float) -> None:
        """Let time pass now; whoever waited for a moment before is woken up.

        Raises:
            UsageError: If time would run backwards.
        """
        if not seconds >= 0:
            raise UsageError(
                f"time cannot pass by {seconds} seconds", fix="give a number from 0", code="U513"
            )
        self.elapsed += seconds

    def _run_in_executor(
        self, executor: Executor | None, work: Callable[..., Any], *arguments: Any
    ) -> "asyncio.Future[Any]":
        """Run a function in a thread; until it is done, time passes as it does outside."""
        done = self._execute(executor, work, *arguments)
        self._busy += 1
        done.add_done_callback(self._is_done)
        return done

    def _is_done(self, _: object) -> None:
        self._busy -= 1

    def wait(self, selector: Any, timeout: float | None, own: int) -> Any:
        """Return what is ready; if nothing is, and nothing outside is at work, let time jump."""
        ready = selector.select(0)
        if ready or timeout == 0:
            return ready
        waits_outside = self._busy or timeout is None or len(selector.get_map() or ()) > own
        if not waits_outside and timeout is not None:
            self.elapsed = round(
                self.elapsed + timeout, 9
            )  # as fine as a loop tells time: whole seconds stay whole
            return ready
        before = self._real()
        ready = selector.select(timeout)
        self.elapsed += self._real() - before
        return ready


class _Ahead:
    """The time of a loop that has jumped."""

    def __init__(self, real: Callable[[], float], ahead: float) -> None:
        self.real = real
        self._ahead = ahead

    def __call__(self) -> float:
        return self.real() + self._ahead


class _Selector:
    """The loop's selector, but waiting is left to the clock."""

    def __init__(self, clock: JumpingClock, selector: Any, own: int) -> None:
        self._clock = clock
        self._selector = selector
        self._own = own
        """Connections of the loop itself."""

    def select(self, timeout: float | None = None) -> Any:
        return self._clock.wait(self._selector, timeout, self._own)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)
