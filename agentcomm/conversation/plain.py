"""What most moves do, worked out once for all conversations of a protocol.

`commit` does all that a message can do. What a simple move does follows from its place in the protocol, so a message then costs
little more than the values that it makes. A conversation in which something is still open that a message could close (an overlay, a
repair, something held) is not for this file.
"""

import math
from collections.abc import Mapping

from agentcomm.acts.message import Message
from agentcomm.acts.persistent import find, put, with_entry
from agentcomm.commitments.ledger import Change, Effect, enter
from agentcomm.conversation.commit import NO_FIELDS, Step, ended, told
from agentcomm.conversation.events import DeadlineSet, Event, Grounded, Heard, Moved, Say
from agentcomm.conversation.parts import Position, Said, Shared
from agentcomm.conversation.rules import Rules, is_demonstrated, readback_of
from agentcomm.conversation.state import Conversation
from agentcomm.protocol.graph import Criterion, Move

__all__ = ("Plan", "completed_made", "is_open", "plans_of", "say_made", "take")

_DELIVERED = ("delivered",)
_NO_CHANGES: tuple[Change, ...] = ()


class Plan:
    """What a simple move does.

    Attributes:
        move: The move.
        speaker: Who makes it.
        is_plain: Nothing has to be checked but who makes it and what it carries; see `Rules.plain`.
        is_stageable: The same of a move at a gather, but for what bounds it together with other lanes.
    """

    __slots__ = (
        "content",
        "effect",
        "ends",
        "grounds",
        "is_plain",
        "is_stageable",
        "key",
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
        self.is_plain = (move.state, move.label) in rules.plain
        self.is_stageable = not (move.when or move.given or move.for_all)
        self.key = move.key if move.at_most is not None else ""
        self.ends = None if state is not None else protocol.outcomes[move.next]
        self.said = f"{move.speaker} said {move.label}"
        self.within = math.inf if state is None or state.gather else state.within


def plans_of(rules: Rules) -> Mapping[tuple[str, str], Plan]:
    """Return state and act -> what the move does that says it there, if it takes effect as soon as it is said and has no budget."""
    protocol = rules.protocol
    if protocol.runs or rules.choice is not None:
        return {}
    return {
        (state.name, label): Plan(rules, move)
        for state in protocol.states.values()
        for label, move in state.moves.items()
        if not (move.max is not None or move.owner or move.act.repeats)
        and not (readback_of(move) or is_demonstrated(move))
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
    lane, label, target, name = here.lane, plan.label, plan.target, message.id
    n, seen, tally = shared.n, shared.seen, shared.tally
    events: list[Event] = []
    if find(seen, n, name) is None:  # what is said for all is heard once
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
