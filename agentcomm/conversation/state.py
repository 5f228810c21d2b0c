"""Everything that is the case in one conversation, as a value."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec
from rpds import HashTrieMap

from agentcomm.acts.content import entries_of, to_plain
from agentcomm.acts.message import Message
from agentcomm.acts.persistent import Record, entries, find
from agentcomm.commitments.ledger import Change, Commitment, Ledger
from agentcomm.conversation.rules import Rules
from agentcomm.grounding.choice import Beta
from agentcomm.grounding.compare import Difference
from agentcomm.protocol.graph import OutcomeClass, Protocol, State

__all__ = (
    "CommonGround",
    "Conversation",
    "Frame",
    "GatherTurn",
    "Held",
    "Item",
    "Lanes",
    "Outcome",
    "Position",
    "Said",
    "Shared",
    "altered",
    "state_hash",
)


class Said(msgspec.Struct, frozen=True, gc=False):
    """The latest saying of one act."""

    message: Message
    grounded: bool
    evidence: tuple[str, ...]
    n: int
    repaired: bool = False
    """It took a repair until it was said like this."""
    before: "Said | None" = None
    """While this one is not grounded: the one grounded last."""

    @property
    def ground(self) -> "Said | None":
        """The saying of this act that is common ground."""
        return self if self.grounded else self.before


class Held(msgspec.Struct, frozen=True, gc=False):
    """A contribution whose evidence is still to come; what depends on it waits."""

    message: Message
    owner: str = ""
    """The role that owns the matter once this is grounded; empty if that does not change."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How it ended."""

    name: str
    kind: OutcomeClass
    cause: str


