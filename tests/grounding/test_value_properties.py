"""What holds of every pair of values, hostile ones too."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from agentcomm.acts.content import FieldType, Money
from agentcomm.acts.units import Quantity, in_base, parse_quantity, scales
from agentcomm.grounding.amounts import read_money, read_quantity
from agentcomm.grounding.compare import Difference, Incomparable, compare, differences, holds
from agentcomm.grounding.numbers import read_number
from agentcomm.grounding.same import is_same, shown
from agentcomm.grounding.times import read_day, read_duration, read_when

ANY_TEXT = st.text(st.characters(), max_size=20)
"""Lone surrogates among it."""
WORDS = (
    "0 1 5 12 500 1,000 1.000 01/02/2026 2026-12-01 16:00 4 pm CET Z UTC+1 l m3 kg °C EUR $ € five hundred and a half not minus % k"
    " point / - . : T e9 \u2212 ½ ² \ud800 hours May 1e99"
)
PIECES = st.sampled_from(WORDS.split(" "))
LIKELY_TEXT = st.lists(PIECES, max_size=6).map(" ".join) | st.lists(PIECES, max_size=6).map("".join)
UNITS = ("l", "m3", "kg", "°C", "%", "gallon", "boxes", "GB", "km/h", "µg")


def nested(depth):
    value = [1]
    for _ in range(depth):
        value = [value] if depth % 2 else {"a": value}
    return value


AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.sampled_from([5000, 400, 19]).map(lambda digits: 10**digits)
    | st.floats() | ANY_TEXT | LIKELY_TEXT | st.dates() | st.times() | st.datetimes() | st.timedeltas()
    | st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=12))]))
    | st.builds(Money, AMOUNTS | st.decimals(), st.sampled_from(["EUR", "USD"]))
    | st.builds(Quantity, AMOUNTS, st.sampled_from(UNITS))
    | st.sampled_from([3, 98, 99, 100, 101, 150, 901]).map(nested)
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(
    [
        None,
        *(FieldType(word) for word in ("text", "id", "any", "number", "int", "money", "quantity", "date")),
        FieldType("choice", choices=("low", 1, True)),
        FieldType("list", item=FieldType("text")),
        FieldType("list", constraints={"ordered": False}),
        FieldType("list", item=FieldType("id"), constraints={"ordered": False}),
        FieldType("text", constraints={"glossary": {"five": ("half", "1,000")}}),
    ]
)


@settings(max_examples=300, deadline=None)
@given(KINDS, VALUES, VALUES)
def test_comparing_is_symmetric_and_never_raises(kind, one, other):
    assert is_same(kind, one, other) is is_same(kind, other, one)
    found, back = compare("f", kind, one, other), compare("f", kind, other, one)
    assert (found is None) is (back is None)
    if found:
        assert isinstance(found, Difference)
        assert found.sentence
        assert str(found)
    if is_same(kind, one, other):
        assert found is None


@settings(max_examples=200, deadline=None)
@given(KINDS, VALUES)
def test_comparing_is_reflexive(kind, value):
    assert is_same(kind, value, value)
    assert compare("f", kind, value, value) is None


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES)
def test_a_condition_holds_or_not_or_is_incomparable(one, other):
    for op in ("==", "!=", "<", "<=", ">", ">="):
        try:
            assert holds(op, one, other) in (True, False)
        except Incomparable as error:
            assert str(error)  # noqa: PT017


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT | LIKELY_TEXT | st.text(max_size=300))
def test_reading_never_raises(text):
    for read in (read_number, read_quantity, read_money, read_day, read_when, read_duration):
        assert isinstance(read(text), tuple)


@given(
    st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
    st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
)
@settings(max_examples=100, deadline=None)
def test_nothing_missing_nothing_added(meant, understood):
    for restated in (False, True):
        there = differences({}, meant, understood, both_ways=True, restated=restated)
        back = differences({}, understood, meant, both_ways=True, restated=restated)
        assert {entry.field for entry in there} == {entry.field for entry in back}
    assert not differences({}, meant, meant, both_ways=True)


PAIRS = (
    ("l", "m3"),
    ("km/h", "m/s"),
    ("kg", "lb"),
    ("°C", "degF"),
    ("GB", "bit"),
    ("%", "ppm"),
    ("kWh", "J"),
    ("in", "cm"),
)


@settings(deadline=None)
@given(st.sampled_from(PAIRS), st.decimals(min_value=1, max_value=10**6, places=3))
def test_a_quantity_survives_the_way_to_another_unit_and_back(units, amount):
    one, other = units
    here, there = scales(one)[0], scales(other)[0]
    base = in_base(amount, here)
    moved = (base - there.offset) / there.factor
    written = Decimal(moved.numerator) / Decimal(moved.denominator)
    assert is_same(FieldType("quantity"), Quantity(amount, one), Quantity(written, other))
    assert abs((in_base(written, there) - here.offset) / here.factor - Fraction(amount)) < Fraction(1, 10**6)


@given(st.integers(-(10**12), 10**12))
def test_a_whole_number_is_read_as_it_is_written(number):
    assert Fraction(number) in read_number(str(number))
    assert Fraction(number) in read_number(f"{number:,}")
    assert Fraction(number) in read_number(f"{number:,}".replace(",", "."))
    assert Fraction(number) in read_number(f"{number:,}".replace(",", " "))


@given(st.dates(min_value=date(1000, 1, 1)))
def test_a_day_is_read_as_it_is_written(day):
    for form in ("%Y-%m-%d", "%d %B %Y", "%b %d, %Y", "%A, %d %B %Y", "%Y/%m/%d", "%d.%m.%Y"):
        assert read_day(day.strftime(form)) == (day,)
    assert day in read_day(day.strftime("%d/%m/%Y"))
    assert day in read_day(day.strftime("%m/%d/%Y"))


@given(st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9000, 1, 1)), st.integers(-12, 14))  # noqa: DTZ001
def test_a_moment_is_read_as_it_is_written(moment, hours):
    moment = moment.replace(microsecond=0, tzinfo=timezone(timedelta(hours=hours)))
    assert read_when(moment.isoformat()) == (moment,)
    assert read_when(f"{moment:%d %B %Y at %H:%M:%S} UTC{hours:+d}") == (moment,)
    assert read_when(f"{moment:%I:%M:%S %p} UTC{hours:+d}, {moment:%Y-%m-%d}") == (moment,)
    assert all(isinstance(found, time) for found in read_when(f"{moment:%H:%M}"))


@given(AMOUNTS.filter(lambda amount: abs(amount) < 10**20), st.sampled_from(UNITS))
def test_a_quantity_is_read_as_it_is_written(amount, unit):
    written = f"{amount:.2f} {unit}"
    assert parse_quantity(written) in read_quantity(written)


def test_what_is_shown_of_huge_values_is_short():
    assert shown(10**5000) == "a number of 16610 bits"
    assert len(shown(nested(2001))) < 100
