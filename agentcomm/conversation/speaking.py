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
from typing import Any

import msgspec

from agentcomm.acts.content import Content, entries_of, format_value, to_plain
from agentcomm.acts.message import Message
from agentcomm.acts.performative import LedgerOp
from agentcomm.acts.persistent import find, put, with_entry, without
from agentcomm.commitments.ledger import Books, Change, Ledger, audit, hand_over, record, take_back
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
from agentcomm.conversation.state import (
    Conversation,
    Frame,
    Held,
    Outcome,
    Position,
    Said,
    Shared,
    altered,
    readback_of,
)
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
    "speak",
    "stop",
    "tick",
)

Step = tuple[Conversation, tuple[Event, ...]]

_replace = msgspec.structs.replace
_NONE, _RELEVANT, _NO_OP = Criterion.NONE, Criterion.RELEVANT, LedgerOp.NONE
_DELIVERED, _READ_BACK = ("delivered",), ("readback: copied",)
_NO_FIELDS: dict[str, Any] = {}


class Refusal(Exception):
    """A message does not count."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


# --- a message ---


def say(conversation: Conversation, message: Message, at: float) -> Step:
    """Return what becomes of a message."""
    here, shared = conversation.here, conversation.shared
    if not is_sound(message):
        sender = sender_of(message)
        if here.outcome is not None:
            return conversation, (Late("", "", sender, _is_over(here), here.lane),)
        return refuse(conversation, sender, "", "unreadable", UNREADABLE, at)
    if find(shared.seen, shared.n, message.id) is not None:
        return conversation, (Duplicate(message.id),)
    if here.outcome is not None:
        return conversation, (Late(message.id, message.act, message.sender, _is_over(here), here.lane),)
    if message.sender not in conversation.rules.protocol.roles:
        reason = f"{message.sender!r} is no role in this conversation"
        return refuse(conversation, message.sender, message.act, "wrong-party", reason, at)
    return speak(conversation, message, at)


def speak(conversation: Conversation, message: Message, at: float) -> Step:
    """Return what becomes of a new message that is well-formed and comes from a role of a talk that is not over."""
    here = conversation.here
    try:
        if here.frame is not None:
            return _say_in_overlay(conversation, here.frame, message, at)
        state = conversation.rules.protocol.states[here.name]
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


def check_move(
    conversation: Conversation, move: Move, message: Message, known: Content | None = None
) -> Message:
    """Return a message as it would count: typed, with its receivers and what it replies to.

    Args:
        conversation: A talk with one position.
        move: What would be done by it.
        message: What was said.
        known: Its content, if it was read already.

    Raises:
        Refusal: If the move may not be made now, or not like this.
    """
    if conversation.here.lane and full(conversation, move):
        raise Refusal("unexpected-act", f"no more lanes may have {move.label!r}")
    message = _complete(conversation, move, message, known)
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


def _is_over(here: Position) -> str:
    what = f"the lane of {here.lane}" if here.lane else "the conversation"
    return f"{what} ended as {here.name}"


def _complete(conversation: Conversation, move: Move, message: Message, known: Content | None) -> Message:
    """Return the message with typed content, receivers and reference; raise if one of them is wrong."""
    content = known
    if content is None:
        told = _filled(conversation, move, message.content) if move.given else message.content
        content = _content(move.act, told)
    heard = conversation.here.last.get(message.sender, "")
    reply = message.in_reply_to
    if reply != heard:
        reply = _reply(conversation, message, heard)
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
    shared = conversation.shared
    source = find(shared.seen, shared.n, reply)
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
        here = conversation.here
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


# --- commit ---


def _put_on_record(
    conversation: Conversation, message: Message, at: float, overlay: str = ""
) -> tuple[Conversation, tuple[Heard, ...]]:
    """Put a message on record; what is said for all is heard once."""
    shared = conversation.shared
    if find(shared.seen, shared.n, message.id) is not None:
        return altered(conversation, at=at, misfires=0), ()
    seen = put(shared.seen, shared.n, message.id, message)
    after = altered(conversation, n=shared.n + 1, at=at, misfires=0, seen=seen)
    return after, (Heard(shared.n + 1, message, overlay),)


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
    act, here, shared, protocol = (
        move.act,
        conversation.here,
        conversation.shared,
        conversation.rules.protocol,
    )
    lane, n, seen, tally, used, target = here.lane, shared.n, shared.seen, shared.tally, here.used, move.next
    if readback is None and find(seen, n, message.id) is None:
        seen, n = put(seen, n, message.id, message), n + 1
        events.append(Heard(n, message))
    effects = None
    if here.held or move.owner or act.discharges or act.info.op is not _NO_OP:
        effects = _Effects(here, shared.trunk, events)
        if here.held:
            effects.take_as_evidence(protocol, message)
    said, held = (here.said, here.held) if effects is None else (effects.said, effects.held)
    if move.at_most is not None:
        tally = with_entry(tally, move.key, tally.get(move.key, 0) + 1)
    if move.max is not None:
        times = (tally if move.for_all else used).get(f"*{move.key}" if move.for_all else move.key, 0)
        if times >= move.max + move.for_all:
            target = move.then
        elif not move.for_all:
            used = with_entry(used, move.key, times + 1)
    state = protocol.states.get(target)
    evidence = _DELIVERED
    waits, prior = False, None
    if readback is not None:
        evidence = _READ_BACK
        events.append(Grounded(message.id, act.label, "readback", evidence, to_plain(readback), lane))
    elif act.criterion is _RELEVANT and state is not None:
        waits = True
        earlier = said.get(act.label)
        prior = earlier.ground if earlier is not None else None
        held = (*(entry for entry in held if _is_other(entry, message)), Held(message, move.owner))
    elif act.criterion is not _NONE:
        events.append(Grounded(message.id, act.label, "delivered", evidence, _NO_FIELDS, lane))
    if effects is not None and not waits:
        effects.enter(act, message)
    events.append(Moved(act.label, message.sender, move.state, target, message.id, lane))
    last = here.last.copy()
    for hearer in message.receivers:
        last[hearer] = message.id
    if effects is not None and move.owner and not waits:
        effects.hand_over(move.owner, message)
    said = with_entry(said, act.label, Said(message, not waits, evidence, n, prior))
    until = here.until
    if protocol.runs:
        used, said, until = _cross(conversation, move.state, target, used, said, at)
    deadline = here.deadline
    if state is not None:
        deadline = _deadline(state, until, at) if until or state.gather else at + state.within
    repairs = here.repairs
    if repairs:  # an answered contribution is closed, one said again stays charged
        repairs = {move.key: repairs[move.key]} if move.key in repairs else {}
    ledger, trunk, owner, changes = here.ledger, shared.trunk, here.owner, ()
    if effects is not None:
        books, owner, changes = effects.books, effects.owner, tuple(effects.changes)
        ledger, trunk = books.own, books.trunk
    now = Position(  # in the order of its fields, for speed
        target,
        deadline,
        owner,
        lane,
        message.id,
        0,
        said,
        last,
        used,
        repairs,
        ledger,
        held,
        (),
        here.expired,
        None,
        changes,
        until,
        move.state if len(protocol.states[move.state].speakers) > 1 else here.raced,
        here.outcome,
    )
    after = Conversation(
        conversation.rules,
        conversation.id,
        conversation.whole,
        conversation.members,
        Shared(at, n, seen, shared.spent, trunk, tally, shared.turn, shared.mended),
        now,
        here if here.frame is None else _replace(here, frame=None),
        conversation.lanes,
    )
    if state is None:
        return _end(
            after, target, protocol.outcomes[target], f"{message.sender} said {act.label}", at, events
        )
    if deadline < math.inf:
        events.append(DeadlineSet(target, deadline, lane))
    return after, tuple(events)


class _Effects:
    """What becomes of the record, the ledgers and the owner by a message, and by what it is evidence for."""

    __slots__ = ("books", "changes", "events", "held", "lane", "owner", "said")

    def __init__(self, here: Position, trunk: Ledger | None, events: list[Event]) -> None:
        self.books = Books(here.ledger, trunk)
        self.lane, self.said, self.held, self.owner = here.lane, here.said, here.held, here.owner
        self.changes: list[Change] = []
        self.events = events

    def enter(self, act: Act, message: Message) -> None:
        """Enter in the ledgers what an act does."""
        if act.info.op is _NO_OP and not act.discharges:
            return
        self.books, made = record(self.books, act, message.sender, message.receivers, message.id, self.lane)
        self._tell(made)

    def hand_over(self, owner: str, message: Message) -> None:
        """Let the matter have a new owner, with what the old one still owes for it."""
        if self.owner == owner:
            return
        self.events.append(OwnerChanged(self.owner, owner, message.id, self.lane))
        self.books, made = hand_over(self.books, self.owner, owner, self.lane)
        self.owner = owner
        self._tell(made)

    def take_as_evidence(self, protocol: Protocol, message: Message) -> None:
        """A reply grounds what it answers (Clark & Schaefer's relevant next contribution), and what waited for that happens."""
        still: list[Held] = []
        for entry in self.held:
            it = entry.message
            if message.in_reply_to != it.id or message.sender not in it.receivers:
                still.append(entry)
                continue
            evidence = (f"answered by {message.id}",)
            self.events.append(Grounded(it.id, it.act, "relevant", evidence, _NO_FIELDS, self.lane))
            self.enter(protocol.acts[it.act], it)
            if entry.owner:
                self.hand_over(entry.owner, it)
            latest = self.said.get(it.act)
            if latest is not None and latest.message.id == it.id:
                self.said = with_entry(self.said, it.act, Said(it, True, ("relevant",), latest.n))
        self.held = tuple(still)

    def _tell(self, made: tuple[Change, ...]) -> None:
        for change in made:
            self.changes.append(change)
            self.events.append(_told(change, self.lane))


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
    used: Mapping[str, int],
    said: Mapping[str, Said],
    at: float,
) -> tuple[Mapping[str, int], Mapping[str, Said], tuple[tuple[str, float], ...]]:
    """Enter and leave runs: each entry is a new enactment, with whole budgets, no record and a deadline of its own."""
    rules = conversation.rules
    before, now = _regions(rules.protocol, source), _regions(rules.protocol, target)
    until = tuple(entry for entry in conversation.here.until if entry[0] in now and entry[0] in before)
    for region in now:
        if region in before:
            continue
        keys, labels = rules.of_run[region]
        for key in keys:
            used = without(used, key)
        for label in labels:
            said = without(said, label)
        within = rules.protocol.runs[region].within
        if within is not None:
            until = (*until, (region, at + within))
    return used, said, until


