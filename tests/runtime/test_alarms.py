"""One timer for all waits of a conversation: it rings for the wait that goes on, and for no other."""

import asyncio

import pytest

from agentcomm import Agent, enact
from agentcomm.protocol.library import loads
from agentcomm.testing.clock import JumpingClock

ASK = """
agentcomm: 1
protocol: waits
version: 1
roles: [a, b]
acts:
  ask:  {act: query-ref, content: {text: text}}
  tell: {act: inform, content: {text: text}}
  end:  {act: inform, content: {text: text}}
states:
  first:  {a: {ask: second}, within: FIRST, else: late-first}
  second: {b: {tell: third}, within: SECOND, else: late-second}
  third:  {a: {end: done}, within: THIRD, else: late-third}
outcomes: {done: success, late-first: expired, late-second: expired, late-third: expired}
"""


def team(*seconds: float) -> dict[str, Agent]:
    """Return agents that take so many seconds for their turns."""
    a, b = Agent("a"), Agent("b")

    async def ask(turn):
        await asyncio.sleep(seconds[0])
        return turn.say("ask", text="?")

    async def tell(turn):
        await asyncio.sleep(seconds[1])
        return turn.say("tell", text="!")

    async def end(turn):
        await asyncio.sleep(seconds[2])
        return turn.say("end", text=".")

    a.opens(ask)
    b.on("ask")(tell)
    a.on("tell")(end)
    return {"a": a, "b": b}


@pytest.mark.parametrize(
    ("limits", "seconds", "outcome", "elapsed"),
    [
        (
            ("10s", "1h", "1h"),
            (9, 1800, 1800),
            "done",
            3609,
        ),  # what was set for the first rings in the second, for nothing
        (("1h", "10s", "1h"), (60, 20, 1), "late-second", 70),  # a shorter wait after a longer one
        (("10s", "1h", "5s"), (9, 1800, 6), "late-third", 1814),
        (("10s", "1h", "1h"), (11, 0, 0), "late-first", 10),
        (("1h", "1h", "1h"), (0, 0, 4000), "late-third", 3600),
    ],
)
async def test_each_wait_has_the_time_that_its_state_gives(limits, seconds, outcome, elapsed):
    text = ASK
    for name, limit in zip(("FIRST", "SECOND", "THIRD"), limits, strict=True):
        text = text.replace(name, limit)
    with JumpingClock() as clock:
        result = await enact(loads(text), cast=team(*seconds))
        assert result.outcome == outcome
        assert clock.elapsed == pytest.approx(elapsed, abs=0.01)


async def test_whoever_stops_the_conversation_is_not_taken_for_the_clock():
    text = ASK.replace("FIRST", "1h").replace("SECOND", "1h").replace("THIRD", "1h")
    events = []
    task = asyncio.create_task(enact(loads(text), cast=team(0, 100, 0), watch=events.append))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert events[-1].outcome_class == "cancelled"
    assert not [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled()]
