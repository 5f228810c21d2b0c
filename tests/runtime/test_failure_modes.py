"""The failure modes of MAST (Cemri et al. 2025), each put into a conversation: what is prevented, what is detected, and what is not.

The page docs/pages/failure-modes.md says the same in words; the last test holds the two together.
"""

import re
from pathlib import Path

import pytest

from agentcomm import Agent, enact_sync
from agentcomm.acts.message import Message
from agentcomm.agents.judges import CodeJudge
from agentcomm.agents.tools import tools_by_name
from agentcomm.conversation.events import (
    CommitmentChanged,
    Duplicate,
    Ended,
    GaveUp,
    Grounded,
    Heard,
    Judged,
    Late,
    Moved,
    Refused,
    Say,
    Tick,
    TroubleFound,
)
from agentcomm.conversation.gate import blocked
from agentcomm.conversation.ground import Standing
from agentcomm.conversation.step import open_conversation, step
from agentcomm.errors import IllegalMove
from agentcomm.grounding.consistency import unfilled
from agentcomm.grounding.reference import check_reference
from agentcomm.grounding.troubles import SeveralReferents, Unfilled, Unperformed
from agentcomm.protocol.library import load, loads
from agentcomm.runtime.enact import rules_for
from agentcomm.runtime.troubles import troubles_of

PAGE = Path(__file__).resolve().parents[2] / "docs/pages/failure-modes.md"
HEAD = "agentcomm: 1\nprotocol: p\nversion: 1\n"
JOB = (
    HEAD
    + """
roles: [boss, worker]
acts:
  order:   {act: request, content: {server: id, version: text, note: text}, critical: [server, version]}
  agree:   {}
  refuse:  {reason: text}
  deploy:  {act: inform, content: {server: id, version: text}}
  report:  {act: inform, content: {text: text}, discharges: order}
  accept:  {act: confirm, content: {}}
  reject:  {act: disconfirm, content: {why: text}}
grounding:
  order:  {readback: [server, version]}
  deploy: {repeats: {server: order.server, version: order.version}}
states:
  ordering:  {boss: {order: ordered}}
  ordered:   {worker: {agree: agreed, refuse: refused}}
  agreed:    {worker: {deploy: deployed}}
  deployed:  {worker: {report: checking}}
  checking:  {boss: {accept: done, reject: {next: agreed, max: 2, then: failed}}}
outcomes: {done: success, refused: refused, failed: failed, expired: expired}
"""
)
ORDER = {"server": "web-1", "version": "2.4", "note": "keep the job queue running"}


def boss(*, leaves: str = "", **order: str) -> Agent:
    """Return who orders; what it `leaves` has no handler yet."""
    agent = Agent("ann")

    @agent.opens
    def _(turn):
        return turn.say("order", **{**ORDER, **order})

    if leaves != "report":

        @agent.on("report")
        def _(turn):
            return turn.say("accept")

    return agent


def worker(*, reads: str = "", deploys: str = "", says: str = "it runs", leaves: str = "") -> Agent:
    """Return who works; in the state that it `leaves` it has no handler yet."""
    agent, left = Agent("bob"), {"reads": reads, "deploys": deploys}

    @agent.on("order", overlay="read-back")
    def _(turn):
        version = left.pop("reads", "") or turn.heard.content.version
        return turn.say("readback", fields={"server": "web-1", "version": version})

    if leaves != "ordered":

        @agent.on("order", state="ordered")
        def _(turn):
            return turn.say("agree")

    if leaves != "agreed":

        @agent.on("order", state="agreed")
        def _(turn):
            version = left.pop("deploys", "") or turn.ground["order.version"]
            return turn.say("deploy", server="web-1", version=version)

    if leaves != "deployed":

        @agent.on("order", state="deployed")
        def _(turn):
            return turn.say("report", text=says)

    return agent


def held(cast, protocol: str = JOB, **options):
    events = []
    result = enact_sync(loads(protocol), cast=cast, watch=events.append, **options)
    return result, events


def only(events, kind):
    return [event for event in events if isinstance(event, kind)]


def by_hand():
    """Return a conversation and a function that says things in it."""
    rules = rules_for(loads(JOB))
    talk = [open_conversation(rules, "c")[0]]

    def say(role: str, act: str, id_: str = "", /, **content):
        message = Message(act=act, content=content, id=id_ or f"m{talk[0].n + 1}", sender=role)
        talk[0], events = step(talk[0], Say(message, 0.0))
        return events

    return talk, say


