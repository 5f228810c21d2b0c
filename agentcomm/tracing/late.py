"""Spans that are made once everything about them is known, in the thread that sends them.

A conversation notes what happens and when; the thread behind `CountedBatches` draws spans from that. While a turn goes on, a light
span with the ids that it will have is current, so that spans of the agent's own nest under it.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence
from typing import Any

from agentcomm.tracing.content import Content
from agentcomm.tracing.outlets import place_from
from agentcomm.tracing.protobuf import (
    ODD,
    PLACE_TAG,
    SPAN_TAG,
    Base,
    Place,
    child_of,
    state_field,
)
from agentcomm.tracing.sampling import is_kept, sampling_state
from agentcomm.tracing.tracer import KINDS, Attributes, Detail, Kind, Scope, ambient, read_traceparent

__all__ = ("LateSpan", "LateTracer", "Places")

_BITS = (1 << 32) - 1
_PLACE = struct.Struct("<HI18sI").pack
_SHARED = 256
"""Casts whose kinds of turns are kept."""


class Places:
    """Where the spans of one conversation are: the same each time, so that a transcript sent later gives the same spans.

    Most of a trace's id is the conversation's, the lower half above all: who samples by that keeps all of its turns, or none.

    Args:
        conversation: Its id.
        is_one: Whether they are all in one trace.
        state: W3C trace state.
    """

    __slots__ = ("_state", "fixed", "seed", "step")

    def __init__(self, conversation: str, *, is_one: bool = False, state: str = "") -> None:
        digest = hashlib.sha256(conversation.encode()).digest()
        self.seed = int.from_bytes(digest[:4])
        self.fixed = digest[4:16] + SPAN_TAG + bytes((digest[16] | 1,)) + digest[17:20]
        self.step = 0 if is_one else ODD
        self._state = state_field(state)

    def at(self, number: int) -> Place:
        """Return where a span is that begins a trace, by its number: 0 opens the conversation, n is its nth turn."""
        seed = self.seed
        trace, span = (seed + number * self.step) & _BITS, (seed + number * ODD) & _BITS
        return _PLACE(PLACE_TAG, trace, self.fixed, span) + self._state

    def after(self, number: int) -> Place:
        """Return where the span is of the time that was up in a turn, or (0) of the conversation's end."""
        return self.at(number + (1 << 31))


class LateTracer:
    """Makes spans from what is known about them, and hands them on.

    Args:
        make: Takes what a span is to tell; arguments as of `span_bytes`.
        put: Takes spans that are bytes already, and how many they are; None where spans are something else.
        content: How much of what was said spans show.
        scope: Whether a turn or a conversation is one trace.
        detail: How much of a turn is a span of its own.
        ratio: Share of conversations that are drawn.
        sink: What the records of prompts call this destination.
        submit: Hands a piece of drawing to the thread that sends; without it, it is done at once.
        note: Hands on one thing of several, that `draw` of its `talk` takes as an iterator; without it, `submit` gets it.
    """

    def __init__(
        self,
        make: Callable[..., None],
        put: Callable[[bytes, int], None] | None = None,
        *,
        content: Content,
        scope: Scope = "turn",
        detail: Detail = "steps",
        ratio: float = 1.0,
        sink: str = "otel",
        submit: Callable[..., None] | None = None,
        note: Callable[[Any], None] | None = None,
    ) -> None:
        self.make = make
        self.put = put
        self.content = content
        self.scope = scope
        self.detail = detail
        self.ratio = ratio
        self.sink = sink
        self.submit = submit
        self.note = note or self._noted
        self._kinds: dict[Any, dict[Any, Any]] = {}

    def _noted(self, one: Any) -> None:
        assert self.submit is not None  # noqa: S101  (else nothing is noted)
        self.submit(one.talk.draw, (iter((one,)),))

    def keeps(self, conversation: str) -> bool:
        """Return whether a conversation is drawn: all of it, or nothing."""
        return is_kept(conversation, self.ratio)

    def kinds(self, cast: Any) -> dict[Any, Any]:
        """Return where the kinds of turns of conversations with this protocol and cast are kept."""
        if len(self._kinds) > _SHARED:
            self._kinds.clear()
        return self._kinds.setdefault(cast, {})

    def places(self, conversation: str) -> Places:
        """Return where the spans of a conversation are."""
        state = sampling_state(conversation, self.ratio) if self.ratio < 1 else ""
        return Places(conversation, is_one=self.scope == "conversation", state=state)

    @staticmethod
    def place_of(traceparent: str) -> Place | None:
        """Return the place that W3C's `traceparent` names; None if it names none."""
        found = read_traceparent(traceparent)
        return place_from(found) if found is not None else None

    @staticmethod
    def ambient() -> Place | None:
        """Return the place of the span that is current in the caller's program, or None."""
        found = ambient()
        return place_from(found) if found is not None else None

    def open(
        self,
        name: str,
        attributes: Attributes,
        *,
        base: Base,
        start: int,
        links: Sequence[tuple[Place, Attributes]] = (),
        under: Place | None = None,
        place: Place,
    ) -> "LateSpan":
        """Begin a span; arguments as of `Tracer.open`, with the place that it has."""
        return LateSpan(self, name, base, dict(attributes), start, links, under, place)


class LateSpan:
    """A span that is being drawn, and under which steps are drawn."""

    is_recording = True
    __slots__ = ("_base", "_children", "_links", "_own", "_start", "_tracer", "_under", "name", "place")

    def __init__(
        self,
        tracer: LateTracer,
        name: str,
        base: Base,
        attributes: dict[str, Any],
        start: int,
        links: Sequence[tuple[Place, Attributes]],
        under: Place | None,
        place: Place,
    ) -> None:
        self._tracer, self.name, self._base, self._start = tracer, name, base, start
        self._links, self._under, self.place = links, under, place
        self._own = attributes
        self._children = 0

    @property
    def attributes(self) -> Attributes:
        """All its attributes."""
        return {**self._base.attributes, **self._own}

    def enter(self) -> None:
        """Nothing: the light span is current."""

    def leave(self) -> None:
        """Nothing: the light span was current."""

    def draw(
        self,
        name: str,
        attributes: Attributes,
        *,
        start: int,
        end: int,
        kind: Kind = "internal",
        error: str | None = None,
        under: Place | None = None,
    ) -> Place:
        """Draw a step that is over as a child, and return its place; arguments as of `OpenSpan.draw`."""
        self._children += 1
        mine = self.place
        place = child_of(mine, self._children)
        self._tracer.make(
            name,
            place,
            under or mine,
            (self._base,),
            attributes,
            (),
            KINDS[kind].value,
            start,
            max(start, end),
            error,
        )
        return place

    def end(self, attributes: Attributes | None = None, *, at: int, error: str | None = None) -> None:
        """End it; arguments as of `OpenSpan.end`."""
        if attributes:
            taken = self._base.attributes
            self._own |= {name: value for name, value in attributes.items() if name not in taken}
        start = self._start
        self._tracer.make(
            self.name,
            self.place,
            self._under,
            (self._base,),
            self._own,
            self._links,
            0,
            start,
            max(start, at),
            error,
        )
