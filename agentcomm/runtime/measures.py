"""Count and time what happens in conversations, for the meter provider and the logger provider that the program has set."""

from collections import deque
from collections.abc import Mapping, Sequence
from time import time_ns
from typing import Any

import msgspec

from agentcomm.acts.message import Message
from agentcomm.conversation.events import (
    Event,
    Expired,
    GaveUp,
    Grounded,
    Heard,
    Judged,
    Refused,
    RepairClosed,
    RepairOpened,
    TroubleFound,
)
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.errors import ContextOverflow, ModelTimeout
from agentcomm.protocol.graph import Protocol
from agentcomm.runtime.span_events import UNKNOWN, method_of
from agentcomm.runtime.span_steps import Steps, model_of
from agentcomm.runtime.spans import error_type
from agentcomm.tracing import names
from agentcomm.tracing.content import Content, Redactor
from agentcomm.tracing.signals import Signals

__all__ = ("Measured",)

_TOLD: frozenset[type[Event]] = frozenset(
    {Heard, Refused, Grounded, TroubleFound, Judged, RepairOpened, RepairClosed, GaveUp, Expired}
)
_CODES = {ModelTimeout.code: "timeout", ContextOverflow.code: "context_overflow"}


class Measured:
    """Measures one conversation; offers what `ConversationSpans` offers, and hands everything on to it.

    Args:
        signals: Where measures go.
        spans: What draws spans; None if nothing does.
        protocol: The conversation's protocol.
        conversation: Its id.
        cast: Role -> agent's name.
        redactors: Applied to what log events tell of what was said.
    """

    __slots__ = (
        "_begun",
        "_cast",
        "_repairs",
        "_shared",
        "_turn",
        "_turns",
        "content",
        "protocol",
        "signals",
        "spans",
    )

    def __init__(
        self,
        signals: Signals,
        spans: Any,
        protocol: Protocol,
        conversation: str,
        cast: Mapping[str, str],
        redactors: Sequence[Redactor] = (),
    ) -> None:
        self.content = Content("full", redactors)
        self.signals, self.spans, self.protocol = signals, spans, protocol
        self._cast = cast
        self._begun = time_ns()
        self._turns = 0
        self._turn: MeasuredTurn | None = None
        self._repairs: dict[str, tuple[int, int, str]] = {}
        """Message that is repaired -> when that began, in which turn, and what for."""
        self._shared = {names.PROTOCOL: protocol.name, names.GENAI_CONVERSATION: conversation}

    @property
    def sinks(self) -> list[str]:
        """Where the texts of prompts and answers go with the spans."""
        return [] if self.spans is None else self.spans.sinks

    @property
    def turn_now(self) -> "MeasuredTurn | None":
        """The turn that is going on."""
        return self._turn

    @turn_now.setter
    def turn_now(self, turn: "MeasuredTurn | None") -> None:
        self._turn = turn
        if self.spans is not None:
            self.spans.turn_now = None if turn is None else turn.spans

    def turn(
        self, before: Conversation, role: str, model: str, heard: Message | None = None, came: str = ""
    ) -> "MeasuredTurn":
        """Begin a turn; arguments as of `ConversationSpans.turn`."""
        self._turns += 1
        spans = None if self.spans is None else self.spans.turn(before, role, model, heard, came)
        agent = self._cast.get(role, role)
        turn = self._turn = MeasuredTurn(self, spans, agent, before.rules)
        return turn

    def share(self) -> None:
        """As of what draws spans."""
        if self.spans is not None:
            self.spans.share()

    def part(self) -> None:
        """As of what draws spans."""
        if self.spans is not None:
            self.spans.part()

    def happened(self, events: tuple[Event, ...]) -> None:
        """Measure events as they happen."""
        if self.spans is not None:
            self.spans.happened(events)
        for event in events:
            if type(event) in _TOLD:
                self._event(event)

    def end(self, conversation: Conversation, *, head: str, count: int) -> None:
        """Measure a conversation that is over; arguments as of `ConversationSpans.end`."""
        if self.spans is not None:
            self.spans.end(conversation, head=head, count=count)
        outcome = conversation.outcome
        known = {
            names.PROTOCOL: self.protocol.name,
            names.OUTCOME: outcome.kind.value if outcome else "aborted",
        }
        signals = self.signals
        signals.record(names.CONVERSATION_TURNS, self._turns, known)
        signals.record(names.CONVERSATION_DURATION, (time_ns() - self._begun) / 1e9, known)
        signals.count(names.AUDIT_COUNTED, {names.SINK: "transcript"}, count)

    def _event(self, event: Event) -> None:
        signals, protocol = self.signals, {names.PROTOCOL: self.protocol.name}
        match event:
            case Heard(message=message):
                known = {**protocol, names.ACT: message.act}
                signals.count(names.MESSAGES_COUNT, {**known, names.DIRECTION: "send"})
                signals.count(
                    names.MESSAGES_COUNT, {**known, names.DIRECTION: "receive"}, len(message.receivers)
                )
            case Refused():
                self._refused(event)
            case Grounded():
                self._checked(method_of(event), "grounded", event.criterion != "delivered")
            case TroubleFound() if event.differs:
                contradicted = any(item.understood is not None for item in event.differs)
                self._checked(event.kind, "contradicted" if contradicted else "ungrounded", True)
            case Judged():
                self._checked("judged", "grounded" if event.understood else "ungrounded", True)
            case RepairOpened(about=about, kind=kind):
                self._repairs[about] = time_ns(), self._turns, kind
                self.tell(
                    names.REPAIR_STARTED, "INFO", {names.REPAIR_TRIGGER: kind, names.MESSAGING_ID: about}
                )
            case RepairClosed(about=about, mended=mended):
                self._repaired(about, "resolved" if mended else "not_mended")
            case GaveUp(message=about):
                self._repaired(about, "gave_up")
            case Expired():
                kind = "reply" if event.state else "conversation"
                signals.count(names.TIMEOUTS_COUNT, {**protocol, names.TIMEOUT_KIND: kind})
                self.tell(
                    names.TIMED_OUT,
                    "WARN",
                    {names.TIMEOUT_KIND: kind, names.STATE_FROM: event.state, names.STATE_TO: event.next},
                )
            case _:
                pass

    def _refused(self, event: Refused) -> None:
        signals, turn = self.signals, self._turn
        rules = turn.rules if turn is not None else None
        acts = (p.acts for p in (rules.protocol, *rules.overlays.values())) if rules is not None else ()
        act = event.act if any(event.act in some for some in acts) else UNKNOWN
        protocol = {names.PROTOCOL: self.protocol.name}
        signals.count(names.REJECTED_COUNT, {**protocol, names.ACT: act, names.REJECTION_REASON: event.code})
        if event.left:
            signals.count(names.RETRIES_COUNT, {**protocol, names.RETRY_REASON: "illegal_move"})
        self.tell(
            names.MOVE_REJECTED,
            "WARN",
            {
                names.ROLE: event.role,
                names.ACT: act,
                names.REJECTION_REASON: event.code,
                names.ERROR_TYPE: "illegal_move",
            },
        )

    def _checked(self, method: str, verdict: str, is_told: bool) -> None:
        known = {
            names.PROTOCOL: self.protocol.name,
            names.GROUNDING_METHOD: method,
            names.GROUNDING_VERDICT: verdict,
        }
        self.signals.count(names.CHECKS_COUNT, known)
        if is_told:  # that a message arrived is no evaluation
            told = {names.EVALUATION_NAME: f"grounding.{method}", names.EVALUATION_LABEL: verdict}
            self.tell(names.EVALUATED, "INFO", told)

    def _repaired(self, about: str, outcome: str) -> None:
        found = self._repairs.pop(about, None)
        if found is None:
            return
        begun, turn, kind = found
        known = {
            names.PROTOCOL: self.protocol.name,
            names.REPAIR_TRIGGER: kind,
            names.REPAIR_OUTCOME: outcome,
        }
        self.signals.record(names.REPAIR_TURNS, self._turns - turn, known)
        self.signals.record(names.REPAIR_DURATION, (time_ns() - begun) / 1e9, known)
        good = outcome == "resolved"
        self.tell(
            names.REPAIR_RESOLVED if good else names.REPAIR_ABANDONED,
            "INFO" if good else "WARN",
            {names.REPAIR_TRIGGER: kind, names.REPAIR_OUTCOME: outcome, names.MESSAGING_ID: about},
        )

    def tell(self, name: str, severity: str, known: Mapping[str, Any]) -> None:
        """Emit a log event of this conversation."""
        if self.signals.has_logs:
            turn = self._turn
            whose = {} if turn is None else {names.GENAI_AGENT: turn.agent}
            self.signals.tell(name, severity, {**self._shared, **whose, **known}, time_ns())


