"""What is known and owned where: the checks that follow values and ownership through the graph.

A name in a condition must have been heard on *every* way to a state. The states of a run stand in the graph as they are: what
was said in it on every way to the outcome that led here is known here, and each entry into it begins with nothing said.
"""

from collections.abc import Iterator, Mapping

from agentcomm.protocol.arcs import Arc, Arcs, move_mark, state_mark, steps, way
from agentcomm.protocol.conditions import IT
from agentcomm.protocol.findings import Report, quoted
from agentcomm.protocol.following import BITS, MUCH, Effort, known, said_near
from agentcomm.protocol.graph import Move, Protocol, Ref
from agentcomm.protocol.stations import Stations

__all__ = ("check_known", "check_owners")


# --- knowledge ---


def _needs(move: Move) -> Iterator[Ref]:
    """Yield what must be on record before a move can be judged or filled."""
    for condition in move.when:
        for side in (condition.left, condition.right):
            if isinstance(side, Ref) and side.act not in (IT, move.label):
                yield side
    for ref in move.act.repeats.values():
        if ref.act != IT:
            yield ref
    yield from move.given.values()


def check_known(protocol: Protocol, arcs: Arcs, report: Report) -> set[str]:
    """Add E401: a name in `when`, `repeats` or `with` that its speaker has not heard on every way; return the states where."""
    wanted = [(move, list(_needs(move))) for move in arcs.odd.asking]
    if sum(len(refs) for _, refs in wanted) * arcs.states > MUCH and not protocol.runs:
        effort = Effort()
        wanted = [(move, left) for move, refs in wanted if (left := _not_near(arcs, move, refs, effort))]
        wanted = _not_plain(arcs, wanted)
    heard = list(dict.fromkeys((move.speaker, ref.act) for move, refs in wanted for ref in refs))
    told: set[tuple[str, str, str]] = set()
    for first in range(0, len(heard), BITS):
        facts = {fact: 1 << number for number, fact in enumerate(heard[first : first + BITS])}
        bits = known(arcs, _learnt(arcs, facts), _forgotten(protocol, arcs, facts))
        for move, refs in wanted:
            here = bits[arcs.number[move.state]]
            for ref in refs:
                bit = facts.get((move.speaker, ref.act), 0)
                key = (move.state, move.speaker, ref.act)
                if bit and not here & bit and key not in told:
                    told.add(key)
                    _tell_unknown(protocol, arcs, report, move, ref)
    return {state for state, _, _ in told}


def _not_near(arcs: Arcs, move: Move, refs: list[Ref], effort: Effort) -> list[Ref]:
    """Return what the speaker has not heard on every way a little before."""
    place = arcs.number[move.state]
    return [
        ref
        for ref in refs
        if not said_near(
            arcs,
            place,
            lambda by, ref=ref: by.act.label == ref.act and move.speaker in (by.speaker, *by.to),
            effort,
        )[0]
    ]


def _not_plain(arcs: Arcs, wanted: list[tuple[Move, list[Ref]]]) -> list[tuple[Move, list[Ref]]]:
    """Return what the speaker has not plainly heard on every way, however far before."""
    stations = Stations.of(arcs, {ref.act for _, refs in wanted for ref in refs})
    return [
        (move, left)
        for move, refs in wanted
        if (
            left := [
                ref
                for ref in refs
                if not stations.surely_said(arcs.number[move.state], ref.act, by=move.speaker)
            ]
        )
    ]


def _learnt(arcs: Arcs, facts: Mapping[tuple[str, str], int]) -> list[list[int] | None]:
    """Return, by place, what its arcs make known."""
    by_label: dict[str, list[tuple[str, int]]] = {}
    for (role, label), bit in facts.items():
        by_label.setdefault(label, []).append((role, bit))

    def come(move: Move) -> int:
        bits = 0
        for role, bit in by_label[move.act.label]:
            if role == move.speaker or role in move.to:
                bits |= bit
        return bits

    said = arcs.said
    return said.lists(
        [
            come(move) if move and label in by_label else 0
            for label, move in zip(said.labels, said.kinds, strict=True)
        ]
    )


