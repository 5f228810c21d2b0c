"""Processes that die, sleep or are cut off in the middle of conversations. `python -m tests.crash.suite` does it at length."""

import asyncio
import random
import signal
import time

import pytest

from agentcomm import load
from agentcomm.conversation.entries import lines_of
from agentcomm.runtime.runtime import Runtime
from agentcomm.store.memory import MemoryStore
from agentcomm.store.sqlite import SQLiteStore
from tests.crash.suite import counted, harass, left, opened, start
from tests.crash.team import team

CUTS = [
    "claimed",
    "loaded",
    "before:ask",
    "after:ask",
    "before:tool.call",
    "after:tool.call",
    "before:tool.result",
    "after:tool.result",
    "before:commit",
    "after:commit",
]


def whole(found):
    return {
        name: found[name] for name in ("lost", "duplicated", "unfinished", "damaged", "differ", "not_done")
    }


NOTHING = dict.fromkeys(("lost", "duplicated", "unfinished", "damaged", "differ", "not_done"), 0)


@pytest.mark.timeout(120)
def test_killed_at_random_nothing_is_lost_and_nothing_is_twice(tmp_path):
    names = asyncio.run(opened(tmp_path, 300))
    dice = random.Random(7)  # noqa: S311
    done = harass(
        tmp_path, dice, kills=4, stops=1, processes=2, pause=0.4, limit=90.0, THINK="0.1", LEASE="0.7"
    )
    found = counted(tmp_path, names)
    assert done["killed"] == 4, done
    assert whole(found) == NOTHING, found
    assert found["effects"] == 300


@pytest.mark.timeout(120)
def test_cut_off_before_and_after_every_step(tmp_path):
    names = []
    for place, cut in enumerate(CUTS):
        names += asyncio.run(opened(tmp_path, 3, first=place * 3))
        process = start(tmp_path, cut.replace(":", "-"), f"{cut}#2", LEASE="0.3", THINK="0.001")
        assert process.wait(30) == -signal.SIGKILL, cut
    end = time.monotonic() + 60
    while left(tmp_path) and time.monotonic() < end:
        start(tmp_path, "last", LEASE="0.3", THINK="0.001").wait(60)
    found = counted(tmp_path, names)
    assert whole(found) == NOTHING, found
    assert found["effects"] == len(names)  # one key each, however often the tool was called with it


@pytest.mark.timeout(60)
def test_an_effect_without_a_key_stops_in_doubt_and_a_person_decides(tmp_path):
    names = asyncio.run(opened(tmp_path, 2, actions=("post",)))
    process = start(tmp_path, "first", "before:tool.result#1", LEASE="0.3", THINK="0.001")
    assert process.wait(30) == -signal.SIGKILL
    start(tmp_path, "second", LEASE="0.3", THINK="0.001").wait(30)
    found = counted(tmp_path, names)
    assert found["in_doubt"] >= 1
    assert found["unkeyed_effects_twice"] == 0
    store = SQLiteStore(tmp_path / "talks.db")
    doubtful = [row.conversation for row in store.rows(closed=False)]

    async def decide():
        async with Runtime(store=store, agents=team(tmp_path, 0.001)) as runtime:
            for place, name in enumerate(doubtful):
                key = store.dead(name)[0].reason.rpartition("(")[2][:-1]
                await runtime.decide(name, key, was_done=place == 0, result="posted by hand", by="lena")
            return [(await runtime.outcome(name)).outcome for name in doubtful]

    assert set(asyncio.run(decide())) == {"done"}
    store.close()
    assert whole(counted(tmp_path, names)) == NOTHING


@pytest.mark.timeout(60)
def test_a_handler_that_takes_the_process_with_it_is_given_up(tmp_path):
    names = asyncio.run(opened(tmp_path, 1, actions=("crash",)))
    for number in range(5):
        if not left(tmp_path):
            break
        start(tmp_path, f"p{number}", LEASE="0.2", THINK="0.001", ATTEMPTS="2").wait(20)
    found = counted(tmp_path, names)
    assert (found["unfinished"], found["not_done"]) == (0, 1)
    store = SQLiteStore(tmp_path / "talks.db")
    assert b'"class":"failed"' in store.rows()[0].about
    store.close()


@pytest.mark.timeout(90)
def test_who_dies_with_others_in_flight_uses_up_no_attempts_but_its_own(tmp_path):
    names = asyncio.run(opened(tmp_path, 12, actions=("crash", *["sing"] * 11)))
    for number in range(8):
        if not left(tmp_path):
            break
        start(tmp_path, f"p{number}", LEASE="0.2", THINK="0.05", ATTEMPTS="2").wait(30)
    found = counted(tmp_path, names)
    assert (found["unfinished"], found["not_done"], found["lost"], found["duplicated"]) == (0, 1, 0, 0), found
    store = SQLiteStore(tmp_path / "talks.db")
    (bad,) = [row for row in store.rows() if b'"class":"failed"' in row.about]
    lines, _ = lines_of(entry.data for entry in store.read(bad.conversation))
    assert sum(b'"turn.alone"' in line for line in lines) == 2
    store.close()


class Forgetful:
    """A store whose every third answer to a commit is lost, after it was done."""

    def __init__(self, store):
        self._store, self.lost = store, 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def commit(self, *given, **more):
        done = await self._store.commit(*given, **more)
        if error := self.forgets():
            raise error
        return done

    def go_on(self, *given, **more):
        *given, to = given
        done = self._store.go_on(*given, Forgets(self, to), **more)
        if done is not None and (error := self.forgets()):
            raise error
        return done

    def forgets(self):
        """Return what is raised instead of every third answer."""
        from agentcomm.errors import StoreError

        self.lost += 1
        return StoreError("the answer was lost", code="X412") if self.lost % 3 == 0 else None


class Forgets:
    """Is told what became of a turn."""

    def __init__(self, store, to):
        self.loop, self._store, self._to = to.loop, store, to

    def settle(self, value, error):
        error = error or self._store.forgets()
        self._to.settle(None if error else value, error)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_lost_answer_of_the_store_is_asked_for_again(tmp_path, kind):
    store = Forgetful(MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "talks.db"))
    agents = team(tmp_path, 0.001)
    async with Runtime(store=store, agents=agents, lease=0.5) as runtime:
        cast = {"initiator": "ann", "participant": "bob"}
        names = [await runtime.open(load("request"), cast=cast) for _ in range(6)]
        results = await asyncio.gather(*map(runtime.outcome, names))
    assert store.lost > 12
    for result in results:
        assert result.outcome == "done"
        assert result.messages == 3
        assert result.transcript.damage is None
    assert len(set((tmp_path / "effects").read_text().split())) == 6
    assert 18 <= len((tmp_path / "bodies").read_text().splitlines()) <= 24
    store.close()
