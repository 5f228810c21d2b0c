"""The checks in code: each finds its trouble, says what to do, and is silent where there is none."""

import pytest

from agentcomm.acts.content import FieldType, parse_money
from agentcomm.acts.units import parse_quantity
from agentcomm.grounding.consistency import contradictions, is_placeholder, unfilled
from agentcomm.grounding.deeds import Claim, Deed, claims, unasked, unperformed
from agentcomm.grounding.reference import check_reference, referents, unclear_references
from agentcomm.grounding.relevance import Issue, check_answer
from agentcomm.grounding.troubles import (
    Contradiction,
    Irrelevant,
    NoReferent,
    SeveralReferents,
    Unasked,
    Unfilled,
    Unperformed,
)

KINDS = {"price": FieldType("money"), "host": FieldType("id"), "volume": FieldType("quantity")}
GROUND = {"price": parse_money("110 EUR"), "host": "db-1", "volume": parse_quantity("500 l")}
SERVERS = {
    "db-1": {"what": "database server", "place": "Berlin"},
    "db-2": {"what": "database server", "place": "Paris"},
    "web-1": "web server in Paris",
}


def test_a_value_that_contradicts_the_ground_is_found():
    (found,) = contradictions(KINDS, GROUND, {"price": parse_money("101 EUR"), "host": "db-1"})
    assert isinstance(found, Contradiction)
    assert (found.name, found.differs.field, found.differs.kind) == ("price", "price", "value")
    assert "110 EUR was meant, 101 EUR was understood" in found.sentence


def test_what_means_the_same_contradicts_nothing():
    said = {"price": parse_money("110.00 EUR"), "volume": parse_quantity("0.5 m3"), "new": 1, "host": None}
    assert contradictions(KINDS, GROUND, said) == ()
    assert contradictions({}, GROUND, {"volume": "half a cubic metre"}) == ()


def test_only_the_named_fields_are_compared_and_under_their_name_in_the_ground():
    said = {"cost": parse_money("5 EUR"), "price": parse_money("5 EUR")}
    assert contradictions(KINDS, GROUND, said, names={}) == ()
    (found,) = contradictions(KINDS, GROUND, said, names={"cost": "price"})
    assert (found.name, found.differs.field) == ("price", "cost")


def test_an_ambiguous_restatement_is_no_agreement():
    (found,) = contradictions({}, {"price": parse_money("5 USD")}, {"price": "$5"})
    assert found.differs.kind == "ambiguous"


def test_slots_that_nobody_filled_are_found():
    assert unfilled(["host", "price"], GROUND) == ()
    assert unfilled(["host", "zone"], GROUND, {"zone": "eu"}) == ()
    assert unfilled(["zone"], GROUND) == (Unfilled("zone"),)
    assert unfilled(["host"], GROUND, {"host": "<host>"}) == (Unfilled("host", "<host>"),)
    assert unfilled(["host"], GROUND, {"host": "?"}, allowed=["?"]) == ()
    assert unfilled(["count"], {}, {"count": 0}) == ()
    assert "ask for it" in Unfilled("zone").sentence


@pytest.mark.parametrize(
    "text", ["", " ", "TBD", "n/a", "<name>", "{price}", "{{ price }}", "[insert name]", "____", "…"]
)
def test_a_placeholder_is_no_value(text):
    assert is_placeholder(text)


@pytest.mark.parametrize("text", ["none", "unknown", "0", "a < b > c", "x", "no", "[2026]", "{a} and {b}"])
def test_a_value_is_no_placeholder(text):
    assert not is_placeholder(text)


@pytest.mark.parametrize(
    ("phrase", "found"),
    [
        ("db-1", ("db-1",)),
        ("DB-1", ("db-1",)),
        ("the server", ("db-1", "db-2", "web-1")),
        ("the second server", ("db-1", "db-2", "web-1")),
        ("the database server", ("db-1", "db-2")),
        ("the database servers", ("db-1", "db-2")),
        ("the database server in Paris", ()),
        ("the Paris database server", ("db-2",)),
        ("the web server", ("web-1",)),
        ("it", ("db-1", "db-2", "web-1")),
        ("the printer", ()),
        ("the last one", ("db-1", "db-2", "web-1")),
        ("", ()),
    ],
)
def test_what_a_phrase_fits(phrase, found):
    assert referents(phrase, SERVERS) == found


def test_an_ordinal_picks_one_where_the_order_was_said():
    assert referents("the second server", SERVERS, ordered=True) == ("db-2",)
    assert referents("the last server", SERVERS, ordered=True) == ("web-1",)
    assert referents("the fifth server", SERVERS, ordered=True) == ()


def test_a_synonym_is_the_name():
    assert referents("the main database", SERVERS, glossary={"db-1": ["the main database"]}) == ("db-1",)


