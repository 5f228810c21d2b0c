"""Draw spans with the OpenTelemetry API: turns that are open for a while, and steps drawn once they are over.

Knows nothing about dialogue: names, attributes and times are given. Times are nanoseconds since the epoch.
"""

import re
from collections.abc import Mapping, Sequence
from contextvars import Token
from typing import Any, Literal

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TracerProvider,
    get_current_span,
    set_span_in_context,
)

from agentcomm.tracing.content import Content
from agentcomm.tracing.protobuf import Base
from agentcomm.version import VERSION

__all__ = (
    "KINDS",
    "Attributes",
    "Detail",
    "Kind",
    "OpenSpan",
    "Scope",
    "Tracer",
    "ambient",
    "read_traceparent",
)

Attributes = Mapping[str, Any]
Kind = Literal["internal", "client", "producer", "consumer"]
Scope = Literal["turn", "conversation"]
"""Whether each turn is a trace of its own, or a whole conversation is one."""

Detail = Literal["turn", "steps", "full"]
"""How much of a turn is a span of its own: the turn; its steps, too; the pieces of each prompt, too."""

KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


class Tracer:
    """Draws spans with one provider.

    Args:
        provider: Where spans go.
        content: How much of what was said they show.
        scope: Whether a turn or a conversation is one trace.
        detail: How much of a turn is a span of its own.
        sink: What the records of prompts call this destination.
    """

    submit = None
    """What is drawn is drawn at once."""

    def __init__(
        self,
        provider: TracerProvider,
        *,
        content: Content,
        scope: Scope = "turn",
        detail: Detail = "steps",
        sink: str = "otel",
    ) -> None:
        self.content = content
        self.scope = scope
        self.detail = detail
        self.sink = sink
        self._tracer = provider.get_tracer("agentcomm", VERSION)

    def open(
        self,
        name: str,
        attributes: Attributes,
        *,
        base: Base,
        start: int,
        links: Sequence[tuple[SpanContext, Attributes]] = (),
        under: SpanContext | None = None,
        place: SpanContext | None = None,
    ) -> "OpenSpan":
        """Start a root span; it begins a new trace, whatever is current, unless it is put `under` another span.

        Args:
            name: Name of low cardinality.
            attributes: All that is known; samplers see only these, and those of the base.
            base: Attributes that its steps have, too.
            start: When it began.
            links: Spans it follows from.
            under: Its parent.
            place: Not used: the provider gives it one.
        """
        del place
        parent = Context() if under is None else set_span_in_context(_ended(under), Context())
        span = self._tracer.start_span(
            name,
            parent,
            attributes={**base.attributes, **attributes},
            links=[Link(place, known) for place, known in links],
            start_time=start,
        )
        return OpenSpan(self._tracer, span, base)

    def keeps(self, conversation: str) -> bool:
        """Return that a conversation is drawn: the provider's sampler decides about each span."""
        return bool(conversation)

    def places(self, conversation: str) -> "Nowhere":
        """Return that the provider decides where the spans of a conversation are."""
        del conversation
        return Nowhere()

    @staticmethod
    def place_of(traceparent: str) -> SpanContext | None:
        """Return the place that W3C's `traceparent` names; None if it names none."""
        return read_traceparent(traceparent)

    @staticmethod
    def ambient() -> SpanContext | None:
        """Return the place of the span that is current in the caller's program, or None."""
        return ambient()


class Nowhere:
    """Stands for the places of a conversation whose spans get theirs from a provider."""

    def at(self, number: int) -> None:
        """Return that it is not known."""

    after = at


_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def read_traceparent(text: str) -> SpanContext | None:
    """Return the place that W3C's `traceparent` names; None if it names none."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None:
        return None
    place = SpanContext(int(found[1], 16), int(found[2], 16), True, TraceFlags(int(found[3], 16) & 1))
    return place if place.is_valid else None


def ambient() -> SpanContext | None:
    """Return the place of the span that is current in the caller's program, or None."""
    place = get_current_span().get_span_context()
    return place if place.is_valid else None


class OpenSpan:
    """A span that is open while something happens, and under which steps are drawn."""

    def __init__(self, tracer: Any, span: Span, base: Base) -> None:
        self._tracer = tracer
        self._shared = base.attributes
        self._span = span
        self._token: Token[Context] | None = None
        self._within = set_span_in_context(span, Context())
        self.is_recording = span.is_recording()

    @property
    def place(self) -> SpanContext:
        """Where it is, for links."""
        return self._span.get_span_context()

    def enter(self) -> None:
        """Make it current, so that spans of the caller's own nest under it."""
        self._token = otel_context.attach(set_span_in_context(self._span))

    def leave(self) -> None:
        """Give back what was current before."""
        if self._token is not None:
            otel_context.detach(self._token)
            self._token = None

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
        """Draw a step that is over as a child, and return its place.

        Args:
            name: Name of low cardinality.
            attributes: Everything about it.
            start: When it began.
            end: When it was over.
            kind: Its kind.
            error: What went wrong, if it did.
            under: Its parent, where it is a step of a step.
        """
        within = self._within if under is None else set_span_in_context(_ended(under), Context())
        span = self._tracer.start_span(
            name,
            within,
            kind=KINDS[kind],
            attributes={**self._shared, **attributes},
            start_time=start,
        )
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(end)
        return span.get_span_context()

    def end(self, attributes: Attributes | None = None, *, at: int, error: str | None = None) -> None:
        """End it.

        Args:
            attributes: What is known only now.
            at: When it was over.
            error: What went wrong, if it did.
        """
        if attributes:
            self._span.set_attributes(attributes)
        if error is not None:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end(at)


def _ended(place: SpanContext) -> Span:
    from opentelemetry.trace import NonRecordingSpan

    return NonRecordingSpan(place)