def entered(conversation: Conversation, place: str, at: float) -> Conversation:
    """Return a conversation, or a lane, that begins in a state."""
    here = conversation.here
    used, said, until = _cross(conversation, "", place, here.used, here.said, at)
    deadline = _deadline(conversation.protocol.states[place], until, at)
    return altered(conversation, name=place, used=used, said=said, until=until, deadline=deadline)


def _is_other(entry: Held, message: Message) -> bool:
    """Say whether something held is not replaced by `message`, which says it anew."""
    return entry.message.act != message.act or entry.message.sender != message.sender


def _told(change: Change, lane: str) -> CommitmentChanged:
    now = change.now
    was = change.was.status if change.was is not None else ""
    return CommitmentChanged(now.id, now.act, now.debtor, now.creditor, was, now.status, lane)


def closing(ledger: Ledger, kind: OutcomeClass, lane: str = "") -> tuple[Ledger, tuple[Event, ...]]:
    """Return the ledger audited at an end, and what changed."""
    ledger, changes = audit(ledger, kind)
    return ledger, tuple(_told(change, lane) for change in changes)


def _end(
    conversation: Conversation, name: str, kind: OutcomeClass, cause: str, at: float, events: list[Event]
) -> Step:
    here = conversation.here
    ledger, told = closing(here.ledger, kind, here.lane)
    events.extend(told)
    if here.lane:
        events.append(LaneEnded(here.lane, name, kind.value, cause))
    else:
        events.append(Ended(name, kind.value, cause))
    ended = altered(
        conversation, name=name, ledger=ledger, outcome=Outcome(name, kind, cause), frame=None, at=at
    )
    return _forgetting(ended), tuple(events)