def ordered():
    talk, say = by_hand()
    say("boss", "order", **ORDER)
    say("worker", "readback", fields={"server": "web-1", "version": "2.4"})
    say("boss", "right")
    return talk, say


# --- the design of the system ---


def test_1_1_disobey_task_specification():
    # another value than was asked for: stopped at its use, and mended
    result, events = held({"boss": boss(), "worker": worker(deploys="2.3")})
    (found,) = only(events, TroubleFound)
    assert (found.kind, str(found.differs[0])) == ("repeats", "version (meant 2.4, understood 2.3)")
    assert result.outcome == "done"
    assert result.ground["deploy.version"] == "2.4"
    # a constraint in free text that is left out: seen by a judge where a demonstration is asked for …
    job = (
        JOB.replace("order:  {readback: [server, version]}", "order:  demonstrated")
        + "limits: {repairs: 0}\n"
    )
    lazy = worker()

    @lazy.on("order", overlay="demonstrate")
    def _(turn):
        return turn.say("demonstrate", goal="deploy 2.4 on web-1", plan=[], missing=[], assumed=[])

    result, events = held({"boss": boss(), "worker": lazy}, job, judge=CodeJudge())
    assert "keep the job queue running" in only(events, Judged)[0].missing
    assert only(events, GaveUp)
    assert result.outcome_class == "aborted"
    # … and not seen where none is
    result, events = held({"boss": boss(), "worker": worker(says="it runs; I stopped the job queue")})
    assert result.outcome == "done"
    assert not only(events, TroubleFound)


def test_1_2_disobey_role_specification():
    usurper = worker(leaves="deployed")

    @usurper.on("order", state="deployed")
    def _(turn):
        with pytest.raises(IllegalMove):  # what is not its to say is not on offer
            turn.say("accept")
        assert "accept" not in [move.label for move in turn.moves]
        if turn.refusal is None:
            return Message(
                act="accept", sender="boss", content={}
            )  # it says so all the same, in the other's name
        return turn.say("report", text="it runs")

    result, events = held({"boss": boss(), "worker": usurper})
    (refused,) = only(events, Refused)
    assert (refused.role, refused.act, refused.code) == ("worker", "accept", "unexpected-act")
    assert result.outcome == "done"
    assert [event.message.sender for event in only(events, Heard) if event.message.act == "accept"] == [
        "boss"
    ]


def test_1_3_step_repetition():
    talk, say = ordered()
    before = talk[0].n
    say("worker", "agree", "again")
    assert only(say("worker", "agree", "again"), Duplicate)  # the same message has no second effect
    assert only(say("worker", "agree"), Refused)  # and the same step is no step any more
    assert talk[0].n == before + 1
    # a cycle that the protocol has, has a budget: rejected for ever, it ends
    picky, times = boss(leaves="report"), []

    @picky.on("report")
    def _(turn):
        times.append(1)
        return turn.say("reject", why="do it again")

    again = worker()

    @again.on("reject", state="agreed")
    def _(turn):
        return turn.say("deploy", server="web-1", version="2.4")

    @again.on("reject", state="deployed")
    def _(turn):
        return turn.say("report", text="it runs")

    result, _events = held({"boss": picky, "worker": again})
    assert (result.outcome, len(times)) == ("failed", 3)


def test_1_4_loss_of_conversation_history():
    seen = []
    forgetful = worker(leaves="agreed")

    @forgetful.on("order", state="agreed")
    def _(turn):
        seen.append(dict(turn.ground))
        remembered = "1.0" if turn.refusal is None and not turn.troubles else turn.ground["order.version"]
        return turn.say("deploy", server="web-1", version=remembered)

    result, events = held({"boss": boss(), "worker": forgetful})
    assert seen[0]["order.version"] == "2.4"  # the record is not the agent's to lose
    assert only(events, TroubleFound)[0].kind == "repeats"  # and what it makes up instead is stopped
    assert result.outcome == "done"


