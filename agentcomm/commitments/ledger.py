"""Who owes what to whom, from the public record alone.

Source: commitment life cycle of Singh, Yolum, Chopra & Telang with the pre-commitment of Fornara & Colombetti.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from operator import attrgetter

import msgspec

from agentcomm.acts.performative import LedgerOp
from agentcomm.acts.persistent import Record, entries, find, put
from agentcomm.protocol.graph import Act, OutcomeClass

__all__ = (
    "Books",
    "Change",
    "Commitment",
    "Effect",
    "Ledger",
    "Status",
    "audit",
    "enter",
    "hand_over",
    "ids_of",
    "record",
    "take_back",
)


class Status(StrEnum):
    """Where a commitment stands."""

    PROPOSED = "proposed"
    CONDITIONAL = "conditional"
    DETACHED = "detached"
    SATISFIED = "satisfied"
    REJECTED = "rejected"
    RELEASED = "released"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    VIOLATED = "violated"


class Commitment(msgspec.Struct, frozen=True, gc=False):
    """Debtor owes creditor what was asked or offered in `message`."""

    id: str
    debtor: str
    creditor: str
    act: str
    """Label of the act that made it."""
    message: str
    status: Status
    outlives: bool = False
    lane: str = ""
    """The member in whose lane it was made; empty outside lanes."""
    n: int = 0
    """Its place among the commitments, from 1."""

    @property
    def is_live(self) -> bool:
        """Whether it can still change."""
        return self.status in _LIVE


class Change(msgspec.Struct, frozen=True, gc=False):
    """A commitment before (None when it is new) and after."""

    was: Commitment | None
    now: Commitment


class Ledger(msgspec.Struct, frozen=True, gc=False):
    """The commitments made in one position of a conversation: before lanes begin, or in one lane."""

    live: tuple[Commitment, ...] = ()
    """Those that can still change, oldest first."""
    ended: Record[int, Commitment] = {}
    """By their places: what ends late stands near what ended before, so that a long record is not touched all over."""
    count: int = 0
    """How many have ended."""
    n: int = 0
    """Commitments made so far."""

    def __iter__(self) -> Iterator[Commitment]:
        """Yield all of them, in the order in which they were made."""
        count = self.count
        gone = [entry for place, entry in tuple(self.ended.values()) if place <= count]
        return iter(sorted([*gone, *self.live], key=_by_n))


_by_n = attrgetter("n")


class Books(msgspec.Struct, frozen=True, gc=False):
    """The ledger of a position, and the one from before lanes began where it is another."""

    own: Ledger
    trunk: Ledger | None = None

    @property
    def live(self) -> tuple[Commitment, ...]:
        """What can still change, oldest first."""
        return self.own.live if self.trunk is None else (*self.trunk.live, *self.own.live)


_replace = msgspec.structs.replace
_LIVE = (Status.PROPOSED, Status.CONDITIONAL, Status.DETACHED)
_RULES: tuple[tuple[LedgerOp, bool, tuple[Status, ...], Status], ...] = (
    (LedgerOp.ACTIVATE, True, (Status.PROPOSED,), Status.DETACHED),
    (LedgerOp.REJECT, True, (Status.PROPOSED,), Status.REJECTED),
    (LedgerOp.EXCUSE, True, _LIVE, Status.CANCELLED),
    (LedgerOp.ACCEPT, False, (Status.CONDITIONAL,), Status.DETACHED),
    (LedgerOp.RELEASE, False, (Status.CONDITIONAL,), Status.RELEASED),
)
"""Operation, whether its speaker is the debtor (else the creditor), where the commitment may stand, where it goes."""
_NOTHING, _DIRECT, _OFFER = (
    LedgerOp.NONE,
    LedgerOp.DIRECT,
    LedgerOp.OFFER,
)  # looking up a member of an enum costs
_PROPOSED, _CONDITIONAL, _DETACHED, _EXPIRED, _SATISFIED = (
    Status.PROPOSED,
    Status.CONDITIONAL,
    Status.DETACHED,
    Status.EXPIRED,
    Status.SATISFIED,
)


def record(
    books: Books, act: Act, speaker: str, hearers: tuple[str, ...], message: str, lane: str = ""
) -> tuple[Books, tuple[Change, ...]]:
    """Return the ledgers after `speaker` has done `act` in a lane, and what changed."""
    op = act.info.op
    if op is _NOTHING and not act.discharges:
        return books, ()
    changes: list[Change] = []
    live = books.own.live if books.trunk is None else books.live
    if live:
        for one, is_debtor, may, now in _RULES:
            if op is one:
                for entry in reversed(live):
                    if (entry.debtor if is_debtor else entry.creditor) == speaker and entry.status in may:
                        changes.append(Change(entry, _replace(entry, status=now)))
                        break
                break
        if act.discharges:
            for entry in reversed(live):
                if entry.act == act.discharges and speaker in (entry.debtor, entry.creditor):
                    if changes and changes[-1].now.id == entry.id:
                        changes.pop()
                    changes.append(Change(entry, _replace(entry, status=_SATISFIED)))
                    break
    if op is _DIRECT or op is _OFFER:
        changes += _made(books, act, speaker, hearers, message, lane)
    return _apply(books, changes, lane) if changes else books, tuple(changes)


class Effect:
    """What an act does to commitments, looked up once."""

    __slots__ = ("act", "asks", "discharges", "label", "makes", "outlives", "rule")

    def __init__(self, act: Act) -> None:
        op = act.info.op
        self.act, self.label, self.discharges, self.outlives = act, act.label, act.discharges, act.outlives
        self.makes, self.asks = op is _DIRECT or op is _OFFER, op is _DIRECT
        self.rule = next(((is_debtor, may, now) for one, is_debtor, may, now in _RULES if op is one), None)


def enter(
    ledger: Ledger,
    trunk: Ledger | None,
    effect: Effect,
    speaker: str,
    hearers: tuple[str, ...],
    message: str,
    lane: str,
) -> tuple[Ledger, Ledger | None, tuple[Change, ...]]:
    """Return the ledger of a position, the one from before lanes, and what changed: what `record` comes to, the commonest cases first."""
    live = ledger.live
    if (trunk is None or not trunk.live) and len(hearers) == 1:
        if not live:
            if not effect.makes:
                return ledger, trunk, ()
            made = _new(effect, speaker, hearers[0], message, lane, ledger.n + 1)
            return Ledger((made,), ledger.ended, ledger.count, made.n), trunk, (Change(None, made),)
        if len(live) == 1 and not effect.makes:
            was = live[0]
            status = None
            if effect.rule is not None:
                is_debtor, may, goes = effect.rule
                if (was.debtor if is_debtor else was.creditor) == speaker and was.status in may:
                    status = goes
            if effect.discharges == was.act and speaker in (was.debtor, was.creditor):
                status = _SATISFIED
            if status is None:
                return ledger, trunk, ()
            now = _replace(was, status=status)
            changes = (Change(was, now),)
            if status is _DETACHED:
                return Ledger((now,), ledger.ended, ledger.count, ledger.n), trunk, changes
            count = ledger.count
            return Ledger((), put(ledger.ended, count, was.n, now), count + 1, ledger.n), trunk, changes
        if (
            len(live) == 1 and trunk is None and not effect.discharges
        ):  # what is said anew replaces what was not taken up
            was, made = live[0], _new(effect, speaker, hearers[0], message, lane, ledger.n + 1)
            if was.act == made.act and was.status is made.status and was.debtor == made.debtor and was.creditor == made.creditor:  # fmt: skip
                now, count = _replace(was, status=_EXPIRED), ledger.count
                changes = Change(was, now), Change(None, made)
                return (
                    Ledger((made,), put(ledger.ended, count, was.n, now), count + 1, made.n),
                    trunk,
                    changes,
                )
    books, changes = record(Books(ledger, trunk), effect.act, speaker, hearers, message, lane)
    return books.own, books.trunk, changes


def _new(effect: Effect, speaker: str, hearer: str, message: str, lane: str, n: int) -> Commitment:
    debtor, creditor = (hearer, speaker) if effect.asks else (speaker, hearer)
    return Commitment(
        message if not lane else _id(message, hearer, lane),
        debtor,
        creditor,
        effect.label,
        message,
        _PROPOSED if effect.asks else _CONDITIONAL,
        effect.outlives,
        lane,
        n,
    )


def _made(
    books: Books, act: Act, speaker: str, hearers: tuple[str, ...], message: str, lane: str
) -> list[Change]:
    """Return what somebody asks for or offers; said anew, it replaces what was not taken up."""
    asks = act.info.op is _DIRECT
    status = _PROPOSED if asks else _CONDITIONAL
    live, n = books.live, books.own.n
    found: list[Change] = []
    alone = len(hearers) == 1 and not lane
    for hearer in hearers:
        name = message if alone else _id(message, hearer, lane)
        debtor, creditor = (hearer, speaker) if asks else (speaker, hearer)
        for entry in live:
            same = entry.act == act.label and entry.status is status
            if same and entry.debtor == debtor and entry.creditor == creditor:
                found.append(Change(entry, _replace(entry, status=_EXPIRED)))
        n += 1
        made = Commitment(name, debtor, creditor, act.label, message, status, act.outlives, lane, n)
        found.append(Change(None, made))
    return found


def hand_over(books: Books, was: str, now: str, lane: str = "") -> tuple[Books, tuple[Change, ...]]:
    """Return the ledgers after `now` took over what `was` owes to others."""
    changes = [
        Change(entry, _replace(entry, debtor=now))
        for entry in books.live
        if entry.debtor == was and entry.creditor != now
    ]
    return _apply(books, changes, lane), tuple(changes)


def take_back(
    books: Books, changes: Iterable[Change], lane: str = ""
) -> tuple[Books, tuple[tuple[Commitment, Commitment | None], ...]]:
    """Return the ledgers as if a lane's latest changes had not been made, and each commitment as it is and was (None: there was none)."""
    first: dict[str, Commitment | None] = {}
    last: dict[str, Commitment] = {}
    for change in changes:
        first.setdefault(change.now.id, change.was)
        last[change.now.id] = change.now
    told: list[tuple[Commitment, Commitment | None]] = []
    for name, was in first.items():
        now = last[name]
        ledger = books.own if now.lane == lane or books.trunk is None else books.trunk
        books = _with(books, _restored(ledger, now, was), now.lane, lane)
        if was != now:
            told.append((now, was))
    return books, tuple(told)


