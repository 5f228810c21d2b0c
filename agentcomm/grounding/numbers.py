"""Read numbers as people and models write them: every reading that is possible, and none that is guessed.

`500`, `5e2`, `0.5k` and `five hundred` are one number; `1.000` and `1,000` may be one or a thousand, so they have two readings.
Number words are text2num's (MIT, 0.9 MB, 10 ms; it refuses what is no number, such as `twenty twenty`), loaded when words are
read for the first time. babel was not taken: 33 MB, and it must be told the locale, which nobody knows of a model.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

__all__ = ("NUMBER_WORDS", "NUMERAL", "read_number", "read_numeral")

_LONGEST = 100
"""Characters of a number."""
NUMERAL = r"[+\-\u2212]?\d[\d.,'\u2019_\u00a0\u202f]*(?:(?<=\d)[eE][+-]?\d{1,2}\b)?"
_GROUPED = re.compile(r"\d{1,3}(?:[ '\u2019_\u00a0\u202f]\d{3})+(?!\d)")
_PARTS = re.compile(r"(?P<sign>[+-]?)(?P<n>\d[\d.,]*)(?:[eE](?P<e>[+-]?\d{1,2}))?")
_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen half"
)
NUMBER_WORDS = tuple(_WORDS.split())
_CARDINALS = frozenset([*NUMBER_WORDS[:-2], "and"])
_SCALES = {
    "k": 10**3,
    "thousand": 10**3,
    "hundred": 100,
    "dozen": 12,
    "million": 10**6,
    "mio": 10**6,
    "mio.": 10**6,
    "mn": 10**6,
    "mln": 10**6,
    "billion": 10**9,
    "bn": 10**9,
    "trillion": 10**12,
}
_SCALED = re.compile(rf"(?P<n>.*\d)\s*(?P<scale>{'|'.join(map(re.escape, _SCALES))})", re.IGNORECASE)
_SIGNS = {"½": Fraction(1, 2), "¼": Fraction(1, 4), "¾": Fraction(3, 4)}
_PARTIAL = {
    "half": Fraction(1, 2),
    "a half": Fraction(1, 2),
    "half a": Fraction(1, 2),
    "half an": Fraction(1, 2),
    "half a dozen": Fraction(6),
    "one half": Fraction(1, 2),
    "a quarter": Fraction(1, 4),
    "quarter of a": Fraction(1, 4),
    "a quarter of a": Fraction(1, 4),
    "quarter": Fraction(1, 4),
    "quarter of an": Fraction(1, 4),
    "a quarter of an": Fraction(1, 4),
    "one quarter": Fraction(1, 4),
    "three quarters": Fraction(3, 4),
    "three quarters of a": Fraction(3, 4),
    "three quarters of an": Fraction(3, 4),
    "a": Fraction(1),
    "an": Fraction(1),
    "a dozen": Fraction(12),
}
_BROKEN = re.compile(
    r"(?:(?P<whole>\d{1,4}) )?(?P<top>\d{1,2})/(?P<bottom>[2-9]|1[026])|(?P<before>\d{1,4}) ?(?P<sign>[\u00bd\u00bc\u00be])"
)
_SCALED_HALF = re.compile(r"(.+ and (?:a half|a quarter|three quarters)) (thousand|million|billion)")
_AND = re.compile(r"(.+) and (a half|a quarter|three quarters)")


def read_number(text: str) -> tuple[Fraction, ...]:
    """Return the numbers that a whole text can be, nothing if it is none.

    A percentage is read both ways, `5 %` as 5 and as 0.05.
    """
    if len(text) > _LONGEST:
        return ()
    return _read(" ".join(text.replace("\u2212", "-").split()))


@lru_cache(maxsize=1024)
def _read(text: str) -> tuple[Fraction, ...]:
    if found := read_numeral(text):
        return found
    if text.endswith(("%", " percent")):
        inner = _read(text.removesuffix("%").removesuffix("percent").strip())
        return (*inner, *(number / 100 for number in inner))
    if found := _SCALED.fullmatch(text):
        scale = _SCALES[found["scale"].lower()]
        return tuple(number * scale for number in read_numeral(found["n"]))
    if text in _SIGNS:
        return (_SIGNS[text],)
    if found := _BROKEN.fullmatch(text):
        if found["sign"]:
            return (int(found["before"]) + _SIGNS[found["sign"]],)
        return (int(found["whole"] or 0) + Fraction(int(found["top"]), int(found["bottom"])),)
    word = _word(text.lower()) if text.isascii() else None
    return () if word is None else (word,)


def read_numeral(text: str) -> tuple[Fraction, ...]:
    """Return the numbers that digits with points and commas can be."""
    text = text.replace("\u2212", "-").strip()
    if _GROUPED.search(text):
        text = _GROUPED.sub(lambda found: re.sub(r"[ '\u2019_\u00a0\u202f]", "", found[0]), text)
    found = _PARTS.fullmatch(text)
    if found is None or len(text) > _LONGEST:
        return ()
    power = Fraction(10) ** int(found["e"] or 0) * (-1 if found["sign"] == "-" else 1)
    readings = _digits(found["n"])
    return tuple(Fraction(Decimal(digits)) * power for digits in readings)


def _digits(text: str) -> tuple[str, ...]:
    """Return what digits can be, with a decimal point or none."""
    marks = "".join(c for c in text if c in ".,")
    if not marks:
        return (text,)
    last = marks[-1]
    whole, _, rest = text.rpartition(last)
    if len(set(marks)) == 1 and len(marks) > 1:
        groups = text.split(last)
        return ("".join(groups),) if _is_grouped(groups) else ()
    if len(marks) > 1:
        other = "," if last == "." else "."
        groups = whole.split(other)
        return (f"{''.join(groups)}.{rest or 0}",) if last not in whole and _is_grouped(groups) else ()
    decimal = f"{whole}.{rest or 0}"
    return (decimal, whole + rest) if _is_grouped([whole, rest]) else (decimal,)


def _is_grouped(groups: list[str]) -> bool:
    """Say whether digits stand in threes."""
    head, *tail = groups
    return 1 <= len(head) <= 3 and head[0] != "0" and all(len(group) == 3 for group in tail)  # noqa: PLR2004


def _word(text: str) -> Fraction | None:
    """Return the number that English words stand for."""
    for sign in ("minus ", "negative "):
        if text.startswith(sign):
            inner = _word(text.removeprefix(sign))
            return None if inner is None else -inner
    if text in _PARTIAL:
        return _PARTIAL[text]
    if found := _SCALED_HALF.fullmatch(text):
        inner = _word(found[1])
        return None if inner is None else inner * _SCALES[found[2]]
    if found := _AND.fullmatch(text):
        whole = _word(found[1])
        return None if whole is None else whole + _PARTIAL[found[2]]
    whole, point, digits = text.partition(" point ")
    number = _cardinal(re.sub(r"^an? (?=hundred|thousand|million|billion)", "one ", whole))
    if number is None or not point:
        return number
    places = [_cardinal(word) for word in digits.split()]
    if not places or any(place is None or not 0 <= place <= 9 for place in places):  # noqa: PLR2004
        return None
    return number + sum((place or 0) / Fraction(10) ** n for n, place in enumerate(places, 1))


def _cardinal(text: str) -> Fraction | None:
    dozens = text.removesuffix(" dozen")
    if not _CARDINALS.issuperset(re.split("[ -]", dozens)):
        return None
    try:
        number = _reader()(dozens, "en")
    except ValueError:
        return None
    return Fraction(number) * (12 if dozens != text else 1)


@lru_cache(maxsize=1)
def _reader() -> Callable[[str, str], int]:
    import text_to_num  # pyright: ignore[reportMissingTypeStubs]

    library: Any = text_to_num
    return library.text2num
