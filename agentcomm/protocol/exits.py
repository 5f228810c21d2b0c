"""Whether who is asked can say no: the honest way out that keeps a model from agreeing for want of another word."""

from agentcomm.acts.performative import LedgerOp, Performative
from agentcomm.protocol.arcs import Arcs, ahead, move_mark
from agentcomm.protocol.findings import Report
from agentcomm.protocol.graph import Move, Protocol

__all__ = ("check_exits",)

_QUERIES = (Performative.QUERY_IF, Performative.QUERY_REF)
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
    asked: list[Move] = []
    exits = {label: _exits(act.performative) for label, act in protocol.acts.items()}
    directives = {label for label, act in protocol.acts.items() if act.info.directive}

    def way_out(by: list[Move | None]) -> int:
        bits = 0
        for move in by:
            if move and (found := exits[move.act.label]):
                bits |= found << shifts[move.speaker]
        return bits

    asks = arcs.said.each(lambda by: any(move and move.act.label in directives for move in by))
    for place, is_asked in enumerate(asks):
        if is_asked:
            asked += [move for move in arcs.moves[place] if move and move.act.label in directives]
    if not asked:
        return
    has = arcs.said.each(way_out)
    can = ahead(arcs, has)
    told: set[str] = set()
    for move in asked:
        if move.label in told:
            continue
        bits = can[arcs.number[move.next]]
        if _is_weak(move):
            missing = () if any(bits >> shifts[role] & 1 for role in move.to) else ("refuse or fail",)
        else:
            missing = tuple(
                what
                for flag, what in ((2, "refuse"), (4, "fail"))
                if not any(bits >> shifts[role] & flag for role in move.to)
            )
        if missing:
            told.add(move.label)
            report.add(
                "W503",
                "other",
                move_mark(protocol, move),
                f"who is asked by '{move.label}' cannot {' or '.join(missing)}",
                why="without an honest way out, a model is made to agree",
                fix=_remedy(protocol, move, missing),
            )


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
