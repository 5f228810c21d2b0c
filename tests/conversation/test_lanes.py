"""Lanes, gathers, races and runs, case by case."""

import msgspec
import pytest
from talks import HEAD, Talk, dice_of, kinds, one, only, overlays, refusal, rules, take_turn

from agentcomm.acts.message import Message
from agentcomm.conversation.events import (
    DeadlineSet,
    Expired,
    GatherOpened,
    Grounded,
    Heard,
    Join,
    Joined,
    LaneEnded,
    LanesBegan,
    Leave,
    Left,
    Moved,
    RepairOpened,
    Superseded,
)
from agentcomm.conversation.moves import Joint, Over, wants, wants_all
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.step import open_conversation, tie_break
from agentcomm.errors import UsageError
from agentcomm.protocol.library import loads

NET = """
roles: {boss: 1, bidder: 1..4}
acts:
  start: {act: inform, content: {}}
  call: {act: cfp, content: {task: text}}
  bid: {act: propose, content: {price: int}}
  pass: {act: refuse, content: {}}
  award: {act: accept-proposal, content: {price: int}}
  lose: {act: reject-proposal, content: {}}
  result: {act: inform, content: {}, discharges: bid}
grounding: {award: {repeats: {price: bid.price}}}
states:
  calling: {boss: {call: {next: bidding, for: all}}}
  bidding: {bidder: {bid: weighing, pass: off}, within: 30s, else: silent}
  weighing:
    gather: bidder
    boss: {award: {next: working, at_most: 1}, lose: lost}
    within: 20s
    else: late
  working: {bidder: {result: done}, within: 1m, else: failed}
outcomes: {done: success, off: refused, silent: expired, lost: rejected, late: expired, failed: failed, expired: expired}
settles: {success: any done, expired: any late, rejected: any lost, refused: otherwise}
"""


def net(*members: str) -> Talk:
    talk = Talk(rules(NET), members=members)
    talk.say("boss", "call", task="dig")
    return talk


def bids(*members: str) -> Talk:
    talk = net(*members)
    for n, name in enumerate(members):
        talk.say("bidder", "bid", price=n, lane_=name)
    return talk


def place(talk: Talk, name: str) -> str:
    return talk.now.view(name).position


# --- members ---


def test_lanes_begin_with_the_members_that_were_cast():
    talk = Talk(rules(NET), members=("b1", "b2"))
    assert one(talk.opening, LanesBegan).lanes == ("b1", "b2")
    (asked,) = wants_all(talk.now)
    assert isinstance(asked, Joint)
    assert sorted(asked.lanes) == ["b1", "b2"]


def test_nobody_joins_after_lanes_began():
    talk = net("b1")
    assert refusal(talk.give(Join("b2", 0.0))) == "too-late"


WAITS = """
roles: {boss: 1, helper: 2..3, judge: 1}
acts:
  prepare: {act: inform, content: {}}
  ask: {act: query-if, content: {}}
  say: {act: inform, content: {}}
states:
  first: {boss: {prepare: {next: asking, to: judge}}}
  asking: {boss: {ask: {next: asked, for: all, to: helper}}}
  asked: {helper: {say: {next: done, to: boss}}}
outcomes: {done: success, expired: expired}
settles: {success: %s, failed: otherwise}
"""


def test_members_join_and_leave_before_lanes_begin():
    talk = Talk(rules(WAITS % "all done"), members=("h1", "h2"))
    assert one(talk.give(Join("h3", 0.0)), Joined).member == "h3"
    assert refusal(talk.give(Join("h4", 0.0))) == "no-room"
    assert one(talk.give(Leave("helper", "ill", 0.0, lane="h1")), Left)
    for name in ("h2", "boss", "no name", ""):
        assert refusal(talk.give(Join(name, 0.0))) == "wrong-name"
    assert one(talk.say("boss", "prepare"), LanesBegan).lanes == ("h2", "h3")


def test_with_too_few_members_lanes_do_not_begin():
    talk = Talk(rules(WAITS % "all done"), members=("h1",))
    talk.say("boss", "prepare")
    assert talk.ended == "aborted"


@pytest.mark.parametrize("names", [(), ("a", "a"), ("boss",), ("no name",), ("a", "b", "c", "d", "e")])
def test_members_that_do_not_fit_are_a_mistake_of_the_caller(names):
    with pytest.raises(UsageError):
        open_conversation(rules(NET), "c", members=names)


def test_a_member_who_leaves_ends_its_lane_only():
    talk = net("b1", "b2")
    events = talk.give(Leave("bidder", "gone", 0.0, lane="b1"))
    assert one(events, LaneEnded).outcome == "aborted"
    assert not talk.ended
    assert kinds(talk.say("bidder", "bid", price=1, lane_="b1")) == ["Late"]
    assert one(talk.say("bidder", "bid", price=1, lane_="b2"), GatherOpened).lanes == ("b2",)


