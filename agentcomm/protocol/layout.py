"""Where boxes, words and arrows of a drawing stand: a layered layout, from the start downwards.

The four steps are those of Sugiyama, Tagawa & Toda 1981: turn arrows round until nothing goes back; put each box below what
leads to it; order each layer so that few arrows cross; move the cells of a layer towards their neighbours. The words on an
arrow are a cell of their own on its way, so they never stand on a box.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

__all__ = ("Layout", "Line", "Placed", "Rect", "Size", "lay_out")

Size = tuple[float, float]
"""Width and height."""

GAP_ACROSS = 26.0
GAP_DOWN = 20.0
LOOP = 30.0
"""How far a loop reaches out of its box."""
STRAIGHT = 4.0
PASSES = 4
CLOSE = 0.01
SWEEPS = 24


@dataclass(slots=True)
class Rect:
    """A place: the middle across, the upper edge, the size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """An arrow's way, in one part or more, and where its words stand."""

    ways: tuple[tuple[tuple[float, float], ...], ...]
    """Points at which it runs straight down or up; of a curved one, a start and three points for each Bézier curve."""
    words: Rect
    curved: bool = False


@dataclass(slots=True)
class Placed:
    """A layout."""

    width: float
    height: float
    boxes: dict[str, Rect]
    lines: list[Line]
    """In the order of the arrows."""


Layout = Callable[[Mapping[str, Size], Sequence[tuple[str, str, Size]], str], Placed]
"""Sizes of boxes, arrows with the sizes of their words, the first box: where everything stands."""


@dataclass(slots=True, eq=False)
class _Cell:
    """A box, the words of an arrow, or a place that an arrow passes."""

    width: float
    height: float
    rank: int
    box: str = ""
    x: float = 0.0
    order: float = 0.0
    above: list["_Cell"] = field(default_factory=list["_Cell"])
    below: list["_Cell"] = field(default_factory=list["_Cell"])


def lay_out(sizes: Mapping[str, Size], arrows: Sequence[tuple[str, str, Size]], start: str) -> Placed:
    """Return where everything stands.

    Args:
        sizes: Of each box.
        arrows: From box to box, with the size of the words on it.
        start: The box that stands first.
    """
    loops = {name: [number for number, (a, b, _) in enumerate(arrows) if a == b == name] for name in sizes}
    back = _turned(sizes, arrows, start)
    ranks = _ranks(sizes, arrows, back)
    cells = {
        name: _Cell(
            width + _room(arrows, loops[name]),
            max(height, sum(arrows[number][2][1] + 4 for number in loops[name])),
            2 * ranks[name],
            name,
        )
        for name, (width, height) in sizes.items()
    }
    chains = {
        number: _chain(cells, arrow, number in back)
        for number, arrow in enumerate(arrows)
        if arrow[0] != arrow[1]
    }
    layers = _layers(cells, chains)
    _order(layers)
    _move(layers, chains.values())
    tops = _tops(layers)
    shift = min(cell.x - cell.width / 2 for layer in layers for cell in layer)
    for layer in layers:
        for cell in layer:
            cell.x -= shift
    boxes = {
        name: Rect(
            cell.x - (cell.width - sizes[name][0]) / 2,
            _top(cell, layers, tops) + (cell.height - sizes[name][1]) / 2,
            *sizes[name],
        )
        for name, cell in cells.items()
    }
    ports = _ports(cells, chains, boxes)
    lines: list[Line] = []
    for number, (source, target, size) in enumerate(arrows):
        if source == target:
            room = cells[source].height / len(loops[source])
            lines.append(_loop(boxes[source], size, loops[source].index(number), len(loops[source]), room))
        else:
            lines.append(_line(chains[number], number in back, ports[number], layers, tops, size))
    width = max(cell.x + cell.width / 2 for layer in layers for cell in layer)
    return Placed(width, tops[-1], boxes, lines)


def _turned(sizes: Mapping[str, Size], arrows: Sequence[tuple[str, str, Size]], start: str) -> set[int]:
    """Return the numbers of the arrows that lead back to what a walk from the start is still in."""
    leaving: dict[str, list[tuple[int, str]]] = {name: [] for name in sizes}
    for number, (source, target, _) in enumerate(arrows):
        leaving[source].append((number, target))
    back, done, still = set[int](), set[str](), set[str]()
    for first in (start, *sizes):
        if first in done or first in still:
            continue
        still.add(first)
        walk = [(first, iter(leaving[first]))]
        while walk:
            name, rest = walk[-1]
            step = next(rest, None)
            if step is None:
                walk.pop()
                still.discard(name)
                done.add(name)
            elif step[1] in still:
                back.add(step[0])
            elif step[1] not in done:
                still.add(step[1])
                walk.append((step[1], iter(leaving[step[1]])))
    return back


