"""Overlays that mend nothing: a hearer who needs more time, and one who no longer wants the matter.

They are legal though nobody is asked for them; who cancels need not even have the floor. Each opens once: a standby for one
message and at the price of a repair, a cancel once in a conversation, or in a lane.

Source: FIPA SC00037J (cancel meta-protocol); ICAO Doc 4444 (STANDBY).
"""

import math
from datetime import timedelta

import msgspec

from agentcomm.acts.message import Message
from agentcomm.conversation.checking import Refusal, content_of
from agentcomm.conversation.commit import Step
from agentcomm.conversation.events import OverlayOpened
from agentcomm.conversation.overlays import begins, push, say_in_overlay
from agentcomm.conversation.state import Conversation, altered
from agentcomm.protocol.graph import Move

__all__ = ("aside", "asides", "begins_cancel", "why_not_cancel")

_replace = msgspec.structs.replace
_MOST = 10
"""Times the deadline of a state that a standby may ask for."""


def aside(conversation: Conversation, message: Message, at: float) -> Step | None:
    """Return what becomes of a message that begins a cancel or a standby; None if it begins neither.

    Raises:
        Refusal: If it may not be said now.
    """
    if begins_cancel(conversation, message.act):
        return _cancel(conversation, message, at)
    if begins(conversation, "standby", message.act):
        return _stand_by(conversation, message, at)
    return None


def asides(conversation: Conversation, role: str) -> tuple[Move, ...]:
    """Return what a role may say now though nobody is asked for it: cancel, and standby where it has the floor."""
    if conversation.outcome is not None:
        return ()
    found: list[Move] = []
    if "cancel" in conversation.rules.overlays and not why_not_cancel(conversation, role):
        found += _first(conversation, "cancel", role)
    if "standby" in conversation.rules.overlays and not _why_not_stand_by(conversation, role):
        found += _first(conversation, "standby", role)
    return tuple(found)


def _first(conversation: Conversation, name: str, role: str) -> list[Move]:
    overlay = conversation.rules.overlays[name]
    moves = overlay.states[overlay.start].moves.values()
    taken = conversation.state.moves
    return [_replace(move, speaker=role) for move in moves if move.label not in taken]


def begins_cancel(conversation: Conversation, act: str) -> bool:
    """Say whether an act begins the overlay by which a matter is cancelled."""
    return begins(conversation, "cancel", act)


def why_not_cancel(conversation: Conversation, role: str) -> str:
    """Return why a role may not cancel a conversation, or a lane; an empty text if it may."""
    here, shared = conversation.here, conversation.shared
    if here.frame is not None:
        return f"{here.frame.overlay} is to end first"
    if not shared.n:
        return "nothing has been said yet that could be cancelled"
    if "cancel" in here.asides:
        return "that was asked once, and could not be done"
    if role == _opener(conversation):
        return ""
    if any(entry.is_live and entry.creditor == role for entry in conversation.ledger):
        return ""
    return "only who began it, or is owed something in it, may cancel"


def _opener(conversation: Conversation) -> str:
    return next(iter(conversation.shared.seen.values()))[1].sender


def _cancel(conversation: Conversation, message: Message, at: float) -> Step:
    """Ask all others that have taken part to stop."""
    role, here = message.sender, conversation.here
    if reason := why_not_cancel(conversation, role):
        raise Refusal("unexpected-act", reason)
    opener = _opener(conversation)
    part = {*here.last, opener} - {role}
    other, *rest = (name for name in conversation.protocol.roles if name in part)
    first = next(iter(conversation.shared.seen.values()))[1]
    frame = _replace(
        push(conversation, "cancel", first, role, at, pending=False, fields={}, rest=tuple(rest)),
        sender=other,
    )
    opened = altered(conversation, frame=frame, asides=(*here.asides, "cancel"))
    after, events = say_in_overlay(opened, frame, message, at)
    return after, (OverlayOpened("cancel", first.id, other, role, here.lane), *events)


def _why_not_stand_by(conversation: Conversation, role: str) -> str:
    here = conversation.here
    heard = here.last.get(role)
    if here.frame is not None:
        return f"{here.frame.overlay} is to end first"
    if role not in conversation.state.speakers or heard is None:
        return f"{role} has nothing to answer, so it needs no more time"
    if conversation.state.gather or conversation.state.within == math.inf:
        return "there is no deadline that could be moved"
    if f"standby:{heard}" in here.asides:
        return "more time was given once, which is all there is"
    if conversation.shared.spent >= conversation.rules.repairs_in_all:
        return "there is no more time to give: standbys and repairs are used up"
    return ""


def _stand_by(conversation: Conversation, message: Message, at: float) -> Step:
    """Give a hearer who has the floor as much more time as it says."""
    role, here, state = message.sender, conversation.here, conversation.state
    if reason := _why_not_stand_by(conversation, role):
        raise Refusal("unexpected-act", reason)
    heard = here.last[role]
    overlay = conversation.rules.overlays["standby"]
    opening = overlay.states[overlay.start].moves[message.act]
    wait = getattr(content_of(opening.act, message.content), "wait", None)
    seconds = wait.total_seconds() if isinstance(wait, timedelta) else state.within
    if not 0 < seconds <= _MOST * state.within:
        raise Refusal(
            "invalid-content",
            f"wait: more than 0 s and at most {_MOST * state.within:g} s, {_MOST} times the deadline",
        )
    it = conversation.seen[heard]
    frame = _replace(push(conversation, "standby", it, role, at, pending=False, fields={}), extra=seconds)
    spent = conversation.shared.spent + 1
    opened = altered(conversation, frame=frame, asides=(*here.asides, f"standby:{heard}"), spent=spent)
    after, events = say_in_overlay(opened, frame, message, at)
    return after, (OverlayOpened("standby", it.id, it.sender, role, here.lane), *events)
