"""What every way to some goals passes: post-dominators.

Where every loop has one way in, those of the graph without the arcs that lead back (Hecht and Ullman 1974): the nearest common
ancestor of the places before, found by jumps (Myers 1983). Else Lengauer and Tarjan 1979, "A fast algorithm for finding dominators
in a flowgraph", the simple version. Both are near linear.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ("Passed", "passed")

NEAR = 32
"""Places that are looked at one by one."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What every way from a place to the goals passes, as a tree: what is passed later stands above."""

    enter: list[int]
    """By place: its number in a walk through the tree; -1 where no goal can be reached."""
    size: list[int]
    """By place: how many places stand below it, itself included."""
    nearest: list[int]
    """By place: the one passed next on every way; -1 where there is none."""
    before: Sequence[Sequence[int]]
    """By place: the places that lead to it."""

    def reaches(self, place: int) -> bool:
        """Say whether a goal can be reached from a place."""
        return self.enter[place] >= 0

    def on_every_way(self, place: int, start: int) -> bool:
        """Say whether every way from `start` to a goal passes a place; there must be such a way."""
        return 0 <= self.enter[place] <= self.enter[start] < self.enter[place] + self.size[place]

    def through(self, stations: Sequence[int], start: int) -> bool:
        """Say whether every way from `start` to a goal passes one of some places; False also where that takes a long look.

        It is so where one of them is on every way, or where they meet in a place on every way that is reached through them only.
        """
        if any(self.on_every_way(place, start) for place in stations):
            return True
        meet = self._meet(stations) if stations else -1
        return meet >= 0 and self.on_every_way(meet, start) and self._only_through(stations, meet, start)

    def _meet(self, stations: Sequence[int]) -> int:
        place = stations[0]
        for _ in range(NEAR):
            if place < 0 or all(self.reaches(one) and self.on_every_way(place, one) for one in stations):
                return place
            place = self.nearest[place]
        return -1

    def _only_through(self, stations: Sequence[int], meet: int, start: int) -> bool:
        seen = {meet, *stations}
        queue = [meet]
        for place in queue:
            if place == start or len(queue) > NEAR:
                return False
            for source in self.before[place]:
                if source not in seen:
                    seen.add(source)
                    queue.append(source)
        return True


def passed(
    targets: Sequence[Sequence[int]], goals: Iterable[int], before: Sequence[Sequence[int]] | None = None
) -> Passed:
    """Return what every way to some goals passes.

    Args:
        targets: By place, where its arcs lead.
        goals: Places where nothing leads on.
        before: By place, the places that have an arc to it, if they are known.
    """
    root = len(targets)
    back = _turned(targets) if before is None else [*before, ()]
    ends = set(goals)
    back[root] = sorted(ends)
    order, number, parent = _walk(back, root)
    leads = [[root] if place in ends else targets[place] for place in order[1:]]
    nearest, loops = _nearest_plain(leads, number, parent)
    enter, size = _entered(nearest)
    if not all(enter[entry] <= enter[last] < enter[entry] + size[entry] for last, entry in loops):
        nearest = _nearest(leads, number, parent)
        enter, size = _entered(nearest)
    return Passed(
        [enter[here] if here >= 0 else -1 for here in number[:root]],
        [size[here] if here >= 0 else 0 for here in number[:root]],
        [order[nearest[here]] if here > 0 and nearest[here] else -1 for here in number[:root]],
        back,
    )


def _turned(targets: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    before: list[list[int]] = [[] for _ in range(len(targets) + 1)]
    for place, leads in enumerate(targets):
        for target in leads:
            before[target].append(place)
    return [*before]


def _entered(nearest: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return, by number, the number in a walk through the tree, and how many stand below, itself included."""
    size = [1] * len(nearest)
    for here in range(len(nearest) - 1, 0, -1):
        size[nearest[here]] += size[here]
    enter, following = [0] * len(nearest), [1] * len(nearest)
    for here in range(1, len(nearest)):
        up = nearest[here]
        enter[here] = first = following[up]
        following[up] = first + size[here]
        following[here] = first + 1
    return enter, size


def _walk(before: Sequence[Sequence[int]], root: int) -> tuple[list[int], list[int], list[int]]:
    """Return the places in the order of a depth-first walk, the number of each in it, and by number the number it came from."""
    number = [-1] * len(before)
    order: list[int] = []
    parent: list[int] = []
    stack = [(root, 0)]
    while stack:
        place, came = stack.pop()
        if number[place] >= 0:
            continue
        number[place] = here = len(order)
        order.append(place)
        parent.append(came)
        stack.extend([(source, here) for source in before[place] if number[source] < 0])
    return order, number, parent


def _nearest_plain(
    targets: Sequence[Sequence[int]], number: Sequence[int], parent: Sequence[int]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Return, by number, what is passed next on every way that takes no arc back, and the arcs back: (from, to).

    It holds for all ways if what an arc leads back to is on every way to where it comes from.
    """
    count = len(parent)
    level, size = [0] * count, [1] * count
    for here in range(1, count):
        level[here] = level[parent[here]] + 1
    for here in range(count - 1, 0, -1):
        size[parent[here]] += size[here]
    turn = [0] * count
    """The numbers in the order in which each stands after all that leads to it."""
    for here in range(count):
        turn[count - here - size[here] + level[here]] = here
    nearest, depth, jump = [0] * count, [0] * count, [0] * count
    loops: list[tuple[int, int]] = []

    def common(one: int, other: int) -> int:
        """Return the nearest place that both have passed."""
        if depth[one] < depth[other]:
            one, other = other, one
        low = depth[other]
        while depth[one] > low:
            far = jump[one]
            one = far if depth[far] >= low else nearest[one]
        while one != other:
            far, further = jump[one], jump[other]
            one, other = (far, further) if far != further else (nearest[one], nearest[other])
        return one

    for here in turn[1:]:
        up = -1
        last = here + size[here]
        for target in targets[here - 1]:
            before = number[target]
            if here <= before < last:
                loops.append((before, here))
            elif before >= 0 and before != up:
                up = before if up < 0 else common(up, before)
        nearest[here] = up
        depth[here] = depth[up] + 1
        far = jump[up]
        jump[here] = jump[far] if depth[up] - depth[far] == depth[far] - depth[jump[far]] else up
    return nearest, loops


def _nearest(targets: Sequence[Sequence[int]], number: Sequence[int], parent: Sequence[int]) -> list[int]:
    """Return, by number, what is passed next on every way; `targets` are those of number 1 and up."""
    count = len(parent)
    semi, best, nearest = list(range(count)), list(range(count)), [0] * count
    above = [-1] * count
    waiting: list[list[int]] = [[] for _ in range(count)]

    def least(here: int) -> int:
        """Return the place of least `semi` on the way up through the forest, which is made flat."""
        if above[here] < 0:
            return here
        path: list[int] = []
        last = here
        while above[above[last]] >= 0:
            path.append(last)
            last = above[last]
        for one in reversed(path):
            up = above[one]
            if semi[best[up]] < semi[best[one]]:
                best[one] = best[up]
            above[one] = above[up]
        return best[here]

    for here in range(count - 1, 0, -1):
        for target in targets[here - 1]:
            other = number[target]
            if other >= 0:
                semi[here] = min(semi[here], semi[least(other)])
        waiting[semi[here]].append(here)
        up = parent[here]
        above[here] = up
        for other in waiting[up]:
            low = least(other)
            nearest[other] = low if semi[low] < semi[other] else up
        waiting[up] = []
    for here in range(1, count):
        if nearest[here] != semi[here]:
            nearest[here] = nearest[nearest[here]]
    return nearest
