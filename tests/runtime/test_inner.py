"""A conversation within a turn of another: an agent that asks others before it answers."""

import asyncio

import pytest

from agentcomm import Agent, Message, Turn, enact, enact_sync, load, replay
from agentcomm.errors import UsageError
from agentcomm.runtime.replay import read_transcript
from agentcomm.runtime.runtime import Runtime
from agentcomm.store.memory import MemoryStore
from agentcomm.store.sqlite import SQLiteStore
from agentcomm.testing import JumpingClock
from agentcomm.views.story import story_of
from agentcomm.views.terminal import Terminal

REQUEST, NET = load("request"), load("contract-net")


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    made = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "talks.db")
    yield made
    made.close()


def boss() -> Agent:
    agent = Agent("boss")

    @agent.opens
    def ask(turn: Turn):
        return turn.say("request", action="paint the hall")

    return agent


def painter(name: str, price: str, *, paints_for: float = 0.0) -> Agent:
    agent = Agent(name)

    @agent.on("cfp")
    def offer(turn: Turn):
        return turn.say("propose", price=price, plan="two coats")

    @agent.on("accept-proposal")
    async def paint(turn: Turn):
        await asyncio.sleep(paints_for)
        return turn.say("result", summary=f"painted by {name}")

    return agent


def helper(bidders, *, seen=None, deadline=None) -> Agent:
    agent = Agent("helper")

    @agent.opens(protocol="contract-net")
    def call(turn: Turn):
        return turn.say("cfp", goal=turn.brief["goal"], due="2026-12-01T10:00:00Z")

    @agent.on("propose", protocol="contract-net")
    def award(turn: Turn):
        if str(turn.content["price"]) == "800 EUR":
            return turn.say("accept-proposal", price=turn.content["price"])
        return turn.say("reject-proposal", reason="too dear")

    @agent.on("request", protocol="request")
    async def find_somebody(turn: Turn):
        inner = await enact(
            NET,
            cast={"manager": agent, "bidder": bidders},
            brief={"manager": {"goal": turn.content["action"]}},
            deadline=deadline,
            within=turn,
        )
        if seen is not None:
            seen.append(inner)
        if inner.outcome_class != "success":
            return turn.say("failure", reason=f"nobody does it: {inner.outcome}")
        return turn.say("inform-result", result=str(inner.ground["propose.price"]))

    return agent


def test_an_agent_asks_others_before_it_answers(tmp_path):
    bidders = [painter("bea", "900 EUR"), painter("bob", "800 EUR")]
    result = enact_sync(
        REQUEST,
        cast={"initiator": boss(), "participant": helper(bidders)},
        transcript=tmp_path / "talk.jsonl",
    )
    assert (result.outcome, result.ground["result"]) == ("done", "800 EUR")
    (beside,) = [path for path in tmp_path.iterdir() if path.name != "talk.jsonl"]
    inner = read_transcript(beside)
    assert inner.opening.data["within"] == {
        "conversation": result.id,
        "role": "participant",
        "message": f"{result.id}:1",
        "depth": 1,
    }
    notes = [record.data for record in result.transcript.records if record.type == "note"]
    name = inner.opening.data["conversation"]
    assert [note["conversation"] for note in notes] == [name, name]
    assert (notes[1]["outcome"], notes[1]["class"]) == ("success", "success")
    assert beside.name == f"talk.{name.rpartition('.')[2]}.jsonl"
    assert story_of(inner).within == f"a turn of participant in {result.id}"
    assert f"within a turn of participant in {result.id}" in list(
        Terminal(lambda _style, text: text, 0).feed(inner)
    )
    assert not story_of(result.transcript).within
    for transcript in (result.transcript, inner):
        assert replay(transcript).same
        assert transcript.damage is None


