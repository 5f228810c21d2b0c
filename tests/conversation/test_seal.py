"""What a seal says of the state: whatever differs in it shows, and nothing of what was said can be guessed from it."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from talks import LANED, SHIPPED, Talk, dice_of, shipped, walk, written

from agentcomm.acts.content import to_plain
from agentcomm.conversation import state
from agentcomm.conversation.parts import Position, Shared
from agentcomm.conversation.replaying import replay_inputs
from agentcomm.conversation.state import altered, seal_hash
from agentcomm.conversation.step import step
from agentcomm.conversation.transcript import Transcript
from agentcomm.testing.choices import Dice
from agentcomm.testing.walking import Manner, Walk, advance, members_for


def talk_of(name: str) -> Talk:
    talk = Talk(shipped(name))
    walk(talk, dice_of(3), honest=1.0)
    return talk


OTHER = {
    "name": "elsewhere",
    "deadline": 1e6,
    "owner": "nobody",
    "latest": "c:99",
    "misfires": 7,
    "last": {"nobody": "c:99"},
    "used": {"x": 9},
    "repairs": {"x": 9},
    "expired": "x",
    "until": (("x", 1.0),),
    "raced": "x",
    "asides": ("x",),
    "voided": "x",
    "outcome": None,
    "at": 1e6,
    "n": 99,
    "spent": 9,
    "tally": {"x": 9},
}


@pytest.mark.parametrize("field", OTHER)
def test_a_state_that_differs_has_another_seal(field: str):
    talk = talk_of("protocols/request.yaml")
    assert talk.ended
    assert field in {*Position.__struct_fields__, *Shared.__struct_fields__}
    assert seal_hash(altered(talk.now, **{field: OTHER[field]})) != seal_hash(talk.now)


def test_what_was_said_and_promised_shows_in_the_seal():
    talk = talk_of("protocols/request.yaml")
    here, mark = talk.now.here, seal_hash(talk.now)
    act, said = next(iter(here.said.items()))
    other = msgspec.structs.replace(said.message, id="c:99")
    for wrong in (
        msgspec.structs.replace(said, message=other),
        msgspec.structs.replace(said, grounded=not said.grounded),
        msgspec.structs.replace(said, evidence=("x",)),
        msgspec.structs.replace(said, repaired=not said.repaired),
        msgspec.structs.replace(said, before=said),
    ):
        assert seal_hash(altered(talk.now, said={**here.said, act: wrong})) != mark
    assert seal_hash(altered(talk.now, mended={"c:1": other})) != mark
    assert here.ledger.n
    for wrong in ({"n": 99}, {"count": 99}, {"live": tuple(here.ledger)}):
        ledger = msgspec.structs.replace(here.ledger, **wrong)
        assert seal_hash(altered(talk.now, ledger=ledger)) != mark


@pytest.mark.parametrize("name", SHIPPED[:4])
@pytest.mark.parametrize("is_older", [False, True])
def test_both_forms_of_seals_are_compared(name: str, is_older: bool):
    talk = talk_of(name)
    right = talk.hash if is_older else seal_hash(talk.now)
    for mark in (right, right[:-1] + ("0" if right[-1] != "0" else "1"), "", None):
        found = replay_inputs(talk.rules, Transcript.from_lines(written(talk, state=mark)))
        assert found.same == (mark == right)
        if mark != right:
            assert found.first_difference == "the final state differs"
        else:
            assert found.state_hash == right


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from texts_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts_in(one)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("honest", [1.0, 0.1])
@pytest.mark.parametrize("name", [*SHIPPED, *LANED])
def test_nothing_that_was_said_stands_in_it(name: str, honest: float, monkeypatch: pytest.MonkeyPatch):
    hashed: list[bytes] = []
    encode = state._written
    monkeypatch.setattr(state, "_written", lambda view: hashed.append(encode(view)) or hashed[-1])
    tried = 0
    for seed in range(6):
        dice = Dice(seed)
        rules = shipped(name)
        talk = Walk(rules, members=members_for(rules.protocol, dice))
        now, texts = talk.conversation, set[str]()
        for _ in range(40):
            if talk.outcome:
                break
            before = len(talk.steps)
            advance(talk, dice, Manner(honest=honest, asks=0.3, accidents=0.2))
            for given, _ in talk.steps[before:]:
                now, _ = step(now, given)
                message = getattr(given, "message", None)
                if message is not None:
                    texts |= {text for text in texts_in(to_plain(message.content)) if len(text) > 4}
                seal_hash(now)
                known = rules.protocol.text + str(rules.protocol.hash) + now.id
                for text in texts:
                    if text not in known and not any(text in one for one in now.seen):
                        tried += 1
                        assert text.encode() not in hashed[-1], (text, now.position)
    assert tried or name == "protocols/review-loop.yaml"  # whose texts are short


def test_why_it_ended_is_not_in_the_seal():
    """The cause of an end may quote what was said."""
    talk = talk_of("protocols/request.yaml")
    end = talk.now.here.outcome
    assert end is not None
    other = msgspec.structs.replace(end, cause="ask was not understood: price (meant 210.75 EUR)")
    assert seal_hash(altered(talk.now, outcome=other)) == seal_hash(talk.now)
    assert seal_hash(altered(talk.now, outcome=msgspec.structs.replace(end, name="x"))) != seal_hash(talk.now)
