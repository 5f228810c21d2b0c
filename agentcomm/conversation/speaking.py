"""What becomes of a conversation, or of one lane, by one input: the talk of one position.

Rules of this file:

1. No I/O, no clock, no dice: times and ids arrive in the inputs. The same inputs give the same conversation.
2. It does not know which role is ours; local and remote speakers obey one table.
3. What is refused changes nothing but the count of misfires.
4. It does not know other lanes: `lanes.py` lends a lane what all of them share, and takes it back.

This file is longer than the others, since a message, the overlay about it and its commit call one another.

Order of a message: known party; duplicate; legal move; content; reference; conditions; `repeats`; the grounding gate; commit.
Source: run-time monitors for multiparty protocols; contributions of Clark & Schaefer 1989; third-position repair of
Schegloff 1992 (a read-back that differs is answered by the one who spoke, and the correction is read back again).
"""

import math

from agentcomm.acts.content import Content
from agentcomm.acts.message import Message
from agentcomm.acts.persistent import find
from agentcomm.conversation.asides import aside, crosses_correction
from agentcomm.conversation.checking import Refusal, check_move, completed, mismatch, move_for
from agentcomm.conversation.commit import Step, abandoned, commit, cross, deadline_in, end, stop
from agentcomm.conversation.events import (
    DeadlineSet,
    Duplicate,
    Event,
    Expired,
    Late,
    Refused,
    Superseded,
)
from agentcomm.conversation.moves import (
    exits,
    floors,
    in_full,
    legal,
    overlay_of,
    signature,
)
from agentcomm.conversation.overlays import (
    enter_overlay,
    open_by_hearer,
    open_demonstration,
    open_readback,
    open_repair,
    say_in_overlay,
    weighed,
)
from agentcomm.conversation.parts import Position, answer_to, key_of
from agentcomm.conversation.plain import is_open, take
from agentcomm.conversation.progress import progress
from agentcomm.conversation.reading import UNREADABLE, is_sound, sender_of
from agentcomm.conversation.rules import is_demonstrated, readback_of
from agentcomm.conversation.state import Conversation, altered
from agentcomm.protocol.graph import Move, OutcomeClass

__all__ = ("decides", "is_over", "perform", "refuse", "say", "speak", "tick")


def say(conversation: Conversation, message: Message, at: float, known: Content | None = None) -> Step:
    """Return what becomes of a message; `known` is its content, if that was read already."""
    here, shared = conversation.here, conversation.shared
    if not is_sound(message):
        sender = sender_of(message)
        if here.outcome is not None:
            return conversation, (Late("", "", sender, is_over(here), here.lane),)
        return refuse(conversation, sender, "", "unreadable", UNREADABLE, at)
    if find(shared.seen, shared.n, key_of(conversation.id, message.id, shared.n)) is not None:
        return conversation, (Duplicate(message.id, answer_to(shared, conversation.id, message.id)),)
    if here.outcome is not None:
        return conversation, (Late(message.id, message.act, message.sender, is_over(here), here.lane),)
    if message.sender not in conversation.rules.protocol.roles and not decides(here, message.sender):
        reason = f"{message.sender!r} is no role in this conversation"
        return refuse(conversation, message.sender, message.act, "wrong-party", reason, at)
    return speak(conversation, message, at, known)


def decides(here: Position, name: str) -> bool:
    """Say whether somebody outside the roles is the one who decides in the escalation that runs."""
    return bool(name) and here.frame is not None and here.frame.authority == name


def speak(conversation: Conversation, message: Message, at: float, known: Content | None = None) -> Step:
    """Return what becomes of a new message that is well-formed and comes from a role of a talk that is not over.

    Args:
        conversation: A talk with one position.
        message: What was said.
        at: Now.
        known: Its content, if `read` made it and nobody can have changed it since.
    """
    here = conversation.here
    try:
        if here.frame is not None:
            return say_in_overlay(conversation, here.frame, message, at)
        plan = conversation.rules.plans.get((here.name, message.act))
        if plan is not None and plan.is_plain and plan.speaker == message.sender and not is_open(here):
            return take(conversation, plan, completed(conversation, plan.move, message, known), at)
        state = conversation.rules.protocol.states[here.name]
        move = state.moves.get(message.act) or move_for(state, message.act)
        if move is None and (step := aside(conversation, message, at)) is not None:
            return step
        if move is None or move.speaker != message.sender or not in_full(conversation, move):
            return _say_otherwise(conversation, message, at)
        message = check_move(conversation, move, message, known)
    except Refusal as refused:
        return refuse(conversation, message.sender, message.act, refused.code, refused.reason, at)
    return perform(conversation, move, message, at)


