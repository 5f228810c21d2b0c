"""Compare what was meant with what was understood, value by value and by type.

Pure code decides; a model's "looks good" never does. Source: closed-loop communication (ICAO read-back and hear-back).

`is_same` is for values of a field's type and costs the same for all plain ones. `compare` asks it first and, only where it says
no, reads a free restatement (`half a cubic metre`) and says in which way the two differ.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from agentcomm.acts.content import FieldType, Money, to_plain
from agentcomm.acts.frozen import freeze
from agentcomm.acts.units import Quantity, in_base, parse_quantity, scales
from agentcomm.grounding.same import TOO_DEEP, is_same, is_shallow, shown

__all__ = (
    "Difference",
    "Incomparable",
    "agrees",
    "compare",
    "difference",
    "differences",
    "holds",
    "is_same",
)


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field that was understood otherwise than meant."""

    field: str
    meant: Any
    understood: Any
    kind: str = "value"
    """In which way: value, unit, currency, zone, order, missing, added, negation, type, ambiguous or unreadable."""
    why: str = ""
    """More about it, such as the readings of what is ambiguous."""

    def __str__(self) -> str:
        more = f"; {self.why}" if self.why else ""
        return f"{self.field} (meant {shown(self.meant)}, understood {shown(self.understood)}{more})"

    @property
    def sentence(self) -> str:
        """What differs and what to do, for a model and a person."""
        more = f" ({self.why})" if self.why else ""
        return f"{self.field}: {shown(self.meant)} was meant, {shown(self.understood)} was understood{more}; {_REMEDY[self.kind]}."


_REMEDY = {
    "value": "say the value that was meant",
    "unit": "say it in the unit that was meant, or in one that converts to it",
    "currency": "say the amount with the currency that was meant",
    "zone": "say the time with its zone",
    "order": "say the items in the order that was meant",
    "missing": "say what is missing too",
    "added": "leave out what was not meant",
    "negation": "say whether it is to be or not to be",
    "type": "say a value of the type that was meant",
    "ambiguous": "say it so that it can be read in one way only",
    "unreadable": "say it as a plain value",
}


class Incomparable(ValueError):
    """Two values that have no order: two currencies, two kinds of unit, or a time with a zone and one without."""


def difference(field: str, meant: Any, understood: Any, kind: str = "value", why: str = "") -> Difference:
    """Return a difference with both values in their written form, read only."""
    return Difference(field, _written(meant), _written(understood), kind, why)


def _written(value: Any) -> Any:
    return freeze(to_plain(value)) if is_shallow(value) else TOO_DEEP


def differences(
    kinds: Mapping[str, FieldType],
    meant: Mapping[str, Any],
    understood: Mapping[str, Any],
    *,
    both_ways: bool = False,
    restated: bool = False,
) -> tuple[Difference, ...]:
    """Return the fields of `meant` that `understood` lacks or has otherwise.

    Args:
        kinds: Types of the fields, as far as they are known.
        meant: What was said, by field.
        understood: What was said back.
        both_ways: Fields that only `understood` has are differences, too.
        restated: A text that restates a value is as good as the value.
    """
    pairs = [(name, value, understood.get(name)) for name, value in meant.items()]
    if both_ways:
        pairs += [(name, None, value) for name, value in understood.items() if name not in meant]
    found = [compare(name, kinds.get(name), one, other, restated=restated) for name, one, other in pairs]
    return tuple([entry for entry in found if entry])


def agrees(kind: FieldType | None, meant: Any, understood: Any) -> bool:
    """Say whether two values mean the same by type, or one restates the other in words."""
    return compare("", kind, meant, understood) is None


def compare(
    field: str, kind: FieldType | None, meant: Any, understood: Any, *, restated: bool = True
) -> Difference | None:
    """Return in which way a value was understood otherwise than meant, None if it was not.

    A text that restates a value is read where it can be read in one way, or where every way is the same; where one reading is what
    was meant and another is not, it is ambiguous.

    Args:
        field: Name of the field.
        kind: Its type, if it is known.
        meant: The value as it was said.
        understood: The value as it was understood.
        restated: A text that restates a value is as good as the value; without it, it is a difference.
    """
    if is_same(kind, meant, understood):
        return None
    from agentcomm.grounding.explain import explain

    found = explain(kind, meant, understood)
    if found is not None:
        return difference(field, meant, understood, found.kind, found.why)
    return None if restated else difference(field, meant, understood, "value", "the same in other words")


def holds(op: str, left: Any, right: Any) -> bool:
    """Say whether `left op right`.

    Raises:
        Incomparable: If the two have no order.
    """
    match op:
        case "==":
            left, right = _ordered(left, right, only_money=True)
            return is_same(None, left, right)
        case "!=":
            left, right = _ordered(left, right, only_money=True)
            return not is_same(None, left, right)
        case "in":
            return any(is_same(None, left, _like(left, item)) for item in right)
        case _:
            return _is_ordered(op, *_ordered(left, right))


def _is_ordered(op: str, a: Any, b: Any) -> bool:
    try:
        match op:
            case "<":
                return bool(a < b)
            case "<=":
                return bool(a <= b)
            case ">":
                return bool(a > b)
            case _:
                return bool(a >= b)
    except ArithmeticError:
        raise Incomparable(f"{shown(a)} and {shown(b)} have no order") from None


def _like(value: Any, constant: Any) -> Any:
    """Return a constant of a protocol file as a quantity where it is compared with one."""
    if isinstance(value, Quantity) and isinstance(constant, str):
        try:
            return parse_quantity(constant)
        except ValueError:
            return constant
    return constant


def _ordered(left: Any, right: Any, *, only_money: bool = False) -> tuple[Any, Any]:
    if isinstance(left, Money) and isinstance(right, Money):
        if left.currency != right.currency:
            raise Incomparable(f"{left} and {right} are in two currencies")
        return left.amount, right.amount
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        return _in_one_unit(_like(right, left), _like(left, right))
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
    raise Incomparable(f"{shown(left)} and {shown(right)} have no order")


def _in_one_unit(left: Any, right: Any) -> tuple[Any, Any]:
    """Return two quantities as numbers in one unit."""
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        if left.unit == right.unit:
            return left.amount, right.amount
        one, other = scales(left.unit), scales(right.unit)
        if len(one) == len(other) == 1 and one[0].base == other[0].base:
            return in_base(left.amount, one[0]), in_base(right.amount, other[0])
    raise Incomparable(f"{shown(left)} and {shown(right)} have no unit in common")
