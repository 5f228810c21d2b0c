"""Read quantities and money as people and models write them: `half a cubic metre`, `1.000,50 EUR`, `€5`.

Every possible reading is returned. A sign that several currencies share (`$`, `£`, `¥`, `kr`) has one reading for each.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from agentcomm.acts.content import Money
from agentcomm.acts.units import Quantity, is_unit
from agentcomm.grounding.numbers import NUMERAL, read_number

__all__ = ("as_decimal", "read_money", "read_quantity")

_LONGEST = 100
"""Characters of an amount."""
_DIGITS_FIRST = re.compile(
    rf"(?P<n>{NUMERAL}(?:k\b| (?:hundred|thousand|million|billion|dozen)\b)?)\s*(?P<unit>\S.*)", re.IGNORECASE
)
_SIGNS: dict[str, tuple[str, ...]] = {
    "€": ("EUR",),
    "euro": ("EUR",),
    "us$": ("USD",),
    "us dollar": ("USD",),
    "a$": ("AUD",),
    "c$": ("CAD",),
    "ca$": ("CAD",),
    "nz$": ("NZD",),
    "hk$": ("HKD",),
    "australian dollar": ("AUD",),
    "canadian dollar": ("CAD",),
    "$": ("USD", "AUD", "CAD", "NZD", "HKD", "SGD", "MXN"),
    "dollar": ("USD", "AUD", "CAD", "NZD", "HKD", "SGD"),
    "£": ("GBP", "EGP", "LBP"),
    "pound": ("GBP", "EGP", "LBP"),
    "pound sterling": ("GBP",),
    "british pound": ("GBP",),
    "¥": ("JPY", "CNY"),
    "yen": ("JPY",),
    "yuan": ("CNY",),
    "swiss franc": ("CHF",),
    "franc": ("CHF", "XAF", "XOF"),
    "kr": ("SEK", "NOK", "DKK", "ISK"),
    "krona": ("SEK", "ISK"),
    "krone": ("NOK", "DKK"),
    "₹": ("INR",),
    "rs": ("INR", "PKR", "LKR", "NPR"),
    "rupee": ("INR", "PKR", "LKR", "NPR"),
    "zł": ("PLN",),
    "zloty": ("PLN",),
    "₽": ("RUB",),
    "₩": ("KRW",),
}
_PLURALS = {"pounds sterling": "pound sterling", "kronor": "krona", "kroner": "krone"}
_SIGN_FIRST = re.compile(rf"(?P<unit>[^\d\s+\-\u2212.,]{{1,3}})\s*(?P<n>{NUMERAL}.*)")


def read_quantity(text: str) -> tuple[Quantity, ...]:
    """Return the quantities that a whole text can be, nothing if it is none."""
    found = {
        Quantity(as_decimal(number), unit): None
        for numbers, unit in _split(text)
        if is_unit(unit)
        for number in numbers
    }
    return tuple(found)


def read_money(text: str) -> tuple[Money, ...]:
    """Return the amounts of money that a whole text can be, nothing if it is none."""
    signed = _SIGN_FIRST.fullmatch(" ".join(text.split())) if len(text) <= _LONGEST else None
    first = [(read_number(signed["n"]), signed["unit"])] if signed else []
    return tuple(
        {
            Money(as_decimal(number), currency): None
            for numbers, unit in (*first, *_split(text))
            for currency in _currencies(unit)
            for number in numbers
        }
    )


def _currencies(unit: str) -> tuple[str, ...]:
    if re.fullmatch(r"[A-Z]{3}", unit):
        return (unit,)
    word = unit.casefold()
    word = _PLURALS.get(word, word)
    if word in _SIGNS or word.removesuffix("s") in _SIGNS:
        return _SIGNS.get(word) or _SIGNS[word.removesuffix("s")]
    return (word.upper(),) if word in ("eur", "usd", "gbp", "chf", "jpy") else ()


def _split(text: str) -> Iterator[tuple[tuple[Fraction, ...], str]]:
    """Yield the ways in which a text is a number and what it counts."""
    if len(text) > _LONGEST:
        return
    text = " ".join(text.split())
    if text[:1].isdigit() or text[:1] in "+-\u2212":
        if found := _DIGITS_FIRST.fullmatch(_ungrouped(text)):
            yield read_number(found["n"]), found["unit"].strip()
        return
    words = text.split(" ")
    for at in range(len(words) - 1, 0, -1):
        if numbers := read_number(" ".join(words[:at])):
            yield numbers, " ".join(words[at:])
            return


def _ungrouped(text: str) -> str:
    """Return a text with the spaces within a number taken out: `1 000 l`."""
    found = re.match(r"[+\-\u2212]?\d{1,3}(?: \d{3})+(?!\d)", text)
    return found[0].replace(" ", "") + text[found.end() :] if found else text


def as_decimal(number: Fraction) -> Decimal:
    """Return a fraction as a decimal number, rounded to 28 digits where it does not end."""
    return Decimal(number.numerator) / Decimal(number.denominator)
