"""The span that is current while a turn goes on whose own span is made later."""

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import INVALID_SPAN, Span, SpanContext, set_span_in_context

from agentcomm.tracing.outlets import context_of

if TYPE_CHECKING:
    from agentcomm.tracing.late import Places

__all__ = ("TURN", "LightSpan")

TURN: ContextVar[int] = ContextVar("turn", default=0)
"""The number of the turn that goes on where one light span stands for many: who is left behind by a turn keeps its number."""


(_KEY,) = set_span_in_context(INVALID_SPAN, Context())
"""Where a context keeps its span: made by hand, it is copied once less."""


class LightSpan(Span):
    """Has the ids of a turn's span, and keeps what is set on it until that is made.

    Args:
        places: Knows where it is; asked only by who needs that.
        turn: The number of its turn.
        is_shared: Whether it stands for many turns, one after the other, of which `TURN` tells which.
    """

    __slots__ = ("_places", "_token", "attributes", "is_shared", "turn")

    def __init__(self, places: "Places", turn: int, *, is_shared: bool = False) -> None:
        self._places, self.turn, self.is_shared = places, turn, is_shared
        self._token: Token[Context] | None = None
        self.attributes: dict[str, Any] | None = None
        """What the agent set on it; None if it set nothing."""

    def enter(self) -> None:
        """Make it current."""
        self._token = attach(Context({**get_current(), _KEY: self}))

    def leave(self) -> None:
        """Give back what was current before."""
        if self._token is not None:
            detach(self._token)
            self._token = None

    def get_span_context(self) -> SpanContext:
        """Return where it is."""
        return context_of(self._places.at(TURN.get() if self.is_shared else self.turn))

    def is_recording(self) -> bool:
        """Return whether what is set on it is kept: while its turn goes on."""
        return not self.is_shared or TURN.get() == self.turn

    def set_attribute(self, key: str, value: Any) -> None:
        """Keep an attribute; ours win where they have the same name."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Any) -> None:
        """Keep attributes."""
        if self.is_recording():
            self.attributes = {**(self.attributes or {}), **attributes}

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """Take no event: they belong on spans of the agent's own."""

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        """Take no link."""

    def update_name(self, name: str) -> None:
        """Keep the name: it is of low cardinality."""

    def set_status(self, status: Any, description: str | None = None) -> None:
        """Keep the status: what became of the turn decides it."""

    def record_exception(
        self,
        exception: BaseException,
        attributes: Any = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Take no exception: what fails a turn is told by its error."""

    def end(self, end_time: int | None = None) -> None:
        """Nothing: the turn ends it."""
