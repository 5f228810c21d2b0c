"""What every way to some goals passes: post-dominators.

Source: Lengauer and Tarjan 1979, "A fast algorithm for finding dominators in a flowgraph", the simple version: near linear.
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
    before: list[list[int]]
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


def passed(targets: Sequence[Sequence[int]], goals: Iterable[int]) -> Passed:
    """Return what every way to some goals passes.

    Args:
        targets: By place, where its arcs lead.
        goals: Places where nothing leads on.
    """
    root = len(targets)
    before: list[list[int]] = [[] for _ in range(root + 1)]
    for place, leads in enumerate(targets):
        for target in leads:
            before[target].append(place)
    ends = set(goals)
    before[root] = sorted(ends)
    order, number, parent = _walk(before, root)
    nearest = _nearest([[root] if place in ends else targets[place] for place in order[1:]], number, parent)
    size = [1] * len(order)
    for here in range(len(order) - 1, 0, -1):
        size[nearest[here]] += size[here]
    enter, following = [0] * len(order), [1] * len(order)
    for here in range(1, len(order)):
        enter[here] = following[nearest[here]]
        following[nearest[here]] += size[here]
        following[here] = enter[here] + 1
    return Passed(
        [enter[here] if here >= 0 else -1 for here in number[:root]],
        [size[here] if here >= 0 else 0 for here in number[:root]],
        [order[nearest[here]] if here > 0 and nearest[here] else -1 for here in number[:root]],
        before,
    )


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
