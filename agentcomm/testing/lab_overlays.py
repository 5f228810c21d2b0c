"""What a scripted speaker of the laboratory says in an overlay: it reads back, corrects, shows, or mends."""

from collections.abc import Mapping
from typing import Any

from agentcomm.acts.content import entries_of, to_plain
from agentcomm.acts.message import Message
from agentcomm.conversation.moves import Speak
from agentcomm.conversation.state import Frame
from agentcomm.grounding.asking import asked_with
from agentcomm.testing.choices import Choices
from agentcomm.testing.contents import content_of
from agentcomm.testing.noise_minds import Mind

__all__ = ("CORRECTION", "READ_BACK", "said_in_overlay")

READ_BACK = "readback"
CORRECTION = "wrong"
_NONE: list[str] = []


def said_in_overlay(frame: Frame, speak: Speak, mind: Mind, choices: Choices) -> tuple[str, dict[str, Any]]:
    """Return act and content: who spoke says what it meant, as far as code can know that; who heard, what it understood."""
    moves = {move.label: move for move in speak.moves}
    if READ_BACK in moves:
        fields = moves[READ_BACK].act.fields["fields"].fields or {}
        return READ_BACK, {"fields": mind.read_back(frame.it.act, fields)}
    if "demonstrate" in moves:
        return "demonstrate", {"goal": "as understood", "plan": _NONE, "missing": _NONE, "assumed": _NONE}
    if CORRECTION in moves and "points" in moves[CORRECTION].act.fields:
        return CORRECTION, {"points": ["it was meant otherwise"]}
    if CORRECTION in moves:
        names = [item.field for item in frame.trouble if item.field in frame.fields]
        values = {name: to_plain(frame.fields[name]) for name in names or frame.fields}
        return CORRECTION, {"fields": {name: value for name, value in values.items() if value is not None}}
    if frame.asks is not None and not frame.said:
        rung = frame.asks.rung
        return rung, {**content_of(moves[rung].act.fields, choices), **asked_with(frame.asks)}
    if "offer" in moves and frame.trouble:
        return "offer", {"path": frame.trouble[0].field, "candidate": to_plain(frame.trouble[0].meant)}
    for label in ("confirm", "value", "restate"):
        if label in moves:
            return label, _answer(label, frame.it, frame.said)
    move = speak.moves[0]
    return move.label, content_of(move.act.fields, choices)


def _answer(label: str, it: Message, said: Mapping[str, Any]) -> dict[str, Any]:
    if label == "confirm":
        return {}
    values = entries_of(to_plain(it.content)) or {}
    if label == "restate":
        return {"fields": values}
    path = next((getattr(one, "path", "") for one in said.values() if hasattr(one, "path")), "")
    return {"value": values.get(str(path))}
