"""A protocol as a table: a row for each move, then what counts as evidence and how it ends."""

from collections.abc import Iterable, Sequence
from textwrap import wrap

from agentcomm.protocol.drawn import Drawn, DrawnMove, DrawnRun, DrawnState
from agentcomm.protocol.picture import classes, limit, overlays, roles_of, settling

__all__ = ("SAYS", "Row", "columns", "draw_table")

SAYS = 44
"""Columns of a table for what is said; more goes on the next line."""

Row = tuple[str, str, str, str, str]
"""State, who, says, leads to, within."""


def draw_table(protocol: Drawn, *, expand: bool = False) -> str:
    """Return a protocol as a table.

    Args:
        protocol: What to draw.
        expand: A row for each state of a run; else a run is one.
    """
    rows: list[Row] = [("state", "who", "says", "leads to", "within")]
    runs = {} if expand else {name: run for name, run in protocol.runs.items() if "/" not in name}
    told = set[str]()
    for name, state in protocol.states.items():
        region = name.partition("/")[0]
        if region not in runs:
            rows += _state_rows(name, state, protocol, set(runs))
        elif region not in told:
            told.add(region)
            rows += _run_rows(region, runs[region], set(runs))
    start = _place(protocol.start, set(runs))
    head = f"{protocol.name} {protocol.version}: {', '.join(roles_of(protocol))}; begins in {start}"
    return "\n".join([head, "", *columns(rows), "", *_foot(protocol)])


def columns(rows: Sequence[Row]) -> list[str]:
    """Return rows as lines with even columns, the first underlined."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _place(name: str, runs: set[str]) -> str:
    region = name.partition("/")[0]
    return region if region in runs else name


def _state_rows(name: str, state: DrawnState, protocol: Drawn, runs: set[str]) -> Iterable[Row]:
    others = len(protocol.roles) > 2  # noqa: PLR2004  (with two roles, who hears is plain)
    first, shown = name, ""
    within = f"{limit(state.within)}, else {_place(state.otherwise, runs)}"
    for move in state.moves.values():
        who = move.speaker + (" (gather)" if state.gather else "")
        said, *more = wrap(_said(move, others=others), SAYS, subsequent_indent="  ")
        yield first, who if who != shown else "", said, _leads(move, runs), within
        yield from (("", "", line, "", "") for line in more)
        first, shown, within = "", who, ""
    if first:
        yield name, "", "", "", within


def _run_rows(name: str, run: DrawnRun, runs: set[str]) -> Iterable[Row]:
    by_target: dict[str, list[str]] = {}
    for kind, target in run.then.items():
        by_target.setdefault(_place(target, runs), []).append(str(kind))
    within = f"{limit(run.within)}, else {_place(run.otherwise, runs)}" if run.within is not None else ""
    first = name
    cast = ", ".join(f"{ours} as {theirs}" for theirs, ours in run.roles.items())
    said = wrap(f"runs {run.protocol.name}: {cast}", SAYS, subsequent_indent="  ")
    for number, (target, kinds) in enumerate(by_target.items()):
        text = said[number] if number < len(said) else ""
        yield first, "", text, f"{target} ({classes(kinds)})", within
        first, within = "", ""
    yield from (("", "", line, "", "") for line in said[len(by_target) :])


def _said(move: DrawnMove, *, others: bool) -> str:
    fields = [f"{name}?" if kind.optional else name for name, kind in move.act.fields.items()]
    text = f"{move.label}({', '.join(fields)})"
    text += " for all" if move.for_all else ""
    return f"{text} to {', '.join(move.to)}" if others else text


def _leads(move: DrawnMove, runs: set[str]) -> str:
    text = _place(move.next, runs)
    if move.max is not None:
        text += f" (max {move.max}{f', then {_place(move.then, runs)}' if move.then else ''})"
    text += f", at most {move.at_most}" if move.at_most is not None else ""
    text += f", {move.at_once} at once" if move.at_once is not None else ""
    return f"{text}, owner {move.owner}" if move.owner else text


def _foot(protocol: Drawn) -> Iterable[str]:
    yield "outcomes: " + ", ".join(f"{name} ({kind})" for name, kind in protocol.outcomes.items())
    if protocol.settles:
        yield f"settled by the lanes, the first that fits: {'; '.join(settling(protocol))}"
    if evidence := _evidence(protocol):
        yield f"evidence: {'; '.join(evidence)}"
    if conditions := _conditions(protocol):
        yield f"conditions: {'; '.join(conditions)}"
    if protocol.owner:
        yield f"owner: {protocol.owner}"
    races = [state for state in protocol.states.values() if state.first]
    if races:
        yield "races: " + "; ".join(f"in {state.name}, {state.first} wins a tie" for state in races)
    if protocol.limits.whole is not None:
        yield f"the whole conversation: within {limit(protocol.limits.whole)}"
    if protocol.overlays:
        yield f"overlays of its own: {overlays(protocol)}"
    if protocol.limits.escalate_to:
        yield f"where repair fails, {protocol.limits.escalate_to} decides"


def _moves(protocol: Drawn) -> Iterable[DrawnMove]:
    return (move for state in protocol.states.values() for move in state.moves.values())


def _evidence(protocol: Drawn) -> list[str]:
    """Return what must be shown as understood, by act."""
    found: dict[str, None] = {}
    for move in _moves(protocol):
        act, parts = move.act, list[str]()
        if act.readback:
            parts.append(f"read back {', '.join(act.readback)}")
        if "demonstrated" in act.criterion:
            parts.append("demonstrated")
        elif act.criterion == "relevant":
            parts.append("answered")
        parts += [f"{name} = {value}" for name, value in act.repeats.items()]
        if parts:
            found[f"{move.label}: {', '.join(parts)}"] = None
    return list(found)


def _conditions(protocol: Drawn) -> list[str]:
    found = {
        f"{move.label} when {' and '.join(map(str, move.when))}": None
        for move in _moves(protocol)
        if move.when
    }
    return list(found)
