"""Races: several may speak, the first counts, and who has nothing to say leaves it to the others."""

import asyncio
import gc
import warnings

import pytest

from agentcomm import Agent, Runtime, Turn, enact, replay
from agentcomm.errors import UsageError
from agentcomm.protocol.library import loads
from agentcomm.store.memory import MemoryStore
from agentcomm.store.sqlite import SQLiteStore
from agentcomm.testing import JumpingClock

RIDE = loads("""
agentcomm: 1
protocol: ride
roles: [sender, courier]
acts:
  request:   {what: text}
  delivered: {act: inform, content: {}, discharges: request}
  refuse:    {reason: text}
  failure:   {reason: text}
  recall:    {act: cancel, content: {reason: text}}
states:
  asking:
    sender: {request: asked}
  asked:
    courier: {refuse: refused, failure: failed, delivered: done}
    sender: {recall: recalled}
    first: sender
    within: 30d
    else: failed
outcomes: {done: success, refused: refused, failed: failed, recalled: cancelled}
""")


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    made = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "talks.db")
    yield made
    made.close()


def sender(how: str) -> Agent:
    agent = Agent("sue")

    @agent.opens
    async def ask(turn: Turn):  # it has heard nothing in either of its states
        if turn.state == "asking":
            return turn.say("request", what="a piano")
        if how == "waits":
            await turn.wait()
        return await asyncio.Event().wait()

    return agent


def courier(naps: float = 0.0) -> Agent:
    agent = Agent("carl")

    @agent.on("request")
    async def ride(turn: Turn):
        await asyncio.sleep(naps)
        return turn.say("delivered")

    return agent


async def until(holds) -> None:
    for _ in range(400):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


@pytest.mark.parametrize("how", ["waits", "hangs"])
async def test_many_races_at_once_take_each_its_turn(store, how):
    """Who lost a race holds no place among the turns at once."""
    cast = {"sender": sender(how), "courier": courier(0.01)}
    async with Runtime(store=store, agents=cast.values(), turns=3) as runtime:
        names = [await runtime.open(RIDE, cast=cast) for _ in range(3)]
        results = await asyncio.wait_for(asyncio.gather(*map(runtime.outcome, names)), 5)
        await asyncio.sleep(0.02)
        assert not runtime.is_busy
    assert {result.outcome for result in results} == {"done"}


async def test_who_waits_takes_no_place_and_may_be_spoken_for_later(store):
    cast = {"sender": sender("waits"), "courier": "carl"}
    async with Runtime(store=store, agents=[cast["sender"]], turns=1) as runtime:
        names = [await runtime.open(RIDE, cast=cast) for _ in range(3)]
        await until(lambda: [one.mailbox for one in store.waiting()] == ["carl"] * 3 and not runtime.is_busy)
        await runtime.answer(names[0], "sender", "recall", {"reason": "it rains"}, by="sue")
        await runtime.answer(names[1], "courier", "delivered", {}, by="carl")
        first, second = await asyncio.gather(*map(runtime.outcome, names[:2]))
        assert (first.outcome, second.outcome) == ("recalled", "done")
        assert all(replay(one.transcript).same for one in (first, second))
        assert first.errors == ()


async def test_who_waits_in_memory_waits_until_the_time_is_up():
    slow = Agent("carl")

    @slow.on("request")
    async def ride(turn: Turn):
        await turn.wait()

    with JumpingClock() as clock:
        result = await enact(RIDE, cast={"sender": sender("waits"), "courier": slow})
        assert clock.elapsed == 30 * 86400
    assert result.outcome == "failed"


async def test_nobody_waits_where_nobody_else_may_speak():
    agent = Agent("sue")

    @agent.opens
    async def ask(turn: Turn):
        await turn.wait()

    with pytest.raises(UsageError) as caught:
        await enact(RIDE, cast={"sender": agent, "courier": courier()})
    assert caught.value.code == "U323"


async def test_a_turn_that_was_not_begun_leaves_no_coroutine_behind():
    quick = Agent("carl")

    @quick.on("request")
    def ride(turn: Turn):
        return turn.say("delivered")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = await enact(RIDE, cast={"sender": sender("waits"), "courier": quick})
        gc.collect()
    assert result.outcome == "done"
    assert len(asyncio.all_tasks()) == 1
