"""Spans that are made once everything about them is known, in the thread that sends them.

A conversation notes what happens and when, in tuples; the thread behind `Batches` draws spans from them. While a turn goes on, a
light span with the ids that it will have is current, so that spans of the agent's own nest under it.

Imports the OpenTelemetry SDK; `setup` loads it when it is needed.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from agentcomm.tracing.content import Content
from agentcomm.tracing.sampling import is_kept, sampling_state
from agentcomm.tracing.tracer import KINDS, Attributes, Detail, Kind, Scope, ambient
from agentcomm.version import VERSION

__all__ = ("LateSpan", "LateTracer", "place_of")

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("agentcomm", VERSION)
_GOLDEN = 0x9E3779B97F4A7C15
_SPAN_BITS = (1 << 64) - 1


def place_of(key: str, *, trace: str = "", state: Any = None) -> SpanContext:
    """Return the ids of a span: the same for the same key, so that a transcript sent later gives the same spans.

    Args:
        key: Conversation and place in it.
        trace: Key of the span whose trace it is in; its own without one.
        state: Trace state.
    """
    digest = hashlib.sha256(key.encode()).digest()
    whole = hashlib.sha256(trace.encode()).digest() if trace and trace != key else digest
    return SpanContext(
        int.from_bytes(whole[:16]),
        int.from_bytes(digest[16:24]) or 1,
        False,
        _SAMPLED,
        state,
    )


class LateTracer:
    """Makes spans from what is known about them, and hands them on.

    Args:
        take: Takes each span.
        resource: What the process is.
        content: How much of what was said spans show.
        scope: Whether a turn or a conversation is one trace.
        detail: How much of a turn is a span of its own.
        ratio: Share of conversations that are drawn.
        sink: What the records of prompts call this destination.
        submit: Hands a piece of drawing to the thread that sends; without it, it is done at once.
    """

    ambient = staticmethod(ambient)

    def __init__(
        self,
        take: Callable[[ReadableSpan], None],
        *,
        resource: Resource,
        content: Content,
        scope: Scope = "turn",
        detail: Detail = "steps",
        ratio: float = 1.0,
        sink: str = "otel",
        submit: Callable[..., None] | None = None,
    ) -> None:
        self.take = take
        self.resource = resource
        self.content = content
        self.scope = scope
        self.detail = detail
        self.ratio = ratio
        self.sink = sink
        self.submit = submit

    def keeps(self, conversation: str) -> bool:
        """Return whether a conversation is drawn: all of it, or nothing."""
        return is_kept(conversation, self.ratio)

    def place(self, conversation: str, key: str) -> SpanContext:
        """Return where the span of a key is."""
        trace = f"{conversation}/0" if self.scope == "conversation" else ""
        state = sampling_state(conversation, self.ratio) if self.ratio < 1 else None
        return place_of(f"{conversation}/{key}", trace=trace, state=state)

    def open(
        self,
        name: str,
        attributes: Attributes,
        *,
        start: int,
        links: Sequence[tuple[SpanContext, Attributes]] = (),
        under: SpanContext | None = None,
        place: SpanContext,
    ) -> "LateSpan":
        """Begin a span; arguments as of `Tracer.open`, with the place that it has."""
        return LateSpan(self, name, dict(attributes), start, links, under, place)


class LateSpan:
    """A span that is being drawn, and under which steps are drawn."""

    is_recording = True
    __slots__ = ("_attributes", "_children", "_links", "_name", "_start", "_tracer", "_under", "place")

    def __init__(
        self,
        tracer: LateTracer,
        name: str,
        attributes: dict[str, Any],
        start: int,
        links: Sequence[tuple[SpanContext, Attributes]],
        under: SpanContext | None,
        place: SpanContext,
    ) -> None:
        self._tracer, self._name, self._attributes, self._start = tracer, name, attributes, start
        self._links, self._under, self.place = links, under, place
        self._children = 0

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
        under: SpanContext | None = None,
    ) -> SpanContext:
        """Draw a step that is over as a child, and return its place; arguments as of `OpenSpan.draw`."""
        self._children += 1
        mine = self.place
        span_id = (mine.span_id + _GOLDEN * self._children) & _SPAN_BITS or 1
        place = SpanContext(mine.trace_id, span_id, False, _SAMPLED, mine.trace_state)
        self._make(name, attributes, place, under or mine, (), start, end, kind, error)
        return place

    def end(self, attributes: Attributes | None = None, *, at: int, error: str | None = None) -> None:
        """End it; arguments as of `OpenSpan.end`."""
        if attributes:
            self._attributes |= attributes
        links = [Link(place, known) for place, known in self._links]
        self._make(
            self._name, self._attributes, self.place, self._under, links, self._start, at, "internal", error
        )

    def _make(
        self,
        name: str,
        attributes: Mapping[str, Any],
        place: SpanContext,
        parent: SpanContext | None,
        links: Sequence[Link],
        start: int,
        end: int,
        kind: Kind,
        error: str | None,
    ) -> None:
        status = Status(StatusCode.ERROR, error) if error is not None else Status(StatusCode.UNSET)
        tracer = self._tracer
        tracer.take(
            ReadableSpan(
                name,
                place,
                parent,
                tracer.resource,
                {k: tuple(v) if type(v) is list else v for k, v in attributes.items()},  # pyright: ignore[reportUnknownArgumentType]
                (),
                links,
                KINDS[kind],
                None,
                status,
                start,
                max(start, end),
                _SCOPE,
            )
        )
