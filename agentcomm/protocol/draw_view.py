"""A protocol as one role sees it: what it says, what it hears, and where it may not know enough."""

# ruff: noqa: D102  (`project.py` says what each of these is)

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any, Protocol

from agentcomm.protocol.draw_table import SAYS, Row, columns
from agentcomm.protocol.picture import Arrow, Box, Picture, Word, limit

__all__ = ("DrawnView", "view_picture", "view_table")


class DrawnViewMove(Protocol):
    """What a role says or hears."""

    @property
    def act(self) -> Any: ...
    @property
    def speaker(self) -> str: ...
    @property
    def to(self) -> Sequence[str]: ...
    @property
    def next(self) -> str: ...
    @property
    def is_sent(self) -> bool: ...
    @property
    def max(self) -> int | None: ...
    @property
    def then(self) -> str: ...
    @property
    def owner(self) -> str: ...


class DrawnViewState(Protocol):
    """Where a role is, as far as it can know."""

    @property
    def name(self) -> str: ...
    @property
    def speaker(self) -> str: ...
    @property
    def moves(self) -> Mapping[str, DrawnViewMove]: ...
    @property
    def within(self) -> float: ...
    @property
    def otherwise(self) -> str: ...
    @property
    def gather(self) -> bool: ...
    @property
    def in_lane(self) -> bool: ...


class DrawnDoubt(Protocol):
    """Why a role may not be able to play its part."""

    @property
    def what(self) -> str: ...


class DrawnView(Protocol):
    """A protocol as one role sees it."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def states(self) -> Mapping[str, DrawnViewState]: ...
    @property
    def start(self) -> str: ...
    @property
    def outcomes(self) -> Mapping[str, str]: ...
    @property
    def doubts(self) -> Sequence[DrawnDoubt]: ...


def view_picture(view: DrawnView) -> Picture:
    """Return what is drawn of a role's view."""
    boxes = {name: _box(state, view.role) for name, state in view.states.items()}
    for name, kind in view.outcomes.items():
        boxes[name] = Box(name, (str(kind),) if name != kind else (), "outcome", str(kind))
    arrows = [arrow for state in view.states.values() for arrow in _arrows(state)]
    notes = ["shaded: here it speaks; elsewhere it listens", *_doubts(view)]
    return Picture(_head(view), "", tuple(notes), view.start, boxes, tuple(arrows))


def view_table(view: DrawnView) -> str:
    """Return a role's view as a table."""
    rows: list[Row] = [("state", "does", "what", "leads to", "within")]
    for state in view.states.values():
        rows += _rows(state)
    ends = "outcomes: " + ", ".join(f"{name} ({kind})" for name, kind in view.outcomes.items())
    return "\n".join([f"{_head(view)}; begins in {view.start}", "", *columns(rows), "", ends, *_doubts(view)])


def _head(view: DrawnView) -> str:
    return f"{view.name} {view.version}, as {view.role} sees it"


def _doubts(view: DrawnView) -> list[str]:
    return [f"not proven implementable: {doubt.what}" for doubt in view.doubts]


def _box(state: DrawnViewState, role: str) -> Box:
    speaks = state.speaker == role
    who = "speaks" if speaks else f"waits for {state.speaker}" if state.speaker else "waits"
    who += ", at a gather" if state.gather else ""
    within = (f"within {limit(state.within)}",) if state.within else ()
    return Box(state.name, (who, *within), many=state.in_lane, gather=state.gather, own=speaks)


def _arrows(state: DrawnViewState) -> Iterable[Arrow]:
    for move in state.moves.values():
        said = f"says {move.act.label}" if move.is_sent else f"hears {move.act.label}"
        whom = f"to {', '.join(move.to)}" if move.is_sent else f"from {move.speaker}"
        more = (Word(whom, faint=True), *((Word(f"owner: {move.owner}", faint=True),) if move.owner else ()))
        times = f", max {move.max}" if move.max is not None else ""
        yield Arrow(state.name, move.next, (Word(f"{said}{times}"), *more))
        if move.then:
            yield Arrow(state.name, move.then, (Word(f"{said}, after {move.max}"), *more))
    if state.otherwise:
        yield Arrow(state.name, state.otherwise, (Word(f"after {limit(state.within)}"),), "deadline")


def _rows(state: DrawnViewState) -> Iterable[Row]:
    first = state.name
    within = f"{limit(state.within)}, else {state.otherwise}" if state.otherwise else ""
    for move in state.moves.values():
        fields = [f"{name}?" if kind.optional else name for name, kind in move.act.fields.items()]
        whom = f"to {', '.join(move.to)}" if move.is_sent else f"from {move.speaker}"
        said, *more = wrap(f"{move.act.label}({', '.join(fields)}) {whom}", SAYS, subsequent_indent="  ")
        leads = move.next
        if move.max is not None:
            leads += f" (max {move.max}{f', then {move.then}' if move.then else ''})"
        leads += f", owner {move.owner}" if move.owner else ""
        yield first, "says" if move.is_sent else "hears", said, leads, within
        yield from (("", "", line, "", "") for line in more)
        first, within = "", ""
    if first:
        yield first, "waits", "", "", within
