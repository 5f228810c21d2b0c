"""A protocol that is brought in from another language: its parts, the document they make, and what is not carried over."""

import json
import re
import textwrap
from dataclasses import dataclass, field

from agentcomm.acts.performative import Performative
from agentcomm.errors import InternalError, ProtocolError
from agentcomm.protocol.findings import Finding, Report

__all__ = ("ActPart", "Imported", "Lost", "MovePart", "Parts", "StatePart", "refuse")

DEADLINE = "60s"
"""Time to reply, where the other language says nothing about it."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Something that is not carried over, or that the other language leaves open."""

    what: str
    line: int = 1
    """In the file that was read."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A protocol of our language that passes check."""

    name: str
    text: str
    lost: tuple[Lost, ...]
    findings: tuple[Finding, ...]
    """Warnings and information of the check."""


@dataclass(slots=True)
class ActPart:
    """What may be said."""

    performative: Performative
    fields: dict[str, str]
    """Name -> type."""
    repeats: dict[str, str] = field(default_factory=dict[str, str])
    """Field -> the value on record that it must equal."""


@dataclass(slots=True)
class MovePart:
    """Where something said leads."""

    next: str
    to: str = ""
    max: int = 0
    then: str = ""


@dataclass(slots=True)
class StatePart:
    """A state: by role, what it may say."""

    moves: dict[str, dict[str, MovePart]] = field(default_factory=dict[str, dict[str, MovePart]])
    otherwise: str = ""
    """Where silence leads, if not to the default."""


@dataclass(slots=True)
class Parts:
    """What a protocol is made of."""

    name: str
    source: str
    version: str = "1"
    about: str = ""
    roles: list[str] = field(default_factory=list[str])
    acts: dict[str, ActPart] = field(default_factory=dict[str, ActPart])
    states: dict[str, StatePart] = field(default_factory=dict[str, StatePart])
    outcomes: dict[str, str] = field(default_factory=dict[str, str])
    lost: list[Lost] = field(default_factory=list[Lost])

    def lose(self, what: str, line: int = 1) -> None:
        """Note what is not carried over, once."""
        if (lost := Lost(" ".join(what.split()), line)) not in self.lost:
            self.lost.append(lost)

    def tell_renamed(self, theirs: str, ours: str) -> None:
        """Note that a role or an act has another name here."""
        if theirs != ours:
            self.lose("names of roles and acts are small here, with hyphens")

    def tell_acts(self) -> None:
        """Note which acts of the library the labels are taken for."""
        taken = [
            f"'{label}' is {act.performative}"
            for label, act in self.acts.items()
            if label != act.performative
        ]
        if taken:
            self.lose(f"what an act does is not said, and read off its label: {', '.join(taken)}")

    def finished(self) -> Imported:
        """Return the protocol, checked.

        Raises:
            InternalError: If what was written has errors.
        """
        from agentcomm.protocol.check import examine

        text = "\n".join(_lines(self)) + "\n"
        findings = examine(text).findings
        if errors := [finding for finding in findings if finding.severity == "error"]:
            raise InternalError(
                "the protocol that was written has errors", why=str(errors[0]), fix="please report it"
            )
        return Imported(self.name, text, tuple(self.lost), tuple(findings))


def refuse(report: Report) -> None:
    """Raise what was found, if it has errors.

    Raises:
        ProtocolError: If it has.
    """
    if report.has_errors:
        errors = [finding for finding in report.sorted() if finding.severity == "error"]
        raise ProtocolError("the file cannot be read", findings=errors, where=report.path)


def _lines(parts: Parts) -> list[str]:
    """Return the document, line by line."""
    lines = [f"# From {' '.join(parts.source.split())}. Not carried over, or not said there:"]
    lines += [line for lost in parts.lost for line in _comment(lost.what)]
    lines += ["agentcomm: 1", f"protocol: {_word(parts.name)}", f"version: {_word(parts.version)}"]
    lines += [f"about: {_text(parts.about)}"] if parts.about else []
    lines += [
        f"source: {_text(parts.source)}",
        "",
        f"roles: [{', '.join(map(_word, parts.roles))}]",
        "",
        "acts:",
    ]
    lines += [f"  {_word(label)}: {_act(label, act)}" for label, act in parts.acts.items()]
    repeated = {label: act.repeats for label, act in parts.acts.items() if act.repeats}
    lines += ["", "grounding:"] if repeated else []
    lines += [f"  {_word(label)}: {{repeats: {_map(fields)}}}" for label, fields in repeated.items()]
    lines += ["", "states:"]
    for name, state in parts.states.items():
        lines += [f"  {_word(name)}:", *_state(state)]
    lines += [
        "",
        f"outcomes: {_map(parts.outcomes)}",
        "",
        f"limits: {{reply_within: {DEADLINE}, else: expired}}",
    ]
    return lines


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        110,
        initial_indent="# * ",
        subsequent_indent="#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _act(label: str, act: ActPart) -> str:
    content = _map(act.fields)
    return content if label == act.performative else f"{{act: {act.performative}, content: {content}}}"


def _state(state: StatePart) -> list[str]:
    lines = [f"    first: {_word(next(iter(state.moves)))}"] if len(state.moves) > 1 else []
    for role, moves in state.moves.items():
        lines.append(f"    {_word(role)}:")
        lines += [f"      {_word(label)}: {_move(move)}" for label, move in moves.items()]
    lines += [f"    within: {DEADLINE}", f"    else: {_word(state.otherwise)}"] if state.otherwise else []
    return lines


def _move(move: MovePart) -> str:
    words = {"next": move.next, "to": move.to, "max": str(move.max or ""), "then": move.then}
    given = {key: value for key, value in words.items() if value}
    return _word(move.next) if len(given) == 1 else _map(given)


def _map(entries: dict[str, str]) -> str:
    return "{" + ", ".join(f"{_word(key)}: {_word(value)}" for key, value in entries.items()) + "}"


_PLAIN = re.compile(r"[^\W\d_][\w.-]*( [^\W\d_]+)*|\d{1,9}")
_RESERVED = frozenset({"true", "false", "null"})


def _word(text: str) -> str:
    """Return a word as it is, in quotes where YAML would read something else."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED else _text(text)


def _text(text: str) -> str:
    return json.dumps(" ".join(text.split()), ensure_ascii=False).replace("\x7f", "\\u007f")
