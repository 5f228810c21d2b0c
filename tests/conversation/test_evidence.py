"""What a judge says of a demonstration, and what follows from it."""

import pytest
from talks import HEAD, Talk, kinds, one, only

from agentcomm.conversation.events import (
    Ended,
    Evidence,
    EvidenceWanted,
    Grounded,
    Judged,
    Refused,
    RepairClosed,
    RepairOpened,
    TroubleFound,
)
from agentcomm.conversation.moves import Appraise, Make, due, floors, wants
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import state_hash
from agentcomm.conversation.step import open_conversation
from agentcomm.errors import UsageError
from agentcomm.protocol.library import load, loads

TASK = """
roles: [a, b, c]
acts:
  task: {content: {goal: text, budget: int}, act: request, critical: [budget]}
  agree: {}
  told: {act: inform, content: {}, discharges: task}
grounding: {task: CRITERION}
states:
  x: {a: {task: {next: y, to: HEARERS}}}
  y: {b: {agree: {next: z, to: [a, c]}}}
  z: {b: {told: {next: done, to: [a, c]}}}
outcomes: {done: success, expired: expired}
"""
NAMES = ("read-back", "repair", "not-understood", "demonstrate")
SHOWN = {"goal": "cut costs", "plan": ["sell the car"], "missing": [], "assumed": []}


def rules(criterion: str = "demonstrated", hearers: str = "[b]", judge: str = "panel") -> Rules:
    text = TASK.replace("CRITERION", criterion).replace("HEARERS", hearers)
    return Rules(loads(HEAD + text), {name: load(f"_overlays/{name}") for name in NAMES}, judge=judge)


def asked(criterion: str = "demonstrated", hearers: str = "[b]") -> Talk:
    talk = Talk(rules(criterion, hearers))
    talk.say("a", "task", goal="cut costs by a tenth", budget=5)
    return talk


def verdict(talk: Talk, about: str = "", judge: str = "panel", missing=(), added=(), reason="") -> tuple:
    about = about or wants(talk.now).wanted.message
    return talk.give(Evidence(about, judge, tuple(missing), tuple(added), talk.at, reason))


def test_the_core_asks_and_waits_for_the_verdict():
    talk = asked()
    assert talk.now.frame.overlay == "demonstrate"
    events = talk.say("b", "demonstrate", **SHOWN)
    wanted = one(events, EvidenceWanted)
    assert (wanted.hearer, wanted.meant) == ("b", {"goal": "cut costs by a tenth", "budget": 5})
    assert wanted.restated["plan"] == ["sell the car"]
    assert isinstance(wants(talk.now), Appraise)
    assert floors(talk.now) == ()
    assert only(talk.say("a", "right"), Refused)
    assert not talk.now.ledger
    verdict(talk)
    assert isinstance(wants(talk.now), Make)
    grounded = one(talk.say("a", "right"), Grounded)
    assert (grounded.criterion, grounded.evidence) == ("demonstrated", ("demonstrated: panel",))
    assert [entry.status for entry in talk.now.ledger] == ["proposed"]
    talk.say("b", "agree")
    talk.say("b", "told")
    assert talk.now.outcome.name == "done"


def test_what_is_missing_is_mended_and_judged_again_with_what_was_said_since():
    talk = asked()
    talk.say("b", "demonstrate", **SHOWN)
    events = verdict(talk, missing=["by a tenth"], added=["sell the car"])
    assert kinds(events) == ["Judged", "TroubleFound", "RepairOpened"]
    assert [item.kind for item in one(events, TroubleFound).differs] == ["missing", "added"]
    assert [move.label for move in wants(talk.now).moves] == ["wrong"]
    talk.say("a", "wrong", points=["by a tenth, and keep the car"])
    wanted = one(talk.say("b", "demonstrate", **{**SHOWN, "plan": ["buy less paper"]}), EvidenceWanted)
    assert wanted.meant["points"] == ["by a tenth, and keep the car"]
    assert one(verdict(talk), RepairClosed).mended
    talk.say("a", "right")
    assert talk.now.position == "y"


