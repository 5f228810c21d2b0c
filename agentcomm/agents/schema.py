"""One JSON schema over what a model may answer, in the shape that local servers really enforce.

The root is an object or a `oneOf`, the act is a `const`, texts and lists are bounded, there is no `$ref`, no boolean schema and
no `pattern` but the simplest; properties come in the order in which they are best decided. What a grammar cannot hold is validated afterwards.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from agentcomm.acts.content import FieldType, to_plain
from agentcomm.protocol.graph import Act, Condition, Move, Ref

__all__ = ("call_schema", "field_schema", "fields_schema", "move_schema", "moves_schema", "plain_schema")

TEXT = 280
"""Characters of a text that a model writes; the grammar of some servers refuses long bounds."""
MONEY = r"^-?[0-9]+(\.[0-9]+)? [A-Z][A-Z][A-Z]$"
"""As a record shows it. A small model writes `120 euros` or `120` where nothing holds it."""
ITEMS = 5
"""Items of a list."""


def moves_schema(
    moves: tuple[Move, ...],
    fixed: Mapping[str, Mapping[str, Any]] | None = None,
    tools: Mapping[str, Mapping[str, Any]] | None = None,
    on_record: Callable[[Ref], Any] = lambda _ref: None,
    *,
    exact: bool = False,
) -> dict[str, Any]:
    """Return the schema over the acts on offer.

    Args:
        moves: The moves.
        fixed: Values by act and field that the model cannot change.
        tools: Tool -> the JSON Schema of its arguments: what may be called instead, before an act is chosen.
        on_record: Gives the value that a condition of a move refers to.
        exact: Hold a new moment to `2026-12-01T09:30:00Z`, for a model that would not write one by itself; it cannot leave the zone
            open then.
    """
    shapes = [move_schema(move, (fixed or {}).get(move.label), on_record, exact=exact) for move in moves]
    shapes += [call_schema(name, parameters) for name, parameters in (tools or {}).items()]
    return shapes[0] if len(shapes) == 1 else {"oneOf": shapes}


def move_schema(
    move: Move,
    fixed: Mapping[str, Any] | None = None,
    on_record: Callable[[Ref], Any] = lambda _ref: None,
    *,
    exact: bool = False,
) -> dict[str, Any]:
    """Return the schema of one message."""
    content = fields_schema(move.act, None)
    compared = {condition.left for condition in move.when}
    for name, kind in move.act.fields.items():
        if exact and kind.kind == "datetime" and name not in move.act.repeats and name not in compared:
            content["properties"][name] = {"type": "string", "format": "date-time"}
    for condition in move.when:
        if isinstance(condition.left, str) and condition.left in content["properties"]:
            right = on_record(condition.right) if isinstance(condition.right, Ref) else condition.right
            if right is not None:
                _limit(content["properties"], condition, right)
    for name, value in (fixed or {}).items():
        content["properties"][name] = {"const": value}
    for name in move.given:
        content["properties"].pop(name, None)
        content["required"] = [other for other in content.get("required", []) if other != name]
    return {
        "type": "object",
        "properties": {"act": {"const": move.act.name}, "content": content},
        "required": ["act", "content"],
        "additionalProperties": False,
    }


def _limit(fields: dict[str, Any], condition: Condition, right: Any) -> None:
    """Write a condition into the schema, where a grammar can hold it: what must be equal, and bounds of whole numbers."""
    name = str(condition.left)
    before, plain = fields[name], to_plain(right)
    whole = before.get("type") == "integer" and isinstance(right, int)
    match condition.op:
        case "==":
            fields[name] = {"const": plain}
        case "in" if isinstance(plain, list | tuple):
            fields[name] = {"enum": list(cast("list[Any]", plain))}
        case ">" | ">=" if whole:
            least = right + (condition.op == ">")
            fields[name] = {**before, "minimum": max(least, before.get("minimum", least))}
        case "<" | "<=" if whole:
            most = right - (condition.op == "<")
            fields[name] = {**before, "maximum": min(most, before.get("maximum", most))}
        case _:
            pass


def fields_schema(act: Act, only: tuple[str, ...] | None) -> dict[str, Any]:
    """Return the schema of an act's content, or of some of its fields."""
    if act.registered is not None:
        schema = plain_schema(act.registered.model_json_schema())
        if only is not None:
            schema["properties"] = {name: schema["properties"][name] for name in only}
            schema["required"] = [name for name in schema.get("required", []) if name in only]
        return schema
    fields = act.fields if only is None else {name: act.fields[name] for name in only}
    return _object(fields)


def _object(fields: Mapping[str, FieldType]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: field_schema(kind) for name, kind in fields.items()},
        "required": [name for name, kind in fields.items() if not kind.optional],
        "additionalProperties": False,
    }


def field_schema(kind: FieldType) -> dict[str, Any]:
    """Return the schema of one field, as far as it can be enforced; the rest is validated afterwards."""
    limits = kind.constraints
    match kind.kind:
        case "text" | "id":
            return {"type": "string", "minLength": 1, "maxLength": min(TEXT, limits.get("maxLength", TEXT))}
        case "int":
            words = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
            return {"type": "integer", **{word: limits[word] for word in words if word in limits}}
        case "number":
            return {"type": "number"}
        case "bool":
            return {"type": "boolean"}
        case "date":
            return {"type": "string", "format": "date"}
        case "money":
            return {"type": "string", "pattern": MONEY}
        case "datetime" | "duration" | "quantity":
            return {"type": "string", "minLength": 1, "maxLength": 40}
        case "any":
            return {"type": "string", "minLength": 1, "maxLength": TEXT}
        case "list":
            return {
                "type": "array",
                "items": field_schema(kind.item or FieldType("any")),
                "minItems": limits.get("minItems", 0),
                "maxItems": min(ITEMS, limits.get("maxItems", ITEMS)),
            }
        case "choice":
            return {"enum": list(kind.choices)}
        case "map":
            return _object(kind.fields or {})


def plain_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a pydantic schema without references and with bounded texts and lists."""
    definitions: dict[str, Any] = schema.get("$defs", {})

    def walk(node: Any, depth: int) -> Any:
        if isinstance(node, list):
            return [walk(item, depth) for item in cast("list[Any]", node)]
        if not isinstance(node, dict):
            return node
        entry = cast("dict[str, Any]", node)
        if "$ref" in entry:
            if depth > 8:  # noqa: PLR2004  (a self-referencing class ends here)
                return {"type": "string", "maxLength": TEXT}
            return walk(definitions[str(entry["$ref"]).rpartition("/")[2]], depth + 1)
        made = {
            k: walk(v, depth) for k, v in entry.items() if k not in {"$defs", "title", "default", "pattern"}
        }
        if made.get("type") == "string" and "format" not in made and "enum" not in made:
            made["maxLength"] = min(TEXT, made.get("maxLength", TEXT))
        if made.get("type") == "array":
            made["maxItems"] = min(ITEMS, made.get("maxItems", ITEMS))
        return made

    return cast("dict[str, Any]", walk(schema, 0))


def call_schema(tool: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a call to a tool; `parameters` is the JSON Schema of its arguments."""
    return {
        "type": "object",
        "properties": {"use": {"const": tool}, "with": dict(parameters)},
        "required": ["use", "with"],
        "additionalProperties": False,
    }
