"""The language as a JSON Schema (draft 7, which editors' YAML servers read), so that an editor completes and checks.

The schema knows the shape of a document: keys, words, numbers, patterns. Whether a name stands for something, and what follows
from the graph, only `check` knows. The closed lists (performatives, criteria, stakes, classes, types, constraints) are those of
the code.
"""

import keyword
from collections.abc import Iterable
from typing import get_args

from agentcomm.acts.content import CONSTRAINTS, KINDS, Content
from agentcomm.acts.performative import PERFORMATIVES, Performative
from agentcomm.protocol.graph import Comparison, Criterion, OutcomeClass, Stakes
from agentcomm.protocol.many import BARRED, MOST
from agentcomm.protocol.overlays import NAMES
from agentcomm.protocol.schema_parts import (
    FIELD,
    NAME,
    PART,
    REF,
    Schema,
    a_choice,
    a_count,
    a_duration,
    a_map,
    a_name,
    a_record,
    a_then,
    named,
    ref,
    words,
)
from agentcomm.protocol.schema_words import CLASSES, CRITERIA, STAKES, TYPES

__all__ = ("language_schema",)

_OUTWARD = ("resume", "again")


def language_schema() -> Schema:
    """Return the JSON Schema of protocol documents."""
    top = a_map(
        {
            "agentcomm": {"const": 1, "default": 1},
            "protocol": a_name(),
            "version": {"type": ["integer", "number", "string"], "examples": [1, "2.1"]},
            "about": {"type": "string"},
            "source": {"type": "string"},
            "roles": _roles(),
            "owner": a_name(),
            "types": {"type": "object", "propertyNames": _type_name(), "additionalProperties": ref("type")},
            "acts": {
                "type": "object",
                "propertyNames": {"pattern": NAME, "not": {"const": "it"}},
                "additionalProperties": ref("act"),
            },
            "grounding": named(ref("grounding")),
            "start": a_name(),
            "states": named(ref("state")) | {"minProperties": 1},
            "outcomes": named(a_choice(OutcomeClass, CLASSES)) | {"minProperties": 1},
            "settles": _settles(),
            "limits": _limits(),
            "overlay": a_map(
                {"on": {"enum": ["any", "readback", "demonstrated"]}}, "overlay", required=["on"]
            ),
            "then": a_then([*map(str, OutcomeClass), *_OUTWARD]),
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


# --- roles, types, acts ---


def _role_name() -> Schema:
    return {"type": "string", "pattern": NAME, "not": {"enum": list(BARRED)}}


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
    return {"pattern": NAME, "not": {"enum": list(KINDS)}}


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
                "pattern": rf"^\s*(?:optional\s+)?(?:list of\s+)*{PART}\s*$",
                "description": "optional X, list of X, or a name from `types`",
                "examples": ["optional text", "list of text"],
            },
        ]
    }


def _field_name() -> Schema:
    taken = sorted({*keyword.kwlist, *(name for name in dir(Content) if not name.startswith("_"))})
    return {"pattern": f"^{FIELD}$", "not": {"enum": taken}}


def _fields(*, short: bool = False) -> Schema:
    """Return a map of fields; in the short form of an act, two words would make it the long form."""
    barred = ["is", "act", "content"] if short else ["is"]
    return {
        "type": "object",
        "propertyNames": _field_name(),
        "not": {"anyOf": [{"required": [key]} for key in barred]},
        "additionalProperties": ref("type"),
        "description": "fields with their types",
    }


_OWN: dict[str, Schema] = {
    "unit": {"type": "string", "examples": ["l", "km/h"]},
    "ordered": {"type": "boolean", "default": True},
    "glossary": {
        "type": "object",
        "additionalProperties": words({"type": "string", "minLength": 1}),
        "minProperties": 1,
        "examples": [{"city bike": ["town bike"]}],
    },
}
"""The constraints that say how values compare."""


def _bound(key: str, kinds: Iterable[str]) -> Schema:
    if key == "pattern":
        return {"type": "string"}
    if "money" in kinds:
        return {"type": ["number", "string"]}
    return {"type": "number"} if "number" in kinds else {"type": "integer", "minimum": 0}


def _type() -> Schema:
    bounds = {key: _OWN.get(key) or _bound(key, kinds) for key, kinds in CONSTRAINTS.items()}
    limited = a_map({"is": _type_word(), **bounds}, "type", required=["is"])
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
    named = a_name() | {"not": {"enum": list(KINDS)}, "description": "a name from `types`"}
    return [
        named,
        _fields(short=short),
        a_map({"is": named}, required=["is"]),
    ]