async def test_it_ends_no_later_than_the_turn_that_waits_for_it(tmp_path):
    bob = painter("bob", "800 EUR", paints_for=300)  # it may take ten minutes by its own protocol
    with JumpingClock() as clock:
        result = await enact(
            REQUEST,
            cast={"initiator": boss(), "participant": helper([bob])},
            transcript=tmp_path / "talk.jsonl",
        )
        assert clock.elapsed == 60
    assert result.outcome_class == "expired"
    (beside,) = [path for path in tmp_path.iterdir() if path.name != "talk.jsonl"]
    inner = read_transcript(beside)
    assert inner.records[-1].type == "conversation"
    assert inner.records[-1].data["class"] in {"expired", "cancelled"}
    assert replay(inner).same


async def test_a_deadline_of_its_own_counts_if_it_is_sooner():
    seen = []
    bob = painter("bob", "800 EUR", paints_for=300)
    with JumpingClock() as clock:
        cast = {"initiator": boss(), "participant": helper([bob], seen=seen, deadline="10s")}
        result = await enact(REQUEST, cast=cast)
        assert clock.elapsed == 10
    assert result.outcome == "failed"
    assert [inner.outcome_class for inner in seen] == ["expired"]


def test_a_second_try_of_the_turn_comes_to_the_same_conversation():
    calls = []
    agent, other = Agent("helper"), Agent("other")

    @other.on("request")
    def do(turn: Turn):
        calls.append(turn.content["action"])
        return turn.say("inform-result", result=len(calls))

    @agent.opens
    def ask(turn: Turn):
        return turn.say("request", action=turn.brief["what"])

    @agent.on("request")
    async def answer(turn: Turn):
        found = [
            await enact(
                REQUEST,
                cast={"initiator": agent, "participant": other},
                brief={"initiator": {"what": what}},
                within=turn,
            )
            for what in ("one", "two", "two")
        ]
        results = [inner.ground["result"] for inner in found]
        assert len({inner.id for inner in found}) == 3
        if turn.refusal is None:
            return Message(act="nonsense", sender=turn.role)
        return turn.say("inform-result", result=results)

    result = enact_sync(REQUEST, cast={"initiator": boss(), "participant": agent})
    assert result.ground["result"] == [1, 2, 3]
    assert calls == ["one", "two", "two"]


def test_an_agent_that_asks_itself_is_stopped():
    agent = Agent("loop")

    @agent.opens
    def ask(turn: Turn):
        return turn.say("request", action="sing")

    @agent.on("request")
    async def answer(turn: Turn):
        await enact(REQUEST, cast={"initiator": agent, "participant": agent}, within=turn)
        raise AssertionError

    with pytest.raises(UsageError, match="within one another"):
        enact_sync(REQUEST, cast={"initiator": agent, "participant": agent})


async def test_it_takes_no_transcript_of_its_own():
    agent = Agent("helper")

    @agent.on("request")
    async def answer(turn: Turn):
        await enact(NET, cast={}, within=turn, transcript="x.jsonl")

    with pytest.raises(UsageError, match="no transcript"):
        await enact(REQUEST, cast={"initiator": boss(), "participant": agent})


async def test_many_at_once_leave_room_for_one_another(store):
    bidders = [painter("bea", "900 EUR"), painter("bob", "800 EUR")]
    one, two = boss(), helper(bidders)
    async with Runtime(store=store, agents=[one, two, *bidders], turns=2) as runtime:
        cast = {"initiator": one, "participant": two}
        results = await asyncio.wait_for(
            asyncio.gather(*(runtime.run(REQUEST, cast=cast) for _ in range(6))), 30
        )
    assert [result.ground["result"] for result in results] == ["800 EUR"] * 6
    assert len(store.rows()) == 12
    assert replay(results[0].transcript).same


