"""Whatever ids messages have, one that comes again is known, at any age, and no other is taken for it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from talks import ENDS, rules

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Duplicate, Heard, Say
from agentcomm.conversation.parts import key_of
from agentcomm.conversation.state import Conversation, state_hash
from agentcomm.conversation.step import open_conversation, step

LOOP = (
    """
roles: [a, b]
acts: {ping: {act: inform, content: {n: int}}, pong: {act: inform, content: {n: int}}}
states:
  x: {a: {ping: {next: y, max: 100000, then: done}}}
  y: {b: {pong: x}}
"""
    + ENDS
)
RULES = rules(LOOP)
TAILS = [
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "01",
    "٣",
    "²",
    "1 ",
    " 1",
    "+1",
    "1_0",
    "-1",
    "0",
    "",
    "x",
    "9" * 40,
    "1.0",
]
IDS = st.one_of(
    st.tuples(st.sampled_from(["c:", "c", "d:", "c:1:", ":", "c::", ""]), st.sampled_from(TAILS)).map(
        "".join
    ),
    st.integers(0, 12).map(lambda n: f"c:{n}"),
    st.text(min_size=1, max_size=4),
)


def say(now: Conversation, name: str, n: int) -> tuple[Conversation, tuple[object, ...]]:
    sender, act = ("a", "ping") if now.position == "x" else ("b", "pong")
    return step(now, Say(Message(act=act, content={"n": n}, id=name, sender=sender), 1.0))


@given(st.lists(IDS, max_size=30))
def test_a_message_counts_if_and_only_if_its_id_is_new(names: list[str]):
    now, _ = open_conversation(RULES, "c")
    said: dict[str, int] = {}
    for n, name in enumerate(names):
        before = state_hash(now)
        now, events = say(now, name, n)
        if name in said:
            assert events == (Duplicate(name, events[0].reply),)
            assert state_hash(now) == before
        elif any(type(event) is Heard for event in events):
            said[name] = n
        assert {key: message.content.n for key, message in now.seen.items()} == said
        assert list(now.seen) == list(said)
        assert all(now.seen.get(other) is None for other in names if other not in said)


@given(st.lists(IDS, max_size=12, unique=True), st.integers(0, 12))
def test_what_is_known_is_by_whose_record_it_is(names: list[str], place: int):
    """Of a conversation as it stood before, what came later is not on record."""
    now, _ = open_conversation(RULES, "c")
    stood = [now]
    for n, name in enumerate(names):
        now, _ = say(now, name, n)
        stood.append(now)
    before = stood[min(place, len(names))]
    for name in names:
        _, events = say(before, name, 0)
        assert any(type(event) is Duplicate for event in events) == (name in before.seen)


@pytest.mark.parametrize("first", [f"c:{1}", "odd", "c:7000"])
def test_one_that_comes_again_late_is_known(first: str):
    now, _ = say(open_conversation(RULES, "c")[0], first, 0)
    for n in range(2, 5000):
        now, _ = say(now, f"c:{n}" if n % 3 else f"other-{n}", n)
    assert now.n == 4999
    for name in (first, "c:2", "c:4999", "other-3", "other-4998"):
        _, events = say(now, name, 0)
        assert [type(event) for event in events] == [Duplicate], name
        assert now.seen[name].id == name
    for name in ("c:5000", "c:3", "other-4", "c:02"):
        assert name not in now.seen
        assert any(type(event) is Heard for event in say(now, name, 0)[1]), name


@given(st.text(max_size=4), st.text(max_size=6), st.text(max_size=6), st.integers(0, 9), st.integers(0, 9))
def test_two_ids_never_have_one_key(conversation: str, one: str, other: str, n: int, m: int):
    for first, second in (
        (one, other),
        (f"{conversation}:{one}", f"{conversation}:{other}"),
        (f"{conversation}:{n}", other),
    ):
        assert (key_of(conversation, first, n) == key_of(conversation, second, m)) == (first == second)
    assert key_of(conversation, one, n) == key_of(conversation, one, m)  # whatever is expected


def test_a_record_that_was_copied_knows_the_same():
    now, _ = open_conversation(RULES, "c")
    for n in range(1, 40):
        now, _ = say(now, f"c:{n}", n)
    shared = msgspec.structs.replace(now.shared, seen=dict(now.shared.seen))
    other = msgspec.structs.replace(now, shared=shared)
    assert state_hash(other) == state_hash(now)
    assert [type(event) for event in say(other, "c:20", 0)[1]] == [Duplicate]
