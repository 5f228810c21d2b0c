"""While runtimes are at work, the garbage collector looks less often; then it is as it was."""

import gc

import pytest

from agentcomm import Runtime


@pytest.fixture(autouse=True)
def before():
    was = gc.get_threshold()
    yield was
    gc.set_threshold(*was)


async def test_the_collector_looks_less_often_until_the_last_has_drained(before):
    assert 0 < before[0] < 10_000
    async with Runtime():
        assert gc.get_threshold() == (10_000, *before[1:])
        async with Runtime():
            pass
        assert gc.get_threshold() == (10_000, *before[1:])
    assert gc.get_threshold() == before


@pytest.mark.parametrize("own", [(0, 10, 10), (50_000, 5, 5)])
async def test_what_the_program_has_told_the_collector_holds(own):
    gc.set_threshold(*own)
    async with Runtime():
        assert gc.get_threshold() == own
    assert gc.get_threshold() == own


async def test_what_it_is_told_meanwhile_holds():
    async with Runtime():
        gc.set_threshold(5000, 3, 3)
    assert gc.get_threshold() == (5000, 3, 3)


async def test_a_runtime_that_drains_twice_ends_it_once(before):
    async with Runtime():
        other = Runtime()
        other.start()
        await other.drain()
        await other.drain()
        assert gc.get_threshold() == (10_000, *before[1:])
    assert gc.get_threshold() == before
