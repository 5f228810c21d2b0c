"""Note what happens in a conversation, for spans that another thread draws: its own thread pays for a tuple a turn."""

import copy
from collections.abc import Mapping, Sequence
from time import time_ns
from typing import TYPE_CHECKING, Any

import msgspec

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Event, Expired, Heard
from agentcomm.conversation.moves import legal
from agentcomm.conversation.state import Conversation
from agentcomm.protocol.graph import Protocol
from agentcomm.runtime.measures import Measured
from agentcomm.runtime.span_notes import TurnNotes
from agentcomm.runtime.span_plain import PlainTurns
from agentcomm.runtime.spans import (
    Closing,
    ConversationSpans,
    Standing,
    TurnSpans,
    place_name,
    traceparent_of,
)
from agentcomm.tracing.signals import signals
from agentcomm.tracing.spans import active

if TYPE_CHECKING:
    from agentcomm.tracing.late import LateTracer
    from agentcomm.tracing.light import LightSpan

__all__ = ("CONTEXT", "Drawing", "LateConversation", "LateTurn", "begin_spans")


CONTEXT = "trace.context"
"""Type of the step that carries W3C's trace context to whoever takes the next turn, perhaps in another process."""


def begin_spans(
    protocol: Protocol, conversation: str, cast: Mapping[str, str], *, before: int = 0
) -> "ConversationSpans | LateConversation | Measured | None":
    """Mark that a conversation opens; None if nobody traces or measures it.

    Args:
        protocol: Its protocol.
        conversation: Its id.
        cast: Role -> agent's name.
        before: Records that it has already, where it was opened before, by this process or another.
    """
    tracer: Any = active()
    where = signals()
    spans: ConversationSpans | LateConversation | None = None
    if tracer is not None and tracer.keeps(conversation):
        if tracer.submit is not None:
            spans = LateConversation(tracer, protocol, conversation, cast, before)
        else:
            caller = None if before else tracer.ambient()
            spans = ConversationSpans(tracer, protocol, conversation, cast, caller=caller, before=before)
    if where is None:
        return spans
    redactors = tracer.content.redactors if tracer is not None else ()
    return Measured(where, spans, protocol, conversation, cast, redactors)


class Drawing:
    """Draws a conversation from notes, in their order."""

    def __init__(
        self, tracer: "LateTracer", protocol: Protocol, conversation: str, cast: Mapping[str, str]
    ) -> None:
        self._given = tracer, protocol, conversation, cast
        self._plain: PlainTurns | None = None
        self._now = 0
        self._spans: ConversationSpans | None = None

    def _clock(self) -> int:
        return self._now

    @property
    def sinks(self) -> list[str]:
        """Where the texts of prompts and answers go with the spans."""
        tracer = self._given[0]
        return [tracer.sink] if tracer.content.is_full else []

    def open(self, at: int, caller: Any, before: int = 0) -> None:
        """Draw the opening, unless there are records from before."""
        self._now = at
        tracer, protocol, _, cast = self._given
        spans = ConversationSpans(*self._given, clock=self._clock, caller=caller, before=before)
        self._spans = spans
        if tracer.put is not None and tracer.detail != "full" and not tracer.content.is_full:
            self._plain = PlainTurns(spans, tracer.kinds((protocol.hash, *cast.items())), tracer.put)

    def turn(self, notes: TurnNotes) -> None:
        """Draw a turn."""
        spans, plain = self._spans, self._plain
        if spans is None:  # its opening was lost
            return
        if plain is None:
            self._drawn(spans, notes)
        elif not plain.draw(notes):
            with plain.learning(notes):
                self._drawn(spans, notes)

    def _drawn(self, spans: ConversationSpans, notes: TurnNotes) -> None:
        self._now = notes.begun
        standing = Standing(notes.place, notes.rules, notes.whole)
        turn = TurnSpans(spans, standing, notes.role, notes.model, heard=notes.heard, came=notes.came)
        for at, what, data, body in notes.steps or ():
            self._now = at
            turn.step(what, data, body)
        self._now = notes.ended
        turn.close(notes.moments(), notes.after, notes.awaiting, notes.error, notes.known)

    def close(self, at: int, closing: Closing, head: str, count: int) -> None:
        """Draw the end."""
        if self._spans is not None:
            self._now = at
            self._spans.close(closing, head=head, count=count)


