"""Typed content: from the short names of a protocol file to pydantic models and back to plain JSON.

The field types are `text, int, number, bool, date, datetime, duration, money, id, any`, lists, choices and maps. Content
from a peer or a model is always validated here; a model of ours forbids unknown fields and does not coerce text to numbers.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    create_model,
)

from agentcomm.acts.units import Quantity, convertible, in_base, parse_quantity, scales

__all__ = (
    "CONSTRAINTS",
    "ITEMS_LIMIT",
    "KINDS",
    "TEXT_LIMIT",
    "Amount",
    "Content",
    "Day",
    "Duration",
    "FieldType",
    "Id",
    "Kind",
    "Moment",
    "Money",
    "Number",
    "Size",
    "Text",
    "bounded",
    "content_model",
    "entries_of",
    "format_duration",
    "format_value",
    "parse_duration",
    "parse_money",
    "printable",
    "to_plain",
)

Kind = Literal[
    "text",
    "int",
    "number",
    "bool",
    "date",
    "datetime",
    "duration",
    "money",
    "quantity",
    "id",
    "any",
    "list",
    "choice",
    "map",
]
KINDS: tuple[Kind, ...] = (
    "text",
    "int",
    "number",
    "bool",
    "date",
    "datetime",
    "duration",
    "money",
    "quantity",
    "id",
    "any",
)
"""The types a protocol file can name."""

CONSTRAINTS: dict[str, tuple[Kind, ...]] = {
    "minimum": ("int", "number", "money", "duration", "quantity"),
    "maximum": ("int", "number", "money", "duration", "quantity"),
    "exclusiveMinimum": ("int", "number"),
    "exclusiveMaximum": ("int", "number"),
    "minLength": ("text", "id"),
    "maxLength": ("text", "id"),
    "pattern": ("text", "id"),
    "minItems": ("list",),
    "maxItems": ("list",),
    "unit": ("quantity",),
    "ordered": ("list",),
    "glossary": ("text", "id"),
}
"""Constraints, and the types that take them: JSON Schema's words, and three of ours that say how values compare."""

TEXT_LIMIT = 20_000
"""Characters in one text; what is longer belongs behind a reference."""
ITEMS_LIMIT = 1_000
"""Items in one list."""


class Money(msgspec.Struct, frozen=True, order=False):
    """An amount in one currency. Amounts of two currencies do not compare."""

    amount: Decimal
    currency: str
    """ISO 4217 code, such as EUR."""

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"


_MONEY = re.compile(r"\s*(?:(?P<a>[A-Z]{3})\s*)?(?P<n>[+-]?\d+(?:\.\d+)?)(?:\s*(?P<b>[A-Z]{3}))?\s*")


def parse_money(value: object) -> Money:
    """Read `120 EUR`, `EUR 120`, `{"amount": 120, "currency": "EUR"}` or a `Money`.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(value, Money):
        return value
    if isinstance(value, Mapping):
        entry = cast("Mapping[str, object]", value)
        if set(entry) == {"amount", "currency"}:
            value = f"{entry['amount']} {entry['currency']}"
    if isinstance(value, str) and (found := _MONEY.fullmatch(value)):
        code = found["a"] or found["b"]
        if code and not (found["a"] and found["b"]):
            try:
                return Money(Decimal(found["n"]), code)
            except InvalidOperation:  # pragma: no cover  (the pattern admits only decimals)
                pass
    raise ValueError("money is an amount and a three-letter currency, such as `120 EUR`")


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(value: object) -> timedelta:
    """Read `30s`, `10m`, `1h30m`, `2d`, `250ms` or a `timedelta`. The unit is required.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        parts = _DURATION.findall(value)
        if parts and "".join(number + unit for number, unit in parts) == value.replace(" ", ""):
            try:
                return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
            except OverflowError:
                raise ValueError("the duration is longer than time can be counted here") from None
    raise ValueError("a duration is a number with a unit, such as `30s`, `10m` or `1h30m`")


def format_duration(value: timedelta) -> str:
    """Write a duration as `parse_duration` reads it."""
    left = round(value.total_seconds() * 1000)
    text = ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"


def _strict_date(value: object) -> object:
    if isinstance(value, datetime) or not isinstance(value, str | date):
        raise ValueError("a date is written 2026-12-01")
    return value


def _strict_datetime(value: object) -> object:
    if not isinstance(value, str | datetime):
        raise ValueError("a datetime is written 2026-12-01T09:30:00+01:00")
    return value


