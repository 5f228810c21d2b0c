"""Helpers of the conversation tests: talks in a few words, content for any act, walks over any protocol."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from agentcomm.acts.content import FieldType, Money, to_plain
from agentcomm.acts.message import Message
from agentcomm.conversation.events import (
    CommitmentChanged,
    DeadlineSet,
    Ended,
    Event,
    Expired,
    Heard,
    Input,
    LaneEnded,
    LanesBegan,
    Late,
    Moved,
    Opened,
    OverlayClosed,
    OverlayOpened,
    OwnerChanged,
    Refused,
    RepairClosed,
    RepairOpened,
    Say,
    Staged,
    Tick,
)
from agentcomm.conversation.moves import Joint, Make, Over, Speak, unmet, wants, wants_all
from agentcomm.conversation.moves import given as filled
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation, altered, seal_hash, state_hash
from agentcomm.conversation.step import open_conversation, step
from agentcomm.conversation.transcript import Chain, Transcript
from agentcomm.grounding.compare import Incomparable
from agentcomm.protocol.graph import Move, Protocol, Ref
from agentcomm.protocol.library import load, loads
from agentcomm.runtime.enact import OVERLAYS
from agentcomm.testing.choices import Dice
from agentcomm.testing.patterns import text_matching

ROOT = Path(__file__).resolve().parents[2]
_FILES = (*sorted(ROOT.glob("protocols/*.yaml")), *sorted(ROOT.glob("examples/*/protocol.yaml")))
SHIPPED = tuple(str(path.relative_to(ROOT)) for path in _FILES if not load(path).many)
LANED = tuple(str(path.relative_to(ROOT)) for path in _FILES if load(path).many)
"""With a many-role: they are walked over `wants_all`."""
HEAD = "agentcomm: 1\nprotocol: p\nversion: 1\n"
ENDS = "\noutcomes: {done: success, off: refused, expired: expired}\n"


@cache
def overlays() -> dict[str, Protocol]:
    """Return every overlay that a conversation has unless its protocol says otherwise."""
    return {name: load(f"_overlays/{name}") for name in OVERLAYS}


@cache
def shipped(name: str) -> Rules:
    return Rules(load(ROOT / name), overlays(), judge="judge")


@cache
def rules(text: str, *, repairs: bool = True) -> Rules:
    """Return the rules of a document; without `repairs`, nobody can say that it did not understand."""
    names = overlays() if repairs else {"read-back": overlays()["read-back"]}
    return Rules(loads(HEAD + text), names)


@dataclass
class Told:
    """What can be known of a conversation, or of a lane, from events alone; it must be what is the case."""

    position: str = ""
    owner: str = ""
    overlay: str = ""
    repairing: str = ""
    commitments: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    ended: str = ""
    deadline: float = 0.0
    lanes: "dict[str, Told]" = field(default_factory=dict)

    def hear(self, events: Iterable[Event]) -> None:
        for event in events:
            lane = self.lanes.get(getattr(event, "lane", ""))
            if lane is not None and not isinstance(event, CommitmentChanged):
                lane.hear([event])
                continue
            match event:
                case LanesBegan():
                    self.lanes = {name: Told(event.state, self.owner) for name in event.lanes}
                case Opened():
                    self.position, self.owner = event.state, event.owner
                case Moved():
                    assert event.state == self.position
                    self.position = event.next
                case Expired() if not self.overlay:
                    self.position = event.next
                case DeadlineSet():
                    assert event.state == self.position
                    self.deadline = event.at
                case OwnerChanged():
                    assert event.was == self.owner
                    self.owner = event.now
                case OverlayOpened():
                    assert not self.overlay
                    self.overlay = event.overlay
                case OverlayClosed():
                    assert self.overlay == event.overlay
                    self.overlay = ""
                case RepairOpened():
                    self.repairing = event.about
                case RepairClosed():
                    assert self.repairing == event.about
                    self.repairing = ""
                case CommitmentChanged():
                    assert event.was == self.commitments.get(event.id, ("", "", ""))[2]
                    self.commitments[event.id] = (event.debtor, event.creditor, event.now)
                    if not event.now:
                        del self.commitments[event.id]
                case Ended() | LaneEnded():
                    self.position = self.ended = event.outcome
                case _:
                    pass

    def check(self, now: Conversation) -> None:
        self.check_place(now)
        assert set(self.lanes) == set(now.lanes)
        for name, told in self.lanes.items():
            told.check_place(now.view(name))
        assert self.commitments == {
            entry.id: (entry.debtor, entry.creditor, entry.status.value) for entry in now.ledger
        }

    def check_place(self, now: Conversation) -> None:
        frame = now.frame
        assert self.position == now.position
        assert self.owner == now.owner
        assert self.overlay == (frame.overlay if frame else "")
        assert self.repairing == (frame.it.id if frame and frame.repairing else "")
        assert self.ended == (now.outcome.name if now.outcome else "")


@dataclass
class Talk:
    """A conversation that is fed by hand; every input is kept."""

    rules: Rules
    whole: float | None = None
    members: tuple[str, ...] = ()
    at: float = 0.0
    inputs: list[Input] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    steps: list[tuple[Input, tuple[Event, ...]]] = field(default_factory=list)
    sent: int = 0
    told: Told = field(default_factory=Told)
    now: Conversation = field(init=False)
    opening: tuple[Event, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.now, self.opening = open_conversation(self.rules, "c", whole=self.whole, members=self.members)
        self.events.extend(self.opening)
        self.told.hear(self.opening)
        self.told.check(self.now)

    def give(self, given: Input) -> tuple[Event, ...]:
        self.now, events = step(self.now, given)
        self.told.hear(events)
        self.told.check(self.now)
        self.steps.append((given, events))
        self.inputs.append(given)
        self.events.extend(events)
        return events

    def say(
        self,
        sender: str,
        act: str,
        content: Any = None,
        /,
        *,
        id_: str = "",
        reply: str = "",
        lane_: str = "",
        **fields: Any,
    ):
        self.sent += 1
        message = Message(
            act=act,
            content=fields if content is None else content,
            id=id_ or f"m{self.sent}",
            sender=sender,
            in_reply_to=reply,
            lane=lane_,
        )
        return self.give(Say(message, self.at))

    def tick(self, at: float) -> tuple[Event, ...]:
        self.at = at
        return self.give(Tick(at))

    @property
    def hash(self) -> str:
        return state_hash(self.now)

    @property
    def ended(self) -> str:
        return self.now.outcome.name if self.now.outcome else ""

    def lines(self) -> list[bytes]:
        return written(self)

    def transcript(self) -> Transcript:
        return Transcript.from_lines(self.lines())


def kinds(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def only(events: Iterable[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def one(events: Iterable[Event], kind: type) -> Any:
    found = only(events, kind)
    assert len(found) == 1, found
    return found[0]


def refusal(events: tuple[Event, ...]) -> str:
    """Return the code of a refusal, which must be all that happened."""
    assert kinds(events) == ["Refused"], events
    return events[0].code


def floor_of(conversation: Conversation) -> str:
    asked = wants(conversation)
    return "" if isinstance(asked, Over) else asked.role


def written(talk: Talk, *, seal: bool = True, state: str | None = "now") -> list[bytes]:
    """Return the lines of the record, as the runtime writes them, or with something else as the state in its seal."""
    salts = iter(range(10**9))
    chain = Chain(now=lambda: "2026-01-01T00:00:00.000+00:00", salt=lambda: f"{next(salts):016x}")
    protocol = talk.rules.protocol
    data = {
        "conversation": "c",
        "protocol": {"hash": protocol.hash},
        "whole": talk.whole,
        "members": talk.members,
    }
    blob = chain.record("open", "conversation", data, {"protocol": protocol.text})
    blob += b"".join(chain.event(event) for event in talk.opening)
    for given, events in talk.steps:
        if events or isinstance(given, Say):
            blob += chain.input(given) + b"".join(chain.event(event) for event in events)
    if seal:
        mark = seal_hash(talk.now) if state == "now" else state
        blob += chain.record("seal", "conversation", {"count": chain.seq, "state": mark})
    return blob.splitlines(keepends=True)


# --- content for any act ---

_START = datetime(2026, 1, 1, tzinfo=UTC)
_LETTERS = "abcdefgh ÄßéñΩ漢字😀'\"\\\n0123"


def dice_of(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311


def value_of(kind: FieldType, dice: random.Random) -> Any:
    """Return a value of a field's type, as data that a peer might send."""
    if kind.optional and dice.random() < 0.3:
        return None
    limits = kind.constraints
    low, high = limits.get("minimum"), limits.get("maximum")
    match kind.kind:
        case "text" | "id" if "pattern" in limits:
            return text_matching(limits["pattern"], Dice(dice.random()))
        case "text" | "id":
            length = max(dice.randint(0, 8), limits.get("minLength", 1))
            return "".join(dice.choice(_LETTERS) for _ in range(min(length, limits.get("maxLength", 20))))
        case "int":
            return dice.randint(-50 if low is None else low, 50 if high is None else high)
        case "number":
            return dice.uniform(-5 if low is None else low, 5 if high is None else high)
        case "bool":
            return dice.random() < 0.5
        case "date":
            return (date(2026, 1, 1) + timedelta(days=dice.randint(0, 400))).isoformat()
        case "datetime":
            return (_START + timedelta(minutes=dice.randint(0, 10**6))).isoformat()
        case "duration":
            return f"{dice.randint(1, 90)}{dice.choice('smh')}"
        case "money":
            least = int(low) if isinstance(low, int | float) else 1
            return f"{dice.randint(max(least, 1), 500)}.{dice.randint(0, 99):02} EUR"
        case "quantity":
            return f"{dice.randint(1, 500)} {limits.get('unit', 'kg')}"
        case "any":
            return dice.choice([None, 0, -3, 1.5, "text", True, [1, [2]], {"a": {"b": None}}])
        case "list":
            count = max(dice.randint(0, 3), limits.get("minItems", 0))
            return [value_of(kind.item or FieldType("any"), dice) for _ in range(count)]
        case "choice":
            return dice.choice(kind.choices)
        case "map":
            return content_of(kind.fields or {}, dice)


