"""What every way passes, held to trying every way."""

from hypothesis import given
from hypothesis import strategies as st

from agentcomm.protocol.dominators import passed


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 9))
    places = st.integers(0, count)
    targets = [draw(st.lists(places, max_size=3)) for _ in range(count)] + [[]]
    return targets, count


def reached(targets, start, without=()):
    """Return what can be reached from a place without passing others."""
    queue = [] if start in without else [start]
    for place in queue:
        queue += [target for target in dict.fromkeys(targets[place]) if target not in (*queue, *without)]
    return set(queue)


@given(graphs())
def test_what_is_passed_on_every_way(graph):
    targets, goal = graph
    tree = passed(targets, [goal])
    for start in range(len(targets)):
        assert tree.reaches(start) == (goal in reached(targets, start))
        if tree.reaches(start):
            for place in range(len(targets)):
                assert tree.on_every_way(place, start) == (
                    goal not in reached(targets, start, without=[place])
                )


@given(graphs(), st.data())
def test_what_must_be_passed_one_or_the_other(graph, data):
    targets, goal = graph
    tree = passed(targets, [goal])
    stations = data.draw(st.lists(st.integers(0, goal), max_size=3, unique=True))
    for start in range(len(targets)):
        if tree.reaches(start) and tree.through(stations, start):
            assert goal not in reached(targets, start, without=stations)


def test_two_ways_that_meet():
    tree = passed([[1], [2, 3], [4], [4], [5], []], [5])
    assert tree.through([2, 3], 0)
    assert not tree.through([2], 0)
    assert not tree.through([2, 3], 4)
    assert not tree.through([], 0)


def test_several_goals():
    tree = passed([[1, 2], [3], [4], [], []], [3, 4])
    assert not tree.on_every_way(1, 0)
    assert tree.on_every_way(0, 0)
    assert tree.on_every_way(1, 1)
    assert not passed([[1, 2], [3], [4], [], []], []).reaches(0)


def test_long_chains_need_no_stack():
    count = 50_000
    tree = passed([*([place + 1, place // 2] for place in range(count)), []], [count])
    assert tree.on_every_way(count - 1, 0)
    assert tree.on_every_way(7, 7)
    assert not tree.on_every_way(3, 7)
