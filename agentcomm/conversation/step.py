"""Advance one conversation by one input: `step(conversation, input) -> (conversation, events)`.

Without a many-role a conversation has one position, and `speaking.py` is all there is to it; with one, lanes begin where its
members take part, and `lanes.py` hands each input to the lane that it is for.
"""

import math
from collections.abc import Iterable
from typing import assert_never

import msgspec

from agentcomm.acts.message import Message
from agentcomm.conversation import lanes, speaking
from agentcomm.conversation.border import checked
from agentcomm.conversation.commit import Step, entered, stop
from agentcomm.conversation.doubts import take_doubt
from agentcomm.conversation.events import (
    Cancel,
    DeadlineSet,
    Doubt,
    Event,
    Evidence,
    Input,
    Join,
    Joined,
    Leave,
    Left,
    Misfire,
    Opened,
    Refused,
    Say,
    Tick,
)
from agentcomm.conversation.evidence import take_evidence
from agentcomm.conversation.parts import Position, Shared
from agentcomm.conversation.reading import clean
from agentcomm.conversation.rules import Rules, is_demonstrated
from agentcomm.conversation.state import Conversation
from agentcomm.errors import UsageError
from agentcomm.protocol.graph import OutcomeClass, Protocol
from agentcomm.protocol.shape import is_name

__all__ = ("open_conversation", "step", "tie_break")

_replace = msgspec.structs.replace


def open_conversation(
    rules: Rules, conversation_id: str, *, whole: float | None = None, members: Iterable[str] = ()
) -> Step:
    """Return a new conversation at time 0, and its first events.

    Args:
        rules: The protocol with its overlays.
        conversation_id: Unique.
        whole: Seconds for the whole conversation; the protocol's own limit holds if it is shorter.
        members: Names of those who play the many-role; more may join until lanes begin.

    Raises:
        UsageError: If the protocol is an overlay, one that it needs is missing, or the members do not fit.
    """
    protocol, opening = rules.protocol, rules.kept.get("opening")
    if opening is None:
        opening = rules.kept["opening"] = _opening(rules)
    limit = math.inf if protocol.limits.whole is None else protocol.limits.whole
    if whole is not None and whole < limit:
        limit = whole
    names = tuple(members)
    if not names and not protocol.many:
        return Conversation(rules, conversation_id, limit, names, _NEW, opening[0]), opening[1]
    begun = rules.kept.get("begun")
    if begun is None or begun[0].members != names:
        _check_members(protocol, names)
        first = Conversation(rules, "", math.inf, names, _NEW, opening[0])
        begun = rules.kept["begun"] = lanes.advance(first, 0.0, opening[1])
    it, events = begun
    opened = Conversation(rules, conversation_id, limit, names, it.shared, it.here, it.checkpoints, it.lanes)
    return opened, events


_NEW = Shared()


def _opening(rules: Rules) -> tuple[Position, tuple[Event, ...]]:
    """Return where every conversation by some rules begins, and its first events."""
    _check_rules(rules)
    protocol = rules.protocol
    first = Position(protocol.start, math.inf, protocol.owner)
    here = entered(Conversation(rules, "", math.inf, (), _NEW, first), protocol.start, 0.0).here
    events: list[Event] = [Opened(protocol.name, protocol.hash, protocol.start, protocol.owner)]
    if not protocol.states[protocol.start].in_lane:
        events.append(DeadlineSet(protocol.start, here.deadline))
    return here, tuple(events)


def _check_rules(rules: Rules) -> None:
    protocol = rules.protocol
    if protocol.overlay is not None:
        raise UsageError(
            f"{protocol.name!r} is an overlay", why="it runs on top of another protocol", fix="enact that one"
        )
    for state in protocol.states.values():
        for move in state.moves.values():
            if is_demonstrated(move) and not ("demonstrate" in rules.overlays and rules.judge):
                what, why = "be demonstrated", "nobody is there to judge that"
            elif rules.may_read_back(move) and "read-back" not in rules.overlays:
                what, why = "be read back", "the rules have no overlay `read-back`"
            else:
                continue
            raise UsageError(
                f"{move.label!r} is to {what}",
                why=why,
                fix="weaken its criterion, or add what is missing: an overlay, or a judge",
            )


