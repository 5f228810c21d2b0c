"""What happened in a conversation, row by row: read from its transcript alone, so that a cut or erased one still tells.

A row is something that was said, refused or due. What came of it (evidence, troubles, commitments, where the talk stands then)
stands with it, and so do the model and tool calls that led to it. One pass, and a row holds only what changed.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from agentcomm.acts.content import entries_of, format_value, printable
from agentcomm.conversation.audit import level_of
from agentcomm.conversation.events import (
    Chose,
    CommitmentChanged,
    DeadlineSet,
    Duplicate,
    Ended,
    Event,
    EvidenceWanted,
    Expired,
    GatherOpened,
    Grounded,
    Heard,
    Joined,
    Judged,
    LaneEnded,
    LanesBegan,
    Late,
    Left,
    Moved,
    Opened,
    OverlayClosed,
    OverlayOpened,
    OwnerChanged,
    Refused,
    RepairClosed,
    RepairOpened,
    Staged,
    Superseded,
    TroubleFound,
)
from agentcomm.conversation.transcript import ERASED, Record, Transcript

__all__ = (
    "Call",
    "Item",
    "Note",
    "Player",
    "Row",
    "Story",
    "Teller",
    "past_of",
    "story_of",
    "walk",
    "within_of",
)


class Player(msgspec.Struct, frozen=True):
    """Who plays a role."""

    role: str
    agent: str
    model: str
    """Empty for an agent in code."""


class Item(msgspec.Struct, frozen=True):
    """A value of the common ground that changed."""

    key: str
    """`act.field`, or `lane: act.field`."""
    value: str
    status: str
    """proposed, grounded or void."""
    n: int
    """Number of the message that said it."""


class Note(msgspec.Struct, frozen=True):
    """Something that came of a row."""

    kind: str
    """Good, bad or dim: how it is shown."""
    text: str
    code: str = ""
    """The event it tells of: trouble, judged, repair-opened, repair-closed, overlay-closed, commitment, lane-ended, …"""


class Call(msgspec.Struct):
    """One call of a model or a tool."""

    seq: int
    agent: str
    kind: str
    """Model or tool."""
    name: str
    """Of the model or the tool."""
    request: dict[str, Any]
    """What the record says of it, content included."""
    answer: str = ""
    thinking: str = ""
    error: str = ""
    seconds: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    attempt: int = 1


class Row(msgspec.Struct):
    """Something said, refused or due, with what came of it."""

    seq: int
    at: float
    """Seconds since the conversation was opened, by the record's clock."""
    kind: str
    """said, refused, late, superseded, duplicate, expired, judged, note or ended."""
    n: int = 0
    """Number of the message; 0 for what is none."""
    by: str = ""
    to: list[str] = msgspec.field(default_factory=list[str])
    lane: str = ""
    act: str = ""
    made_by: str = ""
    overlay: str = ""
    about: int = 0
    """Number of the message that an overlay is about."""
    fields: list[tuple[str, str]] = msgspec.field(default_factory=list[tuple[str, str]])
    text: str = ""
    notes: list[Note] = msgspec.field(default_factory=list[Note])
    moved: list[tuple[str, str, str, str]] = msgspec.field(default_factory=list[tuple[str, str, str, str]])
    """Lane, state before, state after and act, of every position that changed; no act where time or a rule moved it."""
    ground: list[Item] = msgspec.field(default_factory=list[Item])
    commitments: list[tuple[str, str, str, str, str]] = msgspec.field(
        default_factory=list[tuple[str, str, str, str, str]]
    )
    """Id, act, debtor, creditor and status, of every commitment that changed."""
    deadlines: list[tuple[str, str, float]] = msgspec.field(default_factory=list[tuple[str, str, float]])
    """Lane, state, and the second it ends at."""
    calls: list[Call] = msgspec.field(default_factory=list[Call])

    @property
    def is_trouble(self) -> bool:
        """Whether something went wrong here."""
        return self.kind in _FAULTS or any(note.kind == "bad" for note in self.notes)


_FAULTS = frozenset({"refused", "late", "expired"})


