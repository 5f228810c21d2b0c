"""A clock that jumps where everybody waits."""

import asyncio
import time

import pytest

from agentcomm import Agent, enact, load
from agentcomm.errors import UsageError
from agentcomm.protocol.library import loads
from agentcomm.testing import SILENCE, JumpingClock, scripted

DAY = 86_400.0


async def test_a_day_passes_at_once_where_everybody_waits():
    began = time.monotonic()
    with JumpingClock() as clock:
        await asyncio.sleep(DAY)
        assert clock.elapsed == pytest.approx(DAY)
    assert time.monotonic() - began < 5


async def test_those_who_wait_are_woken_in_order_and_at_their_time():
    woken = []

    async def wait(seconds):
        await asyncio.sleep(seconds)
        woken.append((seconds, round(clock.elapsed, 6)))

    with JumpingClock() as clock:
        await asyncio.gather(wait(3 * DAY), wait(0.5), wait(DAY))
    assert woken == [(0.5, 0.5), (DAY, DAY), (3 * DAY, 3 * DAY)]


async def test_time_stands_still_while_code_runs():
    with JumpingClock() as clock:
        before = asyncio.get_running_loop().time()
        time.sleep(0.01)  # noqa: ASYNC251  (it is what this is about)
        assert asyncio.get_running_loop().time() == before
        assert clock.elapsed == 0.0


async def test_time_does_not_jump_while_a_thread_is_at_work():
    with JumpingClock() as clock:
        async with asyncio.timeout(60):
            assert await asyncio.to_thread(lambda: time.sleep(0.02) or "done") == "done"
        assert clock.elapsed < 10


async def test_time_does_not_jump_while_a_connection_is_open():
    async def answer(reader, writer):
        await reader.readline()
        writer.write(b"yes\n")
        await writer.drain()
        writer.close()

    with JumpingClock() as clock:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"there?\n")
            assert await reader.readline() == b"yes\n"
            writer.close()
            await writer.wait_closed()
        server.close()
        await server.wait_closed()
        assert clock.elapsed < 10


async def test_time_goes_on_from_where_it_stands_when_the_clock_is_left():
    loop = asyncio.get_running_loop()
    before = loop.time()
    with JumpingClock():
        await asyncio.sleep(DAY)
    assert before + DAY <= loop.time() < before + DAY + 60
    began = time.monotonic()
    await asyncio.sleep(0.01)
    assert time.monotonic() - began >= 0.009
    with JumpingClock() as again:
        await asyncio.sleep(DAY)
    assert again.elapsed == pytest.approx(DAY)


async def test_it_can_be_made_to_jump():
    with JumpingClock() as clock:
        waiting = asyncio.create_task(asyncio.sleep(5))
        await asyncio.sleep(0)  # it begins to wait
        clock.jump(5)
        await waiting
        assert clock.elapsed == pytest.approx(5)
        with pytest.raises(UsageError, match="cannot pass"):
            clock.jump(-1)


def test_it_needs_a_loop():
    with pytest.raises(UsageError, match="no event loop"), JumpingClock():
        pass


async def test_there_is_one_clock_at_a_time():
    with JumpingClock(), pytest.raises(UsageError, match="already"), JumpingClock():
        pass


async def test_a_deadline_of_days_passes_at_once():
    protocol = loads("""
agentcomm: 1
protocol: survey
version: 1
roles: [asker, citizen]
acts: {ask: {act: request, content: {question: text}}, answer: {act: inform, content: {text: text}}}
states:
  start: {asker: {ask: asked}}
  asked: {citizen: {answer: done}, within: 3d, else: unanswered}
outcomes: {done: success, unanswered: expired, expired: expired}
""")
    with JumpingClock() as clock:
        ask = scripted(["ask", {"question": "How many live here?"}])
        result = await enact(protocol, cast={"asker": ask, "citizen": scripted(SILENCE)})
    assert result.outcome == "unanswered"
    assert clock.elapsed == pytest.approx(3 * DAY)


async def test_an_agent_that_is_too_slow_is_cut_off_at_its_deadline():
    slow = Agent("slow")

    @slow.on("request")
    async def think(turn):
        await asyncio.sleep(30 * DAY)
        return turn.say("agree")

    with JumpingClock() as clock:
        result = await enact(
            load("request"),
            cast={"initiator": scripted(["request", {"action": "sing"}]), "participant": slow},
        )
    assert result.outcome_class == "expired"
    assert clock.elapsed == pytest.approx(60.0)