def _forgetting(conversation: Conversation) -> Conversation:
    """Return a conversation without a checkpoint."""
    return conversation if conversation.before is None else _replace(conversation, before=None)


def stop(conversation: Conversation, kind: OutcomeClass, cause: str, at: float) -> Step:
    """End it from outside."""
    if conversation.here.outcome is not None:
        return conversation, ()
    return _end(conversation, kind.value, kind, cause, at, _abandoned(conversation, kind))


def _abandoned(conversation: Conversation, kind: OutcomeClass) -> list[Event]:
    """Return the events that close a running overlay where the conversation ends from outside."""
    frame, lane = conversation.here.frame, conversation.here.lane
    if frame is None:
        return []
    events: list[Event] = [RepairClosed(frame.it.id, mended=False, lane=lane)] if frame.repairing else []
    events.append(OverlayClosed(frame.overlay, frame.it.id, kind.value, kind.value, lane))
    return events


# --- time ---


def tick(conversation: Conversation, at: float) -> Step:
    """Let time pass: what was due by `at` is due now."""
    here, protocol = conversation.here, conversation.rules.protocol
    if here.outcome is not None:
        return conversation, ()
    if at >= conversation.whole:
        limit = protocol.limits
        kind = protocol.outcomes.get(limit.otherwise, OutcomeClass.EXPIRED)
        name = limit.otherwise if limit.otherwise in protocol.outcomes else "expired"
        events: list[Event] = [Expired("", name, here.lane), *_abandoned(conversation, kind)]
        cause = f"the whole conversation had {conversation.whole:g} s"
        return _end(conversation, name, kind, cause, at, events)
    frame = here.frame
    if frame is not None:
        if at < frame.deadline:
            return conversation, ()
        state = overlay_of(conversation, frame).states[frame.position]
        events = [Expired(f"{frame.overlay}/{state.name}", state.otherwise, here.lane)]
        after = altered(conversation, at=at, misfires=0)
        return _enter_overlay(after, frame, state.otherwise, at, events)
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
        return _end(after, place, protocol.outcomes[place], cause, at, events)
    used, said, until = here.used, here.said, here.until
    if protocol.runs:
        used, said, until = _cross(after, state.name, place, used, said, at)
    deadline = _deadline(following, until, at)
    if deadline < math.inf:
        events.append(DeadlineSet(place, deadline, here.lane))
    return altered(after, name=place, deadline=deadline, used=used, said=said, until=until), tuple(events)


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
        left=max(0.0, conversation.here.deadline - at) if left is None else left,
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
    opened = OverlayOpened("read-back", message.id, message.sender, hearer, conversation.here.lane)
    return altered(conversation, frame=frame), (*heard, opened)


