"""Conversations taken up from snapshots: the same as from their beginning, and from there where a snapshot does not fit."""

import asyncio
import sqlite3

import pytest

from agentcomm import Agent, Runtime, load
from agentcomm.models.base import Capabilities, ModelReply
from agentcomm.protocol.library import loads
from agentcomm.runtime import hosted
from agentcomm.runtime.replay import replay
from agentcomm.store.memory import MemoryStore
from agentcomm.store.sqlite import SQLiteStore

LOOP = """
agentcomm: 1
protocol: loop
version: 1
roles: [a, b]
acts:
  ask:  {act: query-ref, content: {n: int}}
  tell: {act: inform, content: {n: int}, discharges: ask}
  stop: {act: inform, content: {}}
states:
  x: {a: {ask: {next: y, max: 100000, then: done}, stop: done}}
  y: {b: {tell: x}}
outcomes: {done: success, expired: expired}
limits: {reply_within: 1d, else: expired}
"""


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    made = (
        MemoryStore()
        if request.param == "memory"
        else SQLiteStore(tmp_path / "talks.db", synchronous="normal")
    )
    yield made
    made.close()


def team(turns):
    a, b = Agent("a"), Agent("b")

    async def ask(turn):
        await asyncio.sleep(0)
        if turn.conversation.n >= turns:
            return turn.say("stop")
        return turn.say("ask", n=turn.conversation.n)

    a.opens(ask)
    a.on("tell")(ask)
    b.on("ask")(lambda turn: turn.say("tell", n=turn.heard.content.n))
    return [a, b]


async def some(store, turns=90, left_at=50):
    """Hold a talk, leave it in the middle, and return its id."""
    agents = team(turns)
    async with Runtime(store=store, agents=agents) as runtime:
        name = await runtime.open(loads(LOOP), cast={"a": agents[0], "b": agents[1]})
        while runtime._talks[name].conversation.n < left_at:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await runtime.drain(0.0)
    return name


async def finished(store, name, turns=90):
    notes = []
    async with Runtime(store=store, agents=team(turns), note=notes.append) as runtime:
        result = await runtime.outcome(name)
    return result, notes


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(hosted, "_EACH", 20)


async def test_it_goes_on_from_its_snapshot_and_its_record_replays(store):
    name = await some(store)
    runtime = Runtime(store=store)
    talk = await runtime._talk(name)
    assert talk.snapped is not None
    assert talk.snapped.shared.n >= 40
    before = talk.conversation
    assert dict.__len__(before.shared.seen) < before.n == len(before.seen)
    result, notes = await finished(store, name)
    assert (result.outcome, result.messages) == ("done", 91)
    assert replay(result.transcript).same
    assert notes == []
    assert store.snapshot(name) is None  # nobody takes up what is over


async def test_what_is_old_is_read_when_somebody_asks(store):
    name = await some(store)
    talk = await Runtime(store=store)._talk(name)
    now = talk.conversation
    first = next(iter(now.seen.values()))
    assert (first.act, first.content.n) == ("ask", 0)
    assert [message.content.n for message in now.seen.values()] == [n // 2 * 2 for n in range(now.n)]
    assert len([one for one in now.ledger if one.status == "satisfied"]) == now.n // 2


def changed(path, statement, *given):
    file = sqlite3.connect(path)
    file.execute("DROP TRIGGER IF EXISTS entry_is_for_ever")
    file.execute(statement, given)
    file.commit()
    file.close()


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE snapshot SET data = CAST(data || x'00' AS BLOB)", "it was changed"),
        ("UPDATE snapshot SET data = x''", "it was changed"),
    ],
)
async def test_a_snapshot_that_does_not_fit_is_named_and_the_record_read_from_its_beginning(
    tmp_path, statement, why
):
    path = tmp_path / "talks.db"
    store = SQLiteStore(path, synchronous="normal")
    name = await some(store)
    changed(path, statement)
    result, notes = await finished(store, name)
    assert (result.outcome, result.messages) == ("done", 91)
    assert replay(result.transcript).same
    assert any(why in note for note in notes), notes
    store.close()


async def test_a_snapshot_of_another_record_is_not_taken(tmp_path):
    path = tmp_path / "talks.db"
    store = SQLiteStore(path, synchronous="normal")
    name = await some(store)
    other = MemoryStore()
    changed(path, "UPDATE snapshot SET data = ?", other.snapshot(await some(other)).data)
    result, notes = await finished(store, name)
    assert result.messages == 91
    assert any("is not the one that it was made of" in note for note in notes), notes
    store.close()


async def test_a_record_that_was_changed_behind_its_snapshot_is_damaged(tmp_path):
    path = tmp_path / "talks.db"
    store = SQLiteStore(path, synchronous="normal")
    name = await some(store, left_at=55)
    changed(
        path,
        "UPDATE entry SET lines = CAST(substr(lines, 1, 40) || x'ff' || substr(lines, 42) AS BLOB) WHERE seq = (SELECT max(seq) FROM entry)",
    )
    notes = []
    async with Runtime(store=store, agents=team(90), note=notes.append):
        while not store.dead(name):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert "X402" in store.dead(name)[0].reason
    store.close()


class Paid:
    """A model that counts its calls."""

    name = provider = "paid:"
    capabilities = Capabilities()

    def __init__(self):
        self.asked = 0

    async def reply(self, request):
        self.asked += 1
        return ModelReply(text='{"reason": "busy"}', model=self.name)

    async def close(self):
        pass


def bidders(model, forever):
    ann = Agent("ann")
    ann.opens(lambda turn: turn.say("cfp", goal="paint", due="2030-01-01T00:00:00Z"))
    made = [Agent("b0", model=model), Agent("b1"), Agent("b2")]

    async def slow(turn):
        said = await turn.fill("refuse")  # it must not be paid for twice
        if forever is not None:
            forever.set()
            await asyncio.sleep(3600)
        return said

    async def after(turn):  # the others speak while it goes on
        if forever is not None:
            await forever.wait()
        return turn.say("refuse", reason="busy")

    for one, speak in zip(made, (slow, after, after), strict=True):
        one.on("cfp")(speak)
    return ann, made


async def test_what_was_done_in_a_turn_that_goes_on_beside_is_in_the_snapshot(store, monkeypatch):
    monkeypatch.setattr(hosted, "_EACH", 1)
    model, forever = Paid(), asyncio.Event()
    net = load("contract-net")
    ann, team = bidders(model, forever)
    async with Runtime(store=store, agents=[ann, *team]) as runtime:
        name = await runtime.open(net, cast={"manager": "ann", net.many: ["b0", "b1", "b2"]})
        while [one.mailbox for one in store.waiting(name)] != ["b0"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await runtime.drain(0.0)
    talk = await Runtime(store=store)._talk(name)
    assert talk.snapped.shared.n == 3
    assert [one.type for one in talk.snapped.steps] == ["model.request", "model.result"]
    ann, team = bidders(model, None)
    async with Runtime(store=store, agents=[ann, *team]) as runtime:
        result = await runtime.outcome(name)
    assert model.asked == 1
    assert replay(result.transcript).same
