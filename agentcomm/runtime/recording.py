"""The record of one conversation while it goes on: native objects until somebody needs the lines."""

import os
import re
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from time import time
from typing import Any, cast

import msgspec

from agentcomm.conversation.audit import WITHHELD
from agentcomm.conversation.entries import put, sealed_up, short, took
from agentcomm.conversation.events import Event, Input, Say
from agentcomm.conversation.plain import Told
from agentcomm.conversation.reading import recorded
from agentcomm.conversation.state import Conversation, seal_hash
from agentcomm.conversation.transcript import Chain, Kind, plain_bytes
from agentcomm.store.base import Entry
from agentcomm.store.jsonl import JsonlLog, MemoryLog
from agentcomm.tracing.content import Level

__all__ = ("Recording", "drawn", "new_id")

_Part = Callable[[Chain], bytes]
"""Gives the lines of something that is not yet written."""


class Recording:
    """What happened in a conversation, in order.

    Inputs and events are values, so they are kept as they are; hashes, salts and JSON are made when the lines are asked for, and
    at once where they go to a file.

    Args:
        log: Where the lines go; None keeps them in memory.
        clock: Returns seconds since 1970.
        level: How much of what is said is kept: full; hash, which is that of the content alone, so that whoever has it can show that
            it was this; or none, where hashes tell nothing.
    """

    __slots__ = ("_chain", "_clock", "_level", "_log", "_now", "waits")

    def __init__(
        self, log: JsonlLog | None = None, clock: Callable[[], float] = time, level: Level = "full"
    ) -> None:
        self._clock = clock
        self._level: Level = level
        self._log: JsonlLog | MemoryLog | None = log
        self._chain: Chain | None = None
        self._now = 0.0
        self.waits: list[Any] = []
        """Not yet lines: time, input and events of a step, or time, None and what gives the lines; three entries each."""

    @property
    def path(self) -> Path | None:
        """The file; None if it is in memory."""
        return self._log.path if self._log is not None else None

    @property
    def level(self) -> Level:
        """How much of what is said is kept."""
        return self._level

    @property
    def keeps_content(self) -> bool:
        """Whether what is said is kept."""
        return self._level == "full"

    @property
    def is_written(self) -> bool:
        """Whether there are lines: they go to a file, or somebody asked for them."""
        return self._log is not None

    @property
    def head(self) -> str:
        """Head of the hash chain."""
        return self._written().head

    @property
    def count(self) -> int:
        """Records so far."""
        return self._written().seq

    def goes_to(self, log: JsonlLog) -> None:
        """Write to a file from now on, what happened so far first.

        Raises:
            StoreError: If it cannot be written.
        """
        self._log = log
        self._written()

    def add(self, given: Input | None, events: Iterable[Event], *, is_sealed: bool = False) -> None:
        """Keep an input and its events.

        Args:
            given: The input; None at the opening.
            events: What happened; the events, or what gives them.
            is_sealed: Whether the content is known to be immutable; else it is copied where it is not written at once.

        Raises:
            StoreError: If it cannot be written.
        """
        if not is_sealed and self._log is None and type(given) is Say:
            given = recorded(given)
        self.waits += (self._clock(), given, events)
        if self._log is not None:
            self._written()

    def put(self, kind: Kind, type_: str, data: dict[str, Any], body: Any = None) -> None:
        """Keep a record of another kind as it is now, whatever becomes of what it refers to.

        Raises:
            UsageError: If it cannot be written down.
            StoreError: If it cannot be written.
        """
        known: Any = msgspec.Raw(plain_bytes(data, type_))
        said = None if body is None else msgspec.Raw(plain_bytes(body, type_))
        self.defer(lambda chain: chain.record(kind, type_, known, said))

    def defer(self, lines: _Part) -> None:
        """Keep something whose lines are made of values that never change."""
        self.waits += (self._clock(), None, lines)
        if self._log is not None:
            self._written()

    def seal(self, conversation: Conversation) -> None:
        """Keep the last record: the state's hash and the outcome."""

        def lines(chain: Chain) -> bytes:
            outcome = conversation.outcome
            data = {
                "count": chain.seq,
                "state": seal_hash(conversation),
                "outcome": outcome.name if outcome else None,
                "class": outcome.kind.value if outcome else None,
            }
            return chain.record("seal", "conversation", data)

        self.defer(lines)

    def lines(self) -> list[bytes]:
        """Return everything, line by line."""
        self._written()
        return self._log.lines() if self._log is not None else []

    def close(self) -> None:
        """Give the file back."""
        if self._log is not None:
            self._log.close()

    def _written(self) -> Chain:
        """Write what waits; return the chain."""
        is_full = self._level == "full"
        chain, is_first = self._chain, self._chain is None
        if chain is None:
            salt = _unsalted if self._level == "hash" else drawn
            chain = self._chain = Chain(now=self._stamp, salt=salt)
        if self._log is None:
            self._log = MemoryLog()
        waiting = self.waits
        if waiting:
            self.waits = []
            lines = self._encode(chain, waiting)
            if not is_full:
                if is_first:
                    lines.append(chain.record("step", WITHHELD, {"level": self._level}))
                lines = [_without_content(part) for part in lines]
            self._log.append(b"".join(lines))
        return chain

    def _encode(self, chain: Chain, waiting: list[Any]) -> list[bytes]:
        lines: list[bytes] = []
        for place in range(0, len(waiting), 3):
            self._now, given, what = waiting[place : place + 3]
            if callable(what):
                lines.append(cast("_Part", what)(chain))
                continue
            if given is not None:
                lines.append(chain.input(given))
            lines += map(chain.event, what)
        return lines

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self._now, UTC).isoformat(timespec="milliseconds")


