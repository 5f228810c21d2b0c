"""One thread that writes: whatever waits is done in one transaction, so that one sync to the disk is shared by all of it."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from agentcomm.errors import RecordError, StoreError

__all__ = ("Writer", "told")

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], Any]
_MOST = 512
"""Pieces of work from which on a transaction takes no more."""
_BATCH = 32
"""Pieces of work that wait no longer for more."""
_Item = tuple[Work, Any, Any]
"""The work, the loop in which somebody waits (or None), and what he waits for."""


class Writer:
    """Does work on a connection of its own, in order.

    A piece of work that raises a `StoreError` has changed nothing, and the others are done all the same; it must look before
    it writes. Where the file itself fails, nothing of the transaction is done, and each piece is tried alone.

    Args:
        connect: Opens the connection, in the thread.
        where: For errors.
        begun: Called at the beginning of a transaction.
        failed: Called when one is undone.

    Attributes:
        count: Transactions that were done.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        where: str,
        begun: Callable[[sqlite3.Connection], None] = lambda _: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._connect, self._where = connect, where
        self._begun, self._failed = begun, failed
        self.count = 0
        self._waiting: SimpleQueue[list[_Item]] = SimpleQueue()
        """An empty list is the last."""
        self._batches: dict[asyncio.AbstractEventLoop, list[_Item]] = {}
        """What was submitted in this turn of an event loop: it comes as one, and so shares a transaction."""
        self._putting = threading.Lock()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="agentcomm-store", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """Have something done; what is returned comes to its result once it is on disk, and cannot be cancelled."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = _Doing(loop=loop)
        if self._is_closing:
            raise self._closed()
        batch = self._batches.get(loop)
        if batch is None:
            batch = self._batches[loop] = []
            loop.call_soon(self._flush, loop)
        batch.append((work, loop, future))
        if len(batch) >= _BATCH:  # the loop goes on while this is written
            self._flush(loop)
        return future

    def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Have something done and wait for it, outside an event loop."""
        answer = _Answer()
        self._put([(work, None, answer)])
        answer.there.wait()
        if answer.error is not None:
            raise answer.error
        return answer.value

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._batches.pop(loop, None)
        if batch:
            self._put(batch)

    def _put(self, items: list[_Item]) -> None:
        with self._putting:
            if self._is_closing:
                raise self._closed()
            self._waiting.put(items)

    def _closed(self) -> StoreError:
        return StoreError("the store is closed", where=self._where, fix="open it again")

    def close(self) -> None:
        """Do what waits, and end."""
        for loop in tuple(self._batches):
            self._flush(loop)
        with self._putting:
            if not self._is_closing:
                self._is_closing = True
                self._waiting.put([])
        self._thread.join()

    def _run(self) -> None:
        try:
            file = self._connect()
        except BaseException as error:  # noqa: BLE001  (whoever waits is told)
            while items := self._waiting.get():
                _tell([(item, None, error) for item in items])
            return
        with contextlib.closing(file):
            while items := self._waiting.get():
                more = items
                while more and len(items) < _MOST and not self._waiting.empty():
                    more = self._waiting.get()
                    items += more
                self._do(file, items)
                if not more:
                    return

    def _do(self, file: sqlite3.Connection, items: list[_Item]) -> None:
        done: list[tuple[_Item, Any, BaseException | None]] = []
        try:
            file.execute("BEGIN IMMEDIATE")
            self._begun(file)
            for item in items:
                try:
                    done.append((item, item[0](file), None))
                except (StoreError, RecordError) as error:
                    done.append((item, None, error))
            file.execute("COMMIT")
            self.count += 1
        except BaseException as error:  # noqa: BLE001  (whoever waits is told)
            with contextlib.suppress(sqlite3.Error):
                file.execute("ROLLBACK")
            self._failed()
            if len(items) > 1 and not isinstance(error, MemoryError):
                for item in items:
                    self._do(file, [item])
                return
            done = [(item, None, told(error, self._where)) for item in items]
        _tell(done)


class _Doing(asyncio.Future[T]):
    """It is done whether somebody waits for it or not; whoever is cancelled while waiting is cancelled once it is done."""

    def cancel(self, msg: Any = None) -> bool:
        del msg
        return False


class _Answer:
    """What somebody waits for who has no event loop."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.value: Any = None
        self.error: BaseException | None = None


def _tell(done: list[tuple[_Item, Any, BaseException | None]]) -> None:
    """Give everybody its answer, in the loop in which it waits."""
    by_loop: dict[Any, list[tuple[Any, Any, BaseException | None]]] = {}
    for (_, loop, waiting), value, error in done:
        if loop is None:
            waiting.value, waiting.error = value, error
            waiting.there.set()
        else:
            by_loop.setdefault(loop, []).append((waiting, value, error))
    for loop, answers in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is over, and nobody waits any more
            loop.call_soon_threadsafe(_settle, answers)


def _settle(answers: list[tuple[Any, Any, BaseException | None]]) -> None:
    for future, value, error in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


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
