"""One suite for every store."""

import asyncio
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings

from agentcomm.errors import StoreError
from agentcomm.store.base import Committed, Delivery, Entry, Stale, Timer
from agentcomm.store.doing import Doing
from agentcomm.store.memory import MemoryStore
from agentcomm.store.sqlite import SQLiteStore
from tests.store.store_model import StoreMachine


class MemoryMachine(StoreMachine):
    def make(self, clock):
        return MemoryStore(clock)


class SQLiteMachine(StoreMachine):
    def make(self, clock):
        self.folder = tempfile.TemporaryDirectory()
        return SQLiteStore(Path(self.folder.name) / "talks.db", clock=clock, synchronous="normal")

    def teardown(self):
        super().teardown()
        self.folder.cleanup()


class ReopenedMachine(SQLiteMachine):
    """Another process looks at the same file at every step."""

    def run(self, awaitable):
        try:
            return super().run(awaitable)
        finally:
            self.store.close()
            self.store = SQLiteStore(
                Path(self.folder.name) / "talks.db", clock=lambda: self.time, synchronous="normal"
            )


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_turn_costs_as_much_however_many_went_before(tmp_path, kind):
    store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "talks.db", synchronous="normal")
    opened = await store.open("c", Entry(0, 1, b"x"), [Delivery("a", keep=True)])
    (claim,) = opened.kept
    for n in range(1, 300):
        done = await store.commit(
            "c", claim, Entry(n, 1, b"x"), [Delivery("a", "", f"{n}", keep=True)], replace=[""]
        )
        assert done.kept[0].token != claim.token
        assert await store.renew([claim], 30.0) == [claim]  # whoever held it before is stale
        (claim,) = done.kept
        assert len(claim.token) < 40
    store.close()


async def usual(store, claim, entry, mailbox, note, closes=None):
    """Take a turn of the usual kind, as whoever is told what became of it."""
    waits: Doing[Committed | Stale] = Doing(asyncio.get_running_loop())
    done = store.go_on(claim, entry, mailbox, note, closes, 30.0, waits, is_alone=False)
    return await waits if done is None else done


@pytest.mark.parametrize("way", ["commit", "go_on"])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_many_at_once_are_as_each_alone(tmp_path, kind, way):
    """Those that a store does together, and among them some that cannot be done."""
    store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "talks.db", synchronous="normal")
    out, timers = [Delivery("a", keep=True)], [Timer("t", store.now() + 1e5)]
    names = [f"c{n}" for n in range(150)]

    async def opened(name):
        return await store.open(name, Entry(0, 2, name.encode()), out, timers, shared={"law": b"the law\n"})

    await opened("c7")
    found = await asyncio.gather(*map(opened, names), return_exceptions=True)
    assert [one.code for one in found if isinstance(one, StoreError)] == ["X404"]
    claims = {name: one.kept[0] for name, one in zip(names, found, strict=True) if name != "c7"}

    async def goes_on(name, place, seq):
        made = [Delivery("b", "", f"{place}", keep=True)]
        entry = Entry(seq, 1, b"%d of %s" % (place, name.encode()))
        if way == "go_on":
            return await usual(store, claims[name], entry, "b", f"{place}")
        return await store.commit(name, claims[name], entry, made, replace=[""])

    for place in range(3):
        wrong = {"c3": 0, "c60": 99}  # there is an entry already; there is none before it
        done = await asyncio.gather(*(goes_on(name, place, wrong.get(name, place + 2)) for name in claims))
        for name, one in zip(claims, done, strict=True):
            if name in wrong:
                assert one == Stale("seq")
            else:
                assert (one.head, one.was_done) == (place + 3, False)
                assert (one.kept[0].mailbox, one.kept[0].note) == ("b", f"{place}")
                claims[name] = one.kept[0]
    old = await goes_on("c4", 9, 5), await goes_on("c4", 10, 6)
    assert (type(old[0]), old[1]) == (Committed, Stale("claim"))
    claims["c4"] = old[0].kept[0]

    async def ends(name):
        seq = 2 if name in {"c3", "c60"} else 5 + (name == "c4")
        end = Entry(seq, 1, b"end")
        if way == "go_on":
            return await usual(store, claims[name], end, "", "", b"over")
        return await store.commit(name, claims[name], end, replace=[""], closes=b"over")

    claims["c5"] = msgspec.structs.replace(claims["c5"], token="somebody's")  # noqa: S106
    done = dict(zip(claims, await asyncio.gather(*map(ends, claims)), strict=True))
    assert [name for name, one in done.items() if one == Stale("claim")] == ["c5"]
    assert {row.conversation for row in store.rows(closed=False)} == {"c5", "c7"}
    assert {one.conversation for one in store.waiting()} == {"c5", "c7"}
    for name in claims:
        entries = list(store.read(name))
        assert entries[0].data == b"the law\n" + name.encode()
        assert [entry.seq for entry in entries] == [0, *range(2, 2 + len(entries) - 1)]
        assert len(entries) == {"c3": 2, "c60": 2, "c5": 4, "c4": 6}.get(name, 5)
    store.close()