def test_a_field_that_must_name_one_thing():
    assert check_reference("host", "db-1", SERVERS) is None
    several = check_reference("host", "the second server", SERVERS)
    assert several == SeveralReferents("host", "the second server", ("db-1", "db-2", "web-1"))
    assert "say which one" in several.sentence
    none = check_reference("host", "the printer", SERVERS)
    assert none == NoReferent("host", "the printer")
    assert "by its name" in none.sentence


def test_phrases_in_a_free_text():
    (found,) = unclear_references({"task": "Restart the database server now, and tell the boss."}, SERVERS)
    assert (found.field, found.phrase, found.candidates) == ("task", "the database server", ("db-1", "db-2"))
    assert unclear_references({"task": "Restart the web server, then db-1."}, SERVERS) == ()
    assert unclear_references({"task": "Tell the boss."}, SERVERS) == ()


ISSUES = (
    Issue("m1", "ask for a price", ("seller",), ("price",)),
    Issue("m2", "ask for a date", ("seller",), ("ready",)),
    Issue("m3", "ask for a name", ("buyer",), ("name",)),
)


def test_an_answer_to_what_is_open():
    assert check_answer("m4", "seller", "m1", {"price": 5}, ISSUES) == ()
    assert check_answer("m4", "seller", "", {"ready": "soon"}, ISSUES) == ()


def test_an_answer_that_leaves_out_what_it_must_say():
    assert check_answer("m4", "seller", "m1", {"note": "hm"}, ISSUES) == (Unfilled("price"),)
    assert check_answer("m4", "seller", "m1", {"price": "TBD"}, ISSUES) == (Unfilled("price", "TBD"),)


def test_an_answer_that_addresses_nothing_open():
    (found,) = check_answer("m4", "seller", "m3", {"name": "x"}, ISSUES)
    assert found == Irrelevant("m4", ("ask for a price", "ask for a date"))
    assert "ask for a price" in found.sentence
    (found,) = check_answer("m4", "seller", "", {"weather": "fine"}, ISSUES)
    assert isinstance(found, Irrelevant)
    (found,) = check_answer("m4", "seller", "m9", {}, ())
    assert "nothing is open" in found.sentence


def test_an_announced_act_that_was_not_performed():
    announced = [Deed("restart", {"host": "db-1"}, "bob", "m4")]
    assert unperformed(announced, [Deed("restart", {"host": "db-1", "force": True}, "bob")]) == ()
    assert unperformed(announced, []) == (Unperformed("restart", "m4"),)
    assert unperformed(announced, [Deed("restart", {"host": "db-1"}, "eve")]) == (
        Unperformed("restart", "m4"),
    )
    (found,) = unperformed(announced, [Deed("restart", {"host": "db-2"}, "bob")])
    assert [entry.field for entry in found.differs] == ["host"]
    assert "performed otherwise" in found.sentence
    assert "take it back" in Unperformed("restart", "m4").sentence


def test_arguments_compare_by_type():
    announced = [Deed("fill", {"volume": parse_quantity("500 l")}, source="m4")]
    done = [Deed("fill", {"volume": parse_quantity("0.5 m3")})]
    assert unperformed(announced, done, {"fill": {"volume": FieldType("quantity")}}) == ()


def test_a_completed_action_that_nobody_asked_for():
    asked = [Deed("restart", {"host": "db-1"})]
    done = Deed("restart", {"host": "db-1"}, "bob")
    assert unasked([done], asked) == ()
    assert unasked([done, done], asked) == (Unasked("restart", "bob"),)
    assert unasked([Deed("delete", {}, "bob")], asked) == (Unasked("delete", "bob"),)
    assert unasked([Deed("look-up", {}, "bob")], asked, free=["look-up"]) == ()
    (found,) = unasked([Deed("restart", {"host": "db-2"}, "bob")], asked)
    assert [entry.field for entry in found.differs] == ["host"]
    assert "otherwise than asked" in found.sentence


VERBS = {
    "restart": ["restart", "reboot"],
    "send": ["send/sent"],
    "copy": ["copy"],
    "delete": ["delete"],
    "stop": ["stop"],
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I have restarted db-1.", [("restart", "done")]),
        ("I've just rebooted it", [("restart", "done")]),
        ("I restarted it.", [("restart", "done")]),
        ("db-1 has been successfully restarted", [("restart", "done")]),
        ("The files were copied. I stopped it.", [("copy", "done"), ("stop", "done")]),
        ("I sent the report", [("send", "done")]),
        ("I will send the report", [("send", "announced")]),
        (
            "I'll restart it now and then I'm going to delete it",
            [("restart", "announced"), ("delete", "announced")],
        ),
        ("I have not restarted it", []),
        ("I couldn't restart it", []),
        ("Please restart it", []),
        ("You restarted it", []),
        ("I can send it", []),
        ("The restarted host is fine", []),
    ],
)
def test_what_a_text_claims(text, found):
    assert [(claim.action, claim.tense) for claim in claims(text, VERBS)] == found


def test_a_claim_quotes_its_sentence():
    assert claims("Fine. I restarted it.", VERBS) == (Claim("restart", "done", "I restarted it."),)
