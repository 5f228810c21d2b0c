"""Whether two values of one field mean the same, by type: the fast question that is asked of every value."""

import math
import re
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, cast

from agentcomm.acts.content import FieldType, Money, entries_of, format_value
from agentcomm.acts.glossary import canonical_name, fold
from agentcomm.acts.units import Quantity, in_base, is_other_in_case, scales

__all__ = ("DEEPEST", "TOO_DEEP", "are_units_the_same", "is_close", "is_same", "is_shallow", "shown")

DEEPEST = 100
"""Levels of lists and maps that are compared; what is deeper is the same only if it is the very same object."""
_PLAIN = frozenset([bool, int, float, str, date, datetime, timedelta])
"""Types whose equal values mean the same in every field."""
TOO_DEEP = "what is nested too deeply to show"


def is_shallow(value: Any) -> bool:
    """Say whether a value can be walked by functions that call themselves."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for item in level for inner in _parts(item)]
        if not level:
            return True
    return False


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, list | tuple):
        return cast("Iterable[Any]", value)
    return (entries_of(value) or {}).values()


def shown(value: Any) -> str:
    """Return a value in one line, whatever it is; a number of thousands of digits is told by its size."""
    try:
        return format_value(value) if is_shallow(value) else TOO_DEEP
    except ValueError:
        return (
            f"a number of {value.bit_length()} bits" if isinstance(value, int) else "what cannot be written"
        )


def is_same(kind: FieldType | None, meant: Any, understood: Any, depth: int = 0) -> bool:
    """Say whether two values of one field mean the same.

    Texts compare without case and spacing, identifiers, choices and whole numbers exactly, other numbers but for rounding,
    times as instants, money by amount and currency, quantities by what they are in base units. What the type says of a
    glossary or of lists without order counts.

    Args:
        kind: The type of the field, if it is known.
        meant: One value.
        understood: The other.
        depth: Levels above these values; for the function itself.
    """
    if meant is understood:
        return True
    if type(meant) is type(understood) and type(meant) in _PLAIN and meant == understood:
        return True
    if meant is None or understood is None:
        return False
    if kind is not None and kind.kind in ("id", "choice"):
        if type(meant) is type(understood) and _is_equal(meant, understood):
            return True
        return "glossary" in kind.constraints and _is_synonym(kind, meant, understood)
    match meant, understood:
        case (bool(), _) | (_, bool()):
            return False
        case str(), str():
            if fold(meant) == fold(understood):
                return are_units_the_same(meant, understood)
            return (
                kind is not None and "glossary" in kind.constraints and _is_synonym(kind, meant, understood)
            )
        case Money(), Money():
            return meant.currency == understood.currency and _is_equal(meant.amount, understood.amount)
        case datetime(), datetime():
            if (meant.tzinfo is None) != (understood.tzinfo is None):
                return False
            return meant == understood
        case ((int() | float()), (int() | float())):
            return meant == understood or is_close(meant, understood)
        case timedelta(), timedelta():
            return meant == understood
        case Quantity(), Quantity():
            return (
                meant.unit == understood.unit and _is_equal(meant.amount, understood.amount)
            ) or _is_converted(meant, understood)
        case _:
            return depth < DEEPEST and _is_same_inside(kind, meant, understood, depth + 1)


_MEASURED = re.compile(r"\d\s*([^\W\d_]{1,5})(?![^\W\d_])")


def are_units_the_same(one: str, other: str) -> bool:
    """Say whether texts that differ in case only name the same units: `5 MW` is not `5 mW`."""
    left, right = _MEASURED.findall(one), _MEASURED.findall(other)
    if left == right:
        return True
    return len(left) == len(right) and all(
        a == b or not is_other_in_case(a, b) for a, b in zip(left, right, strict=True)
    )


def _is_same_inside(kind: FieldType | None, meant: Any, understood: Any, depth: int) -> bool:
    """Compare lists item by item and maps field by field; anything else as it is."""
    if isinstance(meant, list) and isinstance(understood, list):
        one, other = cast("list[Any]", meant), cast("list[Any]", understood)
        item = kind.item if kind else None
        if len(one) != len(other):
            return False
        if kind is not None and kind.constraints.get("ordered") is False:
            return _fits(item, one, other, depth) and _fits(item, other, one, depth)
        return all(is_same(item, a, b, depth) for a, b in zip(one, other, strict=True))
    left, right = entries_of(meant), entries_of(understood)
    if left is None or right is None:
        return _is_equal(meant, understood)
    fields = (kind.fields if kind else None) or {}
    return left.keys() == right.keys() and all(
        is_same(fields.get(k), v, right[k], depth) for k, v in left.items()
    )


def _fits(item: FieldType | None, one: list[Any], other: list[Any], depth: int) -> bool:
    """Say whether each item of one list has one of its own in the other."""
    if all(type(value) is str for value in (*one, *other)) and not (item and item.constraints):
        exact = item is not None and item.kind in ("id", "choice")
        return (
            Counter(one) == Counter(other) if exact else Counter(map(fold, one)) == Counter(map(fold, other))
        )
    left = list(other)
    for value in one:
        at = next((n for n, candidate in enumerate(left) if is_same(item, value, candidate, depth)), None)
        if at is None:
            return False
        del left[at]
    return True


def _is_synonym(kind: FieldType, one: Any, other: Any) -> bool:
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    words = kind.constraints["glossary"]
    return canonical_name(words, one) == canonical_name(words, other)


def _is_equal(one: Any, other: Any) -> bool:
    """Say whether two values are equal; a signalling not-a-number and what is nested without end are equal to nothing else."""
    try:
        return bool(one == other)
    except (ArithmeticError, RecursionError):
        return False


def _is_converted(one: Quantity, other: Quantity) -> bool:
    """Say whether two quantities are the same, in every meaning of their units."""
    if one.unit == other.unit:
        return False
    left, right = scales(one.unit), scales(other.unit)
    return bool(left and right) and all(
        a.base == b.base and is_close(in_base(one.amount, a), in_base(other.amount, b))
        for a in left
        for b in right
    )


def is_close(one: Any, other: Any) -> bool:
    """Say whether two numbers differ by rounding only; whole numbers are never rounded, and no number is no number."""
    if isinstance(one, int) and isinstance(other, int):
        return False
    try:
        if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
            return True
        return math.isclose(one, other, rel_tol=1e-9)
    except OverflowError:
        return False
