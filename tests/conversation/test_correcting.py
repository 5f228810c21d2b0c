"""What a speaker takes back itself: before it is answered, in third position, and in fourth."""

from functools import cache

import pytest
from talks import ENDS, HEAD, Talk, kinds, one, only

from agentcomm.conversation.asides import asides
from agentcomm.conversation.events import (
    CommitmentChanged,
    GaveUp,
    Grounded,
    Moved,
    Refused,
    RepairClosed,
    RepairOpened,
    TroubleFound,
)
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.units import units
from agentcomm.grounding.units import UnitState
from agentcomm.protocol.library import load, loads

NAMES = ("read-back", "repair", "not-understood", "cancel", "standby", "escalate", "correct")
SALE = (
    """
roles: [a, b]
acts:
  ask: {act: cfp, content: {item: text}}
  offer: {act: propose, content: {price: int}, critical: [price]}
  accept: {act: accept-proposal, content: {}}
  paid: {act: inform, content: {}, discharges: offer}
grounding: {ask: relevant}
states:
  asking: {a: {ask: offering}}
  offering: {b: {offer: {next: deciding, owner: b}}, within: 30s}
  deciding: {a: {accept: paying}, within: 30s}
  paying: {b: {paid: done}, within: 30s}
owner: a
"""
    + ENDS
)


@cache
def rules(text: str = SALE, limits: str = "") -> Rules:
    return Rules(loads(HEAD + text + limits), {name: load(f"_overlays/{name}") for name in NAMES})


def offered(limits: str = "") -> Talk:
    talk = Talk(rules(limits=limits))
    talk.say("a", "ask", item="tea")
    talk.say("b", "offer", price=4)
    return talk


def can(talk: Talk, role: str) -> bool:
    return "correct" in [move.label for move in asides(talk.now, role)]


def test_a_slip_is_taken_back_by_its_speaker_before_it_is_answered_without_the_floor():
    talk = Talk(rules())
    talk.say("a", "ask", item="tea")
    before = talk.now.here
    talk.say("b", "offer", price=40)
    assert can(talk, "b")
    events = talk.say("b", "correct", reason="a digit too many")
    assert one(events, RepairOpened).kind == "correct"
    assert one(events, RepairClosed).mended
    assert [(c.was, c.now) for c in only(events, CommitmentChanged)] == [("conditional", "")]
    assert talk.now.position == "offering"
    assert talk.now.owner == "a"
    assert talk.now.here.said == before.said
    assert talk.now.spent == 1
    talk.say("b", "offer", price=4)
    assert talk.now.ground["offer.price"] == 4
    assert talk.now.ground.status("offer.price").value == "repaired"


def test_in_third_position_a_speaker_takes_back_its_words_with_the_answer_to_them():
    talk = offered()
    assert can(talk, "a")  # it asked for tea, and the answer shows that coffee was understood
    events = talk.say("a", "correct", reason="tea to drink, not to sow")
    moved = only(events, Moved)
    assert [(m.state, m.next) for m in moved] == [("deciding", "offering"), ("offering", "asking")]
    assert talk.now.position == "asking"
    assert not list(talk.now.ground)
    assert all(not entry.is_live for entry in talk.now.ledger)
    assert talk.now.spent == 2
    assert talk.now.ground.status("ask.item").value == "disputed"
    found = units(talk.events)
    assert found["m1"] is UnitState.DEAD
    assert found["m2"] is UnitState.DEAD
    for role, act, content in (
        ("a", "ask", {"item": "green tea, 100 g"}),
        ("b", "offer", {"price": 5}),
        ("a", "accept", {}),
        ("b", "paid", {}),
    ):
        talk.say(role, act, content)
    assert talk.ended == "done"
    assert talk.now.ground["ask.item"] == "green tea, 100 g"


def test_in_fourth_position_a_hearer_takes_back_its_own_answer():
    talk = offered()
    talk.say("a", "accept")
    events = talk.say("b", "mistaken", reason="I had read toy, not tea")
    assert one(events, RepairOpened).kind == "mistaken"
    assert talk.now.position == "offering"
    assert [(c.was, c.now) for c in only(events, CommitmentChanged)] == [
        ("detached", "conditional"),
        ("conditional", ""),
    ]
    assert talk.now.ground.status("offer.price").value == "disputed"
    assert "ask.item" not in talk.now.ground  # the answer was its evidence
    talk.say("b", "offer", price=9)
    assert talk.now.ground["ask.item"] == "tea"
    talk.say("a", "accept")
    talk.say("b", "paid")
    assert talk.ended == "done"


