"""What is followed through the graph of a protocol: bits that arcs bring and take away, and what was said a little before."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agentcomm.protocol.arcs import Arcs
from agentcomm.protocol.graph import Move

__all__ = ("BITS", "MANY", "MUCH", "NEAR", "Effort", "after", "ahead", "known", "said_near")

MANY = 512
"""So many bits are followed through a graph without looking first whether an answer is near."""
MUCH = 100_000_000
"""So many bits at all places together are followed without looking for what every way passes (`dominators.py`)."""
BITS = 8_192
"""So many bits are followed at once: more would make the sets too long to keep one at each place."""
NEAR = 32
"""Places that are near."""


def known(
    arcs: Arcs, said: Sequence[Sequence[int] | None], forgotten: Mapping[tuple[int, int], int]
) -> list[int]:
    """Return the bits that hold at each state on every way to it; all of them where there is no way.

    Args:
        arcs: The graph.
        said: By place, for each of its arcs: the bits that come; None for none.
        forgotten: By place and position: the bits that go, of those that come as well.
    """
    targets, outcomes = arcs.targets, arcs.states
    losing = {place for place, _ in forgotten}
    bits = [-1] * len(targets)
    bits[arcs.start] = 0
    waiting = bytearray(len(targets))
    queue = deque(reversed(arcs.order))
    for place in queue:
        waiting[place] = 1
    while queue:
        place = queue.popleft()
        waiting[place] = 0
        here, row = bits[place], said[place]
        for position, target in enumerate(targets[place]):
            if target >= outcomes:
                continue
            after = here | row[position] if row and row[position] else here
            if place in losing:
                after &= ~forgotten.get((place, position), 0)
            old = bits[target]
            new = after if old == -1 else old & after
            if new != old:
                bits[target] = new
                if not waiting[target]:
                    waiting[target] = 1
                    queue.append(target)
    return bits


def after(arcs: Arcs, said: Sequence[Sequence[int] | None]) -> list[int]:
    """Return the bits that hold at each state on some way to it.

    Args:
        arcs: The graph.
        said: By place, for each of its arcs: the bits that come; None for none.
    """
    first, loops, targets, outcomes = arcs.loops.of, arcs.loops.members, arcs.targets, arcs.states
    bits = [0] * len(targets)
    for root in arcs.loops.order:
        members = loops.get(root)
        if members is None:
            here, row = bits[root], said[root]
            if row:
                for target, come in zip(targets[root], row, strict=True):
                    if target < outcomes:
                        bits[target] |= here | come if come else here
            elif here:
                for target in targets[root]:
                    if target < outcomes:
                        bits[target] |= here
            continue
        here = 0
        for place in members:
            here |= bits[place]
            if row := said[place]:
                for target, come in zip(targets[place], row, strict=True):
                    if first[target] == root:
                        here |= come
        for place in members:
            row = said[place]
            for position, target in enumerate(targets[place]):
                if first[target] != root and target < outcomes:
                    bits[target] |= here | row[position] if row else here
            bits[place] = here
    return bits


def ahead(arcs: Arcs, has: Sequence[int]) -> list[int]:
    """Return, by place, the bits of all places that can be reached from it, itself included.

    Args:
        arcs: The graph.
        has: The bits of each place.
    """
    loops, targets = arcs.loops.members, arcs.targets
    bits = [0] * len(targets)
    for root in reversed(arcs.loops.order):
        members = loops.get(root)
        here = has[root]
        if members is None:
            for target in targets[root]:
                here |= bits[target]
            bits[root] = here
            continue
        for place in members:
            here |= has[place]
            for target in targets[place]:
                here |= bits[target]
        for place in members:
            bits[place] = here
    return bits


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
