"""Read-backs taken from what will be acted with: derived evidence, not a copy."""

import pytest

from agentcomm import Agent, enact_sync
from agentcomm.errors import UsageError
from agentcomm.protocol.library import loads
from tests.agents.talks import Says

ORDER = """
agentcomm: 1
protocol: order
version: 1
about: Goods are ordered.
roles: [ann, bob]
acts:
  order: {act: request, content: {item: id, dozens: int}, critical: [item, dozens], stakes: high}
  packed: {act: inform, content: {item: id}, discharges: order}
  failure: {reason: text}
states:
  ordering: {ann: {order: packing}}
  packing: {bob: {packed: done, failure: failed}}
outcomes: {done: success, failed: failed, expired: expired}
"""


def talk(plan=None, model=None):
    ann, bob = Agent("Ann"), Agent("Bob", model=model)
    ann.opens(lambda turn: turn.say("order", item="tulip", dozens=3))
    packed = []

    @bob.on("order")
    def pack(turn):
        packed.append(dict(turn.plan))
        return turn.say("packed", item=turn.plan.get("item", "tulip"))

    if plan is not None:
        bob.plans("order")(plan)
    return enact_sync(loads(ORDER), cast={"ann": ann, "bob": bob}), packed


def readbacks(result):
    heard = (event.message for event in result.transcript.events() if type(event).__name__ == "Heard")
    return [(m.made_by, dict(m.content["fields"])) for m in heard if m.act == "readback"]


@pytest.mark.parametrize("model", [None, Says(lambda _request: pytest.fail("the model is not asked"))])
def test_a_read_back_is_taken_from_the_plan_and_counts_as_derived(model):
    result, packed = talk(
        lambda order: {"item": order["item"], "dozens": order["dozens"], "box": "large"}, model
    )
    assert result.outcome == "done"
    assert readbacks(result) == [("plan", {"item": "tulip", "dozens": 3})]
    assert result.ground.item("order.dozens").evidence[0] == "readback: derived"
    assert packed == [{"item": "tulip", "dozens": 3, "box": "large"}]


def test_without_a_plan_it_is_a_copy():
    result, packed = talk()
    assert result.ground.item("order.dozens").evidence[0] == "readback: copied"
    assert packed == [{}]


def test_a_plan_that_would_do_something_else_is_found_out_before_it_is_done():
    result, packed = talk(lambda order: {"item": order["item"], "dozens": order["dozens"] * 12})
    assert result.outcome_class == "aborted"
    assert packed == []
    assert "dozens (meant 3, understood 36)" in result.cause


def test_a_plan_sees_what_was_corrected():
    heard = []

    def plan(order):
        heard.append(order["dozens"])
        return {"item": order["item"], "dozens": 3 if len(heard) > 1 else 4}

    result, packed = talk(plan)
    assert result.outcome == "done"
    assert heard[:2] == [3, 3]
    assert packed == [{"item": "tulip", "dozens": 3}]


def test_a_plan_without_a_field_that_is_read_back_is_told():
    with pytest.raises(UsageError, match="has no 'dozens'") as told:
        talk(lambda order: {"item": order["item"]})
    assert told.value.code == "U322"


def test_a_plan_needs_its_act_and_there_is_one_of_it():
    bob = Agent("Bob")
    with pytest.raises(UsageError, match="with parentheses"):
        bob.plans(lambda order: order)
    bob.plans("order")(dict)
    with pytest.raises(UsageError, match="two plans"):
        bob.plans("order")(dict)


TYPES = {
    "text": "a b", "id": "a-1", "int": 3, "number": 2.5, "bool": True, "date": "2026-12-01", "datetime": "2026-12-01T09:00:00Z",
    "duration": "90s", "money": "5 EUR", "list of id": ["a", "b"], "[low, high]": "low", "{is: quantity, unit: mg}": "20 mg",
}  # fmt: skip
OTHER = {
    "text": "b a", "id": "a-2", "int": 4, "number": 3.5, "bool": False, "date": "2026-12-02", "datetime": "2026-12-02T09:00:00Z",
    "duration": "91s", "money": "6 EUR", "list of id": ["a", "c"], "[low, high]": "high", "{is: quantity, unit: mg}": "30 mg",
}  # fmt: skip


@pytest.mark.parametrize("kind", TYPES)
def test_values_of_every_type_are_read_back_and_corrected_by_code(kind):
    """What code says of typed values, it says as content that can be sent."""
    text = ORDER.replace("dozens: int", f"dozens: {kind}")
    ann, plain, slips = Agent("Ann"), Agent("Bob"), Agent("Bob")
    ann.opens(lambda turn: turn.say("order", item="tulip", dozens=TYPES[kind]))
    for bob in (plain, slips):
        bob.on("order")(lambda turn: turn.say("packed", item="tulip"))
    heard = []

    @slips.plans("order")
    def slip(order):
        heard.append(order)
        return dict(order) if len(heard) > 1 else {**order, "dozens": OTHER[kind]}

    for bob, repairs in ((plain, 0), (slips, 1)):
        result = enact_sync(loads(text), cast={"ann": ann, "bob": bob})
        assert (result.outcome, result.repairs) == ("done", repairs)