def _open_repair(
    conversation: Conversation, message: Message, trouble: tuple[Difference, ...], at: float
) -> Step:
    """A message that does not repeat what is on record stays out of it; its first hearer asks."""
    state, lane = conversation.here.name, conversation.here.lane
    found = TroubleFound(message.id, message.act, "repeats", trouble, lane)
    left = repairs_left(conversation, state, message.act)
    if not left or "repair" not in conversation.rules.overlays:
        cause = f"{message.act} differs from the record: {'; '.join(map(str, trouble))}; no repair is left"
        ended, events = stop(conversation, OutcomeClass.ABORTED, cause, at)
        return ended, (found, *events)
    conversation, heard = _put_on_record(conversation, message, at)
    conversation = _charge(conversation, state, message.act)
    hearer = message.receivers[0]
    frame = _push(conversation, "repair", message, hearer, at, pending=True, fields={}, trouble=trouble)
    return altered(conversation, frame=_replace(frame, repairing=True)), (
        *heard,
        found,
        OverlayOpened("repair", message.id, message.sender, hearer, lane),
        RepairOpened(message.id, "repeats", left - 1, lane),
    )


def _open_by_hearer(conversation: Conversation, message: Message, at: float) -> Step:
    """The hearer of the last message says that it did not understand."""
    it, lane = conversation.seen[conversation.here.last[message.sender]], conversation.here.lane
    name = next(name for name in ("repair", "not-understood") if _begins(conversation, name, message.act))
    before = conversation.before
    if before is None:  # pragma: no cover  (exits() offers nothing then)
        raise Refusal("unexpected-act", "there is nothing to go back to")
    state, left = before.name, repairs_left(conversation, before.name, it.act)
    conversation = _charge(conversation, state, it.act)
    frame = _push(conversation, name, it, message.sender, at, pending=False, fields={})
    frame = _replace(frame, repairing=True)
    after, events = _say_in_overlay(altered(conversation, frame=frame), frame, message, at)
    heads: tuple[Event, ...] = (
        OverlayOpened(name, it.id, it.sender, message.sender, lane),
        RepairOpened(it.id, message.act, left - 1, lane),
    )
    return after, (*heads, *events)


def _begins(conversation: Conversation, name: str, label: str) -> bool:
    overlay = conversation.rules.overlays.get(name)
    return overlay is not None and label in overlay.states[overlay.start].moves


