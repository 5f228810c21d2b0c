"""Many conversations in a store: opened, carried on, left, taken up again."""

import asyncio
import time

import pytest

from agentcomm import Agent, load
from agentcomm.agents.tools import Tool
from agentcomm.conversation.events import Duplicate, Heard
from agentcomm.conversation.transcript import Transcript
from agentcomm.errors import ModelUnavailable, StoreError, UsageError
from agentcomm.models.base import Capabilities, ModelReply
from agentcomm.protocol.library import loads
from agentcomm.runtime.replay import replay
from agentcomm.runtime.runtime import Runtime
from agentcomm.store.memory import MemoryStore
from agentcomm.store.sqlite import SQLiteStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    made = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "talks.db")
    yield made
    made.close()


def asker(name="ann"):
    agent = Agent(name)

    @agent.opens
    def ask(turn):
        return turn.say("request", action="sing")

    return agent


def doer(name="bob"):
    agent = Agent(name)

    @agent.on("request")
    async def agree(turn):
        await asyncio.sleep(0)
        return turn.say("agree")

    @agent.on("request", state="agreed")
    def done(turn):
        return turn.say("inform-result", result="la")

    return agent


REQUEST = load("request")


async def until(is_so):
    while not is_so():  # noqa: ASYNC110  (another process may do it, and sends no event)
        await asyncio.sleep(0.01)


async def test_a_conversation_comes_to_its_end_and_its_record_replays(store):
    ann, bob = asker(), doer()
    seen = []
    async with Runtime(
        store=store, agents=[ann, bob], watch=lambda name, event: seen.append((name, event))
    ) as runtime:
        result = await runtime.run(
            REQUEST, cast={"initiator": ann, "participant": bob}, brief={"participant": "be quick"}
        )
    assert result.outcome == "done"
    assert result.messages == 3
    assert result.transcript.damage is None
    assert replay(result.transcript).same
    assert type(seen[0][1]).__name__ == "Opened"
    assert {name for name, _ in seen} == {result.id}
    row = store.rows()[0]
    assert row.closed is not None
    assert b'"outcome":"done"' in row.about
    assert store.waiting() == []
    assert row.due is None


async def test_many_at_once(store):
    ann, bob = asker(), doer()
    async with Runtime(store=store, agents=[ann, bob], turns=8) as runtime:
        cast = {"initiator": ann, "participant": bob}
        names = [await runtime.open(REQUEST, cast=cast) for _ in range(50)]
        results = await asyncio.gather(*map(runtime.outcome, names))
    assert {result.outcome for result in results} == {"done"}
    assert len({result.id for result in results}) == 50
    assert runtime._talks == {}


async def test_a_person_answers_days_later_and_in_another_process(store):
    ann = asker()
    async with Runtime(store=store, agents=[ann]) as runtime:
        name = await runtime.open(REQUEST, cast={"initiator": ann, "participant": "lena"})
        await until(lambda: [w.mailbox for w in store.waiting(name)] == ["lena"])
    async with Runtime(store=store) as runtime:
        events = await runtime.answer(name, "participant", "sing", {}, by="lena")
        assert [type(event).__name__ for event in events] == ["Refused"]
        await runtime.answer(name, "participant", "inform-result", {"result": 42}, by="lena")
        result = await runtime.outcome(name)
    assert result.outcome == "done"
    assert result.ground["result"] == 42
    assert replay(result.transcript).same


