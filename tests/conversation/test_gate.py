"""The action gate: a tool with an effect is called only with values that are common ground."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from talks import ENDS, Talk, rules

from agentcomm.conversation.gate import blocked
from agentcomm.grounding.troubles import Contradiction, Ungrounded

ORDER = (
    """
roles: [a, b]
acts:
  order: {act: request, content: {item: id, price: money, count: int}, critical: [price, count]}
  agree: {}
  refuse: {reason: text}
  done: {act: inform, content: {}, discharges: order}
grounding: {order: {readback: [price, count]}}
states:
  x: {a: {order: y}}
  y: {b: {agree: z, refuse: off}}
  z: {b: {done: done}}
"""
    + ENDS
)
MEANT = {"item": "bike-7", "price": "110 EUR", "count": 2}


def ordered(text: str = ORDER) -> Talk:
    talk = Talk(rules(text))
    talk.say("a", "order", MEANT)
    return talk


def grounded() -> Talk:
    talk = ordered()
    talk.say("b", "readback", fields={"price": "110 EUR", "count": 2})
    talk.say("a", "right")
    return talk


def test_nothing_is_done_with_a_value_before_it_is_read_back():
    found = blocked(ordered().now, "b", {"price": "110 EUR"})
    assert Ungrounded("order", "proposed") in found
    assert Ungrounded("price", "proposed") in found
    assert "waits for the evidence" in found[0].sentence


def test_while_it_is_mended_nothing_is_done_either():
    talk = ordered()
    talk.say("b", "readback", fields={"price": "101 EUR", "count": 2})
    assert {
        one.standing for one in blocked(talk.now, "b", {"price": "110 EUR"}) if isinstance(one, Ungrounded)
    } == {"disputed"}
    assert blocked(talk.now, "b", {})  # an action without arguments builds on the order, too


def test_what_was_read_back_rightly_and_is_used_otherwise_is_stopped():
    talk = grounded()
    assert blocked(talk.now, "b", {"item": "bike-7", "price": "110 EUR", "count": 2}) == ()
    (found,) = blocked(talk.now, "b", {"price": "101 EUR", "count": 2})
    assert isinstance(found, Contradiction)
    assert found.name == "order.price"
    assert "101 EUR" in found.sentence
    assert blocked(talk.now, "b", {"price": "110 USD"})
    assert blocked(talk.now, "b", {"price": 110})


def test_arguments_may_go_by_other_names_and_may_be_freed():
    talk = grounded()
    uses = {"amount": "order.price", "limit": None}
    assert blocked(talk.now, "b", {"amount": "110 EUR", "limit": "5 EUR"}, uses) == ()
    assert blocked(talk.now, "b", {"amount": "101 EUR"}, uses)
    assert blocked(talk.now, "b", {"when": "now"}) == ()  # nobody has said it
    assert blocked(talk.now, "b", {"when": "now"}, {"when": "order.when"}) == (
        Ungrounded("order.when", "private"),
    )


def test_what_waits_for_an_answer_is_answered_before_anything_is_done():
    talk = ordered(ORDER.replace("order: {readback: [price, count]}", "order: relevant"))
    assert blocked(talk.now, "b", {})
    assert blocked(talk.now, "a", {}) == ()  # it is its own order
    talk.say("b", "agree")
    assert blocked(talk.now, "b", {"price": "110 EUR"}) == ()


@given(price=st.integers(1, 400), count=st.integers(-3, 5), how=st.sampled_from(["EUR", "USD"]))
def test_a_value_that_differs_never_passes_and_the_right_one_always_does(price, count, how):
    arguments = {"price": f"{price} {how}", "count": count}
    right = (price, count, how) == (110, 2, "EUR")
    assert (blocked(_GROUNDED.now, "b", arguments) == ()) is right


_GROUNDED = grounded()


@pytest.mark.parametrize("odd", [None, [], {}, object(), float("nan"), "\udce9"])
def test_odd_arguments_are_stopped_and_never_an_error(odd):
    found = blocked(grounded().now, "b", {"count": odd})
    assert (found == ()) is (odd is None)
    assert all(one.sentence for one in found)
