"""A transcript on disk: JSON lines, appended and never rewritten. Knows nothing of what the lines say."""

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from agentcomm.errors import StoreError

__all__ = ("JsonlLog", "MemoryLog", "file_for", "read_lines")


class MemoryLog:
    """Keeps lines in memory."""

    path: Path | None = None

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def append(self, lines: bytes) -> None:
        """Keep one or more whole lines."""
        self._lines.append(lines)

    def lines(self) -> list[bytes]:
        """Return everything, line by line."""
        return b"".join(self._lines).splitlines(keepends=True)

    def close(self) -> None:
        """Nothing to give back."""


def file_for(given: Path, name: str, suffix: str = "") -> Path:
    """Return where a transcript goes: the file that was named, or a new one in the folder that was named.

    Args:
        given: A file; or a folder, there already or a name without an ending such as `.jsonl`.
        name: What a file in a folder begins with: the protocol's name.
        suffix: What it ends with, where several may be opened in one millisecond.
    """
    if given.suffix and not given.is_dir():
        return given
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S-%f")[:-3]
    return given / f"{name}-{stamp}{suffix}.jsonl"


class JsonlLog:
    """Appends lines to a new file, readable by its owner only.

    Each append reaches the operating system before it returns, so it survives a crash of the process; `close` also
    reaches the disk.

    Args:
        path: The file; it must not exist. Its folder is made if need be.

    Raises:
        StoreError: If the file or its folder cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._file = os.open(
                path, how | getattr(os, "O_BINARY", 0), 0o600
            )  # Windows would change line ends
        except FileExistsError as error:
            if path.parent.is_dir():
                fix = "name another file, or a folder to have a new one in it; a transcript is never overwritten"
                raise StoreError("there is a transcript already", where=str(path), fix=fix) from None
            raise StoreError(
                "the transcript folder is a file",
                where=str(path.parent),
                fix="give another place with --transcript",
            ) from error
        except OSError as error:
            raise StoreError(
                f"cannot write a transcript: {(error.strerror or str(error)).lower()}",
                where=str(path),
                why="what is said is written down before it takes effect",
                fix="give another place with --transcript, a file or a folder that can be written",
            ) from error

    def append(self, lines: bytes) -> None:
        """Write one or more whole lines.

        Raises:
            StoreError: If the disk takes no more.
        """
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            raise StoreError(
                f"cannot write the transcript: {(error.strerror or str(error)).lower()}",
                where=str(self.path),
                fix="free some space; what was written so far can be read",
            ) from error

    def lines(self) -> list[bytes]:
        """Return everything, line by line."""
        return list(read_lines(self.path))

    def close(self) -> None:
        """Reach the disk and close."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.fsync(self._file)
            os.close(self._file)
            self._file = -1


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file.

    Raises:
        StoreError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise StoreError(
            f"cannot read the transcript: {(error.strerror or str(error)).lower()}",
            where=str(path),
            fix="check the path; `agentcomm trace list` shows what is in ./transcripts",
        ) from error
