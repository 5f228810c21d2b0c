"""A hearer's doubt: the core decides whether it is asked about and how, and records why."""

import pytest

from agentcomm.conversation.events import (
    Chose,
    Counted,
    Doubt,
    Heard,
    OverlayOpened,
    Reading,
    Refused,
    RepairOpened,
)
from agentcomm.conversation.moves import exits, legal, wants
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import state_hash
from agentcomm.grounding.choice import Beta, Choice, Costs
from agentcomm.protocol.graph import Stakes
from agentcomm.protocol.library import load, loads
from tests.conversation.talks import HEAD, Talk, only

TEXT = """
roles: [a, b]
acts:
  order: {act: request, content: {what: text, count: optional int}, stakes: STAKES}
  told: {act: inform, content: {what: text}, discharges: order}
  failure: {reason: text}
grounding: {order: delivered}
states:
  ordering: {a: {order: working}}
  working: {b: {told: done, failure: failed}}
outcomes: {done: success, failed: failed, expired: expired}
LIMITS
"""
NAMES = ("read-back", "repair", "not-understood", "escalate", "correct")
EVEN = (Reading("web-1"), Reading("web-2"))


def rules(stakes="normal", choice=None, *, human=False, limits=""):
    text = HEAD + TEXT.replace("STAKES", stakes).replace("LIMITS", limits)
    return Rules(loads(text), {name: load(f"_overlays/{name}") for name in NAMES}, choice, human=human)


def doubt(talk, readings=EVEN, path="what", role="b", about="", lane=""):
    return talk.give(Doubt(role, about or talk.last, path, tuple(readings), talk.at, lane))


def talk_of(*args, **kwargs):
    made = Talk(rules(*args, **kwargs))
    made.say("a", "order", what="the web server")
    made.last = made.now.here.latest
    return made


def test_the_question_is_chosen_and_its_reasons_are_on_record():
    talk = talk_of()
    events = doubt(talk)
    [chose] = only(events, Chose)
    assert (chose.action, chose.path, chose.p) == ("choose", "what", 0.5)
    assert chose.readings == EVEN
    assert chose.costs == {"accept": 10.0, "choose": 4.0, "specify": 4.0, "open": 5.0}
    assert only(events, OverlayOpened)[0].hearer == "b"
    assert only(events, RepairOpened)[0].kind == "choose"
    assert talk.now.ground.status("what") == "disputed"


def test_only_that_question_may_be_put():
    talk = talk_of()
    doubt(talk)
    assert [move.label for move in legal(talk.now, "b")] == ["choose"]
    assert exits(talk.now, "b") == ()
    assert only(talk.say("b", "choose", path="what", options=["web-1", "web-2"]), Heard)
    talk.say("a", "value", value="web-2")
    assert wants(talk.now).role == "a"
    talk.say("a", "order", what="web-2")
    talk.say("b", "told", what="web-2")
    assert talk.now.outcome.name == "done"
    assert talk.now.ground.status("order.what") == "repaired"


@pytest.mark.parametrize(
    ("act", "content"),
    [
        ("specify", {"path": "what", "wh": "which"}),
        ("told", {"what": "web-1"}),
        ("choose", {"path": "what", "options": ["web-1"]}),
        ("choose", {"path": "count", "options": ["web-1", "web-2"]}),
    ],
)
def test_nothing_but_that_question_counts(act, content):
    talk = talk_of()
    doubt(talk)
    [refused] = only(talk.say("b", act, **content), Refused)
    assert refused.left == 2
    assert not talk.now.frame.said


def test_where_acting_costs_less_it_goes_on_and_that_is_on_record_too():
    talk = talk_of("low")
    events = doubt(talk)
    assert [chose.action for chose in only(events, Chose)] == ["accept"]
    assert talk.now.frame is None
    talk.say("b", "told", what="web-1")
    assert talk.now.outcome.name == "done"


def test_the_same_is_decided_once():
    talk = talk_of("low")
    doubt(talk)
    [refused] = only(doubt(talk), Refused)
    assert (refused.code, refused.left) == ("asked-before", 2)
    assert not only(doubt(talk, path="count"), Refused)


