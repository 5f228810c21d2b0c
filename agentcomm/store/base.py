"""What every store does: keeps records, hands out what is to be done, and lets one turn be one transaction.

A store knows nothing of dialogue. It keeps **entries**, records that were appended together; **deliveries**, rows that say
that somebody has something to do in a conversation; **timers**; **receipts** for keys of outsiders; and **dead letters**, deliveries
that could not be dealt with. Whoever works on a delivery holds a **claim** on it for the time of a lease. A turn is one `commit`: the
claim is used up, the records are appended at the place where they were expected, and the next deliveries and timers are set, all
of it or nothing. Somebody whose lease ran out is told that he is stale, and has changed nothing.

Times are seconds since 1970 by the store's own clock, `now`.
"""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

__all__ = (
    "ABOUT_ALL",
    "Claim",
    "Committed",
    "Dead",
    "Delivery",
    "Entry",
    "Opened",
    "Receipt",
    "Row",
    "Snapshot",
    "Stale",
    "Store",
    "Timer",
    "Waiting",
    "Waits",
)

ABOUT_ALL = "*"
"""Instead of names of mailboxes: every mailbox."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """Records that were appended together."""

    seq: int
    """Place of the first, from 0."""
    count: int
    data: bytes
    """What was appended, as whoever appends it writes it."""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """Somebody has something to do in a conversation."""

    mailbox: str
    group: str = ""
    """What it takes part in: deliveries of one group are replaced together."""
    note: str = ""
    """What it is about; `group`, `mailbox` and `note` tell one delivery of a conversation from the next."""
    keep: bool = False
    """Whether the one who commits goes on with it himself."""
    not_before: float = 0.0


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """What a conversation came to at a place of its record: a cache, which may be gone at any time."""

    seq: int
    """Records that it stands for."""
    data: bytes


class Timer(msgspec.Struct, frozen=True, gc=False):
    """Something is due; one per name in a conversation."""

    name: str
    due: float | None
    """None takes it back."""


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Somebody outside was answered: the same key with the same content is no second act."""

    scope: str
    """Whose key it is, such as the name of an authenticated peer."""
    key: str
    digest: str
    """Hash of what came with it."""


class Claim(msgspec.Struct, frozen=True, gc=False):
    """The right to deal with a delivery or a timer until the lease is over."""

    conversation: str
    mailbox: str
    """Empty for a timer."""
    group: str
    note: str
    """Of a timer, its name."""
    token: str
    """New for each claim: whoever holds an older one is stale."""
    until: float
    attempt: int
    """From 1."""
    id: int = 0
    """How the store finds it again."""


class Committed(msgspec.Struct, frozen=True, gc=False):
    """It is done, and on disk if the store has one."""

    head: int
    """Place of the next record."""
    kept: tuple[Claim, ...] = ()
    """Claims on deliveries that were kept."""
    was_done: bool = False
    """It had been done before: only the answer was lost."""


class Stale(msgspec.Struct, frozen=True, gc=False):
    """Nothing was done: somebody else was faster."""

    reason: Literal["claim", "seq", "closed", "receipt"]
    """The claim is somebody else's by now; other records stand there; the conversation is closed; the key was used for something else."""


class Opened(msgspec.Struct, frozen=True, gc=False):
    """A conversation is in the store."""

    conversation: str
    is_new: bool
    """False if its key had been used before; then `conversation` is the one that was opened with it."""
    kept: tuple[Claim, ...] = ()


class Row(msgspec.Struct, frozen=True, gc=False):
    """One conversation in a list."""

    conversation: str
    opened: float
    closed: float | None
    about: bytes
    """What was said of it when it was opened, or when it was closed."""
    head: int
    """Records."""
    due: float | None
    """Its next timer."""
    dead: int
    """Dead letters."""


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A delivery that is there."""

    conversation: str
    mailbox: str
    group: str
    note: str
    since: float
    free: float
    """When it can be claimed; in the past: now."""
    attempt: int
    is_claimed: bool


class Dead(msgspec.Struct, frozen=True, gc=False):
    """A delivery that could not be dealt with."""

    conversation: str
    mailbox: str
    group: str
    note: str
    reason: str
    at: float
    attempt: int


class Waits(Protocol):
    """Whoever is told what something came to.

    Attributes:
        loop: In which he is told.
    """

    loop: asyncio.AbstractEventLoop

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Say what it came to, or what was raised."""
        ...