def _restored(ledger: Ledger, now: Commitment, was: Commitment | None) -> Ledger:
    live = [entry for entry in ledger.live if entry.id != now.id]
    if was is not None and was.status in _LIVE:
        live = sorted((*live, was), key=lambda entry: entry.n)
    ended, count = ledger.ended, ledger.count
    if find(ended, count, now.n) is not None:
        rest = [entry for entry in entries(ended, count) if entry[0] != now.n]
        ended = {key: (place, entry) for place, (key, entry) in enumerate(rest, 1)}
        count = len(rest)
    return Ledger(tuple(live), ended, count, ledger.n)


def ids_of(message: str, hearers: tuple[str, ...], lane: str = "") -> tuple[str, ...]:
    """Return the ids of the commitments that a message makes, one for each hearer in each lane."""
    if len(hearers) == 1 and not lane:
        return (message,)
    return tuple(_id(message, hearer, lane) for hearer in hearers)


def _id(message: str, hearer: str, lane: str) -> str:
    return f"{message}:{lane}:{hearer}" if lane else f"{message}:{hearer}"


def audit(ledger: Ledger, end: OutcomeClass) -> tuple[Ledger, tuple[Change, ...]]:
    """Return a ledger at an end of class `end`: what was not taken up expires, what was owed is violated unless it outlives."""
    changes: list[Change] = []
    for entry in ledger.live:
        if entry.status is not Status.DETACHED:
            now = Status.EXPIRED
        elif entry.outlives and end in (OutcomeClass.SUCCESS, OutcomeClass.PARTIAL):
            continue
        elif end is OutcomeClass.CANCELLED:
            now = Status.RELEASED
        elif end in (OutcomeClass.FAILED, OutcomeClass.ABORTED, OutcomeClass.UNDECIDED):
            now = Status.CANCELLED
        else:
            now = Status.VIOLATED
        changes.append(Change(entry, _replace(entry, status=now)))
    for change in changes:
        ledger = _applied(ledger, change)
    return ledger, tuple(changes)


