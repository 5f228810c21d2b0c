"""What the ground says while things go wrong: in lanes, under deadlines, with forged evidence and stalled judges."""

from functools import cache

from agentcomm.conversation.events import Doubt, Evidence, Expired, Judged, Reading, Refused
from agentcomm.conversation.gate import blocked
from agentcomm.conversation.moves import due
from agentcomm.conversation.rules import Rules
from agentcomm.protocol.library import loads
from tests.conversation.talks import HEAD, Talk, kinds, only, overlays

ORDER = """
roles: {a: 1, b: 1..3}
acts:
  order: {act: request, content: {what: text, count: int}, critical: [count], stakes: high}
  told: {act: inform, content: {count: int}, discharges: order}
  failure: {reason: text}
GROUNDING
states:
  ordering: {a: {order: working}}
  working: {b: {told: done, failure: failed}}
outcomes: {done: success, failed: failed, expired: expired}
settles: {success: any done, failed: otherwise}
limits: {reply_within: 60s, else: expired, repairs: 2}
"""
BIDS = """
roles: {a: 1, b: 1..3}
acts:
  cfp: {act: cfp, content: {what: text, most: money}, critical: [most], stakes: high}
  propose: {content: {price: money}, critical: [price], stakes: high}
  refuse: {reason: text}
  accept: {act: accept-proposal, content: {price: money}}
  reject: {act: reject-proposal, content: {reason: text}}
grounding:
  accept: {repeats: {price: propose.price}}
states:
  calling: {a: {cfp: {next: bidding, for: all}}}
  bidding: {b: {propose: bids, refuse: refused}}
  bids: {gather: b, a: {accept: accepted, reject: rejected}}
outcomes: {accepted: success, refused: refused, rejected: refused, expired: expired}
settles: {success: any accepted, failed: otherwise}
limits: {reply_within: 60s, else: expired, repairs: 2}
"""


@cache
def laws(text, judge=""):
    grounding = "grounding: {order: demonstrated}" if judge else ""
    return Rules(loads(HEAD + text.replace("GROUNDING", grounding)), overlays(), judge=judge)


def ordered(judge=""):
    text = ORDER.replace("critical: [count], stakes: high", "critical: [count]") if judge else ORDER
    talk = Talk(laws(text, judge), members=("b1", "b2"))
    for lane in ("b1", "b2"):
        talk.say("a", "order", lane_=lane, what="the web server", count=3)
    return talk


def read_back(talk, lane, count=3, *, right=True):
    events = talk.say("b", "readback", lane_=lane, fields={"count": count})
    return (*events, *talk.say("a", "right", lane_=lane)) if right else events


def status(talk, lane, name):
    return talk.now.view(lane).ground.status(name)


def test_each_lane_has_its_own_standing_while_it_is_read_back_and_repaired():
    talk = ordered()
    assert status(talk, "b1", "count") == status(talk, "b2", "count") == "proposed"
    read_back(talk, "b1", 4, right=False)
    assert (status(talk, "b1", "count"), status(talk, "b2", "count")) == ("disputed", "proposed")
    assert status(talk, "b1", "what") == "proposed"
    talk.say("a", "wrong", lane_="b1", fields={"count": 3})
    read_back(talk, "b1")
    read_back(talk, "b2")
    assert (status(talk, "b1", "count"), status(talk, "b2", "count")) == ("repaired", "grounded")
    for lane in ("b1", "b2"):
        ground = talk.now.view(lane).ground
        assert ground.known("b", "count")
        assert ground.item("count").evidence == ("readback: copied",)
        assert ground.item("what").evidence == ("delivered",)  # it was not read back
        assert len(ground.dependents("count").commitments) == 1
        assert not blocked(talk.now.view(lane), "b", {"count": 3})


def test_a_question_in_one_lane_disputes_that_field_there_and_nothing_elsewhere():
    talk = ordered()
    read_back(talk, "b1")
    read_back(talk, "b2")
    first, second = (talk.now.view(lane).here.latest for lane in ("b1", "b2"))
    readings = (Reading("web-1"), Reading("web-2"))
    for about, lane, role in ((second, "b1", "b"), (first, "b3", "b"), (first, "b1", "a"), (first, "", "b")):
        assert only(talk.give(Doubt(role, about, "what", readings, talk.at, lane)), Refused)
    talk.give(Doubt("b", first, "what", readings, talk.at, "b1"))
    assert status(talk, "b1", "what") == "disputed"
    assert status(talk, "b2", "what") == "grounded"
    assert blocked(talk.now.view("b1"), "b", {"count": 3})
    assert not blocked(talk.now.view("b2"), "b", {"count": 3})
    owed = [entry.id for entry in talk.now.ledger if entry.is_live]
    assert len(owed) == 2
    talk.say("b", "choose", lane_="b1", path="what", options=["web-1", "web-2"])
    talk.say("a", "value", lane_="b1", value="web-2")
    view = talk.now.view("b1")
    assert (view.position, view.ground.item("count"), view.ground.status("what")) == (
        "ordering",
        None,
        "disputed",
    )
    assert [entry.id for entry in talk.now.ledger if entry.is_live] == [owed[1]]
    talk.say("a", "order", lane_="b1", what="web-2", count=3)
    read_back(talk, "b1")
    assert status(talk, "b1", "what") == "repaired"
    assert talk.now.view("b1").ground["order.what"] == "web-2"


