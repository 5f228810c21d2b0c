"""Whether everything that fits one type fits another: what a peer of another version would make of a value."""

from collections.abc import Mapping
from typing import Any

from agentcomm.acts.content import FieldType, parse_duration, parse_money
from agentcomm.acts.units import parse_quantity

__all__ = ("misfit", "misfits")

_COMPARING = ("ordered", "glossary")
"""Constraints that say how values compare, not which are allowed."""
_WIDER = {("int", "number"), ("id", "text")}
"""Types whose values are also values of another."""


def misfits(sent: Mapping[str, FieldType], taken: Mapping[str, FieldType]) -> str:
    """Return why content of one shape may not be taken by another, empty if it always is."""
    for name, kind in sent.items():
        if name not in taken:
            return f"the field '{name}' is not known there"
        if problem := misfit(kind, taken[name], name):
            return problem
    missing = [name for name, kind in taken.items() if name not in sent and not kind.optional]
    return f"the field '{missing[0]}' is required there" if missing else ""


def misfit(sent: FieldType, taken: FieldType, name: str) -> str:
    """Return why a value of one type may not be one of another, empty if it always is."""
    if sent.optional and not taken.optional:
        return f"the field '{name}' may be left out, and is required there"
    if taken.kind == "any":
        return ""
    if sent.kind == "choice" and taken.kind == "choice":
        more = [value for value in sent.choices if not _in(value, taken.choices)]
        return f"'{name}' may be {more[0]!r}, which is no choice there" if more else ""
    if sent.kind != taken.kind and (sent.kind, taken.kind) not in _WIDER and not _is_text(sent, taken):
        return f"'{name}' is {sent}, and {taken} there"
    if sent.kind == "list" and sent.item and taken.item and (problem := misfit(sent.item, taken.item, name)):
        return problem
    if sent.kind == "map" and (problem := misfits(sent.fields or {}, taken.fields or {})):
        return f"in '{name}', {problem}"
    return _tighter(sent, taken, name)


def _in(value: Any, values: tuple[Any, ...]) -> bool:
    return any(value == other and type(value) is type(other) for other in values)


def _is_text(sent: FieldType, taken: FieldType) -> bool:
    return (
        sent.kind == "choice"
        and taken.kind == "text"
        and all(isinstance(value, str) for value in sent.choices)
    )


def _tighter(sent: FieldType, taken: FieldType, name: str) -> str:
    """Return which constraint lets fewer values pass."""
    for key, bound in taken.constraints.items():
        own = sent.constraints.get(key)
        if own == bound or key in _COMPARING:
            continue
        if own is not None and key not in ("pattern", "unit") and _inside(key, own, bound):
            continue
        return f"'{name}' has {key} {bound} there" + (f", and {own} here" if own is not None else "")
    return ""


def _inside(key: str, own: Any, bound: Any) -> bool:
    """Say whether one bound lets no more pass than the other; bounds in two currencies do not compare."""
    (unit, one), (other_unit, other) = _size(own), _size(bound)
    if unit != other_unit:
        return False
    return one >= other if key.startswith("min") or key == "exclusiveMinimum" else one <= other


def _size(bound: Any) -> tuple[str, float]:
    """Return a bound as unit and number."""
    if not isinstance(bound, str):
        return "", float(bound)
    for read in (_time, _price, _size_of):
        try:
            return read(bound)
        except (ValueError, OverflowError):
            continue
    return bound, 0.0  # pragma: no cover  (the reader of types admits nothing else)


def _time(bound: str) -> tuple[str, float]:
    return "s", parse_duration(bound).total_seconds()


def _price(bound: str) -> tuple[str, float]:
    money = parse_money(bound)
    return money.currency, float(money.amount)


def _size_of(bound: str) -> tuple[str, float]:
    quantity = parse_quantity(bound)
    return quantity.unit, float(quantity.amount)