def test_a_rung_is_not_asked_again_and_none_narrower_after_it():
    talk = talk_of()
    doubt(talk)
    talk.say("b", "choose", path="what", options=["web-1", "web-2"])
    talk.say("a", "value", value="the web server")
    talk.say("a", "order", what="the web server there")
    talk.last = talk.now.here.latest
    [chose] = only(doubt(talk), Chose)
    assert chose.action == "specify"
    assert "choose" not in chose.costs


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"role": "a"}, "unexpected-act"),
        ({"about": "nothing"}, "unknown-reference"),
        ({"path": "price"}, "invalid-content"),
        ({"readings": ()}, "invalid-content"),
        ({"readings": (Reading("x", -1.0),)}, "invalid-content"),
        ({"readings": (Reading("x", float("nan")),)}, "invalid-content"),
        ({"readings": (Reading(object()),)}, "invalid-content"),
        ({"readings": (Reading("x", 0.0),)}, "invalid-content"),
    ],
)
def test_a_doubt_about_anything_else_is_refused(change, code):
    talk = talk_of()
    before = state_hash(talk.now)
    [refused] = only(doubt(talk, **change), Refused)
    assert refused.code == code
    assert (state_hash(talk.now) == before) == (change.get("role") == "a")  # who has the floor loses a try
    assert talk.now.frame is None


def test_doubts_without_end_end():
    talk = talk_of()
    for _ in range(10):
        doubt(talk, about="nothing")
    assert talk.now.outcome is not None


def test_one_after_the_end_is_late():
    talk = talk_of()
    talk.say("b", "failure", reason="no")
    assert [type(event).__name__ for event in doubt(talk)] == ["Late"]


def test_with_no_question_left_it_is_laid_before_whoever_decides():
    dear = Choice(costs=Costs(loss=dict.fromkeys(Stakes, 200.0)))
    talk = talk_of("normal", dear, human=True, limits="limits: {repairs: 1}")
    doubt(talk)
    talk.say("b", "choose", path="what", options=["web-1", "web-2"])
    talk.say("a", "value", value="a web server")
    talk.say("a", "order", what="a web server")
    talk.last = talk.now.here.latest
    [chose] = only(doubt(talk), Chose)
    assert (chose.action, chose.costs) == ("escalate", {"accept": 100.0, "escalate": 20.0})
    assert talk.now.frame.overlay == "escalate"


def test_what_a_question_mended_counts_for_the_next():
    choice = Choice(models={"a": "m"})
    talk = talk_of("normal", choice)
    doubt(talk)
    talk.say("b", "choose", path="what", options=["web-1", "web-2"])
    talk.say("a", "value", value="web-1")
    talk.say("a", "order", what="web-1")
    talk.say("b", "told", what="web-1")
    counted = [(event.key, event.understood) for event in only(talk.events, Counted)]
    assert counted == [("|order|a|b", False), ("m|order?choose|b|a", True)]
    after = choice.learned(counted)
    assert after.counters["m|order?choose|b|a"] == Beta(5.0, 1.0)
    assert talk.now.shared.counted["m|order?choose|b|a"] == Beta(5.0, 1.0)


def test_a_pair_for_which_choices_fail_is_asked_more_openly():
    key = "m|order?choose|b|a"
    choice = Choice(models={"a": "m"}, counters={key: Beta(1.0, 9.0)})
    talk = talk_of("normal", choice)
    [chose] = only(doubt(talk), Chose)
    assert chose.action == "specify"
    assert chose.costs["choose"] == pytest.approx(2 + 0.5 * 0.9 * 20)


def test_a_question_that_brings_nothing_is_counted_as_one():
    choice = Choice(models={"a": "m"})
    talk = talk_of("normal", choice)
    doubt(talk)
    talk.say("b", "choose", path="what", options=["web-1", "web-2"])
    talk.say("a", "give-up", reason="I do not know")
    assert ("m|order?choose|b|a", False) in [(one.key, one.understood) for one in only(talk.events, Counted)]
    assert talk.now.outcome.kind == "aborted"


def test_the_silence_of_whoever_is_to_put_it_ends_it():
    talk = talk_of()
    doubt(talk)
    talk.tick(31.0)
    assert talk.now.outcome.kind == "aborted"
