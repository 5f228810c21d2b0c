"""A conversation as it happens: for interfaces, and for web services that stream."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from agentcomm.conversation.events import Event
from agentcomm.errors import UsageError
from agentcomm.protocol.graph import Protocol
from agentcomm.runtime.enact import enact
from agentcomm.runtime.result import Result

__all__ = ("Conversing", "converse")


class Conversing:
    """A conversation that goes on; `async for event in talk` gives its events, each after it was written down."""

    def __init__(
        self, protocol: Protocol, watch: Callable[[Event], None] | None = None, **options: Any
    ) -> None:
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

        def heard(event: Event) -> None:
            self._events.put_nowait(event)
            if watch is not None:
                watch(event)

        self._task = asyncio.create_task(enact(protocol, watch=heard, **options))
        self._task.add_done_callback(lambda _: self._events.put_nowait(None))

    @property
    def result(self) -> Result:
        """What it came to, once its events are over.

        Raises:
            UsageError: If it still goes on, or was cancelled.
            Exception: What made it fail: a model, a transcript, or a handler.
        """
        if not self._task.done() or self._task.cancelled():
            raise UsageError(
                "the conversation has no result yet",
                why="it has not ended",
                fix="go through its events first, or `await talk.end()`",
            )
        return self._task.result()

    async def end(self) -> Result:
        """Wait for its end, and return what it came to; raises what made it fail."""
        return await asyncio.shield(self._task)

    async def close(self) -> None:
        """End it as `cancelled`, if it still goes on."""
        if not self._task.done():
            self._task.cancel()
        await asyncio.wait([self._task])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event; raises what made the conversation fail, after its last one."""
        event = await self._events.get()
        if event is not None:
            return event
        self._events.put_nowait(None)
        if not self._task.cancelled():
            self._task.result()
        raise StopAsyncIteration


@asynccontextmanager
async def converse(
    protocol: Protocol, *, watch: Callable[[Event], None] | None = None, **options: Any
) -> AsyncGenerator[Conversing]:
    """Let a cast of agents hold a conversation, and give its events as they come.

    Whoever leaves the block before the end, or is cancelled in it, ends the conversation as `cancelled`; its transcript is kept.

    Args:
        protocol: What `load` returned.
        watch: Called with every event as well.
        **options: As for `enact`: `cast`, `brief`, `deadline`, `transcript`, and the others.

    Raises:
        UsageError: If the cast does not fit the protocol; raised by the first event that is waited for.
    """
    talk = Conversing(protocol, watch, **options)
    try:
        yield talk
    finally:
        await talk.close()
