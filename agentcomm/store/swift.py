"""What most transactions are, in one statement: the interpreter is needed once for all of it, and so others go on meanwhile.

A view stands for what is to be done, one row for each conversation: it begins, goes on, or ends. Triggers of the connection do it. Where
one of them finds that it is not that simple, nothing of the statement is done, and each table is written by a statement of its own, or
each conversation on its own.
"""

import json
import sqlite3
from collections.abc import Sequence
from itertools import chain
from time import monotonic, sleep
from typing import Any

from agentcomm.store.base import Committed, Opened
from agentcomm.store.packing import pack
from agentcomm.store.turns import Close, GoOn, Open

__all__ = ("Swift", "patiently", "triggers")

_File = sqlite3.Connection
_MOST = 64
"""Rows of a statement: for each number of them there is one."""
_PATIENCE = 30.0
"""Seconds that what writes waits for other processes."""
_COLUMNS = (
    "kind", "conv", "seq", "count", "lines", "box", "grp", "note", "k", "token",
    "at", "about", "id", "free", "attempt", "held", "timer", "due", "laws",
)  # fmt: skip
_ROW = f"({', '.join('?' * len(_COLUMNS))})"
_GOES_ON, _ENDS, _BEGINS = 0, 1, 2
_STANDS = """
    SELECT RAISE(ABORT, 'stale') WHERE NOT EXISTS (
        SELECT 1 FROM delivery WHERE k = NEW.k AND conv = NEW.conv AND token = NEW.token AND held = 2);
"""
_SCRIPT = f"""
CREATE TEMP VIEW turn AS SELECT {", ".join(f"NULL AS {name}" for name in _COLUMNS)};
CREATE TEMP TRIGGER turn_goes_on INSTEAD OF INSERT ON turn WHEN NEW.kind = {_GOES_ON} BEGIN
    {_STANDS}
    INSERT INTO entry(conv, seq, count, lines, box, grp, note)
        VALUES (NEW.conv, NEW.seq, NEW.count, NEW.lines, NEW.box, NEW.grp, NEW.note);
END;
CREATE TEMP TRIGGER turn_ends INSTEAD OF INSERT ON turn WHEN NEW.kind = {_ENDS} BEGIN
    {_STANDS}
    INSERT INTO entry(conv, seq, count, lines) VALUES (NEW.conv, NEW.seq, NEW.count, NEW.lines);
    UPDATE conversation SET closed = NEW.at, about = NEW.about WHERE k = NEW.conv;
    DELETE FROM delivery WHERE conv = NEW.conv;
    DELETE FROM timer WHERE conv = NEW.conv;
    DELETE FROM snapshot WHERE conv = NEW.conv;
END;
CREATE TEMP TRIGGER turn_begins INSTEAD OF INSERT ON turn WHEN NEW.kind = {_BEGINS} BEGIN
    SELECT RAISE(ABORT, 'laws') FROM json_each(NEW.laws) WHERE value NOT IN (SELECT name FROM shared);
    INSERT INTO conversation(k, id, opened, about) VALUES (NEW.conv, NEW.id, NEW.at, NEW.about);
    INSERT INTO leans SELECT NEW.conv, key, value FROM json_each(NEW.laws);
    INSERT INTO entry(conv, seq, count, lines) VALUES (NEW.conv, NEW.seq, NEW.count, NEW.lines);
    INSERT INTO delivery(k, conv, mailbox, grp, note, free, since, token, attempt, held)
        SELECT NEW.k, NEW.conv, NEW.box, NEW.grp, NEW.note, NEW.free, NEW.at, NEW.token, NEW.attempt, NEW.held WHERE NEW.k NOT NULL;
    INSERT INTO timer(conv, name, free, token, attempt) SELECT NEW.conv, NEW.timer, NEW.due, '', 0 WHERE NEW.due NOT NULL;
END;
"""  # noqa: S608


def triggers(file: _File) -> None:
    """Make the view and its triggers, for this connection alone."""
    file.executescript(_SCRIPT)


class Swift:
    """Does some turns at once, in the thread that writes.

    Args:
        names: Conversation -> its number; new ones are put there.
    """

    kinds = frozenset((GoOn, Close, Open))
    """Of work that can be done so."""

    def __init__(self, names: dict[str, int]) -> None:
        self._names = names
        self._next: tuple[int, int] | None = None
        """Numbers of the next conversation and delivery, as long as nothing else writes."""
        self._laws: set[str] = set()
        """What stands in `shared`, as far as it is known."""

    def forget(self) -> None:
        """Something else has written, or may have."""
        self._next = None
        self._laws.clear()

    def __call__(self, file: _File, works: Sequence[GoOn | Close | Open]) -> list[Committed | Opened] | None:
        """Do them, all in one transaction; None if nothing was done, since one of them is not that simple."""
        rows: list[tuple[Any, ...]] = []
        done: list[Committed | Opened] = []
        numbers: dict[str, int] = {}
        conv, k = self._next or _numbers(file)
        for work in works:
            if type(work) is GoOn:
                rows.append((_GOES_ON, *work.row, *_NINE))
                done.append(work.done)
            elif type(work) is Close:
                rows.append((_ENDS, *work.row, *work.said, *_SEVEN))
                done.append(work.done)
            elif type(work) is Open:
                row, opened = work.as_row(conv, k)
                rows.append((_BEGINS, *row, self._laws_of(file, work)))
                done.append(opened)
                numbers[work.talk[0]] = conv
                conv, k = conv + 1, k + 1
        try:
            if len(rows) <= _MOST:
                patiently(file, _text(len(rows)), tuple(chain.from_iterable(rows)))
            else:
                patiently(file, "BEGIN IMMEDIATE")
                for place in range(0, len(rows), _MOST):
                    some = rows[place : place + _MOST]
                    file.execute(_text(len(some)), tuple(chain.from_iterable(some)))
                file.execute("COMMIT")
        except sqlite3.Error:  # done piece by piece, it says what is wrong
            if file.in_transaction:
                file.execute("ROLLBACK")
            self.forget()
            return None
        self._next = conv, k
        self._names.update(numbers)
        return done

    def _laws_of(self, file: _File, work: Open) -> str:
        for name, lines in work.shared.items():
            if name not in self._laws:
                patiently(file, "INSERT OR IGNORE INTO shared VALUES (?, ?)", (name, pack(lines)))
                self._laws.add(name)
        return json.dumps(list(work.shared))


def patiently(file: _File, text: str, given: Sequence[Any] = ()) -> None:
    """Do what writes, once no other process does."""
    until, pause = monotonic() + _PATIENCE, 0.001
    while True:
        try:
            file.execute(text, given)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
            sleep(pause)
            pause = min(0.05, pause * 1.5)
        else:
            return


def _numbers(file: _File) -> tuple[int, int]:
    query = "SELECT (SELECT coalesce(max(k), 0) + 1 FROM conversation), (SELECT coalesce(max(k), 0) + 1 FROM delivery)"
    conv, k = file.execute(query).fetchone()
    return conv, k


_texts: dict[int, str] = {}


def _text(count: int) -> str:
    made = _texts.get(count)
    if made is None:
        made = _texts[count] = f"INSERT INTO turn VALUES {', '.join([_ROW] * count)}"  # noqa: S608
    return made


_SEVEN, _NINE = (None,) * 7, (None,) * 9
