"""What is owed where: the checks that follow commitments through the graph.

All commitments are followed at once, on bit sets: one bit for those that some act discharges by name, and one for all others
of the same debtor and creditor, for nothing tells these apart.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from agentcomm.acts.performative import LedgerOp, Performative
from agentcomm.protocol.arcs import Arc, Arcs, move_mark, steps
from agentcomm.protocol.dominators import passed
from agentcomm.protocol.findings import NOWHERE, Report
from agentcomm.protocol.following import MANY, MUCH, NEAR, Effort
from agentcomm.protocol.graph import Act, Move, OutcomeClass, Protocol

__all__ = ("MAKES", "check_open")

_QUERIES = (Performative.QUERY_IF, Performative.QUERY_REF)
_ANSWERS = (Performative.INFORM, Performative.CONFIRM, Performative.DISCONFIRM)
MAKES = (LedgerOp.DIRECT, LedgerOp.OFFER)
"""What acts do that make somebody owe something."""
BITS = 8_192
"""Commitments that are followed at once: more would make the sets too long to keep one at each place."""


@dataclass(frozen=True, slots=True)
class _Debt:
    """What an act makes somebody owe."""

    label: str
    """Empty: of any act that nothing discharges by name."""
    debtor: str
    creditor: str
    is_query: bool
    is_offer: bool


def _debts(move: Move, named: Iterable[str]) -> Iterator[_Debt]:
    """Yield what a move makes somebody owe; `named` are the acts that something discharges by name."""
    op = move.act.info.op
    if op not in MAKES:
        return
    is_query = move.act.performative in _QUERIES
    label = move.label if move.label in named else ""
    for other in move.to:
        if op is LedgerOp.OFFER:
            yield _Debt(label, move.speaker, other, is_query, is_offer=True)
        else:
            yield _Debt(label, other, move.speaker, is_query, is_offer=False)


def _after(debt: _Debt, move: Move, *, detached: bool) -> bool | None:
    """Return whether what is owed is active after a move, None if nothing is owed any more.

    What was active stays so when the act is said again: that makes another commitment.
    """
    act, speaker = move.act, move.speaker
    owes, owed = debt.debtor == speaker, debt.creditor == speaker
    to_creditor, to_debtor = owes and debt.creditor in move.to, owed and debt.debtor in move.to
    if debt.label and act.discharges == debt.label:
        return None
    match act.info.op:
        case LedgerOp.ACTIVATE if to_creditor and not debt.is_offer:
            return True
        case LedgerOp.ACCEPT if to_debtor and debt.is_offer:
            return True
        case LedgerOp.REJECT if owes and not debt.is_offer and not detached:
            return None
        case LedgerOp.RELEASE if owed:
            return None
        case LedgerOp.EXCUSE if owes:
            return None
        case _:
            if act.performative is Performative.CANCEL and (owes or owed):
                return None
            if debt.is_query and to_creditor and act.performative in _ANSWERS:
                return None
    return detached


_Effect = tuple[int, int, int]
"""Of a move: the bits that become active, those that are gone where they wait, those that are gone where they are active."""


@dataclass(slots=True)
class _Bits:
    """Some commitments as bits."""

    bits: dict[_Debt, int]
    kinds: dict[_Debt, int] = field(default_factory=dict[_Debt, int])
    """The commitments of one kind, whatever act made them."""
    named: dict[str, int] = field(default_factory=dict[str, int])
    """Those of an act, by its label."""
    cache: dict[tuple[str, str, tuple[str, ...]], _Effect] = field(
        default_factory=dict[tuple[str, str, tuple[str, ...]], _Effect]
    )
    """By label, speaker and hearers."""

    def __post_init__(self) -> None:
        for debt, bit in self.bits.items():
            kind = _Debt("", debt.debtor, debt.creditor, debt.is_query, debt.is_offer)
            self.kinds[kind] = self.kinds.get(kind, 0) | bit
            self.named[debt.label] = self.named.get(debt.label, 0) | bit

    def effect(self, move: Move) -> _Effect:
        """Return what a move does to them."""
        key = (move.act.label, move.speaker, move.to)
        found = self.cache.get(key)
        if found is None:
            active = gone_waiting = gone_active = 0
            for kind, bits in self.kinds.items():
                status = _after(kind, move, detached=False)
                active |= bits if status else 0
                gone_waiting |= bits if status is None else 0
                gone_active |= bits if _after(kind, move, detached=True) is None else 0
            done = self.named.get(move.act.discharges, 0) if move.act.discharges else 0
            found = self.cache[key] = active & ~done, gone_waiting | done, gone_active | done
        return found


def check_open(protocol: Protocol, arcs: Arcs, report: Report) -> None:
    """Add W501: a commitment that may be active at a success.

    A warning and not an error (W501 for E501 of the list of checks): whether an accepted proposal is thereby done, or is
    still to be done, only its author knows; `discharges` and `outlives` are how he says it.
    """
    named = {act.discharges for act in protocol.acts.values() if act.discharges}
    makes = {label for label, act in protocol.acts.items() if act.info.op in MAKES and not act.outlives}
    made: dict[_Debt, list[tuple[int, int]]] = {}
    """By commitment: the arcs that make it."""
    owing = arcs.said.lists(
        arcs.said.worth(lambda move: [*_debts(move, named)] if move.act.label in makes else [], [])
    )
    for place in arcs.order if makes else ():
        for position, owed in enumerate(owing[place] or ()):
            for debt in owed:
                made.setdefault(debt, []).append((place, position))
    debts = list(made)
    if len(debts) > MANY:
        matter = {label for label, act in protocol.acts.items() if _may_matter(act)}
        effort = Effort()
        debts = [debt for debt in debts if not _ends_soon(protocol, arcs, debt, made[debt], matter, effort)]
    if len(debts) * len(arcs.names) > MUCH:
        debts = _not_surely_done(protocol, arcs, debts, made)
    for first in range(0, len(debts), BITS):
        some = _Bits({debt: 1 << number for number, debt in enumerate(debts[first : first + BITS])})
        follow = _to_success(protocol, arcs, some)
        told: set[tuple[str, _Debt]] = set()
        for debt, bit in some.bits.items():
            for place, position in made[debt]:
                move = arcs.moves[place][position]
                if (
                    move
                    and follow.waiting[arcs.targets[place][position]] & bit
                    and (move.act.label, debt) not in told
                ):
                    told.add((move.act.label, debt))
                    sites = {site for site in made[debt] if _label(arcs, site) == move.act.label}
                    _tell_open(protocol, arcs, report, debt, sites, follow)


def _label(arcs: Arcs, site: tuple[int, int]) -> str:
    move = arcs.moves[site[0]][site[1]]
    return move.act.label if move else ""


def _ends_soon(
    protocol: Protocol,
    arcs: Arcs,
    debt: _Debt,
    sites: list[tuple[int, int]],
    matter: set[str],
    effort: Effort,
) -> bool:
    """Whether nothing is owed any more, on every way, a few places after it was promised."""
    if effort.left <= 0 or len(sites) > NEAR:
        return False
    queue = list(dict.fromkeys((arcs.targets[place][position], False) for place, position in sites))
    seen = set(queue)
    for place, was in queue:
        if len(queue) > NEAR or (was and protocol.outcomes.get(arcs.names[place]) is OutcomeClass.SUCCESS):
            effort.left -= len(queue)
            return False
        for target, move in zip(arcs.targets[place], arcs.moves[place], strict=True):
            status = was if move is None or move.act.label not in matter else _after(debt, move, detached=was)
            if status is not None and (target, status) not in seen:
                seen.add((target, status))
                queue.append((target, status))
    return True


def _not_surely_done(
    protocol: Protocol, arcs: Arcs, debts: list[_Debt], made: Mapping[_Debt, list[tuple[int, int]]]
) -> list[_Debt]:
    """Return the commitments of which it is not plain that something discharges them on every way to a success."""
    labels = {debt.label for debt in debts}
    targets = list(arcs.targets)
    stations: dict[str, list[int]] = {}
    """By act: places put in, each on the arcs of one state that discharge it."""
    for place, by in enumerate(arcs.moves):
        here: dict[str, int] = {}
        for position, move in enumerate(by):
            if move and move.act.discharges in labels:
                station = here.setdefault(move.act.discharges, len(targets))
                if station == len(targets):
                    targets.append([])
                    stations.setdefault(move.act.discharges, []).append(station)
                targets[station].append(targets[place][position])
                targets[place] = [*targets[place]]
                targets[place][position] = station
    goals = [arcs.number[name] for name, kind in protocol.outcomes.items() if kind is OutcomeClass.SUCCESS]
    tree = passed(targets, goals)

    def is_done(debt: _Debt) -> bool:
        few = stations.get(debt.label, [])
        return len(few) <= NEAR and all(
            not tree.reaches(after) or tree.through(few, after)
            for after in (arcs.targets[place][position] for place, position in made[debt])
        )

    return [debt for debt in debts if not is_done(debt)]


@dataclass(frozen=True, slots=True)
class _Open:
    """What can be open at a success, by place."""

    some: _Bits
    effects: list[list[_Effect | None] | None]
    """By place, what its arcs do; None where they do nothing."""
    waiting: list[int]
    """Of what waits there."""
    active: list[int]
    """Of what is active there."""


def _to_success(protocol: Protocol, arcs: Arcs, some: _Bits) -> _Open:
    """Look, from the successes back, for what may be open there."""
    targets = arcs.targets
    active, waiting = [0] * len(targets), [0] * len(targets)
    for name, kind in protocol.outcomes.items():
        if kind is OutcomeClass.SUCCESS:
            active[arcs.number[name]] = (1 << len(some.bits)) - 1
    effects = _effects(protocol, arcs, some)
    if not any(effect[0] for row in effects if row for effect in row if effect):
        return _Open(some, effects, waiting, active)  # nothing ever becomes active
    queue = deque(arcs.order)
    queued = bytearray(b"\1") * len(targets)
    while queue:
        place = queue.popleft()
        queued[place] = 0
        old, old_waiting = active[place], waiting[place]
        now, now_waiting = old, old_waiting
        row = effects[place]
        if row is None:
            for target in targets[place]:
                now |= active[target]
                now_waiting |= waiting[target]
        else:
            for target, effect in zip(targets[place], row, strict=True):
                if effect is None:
                    now |= active[target]
                    now_waiting |= waiting[target]
                else:
                    become, gone_waiting, gone_active = effect
                    now |= active[target] & ~gone_active
                    now_waiting |= (waiting[target] & ~(gone_waiting | become)) | (active[target] & become)
        if now != old or now_waiting != old_waiting:
            active[place], waiting[place] = now, now_waiting
            for source in arcs.before[place]:
                if not queued[source]:
                    queued[source] = 1
                    queue.append(source)
    return _Open(some, effects, waiting, active)


def _may_matter(act: Act) -> bool:
    """Whether an act can change what is owed already."""
    return (
        bool(act.discharges)
        or act.info.op not in (*MAKES, LedgerOp.NONE)
        or act.performative is Performative.CANCEL
        or act.performative in _ANSWERS
    )


def _effects(protocol: Protocol, arcs: Arcs, some: _Bits) -> list[list[_Effect | None] | None]:
    """Return, by place, what its arcs do; None where they do nothing."""
    matter = {label for label, act in protocol.acts.items() if _may_matter(act)}

    def does(move: Move) -> _Effect | None:
        effect = some.effect(move) if move.act.label in matter else (0, 0, 0)
        return effect if effect != (0, 0, 0) else None

    return arcs.said.lists(arcs.said.worth(does, None))


def _tell_open(
    protocol: Protocol, arcs: Arcs, report: Report, debt: _Debt, sites: set[tuple[int, int]], follow: _Open
) -> None:
    """Tell of a short way on which it stays open; only places are looked at from which it can."""
    bit, targets = follow.some.bits[debt], arcs.targets
    may = follow.waiting, follow.active
    goals = {arcs.number[name] for name, kind in protocol.outcomes.items() if kind is OutcomeClass.SUCCESS}
    came: list[int] = [-1] * (2 * len(targets))
    """By twice the place, and one if it is active there: the same before; -2 where it begins, -1 where nothing came yet."""
    by: list[int] = [0] * len(came)
    """Beside it: the position of the arc that led on."""
    sources: dict[int, int] = {}
    queue: list[int] = []
    for place, position in sorted(sites, key=lambda site: len(arcs.to(site[0])))[:NEAR]:
        first = 2 * targets[place][position]
        if came[first] == -1 and may[0][first >> 1] & bit:
            came[first], by[first], sources[first] = -2, position, place
            queue.append(first)
    for here in queue:
        place, was = here >> 1, here & 1
        row = follow.effects[place]
        for position, target in enumerate(targets[place]):
            status = was
            if row and (effect := row[position]):
                if effect[2 if was else 1] & bit:
                    continue
                status = was or int(effect[0] & bit > 0)
            there = 2 * target + status
            if came[there] != -1 or not may[status][target] & bit:
                continue
            came[there], by[there] = here, position
            if status and target in goals:
                _add_open(protocol, arcs, report, debt, _back(arcs, came, by, sources, there))
                return
            queue.append(there)


def _back(arcs: Arcs, came: list[int], by: list[int], sources: Mapping[int, int], end: int) -> list[Arc]:
    found: list[Arc] = []
    here = end
    while here >= 0:
        before = came[here]
        found.append(arcs.arc(before >> 1 if before >= 0 else sources[here], by[here]))
        here = before
    return found[::-1]


def _add_open(protocol: Protocol, arcs: Arcs, report: Report, debt: _Debt, owed: list[Arc]) -> None:
    found = [*arcs.to(arcs.number[owed[0].source]), *owed]
    label = owed[0].move.label if owed[0].move else ""
    said = next((arc.move for arc in reversed(found) if arc.move), None)
    report.add(
        "W501",
        "commitment_open",
        move_mark(protocol, said) if said else NOWHERE,
        f"what '{label}' {'promises' if debt.is_offer else 'asks for'} may still be owed when '{found[-1].target}' is reached",
        why=f"{debt.debtor} owes it to {debt.creditor}, and nothing on this way discharges it",
        fix=f"add `discharges: {label}` to the act that fulfils it, or `outlives: true` to '{label}'",
        witness=steps(found),
    )
