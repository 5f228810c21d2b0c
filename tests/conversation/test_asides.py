"""Cancel, standby and escalate: overlays that are open although nobody is asked for them."""

from functools import cache

import pytest
from talks import ENDS, HEAD, Talk, kinds, one, only

from agentcomm.conversation.asides import asides
from agentcomm.conversation.events import (
    CommitmentChanged,
    DeadlineSet,
    Ended,
    Event,
    Heard,
    LaneEnded,
    OverlayClosed,
    OverlayOpened,
    Refused,
    RepairClosed,
    RepairOpened,
)
from agentcomm.conversation.moves import due, exits, floors
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import state_hash
from agentcomm.protocol.library import load, loads

ASK = (
    """
roles: [a, b]
acts:
  ask: {act: request, content: {what: text}}
  agree: {}
  refuse: {reason: text}
  told: {act: inform, content: {what: text}, discharges: ask}
states:
  asking: {a: {ask: asked}}
  asked: {b: {agree: working, refuse: off}, within: 30s}
  working: {b: {told: done}, within: 60s}
"""
    + ENDS
)
THREE = (
    """
roles: [a, b, c]
acts:
  ask: {act: request, content: {what: text}}
  pass: {act: request, content: {what: text}}
  told: {act: inform, content: {what: text}, discharges: pass}
  done: {act: inform, content: {what: text}, discharges: ask}
states:
  asking: {a: {ask: {next: passing, to: [b]}}}
  passing: {b: {pass: {next: working, to: [c]}}}
  working: {c: {told: {next: telling, to: [b]}}}
  telling: {b: {done: {next: done, to: [a]}}}
"""
    + ENDS
)
JUDGED = """
roles: [a, b, judge]
acts:
  tell: {act: inform, content: {count: int}}
  noted: {act: inform, content: {}}
grounding: {tell: {readback: [count]}}
states:
  telling: {a: {tell: {next: noting, to: [b]}}}
  noting: {b: {noted: {next: done, to: [a]}}}
outcomes: {done: success, expired: expired}
limits: {escalate_to: judge, repairs: 1}
"""
NET = """
roles: {boss: 1, bidder: 1..4}
acts:
  call: {act: cfp, content: {task: text}}
  bid: {act: propose, content: {price: int}}
  award: {act: accept-proposal, content: {price: int}}
  lose: {act: reject-proposal, content: {}}
  result: {act: inform, content: {}, discharges: bid}
states:
  calling: {boss: {call: {next: bidding, for: all}}}
  bidding: {bidder: {bid: weighing}, within: 30s, else: silent}
  weighing: {gather: bidder, boss: {award: working, lose: lost}, within: 20s, else: silent}
  working: {bidder: {result: done}, within: 1m, else: silent}
outcomes: {done: success, silent: expired, lost: rejected, expired: expired, cancelled: cancelled}
settles: {success: any done, cancelled: any cancelled, expired: otherwise}
"""
NAMES = ("read-back", "repair", "not-understood", "cancel", "standby", "escalate")


@cache
def rules(text: str, *, human: bool = False) -> Rules:
    return Rules(loads(HEAD + text), {name: load(f"_overlays/{name}") for name in NAMES}, human=human)


def refusal(events: tuple[Event, ...]) -> Refused:
    return one(events, Refused)


def asked() -> Talk:
    talk = Talk(rules(ASK))
    talk.say("a", "ask", what="x")
    return talk


def labels(talk: Talk, role: str) -> list[str]:
    return [move.label for move in asides(talk.now, role)]


# --- cancel ---


def test_who_began_it_cancels_without_having_the_floor():
    talk = asked()
    talk.say("b", "agree")
    assert labels(talk, "a") == ["cancel"]
    events = talk.say("a", "cancel", reason="not needed")
    opened = one(events, OverlayOpened)
    assert (opened.overlay, opened.sender, opened.hearer) == ("cancel", "b", "a")
    assert floors(talk.now) == ("b",)
    ended = talk.say("b", "stopped")
    assert one(ended, Ended).cause == "cancelled by a"
    assert [(e.was, e.now) for e in only(ended, CommitmentChanged)] == [("detached", "released")]


def test_what_cannot_be_stopped_goes_on_with_the_time_that_was_left():
    talk = asked()
    talk.at = 10.0
    talk.say("a", "cancel")
    talk.at = 15.0
    events = talk.say("b", "failure", reason="too late")
    assert one(events, OverlayClosed).effect == "resume"
    assert (talk.now.position, due(talk.now)) == ("asked", 35.0)
    reason = refusal(talk.say("a", "cancel")).reason
    assert reason == "that was asked once, and could not be done"
    talk.say("b", "agree")
    assert refusal(talk.say("a", "cancel")).reason == reason
    assert talk.say("b", "told", what="x")
    assert talk.now.outcome.name == "done"


def test_silence_is_no_reason_to_go_on():
    talk = asked()
    talk.say("a", "cancel")
    talk.at = due(talk.now)
    talk.tick(talk.at)
    assert talk.now.outcome.kind == "cancelled"