def content_of(fields: Mapping[str, FieldType], dice: random.Random) -> dict[str, Any]:
    made = {name: value_of(kind, dice) for name, kind in fields.items()}
    return {name: value for name, value in made.items() if value is not None or not fields[name].optional}


WRONG: dict[str, Any] = {
    "text": 7, "id": 7, "int": "7", "number": "7", "bool": "yes", "date": 7, "datetime": 7, "duration": 7,
    "money": 7, "list": "7", "choice": "no such choice", "map": 7,
}  # fmt: skip


def meets(now: Conversation, move: Move, content: Mapping[str, Any]) -> bool:
    """Say whether content passes the conditions of a move."""
    try:
        typed = move.act.content.model_validate({**content, **to_plain(filled(now, move))})
        values = {name: getattr(typed, name) for name in type(typed).model_fields}
        return all(unmet(now, move, condition, values) is None for condition in move.when)
    except Incomparable:
        return False


def on_record(now: Conversation, ref: Ref) -> Any:
    said = now.here.said.get(ref.act)
    return None if said is None else to_plain(getattr(said.message.content, ref.field))


def content_for(now: Conversation, move: Move, dice: random.Random) -> dict[str, Any] | None:
    """Return content that may be said now, or None if none was found."""
    for _ in range(30):
        made = content_of(move.act.fields, dice)
        for name, ref in move.act.repeats.items():
            value = on_record(now, ref)
            made[name] = value
            if value is None and move.act.fields[name].optional:
                made.pop(name)
        for condition in move.when:
            if isinstance(condition.left, str) and dice.random() < 0.7:
                right = condition.right
                near = on_record(now, right) if isinstance(right, Ref) else right
                if condition.op == "in" and isinstance(near, tuple | list):
                    near = dice.choice(near) if near else None
                if near is not None:
                    made[condition.left] = near
        if meets(now, move, made):
            return {name: value for name, value in made.items() if name not in move.given}
    return None