def _ranks(
    sizes: Mapping[str, Size], arrows: Sequence[tuple[str, str, Size]], back: set[int]
) -> dict[str, int]:
    """Return the layer of each box: one below the lowest that leads to it."""
    down = [(b, a) if number in back else (a, b) for number, (a, b, _) in enumerate(arrows) if a != b]
    waits = dict.fromkeys(sizes, 0)
    after: dict[str, list[str]] = {name: [] for name in sizes}
    for source, target in down:
        waits[target] += 1
        after[source].append(target)
    ranks = dict.fromkeys(sizes, 0)
    ready = [name for name, count in waits.items() if count == 0]
    for name in ready:
        for target in after[name]:
            ranks[target] = max(ranks[target], ranks[name] + 1)
            waits[target] -= 1
            if waits[target] == 0:
                ready.append(target)
    return ranks


def _room(arrows: Sequence[tuple[str, str, Size]], loops: Sequence[int]) -> float:
    """Return the width that loops and their words take beside a box."""
    return LOOP + 6 + max(arrows[number][2][0] for number in loops) if loops else 0.0


def _chain(cells: Mapping[str, _Cell], arrow: tuple[str, str, Size], back: bool) -> list[_Cell]:
    """Return the cells of an arrow from top to bottom, both boxes included, its words next to where it begins."""
    source, target, (width, height) = arrow
    top, bottom = (cells[target], cells[source]) if back else (cells[source], cells[target])
    words = bottom.rank - 1 if back else top.rank + 1
    inner = [
        _Cell(width, height, rank) if rank == words else _Cell(8.0, 0.0, rank)
        for rank in range(top.rank + 1, bottom.rank)
    ]
    chain = [top, *inner, bottom]
    for upper, lower in pairwise(chain):
        upper.below.append(lower)
        lower.above.append(upper)
    return chain


def _layers(cells: Mapping[str, _Cell], chains: Mapping[int, Sequence[_Cell]]) -> list[list[_Cell]]:
    """Return all cells by layer, as a walk from the top meets them."""
    count = max(cell.rank for cell in cells.values()) + 1
    layers: list[list[_Cell]] = [[] for _ in range(count)]
    inner = (cell for chain in chains.values() for cell in chain[1:-1])
    for cell in (*cells.values(), *inner):
        layers[cell.rank].append(cell)
    return [layer for layer in layers if layer]


def _order(layers: list[list[_Cell]]) -> None:
    """Order each layer by where its neighbours stand, down and up in turn; the order with the fewest crossings stays."""
    _number(layers)
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers[1:] if down else reversed(layers[:-1]):
            layer.sort(key=lambda cell: _middle(cell.above if down else cell.below, cell.order))
            for number, cell in enumerate(layer):
                cell.order = number
        for layer in layers:
            _swap(layer)
        found = _crossings(layers)
        if found < fewest:
            best, fewest = [list(layer) for layer in layers], found
    layers[:] = best
    _number(layers)


def _number(layers: Sequence[Sequence[_Cell]]) -> None:
    for layer in layers:
        for number, cell in enumerate(layer):
            cell.order = number


def _middle(cells: Sequence[_Cell], otherwise: float) -> float:
    return sum(cell.order for cell in cells) / len(cells) if cells else otherwise


def _crossings(layers: Sequence[Sequence[_Cell]]) -> int:
    count = 0
    for layer in layers:
        met: list[float] = []
        for cell in layer:
            for end in sorted(below.order for below in cell.below):
                count += len(met) - bisect_right(met, end)
                insort(met, end)
    return count


def _swap(layer: list[_Cell]) -> None:
    """Exchange neighbours in a layer where that makes fewer arrows cross."""
    for number in range(len(layer) - 1):
        one, other = layer[number], layer[number + 1]
        if _between(one, other) > _between(other, one):
            layer[number], layer[number + 1] = other, one
            one.order, other.order = other.order, one.order


def _between(left: _Cell, right: _Cell) -> int:
    """Return how many arrows of two neighbours cross."""
    return sum(
        one.order > other.order
        for ones, others in ((left.above, right.above), (left.below, right.below))
        for one in ones
        for other in others
    )


def _move(layers: Sequence[Sequence[_Cell]], chains: Iterable[Sequence[_Cell]]) -> None:
    """Move the cells of each layer towards their neighbours, in their order and without touching; then straighten arrows."""
    for layer in layers:
        _settle(layer, [0.0] * len(layer), [1.0] * len(layer))
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            near = [(cell.above if down else cell.below) or [cell] for cell in layer]
            wishes = [sum(one.x for one in ones) / len(ones) for ones in near]
            _settle(layer, wishes, [1.0 if cell.box else STRAIGHT for cell in layer])
    beside = {
        cell: (layer[number - 1] if number else None, layer[number + 1] if number + 1 < len(layer) else None)
        for layer in layers
        for number, cell in enumerate(layer)
    }
    inner = [chain[1:-1] for chain in chains]
    for _ in range(PASSES):
        for chain in inner:
            _straighten(chain, beside)


def _straighten(chain: Sequence[_Cell], beside: Mapping[_Cell, tuple[_Cell | None, _Cell | None]]) -> None:
    """Let an arrow run straight as far as its neighbours leave room."""
    part, least, most = list[_Cell](), -inf, inf
    for cell in chain:
        left, right = beside[cell]
        low = left.x + (left.width + cell.width) / 2 + GAP_ACROSS if left else -inf
        high = right.x - (right.width + cell.width) / 2 - GAP_ACROSS if right else inf
        if max(least, low) > min(most, high) + CLOSE:
            _put(part, least, most)
            part, least, most = [], -inf, inf
        part.append(cell)
        least, most = max(least, low), min(most, high)
    _put(part, least, most)