class Frame(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An overlay that is running; the state beneath is frozen."""

    overlay: str
    position: str
    sender: str
    """Who said what it is about."""
    hearer: str
    it: Message
    pending: bool
    """`it` is not on record yet; success commits it."""
    fields: Mapping[str, Any]
    """`it.fields` as meant now: corrections are in."""
    said: Mapping[str, Any]
    """Content of the overlay's own acts by label."""
    used: Mapping[str, int]
    deadline: float
    left: float
    """Seconds that the frozen state still had."""
    heard: str = ""
    """Id of the message in the overlay that is to be answered."""
    rest: tuple[str, ...] = ()
    """Hearers who are yet to read back."""
    done: tuple[str, ...] = ()
    """Hearers who have read back `fields` as they stand now."""
    repeated: bool = False
    """This hearer's last read-back was the same as `fields`."""
    repairing: bool = False
    awaits: str = ""
    """Id of the demonstration that a judge is asked about."""
    verdict: bool | None = None
    """What the judge said of the last demonstration."""
    evidence: tuple[str, ...] = ()
    """What other evidence there is of this contribution."""
    authority: str = ""
    """Who decides, in an escalation."""
    extra: float = 0.0
    """Seconds that the frozen state gets on top, once this ends well."""
    trouble: tuple[Difference, ...] = ()


class GatherTurn(msgspec.Struct, frozen=True, gc=False):
    """One turn for all lanes that stand at a gather."""

    lanes: Mapping[str, None]
    """Those that take part."""
    left: int
    """Lanes without a move."""
    counts: Mapping[str, int] = {}
    """What staged moves will count for, keyed as `Conversation.tally`; `-state` for lanes that will leave a bounded state."""
    staged: Record[Message] = {}
    """Lane -> its move; `!id` -> what was staged."""
    count: int = 0

    def waits_for(self, lane: str) -> bool:
        """Say whether a lane takes part and has no move yet."""
        return lane in self.lanes and find(self.staged, self.count, lane) is None

    def move(self, lane: str) -> Message | None:
        """Return a lane's move, or None."""
        return find(self.staged, self.count, lane) if lane in self.lanes else None

    def has_heard(self, message: str) -> bool:
        """Say whether a message with this id is staged."""
        return find(self.staged, self.count, f"!{message}") is not None


class Shared(msgspec.Struct, frozen=True, gc=False):
    """What all lanes of a conversation have in common."""

    at: float = 0.0
    """Time of the last input that counted."""
    n: int = 0
    """Messages on record."""
    seen: Record[Message] = {}
    """Id -> message, as it was said."""
    spent: int = 0
    """Repairs used in the conversation."""
    trunk: Ledger | None = None
    """What was promised before lanes began; None until then."""
    tally: Mapping[str, int] = {}
    """Moves `at_most` by key, `for: all` said as `*key`, lanes standing as `@state`, lanes ended as `=outcome`."""
    turn: GatherTurn | None = None
    """The open gather."""
    mended: Mapping[str, Message] = {}
    """Id -> message as it was meant, where a read-back showed that it had been said otherwise."""
    counted: Mapping[str, Beta] = {}
    """What was understood, by `Choice.key`, as far as it was counted here."""


class Position(msgspec.Struct, frozen=True, gc=False):
    """Where a talk stands that has one position: a conversation before lanes begin, or one lane."""

    name: str
    """Of the state, or of the outcome."""
    deadline: float
    """Seconds since the opening at which the state expires."""
    owner: str
    lane: str = ""
    """The member whose position it is."""
    latest: str = ""
    """Id of the message committed last."""
    misfires: int = 0
    said: Mapping[str, Said] = {}
    """Act -> its latest saying."""
    last: dict[str, str] = {}
    """Role -> id of the message it heard last."""
    used: Mapping[str, int] = {}
    """Budget -> times used."""
    repairs: Mapping[str, int] = {}
    """State and act -> repairs used on it since the position last changed."""
    ledger: Ledger = Ledger()
    """What was promised here."""
    held: tuple[Held, ...] = ()
    troubles: tuple[Difference, ...] = ()
    """What the last repair was about, until the talk moves on."""
    expired: str = ""
    """The state that expired last."""
    frame: Frame | None = None
    undo: tuple[Change, ...] = ()
    """What the last message did to the ledgers."""
    until: tuple[tuple[str, float], ...] = ()
    """Runs that have a deadline of their own, and when; outermost first."""
    raced: str = ""
    """The race that was decided last, by its state."""
    asides: tuple[str, ...] = ()
    """What is done once and has been: `cancel`, `standby:<message>`, `escalate:<state>/<act>`, `repair:<state>/<act>:<rung>:<path>`."""
    voided: str = ""
    """Id of the message that was taken back last, until it is said anew."""
    outcome: Outcome | None = None


_ROW = 16


class Lanes(msgspec.Struct, frozen=True, gc=False):
    """Member -> its position, in rows, so that changing one copies little however many there are; empty before lanes begin."""

    places: Mapping[str, int] = {}
    rows: tuple[tuple[tuple[Position, Position | None], ...], ...] = ()
    living: int = 0
    """Lanes that have not ended."""
    away: int = 0
    """Living lanes that do not stand at a gather."""

    @classmethod
    def begin(cls, positions: Mapping[str, Position], away: int) -> "Lanes":
        """Return lanes that stand at their first positions."""
        places = {name: place for place, name in enumerate(positions)}
        every = [(here, None) for here in positions.values()]
        rows = tuple(tuple(every[first : first + _ROW]) for first in range(0, len(every), _ROW))
        return cls(places, rows, len(every), away)

    def at(self, name: str) -> tuple[Position, Position | None]:
        """Return the position of a member, and its checkpoint.

        Raises:
            KeyError: If there is no such member.
        """
        place = self.places[name]
        return self.rows[place // _ROW][place % _ROW]

    def put(self, name: str, here: Position, before: Position | None, living: int, away: int) -> "Lanes":
        """Return the lanes with another position for a member."""
        place = self.places[name]
        rows = list(self.rows)
        row = list(rows[place // _ROW])
        row[place % _ROW] = (here, before)
        rows[place // _ROW] = tuple(row)
        return Lanes(self.places, tuple(rows), living, away)

    def get(self, name: str) -> Position | None:
        """Return the position of a member, or None."""
        return self.at(name)[0] if name in self.places else None

    def items(self) -> Iterator[tuple[str, Position]]:
        """Yield each member with its position."""
        return ((name, self.at(name)[0]) for name in self.places)

    def values(self) -> Iterator[Position]:
        """Yield each position."""
        return (pair[0] for row in self.rows for pair in row)

    def __getitem__(self, name: str) -> Position:
        return self.at(name)[0]

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


NO_LANES = Lanes()


class Seen(Mapping[str, Message]):
    """The messages on record as they were meant, by id, in their order."""

    __slots__ = ("_count", "_mended", "_record")

    def __init__(self, shared: Shared) -> None:
        self._record, self._count, self._mended = shared.seen, shared.n, shared.mended

    def __getitem__(self, key: str) -> Message:
        found = self._mended.get(key) or find(self._record, self._count, key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in entries(self._record, self._count))

    def __len__(self) -> int:
        return self._count


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """One enactment of a protocol.

    `step` is the only way to change it. What grows with the talk lives in records and persistent maps, so that a step costs
    the same however long the talk is.
    """

    rules: Rules
    id: str
    whole: float
    """Seconds since the opening at which the conversation expires."""
    members: tuple[str, ...]
    """Who plays the many-role."""
    shared: Shared
    here: Position
    """Where it stands; once lanes have begun, what was the case before."""
    before: Position | None = None
    """The checkpoint: where it stood before the last message was committed."""
    lanes: Lanes = NO_LANES
    """Where each member stands, once lanes have begun."""

    @property
    def protocol(self) -> Protocol:
        """The protocol it enacts."""
        return self.rules.protocol

    @property
    def position(self) -> str:
        """The state it is in, or the outcome."""
        return self.here.name

    @property
    def state(self) -> State:
        """The state it is in.

        Raises:
            KeyError: If it has ended.
        """
        return self.rules.protocol.states[self.here.name]

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, or None."""
        return self.here.outcome

    @property
    def at(self) -> float:
        """Time of the last input that counted, in seconds since the opening."""
        return self.shared.at

    @property
    def n(self) -> int:
        """Messages on record."""
        return self.shared.n

    @property
    def spent(self) -> int:
        """Repairs used."""
        return self.shared.spent

    @property
    def seen(self) -> Seen:
        """The messages on record, by id."""
        return Seen(self.shared)

    @property
    def owner(self) -> str:
        """The role that owns the matter; empty if the protocol has none."""
        return self.here.owner

    @property
    def frame(self) -> Frame | None:
        """The overlay that is running."""
        return self.here.frame

    @property
    def lane(self) -> str:
        """Of the view of a lane: the member whose position it is."""
        return self.here.lane

    @property
    def turn(self) -> GatherTurn | None:
        """The open gather."""
        return self.shared.turn

    @property
    def begun(self) -> bool:
        """Whether lanes have begun."""
        return bool(self.lanes)

    @property
    def ledger(self) -> tuple[Commitment, ...]:
        """Every commitment that was made: those before lanes began, then lane by lane, each in the order they were made."""
        trunk = self.shared.trunk
        if not self.begun:
            return (*(trunk or ()), *self.here.ledger)
        return (*(trunk or ()), *(entry for lane in self.lanes.values() for entry in lane.ledger))

    @property
    def ground(self) -> "CommonGround":
        """The common ground; after lanes, also that of the lanes that ended well."""
        return CommonGround(self)

    def view(self, lane: str) -> "Conversation":
        """Return a lane as a conversation of its own: its position, and what all lanes share.

        Raises:
            KeyError: If there is no such lane.
        """
        here, before = self.lanes.at(lane)
        return Conversation(self.rules, self.id, self.whole, self.members, self.shared, here, before)


_SHARED = frozenset(Shared.__struct_fields__)
_replace = msgspec.structs.replace


def altered(conversation: Conversation, **changes: Any) -> Conversation:
    """Return a conversation with other values in its position or in what its lanes share."""
    shared = {name: changes.pop(name) for name in _SHARED & changes.keys()}
    return Conversation(
        conversation.rules,
        conversation.id,
        conversation.whole,
        conversation.members,
        _replace(conversation.shared, **shared) if shared else conversation.shared,
        _replace(conversation.here, **changes) if changes else conversation.here,
        conversation.before,
        conversation.lanes,
    )


class Item(msgspec.Struct, frozen=True):
    """One value of the common ground, and where it comes from."""

    value: Any
    by: str
    act: str
    message: str
    evidence: tuple[str, ...]


class CommonGround(Mapping[str, Any]):
    """What both sides have shown to share, with the evidence.

    `ground["price"]` is the value grounded last under this name; `ground["propose.price"]` that of one act.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._said: Mapping[str, Said] = conversation.here.said
        well = (OutcomeClass.SUCCESS, OutcomeClass.PARTIAL)
        ended = [lane for lane in conversation.lanes.values() if lane.outcome and lane.outcome.kind in well]
        if ended:
            self._said = dict(self._said)
            for lane in sorted(ended, key=lambda one: one.lane):
                self._said |= lane.said

    def item(self, name: str) -> Item | None:
        """Return the value with its source, or None."""
        label, _, only = name.rpartition(".")
        best: tuple[int, Item] | None = None
        for act, said in self._said.items():
            it = said.ground
            if it is None or (label and act != label) or (best is not None and it.n < best[0]):
                continue
            message = it.message
            value = (entries_of(message.content) or {}).get(only)
            if value is not None:
                best = it.n, Item(value, message.sender, message.act, message.id, it.evidence)
        return best[1] if best else None

    def __getitem__(self, name: str) -> Any:
        found = self.item(name)
        if found is None:
            raise KeyError(f"{name!r} is not common ground; there is {', '.join(self) or 'nothing yet'}")
        return found.value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.item(name) is not None

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"CommonGround({', '.join(f'{name}={value!r}' for name, value in self.as_dict().items())})"

    def __iter__(self) -> Iterator[str]:
        """Yield `act.field` for every grounded value, in the order it was said."""
        grounded = [said.ground for said in self._said.values()]
        for said in sorted((s for s in grounded if s is not None), key=lambda s: s.n):
            for name, value in (entries_of(said.message.content) or {}).items():
                if value is not None:
                    yield f"{said.message.act}.{name}"

    def as_dict(self) -> dict[str, Any]:
        """Return `act.field` -> plain value."""
        return {name: to_plain(self[name]) for name in self}


def state_hash(conversation: Conversation) -> str:
    """Return the `sha256:` of everything that is the case; equal after a replay. Costs as much as the record is long."""
    here, shared, lanes = conversation.here, conversation.shared, conversation.lanes
    view = {
        "protocol": conversation.protocol.hash,
        "id": conversation.id,
        "whole": str(conversation.whole),
        "members": conversation.members,
        "shared": {**_as_data(shared), "seen": list(entries(shared.seen, shared.n))},
        "here": _as_data(here),
        "before": conversation.before and _as_data(conversation.before),
        "lanes": {name: [one and _as_data(one) for one in lanes.at(name)] for name in lanes},
    }
    data = msgspec.json.encode(view, enc_hook=_encode, order="deterministic")
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _as_data(value: Any) -> dict[str, Any]:
    return {name: _encode(getattr(value, name)) for name in value.__struct_fields__}


def _encode(value: Any) -> Any:
    match value:
        case HashTrieMap():
            return dict(cast("Mapping[str, Any]", value))
        case Ledger():
            return [*value, value.n]
        case GatherTurn():
            return [list(value.lanes), value.left, value.counts, list(entries(value.staged, value.count))]
        case msgspec.Struct() | dict() | None | str() | int() | float() | tuple() | list():
            return cast("Any", value)
        case _:
            return to_plain(value)
