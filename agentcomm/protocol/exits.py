"""Whether who is asked can say no: the honest way out that keeps a model from agreeing for want of another word."""

from collections.abc import Mapping

from agentcomm.acts.performative import PERFORMATIVES, LedgerOp, Performative
from agentcomm.protocol.arcs import Arcs, move_mark
from agentcomm.protocol.findings import Report
from agentcomm.protocol.following import ahead
from agentcomm.protocol.graph import Move, Protocol

__all__ = ("check_exits",)

_QUERIES = (Performative.QUERY_IF, Performative.QUERY_REF)
_DIRECTIVES = frozenset(act for act, info in PERFORMATIVES.items() if info.directive)
_EXITS = (
    Performative.REFUSE,
    Performative.FAILURE,
    Performative.CANCEL,
    Performative.NOT_UNDERSTOOD,
    Performative.REJECT_PROPOSAL,
)


def check_exits(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Add W503: a directive whose hearer cannot say no.

    Who is asked to do something can refuse it, and fail; who is asked a question, or for a proposal, has one way out.
    A warning and not an error (W503 for E503 of the list of checks): a question within a longer talk may do without.
    """
    shifts = {role: 3 * number for number, role in enumerate(protocol.roles)}
    said = arcs.said
    outs = said.worth(lambda move: _exits(move.act.performative) << shifts[move.speaker], 0, among=_EXITS)
    wanted = said.worth(lambda move: _wanted(move, shifts), (), among=_DIRECTIVES)
    if not any(wanted):
        return

    def way_out(row: tuple[int, ...]) -> int:
        bits = 0
        for kind in row:
            bits |= outs[kind]
        return bits

    def asking(row: tuple[int, ...]) -> list[tuple[int, tuple[tuple[int, str], ...]]]:
        """Return what is asked for there: the positions where it is said, and what has to be possible then."""
        return [
            (position, wanted[kind])
            for position, kind in enumerate(row)
            if wanted[kind] and not (position and row[position - 1] == kind)
        ]

    can = ahead(arcs, said.each(way_out))
    told: set[str] = set()
    for place, asked in enumerate(said.each(asking)):
        for position, needs in asked:
            bits = can[arcs.targets[place][position]]
            missing = tuple(what for mask, what in needs if not bits & mask)
            move = arcs.moves[place][position] if missing else None
            if move is None or move.label in told:
                continue
            told.add(move.label)
            report.add(
                "W503",
                "other",
                move_mark(protocol, move),
                f"who is asked by '{move.label}' cannot {' or '.join(missing)}",
                why="without an honest way out, a model is made to agree",
                fix=_remedy(protocol, move, missing),
            )


def _wanted(move: Move, shifts: Mapping[str, int]) -> tuple[tuple[int, str], ...]:
    """Return the bits of which one has to follow what is asked, each with its name."""
    flags = ((1, "refuse or fail"),) if _is_weak(move) else ((2, "refuse"), (4, "fail"))
    return tuple((sum(flag << shifts[role] for role in move.to), what) for flag, what in flags)


def _remedy(protocol: Protocol, move: Move, missing: tuple[str, ...]) -> str:
    after = protocol.states.get(move.next)
    speaker = next((role for role in after.speakers if role in move.to), "") if after else ""
    acts = [label for what in missing for label in _ADD[what] if label not in protocol.acts]
    said = " and ".join(f"`{label}`" for what in missing for label in _ADD[what])
    where = f"let {speaker} say {said} in '{after.name}'" if after and speaker and not after.region else ""
    where = where or f"let {said} be said in what follows"
    return where + (
        ", and add " + " and ".join(f"`{label}: {{reason: text}}`" for label in acts) + " to `acts`"
        if acts
        else ""
    )


def _exits(performative: Performative) -> int:
    """Return bits for a way out, a refusal, a failure."""
    if performative not in _EXITS:
        return 0
    return {Performative.REFUSE: 3, Performative.FAILURE: 5}.get(performative, 1)


def _is_weak(move: Move) -> bool:
    """Whether one way out is enough: of a question, and of a call for proposals."""
    performative = move.act.performative
    return performative in _QUERIES or move.act.info.op is not LedgerOp.DIRECT


_ADD = {"refuse or fail": ("refuse",), "refuse": ("refuse",), "fail": ("failure",)}
