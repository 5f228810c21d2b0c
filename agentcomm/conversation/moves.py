"""What each role may say now."""

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from agentcomm.acts.content import Money, entries_of, format_value, parse_duration, parse_money, to_plain
from agentcomm.acts.message import Message
from agentcomm.conversation.events import EvidenceWanted
from agentcomm.conversation.parts import Frame, Position, key_of
from agentcomm.conversation.state import Conversation
from agentcomm.grounding.asking import RUNGS
from agentcomm.grounding.compare import Incomparable, holds, is_same
from agentcomm.protocol.graph import Condition, Move, Protocol, Ref, State

__all__ = (
    "Appraise",
    "Joint",
    "Make",
    "Over",
    "Speak",
    "Wants",
    "due",
    "escalates",
    "evidence_wanted",
    "exits",
    "floors",
    "full",
    "given",
    "in_full",
    "legal",
    "limit_of",
    "signature",
    "unmet",
    "wants",
    "wants_all",
    "why_not_ask",
)


_ESCALATE = ("escalate",)


class Speak(msgspec.Struct, frozen=True):
    """A role has the floor."""

    role: str
    moves: tuple[Move, ...]
    exits: tuple[Move, ...]
    """Honest exits: first moves of the overlays that this role may open now."""
    lane: str = ""
    """The member in whose lane it is."""


class Make(msgspec.Struct, frozen=True):
    """One move is left and it carries nothing, so the runtime makes it."""

    role: str
    move: Move
    lane: str = ""


class Joint(msgspec.Struct, frozen=True):
    """A shared role has one turn for several lanes: where they begin, and at a gather."""

    role: str
    lanes: Mapping[str, Speak]
    """Lanes that have no move yet; what is said `for: all` is said once."""


class Appraise(msgspec.Struct, frozen=True):
    """A judge is to say whether a demonstration shows that what was meant was understood."""

    wanted: EvidenceWanted
    lane: str = ""


class Over(msgspec.Struct, frozen=True):
    """Nothing more can happen."""


Wants = Speak | Make | Appraise | Over


def wants(conversation: Conversation, role: str = "") -> Wants:
    """Return what a conversation without lanes, or one lane, waits for.

    Args:
        conversation: A conversation before lanes begin, or the view of a lane.
        role: In a race, whose floor; without it, the first one's.
    """
    if conversation.outcome is not None:
        return Over()
    frame = conversation.here.frame
    if frame is not None and frame.awaits:
        return Appraise(evidence_wanted(conversation, frame), conversation.here.lane)
    role = role or floors(conversation)[0]
    moves = legal(conversation, role)
    lane = conversation.here.lane
    if len(moves) == 1 and moves[0].when and moves[0].act.registered is None:
        move = moves[0]
        if not set(move.act.fields) - set(move.given) and len(floors(conversation)) == 1:
            return Make(role, move, lane)
    return Speak(role, moves, exits(conversation, role), lane)


def evidence_wanted(conversation: Conversation, frame: Frame) -> EvidenceWanted:
    """Return what is asked of the judge: what was meant, with what was added to it since, and what the hearer said."""
    meant: dict[str, Any] = dict(to_plain(frame.it.content))
    if points := [
        point for content in frame.said.values() for point in getattr(content, "points", None) or ()
    ]:
        meant["points"] = points
    restated = dict(to_plain(conversation.seen[frame.awaits].content))
    return EvidenceWanted(frame.awaits, frame.it.id, frame.hearer, meant, restated, conversation.here.lane)


def wants_all(conversation: Conversation) -> tuple[Speak | Make | Joint | Appraise, ...]:
    """Return everything that a conversation waits for now: several lanes and several racing roles may have the floor."""
    if conversation.outcome is not None:
        return ()
    if not conversation.begun:
        roles = floors(conversation) or ("",)
        return tuple(cast("Speak | Make | Appraise", wants(conversation, role)) for role in roles)
    turn = conversation.shared.turn
    found: list[Speak | Make | Joint | Appraise] = []
    joint: dict[str, dict[str, Speak]] = {}
    for name in conversation.members:
        lane = conversation.view(name)
        if lane.outcome is not None:
            continue
        state = lane.state
        if lane.frame is None and (state.gather or is_said_for_all(lane)):
            if not state.gather or (turn is not None and turn.waits_for(name)):
                role = state.speaker
                moves, out = legal(lane), exits(lane, role) if state.gather else ()
                joint.setdefault(role, {})[name] = Speak(role, moves, out, name)
            continue
        for role in floors(lane) or ("",):
            asked = wants(lane, role)
            if not isinstance(asked, Over):
                found.append(asked)
    found += [Joint(role, lanes) for role, lanes in joint.items()]
    return tuple(found)


def due(conversation: Conversation) -> float:
    """Return when the next deadline runs out, of all lanes; infinite if there is none."""
    if conversation.outcome is not None:
        return math.inf
    if not conversation.begun:
        return min(limit_of(conversation.here), conversation.whole)
    turn = conversation.shared.turn
    waiting = (
        limit_of(lane)
        for name, lane in conversation.lanes.items()
        if lane.outcome is None and (turn is None or turn.move(name) is None)
    )
    return min(conversation.whole, *waiting, math.inf)


