"""A step costs the same however long the talk is: counted in bytes, and in what the conversation holds."""

import tracemalloc

import msgspec
import pytest
from talks import ENDS, Talk, rules

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Say
from agentcomm.conversation.step import step

LOOP = (
    """
roles: [a, b]
acts:
  ping: {act: request, content: {n: int, note: text}, outlives: true}
  pong: {act: inform, content: {n: int}, discharges: ping}
states:
  x: {a: {ping: {next: y, max: 100000, then: done}}}
  y: {b: {pong: x}}
"""
    + ENDS
)


def bytes_of_a_step(talk: Talk) -> float:
    """Return the bytes that a step allocates at its peak, on average over 32 steps."""
    total = 0
    for _ in range(32):
        role, act = ("a", "ping") if talk.now.position == "x" else ("b", "pong")
        content = {"n": talk.sent, "note": "x"} if act == "ping" else {"n": talk.sent}
        talk.sent += 1
        given = Say(Message(act=act, content=content, id=f"c:{talk.sent}", sender=role), 1.0)
        tracemalloc.start()
        talk.now, _ = step(talk.now, given)
        total += tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return total / 32


def go_on(talk: Talk, until: int) -> None:
    while talk.now.n < until:
        role, act = ("a", "ping") if talk.now.position == "x" else ("b", "pong")
        talk.sent += 1
        content = {"n": talk.sent, "note": "x"} if act == "ping" else {"n": talk.sent}
        talk.now, _ = step(
            talk.now, Say(Message(act=act, content=content, id=f"c:{talk.sent}", sender=role), 1.0)
        )


def test_what_a_talk_holds_outside_its_record_does_not_grow():
    talk = Talk(rules(LOOP))
    go_on(talk, 100)
    small = {
        name: len(msgspec.json.encode(repr(getattr(talk.now.here, name))))
        for name in ("used", "last", "said", "held")
    }
    go_on(talk, 2000)
    for name, size in small.items():
        assert len(msgspec.json.encode(repr(getattr(talk.now.here, name)))) < size * 1.2, name
    assert len(talk.now.here.ledger.live) <= 1
    assert talk.now.before is not None
    assert len(talk.now.seen) == 2000


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_step_allocates_as_much_at_turn_5000_as_at_turn_100():
    talk = Talk(rules(LOOP))
    go_on(talk, 100)
    early = bytes_of_a_step(talk)
    go_on(talk, 5000)
    late = bytes_of_a_step(talk)
    assert late < early * 1.5, (early, late)
