"""Figures in a text: numbers, amounts with their units, money, days and times, each with every reading it can have."""

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from agentcomm.acts.units import in_base, scales
from agentcomm.grounding.amounts import read_money, read_quantity
from agentcomm.grounding.numbers import NUMBER_WORDS, read_number
from agentcomm.grounding.times import read_when

__all__ = ("MONTHS", "WEEKDAYS", "Figure", "figure_at", "key_of")

Figure = frozenset[tuple[str, Any]]
"""Every reading of one figure: its kind and its value in base units."""

_LONGEST_FIGURE = 5
"""Words of a figure, such as `4 December 2026, 10 pm`."""
_RATE = re.compile(r"^(\S*\d\S*(?: \S+)?) an? (second|minute|hour|day|week|month|year)$")
_UNITLESS = frozenset([
    "a", "an", "as", "at", "in", "on", "are", "to", "and", "or", "of", "it", "if", "no", "am", "pm", "utc", "gmt",
    "the", "by", "per", "is", "was", "be", "been", "has", "have", "had", "do", "does", "did", "for", "with", "from",
    "into", "this", "that", "these", "those", "they", "them", "he", "she", "his", "her", "you", "your", "we", "our",
    "i", "my", "me", "who", "up", "down", "off", "out", "so", "then", "than", "too", "any"
])  # fmt: skip
"""Words that the library of units would read as units."""
MONTHS = frozenset([
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "oct", "nov", "dec"
])  # fmt: skip
WEEKDAYS = frozenset(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])
_NUMERIC = frozenset([*NUMBER_WORDS, "twice", "noon", "midday", "midnight"])
_COUNTED = {"twice": "two", "thrice": "three"}
_NOT_ONE = frozenset([
    "no", "every", "each", "any", "the", "which", "this", "that", "some"
])  # fmt: skip


def key_of(figure: Figure) -> str:
    """Return one word for a figure: that of its least reading, so that two ways to write it have one."""
    kind, value = min(figure, key=lambda reading: (reading[0], str(reading[1])))
    return f"#{kind}:{value}".replace(" ", "_")


def figure_at(tokens: Sequence[str], at: int) -> tuple[int, Figure]:
    """Return the longest figure that begins with a word: how many words, and what it can be."""
    first = tokens[at].casefold()
    if not (
        any(map(str.isdigit, first))
        or first in _NUMERIC
        or first in MONTHS
        or first in WEEKDAYS
        or first[0] in "€$£¥"
    ) and not (
        re.fullmatch(r"[A-Z]{3}", tokens[at]) and at + 1 < len(tokens) and tokens[at + 1][:1].isdigit()
    ):
        return 0, frozenset()
    if first == "one" and at and tokens[at - 1].casefold() in _NOT_ONE:
        return 0, frozenset()
    for length in range(min(_LONGEST_FIGURE, len(tokens) - at), 0, -1):
        words = [_COUNTED.get(token.casefold(), token) for token in tokens[at : at + length]]
        if readings := _readings(_RATE.sub(r"\1 per \2", " ".join(words)), words[-1].casefold()):
            return length, readings
    return 0, frozenset()


@lru_cache(maxsize=4096)
def _readings(text: str, last: str) -> Figure:
    """Return what a whole text can be as a figure, nothing if it is none."""
    if re.search(r"[A-Za-z]-?\d|\d_|_\d", text) and not re.fullmatch(r"\d{4}-W?\d\d.*", text):
        return frozenset()
    if text.casefold() in WEEKDAYS:
        return frozenset([("weekday", text.casefold())])
    found: set[tuple[str, Any]] = set()
    if when := read_when(text):
        return frozenset(map(_moment, when))
    if last not in _UNITLESS:
        found |= {("money", f"{money.currency} {money.amount.normalize():f}") for money in read_money(text)}
        for quantity in read_quantity(text) if " " in text or not text.isalpha() else ():
            found |= {
                (scale.base, in_base(quantity.amount, scale))
                for scale in scales(quantity.unit)
                if scale.base and quantity.unit.casefold() not in _NUMERIC
            }
    return frozenset(found) or frozenset(("number", number) for number in read_number(text))


def _moment(when: datetime | date | time) -> tuple[str, str]:
    if isinstance(when, datetime):
        return "moment", (when.replace(tzinfo=None) - (when.utcoffset() or timedelta())).isoformat()
    if isinstance(when, date):
        return "day", when.isoformat()
    return "time", when.isoformat(timespec="minutes")
