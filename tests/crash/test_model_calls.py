"""A model's answer that is on record is never asked for again, whenever the process dies; one in flight is paid for once more."""

import asyncio
import signal

import pytest

from agentcomm.store.sqlite import SQLiteStore
from tests.crash.suite import counted, left, opened, start, told_in


def calls(folder):
    return len(told_in(folder / "calls"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("cut", "paid"),
    [
        ("before:model.result", 2),  # it was in flight
        ("after:model.result", 1),
        ("before:commit", 1),
    ],
)
def test_a_crash_costs_at_most_the_call_in_flight(tmp_path, cut, paid):
    names = asyncio.run(opened(tmp_path, 1, participant="mind"))
    nth = {"before:model.result": 1, "after:model.result": 1}.get(cut, 2)  # the first turn is ann's
    process = start(tmp_path, "first", f"{cut}#{nth}", LEASE="0.3", THINK="0.001")
    assert process.wait(40) == -signal.SIGKILL
    start(tmp_path, "second", LEASE="0.3", THINK="0.001").wait(40)
    assert left(tmp_path) == 0
    found = counted(tmp_path, names)
    assert (found["lost"], found["duplicated"], found["not_done"], found["differ"]) == (0, 0, 0, 0), found
    assert calls(tmp_path) == paid
    store = SQLiteStore(tmp_path / "talks.db")
    assert store.rows()[0].closed is not None
    store.close()


@pytest.mark.timeout(120)
def test_killed_again_and_again_a_turn_of_many_calls_pays_for_each_once_but_those_in_flight(tmp_path):
    """Each of its processes gets one call further."""
    asyncio.run(opened(tmp_path, 1, participant="thinker"))
    for number in range(3):
        process = start(tmp_path, f"p{number}", "after:model.result#1", LEASE="0.6", THINK="0.001")
        assert process.wait(40) == -signal.SIGKILL
        assert calls(tmp_path) == number + 1
    start(tmp_path, "last", LEASE="0.6", THINK="0.001").wait(40)
    assert left(tmp_path) == 0
    assert calls(tmp_path) == 4
