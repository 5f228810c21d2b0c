"""The default store: one file, on a disk of this machine, that several processes may share.

SQLite in WAL mode with `synchronous=FULL`: what was committed is there after a crash of the process, of the system, and after a
loss of power. One thread writes, and puts what waits into one transaction, so that many conversations share one sync.
"""

import asyncio
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count as numbers
from pathlib import Path
from time import monotonic, time
from typing import Any

import msgspec

from agentcomm.errors import StoreError
from agentcomm.store.base import (
    Claim,
    Committed,
    Dead,
    Delivery,
    Entry,
    Opened,
    Receipt,
    Row,
    Snapshot,
    Stale,
    Timer,
    Waiting,
    Waits,
)
from agentcomm.store.bell import Bell, is_news
from agentcomm.store.doing import Doing, Done
from agentcomm.store.faults import key_used, no_such, there_already, token_after
from agentcomm.store.packing import PACKED, pack, unpack
from agentcomm.store.places import refuse_network
from agentcomm.store.schema import prepare
from agentcomm.store.turns import LAST, Close, GoOn, Held, Open, settle, starred
from agentcomm.store.writer import Writer, told

__all__ = ("SQLiteStore",)

_POLL = 0.02
"""Seconds between looks for what other processes wrote."""
_AHEAD = 24 * 3600.0
"""A claim that holds for longer than this was made before the clock went back: it is over."""
_AMONG = 0.1
"""Seconds between looks for what others wrote, while this process writes."""
_NAMES = 100_000
"""Conversations whose number is kept in memory; it is only used where a claim must stand in that conversation, too."""
_CHUNK = 256
_PAGE = 8192
"""Bytes: of a page half as long, rows of a usual length would leave a sixth empty."""

_CHECKPOINT, _CHECKPOINT_OF_MANY = 250, 1000
"""Pages of the journal after which they go to their places: while it still grows, each sync costs twice as much as in one used again;
where many share a sync, fewer journeys count for more."""
_MANY = 8

_File = sqlite3.Connection
astuple = msgspec.structs.astuple