def test_1_5_unaware_of_termination_conditions():
    talk, say = ordered()
    say("worker", "refuse", reason="no rights")
    assert talk[0].outcome is not None
    hash_before = talk[0]
    assert only(say("worker", "agree"), Late)
    assert only(say("boss", "order", **ORDER), Late)
    assert talk[0] is hash_before
    # and whoever does not come to an end by itself is ended
    asks = worker(leaves="ordered")

    @asks.on("order", state="ordered")
    def _(turn):
        return Message(act="not-understood", content={"reason": "and then?"})

    opens = boss()

    @opens.on("not-understood")
    def _(turn):
        return turn.say("order", **ORDER)

    result, events = held({"boss": opens, "worker": asks})
    assert (
        only(events, Refused)[-1].left == 0
    )  # it may ask no more, and for whoever says nothing else an exit is taken
    assert result.outcome == "refused"
    assert result.messages <= rules_for(loads(JOB)).bound


# --- between agents ---


def test_2_1_conversation_reset():
    talk, say = ordered()
    say("worker", "agree")
    (refused,) = only(say("boss", "order", **ORDER), Refused)
    assert refused.code == "unexpected-act"
    assert talk[0].position == "agreed"
    assert talk[0].ground["order.version"] == "2.4"


def test_2_2_fail_to_ask_for_clarification():
    # it heard another value and asks nothing: its read-back shows it
    result, events = held({"boss": boss(), "worker": worker(reads="2.5")})
    assert only(events, TroubleFound)[0].kind == "readback"
    assert result.ground["deploy.version"] == "2.4"
    # a slot that nobody filled, and a name that fits two things: code sees both before a model is asked
    assert unfilled(["version"], {}, {"version": "TBD"}) == (Unfilled("version", "TBD"),)
    known = {"web-1": "web server", "web-2": "web server"}
    assert isinstance(check_reference("server", "the web server", known), SeveralReferents)
    # what is vague in a free text, and in no critical field, goes through
    result, events = held({"boss": boss(note="the usual, you know"), "worker": worker()})
    assert result.outcome == "done"
    assert not only(events, TroubleFound)


def test_2_3_task_derailment():
    _talk, say = ordered()
    (refused,) = only(say("worker", "report", text="by the way, about lunch"), Refused)
    assert refused.code == "unexpected-act"  # an act that answers nothing is not on offer
    assert "agree()" in refused.legal
    # an answer that is one in form, and is about something else, goes through
    result, _events = held({"boss": boss(), "worker": worker(says="lunch was good")})
    assert result.outcome == "done"


def test_2_4_information_withholding():
    talk, say = by_hand()
    (refused,) = only(say("boss", "order", server="web-1", version="2.4"), Refused)
    assert refused.code == "invalid-content"  # what an act must carry cannot be left out
    assert "note" in refused.reason
    assert talk[0].n == 0
    # what no act asks for can be kept back; the ground says that nobody knows it
    result, _events = held(
        {"boss": boss(), "worker": worker()}, brief={"worker": {"disk": "web-1 is nearly full"}}
    )
    assert result.outcome == "done"
    assert result.ground.status("disk") is Standing.PRIVATE
    assert not result.ground.known("boss", "disk")


def test_2_5_ignored_other_agents_input():
    # an answer must be to something that was heard
    talk, _say = ordered()
    message = Message(act="agree", content={}, id="x", sender="worker", in_reply_to="nothing-of-the-kind")
    talk[0], events = step(talk[0], Say(message, 0.0))
    assert only(events, Refused)[0].code == "unknown-reference"
    # and one that must repeat the other's value cannot put its own there
    _result, events = held({"boss": boss(), "worker": worker(deploys="3.0")})
    assert only(events, TroubleFound)[0].kind == "repeats"


def test_2_6_reasoning_action_mismatch():
    calls = []

    def restart(server: str) -> str:
        calls.append(server)
        return "done"

    def told(*, acts: bool):
        agent = worker(says="I have restarted web-1.", leaves="agreed" if acts else "")
        agent.tools = tools_by_name([restart])
        if acts:

            @agent.on("order", state="agreed")
            async def _(turn):
                await turn.use(restart, server="web-1")
                return turn.say("deploy", server="web-1", version="2.4")

        result, _events = held({"boss": boss(), "worker": agent}, brief={"boss": ORDER})
        return [one.trouble for one in troubles_of(result.transcript, actions={"restart": ["restart"]})]

    (found,) = told(acts=False)
    assert isinstance(found, Unperformed)
    assert "it was not performed" in found.sentence
    assert told(acts=True) == []
    # what is done with another value than was agreed is stopped before it is done, whatever was read back
    talk, _say = ordered()
    assert blocked(talk[0], "worker", {"version": "2.3"})
    assert not blocked(talk[0], "worker", {"version": "2.4"})