Text = Annotated[str, StringConstraints(max_length=TEXT_LIMIT)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_LIMIT)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Day = Annotated[date, Field(strict=False), BeforeValidator(_strict_date)]
Moment = Annotated[datetime, Field(strict=False), BeforeValidator(_strict_datetime)]
Duration = Annotated[
    timedelta,
    PlainValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "description": "number and unit, such as 30s or 10m"}),
]
Amount = Annotated[
    Money,
    PlainValidator(parse_money),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "description": "amount and currency, such as 120 EUR"}),
]

Size = Annotated[
    Quantity,
    PlainValidator(parse_quantity),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "description": "number and unit, such as 500 l"}),
]


class FieldType(msgspec.Struct, frozen=True):
    """The type of one field, as a protocol file gives it."""

    kind: Kind
    item: "FieldType | None" = None
    """Type of an item, for `list`."""
    fields: "Mapping[str, FieldType] | None" = None
    """Types by name, for `map`."""
    choices: tuple[str | int | float | bool, ...] = ()
    """The values, for `choice`."""
    optional: bool = False
    constraints: Mapping[str, Any] = {}
    """In JSON Schema's words; see `CONSTRAINTS`."""

    def __str__(self) -> str:
        match self.kind:
            case "list":
                text = f"list of {self.item}"
                if self.constraints.get("ordered") is False:
                    text += " in any order"
            case "quantity" if "unit" in self.constraints:
                text = f"quantity in {self.constraints['unit']}"
            case "choice":
                text = "one of " + ", ".join(map(str, self.choices))
            case "map":
                text = "{" + ", ".join(f"{name}: {kind}" for name, kind in (self.fields or {}).items()) + "}"
            case _:
                text = self.kind
        return f"optional {text}" if self.optional else text


class Content(BaseModel):
    """What an act carries. Every act's content class is a subclass; so is yours, if you register one."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    __own__: ClassVar[tuple[type["Content"], bool, frozenset[str]] | None] = None
    """Of an act's own class: itself, whether its values are JSON data as they are, and which fields are required."""


def content_model(name: str, fields: Mapping[str, FieldType]) -> type[Content]:
    """Return the pydantic class for an act's fields."""
    definitions: dict[str, Any] = {}
    for field, kind in fields.items():
        annotation = _annotation(name, field, kind)
        definitions[field] = (annotation | None, None) if kind.optional else (annotation, ...)
    made = create_model(name, __base__=Content, **definitions)
    required = frozenset(field for field, kind in fields.items() if not kind.optional)
    is_words = len(required) == len(fields) and all(kind.kind in _PLAIN for kind in fields.values())
    made.__own__ = made, is_words, required
    return made


_PLAIN = frozenset({"text", "id", "int", "bool"})
"""Types whose values are JSON data as they are."""


def is_words(kind: type[Content]) -> bool:
    """Say whether the values of a content class are JSON data as they are, once they were read: none of them may be left out."""
    own = kind.__own__
    return own is not None and own[0] is kind and own[1]


def _annotation(owner: str, field: str, kind: FieldType) -> Any:
    limits = kind.constraints
    match kind.kind:
        case "text" | "id":
            return Annotated[
                str,
                StringConstraints(
                    min_length=limits.get("minLength", 1 if kind.kind == "id" else None),
                    max_length=limits.get("maxLength", TEXT_LIMIT),
                    pattern=limits.get("pattern"),
                ),
            ]
        case "int":
            return Annotated[int, _bounds(limits)]
        case "number":
            return Annotated[Number, _bounds(limits)]
        case "bool":
            return bool
        case "date":
            return Day
        case "datetime":
            return Moment
        case "duration":
            return Annotated[Duration, bounded(**limits)] if limits else Duration
        case "money":
            return Annotated[Amount, bounded(**limits)] if limits else Amount
        case "quantity":
            return Annotated[Size, bounded(**limits)] if limits else Size
        case "any":
            return Any
        case "list":
            item = kind.item or FieldType("any")
            inner = _annotation(owner, f"{field}-item", item)
            return Annotated[
                list[inner],
                Field(min_length=limits.get("minItems"), max_length=limits.get("maxItems", ITEMS_LIMIT)),
            ]
        case "choice":
            return Literal[kind.choices]
        case "map":
            return content_model(f"{owner}.{field}", kind.fields or {})


def _bounds(limits: Mapping[str, Any]) -> Any:
    return Field(
        ge=limits.get("minimum"),
        le=limits.get("maximum"),
        gt=limits.get("exclusiveMinimum"),
        lt=limits.get("exclusiveMaximum"),
    )


