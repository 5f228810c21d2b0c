"""Conversations in which several agents play one role, and such in which two may speak at once."""

import asyncio

import pytest

from agentcomm import Agent, enact_sync, load
from agentcomm.conversation.events import Leave, Refused, Superseded
from agentcomm.errors import UsageError
from agentcomm.protocol.library import loads
from agentcomm.runtime.driving import Plural
from agentcomm.runtime.replay import replay

TASK = {"goal": "paint the fence", "due": "2026-12-01T18:00:00Z"}


def manager(choose=min):
    mona = Agent("mona")

    @mona.opens
    def opening(turn):
        return turn.say("cfp", **TASK)

    @mona.gathers
    def weigh(turn):
        price = {name: one.heard.content.price for name, one in turn.lanes.items()}
        best = choose(price, key=lambda name: price[name].amount)
        return [
            one.say("accept-proposal", price=price[name])
            if name == best
            else one.say("reject-proposal", reason="dearer")
            for name, one in turn.lanes.items()
        ]

    return mona


def bidder(name, price, *, wait=0.0):
    agent = Agent(name)

    @agent.on("cfp")
    async def bid(turn):
        await asyncio.sleep(wait)
        if not price:
            return turn.say("refuse", reason="busy")
        return turn.say("propose", price=f"{price} EUR", plan="two days")

    @agent.on("accept-proposal")
    def work(turn):
        return turn.say("result", summary=f"painted by {name}")

    return agent


def test_a_contract_net_from_call_to_result(tmp_path):
    path = tmp_path / "talk.jsonl"
    bidders = [bidder("bea", 900, wait=0.05), bidder("bob", 800), bidder("bo", 0)]
    result = enact_sync(load("contract-net"), cast={"manager": manager(), "bidder": bidders}, transcript=path)
    assert result.outcome == "success"
    assert {name: lane.outcome.name for name, lane in result.lanes.items()} == {
        "bea": "rejected",
        "bob": "done",
        "bo": "declined",
    }
    assert str(result.ground["propose.price"]) == "800 EUR"
    assert {(entry.lane, entry.status.value) for entry in result.commitments} == {
        ("bea", "released"),
        ("bob", "satisfied"),
    }
    assert "bob -> mona  propose" in str(result)
    again = replay(path)
    assert again.same, again.first_difference
    assert again.conversation.outcome == result.conversation.outcome


def test_bidders_think_at_the_same_time():
    inside = most = 0

    def slow(name):
        agent = Agent(name)

        @agent.on("cfp")
        async def bid(turn):
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.05)
            inside -= 1
            return turn.say("refuse", reason="busy")

        return agent

    result = enact_sync(
        load("contract-net"), cast={"manager": manager(), "bidder": [slow(f"b{n}") for n in range(5)]}
    )
    assert result.outcome_class == "refused"
    assert most == 5


def test_a_gather_without_a_handler_is_taken_lane_by_lane_and_one_refusal_is_asked_again_alone():
    mona, asked, seen = Agent("mona"), [], []

    @mona.opens
    def opening(turn):
        return turn.say("cfp", **TASK)

    @mona.on("propose")
    def weigh(turn):
        asked.append(turn.lane)
        if turn.refusal is None:
            return turn.say("accept-proposal", price=turn.heard.content.price)
        return turn.say("reject-proposal", reason=turn.refusal.reason)

    result = enact_sync(
        load("contract-net"),
        cast={"manager": mona, "bidder": {"b1": bidder("b1", 9), "b2": bidder("b2", 8)}},
        watch=seen.append,
    )
    assert result.outcome == "success"
    assert asked == ["b1", "b2", "b2"]
    assert [event.lane for event in seen if isinstance(event, Refused)] == ["b2"]


RACE = """
agentcomm: 1
protocol: race
roles: [left, right]
acts: {mine: {act: inform, content: {}}, ours: {act: inform, content: {}}}
states:
  open:
    left: {mine: taken}
    right: {ours: taken}
    first: right
outcomes: {taken: success}
"""