def perform(conversation: Conversation, move: Move, message: Message, at: float) -> Step:
    """Let a checked message be heard: it opens a repair, a read-back, or takes effect."""
    here = conversation.here
    plan = conversation.rules.plans.get((here.name, message.act))
    if plan is not None and plan.move is move and not is_open(here):
        return take(conversation, plan, message, at)
    act = move.act
    if act.repeats and (trouble := mismatch(conversation, act, message.content)):
        return open_repair(conversation, message, trouble, at)
    troubles: list[Event] = []
    if here.voided:
        conversation, troubles = progress(conversation, move, message)
    if conversation.rules.choice is not None:
        conversation, fields, events = weighed(conversation, move, message)
    else:
        fields, events = readback_of(move), list[Event]()
    if troubles:
        events = [*troubles, *events]
    if fields:
        return open_readback(conversation, fields, message, at, events)
    if is_demonstrated(move):
        return open_demonstration(conversation, message, at, events)
    return commit(conversation, move, message, at, events)


def _say_otherwise(conversation: Conversation, message: Message, at: float) -> Step:
    """Handle what is no legal move of the state: an honest exit, a late message, or a misfire."""
    state = conversation.state
    if message.sender in state.speakers:
        for move in exits(conversation, message.sender):
            if move.label == message.act:
                return open_by_hearer(conversation, message, at)
    move = move_for(state, message.act)
    if message.sender not in state.speakers:
        here = conversation.here
        if here.voided and crosses_correction(conversation, message):
            return conversation, (Superseded(message.id, message.act, message.sender, here.lane),)
        raced = conversation.protocol.states.get(here.raced)
        if raced is not None and (lost := move_for(raced, message.act)) and lost.speaker == message.sender:
            return conversation, (Superseded(message.id, message.act, message.sender, here.lane),)
        expired = conversation.protocol.states.get(here.expired)
        if (
            expired is not None
            and (late := move_for(expired, message.act))
            and late.speaker == message.sender
        ):
            reason = f"the time in {here.expired!r} is up"
            return conversation, (Late(message.id, message.act, message.sender, reason, here.lane),)
        raise Refusal(
            "unexpected-act", f"in {state.name!r} {' or '.join(state.speakers)} speaks, not {message.sender}"
        )
    if move is not None and move.speaker == message.sender:
        raise Refusal(
            "unexpected-act", f"{message.act!r} has been said {move.max} times, which is all it may be"
        )
    raise Refusal("unexpected-act", f"{message.sender} may not say {message.act!r} in {state.name!r}")


def refuse(conversation: Conversation, role: str, act: str, code: str, reason: str, at: float) -> Step:
    """Refuse what a role said; where it had the floor, that costs one of its tries."""
    lane = conversation.here.lane
    if role not in floors(conversation):
        return conversation, (Refused(role, act, code, reason, (), 0, lane),)
    moves = tuple(signature(move) for move in (*legal(conversation, role), *exits(conversation, role)))
    misfires = conversation.here.misfires + 1
    left = conversation.protocol.limits.misfires - misfires
    after = altered(conversation, misfires=misfires)
    refused = Refused(role, act, code, reason, moves, max(0, left), lane)
    if left < 0:
        cause = f"{role} could not say anything that counts: {reason}"
        ended, events = stop(after, OutcomeClass.ABORTED, cause, at)
        return ended, (refused, *events)
    return after, (refused,)


def is_over(here: Position) -> str:
    """Return what somebody is told who comes after the end."""
    what = f"the lane of {here.lane}" if here.lane else "the conversation"
    return f"{what} ended as {here.name}"


def tick(conversation: Conversation, at: float) -> Step:
    """Let time pass: what was due by `at` is due now."""
    here, protocol = conversation.here, conversation.rules.protocol
    if here.outcome is not None:
        return conversation, ()
    if at >= conversation.whole:
        limit = protocol.limits
        kind = protocol.outcomes.get(limit.otherwise, OutcomeClass.EXPIRED)
        name = limit.otherwise if limit.otherwise in protocol.outcomes else "expired"
        events: list[Event] = [Expired("", name, here.lane), *abandoned(conversation, kind)]
        cause = f"the whole conversation had {conversation.whole:g} s"
        return end(conversation, name, kind, cause, at, events)
    frame = here.frame
    if frame is not None:
        if at < frame.deadline:
            return conversation, ()
        state = overlay_of(conversation, frame).states[frame.position]
        events = [Expired(f"{frame.overlay}/{state.name}", state.otherwise, here.lane)]
        after = altered(conversation, at=at, misfires=0)
        return enter_overlay(after, frame, state.otherwise, at, events)
    if at < here.deadline:
        return conversation, ()
    state = protocol.states[here.name]
    place, name = state.otherwise, state.name
    for region, limit in here.until:
        if limit <= here.deadline:
            place, name = protocol.runs[region].otherwise, region
            break
    after = altered(conversation, at=at, expired=state.name, misfires=0, troubles=())
    events = [Expired(name, place, here.lane)]
    following = protocol.states.get(place)
    if following is None:
        cause = f"{' or '.join(state.speakers)} did not speak in {name!r} in time"
        return end(after, place, protocol.outcomes[place], cause, at, events)
    used, said, until = here.used, here.said, here.until
    if protocol.runs:
        used, said, until = cross(after, state.name, place, used, said, at)
    deadline = deadline_in(following, until, at)
    if deadline < math.inf:
        events.append(DeadlineSet(place, deadline, here.lane))
    return altered(after, name=place, deadline=deadline, used=used, said=said, until=until), tuple(events)
