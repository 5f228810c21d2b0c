"""The lanes of a conversation: one position for each member of the many-role.

A lane is a conversation of its own in all but what the lanes share (the record, the ledger, counts that bound them together),
which is lent to it for a step. Sharing nothing that grows, a step costs the same however many lanes there are; only what
concerns all of them, such as the opening of a gather, costs as much as there are lanes.

Source: FIPA SC00029H, where an initiator holds one conversation with each participant; barrier and tally as in workflow nets.
"""

import math
from collections.abc import Callable
from typing import Any, assert_never, cast

import msgspec
from rpds import HashTrieMap

from agentcomm.acts.message import Message
from agentcomm.conversation import speaking
from agentcomm.conversation.events import (
    Cancel,
    DeadlineSet,
    Duplicate,
    Ended,
    Event,
    Expired,
    GatherOpened,
    Input,
    Join,
    LanesBegan,
    Leave,
    Misfire,
    Refused,
    Say,
    Staged,
    Tick,
)
from agentcomm.conversation.moves import floors
from agentcomm.conversation.reading import UNREADABLE, clean, is_sound, sender_of
from agentcomm.conversation.speaking import Refusal, Step
from agentcomm.conversation.state import Conversation, GatherTurn, Outcome
from agentcomm.protocol.graph import Move, OutcomeClass

__all__ = ("advance", "step")

_replace = msgspec.structs.replace
_EMPTY: Any = HashTrieMap

_BARE: dict[str, Any] = {
    "n": 0,
    "seen": _EMPTY(),
    "spent": 0,
    "tally": _EMPTY(),
    "turn": None,
}
"""What a lane holds of what is shared while it rests."""


def step(conversation: Conversation, given: Input, at: float) -> Step:
    """Return a conversation whose lanes have begun after one input, and what happened."""
    match given:
        case Say():
            after, events = _say(conversation, given.message, at)
        case Tick():
            after, events = _tick(conversation, at)
        case Misfire():
            role, reason = clean(given.role), clean(given.reason)
            after, events = _refuse(conversation, given.lane, role, "", "unreadable", reason, at)
        case Cancel():
            cause = f"cancelled by {clean(given.by)}: {clean(given.reason)}"
            return _stop(conversation, "", OutcomeClass.CANCELLED, cause, at)
        case Leave():
            cause = f"{clean(given.lane or given.role)} left: {clean(given.reason)}"
            if given.lane:
                if given.lane not in conversation.lanes:
                    return conversation, ()
                after, events = _within(
                    conversation,
                    given.lane,
                    lambda lane: speaking.stop(lane, OutcomeClass.ABORTED, cause, at),
                )
            else:
                return _stop(conversation, "", OutcomeClass.ABORTED, cause, at)
        case Join():
            reason = "lanes have begun"
            return conversation, (Refused(clean(str(given.member)), "", "too-late", reason, (), 0),)
        case _:
            assert_never(given)
    return advance(after, at, list(events))


def advance(conversation: Conversation, at: float, events: list[Event]) -> Step:
    """Return the conversation after what follows of itself: lanes begin, a gather opens or closes, the end is settled."""
    if conversation.outcome is not None or not conversation.protocol.many:
        return conversation, tuple(events)
    if not conversation.begun:
        state = conversation.protocol.states.get(conversation.position)
        if state is None or not state.in_lane or conversation.frame is not None:
            return conversation, tuple(events)
        conversation = _begin(conversation, at, events)
    while conversation.outcome is None:
        turn = conversation.turn
        if turn is not None and not turn.left:
            conversation = _commit_turn(conversation, turn, at, events)
        elif not conversation.living:
            conversation = _settle(conversation, at, events)
        elif turn is None and not conversation.away:
            conversation = _open_gather(conversation, at, events)
        else:
            break
    return conversation, tuple(events)


# --- lanes ---


