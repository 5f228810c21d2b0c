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

from agentcomm.store.base import Claim, Committed, Delivery, Entry, Opened, Stale, Timer
from agentcomm.store.packing import pack

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


class GoOn:
    """A turn after which its owner goes on: all that becomes of the conversation is one entry, and one delivery that he keeps.

    Args:
        conv: Number of the conversation.
        claim: Of who goes on; it names the place of the entry.
        entry: What is appended.
        out: What he goes on with.
        otherwise: Does it where it is not that simple, with what is given.
        given: What that needs.
    """

    __slots__ = ("_given", "_otherwise", "done", "row")

    def __init__(
        self, conv: int, claim: Claim, entry: Entry, out: Delivery, otherwise: Any, given: Any
    ) -> None:
        base, head = claim.token.partition("+")[0], entry.seq + entry.count
        box, group, note = out.mailbox, out.group, out.note
        self.row = conv, entry.seq, entry.count, pack(entry.data), box, group, note, claim.id, f"{base}*"
        kept = Claim(claim.conversation, box, group, note, f"{base}+{head}", claim.until, 1, claim.id)
        self.done = Committed(head, (kept,))
        """What it comes to."""
        self._otherwise, self._given = otherwise, given

    def __call__(self, file: _File) -> Committed | Stale:
        """Do it."""
        return self._otherwise(file, *self._given)

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


class Close:
    """A turn that ends a conversation; takes what `GoOn` does, and what is said of the conversation in lists, and when it is."""

    __slots__ = ("_given", "_otherwise", "done", "row", "said")

    def __init__(
        self, conv: int, claim: Claim, entry: Entry, about: bytes, now: float, otherwise: Any, given: Any
    ) -> None:
        base = claim.token.partition("+")[0]
        self.row = conv, entry.seq, entry.count, pack(entry.data), None, None, None, claim.id, f"{base}*"
        self.said = now, about, conv
        self.done = Committed(entry.seq + entry.count)
        self._otherwise, self._given = otherwise, given

    def __call__(self, file: _File) -> Committed | Stale:
        """Do it."""
        return self._otherwise(file, *self._given)

    @staticmethod
    def together(file: _File, ones: "Sequence[Close]") -> "list[Any] | None":
        """Do some at once; None if one of them is not that simple."""
        if not _append(file, [one.row for one in ones]):
            return None
        file.executemany(
            "UPDATE conversation SET closed = ?, about = ? WHERE k = ?", [one.said for one in ones]
        )
        which = (msgspec.json.encode([one.said[2] for one in ones]).decode(),)
        for table in ("delivery", "timer", "snapshot"):
            file.execute(f"DELETE FROM {table} WHERE conv IN (SELECT value FROM json_each(?))", which)  # noqa: S608
        return [one.done for one in ones]


class Open:
    """A conversation begins, with one delivery at most.

    Args:
        names: Conversation -> its number; a new one is put there.
        conversation: Its id.
        first: Its first entry.
        out: What its opener goes on with.
        timers: What is due.
        shared: Name -> what stands before the first entry.
        about: For lists.
        token: For a claim.
        times: Now, and until when the claim holds.
        otherwise: Does it where it is not that simple.
    """

    __slots__ = ("_about", "_first", "_otherwise", "_out", "_shared", "_timers", "_times", "_token", "conversation", "names")  # fmt: skip

    def __init__(
        self,
        names: dict[str, int],
        conversation: str,
        first: Entry,
        out: Delivery | None,
        timers: Sequence[Timer],
        shared: Mapping[str, bytes],
        about: bytes,
        token: str,
        times: tuple[float, float],
        otherwise: Any,
    ) -> None:
        self.names, self.conversation = names, conversation
        self._first, self._out, self._timers, self._shared, self._about = first, out, timers, shared, about
        self._token, self._times, self._otherwise = token, times, otherwise

    def __call__(self, file: _File) -> Opened:
        """Do it."""
        return self._otherwise(file)

    @staticmethod
    def together(file: _File, ones: "Sequence[Open]") -> "list[Any] | None":
        """Do some at once; None if one of them is not that simple."""
        conv = file.execute("SELECT coalesce(max(k), 0) FROM conversation").fetchone()[0]
        k = file.execute("SELECT coalesce(max(k), 0) FROM delivery").fetchone()[0]
        shared = {name: lines for one in ones for name, lines in one._shared.items()}  # noqa: SLF001
        for name, lines in shared.items():
            if not file.execute("SELECT 1 FROM shared WHERE name = ?", (name,)).fetchone():
                file.execute("INSERT INTO shared VALUES (?, ?)", (name, pack(lines)))
        talks: list[Any] = []
        leans: list[Any] = []
        entries: list[Any] = []
        deliveries: list[Any] = []
        timers: list[Any] = []
        opened: list[Opened] = []
        numbers: dict[str, int] = {}
        for one in ones:
            conv += 1
            first, out, token, (now, until) = one._first, one._out, one._token, one._times  # noqa: SLF001
            numbers[one.conversation] = conv
            talks.append((conv, one.conversation, now, one._about))  # noqa: SLF001
            leans += [(conv, place, name) for place, name in enumerate(one._shared)]  # noqa: SLF001
            entries.append((conv, first.seq, first.count, pack(first.data)))
            timers += [(conv, timer.name, timer.due) for timer in one._timers if timer.due is not None]  # noqa: SLF001
            kept: tuple[Claim, ...] = ()
            if out is not None:
                k += 1
                free = until if out.keep else max(out.not_before, now)
                held = 2 if out.keep else 0
                deliveries.append(
                    (
                        k,
                        conv,
                        out.mailbox,
                        out.group,
                        out.note,
                        free,
                        now,
                        starred(token) if held else "",
                        held // 2,
                        held,
                    )
                )
                if held:
                    named = f"{token}+{first.seq + first.count}"
                    kept = (Claim(one.conversation, out.mailbox, out.group, out.note, named, free, 1, k),)
            opened.append(Opened(one.conversation, is_new=True, kept=kept))
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
        ones[0].names.update(numbers)
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
