"""The language as a JSON Schema (draft 7, which editors' YAML servers read), so that an editor completes and checks.

The schema knows the shape of a document: keys, words, numbers, patterns. Whether a name stands for something, and what follows
from the graph, only `check` knows. The closed lists (performatives, criteria, stakes, classes, types, constraints) are those of
the code.
"""

import keyword
from collections.abc import Iterable
from typing import Any, get_args

from agentcomm.acts.content import CONSTRAINTS, KINDS, Content
from agentcomm.acts.performative import PERFORMATIVES, Performative
from agentcomm.protocol.graph import Comparison, Criterion, OutcomeClass, Stakes
from agentcomm.protocol.many import BARRED, MOST
from agentcomm.protocol.overlays import NAMES
from agentcomm.protocol.schema_words import ABOUT, CLASSES, CRITERIA, STAKES, TYPES

__all__ = ("language_schema",)

Schema = dict[str, Any]

_LETTER = r"[^\x00-\x40\x5b-\x60\x7b-\x7f]"
_INNER = r"[^\x00-\x2c\x2e\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]"
_PART = f"{_LETTER}{_INNER}*"
_NAME = f"^{_LETTER}{_INNER}{{0,63}}$"
"""Letters of any script, digits, `-`, `_`: written without `\\w`, which reads differently in every regex engine."""
_FIELD = rf"{_LETTER}(?:[^\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f])*"
_REF = rf"^\s*{_PART}\.{_FIELD}\s*$"
_DEEP_REF = rf"^\s*{_PART}(?:\.{_PART})?\.{_FIELD}\s*$"
_DURATION = r"^(?=.*[1-9])\s*(?:\d+(?:\.\d+)?\s*(?:ms|s|m|h|d)\s*)+$"
_MOST = 1_000_000
_OUTWARD = ("resume", "again")


def language_schema() -> Schema:
    """Return the JSON Schema of protocol documents."""
    top = _map(
        {
            "agentcomm": {"const": 1, "default": 1},
            "protocol": _name(),
            "version": {"type": ["integer", "number", "string"], "examples": [1, "2.1"]},
            "about": {"type": "string"},
            "source": {"type": "string"},
            "roles": _roles(),
            "owner": _name(),
            "types": {"type": "object", "propertyNames": _type_name(), "additionalProperties": _ref("type")},
            "acts": {
                "type": "object",
                "propertyNames": {"pattern": _NAME, "not": {"const": "it"}},
                "additionalProperties": _ref("act"),
            },
            "grounding": _named(_ref("grounding")),
            "start": _name(),
            "states": _named(_ref("state")) | {"minProperties": 1},
            "outcomes": _named(_choice(OutcomeClass, CLASSES)) | {"minProperties": 1},
            "settles": _settles(),
            "limits": _limits(),
            "overlay": _map(
                {"on": {"enum": ["any", "readback", "demonstrated"]}}, "overlay", required=["on"]
            ),
            "then": _then([*map(str, OutcomeClass), *_OUTWARD]),
            "overlays": {
                "type": "object",
                "propertyNames": {"enum": list(NAMES)},
                "additionalProperties": {"type": "string"},
            },
        },
        "",
        required=["agentcomm", "protocol", "roles", "acts", "states", "outcomes"],
    )
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "agentcomm protocol",
        "description": "Who may say what, when, and where that leads.",
        **top,
        "dependencies": {"overlay": ["then"], "then": ["overlay"]},
        "definitions": {
            "type": _type(),
            "act": _act(),
            "grounding": _grounding(),
            "state": _state(),
            "move": _move(),
            "condition": _conditions(),
        },
    }


# --- small parts ---


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _name() -> Schema:
    return {"type": "string", "pattern": _NAME}


def _named(value: Schema) -> Schema:
    """Return a map from names of the author's own to values of one shape."""
    return {"type": "object", "propertyNames": {"pattern": _NAME}, "additionalProperties": value}


def _map(keys: Schema, where: str = "", *, required: Iterable[str] = ()) -> Schema:
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


def _choice(values: Iterable[str], words: dict[str, str]) -> Schema:
    known = [str(value) for value in values]
    return {
        "type": "string",
        "enum": known,
        "description": "\n".join(f"{value}: {words[value]}" for value in known),
        "enumDescriptions": [words[value] for value in known],
    }


