"""The border: whatever a speaker gives, a step returns, the record can be written, and a replay reads the same."""

import json
import math
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talks import ENDS, Talk, eur, kinds, one, refusal, rules, shipped

from agentcomm.acts.content import Content, FieldType, Money, content_model, to_plain
from agentcomm.acts.frozen import FrozenDict, FrozenList, freeze
from agentcomm.acts.message import Message
from agentcomm.conversation.events import Heard, Leave, Misfire, Say
from agentcomm.conversation.moves import Over, wants
from agentcomm.conversation.replaying import replay_inputs
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import state_hash
from agentcomm.protocol.library import loads

ALL = (
    """
roles: [a, b]
acts:
  tell:
    act: inform
    content: {t: optional text, i: optional int, n: optional number, b: optional bool, d: optional date,
              at: optional datetime, f: optional duration, m: optional money, k: optional id, x: optional any,
              l: optional list of any, c: optional kind, p: optional pair}
  bye: {act: inform, content: {}}
types: {kind: [low, 1, true], pair: {x: any, y: optional int}}
states:
  s: {a: {tell: {next: s, max: 5}, bye: done}}
"""
    + ENDS
)

ANY = (
    """
roles: [a, b]
acts: {tell: {act: inform, content: {x: any, l: list of text}}}
states: {s: {a: {tell: done}}}
"""
    + ENDS
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
ODD = st.sampled_from(
    [
        math.nan, math.inf, "\ud800", b"bytes", {1, 2}, object(), -(2**1024), (1, (2,)), {1: 2}, {None: 1},
        Decimal("NaN"), Decimal("1E+999"), Money(Decimal("NaN"), "EUR"), Money("five", "euro"), timedelta(-5),
        timedelta(microseconds=1500), date(2026, 1, 1), "99999999999999d", int, ...,
        {"\ud800": 1}, [[[[[[[[]]]]]]]], 1e308, "2026-01-01T00:00:00+00:53", -0.0, 2**64, True,
    ]
)  # fmt: skip
FIELDS = ("t", "i", "n", "b", "d", "at", "f", "m", "k", "x", "l", "c", "p")


def check_saying(talk: Talk, message: Message) -> None:
    talk.give(Say(message, 1.0))
    transcript = talk.transcript()
    assert transcript.damage is None
    replay = replay_inputs(talk.rules, transcript)
    assert replay.first_difference == ""
    assert state_hash(replay.conversation) == talk.hash


@settings(max_examples=120)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON | ODD, max_size=3))
def test_any_content_is_read_or_refused_and_replays(content):
    check_saying(Talk(rules(ALL)), Message(act="tell", content=content, id="m", sender="a"))


@settings(max_examples=60)
@given(JSON | ODD)
def test_any_data_in_place_of_content_is_refused_or_read(content):
    check_saying(Talk(rules(ALL)), Message(act="tell", content=content, id="m", sender="a"))


@settings(max_examples=120)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON | ODD, max_size=3))
def test_content_built_without_validation_does_not_get_through(fields):
    kind = rules(ALL).protocol.acts["tell"].content
    made = kind.model_construct(**fields)
    talk = Talk(rules(ALL))
    check_saying(talk, Message(act="tell", content=made, id="m", sender="a"))
    said = talk.now.here.said.get("tell")
    if said is not None:
        assert kind.model_validate_json(json.dumps(to_plain(said.message.content))) == said.message.content


WORDS: Any = (
    st.text(max_size=6)
    | JSON
    | ODD
    | st.sampled_from(["tell", "bye", "a", "b", "m", "not-understood", "right"])
)


@settings(max_examples=150)
@given(st.lists(st.tuples(WORDS, WORDS, WORDS, WORDS, JSON), min_size=1, max_size=3))
def test_any_envelope_gets_an_answer(given_messages):
    talk = Talk(rules(ALL))
    for act, name, sender, reply, content in given_messages:
        check_saying(talk, Message(act=act, id=name, sender=sender, in_reply_to=reply, content=content))


@pytest.mark.parametrize("text", ["\ud800", "x" * 100_000, ""])
def test_any_reason_can_be_written_down(text):
    talk = Talk(rules(ALL))
    talk.give(Misfire(text, text, 0.0))
    talk.give(Misfire("a", text, 0.0))
    talk.give(Leave("a", text, 0.0))
    transcript = talk.transcript()
    assert transcript.damage is None
    assert replay_inputs(talk.rules, transcript).same


def test_speakers_fuzz_every_turn_of_a_real_talk():
    talk = Talk(shipped("protocols/sbar-handoff.yaml"))
    junk = [
        None,
        [],
        {},
        {"fields": None},
        {"fields": {"situation": 1}},
        {"reason": "\ud800"},
        {"fields": {"x": {}}},
    ]
    acts = ("handoff", "readback", "wrong", "right", "specify", "value", "not-understood", "i-have-it")
    for n, role in enumerate(("giver", "taker") * 40):
        for act in acts:
            talk.give(
                Say(Message(act=act, content=junk[n % len(junk)], id=f"{n}{act}{role}", sender=role), 0.0)
            )
    assert isinstance(wants(talk.now), Over)
    assert replay_inputs(talk.rules, talk.transcript()).same


# --- what is kept ---


def test_an_empty_value_that_is_required_is_said_and_kept():
    talk = Talk(rules(ANY))
    kind = talk.rules.protocol.acts["tell"].content
    talk.say("a", "tell", kind(x=None, l=[]))
    assert talk.ended == "done"
    assert to_plain(talk.now.here.said["tell"].message.content) == {"x": None, "l": []}
    assert replay_inputs(talk.rules, talk.transcript()).same