def _forgotten(
    protocol: Protocol, arcs: Arcs, facts: Mapping[tuple[str, str], int]
) -> dict[tuple[int, int], int]:
    """Return, by place and position, what an arc makes forgotten: what was said in an earlier entry into a run."""
    found: dict[tuple[int, int], int] = {}
    for place, position, run in entries(protocol, arcs):
        inside = (f"{run}.", f"{run}/")
        gone = sum(bit for (_, label), bit in facts.items() if label.startswith(inside))
        if gone:
            found[place, position] = found.get((place, position), 0) | gone
    return found


def entries(protocol: Protocol, arcs: Arcs) -> Iterator[tuple[int, int, str]]:
    """Yield the arcs by which a run is entered: place, position, the run."""
    if not protocol.runs:
        return
    starts = {arcs.number[run.start]: name for name, run in protocol.runs.items() if run.start in arcs.number}
    for place, leads in enumerate(arcs.targets):
        source = protocol.states.get(arcs.names[place])
        for position, target in enumerate(leads):
            name = starts.get(target, "")
            while (
                source
                and name
                and (not _is_in(source.region, name) or _is_left(protocol, arcs.arc(place, position), name))
            ):
                yield place, position, name
                name = name.rpartition("/")[0]


def _is_in(region: str, run: str) -> bool:
    return region == run or region.startswith(f"{run}/")


def _is_left(protocol: Protocol, arc: Arc, run: str) -> bool:
    """Whether an arc within a run ends it, and begins it anew."""
    theirs = protocol.runs[run].protocol
    if arc.move is None or protocol.states[arc.source].region != run:
        return False
    state = theirs.states[arc.source.removeprefix(f"{run}/")]
    move = next(move for move in state.moves.values() if f"{run}.{move.label}" == arc.move.label)
    return (move.then if arc.kind == "then" else move.next) in theirs.outcomes


def _tell_unknown(protocol: Protocol, arcs: Arcs, report: Report, move: Move, ref: Ref) -> None:
    def is_heard(arc: Arc) -> bool:
        by = arc.move
        return by is not None and by.label == ref.act and move.speaker in (by.speaker, *by.to)

    said = [by for row in arcs.moves for by in row if by and by.label == ref.act]
    deaf = next((by for by in said if move.speaker not in (by.speaker, *by.to)), None)
    found = way(arcs, arcs.start, arcs.number[move.state], avoid=is_heard)
    forgotten = found is None  # it was said on every way, in an earlier entry into a run
    report.add(
        "E401",
        "data_flow",
        move_mark(protocol, move),
        f"'{move.label}' needs '{ref}', which {move.speaker} may not know in '{move.state}'",
        why=f"what was said in an earlier run of '{ref.act.rpartition('.')[0]}' is forgotten when it begins anew"
        if forgotten
        else f"on this way '{ref.act}' was not said by or to {move.speaker}",
        fix=f"add {move.speaker} to the `to` of '{deaf.label}' in '{deaf.state}'"
        if deaf
        else f"let '{ref.act}' be said on every way to '{move.state}', or "
        + (
            f"write the condition on the moves '{move.label}' that come after it, not on the act"
            if any(ref in (condition.left, condition.right) for condition in move.act.when)
            else "compare with a constant"
        ),
        witness=steps(found) or arcs.witness(move.state),
    )


# --- ownership ---


def check_owners(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Add E504: a state that is reached with different owners."""
    if not arcs.odd.owning:
        return
    came = {arcs.start: protocol.owner}
    queue = [arcs.start]
    for place in queue:
        for target, move in zip(arcs.targets[place], arcs.moves[place], strict=True):
            owner = move.owner if move and move.owner else came[place]
            if target not in came:
                came[target] = owner
                queue.append(target)
    for name in protocol.states:
        place = arcs.number[name]
        owners = {came[place]} if place in came else set[str]()
        for source in arcs.before[place] if owners else ():
            if source in came:
                for target, move in zip(arcs.targets[source], arcs.moves[source], strict=True):
                    if target == place:
                        owners.add(move.owner if move and move.owner else came[source])
        if len(owners) > 1:
            named = [role for role in ("", *protocol.roles) if role in owners]
            report.add(
                "E504",
                "other",
                state_mark(protocol, name),
                f"'{name}' is reached with different owners: {quoted([role or 'nobody' for role in named])}",
                why="who owns the matter must be known in every state",
                fix="give each owner a state of his own",
                witness=arcs.witness(name),
            )
            return
