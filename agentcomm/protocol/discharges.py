"""Whether what is discharged can have been asked or promised before."""

from collections.abc import Container

from agentcomm.protocol.arcs import Arcs, move_mark, steps
from agentcomm.protocol.debts import MAKES
from agentcomm.protocol.findings import NOWHERE, Report
from agentcomm.protocol.following import BITS, NEAR, after
from agentcomm.protocol.graph import Protocol

__all__ = ("check_discharges", "check_outliving")


def check_discharges(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Add E502: an act that discharges what cannot be owed there."""
    named = [act.discharges for act in protocol.acts.values() if act.discharges in protocol.acts]
    named = dict.fromkeys(named)
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
    wanted = _wanted(arcs, named)
    if not wanted:
        return
    labels = list(dict.fromkeys(label for _, _, label in wanted))
    told: set[str] = set()
    for first in range(0, len(labels), BITS):
        some = {label: 1 << number for number, label in enumerate(labels[first : first + BITS])}
        bits = after(arcs, arcs.said.lists([some.get(label, 0) for label in arcs.said.labels]))
        for place, position, label in wanted:
            move = arcs.moves[place][position]
            if label not in some or bits[place] & some[label] or move is None or move.label in told:
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


def check_outliving(protocol: Protocol, report: Report) -> None:
    """Add W501: an act that outlives the conversation, and makes nobody owe anything."""
    for label, act in protocol.acts.items():
        if act.outlives and act.info.op not in MAKES and "." not in label:
            report.add(
                "W501",
                "commitment_open",
                protocol.marks.get(f"acts.{label}", NOWHERE),
                f"`outlives` says nothing about '{label}', which makes nobody owe anything",
                why=f"it is the act `{act.performative}`; what is asked for, or proposed, is owed",
                fix="put it on the act that asks or proposes, or remove it",
            )


def _wanted(arcs: Arcs, named: Container[str]) -> list[tuple[int, int, str]]:
    """Return the arcs that discharge something, with its label, where it is not plain that it was said before.

    It is plain where the walk through the graph came there through a place where it was said.
    """
    said = arcs.said
    says = [label if label in named else "" for label in said.labels]
    does = said.worth(lambda move: move.act.discharges if move.act.discharges in named else "", "")
    rows = said.each(lambda row: [position for position, kind in enumerate(row) if says[kind] or does[kind]])
    entered, left = arcs.entered, arcs.left
    sites: dict[str, list[int]] = {}
    wants: list[tuple[int, int, str]] = []
    for place in arcs.order:
        for position in rows[place]:
            kind = said.row(place)[position]
            if label := says[kind]:
                sites.setdefault(label, []).append(arcs.targets[place][position])
            if label := does[kind]:
                wants.append((place, position, label))

    def is_plain(place: int, label: str) -> bool:
        here, last = entered[place], left[place]
        return any(entered[site] <= here and left[site] >= last for site in sites.get(label, ())[-NEAR:])

    return [want for want in wants if not is_plain(want[0], want[2])]
