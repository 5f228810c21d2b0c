"""A model's turn: one JSON schema over the legal acts in, one message out.

The schema has the shape that Ollama really enforces: the root is an object or a `oneOf`, the act is a `const`, texts and lists
are bounded, no `$ref`. What comes back is data: parsed and validated, never executed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from agentcomm.acts.content import FieldType, to_plain
from agentcomm.acts.message import Message
from agentcomm.agents.prompt import build
from agentcomm.agents.turn import Turn, Unspoken
from agentcomm.conversation.moves import given, on_record
from agentcomm.errors import EdgeError, ModelBroken, UsageError
from agentcomm.grounding.sourced import unsourced
from agentcomm.models.base import ModelRequest
from agentcomm.protocol.graph import Act, Move

__all__ = ("choose", "field_schema", "move_schema", "moves_schema")

TEXT = 280
"""Characters of a text that a model writes; the grammar of some servers refuses long bounds."""
ITEMS = 5
OFFERED_EXITS = ("specify", "not-understood")
"""Exits a model is shown: the most specific question, and the plain word. People may use all."""


async def choose(
    turn: Turn, act: str, known: Mapping[str, Any], facts: Mapping[str, Any]
) -> Message | Unspoken:
    """Return what the turn's model says; see `Turn.fill`."""
    model = turn.model
    if model is None:
        raise UsageError(
            f"{turn.agent} has no model", fix=f'Agent("{turn.agent}", model="ollama:…")', code="U330"
        )
    offered = (
        tuple(m for m in (*turn.moves, *turn.exits) if act in (m.label, m.act.name))
        if act
        else _offered(turn)
    )
    if act:
        act = offered[0].label
        known = {**known, **given(turn.conversation, offered[0])}
    asks = tuple(name for name in offered[0].act.fields if name not in known) if act else None
    if asks == ():
        return turn.say(act, **known)
    prompt = build(turn, offered, {**known, **facts}, asks=asks)
    messages = prompt.messages()
    schema = (
        fields_schema(offered[0].act, asks)
        if asks is not None
        else moves_schema(offered, {} if turn.judges else _on_record(turn, offered))
    )
    attempt = turn.conversation.here.misfires + 1
    request = ModelRequest(
        messages=messages,
        schema=schema,
        num_ctx=turn.num_ctx,
        seed=attempt,
        temperature=0.0 if attempt == 1 else 0.4,
    )
    journal = turn.journal
    key = _digest(request)
    if (before := journal.recalled("model.result", key)) is not None:
        return _read(turn, str(before.body["text"]), act, known, facts, asks)
    journal.step(
        "model.request",
        {
            "agent": turn.agent,
            "model": model.name,
            "attempt": attempt,
            "temperature": request.temperature,
            "seed": request.seed,
            "num_ctx": request.num_ctx,
            "segments": prompt.provenance(),
            "prompt": _digest(messages),
            "schema": _digest(schema),
            "offered": [move.label for move in offered],
            "classifiers": [],
        },
        {"messages": messages, "schema": schema},
    )
    try:
        reply = await model.reply(request)
    except EdgeError as error:
        failed = {"agent": turn.agent, "model": model.name, "code": error.code}
        journal.step("model.error", failed, error.as_dict())
        if isinstance(error, ModelBroken):
            return Unspoken(error.what)
        raise
    journal.step(
        "model.result",
        {
            "key": key,
            "agent": turn.agent,
            "model": reply.model,
            "done_reason": reply.done_reason,
            "prompt_tokens": reply.prompt_tokens,
            "output_tokens": reply.output_tokens,
            "seconds": round(reply.seconds, 3),
            "transport_retries": reply.transport_retries,
            "address": reply.address,
            "sent": "sha256:" + hashlib.sha256(reply.sent).hexdigest() if reply.sent else "",
        },
        {"text": reply.text, "thinking": reply.thinking},
    )
    await journal.kept()
    return _read(turn, reply.text, act, known, facts, asks)


def _offered(turn: Turn) -> tuple[Move, ...]:
    return (*turn.moves, *(move for move in turn.exits if move.label in OFFERED_EXITS))


def _digest(value: Any) -> str:
    return "sha256:" + hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def _read(
    turn: Turn,
    text: str,
    act: str,
    known: Mapping[str, Any],
    facts: Mapping[str, Any],
    asks: tuple[str, ...] | None,
) -> Message | Unspoken:
    """Return the message in a model's text; sender, role and receivers are never taken from it."""
    try:
        answer = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:  # a model that babbles brackets nests without end
        return Unspoken(f"the answer is not JSON ({error})")
    if not isinstance(answer, dict):
        return Unspoken("the answer is not a JSON object")
    data = cast("dict[str, Any]", answer)
    if asks is not None:
        written = {name: value for name, value in data.items() if name in asks}
        if invented := unsourced(
            _texts(written.values()), _sources(turn, known, facts), _borrowed(turn, act)
        ):
            shown = ", ".join(repr(word[:40]) for word in invented[:3])
            return Unspoken(f"{shown} stands in none of the facts; use only what was given")
        return _message(turn, act, {**to_plain(dict(known)), **written})
    label, content = data.get("act"), data.get("content", {})
    if not isinstance(label, str) or not isinstance(content, dict):
        return Unspoken('the answer must be {"act": …, "content": {…}}')
    return _message(turn, label, content)


def _message(turn: Turn, label: str, content: Any) -> Message:
    move = next((move for move in turn.moves if label in (move.label, move.act.name)), None)
    lane = "" if move is not None and move.for_all else turn.lane
    return Message(act=label, content=content, sender=turn.role, made_by="model", lane=lane)


def _texts(values: Iterable[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _borrowed(turn: Turn, act: str) -> list[str]:
    """Return what the worked examples are about: none of it belongs into an answer."""
    return [text for given, _made in turn.examples.get(act, ()) for text in _texts(given.values())]


def _sources(turn: Turn, known: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """Return everything the model was given that it may repeat."""
    given = (known, facts, turn.brief, turn.content, turn.ground.as_dict())
    return [msgspec.json.encode(to_plain(item)).decode() for item in given if item]


def _on_record(turn: Turn, moves: tuple[Move, ...]) -> dict[str, dict[str, Any]]:
    """Return the values that a message must repeat: what a model that only copies is not left to get wrong."""
    found: dict[str, dict[str, Any]] = {}
    for move in moves:
        values = {name: on_record(turn.conversation, ref) for name, ref in move.act.repeats.items()}
        found[move.label] = {name: to_plain(value) for name, value in values.items() if value is not None}
    return found


def moves_schema(
    moves: tuple[Move, ...], fixed: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the schema over the acts on offer; `fixed` gives values by act and field that the model cannot change."""
    shapes = [move_schema(move, (fixed or {}).get(move.label)) for move in moves]
    return shapes[0] if len(shapes) == 1 else {"oneOf": shapes}


def move_schema(move: Move, fixed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of one message."""
    content = fields_schema(move.act, None)
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


def fields_schema(act: Act, only: tuple[str, ...] | None) -> dict[str, Any]:
    """Return the schema of an act's content, or of some of its fields."""
    if act.registered is not None:
        schema = _plain(act.registered.model_json_schema())
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
        case "datetime" | "duration" | "money" | "quantity":
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


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
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
