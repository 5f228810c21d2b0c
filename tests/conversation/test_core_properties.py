"""What must hold of every talk, on every shipped protocol and on random ones."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_protocols import random_rules
from talks import (
    ENDS,
    SHIPPED,
    WRONG,
    Talk,
    content_for,
    content_of,
    dice_of,
    floor_of,
    kinds,
    meets,
    on_record,
    only,
    overlay_content,
    rules,
    shipped,
    take_turn,
    value_of,
    walk,
)

from agentcomm.acts.content import content_model, to_plain
from agentcomm.acts.message import Message
from agentcomm.conversation.asides import asides
from agentcomm.conversation.checking import move_for
from agentcomm.conversation.events import (
    Ended,
    Grounded,
    Heard,
    Misfire,
    Moved,
    Refused,
    RepairClosed,
    RepairOpened,
    Say,
    TroubleFound,
)
from agentcomm.conversation.moves import Over, Speak, wants
from agentcomm.conversation.replaying import replay_inputs
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation, altered, state_hash
from agentcomm.conversation.step import step
from agentcomm.conversation.units import units
from agentcomm.grounding.compare import is_same
from agentcomm.protocol.graph import Move

TRIO = (
    """
roles: [chief, left, right]
owner: chief
acts:
  order: {act: request, content: {dose: int, drug: optional text, at: money}, when: dose <= 40, outlives: true}
  agree: {content: {dose: int}}
  done-it: {act: inform, content: {at: money}, discharges: order}
grounding:
  order: {readback: [dose, drug, at]}
  agree: {repeats: {dose: order.dose}}
  done-it: {readback: [at], repeats: {at: order.at}}
states:
  start: {chief: {order: {next: given, to: [left, right]}}, else: off}
  given: {left: {agree: {next: taken, to: [chief, right], owner: left}}}
  taken: {left: {done-it: {next: start, to: [chief, right], max: 2, then: done, owner: chief}}}