async def test_it_goes_on_where_it_was_left_with_the_protocol_of_then(store, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(REQUEST.text.replace("protocol: request", "protocol: own"))
    ann = asker()
    async with Runtime(store=store, agents=[ann]) as runtime:
        name = await runtime.open(load(path), cast={"initiator": ann, "participant": "bob"})
        await until(lambda: [w.mailbox for w in store.waiting(name)] == ["bob"])
    path.write_text("nothing of the kind")
    async with Runtime(store=store, agents=[doer()]) as runtime:
        result = await runtime.outcome(name)
    assert (result.outcome, result.conversation.protocol.name) == ("done", "own")


async def test_the_same_key_opens_one_conversation(store):
    ann, bob = asker(), doer()
    cast = {"initiator": ann, "participant": bob}
    async with Runtime(store=store, agents=[ann, bob]) as runtime:
        first = await runtime.open(REQUEST, cast=cast, key="order-7")
        assert await runtime.open(REQUEST, cast=cast, key="order-7") == first
        with pytest.raises(StoreError) as caught:
            await runtime.open(REQUEST, cast=cast, key="order-7", brief={"participant": "other"})
        assert caught.value.code == "X405"
        await runtime.outcome(first)
    assert len(store.rows()) == 1


async def test_deadlines_pass_also_while_nobody_is_there(tmp_path):
    path = tmp_path / "talks.db"
    clock = [1_000_000.0]
    store = SQLiteStore(path, clock=lambda: clock[0])
    ann = asker()
    async with Runtime(store=store, agents=[ann]) as runtime:
        name = await runtime.open(REQUEST, cast={"initiator": ann, "participant": "lena"})
        await until(lambda: [w.mailbox for w in store.waiting(name)] == ["lena"])
    clock[0] += 3 * 86400
    async with Runtime(store=store) as runtime:
        result = await runtime.outcome(name)
    assert result.outcome_class == "expired"
    assert replay(result.transcript).same
    store.close()


async def test_a_clock_that_is_set_is_named_and_lets_nothing_expire(tmp_path):
    ahead = [0.0]
    store = SQLiteStore(tmp_path / "talks.db", clock=lambda: time.time() + ahead[0])
    ann, notes = asker(), []
    async with Runtime(store=store, agents=[ann], note=notes.append) as runtime:
        name = await runtime.open(REQUEST, cast={"initiator": ann, "participant": "lena"})
        await until(lambda: [w.mailbox for w in store.waiting(name)] == ["lena"])
        for jump in (86400.0, -2 * 86400.0):
            ahead[0] += jump
            await until(lambda jump=jump: any(f"{jump:+.0f} s" in note for note in notes))
            await asyncio.sleep(0.4)
            row = store.rows(conversation=name)[0]
            assert row.closed is None
            assert 0 < row.due - store.now() < 61
        await runtime.answer(name, "participant", "refuse", {"reason": "no"}, by="lena")
        assert (await runtime.outcome(name)).outcome == "refused"
    store.close()


async def test_a_failing_handler_is_tried_again_and_then_says_so(store):
    ann, bob = asker(), Agent("bob")
    tries = []

    @bob.on("request")
    def fails(turn):
        tries.append(turn)
        raise ValueError("no idea")

    async with Runtime(store=store, agents=[ann, bob], attempts=3, retry=0.01) as runtime:
        result = await runtime.run(REQUEST, cast={"initiator": ann, "participant": bob})
    assert result.outcome == "failed"
    assert len(tries) == 3
    steps = [record.type for record in result.transcript.records if record.kind == "step"]
    assert steps == ["turn.failed"] * 3 + ["dead-letter", "exit.taken"]
    assert replay(result.transcript).same


class Counting:
    """A model that fails at first."""

    name = "counting:"
    provider = "counting"
    capabilities = Capabilities()

    def __init__(self, fails=0, text='{"act":"inform-result","content":{"result":"x"}}'):
        self.fails, self.text, self.asked, self.now, self.most = fails, text, 0, 0, 0

    async def reply(self, request):
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.002)
            if self.asked <= self.fails:
                raise ModelUnavailable("nobody answers")
        finally:
            self.now -= 1
        return ModelReply(text=self.text, model=self.name)

    async def close(self):
        pass


async def test_a_model_that_is_away_is_asked_again_later(store):
    ann, model = asker(), Counting(fails=2)
    bob = Agent("bob", model=model)
    async with Runtime(store=store, agents=[ann, bob], retry=0.01) as runtime:
        result = await runtime.run(REQUEST, cast={"initiator": ann, "participant": bob})
    assert result.outcome == "done"
    assert model.asked == 3


async def test_calls_of_one_model_are_limited(store):
    ann, model = asker(), Counting()
    bob = Agent("bob", model=model)
    async with Runtime(store=store, agents=[ann, bob], model_calls={"counting:": 2}) as runtime:
        cast = {"initiator": ann, "participant": bob}
        names = [await runtime.open(REQUEST, cast=cast) for _ in range(12)]
        await asyncio.gather(*map(runtime.outcome, names))
    assert model.asked == 12
    assert model.most <= 2