def _begin(conversation: Conversation, at: float, events: list[Event]) -> Conversation:
    position = conversation.position
    if len(conversation.members) < conversation.protocol.members[0]:
        cause = f"only {len(conversation.members)} play {conversation.protocol.many!r}"
        ended, told = speaking.stop(conversation, OutcomeClass.ABORTED, cause, at)
        events.extend(told)
        return ended
    if events and isinstance(events[-1], DeadlineSet):  # of the one position that there was
        events.pop()
    events.append(LanesBegan(position, conversation.members))
    state = conversation.protocol.states[position]
    gathers = state.gather
    lane = _replace(
        speaking.entered(conversation, position, at),
        checkpoint=None,
        undo=(),
        held=(),
        misfires=0,
        latest="",
        **_BARE,
    )
    lanes: HashTrieMap[str, Conversation] = _EMPTY()
    for name in conversation.members:
        lanes = lanes.insert(name, _replace(lane, lane=name, members=()))
        if lane.deadline < math.inf:
            events.append(DeadlineSet(position, lane.deadline, name))
    count = len(conversation.members)
    tally = conversation.tally
    if position in conversation.rules.capped:
        tally = tally.insert(f"@{position}", count)
    return _replace(
        conversation,
        lanes=lanes,
        begun=True,
        living=count,
        away=0 if gathers else count,
        tally=tally,
        deadline=math.inf,
        frame=None,
        checkpoint=None,
        misfires=0,
    )


def _within(conversation: Conversation, name: str, act: Callable[[Conversation], Step]) -> Step:
    """Let something happen in one lane."""
    after, events = act(conversation.view(name))
    return _put(conversation, name, after), tuple(_marked(event, name) for event in events)


def _marked(event: Event, lane: str) -> Event:
    return _replace(event, lane=lane) if "lane" in event.__struct_fields__ else event


def _put(conversation: Conversation, name: str, lane: Conversation) -> Conversation:
    """Take a lane back, with what it did to what is shared."""
    before = conversation.lanes[name]
    tally = lane.tally
    for place in _claims(before):
        tally = tally.insert(place, tally.get(place, 1) - 1)
    for place in _claims(lane):
        tally = tally.insert(place, tally.get(place, 0) + 1)
    living, away = conversation.living, conversation.away
    if before.outcome is None and lane.outcome is not None:
        living -= 1
        end = f"={lane.outcome.name}"
        tally = tally.insert(end, tally.get(end, 0) + 1)
    away += _is_away(lane) - _is_away(before)
    turn, lanes = conversation.turn, conversation.lanes
    if turn is None and lane.outcome is None and not _is_away(lane):
        lane = _unhurried(lane)
    if turn is not None and name in turn.moves and (lane.outcome is not None or _is_away(lane)):
        # where no lane has a move yet, the gather opens again once this one is back
        if turn.left == len(turn.moves) and lane.outcome is None:
            lanes, turn = _unopened(lanes, turn), None
        else:
            turn = _without(turn, name, before)
    return _replace(
        conversation,
        at=lane.at,
        n=lane.n,
        seen=lane.seen,
        spent=lane.spent,
        ledger=lane.ledger,
        tally=tally,
        living=living,
        away=away,
        turn=turn,
        lanes=lanes.insert(name, _replace(lane, ledger=before.ledger, **_BARE)),
    )


def _unhurried(lane: Conversation) -> Conversation:
    """Return a lane that waits for its gather to open: until then only the deadlines of runs hold."""
    return _replace(lane, deadline=min((limit for _, limit in lane.until), default=math.inf))


def _unopened(lanes: "HashTrieMap[str, Conversation]", turn: GatherTurn) -> "HashTrieMap[str, Conversation]":
    for name in turn.moves:
        lanes = lanes.insert(name, _unhurried(lanes[name]))
    return lanes


def _is_away(lane: Conversation) -> bool:
    """Say whether a gather has to wait for a lane."""
    return lane.outcome is None and (lane.frame is not None or not lane.state.gather)