# --- for all ---


def test_what_is_said_for_all_is_one_message_in_every_lane():
    talk = net("b1", "b2", "b3")
    assert len(only(talk.events, Heard)) == 1
    assert [event.lane for event in only(talk.events, Moved)] == ["b1", "b2", "b3"]
    assert talk.now.n == 1


def test_a_move_for_all_is_not_made_in_one_lane_nor_a_lanes_move_for_all():
    talk = Talk(rules(NET), members=("b1", "b2"))
    assert refusal(talk.say("boss", "call", task="dig", lane_="b1")) == "unexpected-act"
    talk.say("boss", "call", task="dig")
    assert refusal(talk.say("bidder", "bid", price=1)) == "wrong-party"
    assert refusal(talk.say("bidder", "bid", price=1, lane_="b7")) == "wrong-party"
    talk.say("bidder", "bid", price=1, lane_="b1")
    talk.say("bidder", "bid", price=1, lane_="b2")
    assert refusal(talk.say("boss", "lose")) == "unexpected-act"


# --- gathers ---


def test_a_gather_waits_for_every_lane_and_commits_all_moves_together():
    talk = net("b1", "b2")
    talk.say("bidder", "bid", price=1, lane_="b1")
    assert refusal(talk.say("boss", "lose", lane_="b1")) == "unexpected-act"
    assert one(talk.say("bidder", "bid", price=2, lane_="b2"), GatherOpened)
    assert kinds(talk.say("boss", "lose", lane_="b1")) == ["Staged"]
    assert place(talk, "b1") == "weighing"
    assert refusal(talk.say("boss", "lose", lane_="b1")) == "unexpected-act"
    events = talk.say("boss", "award", price=2, lane_="b2")
    assert [event.lane for event in only(events, Moved)] == ["b1", "b2"]
    assert (place(talk, "b1"), place(talk, "b2")) == ("lost", "working")


def test_no_gather_opens_where_every_lane_has_ended():
    talk = net("b1", "b2")
    talk.say("bidder", "pass", lane_="b1")
    events = talk.say("bidder", "pass", lane_="b2")
    assert not only(events, GatherOpened)
    assert talk.ended == "refused"


def test_at_most_holds_within_one_turn_and_the_refused_lane_is_asked_again():
    talk = bids("b1", "b2")
    talk.say("boss", "award", price=0, lane_="b1")
    (asked,) = wants_all(talk.now)
    assert isinstance(asked, Joint)
    assert [move.label for move in asked.lanes["b2"].moves] == ["lose"]
    assert refusal(talk.say("boss", "award", price=1, lane_="b2")) == "unexpected-act"
    (asked,) = wants_all(talk.now)
    assert isinstance(asked, Joint)
    assert list(asked.lanes) == ["b2"]
    talk.say("boss", "lose", lane_="b2")
    assert (place(talk, "b1"), place(talk, "b2")) == ("working", "lost")


def test_what_a_lane_claimed_is_free_again_once_its_member_left():
    talk = bids("b1", "b2")
    talk.say("boss", "award", price=0, lane_="b1")
    talk.give(Leave("bidder", "gone", 0.0, lane="b1"))
    talk.say("boss", "award", price=1, lane_="b2")
    assert place(talk, "b2") == "working"


def test_the_deadline_of_a_gather_moves_only_the_lanes_without_a_move():
    talk = net("b1", "b2")
    talk.at = 10.0
    talk.say("bidder", "bid", price=1, lane_="b1")
    talk.at = 25.0
    events = talk.say("bidder", "bid", price=2, lane_="b2")
    assert {event.at for event in only(events, DeadlineSet)} == {45.0}
    talk.say("boss", "award", price=1, lane_="b1")
    assert not talk.tick(44.0)
    events = talk.tick(45.0)
    assert one(events, Expired).lane == "b2"
    assert (place(talk, "b1"), place(talk, "b2")) == ("working", "late")


def test_a_repair_keeps_its_lane_out_and_the_gather_opens_again():
    talk = bids("b1", "b2")
    talk.say("boss", "lose", lane_="b2")
    events = talk.say("boss", "award", price=99, lane_="b1")
    assert one(events, RepairOpened).lane == "b1"
    assert (place(talk, "b1"), place(talk, "b2")) == ("weighing", "lost")
    assert not only(events, GatherOpened)
    assert talk.now.lanes.away == 1
    talk.say("bidder", "open", level="understanding", lane_="b1")
    events = talk.say("boss", "restate", fields={}, lane_="b1")
    assert one(events, GatherOpened).lanes == ("b1",)
    talk.say("boss", "award", price=0, lane_="b1")
    assert place(talk, "b1") == "working"


