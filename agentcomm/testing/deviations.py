"""What may not be said now: messages that differ from a legal one in one respect.

Receivers are not among these respects: who hears a move is what the protocol says, whatever a message claims.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from agentcomm.acts.message import Message
from agentcomm.conversation.moves import Joint, Make, Speak, wants_all
from agentcomm.conversation.state import Conversation
from agentcomm.protocol.graph import Move
from agentcomm.testing.choices import Choices
from agentcomm.testing.contents import WRONG, Examples, content_for_act
from agentcomm.testing.speech import content_of_turn, meets

__all__ = ("Deviation", "deviations_from")


class Deviation(msgspec.Struct, frozen=True):
    """A message that may not be said now."""

    kind: str
    """In what it differs: role, party, act, id, field, missing, type, condition, reply or lane."""
    message: Message


def deviations_from(
    now: Conversation, choices: Choices, *, examples: Examples | None = None
) -> list[Deviation]:
    """Return messages that may not be said now, each of which differs from a legal one in one respect.

    Args:
        now: Where the conversation stands; it is not changed.
        choices: Where chance comes from, for the content of the legal ones.
        examples: Act -> contents to say as they are.
    """
    found: list[Deviation] = []
    for asked in wants_all(now):
        if isinstance(asked, Joint):
            for speak in asked.lanes.values():
                found += _of_speaker(now, speak, choices, examples, is_joint=True)
        elif isinstance(asked, Speak):
            found += _of_speaker(now, asked, choices, examples, is_joint=False)
        elif isinstance(asked, Make):
            found += _of_made(asked)
    return found


def _of_made(asked: Make) -> Iterator[Deviation]:
    whole = Message(act=asked.move.label, id="new", sender=asked.role, lane=asked.lane)
    yield Deviation("party", msgspec.structs.replace(whole, sender="nobody"))
    yield Deviation("act", msgspec.structs.replace(whole, act="no-such-act"))


def _of_speaker(
    now: Conversation, asked: Speak, choices: Choices, examples: Examples | None, *, is_joint: bool
) -> Iterator[Deviation]:
    view = now.view(asked.lane) if asked.lane else now
    known = {move.label for move in (*asked.moves, *asked.exits)}
    known |= {move.act.name for move in asked.moves}
    overlays = (label for overlay in now.rules.overlays.values() for label in overlay.acts)
    change = msgspec.structs.replace
    for label in dict.fromkeys(("no-such-act", *now.protocol.acts, *overlays)):
        if label not in known and (view.frame is not None or label not in view.state.moves):
            yield Deviation("act", Message(act=label, id="new", sender=asked.role, lane=asked.lane))
    for move in asked.moves:
        content = content_of_turn(view, move, choices, examples=examples)
        if content is None:
            continue
        lane = "" if move.for_all else asked.lane
        whole = Message(act=move.label, content=content, id="new", sender=asked.role, lane=lane)
        speakers = () if view.frame is not None else view.state.speakers
        for role in now.protocol.roles:
            if role != asked.role and role not in speakers:
                yield Deviation("role", change(whole, sender=role))
        yield Deviation("party", change(whole, sender="nobody"))
        yield Deviation("id", change(whole, id=""))
        yield Deviation("reply", change(whole, in_reply_to="never-said"))
        yield from _of_content(move, whole, content)
        if view.frame is None:
            yield from _of_conditions(view, move, whole, choices)
        if now.begun:
            yield Deviation("lane", change(whole, lane="stranger"))
            if move.for_all and is_joint:
                yield Deviation("lane", change(whole, lane=asked.lane))
            elif not any(one.for_all for one in view.state.moves.values()):
                yield Deviation("lane", change(whole, lane=""))


def _of_content(move: Move, whole: Message, content: dict[str, Any]) -> Iterator[Deviation]:
    change = msgspec.structs.replace
    yield Deviation("field", change(whole, content={**content, "zz_extra": 1}))
    for name, kind in move.act.fields.items():
        if name in content and not kind.optional:
            rest = {other: value for other, value in content.items() if other != name}
            yield Deviation("missing", change(whole, content=rest))
        if kind.kind in WRONG and name not in move.given:
            yield Deviation("type", change(whole, content={**content, name: WRONG[kind.kind]}))


def _of_conditions(view: Conversation, move: Move, whole: Message, choices: Choices) -> Iterator[Deviation]:
    if not move.when or move.act.registered is not None:
        return
    for _ in range(10):
        made = content_for_act(move.act, choices)
        if not meets(view, move, made):
            said = {name: value for name, value in made.items() if name not in move.given}
            yield Deviation("condition", msgspec.structs.replace(whole, content=said))
            return
