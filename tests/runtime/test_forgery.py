"""Somebody who speaks for others, says again what was said elsewhere, or changes what is on record: refused, and to be seen."""

import asyncio
import sqlite3

import pytest

from agentcomm import Agent, load
from agentcomm.conversation.entries import lines_of
from agentcomm.conversation.transcript import Transcript
from agentcomm.errors import RecordError, UsageError
from agentcomm.runtime.runtime import Runtime
from agentcomm.store.packing import pack, unpack
from agentcomm.store.sqlite import SQLiteStore

REQUEST = load("request")


def ann():
    agent = Agent("ann")
    agent.opens(lambda turn: turn.say("request", action="sing"))
    return agent


async def waiting_for_lena(store, count=1):
    async with Runtime(store=store, agents=[ann()]) as runtime:
        names = [
            await runtime.open(REQUEST, cast={"initiator": "ann", "participant": "lena"})
            for _ in range(count)
        ]
        while len(store.waiting(mailbox="lena")) < count:  # noqa: ASYNC110  (the store sends no event)
            await asyncio.sleep(0.01)
    return names


@pytest.fixture
def store(tmp_path):
    made = SQLiteStore(tmp_path / "talks.db")
    yield made
    made.close()


def recorded(store, name, kind):
    lines, _ = lines_of(entry.data for entry in store.read(name))
    return [record for record in Transcript.from_lines(lines).records if record.type == kind]


async def test_another_principal_is_refused_and_on_record(store):
    (name,) = await waiting_for_lena(store)
    runtime = Runtime(store=store)
    with pytest.raises(UsageError) as caught:
        await runtime.answer(name, "participant", "agree", {}, by="eve")
    assert caught.value.code == "U421"
    (found,) = recorded(store, name, "turn.rejected")
    assert found.data["principal"] == "eve"
    assert [one.mailbox for one in store.waiting(name)] == ["lena"]


async def test_a_role_that_may_not_speak_now_is_refused_and_on_record(store):
    (name,) = await waiting_for_lena(store)
    events = await Runtime(store=store).answer(name, "initiator", "request", {"action": "dance"}, by="ann")
    assert [type(event).__name__ for event in events] == ["Refused"]
    assert len(recorded(store, name, "refused")) == 1
    with pytest.raises(UsageError, match="does not play"):
        await Runtime(store=store).answer(name, "initiator", "request", {"action": "x"}, by="lena")


async def test_an_answer_to_a_message_of_another_conversation_is_refused(store):
    one, two = await waiting_for_lena(store, 2)
    runtime = Runtime(store=store)
    events = await runtime.answer(
        two, "participant", "refuse", {"reason": "no"}, by="lena", in_reply_to=f"{one}:1"
    )
    assert events[0].code == "unknown-reference"
    assert recorded(store, two, "refused")
    await runtime.answer(two, "participant", "refuse", {"reason": "no"}, by="lena", in_reply_to=f"{two}:1")


@pytest.mark.parametrize("change", [(b"sing", b"kill"), (b'"initiator"', b'"initiatox"')])
async def test_a_record_that_was_changed_is_named_and_its_conversation_left_alone(store, tmp_path, change):
    one, two = await waiting_for_lena(store, 2)
    with sqlite3.connect(tmp_path / "talks.db") as file:
        with pytest.raises(sqlite3.IntegrityError):
            file.execute("UPDATE entry SET lines = x'00'")
        file.execute("DROP TRIGGER entry_is_for_ever")  # somebody who owns the file
        k, lines = file.execute(
            "SELECT e.k, lines FROM entry e JOIN conversation c ON c.k = e.conv WHERE c.id = ? AND seq > 0",
            (one,),
        ).fetchone()
        assert change[0] in unpack(lines)
        file.execute("UPDATE entry SET lines = ? WHERE k = ?", (pack(unpack(lines).replace(*change)), k))
    file.close()
    with pytest.raises(RecordError, match="damaged"):
        await Runtime(store=store).answer(one, "participant", "agree", {}, by="lena")
    lena = Agent("lena")
    lena.on("request")(lambda turn: turn.say("inform-result", result="la"))
    async with Runtime(store=store, agents=[lena]) as runtime:
        assert (await runtime.outcome(two)).outcome == "done"
        while not store.dead(one):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert "damaged" in store.dead(one)[0].reason
    assert store.rows(conversation=one)[0].closed is None
