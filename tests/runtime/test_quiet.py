"""Turns side by side, and those that must be alone."""

import asyncio

from agentcomm.runtime import quiet
from agentcomm.runtime.quiet import Quiet


async def test_who_is_alone_is_alone_and_the_others_wait_for_it():
    room, seen, now = Quiet(), [], set()

    async def among(name, naps=3):
        await room.come_in()
        now.add(name)
        try:
            for _ in range(naps):
                await asyncio.sleep(0)
                seen.append(frozenset(now))
        finally:
            now.discard(name)
            room.leave()

    async def alone(name):
        async with room.alone():
            now.add(name)
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(frozenset(now))
            now.discard(name)

    await asyncio.gather(among("a"), among("b"), alone("X"), among("c"), alone("Y"), among("d"))
    assert all(len(one) == 1 for one in seen if one & {"X", "Y"})
    assert frozenset({"a", "b"}) in seen
    assert {name for one in seen for name in one} == set("abcdXY")


async def test_nobody_waits_for_ever_for_somebody_who_waits_for_him(monkeypatch):
    monkeypatch.setattr(quiet, "_PATIENCE", 0.05)
    room = Quiet()

    async def inner():
        await room.come_in()
        room.leave()

    async with room.alone():
        await asyncio.wait_for(inner(), 5)
    await room.come_in()
    async with room.alone():
        pass
    room.leave()
