"""The lanes of a conversation: one position for each member of the many-role.

A lane is a conversation of its own in all but what the lanes share (the record, the ledger, counts that bound them together),
which is lent to it for a step. Sharing nothing that grows, a step costs the same however many lanes there are; only what
concerns all of them, such as the opening of a gather, costs as much as there are lanes.

Source: FIPA SC00029H, where an initiator holds one conversation with each participant; barrier and tally as in workflow nets.
"""

import math
from collections.abc import Iterable, Sequence
from typing import assert_never, cast

import msgspec

from agentcomm.acts.content import Content
from agentcomm.acts.message import Message
from agentcomm.acts.persistent import find, put, with_entry
from agentcomm.commitments.ledger import Ledger
from agentcomm.conversation import speaking
from agentcomm.conversation.asides import begins_cancel, why_not_cancel
from agentcomm.conversation.checking import Refusal, check_move, move_for
from agentcomm.conversation.commit import Step, closing, entered, stop
from agentcomm.conversation.doubts import take_doubt
from agentcomm.conversation.events import (
    Cancel,
    DeadlineSet,
    Doubt,
    Duplicate,
    Ended,
    Event,
    Evidence,
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
from agentcomm.conversation.evidence import take_evidence
from agentcomm.conversation.moves import floors, full, in_full, limit_of
from agentcomm.conversation.parts import (
    ROW,
    GatherTurn,
    Key,
    Lanes,
    Outcome,
    Position,
    Shared,
    answer_to,
    key_of,
)
from agentcomm.conversation.plain import (
    Several,
    Told,
    completed_made,
    is_open,
    moved,
    moved_alike,
    spelled,
)
from agentcomm.conversation.reading import UNREADABLE, clean, is_sound, sender_of
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation, altered
from agentcomm.protocol.graph import Move, OutcomeClass

__all__ = ("advance", "say_for_all_made", "say_made", "stage_made", "step")

_replace = msgspec.structs.replace


def step(conversation: Conversation, given: Input, at: float, *, is_read: bool = False) -> Step:
    """Return a conversation whose lanes have begun after one input, and what happened; `is_read` as in `step.step`."""
    match given:
        case Say():
            message = given.message
            known = message.content if is_read else None
            after, events = _say(conversation, message, at, known)
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
                lane, events = stop(conversation.view(given.lane), OutcomeClass.ABORTED, cause, at)
                after = _put(conversation, given.lane, lane)
            else:
                return _stop(conversation, "", OutcomeClass.ABORTED, cause, at)
        case Evidence():
            if given.lane not in conversation.lanes:
                told = Refused(
                    clean(given.judge), "evidence", "wrong-evidence", "there is no such lane", (), 0
                )
                return conversation, (told,)
            lane, events = take_evidence(conversation.view(given.lane), given, at)
            after = _put(conversation, given.lane, lane)
        case Doubt():
            if given.lane not in conversation.lanes:
                told = Refused(
                    clean(given.role), "doubt", "unknown-reference", "there is no such lane", (), 0
                )
                return conversation, (told,)
            lane, events = take_doubt(conversation.view(given.lane), given, at)
            after = _put(conversation, given.lane, lane)
        case Join():
            reason = "lanes have begun, and who joins takes part from their beginning"
            return conversation, (Refused(clean(str(given.member)), "", "too-late", reason, (), 0),)
        case _:
            assert_never(given)
    return _following(after, events, at)


def say_made(
    conversation: Conversation,
    lane: str,
    here: Position,
    made: Message,
    name: str | int,
    made_by: str,
    at: float,
) -> tuple[Say, Conversation, Iterable[Event]] | None:
    """Let a message be heard that was made for a lane as it stands; see `plain.say_made`.

    Args:
        conversation: A conversation whose lanes have begun.
        lane: Which of them.
        here: How it stood when the message was made.
        made: Its act, its sender, and content that `read` made and nobody can have changed since.
        name: Its id; or the number in it, where the conversation gives it.
        made_by: How its speaker came to it.
        at: Now.
    """
    lanes, shared, rules = conversation.lanes, conversation.shared, conversation.rules
    if isinstance(name, int):
        key: Key = name
        name = f"{conversation.id}:{key}"
    else:
        key = key_of(conversation.id, name, shared.n)
    place = lanes.places[lane]
    line, column = place // ROW, place % ROW
    now, before = lanes.rows[line][column]
    plan, turn = rules.plans.get((here.name, made.act)), shared.turn
    if now is not here or plan is None or made.lane != lane or (turn is not None and turn.has_heard(name)):
        return None
    if plan.is_plain:
        n, seen = shared.n, shared.seen
        done = completed_made(shared, here, plan, made, name, key, made_by, at)
        if done is None:
            return None
        if n and len(seen) == n:
            n += 1
            seen[key] = (n, done)
        else:
            seen = put(seen, n, key, done)
            n += 1
        now, trunk, told = moved(here, plan, done, n, at, shared.trunk)
        plan, tally, living, away = told.plan, shared.tally, lanes.living, lanes.away + told.plan.away
        rows = lanes.rows.copy()
        row = rows[line] = rows[line].copy()
        if plan.tally:
            living -= 1
            tally = with_entry(tally, plan.tally, tally.get(plan.tally, 0) + 1)
            row[column] = now, ()
        else:
            row[column] = now, (here, before[0]) if before else (here,)
        after = Conversation(
            rules,
            conversation.id,
            conversation.whole,
            conversation.members,
            Shared(at, n, seen, shared.spent, trunk, tally, turn, shared.mended, shared.counted),
            conversation.here,
            (),
            Lanes(lanes.places, rows, living, away),
        )
        if living and (away if turn is None else turn.left):
            return Say(done, at), after, told
        after, parts = _advanced(after, at, [told])
        return Say(done, at), after, Several(parts)
    if turn is None or not plan.is_stageable or not turn.waits_for(lane):
        return None
    if plan.is_bounded and full(conversation.view(lane), plan.move):
        return None
    done = completed_made(shared, here, plan, made, name, key, made_by, at)
    if done is None:
        return None
    after, events = _staged(conversation, turn, [(lane, plan.move, done)], at)
    if after.shared.turn is None or after.shared.turn.left:
        return Say(done, at), after, events
    after, parts = _advanced(after, at, [*events])
    return Say(done, at), after, Several(parts)


def say_for_all_made(
    conversation: Conversation, made: Message, name: str, made_by: str, at: float
) -> tuple[Say, Conversation, Iterable[Event]] | None:
    """Let a message be heard that was made for all lanes as they stand, outside a gather; None if it has to be looked at.

    Args:
        conversation: A conversation whose lanes have begun.
        made: Its act, its sender, and content that `read` made and nobody can have changed since.
        name: Its id.
        made_by: How its speaker came to it.
        at: Now.
    """
    shared, rules = conversation.shared, conversation.rules
    if shared.turn is not None or rules.capped or made.lane or at >= conversation.whole:
        return None
    plans, act = rules.plans, made.act
    several: list[tuple[str, Move, Message]] = []
    said: Message | None = None
    first = conversation.here
    for row in conversation.lanes.rows:
        for here, _ in row:
            if here.outcome is not None:
                continue
            plan = plans.get((here.name, act))
            if plan is None or not plan.is_for_all or at >= here.deadline:
                return None  # it is for some of them alone
            if said is None:
                key = key_of(conversation.id, name, shared.n)
                done = completed_made(shared, here, plan, made, name, key, made_by, at)
                if done is None:
                    return None
                first, said = here, _replace(done, lane="")
            elif here.name != first.name or here.last is not first.last or here.frame or is_open(here):
                return None
            several.append((here.lane, plan.move, said))
    if not several:
        return None
    parts: list[Event | Told] = []
    after = _performed(conversation, several, at, parts)
    after, parts = _advanced(after, at, parts)
    return Say(several[0][2], at), after, Several(parts)


def stage_made(
    conversation: Conversation,
    several: Sequence[tuple[Message, Position]],
    first: int,
    made_by: str,
    at: float,
) -> tuple[list[tuple[Say, Iterable[Event]]], Conversation] | None:
    """Let messages be heard one after the other that were made for every lane of a gather; None if one has to be looked at.

    Args:
        conversation: A conversation with an open gather.
        several: The messages, and how their lanes stood when they were made; see `say_made`.
        first: The number in the id of the first of them.
        made_by: How their speaker came to those that do not say it.
        at: Now.

    Returns:
        What `say_made` comes to for each of them, and the conversation after all of them.
    """
    shared, rules = conversation.shared, conversation.rules
    turn, plans, tally, counts = shared.turn, rules.plans, shared.tally, dict[str, int]()
    if turn is None or rules.capped or turn.count or turn.left != len(several) or at >= conversation.whole:
        return None
    places, rows, taking, prefix = (
        conversation.lanes.places,
        conversation.lanes.rows,
        turn.lanes,
        conversation.id,
    )
    said: list[tuple[Say, Iterable[Event]]] = []
    staged: dict[str, tuple[str, Move, Message]] = {}
    for number, (made, here) in enumerate(several, first):
        lane = made.lane
        if lane in staged or lane not in taking or at >= here.deadline:
            return None
        place = places[lane]
        plan = plans.get((here.name, made.act))
        if plan is None or not plan.is_stageable or rows[place // ROW][place % ROW][0] is not here:
            return None
        key = plan.key
        if key:
            times = counts.get(key, 0) + 1
            if tally.get(key, 0) + times > plan.most:
                return None
            counts[key] = times
        name = f"{prefix}:{number}"
        done = completed_made(shared, here, plan, made, name, number, made.made_by or made_by, at)
        if done is None:
            return None
        staged[lane] = lane, plan.move, done
        said.append((Say(done, at), (Staged(name, plan.label, lane),)))
    given, last = said[-1]
    parts: list[Event | Told] = [*last]
    after = _performed(_with_turn(conversation, None, at), [staged[lane] for lane in taking], at, parts)
    after, parts = _advanced(after, at, parts)
    said[-1] = given, Several(parts)
    return said, after


def _following(conversation: Conversation, events: tuple[Event, ...], at: float) -> Step:
    """Return the conversation after what follows of itself from an input, which most often is nothing."""
    turn, lanes = conversation.shared.turn, conversation.lanes
    if lanes.living and (lanes.away if turn is None else turn.left):
        return conversation, events
    return advance(conversation, at, events)


def advance(conversation: Conversation, at: float, events: Iterable[Event]) -> Step:
    """Return the conversation after what follows of itself: lanes begin, a gather opens or closes, the end is settled."""
    conversation, parts = _advanced(conversation, at, list(events))
    return conversation, spelled(parts)


def _advanced(
    conversation: Conversation, at: float, events: list[Event | Told]
) -> tuple[Conversation, list[Event | Told]]:
    if conversation.outcome is not None or not conversation.protocol.many:
        return conversation, events
    if not conversation.begun:
        here = conversation.here
        state = conversation.protocol.states.get(here.name)
        if state is None or not state.in_lane or here.frame is not None:
            return conversation, events
        conversation = _begin(conversation, at, events)
    while conversation.outcome is None:
        turn = conversation.shared.turn
        if turn is not None and not turn.left:
            conversation = _commit_turn(conversation, turn, at, events)
        elif not conversation.lanes.living:
            conversation = _settle(conversation, at, events)
        elif turn is None and not conversation.lanes.away:
            conversation = _open_gather(conversation, at, events)
        else:
            break
    return conversation, events


# --- lanes ---


def _begin(conversation: Conversation, at: float, events: list[Event | Told]) -> Conversation:
    position = conversation.position
    if len(conversation.members) < conversation.protocol.members[0]:
        cause = f"only {len(conversation.members)} play {conversation.protocol.many!r}"
        ended, told = stop(conversation, OutcomeClass.ABORTED, cause, at)
        events.extend(told)
        return ended
    if events and isinstance(events[-1], DeadlineSet):  # of the one position that there was
        events.pop()
    events.append(LanesBegan(position, conversation.members))
    here, shared = conversation.here, conversation.shared
    lane = _replace(
        entered(conversation, position, at).here,
        ledger=Ledger(),
        undo=(),
        misfires=0,
        latest="",
        frame=None,
    )
    if lane.deadline < math.inf:
        events.extend(DeadlineSet(position, lane.deadline, name) for name in conversation.members)
    count = len(conversation.members)
    tally = shared.tally
    if position in conversation.rules.capped:
        tally = with_entry(tally, f"@{position}", count)
    gathers = conversation.protocol.states[position].gather
    return _replace(
        conversation,
        shared=_replace(shared, tally=tally, trunk=here.ledger),
        here=_replace(here, deadline=math.inf, frame=None, misfires=0, ledger=Ledger()),
        checkpoints=(),
        lanes=Lanes.begin(
            {name: _replace(lane, lane=name) for name in conversation.members}, 0 if gathers else count
        ),
    )


def _put(conversation: Conversation, name: str, lane: Conversation) -> Conversation:
    """Take a lane back, with what it did to what is shared; a gather waits for lanes that are `away`."""
    here, shared, lanes, rules = lane.here, lane.shared, conversation.lanes, conversation.rules
    before = lanes.at(name)[0]
    living, away = lanes.living, lanes.away
    ended = before.outcome is None and here.outcome is not None
    claims = rules.claims and (bool(rules.capped) or before.frame is not None or here.frame is not None)
    if claims or ended:
        tally = shared.tally
        if claims:
            for place in _claims(rules, before):
                tally = with_entry(tally, place, tally.get(place, 1) - 1)
            for place in _claims(rules, here):
                tally = with_entry(tally, place, tally.get(place, 0) + 1)
        if ended and here.outcome is not None:
            living -= 1
            end = f"={here.outcome.name}"
            tally = with_entry(tally, end, tally.get(end, 0) + 1)
        shared = _replace(shared, tally=tally)
    states = rules.protocol.states
    is_away = here.outcome is None and (here.frame is not None or not states[here.name].gather)
    away += is_away - (
        before.outcome is None and (before.frame is not None or not states[before.name].gather)
    )
    turn = shared.turn
    if before.held and here.said is not before.said:
        lanes = _spread(conversation, name, before, here)
    if turn is None and here.outcome is None and not is_away:
        here = _unhurried(here)
    if turn is not None and name in turn.lanes and (here.outcome is not None or is_away):
        # where no lane has a move yet, the gather opens again once this one is back
        if turn.left == len(turn.lanes) and here.outcome is None:
            for other in turn.lanes:
                waiting, checkpoints = lanes.at(other)
                lanes = lanes.put(other, _unhurried(waiting), checkpoints, living, away)
            shared = _replace(shared, turn=None)
        else:
            shared = _replace(shared, turn=_without(conversation.rules, turn, name, before))
    return Conversation(
        conversation.rules,
        conversation.id,
        conversation.whole,
        conversation.members,
        shared,
        conversation.here,
        (),
        lanes.put(name, here, lane.checkpoints, living, away),
    )


def _spread(conversation: Conversation, name: str, before: Position, here: Position) -> Lanes:
    """Return the lanes where one has grounded what was said before they began: it is common ground in all of them, once."""
    lanes = conversation.lanes
    still = {entry.message.id for entry in here.held}
    waited = {entry.message.id for entry in before.held} - still
    for it in (entry.message for entry in conversation.here.held if entry.message.id in waited):
        known = here.said.get(it.act)
        for other in lanes:
            waiting, checkpoint = lanes.at(other)
            if other == name or not any(entry.message.id == it.id for entry in waiting.held):
                continue
            said, latest = waiting.said, waiting.said.get(it.act)
            if latest is not None and latest.message.id == it.id and known is not None:
                said = with_entry(said, it.act, _replace(latest, grounded=True, evidence=known.evidence))
            held = tuple(entry for entry in waiting.held if entry.message.id != it.id)
            waiting = _replace(waiting, said=said, held=held)
            lanes = lanes.put(other, waiting, checkpoint, lanes.living, lanes.away)
    return lanes


def _unhurried(here: Position) -> Position:
    """Return a lane that waits for its gather to open: until then only the deadlines of runs hold."""
    deadline = min((limit for _, limit in here.until), default=math.inf)
    return here if here.deadline == deadline else _replace(here, deadline=deadline)


def _claims(rules: Rules, here: Position) -> list[str]:
    """Return what a lane counts for: the bounded state it stands in, and what a move claims that is yet to be read back."""
    if here.outcome is not None:
        return []
    capped = rules.capped
    found = [f"@{here.name}"] if here.name in capped else []
    frame = here.frame
    if frame is not None and frame.pending:
        move = rules.protocol.states[here.name].moves.get(frame.it.act)
        if move is not None:
            found += [move.key] if move.at_most is not None else []
            found += [f"@{move.next}"] if move.next in capped else []
    return found


def _without(rules: Rules, turn: GatherTurn, name: str, here: Position) -> GatherTurn:
    """Return a turn without a lane, and without what its move had claimed."""
    message, counts = turn.move(name), turn.counts
    gone = [f"-{here.name}"]
    if message is not None:
        move = rules.protocol.states[here.name].moves[message.act]
        gone += [move.key, f"@{move.next}"]
    for key in gone:
        if key in counts:
            counts = with_entry(counts, key, counts[key] - 1)
    rest = {other: None for other in turn.lanes if other != name}
    return GatherTurn(rest, turn.left - (message is None), counts, turn.staged, turn.count)


# --- messages ---


def _say(conversation: Conversation, message: Message, at: float, known: Content | None) -> Step:
    name = message.lane
    if not is_sound(message) or not isinstance(cast("object", name), str):
        return _refuse(conversation, "", sender_of(message), "", "unreadable", UNREADABLE, at)
    shared, turn = conversation.shared, conversation.shared.turn
    key = key_of(conversation.id, message.id, shared.n)
    if find(shared.seen, shared.n, key) is not None or (turn is not None and turn.has_heard(message.id)):
        return conversation, (Duplicate(message.id, answer_to(shared, conversation.id, message.id)),)
    sender, act, protocol = message.sender, message.act, conversation.rules.protocol
    lane_of = conversation.lanes.get(name)
    if sender not in protocol.roles and not (lane_of and speaking.decides(lane_of, sender)):
        reason = f"{sender!r} is no role in this conversation"
        return conversation, (Refused(sender, act, "wrong-party", reason, (), 0, name),)
    if not name:
        if sender == protocol.many:
            reason = f"which {sender} speaks?"
            return conversation, (Refused(sender, act, "wrong-party", reason, (), 0),)
        return _say_for_all(conversation, message, at, known)
    if name not in conversation.lanes:
        reason = f"there is no {protocol.many} {name!r}"
        return conversation, (Refused(sender, act, "wrong-party", reason, (), 0, name),)
    lane = conversation.view(name)
    here = lane.here
    if here.outcome is not None:
        return conversation, speaking.say(lane, message, at)[1]
    if here.frame is None:
        state = protocol.states[here.name]
        move = move_for(state, act)
        if move is not None and move.speaker == sender and (state.gather or move.for_all):
            if move.for_all:
                reason = f"{act!r} is said once, for all"
                return _refuse(conversation, name, sender, act, "unexpected-act", reason, at)
            return _stage(conversation, [(name, move)], message, at, known)
    after, events = speaking.speak(lane, message, at, known)
    return _put(conversation, name, after), events


def _refuse(
    conversation: Conversation, lane: str, role: str, act: str, code: str, reason: str, at: float
) -> Step:
    """Refuse what is said in a lane; what is said for all counts in the first lane that it is for."""
    name = lane or next(
        (
            name
            for name, here in conversation.lanes.items()
            if here.outcome is None and role in floors(conversation.view(name))
        ),
        "",
    )
    if name not in conversation.lanes:
        return conversation, (Refused(role, act, code, reason, (), 0),)
    if conversation.lanes[name].outcome is not None:
        return conversation, (Refused(role, act, code, reason, (), 0, name),)
    after, events = speaking.refuse(conversation.view(name), role, act, code, reason, at)
    return _put(conversation, name, after), events


def _say_for_all(conversation: Conversation, message: Message, at: float, known: Content | None) -> Step:
    """Say something once, in every lane that stands where it can be said for all."""
    targets: list[tuple[str, Move]] = []
    states, act, sender = conversation.rules.protocol.states, message.act, message.sender
    known_at, move = "", None
    for row in conversation.lanes.rows:
        for here, _ in row:
            if here.outcome is None and here.frame is None:
                if here.name != known_at:
                    known_at, move = here.name, move_for(states[here.name], act)
                if move is not None and move.for_all and move.speaker == sender:
                    targets.append((here.lane, move))
    if not targets:
        if begins_cancel(conversation, act):
            return _cancel_all(conversation, message, at)
        reason = f"{act!r} cannot be said for all now"
        return _refuse(conversation, "", sender, act, "unexpected-act", reason, at)
    on_offer = targets
    if conversation.shared.turn is not None or any(move.max is not None for _, move in targets):
        on_offer = [entry for entry in targets if _is_offered(conversation, *entry)]
    return _stage(conversation, on_offer or targets, message, at, known)


def _cancel_all(conversation: Conversation, message: Message, at: float) -> Step:
    """Cancel every living lane; it is said once, and each lane answers for itself."""
    reasons = {
        name: why_not_cancel(conversation.view(name), message.sender)
        for name, here in conversation.lanes.items()
        if here.outcome is None
    }
    lanes = [name for name, reason in reasons.items() if not reason]
    if not lanes:
        reason = next(iter(reasons.values()))
        return _refuse(conversation, "", message.sender, message.act, "unexpected-act", reason, at)
    events: list[Event | Told] = []
    for name in lanes:
        after, told = speaking.speak(conversation.view(name), message, at)
        conversation = _put(conversation, name, after)
        events.extend(told)
    return conversation, spelled(events)


def _is_offered(conversation: Conversation, name: str, move: Move) -> bool:
    """Say whether a lane has no move yet in the open turn, and this one's budget is not spent there."""
    turn = conversation.shared.turn
    return (turn is None or turn.move(name) is None) and in_full(conversation.view(name), move)


def _stage(
    conversation: Conversation,
    targets: list[tuple[str, Move]],
    message: Message,
    at: float,
    known: Content | None,
) -> Step:
    """Check a move of a shared role in each lane that it is for; at a gather it waits for the moves of the other lanes."""
    made: list[tuple[str, Move, Message]] = []
    lanes, plans, said = conversation.lanes, conversation.rules.plans, None
    state = conversation.protocol.states[targets[0][1].state]
    is_free = not state.gather and not message.in_reply_to
    for name, move in targets:
        again = bool(made) and made[-1][1] is move and not move.given
        if again and said is not None:
            heard = lanes.at(name)[0].last.get(message.sender, "")
            if heard == said.in_reply_to:  # so it is the same message
                made.append((name, move, said))
                continue
        content = made[-1][2].content if again else known  # what is said for all is read once
        try:
            made.append((name, move, _checked(conversation, name, move, message, content)))
        except Refusal as refused:
            return _refuse(conversation, name, message.sender, message.act, refused.code, refused.reason, at)
        plan = plans.get((move.state, move.label))
        said = made[-1][2] if plan is not None and plan.is_free and is_free else None
    if not state.gather:
        events: list[Event | Told] = []
        conversation = _performed(_count_for_all(conversation, targets[0][1]), made, at, events)
        return conversation, spelled(events)
    turn = conversation.shared.turn
    if turn is None:  # pragma: no cover  (it was checked against the open turn)
        return conversation, ()
    return _staged(conversation, turn, made, at)


def _performed(
    conversation: Conversation,
    made: Sequence[tuple[str, Move, Message]],
    at: float,
    events: list[Event | Told],
) -> Conversation:
    """Let checked messages take effect, each in its lane."""
    rules, done, count = conversation.rules, 0, len(made)
    are_simple = bool(rules.plans) and not rules.capped and conversation.shared.turn is None
    while done < count:
        if are_simple:
            conversation, done = _taken(conversation, made, done, at, events)
            if done == count:
                break
        name, move, message = made[done]
        after, told = speaking.perform(conversation.view(name), move, message, at)
        conversation = _put(conversation, name, after)
        events.extend(told)
        done += 1
    return conversation


def _taken(
    conversation: Conversation,
    made: Sequence[tuple[str, Move, Message]],
    first: int,
    at: float,
    events: list[Event | Told],
) -> tuple[Conversation, int]:
    """Let simple moves take effect, up to one in whose lane something is open; what they change is put together at the end.

    Args:
        conversation: A conversation without an open gather.
        made: Checked messages, each with its lane and its move.
        first: How many of them have taken effect.
        at: Now.
        events: What happened; it is added to.

    Returns:
        The conversation, and how many of them have taken effect now.
    """
    rules, shared, lanes = conversation.rules, conversation.shared, conversation.lanes
    n, seen, trunk, tally = shared.n, shared.seen, shared.trunk, shared.tally
    plans, places, living, away = rules.plans, lanes.places, lanes.living, lanes.away
    rows = [row.copy() for row in lanes.rows]
    latest = told = None
    other, now, whose = conversation.here, conversation.here, conversation.id
    for done in range(first, len(made)):
        name, _, message = made[done]
        place = places[name]
        row, column = rows[place // ROW], place % ROW
        here, before = row[column]
        plan = plans.get((here.name, message.act))
        if plan is None or here.frame is not None or is_open(here):
            break
        alike = None
        if message is latest and told is not None:
            alike = moved_alike(here, other, now, told)
        if alike is not None:
            now, told = alike
        else:
            key = n + 1 if message.id == f"{whose}:{n + 1}" else key_of(whose, message.id, n)
            known = seen.get(key)
            is_first = known is None or known[0] > n
            if is_first:
                seen = put(seen, n, key, message)
                n += 1
            now, trunk, told = moved(here, plan, message, n, at, trunk, is_first)
        latest, other = message, here
        if plan.key:
            tally = with_entry(tally, plan.key, tally.get(plan.key, 0) + 1)
        plan = told.plan
        if plan.tally:
            living -= 1
            tally = with_entry(tally, plan.tally, tally.get(plan.tally, 0) + 1)
            row[column] = now, ()
        else:
            row[column] = now, (here, before[0]) if before else (here,)
        away += plan.away
        events.append(told)
    else:
        done = len(made)
    if done == first:
        return conversation, done
    after = Conversation(
        rules,
        conversation.id,
        conversation.whole,
        conversation.members,
        Shared(at, n, seen, shared.spent, trunk, tally, None, shared.mended, shared.counted),
        conversation.here,
        (),
        Lanes(places, rows, living, away),
    )
    return after, done


def _staged(
    conversation: Conversation, turn: GatherTurn, made: list[tuple[str, Move, Message]], at: float
) -> Step:
    """Keep moves of one message until each lane of the turn has one."""
    counts, told = turn.counts, list[Event]()
    staged, count, capped = turn.staged, turn.count, conversation.rules.capped
    for name, move, complete in made:
        staged, count = put(staged, count, name, complete), count + 1
        if move.at_most is not None:
            counts = with_entry(counts, move.key, counts.get(move.key, 0) + 1)
        if move.next in capped:
            counts = with_entry(counts, f"@{move.next}", counts.get(f"@{move.next}", 0) + 1)
        told.append(Staged(complete.id, move.label, name))
    message = made[0][2]
    staged, count = put(staged, count, f"!{message.id}", message), count + 1
    turn = GatherTurn(turn.lanes, turn.left - len(made), counts, staged, count)
    return _with_turn(conversation, turn, at), tuple(told)


def _with_turn(conversation: Conversation, turn: GatherTurn | None, at: float) -> Conversation:
    it = conversation.shared
    return Conversation(
        conversation.rules,
        conversation.id,
        conversation.whole,
        conversation.members,
        Shared(at, it.n, it.seen, it.spent, it.trunk, it.tally, turn, it.mended, it.counted),
        conversation.here,
        (),
        conversation.lanes,
    )


def _checked(
    conversation: Conversation, name: str, move: Move, message: Message, known: Content | None
) -> Message:
    """Return a message as it would count in a lane; `known` is its content if that was read already.

    Raises:
        Refusal: If it may not be said there now.
    """
    lane, turn = conversation.view(name), conversation.shared.turn
    if conversation.rules.protocol.states[lane.here.name].gather:
        if turn is None or name not in turn.lanes:
            raise Refusal("unexpected-act", f"in {lane.here.name!r} every lane is waited for first")
        if turn.move(name) is not None:
            raise Refusal("unexpected-act", f"{name} has its move already")
    if move.max is not None and not move.then and not in_full(lane, move):
        raise Refusal(
            "unexpected-act", f"{move.label!r} has been said {move.max} times, which is all it may be"
        )
    return check_move(lane, move, message, known)


def _count_for_all(conversation: Conversation, move: Move) -> Conversation:
    if not move.for_all or move.max is None:
        return conversation
    key, tally = f"*{move.key}", conversation.shared.tally
    return altered(conversation, tally=with_entry(tally, key, tally.get(key, 0) + 1))


# --- gathers ---


def _open_gather(conversation: Conversation, at: float, events: list[Event | Told]) -> Conversation:
    lanes, rules = conversation.lanes, conversation.rules
    states, capped = rules.protocol.states, rules.capped
    leaving: dict[str, int] = {}
    names: list[str] = []
    told: list[Event] = []
    rows: list[list[tuple[Position, tuple[Position, ...]]]] = []
    for each in lanes.rows:
        row: list[tuple[Position, tuple[Position, ...]]] = []
        rows.append(row)
        for pair in each:
            here, checkpoints = pair
            if here.outcome is not None:
                row.append(pair)
                continue
            deadline = at + states[here.name].within
            if here.until:
                deadline = min(deadline, *(limit for _, limit in here.until))
            row.append((_replace(here, deadline=deadline), checkpoints))
            if capped and here.name in capped:
                leaving[f"-{here.name}"] = leaving.get(f"-{here.name}", 0) + 1
            names.append(here.lane)
            told.append(DeadlineSet(here.name, deadline, here.lane))
    events.append(GatherOpened(tuple(names)))
    events += told
    lanes = Lanes(lanes.places, rows, lanes.living, lanes.away)
    turn = GatherTurn(dict.fromkeys(names), len(names), leaving)
    return _replace(conversation, lanes=lanes, shared=_replace(conversation.shared, turn=turn))


def _commit_turn(
    conversation: Conversation, turn: GatherTurn, at: float, events: list[Event | Told]
) -> Conversation:
    """Let all moves of a gather's turn count together."""
    conversation = altered(conversation, turn=None)
    made: list[tuple[str, Move, Message]] = []
    counted: set[str] = set()
    states = conversation.rules.protocol.states
    for name in turn.lanes:
        message = turn.move(name)
        if message is None:
            continue
        move = states[conversation.lanes.at(name)[0].name].moves[message.act]
        if move.for_all and message.id not in counted:
            counted.add(message.id)
            conversation = _count_for_all(conversation, move)
        made.append((name, move, message))
    return _performed(conversation, made, at, events)


# --- time ---


def _tick(conversation: Conversation, at: float) -> Step:
    if at >= conversation.whole:
        return _stop(
            conversation, "", OutcomeClass.EXPIRED, f"the whole conversation had {conversation.whole:g} s", at
        )
    turn = conversation.shared.turn
    events: list[Event | Told] = []
    due = sorted(
        (limit_of(here), name)
        for name, here in conversation.lanes.items()
        if here.outcome is None
        and limit_of(here) <= at
        and not (turn is not None and turn.move(name) is not None)
    )
    for _, name in due:
        turn = conversation.shared.turn
        if turn is not None and name in turn.lanes:
            turn = _without(conversation.rules, turn, name, conversation.lanes[name])
            conversation = altered(conversation, turn=turn)
        after, told = speaking.tick(conversation.view(name), at)
        conversation = _put(conversation, name, after)
        events.extend(told)
    return conversation, spelled(events)


# --- ends ---


def _stop(conversation: Conversation, outcome: str, kind: OutcomeClass, cause: str, at: float) -> Step:
    """End every living lane and the conversation."""
    events: list[Event | Told] = []
    name = outcome or kind.value
    if kind is OutcomeClass.EXPIRED:
        limit = conversation.protocol.limits.otherwise
        kind = conversation.protocol.outcomes.get(limit, kind)
        name = limit if limit in conversation.protocol.outcomes else name
        events.append(Expired("", name))
    for member, here in conversation.lanes.items():
        if here.outcome is None:
            after, told = stop(conversation.view(member), kind, cause, at)
            conversation = _put(conversation, member, after)
            events.extend(told)
    after = _end(conversation, name, kind, cause, at, events)
    return after, spelled(events)


def _settle(conversation: Conversation, at: float, events: list[Event | Told]) -> Conversation:
    ends = {key[1:]: count for key, count in conversation.shared.tally.items() if key.startswith("=")}
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
    conversation: Conversation,
    name: str,
    kind: OutcomeClass,
    cause: str,
    at: float,
    events: list[Event | Told],
) -> Conversation:
    trunk, told = closing(conversation.shared.trunk or Ledger(), kind)
    events.extend(told)
    events.append(Ended(name, kind.value, cause))
    return altered(conversation, name=name, trunk=trunk, outcome=Outcome(name, kind, cause), turn=None, at=at)
