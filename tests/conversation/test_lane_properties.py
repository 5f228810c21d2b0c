"""What must hold of every talk with a many-role or with runs, over every protocol of the library."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talks import LANED, Talk, content_for, dice_of, kinds, only, shipped, turn_of_any, walk_lanes

from agentcomm.acts.message import Message
from agentcomm.conversation.checking import move_for
from agentcomm.conversation.events import Ended, Heard, LaneEnded, RepairClosed, RepairOpened, Say
from agentcomm.conversation.moves import Joint, Speak, wants_all
from agentcomm.conversation.replaying import replay_inputs
from agentcomm.conversation.state import Conversation, altered, state_hash
from agentcomm.conversation.step import step

SEEDS = st.integers(0, 2**30).map(lambda seed: dice_of(seed).getrandbits(30))
SOME = settings(max_examples=60)
PLACES = st.sampled_from(LANED)
MANNERS = st.sampled_from([(1.0, 0.0), (0.8, 0.1), (0.4, 0.5), (0.9, 1.0)])
"""How often a read-back is right, and how often somebody asks instead of answering."""


def talk_of(name: str, size: int) -> Talk:
    """Return a new talk over a protocol with about so many members."""
    made = shipped(name)
    least, most = made.protocol.members
    return Talk(made, members=tuple(f"m{n}" for n in range(1, min(max(size, least), most) + 1)))


def check_counts(now: Conversation) -> None:
    """Check that what lanes count together is what a scan says."""
    if not now.begun:
        return
    lanes = [now.view(name) for name in now.members]
    living = [lane for lane in lanes if lane.outcome is None]
    assert now.lanes.living == len(living)
    away = [lane for lane in living if lane.frame is not None or not lane.state.gather]
    assert now.lanes.away == len(away)
    for key, count in now.shared.tally.items():
        assert count >= 0, (key, count)
        if key.startswith("="):
            assert count == sum(lane.outcome is not None and lane.position == key[1:] for lane in lanes)
    for state in now.rules.capped:
        standing = sum(lane.position == state for lane in living)
        assert standing <= now.shared.tally.get(f"@{state}", 0) <= now.rules.capped[state]
    if now.turn is not None:
        assert now.turn.left == sum(map(now.turn.waits_for, now.turn.lanes))
        assert set(now.turn.lanes) == {lane.lane for lane in living}
        assert all(count >= 0 for _, count in now.turn.counts.items())


def check_end(talk: Talk) -> None:
    now = talk.now
    assert now.n == len(only(talk.events, Heard)) <= talk.rules.bound
    assert now.spent <= talk.rules.repairs_in_all
    assert len(only(talk.events, Ended)) == 1
    assert len(only(talk.events, RepairOpened)) == len(only(talk.events, RepairClosed)) == now.spent
    assert len(only(talk.events, LaneEnded)) == len(now.lanes)
    assert all(entry.outlives for entry in now.ledger if entry.is_live)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("name", LANED)
def test_any_walk_through_lanes_ends_within_the_bound(name, size):
    for seed, manner in enumerate([(1.0, 0.0), (0.6, 0.4)]):
        talk = talk_of(name, size)
        walk_lanes(talk, dice_of(seed), honest=manner[0], asks=manner[1])
        check_end(talk)


@SOME
@given(PLACES, SEEDS, MANNERS)
def test_counts_stay_what_a_scan_says(name, seed, manner):
    dice = dice_of(seed)
    talk = talk_of(name, dice.choice([1, 2, 3, 7]))
    while not talk.ended:
        turn_of_any(talk, dice, honest=manner[0], asks=manner[1])
        check_counts(talk.now)
    check_end(talk)


def deviations(now: Conversation, dice: random.Random) -> list[Message]:
    """Return messages that are wrong in one respect."""
    found: list[Message] = []
    change = msgspec.structs.replace
    speaks: list[tuple[Speak, bool]] = []
    for asked in wants_all(now):
        if isinstance(asked, Joint):
            speaks += [(speak, True) for speak in asked.lanes.values()]
        elif isinstance(asked, Speak):
            speaks.append((asked, False))
    for speak, joint in speaks:
        view = now.view(speak.lane) if speak.lane else now
        whole = Message(act="no-such-act", id="new", sender=speak.role, lane=speak.lane)
        found += [whole, change(whole, sender="nobody")]
        if view.frame is not None:
            continue
        found += [
            change(whole, act=label) for label in now.protocol.acts if move_for(view.state, label) is None
        ]
        for move in speak.moves:
            content = content_for(view, move, dice)
            if content is None:
                continue
            lane = "" if move.for_all else speak.lane
            right = change(whole, act=move.label, content=content, lane=lane)
            found.append(change(right, content={**content, "zz_extra": 1}))
            found.append(change(right, in_reply_to="never-said"))
            others = [role for role in now.protocol.roles if role not in view.state.speakers]
            found += [change(right, sender=role) for role in others]
            found += [
                change(right, content={k: v for k, v in content.items() if k != name})
                for name in content
                if not move.act.fields[name].optional
            ]
            if now.begun:
                found.append(change(right, lane="stranger"))
                if not any(one.for_all for one in view.state.moves.values()) or joint:
                    found.append(change(right, lane=speak.lane if move.for_all else ""))
    turn = now.turn
    if turn is not None:
        found += [
            Message(act=said.act, content=said.content, id="new", sender=said.sender, lane=name)
            for name, said in ((lane, turn.move(lane)) for lane in turn.lanes)
            if said is not None
        ]
    return found


@SOME
@given(PLACES, SEEDS)
def test_any_one_step_deviation_in_a_lane_is_refused_and_changes_nothing(name, seed):
    dice = dice_of(seed)
    talk = talk_of(name, dice.choice([1, 2, 3]))
    for _ in range(10):
        if talk.ended:
            return
        mark = state_hash(calm(talk.now))
        for message in dice.sample(found := deviations(talk.now, dice), min(8, len(found))):
            after, events = step(talk.now, Say(message, talk.now.at))
            assert kinds(events) in (["Refused"], ["Late"], ["Superseded"]), (message, events)
            assert state_hash(calm(after)) == mark, message
        turn_of_any(talk, dice, asks=0.2)


def calm(now: Conversation) -> Conversation:
    """Return a conversation in which nobody has misfired."""
    lanes = now.lanes
    for name in lanes:
        here, before = lanes.at(name)
        lanes = lanes.put(name, msgspec.structs.replace(here, misfires=0), before, lanes.living, lanes.away)
    return msgspec.structs.replace(altered(now, misfires=0), lanes=lanes)


@SOME
@given(PLACES, SEEDS)
def test_a_replay_of_lanes_gives_the_same_events_and_the_same_state(name, seed):
    dice = dice_of(seed)
    talk = talk_of(name, dice.choice([1, 2, 3, 7]))
    while not talk.ended:
        if dice.random() < 0.2:
            for message in deviations(talk.now, dice)[:2]:
                talk.give(Say(message, talk.at))
        if not talk.ended:
            turn_of_any(talk, dice, honest=0.6, asks=0.2)
    transcript = talk.transcript()
    assert transcript.damage is None
    replay = replay_inputs(talk.rules, transcript)
    assert replay.first_difference == ""
    assert state_hash(replay.conversation) == talk.hash
    assert [type(event) for event in transcript.events()] == [type(event) for event in talk.events]
    lanes = [event.message.lane for event in talk.events if isinstance(event, Heard)]
    assert lanes == [event.message.lane for event in transcript.events() if isinstance(event, Heard)]