class MeasuredTurn:
    """Measures one turn; offers what `TurnSpans` offers, and hands everything on to it."""

    __slots__ = ("_asked", "_begun", "_details", "_talk", "_used", "agent", "rules", "spans")

    def __init__(self, talk: Measured, spans: Any, agent: str, rules: Rules) -> None:
        self._talk, self.spans, self.agent, self.rules = talk, spans, agent, rules
        self._begun = time_ns()
        self._details = Steps(_Details(talk), talk.content, "log") if talk.signals.is_detailed else None
        self._asked: deque[tuple[int, Mapping[str, Any]]] = deque()
        self._used: dict[str, deque[int]] = {}

    @property
    def sinks(self) -> list[str]:
        """Where the texts of prompts and answers go with the spans."""
        return [] if self.spans is None else self.spans.sinks

    @property
    def traceparent(self) -> str:
        """W3C's trace context of the turn."""
        return "" if self.spans is None else self.spans.traceparent

    def waits(self) -> None:
        """As of what draws spans."""
        if self.spans is not None:
            self.spans.waits()

    def step(self, kind: str, data: Mapping[str, Any], body: Any) -> None:
        """Measure a step of the journal, as it happens."""
        if self.spans is not None:
            self.spans.step(kind, data, body)
        if self._details is not None:
            self._details.step(kind, data, body)
        now = time_ns()
        match kind:
            case "model.request":
                self._asked.append((now, data))
            case "model.result" | "model.error" if self._asked:
                begun, request = self._asked.popleft()
                self._called((now - begun) / 1e9, request, data, is_error=kind == "model.error")
            case "tool.call":
                self._used.setdefault(str(data["tool"]), deque()).append(now)
            case "tool.result" | "tool.error":
                tool = str(data["tool"])
                if begun_then := self._used.get(tool):
                    self._tool(tool, (now - begun_then.popleft()) / 1e9, is_error=kind == "tool.error")
            case _:
                pass

    def end(
        self, after: Conversation, events: Sequence[Event] = (), error: BaseException | None = None
    ) -> None:
        """End it; arguments as of `TurnSpans.end`."""
        known = {names.GENAI_OPERATION: names.INVOKE_AGENT, names.GENAI_AGENT: self.agent}
        if error is not None:
            known[names.ERROR_TYPE] = error_type(error)
        self._talk.signals.record(names.AGENT_DURATION, (time_ns() - self._begun) / 1e9, known)
        if self.spans is not None:
            self.spans.end(after, events, error)

    def _called(
        self, seconds: float, request: Mapping[str, Any], result: Mapping[str, Any], *, is_error: bool
    ) -> None:
        signals, talk = self._talk.signals, self._talk
        provider, model = model_of(str(request["model"]))
        known: dict[str, Any] = {
            names.GENAI_OPERATION: names.CHAT,
            names.GENAI_PROVIDER: provider,
            names.GENAI_REQUEST_MODEL: model,
        }
        if said := result.get("model"):
            known[names.GENAI_RESPONSE_MODEL] = model_of(str(said))[1]
        told = dict(known)
        if is_error:
            code = str(result.get("code", ""))
            told[names.ERROR_TYPE] = _CODES.get(code, "model_error")
            talk.tell(
                names.OPERATION_EXCEPTION,
                "WARN",
                {**told, names.EXCEPTION_TYPE: code or told[names.ERROR_TYPE]},
            )
        signals.record(
            names.INFERENCE_DURATION if signals.is_newest else names.OPERATION_DURATION, seconds, told
        )
        for kind, key, newest in (
            ("input", "prompt_tokens", names.INFERENCE_INPUT_TOKENS),
            ("output", "output_tokens", names.INFERENCE_OUTPUT_TOKENS),
        ):
            count = result.get(key)
            if isinstance(count, int) and signals.is_newest:
                signals.count(newest, known, count)
            elif isinstance(count, int):
                signals.record(names.TOKEN_USAGE, count, {**known, names.TOKEN_TYPE: kind})
        for edit in (*request.get("edits", ()), *result.get("edits", ())):
            signals.count(
                names.EDITS_COUNT, {names.EDIT_OP: str(edit["op"]), names.EDITED_BY: str(edit.get("by", ""))}
            )
        if retries := result.get("transport_retries"):
            signals.count(
                names.RETRIES_COUNT,
                {names.PROTOCOL: talk.protocol.name, names.RETRY_REASON: "transport"},
                retries,
            )
        if result.get("unaccounted"):
            talk.tell(names.UNACCOUNTED, "ERROR", {**known, names.PROMPT_UNACCOUNTED: True})

    def _tool(self, tool: str, seconds: float, *, is_error: bool) -> None:
        known = {names.GENAI_OPERATION: names.EXECUTE_TOOL, names.GENAI_TOOL: tool}
        if is_error:
            known[names.ERROR_TYPE] = "tool_error"
            self._talk.tell(names.TOOL_EXCEPTION, "WARN", {**known, names.EXCEPTION_TYPE: "tool_error"})
        self._talk.signals.record(names.TOOL_DURATION, seconds, known)


class _Details:
    """Takes what spans would tell of model calls, and tells it as log events."""

    is_recording = True

    def __init__(self, talk: Measured) -> None:
        self._talk = talk

    def draw(self, _name: str, attributes: Mapping[str, Any], **_when: Any) -> None:
        """Tell of a model call; what was said has a structure there, and is no text."""
        if attributes.get(names.GENAI_OPERATION) != names.CHAT:
            return
        told = {name: value for name, value in attributes.items() if name != names.OI_KIND}
        for name in (names.GENAI_INPUT_MESSAGES, names.GENAI_OUTPUT_MESSAGES):
            if name in told:
                told[name] = msgspec.json.decode(str(told[name]).encode("utf-8", "replace"))
        self._talk.tell(names.INFERENCE_DETAILS, "DEBUG", told)
