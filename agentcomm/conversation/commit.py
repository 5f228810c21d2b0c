"""What a message that counts does: evidence for what it answers, position, common ground, ledgers, deadlines, ends.

Source: contributions of Clark & Schaefer 1989; commitments of Singh.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message
from agentcomm.acts.persistent import find, put, with_entry, without
from agentcomm.commitments.ledger import Books, Change, Ledger, audit, hand_over, record
from agentcomm.conversation.events import (
    CommitmentChanged,
    DeadlineSet,
    Ended,
    Event,
    Grounded,
    Heard,
    LaneEnded,
    Moved,
    OverlayClosed,
    OwnerChanged,
    RepairClosed,
)
from agentcomm.conversation.parts import Held, Outcome, Position, Said, Shared, key_of
from agentcomm.conversation.state import Conversation, altered
from agentcomm.protocol.graph import Act, Criterion, Move, OutcomeClass, Protocol, State

__all__ = (
    "NO_FIELDS",
    "Step",
    "abandoned",
    "closing",
    "commit",
    "cross",
    "deadline_in",
    "end",
    "ended",
    "entered",
    "put_on_record",
    "stop",
    "told",
)

Step = tuple[Conversation, tuple[Event, ...]]

_replace = msgspec.structs.replace
_NONE, _RELEVANT = Criterion.NONE, Criterion.RELEVANT
_DELIVERED = ("delivered",)
READ_BACK = "readback: copied"
"""The evidence of fields that were read back: a model copies easily, so it shows less than a value that is used."""
READ_BACK_FROM_PLAN = "readback: derived"
"""... that were read back as the hearer will act with them."""
_READ_BACKS = (READ_BACK, READ_BACK_FROM_PLAN)
NO_FIELDS: dict[str, Any] = {}


def put_on_record(
    conversation: Conversation, message: Message, at: float, overlay: str = ""
) -> tuple[Conversation, tuple[Heard, ...]]:
    """Put a message on record; what is said for all is heard once."""
    shared = conversation.shared
    key = key_of(conversation.id, message.id, shared.n)
    if find(shared.seen, shared.n, key) is not None:
        return altered(conversation, at=at, misfires=0), ()
    seen = put(shared.seen, shared.n, key, message)
    after = altered(conversation, n=shared.n + 1, at=at, misfires=0, seen=seen)
    return after, (Heard(shared.n + 1, message, overlay),)


def commit(
    conversation: Conversation,
    move: Move,
    message: Message,
    at: float,
    events: list[Event],
    readback: Mapping[str, Any] | None = None,
    shown: tuple[str, ...] = (),
) -> Step:
    """Let a message take effect: evidence for what it answers, position, common ground, ledger, deadline.

    Args:
        conversation: Before it; with the message on record if it was read back.
        move: What is done by it.
        message: As it is meant.
        at: Now.
        events: What happened before; it is added to.
        readback: The fields that every hearer has read back, if it was grounded before it counts.
        shown: The evidence of that.
    """
    act, here, shared, rules = move.act, conversation.here, conversation.shared, conversation.rules
    protocol, lane, label, source = rules.protocol, here.lane, act.label, move.state
    n, seen, tally, used, target = shared.n, shared.seen, shared.tally, here.used, move.next
    key = key_of(conversation.id, message.id, n)
    if readback is None and find(seen, n, key) is None:
        seen, n = put(seen, n, key, message), n + 1
        events.append(Heard(n, message))
    said, held, effects = here.said, here.held, None
    if held or move.owner:
        effects = _Effects(here, shared.trunk, events)
        if held:
            effects.take_as_evidence(protocol, message)
            said, held = effects.said, effects.held
    if move.at_most is not None:
        tally = with_entry(tally, move.key, tally.get(move.key, 0) + 1)
    if move.max is not None:
        times = (tally if move.for_all else used).get(f"*{move.key}" if move.for_all else move.key, 0)
        if times >= move.max + move.for_all:
            target = move.then
        elif not move.for_all:
            used = with_entry(used, move.key, times + 1)
    state = protocol.states.get(target)
    evidence, criterion = _DELIVERED, act.criterion
    waits, prior = False, None
    if readback is not None:
        evidence = shown
        shows = "readback" if len(shown) == 1 and shown[0] in _READ_BACKS else criterion.value
        events.append(Grounded(message.id, label, shows, evidence, to_plain(readback), lane))
    elif criterion is _RELEVANT and state is not None:
        waits = True
        earlier = said.get(label)
        prior = earlier.ground if earlier is not None else None
        held = (*(entry for entry in held if _is_other(entry, message)), Held(message, move.owner))
    elif criterion is not _NONE:
        events.append(Grounded(message.id, label, "delivered", evidence, NO_FIELDS, lane))
    ledger, trunk, owner, changes = here.ledger, shared.trunk, here.owner, ()
    if effects is not None:
        if not waits:
            effects.enter(act, message)
    elif act.promises and not waits:
        ledger, trunk, changes = _enter(ledger, trunk, act, message, lane, events)
    events.append(Moved(label, message.sender, source, target, message.id, lane))
    if effects is not None:
        if move.owner and not waits:
            effects.hand_over(move.owner, message)
        books, owner, changes = effects.books, effects.owner, tuple(effects.changes)
        ledger, trunk = books.own, books.trunk
    last = here.last.copy()
    for hearer in message.receivers:
        last[hearer] = message.id
    repairs = here.repairs
    repaired = False
    if repairs:  # an answered contribution is closed, one said again stays charged
        repaired = move.key in repairs
        repairs = {move.key: repairs[move.key]} if repaired else {}
    if act.repeats:
        said = _used(said, act, message)
    said = with_entry(said, label, Said(message, not waits, evidence, n, repaired, prior))
    until = here.until
    if protocol.runs:
        used, said, until = cross(conversation, source, target, used, said, at)
    deadline, outcome = here.deadline, here.outcome
    if state is not None:
        deadline = deadline_in(state, until, at) if until or state.gather else at + state.within
        if deadline < math.inf:
            events.append(DeadlineSet(target, deadline, lane))
    else:
        outcome, ledger = ended(
            ledger, target, protocol.outcomes[target], f"{message.sender} said {label}", lane, events
        )
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
        source if len(protocol.states[source].speakers) > 1 else here.raced,
        tuple(aside for aside in here.asides if _lasts(aside, move.key)) if here.asides else (),
        "",
        outcome,
    )
    checkpoints: tuple[Position, ...] = ()
    if state is not None:
        before = here if here.frame is None else _replace(here, frame=None)
        checkpoints = (before, *conversation.checkpoints[:1])
    after = Conversation(
        rules,
        conversation.id,
        conversation.whole,
        conversation.members,
        Shared(at, n, seen, shared.spent, trunk, tally, shared.turn, shared.mended, shared.counted),
        now,
        checkpoints,
        conversation.lanes,
    )
    return after, tuple(events)


def _enter(
    ledger: Ledger, trunk: Ledger | None, act: Act, message: Message, lane: str, events: list[Event]
) -> tuple[Ledger, Ledger | None, tuple[Change, ...]]:
    """Return the ledgers with what an act does entered in them, and what changed, which is told."""
    books, changes = record(Books(ledger, trunk), act, message.sender, message.receivers, message.id, lane)
    events += [told(change, lane) for change in changes]
    return books.own, books.trunk, changes


def _used(said: Mapping[str, Said], act: Act, message: Message) -> Mapping[str, Said]:
    """Note what was acted upon rightly: a value that is used shows more than one that is copied."""
    for label in dict.fromkeys(ref.act for ref in act.repeats.values()):
        it = said.get(label)
        if it is not None and it.message.sender != message.sender:
            shown = f"used by {message.id}: derived"
            said = with_entry(said, label, _replace(it, evidence=(*it.evidence, shown)))
    return said


def _lasts(aside: str, key: str) -> bool:
    """Say whether what was done once stays so for a contribution that is said anew; a cancel stays for good."""
    return aside == "cancel" or aside.split(":")[1] == key


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
        if not act.promises:
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
            self.events.append(Grounded(it.id, it.act, "relevant", evidence, NO_FIELDS, self.lane))
            self.enter(protocol.acts[it.act], it)
            if entry.owner:
                self.hand_over(entry.owner, it)
            latest = self.said.get(it.act)
            if latest is not None and latest.message.id == it.id:
                self.said = with_entry(
                    self.said, it.act, Said(it, True, ("relevant",), latest.n, latest.repaired)
                )
        self.held = tuple(still)

    def _tell(self, made: tuple[Change, ...]) -> None:
        for change in made:
            self.changes.append(change)
            self.events.append(told(change, self.lane))


def deadline_in(state: State, until: tuple[tuple[str, float], ...], at: float) -> float:
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


def cross(
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
    used, said, until = cross(conversation, "", place, here.used, here.said, at)
    deadline = deadline_in(conversation.protocol.states[place], until, at)
    return altered(conversation, name=place, used=used, said=said, until=until, deadline=deadline)


def _is_other(entry: Held, message: Message) -> bool:
    """Say whether something held is not replaced by `message`, which says it anew."""
    return entry.message.act != message.act or entry.message.sender != message.sender


def told(change: Change, lane: str) -> CommitmentChanged:
    """Return what is told of a change of a commitment."""
    now = change.now
    was = change.was.status if change.was is not None else ""
    return CommitmentChanged(now.id, now.act, now.debtor, now.creditor, was, now.status, lane)


def closing(ledger: Ledger, kind: OutcomeClass, lane: str = "") -> tuple[Ledger, tuple[Event, ...]]:
    """Return the ledger audited at an end, and what changed."""
    ledger, changes = audit(ledger, kind)
    return ledger, tuple(told(change, lane) for change in changes)


def end(
    conversation: Conversation, name: str, kind: OutcomeClass, cause: str, at: float, events: list[Event]
) -> Step:
    """Let it end: what is owed is audited, what happened is told."""
    here = conversation.here
    outcome, ledger = ended(here.ledger, name, kind, cause, here.lane, events)
    after = altered(conversation, name=name, ledger=ledger, outcome=outcome, frame=None, at=at)
    return _forgetting(after), tuple(events)


def ended(
    ledger: Ledger, name: str, kind: OutcomeClass, cause: str, lane: str, events: list[Event]
) -> tuple[Outcome, Ledger]:
    """Return how a position ends and its ledger, audited; tell both."""
    if ledger.live:
        ledger, more = closing(ledger, kind, lane)
        events.extend(more)
    events.append(LaneEnded(lane, name, kind.value, cause) if lane else Ended(name, kind.value, cause))
    return Outcome(name, kind, cause), ledger


def _forgetting(conversation: Conversation) -> Conversation:
    """Return a conversation without checkpoints."""
    return _replace(conversation, checkpoints=()) if conversation.checkpoints else conversation


def stop(conversation: Conversation, kind: OutcomeClass, cause: str, at: float) -> Step:
    """End it from outside."""
    if conversation.here.outcome is not None:
        return conversation, ()
    return end(conversation, kind.value, kind, cause, at, abandoned(conversation, kind))


def abandoned(conversation: Conversation, kind: OutcomeClass) -> list[Event]:
    """Return the events that close a running overlay where the conversation ends from outside."""
    frame, lane = conversation.here.frame, conversation.here.lane
    if frame is None:
        return []
    events: list[Event] = [RepairClosed(frame.it.id, mended=False, lane=lane)] if frame.repairing else []
    events.append(OverlayClosed(frame.overlay, frame.it.id, kind.value, kind.value, lane))
    return events
