"""Count what a log says, so that no model has to.

`read_facts(path)` reads a log once, line by line, in bounded memory, and returns `Facts`. It knows

    nginx error log           2026/05/20 04:12:11 [error] 42#42: *7 upstream timed out, client: ...
    combined access log       192.0.2.7 - - [20/May/2026:04:12:11 +0000] "GET / HTTP/1.1" 502 ...
    PostgreSQL                2026-05-20 04:12:11.123 UTC [42] shop@shop FATAL:  ...
    syslog, RFC 5424          <11>1 2026-05-20T04:12:11Z web1 app 42 - - ...
    syslog, RFC 3164          May 20 04:12:11 web1 app[42]: ...
    syslog, ISO stamps        2026-05-20T04:12:11.123456+00:00 web1 app[42]: ...
    applications              2026-05-20 04:12:11,123 ERROR ...

What counts as an error:

- a log with levels: `error` and above (`error`, `severe`, `crit`, `fatal`, `alert`, `emerg`, `panic`);
- an access log: a status of 500 or more;
- syslog without a priority, which is how most systems write it to disk: a message with a word such as
  `error`, `fatal` or `failed`. Words are a guess; keep the priority in the file where you can.

A line without a time belongs to the entry above it (a stack trace, a wrapped statement), and so do
PostgreSQL's `DETAIL`, `HINT`, `STATEMENT` and `CONTEXT`: they are lines, not further errors.

Times are as the log tells them. Where the stamp has a zone the time has it; where it has none (nginx errors,
RFC 3164, many applications, zone names other than UTC and GMT) the time has none either, for a zone that we
made up would be a wrong fact. RFC 3164 has no year: it is the latest that is not after the file's own date.

Severity, by the first rule that holds; the worst minute is the one with the most errors:

    critical   an entry at emerg, alert or panic; or 30 errors in the worst minute that are half its entries
    high       an entry at crit, critical or fatal; or 10 errors in the worst minute
    normal     3 errors
    low        fewer

PostgreSQL's FATAL ends one session and not the server, so by itself it is an error like others.
"""

import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict

from agentcomm.errors import InputError

__all__ = ("Facts", "read_facts")

Severity = Literal["low", "normal", "high", "critical"]

SAMPLE_CHARS = 200
"""Longest sample, in characters: a line of a report."""
MESSAGE_CHARS = 400
"""How much of a message tells it from others, in characters."""
LINE_BYTES = 16_384
"""How much of a line is looked at, in bytes: a web server's longest request line is half of it."""
HEAD_BYTES = 65_536
"""How much of a file shows whether it is text, in bytes."""
GARBLED_SHARE = 0.1
"""Share of undecodable characters in the head from which a file is not text."""
MESSAGES = 1_000
"""Different messages that are remembered at a time."""
MINUTES = 180
"""Minutes that are remembered at a time: some servers stamp a request when it begins and log it when it ends."""

CRITICAL_PER_MINUTE = 30
HIGH_PER_MINUTE = 10
NORMAL_IN_ALL = 3
HALF = 0.5
SERVER_ERROR = 500


class Facts(BaseModel):
    """What was counted in one log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    """Where it happened: the host that most errors name, or else the caller's `host`, or else the file's stem."""
    service: str
    """What wrote the errors: syslog's tag, `nginx`, `postgresql`, `http` for access logs, or the file's stem."""
    first_seen: datetime
    """Time of the earliest error; without a zone where the log has none."""
    error_count: int
    """Errors in the log; at least one."""
    severity: Severity
    """By the rule at the top of this module."""
    sample: str
    """The most frequent error message, as its first entry has it; at most 200 characters, on one line.

    Messages that differ only in numbers and ids are one. Request details are cut off.
    """
    lines: int
    """Lines in the file, whatever they hold."""
    window: tuple[datetime, datetime]
    """Earliest and latest time in the log, of errors and all else."""


class _Rank(IntEnum):
    FINE = 0
    ERROR = 1
    GRAVE = 2
    EMERGENCY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One dated line."""

    at: datetime
    rank: _Rank = _Rank.FINE
    message: str = ""
    host: str = ""
    service: str = ""
    is_part: bool = False
    """Whether it continues the entry above it."""