def limit_of(here: Position) -> float:
    """Return when a position, or the overlay on top of it, expires."""
    return here.deadline if here.frame is None else here.frame.deadline


def is_said_for_all(lane: Conversation) -> bool:
    """Say whether something can be said `for: all` in a lane's state."""
    return any(move.for_all for move in lane.state.moves.values())


def floors(conversation: Conversation) -> tuple[str, ...]:
    """Return the roles that may speak now, by their names in the conversation's protocol."""
    frame = conversation.frame
    if frame is None:
        return conversation.state.speakers
    if frame.awaits:  # the judge's
        return ()
    return (bind(frame, overlay_state(conversation, frame).speaker),)


def floor(conversation: Conversation) -> str:
    """Return the role that may speak now; in a race, the first."""
    return floors(conversation)[0]


def overlay_state(conversation: Conversation, frame: Frame) -> State:
    """Return the state that a running overlay is in."""
    return overlay_of(conversation, frame).states[frame.position]


def overlay_of(conversation: Conversation, frame: Frame) -> Protocol:
    """Return the protocol of a running overlay, fitted to what it is about."""
    return conversation.rules.overlay(frame.overlay, frame.it.act, tuple(frame.fields))


def bind(frame: Frame, role: str) -> str:
    """Return who plays an overlay's role: `sender` said what it is about, `hearer` heard it, or cancels it."""
    if role == "authority":
        return frame.authority
    return frame.sender if role in {"sender", "other"} else frame.hearer


def legal(conversation: Conversation, role: str = "") -> tuple[Move, ...]:
    """Return the moves open to a role that has the floor, in the file's order; without a role, to all that have it."""
    frame = conversation.frame
    if frame is None:
        moves = conversation.state.moves.values()
        return tuple(
            move
            for move in moves
            if role in ("", move.speaker)
            and in_full(conversation, move)
            and not closed(conversation, move)
            and not full(conversation, move)
        )
    return tuple(
        replace(move, speaker=bind(frame, move.speaker), to=tuple(bind(frame, role) for role in move.to))
        for move in overlay_state(conversation, frame).moves.values()
        if in_full(conversation, move)
        and not closed(conversation, move)
        and (frame.asks is None or frame.said or move.label == frame.asks.rung)
    )


def exits(conversation: Conversation, role: str = "") -> tuple[Move, ...]:
    """Return the first moves of the overlays by which a role that has the floor can say that it did not understand."""
    if conversation.frame is not None:
        return ()
    turn = conversation.shared.turn
    if turn is not None and turn.left < len(turn.lanes):  # a gather is asked about before its turn begins
        return ()
    state = conversation.state
    role = role or state.speaker
    heard = conversation.here.last.get(role)
    before = conversation.before
    if heard is None or before is None or conversation.here.latest != heard:
        return ()
    it = _heard(conversation, heard)
    if repairs_left(conversation, before.name, it.act):
        found = conversation.rules.exits(state, role, it.sender)
        tried = f"repair:{before.name}/{it.act}:"
        ways = [
            aside.removeprefix(tried).partition(":")
            for aside in conversation.here.asides
            if aside.startswith(tried)
        ]
        asked = [int(rung) for rung, _, path in ways if not path]  # of all of it, not of one path in it
        if asked:
            gone = RUNGS[: max(asked) + 1]
            return tuple(move for move in found if move.label not in gone)
        return found
    if escalates(conversation, before.name, it, role):
        return conversation.rules.exits(state, role, it.sender, _ESCALATE)
    return ()


def why_not_ask(here: Position, key: str, act: str, path: str) -> str:
    """Return why a hearer may not ask in this way about a path in what was said; an empty text if it may.

    Args:
        here: Where it stands.
        key: State and act of what is asked about.
        act: One of `RUNGS`.
        path: What is asked about; empty for all of it.
    """
    rung, tried = RUNGS.index(act), f"repair:{key}:"
    for aside in here.asides:
        if not aside.startswith(tried):
            continue
        asked, _, where = aside.removeprefix(tried).partition(":")
        if where not in (path, ""):
            continue
        if int(asked) == rung:
            return f"{act!r} was asked about {where or 'this'}; ask in another way"
        if int(asked) > rung:
            return f"{RUNGS[int(asked)]!r} was tried; nothing is asked more narrowly after that"
    return ""


def escalates(conversation: Conversation, state: str, it: Message, hearer: str) -> bool:
    """Say whether a trouble with `it`, said in a state, can be laid before the authority: once, and at the price of a repair."""
    rules = conversation.rules
    if not rules.authority or rules.authority in (it.sender, hearer):
        return False
    return (
        f"escalate:{state}/{it.act}" not in conversation.here.asides
        and conversation.shared.spent < rules.repairs_in_all
    )


def _heard(conversation: Conversation, message: str) -> Message:
    shared = conversation.shared
    return shared.seen[key_of(conversation.id, message, shared.n)][1]


