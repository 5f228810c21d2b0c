"""Content for any act, made from the types of its fields: data that a peer might send."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from agentcomm.acts.content import FieldType, format_duration, parse_duration, parse_money
from agentcomm.acts.units import parse_quantity
from agentcomm.errors import UsageError
from agentcomm.protocol.graph import Act
from agentcomm.testing.choices import Choices
from agentcomm.testing.patterns import text_matching

__all__ = ("WRONG", "Examples", "content_for_act", "content_of", "value_of")

Examples = Mapping[str, Sequence[Mapping[str, Any]]]
"""Act -> contents that are said as they are, where types alone say too little."""

WRONG: Mapping[str, Any] = {
    "text": 7, "id": 7, "int": "7", "number": "7", "bool": "yes", "date": 7, "datetime": 7, "duration": 7,
    "money": 7, "quantity": 7, "list": "7", "choice": "no such choice", "map": 7,
}  # fmt: skip
"""For each type a value that is none of it."""

_START = datetime(2026, 1, 1, tzinfo=UTC)
_ANY: tuple[Any, ...] = (None, 0, -3, 1.5, "text", True, [1, [2]], {"a": {"b": None}})
_LONGEST = 8
"""Characters of a text, unless its constraints ask for more."""
_SPAN = 100
"""How far numbers reach from the only bound that they have."""


def content_for_act(act: Act, choices: Choices, examples: Examples | None = None) -> dict[str, Any]:
    """Return content of an act: one of the examples, else made from the types of its fields.

    Raises:
        UsageError: If only a class of yours knows its fields, and there is no example.
    """
    given = [*(examples or {}).get(act.label, ()), *((examples or {}).get(act.name, ()))]
    if given:
        return dict(choices.pick(given))
    if act.registered is not None and all(kind.kind == "any" for kind in act.fields.values()):
        raise UsageError(
            f"nobody knows what {act.label!r} may carry",
            why=f"its content is {act.registered.__name__}, a class of yours, and the protocol does not tell its fields",
            fix=f"examples={{{act.label!r}: [{{…}}]}}",
            code="U522",
        )
    return content_of(act.fields, choices)


def content_of(fields: Mapping[str, FieldType], choices: Choices) -> dict[str, Any]:
    """Return a value for every field; optional ones are sometimes left out."""
    made = {name: value_of(kind, choices) for name, kind in fields.items()}
    return {name: value for name, value in made.items() if value is not None or not fields[name].optional}


def value_of(kind: FieldType, choices: Choices) -> Any:
    """Return a value of a field's type within its constraints, as data that a peer might send."""
    if kind.optional and choices.chance(0.3):
        return None
    limits = kind.constraints
    match kind.kind:
        case "text" | "id":
            return _text(kind, choices)
        case "int":
            low, high = _whole_bounds(limits)
            return choices.integer(low, high)
        case "number":
            low, high = _bounds(limits)
            return choices.number(low, high)
        case "bool":
            return choices.chance(0.5)
        case "date":
            return (date(2026, 1, 1) + timedelta(days=choices.integer(0, 400))).isoformat()
        case "datetime":
            return (_START + timedelta(minutes=choices.integer(0, 10**6))).isoformat()
        case "duration":
            return _duration(limits, choices)
        case "money":
            return _money(limits, choices)
        case "quantity":
            return _quantity(limits, choices)
        case "any":
            return choices.pick(_ANY)
        case "list":
            least = limits.get("minItems", 0)
            count = choices.integer(least, min(limits.get("maxItems", least + 3), least + 3))
            return [value_of(kind.item or FieldType("any"), choices) for _ in range(count)]
        case "choice":
            return choices.pick(kind.choices)
        case "map":
            return content_of(kind.fields or {}, choices)


def _text(kind: FieldType, choices: Choices) -> str:
    limits = kind.constraints
    least = limits.get("minLength", 1 if kind.kind == "id" else 0)
    most = max(least, min(limits.get("maxLength", max(_LONGEST, least + _LONGEST)), least + _LONGEST))
    pattern = limits.get("pattern")
    if pattern is None:
        return choices.text(least, most)
    for _ in range(50):
        made = text_matching(pattern, choices)
        if least <= len(made) <= limits.get("maxLength", len(made)) and re.search(pattern, made):
            return made
    raise UsageError(
        f"no text was found that matches {pattern!r}",
        why="only the plain parts of regular expressions are followed",
        fix="give an example of the act: examples={…: [{…}]}",
        code="U523",
    )


def _bounds(limits: Mapping[str, Any]) -> tuple[float, float]:
    """Return the least and the greatest number; bounds that are excluded are kept clear of by a little."""
    low, high = limits.get("minimum"), limits.get("maximum")
    over, under = limits.get("exclusiveMinimum"), limits.get("exclusiveMaximum")
    gap = (under - over) / 8 if over is not None and under is not None else 0.125
    lows = [bound for bound in (low, None if over is None else over + gap) if bound is not None]
    highs = [bound for bound in (high, None if under is None else under - gap) if bound is not None]
    least = max(lows) if lows else min([*highs, 0.0]) - _SPAN / 2
    most = min(highs) if highs else max(least, 0.0) + _SPAN / 2
    return float(least), float(max(least, most))


def _whole_bounds(limits: Mapping[str, Any]) -> tuple[int, int]:
    low, high = limits.get("minimum"), limits.get("maximum")
    over, under = limits.get("exclusiveMinimum"), limits.get("exclusiveMaximum")
    lows = [bound for bound in (low, None if over is None else over + 1) if bound is not None]
    highs = [bound for bound in (high, None if under is None else under - 1) if bound is not None]
    least = max(lows) if lows else min([*highs, 0]) - _SPAN // 2
    most = min(highs) if highs else max(least, 0) + _SPAN // 2
    return int(least), int(most)


def _duration(limits: Mapping[str, Any], choices: Choices) -> str:
    least = parse_duration(limits.get("minimum", "1s"))
    most = parse_duration(limits["maximum"]) if "maximum" in limits else least + timedelta(hours=90)
    span = int((most - least).total_seconds())
    seconds = choices.integer(0, max(span, 0))
    return format_duration(least + timedelta(seconds=seconds))


def _quantity(limits: Mapping[str, Any], choices: Choices) -> str:
    """Return a quantity in the unit of its type, or of its bounds."""
    bounds = {name: parse_quantity(limits[name]) for name in ("minimum", "maximum") if name in limits}
    unit = next((bound.unit for bound in bounds.values()), limits.get("unit", "l"))
    low = math.ceil(bounds["minimum"].amount) if "minimum" in bounds else 0
    high = math.floor(bounds["maximum"].amount) if "maximum" in bounds else low + 1000
    return f"{choices.integer(low, max(low, high))} {unit}"


def _money(limits: Mapping[str, Any], choices: Choices) -> str:
    """Return an amount within bounds that are bare numbers, or amounts in one currency."""
    currency = "EUR"
    bounds: dict[str, Decimal] = {}
    for word in ("minimum", "maximum"):
        if isinstance(bound := limits.get(word), int | float):
            bounds[word] = Decimal(str(bound))
        elif bound is not None:
            money = parse_money(bound)
            bounds[word], currency = money.amount, money.currency
    least = bounds.get("minimum", min(Decimal(1), bounds.get("maximum", Decimal(1))))
    most = bounds.get("maximum", least + 500)
    cents = choices.integer(0, int((most - least) * 100))
    return f"{least + Decimal(cents) / 100:f} {currency}"