def _put(part: Sequence[_Cell], least: float, most: float) -> None:
    place = min(max(sum(cell.x for cell in part) / len(part), least), most)
    for cell in part:
        cell.x = place


def _settle(layer: Sequence[_Cell], wishes: Sequence[float], weights: Sequence[float]) -> None:
    """Place cells as near as can be to where each wishes to stand: least squares under an order (pool adjacent violators)."""
    offsets = [0.0]
    for one, other in pairwise(layer):
        offsets.append(offsets[-1] + (one.width + other.width) / 2 + GAP_ACROSS)
    pools: list[tuple[float, float, int]] = []
    """Sum of weighted wishes, sum of weights, cells."""
    for wish, weight, offset in zip(wishes, weights, offsets, strict=True):
        pool = (weight * (wish - offset), weight, 1)
        while pools and pools[-1][0] / pools[-1][1] > pool[0] / pool[1]:
            before = pools.pop()
            pool = (before[0] + pool[0], before[1] + pool[1], before[2] + pool[2])
        pools.append(pool)
    places = (total / weight for total, weight, count in pools for _ in range(count))
    for cell, place, offset in zip(layer, places, offsets, strict=True):
        cell.x = place + offset


def _tops(layers: Sequence[Sequence[_Cell]]) -> list[float]:
    """Return where each layer begins, and at the end where the drawing ends."""
    tops = [0.0]
    for layer in layers:
        tops.append(tops[-1] + max(cell.height for cell in layer) + GAP_DOWN)
    tops[-1] -= GAP_DOWN
    return tops


def _height(layer: Sequence[_Cell]) -> float:
    return max(cell.height for cell in layer)


def _top(cell: _Cell, layers: Sequence[Sequence[_Cell]], tops: Sequence[float]) -> float:
    """Return a cell's upper edge; it stands in the middle of its layer."""
    return tops[cell.rank] + (_height(layers[cell.rank]) - cell.height) / 2


def _ports(
    cells: Mapping[str, _Cell],
    chains: Mapping[int, Sequence[_Cell]],
    boxes: Mapping[str, Rect],
) -> dict[int, tuple[tuple[float, float], tuple[float, float]]]:
    """Return where each arrow leaves its upper box and enters its lower one, spread along their edges."""
    upper, lower = dict[int, tuple[float, float]](), dict[int, tuple[float, float]]()
    for name in cells:
        rect = boxes[name]
        down = {number: chain[1].x for number, chain in chains.items() if chain[0].box == name}
        up = {number: chain[-2].x for number, chain in chains.items() if chain[-1].box == name}
        upper |= {number: (x, rect.y + rect.height) for number, x in _spread(down, rect).items()}
        lower |= {number: (x, rect.y) for number, x in _spread(up, rect).items()}
    return {number: (upper[number], lower[number]) for number in chains}


def _spread(wishes: Mapping[int, float], rect: Rect) -> dict[int, float]:
    """Return places on a box's edge, in the order of where the arrows come from or go to."""
    room = rect.width - 24
    least = min(16.0, room / max(1, len(wishes) - 1))
    order = sorted(wishes, key=lambda number: wishes[number])
    places, last = dict[int, float](), rect.x - room / 2 - least
    for number in order:
        left = len(order) - len(places) - 1
        most = rect.x + room / 2 - left * least
        last = min(max(wishes[number], last + least), most)
        places[number] = last
    return places


def _line(
    chain: Sequence[_Cell],
    back: bool,
    ports: tuple[tuple[float, float], tuple[float, float]],
    layers: Sequence[Sequence[_Cell]],
    tops: Sequence[float],
    size: Size,
) -> Line:
    """Return the way of an arrow through its cells, from its source to its target."""
    points = [ports[0]]
    words = chain[-2] if back else chain[1]
    for cell in chain[1:-1]:
        top = tops[cell.rank]
        points += [(cell.x, top), (cell.x, top + _height(layers[cell.rank]))]
    points.append(ports[1])
    rect = Rect(words.x, _top(words, layers, tops), *size)
    return Line((tuple(reversed(points) if back else points),), rect)


def _loop(rect: Rect, size: Size, number: int, loops: int, room: float) -> Line:
    """Return a loop at the right side of a box, its words beside it; several share the side, each with its room for words."""
    part = rect.height / loops
    middle = rect.y + part * (number + 0.5)
    right, reach = rect.x + rect.width / 2, min(part, 30.0) / 2 - 3
    points = (
        (right, middle - reach),
        (right + LOOP, middle - reach),
        (right + LOOP, middle + reach),
        (right, middle + reach),
    )
    beside = rect.y + rect.height / 2 + (number + 0.5 - loops / 2) * room
    words = Rect(right + LOOP + 2 + size[0] / 2, beside - size[1] / 2, *size)
    return Line((points,), words, curved=True)
