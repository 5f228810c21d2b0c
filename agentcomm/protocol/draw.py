"""Draw a protocol as a table, as a mermaid state diagram or as a graphviz graph, from the tables the engine obeys."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from textwrap import wrap
from typing import Any, Protocol

from agentcomm.acts.content import format_duration
from agentcomm.errors import UsageError

__all__ = ("draw",)

SAYS = 44
"""Columns of a table for what is said; more goes on the next line."""


class DrawnMove(Protocol):
    """What is drawn of a move."""

    @property
    def label(self) -> str: ...
    @property
    def act(self) -> Any: ...
    @property
    def speaker(self) -> str: ...
    @property
    def to(self) -> Sequence[str]: ...
    @property
    def next(self) -> str: ...
    @property
    def max(self) -> int | None: ...
    @property
    def then(self) -> str: ...
    @property
    def owner(self) -> str: ...


class DrawnState(Protocol):
    """What is drawn of a state."""

    @property
    def speaker(self) -> str: ...
    @property
    def moves(self) -> Mapping[str, DrawnMove]: ...
    @property
    def within(self) -> float: ...
    @property
    def otherwise(self) -> str: ...


class Drawn(Protocol):
    """What is drawn of a protocol; `graph.Protocol` has it all."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def roles(self) -> Sequence[str]: ...
    @property
    def states(self) -> Mapping[str, DrawnState]: ...
    @property
    def start(self) -> str: ...
    @property
    def outcomes(self) -> Mapping[str, str]: ...


def draw(protocol: Drawn, spec: str) -> str:
    """Return a protocol as text, without a line end at its end.

    Args:
        protocol: What to draw.
        spec: `table`, `mermaid` or `dot`.

    Raises:
        UsageError: If `spec` is none of these.
    """
    match spec:
        case "table":
            return _table(protocol)
        case "mermaid":
            return _mermaid(protocol)
        case "dot":
            return _dot(protocol)
        case _:
            raise UsageError(f"a protocol cannot be drawn as '{spec}'", fix="say table, mermaid or dot")


def _table(protocol: Drawn) -> str:
    others = len(protocol.roles) > 2  # noqa: PLR2004  (with two roles, who hears is plain)
    rows = [("state", "who", "says", "leads to", "within")]
    for name, state in protocol.states.items():
        limit = f"{_seconds(state.within)}, else {state.otherwise}" if state.otherwise else ""
        shown = (name, state.speaker)
        for move in state.moves.values():
            heard = f" to {', '.join(move.to)}" if others else ""
            said, *more = wrap(
                f"{move.label}({', '.join(_fields(move))}){heard}", SAYS, subsequent_indent="  "
            )
            rows.append((*shown, said, _leads(move), limit))
            rows += [("", "", line, "", "") for line in more]
            shown, limit = ("", "" if move.speaker == state.speaker else move.speaker), ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    rule = "  ".join("-" * width for width in widths)
    ends = ", ".join(f"{name} ({kind})" for name, kind in protocol.outcomes.items())
    head = f"{protocol.name} {protocol.version}: {', '.join(protocol.roles)}; begins in {protocol.start}"
    return "\n".join([head, "", lines[0], rule, *lines[1:], "", f"outcomes: {ends}"])


def _fields(move: DrawnMove) -> list[str]:
    return [f"{name}?" if kind.optional else name for name, kind in move.act.fields.items()]


def _leads(move: DrawnMove) -> str:
    text = move.next
    if move.max is not None:
        text += f" (max {move.max}{f', then {move.then}' if move.then else ''})"
    return f"{text}, owner {move.owner}" if move.owner else text


def _mermaid(protocol: Drawn) -> str:
    ids = {name: f"s{number}" for number, name in enumerate([*protocol.states, *protocol.outcomes])}
    lines = ["stateDiagram-v2"]
    lines += [f"    state {_quoted(name)} as {ids[name]}" for name in protocol.states]
    lines += [
        f"    state {_quoted(f'{name} ({kind})')} as {ids[name]}" for name, kind in protocol.outcomes.items()
    ]
    lines.append(f"    [*] --> {ids[protocol.start]}")
    for source, target, label, _ in _edges(protocol):
        lines.append(f"    {ids[source]} --> {ids.get(target, target)} : {_plain(label)}")
    lines += [f"    {ids[name]} --> [*]" for name in protocol.outcomes]
    return "\n".join(lines)


def _dot(protocol: Drawn) -> str:
    lines = [f"digraph {_quoted(protocol.name)} {{", "  rankdir=LR;", "  node [shape=box, style=rounded];"]
    lines.append("  start [shape=point];")
    ids = {name: f"s{number}" for number, name in enumerate([*protocol.states, *protocol.outcomes])}
    lines += [f"  {ids[name]} [label={_quoted(name)}];" for name in protocol.states]
    for name, kind in protocol.outcomes.items():
        lines.append(f"  {ids[name]} [label={_quoted(f'{name} ({kind})')}, peripheries=2];")
    lines.append(f"  start -> {ids[protocol.start]};")
    for source, target, label, is_deadline in _edges(protocol):
        style = ", style=dashed" if is_deadline else ""
        lines.append(f"  {ids[source]} -> {ids.get(target, target)} [label={_quoted(label)}{style}];")
    return "\n".join([*lines, "}"])


def _edges(protocol: Drawn) -> list[tuple[str, str, str, bool]]:
    """Return source, target, label and whether it is a deadline, for each arrow."""
    found: list[tuple[str, str, str, bool]] = []
    for name, state in protocol.states.items():
        for move in state.moves.values():
            times = f", max {move.max}" if move.max is not None else ""
            found.append((name, move.next, f"{move.label} ({move.speaker}{times})", False))
            if move.then:
                found.append((name, move.then, f"{move.label} ({move.speaker}, after {move.max})", False))
        if state.otherwise:
            found.append((name, state.otherwise, f"after {_seconds(state.within)}", True))
    return found


def _seconds(value: float) -> str:
    return format_duration(timedelta(seconds=value))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def _plain(text: str) -> str:
    """Return text that mermaid takes as a label: what it reads as syntax is written as an entity."""
    return "".join(f"#{ord(character)};" if character in '#;:{}<>"%' else character for character in text)
