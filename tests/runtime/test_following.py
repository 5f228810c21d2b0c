"""Looking at hosted conversations: their events as they come, whom they wait for, where they stand."""

import asyncio
from contextlib import aclosing

import pytest

from agentcomm import Agent, Runtime, Turn, load, replay
from agentcomm.conversation.events import Ended, Heard
from agentcomm.errors import StoreError
from agentcomm.store.memory import MemoryStore
from agentcomm.store.sqlite import SQLiteStore

REQUEST, ASK = load("request"), load("ask-a-human")


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    made = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "talks.db")
    yield made
    made.close()


def asker() -> Agent:
    ann = Agent("ann")

    @ann.opens
    def ask(turn: Turn):
        if turn.can("permission"):
            return turn.say("permission", action="restart", why="it leaks", effect="1 min", reversible=True)
        return turn.say("request", action="sing")

    return ann


async def until(holds) -> None:
    for _ in range(400):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


async def seen(runtime: Runtime, name: str, after: int = 0):
    return [one async for one in runtime.follow(name, after=after)]


async def test_events_come_as_they_are_kept_and_once_each(store):
    watched = []
    async with Runtime(
        store=store, agents=[asker()], watch=lambda _, event: watched.append(event)
    ) as runtime:
        name = await runtime.open(REQUEST, cast={"initiator": "ann", "participant": "lena"})
        following = asyncio.create_task(seen(runtime, name))
        await until(lambda: [one.mailbox for one in store.waiting(name)] == ["lena"])
        await runtime.answer(name, "participant", "inform-result", {"result": 42}, by="lena")
        every = await asyncio.wait_for(following, 5)
        late = await seen(runtime, name)
        assert runtime.followers == {}
    assert [repr(event) for _, event in every] == [repr(event) for event in watched]
    assert repr(late) == repr(every)
    assert [number for number, _ in every] == list(range(1, len(every) + 1))
    assert isinstance(every[-1][1], Ended)
    assert [event.message.act for _, event in every if isinstance(event, Heard)] == [
        "request",
        "inform-result",
    ]


async def test_another_process_goes_on_with_the_same_numbers(tmp_path):
    """What one process does is seen by whoever follows in another, though that one hosts nobody and was not even started."""
    path = tmp_path / "talks.db"
    async with Runtime(store=path, agents=[asker()]) as first:
        name = await first.open(REQUEST, cast={"initiator": "ann", "participant": "lena"})
        other = Runtime(store=path)
        before = []
        async with aclosing(other.follow(name)) as events:
            async for number, event in events:
                before.append((number, event))
                if isinstance(event, Heard):
                    break
        rest = asyncio.create_task(seen(other, name, after=before[-1][0]))
        await until(lambda: first.conversations()[0].waits_for == ("lena",))
        await first.answer(name, "participant", "inform-result", {"result": 42}, by="lena")
        after = await asyncio.wait_for(rest, 5)
        assert repr(before + after) == repr(await seen(first, name))
        await other.drain()


async def test_who_follows_stops_when_the_runtime_drains(store):
    runtime = Runtime(store=store, agents=[asker()])
    runtime.start()
    name = await runtime.open(REQUEST, cast={"initiator": "ann", "participant": "lena"})
    following = asyncio.create_task(seen(runtime, name))
    await until(lambda: [one.mailbox for one in store.waiting(name)] == ["lena"])
    await asyncio.sleep(0.02)
    await runtime.drain(1)
    assert await asyncio.wait_for(following, 2)


async def test_what_is_not_there_cannot_be_followed(store):
    with pytest.raises(StoreError) as caught:
        await seen(Runtime(store=store), "conv-1")
    assert caught.value.code == "X406"


async def test_a_person_sees_what_waits_for_them_and_what_they_may_say(store):
    async with Runtime(store=store, agents=[asker()]) as runtime:
        for number in range(3):
            cast = {"agent": "ann", "human": "lena" if number else "mia"}
            await runtime.open(ASK, cast=cast, conversation_id=f"c{number}")
        await until(lambda: len(store.waiting(mailbox="lena")) == 2)
    async with Runtime(store=store) as runtime:  # another process
        turns = await runtime.waiting("lena")
        assert [turn.conversation.id for turn in turns] == ["c1", "c2"]
        (turn,) = await runtime.waiting("lena", conversation="c2")
        assert (turn.role, turn.state, turn.heard.act, turn.content["action"]) == (
            "human",
            "pending",
            "permission",
            "restart",
        )
        assert [move.act.label for move in turn.moves] == ["permit", "forbid", "standby", "ask-back"]
        assert "restart" in turn.why_not("permit", action="stop")
        said = turn.say("permit", action="restart")
        await runtime.answer("c2", turn.role, said.act, said.content, by="lena")
        assert [one.conversation.id for one in await runtime.waiting("lena")] == ["c1"]
        assert await runtime.waiting("nobody") == []
        assert {
            one.conversation: (one.state, one.waits_for) for one in runtime.conversations(closed=None)
        } == {
            "c0": ("open", ("mia",)),
            "c1": ("open", ("lena",)),
            "c2": ("permitted", ()),
        }
        assert [one.conversation for one in runtime.conversations()] == ["c1", "c0"]


