"""What of the record a prompt shows: the values that a legal move refers to, then what was said last, within a budget.

The consolidated record stands in for the transcript, so a prompt stays as long as it was however long the talk is (Laban et al.
2025: models get lost when they must piece a talk together). What has free text is shown word for word while it is among the
last few messages, since a record of values cannot stand in for it. What is left out is listed, never dropped in silence.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from agentcomm.acts.content import format_value
from agentcomm.acts.message import Message, format_content
from agentcomm.agents.turn import PromptBudget, Turn
from agentcomm.conversation.moves import on_record
from agentcomm.protocol.graph import Move, Ref

__all__ = ("Shown", "shown")


class Shown(msgspec.Struct, frozen=True):
    """What of the record is in a prompt."""

    record: str
    """A line for each value, what was said first first."""
    full: str
    """The same without a budget, where something was left out; else empty."""
    said: tuple[Message, ...]
    """Messages word for word, the oldest first, without the one to answer."""
    left_out: tuple[str, ...]
    """`act.field` of values, and ids of messages with free text."""


def shown(turn: Turn, moves: Iterable[Move]) -> Shown:
    """Return what a prompt shows of the record.

    Args:
        turn: The turn.
        moves: The moves on offer: what they refer to is always shown.
    """
    budget = turn.budget
    said, beyond = _last(turn, budget)
    heard = turn.heard
    verbatim = {message.id for message in (*said, *((heard,) if heard is not None else ()))}
    latest = turn.conversation.here.said
    needed: dict[str, Any] = {}
    for ref in _refs(moves):
        of = latest.get(ref.act)
        if of is not None and of.message.id not in verbatim:
            needed[str(ref)] = on_record(turn.conversation, ref)
    lines = [
        (name, f"- {name}: {format_value(value)}", True)
        for name, value in needed.items()
        if value is not None
    ]
    for name, item in turn.ground.newest():
        if name not in needed and item.message not in verbatim:
            lines.append((name, f"- {name}: {format_value(item.value)}", False))
    kept: list[str] = []
    left_out: list[str] = []
    room = budget.record
    for name, line, is_needed in lines:
        room -= len(line) + 1
        if is_needed or room >= 0:
            kept.append(line)
        else:
            left_out.append(name)
    full = "\n".join(line for _, line, _ in reversed(lines)) if left_out or beyond else ""
    return Shown("\n".join(reversed(kept)), full, said, (*left_out, *beyond))


def _refs(moves: Iterable[Move]) -> Iterator[Ref]:
    for move in moves:
        yield from move.act.repeats.values()
        yield from move.given.values()
        for condition in move.when:
            yield from (side for side in (condition.left, condition.right) if isinstance(side, Ref))


def _last(turn: Turn, budget: PromptBudget) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """Return the last messages with free text that this role said or heard, and the ids of those that are too long."""
    place, found, beyond = turn.conversation, list[Message](), list[str]()
    room, heard = budget.said, turn.heard
    id_ = place.here.latest
    for _ in range(budget.last):
        message = place.seen.get(id_) if id_ else None
        if message is None:
            break
        is_ours = turn.role == message.sender or turn.role in message.receivers
        if is_ours and (heard is None or message.id != heard.id) and _is_free(turn, message):
            room -= len(format_content(message.content))
            if room >= 0:
                found.append(message)
            else:
                beyond.append(message.id)
        id_ = message.in_reply_to
    return tuple(reversed(found)), tuple(beyond)


def _is_free(turn: Turn, message: Message) -> bool:
    act = turn.conversation.protocol.acts.get(message.act)
    if act is None:
        return False
    return act.registered is not None or any(
        kind.kind in ("text", "any", "list", "map") for kind in act.fields.values()
    )
