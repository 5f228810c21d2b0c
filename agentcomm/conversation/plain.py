"""The commonest message: a move of which nothing has to be checked but who makes it and what it carries.

`commit` does all that a message can do; what a plain move does follows from its place in the protocol, so it is worked out once for
all conversations, and a message then costs little more than the values that it makes. A conversation in which something is still
open that a message could close (an overlay, a repair, something held) is not for this file.
"""

import math
from collections.abc import Mapping

from agentcomm.acts.message import Message
from agentcomm.acts.persistent import find, put, with_entry
from agentcomm.commitments.ledger import Change, Effect, enter
from agentcomm.conversation.commit import NO_FIELDS, Step, ended, told
from agentcomm.conversation.events import DeadlineSet, Event, Grounded, Heard, Moved, Say
from agentcomm.conversation.parts import Position, Said, Shared
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation
from agentcomm.protocol.graph import Criterion, Move

__all__ = ("Plan", "is_open", "plans_of", "say_made", "take")

_DELIVERED = ("delivered",)
_NO_CHANGES: tuple[Change, ...] = ()


class Plan:
    """What a plain move does.

    Attributes:
        move: The move.
        speaker: Who makes it.
    """

    __slots__ = (
        "content",
        "effect",
        "ends",
        "grounds",
        "label",
        "move",
        "races",
        "said",
        "source",
        "speaker",
        "target",
        "to",
        "within",
    )

    def __init__(self, rules: Rules, move: Move) -> None:
        protocol = rules.protocol
        state = protocol.states.get(move.next)
        self.move, self.label, self.speaker, self.to = move, move.label, move.speaker, move.to
        self.source, self.target = move.state, move.next
        self.content = None if move.act.registered is not None else move.act.content
        self.grounds = move.act.criterion is not Criterion.NONE
        self.effect = Effect(move.act) if move.act.promises else None
        self.races = len(protocol.states[move.state].speakers) > 1
        self.ends = None if state is not None else protocol.outcomes[move.next]
        self.said = f"{move.speaker} said {move.label}"
        self.within = math.inf if state is None or state.gather else state.within


def plans_of(rules: Rules) -> Mapping[tuple[str, str], Plan]:
    """Return state and act -> what the plain move does that says it there; see `Rules.plain`."""
    protocol = rules.protocol
    return {
        key: Plan(rules, move)
        for key, move in rules.plain.items()
        if not (protocol.runs or move.max is not None or move.owner)
        and (move.act.criterion is not Criterion.RELEVANT or move.next in protocol.outcomes)
    }


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
    here, shared = conversation.here, conversation.shared
    plan = conversation.rules.plans.get((here.name, made.act))
    if (
        plan is None
        or plan.speaker != made.sender
        or type(made.content) is not plan.content
        or made.in_reply_to
        or here.frame is not None
        or is_open(here)
        or find(shared.seen, shared.n, name) is not None
        or not shared.at <= at < math.inf
    ):
        return None
    heard = Message(
        act=plan.label,
        content=made.content,
        id=name,
        sender=plan.speaker,
        receivers=plan.to,
        in_reply_to=here.last.get(plan.speaker, ""),
        made_by=made_by,
        lane=here.lane,
    )
    after, events = take(conversation, plan, heard, at)
    return Say(heard, at), after, events


def take(conversation: Conversation, plan: Plan, message: Message, at: float) -> Step:
    """Let a message take effect that makes a plain move; `commit` comes to the same.

    Args:
        conversation: A talk with one position, in which nothing is open.
        plan: What the move does.
        message: As it counts: typed, with its receivers and what it replies to.
        at: Now.
    """
    here, shared = conversation.here, conversation.shared
    lane, label, target, name = here.lane, plan.label, plan.target, message.id
    n = shared.n + 1
    seen = put(shared.seen, n - 1, name, message)
    events: list[Event] = [Heard(n, message)]
    if plan.grounds:
        events.append(Grounded(name, label, "delivered", _DELIVERED, NO_FIELDS, lane))
    ledger, trunk, changes = here.ledger, shared.trunk, _NO_CHANGES
    if plan.effect is not None:
        ledger, trunk, changes = enter(ledger, trunk, plan.effect, plan.speaker, plan.to, name, lane)
        for change in changes:
            events.append(told(change, lane))  # noqa: PERF401  (most often one)
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
        Shared(at, n, seen, shared.spent, trunk, shared.tally, shared.turn, shared.mended, shared.counted),
        Position(  # in the order of its fields, for speed
            target,
            deadline,
            here.owner,
            lane,
            name,
            0,
            said,
            last,
            here.used,
            {},
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
