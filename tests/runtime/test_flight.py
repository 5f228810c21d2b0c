"""Agents that answer at once, one after the other: whatever comes between is dealt with as in any other turn."""

import asyncio

import pytest

from agentcomm import Agent, Runtime
from agentcomm.errors import StoreError
from agentcomm.protocol.library import loads
from agentcomm.runtime.replay import replay
from agentcomm.store.memory import MemoryStore
from agentcomm.store.sqlite import SQLiteStore

PING = """
agentcomm: 1
protocol: ping
version: 1
roles: [a, b]
acts:
  ping: {act: query-ref, content: {n: int}}
  pong: {act: inform, content: {n: int}}
  stop: {act: inform, content: {}}
states:
  x: {a: {ping: {next: y, max: 100000, then: done}, stop: done}}
  y: {b: {pong: x}}
outcomes: {done: success, expired: expired}
limits: {reply_within: 1d, else: expired}
"""


class Failing:
    """Loses the answer of some commits, or does not do them."""

    wrong: dict[int, str] = {}  # noqa: RUF012
    count = 0

    def commit(self, *given, **more):
        self.count += 1
        how = self.wrong.get(self.count, "")
        error = StoreError("the answer was lost", code="X412")
        if how == "undone":
            raise error
        done = super().commit(*given, **more)
        if not how:
            return done

        async def lost():
            await done
            raise error

        if how == "lost":
            return lost()
        return done

    def go_on(self, *given, **more):
        self.count += 1
        how = self.wrong.get(self.count, "")
        error = StoreError("the answer was lost", code="X412")
        if how == "undone":
            raise error
        *given, to = given
        done = super().go_on(*given, Deaf(to, error) if how else to, **more)
        if how and done is not None:
            raise error
        return done


class Deaf:
    """Is told what became of a turn, and passes on that it could not be heard."""

    def __init__(self, to, error):
        self.loop, self._to, self._error = to.loop, to, error

    def settle(self, value, error):
        self._to.settle(None, self._error)


class FailingMemory(Failing, MemoryStore):
    pass


class FailingSQLite(Failing, SQLiteStore):
    pass


def team(turns, *, late=(), failing=(), wrong=()):
    a, b = Agent("a"), Agent("b")
    seen = []

    def ask(turn):
        n = turn.conversation.n
        return turn.say("stop") if n >= turns else turn.say("ping", n=n)

    async def slowly(turn):
        await asyncio.sleep(0.001)
        return turn.say("pong", n=turn.conversation.n)

    def answer(turn):
        n = turn.conversation.n
        seen.append(n)
        if n in failing and seen.count(n) == 1:
            raise ValueError("not yet")
        if n in wrong and seen.count(n) == 1:
            return turn.say("pong", n="many")
        return slowly(turn) if n in late else turn.say("pong", n=n)

    a.opens(ask)
    a.on("pong")(ask)
    b.on("ping")(answer)
    return a, b, seen


@pytest.fixture(params=["memory", "sqlite"])
def make(request, tmp_path):
    def made(wrong=None):
        store = FailingMemory() if request.param == "memory" else FailingSQLite(tmp_path / "talks.db")
        store.wrong = wrong or {}
        return store

    return made


async def held(store, turns=20, count=1, **how):
    a, b, seen = team(turns, **how)
    async with Runtime(store=store, agents=[a, b], retry=0.01) as runtime:
        protocol = loads(PING)
        results = await asyncio.gather(*(runtime.run(protocol, cast={"a": a, "b": b}) for _ in range(count)))
        assert not runtime.is_busy
        assert runtime._claims == {}
    for result in results:
        assert result.outcome == "done"
        assert result.transcript.damage is None
        assert replay(result.transcript).same
    store.close()
    return results, seen


@pytest.mark.parametrize("count", [1, 7])
async def test_they_speak_in_turn(make, count):
    results, seen = await held(make(), count=count)
    assert all(result.messages == 21 for result in results)
    assert len(seen) == 10 * count


@pytest.mark.parametrize("how", ["lost", "undone"])
@pytest.mark.parametrize("nth", [1, 2, 5, 21])
async def test_a_lost_answer_costs_nothing(make, how, nth):
    (result,), seen = await held(make({nth: how}))
    assert result.messages == 21
    assert len(seen) == 10  # nobody was asked a second time


async def test_who_takes_time_fails_or_says_what_does_not_count(make):
    (result,), seen = await held(make(), late=(3, 5, 7), failing=(9,), wrong=(11,))
    assert result.messages >= 21
    assert seen.count(9) == seen.count(11) == 2


async def test_somebody_cancels_in_between(make):
    store = make()
    a, b, _ = team(10**6)
    async with Runtime(store=store, agents=[a, b]) as runtime:
        name = await runtime.open(loads(PING), cast={"a": a, "b": b})
        await asyncio.sleep(0.05)
        await runtime.cancel(name, by="lena", reason="enough")
        result = await runtime.outcome(name)
    assert result.outcome_class == "cancelled"
    assert replay(result.transcript).same
    store.close()


async def test_it_stops_at_the_next_turn_and_goes_on_in_another_process(make, tmp_path):
    store = make()
    a, b, _ = team(4000)
    async with Runtime(store=store, agents=[a, b]) as runtime:
        name = await runtime.open(loads(PING), cast={"a": a, "b": b})
        await asyncio.sleep(0.05)
        await asyncio.wait_for(runtime.drain(), 5.0)
        said = runtime.store.rows(conversation=name)[0]
    assert said.closed is None
    assert [one.is_claimed for one in store.waiting(name)] == [False]
    if isinstance(store, SQLiteStore):
        store.close()
        store = SQLiteStore(tmp_path / "talks.db", synchronous="normal")
    async with Runtime(store=store, agents=[a, b]) as runtime:
        result = await runtime.outcome(name)
    assert (result.outcome, result.messages) == ("done", 4001)
    store.close()


async def test_whoever_watches_and_fails_stops_nothing(make):
    told = []
    a, b, _ = team(6)

    def watch(_name, event):
        if type(event).__name__ == "Heard" and event.n == 3:
            raise ValueError("cannot look")

    store = make()
    async with Runtime(store=store, agents=[a, b], watch=watch, note=told.append) as runtime:
        result = await runtime.run(loads(PING), cast={"a": a, "b": b})
    assert result.outcome == "done"
    assert any("watches failed" in line for line in told)
    store.close()
