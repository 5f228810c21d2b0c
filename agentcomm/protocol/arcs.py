"""The graph of a protocol as arcs, and the shortest way to a place: what the checks walk on."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from agentcomm.protocol.findings import NOWHERE
from agentcomm.protocol.graph import Mark, Move, Protocol

__all__ = ("Arc", "Arcs", "Ways", "arcs_of", "by_source", "move_mark", "steps", "way")


@dataclass(frozen=True, slots=True)
class Arc:
    """One way from a state to a state or an outcome."""

    source: str
    target: str
    kind: Literal["next", "then", "else"]
    """`next` and `then` of a move, or the deadline."""
    move: Move | None = None

    def __str__(self) -> str:
        return f"{self.source} --{self.move.label if self.move else 'else'}--> {self.target}"


Arcs = Mapping[str, list[Arc]]
"""Arcs by the state they leave."""


def arcs_of(protocol: Protocol) -> list[Arc]:
    """Return all arcs: moves in the file's order, then the deadline."""
    found: list[Arc] = []
    for name, state in protocol.states.items():
        for move in state.moves.values():
            found.append(Arc(name, move.next, "next", move))
            if move.then:
                found.append(Arc(name, move.then, "then", move))
        found.append(Arc(name, state.otherwise, "else"))
    return found


def by_source(arcs: Iterable[Arc]) -> dict[str, list[Arc]]:
    """Return arcs by the state they leave."""
    table: dict[str, list[Arc]] = {}
    for arc in arcs:
        table.setdefault(arc.source, []).append(arc)
    return table


@dataclass(slots=True)
class Ways:
    """The shortest way from one place to every other."""

    start: str = ""
    came: dict[str, Arc] = field(default_factory=dict[str, Arc])
    """Last arc on the way to a place."""

    @classmethod
    def from_start(
        cls,
        arcs: Arcs,
        start: str,
        *,
        goals: Iterable[str] = (),
        avoid: Callable[[Arc], bool] | None = None,
    ) -> "Ways":
        """Look for the shortest ways from `start`.

        Args:
            arcs: The graph.
            start: Where to begin.
            goals: Where to stop looking; none: look everywhere.
            avoid: Says of an arc that it must not be taken.
        """
        ways = cls(start)
        wanted = set(goals)
        queue = deque([start])
        while queue:
            for arc in arcs.get(queue.popleft(), ()):
                if arc.target in ways.came or arc.target == start or (avoid and avoid(arc)):
                    continue
                ways.came[arc.target] = arc
                if arc.target in wanted:
                    return ways
                queue.append(arc.target)
        return ways

    def to(self, place: str) -> list[Arc]:
        """Return the way to a place; empty if it is the start or cannot be reached."""
        found: list[Arc] = []
        while place != self.start and (arc := self.came.get(place)):
            found.append(arc)
            place = arc.source
        return found[::-1]


def way(arcs: Arcs, start: str, goal: str, *, avoid: Callable[[Arc], bool] | None = None) -> list[Arc] | None:
    """Return the shortest way from `start` to `goal`, empty if that is the same, None if there is none."""
    found = Ways.from_start(arcs, start, goals=[goal], avoid=avoid).to(goal)
    return found if found or start == goal else None


def steps(found: Iterable[Arc] | None) -> tuple[str, ...]:
    """Return a way as a witness."""
    return tuple(str(arc) for arc in found or ())


def move_mark(protocol: Protocol, move: Move) -> Mark:
    """Return the place of a move."""
    return protocol.marks.get(f"states.{move.state}.{move.speaker}.{move.label}", NOWHERE)