# --- verification ---


def test_3_1_premature_termination():
    talk, say = by_hand()
    say("boss", "order", **ORDER)
    assert not only(say("worker", "agree"), Moved)  # nothing counts before it was read back
    talk, say = ordered()
    say("worker", "agree")
    assert only(say("worker", "report", text="done"), Refused)  # no way to the end around the deed
    assert talk[0].outcome is None
    # whoever leaves owes what it owes
    rules = rules_for(load("request"))
    now, _ = open_conversation(rules, "c")
    for n, (role, act, content) in enumerate(
        [("initiator", "request", {"action": "x"}), ("participant", "agree", {})]
    ):
        now, _ = step(now, Say(Message(act=act, content=content, id=f"m{n}", sender=role), 0.0))
    now, events = step(now, Tick(10_000.0))
    assert only(events, CommitmentChanged)[-1].now == "violated"
    assert only(events, Ended)[0].outcome_class == "expired"


def test_3_2_no_or_incomplete_verification():
    # where the protocol has a step that checks, there is no success without it
    checked = {
        move.next: (state.name, move.label)
        for state in load("plan-execute-verify").states.values()
        for move in state.moves.values()
        if load("plan-execute-verify").outcomes.get(move.next, "") == "success"
    }
    assert checked == {"done": ("verifying", "verdict-ok")}
    talk, say = ordered()
    say("worker", "agree")
    say("worker", "deploy", server="web-1", version="2.4")
    say("worker", "report", text="it runs")
    assert talk[0].position == "checking"
    assert talk[0].outcome is None
    # where it has none, nobody checks
    now, _ = open_conversation(rules_for(load("request")), "c")
    for n, (role, act, content) in enumerate(
        [("initiator", "request", {"action": "x"}), ("participant", "inform-done", {})]
    ):
        now, _ = step(now, Say(Message(act=act, content=content, id=f"m{n}", sender=role), 0.0))
    assert now.outcome is not None
    assert now.outcome.kind == "success"


def test_3_3_incorrect_verification():
    # a verifier that says yes to everything is believed …
    result, _events = held({"boss": boss(), "worker": worker(says="it does not run")})
    assert result.outcome == "done"
    # … unless code compares: with a condition, the wrong verdict is not on offer
    job = JOB.replace(
        "report:  {act: inform, content: {text: text}, discharges: order}",
        "report:  {act: inform, content: {text: text, errors: int}, discharges: order}",
    ).replace(
        "accept:  {act: confirm, content: {}}",
        "accept:  {act: confirm, content: {}, when: report.errors == 0}",
    )
    honest = worker(leaves="deployed")

    @honest.on("order", state="deployed")
    def _(turn):
        return turn.say("report", text="it runs", errors=7)

    @honest.on("reject", state="agreed")
    def _(turn):
        return turn.say("deploy", server="web-1", version="2.4")

    @honest.on("reject", state="deployed")
    def _(turn):
        return turn.say("report", text="now it runs", errors=0)

    careless = boss(leaves="report")

    @careless.on("report")
    def _(turn):
        return turn.say(
            "accept" if turn.can("accept") else "reject", **({} if turn.can("accept") else {"why": "errors"})
        )

    result, events = held({"boss": careless, "worker": honest}, job)
    assert [e.message.act for e in only(events, Heard) if e.message.act in ("accept", "reject")] == [
        "reject",
        "accept",
    ]
    assert result.outcome == "done"
    assert only(events, Grounded)


def test_the_page_tells_each_mode_and_each_is_put_in_here():
    rows = re.findall(r"^\| (\d\.\d) .*\| \*\*(.+?)\*\*", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    tests = {
        name.split("_")[1] + "." + name.split("_")[2] for name in globals() if re.match(r"test_\d_\d_", name)
    }
    assert {mode for mode, _ in rows} == tests
    assert len(rows) == 14
    assert {kind for _, kind in rows} <= {"prevented", "detected", "partly", "not"}