class LateConversation:
    """Notes what happens in one conversation; offers what `ConversationSpans` offers."""

    __slots__ = (
        "_before",
        "_current",
        "_drawing",
        "_light",
        "_mark",
        "_places",
        "draw",
        "shared",
        "submit",
        "turn_now",
        "turns",
    )

    def __init__(
        self,
        tracer: "LateTracer",
        protocol: Protocol,
        conversation: str,
        cast: Mapping[str, str],
        before: int = 0,
    ) -> None:
        from agentcomm.tracing.light import TURN, LightSpan

        self._light = LightSpan
        self._current = TURN
        self._mark = TURN.set
        self._places = tracer.places(conversation)
        self.submit: Any = tracer.submit
        """Takes a piece of drawing."""
        self.shared: LightSpan | None = None
        """Stands for every turn of code that answers at once, where one role at a time has the floor."""
        self.turns = before
        self.turn_now: LateTurn | None = None
        self._drawing = Drawing(tracer, protocol, conversation, dict(cast))
        self.draw = self._drawing.turn
        """Draws a turn."""
        self.submit(self._drawing.open, time_ns(), None if before else tracer.ambient(), before)

    @property
    def sinks(self) -> list[str]:
        """Where the texts of prompts and answers go with the spans."""
        return self._drawing.sinks

    def turn(
        self, before: Conversation, role: str, model: str, heard: Message | None = None, came: str = ""
    ) -> "LateTurn":
        """Begin a turn, and make a light span current; arguments as of `ConversationSpans.turn`."""
        turns = self.turns = self.turns + 1
        light = self.shared
        if light is None:
            light = self.light(turns)
        else:
            light.turn = turns
            self._mark(turns)
        here = before.here
        place = here.name if here.frame is None else place_name(before)
        notes = TurnNotes(time_ns(), place, before.rules, before.whole, role, model)
        turn = self.turn_now = LateTurn(self, before, light, notes)
        if heard is not None:
            turn.notes.heard, turn.notes.came = heard, came
        return turn

    def light(self, turn: int, *, is_shared: bool = False) -> "LightSpan":
        """Return a light span, which is current now."""
        made = self._light(self._places, turn, is_shared=is_shared)
        made.enter()
        return made

    def share(self) -> None:
        """Make one light span current for all turns to come that do not wait: making one for each costs as much as noting it."""
        self._before = self._current.get()
        self.shared = self.light(self.turns, is_shared=True)

    def part(self) -> None:
        """Give back what was current before."""
        if self.shared is not None:
            self.shared.leave()
            self.shared.turn = -1  # for whoever was left behind, it is over
            self.shared = None
            self._mark(self._before)

    def happened(self, events: tuple[Event, ...]) -> None:
        """Take events at the moment they happen, for the turn that is going on."""
        turn = self.turn_now
        if turn is None or not events:
            return
        notes = turn.notes
        if notes.events is None:  # as it is nearly always: spared a call
            notes.at, notes.events = time_ns(), events
        else:
            notes.happened(time_ns(), events)

    def end(self, conversation: Conversation, *, head: str, count: int) -> None:
        """Mark that the conversation is closed."""
        self.submit(self._drawing.close, time_ns(), Closing.of(conversation), head, count)


class LateTurn(msgspec.Struct):
    """Notes what happens in one turn; offers what `TurnSpans` offers."""

    talk: LateConversation
    before: Conversation
    span: Any
    """The light one."""
    notes: TurnNotes

    @property
    def sinks(self) -> list[str]:
        """Where the texts of prompts and answers go with the spans."""
        return self.talk.sinks

    @property
    def traceparent(self) -> str:
        """W3C's trace context of the turn."""
        return traceparent_of(self.span.get_span_context())

    def waits(self) -> None:
        """Have a span of its own, now that its agent takes time: what it begins meanwhile may go on after it."""
        talk, shared = self.talk, self.span
        if shared is talk.shared:
            own = self.span = talk.light(shared.turn)
            own.attributes, shared.attributes = shared.attributes, None

    def step(self, kind: str, data: Mapping[str, Any], body: Any) -> None:
        """Note a step of the journal, as it happens."""
        if kind.startswith("tool."):  # what a tool gave may be changed by who asked for it
            body = _kept(body)
        notes = self.notes
        if notes.steps is None:
            notes.steps = []
        notes.steps.append((time_ns(), kind, data, body))

    def end(
        self, after: Conversation, events: Sequence[Event] = (), error: BaseException | None = None
    ) -> None:
        """End the turn."""
        light, talk, notes = self.span, self.talk, self.notes
        known = light.attributes
        if light is not talk.shared:
            light.leave()
        elif known is not None:
            light.attributes = None
        if known is not None:
            notes.known = known
        now = notes.ended = time_ns()
        if notes.events is None and events:
            notes.happened(now, tuple(events))
        here = after.here
        notes.after = here.name if here.frame is None else place_name(after)
        if error is not None:
            notes.error = error
        events = notes.events or ()
        if events and type(events[0]) is not Heard and any(type(event) is Expired for event in events):
            notes.awaiting = [move.label for move in legal(self.before)]
        if talk.turn_now is self:  # notes hold an error, which may hold this turn: no circle may form
            talk.turn_now = None
        talk.submit(talk.draw, notes)


def _kept(body: Any) -> Any:
    try:
        return copy.deepcopy(body)
    except Exception:  # noqa: BLE001  (what cannot be copied is shown as it is when it is drawn)
        return body
