"""The graph of a protocol in numbers, and the shortest way to a place: what the checks walk on.

Places are numbered: the states in the file's order, then the outcomes. What is said is numbered as well, by act, speaker and
hearers. Everything is a list by number, for a check looks at each arc once or twice; names and moves are only wanted where there
is something to tell.
"""

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeVar

from agentcomm.acts.performative import Performative
from agentcomm.protocol.dominators import Passed, passed
from agentcomm.protocol.findings import NOWHERE
from agentcomm.protocol.graph import Mark, Move, Protocol

__all__ = ("Arc", "Arcs", "Loops", "Said", "breadth_first", "move_mark", "state_mark", "steps", "way")

_T = TypeVar("_T")


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
    states: int
    """How many places are states; the others lead nowhere."""
    targets: list[list[int]]
    """By place: where its arcs lead. Moves in the file's order, each `next` before its `then`; deadlines are last."""
    moves: list[list[Move | None]]
    """Beside `targets`: the move, None for a deadline."""
    free: list[list[int]]
    """Where the arcs of a place lead that no budget bounds."""
    said: "Said"
    """What is said where."""
    odd: "Odd"
    """Moves that have something that few have."""
    came: list[int] = field(default_factory=list[int])
    """The place before, on the shortest way from the start; -1 where there is no way."""
    order: list[int] = field(default_factory=list[int])
    """What is reached, each place after those that follow from it, as far as there is no loop."""
    entered: list[int] = field(default_factory=list[int])
    """By place: how many places the walk that made the order had come to before; -1 where there is no way."""

    @classmethod
    def of(cls, protocol: Protocol, holes: Iterable[str] = ()) -> "Arcs":
        """Return the graph of a protocol; `holes` are targets that are neither states nor outcomes.

        This is the walk over all states and moves: they are many objects, and each further walk would fetch them anew.
        """
        names = [
            *protocol.states,
            *protocol.outcomes,
            *(name for name in holes if name not in protocol.outcomes),
        ]
        number = {name: place for place, name in enumerate(names)}
        targets: list[list[int]] = []
        moves: list[list[Move | None]] = []
        free: list[list[int]] = []
        odd = Odd()
        kinds: dict[tuple[str, str, tuple[str, ...]], int] = {}
        samples: list[Move | None] = [None]
        labels = [""]
        acts: list[Performative | None] = [None]
        rows: dict[tuple[int, ...], int] = {}
        at: list[int] = []
        for state in protocol.states.values():
            leads: list[int] = []
            by: list[Move | None] = []
            row: list[int] = []
            bound: list[int] = []
            is_free = False
            for move in state.moves.values():
                if move.max is not None:
                    bound.append(len(leads))
                act = move.act
                if move.when or move.given or act.repeats:
                    odd.asking.append(move)
                if (
                    not (move.when or is_free)
                    and (move.max is None or move.then)
                    and move.at_most is None
                    and move.at_once is None
                ):
                    is_free = True
                if move.stakes is not None:
                    odd.at_stake.append(move)
                if move.owner:
                    odd.owning.append(move)
                key = act.label, move.speaker, move.to
                kind = kinds.get(key)
                if kind is None:
                    kind = kinds[key] = len(samples)
                    samples.append(move)
                    labels.append(act.label)
                    acts.append(act.performative)
                leads.append(number[move.next])
                by.append(move)
                row.append(kind)
                if move.then:
                    leads.append(number[move.then])
                    by.append(move)
                    row.append(kind)
            ends = [state.otherwise]
            if state.region:
                ends += _run_deadlines(protocol, state.region)
            for otherwise in ends:
                if otherwise in number:
                    leads.append(number[otherwise])
                    by.append(None)
                    row.append(0)
            if not is_free:
                odd.pressed.append(len(targets))
            targets.append(leads)
            moves.append(by)
            at.append(rows.setdefault(tuple(row), len(rows)))
            if bound:
                leads = leads.copy()
                for position in reversed(bound):
                    del leads[position]
            free.append(leads)
        for _ in range(len(names) - len(targets)):
            targets.append([])
            moves.append([])
            free.append([])
            at.append(rows.setdefault((), len(rows)))
        said = Said(samples, labels, acts, list(rows), at)
        arcs = cls(
            names, number, number[protocol.start], len(protocol.states), targets, moves, free, said, odd
        )
        arcs.came = breadth_first(targets, arcs.start)
        arcs.order, arcs.entered = postorder(targets, arcs.start)
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

    def saying(self, judge: Callable[[Move], bool]) -> Iterator[tuple[int, int]]:
        """Yield the arcs, as place and position, of moves whose act, speaker and hearers are such."""
        said = self.said
        worth = said.worth(judge, nothing=False)
        if True in worth:
            rows = said.each(lambda row: [position for position, kind in enumerate(row) if worth[kind]])
            for place, positions in enumerate(rows):
                for position in positions:
                    yield place, position

    @cached_property
    def left(self) -> list[int]:
        """By place: its number in the order; -1 where there is no way."""
        found = [-1] * len(self.names)
        for number, place in enumerate(self.order):
            found[place] = number
        return found

    @cached_property
    def before(self) -> list[list[int]]:
        """By place: the places that have an arc to it."""
        table: list[list[int]] = [[] for _ in self.names]
        for place, leads in enumerate(self.targets):
            for target in leads:
                table[target].append(place)
        return table

    @cached_property
    def depth(self) -> list[int]:
        """By place: how many steps it is away from the start; -1 where there is no way."""
        found = [-1] * len(self.names)
        found[self.start] = 0
        queue = [self.start]
        for place in queue:
            for target in self.targets[place]:
                if found[target] < 0:
                    found[target] = found[place] + 1
                    queue.append(target)
        return found

    @cached_property
    def loops(self) -> "Loops":
        """What can be come back to."""
        return Loops.of_graph(self)

    @cached_property
    def deadlines(self) -> list[int]:
        """By place: the position of the first deadline among its arcs, which stands after all moves."""
        return self.said.each(lambda row: row.index(0) if row and not row[-1] else len(row))

    @cached_property
    def passed(self) -> Passed:
        """What every way from the start to a place passes, told backwards: as ways from the place to the start."""
        return passed(self.before, [self.start], self.targets)


