"""One suite for every store."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from agentcomm.store.base import Delivery, Entry
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
