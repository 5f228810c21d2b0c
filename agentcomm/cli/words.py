"""Colour, width and where words go: results to standard output, everything else to standard error."""

import json
import os
import shutil
import sys
from typing import Any

from agentcomm.conversation.render import Style, plain

__all__ = ("fault", "note", "print_json", "style", "width")

_CODES = {"act": "1", "name": "36", "good": "32", "bad": "31", "dim": "2", "field": "0"}


def style(stream: Any = None) -> Style:
    """Return colours for a terminal, none for a pipe or where NO_COLOR is set."""
    stream = stream or sys.stdout
    if os.environ.get("FORCE_COLOR") or (stream.isatty() and not os.environ.get("NO_COLOR")):
        return lambda kind, text: f"\x1b[{_CODES.get(kind, '0')}m{text}\x1b[0m"
    return plain


def width() -> int:
    """Return the columns to fill: the terminal's, at least 60; 0 (no folding) for a pipe."""
    if os.environ.get("COLUMNS") or sys.stdout.isatty():
        return max(60, shutil.get_terminal_size().columns)
    return 0


def note(text: str) -> None:
    """Say something that is not part of the result."""
    print(style(sys.stderr)("dim", text), file=sys.stderr, flush=True)


def fault(text: str) -> None:
    """Say what went wrong."""
    head, _, rest = text.partition("\n")
    print(style(sys.stderr)("bad", head), *([rest] if rest else []), sep="\n", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print one JSON value."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))
