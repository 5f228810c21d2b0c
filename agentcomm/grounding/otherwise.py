"""A value in another form than it was said in: what is tried when saying it again did not help.

Letters and figures one by one, as they are read back over a radio; days with their weekday, moments with the hours to UTC; one choice
among all. The value itself stands first, so nothing has to be worked out from the other form.

Source: ICAO Doc 4444 (figures digit by digit); change of representation in collaborative repair (Clark & Wilkes-Gibbs 1986).
"""

import re
from datetime import date, datetime, timedelta
from typing import Any, cast

from agentcomm.acts.content import FieldType, Money, format_value
from agentcomm.acts.units import Quantity

__all__ = ("otherwise",)

_SPELLED = 40
"""Characters of a text that are still spelled."""
_FIGURES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NAMED = {
    ".": "point",
    "-": "dash",
    "_": "underscore",
    "/": "slash",
    ":": "colon",
    "@": "at",
    "+": "plus",
    " ": "space",
}


def otherwise(kind: FieldType | None, value: Any) -> str:
    """Return a value as it is written, and in another form in brackets, where it has one.

    Args:
        kind: The type of its field, if it is known.
        value: As content holds it.
    """
    plain = format_value(value)
    other = _other(kind, value)
    return f"{plain} ({other})" if other else plain


def _other(kind: FieldType | None, value: Any) -> str:
    match value:
        case bool():
            return "it is so" if value else "it is not so"
        case int() | float():
            return _spelled(str(value))
        case Money():
            return f"{_spelled(str(value.amount))}, in {value.currency}"
        case Quantity():
            return f"{_spelled(str(value.amount))}, in {value.unit}"
        case datetime():
            zone = value.strftime("%z")
            where = f", {zone[:3]}:{zone[3:]} to UTC" if zone else ", no zone was said"
            return f"{_day(value.date())}, {value:%H:%M:%S}{where}"
        case date():
            return _day(value)
        case timedelta():
            seconds = value.total_seconds()
            return f"{seconds:g} seconds"
        case str():
            if kind is not None and kind.kind == "choice":
                return f"of {', '.join(map(str, kind.choices))}"
            return (
                _spelled(value) if kind is not None and kind.kind == "id" and len(value) <= _SPELLED else ""
            )
        case list():
            items = cast("list[Any]", value)
            return f"{len(items)} in all"
        case _:
            return ""


def _day(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%B} {day.year}"


def _spelled(text: str) -> str:
    """Return letters and figures one by one, with words for figures and marks."""
    return " ".join(
        _FIGURES[int(letter)] if re.fullmatch(r"[0-9]", letter) else _NAMED.get(letter, letter)
        for letter in text
    )
