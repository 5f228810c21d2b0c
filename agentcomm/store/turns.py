"""What most commits are: a conversation begins, goes on, or ends, and nothing else is to be written in it.

A delivery whose owner goes on with it is not written at every turn. Its row is then `held = 2`, which says: the conversation has no
other one; the row's token is that of the claim with a star for its tail, which is the place where the record went on; and what is to be
done stands beside the last entry, if it does not stand in the row. Whoever wants anything else in the conversation writes it down first,
with `settle`. So a turn that goes on is one row, on two conditions: the claim stands, and there is nothing yet at the place that the
claim names: all that follow from one another fill their places one after the other.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agentcomm.store.base import Claim, Committed, Delivery, Opened, Stale, Timer

__all__ = ("LAST", "Close", "GoOn", "Open", "settle", "starred")

_File = sqlite3.Connection

LAST = "(SELECT max(seq) FROM entry WHERE conv = d.conv)"
"""Place of the last entry of a delivery's conversation."""


def settle(file: _File, where: str, given: Sequence[object]) -> None:
    """Write down what the rows of some deliveries leave to the last entry."""
    for k, head, box, group, note in file.execute(
        "SELECT d.k, e.seq + e.count, e.box, e.grp, e.note FROM delivery d"  # noqa: S608
        f" JOIN entry e ON e.conv = d.conv AND e.seq = {LAST} WHERE d.held AND d.held = 2 AND {where}",
        given,
    ).fetchall():
        file.execute(
            "UPDATE delivery SET held = 1, token = rtrim(token, '*') || '+' || ? WHERE k = ?", (head, k)
        )
        if box is not None:
            file.execute(
                "UPDATE delivery SET mailbox = ?, grp = ?, note = ? WHERE k = ?", (box, group, note, k)
            )


def starred(token: str) -> str:
    """Return what stands in the row for all claims that follow from one another."""
    return f"{token.partition('+')[0]}*"


class GoOn(msgspec.Struct, frozen=True, gc=False):
    """A turn after which its owner goes on: all that becomes of the conversation is one entry, and one delivery that he keeps."""

    row: tuple[Any, ...]
    """Number of the conversation; place, count and bytes of the entry; mailbox, group and note; number and starred token of the claim."""
    done: Committed
    """What it comes to."""
    otherwise: Any
    """Does it where it is not that simple, with what is given."""
    given: tuple[Any, ...]

    def __call__(self, file: _File) -> Committed | Stale:
        """Do it."""
        return self.otherwise(file, *self.given)

    def at_once(self, file: _File) -> Committed | None:
        """Do it in one statement; None if it is not that simple."""
        try:
            return self.done if file.execute(_ENTRY, self.row).rowcount else None
        except sqlite3.IntegrityError:
            return None  # there is an entry at that place


class Close(GoOn, frozen=True, gc=False):
    """A turn that ends a conversation; nobody goes on."""

    said: tuple[float, bytes]
    """When it ends, and what is said of it in lists."""


class Open(msgspec.Struct, frozen=True, gc=False):
    """A conversation begins, with one delivery at most."""

    talk: tuple[str, float, bytes]
    """Its id, when it is opened, and what is said of it in lists."""
    first: tuple[int, int, bytes]
    """Place, count and bytes of its first entry."""
    out: Delivery | None
    """What its opener goes on with."""
    token: str
    """Of the claim on that."""
    free: float
    """When that can be claimed."""
    timers: Sequence[Timer]
    shared: Mapping[str, bytes]
    """Name -> what stands before the first entry."""
    otherwise: Any
    """Does it where it is not that simple."""

    def __call__(self, file: _File) -> Opened:
        """Do it."""
        return self.otherwise(file)

    def as_row(self, conv: int, k: int) -> tuple[tuple[Any, ...], Opened]:
        """Return what is written, all but its laws, and what it comes to.

        Args:
            conv: Its number.
            k: The number of its delivery.
        """
        (name, now, about), out = self.talk, self.out
        due = next(((one.name, one.due) for one in self.timers if one.due is not None), _NEVER)
        if out is None:
            row = conv, *self.first, None, None, None, None, None, now, about, name, None, None, None, *due
            return row, Opened(name, True)
        box, group, note, free = out.mailbox, out.group, out.note, self.free
        if not out.keep:
            row = conv, *self.first, box, group, note, k, "", now, about, name, free, 0, 0, *due
            return row, Opened(name, True)
        head = self.first[0] + self.first[1]
        claim = Claim(name, box, group, note, f"{self.token}+{head}", free, 1, k)
        row = conv, *self.first, box, group, note, k, f"{self.token}*", now, about, name, free, 1, 2, *due
        return row, Opened(name, True, (claim,))


_NEVER = None, None
_ENTRY = (
    "INSERT INTO entry(conv, seq, count, lines, box, grp, note) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"
    " WHERE EXISTS (SELECT 1 FROM delivery WHERE k = ?8 AND conv = ?1 AND token = ?9 AND held = 2)"
)
"""Nothing is asked of `entry` itself, or SQLite would keep the row elsewhere first: its index refuses a second one at a place."""
