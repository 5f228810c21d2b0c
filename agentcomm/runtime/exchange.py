"""Read what was said between agents, whoever recorded it: JSON lines, messages, or a transcript of ours.

A line of a foreign record is `{"sender", "act", "content", "receivers", "at", "lane", "id", "in_reply_to"}`; only the first two
are needed. A line with `at` alone says that the record reaches to that time. Nothing here knows a protocol.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from itertools import islice
from math import isfinite
from typing import Any, TypeGuard

import msgspec

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Input, Leave, Misfire, Say, Tick
from agentcomm.conversation.transcript import Transcript
from agentcomm.errors import RecordError

__all__ = (
    "Entry",
    "entries_by_role",
    "entries_of_lines",
    "entries_of_messages",
    "entries_of_transcript",
    "hash_of",
    "is_map",
    "is_transcript",
    "members_of",
    "whole_of",
)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a record, or why it cannot be read."""

    line: int
    given: Input | None = None
    """None for a line that cannot be read."""
    receivers: tuple[str, ...] | None = None
    """Who heard it, if the record says so."""
    has_time: bool = False
    fault: str = ""
    """Why it cannot be read."""


_SAID = (Say, Misfire)


class _Line(msgspec.Struct, frozen=True):
    sender: str = ""
    act: str = ""
    content: Any = msgspec.field(default_factory=dict[str, Any])
    receivers: list[str] | str | None = None
    at: float | str | None = None
    lane: str | None = None
    id: str | None = None
    in_reply_to: str | None = None


_KEYS = _Line.__struct_fields__
_ALIKE = 0.8
"""How like a key another must be to be taken for misspelt: a record may have keys of its own."""


def _line(given: object) -> _Line:
    """Return one line of a record; keys that it does not know are left alone, unless one seems to be misspelt.

    Raises:
        ValueError: If it is no map, a value is of another type, or a key is misspelt.
    """
    line = msgspec.convert(given, type=_Line)
    if not is_map(given):
        return line
    for key in given:
        if key in _KEYS:
            continue
        missing = [name for name in _KEYS if len(name) > 2 and name not in given]  # noqa: PLR2004
        for meant in get_close_matches(key.lower(), missing, n=1, cutoff=_ALIKE):
            raise ValueError(f"{key!r} is no key of it; did you mean {meant!r}?")
    return line


class _Clock:
    """Seconds since the first time in the record, which is given in seconds or in RFC 3339."""

    def __init__(self) -> None:
        self._first: float | datetime | None = None

    def read(self, at: float | str) -> float:
        """Return the seconds since the first time.

        Raises:
            ValueError: If it is no time, or the first one was given in the other way.
        """
        given = _moment(at) if isinstance(at, str) else at
        if isinstance(given, float) and not isfinite(given):
            raise ValueError(f"at: {given} is no time")
        first = self._first = given if self._first is None else self._first
        if isinstance(given, datetime) and isinstance(first, datetime):
            return (given - first).total_seconds()
        if isinstance(given, datetime) or isinstance(first, datetime):
            raise ValueError("at: seconds and RFC 3339 in one record")
        return given - first


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"at: {text!r} is no time in RFC 3339, and no number of seconds") from None
    if moment.tzinfo is None:
        raise ValueError(f"at: {text!r} needs an offset from UTC, such as Z")
    return moment


def is_transcript(lines: Iterable[bytes]) -> bool:
    """Say whether lines are those of a transcript of ours, from the first of them."""
    first = next((line for line in lines if line.strip()), b"")
    try:
        data = msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return is_map(data) and ({"hash", "record"} <= data.keys() or {"blob", "salt"} <= data.keys())