def _unsalted() -> str:
    return ""


def _without_content(lines: bytes) -> bytes:
    """Return lines without what was said; the protocol that a conversation was opened with stays."""
    kept: list[bytes] = []
    blob = b""
    for line in lines.splitlines(keepends=True):
        if line.startswith(b'{"blob":'):
            blob = line
        else:
            kept += [blob, line] if b'"kind":"open","type":"conversation"' in line else [line]
            blob = b""
    return b"".join(kept)


class Stored(Recording):
    """What happened since the last entry of a conversation that a store keeps.

    Args:
        read: Returns the lines that the store has.
        clock: Returns seconds since 1970.
        place: Records before, and what chains the next entry to them.
    """

    __slots__ = ("_count", "_read", "place")

    def __init__(
        self,
        read: Callable[[], list[bytes]],
        clock: Callable[[], float],
        place: tuple[int, bytes] = (0, b""),
    ) -> None:
        super().__init__(clock=clock)
        self.place = place
        """Records that the store has, or will have with the entry that was made last, and the link to them."""
        self._count = 0
        """Records that wait."""
        self._read = read

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be written."""
        return not self.waits

    def add(self, given: Input | None, events: Iterable[Event], *, is_sealed: bool = False) -> None:
        """Keep an input and its events."""
        now = round(self._clock(), 3)
        if is_sealed and type(given) is Say and type(events) is Told:
            part, count = short(now, given, events)
            self.waits.append(part)
            self._count += count
        else:
            several = tuple(events)
            self.waits.append(took(now, given, several, is_sealed=is_sealed))
            self._count += (given is not None) + len(several)

    def opens(self, parts: msgspec.Raw, count: int) -> None:
        """Keep what begins it: parts as they are written, with a comma between two, and how many records they stand for."""
        self.waits.append(parts)
        self._count += count

    def put(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, kind: Kind, type_: str, data: dict[str, Any] | msgspec.Raw, body: Any = None, *, blob: str = ""
    ) -> None:
        """Keep a record of another kind as it is now, whatever becomes of what it refers to.

        Args:
            kind: What kind of record it is.
            type_: What it is.
            data: Its structure, or that as it is written.
            body: Its content.
            blob: Name of the content, where that stands elsewhere.

        Raises:
            UsageError: If it cannot be written down.
        """
        known = data if isinstance(data, msgspec.Raw) else msgspec.Raw(plain_bytes(data, type_))
        said = None if body is None else msgspec.Raw(plain_bytes(body, type_))
        self.waits.append(put(round(self._clock(), 3), kind, type_, known, said, blob))
        self._count += 1

    def seal(self, conversation: Conversation) -> None:
        """Keep the last record: the state's hash and the outcome."""
        self.waits.append(_seal(round(self._clock(), 3), conversation, self.place[0] + self._count))
        self._count += 1

    def entry(self) -> Entry:
        """Return what waits, to be appended; it waits no more."""
        first, link = self.place
        waiting, count = self.waits, self._count
        self.waits, self._count = [], 0
        data, link = sealed_up(waiting, drawn(), link)
        self.place = first + count, link
        return Entry(first, count, data)

    def entry_of(self, given: Say, told: Told, at: float, ended: Conversation | None = None) -> Entry:
        """Return a plain move, to be appended; nothing may wait.

        Args:
            given: What was said, known to be sound and immutable.
            told: What happened.
            at: When, in seconds since 1970.
            ended: The conversation, if it ended by it: its seal is the last record.
        """
        first, link = self.place
        at = round(at, 3)
        part, count = short(at, given, told)
        parts: tuple[Any, ...] = (part,)
        if ended is not None:
            parts, count = (part, _seal(at, ended, first + count)), count + 1
        data, link = sealed_up(parts, drawn(), link)
        self.place = first + count, link
        return Entry(first, count, data)

    def back(self, place: tuple[int, bytes]) -> None:
        """Forget what was not kept: others wrote, up to this place."""
        self.waits, self._count = [], 0
        self.place = place

    def lines(self) -> list[bytes]:
        """Return everything that the store has, line by line."""
        return self._read()

    def close(self) -> None:
        """Nothing to give back."""


def _seal(at: float, conversation: Conversation, count: int) -> Any:
    """Return the last record of a conversation as a part, behind so many others."""
    outcome = conversation.outcome
    data = {
        "count": count,
        "state": seal_hash(conversation),
        "outcome": outcome.name if outcome else None,
        "class": outcome.kind.value if outcome else None,
    }
    return put(at, "seal", "conversation", data)


_SIXTEEN = re.compile("." * 16).findall
_salts: list[str] = []
_SALTS = 256
"""Made at once: asking the system for random bytes costs more than all else that a short record needs."""


def drawn() -> str:
    """Return 16 random hexadecimal digits."""
    if not _salts:
        _salts.extend(_SIXTEEN(secrets.token_hex(8 * _SALTS)))
    return _salts.pop()


_drawn = count(secrets.randbits(32))


def new_id() -> str:
    """Return 16 hexadecimal digits that nobody else draws, of which half cannot be guessed.

    They stand behind those that were drawn before, so that an index has all that begins at one time on one page.
    """
    return f"{next(_drawn) & 0xFFFFFFFF:08x}{drawn()[:8]}"


def _anew() -> None:
    global _drawn  # noqa: PLW0603
    _salts.clear()
    _drawn = count(secrets.randbits(32))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_anew)  # a child draws its own
