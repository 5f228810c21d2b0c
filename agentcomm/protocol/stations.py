"""What was said on every way to a place, told by dominators: for many acts, near linear where following all of them is not."""

from collections.abc import Container
from dataclasses import dataclass

from agentcomm.protocol.arcs import Arcs
from agentcomm.protocol.dominators import Passed, passed
from agentcomm.protocol.graph import Move

__all__ = ("Stations",)


@dataclass(frozen=True, slots=True)
class Stations:
    """The graph with a place put in on each move of some acts."""

    tree: Passed
    """What every way back to the start passes."""
    moves: dict[str, list[tuple[int, Move]]]
    """By label: the places put in."""

    @classmethod
    def of(cls, arcs: Arcs, labels: Container[str]) -> "Stations":
        """Put a place on each move of some acts."""
        before: list[list[int]] = [[] for _ in arcs.names]
        moves: dict[str, list[tuple[int, Move]]] = {}
        for place, (leads, by) in enumerate(zip(arcs.targets, arcs.moves, strict=True)):
            last = None
            for target, move in zip(leads, by, strict=True):
                source = place
                if move and move.label in labels:
                    if move is not last:
                        before.append([place])
                        moves.setdefault(move.label, []).append((len(before) - 1, move))
                    source = len(before) - 1
                    last = move
                before[target].append(source)
        return cls(passed(before, [arcs.start]), moves)

    def surely_said(self, place: int, label: str, by: str = "") -> bool:
        """Say whether an act was said on every way to a place (by or to a role); False also where that takes a long look."""
        stations = [
            one for one, move in self.moves.get(label, ()) if not by or by in (move.speaker, *move.to)
        ]
        return self.tree.reaches(place) and self.tree.through(stations, place)