def test_nobody_takes_back_what_others_said_or_what_was_long_ago():
    talk = offered()
    assert not can(Talk(rules()), "a")
    talk.say("a", "accept")
    assert can(talk, "a")  # its own latest
    assert one(talk.say("c", "correct", reason="x"), Refused).code == "wrong-party"
    talk.say("b", "paid")
    assert talk.ended == "done"
    assert not can(talk, "b")
    assert kinds(talk.say("b", "correct", reason="x")) == ["Late"]


def test_what_is_taken_back_is_paid_for_message_by_message():
    talk = offered("\nlimits: {repairs_in_all: 1}\n")
    assert can(talk, "b")
    assert not can(talk, "a")
    refused = one(talk.say("a", "correct", reason="x"), Refused)
    assert "used up" in refused.reason
    talk.say("b", "correct", reason="x")
    talk.say("b", "offer", price=5)
    assert not can(talk, "b")


def test_what_is_late_is_not_taken_back():
    talk = Talk(
        rules(
            SALE.replace(
                "paying: {b: {paid: done}, within: 30s}", "paying: {b: {paid: done}, within: 30s}"
            ).replace(
                "deciding: {a: {accept: paying}, within: 30s}",
                "deciding: {a: {accept: paying}, within: 30s, else: late}\n"
                "  late: {b: {offer: {next: deciding, max: 1, then: off}, paid: off}}",
            )
        )
    )
    talk.say("a", "ask", item="tea")
    talk.say("b", "offer", price=4)
    talk.tick(31.0)
    assert talk.now.position == "late"
    assert not can(talk, "b")


def test_a_talk_with_all_the_correcting_there_is_stays_within_its_bound_and_replays():
    talk = Talk(rules())
    turn = {
        "asking": ("a", "ask"),
        "offering": ("b", "offer"),
        "deciding": ("a", "accept"),
        "paying": ("b", "paid"),
    }
    said = 0
    while not talk.ended:
        taken = next((role for role in ("a", "b") if can(talk, role)), "")
        if taken:
            talk.say(taken, "correct", reason="again")
        else:
            role, act = turn[talk.now.position]
            said += 1
            content = {"ask": {"item": f"tea {said}"}, "offer": {"price": said}}.get(act, {})
            talk.say(role, act, content)
    assert talk.ended == "done"
    assert talk.now.n <= talk.rules.bound
    again = Talk(talk.rules)
    for given in talk.inputs:
        again.give(given)
    assert again.hash == talk.hash


# --- saying it again as it was ---


def twice(*prices: int, limits: str = "") -> tuple[Talk, list[TroubleFound]]:
    talk = Talk(rules(limits=limits))
    talk.say("a", "ask", item="tea")
    found: list[TroubleFound] = []
    for price in prices[:-1]:
        found += only(talk.say("b", "offer", price=price), TroubleFound)
        talk.say("a", "not-understood", reason=f"{price} of what?")
    found += only(talk.say("b", "offer", price=prices[-1]), TroubleFound)
    return talk, found


MANY = "\nlimits: {repairs: 5, repairs_in_all: 9}\n"


def test_the_same_again_is_no_progress_and_the_third_time_nobody_is_asked_again():
    talk, found = twice(4, 4, limits=MANY)
    assert [trouble.kind for trouble in found] == ["no-progress"]
    assert one(talk.say("a", "not-understood", reason="?"), RepairOpened).left == 3
    again = talk.say("b", "offer", price=4)
    assert one(again, TroubleFound).kind == "no-progress"
    assert one(talk.say("a", "not-understood", reason="??"), Refused).code == "unexpected-act"
    talk.say("a", "accept")
    talk.say("b", "paid")
    assert talk.ended == "done"


def test_round_in_circles_costs_all_repairs_that_are_left():
    talk, found = twice(4, 5, 4, limits=MANY)
    assert [trouble.kind for trouble in found] == ["oscillation"]
    assert one(talk.say("a", "not-understood", reason="?"), Refused).code == "unexpected-act"


