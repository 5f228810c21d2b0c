"""What is owed where: the checks that follow commitments through the graph.

All commitments are followed at once, on bit sets: one bit for those that some act discharges by name, and one for all others
of the same debtor and creditor, for nothing tells these apart.
"""

from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import NamedTuple

from agentcomm.acts.performative import PERFORMATIVES, LedgerOp, Performative
from agentcomm.protocol.arcs import Arc, Arcs, move_mark, steps
from agentcomm.protocol.dominators import passed
from agentcomm.protocol.findings import NOWHERE, Report
from agentcomm.protocol.following import BITS, MANY, MUCH, NEAR, Effort
from agentcomm.protocol.graph import Act, Move, OutcomeClass, Protocol

__all__ = ("MAKES", "check_open")

_QUERIES = (Performative.QUERY_IF, Performative.QUERY_REF)
_ANSWERS = (Performative.INFORM, Performative.CONFIRM, Performative.DISCONFIRM)
MAKES = (LedgerOp.DIRECT, LedgerOp.OFFER)
"""What acts do that make somebody owe something."""
_MAKING = frozenset(act for act, info in PERFORMATIVES.items() if info.op in MAKES)


class _Debt(NamedTuple):
    """What an act makes somebody owe."""

    label: str
    """Empty: of any act that nothing discharges by name."""
    debtor: str
    creditor: str
    is_query: bool
    is_offer: bool


def _debts(move: Move, named: Container[str]) -> Iterator[_Debt]:
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


_Sites = dict[str, list[tuple[int, int]]]
"""By label of an act that makes it: the arcs that say it."""
_Effect = tuple[int, int, int]
"""Of a move: the bits that become active, those that stay waiting where they wait, those that stay where they are active."""


@dataclass(slots=True)
class _Bits:
    """Some commitments as bits."""

    bits: dict[_Debt, int]
    kinds: dict[_Debt, int] = field(default_factory=dict[_Debt, int])
    """The commitments of one kind, whatever act made them."""
    named: dict[str, int] = field(default_factory=dict[str, int])
    """Those of an act, by its label."""
    cache: dict[tuple[Performative, str, tuple[str, ...]], _Effect] = field(
        default_factory=dict[tuple[Performative, str, tuple[str, ...]], _Effect]
    )
    """By act of the library, speaker and hearers: what it does to commitments that it does not discharge by name."""

    @property
    def every(self) -> int:
        """All bits."""
        return (1 << len(self.bits)) - 1

    def __post_init__(self) -> None:
        for debt, bit in self.bits.items():
            kind = debt._replace(label="")
            self.kinds[kind] = self.kinds.get(kind, 0) | bit
            self.named[debt.label] = self.named.get(debt.label, 0) | bit

    def effect(self, move: Move) -> _Effect | None:
        """Return what a move does to them; None if it does nothing."""
        key = move.act.performative, move.speaker, move.to
        found = self.cache.get(key)
        if found is None:
            active = gone_waiting = gone_active = 0
            for kind, bits in self.kinds.items():
                status = _after(kind, move, detached=False)
                active |= bits if status else 0
                gone_waiting |= bits if status is None else 0
                gone_active |= bits if _after(kind, move, detached=True) is None else 0
            every = self.every
            found = self.cache[key] = active, every & ~(gone_waiting | active), every & ~gone_active
        done = self.named.get(move.act.discharges, 0) if move.act.discharges else 0
        if done:
            found = found[0] & ~done, found[1] & ~done, found[2] & ~done
        return None if found[0] == 0 and found[1] == found[2] == self.every else found