_RANKS = {
    "error": _Rank.ERROR,
    "err": _Rank.ERROR,
    "severe": _Rank.ERROR,
    "crit": _Rank.GRAVE,
    "critical": _Rank.GRAVE,
    "fatal": _Rank.GRAVE,
    "alert": _Rank.EMERGENCY,
    "emerg": _Rank.EMERGENCY,
    "emergency": _Rank.EMERGENCY,
    "panic": _Rank.EMERGENCY,
}
_SYSLOG_RANKS = (_Rank.EMERGENCY, _Rank.EMERGENCY, _Rank.GRAVE, _Rank.ERROR)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), start=1
    )
}
_MONTH = "|".join(_MONTHS)
_LEVEL = "|".join((*_RANKS, "trace", "debug", "info", "notice", "warn", "warning"))

_STAMP = re.compile(
    r"\[?(\d{4}[-/]\d\d[-/]\d\d([T ])\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)(?: ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)(?!\w))?\]?",
    re.ASCII,
)
_NGINX = re.compile(r" \[(\w+)\] \d+#\d+: (?:\*\d+ )?(.*)", re.ASCII)
_NGINX_HOST = re.compile(r", server: (?!_,)([\w.:-]+)|, host: \"([\w.-]+)", re.ASCII)
_POSTGRES = re.compile(
    r" ?(?:[A-Z]{3,5} )?\[[\d-]+\] .{0,200}?(?:(PANIC|FATAL|ERROR)|(LOG|WARNING|NOTICE|INFO|DEBUG\d?)"
    r"|DETAIL|HINT|STATEMENT|CONTEXT|QUERY|LOCATION):  (.*)",
    re.ASCII,
)
_SYSLOG = re.compile(
    rf" (?!(?i:{_LEVEL})\b)([\w.:-]+) (?!(?i:{_LEVEL})\b)([^\s:\[\]]{{1,64}})(?:\[[^\]]*\])?: ?(.*)", re.ASCII
)
_RFC3164 = re.compile(
    rf"(?:<(\d{{1,3}})>)?({_MONTH}) +(\d{{1,2}}) (\d\d):(\d\d):(\d\d) (\S+) (?:([^\s:\[]{{1,64}})(?:\[[^\]]*\])?: ?)?(.*)",
    re.ASCII,
)
_RFC5424 = re.compile(
    r"<(\d{1,3})>\d{1,2} (\S+) (\S+) (\S+) \S+ \S+ "
    r"(?:-|(?:\[[^\]\"]*(?:\"(?:[^\"\\]|\\.)*\"[^\]\"]*)*\])+) ?\ufeff?(.*)",
    re.ASCII,
)
_ACCESS = re.compile(
    rf"(?:([\w.-]+):\d+ )?\S+ \S+ .{{1,64}}? \[(\d\d)/({_MONTH})/(\d{{4}}):(\d\d:\d\d:\d\d) ([+-]\d{{4}})\] "
    r"\"((?:[^\"\\]|\\.)*)\" (\d{3}) ",
    re.ASCII,
)
_APP_LEVEL = re.compile(
    rf"^\W*(?i:({_LEVEL}))\b|(?<!\w)({_LEVEL.upper()})(?!\w)|\blevel\W{{1,3}}(?i:({_LEVEL}))\b", re.ASCII
)
_TROUBLE = re.compile(
    r"(?<!\bno )(?<!\b0 )(?<!\bwithout )\b(?:emerg|crit|critical|panic|fatal|err|error|failed|failure)\b",
    re.ASCII | re.IGNORECASE,
)
# What makes two messages one. Error numbers and HTTP statuses carry meaning and stay.
_VARYING = re.compile(
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{8,}\b"
    r"|(?<!\()(?<!HTTP )(?<!\d)\d+",
    re.ASCII | re.IGNORECASE,
)