def _check_members(protocol: Protocol, names: tuple[str, ...]) -> None:
    if not protocol.many:
        if names:
            raise UsageError(
                f"{protocol.name!r} has no role that several agents play", fix="leave `members` out"
            )
        return
    least, most = protocol.members
    for name in names:
        if not is_name(name) or name in protocol.roles:
            raise UsageError(
                f"{name!r} cannot be the name of a {protocol.many}",
                why="a member has a name of letters, digits, `-` and `_` that is no role",
                fix=f"call it {protocol.many[0]}1",
            )
    if len(set(names)) != len(names):
        raise UsageError(f"two {protocol.many}s have one name", fix="give each its own")
    begins_at_once = protocol.states[protocol.start].in_lane
    if len(names) > most or (begins_at_once and len(names) < least):
        raise UsageError(
            f"{len(names)} play {protocol.many!r}",
            why=f"{protocol.name!r} needs from {least} to {most}",
            fix=f"let {least} or more play it, and at most {most}",
        )


def step(conversation: Conversation, given: Input, *, is_read: bool = False) -> Step:
    """Return the conversation after one input, and what happened. Nothing that a speaker says makes it raise.

    Args:
        conversation: Where it stands.
        given: A message, a time, a misfire, a doubt, a cancellation, a leave or a join; its `at` in seconds since the opening.
        is_read: Whether the content of the message was made by `reading.read`, so that it need not be validated again.

    Raises:
        UsageError: If it is no input at all.
    """
    given = checked(given)
    at = given.at
    if not conversation.shared.at <= at < math.inf:  # time does not run backwards
        at = conversation.shared.at
    if not conversation.rules.protocol.many:
        if type(given) is Say:
            message = given.message
            return speaking.say(conversation, message, at, message.content if is_read else None)
        return _alone(conversation, given, at)
    if conversation.lanes.places and conversation.here.outcome is None:
        return lanes.step(conversation, given, at, is_read=is_read)
    if isinstance(given, Join):
        return _join(conversation, given.member)
    if isinstance(given, Leave) and given.lane and conversation.outcome is None:
        return _left(conversation, given)
    after, events = _alone(conversation, given, at)
    return lanes.advance(after, at, events)


def _alone(conversation: Conversation, given: Input, at: float) -> Step:
    match given:
        case Say():
            return speaking.say(conversation, given.message, at)
        case Tick():
            return speaking.tick(conversation, at)
        case Misfire():
            if conversation.outcome is not None:
                return conversation, ()
            return speaking.refuse(conversation, clean(given.role), "", "unreadable", clean(given.reason), at)
        case Cancel():
            cause = f"cancelled by {clean(given.by)}: {clean(given.reason)}"
            return stop(conversation, OutcomeClass.CANCELLED, cause, at)
        case Leave():
            cause = f"{clean(given.role)} left: {clean(given.reason)}"
            return stop(conversation, OutcomeClass.ABORTED, cause, at)
        case Evidence():
            return take_evidence(conversation, given, at)
        case Doubt():
            return take_doubt(conversation, given, at)
        case Join():
            reason = "each role is played by one, and all of them are cast"
            return conversation, (Refused(clean(given.member), "", "no-room", reason, (), 0),)
        case _:
            assert_never(given)


def _join(conversation: Conversation, member: str) -> Step:
    protocol = conversation.protocol
    code = reason = ""
    if conversation.outcome is not None:
        code, reason = "too-late", f"the conversation ended as {conversation.outcome.name}"
    elif not is_name(member):
        code, reason = "wrong-name", "a member has a name of letters, digits, `-` and `_`"
    elif member in protocol.roles:
        code, reason = "wrong-name", f"{member!r} is the name of a role"
    elif member in conversation.members:
        code, reason = "wrong-name", f"{member!r} plays {protocol.many} already"
    elif len(conversation.members) >= protocol.members[1]:
        code, reason = "no-room", f"there are {protocol.members[1]} already, which is all there may be"
    if reason:
        return conversation, (Refused(clean(str(member)), "", code, reason, (), 0),)
    return _replace(conversation, members=(*conversation.members, member)), (Joined(member),)


def _left(conversation: Conversation, given: Leave) -> Step:
    rest = tuple(name for name in conversation.members if name != given.lane)
    if len(rest) == len(conversation.members):
        return conversation, ()
    return _replace(conversation, members=rest), (Left(given.lane, clean(given.reason)),)


def tie_break(conversation: Conversation, messages: Iterable[Message]) -> list[Message]:
    """Return messages made from the same place in the log in the order in which they count: in a race, `first` first."""

    def rank(message: Message) -> bool:
        here = conversation.lanes.get(message.lane) if conversation.begun else conversation.here
        state = here and conversation.protocol.states.get(here.name)
        return not (state and state.first == message.sender)

    return sorted(messages, key=rank)