@pytest.mark.parametrize(
    ("said", "role", "why"),
    [
        ([], "a", "nothing has been said yet that could be cancelled"),
        ([("a", "ask", {"what": "x"})], "b", "only who began it, or is owed something in it, may cancel"),
    ],
)
def test_who_may_not_cancel_is_told_why(said, role, why):
    talk = Talk(rules(ASK))
    for who, act, content in said:
        talk.say(who, act, **content)
    assert "cancel" not in labels(talk, role)
    mark = state_hash(talk.now)
    refused = refusal(talk.say(role, "cancel"))
    assert (refused.code, refused.reason) == ("unexpected-act", why)
    assert state_hash(talk.now) == mark or refused.left


def test_a_creditor_cancels_what_another_began_and_all_who_took_part_are_asked():
    talk = Talk(rules(THREE))
    talk.say("a", "ask", what="x")
    talk.say("b", "pass", what="x")
    heard = one(talk.say("b", "cancel"), Heard).message
    assert heard.receivers == ("a", "c")
    assert floors(talk.now) == ("a",)
    talk.say("a", "stopped")
    assert (talk.now.outcome, floors(talk.now)) == (None, ("c",))
    talk.say("c", "stopped")
    assert talk.now.outcome.kind == "cancelled"


def test_one_who_cannot_stop_keeps_all_going():
    talk = Talk(rules(THREE))
    talk.say("a", "ask", what="x")
    talk.say("b", "pass", what="x")
    talk.say("b", "cancel")
    talk.say("a", "stopped")
    talk.say("c", "failure", reason="done already")
    assert (talk.now.frame, talk.now.position) == (None, "working")


def test_nothing_is_cancelled_while_another_overlay_runs():
    talk = Talk(rules(JUDGED))
    talk.say("a", "tell", count=1)
    assert refusal(talk.say("a", "cancel")).code == "unexpected-act"
    assert talk.now.frame.overlay == "read-back"


def test_a_lane_is_cancelled_alone():
    talk = Talk(rules(NET), members=("b1", "b2"))
    talk.say("boss", "call", task="dig")
    talk.say("bidder", "bid", price=1, lane_="b1")
    talk.say("boss", "cancel", lane_="b2")
    ended = one(talk.say("bidder", "stopped", lane_="b2"), LaneEnded)
    assert (ended.lane, ended.outcome) == ("b2", "cancelled")
    talk.say("boss", "award", price=1, lane_="b1")
    talk.say("bidder", "result", lane_="b1")
    assert talk.now.outcome.kind == "success"


def test_cancel_is_said_once_and_answered_in_every_living_lane():
    talk = Talk(rules(NET), members=("b1", "b2", "b3"))
    talk.say("boss", "call", task="dig")
    talk.say("bidder", "bid", price=1, lane_="b1")
    events = talk.say("boss", "cancel", reason="no money")
    assert len(only(events, Heard)) == 1
    assert [event.lane for event in only(events, OverlayOpened)] == ["b1", "b2", "b3"]
    for name in ("b1", "b2"):
        assert one(talk.say("bidder", "stopped", lane_=name), LaneEnded).outcome == "cancelled"
    talk.say("bidder", "failure", reason="dug already", lane_="b3")
    talk.say("bidder", "bid", price=9, lane_="b3")
    talk.say("boss", "award", price=9, lane_="b3")
    talk.say("bidder", "result", lane_="b3")
    assert talk.now.outcome.kind == "success"
    assert refusal(talk.say("boss", "cancel")) if not talk.ended else True


def test_an_act_of_the_protocol_goes_before_the_overlay():
    own = ASK.replace("told: done}", "told: done}, a: {cancel: off}").replace(
        "agree: {}", "agree: {}\n  cancel: {act: cancel, content: {}}"
    )
    text = own.replace(
        "working: {b: {told: done}, a: {cancel: off}, within: 60s}", "working: {a: {cancel: off}}"
    )
    talk = Talk(rules(text.replace("told: {act: inform, content: {what: text}, discharges: ask}", "")))
    talk.say("a", "ask", what="x")
    talk.say("b", "agree")
    assert kinds(talk.say("a", "cancel"))[-1] == "Ended"
    assert talk.now.outcome.name == "off"


# --- standby ---


def test_a_hearer_gets_the_time_it_asks_for_once():
    talk = asked()
    talk.at = 10.0
    assert labels(talk, "b") == ["standby"]
    events = talk.say("b", "standby", wait="2m")
    assert one(events, DeadlineSet).at == 150.0  # 20 s were left
    assert talk.now.spent == 1
    assert labels(talk, "b") == []
    assert "once" in refusal(talk.say("b", "standby", wait="2m")).reason
    talk.say("b", "agree")
    assert due(talk.now) == 70.0


