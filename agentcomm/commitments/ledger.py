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

__all__ = ("Change", "Commitment", "Ledger", "Status", "audit", "hand_over", "ids_of", "record", "undone")

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


class Change(msgspec.Struct, frozen=True):
    """A commitment before (None when it is new) and after."""

    was: Status | None
    now: Commitment


class Ledger(msgspec.Struct, frozen=True):
    """All commitments of a conversation."""

    entries: "HashTrieMap[str, Commitment]" = msgspec.field(default_factory=_EMPTY)
    live: tuple[str, ...] = ()
    """Ids of those that can still change, oldest first."""

    def __iter__(self) -> Iterator[Commitment]:
        return iter(self.entries.values())

    def open(self) -> tuple[Commitment, ...]:
        """Return the live ones, oldest first."""
        return tuple(self.entries[name] for name in self.live)


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
    ledger: Ledger, act: Act, speaker: str, hearers: tuple[str, ...], message: str
) -> tuple[Ledger, tuple[Change, ...]]:
    """Return the ledger after `speaker` has done `act`, and what changed."""
    op = act.info.op
    if op is LedgerOp.NONE and not act.discharges:
        return ledger, ()
    changes: list[Change] = []
    if rule := _OPS.get(op):
        part, may, now = rule
        for entry in reversed(ledger.open()):
            if getattr(entry, part) == speaker and entry.status in may:
                changes.append(Change(entry.status, msgspec.structs.replace(entry, status=now)))
                break
    if act.discharges:
        for entry in reversed(ledger.open()):
            if entry.act == act.discharges and speaker in (entry.debtor, entry.creditor):
                was = changes.pop().was if changes and changes[-1].now.id == entry.id else entry.status
                changes.append(Change(was, msgspec.structs.replace(entry, status=Status.SATISFIED)))
                break
    if op in (LedgerOp.DIRECT, LedgerOp.OFFER):
        status = Status.PROPOSED if op is LedgerOp.DIRECT else Status.CONDITIONAL
        for name, hearer in zip(ids_of(message, hearers), hearers, strict=True):
            debtor, creditor = (hearer, speaker) if op is LedgerOp.DIRECT else (speaker, hearer)
            changes.extend(  # said anew, it replaces what was not taken up
                Change(entry.status, msgspec.structs.replace(entry, status=Status.EXPIRED))
                for entry in ledger.open()
                if (entry.act, entry.debtor, entry.creditor, entry.status)
                == (act.label, debtor, creditor, status)
            )
            changes.append(
                Change(None, Commitment(name, debtor, creditor, act.label, message, status, act.outlives))
            )
    return _apply(ledger, changes), tuple(changes)


def hand_over(ledger: Ledger, was: str, now: str) -> tuple[Ledger, tuple[Change, ...]]:
    """Return the ledger after `now` took over what `was` owes to others."""
    changes = [
        Change(entry.status, msgspec.structs.replace(entry, debtor=now))
        for entry in ledger.open()
        if entry.debtor == was and entry.creditor != now
    ]
    return _apply(ledger, changes), tuple(changes)


def undone(
    ledger: Ledger, before: Ledger, waiting: Iterable[str] = ()
) -> Iterator[tuple[Commitment, Commitment | None]]:
    """Yield what is taken back where `before` counts again: each commitment as it is, and as it was (None: there was none).

    Args:
        ledger: As it is.
        before: As it was one message earlier.
        waiting: Ids of commitments that waited for evidence then; they may have come and gone with that message.
    """
    for name in dict.fromkeys((*before.live, *ledger.live, *waiting)):
        now, then = ledger.entries.get(name), before.entries.get(name)
        if now is not None and now != then:
            yield now, then


def ids_of(message: str, hearers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids of the commitments that a message makes, one for each hearer."""
    return (message,) if len(hearers) == 1 else tuple(f"{message}:{hearer}" for hearer in hearers)


def audit(ledger: Ledger, end: OutcomeClass) -> tuple[Ledger, tuple[Change, ...]]:
    """Return the ledger at an end of class `end`: what was not taken up expires, what was owed is violated unless it outlives."""
    changes: list[Change] = []
    for entry in ledger.open():
        if entry.status is not Status.DETACHED:
            now = Status.EXPIRED
        elif entry.outlives and end in (OutcomeClass.SUCCESS, OutcomeClass.PARTIAL):
            continue
        elif end is OutcomeClass.CANCELLED:
            now = Status.RELEASED
        elif end in (OutcomeClass.FAILED, OutcomeClass.ABORTED):
            now = Status.CANCELLED
        else:
            now = Status.VIOLATED
        changes.append(Change(entry.status, msgspec.structs.replace(entry, status=now)))
    return _apply(ledger, changes), tuple(changes)


def _apply(ledger: Ledger, changes: list[Change]) -> Ledger:
    if not changes:
        return ledger
    entries, live = ledger.entries, ledger.live
    for change in changes:
        name = change.now.id
        entries = entries.insert(name, change.now)
        if change.was is None:
            live = (*live, name)
        elif change.now.status not in _LIVE:
            live = tuple(other for other in live if other != name)
    return Ledger(entries, live)
