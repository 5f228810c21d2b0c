"""Waiting for an answer, only where there is something to wait for."""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from types import CoroutineType
from typing import Any, TypeVar, cast

__all__ = ("Late", "answer_within", "forever")

T = TypeVar("T")


class Late(Exception):
    """The time was up before there was an answer."""


async def answer_within(answer: Awaitable[T], seconds: float | None) -> T:
    """Return what something comes to.

    A coroutine runs at once, in the caller's task, as an eager task would: one that never waits costs no timer.

    Args:
        answer: What to wait for.
        seconds: How long; None for ever.

    Raises:
        Late: If the time is up.
        Exception: Whatever the coroutine raises.
    """
    if isinstance(answer, CoroutineType):
        coroutine = cast("Coroutine[Any, None, T]", answer)
        try:
            answer = _Rest(coroutine, coroutine.send(None))
        except StopIteration as done:
            return cast("T", done.value)
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            return await answer
    except TimeoutError:
        if scope.expired():
            raise Late from None
        raise


class _Rest(Awaitable[T]):
    """What is left of a coroutine that has begun to wait for something."""

    def __init__(self, coroutine: Coroutine[Any, None, T], first: Any) -> None:
        self._coroutine = coroutine
        self._first = first

    def __await__(self) -> Generator[Any, None, T]:
        wanted = self._first
        while True:
            try:
                try:
                    yield wanted
                except BaseException as error:  # noqa: BLE001  (a cancellation, too, is for the coroutine)
                    wanted = self._coroutine.throw(error)
                else:
                    wanted = self._coroutine.send(None)
            except StopIteration as done:
                return cast("T", done.value)


async def forever() -> Any:
    """Wait for nothing, until somebody cancels it."""
    await asyncio.Event().wait()
