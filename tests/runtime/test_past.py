"""Going on from what was said in another conversation: to see what else would have come of it, or after a crash."""

import asyncio

import pytest

from agentcomm import Agent, Turn, enact, enact_sync, load, replay
from agentcomm.errors import StoreError, UsageError
from agentcomm.protocol.library import loads
from agentcomm.runtime.replay import read_transcript
from agentcomm.testing import JumpingClock
from agentcomm.views.story import story_of

SALE = "examples/purchase/protocol.yaml"


@pytest.fixture
def sale(root):
    return load(root / SALE)


def cast(*, price="110 EUR", buys=True, asked=None) -> dict[str, Agent]:
    ann, bob = Agent("Ann"), Agent("Bob")

    @ann.opens
    def ask(turn: Turn):
        return turn.say("cfp", item=turn.brief["item"], budget="120 EUR")

    @ann.on("propose")
    def decide(turn: Turn):
        if buys:
            return turn.say("accept-proposal", price=turn.ground["price"])
        return turn.say("reject-proposal", reason="no")

    @bob.on("cfp")
    def offer(turn: Turn):
        if asked is not None:
            asked.append(turn.content["item"])
        return turn.say("propose", item=turn.content["item"], price=price, valid_until="2026-12-01")

    return {"buyer": ann, "seller": bob}


BRIEF = {"buyer": {"item": "bike"}}


@pytest.mark.parametrize("after", range(5))
def test_it_goes_on_after_any_message(sale, tmp_path, after):
    first = enact_sync(sale, cast=cast(), brief=BRIEF, transcript=tmp_path / "first.jsonl")
    assert first.outcome == "sold"
    path = tmp_path / "other.jsonl"
    events = []
    other = enact_sync(
        sale,
        cast=cast(price="99 EUR", buys=False),
        past=tmp_path / "first.jsonl",
        after=after,
        transcript=path,
        watch=lambda event: events.append(type(event).__name__),
    )
    assert (other.outcome, other.messages) == ("closed", 5)
    assert str(other.ground["price"]) == ("99 EUR" if after < 2 else "110 EUR")
    assert other.id != first.id
    assert events[0] == "Opened"
    assert events.count("Heard") == 5
    record = read_transcript(path)
    past = record.opening.data["past"]
    assert (past["conversation"], past["messages"]) == (first.id, after)
    assert past["head"] in {line.prev for line in first.transcript.records}
    assert replay(record).same
    assert (story_of(record).past == f"messages 1 to {after} are those of {first.id}") == (after > 1)


def test_what_was_told_is_told_again_unless_it_is_given(sale):
    first = enact_sync(sale, cast=cast(), brief=BRIEF)
    asked = []
    enact_sync(sale, cast=cast(asked=asked), past=first.transcript, after=0)
    enact_sync(
        sale, cast=cast(asked=asked), past=first.transcript, after=0, brief={"buyer": {"item": "lamp"}}
    )
    assert asked == ["bike", "lamp"]


def test_a_transcript_that_a_crash_cut_short_is_carried_on(sale, tmp_path):
    whole = tmp_path / "whole.jsonl"
    enact_sync(sale, cast=cast(), brief=BRIEF, transcript=whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    outcomes = set()
    for count in range(3, len(lines)):
        cut = tmp_path / f"cut{count}.jsonl"
        cut.write_bytes(b"".join(lines[:count]) + lines[count][:20])
        if any(line.partition(b'"kind":"event","type":"ended"')[1] for line in lines[:count]):
            with pytest.raises(UsageError, match="is over"):
                enact_sync(sale, cast=cast(), past=cut, brief=BRIEF)
            outcomes.add("over")
            continue
        result = enact_sync(sale, cast=cast(), past=cut, brief=BRIEF)
        assert result.outcome == "sold"
        assert replay(result.transcript).same
        outcomes.add("carried on")
    assert outcomes == {"over", "carried on"}


async def test_time_goes_on_where_it_stood(sale):
    slow = cast()
    slow["buyer"] = Agent("Ann")

    @slow["buyer"].opens
    def ask(turn: Turn):
        return turn.say("cfp", item="bike", budget="120 EUR")

    @slow["buyer"].on("propose")
    async def think(turn: Turn):
        await asyncio.sleep(90)
        return turn.say("reject-proposal", reason="no")

    with JumpingClock() as clock:
        first = await enact(sale, cast=slow, deadline="100s")
        assert first.outcome == "closed"
        assert clock.elapsed == 90
        other = await enact(sale, cast=slow, past=first.transcript, after=4)
        assert other.outcome == "closed"  # nobody waited yet
        assert clock.elapsed == 180
        cut = await enact(sale, cast=slow, past=first.transcript, after=4, deadline="80s")
        assert cut.outcome_class == "expired"


def net(prices) -> dict[str, object]:
    mona = Agent("mona")

    @mona.opens
    def call(turn: Turn):
        return turn.say("cfp", goal="paint", due="2026-12-01T10:00:00Z")

    @mona.on("propose")
    def award(turn: Turn):
        if turn.lane == "bob":
            return turn.say("accept-proposal", price=turn.content["price"])
        return turn.say("reject-proposal", reason="dear")

    def bidder(name, price):
        agent = Agent(name)

        @agent.on("cfp")
        def bid(turn: Turn):
            return turn.say("propose", price=f"{price} EUR", plan="two coats")

        @agent.on("accept-proposal")
        def work(turn: Turn):
            return turn.say("result", summary="done")

        return agent

    return {"manager": mona, "bidder": [bidder(name, price) for name, price in prices.items()]}


@pytest.mark.parametrize("after", range(11))
def test_lanes_go_on_too(after):
    first = enact_sync(load("contract-net"), cast=net({"bea": 900, "bob": 800}))
    if after >= first.messages:
        return
    other = enact_sync(
        load("contract-net"), cast=net({"bea": 900, "bob": 800}), past=first.transcript, after=after
    )
    assert other.outcome == "success"
    assert replay(other.transcript).same
    again = enact_sync(
        load("contract-net"), cast=net({"bea": 700, "bob": 600}), past=first.transcript, after=after
    )
    assert again.outcome == "success"
    assert str(again.ground["propose.price"]) == ("600 EUR" if after < 3 else "800 EUR")


def test_the_members_must_be_those_of_then():
    first = enact_sync(load("contract-net"), cast=net({"bea": 900, "bob": 800}))
    with pytest.raises(UsageError, match="members") as caught:
        enact_sync(load("contract-net"), cast=net({"bo": 900, "bob": 800}), past=first.transcript, after=2)
    assert caught.value.code == "U404"


def test_what_cannot_be_gone_on_from_is_told_before_there_is_a_file(sale, tmp_path):
    first = enact_sync(sale, cast=cast(), brief=BRIEF)
    path = tmp_path / "other.jsonl"
    dearer = loads(sale.text.replace("minimum: 1}", "minimum: 500}"))
    for protocol, after, wanted in (
        (sale, None, "is over"),
        (sale, 5, "is over"),
        (sale, 6, "has 5 messages"),
        (sale, -1, "is no message"),
        (dearer, 2, "message 1 of .* does not count"),
    ):
        with pytest.raises(UsageError, match=wanted):
            enact_sync(protocol, cast=cast(), past=first.transcript, after=after, transcript=path)
        assert not path.exists()
    with pytest.raises(UsageError, match="without a past"):
        enact_sync(sale, cast=cast(), brief=BRIEF, after=2)
    with pytest.raises(StoreError):
        enact_sync(sale, cast=cast(), past=tmp_path / "nothing.jsonl")