def read_facts(path: str, *, host: str = "") -> Facts:
    """Count the errors in the log at `path`.

    Args:
        path: A text file; see the module for the formats.
        host: The machine's name, for logs that do not tell it.

    Raises:
        InputError: If the file cannot be read, is not a log that we know, or holds no error.
    """
    try:
        return _read(Path(path), host.strip())
    except FileNotFoundError as error:
        raise InputError(
            "no such file", fix="check the path; a relative one starts here", where=path
        ) from error
    except PermissionError as error:
        raise InputError(
            "the file may not be read",
            why=str(error.strerror),
            fix="run as a user who may read it (on Debian: group adm), or hand over a copy",
            where=path,
        ) from error
    except OSError as error:
        raise InputError(
            "the file cannot be read", why=str(error), fix="check the path and the disk", where=path
        ) from error


def _read(path: Path, host: str) -> Facts:
    where = str(path)
    try:
        status = path.stat()
    except ValueError as error:  # a NUL character or a lone surrogate
        raise InputError(
            "this cannot be a path", why=str(error), fix="check the path", where=ascii(where)
        ) from error
    if stat.S_ISDIR(status.st_mode):
        logs = sorted(item.name for item in path.glob("*.log"))
        raise InputError(
            "this is a directory",
            fix=f"name one log in it, such as {path / logs[0]}" if logs else "name one log file",
            where=where,
        )
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            "this is not a regular file",
            why="a pipe or a device may never end",
            fix="write the lines to a file first and name that file",
            where=where,
        )
    with path.open("rb") as file:
        _check_text(file.read(HEAD_BYTES), where)
        file.seek(0)
        return _count(file, path, host, written=status.st_mtime)


def _check_text(head: bytes, where: str) -> None:
    if not head:
        raise InputError("the file is empty", fix="name a log that has lines in it", where=where)
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        raise InputError("the file is compressed", fix="unpack it first, for example with zcat", where=where)
    text = head.decode(errors="replace")
    if b"\0" in head or text.count("\ufffd") > GARBLED_SHARE * len(text):
        raise InputError(
            "this is not a text file",
            why="it holds NUL bytes" if b"\0" in head else "most of it is not UTF-8",
            fix="name a log in UTF-8; convert others first, for example with iconv",
            where=where,
        )


def _count(file: IO[bytes], path: Path, host: str, *, written: float) -> Facts:
    lines = errors = 0
    worst = _Rank.FINE
    first = last = first_error = None
    hosts, services, messages, minutes = _Tally(), _Tally(), _Tally(), _Minutes()
    # A day more, since the stamps are local times; the bounds keep odd file dates within the calendar.
    limit = datetime.fromtimestamp(min(max(written, 0), 4e9), UTC).replace(tzinfo=None) + timedelta(days=1)

    for line in _lines(file):
        lines += 1
        entry = _parse(line, limit)
        if entry is None or entry.is_part:
            continue
        first = entry.at if first is None or _instant(entry.at) < _instant(first) else first
        last = entry.at if last is None or _instant(entry.at) > _instant(last) else last
        minutes.add(entry)
        if entry.rank is _Rank.FINE:
            continue
        errors += 1
        worst = max(worst, entry.rank)
        if first_error is None or _instant(entry.at) < _instant(first_error):
            first_error = entry.at
        message = _clean(entry.message or line, MESSAGE_CHARS)
        messages.add(_VARYING.sub("#", message), message)
        hosts.add(entry.host, entry.host)
        services.add(entry.service, entry.service)

    if first is None or last is None:
        raise InputError(
            "no line has a time that we can read",
            why=f"lines read: {lines}; none begins like a log that we know",
            fix="use an nginx, Apache, PostgreSQL or syslog log, or begin each line with an ISO time and a level",
            where=str(path),
        )
    if first_error is None:
        raise InputError(
            "nothing to hand over: the log has no errors",
            why=f"lines read: {lines}, from {first} to {last}; none at level error or with a status of 500 or more",
            fix="name the log of the time and the program that failed",
            where=str(path),
        )
    stem = _clean(path.name.lstrip(".").partition(".")[0] or path.name, MESSAGE_CHARS) or "log"
    return Facts(
        host=hosts.most() or host or stem,
        service=services.most() or stem,
        first_seen=first_error,
        error_count=errors,
        severity=_grade(errors, worst, *minutes.worst()),
        sample=_clean(messages.most(), SAMPLE_CHARS),
        lines=lines,
        window=(first, last),
    )


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Yield each line's first `LINE_BYTES`; a line without end must not fill the memory."""
    is_start = True
    while chunk := file.readline(LINE_BYTES):
        if is_start:
            yield chunk.decode(errors="replace").rstrip("\r\n").removeprefix("\ufeff")
        is_start = chunk.endswith(b"\n")


