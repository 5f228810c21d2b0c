"""One thread that writes: whatever waits is done in one transaction, so that one sync to the disk is shared by all of it."""

import asyncio
import contextlib
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import repeat
from queue import SimpleQueue
from time import monotonic, sleep
from typing import Any, TypeVar

from agentcomm.errors import RecordError, StoreError
from agentcomm.store.base import Waits
from agentcomm.store.doing import Doing

__all__ = ("Writer", "told")

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], Any]
_MOST = 512
"""Pieces of work from which on a transaction takes no more."""
_BATCH = 128
"""Pieces of work that wait no longer for more: two threads that both want the interpreter cost more than a wait for the disk."""
_PATIENCE = 30.0
"""Seconds that a transaction waits for other processes."""
_SLOW, _OFTEN, _PAUSE = 0.05, 3, 1.0
"""Seconds of a write, and how many of them in a row, after which nothing is written at once for a while."""
_SLICE = 0.01
"""Seconds for which answers are told before others in the loop get their turn."""
_Item = tuple[Work, Any]
"""The work, and what somebody waits for."""
_Told = tuple[Any, Any, BaseException | None]
"""What somebody waits for, and what comes of it."""


class Writer:
    """Does work on a connection of its own, in order.

    A piece of work that raises a `StoreError` has changed nothing, and the others are done all the same; it must look before
    it writes. Where the file itself fails, nothing of the transaction is done, and each piece is tried alone.

    Args:
        connect: Opens the connection, in the thread.
        where: For errors.
        begun: Called at the beginning of a transaction, with how many pieces there are.
        failed: Called when one is undone.

    Attributes:
        count: Transactions that were done.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        where: str,
        begun: Callable[[sqlite3.Connection, int], None] = lambda _, __: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._connect, self._where = connect, where
        self._begun, self._failed = begun, failed
        self.count = 0
        self._waiting: SimpleQueue[tuple[Any, list[_Item]]] = SimpleQueue()
        """The loop in which somebody waits, if it is one, and what is to be done; an empty list is the last."""
        self._batches: dict[asyncio.AbstractEventLoop, list[_Item]] = {}
        """What was submitted in this turn of an event loop: it comes as one, and so shares a transaction."""
        self._putting = threading.Lock()
        self._is_closing = False
        self._using = threading.Lock()
        """Held by whoever writes."""
        self._file: sqlite3.Connection | None = None
        self._slow = 0
        self._later = 0.0
        self._thread = threading.Thread(target=self._run, name="agentcomm-store", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> "Doing[T]":
        """Have something done; what is returned comes to its result once it is on disk."""
        doing: Doing[T] = Doing(asyncio.get_running_loop())
        self.add(work, doing)
        return doing

    def add(self, work: Work, to: Waits) -> None:
        """Have something done, and tell somebody in his loop, which must be this one, what it comes to once it is on disk."""
        loop = to.loop
        batch = self._batches.get(loop)
        if batch is None:
            if self._is_closing:
                raise self._closed()
            batch = self._batches[loop] = []
            loop.call_soon(self._flush, loop)
        batch.append((work, to))
        if len(batch) >= _BATCH:  # the loop goes on while this is written
            self._flush(loop)

    def now(self, work: Callable[[sqlite3.Connection], T | None]) -> T | None:
        """Do at once, in this thread, what is one statement, for somebody who has nothing else to do.

        Giving it to another thread and coming back would cost as much again. None if others write, here or elsewhere, if the disk
        was slow, or if the work says None.
        """
        file, began = self._file, monotonic()
        if (
            file is None
            or began < self._later
            or self._batches
            or not self._waiting.empty()
            or not self._using.acquire(blocking=False)
        ):
            return None
        try:
            done = work(file)
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):
                if file.in_transaction:  # pragma: no cover  (one statement leaves none open)
                    file.execute("ROLLBACK")
            self._later = monotonic() + _PAUSE
            return None
        finally:
            self._using.release()
        self.count += 1
        self._slow = self._slow + 1 if monotonic() - began > _SLOW else 0
        if self._slow >= _OFTEN:
            self._slow, self._later = 0, monotonic() + _PAUSE
        return done

    def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Have something done and wait for it, outside an event loop."""
        answer = _Answer()
        self._put(None, [(work, answer)])
        answer.there.wait()
        if answer.error is not None:
            raise answer.error
        return answer.value

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._batches.pop(loop, None)
        if batch:
            self._put(loop, batch)

    def _put(self, loop: Any, items: list[_Item]) -> None:
        with self._putting:
            if self._is_closing:
                raise self._closed()
            self._waiting.put((loop, items))

    def _closed(self) -> StoreError:
        return StoreError("the store is closed", where=self._where, fix="open it again")

    def close(self) -> None:
        """Do what waits, and end."""
        for loop in tuple(self._batches):
            self._flush(loop)
        with self._putting:
            if not self._is_closing:
                self._is_closing = True
                self._waiting.put((None, []))
        self._thread.join()

    def _run(self) -> None:
        try:
            file = self._connect()
        except BaseException as error:  # noqa: BLE001  (whoever waits is told)
            while items := self._waiting.get()[1]:
                _tell([(item[1], None, error) for item in items], None)
            return
        self._file = file
        with contextlib.closing(file):
            while True:
                loop, items = self._waiting.get()
                more = items
                while more and len(items) < _MOST and not self._waiting.empty():
                    other, more = self._waiting.get()
                    items += more
                    if other is not loop:
                        loop = None
                if items:
                    with self._using:
                        self._do(file, items, loop)
                if not more:
                    self._file = None
                    return

    def _do(self, file: sqlite3.Connection, items: list[_Item], loop: Any) -> None:
        done: list[_Told] = []
        try:
            _begin(file)
            self._begun(file, len(items))
            for work, waiting in _grouped(file, items, done):
                try:
                    done.append((waiting, work(file), None))
                except (StoreError, RecordError) as error:
                    done.append((waiting, None, error))
            file.execute("COMMIT")
            self.count += 1
        except BaseException as error:  # noqa: BLE001  (whoever waits is told)
            with contextlib.suppress(sqlite3.Error):
                file.execute("ROLLBACK")
            self._failed()
            if len(items) > 1 and not isinstance(error, MemoryError):
                for item in items:
                    self._do(file, [item], None)
                return
            done = [(item[1], None, told(error, self._where)) for item in items]
        _tell(done, loop)


