"""How a value comes to be another one: what a mishearing, a swapped unit or a lost constraint makes of it, type by type.

Each function takes a type, a value as plain data and choices, and returns another value, or None where it does not apply.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, cast

from agentcomm.acts.content import (
    Content,
    FieldType,
    Money,
    entries_of,
    format_duration,
    parse_duration,
    parse_money,
    to_plain,
)
from agentcomm.acts.units import Quantity, parse_quantity
from agentcomm.grounding.compare import is_same
from agentcomm.protocol.graph import Act
from agentcomm.testing.choices import Choices
from agentcomm.testing.contents import value_of

__all__ = (
    "LOST",
    "Change",
    "changed",
    "fewer",
    "near",
    "other_unit",
    "plain_content",
    "reversed_text",
    "same",
)

Change = Callable[[FieldType, Any, Choices], Any]
LOST = object()
"""What `fewer` makes of a field that may be absent."""
_TRIES = 8
_UNITS: Mapping[str, str] = {
    "mg": "g", "g": "mg", "kg": "g", "t": "kg", "ml": "l", "l": "ml", "mm": "cm", "cm": "mm", "m": "km", "km": "m",
    "MB": "GB", "GB": "MB", "W": "kW", "kW": "W", "mA": "A", "A": "mA", "V": "mV",
}  # fmt: skip
_LARGER: Mapping[str, str] = {
    "mg": "g",
    "g": "kg",
    "kg": "t",
    "ml": "l",
    "mm": "m",
    "m": "km",
    "W": "kW",
    "mA": "A",
}
"""Unit -> the unit of a thousand of it."""
_CURRENCIES = ("EUR", "USD", "GBP")
_LONGER: Mapping[float, float] = {1.0: 60.0, 60.0: 3600.0, 3600.0: 60.0}
_BUT = re.compile(r"(?:,|;| but| except| unless| only| if| and)\s.*\Z", re.DOTALL)


def plain_content(act: Act, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return content in the one written form that it has on record.

    Raises:
        ValueError: If it is no content of the act.
    """
    typed: Content = act.content.model_validate(dict(content))
    return cast("dict[str, Any]", to_plain(typed))


def changed(act: Act, content: Mapping[str, Any], name: str, choices: Choices, change: Change) -> Any:
    """Return another value for a field that the act can carry and that does not mean the same; None if there is none."""
    kind = act.fields[name]
    meant = getattr(act.content.model_validate(dict(content)), name)
    for _ in range(_TRIES):
        made = change(kind, content.get(name), choices)
        if made is None:
            return None
        if made is LOST:
            return LOST if kind.optional and content.get(name) is not None else None
        try:
            typed = getattr(act.content.model_validate({**content, name: made}), name)
        except ValueError:
            continue
        if not is_same(kind, meant, typed):
            return to_plain(typed)
    return None


def near(kind: FieldType, value: Any, choices: Choices) -> Any:
    """Return a value like the right one: a digit, a word or a choice is another."""
    match kind.kind:
        case "bool":
            return not value
        case "choice":
            return choices.pick([one for one in kind.choices if one != value] or [value])
        case "int":
            return _other_digit(str(value), choices, int)
        case "money" | "quantity":
            amount, _, unit = str(value).partition(" ")
            return f"{_other_digit(amount, choices, str)} {unit}"
        case "text" | "id" if isinstance(value, str) and value:
            return (
                _other_digit(value, choices, str) if re.search(r"\d", value) else _other_word(value, choices)
            )
        case _:
            return value_of(kind, choices)


def _other_digit(text: str, choices: Choices, make: Callable[[str], Any]) -> Any:
    places = [place for place, letter in enumerate(text) if letter.isdigit()]
    place = choices.pick(places)
    digit = choices.pick([str(one) for one in range(1, 10) if str(one) != text[place]])
    return make(text[:place] + digit + text[place + 1 :])


def _other_word(text: str, choices: Choices) -> str:
    words = text.split()
    if len(words) < 2:  # noqa: PLR2004
        return f"{text}-{choices.integer(2, 9)}"
    del words[choices.integer(0, len(words) - 1)]
    return " ".join(words)


def other_unit(kind: FieldType, value: Any, choices: Choices) -> Any:
    """Return the same figure in another unit, currency, zone or order of day and month."""
    match kind.kind:
        case "quantity":
            quantity = parse_quantity(value)
            unit = _UNITS.get(quantity.unit)
            return None if unit is None else str(Quantity(quantity.amount, unit))
        case "money":
            money = parse_money(value)
            return str(Money(money.amount, choices.pick([c for c in _CURRENCIES if c != money.currency])))
        case "duration":
            seconds = parse_duration(value).total_seconds()
            size = next(size for size in (3600.0, 60.0, 1.0) if not seconds % size or size == 1.0)
            return format_duration(timedelta(seconds=seconds / size * _LONGER[size]))
        case "datetime":
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                return None
            return moment.replace(tzinfo=timezone(timedelta(hours=choices.pick((-5, 1, 2, 9))))).isoformat()
        case "date":
            day = date.fromisoformat(value)
            return day.replace(month=day.day, day=day.month).isoformat() if day.day <= 12 else None  # noqa: PLR2004
        case "int" | "number":
            return value * 1000 if value else None
        case _:
            return None


def fewer(kind: FieldType, value: Any, choices: Choices) -> Any:
    """Return the value without one of its constraints: an item, a clause, a yes, or the whole of what may be absent."""
    if kind.optional and value is not None:
        return LOST
    match kind.kind:
        case "list":
            if not value:
                return None
            gone = choices.integer(0, len(value) - 1)
            return [item for place, item in enumerate(value) if place != gone]
        case "bool":
            return False if value else None
        case "text":
            shorter = _BUT.sub("", str(value))
            return shorter if shorter != value else None
        case _:
            return None


def reversed_text(kind: FieldType, value: Any, _choices: Choices) -> Any:
    """Return a text that says the opposite; other types have none."""
    if kind.kind != "text" or not isinstance(value, str) or not value.strip():
        return None
    return value[4:] if value.startswith("not ") else f"not {value}"


def same(kind: FieldType, value: Any, choices: Choices) -> Any:
    """Return the value in another written form that means the same, or as it is."""
    match kind.kind:
        case "quantity":
            quantity = parse_quantity(value)
            unit = _LARGER.get(quantity.unit)
            return value if unit is None else f"{quantity.amount / 1000:f} {unit}"
        case "money":
            money = parse_money(value)
            return f"{money.amount + Decimal('0.00'):f} {money.currency}"
        case "datetime":
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                return value
            return moment.astimezone(timezone(timedelta(hours=choices.pick((-5, 1, 2, 9))))).isoformat()
        case "duration":
            seconds = parse_duration(value).total_seconds()
            return value if seconds % 60 else f"{seconds / 60:.0f}m"
        case "text":
            return value.upper() if value.upper().casefold() == value.casefold() else value
        case _:
            return value


def fields_of(content: Any) -> dict[str, Any]:
    """Return content as plain data by field."""
    return {name: to_plain(value) for name, value in (entries_of(content) or {}).items() if value is not None}