@pytest.mark.parametrize("faster", ["left", "right"])
def test_in_a_race_the_first_one_counts_and_the_other_is_left_alone(faster):
    seen = []

    def runner(name, act):
        agent = Agent(name)

        @agent.opens
        async def say(turn):
            await asyncio.sleep(0.0 if name == faster else 0.2)
            return turn.say(act)

        return agent

    result = enact_sync(
        loads(RACE),
        cast={"left": runner("left", "mine"), "right": runner("right", "ours")},
        watch=seen.append,
    )
    assert result.outcome == "taken"
    assert result.messages == 1
    assert f"{faster} said" in result.cause
    assert not [event for event in seen if isinstance(event, Refused | Superseded)]


@pytest.mark.parametrize(
    ("cast", "words"),
    [
        ({"manager": Agent("m")}, "nobody plays bidder"),
        ({"manager": Agent("m"), "bidder": []}, "0 play 'bidder'"),
        ({"manager": Agent("m"), "bidder": [Agent("b"), Agent("b")]}, "one name"),
        ({"manager": Agent("m"), "bidder": {"manager": Agent("b")}}, "cannot be the name"),
    ],
)
def test_a_cast_that_does_not_fit_is_told(cast, words):
    with pytest.raises(UsageError, match=words):
        enact_sync(load("contract-net"), cast=cast)


def test_nobody_is_asked_once_another_has_ended_the_talk():
    asked = []
    first, second = Agent("b1"), Agent("b2")

    @first.on("cfp")
    def fail(turn):
        raise RuntimeError("out of paint")

    @second.on("cfp")
    def bid(turn):
        asked.append(turn.state)
        return turn.say("refuse", reason="busy")

    with pytest.raises(RuntimeError, match="out of paint"):
        enact_sync(load("contract-net"), cast={"manager": manager(), "bidder": [first, second]})
    assert asked == []


@pytest.mark.parametrize("deaf_to", [{"bob"}, {"bea", "bob"}])
def test_a_lane_in_which_nothing_is_ever_understood_ends_and_the_others_go_on(deaf_to):
    mona = manager()

    @mona.on("propose", overlay="read-back")
    def misheard(turn):
        price = "1 EUR" if turn.lane in deaf_to else turn.heard.content.price
        return turn.say("readback", fields={"price": price})

    result = enact_sync(
        load("contract-net"), cast={"manager": mona, "bidder": [bidder("bea", 900), bidder("bob", 800)]}
    )
    outcomes = {name: lane.outcome.name for name, lane in result.lanes.items()}
    assert outcomes == {"bea": "aborted" if "bea" in deaf_to else "done", "bob": "aborted"}
    assert result.repairs == 2 * len(deaf_to)


def test_what_is_said_for_all_at_a_gather_may_come_from_the_handler_for_gathers():
    chair = Agent("chair")

    @chair.opens
    def ask(turn):
        return turn.say(
            "question", question="q", options=["yes", "no"], rule="majority", at_a_tie="no-result"
        )

    @chair.gathers
    def count(turn):
        votes = [one.content["choice"] for one in turn.lanes.values()]
        return [next(iter(turn.lanes.values())).say("tally", choice="yes", votes=votes.count("yes"), cast=3)]

    def member(name, choice):
        agent = Agent(name)

        @agent.on("question")
        def vote(turn):
            return turn.say("ballot", choice=choice, reason="r")

        return agent

    members = [member("m1", "yes"), member("m2", "no"), member("m3", "yes")]
    result = enact_sync(load("sealed-vote"), cast={"chair": chair, "member": members})
    assert result.outcome == "success", str(result)
    assert result.ground["tally.votes"] == 2


def test_a_member_that_leaves_just_as_the_gather_opens_is_not_asked_for(monkeypatch):
    look, left = Plural._look_joint, []

    def after_it_left(self, lanes):
        if lanes and not left:
            left.append(lanes)
            self._talk.take(Leave("bidder", "it is gone", self._talk.now(), "b2"))
        look(self, lanes)

    monkeypatch.setattr(Plural, "_look_joint", after_it_left)
    result = enact_sync(
        load("contract-net"),
        cast={"manager": manager(), "bidder": [bidder("b1", 9), bidder("b2", 5), bidder("b3", 7)]},
    )
    assert left == [("b1", "b2", "b3")]
    assert {name: lane.outcome.name for name, lane in result.lanes.items()} == {
        "b1": "rejected",
        "b2": "aborted",
        "b3": "done",
    }
    assert replay(result.transcript).same