def test_a_gather_that_waits_again_has_no_deadline_meanwhile():
    talk = bids("b1", "b2")
    assert talk.say("boss", "not-understood", reason="which unit?", lane_="b1")
    assert talk.now.turn is None
    assert not [e for e in talk.tick(25.0) if getattr(e, "lane", "") == "b2"]
    assert place(talk, "b2") == "weighing"


TWICE = """
roles: {chair: 1, member: 1..5}
acts:
  ask: {act: query-if, content: {}}
  say: {act: inform, content: {}}
  stop: {act: inform, content: {}}
states:
  asking: {gather: member, chair: {ask: {next: asked, for: all, max: 2}, stop: {next: done, for: all}}}
  asked: {member: {say: asking}}
outcomes: {done: success, expired: expired}
settles: {success: all done, failed: otherwise}
"""


def test_the_budget_of_a_move_for_all_counts_once():
    talk = Talk(rules(TWICE), members=("m1", "m2", "m3"))
    for _ in range(2):
        talk.say("chair", "ask")
        for name in talk.members:
            talk.say("member", "say", lane_=name)
    assert refusal(talk.say("chair", "ask")) == "unexpected-act"
    talk.say("chair", "stop")
    assert talk.ended == "success"
    assert talk.now.n == 9


AT_ONCE = """
roles: {boss: 1, worker: 1..3}
acts:
  go: {act: request, content: {}}
  wait: {act: inform, content: {}}
  ok: {act: inform, content: {}, discharges: go}
  fine: {act: inform, content: {}}
states:
  queue: {gather: worker, boss: {go: {next: busy, at_once: 2}, wait: {next: held}}}
  held: {worker: {fine: off}}
  busy: {worker: {ok: done}}
outcomes: {done: success, off: refused, expired: expired}
settles: {success: any done, failed: otherwise}
"""


def test_at_once_holds_within_one_turn():
    talk = Talk(rules(AT_ONCE), members=("w1", "w2", "w3"))
    talk.say("boss", "go", lane_="w1")
    talk.say("boss", "go", lane_="w2")
    assert refusal(talk.say("boss", "go", lane_="w3")) == "unexpected-act"
    talk.say("boss", "wait", lane_="w3")
    assert [place(talk, name) for name in talk.members] == ["busy", "busy", "held"]


# --- settling ---


@pytest.mark.parametrize(
    ("settles", "good", "outcome"),
    [
        ("any done", 1, "success"),
        ("any done", 0, "failed"),
        ("all done", 2, "failed"),
        ("all done", 3, "success"),
        ("most done", 1, "failed"),
        ("most done", 2, "success"),
        ("at least 2 done", 1, "failed"),
        ("at least 2 done", 2, "success"),
        ("most success", 2, "success"),
    ],
)
def test_how_lanes_end_settles_the_conversation(settles, good, outcome):
    talk = Talk(rules(WAITS % settles), members=("h1", "h2", "h3"))
    talk.say("boss", "prepare")
    talk.say("boss", "ask")
    for n, name in enumerate(talk.members):
        if n < good:
            talk.say("helper", "say", lane_=name)
        else:
            talk.give(Leave("helper", "gone", 0.0, lane=name))
    assert talk.ended == outcome


# --- races ---

RACE = """
roles: [left, right]
acts:
  mine: {act: inform, content: {}}
  yours: {act: inform, content: {}}
  end: {act: inform, content: {}}
states:
  open: {left: {mine: last}, right: {yours: last}, first: right}
  last: {left: {end: done}}
outcomes: {done: success, expired: expired}
"""


def test_who_comes_second_in_a_race_is_superseded_and_it_is_not_held_against_it():
    talk = Talk(rules(RACE))
    assert {asked.role for asked in wants_all(talk.now)} == {"left", "right"}
    talk.say("left", "mine")
    n = talk.now.n
    assert one(talk.say("right", "yours"), Superseded).role == "right"
    assert (talk.now.n, talk.now.here.misfires) == (n, 0)
    talk.say("left", "end")
    assert talk.ended == "done"


def test_a_tie_goes_to_the_role_named_first():
    talk = Talk(rules(RACE))
    left = Message(act="mine", id="a", sender="left")
    right = Message(act="yours", id="b", sender="right")
    assert tie_break(talk.now, [left, right]) == [right, left]


# --- runs ---

RUN = """
roles: [lead, worker]
acts:
  plan: {act: inform, content: {goal: text}}
  again: {act: inform, content: {}}
  stop: {act: inform, content: {}}
states:
  planning: {lead: {plan: executing}}
  executing:
    run: request
    as: {initiator: lead, participant: worker}
    with: {request.action: plan.goal}
    then: {success: asking, otherwise: off}
    within: 20s
    else: off
  asking: {lead: {again: {next: planning, max: 1, then: off}, stop: done}}
outcomes: {done: success, off: refused, expired: expired}
"""


