"""What is known, owed and owned where: the checks that follow values and commitments through the graph.

Forward analyses on bit sets. A name in a condition must have been heard on *every* way to a state (must); a commitment
counts as open if it is on *some* way (may).
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agentcomm.acts.performative import PERFORMATIVES, LedgerOp, Performative
from agentcomm.protocol.arcs import Arc, Arcs, Ways, move_mark, steps, way
from agentcomm.protocol.conditions import IT
from agentcomm.protocol.findings import NOWHERE, Report, quoted
from agentcomm.protocol.graph import Move, OutcomeClass, Protocol, Ref

__all__ = ("check_exits", "check_known", "check_open", "check_owners")

_QUERIES = (Performative.QUERY_IF, Performative.QUERY_REF)
_ANSWERS = (Performative.INFORM, Performative.CONFIRM, Performative.DISCONFIRM)
_EXITS = (
    Performative.REFUSE,
    Performative.FAILURE,
    Performative.CANCEL,
    Performative.NOT_UNDERSTOOD,
    Performative.REJECT_PROPOSAL,
)


def _forward(
    protocol: Protocol, arcs: Arcs, change: Callable[[Arc, int], int], *, must: bool
) -> dict[str, int]:
    """Return the bits at each place that is reached, at their fixed point.

    Args:
        protocol: Whose graph it is.
        arcs: The graph.
        change: The bits after an arc, given those before it.
        must: A bit holds where it holds on every way; else where it holds on some way.
    """
    bits = {protocol.start: 0}
    queue = deque([protocol.start])
    waiting = {protocol.start}
    while queue:
        place = queue.popleft()
        waiting.discard(place)
        for arc in arcs.get(place, ()):
            after = change(arc, bits[place])
            old = bits.get(arc.target)
            new = after if old is None else old & after if must else old | after
            if new != old:
                bits[arc.target] = new
                if arc.target not in waiting:
                    waiting.add(arc.target)
                    queue.append(arc.target)
    return bits


# --- knowledge ---


def _needs(move: Move) -> Iterator[Ref]:
    """Yield what must be on record before a move can be judged."""
    for condition in move.when:
        for side in (condition.left, condition.right):
            if isinstance(side, Ref) and side.act not in (IT, move.label):
                yield side
    yield from move.act.repeats.values()


def check_known(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Add E401: a name in `when` or `repeats` that its speaker has not heard on every way."""
    facts: dict[tuple[str, str], int] = {}
    """(role, label) -> bit: the role has heard or said it."""
    for state in protocol.states.values():
        for move in state.moves.values():
            for ref in _needs(move):
                if ref.act != IT:
                    facts.setdefault((move.speaker, ref.act), 1 << len(facts))
    if not facts:
        return

    def learn(arc: Arc, known: int) -> int:
        if arc.move:
            for role in (arc.move.speaker, *arc.move.to):
                known |= facts.get((role, arc.move.label), 0)
        return known

    bits = _forward(protocol, arcs, learn, must=True)
    told: set[tuple[str, str, str]] = set()
    for name, state in protocol.states.items():
        for move in state.moves.values() if name in bits else ():
            for ref in _needs(move):
                key = (name, move.speaker, ref.act)
                if ref.act == IT or key in told or bits[name] & facts[move.speaker, ref.act]:
                    continue
                told.add(key)
                _tell_unknown(protocol, arcs, report, move, ref)


def _tell_unknown(protocol: Protocol, arcs: Arcs, report: Report, move: Move, ref: Ref) -> None:
    def heard(arc: Arc) -> bool:
        by = arc.move
        return by is not None and by.label == ref.act and move.speaker in (by.speaker, *by.to)

    said = [arc.move for row in arcs.values() for arc in row if arc.move and arc.move.label == ref.act]
    deaf = next((by for by in said if move.speaker not in (by.speaker, *by.to)), None)
    report.add(
        "E401",
        "data_flow",
        move_mark(protocol, move),
        f"'{move.label}' needs '{ref}', which {move.speaker} may not know in '{move.state}'",
        why=f"on this way '{ref.act}' was not said by or to {move.speaker}",
        fix=f"add {move.speaker} to the `to` of '{deaf.label}' in '{deaf.state}'"
        if deaf
        else f"let '{ref.act}' be said on every way to '{move.state}', or compare with a constant",
        witness=steps(way(arcs, protocol.start, move.state, avoid=heard)),
    )