async def test_many_at_once_of_two_stores_are_each_its_own(tmp_path):
    """Two who share a file give numbers side by side; none is given twice, and none is mistaken for another."""
    both = [SQLiteStore(tmp_path / "talks.db", synchronous="normal") for _ in range(2)]

    async def talk(store, name):
        law = {f"law {name[0]}": name[0].encode()}
        (claim,) = (
            await store.open(name, Entry(0, 1, b"first"), [Delivery("a", keep=True)], shared=law)
        ).kept
        for n in range(1, 4):
            out = [Delivery("a", "", f"{n}", keep=True)]
            done = await store.commit(name, claim, Entry(n, 1, name.encode()), out, replace=[""])
            (claim,) = done.kept
        if name.endswith("0"):
            await store.commit(name, claim, Entry(4, 1, b"end"), replace=[""], closes=b"over")

    some = [(store, f"{'ab'[who]}{n}") for n in range(60) for who, store in enumerate(both)]
    await asyncio.gather(*(talk(*one) for one in some))
    for store in both:
        assert {one.conversation for one in store.waiting()} == {n for _, n in some if not n.endswith("0")}
        for _, name in some:
            entries = [entry.data for entry in store.read(name)]
            assert entries[:4] == [f"{name[0]}first".encode(), *[name.encode()] * 3]
            assert len(entries) == 4 + name.endswith("0")
        store.close()


async def test_who_goes_on_and_is_gone_leaves_what_was_to_be_done_last(tmp_path):
    times = [1000.0]
    store = SQLiteStore(tmp_path / "talks.db", clock=lambda: times[0])
    other = SQLiteStore(tmp_path / "talks.db", clock=lambda: times[0])
    (claim,) = (await store.open("c", Entry(0, 1, b"x"), [Delivery("a", keep=True)])).kept
    for n in range(1, 4):
        out = [Delivery("b" if n % 2 else "a", "", f"n{n}", keep=True)]
        done = await store.commit("c", claim, Entry(n, 1, b"x"), out, replace=[""], is_alone=n == 2)
        (claim,) = done.kept
    assert [(one.mailbox, one.note) for one in other.waiting()] == [("b", "n3")]
    assert other.waiting(mailbox="a") == []
    times[0] += 31.0
    assert await other.claim(["a"], 5, 30.0) == []
    (taken,) = await other.claim(["b"], 5, 30.0)
    assert (taken.note, taken.attempt) == ("n3", 2)
    late = await store.commit("c", claim, Entry(4, 1, b"late"), out, replace=[""], is_alone=True)
    assert late == Stale("claim")
    assert await store.renew([claim], 30.0) == [claim]
    done = await other.commit("c", taken, Entry(4, 1, b"x"), [Delivery("a", "", "n4")], replace=[""])
    assert done.head == 5
    store.close()
    other.close()


def settle(machine, examples, steps):
    machine.TestCase.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    return machine.TestCase


TestMemory = settle(MemoryMachine, 25, 30)
TestSQLite = settle(SQLiteMachine, 12, 30)


@pytest.mark.long
class TestAtLength:
    @pytest.mark.timeout(1800)
    @pytest.mark.parametrize("machine", [MemoryMachine, SQLiteMachine, ReopenedMachine])
    def test_thousands_of_histories(self, machine):
        from hypothesis.stateful import run_state_machine_as_test

        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=1500,
                stateful_step_count=60,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