class SQLiteStore:
    """Keeps conversations in a file.

    Args:
        path: The file; it is made with its folder if it is not there, readable by its owner only.
        clock: Returns seconds since 1970.
        synchronous: `full`, or `normal`: faster with few conversations at once, and a loss of power may take the last moment.
        poll: Seconds between looks for what other processes wrote.
        create: Whether a file that is not there is made.

    Raises:
        StoreError: If it cannot be opened, lies on a network, or is of a newer version.
        RecordError: If the file is damaged.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], float] = time,
        synchronous: str = "full",
        poll: float = _POLL,
        create: bool = True,
    ) -> None:
        self.path = Path(path)
        self._clock, self._poll = clock, poll
        self._synchronous = {"full": "FULL", "normal": "NORMAL"}[synchronous]
        self._names: dict[str, int] = {}
        self._bell = Bell()
        self._reading = threading.Lock()
        self._seen = -1
        refuse_network(self.path)
        self._make(create=create)
        try:
            self._reader = self._connect()
            prepare(self._reader, str(self.path))
            self._reader.execute("PRAGMA query_only = ON")
            self._reader.execute("SELECT k FROM conversation LIMIT 1").fetchall()
        except sqlite3.Error as error:
            raise told(error, str(self.path)) from error
        self._seen = self._rows("PRAGMA data_version", ())[0][0]
        self._version, self._pages = -1, _CHECKPOINT
        self._tokens = map(f"{secrets.token_hex(8)}-{{:x}}".format, numbers())
        """Tokens of claims: they tell one from another, and are no secret."""
        self._others = False
        self._looked, self._told = 0, 0.0
        self._writer = Writer(self._connect_writer, str(self.path), self._begun, self._names.clear)
        if any(
            self._rows(query, (self.now() + _AHEAD,)) for query in _FROM_BEFORE
        ):  # else opening takes no lock
            self._writer.call(lambda file: _free_from_before(file, self.now()))

    def _make(self, *, create: bool) -> None:
        try:
            is_there = self.path.exists()
            if not create and not (is_there and (self.path.is_dir() or self.path.stat().st_size)):
                raise StoreError(
                    "this file is empty, and no store" if is_there else "there is no store",
                    where=str(self.path),
                    fix="name the file with --store; `agentcomm serve` makes one",
                    code="X403",
                )
            if not is_there:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.touch(mode=0o600)
        except OSError as error:
            raise StoreError(
                f"the store cannot be made: {(error.strerror or str(error)).lower()}",
                where=str(self.path),
                fix="name a file in a folder that can be written",
            ) from error

    def _connect(self) -> _File:
        file = sqlite3.connect(
            self.path, timeout=30.0, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        file.execute(f"PRAGMA page_size = {_PAGE}")  # of a new file
        file.execute("PRAGMA journal_mode = WAL")
        file.execute(f"PRAGMA synchronous = {self._synchronous}")
        file.execute("PRAGMA temp_store = MEMORY")
        file.execute("PRAGMA journal_size_limit = 67108864")
        file.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
        return file

    def _connect_writer(self) -> _File:
        file = self._connect()
        file.execute("PRAGMA busy_timeout = 0")  # the writer waits on its own: who writes at once must not
        return file

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def now(self) -> float:
        """Return the time."""
        return self._clock()

    # --- the nine methods ---

    async def open(
        self,
        conversation: str,
        first: Entry,
        out: Sequence[Delivery] = (),
        timers: Sequence[Timer] = (),
        *,
        about: bytes = b"",
        receipt: Receipt | None = None,
        shared: Mapping[str, bytes] | None = None,
        lease: float = 30.0,
    ) -> Opened:
        """Begin a conversation; see `Store`."""
        now, token = self._clock(), next(self._tokens)

        def work(file: _File) -> Opened:
            if receipt is not None and (known := _receipt(file, receipt)):
                if known[0] != receipt.digest:
                    raise key_used(receipt.key)
                return Opened(known[1], is_new=False)
            added = file.execute(
                "INSERT OR IGNORE INTO conversation(id, opened, about) VALUES (?, ?, ?)",
                (conversation, now, about),
            )
            conv = added.lastrowid
            if not added.rowcount or conv is None:
                raise there_already(conversation)
            for place, (name, lines) in enumerate((shared or {}).items()):
                if not file.execute("SELECT 1 FROM shared WHERE name = ?", (name,)).fetchone():
                    file.execute("INSERT INTO shared VALUES (?, ?)", (name, pack(lines)))
                file.execute("INSERT INTO leans VALUES (?, ?, ?)", (conv, place, name))
            _append(file, conv, first)
            self._names[conversation] = conv
            _keep_receipt(file, receipt, conv)
            kept = _deliver(file, conversation, conv, out, token, now, lease)
            _time(file, conv, timers)
            return Opened(conversation, is_new=True, kept=kept)

        if receipt is None and len(out) <= 1 and len(timers) <= 1 and first.seq == 0:
            begins = out[0] if out else None
            free = now + lease if begins is None or begins.keep else max(begins.not_before, now)
            entry, talk = (0, first.count, pack(first.data)), (conversation, now, about)
            done = self._writer.submit(
                Open(self._names, talk, entry, begins, token, free, timers, shared or {}, work)
            )
        else:
            done = self._writer.submit(work)
        if is_news(out, timers, now):
            done.then(self._bell.ring)
        return await done

    async def claim(
        self, mailboxes: Sequence[str], limit: int, lease: float, *, conversation: str = ""
    ) -> list[Claim]:
        """Claim what is to be done; see `Store`."""
        now = self.now()

        def work(file: _File) -> list[Claim]:
            found: list[Claim] = []
            settle(file, "d.free <= ?", (now,))
            rows = _free(file.execute, mailboxes, now, limit, conversation)
            for _, k, name, mailbox, group, note, attempt in rows:
                token = next(self._tokens)
                file.execute(
                    "UPDATE delivery SET token = ?, free = ?, attempt = ?, held = 1 WHERE k = ?",
                    (token, now + lease, attempt + 1, k),
                )
                found.append(Claim(name, mailbox, group, note, token, now + lease, attempt + 1, k))
            return found

        if limit <= 0:
            return []
        try:
            with self._reading:  # reading takes no lock
                if not (
                    self._reader.execute(_LEFT, (now,)).fetchone()
                    or _free(self._reader.execute, mailboxes, now, 1, conversation)
                ):
                    return []
        except sqlite3.Error as error:
            raise told(error, str(self.path)) from error
        return await self._writer.submit(work)

    async def due(self, limit: int, lease: float) -> list[Claim]:
        """Claim timers that are due; see `Store`."""
        now = self.now()
        query = "SELECT t.k, c.id, t.name, t.attempt FROM timer t JOIN conversation c ON c.k = t.conv WHERE t.free <= ? ORDER BY t.free, t.k LIMIT ?"

        def work(file: _File) -> list[Claim]:
            found: list[Claim] = []
            for k, name, note, attempt in file.execute(query, (now, limit)).fetchall():
                token = next(self._tokens)
                file.execute(
                    "UPDATE timer SET token = ?, free = ?, attempt = ? WHERE k = ?",
                    (token, now + lease, attempt + 1, k),
                )
                found.append(Claim(name, "", "", note, token, now + lease, attempt + 1, k))
            return found

        if limit <= 0 or not self._rows(query, (now, 1)):
            return []
        return await self._writer.submit(work)

    async def renew(self, claims: Sequence[Claim], lease: float) -> list[Claim]:
        """Hold claims for longer; see `Store`."""
        return await self._writer.submit(lambda file: _renew(file, claims, self.now() + lease))

    def renew_now(self, claims: Sequence[Claim], lease: float) -> list[Claim]:
        """Do what `renew` does, from a thread without an event loop."""
        return self._writer.call(lambda file: _renew(file, claims, self.now() + lease))

    def commit(
        self,
        conversation: str,
        claim: Claim | None,
        entry: Entry | None,
        out: Sequence[Delivery] = (),
        timers: Sequence[Timer] = (),
        *,
        replace: Sequence[str] = (),
        consume: bool = True,
        closes: bytes | None = None,
        receipt: Receipt | None = None,
        snapshot: Snapshot | None = None,
        lease: float = 30.0,
        is_alone: bool = False,
    ) -> Doing[Committed | Stale] | Done[Committed | Stale]:
        """Do one turn; see `Store`. It is done whether somebody waits for it or not."""
        now = self._clock()
        given = (
            conversation,
            claim,
            entry,
            out,
            timers,
            replace,
            consume,
            closes,
            receipt,
            snapshot,
            lease,
            now,
        )
        if claim is not None and entry is not None and consume and receipt is None:
            held = claim if type(claim) is Held else self._held(claim)
            if held is not None and held.place == entry.seq and held.conversation == conversation:
                if closes is not None:
                    return self._writer.submit(_last(held, entry, closes, now, self._slowly, given))
                if (
                    not timers
                    and snapshot is None
                    and len(out) == 1
                    and (one := out[0]).keep
                    and held.until >= now + lease / 2
                ):
                    turn = _next(held, entry, one.mailbox, one.group, one.note, self._slowly, given)
                    if is_alone and (made := self._writer.now(turn.at_once)) is not None:
                        return Done(made)
                    return self._writer.submit(turn)
        done = self._writer.submit(lambda file: self._slowly(file, *given))
        if is_news(out, timers, now):
            done.then(self._bell.ring)
        return done

    def go_on(
        self,
        claim: Claim,
        entry: Entry,
        mailbox: str,
        note: str,
        closes: bytes | None,
        lease: float,
        to: Waits,
        *,
        is_alone: bool,
    ) -> Committed | Stale | None:
        """Do one turn of the usual kind; see `Store`."""
        held = claim if type(claim) is Held else self._held(claim)
        now = self._clock()
        given = claim, entry, mailbox, note, closes, lease, now
        if held is None or held.place != entry.seq:
            self._writer.add(lambda file: self._usual(file, *given), to)
        elif closes is not None:
            self._writer.add(_last(held, entry, closes, now, self._usual, given), to)
        elif held.until < now + lease / 2:
            self._writer.add(lambda file: self._usual(file, *given), to)
        else:
            turn = _next(held, entry, mailbox, "", note, self._usual, given)
            if is_alone and (made := self._writer.now(turn.at_once)) is not None:
                return made
            self._writer.add(turn, to)
        return None

    def _usual(
        self,
        file: _File,
        claim: Claim,
        entry: Entry,
        mailbox: str,
        note: str,
        closes: bytes | None,
        lease: float,
        now: float,
    ) -> Committed | Stale:
        """Do a turn of the usual kind where it is not that simple."""
        out = () if closes is not None else (Delivery(mailbox, "", note, keep=True),)
        whose, more = claim.conversation, (closes, None, None, lease, now)
        return self._slowly(file, whose, claim, entry, out, (), ("",), True, *more)

    def _held(self, claim: Claim) -> Held | None:
        """Return a claim as one that may be all that its row stands for, if its token says so."""
        place = claim.token.partition("+")[2]
        conv = self._names.get(claim.conversation)
        if conv is None or not claim.mailbox or not (place.isascii() and place.isdigit()):
            return None
        given: tuple[Any, ...] = (*astuple(claim), conv, int(place))
        return Held(*given)

    def _slowly(
        self,
        file: _File,
        conversation: str,
        claim: Claim | None,
        entry: Entry | None,
        out: Sequence[Delivery],
        timers: Sequence[Timer],
        replace: Sequence[str],
        consume: bool,
        closes: bytes | None,
        receipt: Receipt | None,
        snapshot: Snapshot | None,
        lease: float,
        now: float,
    ) -> Committed | Stale:
        """Do a turn whatever it is."""
        conv = self._number(file, conversation)
        token = token_after(claim, entry) if entry is not None else next(self._tokens)
        settle(file, "d.conv = ?", (conv,))
        head = _head(file, conv)
        if (
            claim is not None
            and claim.mailbox
            and claim.token[0] != "+"
            and entry is not None
            and head == entry.seq
            and consume
            and not timers
            and closes is None
            and receipt is None
            and len(out) == 1
            and out[0].keep
        ):
            kept = _go_on(file, conv, claim, out[0], token, now, lease)
            if kept is not None:
                _append(file, conv, entry)
                _snap(file, conv, snapshot)
                return Committed(head + entry.count, (kept,))
        if entry is not None and entry.seq < head and _stands(file, conv, entry):
            return Committed(head, _kept(file, conversation, conv, token), was_done=True)
        if receipt is not None and (known := _receipt(file, receipt)):
            is_same = known[0] == receipt.digest
            return Committed(head, was_done=True) if is_same else Stale("receipt")
        stale = _stale(file, conv, claim)
        if stale is not None:
            return stale
        if entry is not None:
            if head != entry.seq:
                return Stale("seq")
            _append(file, conv, entry)
            head += entry.count
        _keep_receipt(file, receipt, conv)
        if claim is not None and consume and closes is None:
            table = "delivery" if claim.mailbox else "timer"
            file.execute(f"DELETE FROM {table} WHERE k = ?", (claim.id,))  # noqa: S608
        if closes is not None:
            file.execute("UPDATE conversation SET closed = ?, about = ? WHERE k = ?", (now, closes, conv))
            file.execute("DELETE FROM delivery WHERE conv = ?", (conv,))
            file.execute("DELETE FROM timer WHERE conv = ?", (conv,))
            file.execute("DELETE FROM snapshot WHERE conv = ?", (conv,))
            return Committed(head)
        _snap(file, conv, snapshot)
        if replace:
            _replace(file, conv, replace, out)
        delivered = _deliver(file, conversation, conv, out, token, now, lease)
        _time(file, conv, timers)
        return Committed(head, delivered)

    async def give_back(self, claim: Claim, *, not_before: float | None, reason: str) -> bool:
        """Let somebody try again, or never; see `Store`."""
        table = "delivery" if claim.mailbox else "timer"
        now = self.now()

        def work(file: _File) -> bool:
            conv = self._number(file, claim.conversation)
            settle(file, "d.conv = ?", (conv,))
            if _stale(file, conv, claim) is not None:
                return False
            if not_before is None:
                file.execute(f"DELETE FROM {table} WHERE k = ?", (claim.id,))  # noqa: S608
                file.execute(
                    "INSERT INTO dead(conv, mailbox, grp, note, reason, at, attempt) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (conv, claim.mailbox, claim.group, claim.note, reason, now, claim.attempt),
                )
            else:
                held = ", held = 0" if claim.mailbox else ""
                file.execute(
                    f"UPDATE {table} SET token = '', free = ?, attempt = attempt - ?{held} WHERE k = ?",  # noqa: S608
                    (not_before, not reason, claim.id),
                )
            return True

        done = await self._writer.submit(work)
        self._bell.ring()
        return done

    def read(self, conversation: str, after: int = -1) -> Iterator[Entry]:
        """Yield what was appended behind a record; see `Store`."""
        found = self._rows("SELECT k FROM conversation WHERE id = ?", (conversation,))
        if not found:
            raise no_such(conversation)
        conv = found[0][0]
        shared = b""
        if after < 0:
            lines = self._rows(
                "SELECT s.lines FROM leans l JOIN shared s ON s.name = l.name WHERE l.conv = ? ORDER BY l.place",
                (conv,),
            )
            shared = b"".join(unpack(line) for (line,) in lines)
        while True:
            rows = self._rows(
                "SELECT seq, count, lines FROM entry WHERE conv = ? AND seq > ? ORDER BY seq LIMIT ?",
                (conv, after, _CHUNK),
            )
            for seq, count, lines in rows:
                yield Entry(seq, count, shared + (unpack(lines) if lines[:1] in PACKED else lines))
                shared, after = b"", seq
            if len(rows) < _CHUNK:
                return

    def snapshot(self, conversation: str) -> Snapshot | None:
        """Return the snapshot that was kept last; see `Store`."""
        found = self._rows(
            "SELECT s.seq, s.data FROM snapshot s JOIN conversation c ON c.k = s.conv WHERE c.id = ?",
            (conversation,),
        )
        return Snapshot(*found[0]) if found else None

    async def wait(self, mailboxes: Sequence[str], timeout: float) -> None:  # noqa: ASYNC109
        """Return when there may be something to do; see `Store`."""
        del mailboxes
        end = monotonic() + timeout
        while (left := end - monotonic()) > 0 and not self._has_changed():
            if await self._bell.rings(min(left, self._poll)):
                return

    def _begun(self, file: _File, count: int) -> None:
        """Look, in the writer's thread, whether another process wrote since the last transaction; this one does so many pieces."""
        pages = _CHECKPOINT_OF_MANY if count >= _MANY else _CHECKPOINT
        if pages != self._pages:
            self._pages = pages
            file.execute(f"PRAGMA wal_autocheckpoint = {pages}")
        version = file.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version, self._others = version, True

    def _has_changed(self) -> bool:
        """Say whether another process may have written something."""
        version = self._rows("PRAGMA data_version", ())[0][0]
        before, self._seen = self._seen, version
        is_mine, self._looked = self._writer.count != self._looked, self._writer.count
        if not self._others and before == version:
            return False
        if is_mine and not self._others and monotonic() < self._told + _AMONG:  # most likely only this one
            return False
        self._others, self._told = False, monotonic()
        return True

    # --- for those who look after it ---

    def rows(self, *, closed: bool | None = None, conversation: str = "", limit: int = 0) -> list[Row]:
        """Return conversations; see `Store`."""
        where, given = "1", ()
        if closed is not None:
            where += " AND closed IS NOT NULL" if closed else " AND closed IS NULL"
        if conversation:
            where, given = f"{where} AND id = ?", (conversation,)
        found = self._rows(
            "SELECT id, opened, closed, about, (SELECT seq + count FROM entry WHERE conv = c.k ORDER BY seq DESC LIMIT 1),"  # noqa: S608
            " (SELECT min(free) FROM timer WHERE conv = c.k), (SELECT count(*) FROM dead WHERE conv = c.k)"
            f" FROM conversation c WHERE {where} ORDER BY k DESC LIMIT ?",
            (*given, limit or -1),
        )
        return [Row(*row) for row in found]

    def waiting(self, conversation: str = "", *, mailbox: str = "", limit: int = 0) -> list[Waiting]:
        """Return deliveries; see `Store`."""
        one, given = _one(conversation)
        found = self._rows(
            "SELECT c.id, coalesce(e.box, d.mailbox) AS whose, coalesce(e.grp, d.grp), coalesce(e.note, d.note), d.since, d.free,"  # noqa: S608
            " d.attempt, d.token != '' FROM delivery d JOIN conversation c ON c.k = d.conv"
            f" LEFT JOIN entry e ON d.held = 2 AND e.conv = d.conv AND e.seq = {LAST}"
            f" WHERE {one} AND ? IN ('', whose) ORDER BY d.k LIMIT ?",
            (*given, mailbox, limit or -1),
        )
        return [Waiting(*row[:7], is_claimed=bool(row[7])) for row in found]

    def backlog(self, mailbox: str, most: int) -> int:
        """Count what waits for somebody; see `Store`."""
        query = "SELECT count(*) FROM (SELECT 1 FROM delivery WHERE NOT held AND mailbox = ? LIMIT ?)"
        return int(self._rows(query, (mailbox, most))[0][0])

    def dead(self, conversation: str = "") -> list[Dead]:
        """Return dead letters; see `Store`."""
        one, given = _one(conversation)
        found = self._rows(
            "SELECT c.id, mailbox, grp, note, reason, at, attempt FROM dead d JOIN conversation c ON c.k = d.conv"  # noqa: S608
            f" WHERE {one} ORDER BY d.k",
            given,
        )
        return [Dead(*row) for row in found]

    async def revive(self, conversation: str) -> int:
        """Make dead letters deliveries again; see `Store`."""
        now = self.now()

        def work(file: _File) -> int:
            conv = self._number(file, conversation)
            if file.execute("SELECT closed FROM conversation WHERE k = ?", (conv,)).fetchone()[0] is not None:
                return 0
            settle(file, "d.conv = ?", (conv,))
            found = file.execute("SELECT mailbox, grp, note FROM dead WHERE conv = ?", (conv,)).fetchall()
            file.execute("DELETE FROM dead WHERE conv = ?", (conv,))
            out = [Delivery(mailbox, group, note) for mailbox, group, note in found if mailbox]
            _deliver(file, conversation, conv, out, "", now, 0.0)
            _time(file, conv, [Timer(note, now) for mailbox, _, note in found if not mailbox])
            return len(found)

        done = await self._writer.submit(work)
        self._bell.ring()
        return done

    async def prune(self, *, before: float, conversation: str = "") -> int:
        """Delete closed conversations; see `Store`."""

        def work(file: _File) -> int:
            found = file.execute(
                "SELECT k, id FROM conversation WHERE closed IS NOT NULL AND closed < ? AND ? IN ('', id) LIMIT ?",
                (before, conversation, _CHUNK),
            ).fetchall()
            for conv, name in found:
                self._names.pop(name, None)
                file.execute("INSERT INTO pruning VALUES (?)", (conv,))
                for table in (
                    "entry",
                    "delivery",
                    "timer",
                    "dead",
                    "receipt",
                    "leans",
                    "snapshot",
                    "pruning",
                ):
                    file.execute(f"DELETE FROM {table} WHERE conv = ?", (conv,))  # noqa: S608
                file.execute("DELETE FROM conversation WHERE k = ?", (conv,))
            if len(found) < _CHUNK:
                file.execute("DELETE FROM shared WHERE name NOT IN (SELECT name FROM leans)")
            return len(found)

        count = 0
        while True:  # piece by piece, so that others get their turn
            done = await self._writer.submit(work)
            count += done
            if done < _CHUNK:
                return count

    async def backup(self, target: Path) -> None:
        """Write a copy, as it is at one moment; see `Store`."""
        await asyncio.to_thread(self._backup, target)

    def _backup(self, target: Path) -> None:
        if target.exists():
            raise StoreError(
                "there is a file already",
                where=str(target),
                fix="name a new one: a backup never overwrites anything",
            )
        half = target.with_name(target.name + ".part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            half.unlink(missing_ok=True)
            half.touch(mode=0o600)
            source, copy = self._connect(), sqlite3.connect(half)
            try:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
                broken = copy.execute("PRAGMA quick_check").fetchone()[0]
                if broken != "ok":
                    raise sqlite3.DatabaseError(f"malformed: {broken}")
            finally:
                source.close()
                copy.close()
            half.rename(target)
        except sqlite3.Error as error:
            half.unlink(missing_ok=True)
            raise told(error, str(target)) from error
        except OSError as error:
            raise StoreError(
                f"the backup cannot be written: {(error.strerror or str(error)).lower()}",
                where=str(target),
                fix="name a file in a folder that can be written",
            ) from error

    def check(self) -> list[str]:
        """Return what is wrong with the file as SQLite sees it; empty if nothing is."""
        found = [str(row[0]) for row in self._rows("PRAGMA integrity_check", ())]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Do what waits, and close the file."""
        self._writer.close()
        with self._reading:
            self._reader.close()

    def _rows(self, query: str, given: Sequence[object]) -> list[Any]:
        try:
            with self._reading:
                return self._reader.execute(query, given).fetchall()
        except sqlite3.Error as error:
            raise told(error, str(self.path)) from error

    def _number(self, file: _File, conversation: str) -> int:
        row = file.execute("SELECT k FROM conversation WHERE id = ?", (conversation,)).fetchone()
        if row is None:
            raise no_such(conversation)
        if len(self._names) >= _NAMES:
            self._names.clear()
        conv = self._names[conversation] = int(row[0])
        return conv


def _next(
    held: Held, entry: Entry, mailbox: str, group: str, note: str, otherwise: Any, given: tuple[Any, ...]
) -> GoOn:
    """Return a turn after which its owner goes on."""
    seq, count, conv, until, k = entry.seq, entry.count, held.conv, held.until, held.id
    base = held.token.partition("+")[0]
    head = seq + count
    whose = held.conversation
    kept = Held(whose, mailbox, group, note, f"{base}+{head}", until, 1, k, conv, head)
    row = conv, seq, count, pack(entry.data), mailbox, group, note, k, f"{base}*"
    return GoOn(row, Committed(head, (kept,)), otherwise, given)


def _last(
    held: Held, entry: Entry, closes: bytes, now: float, otherwise: Any, given: tuple[Any, ...]
) -> Close:
    """Return a turn that ends its conversation."""
    seq, count, conv = entry.seq, entry.count, held.conv
    row = conv, seq, count, pack(entry.data), None, None, None, held.id, starred(held.token)
    return Close(row, Committed(seq + count), otherwise, given, (now, closes, conv))


def _free(
    execute: Callable[..., sqlite3.Cursor],
    mailboxes: Sequence[str],
    now: float,
    limit: int,
    conversation: str,
) -> list[Any]:
    """Return what can be claimed: free, number, conversation, mailbox, group, note and attempt, the oldest first."""
    tail, given = ("AND c.id = ? ", (conversation,)) if conversation else ("", ())
    found: list[Any] = []
    for name in mailboxes:  # each in the order of its index
        found += execute(
            f"{_FREE} NOT d.held AND d.mailbox = ? AND d.free <= ? {tail}{_ORDER}", (name, now, *given, limit)
        )
    names = ",".join("?" * len(mailboxes))
    found += execute(
        f"{_FREE} d.held AND d.free <= ? AND d.mailbox IN ({names}) {tail}{_ORDER}",
        (now, *mailboxes, *given, limit),
    )
    found.sort()
    return found[:limit]


def _one(conversation: str) -> tuple[str, tuple[str, ...]]:
    """Return the condition for what belongs to a conversation, or to any, and its value: an index finds the one."""
    return (
        ("d.conv = (SELECT k FROM conversation WHERE id = ?)", (conversation,)) if conversation else ("1", ())
    )


_FREE = "SELECT d.free, d.k, c.id, d.mailbox, d.grp, d.note, d.attempt FROM delivery d JOIN conversation c ON c.k = d.conv WHERE"
_LEFT = "SELECT 1 FROM delivery WHERE held AND held = 2 AND free <= ? LIMIT 1"
"""Whether somebody is gone who went on with something."""
_ORDER = "ORDER BY d.free, d.k LIMIT ?"


def _append(file: _File, conv: int, entry: Entry) -> None:
    file.execute(
        "INSERT INTO entry(conv, seq, count, lines) VALUES (?, ?, ?, ?)",
        (conv, entry.seq, entry.count, pack(entry.data)),
    )


def _go_on(
    file: _File, conv: int, claim: Claim, one: Delivery, token: str, now: float, lease: float
) -> Claim | None:
    """Let the only delivery of a conversation become the next one, which its owner keeps; None if it is not that simple."""
    done = file.execute(
        "UPDATE delivery SET mailbox = ?, grp = ?, note = ?, free = ?, since = ?, token = ?, attempt = 1, held = 2"
        " WHERE k = ? AND token = ? AND NOT EXISTS (SELECT 1 FROM delivery WHERE conv = ? AND k != ?)",
        (
            one.mailbox,
            one.group,
            one.note,
            now + lease,
            now,
            starred(token),
            claim.id,
            claim.token,
            conv,
            claim.id,
        ),
    )
    if not done.rowcount:
        return None
    return Claim(claim.conversation, one.mailbox, one.group, one.note, token, now + lease, 1, claim.id)


def _snap(file: _File, conv: int, snapshot: Snapshot | None) -> None:
    if snapshot is not None:
        file.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?, ?)", (conv, snapshot.seq, snapshot.data))


def _head(file: _File, conv: int) -> int:
    row = file.execute(
        "SELECT seq + count FROM entry WHERE conv = ? ORDER BY seq DESC LIMIT 1", (conv,)
    ).fetchone()
    return int(row[0]) if row is not None else 0


def _stands(file: _File, conv: int, entry: Entry) -> bool:
    row = file.execute("SELECT lines FROM entry WHERE conv = ? AND seq = ?", (conv, entry.seq)).fetchone()
    return row is not None and unpack(row[0]) == entry.data


def _stale(file: _File, conv: int, claim: Claim | None) -> Stale | None:
    if claim is not None:
        table = "delivery" if claim.mailbox else "timer"
        row = file.execute(
            f"SELECT token FROM {table} WHERE k = ? AND conv = ?",  # noqa: S608
            (claim.id, conv),
        ).fetchone()
        if row is not None and row[0] == claim.token:
            return None
    row = file.execute("SELECT closed FROM conversation WHERE k = ?", (conv,)).fetchone()
    if row is None or row[0] is not None:
        return Stale("closed")
    return Stale("claim") if claim is not None else None


def _replace(file: _File, conv: int, groups: Sequence[str], out: Sequence[Delivery]) -> None:
    wanted = {(one.group, one.mailbox, one.note) for one in out}
    for k, group, mailbox, note in file.execute(
        "SELECT k, grp, mailbox, note FROM delivery WHERE conv = ?", (conv,)
    ).fetchall():
        if group in groups and (group, mailbox, note) not in wanted:
            file.execute("DELETE FROM delivery WHERE k = ?", (k,))


def _deliver(
    file: _File,
    conversation: str,
    conv: int,
    out: Sequence[Delivery],
    token: str,
    now: float,
    lease: float,
) -> tuple[Claim, ...]:
    kept: list[Claim] = []
    for one in out:
        free = now + lease if one.keep else max(one.not_before, now)
        added = file.execute(
            "INSERT INTO delivery(conv, mailbox, grp, note, free, since, token, attempt, held) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?"
            " WHERE NOT EXISTS (SELECT 1 FROM delivery WHERE conv = ? AND grp = ? AND mailbox = ? AND note = ?)",
            (
                conv,
                one.mailbox,
                one.group,
                one.note,
                free,
                now,
                token if one.keep else "",
                int(one.keep),
                int(one.keep),
                conv,
                one.group,
                one.mailbox,
                one.note,
            ),
        )
        if one.keep and added.rowcount:
            k = added.lastrowid or 0
            kept.append(Claim(conversation, one.mailbox, one.group, one.note, token, free, 1, k))
    return tuple(kept)


def _kept(file: _File, conversation: str, conv: int, token: str) -> tuple[Claim, ...]:
    found = file.execute(
        "SELECT mailbox, grp, note, token, free, attempt, k FROM delivery WHERE conv = ? AND token = ?",
        (conv, token),
    )
    return tuple(Claim(conversation, *row) for row in found.fetchall())


def _time(file: _File, conv: int, timers: Sequence[Timer]) -> None:
    for timer in timers:
        if timer.due is None:
            file.execute("DELETE FROM timer WHERE conv = ? AND name = ?", (conv, timer.name))
        else:
            file.execute(
                "INSERT OR REPLACE INTO timer(conv, name, free, token, attempt) VALUES (?, ?, ?, '', 0)",
                (conv, timer.name, timer.due),
            )


def _renew(file: _File, claims: Sequence[Claim], until: float) -> list[Claim]:
    lost: list[Claim] = []
    for claim in claims:
        table = "delivery" if claim.mailbox else "timer"
        query = f"UPDATE {table} SET free = ? WHERE k = ? AND token = ?"  # noqa: S608
        given = until, claim.id, claim.token
        if not file.execute(query, given).rowcount:
            if claim.mailbox:
                settle(file, "d.k = ?", (claim.id,))
            if not claim.mailbox or not file.execute(query, given).rowcount:
                lost.append(claim)
    return lost


def _receipt(file: _File, receipt: Receipt) -> tuple[str, str] | None:
    row = file.execute(
        "SELECT r.digest, c.id FROM receipt r JOIN conversation c ON c.k = r.conv WHERE scope = ? AND key = ?",
        (receipt.scope, receipt.key),
    ).fetchone()
    return (str(row[0]), str(row[1])) if row is not None else None


def _keep_receipt(file: _File, receipt: Receipt | None, conv: int) -> None:
    if receipt is not None:
        file.execute(
            "INSERT INTO receipt VALUES (?, ?, ?, ?)", (receipt.scope, receipt.key, receipt.digest, conv)
        )


_FROM_BEFORE = tuple(
    f"SELECT 1 FROM {table} WHERE token != '' AND free > ? LIMIT 1"  # noqa: S608
    for table in ("delivery", "timer")
)


def _free_from_before(file: _File, now: float) -> None:
    """Free what was claimed for a time that lies too far ahead: the clock went back since."""
    settle(file, "d.free > ?", (now + _AHEAD,))
    for table in ("delivery", "timer"):
        file.execute(
            f"UPDATE {table} SET free = ?, token = ''{', held = 0' if table == 'delivery' else ''} WHERE token != '' AND free > ?",  # noqa: S608
            (now, now + _AHEAD),
        )
