"""The graph of a protocol in numbers, and the shortest way to a place: what the checks walk on.

Places are numbered: the states in the file's order, then the outcomes. Everything is a list by number, for a check looks at
each arc once or twice, and names are only wanted where there is something to tell.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeVar

from agentcomm.protocol.dominators import Passed, passed
from agentcomm.protocol.findings import NOWHERE
from agentcomm.protocol.graph import Mark, Move, Protocol

__all__ = (
    "Arc",
    "Arcs",
    "Changes",
    "after",
    "ahead",
    "breadth_first",
    "known",
    "move_mark",
    "state_mark",
    "steps",
    "way",
)

_T = TypeVar("_T")
MANY = 512
"""So many bits are followed through a graph without looking first whether an answer is near."""
MUCH = 100_000_000
"""So many bits at all places together are followed without looking for what every way passes (`dominators.py`)."""
NEAR = 32
"""Places that are near."""
Changes = Mapping[int, Sequence[tuple[int, int]]]
"""By place, for each of its arcs: the bits that stay, and the bits that come."""


@dataclass(frozen=True, slots=True)
class Arc:
    """One way from a state to a state or an outcome."""

    source: str
    target: str
    kind: Literal["next", "then", "else", "run"]
    """`next` and `then` of a move, the deadline, or all that runs in a state."""
    move: Move | None = None

    def __str__(self) -> str:
        return f"{self.source} --{self.move.label if self.move else self.kind}--> {self.target}"


@dataclass
class Arcs:
    """All arcs of a protocol, by the place they leave."""

    names: list[str]
    """Of the places."""
    number: dict[str, int]
    """By name."""
    start: int
    targets: list[list[int]]
    """By place: where its arcs lead. Moves in the file's order, each `next` before its `then`; deadlines are last."""
    moves: list[list[Move | None]]
    """Beside `targets`: the move, None for a deadline."""
    free: list[list[int]]
    """Where the arcs of a place lead that no budget bounds."""
    came: list[int] = field(default_factory=list[int])
    """The place before, on the shortest way from the start; -1 where there is no way."""
    order: list[int] = field(default_factory=list[int])
    """What is reached, each place after those that follow from it, as far as there is no loop."""

    @classmethod
    def of(cls, protocol: Protocol, holes: Iterable[str] = ()) -> "Arcs":
        """Return the graph of a protocol; `holes` are targets that are neither states nor outcomes."""
        states = protocol.states
        names = [*states, *protocol.outcomes, *(name for name in holes if name not in protocol.outcomes)]
        number = {name: place for place, name in enumerate(names)}
        targets: list[list[int]] = []
        moves: list[list[Move | None]] = []
        free: list[list[int]] = []
        for state in states.values():
            leads: list[int] = []
            by: list[Move | None] = []
            bound: list[int] = []
            for move in state.moves.values():
                if move.max is not None:
                    bound.append(len(leads))
                leads.append(number[move.next])
                by.append(move)
                if move.then:
                    leads.append(number[move.then])
                    by.append(move)
            for otherwise in (state.otherwise, *_run_deadlines(protocol, state.region)):
                if otherwise in number:
                    leads.append(number[otherwise])
                    by.append(None)
            targets.append(leads)
            moves.append(by)
            if bound:
                leads = leads.copy()
                for position in reversed(bound):
                    del leads[position]
            free.append(leads)
        targets += [[] for _ in range(len(names) - len(targets))]
        moves += [[] for _ in range(len(names) - len(moves))]
        free += targets[len(free) :]
        arcs = cls(names, number, number[protocol.start], targets, moves, free)
        arcs.came = breadth_first(targets, arcs.start)
        arcs.order = postorder(targets, arcs.start)
        return arcs

    def arc(self, place: int, position: int) -> Arc:
        """Return one arc of a place."""
        by = self.moves[place]
        move = by[position]
        kind = "else" if move is None else "then" if position and by[position - 1] is move else "next"
        return Arc(self.names[place], self.names[self.targets[place][position]], kind, move)

    def row(self, place: int) -> list[Arc]:
        """Return the arcs of a place."""
        return [self.arc(place, position) for position in range(len(self.targets[place]))]

    def to(self, goal: int) -> list[Arc]:
        """Return the shortest way from the start to a place; empty if it is the start or cannot be reached."""
        found: list[Arc] = []
        while goal != self.start and (before := self.came[goal]) >= 0:
            found.append(self.arc(before, self.targets[before].index(goal)))
            goal = before
        return found[::-1]

    def witness(self, name: str) -> tuple[str, ...]:
        """Return the shortest way from the start to a place, as a witness."""
        return steps(self.to(self.number[name]))

    @cached_property
    def before(self) -> list[list[int]]:
        """By place: the places that have an arc to it."""
        table: list[list[int]] = [[] for _ in self.names]
        for place, leads in enumerate(self.targets):
            for target in leads:
                table[target].append(place)
        return table

    @cached_property
    def components(self) -> tuple[list[int], list[list[int]]]:
        """By place, the number of its strongly connected component; the components in the order of the arcs.

        Only what is reached has one; -1 elsewhere.
        """
        return components(self)

    @cached_property
    def said(self) -> "Said":
        """What is said where."""
        return Said.of(self.moves)

    @cached_property
    def deadlines(self) -> list[int]:
        """By place: the position of the first deadline among its arcs, which stands after all moves."""
        return self.said.each(lambda by: by.index(None) if by and by[-1] is None else len(by))

    @cached_property
    def passed(self) -> Passed:
        """What every way from the start to a place passes, told backwards: as ways from the place to the start."""
        return passed(self.before, [self.start], self.targets)


