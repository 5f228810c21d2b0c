"""What a seal says of the state: whatever differs in it shows, what stands in the record before it is not looked at again."""

import msgspec
import pytest
from talks import SHIPPED, Talk, dice_of, shipped, walk, written

from agentcomm.conversation.parts import Position, Shared
from agentcomm.conversation.replaying import replay_inputs
from agentcomm.conversation.state import altered, seal_hash
from agentcomm.conversation.transcript import Transcript


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
    assert seal_hash(altered(talk.now, mended={"c:1": other})) != mark  # what a message was meant as is no record of what was said
    assert here.ledger.n
    for wrong in ({"n": 99}, {"count": 99}, {"live": tuple(here.ledger)}):
        ledger = msgspec.structs.replace(here.ledger, **wrong)
        assert seal_hash(altered(talk.now, ledger=ledger)) != mark


@pytest.mark.parametrize("name", SHIPPED[:4])
@pytest.mark.parametrize("is_older", [False, True])
def test_both_forms_of_seals_are_compared(name: str, is_older: bool):
    talk = talk_of(name)
    right = talk.hash if is_older else seal_hash(talk.now)
    for state in (right, right[:-1] + ("0" if right[-1] != "0" else "1"), "", None):
        found = replay_inputs(talk.rules, Transcript.from_lines(written(talk, state=state)))
        assert found.same == (state == right)
        if state != right:
            assert found.first_difference == "the final state differs"
        else:
            assert found.state_hash == right
