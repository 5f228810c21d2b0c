"""A finding: one result of checking a protocol, with its place, its reason and what to do about it.

The codes are those of the documentation's page on checks: E is an error, W a warning, I an information.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any, Literal

from agentcomm.protocol.graph import Mark

__all__ = ("NOWHERE", "Finding", "Kind", "Report", "Severity", "TooMany", "near", "quoted")

Severity = Literal["error", "warning", "info"]
Kind = Literal[
    "syntax",
    "unknown_name",
    "unknown_role",
    "unreachable",
    "dead_end",
    "no_final",
    "ambiguous_choice",
    "role_not_informed",
    "race",
    "orphan_message",
    "stuck_receive",
    "starvation",
    "unbounded_cycle",
    "missing_deadline",
    "data_flow",
    "commitment_open",
    "grounding",
    "lanes",
    "composition",
    "other",
]

NOWHERE = Mark(1, 1)
"""Place of a finding about the document as a whole."""

_SEVERITIES: dict[str, Severity] = {"E": "error", "W": "warning", "I": "info"}
_EXCERPT = 120
"""Characters of a line that are shown."""
_CANDIDATES = 1_000
"""Names that a misspelt one is compared with."""
_LONGEST_WORD = 80
"""Characters of a word that is compared with others."""
_LONGEST_TEXT = 400
"""Characters of a sentence in a finding."""
_FIRST, _LAST = 8, 16
"""Steps of a long witness that are shown."""
MOST_FINDINGS = 100
"""After so many, checking stops: nobody reads more at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result of checking a protocol."""

    code: str
    """Stable, such as E102."""
    kind: Kind
    """What sort of defect it is, from a closed list."""
    what: str
    """What is wrong, in one line."""
    why: str = ""
    fix: str = ""
    path: str = ""
    """The file, as it was named."""
    line: int = 1
    """From 1."""
    column: int = 1
    """From 1, in characters."""
    length: int = 1
    """Characters to underline."""
    excerpt: str = ""
    """The line of the file, without its end; of a long line, what is around the place."""
    excerpt_from: int = 1
    """Column of the excerpt's first character."""
    witness: tuple[str, ...] = ()
    """The shortest way there: steps `state --act--> state`; of a very long one the beginning and the end."""

    @property
    def severity(self) -> Severity:
        """How bad it is: only errors keep a protocol from being loaded."""
        return _SEVERITIES[self.code[0]]

    @property
    def where(self) -> str:
        """File, line and column."""
        return f"{self.path or '<text>'}:{self.line}:{self.column}"

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.code} {self.what} [{self.kind}]"]
        if self.excerpt.strip():
            lines += self._underlined()
        if self.witness:
            lines.append(f"  via  {_chain(self.witness)}")
        lines += [f"  {word}  {text}" for word, text in (("why", self.why), ("fix", self.fix)) if text]
        return "\n".join(lines)

    def _underlined(self) -> list[str]:
        before = self.excerpt[: self.column - self.excerpt_from]
        room = max(1, min(self.length, len(self.excerpt) - len(before)))
        padding = "".join("\t" if character == "\t" else " " for character in before)
        return [self.excerpt.rstrip(), padding + "^" * room]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON data, for programs."""
        return {
            "code": self.code,
            "kind": self.kind,
            "severity": self.severity,
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "length": self.length,
            "excerpt": self.excerpt,
            "excerpt_from": self.excerpt_from,
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
            "witness": list(self.witness),
        }


def _chain(witness: Sequence[str]) -> str:
    """Return steps as one chain: `a --x--> b --y--> c`."""
    text = witness[0]
    for before, step in pairwise(witness):
        last = before.rpartition("> ")[2]
        text += step.removeprefix(last) if step.startswith(f"{last} ") else f", {step}"
    return text


def _shortened(witness: tuple[str, ...]) -> tuple[str, ...]:
    """Return a witness without the middle of a way that nobody reads."""
    left_out = len(witness) - _FIRST - _LAST
    if left_out <= 1:
        return witness
    return (*witness[:_FIRST], f"… {left_out:,} steps …", *witness[-_LAST:])


def _cut(text: str) -> str:
    """Return a sentence in one line, not too long."""
    line = " ".join(text.split()) if "\n" in text else text
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]} …"


class TooMany(Exception):
    """There are enough findings."""


@dataclass(slots=True)
class Report:
    """Findings as they are made; knows the text, so that each shows its line."""

    path: str = ""
    lines: Sequence[str] = ()
    found: list[Finding] = field(default_factory=list[Finding])
    told: set[str] = field(default_factory=set[str])
    """Names that stand for nothing: each is told of where it stands first."""

    def add(
        self,
        code: str,
        kind: Kind,
        at: Mark,
        what: str,
        *,
        why: str = "",
        fix: str = "",
        witness: Iterable[str] = (),
    ) -> None:
        """Add a finding at a place.

        Raises:
            TooMany: If there are enough.
        """
        if len(self.found) == MOST_FINDINGS:
            code, kind, why, fix, witness = "E101", "other", "", "mend these first, then check again", ()
            what = f"more than {MOST_FINDINGS} findings"
        line = self.lines[at.line - 1] if 0 < at.line <= len(self.lines) else ""
        first = max(0, at.column - 1 - _EXCERPT // 2) if len(line) > _EXCERPT + _EXCERPT // 2 else 0
        self.found.append(
            Finding(
                code=code,
                kind=kind,
                what=_cut(what),
                why=_cut(why),
                fix=_cut(fix),
                path=self.path,
                line=at.line,
                column=at.column,
                length=at.length,
                excerpt=line[first : first + _EXCERPT] if first or len(line) > _EXCERPT * 3 // 2 else line,
                excerpt_from=first + 1,
                witness=_shortened(tuple(witness)),
            )
        )
        if len(self.found) > MOST_FINDINGS:
            raise TooMany

    def is_news(self, name: str) -> bool:
        """Say whether a name that stands for nothing is met for the first time."""
        is_news = name not in self.told
        self.told.add(name)
        return is_news

    @property
    def has_errors(self) -> bool:
        """Whether anything found keeps the protocol from being loaded."""
        return any(finding.severity == "error" for finding in self.found)

    def sorted(self) -> list[Finding]:
        """Return the findings in the order of the file."""
        return sorted(self.found, key=lambda finding: (finding.line, finding.column, finding.code))


def near(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Return `did you mean 'x'?`, or the known names, or `otherwise` if there are none."""
    names = [name for name in dict.fromkeys(islice(known, _CANDIDATES)) if len(name) <= _LONGEST_WORD]
    lowered = {name.lower(): name for name in names}
    comparable = lowered if len(word) <= _LONGEST_WORD else ()
    if close := difflib.get_close_matches(word.lower(), comparable, n=1, cutoff=0.6):
        return f"did you mean '{lowered[close[0]]}'?"
    longer = [name for name in comparable if name.startswith(f"{word.lower()}-")]
    if len(longer) == 1:
        return f"did you mean '{lowered[longer[0]]}'?"
    return f"known: {quoted(names)}" if names else otherwise


def joined(names: Iterable[str]) -> str:
    """Return names in quotes, the last with `and`."""
    *most, last = [f"'{name}'" for name in names]
    return f"{', '.join(most)} and {last}" if most else last


def quoted(names: Iterable[str], *, limit: int = 12) -> str:
    """Return names in quotes with commas, cut after `limit`."""
    all_names = list(names)
    text = ", ".join(f"'{name}'" for name in all_names[:limit])
    return f"{text} and {len(all_names) - limit} more" if len(all_names) > limit else text