# --- commitments ---


@dataclass(frozen=True, slots=True)
class _Debt:
    """A commitment that an act makes."""

    label: str
    debtor: str
    creditor: str
    is_query: bool


_PROPOSED, _CONDITIONAL, _DETACHED = "proposed", "conditional", "detached"


def _after(debt: _Debt, move: Move, status: str) -> str:
    """Return what becomes of a commitment by a move: its status, an empty text if there is nothing to owe."""
    act, speaker = move.act, move.speaker
    op = PERFORMATIVES[act.performative].op
    owes, owed = debt.debtor == speaker, debt.creditor == speaker
    to_creditor, to_debtor = owes and debt.creditor in move.to, owed and debt.debtor in move.to
    match op:
        case LedgerOp.DIRECT if debt.label == act.label and to_debtor:
            status = _PROPOSED
        case LedgerOp.OFFER if debt.label == act.label and to_creditor:
            status = _CONDITIONAL
        case LedgerOp.ACTIVATE if to_creditor and status == _PROPOSED:
            status = _DETACHED
        case LedgerOp.ACCEPT if to_debtor and status == _CONDITIONAL:
            status = _DETACHED
        case LedgerOp.REJECT if owes and status == _PROPOSED:
            status = ""
        case LedgerOp.RELEASE if owed:
            status = ""
        case LedgerOp.EXCUSE if owes:
            status = ""
        case _:
            if act.performative is Performative.CANCEL and (owes or owed):
                status = ""
            if debt.is_query and to_creditor and act.performative in _ANSWERS:
                status = ""
    return "" if act.discharges == debt.label else status


def check_open(protocol: Protocol, arcs: Arcs, ways: Ways, report: Report) -> None:
    """Warn of a commitment that may be active at a success.

    A warning and not an error (W501 for E501 of the list of checks): whether an accepted proposal is thereby done, or is
    still to be done, only its author knows; `discharges` and `outlives` are how he says it. Each commitment is followed
    through the places it can reach while it is owed; that is exact, budgets aside.
    """
    for debt in _debts(protocol):
        if not protocol.acts[debt.label].outlives:
            _follow(debt, protocol, arcs, ways, report)


def _follow(debt: _Debt, protocol: Protocol, arcs: Arcs, ways: Ways, report: Report) -> None:
    came: dict[tuple[str, str], tuple[tuple[str, str], Arc]] = {}
    """(place, status) -> where from, and by which arc."""
    queue = deque[tuple[str, str]]()

    def reach(before: tuple[str, str], arc: Arc) -> tuple[str, str] | None:
        status = _after(debt, arc.move, before[1]) if arc.move else before[1]
        here = arc.target, status
        if not status or here in came:
            return None
        came[here] = before, arc
        queue.append(here)
        is_success = protocol.outcomes.get(arc.target) is OutcomeClass.SUCCESS
        return here if is_success and status == _DETACHED else None

    for name in (protocol.start, *ways.came):
        for arc in arcs.get(name, ()):
            if arc.move and arc.move.label == debt.label:
                reach((name, ""), arc)
    while queue:
        place = queue.popleft()
        for arc in arcs.get(place[0], ()):
            if end := reach(place, arc):
                found: list[Arc] = []
                while end in came:
                    end, last = came[end]
                    found.append(last)
                _tell_open(protocol, report, debt, [*ways.to(end[0]), *found[::-1]])
                return


def _debts(protocol: Protocol) -> list[_Debt]:
    """Return the commitments that some act can activate; the others can never be open at an end."""
    found: dict[_Debt, None] = {}
    active = {LedgerOp.ACTIVATE: False, LedgerOp.ACCEPT: False}
    for state in protocol.states.values():
        for move in state.moves.values():
            op = PERFORMATIVES[move.act.performative].op
            is_query = move.act.performative in _QUERIES
            if op in active:
                active[op] = True
            for other in move.to:
                if op is LedgerOp.DIRECT:
                    found[_Debt(move.label, other, move.speaker, is_query)] = None
                elif op is LedgerOp.OFFER:
                    found[_Debt(move.label, move.speaker, other, is_query)] = None
    return [
        debt
        for debt in found
        if active[
            LedgerOp.ACCEPT
            if PERFORMATIVES[protocol.acts[debt.label].performative].op is LedgerOp.OFFER
            else LedgerOp.ACTIVATE
        ]
    ]


