"""Values in another form: the value first, then one that is heard otherwise."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from agentcomm.acts.content import FieldType, Money
from agentcomm.acts.units import parse_quantity
from agentcomm.grounding.otherwise import otherwise


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("int", 1204, "1204 (one two zero four)"),
        ("number", -2.5, "-2.5 (dash two point five)"),
        ("bool", True, "yes (it is so)"),
        ("money", Money(Decimal("110.50"), "EUR"), "110.50 EUR (one one zero point five zero, in EUR)"),
        ("date", date(2026, 12, 1), "2026-12-01 (Tuesday, 1 December 2026)"),
        ("datetime", datetime(2026, 12, 1, 9, 30, tzinfo=UTC), "2026-12-01T09:30:00Z (Tuesday, 1 December 2026, 09:30:00, +00:00 to UTC)"),
        ("datetime", datetime(2026, 12, 1, 9, 30), "2026-12-01T09:30:00 (Tuesday, 1 December 2026, 09:30:00, no zone was said)"),  # noqa: DTZ001
        ("duration", timedelta(hours=1, minutes=30), "1h30m (5400 seconds)"),
        ("id", "db-7", "db-7 (d b dash seven)"),
        ("text", "the disk is full", "'the disk is full'"),
        ("list", ["a", "b"], "[a, b] (2 in all)"),
    ],
)  # fmt: skip
def test_a_value_stands_there_twice(kind, value, told):
    assert otherwise(FieldType(kind), value) == told


def test_a_choice_stands_among_the_others_and_a_quantity_figure_by_figure():
    assert otherwise(FieldType("choice", choices=("low", "high")), "low") == "low (of low, high)"
    assert otherwise(FieldType("quantity"), parse_quantity("1500 ml")).startswith(
        "1500 ml (one five zero zero, in ml)"
    )


def test_a_long_identifier_is_not_spelled():
    assert otherwise(FieldType("id"), "x" * 41) == "x" * 41