def within_of(data: Mapping[str, Any]) -> str:
    """Return which turn of another conversation one was held within, from its opening record; empty if in none."""
    given = data.get("within")
    if not isinstance(given, dict):
        return ""
    turn = cast("dict[str, Any]", given)
    return printable(f"a turn of {turn.get('role', '?')} in {turn.get('conversation', '?')}")


def past_of(data: Mapping[str, Any]) -> str:
    """Return what a conversation goes on from, from its opening record; empty if it began by itself."""
    given = data.get("past")
    if not isinstance(given, dict):
        return ""
    past = cast("dict[str, Any]", given)
    count = past.get("messages", "?")
    first = "message 1" if count == 1 else f"messages 1 to {count}"
    return printable(f"{first} are those of {past.get('conversation', '?')}" if count else "")


class Story(msgspec.Struct):
    """What happened in a conversation."""

    protocol: str
    version: str
    hash: str
    conversation: str
    opened: str
    """RFC 3339, UTC; empty if the opening record is missing."""
    start: str
    players: list[Player]
    members: list[str]
    rows: list[Row]
    within: str = ""
    """The turn of another conversation that it was held within."""
    past: str = ""
    """What it goes on from."""
    outcome: str = ""
    outcome_class: str = ""
    cause: str = ""
    is_sealed: bool = False
    damage: str = ""
    erased: int = 0
    """Records whose content was deleted, or never kept."""
    level: str = "full"
    """How much of what was said was kept from the first on: full, hash or none."""
    records: int = 0

    @property
    def messages(self) -> list[Row]:
        """The rows in which something was said."""
        return [row for row in self.rows if row.kind == "said"]

    @property
    def repairs(self) -> int:
        """How many repairs were opened."""
        return sum(note.code == "repair-opened" for row in self.rows for note in row.notes)

    @property
    def refusals(self) -> int:
        """How often what was said did not count."""
        return sum(row.kind == "refused" for row in self.rows)

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens that went into models and came out of them, as far as they were counted."""
        calls = [call for row in self.rows for call in row.calls]
        return sum(call.tokens_in or 0 for call in calls), sum(call.tokens_out or 0 for call in calls)

    @property
    def duration(self) -> float:
        """Seconds from the opening to the last row."""
        return self.rows[-1].at if self.rows else 0.0

    @property
    def has_ended_well(self) -> bool:
        """Whether the outcome is a success, in full or in part."""
        return self.outcome_class in {"success", "partial"}

    def names(self) -> dict[str, str]:
        """Return who plays each role, by role or member."""
        return {player.role: player.agent for player in self.players}

    def faults(self) -> list[Row]:
        """Return the rows in which something went wrong, in order; those of an answer that was put right among them."""
        return [row for row in self.rows if row.is_trouble]


def story_of(transcript: Transcript) -> Story:
    """Return what happened in a conversation, as its transcript tells it; one that is cut tells up to there."""
    teller = Teller()
    teller.feed(transcript)
    return teller.tell()


def _seconds(time: str, since: datetime | None) -> float:
    moment = _moment(time)
    return (moment - since).total_seconds() if since and moment else 0.0


def _moment(time: str) -> datetime | None:
    """Return a record's time; none if another hand wrote it in another way."""
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _texts(value: Any) -> list[tuple[str, str]]:
    pairs = entries_of(value) or {}
    if len(pairs) == 1 and "fields" in pairs:  # a read-back shows the fields themselves
        pairs = entries_of(pairs["fields"]) or pairs
    return [(printable(name), _text(item)) for name, item in pairs.items() if item is not None]


def _text(value: Any) -> str:
    """Return a value as it is shown: a text as it is, anything else as a transcript writes it."""
    return printable(value, keep="\n") if isinstance(value, str) else format_value(value)