def _claims(lane: Conversation) -> list[str]:
    """Return what a lane counts for: the bounded state it stands in, and what a move claims that is yet to be read back."""
    if lane.outcome is not None:
        return []
    capped = lane.rules.capped
    found = [f"@{lane.position}"] if lane.position in capped else []
    frame = lane.frame
    if frame is not None and frame.pending and (move := lane.state.moves.get(frame.it.act)):
        found += [move.key] if move.at_most is not None else []
        found += [f"@{move.next}"] if move.next in capped else []
    return found


def _without(turn: GatherTurn, name: str, lane: Conversation) -> GatherTurn:
    """Return a turn without a lane, and without what its move had claimed."""
    message, counts = turn.moves[name], turn.counts
    gone = [f"-{lane.position}"]
    if message is not None:
        move = lane.state.moves[message.act]
        gone += [move.key, f"@{move.next}"]
    for key in gone:
        counts = counts.insert(key, counts.get(key, 1) - 1)
    return GatherTurn(turn.moves.remove(name), turn.left - (message is None), counts)


# --- messages ---


def _say(conversation: Conversation, message: Message, at: float) -> Step:
    if not is_sound(message) or not isinstance(cast("object", message.lane), str):
        role = sender_of(message)
        return _refuse(conversation, "", role, "", "unreadable", UNREADABLE, at)
    turn = conversation.turn
    if conversation.seen.get(message.id) is not None or (
        turn is not None and f"!{message.id}" in turn.counts
    ):
        return conversation, (Duplicate(message.id),)
    sender, act = message.sender, message.act
    if sender not in conversation.protocol.roles:
        reason = f"{sender!r} is no role in this conversation"
        return conversation, (Refused(sender, act, "wrong-party", reason, (), 0, message.lane),)
    if not message.lane:
        if sender == conversation.protocol.many:
            reason = f"which {sender} speaks?"
            return conversation, (Refused(sender, act, "wrong-party", reason, (), 0),)
        return _say_for_all(conversation, message, at)
    if message.lane not in conversation.lanes:
        reason = f"there is no {conversation.protocol.many} {message.lane!r}"
        return conversation, (Refused(sender, act, "wrong-party", reason, (), 0, message.lane),)
    lane = conversation.view(message.lane)
    if lane.outcome is not None or lane.frame is not None:
        return _within(conversation, message.lane, lambda lane: speaking.say(lane, message, at))
    move = speaking.move_for(lane.state, act)
    if move is not None and move.speaker == sender and (lane.state.gather or move.for_all):
        if move.for_all:
            reason = f"{act!r} is said once, for all"
            return _refuse(conversation, message.lane, sender, act, "unexpected-act", reason, at)
        return _stage(conversation, [(message.lane, move)], message, at)
    return _within(conversation, message.lane, lambda lane: speaking.say(lane, message, at))


def _refuse(
    conversation: Conversation, lane: str, role: str, act: str, code: str, reason: str, at: float
) -> Step:
    """Refuse what is said in a lane; what is said for all counts in the first lane that it is for."""
    name = lane or next(
        (
            name
            for name in conversation.members
            if (one := conversation.lanes[name]).outcome is None and role in floors(one)
        ),
        "",
    )
    if name not in conversation.lanes:
        return conversation, (Refused(role, act, code, reason, (), 0),)
    if conversation.lanes[name].outcome is not None:
        return conversation, (Refused(role, act, code, reason, (), 0, name),)
    return _within(conversation, name, lambda lane: speaking.refuse(lane, role, act, code, reason, at))


