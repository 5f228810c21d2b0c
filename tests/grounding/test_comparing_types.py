"""Quantities, lists without order and glossaries: in a protocol file, in content, and in a conversation."""

import pytest
from pydantic import ValidationError

from agentcomm.acts.content import FieldType, content_model, to_plain
from agentcomm.acts.glossary import canonical_name, clash
from agentcomm.acts.message import Message
from agentcomm.acts.units import Quantity, convertible, parse_quantity, scales
from agentcomm.agents.schema import field_schema
from agentcomm.conversation.events import Say
from agentcomm.conversation.state import Rules
from agentcomm.conversation.step import open_conversation, step
from agentcomm.grounding.compare import Incomparable, holds
from agentcomm.protocol.accepts import misfit
from agentcomm.protocol.check import examine
from agentcomm.protocol.library import load, loads

TANK = """
agentcomm: 1
protocol: tank
version: 1
roles: [planner, operator]
types:
  Rooms: {is: list of id, ordered: false}
  Fluid:
    is: text
    glossary: {water: [H2O, aqua], diesel: gas oil}
acts:
  request: {volume: {is: quantity, unit: l, minimum: 1 l}, fluid: Fluid, rooms: Rooms}
  agree: {content: {volume: quantity, fluid: Fluid, rooms: Rooms}, when: volume <= 2 m3}
  refuse: {reason: text}
grounding:
  agree: {repeats: {volume: request.volume, fluid: request.fluid, rooms: request.rooms}}
states:
  start: {planner: {request: asked}}
  asked: {operator: {agree: agreed, refuse: refused}}
outcomes: {agreed: success, refused: refused}
"""
ASKED = {"volume": "500 l", "fluid": "water", "rooms": ["a", "b"]}


def acts():
    return loads(TANK).acts


def test_the_types_are_read():
    fields = acts()["request"].fields
    assert fields["volume"] == FieldType("quantity", constraints={"unit": "l", "minimum": "1 l"})
    assert fields["rooms"] == FieldType("list", item=FieldType("id"), constraints={"ordered": False})
    assert fields["fluid"].constraints == {"glossary": {"water": ("H2O", "aqua"), "diesel": ("gas oil",)}}
    assert str(loads(TANK).hash) == str(loads(TANK).hash)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("unit: l", "unit: 5", "cannot be the 'unit'"),
        ("minimum: 1 l", "minimum: 1", "cannot be the 'minimum'"),
        ("minimum: 1 l", "minimum: 1 EUR 5", "cannot be the 'minimum'"),
        ("ordered: false", "ordered: never", "cannot be the 'ordered'"),
        ("ordered: false", "glossary: {a: b}", "does not go with list"),
        ("[H2O, aqua]", "[H2O, gas oil]", "cannot be the 'glossary'"),
        ("[H2O, aqua]", "{x: y}", "cannot be the 'glossary'"),
        ("[H2O, aqua]", "[]", "cannot be the 'glossary'"),
        ("{water: [H2O, aqua], diesel: gas oil}", "water", "cannot be the 'glossary'"),
        ("{is: quantity, unit: l, minimum: 1 l}", "measure", "is not a type"),
    ],
)
def test_what_is_no_such_type_is_found(old, new, said):
    assert old in TANK
    found = [
        finding for finding in examine(TANK.replace(old, new).encode()).findings if finding.code == "E104"
    ]
    assert len(found) == 1
    assert said in str(found[0])
    assert found[0].fix


def test_content_takes_what_converts():
    kind = acts()["request"].content
    assert to_plain(kind.model_validate(ASKED))["volume"] == "500 l"
    assert kind.model_validate({**ASKED, "volume": "0.5 m3"}).volume == Quantity(
        parse_quantity("0.5 m3").amount, "m3"
    )
    for wrong in ("500", 500, "500 kg", "500 gallons", "0.5 l", "1 ml", "500 boxes"):
        with pytest.raises(ValidationError):
            kind.model_validate({**ASKED, "volume": wrong})