def check_open(protocol: Protocol, arcs: Arcs, report: Report) -> set[str]:
    """Add W501: a commitment that may be active at a success; return the acts that make one.

    A warning and not an error (W501 for E501 of the list of checks): whether an accepted proposal is thereby done, or is
    still to be done, only its author knows; `discharges` and `outlives` are how he says it.
    """
    named = {act.discharges for act in protocol.acts.values() if act.discharges}
    makes = {
        label for label, act in protocol.acts.items() if act.performative in _MAKING and not act.outlives
    }
    made = _made(arcs, named, makes)
    debts = list(made)
    if len(debts) > MANY:
        matter = {label for label, act in protocol.acts.items() if _may_matter(act)}
        effort = Effort()
        debts = [debt for debt in debts if not _ends_soon(protocol, arcs, debt, made[debt], matter, effort)]
    if len(debts) * len(arcs.names) > MUCH:
        debts = _not_surely_done(protocol, arcs, debts, made)
    told: set[str] = set()
    for first in range(0, len(debts), BITS):
        some = _Bits({debt: 1 << number for number, debt in enumerate(debts[first : first + BITS])})
        follow = _to_success(protocol, arcs, some)
        for debt, bit in some.bits.items():
            for label, sites in made[debt].items():
                if any(follow.waiting[arcs.targets[place][position]] & bit for place, position in sites):
                    told.add(label)
                    _tell_open(protocol, arcs, report, debt, sites, follow)
    return told


def _made(arcs: Arcs, named: Container[str], makes: Container[str]) -> dict[_Debt, _Sites]:
    """Return, by commitment, where it is made."""
    said = arcs.said
    owing = said.worth(
        lambda move: [*_debts(move, named)] if move.act.label in makes else [], [], among=_MAKING
    )
    sites: dict[int, list[tuple[int, int]]] = {kind: [] for kind, debts in enumerate(owing) if debts}
    if not sites:
        return {}
    positions = said.each(lambda row: [position for position, kind in enumerate(row) if owing[kind]])
    for place in arcs.order:
        for position in positions[place]:
            sites[said.row(place)[position]].append((place, position))
    made: dict[_Debt, _Sites] = {}
    for kind, found in sites.items():
        if found and (move := said.kinds[kind]):
            for debt in owing[kind]:
                made.setdefault(debt, {}).setdefault(move.act.label, []).extend(found)
    return made


def _ends_soon(
    protocol: Protocol,
    arcs: Arcs,
    debt: _Debt,
    made: _Sites,
    matter: set[str],
    effort: Effort,
) -> bool:
    """Whether nothing is owed any more, on every way, a few places after it was promised."""
    if effort.left <= 0 or sum(map(len, made.values())) > NEAR:
        return False
    queue = list(dict.fromkeys((arcs.targets[place][position], False) for place, position in _flat(made)))
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


def _flat(made: _Sites) -> Iterator[tuple[int, int]]:
    for sites in made.values():
        yield from sites


def _not_surely_done(
    protocol: Protocol, arcs: Arcs, debts: list[_Debt], made: Mapping[_Debt, _Sites]
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
            for after in (arcs.targets[place][position] for place, position in _flat(made[debt]))
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
            active[arcs.number[name]] = some.every
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
                is_active, waits = active[target], waiting[target]
                if effect is None:
                    now |= is_active
                    now_waiting |= waits
                elif is_active or waits:
                    become, stay_waiting, stay_active = effect
                    now |= is_active & stay_active
                    now_waiting |= (waits & stay_waiting) | (is_active & become)
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
        or PERFORMATIVES[act.performative].op not in (*MAKES, LedgerOp.NONE)
        or act.performative is Performative.CANCEL
        or act.performative in _ANSWERS
    )


def _effects(protocol: Protocol, arcs: Arcs, some: _Bits) -> list[list[_Effect | None] | None]:
    """Return, by place, what its arcs do; None where they do nothing."""
    matter = {label for label, act in protocol.acts.items() if _may_matter(act)}

    return arcs.said.lists(
        arcs.said.worth(lambda move: some.effect(move) if move.act.label in matter else None, None)
    )


def _tell_open(
    protocol: Protocol,
    arcs: Arcs,
    report: Report,
    debt: _Debt,
    sites: list[tuple[int, int]],
    follow: _Open,
) -> None:
    """Tell of a short way on which it stays open."""
    goals = [arcs.number[name] for name, kind in protocol.outcomes.items() if kind is OutcomeClass.SUCCESS]
    near = nsmallest(NEAR, sites, key=lambda site: arcs.depth[site[0]])
    found = _Ways(arcs, follow, follow.some.bits[debt]).shortest(near, goals)
    if found:
        _add_open(protocol, arcs, report, debt, found)


