"""Who owes what to whom, from the public record alone.

Source: commitment life cycle of Singh, Yolum, Chopra & Telang with the pre-commitment of Fornara & Colombetti.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

import msgspec
from rpds import HashTrieMap

from agentcomm.acts.performative import LedgerOp
from agentcomm.protocol.graph import Act, OutcomeClass

__all__ = ("Change", "Commitment", "Ledger", "Status", "audit", "hand_over", "ids_of", "record", "take_back")

_EMPTY: Any = HashTrieMap


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


class Commitment(msgspec.Struct, frozen=True):
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


class Change(msgspec.Struct, frozen=True):
    """A commitment before (None when it is new) and after."""

    was: Commitment | None
    now: Commitment


class Ledger(msgspec.Struct, frozen=True):
    """All commitments of a conversation."""

    entries: "HashTrieMap[str, Commitment]" = msgspec.field(default_factory=_EMPTY)
    live: "HashTrieMap[str, tuple[str, ...]]" = msgspec.field(default_factory=_EMPTY)
    """By lane: ids of those that can still change, oldest first."""
    n: int = 0
    """Commitments made so far."""

    def __iter__(self) -> Iterator[Commitment]:
        return iter(self.entries.values())

    def open(self, lane: str = "") -> tuple[Commitment, ...]:
        """Return the live ones of a lane and those made before lanes began, oldest first."""
        names = self.live.get(lane, ())
        if lane:
            names = (*self.live.get("", ()), *names)
        return tuple(self.entries[name] for name in names)


_LIVE = (Status.PROPOSED, Status.CONDITIONAL, Status.DETACHED)
_OPS: dict[LedgerOp, tuple[str, tuple[Status, ...], Status]] = {
    LedgerOp.ACTIVATE: ("debtor", (Status.PROPOSED,), Status.DETACHED),
    LedgerOp.REJECT: ("debtor", (Status.PROPOSED,), Status.REJECTED),
    LedgerOp.EXCUSE: ("debtor", _LIVE, Status.CANCELLED),
    LedgerOp.ACCEPT: ("creditor", (Status.CONDITIONAL,), Status.DETACHED),
    LedgerOp.RELEASE: ("creditor", (Status.CONDITIONAL,), Status.RELEASED),
}
"""Operation -> the part its speaker has in the commitment, where it may stand, where it goes."""


def record(
    ledger: Ledger, act: Act, speaker: str, hearers: tuple[str, ...], message: str, lane: str = ""
) -> tuple[Ledger, tuple[Change, ...]]:
    """Return the ledger after `speaker` has done `act` in a lane, and what changed."""
    op = act.info.op
    if op is LedgerOp.NONE and not act.discharges:
        return ledger, ()
    changes: list[Change] = []
    live = ledger.open(lane)
    if rule := _OPS.get(op):
        part, may, now = rule
        for entry in reversed(live):
            if getattr(entry, part) == speaker and entry.status in may:
                changes.append(Change(entry, msgspec.structs.replace(entry, status=now)))
                break
    if act.discharges:
        for entry in reversed(live):
            if entry.act == act.discharges and speaker in (entry.debtor, entry.creditor):
                if changes and changes[-1].now.id == entry.id:
                    changes.pop()
                changes.append(Change(entry, msgspec.structs.replace(entry, status=Status.SATISFIED)))
                break
    if op in (LedgerOp.DIRECT, LedgerOp.OFFER):
        status = Status.PROPOSED if op is LedgerOp.DIRECT else Status.CONDITIONAL
        for name, hearer in zip(ids_of(message, hearers, lane), hearers, strict=True):
            debtor, creditor = (hearer, speaker) if op is LedgerOp.DIRECT else (speaker, hearer)
            changes.extend(  # said anew, it replaces what was not taken up
                Change(entry, msgspec.structs.replace(entry, status=Status.EXPIRED))
                for entry in live
                if (entry.act, entry.debtor, entry.creditor, entry.status)
                == (act.label, debtor, creditor, status)
            )
            ledger = msgspec.structs.replace(ledger, n=ledger.n + 1)
            made = Commitment(
                name, debtor, creditor, act.label, message, status, act.outlives, lane, ledger.n
            )
            changes.append(Change(None, made))
    return _apply(ledger, changes), tuple(changes)


def hand_over(ledger: Ledger, was: str, now: str, lane: str = "") -> tuple[Ledger, tuple[Change, ...]]:
    """Return the ledger after `now` took over what `was` owes to others."""
    changes = [
        Change(entry, msgspec.structs.replace(entry, debtor=now))
        for entry in ledger.open(lane)
        if entry.debtor == was and entry.creditor != now
    ]
    return _apply(ledger, changes), tuple(changes)


def take_back(
    ledger: Ledger, changes: Iterable[Change]
) -> tuple[Ledger, tuple[tuple[Commitment, Commitment | None], ...]]:
    """Return the ledger as if the latest changes had not been made, and each commitment as it is and was (None: there was none)."""
    first: dict[str, Commitment | None] = {}
    for change in changes:
        first.setdefault(change.now.id, change.was)
    entries, live = ledger.entries, ledger.live
    told: list[tuple[Commitment, Commitment | None]] = []
    for name, was in first.items():
        now = entries[name]
        names = [other for other in live.get(now.lane, ()) if other != name]
        if was is None:
            entries = entries.discard(name)
        else:
            entries = entries.insert(name, was)
            names += [name] if was.status in _LIVE else []
            names.sort(key=lambda other: entries[other].n)
        live = live.insert(now.lane, tuple(names))
        if was != now:
            told.append((now, was))
    return Ledger(entries, live, ledger.n), tuple(told)


def ids_of(message: str, hearers: tuple[str, ...], lane: str = "") -> tuple[str, ...]:
    """Return the ids of the commitments that a message makes, one for each hearer in each lane."""
    if len(hearers) == 1 and not lane:
        return (message,)
    return tuple(":".join(filter(None, (message, lane, hearer))) for hearer in hearers)


def audit(ledger: Ledger, end: OutcomeClass, lane: str = "") -> tuple[Ledger, tuple[Change, ...]]:
    """Return the ledger at an end of class `end`: what was not taken up expires, what was owed is violated unless it outlives.

    Args:
        ledger: As it is.
        end: How the conversation, or the lane, ended.
        lane: The lane that ended; what was promised before lanes began stays.
    """
    changes: list[Change] = []
    for entry in ledger.open(lane):
        if entry.lane != lane:
            continue
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
        changes.append(Change(entry, msgspec.structs.replace(entry, status=now)))
    return _apply(ledger, changes), tuple(changes)


def _apply(ledger: Ledger, changes: list[Change]) -> Ledger:
    if not changes:
        return ledger
    entries, live = ledger.entries, ledger.live
    for change in changes:
        name, lane = change.now.id, change.now.lane
        entries = entries.insert(name, change.now)
        if change.was is None:
            live = live.insert(lane, (*live.get(lane, ()), name))
        elif change.now.status not in _LIVE:
            live = live.insert(lane, tuple(other for other in live[lane] if other != name))
    return Ledger(entries, live, ledger.n)
