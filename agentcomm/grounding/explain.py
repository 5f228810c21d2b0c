"""In which way two values differ that are not the same by type; a restatement in words is read first.

Slow beside `is_same`, so it runs only where a difference is about to be told.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any, cast

import msgspec

from agentcomm.acts.content import FieldType, Money, entries_of
from agentcomm.acts.glossary import fold
from agentcomm.acts.units import Quantity, in_base, scales
from agentcomm.grounding.amounts import read_money, read_quantity
from agentcomm.grounding.numbers import read_number
from agentcomm.grounding.polarity import expanded, reversal
from agentcomm.grounding.same import DEEPEST, are_units_the_same, is_close, is_same, shown
from agentcomm.grounding.times import read_day, read_duration, read_when

__all__ = ("Reason", "explain", "readings")


class Reason(msgspec.Struct, frozen=True):
    """How two values differ."""

    kind: str
    why: str = ""


_VALUE = Reason("value")
_OTHER_UNIT = Reason("unit", "a unit in another case may be another unit")
_TEXTUAL = ("text", "any")
_FIGURES = re.compile(r"[+\-\u2212]?\d[\d.,'\u2019_\s]*(?:[eE][+-]?\d+)?")
_NAMED = re.compile(r"an?|\+\d[\d ./-]*|0\d[\d ./-]*|\d[\d.]*[eE][+-]?\d+", re.IGNORECASE)
"""What stands for a number and may as well be a name."""
_PADDED = re.compile(r"(?<![\d.,:])0\d+")
_KELVIN = re.compile(r"[\d.,]+ ?K")
_SHOWN = 5
"""Items or readings in one sentence."""
_READERS: tuple[Callable[[str], tuple[Any, ...]], ...] = (
    read_number,
    read_quantity,
    read_money,
    read_when,
    read_duration,
)


def explain(kind: FieldType | None, meant: Any, understood: Any, depth: int = 0) -> Reason | None:
    """Return how two values differ that `is_same` tells apart; None if a restatement turns out to be the same.

    Args:
        kind: The type of the field, if it is known.
        meant: One value.
        understood: The other.
        depth: Levels above these values; for the function itself.
    """
    if meant is None or understood is None:
        return Reason("added", "nothing was meant") if meant is None else Reason("missing", "it was not said")
    word = kind.kind if kind is not None else "any"
    if word == "choice" and kind is not None:
        return _choices(kind, meant, understood)
    if isinstance(meant, str) and isinstance(understood, str):
        if word == "id":
            alike = fold(meant) == fold(understood)
            return (
                Reason("value", "an identifier compares exactly, with case and spacing") if alike else _VALUE
            )
        return _texts(word, meant, understood)
    if isinstance(understood, str):
        return _restated(kind, meant, understood)
    if isinstance(meant, str):
        return _restated(kind, understood, meant)
    return _typed(kind, meant, understood, depth)


def readings(like: Any, text: str) -> tuple[Any, ...]:
    """Return what a text can be as a value of the same type as `like`, nothing if it is none."""
    match like:
        case bool():
            return _YES_OR_NO.get(fold(text), ())
        case int() | float() | Fraction():
            return _twice(read_number, text)
        case Money():
            return _twice(read_money, text)
        case Quantity():
            return _twice(read_quantity, text)
        case datetime() | time():
            return read_when(text)
        case date():
            return read_day(text) or read_when(text)
        case timedelta():
            return read_duration(text)
        case _:
            return ()


_YES_OR_NO: dict[str, tuple[bool, ...]] = {
    **dict.fromkeys(("yes", "true", "yep", "yeah"), (True,)),
    **dict.fromkeys(("no", "false", "nope"), (False,)),
}
_BRACKETED = re.compile(r"([^()]+?) ?\(([^()]+)\)( [^()]+)?")


def _twice(read: Callable[[str], tuple[Any, ...]], text: str) -> tuple[Any, ...]:
    """Return what a text can be, also one that says it twice, `one hundred (100) euros`; nothing if the two differ."""
    found = read(text)
    both = None if found else _BRACKETED.fullmatch(" ".join(text.split()))
    if both is None:
        return found
    outer, inner, rest = both[1], both[2], both[3] or ""
    one, other = read(outer + rest), read(inner + rest)
    return tuple(value for value in one if value in other)


# --- texts ---


def _choices(kind: FieldType, meant: Any, understood: Any) -> Reason | None:
    """Compare two choices; a word in another case is taken for the choice it can only be."""
    one, other = _chosen(kind, meant), _chosen(kind, understood)
    if len(one) == len(other) == 1:
        return None if type(one[0]) is type(other[0]) and one[0] == other[0] else _VALUE
    offered = ", ".join(map(str, kind.choices[:_SHOWN]))
    return Reason("unreadable", f"it is none of {offered}") if kind.choices else _VALUE


def _chosen(kind: FieldType, value: Any) -> list[Any]:
    exact = [choice for choice in kind.choices if type(choice) is type(value) and choice == value]
    if exact or not isinstance(value, str):
        return exact
    return [choice for choice in kind.choices if fold(str(choice)) == fold(value)]


def _texts(word: str, meant: str, understood: str) -> Reason | None:
    """Compare two texts: as they are, as a value that both restate, and by what they say yes or no to."""
    if expanded(meant) == expanded(understood):
        return None if are_units_the_same(meant, understood) else _OTHER_UNIT
    times = word in _TEXTUAL and read_when(meant) and read_when(understood)
    found = [
        _outcome(None, read(meant), read(understood))
        for read in ((read_when,) if times else _READERS)
        if word in _TEXTUAL or _is_reader_of(word, read)
        if read(meant) and read(understood)
    ]
    if word in _TEXTUAL and None in found and (why := _by_name(meant, understood)):
        return Reason("ambiguous", why)
    if not found:
        why = reversal(meant, understood)
        return Reason("negation", why) if why else _VALUE
    if all(reason is None for reason in found):
        return None
    if any(reason is None for reason in found):
        return Reason("ambiguous", "they are the same or not, by what is counted")
    return found[0]


def _by_name(meant: str, understood: str) -> str:
    """Return why two texts with the same value may be two names all the same: a version, a code, a house number."""
    one, other = meant.strip(), understood.strip()
    if _FIGURES.fullmatch(one) and _FIGURES.fullmatch(other):
        return "" if _figures(one) == _figures(other) else "the same number, and not the same name"
    if not read_when(one) and sorted(_PADDED.findall(one)) != sorted(_PADDED.findall(other)):
        return "figures that begin with 0 may be a name"
    for text, beside in ((one, other), (other, one)):
        if _NAMED.fullmatch(text):
            return f"{text!r} may be a name"
        if _FIGURES.fullmatch(text) and not read_number(beside):
            return f"{text!r} may be a number"
        if _KELVIN.fullmatch(text) and not read_quantity(beside):
            return f"{text!r} may be a temperature"
    return ""


def _figures(text: str) -> str:
    """Return figures without what groups them, with a point before decimals."""
    return re.sub(r"[\s'\u2019_]", "", text).replace(",", ".").replace("\u2212", "-")


def _is_reader_of(word: str, read: Callable[[str], Any]) -> bool:
    wanted = {
        "int": (read_number,),
        "number": (read_number,),
        "quantity": (read_quantity,),
        "money": (read_money,),
        "date": (read_when,),
        "datetime": (read_when,),
        "duration": (read_duration,),
    }
    return read in wanted.get(word, ())


def _restated(kind: FieldType | None, value: Any, text: str) -> Reason | None:
    """Compare a value with a text that restates it."""
    found = readings(value, text)
    if found:
        return _outcome(kind, (value,), found)
    if isinstance(value, Money) and read_number(text):
        return Reason("currency", "no currency was said")
    if isinstance(value, Quantity) and read_number(text):
        return Reason("unit", "no unit was said")
    if isinstance(value, str | list | dict):
        return Reason("type", f"a text and a {_name(value)}")
    return Reason("unreadable", f"it cannot be read as a {_name(value)}")


def _outcome(kind: FieldType | None, one: tuple[Any, ...], other: tuple[Any, ...]) -> Reason | None:
    """Compare every reading of the one with every reading of the other."""
    found = [
        None if is_same(kind, a, b) or _is_number(a, b) else _typed(kind, a, b, 0) for a in one for b in other
    ]
    if all(reason is None for reason in found):
        return None
    doubt = next((reason for reason in found if reason and reason.kind == "ambiguous"), None)
    if doubt or any(reason is None for reason in found):
        several = one if len(one) > 1 else other
        return doubt or Reason(
            "ambiguous", f"it can be {' or '.join(_told(item) for item in several[:_SHOWN])}"
        )
    return found[0]


def _told(value: Any) -> str:
    if isinstance(value, Fraction):
        return str(value.numerator if value.denominator == 1 else float(value))
    return shown(value)


# --- values ---


def _typed(kind: FieldType | None, meant: Any, understood: Any, depth: int) -> Reason | None:
    """Compare two values that are no texts."""
    match meant, understood:
        case (bool(), _) | (_, bool()):
            return (
                _VALUE
                if isinstance(meant, bool) and isinstance(understood, bool)
                else _of_types(meant, understood)
            )
        case Money(), Money():
            if meant.currency != understood.currency:
                return Reason("currency", f"{meant.currency} and {understood.currency}")
            return _VALUE
        case Quantity(), Quantity():
            return _quantities(meant, understood)
        case (datetime() | time(), datetime() | time()):
            return _moments(meant, understood)
        case datetime() | date(), datetime() | date() | time():
            return _days(meant, understood)
        case time(), date():
            return _days(meant, understood)
        case list(), list():
            return _lists(kind, cast("list[Any]", meant), cast("list[Any]", understood), depth)
        case (int() | float() | Fraction(), int() | float() | Fraction()):
            return None if _is_number(meant, understood) else _VALUE
        case _:
            left, right = entries_of(meant), entries_of(understood)
            if left is not None and right is not None:
                return _maps(kind, left, right, depth)
            return _VALUE if type(meant) is type(understood) else _of_types(meant, understood)


def _is_number(one: Any, other: Any) -> bool:
    """Say whether a number and one that was read are the same."""
    if not (isinstance(one, Fraction) or isinstance(other, Fraction)):
        return False
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if not (isinstance(one, int | float | Fraction) and isinstance(other, int | float | Fraction)):
        return False
    try:
        left, right = Fraction(one), Fraction(other)
    except (ValueError, OverflowError):
        return False
    if left.denominator == right.denominator == 1:
        return left == right
    return left == right or abs(left - right) * 10**9 <= max(abs(left), abs(right))


def _quantities(meant: Quantity, understood: Quantity) -> Reason | None:
    if meant.unit == understood.unit:
        return _VALUE
    left, right = scales(meant.unit), scales(understood.unit)
    if not left or not right:
        unknown = meant.unit if not left else understood.unit
        return Reason("unit", f"what {unknown!r} is in other units is not known")
    found = {
        a.base == b.base and is_close(in_base(meant.amount, a), in_base(understood.amount, b))
        for a in left
        for b in right
    }
    if found == {True}:
        return None
    if True in found:
        several = meant.unit if len(left) > 1 else understood.unit
        return Reason("ambiguous", f"{several!r} stands for several units")
    if not {a.base for a in left} & {b.base for b in right}:
        return Reason("unit", f"{meant.unit!r} does not convert to {understood.unit!r}")
    return Reason("unit" if meant.amount == understood.amount else "value", "")


def _moments(meant: Any, understood: Any) -> Reason | None:
    if isinstance(meant, time) and isinstance(understood, time):
        return _clocks(meant, understood)
    if isinstance(meant, time) or isinstance(understood, time):
        return Reason("missing", "the day is not said")
    if (meant.tzinfo is None) != (understood.tzinfo is None):
        return Reason("zone", "one has a zone, the other has none")
    if meant.tzinfo is not None and meant.replace(tzinfo=None) == understood.replace(tzinfo=None):
        return Reason("zone", "the same time on the clock in two zones")
    return _VALUE


def _clocks(meant: time, understood: time) -> Reason | None:
    """Compare two times of day; across midnight they are the same where their instants are."""
    if (meant.tzinfo is None) != (understood.tzinfo is None):
        return Reason("zone", "one has a zone, the other has none")
    day = timedelta(days=1)
    gap = _since_midnight(meant) - _since_midnight(understood)
    if gap % day == timedelta(0):
        return None
    if meant.replace(tzinfo=None) == understood.replace(tzinfo=None):
        return Reason("zone", "the same time on the clock in two zones")
    return _VALUE


def _since_midnight(moment: time) -> timedelta:
    local = timedelta(
        hours=moment.hour, minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond
    )
    return local - (moment.utcoffset() or timedelta(0))


def _days(meant: Any, understood: Any) -> Reason:
    if isinstance(meant, datetime) and not isinstance(understood, datetime):
        return Reason("missing", "the time of day is not said")
    if isinstance(understood, datetime) and not isinstance(meant, datetime):
        return Reason("added", "a time of day was said, and only a day was meant")
    if isinstance(meant, time) or isinstance(understood, time):
        return Reason("type", "a day and a time of day")
    return _VALUE


def _lists(kind: FieldType | None, meant: list[Any], understood: list[Any], depth: int) -> Reason | None:
    """Say which items are missing or added, or that only the order differs."""
    item = kind.item if kind else None
    if depth >= DEEPEST:
        return _VALUE
    gone, new = list[Any](), list(understood)
    for value in meant:
        at = next((n for n, other in enumerate(new) if is_same(item, value, other)), None)
        if at is None:
            gone.append(value)
        else:
            del new[at]
    if not gone and not new:
        return Reason("order", "the same items in another order")
    missing, added = f"missing: {_some(gone)}", f"added: {_some(new)}"
    if not new:
        return Reason("missing", missing)
    if not gone:
        return Reason("added", added)
    if len(meant) == len(understood) and len(gone) == 1:
        inner = explain(item, gone[0], new[0], depth + 1)
        return inner and Reason(inner.kind, f"{missing}; {added}")
    pairs = list(zip(meant, understood, strict=False))
    if len(meant) == len(understood) and all(_is_restated(item, a, b, depth) for a, b in pairs):
        return None
    return Reason("value", f"{missing}; {added}")


def _is_restated(kind: FieldType | None, one: Any, other: Any, depth: int) -> bool:
    return is_same(kind, one, other) or explain(kind, one, other, depth + 1) is None


def _some(items: Iterable[Any]) -> str:
    known = [shown(item) for item in items]
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(known[:_SHOWN]) + more


def _maps(
    kind: FieldType | None, meant: dict[str, Any], understood: dict[str, Any], depth: int
) -> Reason | None:
    """Say which field of a map differs first, and how."""
    if depth >= DEEPEST:
        return _VALUE
    fields = (kind.fields if kind else None) or {}
    for name, value in meant.items():
        other = understood.get(name)
        if is_same(fields.get(name), value, other) and name in understood:
            continue
        found = explain(fields.get(name), value, other, depth + 1) if (value, other) != (None, None) else None
        if found is not None:
            return Reason(
                found.kind,
                f"{name}: {shown(value)} and {shown(other)}{f', {found.why}' if found.why else ''}",
            )
    added = [name for name, value in understood.items() if name not in meant and value is not None]
    return Reason("added", f"{_some(added)} was not meant") if added else None


def _of_types(meant: Any, understood: Any) -> Reason:
    return Reason("type", f"a {_name(meant)} and a {_name(understood)}")


def _name(value: Any) -> str:
    match value:
        case bool():
            return "yes or no"
        case int() | float():
            return "number"
        case str():
            return "text"
        case Quantity():
            return "quantity"
        case Money():
            return "amount of money"
        case timedelta():
            return "duration"
        case datetime():
            return "moment"
        case date():
            return "day"
        case list():
            return "list"
        case _:
            return "map" if entries_of(value) is not None else type(value).__name__
