"""A store in memory: for tests, and for conversations that need not outlive their process. It says what every store must do."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from time import time

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
from agentcomm.store.doing import Done
from agentcomm.store.faults import key_used, no_such, there_already, token_after

__all__ = ("MemoryStore",)


class _Item:
    """A delivery, or a timer with an empty mailbox."""

    __slots__ = ("attempt", "conversation", "free", "group", "id", "mailbox", "note", "since", "token")

    def __init__(
        self, number: int, conversation: str, mailbox: str, group: str, note: str, free: float, since: float
    ) -> None:
        self.id, self.conversation, self.mailbox = number, conversation, mailbox
        self.group, self.note, self.free, self.since = group, note, free, since
        self.token, self.attempt = "", 0

    def claimed(self, token: str, until: float) -> Claim:
        self.token, self.free = token, until
        self.attempt += 1
        return Claim(
            self.conversation, self.mailbox, self.group, self.note, token, until, self.attempt, self.id
        )


class _Conversation:
    __slots__ = ("about", "closed", "dead", "entries", "head", "items", "opened", "snapshot", "timers")

    def __init__(self, about: bytes, opened: float) -> None:
        self.about, self.opened = about, opened
        self.closed: float | None = None
        self.entries: list[Entry] = []
        self.head = 0
        self.items: dict[tuple[str, str, str], _Item] = {}
        self.timers: dict[str, _Item] = {}
        self.dead: list[Dead] = []
        self.snapshot: Snapshot | None = None


class MemoryStore:
    """Keeps everything in memory.

    Args:
        clock: Returns seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._all: dict[str, _Conversation] = {}
        self._receipts: dict[tuple[str, str], tuple[str, str]] = {}
        self._count = 0
        self._bell = Bell()
        self._boxes: dict[str, dict[int, _Item]] = {}
        """Mailbox -> what waits there; timers under an empty one."""

    @property
    def name(self) -> str:
        """`memory`."""
        return "memory"

    def now(self) -> float:
        """Return the time."""
        return self._clock()

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
        if receipt is not None and (known := self._receipts.get((receipt.scope, receipt.key))):
            if known[0] != receipt.digest:
                raise key_used(receipt.key)
            return Opened(known[1], is_new=False)
        if conversation in self._all:
            raise there_already(conversation)
        if receipt is not None:
            self._receipts[receipt.scope, receipt.key] = receipt.digest, conversation
        made = self._all[conversation] = _Conversation(about, self.now())
        before = b"".join((shared or {}).values())
        made.entries.append(Entry(first.seq, first.count, before + first.data))
        made.head = first.seq + first.count
        kept = self._set(conversation, made, out, timers, secrets.token_hex(8), lease)
        return Opened(conversation, is_new=True, kept=kept)

    async def claim(
        self, mailboxes: Sequence[str], limit: int, lease: float, *, conversation: str = ""
    ) -> list[Claim]:
        """Claim what is to be done; see `Store`."""
        free = self._free(
            item
            for name in mailboxes
            for item in self._boxes.get(name, {}).values()
            if conversation in ("", item.conversation)
        )
        return self._claimed(free[:limit], lease)

    async def due(self, limit: int, lease: float) -> list[Claim]:
        """Claim timers that are due; see `Store`."""
        free = self._free(iter(self._boxes.get("", {}).values()))
        return self._claimed(free[:limit], lease)

    def _free(self, items: Iterator[_Item]) -> list[_Item]:
        now = self.now()
        return sorted((item for item in items if item.free <= now), key=lambda item: (item.free, item.id))

    def _claimed(self, items: Sequence[_Item], lease: float) -> list[Claim]:
        until = self.now() + lease
        return [item.claimed(secrets.token_hex(8), until) for item in items]

    def _find(self, claim: Claim) -> _Item | None:
        """Return what a claim is on, if it still holds."""
        talk = self._all.get(claim.conversation)
        if talk is None:
            return None
        item = (
            talk.items.get((claim.group, claim.mailbox, claim.note))
            if claim.mailbox
            else talk.timers.get(claim.note)
        )
        return item if item is not None and item.token == claim.token else None

    async def renew(self, claims: Sequence[Claim], lease: float) -> list[Claim]:
        """Hold claims for longer; see `Store`."""
        lost: list[Claim] = []
        for claim in claims:
            item = self._find(claim)
            if item is None:
                lost.append(claim)
            else:
                item.free = self.now() + lease
        return lost

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
    ) -> Done[Committed | Stale]:
        """Do one turn; see `Store`."""
        del is_alone
        done = self._commit(
            conversation, claim, entry, out, timers, replace, consume, closes, receipt, snapshot, lease
        )
        return Done(done)

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
    ) -> Committed | Stale:
        """Do one turn of the usual kind; see `Store`."""
        del to, is_alone
        out = () if closes is not None else (Delivery(mailbox, "", note, keep=True),)
        return self._commit(claim.conversation, claim, entry, out, (), ("",), True, closes, None, None, lease)

    def _commit(
        self,
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
    ) -> Committed | Stale:
        talk = self._all.get(conversation)
        if talk is None:
            raise no_such(conversation)
        token = token_after(claim, entry) if entry is not None else secrets.token_hex(8)
        if entry is not None and entry.seq < talk.head and entry in reversed(talk.entries):
            kept = [item for item in talk.items.values() if item.token == token]
            again = tuple(self._claim_of(item) for item in kept)
            return Committed(talk.head, again, was_done=True)
        if receipt is not None and (known := self._receipts.get((receipt.scope, receipt.key))):
            same = known[0] == receipt.digest
            return Committed(talk.head, was_done=True) if same else Stale("receipt")
        item = self._find(claim) if claim is not None else None
        if talk.closed is not None:
            return Stale("closed")
        if claim is not None and item is None:
            return Stale("claim")
        if entry is not None and entry.seq != talk.head:
            return Stale("seq")
        if entry is not None:
            talk.entries.append(entry)
            talk.head += entry.count
        if receipt is not None:
            self._receipts[receipt.scope, receipt.key] = receipt.digest, conversation
        if item is not None and consume:
            self._drop(talk, item)
        wanted = {(one.group, one.mailbox, one.note) for one in out}
        for place in [place for place in talk.items if place[0] in replace and place not in wanted]:
            self._drop(talk, talk.items[place])
        if closes is not None:
            talk.closed, talk.about, talk.snapshot = self.now(), closes, None
            for one in (*talk.items.values(), *talk.timers.values()):
                self._drop(talk, one)
            return Committed(talk.head)
        talk.snapshot = snapshot or talk.snapshot
        return Committed(talk.head, self._set(conversation, talk, out, timers, token, lease))

    def _put(self, item: _Item) -> None:
        self._boxes.setdefault(item.mailbox, {})[item.id] = item

    def _drop(self, talk: _Conversation, item: _Item) -> None:
        del self._boxes[item.mailbox][item.id]
        if item.mailbox:
            del talk.items[item.group, item.mailbox, item.note]
        else:
            del talk.timers[item.note]

    def _claim_of(self, item: _Item) -> Claim:
        return Claim(
            item.conversation,
            item.mailbox,
            item.group,
            item.note,
            item.token,
            item.free,
            item.attempt,
            item.id,
        )

    def _set(
        self,
        conversation: str,
        talk: _Conversation,
        out: Sequence[Delivery],
        timers: Sequence[Timer],
        token: str,
        lease: float,
    ) -> tuple[Claim, ...]:
        now = self.now()
        kept: list[Claim] = []
        for one in out:
            place = one.group, one.mailbox, one.note
            if place in talk.items:
                continue
            self._count += 1
            free = max(one.not_before, now)
            item = _Item(self._count, conversation, one.mailbox, one.group, one.note, free, now)
            talk.items[place] = item
            self._put(item)
            if one.keep:
                kept.append(item.claimed(token, now + lease))
        for timer in timers:
            if timer.name in talk.timers:
                self._drop(talk, talk.timers[timer.name])
            if timer.due is not None:
                self._count += 1
                item = _Item(self._count, conversation, "", "", timer.name, timer.due, now)
                talk.timers[timer.name] = item
                self._put(item)
        if is_news(out, timers, now):
            self._bell.ring()
        return tuple(kept)

    async def give_back(self, claim: Claim, *, not_before: float | None, reason: str) -> bool:
        """Let somebody try again, or never; see `Store`."""
        item = self._find(claim)
        if item is None:
            return False
        talk = self._all[claim.conversation]
        if not_before is None:
            self._drop(talk, item)
            talk.dead.append(
                Dead(item.conversation, item.mailbox, item.group, item.note, reason, self.now(), item.attempt)
            )
        else:
            item.token, item.free = "", not_before
            item.attempt -= not reason
            self._bell.ring()
        return True

    def read(self, conversation: str, after: int = -1) -> Iterator[Entry]:
        """Yield what was appended behind a record; see `Store`."""
        talk = self._all.get(conversation)
        if talk is None:
            raise no_such(conversation)
        return iter([entry for entry in talk.entries if entry.seq > after])

    def snapshot(self, conversation: str) -> Snapshot | None:
        """Return the snapshot that was kept last; see `Store`."""
        talk = self._all.get(conversation)
        return talk.snapshot if talk is not None else None

    async def wait(self, mailboxes: Sequence[str], timeout: float) -> None:  # noqa: ASYNC109
        """Return when there may be something to do; see `Store`."""
        del mailboxes
        await self._bell.rings(timeout)

    def rows(self, *, closed: bool | None = None, conversation: str = "", limit: int = 0) -> list[Row]:
        """Return conversations; see `Store`."""
        found = [
            Row(
                name,
                talk.opened,
                talk.closed,
                talk.about,
                talk.head,
                min((timer.free for timer in talk.timers.values()), default=None),
                len(talk.dead),
            )
            for name, talk in reversed(self._all.items())
            if (not conversation or name == conversation)
            and (closed is None or closed == (talk.closed is not None))
        ]
        return found[: limit or None]

    def waiting(self, conversation: str = "", *, mailbox: str = "", limit: int = 0) -> list[Waiting]:
        """Return deliveries; see `Store`."""
        every = [
            item
            for name, talk in self._all.items()
            if conversation in ("", name)
            for item in talk.items.values()
            if mailbox in ("", item.mailbox)
        ]
        every.sort(key=lambda item: item.id)
        return [
            Waiting(
                item.conversation,
                item.mailbox,
                item.group,
                item.note,
                item.since,
                item.free,
                item.attempt,
                bool(item.token),
            )
            for item in every[: limit or None]
        ]

    def backlog(self, mailbox: str, most: int) -> int:
        """Count what waits for somebody; see `Store`."""
        found = (True for item in self._boxes.get(mailbox, {}).values() if not item.token)
        return sum(islice(found, most))

    def dead(self, conversation: str = "") -> list[Dead]:
        """Return dead letters; see `Store`."""
        return [one for name, talk in self._all.items() if conversation in ("", name) for one in talk.dead]

    async def revive(self, conversation: str) -> int:
        """Make dead letters deliveries again; see `Store`."""
        talk = self._all.get(conversation)
        if talk is None or talk.closed is not None:
            return 0
        dead, talk.dead = talk.dead, []
        out = [Delivery(one.mailbox, one.group, one.note) for one in dead if one.mailbox]
        timers = [Timer(one.note, self.now()) for one in dead if not one.mailbox]
        self._set(conversation, talk, out, timers, "", 0.0)
        return len(dead)

    async def prune(self, *, before: float, conversation: str = "") -> int:
        """Delete closed conversations; see `Store`."""
        gone = [
            name
            for name, talk in self._all.items()
            if talk.closed is not None and talk.closed < before and conversation in ("", name)
        ]
        for name in gone:
            del self._all[name]
        self._receipts = {place: known for place, known in self._receipts.items() if known[1] in self._all}
        return len(gone)

    async def backup(self, target: Path) -> None:
        """Refuse: what is in memory only is not worth a copy.

        Raises:
            StoreError: Always.
        """
        raise StoreError(
            "a store in memory cannot be backed up",
            where=str(target),
            fix="keep conversations in a file: Runtime(store=SQLiteStore(path))",
        )

    def close(self) -> None:
        """Nothing to give back."""