def _charge(conversation: Conversation, state: str, act: str) -> Conversation:
    key, repairs = f"{state}/{act}", conversation.here.repairs
    return altered(
        conversation,
        repairs=with_entry(repairs, key, repairs.get(key, 0) + 1),
        spent=conversation.shared.spent + 1,
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
    conversation, heard = _put_on_record(conversation, message, at, frame.overlay)
    events: list[Event] = [*heard]
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
            events.append(RepairClosed(frame.it.id, mended=True, lane=conversation.here.lane))
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
    it, here = frame.it, conversation.here
    events.append(TroubleFound(it.id, it.act, "readback", differs, here.lane))
    left = repairs_left(conversation, here.name, it.act)
    if frame.repairing:
        events.append(RepairClosed(it.id, mended=False, lane=here.lane))
    if not left:
        cause = f"{it.act} was not understood: {'; '.join(map(str, differs))}; no repair is left"
        events.append(OverlayClosed(frame.overlay, it.id, "given-up", OutcomeClass.ABORTED.value, here.lane))
        return _end(conversation, OutcomeClass.ABORTED.value, OutcomeClass.ABORTED, cause, at, events)
    events.append(RepairOpened(it.id, "readback", left - 1, here.lane))
    conversation = _charge(conversation, here.name, it.act)
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
    beneath = altered(conversation, frame=None)
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
        return altered(conversation, frame=after), tuple(events)
    kind = overlay.outcomes[place]
    then = overlay.overlay.then if overlay.overlay is not None else dict[str, str]()
    effect = then.get(kind.value) or then.get("otherwise") or OutcomeClass.ABORTED.value
    it, lane = frame.it, conversation.here.lane
    events.append(OverlayClosed(frame.overlay, it.id, place, effect, lane))
    if frame.repairing and effect != "resume":
        events.append(RepairClosed(it.id, mended=effect == "again", lane=lane))
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
        return altered(conversation, frame=None, deadline=at + frame.left), tuple(events)
    it, lane = frame.it, conversation.here.lane
    if not frame.repeated:  # the gate: whatever an overlay's file says, nothing counts that was not read back
        if frame.repairing:
            events.append(RepairClosed(it.id, mended=False, lane=lane))
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
        events.append(OverlayOpened(frame.overlay, it.id, it.sender, hearer, lane))
        return altered(conversation, frame=following), tuple(events)
    move = conversation.state.moves[it.act]
    meant = _content(move.act, {**to_plain(it.content), **to_plain(frame.fields)})
    if meant != it.content:
        it = _replace(it, content=meant)
        conversation = altered(conversation, mended=with_entry(conversation.shared.mended, it.id, it))
    return _commit(conversation, move, it, at, events, frame.fields)


def _again(conversation: Conversation, frame: Frame, at: float, events: list[Event]) -> Step:
    """Go back to where `it` was about to be said; what was derived from it is void, what was spent stays spent."""
    troubles = frame.trouble or _asked(frame)
    here, shared, before = conversation.here, conversation.shared, conversation.before
    if frame.pending or before is None:
        after = altered(conversation, frame=None, troubles=troubles, deadline=at + frame.left)
        return after, tuple(events)
    books, undone = take_back(Books(here.ledger, shared.trunk), here.undo, here.lane)
    for was, now in undone:
        it = now or was
        status = now.status.value if now else ""
        events.append(
            CommitmentChanged(it.id, it.act, it.debtor, it.creditor, was.status.value, status, here.lane)
        )
    state, tally = conversation.protocol.states[before.name], shared.tally
    move = state.moves.get(frame.it.act)
    if move is not None and move.at_most is not None:
        tally = with_entry(tally, move.key, tally.get(move.key, 1) - 1)
    if here.owner != before.owner:
        events.append(OwnerChanged(here.owner, before.owner, frame.it.id, here.lane))
    deadline = _deadline(state, before.until, at)
    after = _replace(
        conversation,
        shared=_replace(shared, at=at, trunk=books.trunk, tally=tally),
        here=_replace(
            before, ledger=books.own, repairs=here.repairs, troubles=troubles, misfires=0, deadline=deadline
        ),
        before=None,
    )
    events.append(Moved("again", frame.sender, here.name, before.name, frame.it.id, here.lane))
    if deadline < math.inf:
        events.append(DeadlineSet(before.name, deadline, here.lane))
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
