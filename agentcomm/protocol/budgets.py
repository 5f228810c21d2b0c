"""Whether a budget can be used up: what follows from that alone never comes otherwise."""

from agentcomm.protocol.arcs import Arcs, move_mark
from agentcomm.protocol.bound import Row, longest
from agentcomm.protocol.findings import Report
from agentcomm.protocol.graph import Move, Protocol

__all__ = ("check_budgets",)

_SMALL = 64
"""Places of a loop in which it is counted how often a move can be said."""
_NODES = 20_000
"""Places in products of loops and budgets that are looked at, for all moves together."""
_FEWEST = 100
"""Places for one move."""


def check_budgets(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Add W208: a `then` that never comes, for the move cannot be said more often than its `max`.

    What is said `for: all` at one of several gathers has one budget for lanes that may come there one after the other.
    """
    gathers = sum(state.gather for state in protocol.states.values())
    thens = arcs.said.each(
        lambda row: [place for place in range(1, len(row)) if row[place] and row[place] == row[place - 1]]
    )
    asked = [
        (move, place)
        for place, positions in enumerate(thens)
        for position in positions
        if (move := arcs.moves[place][position])
        and not (state := protocol.states[move.state]).region
        and not (move.for_all and state.gather and gathers > 1)
    ]
    nodes = _NODES // max(1, len(asked))
    for move, place in asked:
        often = 1
        if members := arcs.loops.members.get(arcs.loops.of[place]):
            if len(members) > _SMALL or nodes < _FEWEST:
                continue
            often = _often(protocol, move, [arcs.names[place] for place in members], nodes)
        if often <= (move.max or 0):
            _tell(protocol, arcs, report, move, often)


def _tell(protocol: Protocol, arcs: Arcs, report: Report, move: Move, often: int) -> None:
    is_looped = len(arcs.loops.members.get(arcs.loops.of[arcs.number[move.state]], ())) > 1
    report.add(
        "W208",
        "unreachable",
        move_mark(protocol, move),
        f"the `then` of '{move.label}' in '{move.state}' never comes: it is said {_times(often)} at most",
        why=f"it is for what comes after {_times(move.max or 0)}, and "
        + ("other budgets end the loop before" if is_looped else "nothing leads back to this state"),
        fix=f"write a `max` below {often}, or remove `max` and `then`"
        if is_looped and often > 1
        else "let something lead back to this state, or remove `max` and `then`",
        witness=arcs.witness(move.state),
    )


def _often(protocol: Protocol, move: Move, members: list[str], nodes: int) -> int:
    """Return how often a move of a loop can be said, or more."""

    def place(name: str) -> str:
        """Return the state of the file that a state belongs to: the budgets of a run are whole again on each entry."""
        region = name.partition("/")[0]
        return region if region in protocol.runs else name

    rows: dict[str, Row] = {}
    costs: dict[tuple[str, int], int] = {}
    for name in dict.fromkeys(map(place, members)):
        if name in protocol.runs:
            run = protocol.runs[name]
            rows[name] = [(place(target), None, "") for target in run.then.values()], place(run.otherwise)
            costs |= {(name, number): 0 for number in range(len(run.then))}
        else:
            state = protocol.states[name]
            moves = list(state.moves.values())
            rows[name] = [(place(by.next), by.max, place(by.then)) for by in moves], place(state.otherwise)
            costs |= {(name, number): int(by is move) for number, by in enumerate(moves)}
    return longest(rows, move.state, costs, nodes=nodes)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
