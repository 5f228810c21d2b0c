"""Draw OpenTelemetry spans from what happened: one trace per turn, and two markers per conversation.

Spans are a picture of the events, never their source: what is not traced is in the transcript all the same. A turn's span is
open and current while its agent works, so that spans of the agent's own nest under it; everything else is drawn once it is over.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from time import time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agentcomm.acts.message import Message
from agentcomm.conversation.events import (
    Ended,
    Event,
    Expired,
    Heard,
    OverlayClosed,
    Refused,
    RepairClosed,
    RepairOpened,
)
from agentcomm.conversation.moves import legal
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.errors import (
    AgentcommError,
    ContextOverflow,
    IllegalMove,
    ModelBroken,
    ModelRefused,
    ModelTimeout,
    ModelUnavailable,
)
from agentcomm.protocol.graph import OutcomeClass, Protocol
from agentcomm.runtime.span_events import EventSpans
from agentcomm.runtime.span_folded import Folded
from agentcomm.runtime.span_message import Facts, Parcel
from agentcomm.runtime.span_steps import Steps
from agentcomm.tracing import names
from agentcomm.tracing.content import cut
from agentcomm.tracing.protobuf import Base
from agentcomm.tracing.signals import signals

if TYPE_CHECKING:
    from agentcomm.tracing.late import LateSpan, LateTracer
    from agentcomm.tracing.tracer import Attributes, OpenSpan, Tracer

__all__ = (
    "Closing",
    "ConversationSpans",
    "Standing",
    "TurnSpans",
    "error_type",
    "place_name",
    "traceparent_of",
)

_BAD_ENDS = frozenset({OutcomeClass.FAILED, OutcomeClass.ABORTED, OutcomeClass.EXPIRED})

_ASIDE = 1_000_000
"""Nanoseconds between a marker and the turns: there are backends that sort traces by milliseconds, in which a turn of code is over."""

_COUNTED = frozenset({RepairOpened, RepairClosed, OverlayClosed, Ended, Refused})


class Standing(NamedTuple):
    """Where a turn begins."""

    place: str
    """State, or overlay and state."""
    rules: Rules | None
    """None where nothing can have been refused, and no time was up."""
    whole: float
    """Seconds for the whole conversation."""

    @classmethod
    def of(cls, conversation: Conversation) -> "Standing":
        """Return where a conversation stands."""
        return cls(place_name(conversation), conversation.rules, conversation.whole)


class Closing(NamedTuple):
    """How a conversation ended."""

    outcome: str
    outcome_class: OutcomeClass | None
    state: str
    messages: int
    repairs: int

    @classmethod
    def of(cls, conversation: Conversation) -> "Closing":
        """Return how a conversation ended."""
        outcome = conversation.outcome
        name, kind = (outcome.name, outcome.kind) if outcome is not None else ("", None)
        return cls(name, kind, conversation.position, conversation.n, conversation.spent)


class _Repair(msgspec.Struct, frozen=True):
    """A repair that is going on."""

    id: str
    about: str
    trigger: str
    depth: int

    @property
    def attributes(self) -> dict[str, Any]:
        """What each of its turns says about it."""
        kind = "third_position" if self.trigger == "readback" else "other_initiated"
        return {
            names.REPAIR_ID: self.id,
            names.REPAIR_KIND: kind,
            names.REPAIR_TRIGGER: self.trigger,
            names.REPAIR_DEPTH: self.depth,
        }


class ConversationSpans:
    """The spans of one conversation."""

    def __init__(
        self,
        tracer: "Tracer | LateTracer",
        protocol: Protocol,
        conversation: str,
        cast: Mapping[str, str],
        *,
        clock: Callable[[], int] = time_ns,
        caller: Any = None,
        before: int = 0,
    ) -> None:
        self.tracer: Any = tracer
        self.clock = clock
        self.facts = Facts(conversation, protocol, dict(cast), tracer.content.fresh())
        self.turn_now: TurnSpans | None = None
        self.inbox: dict[str, list[Parcel]] = {}
        self.indexes: dict[str, int] = {}
        self.repair: _Repair | None = None
        self.repairs: dict[str, int] = {}
        self.rejections = 0
        self.turns = before
        """The number of the turn that goes on; of what was taken up, higher than any before."""
        self.is_resumed = before > 0
        self.timed_out: Any = None
        """Place of the span of the deadline that passed last, until a turn follows from it."""
        self._begun = clock()
        self.places: Any = tracer.places(conversation)
        self.opening = self.latest = self.places.at(0)
        if before:
            return
        opening = self.tracer.open(
            f"{names.OPEN_CONVERSATION} {protocol.name}",
            {
                names.OI_KIND: names.OI_CHAIN,
                names.PROTOCOL_HASH: protocol.hash,
                names.PARTICIPANTS: list(dict.fromkeys(cast.values())),
                names.STATE_INITIAL: protocol.start,
                names.OI_INPUT: f"({', '.join(f'{role}: {agent}' for role, agent in cast.items())})",
                names.OI_INPUT_TYPE: "text/plain",
                names.OI_OUTPUT: f"({protocol.name} opens in {protocol.start})",
                names.OI_OUTPUT_TYPE: "text/plain",
                names.SCHEMA: names.SCHEMA_VERSION,
                names.GENAI_VERSION: names.GENAI_SEMCONV,
            },
            base=self.facts.base,
            start=self._begun - _ASIDE,
            links=[(caller, {names.LINK_RELATION: "caller"})] if caller else [],
            place=self.places.at(0),
        )
        opening.end(at=self._begun)
        self.opening = self.latest = opening.place

    @property
    def sinks(self) -> list[str]:
        """Where the texts of prompts and answers go with the spans."""
        return [self.tracer.sink] if self.facts.content.is_full else []

    @property
    def under(self) -> Any:
        """The parent of turns; None where each is a trace of its own."""
        return self.opening if self.tracer.scope == "conversation" else None

    def turn(
        self, before: Conversation, role: str, model: str, heard: Message | None = None, came: str = ""
    ) -> "TurnSpans":
        """Begin a turn's span and make it current.

        Args:
            before: The conversation as it stands.
            role: Who has the floor.
            model: The agent's model; empty for code.
            heard: What it answers, where that may have been said in another process.
            came: The trace context that came with it.
        """
        self.turn_now = TurnSpans(self, Standing.of(before), role, model, before, heard=heard, came=came)
        return self.turn_now

    def share(self) -> None:
        """Nothing: each turn has a span that is current."""

    part = share

    def happened(self, events: Iterable[Event]) -> None:
        """Take events at the moment they happen, for the turn that is going on."""
        if self.turn_now is not None:
            now = self.clock()
            self.turn_now.moments += [(now, event) for event in events]

    def end(self, conversation: Conversation, *, head: str, count: int) -> None:
        """Mark that the conversation is closed.

        Args:
            conversation: As it ended.
            head: Head of the transcript's hash chain; empty if no lines were written.
            count: Records in it.
        """
        self.close(Closing.of(conversation), head=head, count=count)

    def close(self, closing: Closing, *, head: str, count: int) -> None:
        """Mark how it ended; arguments as of `end`."""
        now, kind = self.clock(), closing.outcome_class
        bad = kind in _BAD_ENDS
        attributes: dict[str, Any] = {
            names.OI_KIND: names.OI_CHAIN,
            names.STATE_FINAL: closing.state,
            names.MESSAGES: closing.messages,
            names.REPAIRS: closing.repairs,
        }
        if not self.is_resumed:  # else only some of it was seen here
            attributes |= {
                names.TURNS: self.turns,
                names.REJECTIONS: self.rejections,
                names.DURATION: (now - self._begun) / 1e9,
            }
        if head:
            attributes[names.AUDIT_HEAD] = head if head.startswith("sha256:") else f"sha256:{head}"
            attributes[names.AUDIT_COUNT] = count
        if kind is not None:
            attributes |= {names.OUTCOME: kind.value, names.OUTCOME_NAME: closing.outcome}
            attributes |= {names.OI_INPUT: "(closes)", names.OI_INPUT_TYPE: "text/plain"}
            attributes |= {
                names.OI_OUTPUT: f"({closing.outcome}: {kind.value})",
                names.OI_OUTPUT_TYPE: "text/plain",
            }
            if bad:
                attributes[names.ERROR_TYPE] = kind.value
        links = [(self.opening, {names.LINK_RELATION: "opened"})] if self.opening is not None else []
        if self.latest is not self.opening:
            links.append((self.latest, {names.LINK_RELATION: "follows"}))
        marker = self.tracer.open(
            f"{names.CLOSE_CONVERSATION} {self.facts.protocol.name}",
            attributes,
            base=self.facts.base,
            start=now + _ASIDE,
            links=links,
            under=self.under,
            place=self.places.after(0),
        )
        marker.end(at=now + _ASIDE, error=kind.value if bad and kind is not None else None)
        where = signals() if self.facts.content.redacted else None
        if where is not None:
            where.tell(
                names.REDACTED,
                "INFO",
                {
                    names.GENAI_CONVERSATION: self.facts.id,
                    names.SINK: self.tracer.sink,
                    names.REDACTED_KINDS: sorted(self.facts.content.redacted),
                },
                now,
            )

    def follow_repairs(self, event: Event) -> None:
        """Keep up with which repair is going on."""
        match event:
            case RepairOpened(about=about, kind=kind):
                depth = self.repairs[about] = self.repairs.get(about, 0) + 1
                self.repair = _Repair(f"rep-{sum(self.repairs.values())}", about, kind, depth)
            case RepairClosed() | OverlayClosed() | Ended():
                self.repair = None
            case _:
                pass


class TurnSpans:
    """The spans of one turn."""

    def __init__(
        self,
        talk: ConversationSpans,
        before: Standing,
        role: str,
        model: str,
        conversation: Conversation | None = None,
        *,
        heard: Message | None = None,
        came: str = "",
    ) -> None:
        self._talk = talk
        self._facts = facts = talk.facts
        self._before = before
        self._conversation = conversation
        self._role = role
        self._begun = talk.clock()
        self.moments: list[tuple[int, Event]] = []
        agent = facts.agent(role)
        talk.turns += 1
        index = talk.indexes[agent] = talk.indexes.get(agent, 0) + 1
        self._state = before.place
        self._base = Base({names.GENAI_AGENT: agent, names.ROLE: role, names.TURN_INDEX: index}, facts.base)
        self._heard = talk.inbox.pop(role, [])
        if heard is not None and all(parcel.message.id != heard.id for parcel in self._heard):
            self._heard.append(Parcel(facts, heard, talk.tracer.place_of(came), self._begun))
        self._repair = talk.repair
        trigger, links = self._trigger()
        attributes: dict[str, Any] = {
            names.GENAI_OPERATION: names.INVOKE_AGENT,
            names.OI_KIND: names.OI_AGENT,
            names.OI_NODE: agent,
            names.AGENT_KIND: "llm" if model else "rule",
            names.TURN_ID: f"{facts.id}/{talk.turns}",
            names.TURN_TRIGGER: trigger,
            names.STATE_BEFORE: self._state,
        }
        self._root: OpenSpan | LateSpan | Folded = talk.tracer.open(
            f"{names.INVOKE_AGENT} {agent}",
            attributes,
            base=self._base,
            start=self._begun,
            links=links,
            under=talk.under,
            place=talk.places.at(talk.turns),
        )
        if talk.tracer.detail == "turn":
            self._root = Folded(self._root)
        self._steps = Steps(self._root, facts.content, talk.tracer.sink, talk.clock, talk.tracer.detail)
        self._marks = EventSpans(self._root, facts.content, before.rules, self._state)
        talk.timed_out = None
        if self._root.is_recording and talk.tracer.detail != "turn":
            for parcel in self._heard:
                self._receive(parcel)
        self._root.enter()

    @property
    def traceparent(self) -> str:
        """W3C's trace context of the turn."""
        return traceparent_of(self._root.place)

    @property
    def root(self) -> Any:
        """The turn's span."""
        return self._root

    @property
    def sinks(self) -> list[str]:
        """Where the texts of prompts and answers go with the spans."""
        return self._talk.sinks

    def waits(self) -> None:
        """Nothing: it has a span of its own."""

    def step(self, kind: str, data: dict[str, Any], body: Any) -> None:
        """Take a step from the journal, as it happens."""
        self._steps.step(kind, data, body)

    def end(
        self, after: Conversation, events: Sequence[Event] = (), error: BaseException | None = None
    ) -> None:
        """End the turn's span, and draw what happened in it.

        Args:
            after: The conversation as it stands now.
            events: What happened, where `ConversationSpans.happened` was not told.
            error: What the turn failed with.
        """
        self._root.leave()
        moments = self.moments or [(self._talk.clock(), event) for event in events]
        awaiting: list[str] = []
        if self._conversation is not None and any(isinstance(event, Expired) for _, event in moments):
            awaiting = [move.label for move in legal(self._conversation)]
        self.close(moments, place_name(after), awaiting, error)

    def close(
        self,
        moments: Sequence[tuple[int, Event]],
        after: str,
        awaiting: Sequence[str],
        error: BaseException | None,
        known: Mapping[str, Any] | None = None,
    ) -> None:
        """Draw a turn that is over.

        Args:
            moments: What happened, and when.
            after: Where the conversation stands now.
            awaiting: The moves that were legal, if a deadline passed.
            error: What the turn failed with.
            known: What the agent set on the span.
        """
        talk, now = self._talk, self._talk.clock()
        talk.turn_now = None
        repair = self._repair
        for _, event in moments:
            if type(event) in _COUNTED:
                talk.follow_repairs(event)
                repair = repair or talk.repair
                talk.rejections += isinstance(event, Refused)
        sent = self._draw(moments, after, awaiting, now, error)
        talk.latest = self._root.place
        if self._root.is_recording:
            outcome, wrong = _outcome([event for _, event in moments], error)
            attributes: dict[str, Any] = {
                **(_of_agent(known) if known else {}),
                names.TURN_OUTCOME: outcome,
                names.STATE_AFTER: after,
                names.OI_OUTPUT: cut(sent.spoken) if sent else f"({outcome})",
                names.OI_OUTPUT_TYPE: "text/plain",
                **self._input(),
                **(repair.attributes if repair else {}),
            }
            if sent is not None:
                if asked := sent.message.in_reply_to:
                    attributes[names.IN_REPLY_TO] = asked
                    if attributes.get(names.TRIGGER_IDS) == [asked]:
                        del attributes[names.TRIGGER_IDS]  # it says the same
                if self._facts.content.is_full:
                    attributes[names.GENAI_OUTPUT_MESSAGES] = self._messages("assistant", [sent])
            if wrong is not None:
                attributes[names.ERROR_TYPE] = wrong
                if isinstance(error, AgentcommError):
                    attributes[names.ERROR_CODE] = error.code
            self._root.end(attributes, at=talk.clock(), error=wrong and self._why(wrong, error))
        else:
            self._root.end(at=now)

    def _why(self, wrong: str, error: BaseException | None) -> str:
        content = self._facts.content
        return content.text("error", str(error)) if error is not None and content.is_full else wrong

    def _trigger(self) -> tuple[str, list[tuple[Any, "Attributes"]]]:
        """Return why the turn came about, and the spans it follows from."""
        talk = self._talk
        relation = "repair_of" if talk.repair is not None else "trigger"
        links: list[tuple[Any, Attributes]] = [
            (parcel.place, {names.MESSAGING_ID: parcel.message.id, names.LINK_RELATION: relation})
            for parcel in self._heard
            if parcel.place is not None
        ]
        if talk.timed_out is not None:
            return "timer", [*links, (talk.timed_out, {names.LINK_RELATION: "timer"})]
        if self._heard:
            return "message", links
        if talk.turns == 1:
            return "goal", [(talk.opening, {names.LINK_RELATION: "opened"})]
        return "resume", [(talk.latest, {names.LINK_RELATION: "follows"})] if talk.latest is not None else []

    def _input(self) -> dict[str, Any]:
        talk, heard = self._talk, self._heard
        if not heard:
            said = f"opens {self._facts.protocol.name}" if talk.turns == 1 else "has the floor"
            return {names.OI_INPUT: f"({said})", names.OI_INPUT_TYPE: "text/plain"}
        found: dict[str, Any] = {
            names.OI_INPUT: cut("\n".join(parcel.heard for parcel in heard)),
            names.OI_INPUT_TYPE: "text/plain",
            names.OI_PARENT_NODE: self._facts.agent(heard[-1].message.sender),
            names.TRIGGER_IDS: [parcel.message.id for parcel in heard],
        }
        if self._facts.content.is_full:
            found[names.GENAI_INPUT_MESSAGES] = self._messages("user", heard)
        return found

    def _messages(self, role: str, parcels: Sequence[Parcel]) -> str:
        return self._facts.content.data(
            "message",
            [
                {
                    "role": role,
                    "name": self._facts.agent(parcel.message.sender),
                    "parts": [{"type": "text", "content": str(parcel.message)}],
                }
                for parcel in parcels
            ],
        )

    def _receive(self, parcel: Parcel) -> None:
        self._root.draw(
            f"{names.RECEIVE} {parcel.message.act}",
            {
                **parcel.attributes,
                names.MESSAGING_OPERATION: names.RECEIVE,
                names.MESSAGING_OPERATION_TYPE: "process",
                names.MESSAGING_DESTINATION: self._facts.agent(self._role),
                names.LATENCY: max(0, self._begun - parcel.at) / 1e9,
            },
            start=self._begun,
            end=self._talk.clock(),
            kind="consumer",
        )

    def _draw(
        self,
        moments: Sequence[tuple[int, Event]],
        after: str,
        awaiting: Sequence[str],
        now: int,
        error: BaseException | None,
    ) -> Parcel | None:
        """Draw the steps that the events tell of; return the message that was sent."""
        events = [event for _, event in moments]
        sent: Parcel | None = None
        expired = next((event for event in events if isinstance(event, Expired)), None)
        if expired is not None:
            self._timeout(expired, awaiting, now)
        if self._root.is_recording:
            self._steps.close(now, "timeout" if expired else error_type(error) if error else "no_result")
        for at, event in moments:
            if isinstance(event, Heard):
                sent = self._sent(event, after, at)
            elif self._root.is_recording:
                self._marks.event(event, at, events, sent.message.id if sent else "")
        return sent

    def _sent(self, event: Heard, after: str, at: int) -> Parcel:
        """Draw a message that counts: the transition it makes, and its way out."""
        message, marks = event.message, self._marks
        parcel = Parcel(self._facts, message, self._root.place, at)
        if self._root.is_recording:
            if not isinstance(self._root, Folded):
                marks.moved(message.act, self._state, after, at, message.id)
            attributes = {
                **parcel.attributes,
                names.MESSAGING_OPERATION: names.SEND,
                names.MESSAGING_OPERATION_TYPE: names.SEND,
            }
            if len(message.receivers) == 1:
                attributes[names.MESSAGING_DESTINATION] = self._facts.agent(message.receivers[0])
            parcel.place = marks.draw(f"{names.SEND} {message.act}", attributes, at, kind="producer")
        for role in message.receivers:
            self._talk.inbox.setdefault(role, []).append(parcel)
        return parcel

    def _timeout(self, event: Expired, awaiting: Sequence[str], now: int) -> None:
        """Draw a deadline that passed: a root of its own, linked to the turn that waited and what it had heard."""
        talk, before = self._talk, self._before
        kind = "reply" if event.state else "conversation"
        rules = before.rules
        state = rules.protocol.states.get(event.state) if rules is not None else None
        limit = state.within if state else before.whole if not event.state else None
        attributes: dict[str, Any] = {
            names.OI_KIND: names.OI_CHAIN,
            names.ERROR_TYPE: "timeout",
            names.TIMEOUT_KIND: kind,
            names.TIMEOUT_WAITED: (now - self._begun) / 1e9,
            names.TIMEOUT_AWAITING: list(awaiting),
            names.STATE_FROM: event.state or self._state,
            names.STATE_TO: event.next,
        }
        if limit is not None:
            attributes[names.TIMEOUT_LIMIT] = limit
        links: list[tuple[Any, Attributes]] = [(self._root.place, {names.LINK_RELATION: "waited"})]
        for parcel in self._heard[-1:]:
            attributes[names.MESSAGING_ID] = parcel.message.id
            relation = {names.MESSAGING_ID: parcel.message.id, names.LINK_RELATION: "awaited"}
            if parcel.place is not None:
                links.append((parcel.place, relation))
        span = talk.tracer.open(
            f"{names.TIMEOUT} {event.state or kind}",
            attributes,
            base=self._base,
            start=self._begun,
            links=links,
            under=talk.under,
            place=talk.places.after(talk.turns),
        )
        span.end(at=now, error="timeout")
        talk.timed_out = span.place