def _with(books: Books, ledger: Ledger, place: str, lane: str) -> Books:
    return Books(ledger, books.trunk) if place == lane or books.trunk is None else Books(books.own, ledger)


def _apply(books: Books, changes: list[Change], lane: str) -> Books:
    own, trunk = books.own, books.trunk
    for change in changes:
        if trunk is None or change.now.lane == lane:
            own = _applied(own, change)
        else:
            trunk = _applied(trunk, change)
    return Books(own, trunk)


def _applied(ledger: Ledger, change: Change) -> Ledger:
    was, now = change.was, change.now
    if was is None:
        return Ledger((*ledger.live, now), ledger.ended, ledger.count, max(ledger.n, now.n))
    if len(ledger.live) == 1:
        if now.status in _LIVE:
            return Ledger((now,), ledger.ended, ledger.count, ledger.n)
        return Ledger((), put(ledger.ended, ledger.count, now.n, now), ledger.count + 1, ledger.n)
    if now.status in _LIVE:
        live = tuple(now if entry.id == now.id else entry for entry in ledger.live)
        return Ledger(live, ledger.ended, ledger.count, ledger.n)
    live = tuple([entry for entry in ledger.live if entry.id != now.id])
    return Ledger(live, put(ledger.ended, ledger.count, now.n, now), ledger.count + 1, ledger.n)
