"""Comparing what was meant with what was understood, type by type."""

import contextlib
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentcomm.acts.content import FieldType, Money, content_model
from agentcomm.grounding.compare import (
    Difference,
    Incomparable,
    agrees,
    difference,
    differences,
    holds,
    is_same,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CET = timezone(timedelta(hours=1))


def money(text: str, currency: str = "EUR") -> Money:
    return Money(Decimal(text), currency)


@pytest.mark.parametrize(
    ("kind", "meant", "understood", "same"),
    [
        ("text", "City bike", "city  BIKE ", True),
        ("text", "city bike", "city bikes", False),
        ("text", "do not restart", "do restart", False),
        ("text", "100", "1 00", False),
        ("text", "10² mg", "102 mg", False),
        ("text", "é", "e\u0301", True),
        ("text", "e", "é", False),
        ("text", "Straße", "STRASSE", True),
        ("text", "", " ", True),
        ("text", "a\u00a0b", "a b", True),
        ("id", "db-1", "db-1", True),
        ("id", "db-1", "DB-1", False),
        ("id", "db-1", "db-1 ", False),
        ("choice", "low", "low", True),
        ("choice", "low", "Low", False),
        ("choice", 1, True, False),
        ("choice", 1, 1.0, False),
        ("int", 5, 5, True),
        ("int", 5, 6, False),
        ("int", 10_000_000_001, 10_000_000_002, False),
        ("int", 10**400, 10**400 + 1, False),
        ("int", 10**400, 10**400, True),
        ("int", 1, True, False),
        ("int", 0, False, False),
        ("number", 0.1 + 0.2, 0.3, True),
        ("number", 1.0, 1.0001, False),
        ("number", 1, 1.0, True),
        ("number", 10**400, 1.0, False),
        ("number", 0.0, 1e-12, False),
        ("number", -1.5, 1.5, False),
        ("bool", True, True, True),
        ("bool", True, False, False),
        ("bool", True, 1, False),
        ("bool", False, "no", False),
        ("date", date(2026, 12, 1), date(2026, 12, 1), True),
        ("date", date(2026, 12, 1), date(2026, 1, 12), False),
        ("date", date(2026, 1, 1), datetime(2026, 1, 1), False),  # noqa: DTZ001
        ("datetime", NOON, NOON.astimezone(CET), True),
        ("datetime", NOON, NOON + timedelta(seconds=1), False),
        ("datetime", NOON, NOON.replace(tzinfo=None), False),
        ("datetime", NOON.replace(tzinfo=None), NOON.replace(tzinfo=None), True),
        ("duration", timedelta(minutes=1), timedelta(seconds=60), True),
        ("duration", timedelta(minutes=1), timedelta(minutes=2), False),
        ("money", money("110"), money("110.00"), True),
        ("money", money("110"), money("110.01"), False),
        ("money", money("110"), money("110", "USD"), False),
        ("list", ["a", "b"], ["A", "b "], True),
        ("list", ["a", "b"], ["b", "a"], False),
        ("list", ["a"], ["a", "b"], False),
        ("list", [], [], True),
        ("map", {"a": 1}, {"a": 1}, True),
        ("map", {"a": 1}, {"a": 2}, False),
        ("map", {"a": 1}, {"a": 1, "b": 2}, False),
        ("map", {"a": None}, {"a": None}, True),
        ("any", None, None, True),
        ("any", None, 0, False),
        ("any", "", None, False),
        ("any", "5", 5, False),
        ("any", [1], "1", False),
        ("any", {"x": [1, {"y": "Z"}]}, {"x": [1, {"y": "z"}]}, True),
    ],
)
def test_what_is_the_same(kind, meant, understood, same):
    for one, other in ((meant, understood), (understood, meant)):
        assert is_same(FieldType(kind), one, other) is same
        if kind not in {"id", "choice"}:
            assert is_same(None, one, other) is same


def test_identifiers_in_lists_and_maps_are_compared_exactly_too():
    ids = FieldType("list", item=FieldType("id"))
    assert not is_same(ids, ["a"], ["A"])
    host = FieldType("map", fields={"host": FieldType("id")})
    kind = content_model("m", {"host": FieldType("id")})
    assert not is_same(host, kind(host="a"), kind(host="A"))
    assert is_same(host, kind(host="a"), {"host": "a"})


def test_differences_name_each_field_with_both_values():
    kinds = {"price": FieldType("money"), "host": FieldType("id"), "note": FieldType("text", optional=True)}
    meant = {"price": money("110"), "host": "db-1", "note": None}
    assert differences(kinds, meant, {"price": money("110"), "host": "db-1", "note": None}) == ()
    found = differences(kinds, meant, {"price": money("101"), "host": "db-1", "note": "x"})
    assert found == (
        Difference("price", "110 EUR", "101 EUR"),
        Difference("note", None, "x", "added", "nothing was meant"),
    )
    assert str(found[0]) == "price (meant 110 EUR, understood 101 EUR)"
    assert [entry.field for entry in differences(kinds, meant, {})] == ["price", "host"]


def test_a_difference_cannot_be_changed_by_who_is_told_of_it():
    values = [1, [2]]
    found = difference("l", values, None)
    values.append(3)
    assert found.meant == [1, [2]]
    with pytest.raises(TypeError):
        found.meant[1].append(3)


@pytest.mark.parametrize(
    ("op", "left", "right", "holds_"),
    [
        ("==", 1, 1.0, True),
        ("!=", "a", "A", False),
        ("<", 1, 2, True),
        ("<=", money("1"), money("1.00"), True),
        (">", timedelta(1), timedelta(0), True),
        (">=", date(2026, 1, 2), date(2026, 1, 2), True),
        ("<", NOON, NOON.astimezone(CET), False),
        ("in", "a", ("A", "b"), True),
        ("in", 3, (1, 2), False),
        ("==", NOON, NOON.replace(tzinfo=None), False),
    ],
)
def test_conditions(op, left, right, holds_):
    assert holds(op, left, right) is holds_


@pytest.mark.parametrize(
    ("op", "left", "right"),
    [
        ("<", money("1"), money("2", "USD")),
        ("==", money("1"), money("1", "USD")),
        ("!=", money("1"), money("1", "USD")),
        ("<", NOON, NOON.replace(tzinfo=None)),
        ("<", "a", "b"),
        ("<", date(2026, 1, 1), NOON),
        (">", 1, "1"),
        (">", None, 1),
        ("<=", money("1"), 1),
        ("<", [1], [2]),
    ],
)
def test_what_has_no_order_is_trouble_not_false(op, left, right):
    with pytest.raises(Incomparable):
        holds(op, left, right)


SIMPLE = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.dates() | st.datetimes() | st.datetimes(timezones=st.just(UTC)) | st.timedeltas()
    | st.builds(Money, st.decimals(allow_nan=False, allow_infinity=False), st.sampled_from(["EUR", "USD"]))
)  # fmt: skip
VALUES = st.recursive(
    SIMPLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
KINDS = st.sampled_from(["text", "id", "any", "choice", "number", "int", "money"])


@given(KINDS, VALUES, VALUES)
def test_sameness_is_symmetric(kind, one, other):
    assert is_same(FieldType(kind), one, other) is is_same(FieldType(kind), other, one)
    assert is_same(None, one, other) is is_same(None, other, one)


@given(KINDS, VALUES)
def test_sameness_is_reflexive(kind, value):
    assert is_same(FieldType(kind), value, value)
    assert is_same(None, value, value)


@given(VALUES, VALUES)
def test_no_comparison_raises_anything_but_incomparable(one, other):
    for op in ("==", "!=", "<", "<=", ">", ">="):
        with contextlib.suppress(Incomparable):
            assert holds(op, one, other) in (True, False)


@given(st.integers(), st.integers())
def test_whole_numbers_are_the_same_only_if_they_are_equal(one, other):
    assert is_same(FieldType("int"), one, other) is (one == other)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_differ_by_rounding_at_most(one, other):
    if is_same(FieldType("number"), one, other):
        assert math.isclose(one, other, rel_tol=1e-9)


def test_a_restatement_counts_where_it_is_asked_for():
    kinds = {"price": FieldType("money"), "task": FieldType("text")}
    meant = {"price": money("5"), "task": "Do not restart"}
    said = {"price": "five euros", "task": "Don't restart."}
    assert [entry.why for entry in differences(kinds, meant, said)] == ["the same in other words"] * 2
    assert differences(kinds, meant, said, restated=True) == ()
    assert agrees(kinds["price"], money("5"), "€5")
    assert not agrees(kinds["price"], money("5"), "$5")
