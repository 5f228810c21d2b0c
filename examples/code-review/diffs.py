"""Look at a unified diff without applying it: is it whole, and what in its added lines is known to be trouble?"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from agentcomm.errors import InputError

__all__ = ("Change", "mended", "parse", "problems_of", "read_diff")

_FILE = re.compile(r"^\+\+\+ (?:b/)?(\S+)")
_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_TROUBLE = (
    (re.compile(r"^\s*except\s*:"), "catches everything, Ctrl-C included"),
    (
        re.compile(r"^\s*(?:print\(|breakpoint\(|import pdb)"),
        "looks like a trace left from looking for a fault",
    ),
    (re.compile(r"def \w+\(.*=\s*(?:\[\]|\{\})"), "has a default that all calls share"),
    (re.compile(r"[=!]= None\b"), "compares with None by value"),
    (re.compile(r"(?i)(?:password|secret|api_key|token)\s*=\s*[\"'][^\"']{6,}"), "looks like a secret"),
    (re.compile(r"^(?:<{7}|>{7}|={7}$)"), "is a mark of a merge"),
    (re.compile(r"\s$"), "ends in a blank"),
)
LONGEST = 120
MOST_BYTES = 1_000_000


@dataclass
class Change:
    """What a diff does to one file."""

    path: str
    added: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Line numbers in the new file, and the lines."""
    removed: int = 0
    broken: list[str] = field(default_factory=list[str])
    """Hunks whose lines do not add up."""


def read_diff(path: str) -> str:
    """Read a diff.

    Raises:
        InputError: If it cannot be read, is too long or is no unified diff.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "the diff cannot be read", why=str(error), fix="write `git diff > my.diff`", where=path
        ) from error
    if len(data) > MOST_BYTES:
        raise InputError("the diff is above 1 MB", fix="review it in parts", where=path)
    if not parse(text):
        raise InputError("this is no unified diff", fix="write `git diff > my.diff`", where=path)
    return text


def parse(diff: str) -> list[Change]:
    """Return what a diff does, file by file."""
    changes: list[Change] = []
    old = new = line = 0
    for raw in diff.splitlines():
        if hunk := _HUNK.match(raw):
            if changes and (old or new):
                changes[-1].broken.append(f"a hunk before line {hunk[2]} is cut short")
            old, line, new = int(hunk[1] or 1), int(hunk[2]), int(hunk[3] or 1)
        elif old <= 0 and new <= 0:
            if found := _FILE.match(raw):
                changes.append(Change(found[1]))
        elif changes and raw.startswith("+"):
            changes[-1].added.append((line, raw[1:]))
            line, new = line + 1, new - 1
        elif changes and raw.startswith("-"):
            changes[-1].removed += 1
            old -= 1
        elif changes and not raw.startswith("\\"):
            line, old, new = line + 1, old - 1, new - 1
    if changes and (old or new):
        changes[-1].broken.append("the last hunk is cut short")
    return changes


def problems_of(diff: str) -> list[str]:
    """Return what is wrong, worst first, each with its place."""
    changes = parse(diff)
    found = [f"{change.path}: {what}" for change in changes for what in change.broken]
    for change in changes:
        for number, text in change.added:
            found += [f"{change.path}:{number} {why}" for pattern, why in _TROUBLE if pattern.search(text)]
            if len(text) > LONGEST:
                found.append(f"{change.path}:{number} has {len(text)} characters")
    code = [c.path for c in changes if c.path.endswith(".py") and c.added and not _is_test(c.path)]
    if code and not any(_is_test(change.path) for change in changes):
        found.append(f"no test changes with {', '.join(code)}")
    return found


def mended(diff: str) -> str:
    """Return a diff without what code can mend by itself: blanks at the ends of added lines."""
    return "".join(
        f"{line.rstrip()}\n" if line.startswith("+") and not line.startswith("+++") else f"{line}\n"
        for line in diff.splitlines()
    )


def _is_test(path: str) -> bool:
    name = Path(path).name
    return name.startswith("test_") or name.endswith("_test.py") or "tests" in Path(path).parts
