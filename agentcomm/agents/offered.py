"""How a prompt writes what may be said: a line of acts with their fields, in the notation in which messages are shown.

The schema that goes with a prompt holds the form of an answer, so a model that keeps to it is told what to choose among and what a
field is for, and no more: a type only where a grammar does not hold it, an act of an overlay by its name, and an act whose like
stands in the prompt, word for word, by its name. A model that does not keep to a schema is told all of it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from agentcomm.acts.content import FieldType, entries_of
from agentcomm.acts.message import Message
from agentcomm.agents.schema import fields_schema
from agentcomm.conversation.moves import signature
from agentcomm.protocol.graph import Move

__all__ = ("briefly", "in_full")

NAMED = ("specify", "not-understood", "unable", "readback", "confirm", "value", "restate", "give-up")
"""Acts of overlays: their fields are the same in every protocol, and these say what they are for."""
HELD = ("text", "id", "any", "int", "number", "bool", "date", "money")
"""Kinds of fields whose form a grammar holds."""
PLAIN = (*HELD, "quantity", "duration", "datetime")
"""Kinds of fields of which one value shows how another is written."""


def briefly(moves: Iterable[Move], shown: Sequence[Message]) -> str:
    """Return `Say act field field=kind | act …`, on one line.

    Args:
        moves: The moves on offer.
        shown: Messages that the prompt shows word for word.
    """
    lines = [move.act.name if any(_is_like(move, one) for one in shown) else _shape(move) for move in moves]
    return f"Say {' | '.join(lines)}"


def in_full(moves: Iterable[Move]) -> str:
    """Return `act(field: type, …)` of each move on a line, under the form of an answer."""
    lines = (f"{signature(move)}{_about(move)}" for move in moves)
    return "\n".join(('Answer {"act": …, "content": {…}}:', *lines))


def _is_like(move: Move, message: Message) -> bool:
    """Say whether a message shows all there is to know of the form of a move."""
    kinds = move.act.fields
    said = entries_of(message.content) or {}
    return (
        message.act == move.label
        and move.act.registered is None
        and all(said.get(name) is not None and kinds[name].kind in PLAIN for name in kinds)
    )


def _shape(move: Move) -> str:
    act = move.act
    if move.label in NAMED:
        inner = act.fields["fields"].fields if move.label == "readback" else None
        return " ".join((act.name, *(inner or ())))
    if act.registered is not None:
        schema = fields_schema(act, None)
        needed = schema.get("required", ())
        kinds = {
            name: f"{_form(one)}{'' if name in needed else '?'}" for name, one in schema["properties"].items()
        }
    else:
        kinds = {name: "" if name in act.repeats else _kind(kind) for name, kind in act.fields.items()}
    fields = [f"{name}{kind}" for name, kind in kinds.items() if name not in move.given]
    return " ".join((act.name, *fields))


def _kind(kind: FieldType) -> str:
    match kind.kind:
        case held if held in HELD:
            text = ""
        case "choice":
            text = "=" + "/".join(map(str, kind.choices))
        case "list":
            text = f"=[{_kind(kind.item or FieldType('any')).removeprefix('=')}]"
        case "map":
            inner = (f"{name}{_kind(one)}" for name, one in (kind.fields or {}).items())
            text = f"={{{' '.join(inner)}}}"
        case "quantity" if "unit" in kind.constraints:
            text = f"=quantity in {kind.constraints['unit']}"
        case other:
            text = f"={other}"
    return f"{text}?" if kind.optional else text


def _form(schema: dict[str, Any]) -> str:
    """Return the same for a field of a registered class."""
    if "enum" in schema:
        return "=" + "/".join(map(str, schema["enum"]))
    match schema.get("type"):
        case "array":
            return f"=[{_form(schema.get('items', {})).removeprefix('=')}]"
        case "object":
            inner = (f"{name}{_form(one)}" for name, one in schema.get("properties", {}).items())
            return f"={{{' '.join(inner)}}}"
        case _:
            return ""


def _about(move: Move) -> str:
    """Return what an act is for, where its name does not say it."""
    says_it = move.act.name == move.act.performative or move.label in NAMED
    return "" if says_it else f": {move.act.info.about}"
