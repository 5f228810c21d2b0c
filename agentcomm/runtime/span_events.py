"""Draw what the core said of a turn: moves, refusals and checks of understanding."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from agentcomm.conversation.events import (
    Duplicate,
    Event,
    Grounded,
    Heard,
    Late,
    Moved,
    Refused,
    RepairOpened,
    TroubleFound,
)
from agentcomm.conversation.rules import Rules
from agentcomm.tracing import names

if TYPE_CHECKING:
    from agentcomm.runtime.span_folded import Folded
    from agentcomm.tracing.content import Content
    from agentcomm.tracing.late import LateSpan
    from agentcomm.tracing.tracer import Attributes, Kind, OpenSpan

__all__ = ("UNKNOWN", "EventSpans", "method_of")

UNKNOWN = "unknown"
"""Stands in a span's name for an act that no protocol declares: a model may have made it up."""

STEP_NS = 1000
"""Between two steps drawn for one moment, so that backends, which sort by time, keep their order."""


def method_of(event: Grounded) -> str:
    """Return how something was grounded: readback, relevant or delivered."""
    first = event.evidence[0] if event.evidence else ""
    method = "readback" if first.startswith("readback") else event.criterion
    return method if method in {"readback", "relevant"} else "delivered"


class EventSpans:
    """Draws the steps of one turn that are told by events.

    Args:
        root: The turn's span.
        content: How much of what was said is shown.
        rules: The conversation's protocols, whose acts may stand in names.
        state: Where the turn began.
    """

    def __init__(
        self,
        root: "OpenSpan | LateSpan | Folded",
        content: "Content",
        rules: Rules | None,
        state: str,
    ) -> None:
        self._root = root
        self._content = content
        self._rules = rules
        self._state = state
        self._last = 0

    def draw(
        self,
        name: str,
        attributes: "Attributes",
        at: int,
        *,
        kind: "Kind" = "internal",
        error: str | None = None,
    ) -> Any:
        """Draw a step that took no time, after those drawn before, and return its place."""
        self._last = at = max(at, self._last + STEP_NS)
        return self._root.draw(name, attributes, start=at, end=at, kind=kind, error=error)

    def event(self, event: Event, at: int, events: Sequence[Event], sent: str) -> None:
        """Draw what one event tells.

        Args:
            event: The event.
            at: When it happened.
            events: All events of the turn.
            sent: Id of the message that the turn sent, whose own move is drawn with it.
        """
        match event:
            case Refused():
                self._refused(event, at, events)
            case Late(message=message, act=act, reason=reason):
                self._rejected(act, "late", reason, at, {names.MESSAGING_ID: message})
            case Duplicate(message=message):
                self._rejected("", "duplicate", "", at, {names.MESSAGING_ID: message, names.DUPLICATE: True})
            case Grounded():
                self._grounded(event, at)
            case TroubleFound() if event.differs:
                self._trouble(event, at, events)
            case Moved() if event.message != sent:
                self.moved(event.act, event.state, event.next, at, event.message)
            case _:
                pass

    def moved(self, act: str, before: str, after: str, at: int, message: str) -> None:
        """Draw a move that was accepted."""
        self.draw(
            f"{names.TRANSITION} {act}",
            {
                names.OI_KIND: names.OI_GUARDRAIL,
                names.MESSAGING_ID: message,
                names.STATE_FROM: before,
                names.STATE_TO: after,
                names.TRANSITION_ACT: act,
                names.TRANSITION_SIDE: names.SEND,
                names.TRANSITION_OUTCOME: "accepted",
                names.TRANSITION_RULE: f"{before}/{act}",
            },
            at,
        )

    def _refused(self, event: Refused, at: int, events: Sequence[Event]) -> None:
        action = "reprompt"
        if not event.left:
            spoken = next((e.message.act for e in events if isinstance(e, Heard)), "")
            action = "not_understood" if spoken == "not-understood" else "fail"
        allowed = [signature.partition("(")[0] for signature in event.legal]
        known: dict[str, Any] = {names.ALLOWED_ACTS: allowed, names.REJECTION_ACTION: action}
        self._rejected(event.act, event.code, event.reason, at, known)

    def _rejected(self, act: str, code: str, reason: str, at: int, known: "Attributes") -> None:
        content = self._content
        rules = self._rules
        laws = (rules.protocol, *rules.overlays.values()) if rules is not None else ()
        declared = any(act in law.acts for law in laws)
        kind = "late" if code == "late" else "illegal_move"
        shown = (
            act if declared else content.text("message", act)[:100] if act and content.is_full else UNKNOWN
        )
        attributes = {
            names.OI_KIND: names.OI_GUARDRAIL,
            names.STATE_FROM: self._state,
            names.STATE_TO: self._state,
            names.TRANSITION_ACT: shown,
            names.TRANSITION_SIDE: names.SEND,
            names.TRANSITION_OUTCOME: "rejected",
            names.REJECTION_REASON: code,
            **known,
        }
        error = None
        if code != "duplicate":
            attributes[names.ERROR_TYPE] = kind
            error = content.text("error", reason) if content.is_full else code
        self.draw(f"{names.TRANSITION} {act if declared else UNKNOWN}", attributes, at, error=error)

    def _grounded(self, event: Grounded, at: int) -> None:
        method = method_of(event)
        known: dict[str, Any] = {names.GROUNDING_CRITERION: event.criterion, names.GROUNDING_ACTION: "accept"}
        if event.evidence:
            known[names.GROUNDING_EVIDENCE] = list(event.evidence)
        if event.fields:
            known[names.GROUNDING_FIELDS] = list(event.fields)
        self._ground(method, event.message, event.act, "grounded", at, known)

    def _trouble(self, event: TroubleFound, at: int, events: Sequence[Event]) -> None:
        """Draw a check that found a difference; a verdict is not an error."""
        contradicted = any(item.understood is not None for item in event.differs)
        repaired = any(isinstance(e, RepairOpened) and e.about == event.message for e in events)
        known: dict[str, Any] = {
            names.GROUNDING_FIELDS: [item.field for item in event.differs],
            names.GROUNDING_ACTION: "repair" if repaired else "block",
        }
        content = self._content
        if content.is_full:
            text = "; ".join(map(str, event.differs))
            known[names.GROUNDING_EXPLANATION] = content.text("message", text)
        verdict = "contradicted" if contradicted else "ungrounded"
        self._ground(event.kind, event.message, event.act, verdict, at, known)

    def _ground(
        self, method: str, message: str, act: str, verdict: str, at: int, known: "Attributes"
    ) -> None:
        self.draw(
            f"{names.GROUND} {method}",
            {
                names.OI_KIND: names.OI_EVALUATOR,
                names.MESSAGING_ID: message,
                names.GROUNDING_METHOD: method,
                names.GROUNDING_TARGET: f"/{act}",
                names.GROUNDING_VERDICT: verdict,
                **known,
            },
            at,
        )
