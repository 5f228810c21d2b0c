"""Quantities: a number with a unit, and what it is in other units.

Units are pint's (BSD, 3 MB, kept since 2012); it knows prefixes, plurals and offsets. It is loaded when two *different* units
are compared for the first time, which takes about 0.4 s once, so quantities in one unit never pay for it. What pint reads where
people mean several things (`gallon`, `ton`, `oz`, `C`) has all its meanings here, and what it reads by chance (`units` as
micro-nits) is no unit. A unit that nobody knows (`boxes`) is a unit all the same: it equals itself and converts to nothing.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import Any, cast

import msgspec

__all__ = (
    "Quantity",
    "Scale",
    "convertible",
    "in_base",
    "is_other_in_case",
    "is_unit",
    "parse_quantity",
    "scales",
)


class Quantity(msgspec.Struct, frozen=True, order=False):
    """A number with a unit."""

    amount: Decimal
    unit: str

    def __str__(self) -> str:
        return f"{self.amount:f} {self.unit}"


class Scale(msgspec.Struct, frozen=True):
    """What one meaning of a unit is in base units: `base = amount * factor + offset`."""

    factor: Fraction
    offset: Fraction
    base: str
    """The base units; only what has the same ones compares."""


_NUMBER = r"[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?"
_WORD = r"(?:[^\W\d_²³¹½¼¾]|[°%µμ])[^\W\d_]*[23²³]?(?:\^[-]?\d)?"
_UNIT = rf"{_WORD}(?:(?:\s*[/*·]\s*|[ -]){_WORD}){{0,4}}"
_QUANTITY = re.compile(rf"\s*(?P<n>{_NUMBER})\s*(?P<unit>{_UNIT})\s*")
_LONGEST = 100
"""Characters of a quantity."""
_MEANINGS: dict[str, tuple[str, ...]] = {
    "gallon": ("US_liquid_gallon", "imperial_gallon"),
    "gal": ("US_liquid_gallon", "imperial_gallon"),
    "quart": ("US_liquid_quart", "imperial_quart"),
    "pint": ("US_pint", "imperial_pint"),
    "pt": ("US_pint", "imperial_pint"),
    "cup": ("US_liquid_cup", "imperial_cup"),
    "fluid ounce": ("US_fluid_ounce", "imperial_fluid_ounce"),
    "fl oz": ("US_fluid_ounce", "imperial_fluid_ounce"),
    "ounce": ("ounce", "troy_ounce", "US_fluid_ounce"),
    "oz": ("ounce", "troy_ounce", "US_fluid_ounce"),
    "ton": ("short_ton", "long_ton", "metric_ton"),
    "cal": ("calorie", "kilocalorie"),
    "Cal": ("calorie", "kilocalorie"),
    "calorie": ("calorie", "kilocalorie"),
    "C": ("degC", "coulomb"),
    "F": ("degF", "farad"),
    "degree": ("degree", "degC", "degF"),
    "°": ("degree", "degC", "degF"),
    "hp": ("metric_horsepower", "UK_horsepower"),
    "horsepower": ("metric_horsepower", "UK_horsepower"),
    "M": ("molar", "megameter"),
}
"""Words that mean several units, or one to people and another to pint."""
_SPELLED = {
    "kgs": "kilogram",
    "KB": "kilobyte",
    "kb": "kilobit",
    "Kb": "kilobit",
    "Mb": "megabit",
    "Gb": "gigabit",
    "Tb": "terabit",
    "kmh": "km/h",
    "kph": "km/h",
    "sqm": "m^2",
    "imperial gallon": "imperial_gallon",
    "US gallon": "US_liquid_gallon",
    "short ton": "short_ton",
    "long ton": "long_ton",
    "metric ton": "metric_ton",
    "troy ounce": "troy_ounce",
    "degrees Celsius": "degC",
    "degrees Fahrenheit": "degF",
    "degrees C": "degC",
    "degrees F": "degF",
    "nautical mile": "nautical_mile",
}
"""Spellings that pint does not know, or reads as something else."""
_NO_UNIT = {
    "unit",
    "units",
    "k",
    "fl",
    "pH",
    "people",
    "person",
    "piece",
    "pieces",
    "item",
    "items",
    "box",
    "pack",
}
"""Words for what is counted, and symbols of constants, which pint may read as a unit."""


def parse_quantity(value: object) -> Quantity:
    """Read `500 l`, `1.5e3 km/h`, `{"amount": 500, "unit": "l"}` or a `Quantity`. The unit is required.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(value, Quantity):
        return value
    if isinstance(value, Mapping):
        entry = cast("Mapping[str, object]", value)
        if set(entry) == {"amount", "unit"}:
            value = f"{entry['amount']} {entry['unit']}"
    if isinstance(value, str) and len(value) <= _LONGEST and (found := _QUANTITY.fullmatch(value)):
        return Quantity(Decimal(found["n"]), " ".join(found["unit"].split()))
    raise ValueError("a quantity is a number with a unit, such as `500 l`")