def test_something_new_is_progress():
    _, found = twice(4, 5, 6, limits=MANY)
    assert not found


# --- giving up, and evidence ---

READ = (
    """
roles: [a, b]
acts:
  tell: {act: propose, content: {count: int}}
  use: {act: accept-proposal, content: {count: int}}
  done: {act: inform, content: {}, discharges: tell}
grounding: {tell: {readback: [count]}, use: {repeats: {count: tell.count}}}
states:
  x: {a: {tell: y}}
  y: {b: {use: z}}
  z: {a: {done: done}}
"""
    + ENDS
)


def test_giving_up_is_told_with_everything_that_was_tried():
    talk = Talk(rules(READ))
    talk.say("a", "tell", count=4)
    for wrong in (5, 6):
        talk.say("b", "readback", fields={"count": wrong})
        talk.say("a", "wrong", fields={"count": 4})
    events = talk.say("b", "readback", fields={"count": 7})
    gave_up = one(events, GaveUp)
    assert (gave_up.message, gave_up.act, gave_up.repairs, gave_up.tried) == ("m1", "tell", 2, ("read-back",))
    assert str(gave_up.differs[0]) == "count (meant 4, understood 7)"
    assert talk.now.outcome is not None
    assert talk.now.outcome.kind.value == "aborted"
    assert not list(talk.now.ground)


def test_a_read_back_is_copied_unless_it_is_taken_from_a_plan_and_what_is_used_is_derived():
    from agentcomm.acts.message import Message
    from agentcomm.conversation.events import Say

    for how, evidence in (("model", "readback: copied"), ("plan", "readback: derived")):
        talk = Talk(rules(READ))
        talk.say("a", "tell", count=4)
        message = Message(act="readback", content={"fields": {"count": 4}}, id="r", sender="b", made_by=how)
        talk.give(Say(message, 0.0))
        events = talk.say("a", "right")
        assert one(events, Grounded).evidence == (evidence,)
        talk.say("b", "use", count=4)
        item = talk.now.ground.item("tell.count")
        assert item is not None
        assert item.evidence == (evidence, f"used by {talk.now.here.latest}: derived")


@pytest.mark.parametrize("act", ["correct", "mistaken"])
def test_it_works_in_lanes_as_elsewhere(act):
    net = """
roles: {boss: 1, bidder: 1..4}
acts:
  call: {act: cfp, content: {task: text}}
  bid: {act: propose, content: {price: int}}
  more: {act: query-ref, content: {what: text}}
  award: {act: accept-proposal, content: {price: int}}
states:
  calling: {boss: {call: {next: bidding, for: all}}}
  bidding: {bidder: {bid: asking}, within: 30s, else: silent}
  asking: {boss: {more: {next: bidding, max: 3}, award: won}, within: 30s, else: silent}
outcomes: {won: success, silent: expired, expired: expired}
settles: {success: any won, expired: otherwise}
"""
    talk = Talk(rules(net), members=("b1", "b2"))
    talk.say("boss", "call", task="dig")
    assert not [m for m in asides(talk.now.view("b1"), "boss") if m.label == "correct"]  # said for all
    talk.say("bidder", "bid", lane_="b1", price=4)
    talk.say("bidder", "bid", lane_="b2", price=5)
    talk.say("boss", "more", lane_="b1", what="when?")
    talk.say("bidder", act, lane_="b1", reason="I had misread the task")
    assert talk.now.lanes["b1"].name == "bidding"
    assert talk.now.lanes["b2"].name == "asking"
    talk.say("bidder", "bid", lane_="b1", price=9)
    assert talk.now.view("b1").ground["bid.price"] == 9


def test_a_question_that_crosses_a_correction_is_superseded_and_costs_nobody_anything():
    talk = Talk(rules())
    talk.say("a", "ask", item="tea")
    talk.say("b", "offer", price=40)
    talk.say("b", "correct", reason="a digit too many")
    before = talk.now
    for act, content in (("not-understood", {"reason": "40 of what?"}), ("accept", {})):
        events = talk.say("a", act, content)
        assert kinds(events) == ["Superseded"]
        assert talk.now is before
    talk.say("b", "offer", price=4)
    talk.say("a", "accept")
    assert talk.now.position == "paying"