def test_repairs_are_counted_and_end():
    talk = asked()
    while not talk.ended:
        asked_for = wants(talk.now)
        if isinstance(asked_for, Appraise):
            verdict(talk, missing=["all of it"])
        elif talk.now.frame.verdict is False:
            talk.say("a", "wrong", points=["no"])
        else:
            talk.say("b", "demonstrate", **SHOWN)
    assert talk.now.outcome.kind == "aborted"
    assert len(only(talk.events, RepairOpened)) == len(only(talk.events, RepairClosed)) == 2
    assert talk.now.n <= talk.rules.bound


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"about": "m1"}, "nobody asked for a verdict on that"),
        ({"about": ""}, None),
        ({"judge": "b"}, "panel is the judge here"),
        ({"judge": ""}, "panel is the judge here"),
    ],
)
def test_forged_evidence_is_refused_and_changes_nothing(changes, why):
    talk = asked()
    talk.say("b", "demonstrate", **SHOWN)
    if why is None:
        return
    mark = state_hash(talk.now)
    refused = one(verdict(talk, **changes), Refused)
    assert (refused.code, refused.reason) == ("wrong-evidence", why)
    assert state_hash(talk.now) == mark


def test_evidence_that_nobody_asked_for_is_refused():
    talk = asked()
    assert one(verdict(talk, about="m1"), Refused).code == "wrong-evidence"
    talk.say("b", "demonstrate", **SHOWN)
    about = wants(talk.now).wanted.message
    verdict(talk)
    assert one(verdict(talk, about=about), Refused).code == "wrong-evidence"


def test_a_judge_that_crashes_gives_no_evidence_and_says_so():
    talk = asked()
    talk.say("b", "demonstrate", **SHOWN)
    events = verdict(talk, reason="out of memory")
    assert (one(events, Judged).understood, one(events, Judged).reason) == (False, "out of memory")
    assert not talk.now.ledger
    assert [move.label for move in wants(talk.now).moves] == ["wrong"]
    for _ in range(2):
        talk.say("a", "wrong", points=["in other words, please"])
        talk.say("b", "demonstrate", **SHOWN)
        verdict(talk, reason="out of memory")
    assert talk.ended
    assert "out of memory" in only(talk.events, Ended)[0].cause


def test_a_judge_that_stalls_gives_no_evidence():
    talk = asked()
    talk.say("b", "demonstrate", **SHOWN)
    talk.tick(due(talk.now))
    assert talk.now.outcome.kind == "aborted"
    assert not only(talk.events, Grounded)


def test_values_are_read_back_and_intent_is_demonstrated():
    talk = asked("readback+demonstrated")
    assert talk.now.frame.overlay == "read-back"
    talk.say("b", "readback", fields={"budget": 5})
    events = talk.say("a", "right")
    assert talk.now.frame.overlay == "demonstrate"
    assert not only(events, Grounded)
    talk.say("b", "demonstrate", **SHOWN)
    verdict(talk)
    grounded = one(talk.say("a", "right"), Grounded)
    assert grounded.evidence == ("readback: copied", "demonstrated: panel")
    assert grounded.criterion == "readback+demonstrated"


def test_each_hearer_demonstrates():
    talk = asked(hearers="[b, c]")
    for hearer in ("b", "c"):
        assert floors(talk.now) == (hearer,)
        talk.say(hearer, "demonstrate", **SHOWN)
        verdict(talk)
        talk.say("a", "right")
    assert talk.now.position == "y"
    assert talk.now.n <= talk.rules.bound


def test_without_a_judge_it_does_not_begin():
    with pytest.raises(UsageError) as found:
        open_conversation(rules(judge=""), "c")
    assert "nobody is there to judge that" in str(found.value)