def _say_for_all(conversation: Conversation, message: Message, at: float) -> Step:
    """Say something once, in every lane that stands where it can be said for all."""
    targets: list[tuple[str, Move]] = []
    for name in conversation.members:
        lane = conversation.lanes[name]
        if lane.outcome is None and lane.frame is None:
            move = speaking.move_for(lane.state, message.act)
            if move is not None and move.for_all and move.speaker == message.sender:
                targets.append((name, move))
    if not targets:
        act = message.act
        reason = f"{act!r} cannot be said for all now"
        return _refuse(conversation, "", message.sender, act, "unexpected-act", reason, at)
    on_offer = [entry for entry in targets if _is_offered(conversation, *entry)]
    return _stage(conversation, on_offer or targets, message, at)


def _is_offered(conversation: Conversation, name: str, move: Move) -> bool:
    """Say whether a lane has no move yet in the open turn, and this one's budget is not spent there."""
    turn = conversation.turn
    return (turn is None or turn.moves.get(name) is None) and speaking.in_full(conversation.view(name), move)


def _stage(conversation: Conversation, targets: list[tuple[str, Move]], message: Message, at: float) -> Step:
    """Check a move of a shared role in each lane that it is for; at a gather it waits for the moves of the other lanes."""
    made: list[tuple[str, Move, Message]] = []
    for name, move in targets:
        try:
            made.append((name, move, _checked(conversation, name, move, message)))
        except Refusal as refused:
            return _refuse(conversation, name, message.sender, message.act, refused.code, refused.reason, at)
    if not conversation.protocol.states[targets[0][1].state].gather:
        events: list[Event] = []
        conversation = _count_for_all(conversation, targets[0][1])
        for name, move, complete in made:
            conversation, told = _within(conversation, name, _performed(move, complete, at))
            events.extend(told)
        return conversation, tuple(events)
    turn = conversation.turn
    if turn is None:  # pragma: no cover  (it was checked against the open turn)
        return conversation, ()
    moves, counts, told_staged = turn.moves, turn.counts, list[Event]()
    for name, move, complete in made:
        moves = moves.insert(name, complete)
        for key in (move.key, f"@{move.next}"):
            counts = counts.insert(key, counts.get(key, 0) + 1)
        told_staged.append(Staged(complete.id, move.label, name))
    counts = counts.insert(f"!{message.id}", 1)
    turn = GatherTurn(moves, turn.left - len(made), counts)
    return _replace(conversation, turn=turn, at=at), tuple(told_staged)


def _performed(move: Move, message: Message, at: float) -> Callable[[Conversation], Step]:
    return lambda lane: speaking.perform(lane, move, message, at)


def _checked(conversation: Conversation, name: str, move: Move, message: Message) -> Message:
    """Return a message as it would count in a lane.

    Raises:
        Refusal: If it may not be said there now.
    """
    lane = conversation.view(name)
    turn = conversation.turn
    if lane.state.gather:
        if turn is None or name not in turn.moves:
            raise Refusal("unexpected-act", f"in {lane.position!r} every lane is waited for first")
        if turn.moves[name] is not None:
            raise Refusal("unexpected-act", f"{name} has its move already")
    if move.max is not None and not move.then and not speaking.in_full(lane, move):
        raise Refusal(
            "unexpected-act", f"{move.label!r} has been said {move.max} times, which is all it may be"
        )
    return speaking.check_move(lane, move, message)


def _count_for_all(conversation: Conversation, move: Move) -> Conversation:
    if not move.for_all or move.max is None:
        return conversation
    key = f"*{move.key}"
    return _replace(conversation, tally=conversation.tally.insert(key, conversation.tally.get(key, 0) + 1))


# --- gathers ---


def _open_gather(conversation: Conversation, at: float, events: list[Event]) -> Conversation:
    names = [name for name in conversation.members if conversation.lanes[name].outcome is None]
    moves: Any = HashTrieMap(dict.fromkeys(names))
    leaving: dict[str, int] = {}
    events.append(GatherOpened(tuple(names)))
    lanes = conversation.lanes
    for name in names:
        lane = lanes[name]
        deadline = min(at + lane.state.within, *(limit for _, limit in lane.until), math.inf)
        lanes = lanes.insert(name, _replace(lane, deadline=deadline))
        place = f"-{lane.position}"
        leaving[place] = leaving.get(place, 0) + 1
        events.append(DeadlineSet(lane.position, deadline, name))
    return _replace(conversation, lanes=lanes, turn=GatherTurn(moves, len(names), HashTrieMap(leaving)))