def test_a_deadline_runs_out_in_the_middle_of_a_repair_and_nothing_of_it_counts():
    talk = ordered()
    read_back(talk, "b1", 4, right=False)
    read_back(talk, "b2")
    assert due(talk.now) == 30.0
    talk.tick(30.0)
    assert talk.now.view("b1").outcome.kind == "aborted"
    assert status(talk, "b1", "count") == "private"
    assert blocked(talk.now.view("b1"), "b", {"count": 4}, {"count": "order.count"})
    assert status(talk, "b2", "count") == "grounded"
    assert [entry.lane for entry in talk.now.ledger if entry.is_live] == ["b2"]
    talk.say("b", "told", lane_="b2", count=3)
    assert talk.now.outcome.kind == "success"
    assert not [entry for entry in talk.now.ledger if entry.is_live]


def test_taking_back_an_own_bid_leaves_the_other_lanes_and_the_gather_waits_for_it():
    talk = Talk(laws(BIDS), members=("b1", "b2"))
    talk.say("a", "cfp", what="paint", most="100 EUR")
    for lane, price in (("b1", "95 EUR"), ("b2", "80 EUR")):
        talk.say("b", "readback", lane_=lane, fields={"most": "100 EUR"})
        talk.say("a", "right", lane_=lane)
        talk.say("b", "propose", lane_=lane, price=price)
        talk.say("a", "readback", lane_=lane, fields={"price": price})
        if lane == "b1":
            talk.say("b", "right", lane_=lane)
            talk.say("b", "correct", lane_=lane, reason="a slip")
            assert status(talk, "b1", "price") == "disputed"
            assert status(talk, "b1", "most") == "grounded"
            assert not [entry for entry in talk.now.ledger if entry.is_live]
        else:
            talk.say("b", "right", lane_=lane)
    assert talk.now.turn is None  # b1 is yet to bid anew
    assert status(talk, "b2", "price") == "grounded"
    assert [entry.lane for entry in talk.now.ledger if entry.is_live] == ["b2"]
    talk.say("b", "propose", lane_="b1", price="75 EUR")
    talk.say("a", "readback", lane_="b1", fields={"price": "75 EUR"})
    talk.say("b", "right", lane_="b1")
    assert talk.now.turn is not None
    assert str(talk.now.view("b1").ground["price"]) == "75 EUR"
    assert status(talk, "b1", "price") == "repaired"


def test_forged_evidence_changes_nothing_whatever_it_claims():
    talk = ordered("j")
    for lane in ("b1", "b2"):
        shown = {"goal": "restart it", "plan": [], "missing": [], "assumed": []}
        talk.say("b", "demonstrate", lane_=lane, **shown)
    ids = {lane: talk.now.view(lane).frame.awaits for lane in ("b1", "b2")}
    before = talk.hash
    for about, judge, lane in (
        (ids["b1"], "j", "b2"),
        (ids["b1"], "j", ""),
        (ids["b1"], "b", "b1"),
        (ids["b1"], "J", "b1"),
        (talk.now.view("b1").frame.it.id, "j", "b1"),
        ("", "j", "b1"),
    ):
        [refused] = talk.give(Evidence(about, judge, (), (), talk.at, "", lane))
        assert (type(refused), refused.code) == (Refused, "wrong-evidence")
    assert talk.hash == before
    talk.give(Evidence(ids["b1"], "j", ("the time",), (), talk.at, "", "b1"))
    assert status(talk, "b1", "what") == "disputed"  # all of it: what is missing is no field
    talk.say("a", "wrong", lane_="b1", points=["at noon"])
    talk.say("b", "demonstrate", lane_="b1", goal="at noon", plan=[], missing=[], assumed=[])
    assert only(talk.give(Evidence(ids["b1"], "j", (), (), talk.at, "", "b1")), Refused)  # of the first try


def test_a_judge_that_says_nothing_is_not_waited_for_and_what_was_shown_does_not_count():
    talk = ordered("j")
    talk.say("b", "demonstrate", lane_="b1", goal="it", plan=[], missing=[], assumed=[])
    waits = talk.now.view("b1").frame.deadline
    events = talk.tick(waits)
    assert only(events, Expired)
    assert not only(events, Judged)
    assert talk.now.view("b1").outcome is not None or talk.now.view("b1").frame is not None
    assert status(talk, "b1", "what") != "grounded"
    assert kinds(talk.give(Evidence("m3", "j", (), (), talk.at, "", "b1"))) == ["Refused"]