@dataclass(frozen=True, slots=True)
class Odd:
    """What few moves have, and which states have no others."""

    asking: list[Move] = field(default_factory=list[Move])
    """Those that need a value on record: with `when`, `repeats`, or what the runtime fills in."""
    at_stake: list[Move] = field(default_factory=list[Move])
    """Those with stakes of their own."""
    owning: list[Move] = field(default_factory=list[Move])
    """Those that change who owns the matter."""
    pressed: list[int] = field(default_factory=list[int])
    """States in which no move is always free: each asks for something, or has a count that can be used up."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is said where, in numbers: most states of a big protocol say what others say, and so need no look of their own."""

    kinds: list[Move | None]
    """By number, a move of each kind, those with one act, speaker and hearers; in all else they may differ. 0 is a deadline."""
    labels: list[str]
    """Beside it: the act's label; empty for a deadline."""
    acts: list[Performative | None]
    """Beside it: which act of the library that is."""
    rows: list[tuple[int, ...]]
    """By number, the kinds of the arcs of a place."""
    at: list[int]
    """By place, the number of its row."""

    def row(self, place: int) -> tuple[int, ...]:
        """Return the kinds of the arcs of a place."""
        return self.rows[self.at[place]]

    def each(self, judge: Callable[[tuple[int, ...]], _T]) -> list[_T]:
        """Return, by place, what `judge` makes of the kinds of its arcs."""
        found = [judge(row) for row in self.rows]
        return [found[number] for number in self.at]

    def worth(
        self, judge: Callable[[Move], _T], nothing: _T, among: Container[Performative | None] | None = None
    ) -> list[_T]:
        """Return, by kind, what `judge` makes of its act, speaker and hearers; `nothing` for deadlines, and acts not `among` some."""
        return [
            judge(move) if move and (among is None or act in among) else nothing
            for act, move in zip(self.acts, self.kinds, strict=True)
        ]

    def lists(self, worth: Sequence[_T]) -> list[list[_T] | None]:
        """Return, by place, what its arcs are worth; None where that is nothing."""

        def listed(row: tuple[int, ...]) -> list[_T] | None:
            found = [worth[kind] for kind in row]
            return found if any(found) else None

        return self.each(listed)


@dataclass(frozen=True, slots=True)
class Loops:
    """What can be come back to: the strongly connected components of what is reached."""

    of: list[int]
    """By place: the first of the places that lead to it and that it leads to, or it alone; -1 where nothing leads."""
    order: list[int]
    """Those first places, each before what it leads to."""
    members: dict[int, list[int]]
    """By first place: all of a component in which an arc leads back."""

    @classmethod
    def of_graph(cls, arcs: Arcs) -> "Loops":
        """Find the components of a graph: Sharir 1981, with the order in which the first search left the places."""
        first = [-1] * len(arcs.names)
        order: list[int] = []
        members: dict[int, list[int]] = {}
        came, before, targets = arcs.came, arcs.before, arcs.targets
        for root in reversed(arcs.order):
            if first[root] >= 0:
                continue
            first[root] = root
            order.append(root)
            found = [root]
            for place in found:
                for source in before[place]:
                    if first[source] < 0 <= came[source]:
                        first[source] = root
                        found.append(source)
            if len(found) > 1 or root in targets[root]:
                members[root] = found
        return cls(first, order, members)


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


def postorder(targets: Sequence[Sequence[int]], start: int) -> tuple[list[int], list[int]]:
    """Return what is reached from `start` in the order in which a depth-first walk leaves it; by place, when the walk came there."""
    order: list[int] = []
    entered = [-1] * len(targets)
    entered[start] = 0
    count = 1
    stack = [(start, iter(targets[start]))]
    while stack:
        place, rest = stack[-1]
        for target in rest:
            if entered[target] < 0:
                entered[target] = count
                count += 1
                stack.append((target, iter(targets[target])))
                break
        else:
            stack.pop()
            order.append(place)
    return order, entered


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