limits: {repairs: 3, repairs_in_all: 5}
"""
    + ENDS
)

SEEDS = st.integers(0, 2**30).map(
    lambda seed: dice_of(seed).getrandbits(30)
)  # evenly, also where it is small
MANNERS = st.sampled_from([(1.0, 0.0), (0.8, 0.1), (0.4, 0.5), (0.9, 1.0), (0.1, 0.0), (0.5, 0.9)])
"""How often a read-back is right, and how often somebody asks instead of answering."""

SOME = settings(max_examples=250)
MANY = settings(max_examples=3000, suppress_health_check=list(HealthCheck))


def some_rules(seed: int) -> Rules:
    """Return a shipped protocol or, mostly, a random one."""
    if seed % 4 == 1:
        return rules(TRIO)
    if seed % 4 == 0:
        return shipped(SHIPPED[seed // 4 % len(SHIPPED)])
    found = random_rules(seed % 5000)
    assume(found is not None)
    assert found is not None
    return found


ALSO = {"condition-false": ["incomparable"], "unexpected-act": ["condition-false"]}
"""Refusals that are as good: two currencies, and an act of the overlay that its condition rules out."""

# --- (a) walks ---


def check_walk(made: Rules, seed: int, manner: tuple[float, float]) -> Talk:
    talk = Talk(made)
    honest, asks = manner
    walk(talk, dice_of(seed), honest=honest, asks=asks)
    check_end(talk)
    return talk


def check_end(talk: Talk) -> None:
    """Check what must hold when a talk is over."""
    now = talk.now
    assert now.n == len(only(talk.events, Heard)) <= talk.rules.bound
    assert now.spent <= talk.rules.repairs_in_all
    assert len(only(talk.events, Ended)) == 1
    assert now.frame is None
    opened, closed = only(talk.events, RepairOpened), only(talk.events, RepairClosed)
    assert len(opened) == len(closed) == now.spent
    said = [event for event in only(talk.events, Heard) if event.overlay == "read-back"]
    wrong = [event for event in said if event.message.act == "wrong"]
    assert len(wrong) <= len([event for event in only(talk.events, TroubleFound) if event.kind == "readback"])
    for entry in (one for one in now.ledger if one.is_live):
        assert entry.outlives
        assert entry.status == "detached"
    check_ground(talk)
    check_units(talk)


def check_units(talk: Talk) -> None:
    """Check that the record obeys the table of discourse units, and that what is grounded there is grounded here."""
    found = units(talk.events)
    for said in talk.now.here.said.values():
        assert (found[said.message.id] == "F") == said.grounded or not said.evidence, said
    assert all(found[event.message] == "D" for event in only(talk.events, Moved) if not event.act)


def check_ground(talk: Talk) -> None:
    """Check that what was to be read back is common ground only as every hearer has read it back."""
    acts = talk.rules.protocol.acts
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    grounded: dict[str, dict[str, Any]] = {}
    for event in talk.events:
        if isinstance(event, Heard) and event.overlay == "read-back" and event.message.act == "readback":
            fields = to_plain(event.message.content.fields)
            latest[event.message.about, event.message.sender] = fields
        elif isinstance(event, Grounded) and acts[event.act].readback:
            assert event.criterion == "readback"
            it = talk.now.seen[event.message]
            for hearer in it.receivers:
                understood = latest[event.message, hearer]
                for name, value in event.fields.items():
                    assert is_same(acts[event.act].fields[name], value, understood.get(name)), name
            grounded[event.message] = event.fields
    for label in acts:
        said = talk.now.here.said.get(label)
        if said is not None and said.grounded and acts[label].readback:
            meant = {name: to_plain(getattr(said.message.content, name)) for name in acts[label].readback}
            assert grounded[said.message.id] == meant


@SOME
@given(SEEDS, SEEDS, MANNERS)
def test_any_walk_is_accepted_and_ends_within_the_bound(which, seed, manner):
    check_walk(some_rules(which), seed, manner)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("manner", [(1.0, 0.0), (0.7, 0.3), (0.3, 1.0)])
def test_any_walk_over_a_shipped_protocol_ends_within_the_bound(name, manner):
    for seed in range(3):
        check_walk(shipped(name), seed, manner)


@pytest.mark.long
@pytest.mark.timeout(1200)
@MANY
@given(SEEDS, SEEDS, MANNERS)
def test_many_walks_are_accepted_and_end_within_the_bound(which, seed, manner):
    check_walk(some_rules(which), seed, manner)


@pytest.mark.parametrize("name", SHIPPED)
def test_two_who_only_ask_come_to_an_end(name):
    talk, dice = Talk(shipped(name)), dice_of(1)
    while not isinstance(asked := wants(talk.now), Over):
        if isinstance(asked, Speak) and asked.exits:
            move = dice.choice(asked.exits)
            talk.say(asked.role, move.label, content_of(move.act.fields, dice))
        elif isinstance(asked, Speak) and talk.now.frame is not None:
            move = asked.moves[0]
            talk.say(asked.role, move.label, overlay_content(talk.now, move, dice, honest=1.0))
        elif isinstance(asked, Speak):
            talk.say(asked.role, asked.moves[0].label, content_for(talk.now, asked.moves[0], dice))
        else:
            talk.say(asked.role, asked.move.label)
        assert talk.now.n <= talk.rules.bound
    check_end(talk)
    assert talk.now.spent


@pytest.mark.parametrize("name", SHIPPED)
def test_two_who_only_acknowledge_come_to_an_end(name):
    talk, dice = Talk(shipped(name)), dice_of(1)
    while not isinstance(asked := wants(talk.now), Over):
        fields = [move for move in getattr(asked, "moves", ()) if not move.act.fields]
        if isinstance(asked, Speak) and fields and talk.now.frame is None:
            talk.say(asked.role, fields[0].label)
        else:
            take_turn(talk, asked, dice, honest=1.0, asks=0.0, slow=0.0)
        assert talk.now.n <= talk.rules.bound
    check_end(talk)


@pytest.mark.parametrize("name", SHIPPED)
def test_two_who_talk_nonsense_come_to_an_end(name):
    talk = Talk(shipped(name))
    for n in range(20):
        if talk.ended:
            break
        talk.give(Misfire(floor_of(talk.now), f"nonsense {n}", 0.0))
    assert talk.ended == "aborted"
    assert talk.now.n == 0


# --- (b) deviations ---


def deviations(now: Conversation, dice: random.Random) -> list[tuple[str, Message]]:
    """Return messages that are wrong in one respect, each with the code it should be refused with."""
    asked = wants(now)
    if not isinstance(asked, Speak):
        return []
    found: list[tuple[str, Message]] = []
    roles = now.protocol.roles
    known = {move.label for move in (*asked.moves, *asked.exits, *asides(now, asked.role))}
    labels = {
        *now.protocol.acts,
        *(label for overlay in now.rules.overlays.values() for label in overlay.acts),
    }
    found += [
        ("unexpected-act", Message(act=label, content={}, id="new", sender=asked.role))
        for label in ("no-such-act", *sorted(labels - known))
        if now.frame is not None or move_for(now.state, label) is None
    ]
    for move in asked.moves:
        content = overlay_content(now, move, dice, honest=1.0) if now.frame else content_for(now, move, dice)
        if content is None:
            continue
        whole = Message(act=move.label, content=content, id="new", sender=asked.role)
        change = msgspec.structs.replace
        found += [("unexpected-act", change(whole, sender=role)) for role in roles if role != asked.role]
        found.append(("wrong-party", change(whole, sender="nobody")))
        found.append(("unreadable", change(whole, id="")))
        found.append(("invalid-content", change(whole, content={**content, "zz_extra": 1})))
        found.append(("unknown-reference", change(whole, in_reply_to="never-said")))
        for name, kind in move.act.fields.items():
            if name in content and not kind.optional:
                rest = {other: value for other, value in content.items() if other != name}
                found.append(("invalid-content", change(whole, content=rest)))
            if kind.kind in WRONG:
                wrong = {**content, name: WRONG[kind.kind]}
                found.append(("invalid-content", change(whole, content=wrong)))
        if now.frame and move.label == "wrong":
            found += [("condition-false", change(whole, content=made)) for made in bad_corrections(now, dice)]
        if move.when and now.frame is None:
            for _ in range(10):
                made = content_of(move.act.fields, dice)
                if not meets(now, move, made):
                    found.append(("condition-false", change(whole, content=made)))
                    break
    return found


def bad_corrections(now: Conversation, dice: random.Random) -> list[dict[str, Any]]:
    """Return corrections that what they correct could not have said itself."""
    frame = now.frame
    assert frame is not None
    move = now.state.moves[frame.it.act]
    beneath = altered(now, frame=None)
    found = []
    for name in frame.fields:
        value = value_of(move.act.fields[name], dice)
        whole = {**to_plain(frame.it.content), **to_plain(frame.fields), name: value}
        ref = move.act.repeats.get(name)
        slips = ref and not is_same(move.act.fields[name], *typed(move, name, on_record(now, ref), value))
        if value is not None and (slips or not meets(beneath, move, whole)):
            found.append({"fields": {name: value}})
    return found


def typed(move: Move, name: str, *values: Any) -> list[Any]:
    """Return values in the type of a field."""
    kind = content_model("one", {name: move.act.fields[name]})
    return [getattr(kind.model_validate({name: value}), name) for value in values]


def check_deviations(made: Rules, seed: int) -> None:
    talk, dice = Talk(made), dice_of(seed)
    for _ in range(12):
        asked = wants(talk.now)
        if isinstance(asked, Over):
            return
        mark = state_hash(talk.now)
        floor = floor_of(talk.now)
        for code, message in dice.sample(found := deviations(talk.now, dice), min(8, len(found))):
            after, events = step(talk.now, Say(message, talk.now.at + 1.0))
            assert kinds(events) == ["Refused"], (code, message, events)
            refused: Refused = events[0]
            assert refused.code in {code, *ALSO.get(code, ())}, (code, message, refused)
            counted = message.sender == floor
            assert after.here.misfires == talk.now.here.misfires + counted
            assert state_hash(altered(after, misfires=talk.now.here.misfires)) == mark
            assert bool(refused.legal) == (counted and bool(asked_for(talk.now)))
        assert state_hash(talk.now) == mark
        take_turn(talk, asked, dice, asks=0.2)


def asked_for(now: Conversation) -> tuple[Any, ...]:
    asked = wants(now)
    assert isinstance(asked, Speak)
    return (*asked.moves, *asked.exits)


@SOME
@given(SEEDS, SEEDS)
def test_any_one_step_deviation_is_refused_and_changes_nothing(which, seed):
    check_deviations(some_rules(which), seed)


@pytest.mark.parametrize("name", SHIPPED)
def test_any_one_step_deviation_from_a_shipped_protocol_is_refused(name):
    for seed in range(2):
        check_deviations(shipped(name), seed)


@pytest.mark.long
@pytest.mark.timeout(1200)
@settings(MANY, max_examples=1000)
@given(SEEDS, SEEDS)
def test_many_deviations_are_refused(which, seed):
    check_deviations(some_rules(which), seed)


# --- (c) replay ---


def check_replay(made: Rules, seed: int) -> None:
    talk, dice = Talk(made), dice_of(seed)
    while not isinstance(asked := wants(talk.now), Over):
        if dice.random() < 0.3:
            for _, message in deviations(talk.now, dice)[:2]:
                talk.give(Say(message, talk.at))
            if talk.ended:
                break
        take_turn(talk, asked, dice, honest=0.6, asks=0.2)
    transcript = talk.transcript()
    assert transcript.damage is None
    for _ in range(2):  # reading a transcript does not use it up
        replay = replay_inputs(made, transcript)
        assert replay.first_difference == ""
        assert replay.same
        assert state_hash(replay.conversation) == talk.hash
    assert [type(event) for event in transcript.events()] == [type(event) for event in talk.events]


@SOME
@given(SEEDS, SEEDS)
def test_a_replay_gives_the_same_events_and_the_same_state(which, seed):
    check_replay(some_rules(which), seed)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_replay_of_a_shipped_protocol_gives_the_same(name):
    for seed in range(2):
        check_replay(shipped(name), seed)


@pytest.mark.long
@pytest.mark.timeout(1200)
@settings(MANY, max_examples=1000)
@given(SEEDS, SEEDS)
def test_many_replays_give_the_same(which, seed):
    check_replay(some_rules(which), seed)


# --- (d) grounding, whatever the hearer says ---


@pytest.mark.parametrize("name", ["protocols/sbar-handoff.yaml", "protocols/alternating-offers.yaml"])
@SOME
@given(seed=SEEDS)
def test_no_value_counts_without_a_matching_read_back(name, seed):
    talk, dice = Talk(shipped(name)), dice_of(seed)
    while not isinstance(asked := wants(talk.now), Over):
        frame = talk.now.frame
        if isinstance(asked, Speak) and frame is not None:
            kinds_of = talk.rules.protocol.acts[frame.it.act].fields
            some = {n: kinds_of[n] for n in frame.fields if dice.random() < 0.8}
            for label in ("readback", "right", "wrong"):
                talk.say(asked.role, label, fields=content_of(some, dice))
                talk.say(asked.role, label)
                if talk.ended:
                    break
        if not isinstance(asked := wants(talk.now), Over):
            take_turn(talk, asked, dice, honest=0.5)
        check_ground(talk)
    check_end(talk)