def overlay_content(now: Conversation, move: Move, dice: random.Random, *, honest: float) -> dict[str, Any]:
    """Return content for an act of a running overlay; a read-back is right with probability `honest`."""
    frame = now.frame
    assert frame is not None
    fields = move.act.fields.get("fields")
    if fields is None or fields.kind != "map":
        return content_of(move.act.fields, dice)
    meant = to_plain(dict(frame.fields))
    if move.label == "readback":
        if dice.random() > honest:
            name = dice.choice(list(meant))
            meant[name] = value_of(now.protocol.acts[frame.it.act].fields[name], dice)
    else:
        meant = correction(now, meant, dice)
    kinds_of = now.protocol.acts[frame.it.act].fields
    return {"fields": {n: v for n, v in meant.items() if v is not None or not kinds_of[n].optional}}


def correction(now: Conversation, meant: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """Return a correction of one field: mostly the value that was meant, sometimes another one that may be said."""
    frame = now.frame
    assert frame is not None
    meant = {name: value for name, value in meant.items() if value is not None}
    if not meant:
        return {}
    name = dice.choice(sorted(meant))
    move = now.state.moves[frame.it.act]
    if name not in move.act.repeats and dice.random() < 0.5:
        value = value_of(move.act.fields[name], dice)
        whole = {**to_plain(frame.it.content), **meant, name: value}
        if value is not None and meets(altered(now, frame=None), move, whole):
            return {name: value}
    return {name: meant[name]}


def walk(
    talk: Talk, dice: random.Random, *, honest: float = 0.8, asks: float = 0.1, slow: float = 0.05
) -> None:
    """Let random legal moves be made until the end; every one must be accepted."""
    for _ in range(4 * talk.rules.bound + 40):
        asked = wants(talk.now)
        if isinstance(asked, Over):
            return
        take_turn(talk, asked, dice, honest=honest, asks=asks, slow=slow)
    raise AssertionError(f"no end after {talk.now.n} messages; the bound is {talk.rules.bound}")


def slipped(
    now: Conversation, move: Move, content: dict[str, Any] | None, dice: random.Random, *, often: float
) -> dict[str, Any] | None:
    """Return content that sometimes does not repeat what it should."""
    if content is None or not move.act.repeats or dice.random() > often:
        return content
    name = dice.choice(sorted(move.act.repeats))
    made = {**content, name: value_of(move.act.fields[name], dice)}
    return made if made[name] is not None and meets(now, move, made) else content


def take_turn(
    talk: Talk, asked: Speak | Make, dice: random.Random, *, honest=0.8, asks=0.1, slow=0.05
) -> None:
    before = talk.now.n
    lane = asked.lane
    now = talk.now.view(lane) if lane else talk.now
    talk.at += dice.random()
    if isinstance(asked, Make):
        events = talk.say(asked.role, asked.move.label, lane_=lane)
        assert not only(events, Refused), events
        return
    moves = asked.exits if asked.exits and dice.random() < asks else asked.moves
    content, move = None, None
    if moves and dice.random() >= slow:
        staying = [
            move for move in moves if move.label not in {"unable", "give-up"}
        ]  # else talks would be short
        move = dice.choice(staying if staying and dice.random() < 0.95 else moves)
        in_overlay = now.frame is not None or move in asked.exits
        if now.frame is not None:
            content = overlay_content(now, move, dice, honest=honest)
        elif in_overlay:
            content = content_of(move.act.fields, dice)
        else:
            content = content_for(now, move, dice)
            content = slipped(now, move, content, dice, often=1.1 - honest)
    if move is None or content is None:
        frame = now.frame
        events = talk.tick(frame.deadline if frame else now.here.deadline)
        assert only(events, Expired), events
        return
    typed = dice.random() < 0.5 and not move.given
    given: Any = move.act.content.model_validate(content) if typed else content
    events = talk.say(asked.role, short_of(now, move, dice), given, lane_=lane)
    assert not only(events, Refused), (move.label, content, events)
    over = talk.ended or only(events, LaneEnded)
    assert talk.now.n == before + 1 or over, events
    assert only(events, Heard) or over
    assert not only(events, Late)


def short_of(now: Conversation, move: Move, dice: random.Random) -> str:
    """Return the label of a move; of one in a run, sometimes its name there."""
    region = now.state.region if now.frame is None else ""
    inside = move.label.removeprefix(f"{region}.") if region else move.label
    return inside if dice.random() < 0.5 else move.label


def walk_lanes(
    talk: Talk, dice: random.Random, *, honest: float = 0.8, asks: float = 0.1, slow: float = 0.05
) -> None:
    """Let random legal moves be made in random lanes until the end; every one must be accepted."""
    for _ in range(8 * talk.rules.bound + 40):
        if talk.ended:
            return
        turn_of_any(talk, dice, honest=honest, asks=asks, slow=slow)
    raise AssertionError(f"no end after {talk.now.n} messages; the bound is {talk.rules.bound}")


def turn_of_any(talk: Talk, dice: random.Random, *, honest=0.8, asks=0.1, slow=0.05) -> None:
    """Let one of those who may speak do so."""
    asked = dice.choice(wants_all(talk.now))
    if isinstance(asked, Joint):
        joint_turn(talk, asked, dice, asks=asks, slow=slow)
    else:
        take_turn(talk, asked, dice, honest=honest, asks=asks, slow=slow)


def joint_turn(talk: Talk, asked: Joint, dice: random.Random, *, asks=0.1, slow=0.05) -> None:
    """Let a shared role make one move of its turn, or be silent."""
    talk.at += dice.random()
    speak = asked.lanes[dice.choice(sorted(asked.lanes))]
    now = talk.now.view(speak.lane)
    moves = speak.exits if speak.exits and dice.random() < asks else speak.moves
    move = dice.choice(moves) if moves and dice.random() >= slow else None
    content = content_for(now, move, dice) if move and move not in speak.exits else None
    if move in speak.exits:
        content = content_of(move.act.fields, dice)
    if move and content and move.for_all:  # what is said once must fit every lane that hears it
        views = [talk.now.view(name) for name in asked.lanes]
        heard = [(v, m) for v in views if (m := v.state.moves.get(move.label)) in asked.lanes[v.lane].moves]
        content = content if all(meets(view, one, content) for view, one in heard) else None
    if move is None or content is None:
        assert only(talk.tick(now.here.deadline), Expired)
        return
    lane = "" if move.for_all else speak.lane
    events = talk.say(asked.role, short_of(now, move, dice), content, lane_=lane)
    assert not only(events, Refused), (move.label, content, events)
    assert only(events, Staged) or only(events, Heard), events


def eur(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")
