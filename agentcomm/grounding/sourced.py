"""Find values that nobody ever said: a figure or a dotted name that stands in no message, tool result or brief.

A model that writes words around facts may invent a figure, or take one from a worked example; code can see both, since every
figure must come from somewhere. Figures are numbers, however they are written: 500, 5e2, 0.5k and `five hundred` are one; a
figure inside another (56 in 22:56:01) is none. What was worked out (a sum) is declared, and its working is checked.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, cast

import msgspec

from agentcomm.acts.content import FieldType, Money, entries_of, to_plain
from agentcomm.acts.units import Quantity
from agentcomm.grounding.numbers import NUMBER_WORDS, read_number
from agentcomm.grounding.same import DEEPEST
from agentcomm.grounding.troubles import Unsourced

__all__ = ("Derived", "Sources", "unsourced", "unsourced_values")

_EDGE = r"\s'\"(){}\[\],;="
_BEGIN = rf"(?<![^{_EDGE}])[^{_EDGE}\d]*+"
"""The begin of a word up to its first digit; looked for once in each word, so that a long one costs no more than its length."""
_FIGURE = re.compile(
    rf"{_BEGIN}\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?(?![\d,])[^{_EDGE}]*|{_BEGIN}\d[^{_EDGE}]*|(?<![\w-])\w[\w-]*+(?:\.[a-z0-9][\w-]*)+"
)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[t ](\d\d:\d\d)(:\d\d)?(?:\.\d+)?(z|[+-]\d\d:?\d\d)?", re.IGNORECASE)
_WITH_UNIT = re.compile(r"[^\w\d+.-]?(?P<n>[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?)[-\s]?(?P<unit>[^\W\d_]+|%|°\w?)")
_MARKS = ".:!?"
_WORD = rf"(?:{'|'.join(NUMBER_WORDS)})"
_SPELLED = re.compile(rf"\b(?:an? )?{_WORD}(?:(?:[ -]| and (?:a )?| point ){_WORD})*\b", re.IGNORECASE)
_SMALL = 10
"""Numbers up to here are words of the language in a text (`one of them`) rather than figures."""

_WORKINGS: dict[str, Callable[[list[Fraction]], Fraction]] = {
    "sum": lambda of: sum(of, Fraction(0)),
    "difference": lambda of: of[0] - sum(of[1:], Fraction(0)),
    "product": lambda of: math.prod(of, start=Fraction(1)),
    "quotient": lambda of: of[0] / math.prod(of[1:], start=Fraction(1)),
    "mean": lambda of: sum(of, Fraction(0)) / len(of),
    "least": min,
    "most": max,
    "count": lambda of: Fraction(len(of)),
    "percent": lambda of: of[0] * 100 / of[1],
}


class Derived(msgspec.Struct, frozen=True):
    """A number that was worked out of others."""

    value: int | float | Decimal
    by: Literal["sum", "difference", "product", "quotient", "mean", "least", "most", "count", "percent"]
    of: tuple[int | float | Decimal, ...]


class Sources:
    """Everything that was said, as far as figures go; made once and asked often.

    Args:
        given: Messages' contents, tool results, the brief: texts, content classes or JSON data.
        derived: Numbers that were worked out; one counts if its operands have a source and the working is right.
    """

    def __init__(self, given: Iterable[Any], derived: Iterable[Derived] = ()) -> None:
        self.numbers: set[Fraction] = set()
        self.words: set[str] = set()
        self._texts: list[str] = []
        self._text: str | None = None
        for item in given:
            self.add(item)
        for entry in derived:
            if self._is_right(entry):
                self.numbers.add(_exact(entry.value))

    @property
    def text(self) -> str:
        """All that was said, in small letters, names of fields included."""
        if self._text is None:
            self._text = "\n".join(self._texts)
            self._texts = [self._text]
        return self._text

    def add(self, item: Any) -> None:
        """Take in something more that was said: a text, a content class or JSON data."""
        self._text = None
        for path, value in _leaves("", _decoded(item)):
            self._take(value, self._texts)
            self._texts.append(path.rpartition(".")[2].casefold())

    def _take(self, value: Any, texts: list[str]) -> None:
        match value:
            case bool():
                return
            case int() | float() | Decimal():
                if _is_finite(value):
                    self.numbers.add(_exact(value))
            case Money() | Quantity():
                self.numbers.add(_exact(value.amount))
            case _:
                pass
        text = _text(value)
        texts.append(text)
        for figure in _FIGURE.findall(text):
            self._take_word(figure.strip(_MARKS))
        for spelled in _SPELLED.findall(text):
            self.numbers.update(read_number(spelled))
        for found in _MOMENT.finditer(text):
            day, minute, second, zone = found.groups(default="")
            self.words.update((day, minute, minute + second, minute + zone, minute + second + zone))

    def _take_word(self, word: str) -> None:
        self.words.add(word)
        numbers = _numbers(word)
        self.numbers.update(numbers if "," not in word or not numbers else [max(numbers, key=abs)])

    def _is_right(self, entry: Derived) -> bool:
        of = [_exact(value) for value in entry.of if _is_finite(value)]
        if (
            not of
            or len(of) != len(entry.of)
            or not self.numbers.issuperset(of)
            or not _is_finite(entry.value)
        ):
            return False
        try:
            result = _WORKINGS[entry.by](of)
        except (ZeroDivisionError, IndexError):
            return False
        return abs(result - _exact(entry.value)) * 10**6 <= abs(result)

    def has(self, word: str) -> bool:
        """Say whether a figure, a dotted name or a text was said."""
        word = word.casefold()
        if word in self.words or not self.numbers.isdisjoint(_numbers(word)):
            return True
        plain = re.fullmatch(r"[\d.,:%+-]*", word) and word.count(".") < 2  # noqa: PLR2004  (an address is no number)
        return not plain and _stands_in(word, self.text)


def unsourced(
    texts: Iterable[str],
    sources: Iterable[str] | Sources,
    examples: Iterable[str] = (),
    derived: Iterable[Derived] = (),
) -> tuple[str, ...]:
    """Return what stands in `texts` and in none of `sources`, each once.

    Looked for are words with a digit, numbers in words above ten, dotted names such as `mail.example`, and the values of worked
    `examples`.

    Args:
        texts: What was written.
        sources: What was given.
        examples: Values that must not be taken over.
        derived: Numbers that were worked out.
    """
    known = sources if isinstance(sources, Sources) else Sources(sources, derived)
    found: dict[str, None] = {}
    foreign = [value for value in examples if not _stands_in(value, known.text)]
    for text in texts:
        found |= dict.fromkeys(_foreign_figures(text, known))
        found |= dict.fromkeys(value for value in foreign if _stands_in(value, text.casefold()))
    return tuple(found)


def _foreign_figures(text: str, known: Sources) -> Iterator[str]:
    for match in _FIGURE.finditer(text):
        word = match[0].rstrip(_MARKS)
        parts = re.split(r"[,/\u2013-]", word)
        if word and not known.has(word) and not (len(parts) > 1 and all(map(known.has, parts))):
            yield match[0]
    for match in _SPELLED.finditer(text):
        numbers = read_number(match[0])
        if numbers and min(numbers) > _SMALL and known.numbers.isdisjoint(numbers):
            yield match[0]


def unsourced_values(
    content: Mapping[str, Any],
    sources: Iterable[Any] | Sources,
    *,
    free: Collection[str] = (),
    kinds: Mapping[str, FieldType] | None = None,
) -> tuple[Unsourced, ...]:
    """Return the values in an act's content or a tool's arguments that no one ever said.

    Checked are numbers, money, quantities, days, moments and durations, and the figures in texts. Yes and no have no source.

    Args:
        content: What is said or used, by field.
        sources: Earlier messages' contents, tool results, the speaker's brief.
        free: Fields whose values are the speaker's own to choose, such as the price of a bid.
        kinds: Types of the fields; an identifier must have been said as a whole.
    """
    known = sources if isinstance(sources, Sources) else Sources(sources)
    found: list[Unsourced] = []
    for field, value in content.items():
        if field in free:
            continue
        kind = (kinds or {}).get(field)
        for path, leaf in _leaves(field, value):
            named = (
                isinstance(leaf, str)
                and kind is not None
                and "id" in (kind.kind, kind.item and kind.item.kind)
            )
            why = _unnamed(leaf, known) if named else _missing(leaf, known)
            if why:
                found.append(Unsourced(path, to_plain(leaf), why))
    return tuple(found)


def _unnamed(name: str, known: Sources) -> str:
    word = name.casefold()
    return "" if word in known.words or _stands_in(word, known.text) else "nobody spoke of it"


def _missing(value: Any, known: Sources) -> str:
    """Return why a value has no source, empty if it has one or needs none."""
    none = "it stands in no message, tool result or brief"
    match value:
        case None | bool():
            return ""
        case int() | float() | Decimal():
            return "" if _is_finite(value) and _exact(value) in known.numbers else none
        case Money() | Quantity():
            unit = value.currency if isinstance(value, Money) else value.unit
            if _exact(value.amount) not in known.numbers:
                return none
            return (
                ""
                if _stands_in(unit, known.text) or _is_glued(unit, known.text)
                else f"nobody spoke of {unit}"
            )
        case str():
            foreign = list(dict.fromkeys(_foreign_figures(value, known)))
            return f"nobody said {', '.join(map(repr, foreign[:3]))}" if foreign else ""
        case datetime() | date() | timedelta():
            return "" if known.has(_text(value)) else none
        case _:
            return ""


def _leaves(path: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the values in lists and maps, each with its path."""
    if depth > DEEPEST:
        return
    if isinstance(value, list | tuple):
        for at, item in enumerate(cast("list[Any]", value)):
            yield from _leaves(f"{path}[{at}]", item, depth + 1)
    elif (fields := entries_of(value)) is not None:
        for name, item in fields.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), item, depth + 1)
    else:
        yield path, value