class Teller:
    """Tells what happens, as its records come in."""

    def __init__(self) -> None:
        self.transcript = Transcript((), {}, None, "")
        self.since: datetime | None = None
        self.opening: Record | None = None
        self.is_sealed = False
        self.damage = ""
        self.erased = 0
        self.level = "full"
        self.records = 0
        self.rows: list[Row] = []
        self.numbers: dict[str, int] = {}
        self.said: dict[str, list[tuple[str, str]]] = {}
        """Fields of each message on record, by id."""
        self.acts: dict[str, str] = {}
        self.pending: dict[str, list[Call]] = {}
        """Calls by agent whose row is still to come."""
        self.place: dict[str, str] = {}
        self.overlays: dict[str, str] = {}
        """The overlay that is open, by lane."""
        self.end: Ended | None = None
        self.agents: dict[str, str] = {}

    def feed(self, transcript: Transcript) -> None:
        """Take a transcript, or the part of it that came since."""
        self.transcript = transcript
        self.damage = str(transcript.damage) if transcript.damage else ""
        self.erased += len(transcript.erased)
        if self.level == "full":
            self.level = level_of(transcript)
        self.records += len(transcript.records)
        self.is_sealed = transcript.seal is not None
        if self.since is None and transcript.records:
            self.since = _moment(transcript.records[0].time)
            self.opening = transcript.opening
            data = self.opening.data if self.opening else {}
            for role, player in cast("dict[str, dict[str, Any]]", data.get("cast", {})).items():
                self.agents[role] = str(player.get("agent", role))
        events = transcript.events()
        for record in transcript.records:
            if record.kind == "event":
                self._event(record, next(events))
            elif record.kind == "step":
                self._step(record)

    def tell(self) -> Story:
        """Return what happened so far."""
        self._leftovers()
        opening, end = self.opening, self.end
        data = opening.data if opening else {}
        players = [
            Player(role, str(given.get("agent", role)), str(given.get("model", "")))
            for role, given in cast("dict[str, dict[str, Any]]", data.get("cast", {})).items()
        ]
        protocol = cast("dict[str, Any]", data.get("protocol", {}))
        return Story(
            protocol=str(protocol.get("name", "?")),
            version=str(protocol.get("version", "")),
            hash=str(protocol.get("hash", "")),
            conversation=str(data.get("conversation", "?")),
            opened=opening.time if opening else "",
            start=self.rows[0].moved[0][2] if self.rows and self.rows[0].moved else "",
            players=players,
            members=[str(name) for name in data.get("members", ())],
            rows=self.rows,
            within=within_of(data),
            past=past_of(data),
            outcome=end.outcome if end else "",
            outcome_class=end.outcome_class if end else "",
            cause=end.cause if end else "",
            is_sealed=self.is_sealed,
            damage=self.damage,
            erased=self.erased,
            level=self.level,
            records=self.records,
        )

    def _add(self, record: Record, kind: str, **given: Any) -> Row:
        row = Row(seq=record.seq, at=_seconds(record.time, self.since), kind=kind, **given)
        self.rows.append(row)
        return row

    def _last(self, record: Record) -> Row:
        """Return the row that something came of."""
        return self.rows[-1] if self.rows else self._add(record, "note")

    def _note(self, record: Record, kind: str, text: str) -> None:
        self._last(record).notes.append(Note(kind, printable(text), record.type))

    def _calls(self, *who: str) -> list[Call]:
        """Return, and take away, the calls of those named, and of nobody named, by their place in the record."""
        agents = {"", *(self.agents.get(name, name) for name in who)}
        found = [call for agent in agents for call in self.pending.pop(agent, ())]
        return sorted(found, key=lambda call: call.seq)

    def _event(self, record: Record, event: Event) -> None:
        match event:
            case Opened():
                row = self._add(record, "note", text="opened")
                row.moved.append(("", "", event.state, ""))
                self.place[""] = event.state
            case Heard():
                self._heard(record, event)
            case Refused():
                row = self._add(record, "refused", by=event.role, act=event.act, lane=event.lane)
                tries = f" ({event.left} more {'try' if event.left == 1 else 'tries'})" if event.legal else ""
                row.text = printable(f"{event.code}: {event.reason}{tries}")
                row.calls = self._calls(event.lane, event.role)
            case Late() | Superseded():
                kind = "late" if isinstance(event, Late) else "superseded"
                reason = event.reason if isinstance(event, Late) else "another was first"
                self._add(record, kind, by=event.role, act=event.act, lane=event.lane, text=printable(reason))
            case Duplicate():
                self._add(
                    record, "duplicate", text=f"of {self.numbers.get(event.message, 0)}: no second effect"
                )
            case Expired():
                place = event.state or "the whole conversation"
                self._add(
                    record, "expired", lane=event.lane, text=f"time is up: {place} leads to {event.next}"
                )
                overlay = self.overlays.get(event.lane)
                if overlay is None or not event.state.startswith(f"{overlay}/"):
                    self._place(record, event.lane, event.next)
            case Moved():
                self._moved(record, event)
            case Grounded():
                self._grounded(record, event)
            case TroubleFound():
                text = "; ".join(map(str, event.differs))
                self._note(record, "bad", f"{event.kind}: {text}" if text else event.kind)
            case Judged():
                verdict = event.reason or ("demonstrated" if event.understood else "not what was meant")
                self._note(record, "good" if event.understood else "bad", f"{event.judge}: {verdict}")
                for word, points in (("missing", event.missing), ("added", event.added)):
                    if points:
                        self._note(record, "bad", f"{word}: {'; '.join(points)}")
            case CommitmentChanged():
                self._last(record).commitments.append(
                    (event.id, event.act, event.debtor, event.creditor, event.now)
                )
                if event.now in {"violated", "cancelled"}:
                    text = f"commitment of {event.debtor} to {event.creditor} ({event.act}): {event.now}"
                    self._note(record, "bad", text)
            case DeadlineSet():
                self._last(record).deadlines.append((event.lane, event.state, event.at))
            case LaneEnded():
                self._place(record, event.lane, event.outcome)
                good = "good" if event.outcome_class in {"success", "partial"} else "dim"
                self._note(record, good, f"{event.lane}: {event.outcome} ({event.outcome_class})")
            case LanesBegan():
                row = self._last(record)
                before = self.place.pop("", "")
                for lane in event.lanes:
                    self.place[lane] = event.state
                    row.moved.append((lane, before, event.state, ""))
            case Ended():
                self.end = event
                row = self._add(record, "ended", act=event.outcome)
                if "" in self.place:
                    self._place(record, "", event.outcome)
                row.text = printable(f"{event.outcome} ({event.outcome_class}): {event.cause}")
            case _:
                if isinstance(event, OverlayOpened):
                    self.overlays[event.lane] = event.overlay
                elif isinstance(event, OverlayClosed):
                    self.overlays.pop(event.lane, None)
                if text := _aside(event):
                    self._note(record, *text)

    def _place(self, record: Record, lane: str, state: str) -> None:
        """Keep that a position changed otherwise than by a move."""
        before = self.place.get(lane, "")
        if before != state:
            self._last(record).moved.append((lane, before, state, ""))
        self.place[lane] = state

    def _heard(self, record: Record, event: Heard) -> None:
        message = event.message
        self.numbers[message.id] = event.n
        fields = _texts(message.content)
        row = self._add(
            record,
            "said",
            n=event.n,
            by=message.sender,
            to=list(message.receivers),
            lane=message.lane,
            act=message.act,
            made_by=message.made_by,
            overlay=event.overlay,
            about=self.numbers.get(message.about, 0),
            fields=fields,
        )
        if message.made_by != "rule":
            row.calls = self._calls(message.lane, message.sender)
        if event.overlay:
            return
        self.said[message.id] = fields
        self.acts[message.id] = message.act
        row.ground = [Item(key, text, "proposed", event.n) for key, text in self._keyed(message.id, row.lane)]

    def _keyed(self, message: str, lane: str) -> list[tuple[str, str]]:
        where = f"{lane}: " if lane else ""
        act = self.acts.get(message, "")
        return [(f"{where}{act}.{name}", text) for name, text in self.said.get(message, ())]

    def _moved(self, record: Record, event: Moved) -> None:
        row = self._last(record)
        row.moved.append((event.lane, event.state, event.next, event.act))
        self.place[event.lane] = event.next
        if not event.act:
            n = self.numbers.get(event.message, 0)
            row.notes.append(Note("dim", f"back to {event.next}: message {n} is void", "void"))
            row.ground += [Item(key, text, "void", n) for key, text in self._keyed(event.message, event.lane)]

    def _grounded(self, record: Record, event: Grounded) -> None:
        n = self.numbers.get(event.message, 0)
        mended = dict(_texts(event.fields))
        fields = [(name, mended.get(name, text)) for name, text in self.said.get(event.message, ())]
        self.said[event.message] = fields
        row = self._last(record)
        row.ground += [Item(key, text, "grounded", n) for key, text in self._keyed(event.message, event.lane)]
        if event.criterion not in {"none", "delivered"} and mended:
            text = f"grounded: {', '.join(mended)} ({', '.join(event.evidence)})"
            row.notes.append(Note("good", printable(text), "grounded"))

    def _step(self, record: Record) -> None:
        data, body = record.data, self.transcript.body(record)
        content = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        kind, _, part = record.type.partition(".")
        if record.type == "note":
            self._add(record, "note", by=str(data.get("agent", "")), text=_said(content, "text"))
            return
        agent = str(data.get("agent", ""))
        calls = self.pending.setdefault(agent, [])
        if part in {"request", "call", "intent"}:
            name = str(data.get("model", data.get("tool", "")))
            calls.append(
                Call(
                    record.seq, agent, kind, name, {**data, "body": body}, attempt=int(data.get("attempt", 1))
                )
            )
            return
        call = next((call for call in reversed(calls) if call.kind == kind), None)
        if call is None:
            return
        call.seconds = data.get("seconds", call.seconds)
        call.tokens_in = data.get("prompt_tokens", call.tokens_in)
        call.tokens_out = data.get("output_tokens", call.tokens_out)
        if part == "error":
            call.error = " ".join(filter(None, (str(data.get("code", "")), _said(content, "what", "error"))))
        elif kind == "tool":
            call.answer = ERASED if body == ERASED else format_value(body)
        else:
            call.answer = _said(content, "text") if content else ERASED
            call.thinking = str(content.get("thinking", ""))

    def _leftovers(self) -> None:
        """Keep the calls of which nothing came: in a row of their own, as long as something may."""
        left = [call for calls in self.pending.values() for call in calls]
        if not left or not self.rows:
            return
        if self.end is None:
            last = self.transcript.records[-1]
            self._add(last, "note", by=left[-1].agent, text="nothing has come of it yet")
        self.rows[-1].calls += left


