"""Note what happens in a conversation, for spans that another thread draws: its own thread pays for a tuple a turn."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from time import time_ns
from typing import TYPE_CHECKING, Any

from agentcomm.conversation.events import Event, Expired
from agentcomm.conversation.moves import legal
from agentcomm.conversation.state import Conversation
from agentcomm.protocol.graph import Protocol
from agentcomm.runtime.spans import Closing, ConversationSpans, Standing, TurnSpans, place_name
from agentcomm.tracing.spans import active

if TYPE_CHECKING:
    from agentcomm.tracing.late import LateTracer
    from agentcomm.tracing.light import LightSpan

__all__ = ("Drawing", "LateConversation", "LateTurn", "TurnNotes", "begin_spans")

TurnNotes = tuple[
    int,
    Standing,
    str,
    str,
    list[tuple[int, str, Any, Any]],
    list[tuple[int, tuple[Event, ...]]],
    int,
    str,
    Sequence[str],
    BaseException | None,
    Mapping[str, Any],
]
"""Of a turn: when it began and where, its role and model; its steps and events with their times; when it ended and where, the moves
that were legal if time ran out, what it failed with, and what the agent set on its span."""


def begin_spans(
    protocol: Protocol, conversation: str, cast: Mapping[str, str]
) -> "ConversationSpans | LateConversation | None":
    """Mark that a conversation opens; None if nobody traces it.

    Args:
        protocol: Its protocol.
        conversation: Its id.
        cast: Role -> agent's name.
    """
    tracer: Any = active()
    if tracer is None or not tracer.keeps(conversation):
        return None
    if tracer.submit is not None:
        return LateConversation(tracer, protocol, conversation, cast)
    return ConversationSpans(tracer, protocol, conversation, cast, caller=tracer.ambient())


class Drawing:
    """Draws a conversation from notes, in their order."""

    def __init__(
        self, tracer: "LateTracer", protocol: Protocol, conversation: str, cast: Mapping[str, str]
    ) -> None:
        self._given = tracer, protocol, conversation, dict(cast)
        self._now = 0
        self._spans: ConversationSpans | None = None

    def _clock(self) -> int:
        return self._now

    @property
    def sinks(self) -> list[str]:
        """Where the texts of prompts and answers go with the spans."""
        tracer = self._given[0]
        return [tracer.sink] if tracer.content.is_full else []

    def open(self, at: int, caller: Any) -> None:
        """Draw the opening."""
        self._now = at
        self._spans = ConversationSpans(*self._given, clock=self._clock, caller=caller)

    def turn(self, notes: TurnNotes) -> None:
        """Draw a turn."""
        spans = self._spans
        if spans is None:  # its opening was lost
            return
        begun, before, role, model, steps, moments, ended, after, awaiting, error, known = notes
        self._now = begun
        turn = TurnSpans(spans, before, role, model)
        for at, kind, data, body in steps:
            self._now = at
            turn.step(kind, data, body)
        self._now = ended
        told = [(at, event) for at, events in moments for event in events]
        turn.close(told, after, awaiting, error, known)

    def close(self, at: int, closing: Closing, head: str, count: int) -> None:
        """Draw the end."""
        if self._spans is not None:
            self._now = at
            self._spans.close(closing, head=head, count=count)


class LateConversation:
    """Notes what happens in one conversation; offers what `ConversationSpans` offers."""

    __slots__ = ("_drawing", "_id", "_light", "_submit", "_tracer", "_turns", "turn_now")

    def __init__(
        self, tracer: "LateTracer", protocol: Protocol, conversation: str, cast: Mapping[str, str]
    ) -> None:
        from agentcomm.tracing.light import LightSpan

        self._light = LightSpan
        self._tracer = tracer
        self._id = conversation
        self._submit: Any = tracer.submit
        self._turns = 0
        self.turn_now: LateTurn | None = None
        self._drawing = Drawing(tracer, protocol, conversation, cast)
        self._submit(self._drawing.open, time_ns(), tracer.ambient())

    @property
    def sinks(self) -> list[str]:
        """Where the texts of prompts and answers go with the spans."""
        return self._drawing.sinks

    def turn(self, before: Conversation, role: str, model: str) -> "LateTurn":
        """Begin a turn, and make a light span current."""
        self._turns += 1
        light = self._light(partial(self._tracer.place, self._id, str(self._turns)))
        turn = self.turn_now = LateTurn(self._drawing, self._submit, before, role, model, light)
        return turn

    def happened(self, events: Iterable[Event]) -> None:
        """Take events at the moment they happen, for the turn that is going on."""
        if self.turn_now is not None and events:
            self.turn_now.moments.append((time_ns(), tuple(events)))

    def end(self, conversation: Conversation, *, head: str, count: int) -> None:
        """Mark that the conversation is closed."""
        self._submit(self._drawing.close, time_ns(), Closing.of(conversation), head, count)


class LateTurn:
    """Notes what happens in one turn; offers what `TurnSpans` offers."""

    __slots__ = (
        "_before",
        "_begun",
        "_drawing",
        "_light",
        "_model",
        "_role",
        "_standing",
        "_steps",
        "_submit",
        "moments",
    )

    def __init__(
        self, drawing: Drawing, submit: Any, before: Conversation, role: str, model: str, light: "LightSpan"
    ) -> None:
        self._begun = time_ns()
        self._drawing, self._submit = drawing, submit
        self._before, self._role, self._model = before, role, model
        self._standing = Standing.of(before)
        self._steps: list[tuple[int, str, Any, Any]] = []
        self.moments: list[tuple[int, tuple[Event, ...]]] = []
        self._light = light
        self._light.enter()

    @property
    def sinks(self) -> list[str]:
        """Where the texts of prompts and answers go with the spans."""
        return self._drawing.sinks

    def step(self, kind: str, data: Mapping[str, Any], body: Any) -> None:
        """Note a step of the journal, as it happens."""
        if kind.startswith("tool."):  # what a tool gave may be changed by who asked for it
            body = _kept(body)
        self._steps.append((time_ns(), kind, data, body))

    def end(
        self, after: Conversation, events: Sequence[Event] = (), error: BaseException | None = None
    ) -> None:
        """End the turn."""
        light = self._light
        light.leave()
        now, moments = time_ns(), self.moments
        if not moments and events:
            moments = [(now, tuple(events))]
        awaiting: Sequence[str] = ()
        if any(type(event) is Expired for _, some in moments for event in some):
            awaiting = [move.label for move in legal(self._before)]
        notes = (
            self._begun,
            self._standing,
            self._role,
            self._model,
            self._steps,
            moments,
            now,
            place_name(after),
            awaiting,
            error,
            light.attributes,
        )
        self._submit(self._drawing.turn, notes)


def _kept(body: Any) -> Any:
    try:
        return copy.deepcopy(body)
    except Exception:  # noqa: BLE001  (what cannot be copied is shown as it is when it is drawn)
        return body
