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
from collections.abc import Mapping
from typing import Any, Never

import msgspec
from rpds import HashTrieMap

from agentcomm.acts.content import Content, entries_of, format_value, to_plain
from agentcomm.acts.message import Message
from agentcomm.acts.performative import LedgerOp
from agentcomm.commitments.ledger import Change, Ledger, audit, hand_over, record, take_back
from agentcomm.conversation.events import (
    CommitmentChanged,
    DeadlineSet,
    Duplicate,
    Ended,
    Event,
    Expired,
    Grounded,
    Heard,
    LaneEnded,
    Late,
    Moved,
    OverlayClosed,
    OverlayOpened,
    OwnerChanged,
    Refused,
    RepairClosed,
    RepairOpened,
    Superseded,
    TroubleFound,
)
from agentcomm.conversation.moves import (
    bind,
    exits,
    floors,
    full,
    given,
    in_full,
    legal,
    on_record,
    overlay_of,
    repairs_left,
    signature,
    unmet,
)
from agentcomm.conversation.reading import UNREADABLE, Unreadable, is_sound, read, sender_of
from agentcomm.conversation.state import Conversation, Frame, Held, Outcome, Said, readback_of
from agentcomm.grounding.compare import Difference, Incomparable, difference, differences, is_same
from agentcomm.protocol.graph import Act, Criterion, Move, OutcomeClass, Protocol, State, label_in

__all__ = (
    "Refusal",
    "Step",
    "check_move",
    "closing",
    "entered",
    "move_for",
    "perform",
    "refuse",
    "say",
    "stop",
    "tick",
)

Step = tuple[Conversation, tuple[Event, ...]]

_replace = msgspec.structs.replace
_NONE, _RELEVANT, _NO_OP = Criterion.NONE, Criterion.RELEVANT, LedgerOp.NONE


