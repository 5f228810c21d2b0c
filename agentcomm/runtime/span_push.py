"""Draw the spans of a stored transcript, with the times and names it has on record.

The ids of spans come from the conversation's id and the place in it, so that a transcript sent twice is one conversation in a backend.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from agentcomm.conversation.events import (
    Ended,
    Event,
    Expired,
    Heard,
    Judged,
    LaneEnded,
    LanesBegan,
    Late,
    Moved,
    Opened,
    OverlayClosed,
    OverlayOpened,
    Refused,
    RepairOpened,
    Superseded,
)
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.transcript import ERASED, Record, Transcript
from agentcomm.protocol.graph import OutcomeClass
from agentcomm.runtime.replay import rules_of
from agentcomm.runtime.span_late import Drawing
from agentcomm.runtime.span_notes import TurnNotes
from agentcomm.runtime.spans import Closing, Standing
from agentcomm.tracing.late import LateTracer

__all__ = ("push_transcript",)


def push_transcript(transcript: Transcript, tracer: LateTracer, submit: Callable[..., None]) -> int:
    """Hand on a transcript's drawing, and return how many turns it has.

    Args:
        transcript: What was read; of a damaged one, what is sound.
        tracer: What spans are made with.
        submit: Takes each piece of drawing, to be done in order, as `CountedBatches.submit`.

    Raises:
        RecordError: If its opening, or the protocol in it, is missing.
    """
    return _Pusher(transcript, tracer, submit).push()


_APART = 20_000
"""Nanoseconds between records of one time: a record's is in milliseconds, in which many things happen."""
_TURNS_APART = 1_000_000
"""Nanoseconds between the beginnings of turns: there are backends that sort traces by milliseconds."""


class _Turn:
    """A turn whose end is still to come."""

    def __init__(self, begun: int, before: Standing) -> None:
        self.begun = begun
        self.before = before
        self.steps: list[tuple[int, str, Any, Any]] = []
        self.moments: list[tuple[int, tuple[Event, ...]]] = []


