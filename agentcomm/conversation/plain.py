"""What most moves do, worked out once for all conversations of a protocol.

`commit` does all that a message can do. What a simple move does follows from its place in the protocol, so a message then costs
little more than the values that it makes. A conversation in which something is still open that a message could close (an overlay, a
repair, something held) is not for this file.
"""

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from agentcomm.acts.message import Message
from agentcomm.acts.persistent import put, with_entry
from agentcomm.commitments.ledger import Change, Ledger, enter
from agentcomm.conversation.commit import NO_FIELDS, Step, ended
from agentcomm.conversation.events import (
    CommitmentChanged,
    DeadlineSet,
    Event,
    Grounded,
    Heard,
    LaneEnded,
    Moved,
    Say,
)
from agentcomm.conversation.parts import Key, Position, Said, Shared, key_of
from agentcomm.conversation.plans import Plan
from agentcomm.conversation.state import Conversation

__all__ = (
    "Several",
    "Told",
    "completed_made",
    "is_open",
    "moved",
    "moved_alike",
    "say_made",
    "spelled",
    "take",
)

_DELIVERED = ("delivered",)
_NEVER = math.inf
_NOTHING: dict[str, Any] = {}
_NO_CHANGES: tuple[Change, ...] = ()


class Told(msgspec.Struct, frozen=True, gc=False):
    """What happened by a simple move, in short; iterating gives the events."""

    plan: Plan
    message: Message
    n: int
    """Its place on record."""
    is_first: bool
    """It was not on record before: what is said for all is heard once."""
    lane: str
    changes: tuple[Change, ...]
    """Of commitments."""
    deadline: float
    """Of where it leads."""
    ending: tuple[Event, ...]
    """What happened by its ending the talk."""

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events())

    def __len__(self) -> int:
        return self.length

    @property
    def length(self) -> int:
        """How many events it gives."""
        plan = self.plan
        last = len(self.ending) if self.ending else int(self.deadline < _NEVER)
        return self.is_first + plan.grounds + len(self.changes) + 1 + last

    def events(self) -> list[Event]:
        """Return what happened, in order."""
        plan, message, lane = self.plan, self.message, self.lane
        name, label = message.id, plan.label
        events: list[Event] = [Heard(self.n, message)] if self.is_first else []
        if plan.grounds:
            events.append(Grounded(name, label, "delivered", _DELIVERED, NO_FIELDS, lane))
        for change in self.changes:
            now, was = change.now, change.was
            before = "" if was is None else was.status
            events.append(
                CommitmentChanged(now.id, now.act, now.debtor, now.creditor, before, now.status, lane)
            )
        events.append(Moved(label, plan.speaker, plan.source, plan.target, name, lane))
        if self.ending:
            events += self.ending
        elif self.deadline < _NEVER:
            events.append(DeadlineSet(plan.target, self.deadline, lane))
        return events


class Several(msgspec.Struct, frozen=True, gc=False):
    """What happened, simple moves in short among it; iterating gives the events."""

    parts: list[Event | Told]

    def __iter__(self) -> Iterator[Event]:
        return iter(spelled(self.parts))

    def __len__(self) -> int:
        return len(spelled(self.parts))


def spelled(parts: list[Event | Told]) -> tuple[Event, ...]:
    """Return what happened as events alone."""
    events: list[Event] = []
    for part in parts:
        if type(part) is Told:
            events += part.events()
        else:
            events.append(part)  # pyright: ignore[reportArgumentType]
    return tuple(events)


def is_open(here: Position) -> bool:
    """Say whether something is open that a message could close."""
    return bool(here.voided or here.held or here.repairs or here.asides or here.until)


def say_made(
    conversation: Conversation, made: Message, name: str, made_by: str, at: float
) -> tuple[Say, Conversation, Told] | None:
    """Let a message be heard that was made for this conversation as it stands, if it makes a plain move; else return None.

    It comes to what `step` makes of it. Since it is written here, nothing in it but its act and who says it has to be looked at.

    Args:
        conversation: A talk with one position.
        made: Its act, its sender, and content that `read` made and nobody can have changed since.
        name: Its id; empty for the one that the core gives to the next message.
        made_by: How its speaker came to it.
        at: Now, no earlier than the last input.
    """
    here, rules = conversation.here, conversation.rules
    plan = rules.plans.get((here.name, made.act))
    if plan is None or not plan.is_plain:
        return None
    shared, whose = conversation.shared, conversation.id
    n, seen = shared.n + 1, shared.seen
    key: Key = n
    if not name:
        name = f"{whose}:{n}"
    elif name != f"{whose}:{n}":
        key = key_of(whose, name, n)
    heard = completed_made(shared, here, plan, made, name, key, made_by, at)
    if heard is None:
        return None
    if seen and len(seen) == n - 1:
        seen[key] = (n, heard)
    else:
        seen = put(seen, n - 1, key, heard)
    now, trunk, told = moved(here, plan, heard, n, at, shared.trunk)
    before = conversation.checkpoints
    after = Conversation(
        rules,
        whose,
        conversation.whole,
        conversation.members,
        Shared(at, n, seen, shared.spent, trunk, shared.tally, None, shared.mended, shared.counted),
        now,
        () if now.outcome is not None else (here, before[0]) if before else (here,),
    )
    return Say(heard, at), after, told