def _parse(line: str, limit: datetime) -> _Entry | None:
    """Return what a line says, or None if it has no time; `limit` is the latest time without a year."""
    try:
        if found := _STAMP.match(line):
            return _parse_iso(found, line[found.end() :])
        if found := _RFC5424.match(line):
            priority, at, host, app, message = found.groups()
            if stamp := _STAMP.fullmatch(at):
                return _Entry(
                    at=_time(stamp),
                    rank=_syslog_rank(priority, message),
                    message=message,
                    host=_named(host),
                    service=_named(app),
                )
            return None
        if found := _RFC3164.match(line):
            priority, month, day, hour, minute, second, host, tag, message = found.groups()
            return _Entry(
                at=_in_year(limit, f"{_MONTHS[month]:02}-{int(day):02}T{hour}:{minute}:{_second(second)}"),
                rank=_syslog_rank(priority, message),
                message=message,
                host=_named(host),
                service=_named(tag or ""),
            )
        if found := _ACCESS.match(line):
            host, day, month, year, clock, zone, request, status = found.groups()
            target = request.partition("?")[0].removesuffix(" HTTP/1.1")
            return _Entry(
                at=datetime.fromisoformat(f"{year}-{_MONTHS[month]:02}-{day}T{clock}{zone}"),
                rank=_Rank.ERROR if int(status) >= SERVER_ERROR else _Rank.FINE,
                message=f"HTTP {status} on {target}",
                host=host or "",
                service="http",
            )
    except ValueError:  # digits in the right places that are no date, such as month 13
        return None
    return None


def _parse_iso(stamp: re.Match[str], rest: str) -> _Entry:
    at = _time(stamp)
    if found := _NGINX.match(rest):
        level, message = found.groups()
        named = _NGINX_HOST.search(message)
        return _Entry(
            at=at,
            rank=_RANKS.get(level, _Rank.FINE),
            message=message.partition(", client: ")[0],
            host=(named[1] or named[2]) if named else "",
            service="nginx",
        )
    if found := _POSTGRES.match(rest):
        level, harmless, message = found.groups()
        rank = _Rank.EMERGENCY if level == "PANIC" else _Rank.ERROR if level else _Rank.FINE
        return _Entry(
            at=at, rank=rank, message=message, service="postgresql", is_part=not (level or harmless)
        )
    if stamp[2] == "T" and stamp[3] and (found := _SYSLOG.match(rest)):
        host, tag, message = found.groups()
        return _Entry(at=at, rank=_syslog_rank(None, message), message=message, host=host, service=tag)
    if found := _APP_LEVEL.search(rest, 0, MESSAGE_CHARS):
        level = found[found.lastindex or 0].lower()
        return _Entry(
            at=at, rank=_RANKS.get(level, _Rank.FINE), message=rest[found.end() :].lstrip(" \t-:|])>\",'")
        )
    return _Entry(at=at)


def _syslog_rank(priority: str | None, message: str) -> _Rank:
    if priority is None:
        return _Rank.ERROR if _TROUBLE.search(message) else _Rank.FINE
    level = int(priority) % 8
    return _SYSLOG_RANKS[level] if level < len(_SYSLOG_RANKS) else _Rank.FINE