def is_unit(text: str) -> bool:
    """Say whether a text has the form of a unit."""
    return len(text) <= _LONGEST and bool(re.fullmatch(_UNIT, text))


def in_base(amount: Decimal, scale: Scale) -> Fraction:
    """Return an amount in base units."""
    return Fraction(amount) * scale.factor + scale.offset


def convertible(one: str, other: str) -> bool:
    """Say whether two units measure the same, and each has one meaning."""
    if one == other:
        return True
    left, right = scales(one), scales(other)
    return len(left) == len(right) == 1 and left[0].base == right[0].base


@lru_cache(maxsize=1024)
def scales(unit: str) -> tuple[Scale, ...]:
    """Return what a unit can mean, empty if it is not known."""
    words = (
        _MEANINGS.get(unit) or _MEANINGS.get(unit.removesuffix("s")) or (_SPELLED.get(_singular(unit), unit),)
    )
    found = [scale for word in words if (scale := _scale(word)) is not None]
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=256)
def is_other_in_case(one: str, other: str) -> bool:
    """Say whether two units that differ in case only are, or may be, two: `Mb` and `MB`; `mw` may be `mW` and `MW`."""
    left, right = _in_any_case(one), _in_any_case(other)
    kinds = {scale.base for scale in left} & {scale.base for scale in right}
    if not kinds:
        return bool(left and right)
    found = {scale for scale in (*left, *right) if scale.base in kinds}
    return len(found) > 1


def _in_any_case(unit: str) -> tuple[Scale, ...]:
    """Return what a unit stands for; one that is none as it is written, in every other case of its letters."""
    if (found := scales(unit)) or len(unit) > 4:  # noqa: PLR2004
        return found
    letters = [dict.fromkeys((letter.lower(), letter.upper())) for letter in unit]
    return tuple(dict.fromkeys(scale for word in product(*letters) for scale in scales("".join(word))))


def _singular(unit: str) -> str:
    return unit if unit in _SPELLED else unit.removesuffix("s")


def _scale(unit: str) -> Scale | None:
    """Return one meaning of a unit; None where pint has none, or it is not linear."""
    if unit in _NO_UNIT or not (is_unit(unit) or "_" in unit):
        return None
    text = re.sub(r"(?<=[^\W\d_])([23])(?!\d)", r"^\1", unit).replace("·", "*")
    registry = _registry()
    try:
        if any(_is_chance(registry, word) for word in re.findall(r"[^\W\d]+", text)):
            return None
        parsed = registry.parse_units(text)
        low, middle, high = (registry.Quantity(Decimal(n), parsed).to_root_units() for n in (0, 1, 2))
        zero, one, two = (Fraction(quantity.magnitude) for quantity in (low, middle, high))
    except Exception:  # noqa: BLE001  (pint's parser raises whatever its tokenizer and its definitions do)
        return None
    factor = one - zero
    linear = factor and abs(two - one - factor) <= abs(factor) / 10**9
    return Scale(factor, zero, str(middle.units)) if linear else None


def _is_chance(registry: Any, word: str) -> bool:
    """Say whether pint reads a word as the symbol of a prefix, a unit's name and a plural: `units` is no u-nit-s."""
    found = registry.parse_unit_name(word)
    return bool(found) and all(
        prefix and suffix and not word.startswith(prefix) for prefix, _unit, suffix in found
    )


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    library: Any = pint
    return library.UnitRegistry(non_int_type=Decimal, autoconvert_offset_to_baseunit=True)
