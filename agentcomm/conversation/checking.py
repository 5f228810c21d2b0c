"""Whether a message counts where it is said: its move, its content, what it refers to, its conditions."""

from typing import Any

import msgspec

from agentcomm.acts.content import Content, entries_of, format_value, to_plain
from agentcomm.acts.message import Message
from agentcomm.acts.persistent import find
from agentcomm.conversation.moves import (
    full,
    given,
    on_record,
    unmet,
)
from agentcomm.conversation.parts import key_of
from agentcomm.conversation.reading import Unreadable, as_data, read
from agentcomm.conversation.state import (
    Conversation,
)
from agentcomm.grounding.compare import Difference, Incomparable, difference, is_same
from agentcomm.protocol.graph import Act, Move, State, label_in

__all__ = (
    "Refusal",
    "check_conditions",
    "check_move",
    "completed",
    "content_of",
    "mismatch",
    "move_for",
    "reply_to",
    "why_not",
)

_replace = msgspec.structs.replace


class Refusal(Exception):
    """A message does not count."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def move_for(state: State, act: str) -> Move | None:
    """Return the move that says an act; an act of a run goes by its own name, too."""
    move = state.moves.get(act)
    if move is None and state.region:
        move = state.moves.get(label_in(state.region, act))
    return move


def check_move(
    conversation: Conversation, move: Move, message: Message, known: Content | None = None
) -> Message:
    """Return a message as it would count: typed, with its receivers and what it replies to.

    Args:
        conversation: A talk with one position.
        move: What would be done by it.
        message: What was said.
        known: Its content, if it was read already.

    Raises:
        Refusal: If the move may not be made now, or not like this.
    """
    if conversation.here.lane and full(conversation, move):
        raise Refusal("unexpected-act", f"no more lanes may have {move.label!r}")
    message = completed(conversation, move, message, known)
    if move.when:
        check_conditions(conversation, move, message.content)
    return message


def completed(conversation: Conversation, move: Move, message: Message, known: Content | None) -> Message:
    """Return the message with typed content, receivers and reference; raise if one of them is wrong."""
    act = move.act
    content = known
    if type(content) is not act.content or move.given or act.registered is not None:
        told = _filled(conversation, move, message.content) if move.given else message.content
        content = content_of(act, told)
    heard = conversation.here.last.get(message.sender, "")
    reply = message.in_reply_to
    if reply != heard:
        reply = reply_to(conversation, message, heard)
    return Message(
        act.label, content, message.id, message.sender, move.to, reply, message.made_by, "", message.lane
    )


def _filled(conversation: Conversation, move: Move, content: Any) -> dict[str, Any]:
    """Return content with the values that the runtime fills it with; whoever gives another value is refused."""
    values = given(conversation, move)
    try:
        told = as_data(content)
    except Unreadable as error:
        raise Refusal("invalid-content", str(error)) from None
    for name, value in values.items():
        if told.get(name) is not None and told[name] != to_plain(value):
            raise Refusal(
                "invalid-content", f"{name}: is filled with what is on record: {format_value(value)}"
            )
    return {**told, **to_plain(values)}


def reply_to(conversation: Conversation, message: Message, heard: str) -> str:
    """Return what the message replies to: what was heard last, unless it names another message that was heard."""
    reply = message.in_reply_to
    if not reply or reply == heard:
        return heard
    shared = conversation.shared
    source = find(shared.seen, shared.n, key_of(conversation.id, reply, shared.n))
    if source is None and conversation.rules.role not in ("", message.sender):
        return reply
    if source is None or message.sender not in source.receivers:
        raise Refusal("unknown-reference", f"{message.sender} has not heard a message {reply!r}")
    return reply


def content_of(act: Act, content: Any) -> Content:
    """Return content of the act's class; raise a refusal if it does not fit."""
    try:
        return read(act, content)
    except Unreadable as error:
        raise Refusal("invalid-content", str(error)) from None


def check_conditions(conversation: Conversation, move: Move, content: Content) -> None:
    """Raise a refusal if a condition of the move does not hold."""
    values = entries_of(content) or {}
    for condition in move.when:
        try:
            reason = unmet(conversation, move, condition, values)
        except Incomparable as error:
            raise Refusal("incomparable", str(error)) from None
        if reason:
            raise Refusal("condition-false", reason)


def mismatch(conversation: Conversation, act: Act, content: Content) -> tuple[Difference, ...]:
    """Return the fields that do not repeat what is on record."""
    found: list[Difference] = []
    for name, ref in act.repeats.items():
        recorded, given = on_record(conversation, ref), getattr(content, name)
        if not is_same(act.fields.get(name), recorded, given):
            found.append(difference(name, recorded, given))
    return tuple(found)


def why_not(conversation: Conversation, message: Message) -> str:
    """Return why a message would not count where the talk stands, or nothing; the talk stays as it is.

    Its sender must have the floor. Of a message within an overlay, only its content is judged.
    """
    state = conversation.state
    move = None if conversation.here.frame is not None else move_for(state, message.act)
    if move is None:
        return ""
    try:
        checked = check_move(conversation, move, message)
    except Refusal as refused:
        return refused.reason
    return "; ".join(item.sentence for item in mismatch(conversation, move.act, checked.content))
