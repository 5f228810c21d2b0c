"""Agents that say what a script says."""

import pytest

from agentcomm import Message, enact, load
from agentcomm.errors import IllegalMove, UsageError
from agentcomm.testing import SILENCE, JumpingClock, scripted


async def talk(initiator, participant):
    with JumpingClock():
        return await enact(load("request"), cast={"initiator": initiator, "participant": participant})


async def test_they_say_line_by_line_what_the_script_says():
    ann = scripted(["request", {"action": "sing"}], name="ann")
    bob = scripted("agree", ["inform-result", {"result": "la la"}], name="bob")
    result = await talk(ann, bob)
    assert result.outcome_class == "success"
    assert result.cast == {"initiator": "ann", "participant": "bob"}
    assert not ann.rest
    assert not bob.rest


async def test_they_keep_what_they_were_offered():
    bob = scripted(["refuse", {"reason": "hoarse"}])
    await talk(scripted(["request", {"action": "sing"}]), bob)
    [offered] = bob.offered
    assert offered.heard.act == "request"
    assert offered.heard.content.action == "sing"
    assert any(move.startswith("refuse(reason: text") for move in offered.moves)
    assert "not-understood" in offered.exits


async def test_a_line_may_be_a_function_of_the_turn_or_a_message():
    def sing(turn):
        return turn.say("inform-result", result=turn.ground["request.action"])

    result = await talk(scripted(Message(act="request", content={"action": "sing"})), scripted("agree", sing))
    assert result.ground["inform-result.result"] == "sing"


async def test_silence_lets_the_deadline_pass():
    result = await talk(scripted(["request", {"action": "sing"}]), scripted(SILENCE))
    assert result.outcome_class == "expired"


async def test_a_script_at_its_end_says_what_could_be_said():
    with pytest.raises(UsageError) as caught:
        await talk(scripted(["request", {"action": "sing"}]), scripted(name="bob"))
    assert "the script of bob is at its end" in str(caught.value)
    assert "refuse(" in str(caught.value)


async def test_a_line_that_may_not_be_said_is_an_illegal_move():
    with pytest.raises(IllegalMove, match="propose"):
        await talk(scripted(["request", {"action": "sing"}]), scripted("propose"))


async def test_something_that_is_no_line_is_told():
    with pytest.raises(UsageError, match="no line of a script"):
        await talk(scripted(7), scripted())


async def test_a_read_back_is_said_by_itself():
    result = await enact(
        load("contract-net"),
        cast={
            "manager": scripted(
                ["cfp", {"goal": "paint", "due": "2026-12-01T18:00:00Z"}],
                {
                    "b1": ["accept-proposal", {"price": "7 EUR"}],
                    "b2": ["reject-proposal", {"reason": "dearer"}],
                },
            ),
            "bidder": {
                "b1": scripted(
                    ["propose", {"price": "7 EUR", "plan": "by hand"}], ["result", {"summary": "done"}]
                ),
                "b2": scripted(["propose", {"price": "9 EUR", "plan": "by hand"}]),
            },
        },
    )
    assert result.outcome == "success"
    assert {name: lane.outcome.name for name, lane in result.lanes.items()} == {
        "b1": "done",
        "b2": "rejected",
    }
