"""What was said on every way to a place, told by dominators: for many acts, near linear where following all of them is not."""

from collections.abc import Container
from dataclasses import dataclass

from agentcomm.protocol.arcs import Arcs
from agentcomm.protocol.following import NEAR
from agentcomm.protocol.graph import Move

__all__ = ("Stations",)


@dataclass(frozen=True, slots=True)
class Stations:
    """Places that are first come to by saying some act."""

    arcs: Arcs
    places: dict[str, list[tuple[int, Move]]]
    """By label."""

    @classmethod
    def of(cls, arcs: Arcs, labels: Container[str]) -> "Stations":
        """Find the places that some acts lead to, and nothing else but what comes after them."""
        found: dict[str, list[tuple[int, Move]]] = {}
        for place, by in enumerate(arcs.moves):
            for position, move in enumerate(by):
                if move and move.act.label in labels and _is_only_way(arcs, place, position):
                    found.setdefault(move.act.label, []).append((arcs.targets[place][position], move))
        return cls(arcs, found)

    def surely_said(self, place: int, label: str, by: str = "") -> bool:
        """Say whether an act was said on every way to a place (by or to a role); False also where that takes a long look."""
        some = self.places.get(label, ())
        if not some or len(some) > NEAR or self.arcs.came[place] < 0:
            return False
        stations = [one for one, move in some if not by or by == move.speaker or by in move.to]
        return self.arcs.passed.through(stations, place)


def _is_only_way(arcs: Arcs, place: int, position: int) -> bool:
    """Whether a place is first come to by one arc: all others come from what is only reached through it."""
    target = arcs.targets[place][position]
    if target == arcs.start or arcs.came[target] < 0:
        return False
    sources = arcs.before[target]
    if len(sources) == 1:
        return True
    return sources.count(place) == 1 and all(
        source == place or arcs.came[source] < 0 or arcs.passed.on_every_way(target, source)
        for source in sources
    )