def _said(content: dict[str, Any], *names: str) -> str:
    return next((str(content[name]) for name in names if name in content), ERASED)


def _aside(event: Event) -> tuple[str, str] | None:
    """Return how an event is noted that makes no row and changes no place."""
    match event:
        case OwnerChanged():
            return "good", f"owner: {event.now}" + (f" (was {event.was})" if event.was else "")
        case OverlayOpened():
            return "dim", f"{event.overlay} opened: {event.hearer} and {event.sender}"
        case OverlayClosed():
            kind = "dim" if event.effect in {"resume", "again"} else "bad"
            return kind, f"{event.overlay} ended as {event.outcome}, {event.effect}"
        case RepairOpened():
            return "bad", f"repair opened ({event.kind}), {event.left} left"
        case RepairClosed():
            return ("good", "repair closed: mended") if event.mended else ("bad", "repair closed: not mended")
        case Chose():
            told = f"{event.action} {event.act}: p {event.p:.2f}, accepted from {event.least:.2f}"
            if not event.costs:
                return "dim", told
            costs = ", ".join(f"{action} {cost:.4g}" for action, cost in event.costs.items())
            what = f"{event.path}: " if event.path else ""
            readings = " or ".join(format_value(one.value) for one in event.readings[:4])
            more = " or …" if len(event.readings) > 4 else ""  # noqa: PLR2004
            return "dim", f"{told}; {what}may be {readings}{more}; expected costs: {costs}"
        case EvidenceWanted():
            return "dim", f"a judge is asked whether {event.hearer} understood"
        case GatherOpened():
            return "dim", f"gather: one turn for {', '.join(event.lanes)}"
        case Staged():
            return "dim", f"{event.lane}: {event.act} stands ready"
        case Joined():
            return "dim", f"{event.member} joined"
        case Left():
            return "dim", f"{event.member} left: {event.reason}"
        case _:
            return None


def walk(story: Story) -> Iterator[tuple[Row, dict[str, str]]]:
    """Yield each row with the position of each lane after it ("" before lanes begin)."""
    place: dict[str, str] = {}
    for row in story.rows:
        for lane, _, state, _ in row.moved:
            if lane:
                place.pop("", None)
            place[lane] = state
        yield row, dict(place)
