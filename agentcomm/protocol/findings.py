"""A finding: one result of checking a protocol, with its place, its reason and what to do about it.

The codes are those of the documentation's page on checks: E is an error, W a warning, I an information.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agentcomm.protocol.graph import Mark

__all__ = ("NOWHERE", "Finding", "Kind", "Report", "Severity", "near", "quoted")

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
    """The line of the file, without its end."""
    witness: tuple[str, ...] = ()
    """The shortest way there: steps `state --act--> state`."""

    @property
    def severity(self) -> Severity:
        """How bad it is: only errors keep a protocol from being loaded."""
        return _SEVERITIES[self.code[0]]

    @property
    def where(self) -> str:
        """File, line and column."""
        return f"{self.path or '<text>'}:{self.line}:{self.column}"

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.code} {self.what}"]
        if self.excerpt.strip():
            lines += self._underlined()
        if self.witness:
            lines.append(f"  via  {_chain(self.witness)}")
        lines += [f"  {word}  {text}" for word, text in (("why", self.why), ("fix", self.fix)) if text]
        return "\n".join(lines)

    def _underlined(self) -> list[str]:
        first = max(0, self.column - 1 - _EXCERPT // 2) if self.column > _EXCERPT * 3 // 4 else 0
        shown = self.excerpt[first : first + _EXCERPT]
        before = self.excerpt[first : self.column - 1]
        room = max(1, min(self.length, len(shown) - len(before)))
        padding = "".join("\t" if character == "\t" else " " for character in before)
        return [shown.rstrip(), padding + "^" * room]

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
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
            "witness": list(self.witness),
        }


def _chain(witness: Sequence[str]) -> str:
    """Return steps as one chain: `a --x--> b --y--> c`."""
    text = witness[0]
    for before, step in zip(witness, witness[1:], strict=False):
        last = before.rpartition("> ")[2]
        text += step.removeprefix(last) if step.startswith(f"{last} ") else f", {step}"
    return text


@dataclass(slots=True)
class Report:
    """Findings as they are made; knows the text, so that each shows its line."""

    path: str = ""
    lines: Sequence[str] = ()
    found: list[Finding] = field(default_factory=list[Finding])

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
        """Add a finding at a place."""
        self.found.append(
            Finding(
                code=code,
                kind=kind,
                what=what,
                why=why,
                fix=fix,
                path=self.path,
                line=at.line,
                column=at.column,
                length=at.length,
                excerpt=self.lines[at.line - 1] if 0 < at.line <= len(self.lines) else "",
                witness=tuple(witness),
            )
        )

    @property
    def has_errors(self) -> bool:
        """Whether anything found keeps the protocol from being loaded."""
        return any(finding.severity == "error" for finding in self.found)

    def sorted(self) -> list[Finding]:
        """Return the findings in the order of the file."""
        return sorted(self.found, key=lambda finding: (finding.line, finding.column, finding.code))


def near(word: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Return `did you mean 'x'?`, or the known names, or `otherwise` if there are none."""
    names = list(dict.fromkeys(known))
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{lowered[close[0]]}'?"
    return f"known: {quoted(names)}" if names else otherwise


def quoted(names: Iterable[str], *, limit: int = 12) -> str:
    """Return names in quotes with commas, cut after `limit`."""
    all_names = list(names)
    text = ", ".join(f"'{name}'" for name in all_names[:limit])
    return f"{text} and {len(all_names) - limit} more" if len(all_names) > limit else text
