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
    rf"(?P<n>(?:\d{{1,4}} )?\d{{1,2}}/(?:[2-9]|1[026])(?!\d)|\d{{1,4}} ?[\u00bd\u00bc\u00be]"
    rf"|{NUMERAL}(?:k(?![a-z])| ?k(?=[\u20ac$£¥])| ?(?:m(?:n|ln|io\.?)|bn)(?![a-z])| (?:hundred|thousand|million|billion|dozen)\b)?)"
    r"\s*(?P<unit>\S.*)",
    re.IGNORECASE,
)
_CODES = frozenset(
    [
        "AED",
        "AFN",
        "ALL",
        "AMD",
        "ANG",
        "AOA",
        "ARS",
        "AUD",
        "AWG",
        "AZN",
        "BAM",
        "BBD",
        "BDT",
        "BGN",
        "BHD",
        "BIF",
        "BMD",
        "BND",
        "BOB",
        "BRL",
        "BSD",
        "BTN",
        "BWP",
        "BYN",
        "BZD",
        "CAD",
        "CDF",
        "CHF",
        "CLF",
        "CLP",
        "CNH",
        "CNY",
        "COP",
        "CRC",
        "CUP",
        "CVE",
        "CZK",
        "DJF",
        "DKK",
        "DOP",
        "DZD",
        "EGP",
        "ERN",
        "ETB",
        "EUR",
        "FJD",
        "FKP",
        "GBP",
        "GEL",
        "GHS",
        "GIP",
        "GMD",
        "GNF",
        "GTQ",
        "GYD",
        "HKD",
        "HNL",
        "HTG",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "IQD",
        "IRR",
        "ISK",
        "JMD",
        "JOD",
        "JPY",
        "KES",
        "KGS",
        "KHR",
        "KMF",
        "KPW",
        "KRW",
        "KWD",
        "KYD",
        "KZT",
        "LAK",
        "LBP",
        "LKR",
        "LRD",
        "LSL",
        "LYD",
        "MAD",
        "MDL",
        "MGA",
        "MKD",
        "MMK",
        "MNT",
        "MOP",
        "MRU",
        "MUR",
        "MVR",
        "MWK",
        "MXN",
        "MYR",
        "MZN",
        "NAD",
        "NGN",
        "NIO",
        "NOK",
        "NPR",
        "NZD",
        "OMR",
        "PAB",
        "PEN",
        "PGK",
        "PHP",
        "PKR",
        "PLN",
        "PYG",
        "QAR",
        "RON",
        "RSD",
        "RUB",
        "RWF",
        "SAR",
        "SBD",
        "SCR",
        "SDG",
        "SEK",
        "SGD",
        "SHP",
        "SLE",
        "SOS",
        "SRD",
        "SSP",
        "STN",
        "SVC",
        "SYP",
        "SZL",
        "THB",
        "TJS",
        "TMT",
        "TND",
        "TOP",
        "TRY",
        "TTD",
        "TWD",
        "TZS",
        "UAH",
        "UGX",
        "USD",
        "UYU",
        "UZS",
        "VES",
        "VND",
        "VUV",
        "WST",
        "XAF",
        "XAG",
        "XAU",
        "XCD",
        "XOF",
        "XPF",
        "YER",
        "ZAR",
        "ZMW",
        "ZWG",
    ]
)
"""Currencies of ISO 4217: other words of three capitals are no money, `ORD-71` least of all."""
_KILO = {"kilo": "kg", "kilos": "kg"}
_SIGNS: dict[str, tuple[str, ...]] = {
    "€": ("EUR",),
    "euro": ("EUR",),
    "us$": ("USD",),
    "us dollar": ("USD",),
    "u.s. dollar": ("USD",),
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
_UNDIVIDED = ("JPY", "KRW", "ISK")
"""Currencies that have no hundredths in use."""
_DASHES = re.compile(r"(?<=\d)[.,:](?:-{1,2}|[\u2013\u2014])(?!\d)")
"""What stands in place of no hundredths: `100,-`."""
_NEGATIVE = re.compile(r"(?:minus |negative |[-\u2212] ?(?=\D))([^+\-\u2212].*)", re.IGNORECASE)
_SAID_TWICE = re.compile(r"([^\d\s]{1,3} ?\d[\d.,]*) ?(?P<code>[A-Z]{3})")
"""A sign before and a code behind: `$100 USD`."""
_IN_PARTS = re.compile(
    r"(?P<whole>\d+ ?(?:\u20ac|\u00a3|[a-z][a-z .]{2,20}?))(?: ?(?:and )?(?P<part>\d\d)(?: ?(?:cents?|ct|pence|p))?)",
    re.IGNORECASE,
)
"""Hundredths said apart: `1234 euros and 50 cents`, `3€20`."""
_SIGN_FIRST = re.compile(rf"(?P<unit>[^\d\s+\-\u2212.,]{{1,3}})\s*(?P<n>{NUMERAL}.*)")


def read_quantity(text: str) -> tuple[Quantity, ...]:
    """Return the quantities that a whole text can be, nothing if it is none."""
    found = {
        Quantity(as_decimal(number), _KILO.get(unit.casefold(), unit)): None
        for numbers, unit in _split(text)
        if is_unit(_KILO.get(unit.casefold(), unit))
        for number in numbers
    }
    return tuple(found)


def read_money(text: str) -> tuple[Money, ...]:
    """Return the amounts of money that a whole text can be, nothing if it is none."""
    if len(text) > _LONGEST:
        return ()
    text = _DASHES.sub("", " ".join(text.split()))
    if (found := _NEGATIVE.fullmatch(text)) and not text[1:2].isdigit():
        return tuple(Money(-money.amount, money.currency) for money in read_money(found[1]))
    if found := _SAID_TWICE.fullmatch(text):
        return tuple(money for money in read_money(found[1]) if money.currency == found[2])
    if found := _IN_PARTS.fullmatch(text):
        return tuple(
            Money(money.amount + Decimal(found["part"]) / 100, money.currency)
            for money in read_money(found["whole"])
            if money.currency not in _UNDIVIDED
        )
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
    if unit in _CODES:
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