@dataclass(frozen=True, slots=True)
class Said:
    """What is said where, each row once: most states of a big protocol say what others say, and so need no look of their own."""

    rows: list[list[Move | None]]
    """By number: the moves of a place with that row; what else they are than label, speaker and hearers, others may not be."""
    at: list[int]
    """By place, the number of its row."""

    @classmethod
    def of(cls, moves: list[list[Move | None]]) -> "Said":
        """Number the rows of the moves of each place."""
        kinds: dict[object, int] = {}
        numbers: dict[tuple[int, ...], int] = {}
        rows: list[list[Move | None]] = []
        at: list[int] = []
        for by in moves:
            kind = tuple(
                [
                    0
                    if move is None
                    else kinds.setdefault((move.act.label, move.speaker, move.to), len(kinds) + 1)
                    for move in by
                ]
            )
            number = numbers.setdefault(kind, len(rows))
            if number == len(rows):
                rows.append(by)
            at.append(number)
        return cls(rows, at)

    def each(self, judge: Callable[[list[Move | None]], _T]) -> list[_T]:
        """Return, by place, what `judge` makes of its row; it may look at labels, speakers and hearers only."""
        found = list(map(judge, self.rows))
        return [found[number] for number in self.at]


def _run_deadlines(protocol: Protocol, region: str) -> Iterator[str]:
    """Yield where the deadlines of the runs lead that a state stands in."""
    while region:
        run = protocol.runs.get(region)
        if run and run.within is not None:
            yield run.otherwise
        region = region.rpartition("/")[0]


def breadth_first(targets: Sequence[Sequence[int]], start: int) -> list[int]:
    """Return, by place, the place before it on the shortest way from `start`; -1 where there is no way."""
    came = [-1] * len(targets)
    came[start] = start
    queue = [start]
    for place in queue:
        for target in targets[place]:
            if came[target] < 0:
                came[target] = place
                queue.append(target)
    return came


def postorder(targets: Sequence[Sequence[int]], start: int) -> list[int]:
    """Return what is reached from `start` in the order in which a depth-first search leaves it."""
    order: list[int] = []
    seen = bytearray(len(targets))
    seen[start] = 1
    stack = [(start, iter(targets[start]))]
    while stack:
        place, rest = stack[-1]
        for target in rest:
            if not seen[target]:
                seen[target] = 1
                stack.append((target, iter(targets[target])))
                break
        else:
            stack.pop()
            order.append(place)
    return order


def known(arcs: Arcs, changes: Changes, first: int = 0) -> list[int]:
    """Return the bits that hold at each place on every way to it; all of them where there is no way.

    Args:
        arcs: The graph.
        changes: What arcs do to the bits; what is not in it leaves them as they are.
        first: The bits at the start.
    """
    targets = arcs.targets
    bits = [-1] * len(targets)
    bits[arcs.start] = first
    waiting = bytearray(len(targets))
    queue = deque(reversed(arcs.order))
    for place in queue:
        waiting[place] = 1
    while queue:
        place = queue.popleft()
        waiting[place] = 0
        here = bits[place]
        change = changes.get(place)
        for position, target in enumerate(targets[place]):
            after = here
            if change:
                keep, come = change[position]
                after = here & keep | come
            old = bits[target]
            new = old & after
            if new != old:
                bits[target] = new
                if not waiting[target]:
                    waiting[target] = 1
                    queue.append(target)
    return bits