class _Pusher:
    def __init__(self, transcript: Transcript, tracer: LateTracer, submit: Callable[..., None]) -> None:
        self.transcript = transcript
        self.rules: Rules = rules_of(transcript)
        opening = cast("Record", transcript.opening)
        data = opening.data
        self.cast = {role: str(player["agent"]) for role, player in data["cast"].items()}
        self.models = {role: str(player["model"]) for role, player in data["cast"].items()}
        self.whole = float(data.get("whole") or "inf")
        self.submit = submit
        self.drawing = Drawing(tracer, self.rules.protocol, str(data["conversation"]), self.cast)
        self.place: dict[str, str] = {}
        self.overlays: dict[str, str] = {}
        self.open: dict[tuple[str, str], _Turn] = {}
        self.steps: list[tuple[str, tuple[int, str, Any, Any]]] = []
        """Agent and step, for the turn they belong to."""
        self.now = self.last = self.read = _ns(opening.time)
        self.turns = self.messages = self.repairs = 0
        self.ended: Ended | None = None

    def push(self) -> int:
        self.submit(self.drawing.open, (self.now, None))
        for at, events in self._groups():
            self.now = at
            self._group(tuple(events))
            self.last = max(at, self.read)
        for key in list(self.open):  # a talk that broke off, or ended, while somebody tried again
            self._submit(key, self.models.get(key[0], ""), ())
        transcript, ended = self.transcript, self.ended
        if ended is not None:
            kind = OutcomeClass(ended.outcome_class)
            closing = Closing(ended.outcome, kind, ended.outcome, self.messages, self.repairs)
            self.submit(
                self.drawing.close,
                (self.last + _APART // 2, closing, transcript.head, len(transcript.records)),
            )
        return self.turns

    def _groups(self) -> Iterator[tuple[int, list[Event]]]:
        """Yield what followed from each input, with its time; steps are kept for the turn they led to."""
        events, group = self.transcript.events(), list[Event]()
        at = self.now
        for record in self.transcript.records:
            if record.kind == "event":
                group.append(next(events))
                at = self._at(record)
                continue
            if group:
                yield at, group
                group = []
            if record.kind == "step":
                self._step(record)
        if group:
            yield at, group

    def _at(self, record: Record) -> int:
        """Return a record's time, after that of the record before: backends, which sort by time, keep their order."""
        self.read = max(_ns(record.time), self.read + _APART)
        return self.read

    def _step(self, record: Record) -> None:
        body = self.transcript.body(record)
        body = None if body == ERASED else body
        if record.type == "model.request" and isinstance(body, dict):
            known = cast("dict[str, Any]", body)
            messages = [SimpleNamespace(**message) for message in known.get("messages", ())]
            body = {**known, "messages": messages}
        self.steps.append(
            (str(record.data.get("agent", "")), (self._at(record), record.type, record.data, body))
        )

    def _standing(self, lane: str) -> Standing:
        place = self.place.get(lane, self.place.get("", ""))
        overlay = self.overlays.get(lane)
        return Standing(f"{overlay}/{place}" if overlay else place, self.rules, self.whole)

    def _group(self, events: tuple[Event, ...]) -> None:
        role, lane, model = self._speaker(events)
        key = role, lane
        before = self._standing(lane)
        agent = self.cast.get(lane, "") or self.cast.get(role, role)
        mine = [step for who, step in self.steps if who in {"", agent}]
        self.steps = [(who, step) for who, step in self.steps if who not in {"", agent}]
        for event in events:
            self._follow(event)
        if not role:
            return
        turn = self.open.get(key)
        if turn is None:
            begun = min(self.last + _APART // 2, *(at for at, *_ in mine), self.now)
            turn = self.open[key] = _Turn(begun, before)
        turn.steps += mine
        turn.moments.append((self.now, events))
        goes_on = any(isinstance(event, Refused) for event in events)  # or a rule speaks for it
        if goes_on and not any(isinstance(event, (Heard, Ended)) for event in events):
            return
        self._submit(key, model, events)

    def _submit(self, key: tuple[str, str], model: str, events: tuple[Event, ...]) -> None:
        turn = self.open.pop(key)
        self.turns += 1
        self.read = max(self.read, turn.begun + _TURNS_APART)
        awaiting: list[str] = []
        for event in events:
            if isinstance(event, Expired) and event.state in self.rules.protocol.states:
                awaiting = [move.label for move in self.rules.protocol.states[event.state].moves.values()]
        before = turn.before
        notes = TurnNotes(turn.begun, before.place, before.rules, before.whole, key[0], model)
        notes.steps = turn.steps or None
        for at, some in turn.moments:
            notes.happened(at, some)
        notes.ended, notes.after, notes.awaiting = self.now, self._standing(key[1]).place, awaiting
        self.submit(self.drawing.turns, (iter((notes,)),))

    def _speaker(self, events: tuple[Event, ...]) -> tuple[str, str, str]:
        """Return role, lane and model of who made something happen; empty if nobody did."""
        for event in events:
            match event:
                case Heard(message=message):
                    model = (
                        "" if message.made_by in {"rule", "handler"} else self.models.get(message.sender, "")
                    )
                    return message.sender, message.lane, model
                case Refused() | Late() | Superseded():
                    return event.role, event.lane, self.models.get(event.role, "")
                case Judged():
                    return event.judge, event.lane, ""
                case Expired():
                    state = self.rules.protocol.states.get(event.state)
                    role = state.speakers[0] if state and state.speakers else next(iter(self.cast), "")
                    return role, event.lane, self.models.get(role, "")
                case _:
                    pass
        return "", "", ""

    def _follow(self, event: Event) -> None:
        match event:
            case Opened():
                self.place[""] = event.state
            case Moved():
                self.place[event.lane] = event.next
            case LanesBegan():
                self.place |= dict.fromkeys(event.lanes, event.state)
            case LaneEnded():
                self.place[event.lane] = event.outcome
            case Expired():
                if event.state in self.rules.protocol.states:
                    self.place[event.lane] = event.next
            case OverlayOpened():
                self.overlays[event.lane] = event.overlay
            case OverlayClosed():
                self.overlays.pop(event.lane, None)
            case Heard():
                self.messages += 1
            case RepairOpened():
                self.repairs += 1
            case Ended():
                self.ended = event
                self.place[""] = event.outcome
            case _:
                pass


def _ns(time: str) -> int:
    """Return a record's time in nanoseconds since the epoch; exact, where a float would not be."""
    moment = datetime.fromisoformat(time)
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000_000 + moment.microsecond * 1000
