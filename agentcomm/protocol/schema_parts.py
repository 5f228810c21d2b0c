"""The small parts that the schema of the language is made of: names, maps with closed keys, choices, durations."""

from collections.abc import Iterable
from typing import Any

from agentcomm.protocol.graph import OutcomeClass
from agentcomm.protocol.schema_words import ABOUT

__all__ = (
    "FIELD",
    "NAME",
    "PART",
    "REF",
    "Schema",
    "a_choice",
    "a_count",
    "a_duration",
    "a_map",
    "a_name",
    "a_record",
    "a_then",
    "named",
    "ref",
    "words",
)

Schema = dict[str, Any]

_LETTER = r"[^\x00-\x40\x5b-\x60\x7b-\x7f]"
_INNER = r"[^\x00-\x2c\x2e\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]"
PART = f"{_LETTER}{_INNER}*"
NAME = f"^{_LETTER}{_INNER}{{0,63}}$"
"""Letters of any script, digits, `-`, `_`: written without `\\w`, which reads differently in every regex engine."""
_NAME_WORDS = "a name is letters, digits, `-` and `_`, and begins with a letter"
FIELD = rf"{_LETTER}(?:[^\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f])*"
REF = rf"^\s*{PART}\.{FIELD}\s*$"
_DEEP_REF = rf"^\s*{PART}(?:\.{PART})?\.{FIELD}\s*$"
_DURATION = r"^(?=.*[1-9])\s*(?:\d+(?:\.\d+)?\s*(?:ms|s|m|h|d)\s*)+$"
_DURATION_WORDS = "a duration is a number with a unit, such as 30s, 10m or 1h30m"
_MOST = 1_000_000


def ref(name: str) -> Schema:
    """Return a reference to a definition."""
    return {"$ref": f"#/definitions/{name}"}


def a_name() -> Schema:
    """Return what a name of the author's own looks like."""
    return {"type": "string", "pattern": NAME, "patternErrorMessage": _NAME_WORDS}


def named(value: Schema) -> Schema:
    """Return a map from names of the author's own to values of one shape."""
    return {"type": "object", "propertyNames": {"pattern": NAME}, "additionalProperties": value}


def a_map(keys: Schema, where: str = "", *, required: Iterable[str] = ()) -> Schema:
    """Return a map with a closed list of keys, each with its description."""
    properties = {key: _told(value, f"{where}.{key}" if where else key) for key, value in keys.items()}
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": list(required)} if required else {}),
    }


def _told(value: Schema, path: str) -> Schema:
    """Return a schema with its description; one that only refers is wrapped, since words beside `$ref` are not read."""
    about = ABOUT.get(path)
    if not about:
        return value
    inner: Schema = {"allOf": [value]} if "$ref" in value else value
    words, *examples = about
    return inner | {"description": words} | ({"examples": examples} if examples else {})


def a_choice(values: Iterable[str], words: dict[str, str]) -> Schema:
    """Return one of a closed list of words, each with what it means."""
    known = [str(value) for value in values]
    return {
        "type": "string",
        "enum": known,
        "description": "\n".join(f"{value}: {words[value]}" for value in known),
        "enumDescriptions": [words[value] for value in known],
    }


def a_count(least: int) -> Schema:
    """Return a whole number from `least`."""
    return {"type": "integer", "minimum": least, "maximum": _MOST}


def a_duration() -> Schema:
    """Return a number with a unit."""
    return {
        "type": "string",
        "pattern": _DURATION,
        "patternErrorMessage": _DURATION_WORDS,
        "examples": ["30s", "10m", "1h30m"],
    }


def a_record() -> Schema:
    """Return `act.field`, a value on record."""
    return {
        "type": "string",
        "pattern": _DEEP_REF,
        "patternErrorMessage": "a value on record is `act.field`, such as `propose.price`",
    }


def words(item: Schema) -> Schema:
    """Return one word or a list of them."""
    return {"anyOf": [item, {"type": "array", "items": item}]}


def a_then(targets: list[str]) -> Schema:
    """Return where classes of outcomes lead."""
    return {
        "type": "object",
        "propertyNames": {"enum": [*map(str, OutcomeClass), "otherwise"]},
        "additionalProperties": {"enum": targets},
        "minProperties": 1,
    }