def _tell_open(protocol: Protocol, report: Report, debt: _Debt, found: list[Arc]) -> None:
    last = next((arc.move for arc in reversed(found) if arc.move), None)
    report.add(
        "W501",
        "commitment_open",
        move_mark(protocol, last) if last else NOWHERE,
        f"what '{debt.label}' promised may still be open when '{found[-1].target}' is reached",
        why=f"{debt.debtor} owes it to {debt.creditor}, and nothing on this way discharges it",
        fix=f"add `discharges: {debt.label}` to the act that fulfils it, or `outlives: true` to '{debt.label}'",
        witness=steps(found),
    )


# --- honest exits ---


def check_exits(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Warn of a directive whose hearer cannot say no.

    Who is asked to do something can refuse it, and fail; who is asked a question, or for a proposal, has one way out.
    A warning and not an error (W503 for E503 of the list of checks): a question within a longer talk may do without.
    """
    back: dict[str, list[str]] = {}
    for row in arcs.values():
        for arc in row:
            back.setdefault(arc.target, []).append(arc.source)
    cache: dict[tuple[str, str], set[str]] = {}

    def can(role: str, what: str, acts: tuple[Performative, ...]) -> set[str]:
        if (role, what) not in cache:
            queue = [
                state.name
                for state in protocol.states.values()
                if any(
                    move.speaker == role and move.act.performative in acts for move in state.moves.values()
                )
            ]
            seen = set(queue)
            for place in queue:
                fresh = [source for source in back.get(place, ()) if source not in seen]
                seen.update(fresh)
                queue.extend(fresh)
            cache[role, what] = seen
        return cache[role, what]

    told: set[str] = set()
    for state in protocol.states.values():
        for move in state.moves.values():
            info = PERFORMATIVES[move.act.performative]
            if not info.directive or move.label in told:
                continue
            weak = info.op is not LedgerOp.DIRECT or move.act.performative in _QUERIES
            ways = (
                {"refuse or fail": _EXITS}
                if weak
                else {"refuse": (Performative.REFUSE,), "fail": (Performative.FAILURE,)}
            )
            missing = [
                what
                for what, acts in ways.items()
                if not any(move.next in can(role, what, acts) for role in move.to)
            ]
            if missing:
                told.add(move.label)
                report.add(
                    "W503",
                    "other",
                    move_mark(protocol, move),
                    f"who is asked by '{move.label}' cannot {' or '.join(missing)}",
                    why="without an honest way out, a model is made to agree",
                    fix=f"add {' and '.join(_ADD[what] for what in missing)} to what follows",
                )


_ADD = {
    "refuse or fail": "`refuse: {reason: text}`",
    "refuse": "`refuse: {reason: text}`",
    "fail": "`failure: {reason: text}`",
}


# --- ownership ---


def check_owners(protocol: Protocol, arcs: Arcs, ways: Ways, report: Report) -> None:
    """Add E504: a state that is reached with different owners."""
    moves = [move for state in protocol.states.values() for move in state.moves.values() if move.owner]
    if not moves:
        return
    index = {role: 1 << number for number, role in enumerate(("", *protocol.roles))}
    first = index.get(protocol.owner, 1)

    def hand_over(arc: Arc, bits: int) -> int:
        if arc.move and arc.move.owner:
            return index[arc.move.owner]
        return bits or first

    bits = _forward(protocol, arcs, hand_over, must=False)
    told = False
    for name in protocol.states:
        owners = [role for role, bit in index.items() if bits.get(name, 0) & bit]
        if name == protocol.start and bits.get(name, 0) and protocol.owner not in owners:
            owners.append(protocol.owner)
        if len(owners) > 1 and not told:
            told = True
            report.add(
                "E504",
                "other",
                protocol.marks.get(f"states.{name}", NOWHERE),
                f"'{name}' is reached with different owners: {quoted([role or 'nobody' for role in owners])}",
                why="who owns the matter must be known in every state",
                fix="give each owner a state of his own",
                witness=steps(ways.to(name)),
            )
