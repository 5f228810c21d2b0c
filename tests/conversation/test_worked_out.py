"""What was worked out once for all conversations comes to what is worked out at each message."""

from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_protocols import random_rules
from talks import LANED, SHIPPED, shipped

from agentcomm.acts.message import Message
from agentcomm.agents.turn import Seat, Turn
from agentcomm.conversation import lanes, plain
from agentcomm.conversation.events import Say
from agentcomm.conversation.parts import Position
from agentcomm.conversation.reading import Unreadable, read, recorded
from agentcomm.conversation.rerun import heard_again
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation, state_hash
from agentcomm.conversation.step import open_conversation, step
from agentcomm.errors import UsageError
from agentcomm.testing.choices import Dice
from agentcomm.testing.walking import Manner, Walk, members_for, walk

SOME = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
MANNER = Manner(honest=0.7, asks=0.15, accidents=0.1)
NAMES = st.one_of(st.sampled_from([*SHIPPED, *LANED]), st.integers(0, 400))
"""Of a shipped protocol, or the seed of a random one."""


def rules_of(name: str | int) -> Rules:
    found = shipped(name) if isinstance(name, str) else random_rules(name)
    assume(found is not None)
    assert found is not None
    return found


def slow(rules: Rules) -> Rules:
    """Return the same laws with nothing worked out."""
    made = replace(rules, kept={})
    vars(made)["plans"] = {}
    return made


def walked(rules: Rules, seed: int) -> Walk:
    dice = Dice(seed)
    return walk(Walk(rules, members=members_for(rules.protocol, dice)), dice, MANNER, length=60)


@SOME
@given(NAMES, st.integers(0, 10**6))
def test_a_walk_is_the_same_message_by_message(name: Any, seed: int):
    rules = rules_of(name)
    talk = walked(rules, seed)
    other, opening = open_conversation(slow(rules), "walk", members=talk.members)
    assert opening == talk.opening
    for given_, events in talk.steps:
        other, told = step(other, given_)
        assert told == events
    assert state_hash(other) == state_hash(talk.conversation)


def made_here(now: Conversation, said: Message, name: str, at: float):
    """Return what becomes of a message as a turn makes it, if it makes a plain move; else None."""
    place = now.view(said.lane) if said.lane and now.begun else now
    if place.outcome is not None or now.outcome is not None or place.frame is not None:
        return None
    move = place.state.moves.get(said.act)
    if move is None:
        return None
    try:
        content = read(move.act, said.content)
    except Unreadable:
        return None
    made = Message(act=move.label, content=content, sender=said.sender, lane=said.lane)
    if said.lane and now.begun:
        return lanes.say_made(now, said.lane, place.here, made, name, "handler", at)
    return None if now.members else plain.say_made(now, made, name, "handler", at)


@SOME
@given(NAMES, st.integers(0, 10**6))
def test_a_message_that_a_turn_made_comes_to_what_a_step_makes_of_it(name: Any, seed: int):
    rules = rules_of(name)
    talk = walked(rules, seed)
    now, _ = open_conversation(rules, "walk", members=talk.members)
    for given_, _ in talk.steps:
        if isinstance(given_, Say):
            it = given_.message
            at = max(given_.at, now.at)
            done = made_here(now, it, "fresh", at)
            if done is not None:
                told = Message(
                    act=it.act,
                    content=it.content,
                    id="fresh",
                    sender=it.sender,
                    made_by="handler",
                    lane=it.lane,
                )
                after, events = step(now, Say(told, at))
                said, made, heard = done
                assert tuple(heard) == events
                assert state_hash(made) == state_hash(after)
                again, same = step(now, said)  # what is kept of it replays
                assert same == events
                assert state_hash(again) == state_hash(after)
        now, _ = step(now, given_)


@SOME
@given(st.sampled_from(SHIPPED), st.integers(0, 10**6))
def test_a_recorded_message_comes_to_what_a_step_makes_of_it(name: str, seed: int):
    rules = shipped(name)
    talk = walked(rules, seed)
    now, _ = open_conversation(rules, "walk", members=talk.members)
    for given_, _ in talk.steps:
        before = now
        kept = recorded(given_)
        now, events = step(before, kept)
        done = heard_again(copied(before), kept) if isinstance(kept, Say) else None
        if done is not None:
            after, told = done
            assert tuple(told) == events
            assert told.length == len(events)
            assert state_hash(after) == state_hash(now)


def copied(now: Conversation) -> Conversation:
    """Return the conversation with a record of its own."""
    shared = msgspec.structs.replace(now.shared, seen=dict(list(now.shared.seen.items())[: now.n]))
    return msgspec.structs.replace(now, shared=shared)


def made_for_lanes(now: Conversation, coming: list[Any]) -> list[tuple[Message, Position]]:
    """Return the moves that come next for an open gather, as its turns make them, and how their lanes stand."""
    found: dict[str, tuple[Message, Position]] = {}
    for one in coming:
        it = one.message if isinstance(one, Say) else None
        if it is None or now.turn is None or not now.turn.waits_for(it.lane) or it.lane in found:
            break
        here = now.lanes[it.lane]
        move = now.view(it.lane).state.moves.get(it.act)
        if move is None:
            break
        try:
            content = read(move.act, it.content)
        except Unreadable:
            break
        found[it.lane] = Message(act=move.label, content=content, sender=it.sender, lane=it.lane), here
    return list(found.values())


