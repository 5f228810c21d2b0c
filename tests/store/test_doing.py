"""What a store is doing, waited for as a future is."""

import asyncio

import pytest

from agentcomm.errors import StoreError
from agentcomm.store.doing import Doing


async def test_everything_that_waits_for_futures_waits_for_it():
    loop = asyncio.get_running_loop()
    doing: Doing[int] = Doing(loop)
    told = []
    doing.then(lambda one: told.append(one.result()))
    many = [asyncio.create_task(wait(doing)) for _ in range(3)]
    both = asyncio.gather(doing, *many)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(doing), 0.01)
    done, left = await asyncio.wait([doing], timeout=0.01)
    assert (done, left) == (set(), {doing})
    doing.settle(7, None)
    assert (told, await both, await doing, await asyncio.wait_for(doing, 1)) == ([7], [7] * 4, 7, 7)


async def wait(doing):
    return await doing


async def test_who_is_cancelled_is_cancelled_once_it_is_done():
    doing: Doing[int] = Doing(asyncio.get_running_loop())
    task = asyncio.create_task(wait(doing))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    doing.settle(1, None)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_comes_to_everybody_and_one_who_fails_stops_nobody():
    loop = asyncio.get_running_loop()
    failed = []
    loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))
    doing: Doing[int] = Doing(loop)
    doing.then(lambda _: 1 / 0)
    task = asyncio.create_task(wait(doing))
    await asyncio.sleep(0)
    doing.settle(None, StoreError("full", code="X409"))
    with pytest.raises(StoreError, match="full"):
        await task
    assert [type(one) for one in failed] == [ZeroDivisionError]