def repairs_left(conversation: Conversation, state: str, act: str) -> int:
    """Return how many repairs are left for an act said in a state."""
    limits = conversation.protocol.limits
    used = conversation.here.repairs.get(f"{state}/{act}", 0)
    return max(0, min(limits.repairs - used, conversation.rules.repairs_in_all - conversation.shared.spent))


def in_full(conversation: Conversation, move: Move) -> bool:
    """Say whether a move's budget leaves it on offer."""
    if move.max is None or move.then:
        return True
    if move.for_all:
        return conversation.shared.tally.get(f"*{move.key}", 0) < move.max
    here = conversation.here
    used = here.frame.used if here.frame is not None else here.used
    return used.get(move.key, 0) < move.max


def full(conversation: Conversation, move: Move) -> bool:
    """Say whether as many lanes as may have made this move, or stand where it leads."""
    cap = conversation.rules.capped.get(move.next)
    if cap is None and move.at_most is None:
        return False
    tally, turn = conversation.shared.tally, conversation.shared.turn
    counts = turn.counts if turn is not None else None
    if move.at_most is not None:
        made = tally.get(move.key, 0) + (counts.get(move.key, 0) if counts is not None else 0)
        if made >= move.at_most:
            return True
    if cap is None:
        return False
    place = f"@{move.next}"
    standing = tally.get(place, 0)
    if counts is not None:
        standing += counts.get(place, 0) - counts.get(f"-{move.next}", 0)
    elif conversation.here.name == move.next:
        standing -= 1
    return standing >= cap


def given(conversation: Conversation, move: Move) -> dict[str, Any]:
    """Return the values on record that the runtime fills a move with."""
    return {name: on_record(conversation, ref) for name, ref in move.given.items()}


def closed(conversation: Conversation, move: Move) -> bool:
    """Say whether a condition that does not depend on the move's own content rules it out."""
    for condition in move.when:
        if isinstance(condition.left, Ref) and condition.left.act != move.label:
            try:
                if unmet(conversation, move, condition, {}) is not None:
                    return True
            except Incomparable:  # whoever says it all the same is told why
                return True
    return False


def unmet(
    conversation: Conversation, move: Move, condition: Condition, content: Mapping[str, Any]
) -> str | None:
    """Return why a condition does not hold, or None if it does.

    Raises:
        Incomparable: If the two values have no order.
    """
    left = condition.left
    if isinstance(left, Ref):
        one = content.get(left.field) if left.act == move.label else on_record(conversation, left)
    else:
        one = content.get(left)
    right = condition.right
    other = on_record(conversation, right) if isinstance(right, Ref) else right
    if other is None and isinstance(right, Ref) and right.act == move.label:
        return None
    if one is None and not isinstance(left, Ref):
        return None
    try:
        if (
            isinstance(right, Ref)
            and conversation.frame is not None
            and "it" in {right.act, getattr(left, "act", "")}
        ):
            kinds = conversation.protocol.acts[conversation.frame.it.act].fields
            same = all(
                is_same(kinds.get(k), v, (entries_of(one) or {}).get(k))
                for k, v in conversation.frame.fields.items()
            )
            met = same if condition.op == "==" else not same
        else:
            met = other is not None and holds(condition.op, one, _typed(one, other))
    except ValueError as error:
        raise Incomparable(f"{condition}: {error}") from None
    if met:
        return None
    record = f" ({format_value(other)})" if isinstance(right, Ref) and other is not None else ""
    return f"must hold: {condition}{record}; it is {format_value(one)}"


def _typed(like: Any, constant: Any) -> Any:
    """Return a constant of the file in the type of the value it is compared with."""
    if isinstance(constant, tuple):
        return tuple(_typed(like, item) for item in cast("tuple[Any, ...]", constant))
    if not isinstance(constant, str):
        return constant
    match like:
        case Money():
            return parse_money(constant)
        case timedelta():
            return parse_duration(constant)
        case datetime():
            return datetime.fromisoformat(constant)
        case date():
            return date.fromisoformat(constant)
        case _:
            return constant


def on_record(conversation: Conversation, ref: Ref) -> Any:
    """Return the latest value said under `act.field`, or None."""
    frame = conversation.here.frame
    if frame is not None:
        if ref.act == "it" and ref.field == "understood" and frame.verdict is not None:
            return frame.verdict
        if ref.act == "it":
            return frame.fields if ref.field == "fields" else getattr(frame.it.content, ref.field, None)
        return getattr(frame.said.get(ref.act), ref.field, None)
    said = conversation.here.said.get(ref.act)
    return None if said is None else getattr(said.message.content, ref.field, None)


def signature(move: Move) -> str:
    """Return `act(field: type, …)`."""
    if move.act.registered is not None:
        fields = {name: str(info.annotation) for name, info in move.act.registered.model_fields.items()}
    else:
        fields = {name: str(kind) for name, kind in move.act.fields.items() if name not in move.given}
    return f"{move.act.name}({', '.join(f'{name}: {kind}' for name, kind in fields.items())})"
