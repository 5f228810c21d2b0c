"""What becomes of a hearer's doubt: it acts on the likeliest reading, asks, or lays it before whoever decides.

What something may mean, its hearer knows: what it has under a name, how it read a figure. What follows is chosen here, by stakes, by
what questions have mended before, and by what was asked already; so code, models and people decide alike, and a replay does, too. A
question that is decided on is the only thing that its hearer may say next; it puts it in words.

Source: Paek & Horvitz 2000 (a question as a decision by expected cost); Dingemanse & Enfield 2015 (the most specific question).
"""

import msgspec

from agentcomm.acts.message import Message
from agentcomm.conversation.checking import Refusal
from agentcomm.conversation.commit import Step
from agentcomm.conversation.events import Chose, Doubt, Event, Late, OverlayOpened, RepairOpened
from agentcomm.conversation.moves import exits, floors, repairs_left, why_not_ask
from agentcomm.conversation.overlays import charge, count, count_asked, escalate, push
from agentcomm.conversation.parts import Position
from agentcomm.conversation.reading import recorded
from agentcomm.conversation.speaking import is_over, refuse
from agentcomm.conversation.state import Conversation, altered
from agentcomm.grounding.asking import RUNGS, Decision, Rung, decide
from agentcomm.grounding.choice import Choice

__all__ = ("take_doubt", "was_weighed")

_replace = msgspec.structs.replace
_CHOICE = Choice()


def was_weighed(conversation: Conversation, message: str, path: str) -> bool:
    """Say whether a doubt about a field of a message was decided on already."""
    end = f":{message}:{path}"
    return any(one.startswith("doubt:") and one.endswith(end) for one in conversation.here.asides)


def take_doubt(conversation: Conversation, given: Doubt, at: float) -> Step:
    """Return what becomes of a doubt about what was heard last; one about anything else is refused, at the price of a try."""
    doubt, here = recorded(given), conversation.here
    assert isinstance(doubt, Doubt)  # noqa: S101  (for the type checker: it is recorded as what it is)
    if here.outcome is not None:
        return conversation, (Late("", "doubt", doubt.role, is_over(here), here.lane),)
    try:
        it, before = _about(conversation, doubt)
        found = _decided(conversation, doubt, it, before)
    except Refusal as refused:
        return refuse(conversation, doubt.role, "doubt", refused.code, refused.reason, at)
    lane, key = here.lane, f"{before.name}/{it.act}"
    events: list[Event] = [
        Chose(
            it.id,
            it.act,
            found.action,
            round(found.p, 6),
            round(found.least, 6),
            lane,
            doubt.path,
            doubt.readings,
            {action: round(cost, 6) for action, cost in found.costs.items()},
        )
    ]
    asides = (*here.asides, f"doubt:{key}:{it.id}:{doubt.path}")
    conversation = altered(conversation, asides=asides, at=at)
    if found.action == "accept":
        return conversation, tuple(events)
    conversation, told = count_asked(conversation, doubt.role, helped=False)
    events.extend(told)
    if found.asking is None:
        left = max(0.0, here.deadline - at)
        return escalate(conversation, it, doubt.role, at, events, pending=False, trouble=(), left=left)
    conversation, told = count(conversation, it.act, it.sender, doubt.role, understood=False)
    left = repairs_left(conversation, before.name, it.act)
    asked = f"repair:{key}:{RUNGS.index(found.asking.rung)}:{found.asking.path}"
    conversation = charge(altered(conversation, asides=(*asides, asked)), before.name, it.act)
    frame = push(conversation, "repair", it, doubt.role, at, pending=False, fields={})
    frame = _replace(frame, repairing=True, asks=found.asking)
    return altered(conversation, frame=frame), (
        *events,
        *told,
        OverlayOpened("repair", it.id, it.sender, doubt.role, lane),
        RepairOpened(it.id, found.asking.rung, left - 1, lane),
    )


def _about(conversation: Conversation, doubt: Doubt) -> tuple[Message, Position]:
    """Return the message that a doubt is about, and where the talk stood before it.

    Raises:
        Refusal: If its hearer is not to answer it now, doubts it again, or gives no readings.
    """
    here, before = conversation.here, conversation.before
    if here.frame is not None or doubt.role not in floors(conversation):
        raise Refusal("unexpected-act", f"{doubt.role} is not to speak now, so it has nothing to doubt")
    if before is None or doubt.about != here.latest or here.last.get(doubt.role) != doubt.about:
        raise Refusal("unknown-reference", f"{doubt.about!r} is not what {doubt.role} heard last")
    if was_weighed(conversation, doubt.about, doubt.path):
        raise Refusal("asked-before", f"how to go on with {doubt.path or doubt.about!r} was decided")
    if not any(one.weight > 0 for one in doubt.readings) or any(one.weight < 0 for one in doubt.readings):
        raise Refusal("invalid-content", "a doubt has readings, each with a weight of 0 or more")
    it = conversation.seen[doubt.about]
    move = conversation.protocol.states[before.name].moves[it.act]
    if doubt.path and move.act.registered is None and doubt.path not in move.act.fields:
        raise Refusal("invalid-content", f"{it.act} has no field {doubt.path!r}")
    return it, before


def _decided(conversation: Conversation, doubt: Doubt, it: Message, before: Position) -> Decision:
    here, choice, counted = (
        conversation.here,
        conversation.rules.choice or _CHOICE,
        conversation.shared.counted,
    )
    move = conversation.protocol.states[before.name].moves[it.act]
    open_now = {one.label for one in exits(conversation, doubt.role)}
    key = f"{before.name}/{it.act}"
    helps: dict[Rung, float] = {
        rung: choice.known(choice.asked(it.act, rung, doubt.role, it.sender), counted).mean
        for rung in RUNGS
        if rung in open_now and not why_not_ask(here, key, rung, "" if rung == "open" else doubt.path)
    }
    return decide(
        doubt.path,
        [(one.value, one.weight) for one in doubt.readings],
        move.stakes or move.act.stakes,
        choice.costs,
        helps=helps,
        may_escalate="escalate" in open_now,
    )