def traceparent_of(context: Any) -> str:
    """Return a span's context as W3C's `traceparent`; empty for one that is not valid."""
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def place_name(conversation: Conversation) -> str:
    """Return the state that a conversation is in; in an overlay, the overlay's with its name before."""
    frame = conversation.frame
    return f"{frame.overlay}/{frame.position}" if frame else conversation.position


_MOST_KNOWN = 64
"""Attributes that an agent may set on its turn: backends take 128 on a span, and drop the oldest of more."""


def _of_agent(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an agent set on its turn's span, as far as backends take it."""
    first = islice(known.items(), _MOST_KNOWN)
    return {str(name): cut(value) if isinstance(value, str) else value for name, value in first}


def _outcome(events: Sequence[Event], error: BaseException | None) -> tuple[str, str | None]:
    """Return how a turn came out, and its error's type if it failed as a whole."""
    if isinstance(error, asyncio.CancelledError):
        return "closed", None
    if error is not None:
        return "failed", error_type(error)
    spent = any(isinstance(event, Refused) and not event.left for event in events)
    if any(isinstance(event, Heard) for event in events):
        return ("refused" if spent else "sent"), None
    if any(isinstance(event, Expired) for event in events):
        return "silent", None
    if spent:
        return "failed", "illegal_move"
    return "closed", None


def error_type(error: BaseException) -> str:
    """Return the `error.type` of what a turn failed with."""
    match error:
        case asyncio.CancelledError():
            return "cancelled"
        case IllegalMove():
            return "illegal_move"
        case ContextOverflow():
            return "context_overflow"
        case ModelTimeout():
            return "timeout"
        case ModelUnavailable() | ModelRefused() | ModelBroken():
            return "model_error"
        case _:
            return type(error).__qualname__
