"""Whether an agent survives everything that a protocol may say to it."""

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from agentcomm import Agent, Message, load
from agentcomm.acts.content import Content
from agentcomm.errors import UsageError
from agentcomm.protocol.library import loads
from agentcomm.testing import Dice, survives
from agentcomm.testing.peers import Peer

REQUEST = load("request")


def worker():
    bob = Agent("bob")

    @bob.on("request", state="requested")
    async def take(turn):
        await asyncio.sleep(1)
        if len(turn.heard.content.action) % 2:
            return turn.say("refuse", reason="an odd thing to ask")
        return turn.say("agree")

    @bob.on("request", state="agreed")
    def work(turn):
        return turn.say("inform-done")

    return bob


async def test_an_agent_that_answers_everything_survives():
    report = await survives(worker(), REQUEST, role="participant")
    assert report.survived
    assert report.runs == 100
    assert report.coverage.unheard == []
    assert {"refusal", "cancellation", "duplicate"} <= set(report.coverage.met)
    assert {"requested: failure", "requested: inform-done"} <= set(report.coverage.unsaid)
    text = str(report)
    assert text.startswith("bob survived 100 runs as participant of request 1 (seeds 0 to 99)\n")
    assert "states    3 of 3" in text


async def test_peers_do_everything_that_can_happen():
    offers = load("alternating-offers")
    report = await survives(Peer(Dice(1)), offers, role=offers.roles[0], may_be_silent=True)
    assert report.survived, str(report)
    met = {
        "deadline",
        "refusal",
        "cancellation",
        "duplicate",
        "slip",
        "not-understood",
        "repair",
        "read-back",
    }
    assert met <= set(report.coverage.met)
    assert report.coverage.unheard == []


async def test_the_same_seed_gives_the_same_report():
    assert str(await survives(worker(), REQUEST, role="participant", runs=10)) == str(
        await survives(worker(), REQUEST, role="participant", runs=10)
    )


async def failure_of(agent, protocol=REQUEST, role="participant", **options):
    report = await survives(agent, protocol, role=role, **options)
    assert not report.survived, report
    return report


async def test_an_error_of_a_handler_is_shown_with_the_run_that_led_there():
    bob = worker()

    bob._handlers["", "agreed", "request", ""] = lambda turn: {}["due"]
    report = await failure_of(bob)
    assert report.failure.what == "it raised KeyError: 'due'"
    text = str(report)
    assert f"raised    {__file__}:" in text
    assert "where     in 'agreed', hearing request action=" in text
    assert "legal     failure(reason: text), inform-done()" in text
    assert "initiator -> bob  request" in text
    again = f"again     await survives(bob, protocol, role='participant', seed={report.failure.seed}, runs=1)"
    assert again in text
    once_more = await failure_of(bob, seed=report.failure.seed, runs=1)
    assert once_more.failure.talk == report.failure.talk


async def test_an_agent_without_an_answer_has_not_survived():
    bob = Agent("bob")

    @bob.on("request", state="requested")
    def take(turn):
        return turn.say("agree")

    report = await failure_of(bob)
    assert "bob has nothing to say in 'agreed'" in report.failure.what
    assert 'add @bob.on("request")' in str(report)


async def test_an_agent_that_hangs_has_not_survived_and_costs_no_time():
    async def bob(turn):
        await asyncio.Event().wait()

    began = time.monotonic()
    report = await failure_of(bob)
    assert report.failure.what == "it said nothing until its time was up"
    assert time.monotonic() - began < 10
    assert (await survives(bob, REQUEST, role="participant", runs=10, may_be_silent=True)).survived


async def test_an_agent_that_goes_on_although_it_was_cancelled_has_not_survived():
    async def bob(turn):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1)
        return turn.say("refuse", reason="busy")

    report = await failure_of(bob)
    assert report.failure.what == "it went on although it was cancelled"


async def test_an_agent_whose_words_never_count_has_not_survived():
    async def bob(turn):
        return Message(act="refuse", content={"reason": 7})

    report = await failure_of(bob)
    assert "its tries are used up: refuse was refused, reason:" in report.failure.what


async def test_what_is_no_message_is_an_error_of_the_agent():
    async def bob(turn):
        return "agree"

    with pytest.raises(UsageError, match="answered with str"):
        await survives(bob, REQUEST, role="participant")


async def test_a_member_of_a_many_role_is_put_to_test_among_others():
    report = await survives(Peer(Dice(1)), load("contract-net"), role="bidder", runs=20, may_be_silent=True)
    assert report.survived, str(report)
    assert report.coverage.heard["cfp"] >= 15


async def test_so_is_the_one_who_gathers():
    mona = Agent("mona")

    @mona.opens
    def call(turn):
        return turn.say("cfp", goal="paint", due="2026-12-01T18:00:00Z")

    @mona.gathers
    def weigh(turn):
        return [one.say("reject-proposal", reason="all of them") for one in turn.lanes.values()]

    report = await survives(mona, load("contract-net"), role="manager", runs=30)
    assert report.survived, str(report)


class Offer(Content):
    price: int


async def test_an_act_with_a_class_of_yours_needs_an_example():
    text = """
agentcomm: 1
protocol: sale
version: 1
roles: [seller, buyer]
acts: {offer: {act: propose, content: Offer, outlives: true}, no: {act: refuse, content: {}}}
states:
  start: {seller: {offer: offered}}
  offered: {buyer: {no: off}}
outcomes: {off: refused, expired: expired}
"""
    sale = loads(text, types={"Offer": Offer})
    buyer = Agent("buyer")

    @buyer.on("offer")
    def decline(turn):
        assert turn.heard.content.price == 7
        return turn.say("no")

    with pytest.raises(UsageError, match="nobody knows what 'offer' may carry"):
        await survives(buyer, sale, role="buyer")
    report = await survives(buyer, sale, role="buyer", examples={"offer": [{"price": 7}]}, runs=20)
    assert report.survived, str(report)


async def test_a_role_that_is_not_there_is_told():
    with pytest.raises(UsageError, match="no role 'seller'"):
        await survives(worker(), REQUEST, role="seller")


@pytest.mark.parametrize("path", sorted(Path("protocols").glob("*.yaml")), ids=lambda path: path.stem)
async def test_whoever_says_only_what_is_legal_survives_every_protocol_of_the_library(root, path):
    protocol = load(root / path)
    for role in protocol.roles:
        report = await survives(Peer(Dice(2)), protocol, role=role, runs=4, may_be_silent=True)
        assert report.survived, str(report)
