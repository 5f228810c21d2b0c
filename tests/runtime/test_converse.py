"""A conversation as it happens."""

import asyncio

import pytest

from agentcomm import Agent, converse, load
from agentcomm.conversation.events import Ended, Heard
from agentcomm.errors import UsageError
from agentcomm.runtime.replay import read_transcript
from agentcomm.testing import scripted


def cast(**others):
    ask = scripted(["request", {"action": "sing"}])
    return {"initiator": ask, "participant": scripted("agree", "inform-done")} | others


async def test_events_come_as_they_happen_and_the_result_after_the_last():
    async with converse(load("request"), cast=cast()) as talk:
        with pytest.raises(UsageError, match="no result yet"):
            _ = talk.result
        events = [event async for event in talk]
    assert [event.message.act for event in events if isinstance(event, Heard)] == [
        "request",
        "agree",
        "inform-done",
    ]
    assert isinstance(events[-1], Ended)
    assert talk.result.outcome == "done"
    assert [event async for event in talk] == []


async def test_whoever_only_wants_the_end_waits_for_it():
    async with converse(load("request"), cast=cast()) as talk:
        assert (await talk.end()).outcome == "done"


async def test_leaving_ends_it_as_cancelled_with_its_transcript(tmp_path):
    path = tmp_path / "talk.jsonl"

    async def never(turn):
        await asyncio.sleep(3600)

    async with converse(load("request"), cast=cast(participant=never), transcript=path) as talk:
        async for event in talk:
            if isinstance(event, Heard):
                break
    transcript = read_transcript(path)
    assert transcript.seal is not None
    *_, last = transcript.events()
    assert isinstance(last, Ended)
    assert last.outcome_class == "cancelled"


async def test_what_a_handler_raises_is_raised_after_the_last_event():
    clumsy = Agent("clumsy")

    @clumsy.on("request")
    def fall(turn):
        raise ZeroDivisionError

    async with converse(load("request"), cast=cast(participant=clumsy)) as talk:
        while not isinstance(await anext(talk), Ended):
            pass
        with pytest.raises(ZeroDivisionError):
            await anext(talk)


async def test_a_cast_that_does_not_fit_is_told():
    async with converse(load("request"), cast={}) as talk:
        with pytest.raises(UsageError):
            await anext(talk)