def is_map(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Say whether a value of JSON is a map."""
    return isinstance(value, Mapping)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def entries_of_lines(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the entries of a foreign record; blank lines are skipped."""
    clock = _Clock()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield _entry(number, _line(msgspec.json.decode(line)), clock)
        except (ValueError, RecursionError) as error:
            yield Entry(line=number, fault=f"not a line of a record: {error}")


def entries_of_messages(messages: Iterable[Message | Mapping[str, Any]]) -> Iterator[Entry]:
    """Yield the entries of messages, counted from 1; maps have the keys of a line."""
    clock = _Clock()
    for number, given in enumerate(messages, start=1):
        if isinstance(given, Message):
            yield Entry(line=number, given=Say(given, 0.0), receivers=given.receivers or None)
            continue
        try:
            yield _entry(number, _line(dict(given)), clock)
        except (TypeError, ValueError, RecursionError) as error:
            yield Entry(line=number, fault=f"not a message: {error}")


def _entry(number: int, line: _Line, clock: _Clock) -> Entry:
    at = None if line.at is None else clock.read(line.at)
    if not line.sender and not line.act and at is not None:
        return Entry(line=number, given=Tick(at), has_time=True)
    for key in ("sender", "act"):
        if not getattr(line, key):
            raise ValueError(f"it has no {key!r}")
    receivers = [line.receivers] if isinstance(line.receivers, str) else line.receivers
    message = Message(
        act=line.act,
        content=line.content,
        id=line.id or "",
        sender=line.sender,
        in_reply_to=line.in_reply_to or "",
        lane=line.lane or "",
    )
    return Entry(
        line=number,
        given=Say(message, at or 0.0),
        receivers=None if receivers is None else tuple(receivers),
        has_time=at is not None,
    )


def entries_by_role(entries: Iterable[Entry], cast: Mapping[str, str]) -> list[Entry]:
    """Return entries in which those that a cast names stand by their role.

    Args:
        entries: What was read.
        cast: Name in the record -> role; members of the many-role keep their names, and are not in it.
    """
    return [_by_role(entry, cast) for entry in entries] if cast else list(entries)


def _by_role(entry: Entry, cast: Mapping[str, str]) -> Entry:
    if not isinstance(entry.given, Say):
        return entry
    message = entry.given.message
    named = msgspec.structs.replace(
        message,
        sender=cast.get(message.sender, message.sender),
        receivers=tuple(cast.get(name, name) for name in message.receivers),
    )
    heard = entry.receivers
    return msgspec.structs.replace(
        entry,
        given=msgspec.structs.replace(entry.given, message=named),
        receivers=heard and tuple(cast.get(name, name) for name in heard),
    )


def entries_of_transcript(transcript: Transcript, lines: Sequence[bytes] | None) -> Iterator[Entry]:
    """Yield the entries of a transcript: what was heard, the times, and how it was ended from outside.

    What was refused never reached anybody, so it is no part of the exchange.

    Args:
        transcript: What was read.
        lines: The same, as it stands in the file: a record is named by its line; without them, by its place.
    """
    places = _places(transcript, lines)
    inputs = transcript.inputs()
    last: Entry | None = None
    for record, place in zip(transcript.records, places, strict=True):
        if record.kind == "input":
            if last is not None and not isinstance(last.given, _SAID):
                yield last
            try:
                last = Entry(line=place, given=next(inputs), has_time=True)
            except RecordError as error:
                yield Entry(line=place, fault=f"{error.what}: {error.why}")
                return
        elif last is not None and isinstance(last.given, _SAID):
            if record.type in ("heard", "staged", "trouble"):
                yield last
                last = None
            elif record.type in ("ended", "lane-ended"):  # its tries were used up, by what nobody heard
                role = last.given.message.sender if isinstance(last.given, Say) else last.given.role
                lane = str(record.data.get("lane", ""))
                left = Leave(role, "nothing that it said counted", last.given.at, lane)
                last = msgspec.structs.replace(last, given=left)
    if last is not None and not isinstance(last.given, _SAID):
        yield last
    if transcript.damage is not None:
        place, _, why = transcript.damage.what.removeprefix("line ").partition(": ")
        yield Entry(line=int(place), fault=why)


def _places(transcript: Transcript, lines: Sequence[bytes] | None) -> Sequence[int]:
    """Return the line of each record."""
    count = len(transcript.records)
    if lines is None:
        return range(1, count + 1)
    own = (
        number for number, line in enumerate(lines, 1) if line.strip() and not line.startswith(b'{"blob":')
    )
    return list(islice(own, count))


def whole_of(transcript: Transcript) -> float | None:
    """Return the seconds that the recorded conversation had as a whole, None if it had no such limit."""
    opening = transcript.opening
    whole = None if opening is None else opening.data.get("whole")
    return float(whole) if isinstance(whole, int | float) else None


def members_of(transcript: Transcript) -> tuple[str, ...] | None:
    """Return who played the many-role when the recorded conversation was opened, None if it does not say."""
    opening = transcript.opening
    members = None if opening is None else opening.data.get("members")
    return tuple(map(str, members)) if _is_list(members) else None


def hash_of(transcript: Transcript) -> str:
    """Return the hash of the protocol that a transcript was recorded under; empty if it says none."""
    opening = transcript.opening
    protocol = None if opening is None else opening.data.get("protocol")
    return str(protocol.get("hash", "")) if is_map(protocol) else ""
