"""What most commits are, done for many conversations in as few statements as there are tables.

A delivery whose owner goes on with it is not written at every turn. Its row is then `held = 2`, which says: the conversation has no
other one; the row's token is that of the claim with a star for its tail, which is the place where the record went on; and what is to be
done stands beside the last entry, if it does not stand in the row. Whoever wants anything else in the conversation writes it down first,
with `settle`. So a turn that goes on is one row, on two conditions: the claim stands, and there is nothing yet at the place that the
claim names: all that follow from one another fill their places one after the other.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from agentcomm.store.base import Claim, Committed, Delivery, Opened, Stale, Timer
from agentcomm.store.packing import pack

__all__ = ("LAST", "Close", "GoOn", "Held", "Open", "settle", "starred")

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


class Held(Claim, frozen=True, gc=False):
    """A claim whose conversation has no other delivery, and of which the row says so."""

    conv: int = 0
    """Number of the conversation."""
    place: int = 0
    """Where the next entry goes."""


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

    @staticmethod
    def together(file: _File, ones: "Sequence[GoOn]") -> "list[Any] | None":
        """Do some at once; None if one of them is not that simple."""
        return [one.done for one in ones] if _append(file, [one.row for one in ones]) else None


class Close(GoOn, frozen=True, gc=False):
    """A turn that ends a conversation; nobody goes on."""

    said: tuple[float, bytes, int]
    """When it ends, what is said of it in lists, and its number."""

    @staticmethod
    def together(file: _File, ones: "Sequence[Close]") -> "list[Any] | None":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Do some at once; None if one of them is not that simple."""
        if not _append(file, [one.row for one in ones]):
            return None
        said = [one.said for one in ones]
        file.executemany("UPDATE conversation SET closed = ?, about = ? WHERE k = ?", said)
        which = (msgspec.json.encode([one[2] for one in said]).decode(),)
        for table in ("delivery", "timer", "snapshot"):
            file.execute(f"DELETE FROM {table} WHERE conv IN (SELECT value FROM json_each(?))", which)  # noqa: S608
        return [one.done for one in ones]


class Open(msgspec.Struct, frozen=True, gc=False):
    """A conversation begins, with one delivery at most."""

    names: dict[str, int]
    """Conversation -> its number; a new one is put there."""
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

    @staticmethod
    def together(file: _File, ones: "Sequence[Open]") -> "list[Any] | None":
        """Do some at once; None if one of them is not that simple."""
        conv = file.execute("SELECT coalesce(max(k), 0) FROM conversation").fetchone()[0]
        k = file.execute("SELECT coalesce(max(k), 0) FROM delivery").fetchone()[0]
        talks: list[Any] = []
        shared: dict[str, bytes] = {}
        leans: list[Any] = []
        entries: list[Any] = []
        deliveries: list[Any] = []
        timers: list[Any] = []
        opened: list[Opened] = []
        for conv, one in enumerate(ones, conv + 1):  # noqa: B020
            talk, first, out = one.talk, one.first, one.out
            name = talk[0]
            talks.append((conv, *talk))
            entries.append((conv, *first))
            for place, law in enumerate(one.shared):
                leans.append((conv, place, law))
            shared.update(one.shared)
            timers += [(conv, timer.name, timer.due) for timer in one.timers if timer.due is not None]
            if out is None:
                opened.append(Opened(name, True))
                continue
            k += 1
            box, group, note, free, token = out.mailbox, out.group, out.note, one.free, one.token
            if out.keep:
                deliveries.append((k, conv, box, group, note, free, talk[1], f"{token}*", 1, 2))
                head = first[0] + first[1]
                held = Held(name, box, group, note, f"{token}+{head}", free, 1, k, conv, head)
                opened.append(Opened(name, True, (held,)))
            else:
                deliveries.append((k, conv, box, group, note, free, talk[1], "", 0, 0))
                opened.append(Opened(name, True))
        for name, lines in shared.items():
            if not file.execute("SELECT 1 FROM shared WHERE name = ?", (name,)).fetchone():
                file.execute("INSERT INTO shared VALUES (?, ?)", (name, pack(lines)))
        try:
            _insert(file, "conversation(k, id, opened, about)", talks)
            _insert(file, "leans", leans)
            _insert(file, "entry(conv, seq, count, lines)", entries)
            _insert(
                file, "delivery(k, conv, mailbox, grp, note, free, since, token, attempt, held)", deliveries
            )
            _insert(file, "timer(conv, name, free, token, attempt)", timers, ", '', 0")
        except sqlite3.IntegrityError:  # there is one of that id
            return None
        ones[0].names.update({talk[1]: talk[0] for talk in talks})
        return opened


_ENTRY = (
    "INSERT INTO entry(conv, seq, count, lines, box, grp, note) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"
    " WHERE EXISTS (SELECT 1 FROM delivery WHERE k = ?8 AND conv = ?1 AND token = ?9 AND held = 2)"
)
"""Nothing is asked of `entry` itself, or SQLite would keep the row elsewhere first: its index refuses a second one at a place."""
_ENTRIES = (
    "INSERT INTO entry(conv, seq, count, lines, box, grp, note)"
    " SELECT column1, column2, column3, column4, column5, column6, column7 FROM (VALUES {}) AS v"
    " WHERE EXISTS (SELECT 1 FROM delivery WHERE k = v.column8 AND conv = v.column1 AND token = v.column9 AND held = 2)"
)
_SIZES = (64, 32, 16, 8, 4, 2, 1)
"""Rows that one statement takes."""
_texts: dict[tuple[str, int, int], str] = {}


def _append(file: _File, rows: Sequence[tuple[Any, ...]]) -> bool:
    """Append entries whose claims stand; False if one of them cannot be."""
    try:
        if len(rows) == 1:
            return file.execute(_ENTRY, rows[0]).rowcount == 1
        return _many(file, _ENTRIES, rows) == len(rows)
    except sqlite3.IntegrityError:
        return False


def _insert(file: _File, table: str, rows: Sequence[tuple[Any, ...]], rest: str = "") -> None:
    if rows:
        _many(file, f"INSERT INTO {table} VALUES {{}}", rows, rest)  # noqa: S608


def _many(file: _File, text: str, rows: Sequence[tuple[Any, ...]], rest: str = "") -> int:
    """Execute a statement for all rows, in few pieces: between two, another thread may take the interpreter and keep it for long."""
    done, width = 0, len(rows[0])
    place, left = 0, len(rows)
    for size in _SIZES:
        while left >= size:
            key = text, width, size
            made = _texts.get(key)
            if made is None:
                one = f"({', '.join('?' * width)}{rest})"
                made = _texts[key] = text.format(", ".join([one] * size))
            done += file.execute(made, tuple(chain.from_iterable(rows[place : place + size]))).rowcount
            place, left = place + size, left - size
    return done
