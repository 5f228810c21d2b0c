"""What code finds in a record when a conversation is over."""

import pytest

from agentcomm import Agent, enact_sync
from agentcomm.grounding.troubles import Contradiction, SeveralReferents, Unfilled, Unsourced
from agentcomm.models.scripted import ScriptedModel
from agentcomm.protocol.library import loads
from agentcomm.runtime.troubles import troubles_of

ORDER = """
agentcomm: 1
protocol: order
version: 1
about: Goods are ordered.
roles: [ann, bob]
acts:
  order: {act: request, content: {item: text, count: int}}
  offer: {act: propose, content: {count: int}}
  packed: {act: inform, content: {count: int, note: text}, discharges: order}
  failure: {reason: text}
states:
  ordering: {ann: {order: packing}}
  packing: {bob: {packed: done, offer: packing-less, failure: failed}}
  packing-less: {bob: {packed: done, failure: failed}}
outcomes: {done: success, failed: failed, expired: expired}
"""


def talk(*answers, item="tulips"):
    """Ann, in code, orders five; Bob, a model, answers."""
    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("order", item=item, count=5))
    bob = Agent("Bob", model=ScriptedModel([*answers]))
    return enact_sync(loads(ORDER), cast={"ann": ann, "bob": bob}, brief={"bob": "At most 9 of each."})


def packed(count, note="done"):
    return {"act": "packed", "content": {"count": count, "note": note}}


def test_nothing_is_found_where_nothing_is_wrong():
    assert [one for one in talk(packed(5)).troubles if one.made_by == "model"] == []


def test_a_value_that_contradicts_what_was_said_is_found():
    [found] = [one for one in talk(packed(9)).troubles if one.made_by == "model"]
    assert isinstance(found.trouble, Contradiction)
    assert found.role == "bob"
    assert "5 was meant, 9 was understood" in str(found)


def test_a_proposal_may_name_another_value_and_what_follows_it_is_compared_with_that():
    offer = {"act": "offer", "content": {"count": 9}}
    assert [one for one in talk(offer, packed(9)).troubles if one.made_by == "model"] == []
    [found] = [one for one in talk(offer, packed(5)).troubles if one.made_by == "model"]
    assert "9 was meant, 5 was understood" in str(found)


@pytest.mark.parametrize("note", ["TBD", "<note>", "???"])
def test_a_placeholder_is_found(note):
    """Said by code: a model that says it is asked again."""
    bob = Agent("Bob")
    bob.on("order")(lambda turn: turn.say("packed", count=5, note=note))
    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("order", item="tulips", count=5))
    result = enact_sync(loads(ORDER), cast={"ann": ann, "bob": bob})
    [found] = [one for one in result.troubles if isinstance(one.trouble, Unfilled)]
    assert "is a placeholder" in str(found)
    assert talk(packed(5, note), packed(5)).messages == 2


def test_a_value_from_nowhere_is_found():
    found = [one.trouble for one in talk(packed(5, "4711 are left")).troubles if one.made_by == "model"]
    assert [type(one) for one in found] == [Unsourced]


def test_a_name_that_fits_several_things_is_found_where_the_things_are_known():
    things = {"red tulip": "tall", "red tulip dwarf": "small, red tulip"}
    vague = talk(packed(5, "the tulip is out"))
    [found] = [
        one.trouble
        for one in troubles_of(vague.transcript, things=things)
        if isinstance(one.trouble, SeveralReferents)
    ]
    assert found.candidates == ("red tulip", "red tulip dwarf")
    assert not any(isinstance(one.trouble, SeveralReferents) for one in vague.troubles)  # no things are known