async def test_it_outlives_the_process_and_is_opened_once(store):
    one, bob = boss(), painter("bob", "800 EUR")
    first = helper(["bob"])  # who is not there yet
    async with Runtime(store=store, agents=[one, first], lease=1.0) as runtime:
        name = await runtime.open(REQUEST, cast={"initiator": one, "participant": first})
        while not [wait for wait in store.waiting() if wait.mailbox == "bob"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.wait_for(runtime.drain(), 10)  # what waits for others is not waited for
    assert len(store.rows()) == 2
    async with Runtime(store=store, agents=[one, helper(["bob"]), bob]) as runtime:
        result = await asyncio.wait_for(runtime.outcome(name), 30)
    assert result.ground["result"] == "800 EUR"
    assert len(store.rows()) == 2
    inner = next(row.conversation for row in store.rows() if row.conversation != name)
    assert inner.startswith(f"{name}.")


def test_an_agent_tells_protocols_apart():
    agent = Agent("both")

    @agent.on("request", protocol="request")
    def here(turn: Turn):
        return turn.say("inform-result", result="request")

    @agent.on("request")
    def elsewhere(turn: Turn):
        return turn.say("refuse", reason="not here")

    @agent.on("propse", protocol="contract-net")  # not said here, so it is no mistake here
    def not_here(turn: Turn):
        raise AssertionError

    result = enact_sync(REQUEST, cast={"initiator": boss(), "participant": agent})
    assert result.ground["result"] == "request"
    own = Agent("own")

    @own.on("request", protocol="contract-net")
    def never(turn: Turn):
        raise AssertionError

    with pytest.raises(UsageError, match="in 'contract-net' it has, and this is 'request'"):
        enact_sync(REQUEST, cast={"initiator": boss(), "participant": own})


def test_an_act_of_the_library_is_no_misspelling():
    agent = Agent("helper")

    @agent.on("request")
    def do(turn: Turn):
        return turn.say("inform-result", result=1)

    @agent.on("propose")  # for another protocol; `choose` is an act of the repairs here
    def decide(turn: Turn):
        raise AssertionError

    assert enact_sync(REQUEST, cast={"initiator": boss(), "participant": agent}).outcome == "done"


def asking(name: str, helper, *, at_once: int = 1, finds=None) -> Agent:
    """An agent that asks another before it answers, as often as it is told, all at once."""
    agent = Agent(name)

    @agent.opens(protocol="request")
    def ask(turn: Turn):
        return turn.say("request", action=f"{turn.brief}")

    @agent.on("request", protocol="request")
    async def answer(turn: Turn):
        cast = {"initiator": agent, "participant": helper}
        held = [
            enact(REQUEST, cast=cast, brief={"initiator": number}, within=turn) for number in range(at_once)
        ]
        every = await asyncio.gather(*held)
        if finds is not None:
            finds.extend(every)
        return turn.say("inform-result", result=", ".join(str(one.ground.get("result")) for one in every))

    return agent


def worker(name: str = "worker", *, naps: float = 0.0, begins=None) -> Agent:
    agent = Agent(name)

    @agent.on("request")
    async def do(turn: Turn):
        if begins is not None:
            begins.append(turn.content["action"])
        await asyncio.sleep(naps)
        return turn.say("inform-result", result=f"did {turn.content['action']}")

    return agent


async def killed(runtime: Runtime) -> None:
    """Let a runtime go as a process that is killed does: nothing is given back."""
    runtime._claims.clear()
    runtime._stop_beat.set()
    tasks = [*runtime._tasks, *([runtime._dispatcher] if runtime._dispatcher else [])]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until(holds) -> None:
    for _ in range(400):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


async def test_several_are_held_at_once_within_one_turn(store):
    cast = {"initiator": boss(), "participant": asking("helper", worker(), at_once=3)}
    assert (await enact(REQUEST, cast=cast)).ground["result"] == "did 0, did 1, did 2"
    async with Runtime(store=store, agents=[*cast.values()], turns=1) as runtime:
        result = await asyncio.wait_for(runtime.run(REQUEST, cast=cast), 20)
    assert result.ground["result"] == "did 0, did 1, did 2"
    assert len(store.rows()) == 4


async def test_a_turn_that_waits_loses_no_attempt_to_processes_that_die(store):
    """And what it waits for goes on beside it, though it is suspected of having ended its process."""
    cast = {"initiator": boss(), "participant": asking("helper", "worker")}
    names = []
    for _ in range(6):  # whoever does the work is elsewhere, and is away while six processes come and go
        runtime = Runtime(store=store, agents=[*cast.values()], lease=0.1, attempts=2)
        runtime.start()
        names = names or [await runtime.open(REQUEST, cast=cast) for _ in range(3)]
        await until(lambda runtime=runtime: len(runtime._holding) == 3)
        await killed(runtime)
    async with Runtime(store=store, agents=[*cast.values(), worker()], lease=5, attempts=2) as runtime:
        every = await asyncio.wait_for(asyncio.gather(*(runtime.outcome(name) for name in names)), 20)
    assert {(one.outcome, one.ground["result"]) for one in every} == {("done", "did 0")}
    assert len(store.rows()) == 6


async def test_a_suspect_makes_room_while_it_waits(store):
    """Two turns that lost their process twice are taken alone, and what they then ask for is done in the same process."""
    helper, cuts = asking("helper", "worker"), []
    async with Runtime(store=store, agents=[boss()]) as runtime:
        cast = {"initiator": "boss", "participant": "helper"}
        names = [await runtime.open(REQUEST, cast=cast) for _ in range(2)]
        await until(lambda: {one.mailbox for one in store.waiting()} == {"helper"})
    for _ in range(2):
        runtime = Runtime(store=store, agents=[helper], lease=0.05)

        def dies(at: str, runtime: Runtime = runtime) -> None:
            if at == "before:ask":
                cuts.append(at)
                runtime._claims.clear()  # as a process that is killed gives nothing back
                raise asyncio.CancelledError

        runtime.cut = dies
        runtime.start()
        await until(lambda: len(cuts) >= 2)
        await killed(runtime)
        cuts.clear()
        await asyncio.sleep(0.1)
    assert [one.attempt for one in store.waiting()] == [2, 2]
    async with Runtime(store=store, agents=[helper, worker()], lease=5) as runtime:
        every = await asyncio.wait_for(asyncio.gather(*(runtime.outcome(name) for name in names)), 20)
        assert sum(b'"turn.alone"' in line for name in names for line in runtime.lines(name)) == 2
    assert {one.outcome for one in every} == {"done"}


async def test_what_is_held_ends_with_what_it_is_held_for(store):
    finds = []
    deeper = asking("deeper", "worker")
    cast = {"initiator": boss(), "participant": asking("helper", deeper, finds=finds)}
    async with Runtime(store=store, agents=[*cast.values(), deeper]) as runtime:
        name = await runtime.open(REQUEST, cast=cast)
        await until(lambda: len(store.rows()) == 3)
        await runtime.cancel(name, by="somebody", reason="it rains")
        assert [row.closed is not None for row in store.rows()] == [True] * 3
        inner = await runtime.outcome(store.rows()[1].conversation)
    assert inner.outcome_class == "cancelled"
    assert f"{name} went on without it" in inner.cause
    assert not finds  # the turns that waited are cancelled, too


async def test_what_is_held_is_cancelled_also_by_a_process_that_hosts_nobody(store):
    cast = {"initiator": boss(), "participant": asking("helper", "worker")}
    first = Runtime(store=store, agents=list(cast.values()), lease=0.1)
    first.start()
    name = await first.open(REQUEST, cast=cast)
    await until(lambda: first._holding)
    await killed(first)
    await Runtime(store=store).cancel(name, by="operator", reason="no longer needed")
    assert [row.closed is not None for row in store.rows()] == [True, True]


async def test_what_a_turn_stopped_waiting_for_is_cancelled(store):
    helper = Agent("helper")

    @helper.opens(protocol="request")
    def ask(turn: Turn):
        return turn.say("request", action="paint")

    @helper.on("request", protocol="request")
    async def answer(turn: Turn):
        cast = {"initiator": helper, "participant": "somebody elsewhere"}
        try:
            await asyncio.wait_for(enact(REQUEST, cast=cast, within=turn), 0.2)
        except TimeoutError:
            return turn.say("refuse", reason="nobody is there")
        raise AssertionError("nobody can have answered")

    async with Runtime(store=store, agents=[helper]) as runtime:
        result = await runtime.run(REQUEST, cast={"initiator": boss(), "participant": helper})
        assert result.outcome == "refused"
        assert [row.closed is not None for row in store.rows()] == [True, True]