def _count(least: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": _MOST}


def _duration() -> Schema:
    return {"type": "string", "pattern": _DURATION, "examples": ["30s", "10m", "1h30m"]}


def _words(item: Schema) -> Schema:
    """Return one word or a list of them."""
    return {"anyOf": [item, {"type": "array", "items": item}]}


def _then(targets: list[str]) -> Schema:
    return {
        "type": "object",
        "propertyNames": {"enum": [*map(str, OutcomeClass), "otherwise"]},
        "additionalProperties": {"enum": targets},
        "minProperties": 1,
    }


# --- roles, types, acts ---


def _role_name() -> Schema:
    return {"type": "string", "pattern": _NAME, "not": {"enum": list(BARRED)}}


def _roles() -> Schema:
    many: Schema = {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": MOST, "description": "so many agents"},
            {
                "type": "string",
                "pattern": r"^[1-9]\d{0,3}\.\.[1-9]\d{0,3}$",
                "description": "so few to so many agents, each in a lane of its own",
                "examples": ["1..20"],
            },
        ]
    }
    return {
        "anyOf": [
            {"type": "array", "items": _role_name(), "minItems": 2, "uniqueItems": True},
            {
                "type": "object",
                "propertyNames": _role_name(),
                "additionalProperties": many,
                "minProperties": 2,
            },
        ]
    }


def _type_name() -> Schema:
    return {"pattern": _NAME, "not": {"enum": list(KINDS)}}


def _type_word() -> Schema:
    return {
        "anyOf": [
            {
                "type": "string",
                "enum": list(KINDS),
                "description": "\n".join(f"{kind}: {TYPES[kind]}" for kind in KINDS),
                "enumDescriptions": [TYPES[kind] for kind in KINDS],
            },
            {
                "type": "string",
                "pattern": rf"^\s*(?:optional\s+)?(?:list of\s+)*{_PART}\s*$",
                "description": "optional X, list of X, or a name from `types`",
                "examples": ["optional text", "list of text"],
            },
        ]
    }


def _field_name() -> Schema:
    taken = sorted({*keyword.kwlist, *(name for name in dir(Content) if not name.startswith("_"))})
    return {"pattern": f"^{_FIELD}$", "not": {"enum": taken}}


def _fields(*, short: bool = False) -> Schema:
    """Return a map of fields; in the short form of an act, two words would make it the long form."""
    barred = ["is", "act", "content"] if short else ["is"]
    return {
        "type": "object",
        "propertyNames": _field_name(),
        "not": {"anyOf": [{"required": [key]} for key in barred]},
        "additionalProperties": _ref("type"),
        "description": "fields with their types",
    }


def _type() -> Schema:
    bounds: dict[str, Schema] = {
        key: {"type": "string" if key == "pattern" else ["number", "string"]}
        if "money" in kinds or key == "pattern"
        else {"type": "number"}
        if "number" in kinds
        else {"type": "integer", "minimum": 0}
        for key, kinds in CONSTRAINTS.items()
    }
    limited = _map({"is": _type_word(), **bounds}, "type", required=["is"])
    for key, kinds in CONSTRAINTS.items():
        limited["properties"][key]["description"] = f"for {', '.join(kinds)}"
    choice: Schema = {
        "type": "array",
        "items": {"type": ["string", "number", "boolean"]},
        "minItems": 1,
        "uniqueItems": True,
        "description": "one of these values",
    }
    return {"anyOf": [_type_word(), choice, limited, _fields()]}


def _content(*, short: bool = False) -> list[Schema]:
    """Return what content can be: a type's name, fields, or a named type with constraints."""
    named = _name() | {"not": {"enum": list(KINDS)}, "description": "a name from `types`"}
    return [
        named,
        _fields(short=short),
        _map({"is": named}, required=["is"]),
    ]


