"""Whether what is discharged can have been asked or promised before."""

from collections.abc import Container

from agentcomm.protocol.arcs import Arcs, move_mark, steps
from agentcomm.protocol.debts import MAKES
from agentcomm.protocol.findings import NOWHERE, Report
from agentcomm.protocol.following import MANY, MUCH, Effort, after, said_near
from agentcomm.protocol.graph import Protocol
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

    said = arcs.said
    bits = after(arcs, said.lists(said.worth(lambda move: named.get(move.act.label, 0), 0)))
    wants = said.lists(said.worth(lambda move: named.get(move.act.discharges, 0), 0))
    told: set[str] = set()
    for place in arcs.order:
        here = bits[place]
        for position, want in enumerate(wants[place] or ()):
            move = None if here & want or not want else arcs.moves[place][position]
            if move is None or move.label in told:
                continue
            label = move.act.discharges
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
