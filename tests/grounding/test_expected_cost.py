"""The rule by which something is read back or not, and its cut points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcomm.grounding.choice import Beta, Choice, Costs
from agentcomm.protocol.graph import Stakes


@pytest.mark.parametrize(
    ("loss", "confirm", "repair", "detects", "alarms", "least"),
    [  # the examples of communication science, worked by hand
        (100, 2, 5, 0.8, 0.0, 0.974),
        (100, 2, 5, 0.8, 0.1, 0.967),
        (10, 2, 5, 0.8, 0.0, 0.5),
        (5, 2, 5, 0.8, 0.0, 0.0),
    ],
)
def test_the_cut_points(loss, confirm, repair, detects, alarms, least):
    loss_of = dict.fromkeys(Stakes, float(loss))
    costs = Costs(confirm=confirm, repair=repair, detects=detects, alarms=alarms, loss=loss_of)
    assert costs.least(Stakes.NORMAL) == pytest.approx(least, abs=5e-4)


def expected(costs: Costs, p: float, loss: float, *, confirms: bool) -> float:
    """Return what a choice costs, from the definition."""
    if not confirms:
        return (1 - p) * loss
    missed, found = 1 - costs.detects, costs.detects
    return costs.confirm + (1 - p) * (missed * loss + found * costs.repair) + p * costs.alarms * costs.repair


@given(
    st.floats(0.0, 1.0),
    st.floats(0.0, 10_000.0),
    st.floats(0.1, 5.0),
    st.floats(0.1, 5.0),
    st.floats(0.5, 1.0),
    st.floats(0.0, 0.2),
)
def test_the_cheaper_of_the_two_is_chosen(p, loss, confirm, repair, detects, alarms):
    loss_of = dict.fromkeys(Stakes, loss)
    costs = Costs(confirm=confirm, repair=repair, detects=detects, alarms=alarms, loss=loss_of)
    confirms = p < costs.least(Stakes.NORMAL)
    chosen = expected(costs, p, loss, confirms=confirms)
    assert chosen <= expected(costs, p, loss, confirms=not confirms) + 1e-6 * (1 + loss)


def test_checks_rise_with_stakes_and_fall_with_experience():
    choice, cold = Choice(), Choice().prior
    assert [choice.weigh(stakes, cold).confirms for stakes in Stakes] == [False, True, True, True]
    known = cold
    needed = {}
    for n in range(1, 1000):
        known = known.after(understood=True)
        for stakes in Stakes:
            if not choice.weigh(stakes, known).confirms:
                needed.setdefault(stakes, n)
    assert needed[Stakes.LOW] < needed[Stakes.NORMAL] < needed[Stakes.HIGH]
    assert Stakes.IRREVERSIBLE not in needed


def test_one_misunderstanding_weighs_more_than_one_success():
    choice, known = Choice(), Beta(100.0, 1.0)
    assert not choice.weigh(Stakes.NORMAL, known).confirms
    assert choice.weigh(Stakes.NORMAL, known.after(understood=False)).confirms


def test_what_is_compared_when_it_is_used_is_not_read_back_before():
    choice, cold = Choice(), Choice().prior
    assert not choice.weigh(Stakes.HIGH, cold, compared=True).confirms
    assert choice.weigh(Stakes.IRREVERSIBLE, cold, compared=True).confirms


@given(st.integers(0, 500), st.integers(0, 500))
def test_what_is_known_of_a_few_is_less_than_their_share(good, bad):
    few, many = Beta(good + 1.0, bad + 1.0), Beta(100 * (good + 1.0), 100 * (bad + 1.0))
    assert 0 < few.least < few.mean
    assert few.least < many.least < many.mean


def test_what_was_counted_in_one_conversation_opens_the_next():
    choice = Choice(models={"b": "small"})
    key = choice.key("order", "a", "b")
    assert key == "small|order|a|b"
    later = choice.learned([(key, True), (key, False), ("other", True)])
    assert later.counters == {key: Beta(1.8, 1.2), "other": Beta(1.8, 0.2)}
    assert later.known(key, {}) == Beta(1.8, 1.2)
    assert later.known(key, {key: Beta(9.0, 1.0)}) == Beta(9.0, 1.0)
    assert choice.counters == {}
