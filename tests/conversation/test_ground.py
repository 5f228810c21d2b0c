"""What can be asked of the common ground."""

import pytest
from talks import ENDS, Talk, rules

from agentcomm.conversation.ground import Standing

SALE = (
    """
roles: [a, b]
acts:
  offer: {act: propose, content: {price: int, note: optional text}}
  accept: {act: accept-proposal, content: {price: int}}
  paid: {act: inform, content: {price: int}, discharges: offer}
grounding:
  offer: {readback: [price]}
  accept: {repeats: {price: offer.price}}
  paid: {repeats: {price: offer.price}}
states:
  x: {a: {offer: y}}
  y: {b: {accept: z}}
  z: {a: {paid: done}}
"""
    + ENDS
)
HEARD = (
    """
roles: [a, b]
acts:
  ask: {act: query-ref, content: {what: text}}
  more: {act: inform, content: {}}
  tell: {act: inform, content: {what: text}}
grounding: {ask: relevant}
states:
  x: {a: {ask: y}}
  y: {b: {tell: done}}
"""
    + ENDS
)


def readback(talk: Talk, price: int) -> None:
    talk.say("b", "readback", fields={"price": price})


def test_a_value_is_private_until_it_is_said_and_grounded_once_it_is_read_back():
    talk = Talk(rules(SALE))
    assert talk.now.ground.status("price") is Standing.PRIVATE
    talk.say("a", "offer", price=4)
    assert talk.now.ground.status("price") is Standing.PROPOSED
    assert talk.now.ground.status("accept.price") is Standing.PRIVATE
    assert not talk.now.ground.known("b", "price")
    readback(talk, 4)
    talk.say("a", "right")
    assert talk.now.ground.status("offer.price") is Standing.GROUNDED
    assert talk.now.ground.known("a", "price")
    assert talk.now.ground.known("b", "price")
    assert not talk.now.ground.known("c", "price")


def test_trouble_makes_a_value_disputed_and_repair_says_so_afterwards():
    talk = Talk(rules(SALE))
    talk.say("a", "offer", price=4)
    readback(talk, 5)
    assert talk.now.ground.status("price") is Standing.DISPUTED
    assert talk.now.ground.status("note") is Standing.PRIVATE
    talk.say("a", "wrong", fields={"price": 4})
    readback(talk, 4)
    talk.say("a", "right")
    assert talk.now.ground.status("price") is Standing.REPAIRED


def test_what_is_taken_back_is_disputed_until_it_is_said_anew():
    talk = Talk(rules(SALE.replace("offer: {readback: [price]}", "offer: delivered")))
    talk.say("a", "offer", price=4)
    talk.say("b", "not-understood", reason="euros?")
    assert talk.now.ground.status("price") is Standing.DISPUTED
    talk.say("a", "offer", price=4, note="euros")
    assert talk.now.ground.status("price") is Standing.REPAIRED


def test_what_waits_for_an_answer_is_proposed():
    talk = Talk(rules(HEARD))
    talk.say("a", "ask", what="x")
    assert talk.now.ground.status("ask.what") is Standing.PROPOSED
    talk.say("b", "tell", what="y")
    assert talk.now.ground.status("ask.what") is Standing.GROUNDED


def test_where_a_value_is_from_and_what_depends_on_it():
    talk = Talk(rules(SALE))
    talk.say("a", "offer", price=4, id_="o1")
    readback(talk, 4)
    talk.say("a", "right")
    item = talk.now.ground.item("offer.price")
    assert (item.value, item.by, item.to, item.message, item.evidence) == (
        4, "a", ("b",), "o1", ("readback: copied",),
    )  # fmt: skip
    talk.say("b", "accept", price=4)
    found = talk.now.ground.dependents("offer.price")
    assert found.values == ("accept.price",)
    assert found.commitments == ("o1",)
    assert found.messages == (talk.now.here.latest,)
    assert talk.now.ground.item("price").version > item.version
    assert talk.now.ground.dependents("nothing").values == ()


@pytest.mark.parametrize("name", ["offer.price", "price"])
def test_nothing_is_claimed_of_what_was_never_said(name):
    ground = Talk(rules(SALE)).now.ground
    assert ground.status(name) is Standing.PRIVATE
    assert ground.item(name) is None
    assert not ground.known("a", name)
