"""What most moves do, worked out once for all conversations of a protocol.

`commit` does all that a message can do. What a simple move does follows from its place in the protocol, so a message then costs
little more than the values that it makes. A conversation in which something is still open that a message could close (an overlay, a
repair, something held) is not for this file.
"""

import math
from typing import Any

from agentcomm.acts.message import Message
from agentcomm.acts.persistent import put, with_entry
from agentcomm.commitments.ledger import Change, enter
from agentcomm.conversation.commit import NO_FIELDS, Step, ended
from agentcomm.conversation.events import CommitmentChanged, DeadlineSet, Event, Grounded, Heard, Moved, Say
from agentcomm.conversation.parts import Position, Said, Shared
from agentcomm.conversation.plans import Plan
from agentcomm.conversation.state import Conversation

__all__ = ("completed_made", "is_open", "say_made", "take")

_DELIVERED = ("delivered",)
_NOTHING: dict[str, Any] = {}
_NO_CHANGES: tuple[Change, ...] = ()


def is_open(here: Position) -> bool:
    """Say whether something is open that a message could close."""
    return bool(here.voided or here.held or here.repairs or here.asides or here.until)


def say_made(
    conversation: Conversation, made: Message, name: str, made_by: str, at: float
) -> tuple[Say, Conversation, tuple[Event, ...]] | None:
    """Let a message be heard that was made for this conversation as it stands, if it makes a plain move; else return None.

    It comes to what `step` makes of it. Since it is written here, nothing in it but its act and who says it has to be looked at.

    Args:
        conversation: A talk with one position.
        made: Its act, its sender, and content that `read` made and nobody can have changed since.
        name: Its id.
        made_by: How its speaker came to it.
        at: Now, no earlier than the last input.
    """
    plan = conversation.rules.plans.get((conversation.here.name, made.act))
    if plan is None or not plan.is_plain:
        return None
    heard = completed_made(conversation, plan, made, name, made_by, at)
    if heard is None:
        return None
    after, events = take(conversation, plan, heard, at)
    return Say(heard, at), after, events


def completed_made(
    conversation: Conversation, plan: Plan, made: Message, name: str, made_by: str, at: float
) -> Message | None:
    """Return a message that was made for this conversation as it counts; None if that has to be looked at. Takes what `say_made` does."""
    here, shared = conversation.here, conversation.shared
    if (
        plan.speaker != made.sender
        or type(made.content) is not plan.content
        or made.in_reply_to
        or here.frame is not None
        or is_open(here)
        or name in shared.seen
        or not shared.at <= at < math.inf
    ):
        return None
    heard = here.last.get(plan.speaker, "")
    return Message(plan.label, made.content, name, plan.speaker, plan.to, heard, made_by, "", here.lane)


def take(conversation: Conversation, plan: Plan, message: Message, at: float) -> Step:
    """Let a message take effect that makes a simple move; `commit` comes to the same.

    Args:
        conversation: A talk with one position, in which nothing is open.
        plan: What the move does.
        message: As it counts: typed, with its receivers and what it replies to.
        at: Now.
    """
    here, shared = conversation.here, conversation.shared
    used = here.used
    if plan.budget:
        times = used.get(plan.budget, 0)
        if times < plan.max:
            used = with_entry(used, plan.budget, times + 1)
        else:
            plan = plan.after
    lane, label, target, name = here.lane, plan.label, plan.target, message.id
    n, seen, tally = shared.n, shared.seen, shared.tally
    events: list[Event] = []
    known = seen.get(name)
    if known is None or known[0] > n:  # what is said for all is heard once
        seen = put(seen, n, name, message)
        n += 1
        events.append(Heard(n, message))
    if plan.key:
        tally = with_entry(tally, plan.key, tally.get(plan.key, 0) + 1)
    if plan.grounds:
        events.append(Grounded(name, label, "delivered", _DELIVERED, NO_FIELDS, lane))
    ledger, trunk, changes = here.ledger, shared.trunk, _NO_CHANGES
    if plan.effect is not None:
        ledger, trunk, changes = enter(ledger, trunk, plan.effect, plan.speaker, plan.to, name, lane)
        for change in changes:
            now, was = change.now, change.was
            before = "" if was is None else was.status
            events.append(
                CommitmentChanged(now.id, now.act, now.debtor, now.creditor, before, now.status, lane)
            )
    events.append(Moved(label, plan.speaker, plan.source, target, name, lane))
    last = here.last.copy()
    for hearer in plan.to:
        last[hearer] = name
    said = here.said
    said = with_entry(said, label, Said(message, True, _DELIVERED, n))
    deadline, outcome, checkpoints = here.deadline, here.outcome, ()
    if plan.ends is None:
        deadline = at + plan.within
        if deadline < math.inf:
            events.append(DeadlineSet(target, deadline, lane))
        checkpoints = (here, *conversation.checkpoints[:1])
    else:
        outcome, ledger = ended(ledger, target, plan.ends, plan.said, lane, events)
    return Conversation(
        conversation.rules,
        conversation.id,
        conversation.whole,
        conversation.members,
        Shared(at, n, seen, shared.spent, trunk, tally, shared.turn, shared.mended, shared.counted),
        Position(  # in the order of its fields, for speed
            target,
            deadline,
            here.owner,
            lane,
            name,
            0,
            said,
            last,
            used,
            _NOTHING,
            ledger,
            (),
            (),
            here.expired,
            None,
            changes,
            (),
            plan.source if plan.races else here.raced,
            (),
            "",
            outcome,
        ),
        checkpoints,
        conversation.lanes,
    ), tuple(events)