class Store(Protocol):
    """The nine methods that a runtime needs, and beside them what people who look after a store need.

    Every method raises `StoreError` where the store cannot be reached or takes no more, and then has changed nothing, but for
    an answer that was lost: the same call again tells.
    """

    @property
    def name(self) -> str:
        """What people call it: a path, or `memory`."""
        ...

    def now(self) -> float:
        """Return the time by the store's clock."""
        ...

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
        """Begin a conversation.

        Args:
            conversation: Its id; a second conversation of that id is refused.
            first: Its first records.
            out: Who has something to do.
            timers: What is due.
            about: For lists.
            receipt: The key of whoever asks for it.
            shared: Name -> what stands before `first`, and is the same in many conversations.
            lease: Seconds for what is kept.

        Raises:
            StoreError: X404 if there is a conversation of that id, X405 if the key was used with other content.
        """
        ...

    async def claim(
        self, mailboxes: Sequence[str], limit: int, lease: float, *, conversation: str = ""
    ) -> list[Claim]:
        """Claim what is to be done, the oldest first.

        Args:
            mailboxes: Whose.
            limit: How many at most.
            lease: Seconds.
            conversation: Only in this one.
        """
        ...

    async def renew(self, claims: Sequence[Claim], lease: float) -> list[Claim]:
        """Hold claims for longer; returns those that are lost."""
        ...

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
    ) -> Awaitable[Committed | Stale]:
        """Do one turn, all of it or nothing. A `Done` says that it is done already; a `Doing` is done whether somebody waits for it or not.

        Args:
            conversation: In which.
            claim: The claim under which it is done; None for somebody who has none, such as a person who cancels.
            entry: What is appended; its `seq` is where it is expected to stand.
            out: Deliveries; one that is there already stays as it is.
            timers: What is due.
            replace: Groups of which only the deliveries in `out` remain.
            consume: Whether the claim is used up; False for a step within a turn.
            closes: Ends the conversation: nothing is due in it any more; the value is for lists.
            receipt: The key of whoever asks for it.
            snapshot: What it comes to with this turn, in place of the snapshot that is there.
            lease: Seconds for what is kept; what follows from a claim that holds for half of them may go on with it as it is.
            is_alone: Whether whoever asks has nothing else to do meanwhile, so that it may be done before this returns.
        """
        ...

    def go_on(
        self,
        claim: Claim,
        entry: Entry,
        mailbox: str,
        note: str,
        closes: bytes | None,
        lease: float,
        to: "Waits",
        *,
        is_alone: bool,
    ) -> Committed | Stale | None:
        """Do what `commit` does of what most turns are: an entry is appended, and one delivery is left, which is kept.

        Args:
            claim: The claim that is used up; its group is empty.
            entry: What is appended.
            mailbox: Of the only delivery that is left, which whoever commits goes on with; not looked at if it `closes`.
            note: Of that.
            closes: Ends the conversation, as in `commit`.
            lease: Seconds.
            to: Told what it comes to, in its loop, if this returns None.
            is_alone: As in `commit`.
        """
        ...

    async def give_back(self, claim: Claim, *, not_before: float | None, reason: str) -> bool:
        """Let somebody try again from a time on, or never: then it is a dead letter. False if the claim was lost.

        Without a reason nothing went wrong, and it was no attempt.
        """
        ...

    async def due(self, limit: int, lease: float) -> list[Claim]:
        """Claim timers that are due, the oldest first."""
        ...

    def read(self, conversation: str, after: int = -1) -> Iterator[Entry]:
        """Yield what was appended behind a record; what was appended with it is not yielded in part.

        Raises:
            StoreError: X406 if there is no such conversation.
        """
        ...

    def snapshot(self, conversation: str) -> Snapshot | None:
        """Return the snapshot that was kept last, if there is one."""
        ...

    async def wait(self, mailboxes: Sequence[str], timeout: float) -> None:  # noqa: ASYNC109  (a hint, and it may come late)
        """Return when there may be something to do, and after `timeout` seconds at the latest."""
        ...

    # --- for those who look after it ---

    def rows(self, *, closed: bool | None = None, conversation: str = "", limit: int = 0) -> list[Row]:
        """Return conversations, the newest first."""
        ...

    def waiting(self, conversation: str = "", *, mailbox: str = "", limit: int = 0) -> list[Waiting]:
        """Return deliveries."""
        ...

    def backlog(self, mailbox: str, most: int) -> int:
        """Return how many deliveries wait for somebody, of all processes, and `most` at most; it is asked often."""
        ...

    def dead(self, conversation: str = "") -> list[Dead]:
        """Return dead letters."""
        ...

    async def revive(self, conversation: str) -> int:
        """Make dead letters of an open conversation deliveries again; returns how many."""
        ...

    async def prune(self, *, before: float, conversation: str = "") -> int:
        """Delete conversations that were closed before a time, or one that is closed; returns how many."""
        ...

    async def backup(self, target: Path) -> None:
        """Write a copy, as it is at one moment, while others go on."""
        ...

    def close(self) -> None:
        """Give it back; what was committed is there."""
        ...