def bounded(**limits: Any) -> AfterValidator:
    """Return the check of `minimum`, `maximum` and `unit`; a bare number bounds money in any currency."""

    def check(result: Any) -> Any:
        if "unit" in limits and not convertible(result.unit, limits["unit"]):
            raise ValueError(f"must be in {limits['unit']}, or in a unit that converts to it")
        for word, sign in (("minimum", 1), ("maximum", -1)):
            if word in limits:
                size, bound = _sizes(result, limits[word])
                if (size - bound) * sign < (size - size):
                    raise ValueError(f"must be at {'least' if sign > 0 else 'most'} {limits[word]}")
        return result

    return AfterValidator(check)


def _sizes(value: Any, bound: Any) -> tuple[Any, Any]:
    """Return a value and its bound as what can be subtracted."""
    match value:
        case Money() if isinstance(bound, int | float):
            return value.amount, Decimal(str(bound))
        case Money():
            limit = parse_money(bound)
            if limit.currency != value.currency:
                raise ValueError(f"must be in {limit.currency}")
            return value.amount, limit.amount
        case Quantity():
            least = parse_quantity(bound)
            if least.unit == value.unit:
                return value.amount, least.amount
            if not convertible(value.unit, least.unit):
                raise ValueError(f"must be in {least.unit}, or in a unit that converts to it")
            return in_base(value.amount, scales(value.unit)[0]), in_base(least.amount, scales(least.unit)[0])
        case _:
            return value, parse_duration(bound)


def entries_of(value: Any) -> dict[str, Any] | None:
    """Return the fields of content or a mapping by name; None for anything else."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Any]", value))
    return None


def flat(content: object) -> dict[str, Any] | None:
    """Return the fields of content of an act's own class that were said, if they are text and whole numbers, which are JSON data already.

    They may be the content's own, not a copy.
    """
    kind = type(content)
    own: tuple[type, bool, frozenset[str]] | None = getattr(kind, "__own__", None)
    if own is None or own[0] is not kind:  # a registered class may write itself as it likes
        return None
    values = content.__dict__
    is_whole = True
    for value in values.values():
        if type(value) not in _WORDS:
            if value is not None:
                return None
            is_whole = False
    if is_whole:
        return values
    said: dict[str, Any] = {}
    for name, value in values.items():
        if value is not None:
            said[name] = value
        elif name in own[2]:
            return None
    return said


_WORDS = frozenset({str, int, bool})


def to_plain(value: Any) -> Any:
    """Return `value` as JSON data; content classes, money, dates and durations in their written form."""
    match value:
        case BaseModel():
            if (words := flat(value)) is not None:
                return dict(words)
            plain = value.model_dump(mode="json", exclude_none=True, warnings=False)
            _put_back(value, plain)
            return plain
        case Money() | Quantity():
            return str(value)
        case timedelta():
            return format_duration(value)
        case datetime() | date():
            return value.isoformat().replace("+00:00", "Z")
        case Decimal():
            return str(value)
        case Mapping():
            return {str(key): to_plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
        case list() | tuple():
            return [to_plain(item) for item in cast("list[Any]", value)]
        case _:
            return value


def _put_back(value: BaseModel, plain: dict[str, Any]) -> None:
    """Put back the empty fields that were said: a required field may be empty, an optional one is left out."""
    for name, info in type(value).model_fields.items():
        item, shown = value.__dict__.get(name), plain.get(name)
        if item is None and info.is_required():
            plain[name] = None
        elif isinstance(item, BaseModel) and isinstance(shown, dict):
            _put_back(item, cast("dict[str, Any]", shown))
        elif isinstance(item, list) and isinstance(shown, list):
            pairs = zip(cast("list[Any]", item), cast("list[Any]", shown), strict=False)
            for inner, entry in pairs:
                if isinstance(inner, BaseModel) and isinstance(entry, dict):
                    _put_back(inner, cast("dict[str, Any]", entry))


def printable(text: str, *, keep: str = "") -> str:
    """Return a text with control characters written out, so that nothing in it can steer a terminal or pass for a line.

    Args:
        text: Anything.
        keep: Characters that stay as they are, such as line ends.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def format_value(value: Any) -> str:
    """Return `value` in one line, as a transcript shows it; text with spaces in quotes."""
    plain = to_plain(value)
    if isinstance(plain, str):
        bare = not isinstance(value, str) or re.fullmatch(r"[^\s='\"]+", plain) or _MONEY.fullmatch(plain)
        return plain if bare and plain.isprintable() else repr(plain)
    if isinstance(plain, dict):
        entries = cast("dict[str, Any]", plain)
        return "{" + " ".join(f"{key}={format_value(item)}" for key, item in entries.items()) + "}"
    if isinstance(plain, list):
        return "[" + ", ".join(format_value(item) for item in cast("list[Any]", plain)) + "]"
    return "yes" if plain is True else "no" if plain is False else str(plain)
