"""What there is to choose from: races, and states that may leave somebody without a move."""

from collections.abc import Iterable

from agentcomm.protocol.arcs import Arcs, state_mark
from agentcomm.protocol.embed import Draft
from agentcomm.protocol.findings import joined
from agentcomm.protocol.following import after
from agentcomm.protocol.graph import Move, Ref, State

__all__ = ("check_free_moves", "check_races")


def check_races(made: Draft, arcs: Arcs) -> None:
    """Add E301: two roles that may speak at once."""
    for name, roles in made.races.items():
        made.report.add(
            "E301",
            "race",
            made.protocol.marks.get(f"states.{name}.{roles[1]}") or state_mark(made.protocol, name),
            f"in '{name}' {joined(roles)} may speak at once",
            why="one role speaks in a state; two would talk over each other",
            fix=f"give each a state of its own, or let them race: `first: {roles[0]}` says whose move counts in a tie",
            witness=arcs.witness(name),
        )


def check_free_moves(made: Draft, arcs: Arcs, passed: set[str]) -> None:
    """Add E303: a state that may leave its speaker, or a lane, without a move; not for some that are told of otherwise."""
    own: dict[str, int] = {}
    """Bit of an act whose condition looks at its own previous saying."""
    bare: list[State] = []
    """States in which every move may be missing."""
    for place in arcs.odd.pressed:
        name = arcs.names[place]
        state = made.protocol.states[name]
        if state.moves and not (name in made.own_else or name in made.races or name in passed):
            bare.append(state)
            for move in state.moves.values():
                if _looks_back(move):
                    own.setdefault(move.label, 1 << len(own))
    if not bare:
        return
    said = _said_before(arcs, own) if own else []

    def is_free(move: Move) -> bool:
        if not move.when:
            return True
        may = said[arcs.number[move.state]] if own and _looks_back(move) else -1
        return _looks_back(move) and not may & own[move.label]

    misplaced = any(found.code in ("E704", "E706") for found in made.report.found)
    for state in bare:
        if misplaced and not state.in_lane:
            continue
        moves = state.moves.values()
        if not any(is_free(move) and _is_lasting(move) for move in moves) and not _is_either(moves):
            _tell_bare(made, arcs, state, [move for move in moves if is_free(move)])


_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def _is_either(moves: Iterable[Move]) -> bool:
    """Whether of two moves one is always free: they ask the opposite of the same values on record."""
    asked = {
        (condition.left, condition.op, condition.right)
        for move in moves
        if _is_lasting(move) and len(move.when) == 1
        for condition in move.when
        if isinstance(condition.left, Ref)
    }
    return any((left, _OPPOSITE.get(op), right) in asked for left, op, right in asked)


def _is_lasting(move: Move) -> bool:
    """Whether no count can keep a move from being made."""
    return (move.max is None or bool(move.then)) and move.at_most is None and move.at_once is None


def _looks_back(move: Move) -> bool:
    """Whether all that a move's conditions look at is its own previous saying: the first time, they are skipped."""
    return bool(move.when) and all(
        isinstance(condition.right, Ref) and condition.right.act == move.label for condition in move.when
    )


def _said_before(arcs: Arcs, own: dict[str, int]) -> list[int]:
    """Return, by place, the acts that may have been said on the way to it."""
    return after(arcs, arcs.said.lists([own.get(label, 0) for label in arcs.said.labels]))


def _tell_bare(made: Draft, arcs: Arcs, state: State, free: list[Move]) -> None:
    lanes = [
        move for move in free if state.in_lane and (move.at_most is not None or move.at_once is not None)
    ]
    if lanes:
        word = "at_most" if lanes[0].at_most is not None else "at_once"
        count = lanes[0].at_most if word == "at_most" else lanes[0].at_once
        why = f"'{lanes[0].label}' is for {count} of them, and the others have no move of their own"
        fix = f"add a move without `{word}`, `max` and `when`, or `else:` to the state"
    elif len(free) == len(state.moves):
        why, fix = (
            "every move there has a budget that can be used up",
            "add `then:` to a move with `max`, or `else:` to the state",
        )
    else:
        why, fix = (
            "every move there has a condition",
            "add a move without `when`, or `else:` to the state",
        )
        if free:
            why += ", or a budget that can be used up"
    made.report.add(
        "E303",
        "starvation" if state.gather or lanes else "stuck_receive",
        state_mark(made.protocol, state.name),
        f"in '{state.name}' a lane may be left without a move"
        if state.gather or lanes
        else f"in '{state.name}' {state.speaker} may be left without a move",
        why=why,
        fix=fix,
        witness=arcs.witness(state.name),
    )
