"""Overlays that are legal though nobody is asked for them: more time, no longer wanting the matter, taking back one's own words.

Who cancels, or corrects itself before it was answered, need not even have the floor. A standby opens once for one message and at
the price of a repair, a cancel once in a conversation, or in a lane. Whoever corrects itself pays a repair for each message that
is taken back.

Source: FIPA SC00037J (cancel meta-protocol); ICAO Doc 4444 (STANDBY); Schegloff 1992 (repair in third and fourth position).
"""

import math
from datetime import timedelta

import msgspec

from agentcomm.acts.message import Message
from agentcomm.acts.persistent import with_entry
from agentcomm.conversation.checking import Refusal, content_of
from agentcomm.conversation.commit import Step
from agentcomm.conversation.events import OverlayOpened, RepairOpened
from agentcomm.conversation.overlays import begins, push, say_in_overlay
from agentcomm.conversation.state import Conversation, altered
from agentcomm.protocol.graph import Move

__all__ = ("aside", "asides", "begins_cancel", "crosses_correction", "why_not_cancel")

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
    if begins(conversation, "correct", message.act):
        return _correct(conversation, message, at)
    return None


def asides(conversation: Conversation, role: str) -> tuple[Move, ...]:
    """Return what a role may say now though nobody is asked for it: cancel, standby, and what takes back its own words."""
    if conversation.outcome is not None:
        return ()
    found: list[Move] = []
    if "cancel" in conversation.rules.overlays and not why_not_cancel(conversation, role):
        found += _first(conversation, "cancel", role)
    if "standby" in conversation.rules.overlays and not _why_not_stand_by(conversation, role):
        found += _first(conversation, "standby", role)
    if "correct" in conversation.rules.overlays and not _takes_back(conversation, role)[1]:
        found += _first(conversation, "correct", role)
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


def _takes_back(conversation: Conversation, role: str) -> tuple[int, str]:
    """Return how many messages a role takes back if it corrects itself now, and why it may not; an empty text if it may."""
    here, checkpoints, shared = conversation.here, conversation.checkpoints, conversation.shared
    if here.frame is not None:
        return 0, f"{here.frame.overlay} is to end first"
    if not checkpoints or not here.latest:
        return 0, "there is nothing that could be taken back"
    latest = conversation.seen[here.latest]
    if latest.sender == role:
        its, places = latest, 1
    elif len(checkpoints) > 1 and role in conversation.state.speakers and role in latest.receivers:
        its, places = conversation.seen.get(checkpoints[0].latest, latest), 2
        if its.sender != role or latest.in_reply_to != its.id:
            return 0, f"{latest.act} answers nothing that {role} said"
    else:
        return 0, "only who spoke last, or is to answer the answer to its own words, can take them back"
    led = here.name
    for place, it in zip(checkpoints[:places], (latest, its), strict=False):
        state = conversation.protocol.states[place.name]
        said = state.moves.get(it.act)
        if said is None or led not in (said.next, said.then):
            return 0, "its time is up"
        if state.gather or said.for_all or len(state.speakers) > 1:
            return 0, "what was said to several, or in a race, is not taken back"
        led = place.name
    used = here.repairs.get(f"{checkpoints[places - 1].name}/{its.act}", 0)
    if used >= conversation.protocol.limits.repairs:
        return 0, f"{its.act} has been mended {used} times, which is all it may be"
    if shared.spent + places > conversation.rules.repairs_in_all:
        return 0, "repairs are used up"
    return places, ""


def crosses_correction(conversation: Conversation, message: Message) -> bool:
    """Say whether somebody answers, or asks about, what its speaker has taken back meanwhile: self-repair goes first."""
    here = conversation.here
    if not any(entry.startswith("correct:") for entry in here.asides):
        return False
    hearers = conversation.seen[here.voided].receivers
    return message.sender in hearers and message.in_reply_to in ("", here.voided)


def _correct(conversation: Conversation, message: Message, at: float) -> Step:
    """Let a role take back what it said last, with the answer to it."""
    role, here, shared = message.sender, conversation.here, conversation.shared
    places, reason = _takes_back(conversation, role)
    if reason:
        raise Refusal("unexpected-act", reason)
    checkpoint = conversation.checkpoints[places - 1]
    it = conversation.seen[here.latest if places == 1 else conversation.checkpoints[0].latest]
    key = f"{checkpoint.name}/{it.act}"
    frame = _replace(
        push(conversation, "correct", it, it.receivers[0], at, pending=False, fields={}),
        back=places,
        repairing=True,
    )
    opened = altered(
        conversation,
        frame=frame,
        asides=(*here.asides, f"correct:{key}"),
        repairs=with_entry(here.repairs, key, here.repairs.get(key, 0) + 1),
        spent=shared.spent + places,
    )
    left = min(
        conversation.protocol.limits.repairs - opened.here.repairs[key],
        conversation.rules.repairs_in_all - opened.shared.spent,
    )
    after, events = say_in_overlay(opened, frame, message, at)
    return after, (
        OverlayOpened("correct", it.id, role, it.receivers[0], here.lane),
        RepairOpened(it.id, message.act, max(0, left), here.lane),
        *events,
    )
