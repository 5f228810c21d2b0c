"""What a store has done, or is about to: to be waited for, or told to whoever is no task."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

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
    """What will be done, whether somebody waits for it or not.

    Whoever is cancelled while waiting is cancelled once it is done. Who need not be a task has himself told, in the loop, as soon as
    the loop hears of it.

    Args:
        loop: In which it is told.
    """

    __slots__ = ("_error", "_is_done", "_tell", "_value", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._is_done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._tell: list[Callable[[Doing[T]], object]] = []

    def then(self, tell: Callable[["Doing[T]"], object]) -> None:
        """Have something called once it is done, which must not be so yet."""
        self._tell.append(tell)

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Say that it is done, in its loop."""
        self._value, self._error, self._is_done = value, error, True
        for tell in self._tell:
            try:
                tell(self)
            except Exception as raised:  # noqa: BLE001  (others wait behind it)
                self.loop.call_exception_handler(
                    {"message": "whoever was told what a store did failed", "exception": raised}
                )

    def result(self) -> T:
        """Return what it came to, once it is done.

        Raises:
            BaseException: What was raised instead.
        """
        if self._error is not None:
            raise self._error
        return self._value

    def __await__(self) -> Generator[Any, None, T]:
        if not self._is_done:
            waiting = _Waiting(loop=self.loop)
            self.then(lambda _: waiting.set_result(None))
            yield from waiting
        return self.result()


class _Waiting(asyncio.Future[None]):
    """Cannot be cancelled."""

    def cancel(self, msg: Any = None) -> bool:
        del msg
        return False