async def test_who_has_too_much_to_do_refuses_as_busy(store):
    ann, bob = asker(), doer()
    async with Runtime(store=store, agents=[ann]) as runtime:
        cast = {"initiator": ann, "participant": "bob"}
        names = [await runtime.open(REQUEST, cast=cast) for _ in range(3)]
        await until(lambda: len(store.waiting(mailbox="bob")) == 3)
    async with Runtime(store=store, agents=[ann, bob], backlog=3, turns=1) as runtime:
        runtime._full["bob"] = 1e12
        result = await runtime.run(REQUEST, cast={"initiator": ann, "participant": bob})
        assert result.outcome == "refused"
        assert "busy" in str(result.ground["refuse.reason"])
        runtime._full.clear()
        runtime.has_room.clear()
        assert {(await runtime.outcome(name)).outcome for name in names} == {"done"}


async def test_what_waits_is_counted_whoever_deals_with_it(store):
    """An agent of another process that does not keep up is busy for everybody who shares the store."""
    one, two = (
        Runtime(store=store, agents=[asker()], backlog=3),
        Runtime(store=store, agents=[asker()], backlog=3),
    )
    async with one, two:
        cast = {"initiator": "ann", "participant": "bob"}
        for runtime in (one, two, one):
            await runtime.open(REQUEST, cast=cast)
        await until(lambda: store.backlog("bob", 10) == 3)
        for runtime in (one, two):
            runtime._full.clear()
            runtime.has_room.clear()
            result = await runtime.run(REQUEST, cast=cast)
            assert result.outcome == "refused"
            assert "bob is busy" in str(result.ground["refuse.reason"])
    assert store.backlog("bob", 10) == 3


async def test_who_begins_and_is_busy_is_told_at_once(store):
    async with Runtime(store=store, agents=[asker()], backlog=2) as runtime:
        await runtime.drain(1)
        for _ in range(2):
            await runtime.open(REQUEST, cast={"initiator": "ann", "participant": "bob"})
        runtime._full.clear()
        runtime.has_room.clear()
        with pytest.raises(StoreError) as caught:
            await runtime.open(REQUEST, cast={"initiator": "ann", "participant": "bob"})
    assert caught.value.code == "X413"
    assert len(store.rows()) == 2


async def test_cancelling_from_outside(store):
    ann = asker()
    async with Runtime(store=store, agents=[ann]) as runtime:
        name = await runtime.open(REQUEST, cast={"initiator": ann, "participant": "lena"})
        await runtime.cancel(name, by="ops", reason="no longer needed")
        result = await runtime.outcome(name)
        with pytest.raises(UsageError, match="is over"):
            await runtime.cancel(name, by="ops", reason="again")
    assert result.outcome_class == "cancelled"
    with pytest.raises(StoreError, match="no conversation"):
        await Runtime(store=store).cancel("nowhere", by="ops", reason="x")


def filled(turn, label):
    move = next(move for move in turn.moves if label in (move.label, move.act.name))
    kinds = {
        "text": "x",
        "money": "5 EUR",
        "any": "x",
        "id": "x",
        "datetime": "2030-01-01T00:00:00Z",
        "int": 1,
        "number": 1,
    }
    given = {name: kinds.get(kind.kind, "x") for name, kind in move.act.fields.items() if not kind.optional}
    return {name: value for name, value in given.items() if name not in move.given}


def any_mind(name, wanted):
    """Says the first of the acts in `wanted` that is legal."""
    agent = Agent(name)

    async def speak(turn):
        await asyncio.sleep(0)
        for label in wanted:
            if turn.can(label):
                return turn.say(label, **filled(turn, label))
        raise AssertionError(turn.moves)

    agent.opens(speak)
    return agent, speak


def market(members):
    manager, _ = any_mind("ann", ["cfp", "reject-proposal"])
    taken = []

    @manager.gathers
    async def weigh(turn):
        await asyncio.sleep(0)
        said = []
        for one in turn.lanes.values():
            label = "accept-proposal" if one.can("accept-proposal") and not said else "reject-proposal"
            if one.can("cfp"):
                return one.say("cfp", **filled(one, "cfp"))
            taken.append(one.lane)
            said.append(one.say(label, **filled(one, label)))
        return said

    minds = [manager]
    for number in range(members):
        bidder, bid = any_mind(f"b{number}", ["propose", "result", "inform-done", "inform-result"])
        for act in ("cfp", "accept-proposal"):
            bidder.on(act)(bid)
        minds.append(bidder)
    return minds


