"""Values that nobody ever said, in texts and in typed content."""

from datetime import UTC, date, datetime, timedelta

import pytest

from agentcomm.acts.content import FieldType, content_model, parse_money
from agentcomm.acts.units import parse_quantity
from agentcomm.grounding.sourced import Derived, Sources, unsourced, unsourced_values

SAID = [
    '{"host":"shop.example","error_count":176,"first_seen":"2026-11-23T22:56:01","limit":500,"ms":[100,200,300]}',
    "5,000 rows at 0.25k, €12.50 from 10.0.0.1:80, 99.5% of seventy-two",
]


@pytest.mark.parametrize(
    "text",
    [
        "at 22:56", "at 22:56:01", "on 2026-11-23", "since 2026-11-23T22:56:01", "500", "5e2", "500.0", "five hundred rows",
        "0.5k", "500ms", "(500)", "500.", "five thousand rows", "5000", "5,000", "250 of them", "one of them", "12.50 EUR", "€12.5",
        "99.5 percent", "10.0.0.1", "100, 200 and 300", "100-300", "72 hosts", "no figures", "the 176th",
    ],
)  # fmt: skip
def test_what_was_said_in_any_form_has_a_source(text):
    assert unsourced([text], SAID) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("56 errors", ("56",)),
        ("22 hosts", ("22",)),
        ("23 rows", ("23",)),
        ("2026 rows", ("2026",)),
        ("56:01", ("56:01",)),
        ("5 rows", ("5",)),
        ("0 rows", ("0",)),
        ("12 rows", ("12",)),
        ("50 rows", ("50",)),
        ("twelve rows", ("twelve",)),
        ("-500", ("-500",)),
        ("10.0.0.2", ("10.0.0.2",)),
        ("600 in all", ("600",)),
        ("v500", ("v500",)),
        ("100-400", ("100-400",)),
    ],
)
def test_what_nobody_said_is_found(text, found):
    assert unsourced([text], SAID) == found


def test_a_derived_value_counts_if_its_working_is_right():
    right = [
        Derived(600, "sum", (100, 200, 300)),
        Derived(200.0, "mean", (100, 200, 300)),
        Derived(3, "count", (100, 200, 300)),
        Derived(35.2, "percent", (176, 500)),
        Derived(-324, "difference", (176, 500)),
    ]
    text = "600 in all, 200 each, 3 of them, 35.2 %, -324"
    assert unsourced([text], SAID, derived=right) == ()
    for wrong in (
        Derived(601, "sum", (100, 200, 300)),
        Derived(601, "sum", (301, 300)),
        Derived(601, "quotient", (100, 0)),
        Derived(601, "sum", ()),
        Derived(601, "mean", (float("nan"),)),
        Derived(601, "percent", (100,)),
    ):
        assert unsourced(["601"], SAID, derived=[wrong]) == ("601",)


def test_values_of_content_are_looked_up_by_type():
    sources = Sources(
        [
            {"price": parse_money("110 EUR"), "due": datetime(2026, 12, 1, 9, tzinfo=UTC)},
            "500 l in 90 min",
            date(2026, 1, 2),
        ]
    )
    said = {
        "price": parse_money("110.00 EUR"), "dollars": parse_money("110 USD"), "volume": parse_quantity("500 l"),
        "weight": parse_quantity("500 kg"), "due": datetime(2026, 12, 1, 9, tzinfo=UTC), "day": date(2026, 1, 2),
        "other_day": date(2026, 1, 3), "count": 111, "items": [500, {"n": 501}], "note": "five hundred, or 502", "ok": True,
        "none": None, "wait": timedelta(minutes=7),
    }  # fmt: skip
    found = unsourced_values(said, sources)
    assert [entry.field for entry in found] == [
        "dollars",
        "weight",
        "other_day",
        "count",
        "items[1].n",
        "note",
        "wait",
    ]
    assert found[0].why == "nobody spoke of USD"
    assert "'502'" in found[5].why
    assert all(entry.sentence.endswith(", or ask.") for entry in found)


def test_what_is_free_to_choose_needs_no_source():
    assert unsourced_values({"price": 5, "count": 6}, [], free=["price"])[0].field == "count"


def test_content_classes_and_hostile_values_are_read():
    kind = content_model("offer", {"price": FieldType("money"), "n": FieldType("int")})
    said = kind(price=parse_money("5 EUR"), n=10**400)
    assert unsourced_values({"n": 10**400, "m": 5}, [said]) == ()
    deep = [1]
    for _ in range(500):
        deep = [deep]
    assert unsourced_values(
        {"a": float("nan"), "b": float("inf"), "c": deep, "d": "\ud800 5"}, [deep, "[" * 5000, "{"]
    )
    assert Sources([10**5000]).numbers == {10**5000}


def test_an_identifier_must_have_been_said():
    kinds = {
        "host": FieldType("id"),
        "hosts": FieldType("list", item=FieldType("id")),
        "note": FieldType("text"),
    }
    said = {"host": "printer", "hosts": ["shop.example", "mail.example"], "note": "the printer"}
    found = unsourced_values(said, SAID, kinds=kinds)
    assert [(entry.field, entry.value) for entry in found] == [
        ("host", "printer"),
        ("hosts[1]", "mail.example"),
    ]
    assert unsourced_values({"host": "Shop.Example"}, SAID, kinds=kinds) == ()