class Refusal(Exception):
    """A message does not count."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


# --- a message ---


def say(conversation: Conversation, message: Message, at: float) -> Step:
    """Return what becomes of a message."""
    if not is_sound(message):
        sender = sender_of(message)
        if conversation.outcome is not None:
            return conversation, (Late("", "", sender, _is_over(conversation)),)
        return refuse(conversation, sender, "", "unreadable", UNREADABLE, at)
    if conversation.seen.get(message.id) is not None:
        return conversation, (Duplicate(message.id),)
    if conversation.outcome is not None:
        return conversation, (Late(message.id, message.act, message.sender, _is_over(conversation)),)
    try:
        _check_party(conversation, message)
        if conversation.frame is not None:
            return _say_in_overlay(conversation, conversation.frame, message, at)
        state = conversation.rules.protocol.states[conversation.position]
        move = state.moves.get(message.act) or move_for(state, message.act)
        if move is None or move.speaker != message.sender or not in_full(conversation, move):
            return _say_otherwise(conversation, message, at)
        message = check_move(conversation, move, message)
    except Refusal as refused:
        return refuse(conversation, message.sender, message.act, refused.code, refused.reason, at)
    return perform(conversation, move, message, at)


def move_for(state: State, act: str) -> Move | None:
    """Return the move that says an act; an act of a run goes by its own name, too."""
    move = state.moves.get(act)
    if move is None and state.region:
        move = state.moves.get(label_in(state.region, act))
    return move


def check_move(conversation: Conversation, move: Move, message: Message) -> Message:
    """Return a message as it would count: typed, with its receivers and what it replies to.

    Raises:
        Refusal: If the move may not be made now, or not like this.
    """
    if conversation.lane and full(conversation, move):
        raise Refusal("unexpected-act", f"no more lanes may have {move.label!r}")
    message = _complete(conversation, move, message)
    if move.when:
        _check_conditions(conversation, move, message.content)
    return message


def perform(conversation: Conversation, move: Move, message: Message, at: float) -> Step:
    """Let a checked message be heard: it opens a repair, a read-back, or takes effect."""
    act = move.act
    if act.repeats and (trouble := _mismatch(conversation, act, message.content)):
        return _open_repair(conversation, message, trouble, at)
    if fields := readback_of(move):
        return _open_readback(conversation, fields, message, at)
    return _commit(conversation, move, message, at, [])


def _is_over(conversation: Conversation) -> str:
    what = f"the lane of {conversation.lane}" if conversation.lane else "the conversation"
    return f"{what} ended as {conversation.position}"


def _check_party(conversation: Conversation, message: Message) -> None:
    if message.sender not in conversation.rules.protocol.roles:
        raise Refusal("wrong-party", f"{message.sender!r} is no role in this conversation")


def _complete(conversation: Conversation, move: Move, message: Message) -> Message:
    """Return the message with typed content, receivers and reference; raise if one of them is wrong."""
    content = _content(
        move.act, _filled(conversation, move, message.content) if move.given else message.content
    )
    reply = _reply(conversation, message, conversation.last.get(message.sender) or "")
    return _replace(message, act=move.label, content=content, receivers=move.to, in_reply_to=reply, about="")


def _filled(conversation: Conversation, move: Move, content: Any) -> dict[str, Any]:
    """Return content with the values that the runtime fills it with; whoever gives another value is refused."""
    values = given(conversation, move)
    told = entries_of(content)
    if told is None:
        raise Refusal("invalid-content", "the content is a map of fields")
    for name, value in values.items():
        if told.get(name) is not None and to_plain(told[name]) != to_plain(value):
            raise Refusal(
                "invalid-content", f"{name}: is filled with what is on record: {format_value(value)}"
            )
    return {**{name: to_plain(value) for name, value in told.items()}, **to_plain(values)}


def _reply(conversation: Conversation, message: Message, heard: str) -> str:
    """Return what the message replies to: what was heard last, unless it names another message that was heard."""
    reply = message.in_reply_to
    if not reply or reply == heard:
        return heard
    source = conversation.seen.get(reply)
    if source is None or message.sender not in source.receivers:
        raise Refusal("unknown-reference", f"{message.sender} has not heard a message {reply!r}")
    return reply


def _content(act: Act, content: Any) -> Content:
    try:
        return read(act, content)
    except Unreadable as error:
        raise Refusal("invalid-content", str(error)) from None


def _check_conditions(conversation: Conversation, move: Move, content: Content) -> None:
    values = entries_of(content) or {}
    for condition in move.when:
        try:
            reason = unmet(conversation, move, condition, values)
        except Incomparable as error:
            raise Refusal("incomparable", str(error)) from None
        if reason:
            raise Refusal("condition-false", reason)


def _mismatch(conversation: Conversation, act: Act, content: Content) -> tuple[Difference, ...]:
    found: list[Difference] = []
    for name, ref in act.repeats.items():
        recorded, given = on_record(conversation, ref), getattr(content, name)
        if not is_same(act.fields.get(name), recorded, given):
            found.append(difference(name, recorded, given))
    return tuple(found)


def _say_otherwise(conversation: Conversation, message: Message, at: float) -> Step:
    """Handle what is no legal move of the state: an honest exit, a late message, or a misfire."""
    state = conversation.state
    if message.sender in state.speakers:
        for move in exits(conversation, message.sender):
            if move.label == message.act:
                return _open_by_hearer(conversation, message, at)
    move = move_for(state, message.act)
    if message.sender not in state.speakers:
        raced = conversation.protocol.states.get(conversation.raced)
        if raced is not None and (lost := move_for(raced, message.act)) and lost.speaker == message.sender:
            return conversation, (Superseded(message.id, message.act, message.sender),)
        expired = conversation.protocol.states.get(conversation.expired)
        if (
            expired is not None
            and (late := move_for(expired, message.act))
            and late.speaker == message.sender
        ):
            reason = f"the time in {conversation.expired!r} is up"
            return conversation, (Late(message.id, message.act, message.sender, reason),)
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
    if role not in floors(conversation):
        return conversation, (Refused(role, act, code, reason, (), 0),)
    moves = tuple(signature(move) for move in (*legal(conversation, role), *exits(conversation, role)))
    misfires = conversation.misfires + 1
    left = conversation.protocol.limits.misfires - misfires
    after = _replace(conversation, misfires=misfires)
    refused = Refused(role, act, code, reason, moves, max(0, left))
    if left < 0:
        cause = f"{role} could not say anything that counts: {reason}"
        ended, events = stop(after, OutcomeClass.ABORTED, cause, at)
        return ended, (refused, *events)
    return after, (refused,)


# --- commit ---


def _put_on_record(
    conversation: Conversation, message: Message, at: float
) -> tuple[Conversation, tuple[Heard, ...]]:
    """Put a message on record; what is said for all is heard once."""
    if conversation.seen.get(message.id) is not None:
        return _replace(conversation, at=at, misfires=0), ()
    n = conversation.n + 1
    after = _replace(conversation, n=n, at=at, misfires=0, seen=conversation.seen.insert(message.id, message))
    return after, (Heard(n, message),)


def _commit(
    conversation: Conversation,
    move: Move,
    message: Message,
    at: float,
    events: list[Event],
    readback: Mapping[str, Any] | None = None,
) -> Step:
    """Let a message take effect: evidence for what it answers, position, common ground, ledger, deadline.

    Args:
        conversation: Before it; with the message on record if it was read back.
        move: What is done by it.
        message: As it is meant.
        at: Now.
        events: What happened before; it is added to.
        readback: The fields that every hearer has read back, if it was read back.
    """
    act = move.act
    before = _replace(conversation, checkpoint=None, frame=None)
    n, seen = conversation.n, conversation.seen
    if readback is None and seen.get(message.id) is None:
        n, seen = n + 1, seen.insert(message.id, message)
        events.append(Heard(n, message))
    changes: list[Change] = []
    after = _take_as_evidence(conversation, message, events, changes) if conversation.held else conversation
    ledger, held, owner = after.ledger, after.held, after.owner
    used, target, tally = after.used, move.next, after.tally
    if move.at_most is not None:
        tally = tally.insert(move.key, tally.get(move.key, 0) + 1)
    if move.max is not None and move.for_all:
        if tally.get(f"*{move.key}", 0) > move.max:
            target = move.then
    elif move.max is not None:
        key = move.key
        times = used.get(key) or 0
        if times >= move.max:
            target = move.then
        else:
            used = used.insert(key, times + 1)
    waits = False
    evidence: tuple[str, ...] = ("delivered",)
    if readback is not None:
        evidence = ("readback: copied",)
        events.append(Grounded(message.id, act.label, "readback", evidence, to_plain(readback)))
    elif act.criterion is _RELEVANT and target in conversation.rules.protocol.states:
        waits = True
        held = (*(entry for entry in held if _is_other(entry, message)), Held(message, move.owner))
    elif act.criterion is not _NONE:
        events.append(Grounded(message.id, act.label, "delivered", evidence))
    prior = None
    if waits:
        earlier = after.said.get(act.label)
        prior = earlier.ground if earlier is not None else None
    else:
        ledger = _on_ledger(ledger, act, message, events, changes, after.lane)
    events.append(Moved(act.label, message.sender, move.state, target, message.id))
    last = after.last
    for hearer in message.receivers:
        last = last.insert(hearer, message.id)
    if move.owner and not waits:
        ledger, owner = _hand_over(ledger, owner, move.owner, message, events, changes, after.lane)
    protocol = conversation.rules.protocol
    state = protocol.states.get(target)
    said = after.said.insert(act.label, Said(message, not waits, evidence, n, prior))
    until = after.until
    if protocol.runs:
        used, said, until = _cross(after, move.state, target, used, said, at)
    deadline = _deadline(state, until, at) if state is not None else after.deadline
    from_race = len(protocol.states[move.state].speakers) > 1
    after = _replace(
        after,
        position=target,
        deadline=deadline,
        until=until,
        tally=tally,
        undo=tuple(changes),
        raced=move.state if from_race else after.raced,
        at=at,
        n=n,
        misfires=0,
        seen=seen,
        said=said,
        used=used,
        last=last,
        ledger=ledger,
        held=held,
        owner=owner,
        latest=message.id,
        frame=None,
        troubles=(),
        checkpoint=before,
        repairs=_kept(after.repairs, move.key) if after.repairs else after.repairs,
    )
    if state is None:
        kind = after.protocol.outcomes[target]
        return _end(after, target, kind, f"{message.sender} said {act.label}", at, events)
    if deadline < math.inf:
        events.append(DeadlineSet(target, deadline))
    return after, tuple(events)


def _deadline(state: State, until: tuple[tuple[str, float], ...], at: float) -> float:
    """Return when a state that is entered now expires; at a gather, that is set when it opens."""
    own = math.inf if state.gather else at + state.within
    if not until:
        return own
    return min(own, *(limit for _, limit in until))


def _regions(protocol: Protocol, place: str) -> tuple[str, ...]:
    """Return the runs that a place is in, outermost first."""
    state = protocol.states.get(place)
    parts = state.region.split("/") if state is not None and state.region else []
    return tuple("/".join(parts[: n + 1]) for n in range(len(parts)))


def _cross(
    conversation: Conversation,
    source: str,
    target: str,
    used: "HashTrieMap[str, int]",
    said: "HashTrieMap[str, Said]",
    at: float,
) -> "tuple[HashTrieMap[str, int], HashTrieMap[str, Said], tuple[tuple[str, float], ...]]":
    """Enter and leave runs: each entry is a new enactment, with whole budgets, no record and a deadline of its own."""
    rules = conversation.rules
    before, now = _regions(rules.protocol, source), _regions(rules.protocol, target)
    until = tuple(entry for entry in conversation.until if entry[0] in now and entry[0] in before)
    for region in now:
        if region in before:
            continue
        keys, labels = rules.of_run[region]
        for key in keys:
            used = used.discard(key)
        for label in labels:
            said = said.discard(label)
        within = rules.protocol.runs[region].within
        if within is not None:
            until = (*until, (region, at + within))
    return used, said, until


def entered(conversation: Conversation, place: str, at: float) -> Conversation:
    """Return a conversation, or a lane, that begins in a state."""
    used, said, until = _cross(conversation, "", place, conversation.used, conversation.said, at)
    deadline = _deadline(conversation.protocol.states[place], until, at)
    return _replace(conversation, position=place, used=used, said=said, until=until, deadline=deadline)


def _is_other(entry: Held, message: Message) -> bool:
    """Say whether something held is not replaced by `message`, which says it anew."""
    return entry.message.act != message.act or entry.message.sender != message.sender


def _kept(repairs: "HashTrieMap[str, int]", key: str) -> "HashTrieMap[str, int]":
    """Return the count of this contribution only: an answered one is closed, one said again stays charged."""
    times = repairs.get(key)
    return HashTrieMap({key: times}) if times else HashTrieMap()


def _take_as_evidence(
    conversation: Conversation, message: Message, events: list[Event], changes: list[Change]
) -> Conversation:
    """A reply grounds what it answers (Clark & Schaefer's relevant next contribution), and what waited for that happens."""
    ledger, said, owner = conversation.ledger, conversation.said, conversation.owner
    still: list[Held] = []
    for entry in conversation.held:
        it = entry.message
        if message.in_reply_to != it.id or message.sender not in it.receivers:
            still.append(entry)
            continue
        act = conversation.protocol.acts[it.act]
        events.append(Grounded(it.id, it.act, "relevant", (f"answered by {message.id}",)))
        ledger = _on_ledger(ledger, act, it, events, changes, conversation.lane)
        if entry.owner:
            ledger, owner = _hand_over(ledger, owner, entry.owner, it, events, changes, conversation.lane)
        latest = said.get(it.act)
        if latest is not None and latest.message.id == it.id:
            said = said.insert(it.act, Said(it, True, ("relevant",), latest.n))
    return _replace(conversation, ledger=ledger, said=said, owner=owner, held=tuple(still))


def _on_ledger(
    ledger: Ledger, act: Act, message: Message, events: list[Event], changes: list[Change], lane: str
) -> Ledger:
    if act.info.op is _NO_OP and not act.discharges:
        return ledger
    ledger, made = record(ledger, act, message.sender, message.receivers, message.id, lane)
    changes.extend(made)
    events.extend(map(_told, made))
    return ledger


def _hand_over(
    ledger: Ledger,
    was: str,
    now: str,
    message: Message,
    events: list[Event],
    changes: list[Change],
    lane: str,
) -> tuple[Ledger, str]:
    """Let the matter have a new owner, with what the old one still owes for it."""
    if was == now:
        return ledger, now
    events.append(OwnerChanged(was, now, message.id))
    ledger, made = hand_over(ledger, was, now, lane)
    changes.extend(made)
    events.extend(map(_told, made))
    return ledger, now


def _told(change: Change) -> CommitmentChanged:
    now = change.now
    was = change.was.status.value if change.was is not None else ""
    return CommitmentChanged(now.id, now.act, now.debtor, now.creditor, was, now.status.value)


def closing(ledger: Ledger, kind: OutcomeClass, lane: str = "") -> tuple[Ledger, tuple[Event, ...]]:
    """Return the ledger audited at an end, and what changed."""
    ledger, changes = audit(ledger, kind, lane)
    return ledger, tuple(map(_told, changes))


def _end(
    conversation: Conversation, name: str, kind: OutcomeClass, cause: str, at: float, events: list[Event]
) -> Step:
    ledger, told = closing(conversation.ledger, kind, conversation.lane)
    events.extend(told)
    if conversation.lane:
        events.append(LaneEnded(conversation.lane, name, kind.value, cause))
    else:
        events.append(Ended(name, kind.value, cause))
    ended = _replace(
        conversation,
        position=name,
        ledger=ledger,
        outcome=Outcome(name, kind, cause),
        frame=None,
        checkpoint=None,
        at=at,
    )
    return ended, tuple(events)


def stop(conversation: Conversation, kind: OutcomeClass, cause: str, at: float) -> Step:
    """End it from outside."""
    if conversation.outcome is not None:
        return conversation, ()
    return _end(conversation, kind.value, kind, cause, at, _abandoned(conversation, kind))


def _abandoned(conversation: Conversation, kind: OutcomeClass) -> list[Event]:
    """Return the events that close a running overlay where the conversation ends from outside."""
    frame = conversation.frame
    if frame is None:
        return []
    events: list[Event] = [RepairClosed(frame.it.id, mended=False)] if frame.repairing else []
    events.append(OverlayClosed(frame.overlay, frame.it.id, kind.value, kind.value))
    return events


# --- time ---


def tick(conversation: Conversation, at: float) -> Step:
    """Let time pass: what was due by `at` is due now."""
    if conversation.outcome is not None:
        return conversation, ()
    if at >= conversation.whole:
        limit = conversation.protocol.limits
        kind = conversation.protocol.outcomes.get(limit.otherwise, OutcomeClass.EXPIRED)
        name = limit.otherwise if limit.otherwise in conversation.protocol.outcomes else "expired"
        events: list[Event] = [Expired("", name), *_abandoned(conversation, kind)]
        cause = f"the whole conversation had {conversation.whole:g} s"
        return _end(conversation, name, kind, cause, at, events)
    frame = conversation.frame
    if frame is not None:
        if at < frame.deadline:
            return conversation, ()
        state = overlay_of(conversation, frame).states[frame.position]
        events = [Expired(f"{frame.overlay}/{state.name}", state.otherwise)]
        after = _replace(conversation, at=at, misfires=0)
        return _enter_overlay(after, frame, state.otherwise, at, events)
    if at < conversation.deadline:
        return conversation, ()
    state = conversation.state
    protocol = conversation.protocol
    place, name = state.otherwise, state.name
    for region, limit in conversation.until:
        if limit <= conversation.deadline:
            place, name = protocol.runs[region].otherwise, region
            break
    after = _replace(conversation, at=at, expired=state.name, misfires=0, troubles=())
    events = [Expired(name, place)]
    following = protocol.states.get(place)
    if following is None:
        cause = f"{' or '.join(state.speakers)} did not speak in {name!r} in time"
        return _end(after, place, protocol.outcomes[place], cause, at, events)
    used, said, until = after.used, after.said, after.until
    if protocol.runs:
        used, said, until = _cross(after, state.name, place, used, said, at)
    deadline = _deadline(following, until, at)
    if deadline < math.inf:
        events.append(DeadlineSet(place, deadline))
    after = _replace(after, position=place, deadline=deadline, used=used, said=said, until=until)
    return after, tuple(events)


# --- overlays ---


def _push(
    conversation: Conversation,
    overlay: str,
    it: Message,
    hearer: str,
    at: float,
    *,
    pending: bool,
    fields: Mapping[str, Any],
    rest: tuple[str, ...] = (),
    done: tuple[str, ...] = (),
    trouble: tuple[Difference, ...] = (),
    left: float | None = None,
) -> Frame:
    protocol = conversation.rules.overlay(overlay, it.act, tuple(fields))
    start = protocol.states[protocol.start]
    return Frame(
        overlay=overlay,
        position=protocol.start,
        sender=it.sender,
        hearer=hearer,
        it=it,
        pending=pending,
        fields=fields,
        said={},
        used={},
        deadline=at + start.within,
        left=max(0.0, conversation.deadline - at) if left is None else left,
        heard=it.id,
        rest=rest,
        done=done,
        trouble=trouble,
    )


def _open_readback(conversation: Conversation, names: tuple[str, ...], message: Message, at: float) -> Step:
    conversation, heard = _put_on_record(conversation, message, at)
    hearer, *rest = message.receivers
    fields = {name: getattr(message.content, name) for name in names}
    frame = _push(
        conversation, "read-back", message, hearer, at, pending=True, fields=fields, rest=tuple(rest)
    )
    opened = OverlayOpened("read-back", message.id, message.sender, hearer)
    return _replace(conversation, frame=frame), (*heard, opened)


def _open_repair(
    conversation: Conversation, message: Message, trouble: tuple[Difference, ...], at: float
) -> Step:
    """A message that does not repeat what is on record stays out of it; its first hearer asks."""
    state = conversation.position
    found = TroubleFound(message.id, message.act, "repeats", trouble)
    left = repairs_left(conversation, state, message.act)
    if not left or "repair" not in conversation.rules.overlays:
        cause = f"{message.act} differs from the record: {'; '.join(map(str, trouble))}; no repair is left"
        ended, events = stop(conversation, OutcomeClass.ABORTED, cause, at)
        return ended, (found, *events)
    conversation, heard = _put_on_record(conversation, message, at)
    conversation = _charge(conversation, state, message.act)
    hearer = message.receivers[0]
    frame = _push(conversation, "repair", message, hearer, at, pending=True, fields={}, trouble=trouble)
    return _replace(conversation, frame=_replace(frame, repairing=True)), (
        *heard,
        found,
        OverlayOpened("repair", message.id, message.sender, hearer),
        RepairOpened(message.id, "repeats", left - 1),
    )


def _open_by_hearer(conversation: Conversation, message: Message, at: float) -> Step:
    """The hearer of the last message says that it did not understand."""
    it = conversation.seen[conversation.last[message.sender]]
    name = next(name for name in ("repair", "not-understood") if _begins(conversation, name, message.act))
    before = conversation.checkpoint
    if before is None:  # pragma: no cover  (exits() offers nothing then)
        raise Refusal("unexpected-act", "there is nothing to go back to")
    state, left = before.position, repairs_left(conversation, before.position, it.act)
    conversation = _charge(conversation, state, it.act)
    frame = _push(conversation, name, it, message.sender, at, pending=False, fields={})
    opened = _replace(conversation, frame=_replace(frame, repairing=True))
    after, events = _say_in_overlay(opened, _frame(opened), message, at)
    heads: tuple[Event, ...] = (
        OverlayOpened(name, it.id, it.sender, message.sender),
        RepairOpened(it.id, message.act, left - 1),
    )
    return after, (*heads, *events)


def _begins(conversation: Conversation, name: str, label: str) -> bool:
    overlay = conversation.rules.overlays.get(name)
    return overlay is not None and label in overlay.states[overlay.start].moves


def _frame(conversation: Conversation) -> Frame:
    if conversation.frame is None:  # pragma: no cover
        _unreachable("an overlay was expected")
    return conversation.frame


def _unreachable(text: str) -> Never:
    raise AssertionError(text)


def _charge(conversation: Conversation, state: str, act: str) -> Conversation:
    key = f"{state}/{act}"
    return _replace(
        conversation,
        repairs=conversation.repairs.insert(key, conversation.repairs.get(key, 0) + 1),
        spent=conversation.spent + 1,
    )


def _say_in_overlay(conversation: Conversation, frame: Frame, message: Message, at: float) -> Step:
    overlay = overlay_of(conversation, frame)
    state = overlay.states[frame.position]
    move = state.moves.get(message.act)
    if bind(frame, state.speaker) != message.sender:
        speaker = bind(frame, state.speaker)
        raise Refusal("unexpected-act", f"{speaker} speaks now, about {frame.it.act} ({frame.overlay})")
    if move is None or not in_full(conversation, move):
        raise Refusal("unexpected-act", f"{message.sender} may not say {message.act!r} in {frame.overlay}")
    content = _content(move.act, message.content)
    heard = frame.heard if message.sender in conversation.seen[frame.heard].receivers else ""
    reply = _reply(conversation, message, heard)
    _check_conditions(conversation, move, content)
    corrected = _corrections(conversation, frame, move, content)
    message = _replace(
        message,
        content=content,
        receivers=tuple(bind(frame, role) for role in move.to),
        in_reply_to=reply,
        about=frame.it.id,
    )
    conversation, heard = _put_on_record(conversation, message, at)
    events: list[Event] = [_replace(event, overlay=frame.overlay) for event in heard]
    used, target = frame.used, move.next
    if move.max is not None:
        times = used.get(move.key, 0)
        if times >= move.max:
            target = move.then
        else:
            used = {**used, move.key: times + 1}
    frame = _replace(frame, said={**frame.said, move.label: content}, used=used, heard=message.id)
    if corrected:
        frame = _correct(conversation, frame, corrected)
    understood = entries_of(getattr(content, "fields", None))
    if frame.fields and understood is not None and _is_first(overlay, move):
        differs = differences(conversation.protocol.acts[frame.it.act].fields, frame.fields, understood)
        frame = _replace(frame, repeated=not differs)
        if differs:
            return _mishearing(conversation, frame, differs, target, at, events)
        if frame.repairing:
            events.append(RepairClosed(frame.it.id, mended=True))
            frame = _replace(frame, repairing=False, trouble=())
    return _enter_overlay(conversation, frame, target, at, events)


def _correct(conversation: Conversation, frame: Frame, corrected: Mapping[str, Any]) -> Frame:
    """Take in a correction: it is to be read back, too, also by those who have read back what it changes."""
    kinds = conversation.protocol.acts[frame.it.act].fields
    again = not all(is_same(kinds.get(name), frame.fields[name], value) for name, value in corrected.items())
    return _replace(
        frame,
        fields={**frame.fields, **corrected},
        repeated=False,
        rest=(*frame.rest, *frame.done) if again else frame.rest,
        done=() if again else frame.done,
    )


def _is_first(overlay: Protocol, move: Move) -> bool:
    return move.state == overlay.start


def _mishearing(
    conversation: Conversation,
    frame: Frame,
    differs: tuple[Difference, ...],
    target: str,
    at: float,
    events: list[Event],
) -> Step:
    """A read-back differs: that is a repair, paid for; with none left the overlay gives up."""
    it = frame.it
    events.append(TroubleFound(it.id, it.act, "readback", differs))
    left = repairs_left(conversation, conversation.position, it.act)
    if frame.repairing:
        events.append(RepairClosed(it.id, mended=False))
    if not left:
        cause = f"{it.act} was not understood: {'; '.join(map(str, differs))}; no repair is left"
        events.append(OverlayClosed(frame.overlay, it.id, "given-up", OutcomeClass.ABORTED.value))
        return _end(conversation, OutcomeClass.ABORTED.value, OutcomeClass.ABORTED, cause, at, events)
    events.append(RepairOpened(it.id, "readback", left - 1))
    conversation = _charge(conversation, conversation.position, it.act)
    frame = _replace(frame, repairing=True, trouble=differs)
    return _enter_overlay(conversation, frame, target, at, events)


def _corrections(conversation: Conversation, frame: Frame, move: Move, content: Content) -> dict[str, Any]:
    """Return the values that a correction gives; they must pass what the corrected message itself had to pass."""
    given = entries_of(getattr(content, "fields", None))
    overlay = overlay_of(conversation, frame)
    if given is None or not frame.fields or _is_first(overlay, move):
        return {}
    values = {name: value for name, value in given.items() if value is not None}
    if not values and not any(found.meant is None for found in frame.trouble):  # nothing was meant there
        raise Refusal("invalid-content", "a correction names at least one field and what it should be")
    it = frame.it
    beneath = _replace(conversation, frame=None)
    main = beneath.state.moves[it.act]
    corrected = _content(main.act, {**to_plain(it.content), **to_plain({**frame.fields, **values})})
    _check_conditions(beneath, main, corrected)
    if trouble := _mismatch(beneath, main.act, corrected):
        raise Refusal("condition-false", f"differs from the record: {'; '.join(map(str, trouble))}")
    return {name: getattr(corrected, name) for name in values}


def _enter_overlay(
    conversation: Conversation, frame: Frame, place: str, at: float, events: list[Event]
) -> Step:
    overlay = overlay_of(conversation, frame)
    state = overlay.states.get(place)
    if state is not None:
        after = _replace(frame, position=place, deadline=at + state.within)
        return _replace(conversation, frame=after), tuple(events)
    kind = overlay.outcomes[place]
    then = overlay.overlay.then if overlay.overlay is not None else dict[str, str]()
    effect = then.get(kind.value) or then.get("otherwise") or OutcomeClass.ABORTED.value
    it = frame.it
    events.append(OverlayClosed(frame.overlay, it.id, place, effect))
    if frame.repairing and effect != "resume":
        events.append(RepairClosed(it.id, mended=effect == "again"))
    match effect:
        case "resume":
            return _resume(conversation, frame, kind, at, events)
        case "again":
            return _again(conversation, frame, at, events)
        case _:
            cause = f"{frame.overlay} about {it.act} ended as {place}"
            return _end(conversation, effect, OutcomeClass(effect), cause, at, events)


def _resume(
    conversation: Conversation, frame: Frame, kind: OutcomeClass, at: float, events: list[Event]
) -> Step:
    if not frame.pending or kind is not OutcomeClass.SUCCESS:
        return _replace(conversation, frame=None, deadline=at + frame.left), tuple(events)
    it = frame.it
    if not frame.repeated:  # the gate: whatever an overlay's file says, nothing counts that was not read back
        if frame.repairing:
            events.append(RepairClosed(it.id, mended=False))
        cause = f"{it.act} was not read back"
        return _end(conversation, OutcomeClass.ABORTED.value, OutcomeClass.ABORTED, cause, at, events)
    if frame.rest:
        hearer, *rest = frame.rest
        following = _push(
            conversation,
            frame.overlay,
            it,
            hearer,
            at,
            pending=True,
            fields=frame.fields,
            rest=tuple(rest),
            done=(*frame.done, frame.hearer),
            left=frame.left,
        )
        events.append(OverlayOpened(frame.overlay, it.id, it.sender, hearer))
        return _replace(conversation, frame=following), tuple(events)
    move = conversation.state.moves[it.act]
    meant = _content(move.act, {**to_plain(it.content), **to_plain(frame.fields)})
    if meant != it.content:
        it = _replace(it, content=meant)
        conversation = _replace(conversation, seen=conversation.seen.insert(it.id, it))
    return _commit(conversation, move, it, at, events, frame.fields)


def _again(conversation: Conversation, frame: Frame, at: float, events: list[Event]) -> Step:
    """Go back to where `it` was about to be said; what was derived from it is void, what was spent stays spent."""
    troubles = frame.trouble or _asked(frame)
    if frame.pending or conversation.checkpoint is None:
        after = _replace(conversation, frame=None, troubles=troubles, deadline=at + frame.left)
        return after, tuple(events)
    before = conversation.checkpoint
    ledger, undone = take_back(conversation.ledger, conversation.undo)
    for was, now in undone:
        it = now or was
        status = now.status.value if now else ""
        events.append(CommitmentChanged(it.id, it.act, it.debtor, it.creditor, was.status.value, status))
    tally, move = conversation.tally, before.state.moves.get(frame.it.act)
    if move is not None and move.at_most is not None:
        tally = tally.insert(move.key, tally.get(move.key, 1) - 1)
    if conversation.owner != before.owner:
        events.append(OwnerChanged(conversation.owner, before.owner, frame.it.id))
    state = before.state
    after = _replace(
        before,
        at=at,
        n=conversation.n,
        seen=conversation.seen,
        ledger=ledger,
        tally=tally,
        turn=conversation.turn,
        spent=conversation.spent,
        repairs=conversation.repairs,
        troubles=troubles,
        misfires=0,
        deadline=_deadline(state, before.until, at),
    )
    events.append(Moved("again", frame.sender, conversation.position, before.position, frame.it.id))
    if after.deadline < math.inf:
        events.append(DeadlineSet(before.position, after.deadline))
    return after, tuple(events)


def _asked(frame: Frame) -> tuple[Difference, ...]:
    """Return what the hearer asked about and what the sender answered, for the one who must speak again."""
    found: list[Difference] = []
    meant = entries_of(frame.it.content) or {}
    for content in frame.said.values():
        path = getattr(content, "path", None)
        if path is not None:
            answer = getattr(frame.said.get("value"), "value", getattr(content, "candidate", None))
            found.append(difference(str(path), answer, meant.get(str(path))))
    reason = getattr(frame.said.get("not-understood"), "reason", None)
    if reason is not None:
        found.append(Difference("message", "something clearer", format_value(reason)))
    return tuple(found)
