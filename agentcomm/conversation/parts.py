"""What a conversation consists of, as values."""

from collections.abc import Iterator, Mapping, ValuesView
from typing import Any, cast

import msgspec

from agentcomm.acts.message import Message
from agentcomm.acts.persistent import Record, entries, find
from agentcomm.commitments.ledger import Change, Commitment, Ledger
from agentcomm.grounding.asking import Asking
from agentcomm.grounding.choice import Beta
from agentcomm.grounding.compare import Difference
from agentcomm.protocol.graph import OutcomeClass

__all__ = (
    "NO_LANES",
    "ROW",
    "Frame",
    "GatherTurn",
    "Held",
    "Key",
    "Lanes",
    "Outcome",
    "Position",
    "Said",
    "Seen",
    "Shared",
    "answer_to",
    "key_of",
    "ledger_of",
)


Key = str | int
"""What a message is found by."""


def key_of(conversation: str, message: str, n: int) -> Key:
    """Return what a message is found by in the record of its conversation: the number in an id that the core gives, else its id.

    Numbers come one after the other, so whether a new one is there shows where the record was just written to. Texts lie scattered,
    and in a long record each costs what it takes to fetch something from far away.

    Args:
        conversation: Id of the conversation.
        message: Id of the message.
        n: Messages on record, since most often it is the next one that is asked for.
    """
    n += 1
    if message == f"{conversation}:{n}":
        return n
    tail = message[message.rfind(":") + 1 :]
    if tail.isdecimal():
        n = int(tail)
        if message == f"{conversation}:{n}":
            return n
    return message


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
    back: int = 1
    """How many messages are taken back with `it`, itself included."""
    derived: bool = True
    """What was read back was taken from what the hearers will act with, not copied from the message."""
    extra: float = 0.0
    """Seconds that the frozen state gets on top, once this ends well."""
    trouble: tuple[Difference, ...] = ()
    asks: Asking | None = None
    """The question that its hearer is to put, where that was decided here."""


class GatherTurn(msgspec.Struct, frozen=True, gc=False):
    """One turn for all lanes that stand at a gather."""

    lanes: Mapping[str, None]
    """Those that take part."""
    left: int
    """Lanes without a move."""
    counts: Mapping[str, int] = {}
    """What staged moves will count for, keyed as `Conversation.tally`; `-state` for lanes that will leave a bounded state."""
    staged: Record[str, Message] = {}
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
    seen: Record[Key, Message] = {}
    """Key of its id (see `key_of`) -> message, as it was said."""
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
    """What is done once and has been: `cancel`, `standby:<message>`, `escalate:<state>/<act>`, `repair:<state>/<act>:<rung>:<path>`,
    `doubt:<state>/<act>:<message>:<path>`, `counted:<state>/<act>:<rung>:<path>`; and what was taken back, `said:<state>/<act>:<digest>`, and that it was by its speaker, `correct:<state>/<act>`."""
    voided: str = ""
    """Id of the message that was taken back last, until it is said anew."""
    outcome: Outcome | None = None


ROW = 16


class Lanes(msgspec.Struct, frozen=True, gc=False):
    """Member -> its position, in rows, so that changing one copies little however many there are; empty before lanes begin."""

    places: Mapping[str, int] = {}
    rows: list[list[tuple[Position, tuple[Position, ...]]]] = []
    """Position and checkpoints; what is here is never changed."""
    living: int = 0
    """Lanes that have not ended."""
    away: int = 0
    """Living lanes that do not stand at a gather."""

    @classmethod
    def begin(cls, positions: Mapping[str, Position], away: int) -> "Lanes":
        """Return lanes that stand at their first positions."""
        places = {name: place for place, name in enumerate(positions)}
        every: list[tuple[Position, tuple[Position, ...]]] = [(here, ()) for here in positions.values()]
        rows = [every[first : first + ROW] for first in range(0, len(every), ROW)]
        return cls(places, rows, len(every), away)

    def at(self, name: str) -> tuple[Position, tuple[Position, ...]]:
        """Return the position of a member, and its checkpoints.

        Raises:
            KeyError: If there is no such member.
        """
        place = self.places[name]
        return self.rows[place // ROW][place % ROW]

    def put(
        self, name: str, here: Position, checkpoints: tuple[Position, ...], living: int, away: int
    ) -> "Lanes":
        """Return the lanes with another position for a member."""
        place = self.places[name]
        rows = self.rows.copy()
        row = rows[place // ROW] = rows[place // ROW].copy()
        row[place % ROW] = (here, checkpoints)
        return Lanes(self.places, rows, living, away)

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


_FAR = 1000
"""Messages among which the answer to one that comes again is looked for."""


def answer_to(shared: Shared, conversation: str, message: str) -> str:
    """Return the id of the first message that answers one on record, empty if there is none; looked for among the latest."""
    known = shared.seen.get(key_of(conversation, message, shared.n))
    place = shared.n if known is None else known[0]
    found = ""
    for count, (at, said) in enumerate(reversed(shared.seen.values())):
        if at <= place or count > _FAR:
            break
        if at <= shared.n and said.in_reply_to == message:
            found = said.id
    return found


class Seen(Mapping[str, Message]):
    """The messages on record as they were meant, by id, in their order."""

    __slots__ = ("_conversation", "_count", "_mended", "_record")

    def __init__(self, shared: Shared, conversation: str) -> None:
        self._record, self._count, self._mended = shared.seen, shared.n, shared.mended
        self._conversation = conversation

    def __getitem__(self, key: str) -> Message:
        found = self._mended.get(key)
        if found is None and isinstance(cast("object", key), str):
            found = find(self._record, self._count, key_of(self._conversation, key, self._count))
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return (message.id for _, message in entries(self._record, self._count))

    def __len__(self) -> int:
        return self._count

    def values(self) -> ValuesView[Message]:
        """Return the messages, without looking for each by its id."""
        return _Messages(self)

    def in_order(self) -> Iterator[Message]:
        """Yield the messages."""
        found = (message for _, message in entries(self._record, self._count))
        return (self._mended.get(one.id, one) for one in found) if self._mended else found


class _Messages(ValuesView[Message]):
    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        self._seen = seen

    def __iter__(self) -> Iterator[Message]:
        return self._seen.in_order()


def ledger_of(shared: Shared, here: Position, lanes: Lanes) -> tuple[Commitment, ...]:
    """Return every commitment that was made: those before lanes began, then lane by lane, each in the order they were made."""
    trunk = shared.trunk or ()
    if not lanes:
        return (*trunk, *here.ledger)
    return (*trunk, *(entry for lane in lanes.values() for entry in lane.ledger))