@pytest.mark.parametrize("wait", ["301s", "0s", "1000d"])
def test_nobody_stalls_for_ever(wait):
    talk = asked()
    assert refusal(talk.say("b", "standby", wait=wait)).code == "invalid-content"
    assert due(talk.now) == 30.0


def test_standbys_use_up_what_a_conversation_may_spend():
    text = (
        ASK.replace("told: done", "told: {next: asking, max: 9, then: done}") + "limits: {repairs_in_all: 2}"
    )
    talk = Talk(rules(text))
    for _ in range(2):
        talk.say("a", "ask", what="x")
        talk.say("b", "standby", wait="1s")
        talk.say("b", "agree")
        talk.say("b", "told", what="x")
    talk.say("a", "ask", what="x")
    assert "used up" in refusal(talk.say("b", "standby", wait="1s")).reason
    assert labels(talk, "b") == []


# --- escalate ---


def misread(talk: Talk, times: int) -> None:
    talk.say("a", "tell", count=4)
    for _ in range(times):
        talk.say("b", "readback", fields={"count": 5})
        if talk.now.frame and talk.now.frame.overlay == "read-back" and "a" in floors(talk.now):
            talk.say("a", "wrong", fields={"count": 4})


def test_what_repair_did_not_mend_is_laid_before_the_authority():
    talk = Talk(rules(JUDGED))
    misread(talk, 2)
    assert talk.now.frame.overlay == "escalate"
    assert floors(talk.now) == ("b",)
    heard = one(talk.say("b", "escalate", trouble="4 or 5", tried=["read-back"]), Heard).message
    assert heard.receivers == ("judge", "a")
    assert floors(talk.now) == ("judge",)
    assert refusal(talk.say("a", "decide", decision="4")).code == "unexpected-act"
    events = talk.say("judge", "decide", decision="it is four")
    assert one(events, OverlayClosed).effect == "again"
    assert one(events, RepairClosed).mended
    assert (talk.now.position, floors(talk.now)) == ("telling", ("a",))
    assert talk.now.here.troubles[-1].meant == "it is four"
    talk.say("a", "tell", count=4)
    talk.say("b", "readback", fields={"count": 4})
    talk.say("a", "right")
    talk.say("b", "noted")
    assert talk.now.outcome.name == "done"
    assert len(only(talk.events, RepairOpened)) == len(only(talk.events, RepairClosed)) == talk.now.spent


def test_the_authority_is_asked_once_about_one_thing():
    talk = Talk(rules(JUDGED))
    misread(talk, 2)
    talk.say("b", "escalate", trouble="4 or 5", tried=[])
    talk.say("judge", "decide", decision="it is four")
    misread(talk, 1)
    assert talk.now.outcome.kind == "aborted"


@pytest.mark.parametrize("answer", ["call-off", ""])
def test_what_nobody_decides_is_aborted(answer):
    talk = Talk(rules(JUDGED))
    misread(talk, 2)
    talk.say("b", "escalate", trouble="4 or 5", tried=[])
    if answer:
        talk.say("judge", answer, reason="neither")
    else:
        talk.tick(due(talk.now))
    assert talk.now.outcome.kind == "aborted"
    assert not only(talk.events, Refused)


def test_without_an_authority_it_is_aborted_at_once():
    text = JUDGED.replace("escalate_to: judge, ", "").replace(", judge]", "]")
    talk = Talk(rules(text))
    misread(talk, 2)
    assert talk.now.outcome.kind == "aborted"


def test_a_human_outside_the_roles_decides_and_says_nothing_else():
    text = JUDGED.replace("escalate_to: judge, ", "").replace(", judge]", "]")
    talk = Talk(rules(text, human=True))
    assert refusal(talk.say("human", "tell", count=4)).code == "wrong-party"
    misread(talk, 2)
    talk.say("b", "escalate", trouble="4 or 5", tried=[])
    assert floors(talk.now) == ("human",)
    talk.say("human", "decide", decision="four")
    assert talk.now.position == "telling"


def test_a_hearer_whose_repairs_are_used_up_escalates():
    text = """
roles: [a, b, judge]
acts: {tell: {act: inform, content: {what: text}}, noted: {act: inform, content: {}}}
states:
  telling: {a: {tell: {next: noting, to: [b]}}}
  noting: {b: {noted: {next: done, to: [a]}}}
outcomes: {done: success, expired: expired}
limits: {escalate_to: judge, repairs: 1}
"""
    talk = Talk(rules(text))
    talk.say("a", "tell", what="that thing")
    assert "escalate" not in [move.label for move in exits(talk.now)]
    talk.say("b", "not-understood", reason="which?")
    talk.say("a", "tell", what="the thing")
    assert [move.label for move in exits(talk.now)] == ["escalate"]
    talk.say("b", "escalate", trouble="which thing", tried=["not-understood"])
    talk.say("judge", "decide", decision="the red one")
    assert talk.now.here.troubles[0].meant == "the red one"
    talk.say("a", "tell", what="the red thing")
    talk.say("b", "noted")
    assert talk.now.n <= talk.rules.bound