@dataclass(slots=True)
class _Ways:
    """Ways on which one commitment stays open: looked for from both ends, for most of a dense graph is then not looked at.

    A spot is twice a place, and one more if the commitment is active there.
    """

    arcs: Arcs
    follow: _Open
    bit: int
    came: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    """By spot: the spot before, or less than 0 where it begins, and the position of the arc that led on."""
    left: dict[int, int] = field(default_factory=dict[int, int])
    """By spot: how many steps are left to a success."""

    def shortest(self, sites: Iterable[tuple[int, int]], goals: Iterable[int]) -> list[Arc]:
        """Return the shortest way from one of some arcs, itself included, to a success."""
        starts: list[int] = []
        sources: dict[int, int] = {}
        for place, position in sites:
            first = 2 * self.arcs.targets[place][position]
            if first not in self.came and self._may(first):
                self.came[first], sources[first] = (-1, position), place
                starts.append(first)
        heads, tails = starts, [2 * goal + 1 for goal in goals]
        self.left = dict.fromkeys(tails, 0)
        steps = back = 0
        while heads and tails and not any(spot in self.left for spot in heads):
            if len(tails) < len(heads):
                back += 1
                tails = self._back(tails, back)
            else:
                steps += 1
                heads = self._on(heads)
        while heads and back >= 0:
            if ends := [spot for spot in heads if self.left.get(spot) == 0]:
                return self._way(ends[0], sources)
            back -= 1
            heads = self._on([spot for spot in heads if self.left.get(spot) == back + 1])
        return []

    def _may(self, spot: int) -> bool:
        """Whether it can be open at a success from a spot on."""
        may = self.follow.active if spot & 1 else self.follow.waiting
        return bool(may[spot >> 1] & self.bit)

    def _after(self, spot: int, position: int) -> int:
        """Return the spot that an arc of a spot leads to; -1 if nothing is owed any more."""
        row = self.follow.effects[spot >> 1]
        status = spot & 1
        if row and (effect := row[position]):
            become, stay_waiting, stay_active = effect
            if status:
                status = 1 if stay_active & self.bit else -1
            elif become & self.bit:
                status = 1
            elif not stay_waiting & self.bit:
                status = -1
        return -1 if status < 0 else 2 * self.arcs.targets[spot >> 1][position] + status

    def _on(self, spots: Iterable[int]) -> list[int]:
        found: list[int] = []
        for spot in spots:
            for position in range(len(self.arcs.targets[spot >> 1])):
                there = self._after(spot, position)
                if there >= 0 and there not in self.came and self._may(there):
                    self.came[there] = spot, position
                    found.append(there)
        return found

    def _back(self, spots: Iterable[int], steps: int) -> list[int]:
        found: list[int] = []
        for there in spots:
            for source in self.arcs.before[there >> 1]:
                for spot in (2 * source, 2 * source + 1):
                    if spot not in self.left and any(
                        self._after(spot, position) == there
                        for position in range(len(self.arcs.targets[source]))
                    ):
                        self.left[spot] = steps
                        found.append(spot)
        return found

    def _way(self, end: int, sources: Mapping[int, int]) -> list[Arc]:
        found: list[Arc] = []
        while end >= 0:
            before, position = self.came[end]
            found.append(self.arcs.arc(before >> 1 if before >= 0 else sources[end], position))
            end = before
        return found[::-1]


def _add_open(protocol: Protocol, arcs: Arcs, report: Report, debt: _Debt, owed: list[Arc]) -> None:
    found = [*arcs.to(arcs.number[owed[0].source]), *owed]
    move = owed[0].move
    label = move.label if move else ""
    region = protocol.states[move.state].region if move else ""
    said = next((arc.move for arc in reversed(found) if arc.move), None)
    report.add(
        "W501",
        "commitment_open",
        move_mark(protocol, said) if said else NOWHERE,
        f"what '{label}' {'promises' if debt.is_offer else 'asks for'} may still be owed when '{found[-1].target}' is reached",
        why=f"{debt.debtor} owes it to {debt.creditor}, and nothing on this way discharges it",
        fix=f"let the run '{region.partition('/')[0]}' lead to a success only where it is done, "
        f"or add `discharges: {label}` to an act of yours that fulfils it"
        if region
        else f"add `discharges: {label}` to the act that fulfils it, or `outlives: true` to '{label}'",
        witness=steps(found),
    )