def _decoded(item: Any) -> Any:
    """Return JSON as data, so that commas between numbers are none within them; anything else as it is."""
    if isinstance(item, str) and item[:1] in ("{", "["):
        try:
            return msgspec.json.decode(item)
        except (ValueError, RecursionError):
            return item
    return item


def _text(value: Any) -> str:
    """Return a value as it would be written, folded; a number of thousands of digits is not written."""
    try:
        return str(to_plain(value)).casefold()
    except ValueError:
        return ""


def _numbers(word: str) -> tuple[Fraction, ...]:
    """Return the numbers that a word can be, with a unit or a sign or without."""
    if found := read_number(word):
        return found
    parts = _WITH_UNIT.fullmatch(word)
    if parts is None:
        parts = re.fullmatch(r"[^\w\s+.-](?P<n>\d[\d.,]*)", word)
    return read_number(parts["n"]) if parts else ()


def _is_finite(value: float | Decimal) -> bool:
    return isinstance(value, int) or math.isfinite(value)


def _exact(value: float | Decimal) -> Fraction:
    """Return a number as it is written: 0.1 is a tenth."""
    if isinstance(value, int):
        return Fraction(value)
    return Fraction(Decimal(repr(value))) if isinstance(value, float) else Fraction(value)


def _is_glued(unit: str, text: str) -> bool:
    """Say whether a unit stands behind a figure without a space: `500ms`."""
    return bool(re.search(rf"\d{re.escape(unit.casefold())}(?![a-z])", text))


def _stands_in(word: str, text: str) -> bool:
    return bool(word) and bool(re.search(rf"(?<![0-9a-z]){re.escape(word.casefold())}(?![0-9a-z])", text))
