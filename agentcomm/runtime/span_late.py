"""Note what happens in a conversation, for spans that another thread draws: its own thread pays for a tuple a turn."""

from collections.abc import Iterator, Mapping
from time import time_ns
from typing import TYPE_CHECKING, Any

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Event
from agentcomm.conversation.plain import Told
from agentcomm.conversation.state import Conversation
from agentcomm.protocol.graph import Protocol
from agentcomm.runtime.measures import Measured
from agentcomm.runtime.span_notes import LateTurn, TurnNotes
from agentcomm.runtime.span_plain import PlainTurns
from agentcomm.runtime.spans import (
    Closing,
    ConversationSpans,
    Standing,
    TurnSpans,
)
from agentcomm.tracing.signals import signals
from agentcomm.tracing.spans import active

if TYPE_CHECKING:
    from agentcomm.tracing.late import LateTracer
    from agentcomm.tracing.light import LightSpan

__all__ = ("CONTEXT", "Drawing", "LateConversation", "begin_spans")


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

    def turns(self, notes: Iterator[LateTurn | TurnNotes]) -> None:
        """Draw turns that follow each other."""
        spans, plain = self._spans, self._plain
        for note in notes:
            if spans is None:  # its opening was lost
                continue
            if plain is None:
                self._drawn(spans, note.whole() if isinstance(note, LateTurn) else note)
            elif (odd := plain.run(note, notes)) is not None:
                with plain.learning(odd):
                    self._drawn(spans, odd)

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
        "note",
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
        self.note: Any = tracer.note
        """Takes a turn that was one simple move."""
        self.shared: LightSpan | None = None
        """Stands for every turn of code that answers at once, where one role at a time has the floor."""
        self.turns = before
        self.turn_now: LateTurn | None = None
        self._drawing = Drawing(tracer, protocol, conversation, dict(cast))
        self.draw = self._drawing.turns
        """Draws turns."""
        self.submit(self._drawing.open, (time_ns(), None if before else tracer.ambient(), before))

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
        turn = LateTurn(self, before, light, time_ns(), role, model)
        if heard is not None:
            notes = turn.whole()
            notes.heard, notes.came = heard, came
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

    def happened(self, events: Told | tuple[Event, ...]) -> None:
        """Take events at the moment they happen, for the turn that is going on."""
        turn, self.turn_now = self.turn_now, None  # each is told before: no circle is left
        if turn is not None:
            turn.happened(events)

    def end(self, conversation: Conversation, *, head: str, count: int) -> None:
        """Mark that the conversation is closed."""
        self.submit(self._drawing.close, (time_ns(), Closing.of(conversation), head, count))
