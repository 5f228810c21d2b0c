"""The checks that look at one act or one state at a time: grounding, stakes, and how much there is to choose from."""

from agentcomm.protocol.arcs import Arcs, move_mark, steps
from agentcomm.protocol.findings import NOWHERE, Report
from agentcomm.protocol.graph import Act, Criterion, Mark, Move, Protocol, Stakes

__all__ = ("MOST", "check_escalation", "check_grounding", "check_sizes")

MOST = 7
"""Critical fields in an act, and acts in a state: more are read back, and chosen, badly."""

_HIGH = (Stakes.HIGH, Stakes.IRREVERSIBLE)
_READ_BACK = (Criterion.READBACK, Criterion.READBACK_AND_DEMONSTRATED)


def check_grounding(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Add E602, stakes and read-backs without fields, and E601, last words that nobody can ground."""
    if not any(
        finding.kind == "unknown_name" for finding in report.found
    ):  # what is misnamed would be told twice
        _check_stakes(protocol, arcs, report)
    _check_last_words(protocol, arcs, report)


def _check_stakes(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    raised: dict[str, Move] = {}
    """Moves that raise the stakes of an act, by its label."""
    for move in arcs.odd.at_stake:
        if move.stakes in _HIGH:
            raised.setdefault(move.label, move)
    for label, act in protocol.acts.items():
        at = protocol.marks.get(f"acts.{label}", NOWHERE)
        if act.stakes in _HIGH and not act.critical:
            _tell_uncritical(act, at, report)
        elif label in raised and not act.critical:
            _tell_uncritical(act, move_mark(protocol, raised[label]), report)
        elif act.criterion in _READ_BACK and not act.readback:
            report.add(
                "E602",
                "grounding",
                protocol.marks.get(f"grounding.{label}", at),
                f"nothing of '{label}' can be read back",
                why="the criterion is `readback`, and no field is critical",
                fix=f"write `{label}: {{readback: [{_some(act)}]}}`",
            )
    if protocol.limits.repairs == 0 and any(act.criterion in _READ_BACK for act in protocol.acts.values()):
        report.add(
            "E602",
            "grounding",
            protocol.marks.get("limits.repairs", NOWHERE),
            "values are read back, and there is no repair if they differ",
            fix="write `repairs: 2`",
        )


def _tell_uncritical(act: Act, at: Mark, report: Report) -> None:
    report.add(
        "E602",
        "grounding",
        at,
        f"the stakes of '{act.label}' are high, and nothing in it is critical",
        why="high stakes are met by reading back the critical fields",
        fix=f"add `critical: [{_some(act)}]` to the act",
    )


def _some(act: Act) -> str:
    return ", ".join(act.fields) or "..."


def _check_last_words(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    for place, position in arcs.saying(lambda move: move.act.criterion is Criterion.RELEVANT):
        arc = arcs.arc(place, position)
        # by `then` it ends only once its answers are used up, and counts as delivered
        if (move := arc.move) and arc.kind == "next" and (end := arc.target) in protocol.outcomes:
            before = arcs.to(place)
            report.add(
                "E601",
                "grounding",
                move_mark(protocol, move),
                f"'{move.label}' ends the conversation and can never be grounded",
                why=f"its criterion is `relevant`, and no reply can come after '{end}'",
                fix=f"write `{move.label}: delivered` or `{move.label}: readback` under `grounding`",
                witness=steps([*before, arc]),
            )


def check_sizes(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Add W604: more than can be read back or chosen from."""
    for label, act in protocol.acts.items():
        if len(act.critical) > MOST:
            report.add(
                "W604",
                "grounding",
                protocol.marks.get(f"acts.{label}", NOWHERE),
                f"'{label}' has {len(act.critical)} critical fields",
                why=f"a read-back of more than {MOST} values goes wrong",
                fix="split the message",
            )
    for place, count in enumerate(arcs.said.each(lambda row: len(set(row) - {0}))):
        if count > MOST:
            name = arcs.names[place]
            report.add(
                "W604",
                "other",
                protocol.marks.get(f"states.{name}", NOWHERE),
                f"in '{name}' there are {count} acts to choose from",
                why=f"a choice among more than {MOST} is made badly",
                fix="split the state",
            )


def check_escalation(protocol: Protocol, report: Report) -> None:
    """Add E603: who decides where repair fails is itself a party to whatever may fail."""
    judge = protocol.limits.escalate_to
    if judge not in protocol.roles:
        return
    moves = [move for state in protocol.states.values() for move in state.moves.values()]
    if not moves or any(judge != move.speaker and judge not in move.to for move in moves):
        return
    report.add(
        "E603",
        "grounding",
        protocol.marks.get("limits.escalate_to", NOWHERE),
        f"'{judge}' would decide a quarrel of its own",
        why=f"{judge} says or hears every message, so that it is a party wherever repair fails",
        fix="name a role that stands outside, or remove `escalate_to`: then a human is asked",
    )