def test_what_the_speaker_does_with_its_data_afterwards_does_not_change_the_record():
    talk = Talk(rules(ANY))
    inner, texts = {"a": [1]}, ["x"]
    talk.say("a", "tell", {"x": inner, "l": texts})
    mark = talk.hash
    inner["a"].append(2)
    texts.append("y")
    assert talk.hash == mark
    assert (
        replay_inputs(talk.rules, talk.transcript()).same is False
    )  # the input kept by this test was changed
    kind = talk.rules.protocol.acts["tell"].content
    talk = Talk(rules(ANY))
    talk.say("a", "tell", kind(x=inner, l=texts))
    mark = talk.hash
    inner["a"].append(3)
    texts.append("z")
    assert talk.hash == mark


def test_nobody_who_hears_can_change_what_was_said():
    talk = Talk(rules(ANY))
    content = one(talk.say("a", "tell", {"x": {"a": [1]}, "l": ["x"]}), Heard).message.content
    for change in (
        lambda: content.l.append("y"),
        lambda: content.l.__setitem__(0, "y"),
        content.l.sort,
        lambda: content.x.update(b=1),
        content.x["a"].clear,
        lambda: content.x.__ior__({"b": 1}),
        lambda: setattr(content, "x", 1),
    ):
        with pytest.raises((TypeError, ValueError)):
            change()
    assert content.l == ["x"]
    assert content.x == {"a": [1]}


def test_a_copy_of_what_was_said_is_ones_own():
    import copy
    import pickle

    frozen = freeze({"a": [1, {"b": [2]}]})
    assert isinstance(frozen, FrozenDict)
    assert isinstance(frozen["a"], FrozenList)
    for mine in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):  # noqa: S301
        mine["a"].append(3)
        mine["a"][1]["b"].append(4)
        assert mine == {"a": [1, {"b": [2, 4]}, 3]}
    assert frozen == {"a": [1, {"b": [2]}]}
    assert json.dumps(frozen) == '{"a": [1, {"b": [2]}]}'


@pytest.mark.parametrize("text", ["99999999999999d", "1e9d", "-5s", "5", ""])
def test_a_duration_beyond_all_measure_is_refused(text):
    talk = Talk(rules(ALL))
    assert refusal(talk.say("a", "tell", {"f": text})) == "invalid-content"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"x": math.nan}, "finite"),
        ({"x": 10**5000}, "finite"),
        ({"x": "x" * 2_000_000}, "bytes"),
        ({"t": "x" * 20_001}, "20000"),
        ({"m": Money(Decimal("NaN"), "EUR")}, "amount"),
        ({"m": "5"}, "amount"),
        ({"d": "2026-13-01"}, "date"),
        ({"i": 1.0}, "integer"),
        ({"b": "true"}, "boolean"),
        ({"b": 1}, "boolean"),
        ({"z" * 5000: 1}, "zzzz"),
    ],
)
def test_a_refusal_says_why_in_few_words(content, words):
    talk = Talk(rules(ALL))
    (refused,) = talk.say("a", "tell", content)
    assert refused.code == "invalid-content"
    assert words in refused.reason
    assert len(refused.reason) <= 300


def test_typed_data_is_taken_as_it_is_written():
    talk = Talk(rules(ALL))
    given = {"d": date(2026, 1, 2), "f": timedelta(seconds=90), "m": eur("1.50"), "l": (1, 2)}
    heard = one(talk.say("a", "tell", given), Heard)
    assert to_plain(heard.message.content) == {"d": "2026-01-02", "f": "1m30s", "m": "1.50 EUR", "l": [1, 2]}
    assert "Refused" not in kinds(talk.events)


class Level(Enum):
    LOW = "low"
    HIGH = "high"


class Report(Content):
    level: Level
    key: UUID
    tags: list[str]


REGISTERED = (
    """
roles: [a, b]
acts: {tell: {act: inform, content: Report}}
states: {s: {a: {tell: done}}}
"""
    + ENDS
)


@pytest.mark.parametrize("typed", [True, False])
def test_a_class_of_ones_own_is_read_from_what_it_writes(typed):
    protocol = loads("agentcomm: 1\nprotocol: p\nversion: 1\n" + REGISTERED, types={"Report": Report})
    talk = Talk(Rules(protocol, rules(ALL).overlays))
    key = UUID(int=7)
    made: Any = (
        Report(level=Level.LOW, key=key, tags=["x"])
        if typed
        else {"level": "low", "key": str(key), "tags": []}
    )
    content = one(talk.say("a", "tell", made), Heard).message.content
    assert (type(content), content.level, content.key) == (Report, Level.LOW, key)
    assert replay_inputs(talk.rules, talk.transcript()).same


def test_a_class_whose_validator_breaks_is_a_refusal_not_a_crash():
    from pydantic import field_validator

    class Broken(Content):
        x: int

        @field_validator("x")
        @classmethod
        def _break(cls, value: int) -> int:
            return 1 // (value - value)

    protocol = loads(
        "agentcomm: 1\nprotocol: p\nversion: 1\n" + REGISTERED.replace("Report", "Broken"),
        types={"Broken": Broken},
    )
    talk = Talk(Rules(protocol, rules(ALL).overlays))
    assert refusal(talk.say("a", "tell", {"x": 1})) == "invalid-content"


def test_a_nested_map_built_without_validation_does_not_get_through():
    talk = Talk(rules(ALL))
    kind = talk.rules.protocol.acts["tell"].content
    pair = content_model("pair", {"x": FieldType("any"), "y": FieldType("int", optional=True)})
    made = kind.model_construct(p=pair.model_construct(x=1, y="not a number"))
    assert refusal(talk.say("a", "tell", made)) == "invalid-content"
