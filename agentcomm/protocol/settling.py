"""Whether what settles a conversation can come true: counters that cannot reach what they are compared with."""

from agentcomm.protocol.arcs import Arcs, breadth_first
from agentcomm.protocol.findings import NOWHERE, Report
from agentcomm.protocol.graph import OutcomeClass, Protocol, Settle

__all__ = ("check_settles",)


def check_settles(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Add E701: a line of `settles` that never fits, for so many lanes cannot end so."""
    low, high = protocol.members
    unwritten = _unwritten(protocol)
    for number, settle in enumerate(protocol.settles):
        if settle.quantifier == "otherwise" or settle.of in unwritten:
            continue
        if settle.of not in {*protocol.outcomes, *map(str, protocol.outcomes.values())}:
            if settle.of in set(OutcomeClass):  # else it is misspelt, and told
                _tell_classless(protocol, number, settle, report)
            continue
        if settle.quantifier == "any":
            continue
        limit, limited = _limit(protocol, arcs, settle)
        most = min(limit, high)
        fits = {
            "at least": settle.n <= most,
            "all": low <= most,
            "most": low < 2 * most,
        }[settle.quantifier]
        if fits:
            continue
        why = f"at most {high} play '{protocol.many}'"
        if limit < high:
            why = f"a lane ends so only after {limited}, and {most} of them may do that"
        report.add(
            "E701",
            "lanes",
            protocol.marks.get(f"settles.{number}", NOWHERE),
            f"`{settle}` can never fit",
            why=why if settle.quantifier == "at least" else f"{why}; at least {low} play '{protocol.many}'",
            fix="lower the number, raise what bounds it, or remove the line",
        )


def _unwritten(protocol: Protocol) -> set[str]:
    """Return the classes in which a lane may end without an outcome of its own: it is left, called off, or an overlay ends it."""
    overlays = [overlay.overlay for overlay in protocol.overlays.values() if overlay]
    ends = {kind for overlay in overlays if overlay for kind in overlay.then.values()}
    return {str(OutcomeClass.ABORTED), str(OutcomeClass.CANCELLED), *ends}


def _tell_classless(protocol: Protocol, number: int, settle: Settle, report: Report) -> None:
    report.add(
        "E701",
        "lanes",
        protocol.marks.get(f"settles.{number}", NOWHERE),
        f"`{settle}` can never fit",
        why=f"no outcome of a lane is of the class '{settle.of}'",
        fix=f"name an outcome ({', '.join(protocol.outcomes)}), give one that class, or remove the line",
    )


def _limit(protocol: Protocol, arcs: Arcs, settle: Settle) -> tuple[int, str]:
    """Return how many lanes can end as a line counts them, as far as `at_most` bounds it, and the moves that do."""
    high = protocol.members[1]
    capped = {
        move.key: move
        for state in protocol.states.values()
        for move in state.moves.values()
        if move.at_most is not None
    }
    if not capped:
        return high, ""
    free = [
        [target for target, move in zip(leads, by, strict=True) if move is None or move.key not in capped]
        for leads, by in zip(arcs.targets, arcs.moves, strict=True)
    ]
    came = breadth_first(free, arcs.start)
    counted = [
        arcs.number[name] for name, kind in protocol.outcomes.items() if settle.of in (name, str(kind))
    ]
    if any(came[place] >= 0 for place in counted):
        return high, ""
    before = _leading_to(arcs, counted)
    useful = [move for move in capped.values() if arcs.number[move.next] in before]
    return sum(move.at_most or 0 for move in useful), " or ".join(f"'{move.label}'" for move in useful)


def _leading_to(arcs: Arcs, goals: list[int]) -> set[int]:
    queue = list(goals)
    seen = set(queue)
    for place in queue:
        for source in arcs.before[place]:
            if source not in seen:
                seen.add(source)
                queue.append(source)
    return seen