def _act() -> Schema:
    performatives = _choice(Performative, {str(key): info.about for key, info in PERFORMATIVES.items()})
    long = _map(
        {
            "act": performatives,
            "content": {"anyOf": _content()},
            "critical": _words({"type": "string"}),
            "stakes": _choice(Stakes, STAKES),
            "discharges": _name(),
            "outlives": {"type": "boolean"},
            "when": _ref("condition"),
        },
        "act",
    )
    long["anyOf"] = [{"required": ["act"]}, {"required": ["content"]}]
    return {
        "anyOf": [long, *_content(short=True)],
        "description": "What it carries: fields with their types, or the name of a type. With `act:` or `content:` it is the "
        "long form. A label that is not an act of the library says its `act`.",
        "examples": [{"reason": "text"}, {"act": "inform", "content": {"summary": "text"}}],
    }


def _conditions() -> Schema:
    operators = "|".join(sorted((op for op in get_args(Comparison) if op != "in"), key=len, reverse=True))
    one: Schema = {
        "type": "string",
        "pattern": rf"^\s*{_PART}(?:\.{_PART})*\s*(?:{operators}|\bin\b)\s*\S.*$",
        "examples": ["price <= ask.price", "choice in question.options"],
    }
    return _words(one)


def _grounding() -> Schema:
    criterion = _choice(Criterion, CRITERIA)
    return {
        "anyOf": [
            criterion,
            _map(
                {
                    "criterion": criterion,
                    "readback": _words({"type": "string"}),
                    "repeats": {
                        "type": "object",
                        "additionalProperties": {"type": "string", "pattern": _DEEP_REF},
                    },
                },
                "grounding",
            ),
        ],
        "description": "How much evidence of understanding is needed before the talk builds on this act.",
    }


# --- states, settling, limits ---


def _state() -> Schema:
    speaks = _map(
        {"within": _duration(), "else": _name(), "gather": _name(), "first": _name()},
        "state",
    )
    speaks["additionalProperties"] = {
        "type": "object",
        "propertyNames": {"pattern": _NAME},
        "additionalProperties": _ref("move"),
        "minProperties": 1,
        "description": "What this role may say here, and where each act leads.",
        "examples": [{"propose": "offered", "refuse": "declined"}],
    }
    speaks["propertyNames"] = {"pattern": _NAME, "not": {"enum": ["run", "as", "with", "then"]}}
    speaks["dependencies"] = {"first": {"minProperties": 3}}
    runs = _map(
        {
            "run": {"type": "string"},
            "as": _named(_name()),
            "with": {
                "type": "object",
                "propertyNames": {"pattern": _REF},
                "additionalProperties": {"type": "string", "pattern": _DEEP_REF},
            },
            "then": _then([]) | {"additionalProperties": _name()},
            "within": _duration(),
            "else": _name(),
        },
        "state",
        required=["run", "then"],
    )
    runs["dependencies"] = {"else": ["within"]}
    return {"anyOf": [speaks, runs], "description": "Who may speak here, what, and where that leads."}


def _move() -> Schema:
    long = _map(
        {
            "next": _name(),
            "to": _words(_name()),
            "for": {"const": "all"},
            "max": _count(1),
            "then": _name(),
            "at_most": _count(1),
            "at_once": _count(1),
            "when": _ref("condition"),
            "stakes": _choice(Stakes, STAKES),
            "owner": _name(),
        },
        "move",
        required=["next"],
    )
    long["dependencies"] = {"then": ["max"]}
    return {
        "anyOf": [_name() | {"description": "the state or outcome it leads to"}, long],
        "description": "Where the act leads: a state or an outcome. Long form: `{next, to, max, then, ...}`.",
        "examples": ["offered", {"next": "asked", "max": 2, "then": "declined"}],
    }


def _settles() -> Schema:
    one: Schema = {
        "type": "string",
        "pattern": rf"^\s*(?:(?:any|all|most|at least\s+[1-9]\d*)\s+{_PART}|otherwise)\s*$",
        "examples": ["any done", "all silent", "at least 2 answered", "otherwise"],
    }
    return {
        "type": "object",
        "propertyNames": {"enum": [str(item) for item in OutcomeClass]},
        "additionalProperties": _words(one),
        "minProperties": 1,
    }


def _limits() -> Schema:
    return _map(
        {
            "reply_within": _duration() | {"default": "60s"},
            "else": _name(),
            "repairs": _count(0) | {"default": 2},
            "repairs_in_all": _count(0),
            "misfires": _count(1) | {"default": 3},
            "turns": _count(1),
            "whole": _duration(),
            "escalate_to": _name(),
        },
        "limits",
    )