def components(arcs: Arcs) -> tuple[list[int], list[list[int]]]:
    """Return, by place, the number of its strongly connected component, and the components in the order of the arcs.

    Only what is reached has one; -1 elsewhere.
    """
    number = [-1] * len(arcs.names)
    found: list[list[int]] = []
    came = arcs.came
    for root in reversed(arcs.order):
        if number[root] >= 0:
            continue
        number[root] = mine = len(found)
        members = [root]
        for place in members:
            for source in arcs.before[place]:
                if number[source] < 0 <= came[source]:
                    number[source] = mine
                    members.append(source)
        found.append(members)
    return number, found


def after(arcs: Arcs, said: Sequence[Sequence[int] | None]) -> list[int]:
    """Return the bits that hold at each place on some way to it.

    Args:
        arcs: The graph.
        said: By place, for each of its arcs: the bits that come; None for none.
    """
    number, found = arcs.components
    targets = arcs.targets
    bits = [0] * len(found)
    for component, members in enumerate(found):
        here = bits[component]
        for place in members:
            if row := said[place]:
                for target, come in zip(targets[place], row, strict=True):
                    if number[target] == component:
                        here |= come
        bits[component] = here
        for place in members:
            if row := said[place]:
                for target, come in zip(targets[place], row, strict=True):
                    other = number[target]
                    if other != component:
                        bits[other] |= here | come
            elif here:
                for target in targets[place]:
                    bits[number[target]] |= here
    return [bits[component] if component >= 0 else 0 for component in number]


def ahead(arcs: Arcs, has: Sequence[int]) -> list[int]:
    """Return, by place, the bits of all places that can be reached from it, itself included.

    Args:
        arcs: The graph.
        has: The bits of each place.
    """
    number, found = arcs.components
    bits = [0] * len(found)
    for component in range(len(found) - 1, -1, -1):
        here = 0
        for place in found[component]:
            here |= has[place]
            for target in arcs.targets[place]:
                here |= bits[number[target]]
        bits[component] = here
    return [bits[component] if component >= 0 else 0 for component in number]


@dataclass(slots=True)
class Effort:
    """How many places may still be looked at one by one, before all are looked at together: what finds nothing uses it up."""

    left: int = 1_000


def said_near(arcs: Arcs, place: int, says: Callable[[Move], bool], effort: Effort) -> tuple[bool, bool]:
    """Look a little way back from a place for something said: whether it was on every way, and whether on some.

    False means that it was not found so near.
    """
    if effort.left <= 0:
        return False, False
    queue = [place]
    seen = {place}
    some = False
    for here in queue:
        if here == arcs.start or len(queue) > NEAR:
            effort.left -= len(queue)
            return False, some
        for source in dict.fromkeys(arcs.before[here]):
            if arcs.came[source] < 0:
                continue
            for target, move in zip(arcs.targets[source], arcs.moves[source], strict=True):
                if target != here:
                    continue
                if move is not None and says(move):
                    some = True
                elif source not in seen:
                    seen.add(source)
                    queue.append(source)
    return True, some


def way(arcs: Arcs, start: int, goal: int, *, avoid: Callable[[Arc], bool] | None = None) -> list[Arc] | None:
    """Return the shortest way from `start` to `goal`, empty if that is the same, None if there is none."""
    came: dict[int, tuple[int, Arc]] = {}
    queue = deque([start])
    while queue and start != goal:
        place = queue.popleft()
        for position, target in enumerate(arcs.targets[place]):
            if target in came or target == start:
                continue
            arc = arcs.arc(place, position)
            if avoid and avoid(arc):
                continue
            came[target] = place, arc
            if target == goal:
                queue.clear()
                break
            queue.append(target)
    if start != goal and goal not in came:
        return None
    found: list[Arc] = []
    while goal != start:
        goal, arc = came[goal]
        found.append(arc)
    return found[::-1]


def steps(found: Iterable[Arc] | None) -> tuple[str, ...]:
    """Return a way as a witness."""
    return tuple(str(arc) for arc in found or ())


def move_mark(protocol: Protocol, move: Move) -> Mark:
    """Return the place of a move; of one within a run, that of the state that runs."""
    found = protocol.marks.get(f"states.{move.state}.{move.speaker}.{move.label}")
    return found or state_mark(protocol, move.state)


def state_mark(protocol: Protocol, name: str) -> Mark:
    """Return the place of a state; of one within a run, that of the state that runs."""
    found = protocol.marks.get(f"states.{name}")
    return found or protocol.marks.get(f"states.{name.partition('/')[0]}", NOWHERE)
