"""What a store has done, or is about to: to be waited for, or told to whoever is no task."""

import asyncio
from collections.abc import Callable, Generator
from contextvars import copy_context
from typing import Any, Generic, TypeVar, cast

__all__ = ("Doing", "Done")

T = TypeVar("T")


class Done(Generic[T]):
    """What was done by the time that it was returned: who waits for it, does not wait."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, T]:
        return self.value
        yield  # pragma: no cover  (makes it a generator)


class Doing(Generic[T]):
    """What will be done, whether somebody waits for it or not: as a future of its loop, but it cannot be cancelled.

    Whoever is cancelled while waiting is cancelled once it is done. Who need not be a task has himself told, in the loop, as soon as
    the loop hears of it.

    Args:
        loop: In which it is told.

    Attributes:
        loop: That loop.
    """

    __slots__ = ("_asyncio_future_blocking", "_error", "_is_done", "_more", "_tell", "_value", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._is_done = self._asyncio_future_blocking = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._tell: Any = None
        self._more: tuple[Any, ...] = ()

    def then(self, tell: Callable[["Doing[T]"], object]) -> None:
        """Have something called once it is done, which must not be so yet."""
        self._add(tell)

    def _add(self, tell: Any) -> None:
        if self._tell is None:
            self._tell = tell
        else:
            self._more = (*self._more, tell)

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Say that it is done, in its loop; where no task is at work, whoever waits goes on before this returns."""
        self._value, self._error, self._is_done = value, error, True
        tell = self._tell
        if tell is not None:
            self._told(tell)
            for one in self._more:
                self._told(one)

    def _told(self, tell: Any) -> None:
        try:
            if type(tell) is tuple:
                wake, context = cast("tuple[Any, Any]", tell)
                if asyncio.current_task(self.loop) is None:
                    context.run(wake, self)
                else:
                    self.loop.call_soon(wake, self, context=context)
            else:
                tell(self)
        except Exception as raised:  # noqa: BLE001  (others wait behind it)
            self.loop.call_exception_handler(
                {"message": "whoever was told what a store did failed", "exception": raised}
            )

    # --- as a future ---

    def __await__(self) -> Generator[Any, None, T]:
        if not self._is_done:
            self._asyncio_future_blocking = True
            yield self
        return self.result()

    def result(self) -> T:
        """Return what it came to, once it is done.

        Raises:
            BaseException: What was raised instead.
        """
        if self._error is not None:
            raise self._error
        return self._value

    def exception(self) -> BaseException | None:
        """Return what was raised, once it is done."""
        return self._error

    def done(self) -> bool:
        """Say whether it is done."""
        return self._is_done

    def cancelled(self) -> bool:
        """Say that it is not."""
        return False

    def cancel(self, msg: Any = None) -> bool:
        """Do nothing."""
        del msg
        return False

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return its loop."""
        return self.loop

    def add_done_callback(self, tell: Callable[["Doing[T]"], object], *, context: Any = None) -> None:
        """Have something called once it is done, or soon if it is."""
        if context is None:
            context = copy_context()
        if self._is_done:
            self.loop.call_soon(tell, self, context=context)
        else:
            self._add((tell, context))

    def remove_done_callback(self, tell: Callable[["Doing[T]"], object]) -> int:
        """Have something not called, and say how often it would have been."""
        every: list[Any] = [] if self._tell is None else [self._tell, *self._more]
        left: list[Any] = [one for one in every if type(one) is not tuple or one[0] != tell]
        self._tell, self._more = (left[0], tuple(left[1:])) if left else (None, ())
        return len(every) - len(left)