def _commit_turn(
    conversation: Conversation, turn: GatherTurn, at: float, events: list[Event]
) -> Conversation:
    """Let all moves of a gather's turn count together."""
    conversation = _replace(conversation, turn=None)
    counted: set[str] = set()
    for name in conversation.members:
        message = turn.moves.get(name)
        if message is None:
            continue
        move = conversation.lanes[name].state.moves[message.act]
        if message.id not in counted:
            counted.add(message.id)
            conversation = _count_for_all(conversation, move)
        conversation, told = _within(conversation, name, _performed(move, message, at))
        events.extend(told)
    return conversation


# --- time ---


def _tick(conversation: Conversation, at: float) -> Step:
    if at >= conversation.whole:
        return _stop(
            conversation, "", OutcomeClass.EXPIRED, f"the whole conversation had {conversation.whole:g} s", at
        )
    turn = conversation.turn
    events: list[Event] = []
    due = sorted(
        (limit, name)
        for name in conversation.members
        if (limit := _limit(conversation.lanes[name])) <= at
        and not (turn is not None and turn.moves.get(name) is not None)
    )
    for _, name in due:
        turn = conversation.turn
        if turn is not None and name in turn.moves:
            turn = _without(turn, name, conversation.lanes[name])
            conversation = _replace(conversation, turn=turn)
        conversation, told = _within(conversation, name, lambda lane: speaking.tick(lane, at))
        events.extend(told)
    return conversation, tuple(events)


def _limit(lane: Conversation) -> float:
    if lane.outcome is not None:
        return math.inf
    return lane.frame.deadline if lane.frame is not None else lane.deadline


# --- ends ---


def _stop(conversation: Conversation, outcome: str, kind: OutcomeClass, cause: str, at: float) -> Step:
    """End every living lane and the conversation."""
    events: list[Event] = []
    name = outcome or kind.value
    if kind is OutcomeClass.EXPIRED:
        limit = conversation.protocol.limits.otherwise
        kind = conversation.protocol.outcomes.get(limit, kind)
        name = limit if limit in conversation.protocol.outcomes else name
        events.append(Expired("", name))
    for member in conversation.members:
        if conversation.lanes[member].outcome is None:
            conversation, told = _within(
                conversation, member, lambda lane: speaking.stop(lane, kind, cause, at)
            )
            events.extend(told)
    return _end(conversation, name, kind, cause, at, events), tuple(events)


def _settle(conversation: Conversation, at: float, events: list[Event]) -> Conversation:
    ends = {key[1:]: count for key, count in conversation.tally.items() if key.startswith("=")}
    for settle in conversation.protocol.settles:
        if settle.fits(ends, conversation.protocol.outcomes):
            cause = (
                f"settled by {settle}: {', '.join(f'{count} {name}' for name, count in sorted(ends.items()))}"
            )
            return _end(conversation, settle.outcome.value, settle.outcome, cause, at, events)
    return _end(  # pragma: no cover  (the checker wants a last `otherwise`)
        conversation, "undecided", OutcomeClass.UNDECIDED, "nothing settles it", at, events
    )


def _end(
    conversation: Conversation, name: str, kind: OutcomeClass, cause: str, at: float, events: list[Event]
) -> Conversation:
    ledger, told = speaking.closing(conversation.ledger, kind)
    events.extend(told)
    events.append(Ended(name, kind.value, cause))
    return _replace(
        conversation, position=name, ledger=ledger, outcome=Outcome(name, kind, cause), turn=None, at=at
    )