def _act() -> Schema:
    performatives = a_choice(Performative, {str(key): info.about for key, info in PERFORMATIVES.items()})
    long = a_map(
        {
            "act": performatives,
            "content": {"anyOf": _content()},
            "critical": words({"type": "string"}),
            "stakes": a_choice(Stakes, STAKES),
            "discharges": a_name(),
            "outlives": {"type": "boolean"},
            "when": ref("condition"),
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
    name = rf"{PART}(?:\.{PART})*\s*"
    one: Schema = {
        "type": "string",
        "pattern": rf"^(?!.*(?:\s(?:and|or|AND|OR)\s|&&|\|\|)\s*{name}(?:{operators}|in\b))"
        rf"\s*{name}(?:(?:<=|>=|<(?!=)|>(?!=))(?!\s*\S+\s*[<>])|==|!=|\bin\b)\s*\S.*$",
        "patternErrorMessage": "a condition is a field, a comparison (== != < <= > >= in), and a constant or `act.field`",
        "examples": ["price <= ask.price", "choice in question.options"],
    }
    return words(one)


def _grounding() -> Schema:
    criterion = a_choice(Criterion, CRITERIA)
    return {
        "anyOf": [
            criterion,
            a_map(
                {
                    "criterion": criterion,
                    "readback": words({"type": "string"}),
                    "repeats": {
                        "type": "object",
                        "additionalProperties": a_record(),
                    },
                },
                "grounding",
            ),
        ],
        "description": "How much evidence of understanding is needed before the talk builds on this act.",
    }


# --- states, settling, limits ---


def _state() -> Schema:
    speaks = a_map(
        {"within": a_duration(), "else": a_name(), "gather": a_name(), "first": a_name()},
        "state",
    )
    speaks["additionalProperties"] = {
        "type": "object",
        "propertyNames": {"pattern": NAME},
        "additionalProperties": ref("move"),
        "minProperties": 1,
        "description": "What this role may say here, and where each act leads.",
        "examples": [{"propose": "offered", "refuse": "declined"}],
    }
    speaks["propertyNames"] = {"pattern": NAME, "not": {"enum": ["run", "as", "with", "then"]}}
    speaks["dependencies"] = {"first": {"minProperties": 3}}
    runs = a_map(
        {
            "run": {"type": "string"},
            "as": named(a_name()),
            "with": {
                "type": "object",
                "propertyNames": {"pattern": REF},
                "additionalProperties": a_record(),
            },
            "then": a_then([]) | {"additionalProperties": a_name()},
            "within": a_duration(),
            "else": a_name(),
        },
        "state",
        required=["run", "then"],
    )
    runs["dependencies"] = {"else": ["within"]}
    return {"anyOf": [speaks, runs], "description": "Who may speak here, what, and where that leads."}


def _move() -> Schema:
    long = a_map(
        {
            "next": a_name(),
            "to": words(a_name()),
            "for": {"const": "all"},
            "max": a_count(1),
            "then": a_name(),
            "at_most": a_count(1),
            "at_once": a_count(1),
            "when": ref("condition"),
            "stakes": a_choice(Stakes, STAKES),
            "owner": a_name(),
        },
        "move",
        required=["next"],
    )
    long["dependencies"] = {"then": ["max"]}
    return {
        "anyOf": [a_name() | {"description": "the state or outcome it leads to"}, long],
        "description": "Where the act leads: a state or an outcome. Long form: `{next, to, max, then, ...}`.",
        "examples": ["offered", {"next": "asked", "max": 2, "then": "declined"}],
    }


def _settles() -> Schema:
    one: Schema = {
        "type": "string",
        "pattern": rf"^\s*(?:(?:any|all|most|at least\s+[1-9]\d*)\s+{PART}|otherwise)\s*$",
        "patternErrorMessage": "it is `any x`, `all x`, `most x`, `at least 2 x` or `otherwise`",
        "examples": ["any done", "all silent", "at least 2 answered", "otherwise"],
    }
    return {
        "type": "object",
        "propertyNames": {"enum": [str(item) for item in OutcomeClass]},
        "additionalProperties": words(one),
        "minProperties": 1,
    }


def _limits() -> Schema:
    return a_map(
        {
            "reply_within": a_duration() | {"default": "60s"},
            "else": a_name(),
            "repairs": a_count(0) | {"default": 2},
            "repairs_in_all": a_count(0),
            "misfires": a_count(1) | {"default": 3},
            "turns": a_count(1),
            "whole": a_duration(),
            "escalate_to": a_name(),
        },
        "limits",
    )
