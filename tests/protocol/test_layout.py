"""The layout of any graph: nothing stands on anything, arrows begin and end at their boxes, and it does not take long."""

import random
import time
from itertools import combinations

import pytest

from agentcomm.protocol.layout import lay_out


def graph(dice, boxes, arrows):
    sizes = {f"b{n}": (dice.uniform(40, 200), dice.uniform(20, 80)) for n in range(boxes)}
    names = list(sizes)
    ends = ((dice.choice(names), dice.choice(names)) for _ in range(arrows))
    return sizes, [(a, b, (dice.uniform(10, 150), dice.uniform(10, 60))) for a, b in ends]


def touch(one, other):
    return (
        abs(one.x - other.x) < (one.width + other.width) / 2 - 0.01
        and one.y < other.y + other.height - 0.01
        and other.y < one.y + one.height - 0.01
    )


@pytest.mark.parametrize("seed", range(40))
def test_any_graph_is_laid_out(seed):
    dice = random.Random(seed)  # noqa: S311
    sizes, arrows = graph(dice, dice.randint(1, 14), dice.randint(0, 30))
    one_loop = {}
    arrows = [a for n, a in enumerate(arrows) if a[0] != a[1] or one_loop.setdefault(a[0], n) == n]
    placed = lay_out(sizes, arrows, "b0")
    assert set(placed.boxes) == set(sizes)
    rects = list(placed.boxes.values())
    words = [line.words for line in placed.lines]
    assert not [1 for one, other in combinations(rects, 2) if touch(one, other)]
    assert not [1 for one in rects for other in words if touch(one, other)]
    assert not [1 for one, other in combinations(words, 2) if touch(one, other)]
    assert all(rect.x - rect.width / 2 + 0.01 >= 0 for rect in (*rects, *words))
    assert all(rect.y + rect.height <= placed.height + 0.1 for rect in (*rects, *words))
    for (source, target, _), line in zip(arrows, placed.lines, strict=True):
        for (x, y), box in (
            (line.ways[0][0], placed.boxes[source]),
            (line.ways[-1][-1], placed.boxes[target]),
        ):
            assert abs(x - box.x) <= box.width / 2 + 0.1
            assert box.y - 0.1 <= y <= box.y + box.height + 0.1


def test_the_biggest_picture_is_laid_out_in_seconds():
    dice = random.Random(1)  # noqa: S311
    sizes = {f"b{n}": (80.0, 40.0) for n in range(250)}
    arrows = [(f"b{n}", f"b{n + 1}", (40.0, 20.0)) for n in range(249)]
    arrows += [(f"b{dice.randrange(250)}", f"b{dice.randrange(250)}", (40.0, 20.0)) for _ in range(150)]
    began = time.perf_counter()
    lay_out(sizes, arrows, "b0")
    assert time.perf_counter() - began < 30