def talk(said):
    protocol = loads(TANK)
    conversation, _ = open_conversation(Rules(protocol, {"repair": load("_overlays/repair")}), "c")
    conversation, events = step(
        conversation, Say(Message(act="request", content=ASKED, sender="planner", id="m1"), 1)
    )
    assert type(events[0]).__name__ == "Heard", events
    _, events = step(conversation, Say(Message(act="agree", content=said, sender="operator", id="m2"), 2))
    return events


def test_what_means_the_same_is_agreed():
    events = talk({"volume": "0.5 m3", "fluid": "Aqua", "rooms": ["b", "a"]})
    assert type(events[-1]).__name__ == "Ended", events


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("volume", "500 kg"),
        ("volume", "0.4 m3"),
        ("fluid", "diesel"),
        ("rooms", ["a", "c"]),
        ("rooms", ["A", "b"]),
    ],
)
def test_what_does_not_mean_the_same_is_trouble(field, value):
    names = [type(event).__name__ for event in talk({**ASKED, field: value})]
    assert "TroubleFound" in names or "Refused" in names
    assert "Ended" not in names


def test_a_condition_converts_and_another_kind_of_unit_is_trouble():
    assert type(talk({**ASKED, "volume": "3000 l"})[0]).__name__ == "Refused"
    two = parse_quantity("2 m3")
    assert holds("<=", parse_quantity("500 l"), two)
    assert holds(">", two, "500 l")
    assert holds("==", parse_quantity("2000 l"), two)
    assert holds("!=", parse_quantity("2001 l"), two)
    assert holds("in", parse_quantity("2 m3"), ("1 m3", "2 m3"))
    assert not holds("in", parse_quantity("2 m3"), ("1 m3", "nothing"))
    for other in ("5 kg", "5 gallons", "5 boxes", 5, "much"):
        with pytest.raises(Incomparable):
            holds("<", two, parse_quantity(other) if isinstance(other, str) and other[0] == "5" else other)


def test_who_takes_what():
    litre, any_unit = FieldType("quantity", constraints={"unit": "l"}), FieldType("quantity")
    assert misfit(litre, any_unit, "v") == ""
    assert "unit" in misfit(any_unit, litre, "v")
    low = FieldType("quantity", constraints={"minimum": "1 l"})
    high = FieldType("quantity", constraints={"minimum": "2 l"})
    assert misfit(high, low, "v") == ""
    assert misfit(low, high, "v")
    ordered, free = FieldType("list", item=FieldType("id")), acts()["request"].fields["rooms"]
    assert misfit(ordered, free, "r") == misfit(free, ordered, "r") == ""


def test_a_model_is_asked_for_a_text():
    assert field_schema(FieldType("quantity")) == {"type": "string", "minLength": 1, "maxLength": 40}


@pytest.mark.parametrize(
    "text",
    ["500", "l", "", "500 l 5", "1e999 l", "nan l", "5 \ud800", "5 " + "l" * 200, "5 __class__", "5 l;m"],
)
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="number with a unit"):
        parse_quantity(text)


def test_a_quantity_in_a_map():
    assert str(parse_quantity({"amount": 5, "unit": "km/h"})) == "5 km/h"
    assert (
        content_model("x", {"v": FieldType("quantity")}).model_json_schema()["properties"]["v"]["type"]
        == "string"
    )


@pytest.mark.parametrize("unit", ["units", "boxes", "dB", "people", "k", "pH", "__import__", "USD", "fl"])
def test_what_is_no_unit_converts_to_nothing_but_itself(unit):
    assert scales(unit) == ()
    assert convertible(unit, unit)
    assert not convertible(unit, "l")


def test_a_glossary():
    words = {"city bike": ["town bike"], "e-bike": ["pedelec"]}
    assert canonical_name(words, "Town  Bike") == "city bike"
    assert canonical_name(words, "scooter") == "scooter"
    assert clash(words) == ""
    assert clash({"a": ["x"], "b": ["X"]}) == "X"


def test_a_type_tells_how_it_compares():
    assert str(acts()["request"].fields["volume"]) == "quantity in l"
    assert str(acts()["request"].fields["rooms"]) == "list of id in any order"
