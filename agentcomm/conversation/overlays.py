"""Overlays: small protocols on top of a frozen state, pushed, enacted and popped.

Source: closed-loop communication (ICAO read-back and hear-back); third-position repair of Schegloff 1992 (a read-back that
differs is answered by the one who spoke, and the correction is read back again).
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from agentcomm.acts.content import Content, entries_of, format_value, to_plain
from agentcomm.acts.message import Message
from agentcomm.acts.persistent import with_entry
from agentcomm.commitments.ledger import Books, take_back
from agentcomm.conversation.checking import Refusal, check_conditions, content_of, mismatch, reply_to
from agentcomm.conversation.commit import (
    READ_BACK,
    READ_BACK_FROM_PLAN,
    Step,
    commit,
    deadline_in,
    end,
    put_on_record,
    stop,
)
from agentcomm.conversation.events import (
    Chose,
    CommitmentChanged,
    Counted,
    DeadlineSet,
    Event,
    GaveUp,
    Moved,
    OverlayClosed,
    OverlayOpened,
    OwnerChanged,
    RepairClosed,
    RepairOpened,
    TroubleFound,
)
from agentcomm.conversation.moves import (
    bind,
    escalates,
    evidence_wanted,
    in_full,
    overlay_of,
    repairs_left,
    why_not_ask,
)
from agentcomm.conversation.parts import Frame
from agentcomm.conversation.progress import said_before
from agentcomm.conversation.reading import clean
from agentcomm.conversation.rules import REPAIR_OVERLAYS, is_demonstrated, readback_of
from agentcomm.conversation.state import Conversation, altered
from agentcomm.grounding.asking import RUNGS, Asking, asked_with
from agentcomm.grounding.compare import Difference, difference, differences, is_same
from agentcomm.protocol.graph import Act, Move, OutcomeClass, Protocol

__all__ = (
    "charge",
    "count",
    "count_asked",
    "enter_overlay",
    "escalate",
    "open_by_hearer",
    "open_readback",
    "open_repair",
    "push",
    "say_in_overlay",
)

_replace = msgspec.structs.replace
_SHOWN = {"read-back": "read back", "demonstrate": "demonstrated"}
MENDING = (*REPAIR_OVERLAYS, *_SHOWN)
"""Overlays whose failure is laid before the authority, if there is one."""


def push(
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
    evidence: tuple[str, ...] = (),
    derived: bool = True,
) -> Frame:
    """Return an overlay at its beginning, about a message; the state beneath is frozen with the seconds that it has left."""
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
        deadline=at + conversation.rules.lasts(overlay, start),
        left=max(0.0, conversation.here.deadline - at) if left is None else left,
        heard=it.id,
        rest=rest,
        done=done,
        evidence=evidence,
        derived=derived,
        trouble=trouble,
    )


def weighed(
    conversation: Conversation, move: Move, message: Message
) -> tuple[Conversation, tuple[str, ...], list[Event]]:
    """Return which fields of a message are read back before it counts, where that is chosen by expected cost."""
    choice, act, lane = conversation.rules.choice, move.act, conversation.here.lane
    if choice is None:  # pragma: no cover
        return conversation, readback_of(move), []
    events: list[Event] = []
    if act.repeats:  # who repeats a value rightly has understood it
        conversation, events = count_repeats(conversation, act, message, differs=())
    conversation, told = count_asked(conversation, message.sender, helped=True)
    events.extend(told)
    if act.declared or not act.critical:
        return conversation, readback_of(move), events
    keys = [choice.key(act.label, message.sender, hearer) for hearer in move.to]
    known = min((choice.known(key, conversation.shared.counted) for key in keys), key=lambda beta: beta.least)
    compared = act.label in conversation.rules.compared
    found = choice.weigh(move.stakes or act.stakes, known, compared=compared)
    action = "confirm" if found.confirms else "accept"
    events.append(Chose(message.id, act.label, action, round(found.p, 6), round(found.least, 6), lane))
    return conversation, act.critical if found.confirms else (), events


def count_repeats(
    conversation: Conversation, act: Act, message: Message, differs: tuple[Difference, ...]
) -> tuple[Conversation, list[Event]]:
    """Count what an act that repeats values on record shows of how they were understood."""
    wrong = {act.repeats[difference.field].act for difference in differs if difference.field in act.repeats}
    events: list[Event] = []
    for label in dict.fromkeys(ref.act for ref in act.repeats.values()):
        if (said := conversation.here.said.get(label)) is not None:
            sender, understood = said.message.sender, label not in wrong
            conversation, told = count(conversation, label, sender, message.sender, understood=understood)
            events.extend(told)
    return conversation, events


def count(
    conversation: Conversation, act: str, sender: str, hearer: str, *, understood: bool
) -> tuple[Conversation, tuple[Event, ...]]:
    """Count whether a hearer understood an act, if choices are made from that."""
    choice = conversation.rules.choice
    if choice is None or sender == hearer:
        return conversation, ()
    key, counted = choice.key(act, sender, hearer), conversation.shared.counted
    after = choice.known(key, counted).after(understood)
    now = altered(conversation, counted=with_entry(counted, key, after))
    return now, (Counted(key, understood, conversation.here.lane),)


def count_asked(
    conversation: Conversation, hearer: str, *, helped: bool
) -> tuple[Conversation, tuple[Event, ...]]:
    """Count, once, whether the last question of a hearer helped, if choices are made from that.

    Args:
        conversation: Where it stands.
        hearer: Who asked.
        helped: Whether it goes on; else it asks again, or nothing came of it.
    """
    choice, here = conversation.rules.choice, conversation.here
    if choice is None or not here.asides:
        return conversation, ()
    asked = [aside for aside in here.asides if aside.startswith("repair:")]
    if not asked or (mark := f"counted{asked[-1].removeprefix('repair')}") in here.asides:
        return conversation, ()
    _, key, rung, _ = asked[-1].split(":", 3)
    label = key.rpartition("/")[2]
    said = here.said.get(label)
    if said is None or hearer not in said.message.receivers:
        return conversation, ()
    about = choice.asked(label, RUNGS[int(rung)], hearer, said.message.sender)
    counted = conversation.shared.counted
    after = with_entry(counted, about, choice.known(about, counted).after(helped))
    now = altered(conversation, counted=after, asides=(*here.asides, mark))
    return now, (Counted(about, helped, here.lane),)


def open_readback(
    conversation: Conversation, names: tuple[str, ...], message: Message, at: float, events: list[Event]
) -> Step:
    """Ask the hearers of a message, one after the other, to say what they understood."""
    conversation, heard = put_on_record(conversation, message, at)
    hearer, *rest = message.receivers
    fields = {name: getattr(message.content, name) for name in names}
    frame = push(
        conversation, "read-back", message, hearer, at, pending=True, fields=fields, rest=tuple(rest)
    )
    opened = OverlayOpened("read-back", message.id, message.sender, hearer, conversation.here.lane)
    return altered(conversation, frame=frame), (*heard, *events, opened)


def open_demonstration(
    conversation: Conversation,
    message: Message,
    at: float,
    events: list[Event],
    *,
    evidence: tuple[str, ...] = (),
    left: float | None = None,
) -> Step:
    """Ask the hearers of a message, one after the other, to say what they will do, for a judge to compare with what was meant."""
    conversation, heard = put_on_record(conversation, message, at)
    hearer, *rest = message.receivers
    frame = push(
        conversation,
        "demonstrate",
        message,
        hearer,
        at,
        pending=True,
        fields={},
        rest=tuple(rest),
        left=left,
        evidence=evidence,
    )
    opened = OverlayOpened("demonstrate", message.id, message.sender, hearer, conversation.here.lane)
    return altered(conversation, frame=frame), (*heard, *events, opened)


def open_repair(
    conversation: Conversation, message: Message, trouble: tuple[Difference, ...], at: float
) -> Step:
    """A message that does not repeat what is on record stays out of it; its first hearer asks."""
    state, lane = conversation.here.name, conversation.here.lane
    found = TroubleFound(message.id, message.act, "repeats", trouble, lane)
    counted: list[Event] = []
    if conversation.rules.choice is not None:
        move = conversation.state.moves[message.act]
        conversation, counted = count_repeats(conversation, move.act, message, trouble)
    left = repairs_left(conversation, state, message.act)
    if not left or "repair" not in conversation.rules.overlays:
        cause = f"{message.act} differs from the record: {'; '.join(map(str, trouble))}; no repair is left"
        hearer = message.receivers[0]
        if escalates(conversation, state, message, hearer):
            conversation, heard = put_on_record(conversation, message, at)
            left_over = max(0.0, conversation.here.deadline - at)
            return escalate(
                conversation,
                message,
                hearer,
                at,
                [*heard, found, *counted],
                pending=True,
                trouble=trouble,
                left=left_over,
            )
        gave_up = _gave_up(conversation, message, state, trouble)
        ended, events = stop(conversation, OutcomeClass.ABORTED, cause, at)
        return ended, (found, *counted, gave_up, *events)
    conversation, heard = put_on_record(conversation, message, at)
    conversation = charge(conversation, state, message.act)
    hearer = message.receivers[0]
    frame = push(conversation, "repair", message, hearer, at, pending=True, fields={}, trouble=trouble)
    return altered(conversation, frame=_replace(frame, repairing=True)), (
        *heard,
        found,
        *counted,
        OverlayOpened("repair", message.id, message.sender, hearer, lane),
        RepairOpened(message.id, "repeats", left - 1, lane),
    )


def open_by_hearer(conversation: Conversation, message: Message, at: float) -> Step:
    """The hearer of the last message says that it did not understand."""
    it, lane = conversation.seen[conversation.here.last[message.sender]], conversation.here.lane
    before = conversation.before
    if before is None:  # pragma: no cover  (exits() offers nothing then)
        raise Refusal("unexpected-act", "there is nothing to go back to")
    name = next((name for name in REPAIR_OVERLAYS if begins(conversation, name, message.act)), "escalate")
    if name == "escalate":
        left_over = max(0.0, conversation.here.deadline - at)
        events: list[Event] = []
        opened, _ = escalate(
            conversation, it, message.sender, at, events, pending=False, trouble=(), left=left_over
        )
        after, told = say_in_overlay(opened, _frame(opened), message, at)
        return after, (*events, *told)
    conversation, asked = count_asked(conversation, message.sender, helped=False)
    conversation = _climb(conversation, name, f"{before.name}/{it.act}", message)
    conversation, counted = count(conversation, it.act, it.sender, message.sender, understood=False)
    state, left = before.name, repairs_left(conversation, before.name, it.act)
    conversation = charge(conversation, state, it.act)
    frame = push(conversation, name, it, message.sender, at, pending=False, fields={})
    frame = _replace(frame, repairing=True)
    after, told = say_in_overlay(altered(conversation, frame=frame), frame, message, at)
    heads: tuple[Event, ...] = (
        *asked,
        *counted,
        OverlayOpened(name, it.id, it.sender, message.sender, lane),
        RepairOpened(it.id, message.act, left - 1, lane),
    )
    return after, (*heads, *told)


def escalate(
    conversation: Conversation,
    it: Message,
    hearer: str,
    at: float,
    events: list[Event],
    *,
    pending: bool,
    trouble: tuple[Difference, ...],
    left: float,
) -> Step:
    """Lay a trouble that repair did not mend before the authority, at the price of one more repair."""
    here, before = conversation.here, conversation.before
    state = here.name if pending or before is None else before.name
    authority = conversation.rules.authority
    frame = _replace(
        push(
            conversation, "escalate", it, hearer, at, pending=pending, fields={}, trouble=trouble, left=left
        ),
        authority=authority,
        repairing=True,
    )
    events.append(OverlayOpened("escalate", it.id, it.sender, hearer, here.lane))
    events.append(RepairOpened(it.id, "escalate", 0, here.lane))
    asides = (*here.asides, f"escalate:{state}/{it.act}")
    return altered(conversation, frame=frame, asides=asides, spent=conversation.shared.spent + 1), tuple(
        events
    )


def _frame(conversation: Conversation) -> Frame:
    frame = conversation.here.frame
    if frame is None:  # pragma: no cover
        raise AssertionError("an overlay was expected")
    return frame


def _climb(conversation: Conversation, overlay: str, key: str, message: Message) -> Conversation:
    """Note how a hearer asks about a contribution: never the same twice, and never less openly again about the same place.

    Raises:
        Refusal: If it was asked like this, or more openly, before.
    """
    if overlay != "repair" or message.act not in RUNGS:
        return conversation
    here, rung = conversation.here, RUNGS.index(message.act)
    protocol = conversation.rules.overlays[overlay]
    content = content_of(protocol.states[protocol.start].moves[message.act].act, message.content)
    path = clean(str(getattr(content, "path", "")))
    if reason := why_not_ask(here, key, message.act, path):
        raise Refusal("asked-before", reason)
    return altered(conversation, asides=(*here.asides, f"repair:{key}:{rung}:{path}"))


def begins(conversation: Conversation, name: str, label: str) -> bool:
    overlay = conversation.rules.overlays.get(name)
    return overlay is not None and label in overlay.states[overlay.start].moves


def charge(conversation: Conversation, state: str, act: str) -> Conversation:
    """Return a conversation with one more repair spent on an act said in a state."""
    key, repairs = f"{state}/{act}", conversation.here.repairs
    return altered(
        conversation,
        repairs=with_entry(repairs, key, repairs.get(key, 0) + 1),
        spent=conversation.shared.spent + 1,
    )


def say_in_overlay(conversation: Conversation, frame: Frame, message: Message, at: float) -> Step:
    """Return what becomes of a message while an overlay runs."""
    overlay = overlay_of(conversation, frame)
    state = overlay.states[frame.position]
    move = state.moves.get(message.act)
    if frame.awaits:
        raise Refusal("unexpected-act", f"whether {frame.it.act} was understood is being judged")
    if bind(frame, state.speaker) != message.sender:
        speaker = bind(frame, state.speaker)
        raise Refusal("unexpected-act", f"{speaker} speaks now, about {frame.it.act} ({frame.overlay})")
    if move is None or not in_full(conversation, move):
        raise Refusal("unexpected-act", f"{message.sender} may not say {message.act!r} in {frame.overlay}")
    content = content_of(move.act, message.content)
    if frame.asks is not None and not frame.said and (reason := _is_other(frame.asks, content)):
        raise Refusal("invalid-content", reason)
    heard = frame.heard if message.sender in conversation.seen[frame.heard].receivers else ""
    reply = reply_to(conversation, message, heard)
    check_conditions(conversation, move, content)
    corrected = _corrections(conversation, frame, move, content)
    message = _replace(
        message,
        content=content,
        receivers=tuple(bind(frame, role) for role in move.to) + (() if frame.pending else frame.rest),
        in_reply_to=reply,
        about=frame.it.id,
    )
    conversation, heard = put_on_record(conversation, message, at, frame.overlay)
    events: list[Event] = [*heard]
    used, target = frame.used, move.next
    if move.max is not None:
        times = used.get(move.key, 0)
        if times >= move.max:
            target = move.then
        else:
            used = {**used, move.key: times + 1}
    frame = _replace(frame, said={**frame.said, move.label: content}, used=used, heard=message.id)
    if frame.derived and _is_first(overlay, move) and message.made_by != "plan":
        frame = _replace(frame, derived=False)
    if corrected:
        frame = _correct(conversation, frame, corrected)
    if overlay.overlay is not None and overlay.overlay.on == "demonstrated":
        if _is_first(overlay, move) and target in overlay.states:
            within = conversation.rules.lasts(frame.overlay, overlay.states[target])
            frame = _replace(frame, position=target, deadline=at + within, awaits=message.id, verdict=None)
            conversation = altered(conversation, frame=frame)
            return conversation, (*events, evidence_wanted(conversation, frame))
        return enter_overlay(conversation, _replace(frame, verdict=None), target, at, events)
    understood = entries_of(getattr(content, "fields", None))
    if frame.fields and understood is not None and _is_first(overlay, move):
        differs = differences(conversation.protocol.acts[frame.it.act].fields, frame.fields, understood)
        frame = _replace(frame, repeated=not differs)
        if not frame.repairing:
            it = frame.it
            conversation, told = count(conversation, it.act, it.sender, frame.hearer, understood=not differs)
            events.extend(told)
        if differs:
            return mishearing(conversation, frame, differs, target, at, events)
        if frame.repairing:
            events.append(RepairClosed(frame.it.id, mended=True, lane=conversation.here.lane))
            frame = _replace(frame, repairing=False, trouble=())
    return enter_overlay(conversation, frame, target, at, events)


def _is_other(asks: Asking, content: Content) -> str:
    """Return why content is not that of the question that was decided on; an empty text if it is."""
    wanted = asked_with(asks)
    given = to_plain(content)
    for name, value in wanted.items():
        if given.get(name) != value:
            return f"{name}: it is to be asked about {format_value(value)}"
    return ""


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


def mishearing(
    conversation: Conversation,
    frame: Frame,
    differs: tuple[Difference, ...],
    target: str,
    at: float,
    events: list[Event],
) -> Step:
    """A read-back differs: that is a repair, paid for; with none left the overlay gives up."""
    it, here = frame.it, conversation.here
    kind = "demonstration" if frame.overlay == "demonstrate" else "readback"
    events.append(TroubleFound(it.id, it.act, kind, differs, here.lane))
    left = repairs_left(conversation, here.name, it.act)
    if frame.repairing:
        events.append(RepairClosed(it.id, mended=False, lane=here.lane))
    hopeless = _is_hopeless(conversation, frame, events) if left else True
    if not left or hopeless:
        if escalates(conversation, here.name, it, frame.hearer):
            events.append(OverlayClosed(frame.overlay, it.id, "given-up", "escalate", here.lane))
            return escalate(
                conversation, it, frame.hearer, at, events, pending=True, trouble=differs, left=frame.left
            )
        cause = f"{it.act} was not understood: {'; '.join(map(str, differs))}; no repair is left"
        events.append(OverlayClosed(frame.overlay, it.id, "given-up", OutcomeClass.ABORTED.value, here.lane))
        events.append(_gave_up(conversation, it, here.name, differs, frame.overlay))
        return end(conversation, OutcomeClass.ABORTED.value, OutcomeClass.ABORTED, cause, at, events)
    events.append(RepairOpened(it.id, kind, left - 1, here.lane))
    conversation = charge(conversation, here.name, it.act)
    frame = _replace(frame, repairing=True, trouble=differs)
    return enter_overlay(conversation, frame, target, at, events)


def _is_hopeless(conversation: Conversation, frame: Frame, events: list[Event]) -> bool:
    """Say whether the authority is expected to cost less than one more repair, where there is one and choices are made so."""
    choice, it = conversation.rules.choice, frame.it
    if choice is None or not escalates(conversation, conversation.here.name, it, frame.hearer):
        return False
    move = conversation.state.moves[it.act]
    known = choice.known(choice.key(it.act, it.sender, frame.hearer), conversation.shared.counted)
    p, least = known.mean, choice.costs.mends(move.stakes or move.act.stakes)
    if p >= least:
        return False
    events.append(Chose(it.id, it.act, "escalate", round(p, 6), round(least, 6), conversation.here.lane))
    return True


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
    corrected = content_of(main.act, {**to_plain(it.content), **to_plain({**frame.fields, **values})})
    check_conditions(beneath, main, corrected)
    if trouble := mismatch(beneath, main.act, corrected):
        raise Refusal("condition-false", f"differs from the record: {'; '.join(map(str, trouble))}")
    return {name: getattr(corrected, name) for name in values}


def enter_overlay(
    conversation: Conversation, frame: Frame, place: str, at: float, events: list[Event]
) -> Step:
    """Let an overlay go on in a state, or end with an outcome and what follows from that."""
    overlay = overlay_of(conversation, frame)
    state = overlay.states.get(place)
    if state is not None:
        after = _replace(frame, position=place, deadline=at + conversation.rules.lasts(frame.overlay, state))
        return altered(conversation, frame=after), tuple(events)
    kind = overlay.outcomes[place]
    then = overlay.overlay.then if overlay.overlay is not None else dict[str, str]()
    effect = then.get(kind.value) or then.get("otherwise") or OutcomeClass.ABORTED.value
    it, lane = frame.it, conversation.here.lane
    if frame.rest and not frame.pending and effect != "resume":  # one has stopped; the next is asked
        return _next_to_stop(conversation, frame, overlay, place, at, events)
    if effect == OutcomeClass.ABORTED.value and kind is not OutcomeClass.EXPIRED and frame.overlay in MENDING:
        before = conversation.before
        state = conversation.here.name if frame.pending or before is None else before.name
        if escalates(conversation, state, it, frame.hearer):
            events.append(OverlayClosed(frame.overlay, it.id, place, "escalate", lane))
            if frame.repairing:
                events.append(RepairClosed(it.id, mended=False, lane=lane))
            return escalate(
                conversation,
                it,
                frame.hearer,
                at,
                events,
                pending=frame.pending,
                trouble=frame.trouble,
                left=frame.left,
            )
    events.append(OverlayClosed(frame.overlay, it.id, place, effect, lane))
    if frame.repairing and effect != "resume":
        events.append(RepairClosed(it.id, mended=effect == "again", lane=lane))
        if effect != "again":
            conversation, told = count_asked(conversation, frame.hearer, helped=False)
            events.extend(told)
    match effect:
        case "resume":
            return _resume(conversation, frame, kind, at, events)
        case "again":
            return _again(conversation, frame, at, events)
        case _:
            cause = f"{frame.overlay} about {it.act} ended as {place}"
            if frame.overlay == "cancel":
                cause = f"cancelled by {frame.hearer}"
            elif not frame.pending:
                conversation = _unground(conversation, it)
            if frame.overlay in (*MENDING, "escalate") and kind is not OutcomeClass.EXPIRED:
                before = conversation.before
                place = conversation.here.name if frame.pending or before is None else before.name
                shown = frame.overlay if frame.overlay in _SHOWN else ""
                events.append(_gave_up(conversation, it, place, frame.trouble, shown))
            return end(conversation, effect, OutcomeClass(effect), cause, at, events)


def _gave_up(
    conversation: Conversation, it: Message, state: str, differs: tuple[Difference, ...], shown: str = ""
) -> GaveUp:
    """Return what is told of a contribution that could not be grounded, with everything that was tried."""
    here, key = conversation.here, f"{state}/{it.act}"
    tried: list[str] = []
    for aside in here.asides:
        kind, _, rest = aside.partition(":")
        if kind == "repair" and rest.startswith(f"{key}:"):
            _, rung, path = rest.split(":", 2)
            tried.append(f"{RUNGS[int(rung)]} {path}".rstrip())
        elif aside == f"escalate:{key}":
            tried.append("escalate")
    if shown:
        tried.append(shown)
    return GaveUp(it.id, it.act, tuple(tried), here.repairs.get(key, 0), differs, here.lane)


def _unground(conversation: Conversation, it: Message) -> Conversation:
    """Take a message out of the common ground: its hearer did not understand it, and it was not mended."""
    said = conversation.here.said.get(it.act)
    if said is None or said.message.id != it.id:
        return conversation
    prior = conversation.before.said.get(it.act) if conversation.before is not None else None
    doubted = _replace(said, grounded=False, evidence=(), before=prior.ground if prior is not None else None)
    return altered(conversation, said=with_entry(conversation.here.said, it.act, doubted))


def _resume(
    conversation: Conversation, frame: Frame, kind: OutcomeClass, at: float, events: list[Event]
) -> Step:
    if not frame.pending or kind is not OutcomeClass.SUCCESS:
        later = at + frame.left + (frame.extra if kind is OutcomeClass.SUCCESS else 0.0)
        limit = min((limit for _, limit in conversation.here.until), default=math.inf)
        deadline = min(later, limit)
        if frame.extra and deadline < math.inf:
            events.append(DeadlineSet(conversation.here.name, deadline, conversation.here.lane))
        return altered(conversation, frame=None, deadline=deadline), tuple(events)
    it, lane = frame.it, conversation.here.lane
    if not frame.repeated:  # the gate: whatever an overlay's file says, nothing counts that was not read back
        if frame.repairing:
            events.append(RepairClosed(it.id, mended=False, lane=lane))
        cause = f"{it.act} was not {_SHOWN.get(frame.overlay, 'grounded')}"
        events.append(_gave_up(conversation, it, conversation.here.name, frame.trouble, frame.overlay))
        return end(conversation, OutcomeClass.ABORTED.value, OutcomeClass.ABORTED, cause, at, events)
    if frame.rest:
        hearer, *rest = frame.rest
        following = push(
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
            evidence=frame.evidence,
            derived=frame.derived,
        )
        events.append(OverlayOpened(frame.overlay, it.id, it.sender, hearer, lane))
        return altered(conversation, frame=following), tuple(events)
    move = conversation.state.moves[it.act]
    meant = content_of(move.act, {**to_plain(it.content), **to_plain(frame.fields)})
    if meant != it.content:
        it = _replace(it, content=meant)
        conversation = altered(conversation, mended=with_entry(conversation.shared.mended, it.id, it))
    is_shown = frame.overlay == "demonstrate"
    read_back = READ_BACK_FROM_PLAN if frame.derived else READ_BACK
    evidence = (*frame.evidence, f"demonstrated: {conversation.rules.judge}" if is_shown else read_back)
    if not is_shown and is_demonstrated(move):
        return open_demonstration(conversation, it, at, events, evidence=evidence, left=frame.left)
    return commit(conversation, move, it, at, events, frame.fields, evidence)


def _next_to_stop(
    conversation: Conversation, frame: Frame, overlay: Protocol, place: str, at: float, events: list[Event]
) -> Step:
    """Ask the next one to stop what is cancelled; who cancels has said so once, to all."""
    other, *rest = frame.rest
    opening = overlay.states[overlay.start].moves[next(iter(frame.said))]
    position = opening.next
    following = _replace(
        frame,
        sender=other,
        rest=tuple(rest),
        position=position,
        deadline=at + conversation.rules.lasts(frame.overlay, overlay.states[position]),
    )
    it, lane = frame.it, conversation.here.lane
    events.append(OverlayClosed(frame.overlay, it.id, place, "resume", lane))
    events.append(OverlayOpened(frame.overlay, it.id, other, frame.hearer, lane))
    return altered(conversation, frame=following), tuple(events)


def _again(conversation: Conversation, frame: Frame, at: float, events: list[Event]) -> Step:
    """Go back to where `it` was about to be said; what was derived from it is void, what was spent stays spent."""
    troubles = (*frame.trouble, *_asked(frame)) if frame.authority else frame.trouble or _asked(frame)
    if frame.pending or conversation.before is None:
        here = conversation.here
        asides = said_before(here.asides, f"{here.name}/{frame.it.act}", frame.it)
        return altered(
            conversation,
            frame=None,
            troubles=troubles,
            deadline=at + frame.left,
            voided=frame.it.id,
            asides=asides,
        ), tuple(events)
    spent, asides = conversation.here.repairs, conversation.here.asides
    for _ in range(frame.back):
        conversation = _taken_back(conversation, at, events)
    here = conversation.here
    deadline = deadline_in(conversation.protocol.states[here.name], here.until, at)
    after = altered(
        _replace(conversation, checkpoints=()),
        repairs=spent,
        asides=said_before(asides, f"{here.name}/{frame.it.act}", frame.it),
        voided=frame.it.id,
        troubles=troubles,
        misfires=0,
        deadline=deadline,
        frame=None,
    )
    if deadline < math.inf:
        events.append(DeadlineSet(here.name, deadline, here.lane))
    return after, tuple(events)


def _taken_back(conversation: Conversation, at: float, events: list[Event]) -> Conversation:
    """Return a conversation as if the last message had not counted: position, record, commitments, budgets, owner."""
    here, shared = conversation.here, conversation.shared
    before, *rest = conversation.checkpoints
    message = conversation.seen[here.latest]
    books, undone = take_back(Books(here.ledger, shared.trunk), here.undo, here.lane)
    for was, now in undone:
        it = now or was
        status = now.status.value if now else ""
        events.append(
            CommitmentChanged(it.id, it.act, it.debtor, it.creditor, was.status.value, status, here.lane)
        )
    state, tally = conversation.protocol.states[before.name], shared.tally
    move = state.moves.get(message.act)
    if move is not None and move.at_most is not None:
        tally = with_entry(tally, move.key, tally.get(move.key, 1) - 1)
    if here.owner != before.owner:
        events.append(OwnerChanged(here.owner, before.owner, message.id, here.lane))
    events.append(Moved("", message.sender, here.name, before.name, message.id, here.lane))
    return _replace(
        conversation,
        shared=_replace(shared, at=at, trunk=books.trunk, tally=tally),
        here=_replace(before, ledger=books.own),
        checkpoints=tuple(rest),
    )


def _asked(frame: Frame) -> tuple[Difference, ...]:
    """Return what the hearer asked about and what the sender answered, for the one who must speak again."""
    found: list[Difference] = []
    meant = entries_of(frame.it.content) or {}
    for content in frame.said.values():
        path = getattr(content, "path", None)
        if path is not None:
            answer = getattr(frame.said.get("value"), "value", getattr(content, "candidate", None))
            found.append(difference(str(path), answer, meant.get(str(path))))
        decision = getattr(content, "decision", None)
        if decision is not None:
            found.append(Difference("decision", str(decision), None))
    reason = getattr(frame.said.get("not-understood"), "reason", None)
    if reason is not None:
        found.append(Difference("message", "something clearer", format_value(reason)))
    return tuple(found)
