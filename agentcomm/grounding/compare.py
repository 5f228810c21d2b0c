"""Compare what was meant with what was understood, value by value and by type.

Pure code decides; a model's "looks good" never does. Source: closed-loop communication (ICAO read-back and hear-back).
"""

import math
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, cast

import msgspec

from agentcomm.acts.content import FieldType, Money, entries_of, format_value, to_plain
from agentcomm.acts.frozen import freeze

__all__ = ("Difference", "Incomparable", "difference", "differences", "holds", "is_same")


class Difference(msgspec.Struct, frozen=True):
    """One field that was understood otherwise than meant."""

    field: str
    meant: Any
    understood: Any

    def __str__(self) -> str:
        return f"{self.field} (meant {format_value(self.meant)}, understood {format_value(self.understood)})"


class Incomparable(ValueError):
    """Two values that have no order: two currencies, or a time with a zone and one without."""


def difference(field: str, meant: Any, understood: Any) -> Difference:
    """Return a difference with both values in their written form, read only."""
    return Difference(field, freeze(to_plain(meant)), freeze(to_plain(understood)))


def differences(
    kinds: Mapping[str, FieldType], meant: Mapping[str, Any], understood: Mapping[str, Any]
) -> tuple[Difference, ...]:
    """Return the fields of `meant` that `understood` lacks or has otherwise."""
    return tuple(
        difference(name, value, understood.get(name))
        for name, value in meant.items()
        if not is_same(kinds.get(name), value, understood.get(name))
    )


def is_same(kind: FieldType | None, meant: Any, understood: Any) -> bool:
    """Say whether two values of one field mean the same.

    Texts compare without case and spacing, identifiers, choices and whole numbers exactly, other numbers but for rounding,
    times as instants, money by amount and currency.
    """
    if meant is None or understood is None:
        return meant is understood
    if kind is not None and kind.kind in ("id", "choice"):
        return type(meant) is type(understood) and bool(meant == understood)
    match meant, understood:
        case (bool(), _) | (_, bool()):
            return meant is understood
        case str(), str():
            return _fold(meant) == _fold(understood)
        case Money(), Money():
            return meant == understood
        case datetime(), datetime():
            if (meant.tzinfo is None) != (understood.tzinfo is None):
                return False
            return meant == understood
        case ((int() | float()), (int() | float())):
            return meant == understood or _is_close(meant, understood)
        case list(), list():
            one, other = cast("list[Any]", meant), cast("list[Any]", understood)
            item = kind.item if kind else None
            return len(one) == len(other) and all(
                is_same(item, a, b) for a, b in zip(one, other, strict=True)
            )
        case _:
            left, right = entries_of(meant), entries_of(understood)
            if left is None or right is None:
                return bool(meant == understood)
            fields = (kind.fields if kind else None) or {}
            return left.keys() == right.keys() and all(
                is_same(fields.get(k), v, right[k]) for k, v in left.items()
            )


def _is_close(one: float, other: float) -> bool:
    """Say whether two numbers differ by rounding only; whole numbers are never rounded."""
    if isinstance(one, int) and isinstance(other, int):
        return False
    try:
        return math.isclose(one, other, rel_tol=1e-9)
    except OverflowError:
        return False


def _fold(text: str) -> str:
    """Return a text without case and spacing; what NFKC would fold stays, for 10² is not 102."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())


def holds(op: str, left: Any, right: Any) -> bool:
    """Say whether `left op right`.

    Raises:
        Incomparable: If the two have no order.
    """
    match op:
        case "==":
            _ordered(left, right, only_money=True)
            return is_same(None, left, right)
        case "!=":
            _ordered(left, right, only_money=True)
            return not is_same(None, left, right)
        case "in":
            return any(is_same(None, left, item) for item in right)
        case _:
            a, b = _ordered(left, right)
            match op:
                case "<":
                    return bool(a < b)
                case "<=":
                    return bool(a <= b)
                case ">":
                    return bool(a > b)
                case _:
                    return bool(a >= b)


def _ordered(left: Any, right: Any, *, only_money: bool = False) -> tuple[Any, Any]:
    if isinstance(left, Money) and isinstance(right, Money):
        if left.currency != right.currency:
            raise Incomparable(f"{left} and {right} are in two currencies")
        return left.amount, right.amount
    if only_money:
        return left, right
    if (
        isinstance(left, datetime)
        and isinstance(right, datetime)
        and (left.tzinfo is None) != (right.tzinfo is None)
    ):
        raise Incomparable(f"{left} and {right}: one has a zone, the other has none")
    number = isinstance(left, int | float) and isinstance(right, int | float)
    if number or (isinstance(left, date | timedelta) and type(left) is type(right)):
        return left, right
    raise Incomparable(f"{format_value(left)} and {format_value(right)} have no order")