def _begin(file: sqlite3.Connection) -> None:
    """Begin to write, once no other process does."""
    until, pause = monotonic() + _PATIENCE, 0.001
    while True:
        try:
            file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
            sleep(pause)
            pause = min(0.05, pause * 1.5)
        else:
            return


def _grouped(file: sqlite3.Connection, items: list[_Item], done: list[_Told]) -> list[_Item]:
    """Do at once what can be done together; return the others."""
    groups: defaultdict[Any, list[_Item]] = defaultdict(list)
    for item in items:
        groups[type(item[0])].append(item)
    rest: list[_Item] = []
    for kind, some in groups.items():
        if not hasattr(kind, "together"):
            rest += some
            continue
        works, waiting = zip(*some, strict=True)
        file.execute("SAVEPOINT together")
        try:
            found = kind.together(file, works)
        except BaseException:
            file.execute("ROLLBACK TO together")
            raise
        if found is None:
            file.execute("ROLLBACK TO together")
            rest += some
        else:
            done += zip(waiting, found, repeat(None))
        file.execute("RELEASE together")
    return rest


class _Answer:
    """What somebody waits for who has no event loop."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.value: Any = None
        self.error: BaseException | None = None


def _tell(done: list[_Told], loop: Any) -> None:
    """Give everybody its answer, in the loop in which it waits; that is given where all wait in one."""
    by_loop: defaultdict[Any, list[_Told]] = defaultdict(list)
    if loop is not None:
        by_loop[loop] = done
        done = []
    for waiting, value, error in done:
        if type(waiting) is _Answer:
            waiting.value, waiting.error = value, error
            waiting.there.set()
        else:
            by_loop[waiting.loop].append((waiting, value, error))
    for each, some in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is over, and nobody waits any more
            each.call_soon_threadsafe(_settle, each, iter(some))


def _settle(loop: asyncio.AbstractEventLoop, answers: Iterator[_Told]) -> None:
    """Tell some answers, and the rest once others in the loop had their turn."""
    until = monotonic() + _SLICE
    try:
        for doing, value, error in answers:
            doing.settle(value, error)
            if monotonic() > until:
                break
    finally:
        if left := list(answers):  # also where somebody ends the program
            loop.call_soon(_settle, loop, iter(left))


def told(error: BaseException, where: str) -> BaseException:
    """Return an error of SQLite in our words."""
    if not isinstance(error, sqlite3.Error):
        return error
    text = str(error)
    if isinstance(error, sqlite3.DatabaseError) and ("malformed" in text or "not a database" in text):
        made: StoreError | RecordError = RecordError(
            f"the store is damaged: {text}",
            where=where,
            why="something else wrote to the file, or the disk lost a part of it",
            fix="is it the right file? Then restore a backup (agentcomm conversations backup makes them); `sqlite3 FILE .recover` saves what is left",
        )
    elif "full" in text:
        made = StoreError(
            f"the store takes no more: {text}",
            where=where,
            why="nothing of this turn was written, and what was written before is there",
            fix="free some space; the conversations go on where they were",
            code="X409",
        )
    elif "locked" in text or "busy" in text:
        made = StoreError(
            f"the store is busy: {text}",
            where=where,
            why="another process held it for too long",
            fix="look who holds it; the turn is tried again",
            code="X410",
        )
    else:
        made = StoreError(
            f"the store failed: {text}",
            where=where,
            fix="check the disk and the permissions of the file and its folder",
        )
    made.__cause__ = error
    return made
