"""Tests of a protocol whose acts are carried by the classes that `agentcomm types` made; and whole seconds."""

import asyncio

import pytest

from agentcomm import Agent, Turn, load
from agentcomm.cli.main import main
from agentcomm.testing import Dice, JumpingClock, Walk, survives, walk


@pytest.fixture
def typed(tmp_path, root):
    """A protocol with critical money and dates, loaded with the classes that were made for it."""
    path, made = root / "examples" / "purchase" / "protocol.yaml", tmp_path / "made.py"
    assert main(["types", str(path), "-o", str(made)]) == 0
    names: dict = {}
    exec(compile(made.read_text(), str(made), "exec"), names)  # noqa: S102
    return load(path, types=names["ACTS"])


def test_walks_and_peers_find_content_for_classes_that_were_made_of_types(typed):
    assert all(act.registered for act in typed.acts.values() if act.fields)
    ends = {walk(Walk(typed), Dice(seed)).outcome for seed in range(30)}
    assert len(ends) > 1
    ann = Agent("ann")

    @ann.opens
    def ask(turn: Turn):
        return turn.say("cfp", item="bike", budget="120 EUR")

    @ann.on("propose")
    def take(turn: Turn):
        if turn.can("accept-proposal"):
            return turn.say("accept-proposal", price=turn.content["price"])
        return turn.say("reject-proposal", reason="no")

    report = asyncio.run(survives(ann, typed, role="buyer", runs=20))
    assert report.survived, report


async def test_whole_seconds_stay_whole_on_the_clock():
    with JumpingClock() as clock:
        for _ in range(7):
            await asyncio.sleep(0.1)
        await asyncio.sleep(3 * 86400)
        assert clock.elapsed == 3 * 86400 + 0.7
