"""What a turn's spans are drawn from, as it is noted while the turn goes on: its own thread pays for one small value a turn."""

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from time import time_ns
from typing import Any

import msgspec

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Event, Expired
from agentcomm.conversation.moves import legal
from agentcomm.conversation.plain import Told
from agentcomm.conversation.plans import Plan
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.runtime.spans import place_name, traceparent_of

__all__ = ("LateTurn", "TurnNotes")


class TurnNotes(msgspec.Struct):
    """What a turn's spans are drawn from."""

    begun: int
    place: str
    """Where it begins: the state, or overlay and state."""
    rules: Rules | None
    whole: float
    """Seconds for the whole conversation; this and the rules are known where something may have been refused, or late."""
    role: str
    model: str
    steps: list[tuple[int, str, Any, Any]] | None = None
    """What its agent did: when, kind, structure and content."""
    at: int = 0
    events: tuple[Event, ...] | None = None
    """What happened first, and when."""
    more: list[tuple[int, tuple[Event, ...]]] | None = None
    """What happened after that."""
    ended: int = 0
    after: str = ""
    """Where it ends."""
    awaiting: Sequence[str] = ()
    """Moves that were legal, if a deadline passed."""
    error: BaseException | None = None
    known: Mapping[str, Any] | None = None
    """What the agent set on its span."""
    heard: Message | None = None
    came: str = ""
    """What it answers, where that may have been said in another process; and the trace context that came with it."""
    plan: Plan | None = None
    """That of the simple move that it was."""

    @property
    def is_odd(self) -> bool:
        """Whether more is known of it than what happened first."""
        return bool(self.steps or self.error or self.known or self.more)

    def happened(self, at: int, events: tuple[Event, ...]) -> None:
        """Note what happened."""
        if self.events is None:
            self.at, self.events = at, events
        elif self.more is None:
            self.more = [(at, events)]
        else:
            self.more.append((at, events))

    def moments(self) -> list[tuple[int, Event]]:
        """Return everything that happened, with its time."""
        found = [(self.at, event) for event in self.events or ()]
        for at, events in self.more or ():
            found += [(at, event) for event in events]
        return found


class LateTurn(msgspec.Struct, gc=False):
    """Notes what happens in one turn; offers what `TurnSpans` offers. Of a turn that is one simple move, it is all that is noted.

    Many wait to be drawn, and the garbage collector need not look at them: once a turn is over, nothing that it holds leads back to it.
    """

    talk: Any
    """Its conversation's notes, a `LateConversation`."""
    before: Conversation | None
    """As it began; None once it is over."""
    span: Any
    """The light one."""
    begun: int
    role: str
    model: str
    is_new: bool = True
    """Whether nothing was noted of it so far."""
    at: int = 0
    told: Told | None = None
    """The simple move that it made, and when; it then is over at that time, too. None where there is more to it."""
    notes: TurnNotes | None = None
    """Everything, where there is more to it; None again once it is over."""

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

    def whole(self) -> TurnNotes:
        """Return notes that take everything."""
        notes, before, told = self.notes, self.before, self.told
        if notes is not None:
            return notes
        if before is not None:
            place, rules, whole = place_name(before), before.rules, before.whole
        else:  # one simple move: nothing in it was refused, no time was up
            place, rules, whole = told.plan.source if told is not None else "", None, math.inf
        self.is_new = False
        notes = self.notes = TurnNotes(self.begun, place, rules, whole, self.role, self.model)
        if told is not None:
            notes.happened(self.at, tuple(told))
            notes.ended, notes.after, notes.plan = self.at, told.plan.target, told.plan
            self.told = None
        return notes

    def step(self, kind: str, data: Mapping[str, Any], body: Any) -> None:
        """Note a step of the journal, as it happens; of what is left behind by a turn that is over, nothing."""
        if self.before is None:
            return
        if kind.startswith("tool."):  # what a tool gave may be changed by who asked for it
            body = _kept(body)
        notes = self.whole()
        if notes.steps is None:
            notes.steps = []
        notes.steps.append((time_ns(), kind, data, body))

    def happened(self, events: Iterable[Event]) -> None:
        """Note what happened."""
        if self.before is None:
            return
        if type(events) is Told and self.is_new:
            self.at, self.told, self.is_new = time_ns(), events, False
        elif several := tuple(events):
            self.whole().happened(time_ns(), several)

    def end(
        self, after: Conversation, events: Sequence[Event] = (), error: BaseException | None = None
    ) -> None:
        """End the turn."""
        talk, light = self.talk, self.span
        if light is not talk.shared:
            light.leave()
        if self.told is None or light.attributes is not None or error is not None:
            self._end(after, events, error)
            return
        self.before = None
        talk.note(self)

    def _end(self, after: Conversation, events: Sequence[Event], error: BaseException | None) -> None:
        notes, light, before = self.whole(), self.span, self.before
        self.before = self.notes = None
        notes.known, light.attributes, notes.error = light.attributes, None, error
        now = notes.ended = time_ns()
        if notes.events is None and events:
            notes.happened(now, tuple(events))
        notes.after = place_name(after)
        if before is not None and any(type(event) is Expired for event in notes.events or ()):
            notes.awaiting = [move.label for move in legal(before)]
        self.talk.submit(self.talk.draw, (iter((notes,)),))


def _kept(body: Any) -> Any:
    try:
        return copy.deepcopy(body)
    except Exception:  # noqa: BLE001  (what cannot be copied is shown as it is when it is drawn)
        return body