def running() -> Talk:
    talk = Talk(rules(RUN))
    talk.say("lead", "plan", goal="dig")
    return talk


def test_values_of_with_are_filled_and_another_value_is_refused():
    talk = running()
    assert (
        refusal(talk.say("lead", "request", action="sleep", due="2026-01-01T00:00:00Z")) == "invalid-content"
    )
    heard = one(talk.say("lead", "request", due="2026-01-01T00:00:00Z"), Heard)
    assert heard.message.act == "executing.request"
    assert heard.message.content.action == "dig"


def test_the_deadline_of_a_run_leads_out_of_it():
    talk = running()
    talk.at = 5.0
    talk.say("lead", "executing.request", due="2026-01-01T00:00:00Z")
    assert talk.now.here.deadline == 20.0
    assert one(talk.tick(20.0), Expired).state == "executing"
    assert talk.ended == "off"


def test_each_entry_into_a_run_is_a_new_enactment():
    talk, dice = running(), dice_of(3)
    seen = 0
    while talk.now.position != "asking":
        asked = wants(talk.now)
        assert not isinstance(asked, Over)
        good = {"request", "agree", "inform-done", "inform-result"}
        moves = [move for move in getattr(asked, "moves", ()) if move.label.partition(".")[2] in good]
        asked = msgspec.structs.replace(asked, moves=tuple(moves)) if moves else asked
        take_turn(talk, asked, dice, honest=1.0, asks=0.0, slow=0.0)
        seen += 1
        assert seen < 9
    assert "executing.request" in talk.now.here.said
    talk.say("lead", "again")
    talk.say("lead", "plan", goal="fill")
    assert "executing.request" not in talk.now.here.said
    assert not [key for key in talk.now.here.used if key.startswith("executing/")]
    assert talk.now.here.deadline == talk.at + 20.0
    heard = one(talk.say("lead", "request", due="2026-01-01T00:00:00Z"), Heard)
    assert heard.message.content.action == "fill"


PREPARED = """
roles: {boss: 1, helper: 2..3, judge: 1}
acts:
  prepare: {act: request, content: {what: text}, outlives: true}
  ask: {act: query-if, content: {}}
  say: {act: inform, content: {}}
  look: {act: inform, content: {}}
grounding: {prepare: relevant}
states:
  first: {boss: {prepare: {next: asking, to: judge}}}
  asking: {helper: {say: {next: looking, to: [boss, judge]}}}
  looking: {judge: {look: {next: done, to: [boss, helper]}}}
outcomes: {done: success, expired: expired}
settles: {success: all done, failed: otherwise}
"""


def test_what_was_said_before_lanes_is_grounded_once_by_an_answer_in_any_of_them():
    talk = Talk(rules(PREPARED), members=("h1", "h2"))
    talk.say("boss", "prepare", what="x")
    for name in ("h1", "h2"):
        talk.say("helper", "say", lane_=name)
    events = talk.say("judge", "look", lane_="h1", reply="m1")
    assert next(e.message for e in only(events, Grounded)) == "m1"
    assert talk.now.view("h2").ground["prepare.what"] == "x"
    events = talk.say("judge", "look", lane_="h2", reply="m1")
    assert "m1" not in [e.message for e in only(events, Grounded)]
    assert len(list(talk.now.ledger)) == 1
    assert talk.ended == "success"


def test_each_entry_into_a_run_is_a_new_enactment_with_whole_budgets_and_no_record():
    inner = loads(
        """
agentcomm: 1
protocol: twice
version: 1
roles: [asker, answerer]
acts:
  ask: {act: inform, content: {n: int}}
  tell: {act: inform, content: {n: int}}
  enough: {act: inform, content: {}}
states:
  x: {asker: {ask: {next: y, max: 2}, enough: done}}
  y: {answerer: {tell: x}}
outcomes: {done: success, expired: expired}
"""
    )
    text = RUN.replace("run: request", "run: twice").replace("initiator: lead", "asker: lead")
    text = text.replace("participant: worker", "answerer: worker")
    text = text.replace("    with: {request.action: plan.goal}\n", "")
    made = Rules(loads(HEAD + text, protocols={"twice": inner.text}), overlays())
    talk = Talk(made)
    for _ in range(2):
        talk.say("lead", "plan", goal="dig")
        assert "executing.tell" not in talk.now.here.said
        for n in range(2):
            assert "Moved" in kinds(talk.say("lead", "ask", n=n))
            talk.say("worker", "tell", n=n)
        assert refusal(talk.say("lead", "ask", n=3)) == "unexpected-act"  # both are used up
        assert talk.now.ground["executing.tell.n"] == 1
        talk.say("lead", "enough")
        if talk.now.position == "asking":
            talk.say("lead", "again")
    assert talk.ended == "off"
    assert talk.now.n == 2 * 6 + 2