def stages_as_steps(rules: Rules, seed: int) -> int:
    """Walk; compare whatever can be staged at once with what single steps make of it; return how many that were."""
    talk, count = walked(rules, seed), 0
    now, _ = open_conversation(rules, "walk", members=talk.members)
    for place, (given_, _) in enumerate(talk.steps):
        several = made_for_lanes(now, [one for one, _ in talk.steps[place:]])
        at = max(given_.at, now.at)
        done = lanes.stage_made(now, several, 9000, "handler", at) if several else None
        if done is not None:
            said, made = done
            after = now
            for n, (one, _) in enumerate(several):
                told = msgspec.structs.replace(one, id=f"walk:{9000 + n}", made_by="handler")
                after, events = step(after, Say(told, at))
                assert tuple(said[n][1]) == events
            assert state_hash(made) == state_hash(after)
            again = now
            for one, events in said:  # what is kept of it replays
                again, same = step(again, one)
                assert same == tuple(events)
            assert state_hash(again) == state_hash(after)
            count += 1
        now, _ = step(now, given_)
    return count


@SOME
@given(st.sampled_from(LANED), st.integers(0, 10**6))
def test_what_a_turn_made_for_several_lanes_comes_to_what_steps_make_of_it(name: str, seed: int):
    stages_as_steps(shipped(name), seed)


def test_gathers_go_this_way():
    """The one above would hold if nothing were staged at once."""
    assert sum(stages_as_steps(shipped("protocols/contract-net.yaml"), seed) for seed in range(60)) > 5


def says_for_all_as_steps(rules: Rules, seed: int) -> int:
    """Walk; compare whatever is said for all with what a step makes of it; return how much was said so."""
    talk, count = walked(rules, seed), 0
    now, _ = open_conversation(rules, "walk", members=talk.members)
    for given_, _ in talk.steps:
        it, at = given_.message if isinstance(given_, Say) else None, max(given_.at, now.at)
        here = next((one for one in now.lanes.values() if one.outcome is None), None)
        move = None if here is None else rules.protocol.states[here.name].moves.get(it.act if it else "")
        if it is not None and move is not None and now.outcome is None:
            try:
                made = Message(
                    act=move.label, content=read(move.act, it.content), sender=it.sender, lane=it.lane
                )
            except Unreadable:
                made = None
            done = made and lanes.say_for_all_made(now, made, "fresh", "handler", at)
            if done:
                said, after, events = done
                other, told = step(now, Say(msgspec.structs.replace(it, id="fresh", made_by="handler"), at))
                assert tuple(events) == told
                assert state_hash(after) == state_hash(other)
                again, same = step(now, said)  # what is kept of it replays
                assert same == told
                assert state_hash(again) == state_hash(after)
                count += 1
        now, _ = step(now, given_)
    return count


@SOME
@given(st.one_of(st.sampled_from(LANED), st.integers(0, 400)), st.integers(0, 10**6))
def test_what_a_turn_made_for_all_lanes_comes_to_what_a_step_makes_of_it(name: Any, seed: int):
    says_for_all_as_steps(rules_of(name), seed)


def test_what_is_said_for_all_goes_this_way():
    """The one above would hold if nothing did."""
    assert sum(says_for_all_as_steps(shipped("protocols/dutch-auction.yaml"), seed) for seed in range(20)) > 5


@SOME
@given(NAMES, st.integers(0, 10**6))
def test_a_turn_answers_the_message_that_is_on_record(name: Any, seed: int):
    """It is looked for among what was said last of each act; the record says what it is."""
    rules = rules_of(name)
    talk = walked(rules, seed)
    now, _ = open_conversation(rules, "walk", members=talk.members)
    for given_, _ in talk.steps:
        now, _ = step(now, given_)
        for lane in now.lanes if now.begun else ("",):
            here = now.view(lane).here if lane else now.here
            if here.frame is None:
                for role, heard in here.last.items():
                    seat = Seat(role, role, role, None, None, cast("Any", None))
                    assert Turn(now, seat, cast("Any", None), lane).heard == now.seen[heard]


def test_members_are_looked_at_again_where_others_take_part():
    """What was begun for a cast is not taken for another cast."""
    rules = shipped("protocols/contract-net.yaml")
    first, opened = open_conversation(rules, "one", members=("ann", "bob"))
    again, same = open_conversation(rules, "two", members=("ann", "bob"), whole=1.0)
    other, _ = open_conversation(rules, "three", members=("bob", "ann", "eve"))
    assert again.lanes is first.lanes
    assert same == opened
    assert (again.id, again.whole) == ("two", 1.0)
    assert [*other.lanes] == ["bob", "ann", "eve"]
    with pytest.raises(UsageError, match="two bidders have one name"):
        open_conversation(rules, "four", members=("ann", "ann"))


def test_most_messages_of_a_plain_talk_go_this_way():
    """The two above would hold if nothing were worked out."""
    rules = shipped("protocols/request.yaml")
    now, _ = open_conversation(rules, "walk")
    assert rules.plans
    made = Message(
        act="request",
        content=read(rules.protocol.acts["request"], {"action": "paint"}),
        sender=next(iter(rules.protocol.roles)),
    )
    assert plain.say_made(now, made, "m1", "handler", 0.0) is not None
    other = made_here(now, Message(act="request", content={}, sender="participant"), "m1", 0.0)
    assert other is None


def test_protocols_with_lanes_have_moves_that_are_worked_out():
    assert shipped("protocols/contract-net.yaml").plans
