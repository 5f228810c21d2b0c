"""Colour, width and where words go: results to standard output, everything else to standard error."""

import asyncio
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any, Self

from agentcomm.acts.content import printable
from agentcomm.conversation.render import Style
from agentcomm.errors import InputError

__all__ = (
    "Pulse",
    "drop_output",
    "fault",
    "note",
    "noted_if_long",
    "print_json",
    "put",
    "style",
    "width",
)

_CODES = {"act": "1", "name": "36", "good": "32", "bad": "31", "dim": "2", "field": "0"}


def style(stream: Any = None) -> Style:
    """Return colours for a terminal, none for a pipe or where NO_COLOR is set."""
    stream = stream or sys.stdout
    if os.environ.get("FORCE_COLOR") or (stream.isatty() and not os.environ.get("NO_COLOR")):
        return lambda kind, text: f"\x1b[{_CODES.get(kind, '0')}m{_safe(text)}\x1b[0m"
    return lambda _kind, text: _safe(text)


def _safe(text: str) -> str:
    return printable(text, keep="\n")


def width() -> int:
    """Return the columns to fill: the terminal's, at least 60; 0 (no folding) for a pipe."""
    if os.environ.get("COLUMNS") or sys.stdout.isatty():
        return max(60, shutil.get_terminal_size().columns)
    return 0


def note(text: str) -> None:
    """Say something that is not part of the result."""
    print(style(sys.stderr)("dim", printable(text, keep="\n")), file=sys.stderr, flush=True)


@contextmanager
def noted_if_long(text: str) -> Generator[None]:
    """Say what is being done, once it takes more than a second."""
    timer = Timer(1.0, note, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def drop_output(*streams: Any) -> None:
    """Let what is printed from now on go nowhere: its reader, its disk or its terminal is gone."""
    for stream in streams:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def fault(text: str) -> None:
    """Say what went wrong."""
    head, _, rest = printable(text, keep="\n").partition("\n")
    print(style(sys.stderr)("bad", head), *([rest] if rest else []), sep="\n", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print one JSON value."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def put(text: str, path: str | None) -> None:
    """Print a result, or write it to a file that the user named.

    Raises:
        InputError: If it cannot be written.
    """
    safe = printable(text, keep="\n")
    if path is None:
        print(safe)
        return
    try:
        Path(path).expanduser().write_text(f"{safe}\n", encoding="utf-8", newline="\n")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"cannot write: {reason}", where=path, fix="name a file that can be written"
        ) from error


class Pulse:
    """Shows on a terminal that something is going on: the seconds since the last line, from the second one on."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._shown = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if sys.stderr.isatty():
            self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._task is not None:
            self._task.cancel()
        self.stop()

    def stop(self) -> None:
        """Take the line away, since another one comes."""
        if self._shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
        self._shown, self._since = False, time.monotonic()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            seconds = int(time.monotonic() - self._since)
            if seconds >= 1:
                self._shown = True
                sys.stderr.write(f"\r\x1b[2K        … {seconds} s")
                sys.stderr.flush()