def _time(stamp: re.Match[str]) -> datetime:
    text, _, zone = stamp.groups()
    text = text.replace("/", "-")[:17] + _second(text[17:19]) + text[19:]
    return datetime.fromisoformat(text + ("+00:00" if zone in ("Z", "UTC", "GMT") else zone or ""))


def _second(text: str) -> str:
    """Return a second that datetime knows; a leap second is legal in a log."""
    return "59" if text == "60" else text


def _in_year(limit: datetime, month_to_second: str) -> datetime:
    for year in range(limit.year, limit.year - 9, -1):  # 29 February may be eight years back
        try:
            at = datetime.fromisoformat(f"{year}-{month_to_second}")
        except ValueError:
            continue
        if at <= limit:
            return at
    raise ValueError(month_to_second)


def _instant(at: datetime) -> datetime:
    """Return `at` in a form that can be compared, for logs that mix stamps with and without a zone."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _named(name: str) -> str:
    return "" if name == "-" else _clean(name, MESSAGE_CHARS)


def _clean(text: str, limit: int) -> str:
    """Return `text` on one line, without control characters, in at most `limit` characters."""
    # Cut before and after: the first bounds the work, the second the result.
    text = text[: 2 * MESSAGE_CHARS]
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _grade(errors: int, worst: _Rank, per_minute: int, share: float) -> Severity:
    """Apply the rule at the top of this module; `per_minute` and `share` are those of the worst minute."""
    if worst is _Rank.EMERGENCY or (per_minute >= CRITICAL_PER_MINUTE and share >= HALF):
        return "critical"
    if worst is _Rank.GRAVE or per_minute >= HIGH_PER_MINUTE:
        return "high"
    return "normal" if errors >= NORMAL_IN_ALL else "low"


class _Tally:
    """Find the most frequent text in bounded memory.

    Exact up to `MESSAGES` different texts. Beyond, every count drops by one whenever a new text finds no
    place, so that rare texts leave and any text with more than a thousandth of all stays (Misra & Gries 1982).
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._firsts: dict[str, str] = {}

    def add(self, key: str, text: str) -> None:
        """Count `key`, unless it is empty; `text` is shown for it."""
        if not key:
            return
        if key in self._counts:
            self._counts[key] += 1
        elif len(self._counts) < MESSAGES:
            self._counts[key] = 1
            self._firsts[key] = text
        else:
            self._counts = {name: count - 1 for name, count in self._counts.items() if count > 1}
            self._firsts = {name: self._firsts[name] for name in self._counts}

    def most(self) -> str:
        """Return the text of the most frequent key, the earliest of equals; empty if there is none."""
        return self._firsts[max(self._counts, key=self._counts.__getitem__)] if self._counts else ""


class _Minutes:
    """Find the minute with the most errors, in bounded memory, though entries are slightly out of order."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[int, int]] = {}
        self._worst = (0, 0)

    def add(self, entry: _Entry) -> None:
        minute = int(_instant(entry.at).timestamp() // 60)
        errors, entries = self._open.get(minute, (0, 0))
        self._open[minute] = (errors + (entry.rank is not _Rank.FINE), entries + 1)
        if len(self._open) > MINUTES:
            self._worst = max(self._worst, self._open.pop(next(iter(self._open))), key=_badness)

    def worst(self) -> tuple[int, float]:
        """Return the errors in the worst minute, and their share of its entries."""
        errors, entries = max(self._worst, *self._open.values(), key=_badness)
        return errors, errors / max(entries, 1)


def _badness(minute: tuple[int, int]) -> tuple[int, int]:
    errors, entries = minute
    return errors, -entries


def main() -> int:
    """Print the facts of the log that the command line names, as JSON."""
    try:
        print(read_facts(*sys.argv[1:2] or ("input/error.log",)).model_dump_json(indent=2))
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
