"""Which question fits, and whether it pays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcomm.grounding.asking import RUNGS, Asking, asked_with, decide, question
from agentcomm.grounding.choice import Costs
from agentcomm.protocol.graph import Stakes


@pytest.mark.parametrize(
    ("path", "readings", "asked"),
    [
        ("price", {110: 0.6, 101: 0.4}, Asking("offer", "price", (110,))),
        ("price", {110: 0.59, 101: 0.41}, Asking("choose", "price", (110, 101))),
        ("price", {1: 0.3, 2: 0.3, 3: 0.2, 4: 0.1, 5: 0.1}, Asking("choose", "price", (1, 2, 3, 4))),
        ("price", {1: 0.25, 2: 0.25, 3: 0.2, 4: 0.15, 5: 0.15}, Asking("specify", "price")),
        ("price", {}, Asking("specify", "price")),
        ("price", None, Asking("specify", "price")),
        ("price", {110: 0.0}, Asking("specify", "price")),
        ("", {110: 1.0}, Asking("open")),
    ],
)
def test_the_narrowest_question_that_fits(path, readings, asked):
    assert question(path, readings) == asked


@given(
    st.dictionaries(st.integers(), st.floats(0, 100), max_size=8),
    st.floats(0.01, 100),
)
def test_an_open_question_is_never_asked_where_the_place_is_known(readings, scale):
    asked = question("price", readings)
    assert asked.rung in RUNGS[:3]
    assert len(asked.options) <= 4
    if sum(readings.values()) > 1e-9:
        assert (
            question("price", {value: weight * scale for value, weight in readings.items()}).rung in RUNGS[:3]
        )


@pytest.mark.parametrize("weight", [-1.0, float("nan")])
def test_a_weight_is_a_number_of_0_or_more(weight):
    with pytest.raises(ValueError, match="weight"):
        question("price", {1: weight})


def test_a_question_pays_from_a_doubt_on_that_depends_on_the_stakes():
    # doubt * 0.8 * 20 > 2 from a doubt of 1/8 on
    assert decide("x", {1: 0.876, 2: 0.124}, Stakes.NORMAL).action == "accept"
    assert decide("x", {1: 0.874, 2: 0.126}, Stakes.NORMAL).action == "offer"
    assert decide("x", {1: 0.5, 2: 0.5}, Stakes.LOW).action == "accept"
    assert decide("x", {1: 0.98, 2: 0.02}, Stakes.HIGH).action == "offer"
    assert decide("x", {1: 1.0}, Stakes.IRREVERSIBLE).action == "accept"
    assert decide("x", {1: 0.5, 2: 0.5}, Stakes.HIGH, Costs(clarify=100.0)).action == "accept"


def test_it_says_what_it_was_decided_by():
    found = decide("x", {1: 0.7, 2: 0.3}, Stakes.NORMAL)
    assert (found.p, found.least) == (pytest.approx(0.7), pytest.approx(1 - 2 / 16))
    assert found.costs == {
        "accept": pytest.approx(6.0),
        "offer": pytest.approx(2 + 0.3 * 0.2 * 20),
        "choose": pytest.approx(3.2),
        "specify": pytest.approx(3.2),
        "open": pytest.approx(4.2),
    }
    assert found.asking == Asking("offer", "x", (1,))
    assert asked_with(found.asking) == {"path": "x", "candidate": 1}


def test_what_helped_little_before_is_passed_over_for_a_wider_question():
    even = {1: 0.5, 2: 0.5}
    assert decide("x", even, Stakes.NORMAL).asking == Asking("choose", "x", (1, 2))
    helps = {"offer": 0.9, "choose": 0.3, "specify": 0.8, "open": 0.8}
    assert decide("x", even, Stakes.NORMAL, helps=helps).asking == Asking("specify", "x")
    assert decide("x", even, Stakes.NORMAL, helps={"open": 0.8}).asking == Asking("open")


def test_where_nothing_may_be_asked_it_acts_or_lays_it_before_whoever_decides():
    even = {1: 0.5, 2: 0.5}
    assert decide("x", even, Stakes.HIGH, helps={}).action == "accept"
    assert decide("x", even, Stakes.HIGH, helps={}, may_escalate=True).action == "escalate"
    assert decide("x", even, Stakes.LOW, helps={}, may_escalate=True).action == "accept"


def test_what_cannot_be_undone_is_not_done_on_a_guess_while_something_can_be_asked():
    dear = Costs(clarify=1e9)
    assert decide("x", {1: 0.99, 2: 0.01}, Stakes.IRREVERSIBLE, dear).action == "offer"
    assert decide("x", {1: 0.99, 2: 0.01}, Stakes.HIGH, dear).action == "accept"
    assert decide("x", {1: 0.99, 2: 0.01}, Stakes.IRREVERSIBLE, dear, helps={}).action == "accept"


@given(
    st.dictionaries(st.integers(), st.floats(0.01, 100), min_size=1, max_size=8),
    st.sampled_from(Stakes),
    st.dictionaries(st.sampled_from(RUNGS), st.floats(0, 1)),
    st.sampled_from(["", "x"]),
)
def test_nothing_else_would_have_cost_less(readings, stakes, helps, path):
    found = decide(path, readings, stakes, helps=helps)
    least = min(found.costs.values())
    assert found.costs[found.action] <= least + 1e-9 or stakes is Stakes.IRREVERSIBLE
    narrowest = RUNGS.index(question(path, readings).rung)
    for action in found.costs:
        assert action == "accept" or (action in helps and RUNGS.index(action) >= narrowest)
    if found.action == "accept" and helps and stakes is not Stakes.IRREVERSIBLE:
        assert found.p >= found.least - 1e-9


def test_readings_that_are_the_same_are_one():
    twice = [("a", 0.3), ("b", 0.4), ("a", 0.3)]
    assert question("x", twice) == Asking("offer", "x", ("a",))
    assert question("x", [([1], 0.5), ([1], 0.5)]) == Asking("offer", "x", ([1],))
    assert question("x", [(1, 0.5), (True, 0.5)]) == Asking("choose", "x", (1, True))


def test_a_repair_is_tried_as_long_as_it_is_expected_to_cost_less_than_the_authority():
    costs = Costs()
    least = costs.mends(Stakes.HIGH)

    def repair(p: float) -> float:
        return costs.repair + (1 - p) * ((1 - costs.detects) * 200 + costs.detects * costs.escalate)

    assert repair(least) == pytest.approx(costs.escalate)
    assert repair(least + 0.01) < costs.escalate < repair(least - 0.01)
    assert 0.2 < least < 0.3
    assert Costs(escalate=0.0).mends(Stakes.HIGH) == 1.0
    assert Costs(escalate=1e9).mends(Stakes.LOW) < 0.05
