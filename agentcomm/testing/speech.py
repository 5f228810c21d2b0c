"""What a peer could say now, with content that counts."""

from collections.abc import Collection, Mapping
from typing import Any

from agentcomm.acts.content import to_plain
from agentcomm.conversation.moves import given, unmet, why_not_ask
from agentcomm.conversation.state import Conversation, altered
from agentcomm.grounding.asking import RUNGS, asked_with
from agentcomm.grounding.compare import Incomparable
from agentcomm.protocol.graph import Move, Ref
from agentcomm.testing.choices import Choices
from agentcomm.testing.contents import Examples, content_for_act, content_of, value_of

__all__ = (
    "content_for",
    "content_of_turn",
    "meets",
    "on_record",
    "overlay_content",
    "short_label",
    "slipped",
)

_TRIES = 30
"""Contents that are tried before a move is given up."""


def meets(now: Conversation, move: Move, content: Mapping[str, Any]) -> bool:
    """Say whether content is valid and passes the conditions of a move."""
    before, heard = now.before, now.here.last.get(move.speaker)
    if move.label in RUNGS and now.frame is None and before is not None and heard:
        key = f"{before.name}/{now.seen[heard].act}"
        if why_not_ask(now.here, key, move.label, str(content.get("path", ""))):
            return False
    try:
        typed = move.act.content.model_validate({**content, **to_plain(given(now, move))})
        values = {name: getattr(typed, name) for name in type(typed).model_fields}
        return all(unmet(now, move, condition, values) is None for condition in move.when)
    except (Incomparable, ValueError):
        return False


def on_record(now: Conversation, ref: Ref) -> Any:
    """Return the latest value said under a reference, as plain data; None if there is none."""
    said = now.here.said.get(ref.act)
    return None if said is None else to_plain(getattr(said.message.content, ref.field))


def content_for(
    now: Conversation, move: Move, choices: Choices, examples: Examples | None = None
) -> dict[str, Any] | None:
    """Return content with which a move of the talk itself may be made now, or None if none was found.

    Args:
        now: A conversation before lanes begin, or the view of a lane.
        move: One of the legal moves.
        choices: Where chance comes from.
        examples: Act -> contents to say as they are, wherever they may be said.
    """
    for _ in range(_TRIES):
        made = content_for_act(move.act, choices, examples)
        _repeat(now, move, made)
        _come_near(now, move, made, choices)
        if meets(now, move, made):
            return {name: value for name, value in made.items() if name not in move.given}
    return None


def _repeat(now: Conversation, move: Move, made: dict[str, Any]) -> None:
    """Put in what the act must repeat."""
    for name, ref in move.act.repeats.items():
        value = on_record(now, ref)
        made[name] = value
        if value is None and move.act.fields[name].optional:
            made.pop(name)


def _come_near(now: Conversation, move: Move, made: dict[str, Any], choices: Choices) -> None:
    """Bring fields near to what the move's conditions ask for, else chance would seldom find it."""
    for condition in move.when:
        if isinstance(condition.left, str) and not choices.chance(0.3):
            right = condition.right
            near = on_record(now, right) if isinstance(right, Ref) else right
            if condition.op == "in" and isinstance(near, tuple | list):
                several: list[Any] = list(near)  # pyright: ignore[reportUnknownArgumentType]
                near = choices.pick(several) if several else None
            if near is not None:
                made[condition.left] = near


def slipped(
    now: Conversation, move: Move, content: dict[str, Any], choices: Choices, *, often: float
) -> dict[str, Any]:
    """Return content that sometimes does not repeat what it should: trouble, and no refusal."""
    if not move.act.repeats or not choices.chance(often):
        return content
    name = choices.pick(sorted(move.act.repeats))
    made = {**content, name: value_of(move.act.fields[name], choices)}
    return made if made[name] is not None and meets(now, move, made) else content


def overlay_content(now: Conversation, move: Move, choices: Choices, *, honest: float) -> dict[str, Any]:
    """Return content for an act of the overlay that runs; a read-back is right with probability `honest`."""
    frame = now.frame
    fields = move.act.fields.get("fields")
    if frame is not None and frame.asks is not None and not frame.said:
        return {**content_of(move.act.fields, choices), **asked_with(frame.asks)}
    if frame is None or fields is None or fields.kind != "map":
        return content_of(move.act.fields, choices)
    kinds = now.protocol.acts[frame.it.act].fields
    meant = to_plain(dict(frame.fields))
    if move.label == "readback":
        if choices.chance(1.0 - honest):
            name = choices.pick(list(meant))
            meant[name] = value_of(kinds[name], choices)
    else:
        meant = _correction(now, meant, choices)
    return {"fields": {n: v for n, v in meant.items() if v is not None or not kinds[n].optional}}


def _correction(now: Conversation, meant: Mapping[str, Any], choices: Choices) -> dict[str, Any]:
    """Return a correction of one field: mostly the value that was meant, sometimes another one that may be said."""
    frame = now.frame
    said = {name: value for name, value in meant.items() if value is not None}
    if frame is None or not said:
        return {}
    name = choices.pick(sorted(said))
    move = now.state.moves[frame.it.act]
    if name not in move.act.repeats and choices.chance(0.5):
        value = value_of(move.act.fields[name], choices)
        whole = {**to_plain(frame.it.content), **said, name: value}
        if value is not None and meets(altered(now, frame=None), move, whole):
            return {name: value}
    return {name: said[name]}


def content_of_turn(
    now: Conversation,
    move: Move,
    choices: Choices,
    *,
    exits: Collection[Move] = (),
    honest: float = 1.0,
    examples: Examples | None = None,
) -> dict[str, Any] | None:
    """Return content for any move that somebody who has the floor may make; `exits` are the moves that open an overlay."""
    if now.frame is not None:
        return overlay_content(now, move, choices, honest=honest)
    if move in exits:
        tries = (content_of(move.act.fields, choices) for _ in range(_TRIES))
        return next((made for made in tries if meets(now, move, made)), None)
    content = content_for(now, move, choices, examples)
    return None if content is None else slipped(now, move, content, choices, often=1.0 - honest)


def short_label(now: Conversation, move: Move, choices: Choices) -> str:
    """Return the label of a move; of one in a run, sometimes its name there."""
    region = now.state.region if now.frame is None else ""
    if region and choices.chance(0.5):
        return move.label.removeprefix(f"{region}.")
    return move.label