async def test_lanes_whose_members_are_in_several_processes(tmp_path):
    net = load("contract-net")
    one, two = SQLiteStore(tmp_path / "talks.db"), SQLiteStore(tmp_path / "talks.db")
    manager, *bidders = market(6)
    cast = {net.many: bidders, next(role for role in net.roles if role != net.many): manager}
    names = {
        role: [b.name for b in given] if isinstance(given, list) else given.name
        for role, given in cast.items()
    }
    async with (
        Runtime(store=one, agents=[manager, *bidders[:3]]) as first,
        Runtime(store=two, agents=bidders[3:]) as second,
    ):
        opened = [await first.open(net, cast=names) for _ in range(5)]
        results = await asyncio.gather(*map(second.outcome, opened))
    for result in results:
        assert result.outcome_class == "success", str(result)
        assert replay(result.transcript).same
        ends = [lane.outcome.kind.value for lane in result.lanes.values()]
        assert ends.count("success") == 1
        assert ends.count("rejected") == 5
    one.close()
    two.close()


def test_packed_transcripts_are_read_by_everything_that_reads_transcripts(tmp_path):
    async def talk():
        store = SQLiteStore(tmp_path / "talks.db")
        ann, bob = asker(), doer()
        async with Runtime(store=store, agents=[ann, bob]) as runtime:
            result = await runtime.run(REQUEST, cast={"initiator": ann, "participant": bob})
            lines = runtime.lines(result.id)
        store.close()
        return lines

    found = Transcript.from_lines(asyncio.run(talk()))
    assert found.damage is None
    assert found.seal is not None
    assert [type(event).__name__ for event in found.events()][-1] == "Ended"


async def test_a_path_is_enough_for_a_store_that_outlives_its_runtime(tmp_path):
    path = tmp_path / "talks.db"
    ann, bob = asker(), doer()
    async with Runtime(store=path, agents=[ann]) as runtime:
        name = await runtime.open(REQUEST, cast={"initiator": ann, "participant": "bob"})
        await until(lambda: runtime.store.waiting(mailbox="bob"))
    with pytest.raises(StoreError, match="closed"):
        await runtime.store.claim(["bob"], 1, 1.0)
    async with Runtime(store=str(path), agents=[bob]) as runtime:
        assert (await runtime.outcome(name)).outcome == "done"


CREW = """
agentcomm: 1
protocol: crew
version: 1
about: Something is done by many; what was not understood is said anew.
roles: {ann: 1, bob: 1..3}
acts:
  order: {act: request, content: {what: text, count: int}}
  told: {act: inform, content: {count: int}, discharges: order}
  failure: {reason: text}
grounding: {order: delivered, told: {repeats: {count: order.count}}}
states:
  ordering: {ann: {order: working}}
  working: {bob: {told: done, failure: failed}}
outcomes: {done: success, failed: failed, expired: expired}
settles: {success: all done, failed: otherwise}
limits: {repairs: 2, repairs_in_all: 9}
"""


async def test_what_is_taken_back_in_a_lane_is_said_anew_and_is_another_message(store):
    """Asked about by its hearer, doubted, or differing from the record: the second saying counts, with calls of its own."""
    made = []

    def count(of: int) -> int:
        made.append(of)
        return of

    ann, crew = Agent("ann"), [Agent("b1"), Agent("b2", things={"web-1": "web", "web-2": "web"}), Agent("b3")]
    ann.tools.update(Agent("_", tools=[count]).tools)

    @ann.opens
    async def order(turn):
        clear = any(trouble.meant == "web-2" or trouble.field == "what" for trouble in turn.troubles)
        return turn.say("order", what="web-2" if clear else "the web", count=await turn.use("count", of=3))

    for act in ("choose", "specify"):
        ann.on(act, overlay="repair")(lambda turn: turn.say("value", value="web-2"))
    for one in crew:

        @one.on("order")
        def work(turn, name=one.name):
            if name == "b1" and turn.content["what"] == "the web":
                return turn.say("specify", path="what", wh="which")
            wrong = name == "b3" and not turn.troubles
            return turn.say("told", count=4 if wrong else 3)

    async with Runtime(store=store, agents=[ann, *crew]) as runtime:
        result = await runtime.run(loads(CREW), cast={"ann": ann, "bob": crew})
    events = list(result.transcript.events())
    assert result.outcome_class == "success", result.conversation.outcome
    assert not [event for event in events if isinstance(event, Duplicate)]
    orders = {}
    for event in events:
        if isinstance(event, Heard) and event.message.act == "order":
            orders.setdefault(event.message.lane, []).append(event.message.id)
    assert {lane: len(ids) for lane, ids in orders.items()} == {"b1": 2, "b2": 2, "b3": 1}
    assert all(len(set(ids)) == len(ids) for ids in orders.values())
    assert len(made) == 5
    assert replay(result.transcript).same


