"""Which question fits, and whether it pays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcomm.conversation.moves import RUNGS
from agentcomm.grounding.asking import Asking, is_worth_asking, question
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
    assert not is_worth_asking({1: 0.876, 2: 0.124}, Stakes.NORMAL)
    assert is_worth_asking({1: 0.874, 2: 0.126}, Stakes.NORMAL)
    assert not is_worth_asking({1: 0.5, 2: 0.5}, Stakes.LOW)
    assert is_worth_asking({1: 0.98, 2: 0.02}, Stakes.HIGH)
    assert not is_worth_asking({1: 1.0}, Stakes.IRREVERSIBLE)
    assert not is_worth_asking({}, Stakes.IRREVERSIBLE)
    assert not is_worth_asking({1: 0.5, 2: 0.5}, Stakes.HIGH, Costs(clarify=100.0))


def test_what_leads_to_the_same_is_not_asked_about():
    readings = {"1 gallon (US)": 0.5, "1 gallon (UK)": 0.5}
    assert is_worth_asking(readings, Stakes.HIGH)
    assert not is_worth_asking(readings, Stakes.HIGH, leads=dict.fromkeys(readings, "order a drum"))


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
