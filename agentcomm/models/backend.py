"""What the backends share: what is known of a model, its place in the queue, what is told while it waits, and its reply."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from agentcomm.models.base import Capabilities, ModelReply, ModelRequest, Progress
from agentcomm.models.hearing import Hearing
from agentcomm.models.known import recall
from agentcomm.models.queue import Places, in_turn
from agentcomm.models.retry import SchemaRefused, reduced_schema
from agentcomm.models.waiting import told_while

__all__ = ("Backend",)

Posted = tuple[Hearing, bytes, int]
"""What was heard, the bytes that were sent, and how many tries failed before."""


class Backend:
    """A model, as far as it does not matter where it runs.

    Args:
        name: The string that names it.
        places: Calls under way for this model and for its server; the first model opened decides.
        timeout: Seconds for an answer.
        progress: Told what takes longer than a second.
    """

    provider = ""

    def __init__(self, name: str, *, places: Places, timeout: float, progress: Progress | None) -> None:
        self.name = name
        self._places = places
        self._timeout = timeout
        self._progress = progress
        self._has_answered = False
        self._known: Capabilities | None = None

    @property
    def place(self) -> str:
        """Where it runs, as it was given; part of the key under which a measurement is kept."""
        return ""

    @property
    def capabilities(self) -> Capabilities:
        """What was measured of it, and what is known without."""
        if self._known is None:
            found = recall(self.name, self.place)
            self._known = self._noted(found.capabilities if found is not None else Capabilities())
        return self._known

    def _noted(self, known: Capabilities) -> Capabilities:
        """Return what was measured, with what is known of such a model anyway."""
        return known

    @asynccontextmanager
    async def _in_turn(self, server: str) -> AsyncGenerator[float, None]:
        """Wait for a place at a server and hold it; gives the seconds waited."""
        async with in_turn(server, self.name, self._places, self._progress) as waited:
            yield waited

    @asynccontextmanager
    async def _answering(self) -> AsyncGenerator[float, None]:
        """Tell that a first answer takes its time, while the body waits for it; gives when that began."""
        progress = None if self._has_answered else self._progress
        async with told_while(f"waiting for the first answer of {self.name}", progress):
            yield time.perf_counter()
        self._has_answered = True

    async def _with_schema(
        self, request: ModelRequest, post: Callable[[Mapping[str, Any] | None], Awaitable[Posted]]
    ) -> Posted:
        """Ask once, and once more with a reduced schema if the server cannot use this one.

        Raises:
            SchemaRefused: It can use neither.
            EdgeError: Whatever `post` raises.
        """
        reduced = None if request.schema is None else reduced_schema(request.schema)
        try:
            return await post(request.schema)
        except SchemaRefused:
            if reduced == request.schema:
                raise
        return await post(reduced)

    def _reply(
        self,
        heard: Hearing,
        *,
        seconds: float,
        waited: float,
        num_ctx: int,
        sent: bytes,
        address: str = "",
        retries: int = 0,
    ) -> ModelReply:
        """Return the reply made of what was heard."""
        return ModelReply(
            text=heard.text,
            model=self.name,
            done_reason=heard.done_reason,
            prompt_tokens=heard.prompt_tokens,
            output_tokens=heard.output_tokens,
            thinking=heard.thinking,
            logprobs=tuple(heard.tokens),
            seconds=seconds,
            waited=waited,
            num_ctx=num_ctx,
            sent=sent,
            address=address,
            transport_retries=retries,
        )