@pytest.mark.parametrize("was_done", [True, False])
async def test_a_tool_that_is_late_and_takes_no_key_stops_the_turn_until_somebody_has_looked(store, was_done):
    calls = []

    async def sing(key: str = "") -> str:
        calls.append(key)
        if len(calls) == 1:
            await asyncio.sleep(20)
        return "la"

    slow = Tool.of(sing, timeout=0.05)
    bob = Agent("bob", tools=[slow])

    bob.on("request")(lambda turn: turn.say("agree"))

    @bob.on("request", state="agreed")
    async def do(turn):
        return turn.say("inform-result", result=await turn.use(slow))

    ann = asker()
    async with Runtime(store=store, agents=[ann, bob]) as runtime:
        name = await runtime.open(REQUEST, cast={"initiator": ann, "participant": bob})
        await until(lambda: store.dead(name))
        (one,) = store.dead(name)
        assert one.reason.startswith("in doubt: bob had begun 'sing' when its 0.05 s were over")
        assert len(calls) == 1
        key = one.reason.rpartition("(")[2].rstrip(")")
        await runtime.decide(name, key, was_done=was_done, result="by hand" if was_done else None, by="eve")
        result = await runtime.outcome(name)
    assert result.outcome == "done"
    assert result.ground["inform-result.result"] == ("by hand" if was_done else "la")
    assert len(calls) == 2 - was_done
    assert replay(result.transcript).same


async def test_a_call_that_was_at_work_when_its_conversation_was_cancelled_is_told_of(store):
    begun = asyncio.Event()

    async def sing() -> str:
        begun.set()
        await asyncio.sleep(20)
        return "la"

    slow = Tool.of(sing)
    ann, bob = asker(), Agent("bob", tools=[slow])
    bob.on("request")(lambda turn: turn.say("agree"))

    @bob.on("request", state="agreed")
    async def do(turn):
        return turn.say("inform-result", result=await turn.use(slow))

    async with Runtime(store=store, agents=[ann, bob]) as runtime:
        name = await runtime.open(REQUEST, cast={"initiator": ann, "participant": bob})
        await begun.wait()
        await runtime.cancel(name, by="eve", reason="no longer needed")
        result = await runtime.outcome(name)
    assert result.outcome_class == "cancelled"
    assert [one.action for one in result.in_doubt] == ["sing"]


async def test_a_doubt_in_a_group_of_tasks_stops_the_turn_for_a_person(store):
    async def sing() -> str:
        await asyncio.sleep(20)
        return "la"

    slow = Tool.of(sing, timeout=0.05)
    bob = Agent("bob", tools=[slow])
    bob.on("request")(lambda turn: turn.say("agree"))

    @bob.on("request", state="agreed")
    async def do(turn):
        async with asyncio.TaskGroup() as group:
            song = group.create_task(turn.use(slow))
        return turn.say("inform-result", result=song.result())

    async with Runtime(store=store, agents=[asker(), bob]) as runtime:
        name = await runtime.open(REQUEST, cast={"initiator": "ann", "participant": bob})
        await until(lambda: store.dead(name))
        (one,) = store.dead(name)
        assert one.reason.startswith("in doubt: bob had begun 'sing'")
        assert store.rows(conversation=name)[0].closed is None


@pytest.mark.timeout(120)
async def test_a_turn_of_many_calls_that_is_taken_again_finds_them_all(tmp_path):
    made, count, tries = [], 500, []

    async def note(number: int, idempotency_key: str) -> str:
        made.append((idempotency_key, number))
        return "noted"

    keyed = Tool.of(note, effect="keyed")
    bob = Agent("bob", tools=[keyed])

    @bob.on("request")
    async def do(turn):
        for number in range(count):
            await turn.use(keyed, number=number)
        tries.append(turn)
        if len(tries) == 1:
            raise ValueError("once more")
        return turn.say("inform-result", result="all")

    store = SQLiteStore(tmp_path / "talks.db", synchronous="normal")
    async with Runtime(store=store, agents=[asker(), bob], retry=0.01) as runtime:
        result = await runtime.run(REQUEST, cast={"initiator": "ann", "participant": bob})
    store.close()
    assert (result.outcome, len(tries)) == ("done", 2)
    assert len(made) == len({key for key, _ in made}) == count
