"""What a YAML parser's error says, in words that help."""

from collections.abc import Sequence

from agentcomm.protocol.findings import NOWHERE, Report
from agentcomm.protocol.graph import Mark

__all__ = ("tell_syntax",)

_UNCLOSED = (
    ("unexpected end of stream", "a quote that is never closed", "close it"),
    (
        "expected ',' or ']'",
        "a list that is not closed",
        "close it with `]`; in it, quote text with brackets",
    ),
    ("expected ',' or '}'", "a map that is not closed", "close it with `}`; in it, quote text with brackets"),
)
_SYNTAX = (
    ("got '?'", "a `?` where none can be", "put it in quotes; what may be left out is `optional text`"),
    *_UNCLOSED,
    ("mapping values are not allowed", "a colon where none can be", "put text that contains `: ` in quotes"),
    (
        "could not find expected ':'",
        "a key without its colon",
        "write `key: value`, with a space after the colon",
    ),
    ("undefined alias", "an alias that stands for nothing", "write the value out"),
    ("unknown escape", "an unknown escape in double quotes", "use single quotes, or double the backslash"),
    ("expected <block end>", "the indentation does not fit", "align it with the lines above"),
    ("inconsistent indentation", "the indentation does not fit", "align it with the lines above"),
    ("duplicate anchor", "an anchor that stands here twice", "rename one"),
    ("cannot start any token", "a character that cannot stand here", "put the text in quotes"),
)


def _is_too_deep(lines: Sequence[str], place: Mark) -> bool:
    """Whether a key at a place is indented below a line that has its value already."""
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    above = next((text for text in reversed(lines[: place.line - 1]) if text.strip()), "")
    key = line[: place.column - 1].strip()
    return (
        bool(key)
        and not key.startswith(("-", "{", "[", "#"))
        and ":" not in key
        and not above.rstrip().endswith(":")
        and len(line) - len(line.lstrip()) > len(above) - len(above.lstrip())
    )


def tell_syntax(error: Exception, report: Report) -> None:
    """Add the finding for a syntax error."""
    problem = str(getattr(error, "problem", "") or error).splitlines()[0]
    began, at = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    if began and any(words in problem for words, *_ in _UNCLOSED) and "got '?'" not in problem:
        at = began  # of what is not closed, the beginning is the place to show
    place = Mark(at.line + 1, at.column + 1) if at is not None else NOWHERE
    line = report.lines[place.line - 1] if place.line <= len(report.lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        column = line.index("\t") + 1
        report.add(
            "E100",
            "syntax",
            Mark(place.line, column),
            "a tab in the indentation",
            why="YAML indents with spaces only",
            fix="replace the tab with spaces",
        )
        return
    if "mapping values are not allowed" in problem and _is_too_deep(report.lines, place):
        indented = len(line) - len(line.lstrip())
        report.add(
            "E100",
            "syntax",
            Mark(place.line, indented + 1),
            "this line is indented too far",
            why="the line above has its value already; nothing can belong to it",
            fix="align it with the line above",
        )
        return
    for words, what, fix in _SYNTAX:
        if words in problem:
            report.add("E100", "syntax", place, what, why=f"YAML: {problem}", fix=fix)
            return
    report.add("E100", "syntax", place, "this is not YAML", why=f"YAML: {problem}", fix="put text in quotes")