def completed_made(
    shared: Shared, here: Position, plan: Plan, made: Message, name: str, key: Key, made_by: str, at: float
) -> Message | None:
    """Return a message that was made for a position as it counts there; None if that has to be looked at. Takes what `say_made` does."""
    speaker, content = plan.speaker, made.content
    if (
        speaker != made.sender
        or type(content) is not plan.content
        or made.in_reply_to
        or here.frame is not None
        or here.voided
        or here.held
        or here.repairs
        or here.asides
        or here.until
        or key in shared.seen
        or not shared.at <= at < _NEVER
    ):
        return None
    return Message(
        plan.label, content, name, speaker, plan.to, here.last.get(speaker, ""), made_by, "", here.lane
    )


def take(conversation: Conversation, plan: Plan, message: Message, at: float) -> Step:
    """Let a message take effect that makes a simple move; `commit` comes to the same.

    Args:
        conversation: A talk with one position, in which nothing is open.
        plan: What the move does.
        message: As it counts: typed, with its receivers and what it replies to.
        at: Now.
    """
    here, shared = conversation.here, conversation.shared
    n, seen, tally = shared.n, shared.seen, shared.tally
    key = key_of(conversation.id, message.id, n)
    known = seen.get(key)
    is_first = known is None or known[0] > n
    if is_first:
        seen = put(seen, n, key, message)
        n += 1
    if plan.key:
        tally = with_entry(tally, plan.key, tally.get(plan.key, 0) + 1)
    now, trunk, told = moved(here, plan, message, n, at, shared.trunk, is_first)
    before = conversation.checkpoints
    return Conversation(
        conversation.rules,
        conversation.id,
        conversation.whole,
        conversation.members,
        Shared(at, n, seen, shared.spent, trunk, tally, shared.turn, shared.mended, shared.counted),
        now,
        () if now.outcome is not None else (here, before[0]) if before else (here,),
        conversation.lanes,
    ), tuple(told.events())


def moved(
    here: Position,
    plan: Plan,
    message: Message,
    n: int,
    at: float,
    trunk: Ledger | None,
    is_first: bool = True,
) -> tuple[Position, Ledger | None, Told]:
    """Return a position after a message that makes a simple move in it, the ledger from before lanes, and what happened.

    Args:
        here: Where nothing is open.
        plan: What the move does.
        message: As it counts, on record.
        n: Its place there.
        at: Now.
        trunk: What was promised before lanes began.
        is_first: Whether it was not on record before.
    """
    used = here.used
    if plan.budget:
        times = used.get(plan.budget, 0)
        if times < plan.max:
            used = with_entry(used, plan.budget, times + 1)
        else:
            plan = plan.after
    lane, label, target, name = here.lane, plan.label, plan.target, message.id
    ledger, changes, effect = here.ledger, _NO_CHANGES, plan.effect
    if effect is not None:
        ledger, trunk, changes = enter(ledger, trunk, effect, plan.speaker, plan.to, name, lane)
    hearer, said, entry = plan.hearer, here.said, Said(message, True, _DELIVERED, n)
    last = {**here.last, hearer: name} if hearer else {**here.last, **dict.fromkeys(plan.to, name)}
    said = {**said, label: entry} if plan.is_short else with_entry(said, label, entry)
    outcome = plan.outcome
    ending: tuple[Event, ...] = plan.ended
    if outcome is None:
        deadline = at + plan.within
    else:
        deadline = here.deadline
        if lane and not ledger.live:
            ending = (LaneEnded(lane, target, plan.kind, outcome.cause),)
        elif lane or ledger.live:
            events: list[Event] = []
            _, ledger = ended(ledger, target, outcome.kind, outcome.cause, lane, events)
            ending = tuple(events)
    return (
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
        trunk,
        Told(plan, message, n, is_first, lane, changes, deadline, ending),
    )


def moved_alike(here: Position, other: Position, now: Position, told: Told) -> tuple[Position, Told] | None:
    """Return a lane after the message that moved another, and what happened; None where that may be something else.

    Args:
        here: Where nothing is open.
        other: The lane that was moved, before it.
        now: The same after it.
        told: What happened there.
    """
    plan = told.plan
    if (
        here.name != other.name
        or here.said is not other.said
        or here.last is not other.last
        or here.used is not other.used
        or plan.effect is not None
        or plan.outcome is not None
    ):
        return None
    lane = here.lane
    return (
        Position(  # in the order of its fields, for speed
            now.name,
            now.deadline,
            here.owner,
            lane,
            now.latest,
            0,
            now.said,
            now.last,
            now.used,
            _NOTHING,
            here.ledger,
            (),
            (),
            here.expired,
            None,
            (),
            (),
            plan.source if plan.races else here.raced,
            (),
            "",
            None,
        ),
        Told(plan, told.message, told.n, False, lane, (), told.deadline, ()),
    )
