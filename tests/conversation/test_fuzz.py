"""Any object as input ends in an event or in a usage error, and never in a half-changed state."""

from typing import get_args

import msgspec
import pytest
from fuzz import fuzzed
from talks import LANED, SHIPPED, shipped

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Duplicate, Event, Late, Refused, Say, Superseded
from agentcomm.conversation.state import Conversation, altered, state_hash
from agentcomm.conversation.step import step
from agentcomm.errors import UsageError
from agentcomm.testing.choices import Dice
from agentcomm.testing.walking import Manner, Walk, advance, members_for

_REFUSALS = (Refused, Late, Duplicate, Superseded)


def calm(now: Conversation) -> str:
    """Return the hash of what is the case, whoever has misfired."""
    lanes = now.lanes
    for name in lanes:
        here, before = lanes.at(name)
        lanes = lanes.put(name, msgspec.structs.replace(here, misfires=0), before, lanes.living, lanes.away)
    return state_hash(msgspec.structs.replace(altered(now, misfires=0, at=0.0), lanes=lanes))


def fuzz(name: str, seed: int, inputs: int, *, every: int = 1) -> None:
    """Put so many wrong inputs into talks, each at a place of its own; what they come to is compared each so often."""
    dice = Dice(seed)
    talk = Walk(shipped(name), members=members_for(shipped(name).protocol, dice))
    for n in range(inputs):
        if talk.outcome and dice.chance(0.5):
            talk = Walk(shipped(name), members=members_for(shipped(name).protocol, dice))
        elif not talk.outcome and dice.chance(0.2):
            advance(talk, dice, Manner(asks=0.2))
        given = fuzzed(talk, dice)
        before, was = talk.conversation, ""
        is_compared = n % every == 0
        if is_compared:
            was, exact = calm(before), state_hash(before)
        try:
            after, events = step(before, given)
        except UsageError as error:
            assert error.fix, error  # noqa: PT017
            events, after = (), before
        assert isinstance(events, tuple)
        assert all(isinstance(event, get_args(Event)) for event in events), (given, events)
        if is_compared:
            assert state_hash(before) == exact, given
            if all(isinstance(event, _REFUSALS) for event in events) and after.outcome is None:
                assert calm(after) == was, (given, events)
            state_hash(after)
        if after.outcome is None or dice.chance(0.02):
            talk.conversation = after
            talk.at = after.at


@pytest.mark.parametrize("name", [*SHIPPED, *LANED])
def test_anything_ends_in_an_event_or_a_usage_error(name):
    fuzz(name, 1, 60)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_million_inputs_end_in_an_event_or_a_usage_error():
    names = [*SHIPPED, *LANED]
    for n, name in enumerate(names):
        fuzz(name, 1000 + n, 1_000_000 // len(names) + 1, every=10)


class Word(str):
    """A text of a class of its own."""

    __slots__ = ()


def test_a_text_of_a_class_of_its_own_is_the_text_alone():
    talk = Walk(shipped("protocols/request.yaml"))
    fields = {"act": "request", "id": "one", "sender": "initiator", "made_by": "model", "lane": ""}
    said = Message(content={"action": "dig"}, **{name: Word(text) for name, text in fields.items()})
    talk.give(Say(said, 0.0))
    kept = talk.conversation.seen["one"]
    assert all(type(getattr(kept, name)) is str for name in fields)
    assert state_hash(talk.conversation)


def test_a_text_that_cannot_be_written_down_is_unreadable_wherever_it_stands():
    for name in ("act", "id", "sender", "made_by", "lane", "in_reply_to"):
        talk = Walk(shipped("protocols/request.yaml"))
        fields = {"act": "request", "id": "one", "sender": "initiator", "content": {"action": "dig"}}
        (refused,) = talk.give(Say(Message(**{**fields, name: "a \ud800"}), 0.0))
        assert refused.code == "unreadable", name
