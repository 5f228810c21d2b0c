"""Whether what is discharged can have been asked or promised before."""

from collections.abc import Container

from agentcomm.protocol.arcs import MANY, MUCH, Arcs, Effort, after, move_mark, said_near, steps
from agentcomm.protocol.debts import MAKES
from agentcomm.protocol.findings import NOWHERE, Report
from agentcomm.protocol.graph import Move, Protocol
from agentcomm.protocol.stations import Stations

__all__ = ("check_discharges",)


def check_discharges(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Add E502: an act that discharges what cannot be owed there."""
    named = [act.discharges for act in protocol.acts.values() if act.discharges in protocol.acts]
    named = {label: 1 << number for number, label in enumerate(dict.fromkeys(named))}
    if not named:
        return
    for label, act in protocol.acts.items():
        other = protocol.acts.get(act.discharges)
        if other and other.info.op not in MAKES:
            named.pop(act.discharges, None)
            report.add(
                "E502",
                "commitment_open",
                protocol.marks.get(f"acts.{label}", NOWHERE),
                f"'{label}' discharges '{act.discharges}', which makes nobody owe anything",
                why=f"it is the act `{other.performative}`; what is asked for, or proposed, is owed",
                fix="remove `discharges`, or name the act that asks or promises",
            )
    if len(named) > MANY:
        named = {label: 1 << number for number, label in enumerate(sorted(_not_plainly_said(arcs, named)))}
    if not named:
        return

    def come(by: list[Move | None]) -> list[int] | None:
        found = [named.get(move.act.label, 0) if move else 0 for move in by]
        return found if any(found) else None

    bits = after(arcs, arcs.said.each(come))
    does = arcs.said.each(lambda by: any(move and move.act.discharges in named for move in by))
    told: set[str] = set()
    for place in arcs.order:
        for move in arcs.moves[place] if does[place] else ():
            if move is None or not (label := move.act.discharges) or label not in named:
                continue
            if bits[place] & named[label] or move.label in told:
                continue
            told.add(move.label)
            report.add(
                "E502",
                "commitment_open",
                move_mark(protocol, move),
                f"'{move.label}' discharges '{label}', which nobody can have said in '{move.state}'",
                why=f"no way from the start to '{move.state}' has '{label}' on it",
                fix=f"let '{label}' be said before, or remove `discharges`",
                witness=steps(arcs.to(place)),
            )


def _not_plainly_said(arcs: Arcs, named: Container[str]) -> set[str]:
    """Return the acts of which it is not plain that they were said before what discharges them."""
    effort = Effort()
    far = [
        (place, move.act.discharges)
        for place in arcs.order
        for move in arcs.moves[place]
        if move
        and move.act.discharges in named
        and not said_near(arcs, place, lambda by, move=move: by.act.label == move.act.discharges, effort)[1]
    ]
    if len(far) * len(arcs.names) > MUCH:
        stations = Stations.of(arcs, {label for _, label in far})
        far = [(place, label) for place, label in far if not stations.surely_said(place, label)]
    return {label for _, label in far}