async def test_until_when_it_waits_is_what_the_state_gives(store):
    """And not when a timer rings that was set for an earlier state."""
    async with Runtime(store=store, agents=[asker()]) as runtime:
        name = await runtime.open(ASK, cast={"agent": "ann", "human": "lena"})
        await until(lambda: store.waiting(mailbox="lena"))
        assert 4 * 3600 - 5 < await runtime.due(name) - store.now() <= 4 * 3600
        await runtime.answer(name, "human", "permit", {"action": "restart"}, by="lena")
        assert await runtime.due(name) is None


async def test_a_damaged_one_hides_no_other(tmp_path):
    import sqlite3

    notes, path = [], tmp_path / "talks.db"
    async with Runtime(store=path, agents=[asker()]) as runtime:
        for number in range(2):
            cast = {"agent": "ann", "human": "lena"}
            await runtime.open(ASK, cast=cast, conversation_id=f"c{number}")
        await until(lambda: len(runtime.store.waiting(mailbox="lena")) == 2)
    with sqlite3.connect(path) as file:
        for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f"DROP TRIGGER {name}")
        file.execute("UPDATE entry SET lines = x'0041' WHERE conv = 1 AND seq > 0")
    async with Runtime(store=path, note=notes.append) as runtime:
        assert [turn.conversation.id for turn in await runtime.waiting("lena")] == ["c1"]
    assert [one for one in notes if one.startswith("c0 is left as it is")]


async def test_a_slip_of_a_person_costs_no_try_and_opens_no_repair(store):
    async with Runtime(store=store, agents=[asker()]) as runtime:
        name = await runtime.open(ASK, cast={"agent": "ann", "human": "lena"})
        await until(lambda: store.waiting(mailbox="lena"))
        for _ in range(5):
            (told,) = await runtime.answer(name, "human", "permit", {"action": "stop"}, by="lena")
            assert (told.code, told.left) == ("differs", 3)
            assert "restart" in told.reason
            assert "permit(action: text, condition: optional text)" in told.legal
            (told,) = await runtime.answer(name, "human", "permit", {"act": "restart"}, by="lena")
            assert (told.code, told.left) == ("invalid-content", 3)
            (told,) = await runtime.answer(name, "human", "agree", by="lena")
            assert (told.code, told.left) == ("unexpected-act", 3)
        heard = await runtime.answer(name, "human", "permit", {"action": "restart"}, by="lena")
        assert "Refused" not in {type(event).__name__ for event in heard}
        result = await runtime.outcome(name)
    assert (result.outcome, result.repairs, result.messages) == ("permitted", 0, 2)
    tried = [record for record in result.transcript.records if record.type == "turn.rejected"]
    assert len(tried) == 15
    assert {record.data["principal"] for record in tried} == {"lena"}
    assert replay(result.transcript).same


async def test_a_runtime_that_served_many_keeps_nothing_of_them(store, monkeypatch):
    monkeypatch.setattr("agentcomm.runtime.runtime._RESIDENT", 8)
    ann = asker()
    async with Runtime(store=store, agents=[ann]) as runtime:
        for number in range(20):
            who = f"customer {number}"
            name = await runtime.open(REQUEST, cast={"initiator": ann, "participant": who})
            await until(lambda who=who: store.waiting(mailbox=who))
            (turn,) = await runtime.waiting(who)
            ending = asyncio.create_task(runtime.outcome(name))
            await asyncio.sleep(0)
            await runtime.answer(name, turn.role, "inform-result", {"result": number}, by=who)
            assert (await ending).outcome == (await runtime.outcome(name)).outcome == "done"
        assert (runtime._waiters, runtime.followers, runtime._talks) == ({}, {}, {})
        assert len(runtime._castings) <= 8
        await until(lambda: not runtime.is_busy)
        assert len(asyncio.all_tasks()) == 2  # this one, and the one that looks for work
