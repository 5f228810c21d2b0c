"""Judges, humans, cancellations, standbys and choices, with agents that really talk."""

import asyncio

import pytest

from agentcomm import Agent, enact, replay
from agentcomm.agents.judges import CodeJudge, Judgement
from agentcomm.conversation.events import Chose, Judged, OverlayOpened
from agentcomm.errors import UsageError
from agentcomm.grounding.choice import Beta, Choice
from agentcomm.protocol.library import load, loads
from agentcomm.runtime.replay import read_transcript
from agentcomm.testing.clock import JumpingClock

HEAD = "agentcomm: 1\nprotocol: p\nversion: 1\n"
ENDS = "\noutcomes: {done: success, off: refused, expired: expired}\n"
TASK = (
    HEAD
    + """
roles: [boss, worker]
acts:
  task: {content: {goal: text}, act: request}
  agree: {}
  told: {act: inform, content: {}, discharges: task}
grounding: {task: demonstrated}
states:
  x: {boss: {task: y}}
  y: {worker: {agree: z}}
  z: {worker: {told: done}}
"""
    + ENDS
)
COUNT = (
    HEAD
    + """
roles: [boss, worker]
acts:
  order: {act: inform, content: {count: int}, critical: [count]}
  noted: {act: inform, content: {count: int}}
states:
  x: {boss: {order: y}}
  y: {worker: {noted: {next: x, max: 80, then: done}}}
"""
    + ENDS
)


def boss(goal: str = "restart the build server after 22:00") -> Agent:
    agent = Agent("ann")

    @agent.opens
    def _(turn):
        return turn.say("task", goal=goal)

    return agent


def worker(*plans: str) -> Agent:
    agent, left = Agent("bob"), list(plans)

    @agent.on("task", state="presented", overlay="demonstrate")
    def _(turn):
        goal = left.pop(0) if left else ""
        return turn.say("demonstrate", goal=goal, plan=[], missing=[], assumed=[])

    @agent.on("wrong", overlay="demonstrate")
    def _(turn):
        return turn.say("demonstrate", goal=left.pop(0), plan=[], missing=[], assumed=[])

    @agent.on("task", state="y")
    def _(turn):
        return turn.say("agree")

    @agent.on("task", state="z")
    def _(turn):
        return turn.say("told")

    return agent


class Panel:
    """A judge that finds everything wrong until it does not."""

    name = "panel"

    def __init__(self, *verdicts: Judgement | Exception) -> None:
        self.verdicts = list(verdicts)
        self.asked: list[tuple] = []

    async def judge(self, meant, restated) -> Judgement:
        self.asked.append((dict(meant), dict(restated)))
        verdict = self.verdicts.pop(0)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict


FINE = Judgement("panel")
OFF = Judgement("panel", missing=("after 22:00",))


def events_of(path) -> list:
    return list(read_transcript(path).events())


def same_again(path, result) -> None:
    """Check that the record tells all of it."""
    again = replay(path)
    assert again.same, again.first_difference
    assert again.conversation.outcome == result.conversation.outcome


async def test_a_judge_is_asked_and_the_talk_goes_on(tmp_path):
    panel, path = Panel(OFF, FINE), tmp_path / "t.jsonl"
    result = await enact(
        loads(TASK),
        cast={"boss": boss(), "worker": worker("restart it now", "restart it after ten in the evening")},
        judge=panel,
        transcript=path,
    )
    assert result.outcome == "done", result.cause
    assert [restated["goal"] for _, restated in panel.asked] == [
        "restart it now",
        "restart it after ten in the evening",
    ]
    assert "points" in panel.asked[1][0]
    assert len([event for event in events_of(path) if isinstance(event, Judged)]) == 2
    same_again(path, result)


async def test_a_judge_that_crashes_is_no_evidence(tmp_path):
    panel, path = Panel(OSError("out of memory"), FINE), tmp_path / "t.jsonl"
    plans = ("restart it now", "restart it later")
    result = await enact(
        loads(TASK), cast={"boss": boss(), "worker": worker(*plans)}, judge=panel, transcript=path
    )
    assert result.outcome == "done"
    assert "out of memory" in next(event for event in events_of(path) if isinstance(event, Judged)).reason
    same_again(path, result)


async def test_the_judge_made_of_code_judges():
    said = boss("restart the build server")
    result = await enact(
        loads(TASK), cast={"boss": said, "worker": worker("restart the build server")}, judge=CodeJudge()
    )
    assert result.outcome == "done", result.cause


async def test_without_a_judge_it_is_said_what_is_missing():
    with pytest.raises(UsageError, match="nobody is there to judge that"):
        await enact(loads(TASK), cast={"boss": boss(), "worker": worker("x")})


async def test_a_code_agent_without_a_handler_says_that_it_is_unable():
    result = await enact(loads(TASK), cast={"boss": boss(), "worker": Agent("bob")}, judge=Panel())
    assert result.outcome_class == "aborted"


# --- a human who decides ---


def deaf() -> Agent:
    agent, heard = Agent("bob"), []

    @agent.on("request")
    def _(turn):
        heard.append(turn.heard.content.action)
        if len(heard) < 3:
            return turn.say("not-understood", reason="which server?")
        return turn.say("escalate" if turn.can("escalate") else "inform-done", **_of(turn))

    return agent


def _of(turn) -> dict:
    return {"trouble": "two servers", "tried": ["not-understood"]} if turn.can("escalate") else {}


def asking() -> tuple[Agent, list]:
    agent, troubles = Agent("ann"), []

    @agent.opens
    def _(turn):
        troubles.append([item.meant for item in turn.troubles])
        return turn.say("request", action="restart the build server")

    return agent, troubles


async def test_a_human_decides_what_two_cannot_mend(tmp_path):
    ann, troubles = asking()
    human, path = Agent("eve"), tmp_path / "t.jsonl"

    @human.on("request", overlay="escalate")
    def _(turn):
        return turn.say("decide", decision="the build server")

    @human.on("escalate", overlay="escalate")
    def _(turn):
        return turn.say("decide", decision="the build server")

    cast = {"initiator": ann, "participant": deaf(), "human": human}
    result = await enact(load("request"), cast=cast, transcript=path)
    assert result.outcome == "done", result.cause
    assert troubles[-1] == ["the build server"]
    assert [event.overlay for event in events_of(path) if isinstance(event, OverlayOpened)] == [
        "not-understood",
        "not-understood",
        "escalate",
    ]
    same_again(path, result)


async def test_a_human_is_cast_only_where_the_protocol_has_nobody_who_decides():
    cast = {"initiator": asking()[0], "participant": deaf(), "somebody": Agent("x")}
    with pytest.raises(UsageError, match="has no role 'somebody'"):
        await enact(load("request"), cast=cast)


# --- cancel and standby ---


async def test_a_hearer_stands_by_and_answers_later(tmp_path):
    ann, _ = asking()
    bob, path = Agent("bob"), tmp_path / "t.jsonl"
    asked = []

    @bob.on("request")
    def _(turn):
        asked.append(turn.state)
        return turn.say("standby", wait="5m") if len(asked) == 1 else turn.say("inform-done")

    with JumpingClock():
        result = await enact(load("request"), cast={"initiator": ann, "participant": bob}, transcript=path)
    assert result.outcome == "done"
    assert len(asked) == 2
    same_again(path, result)


async def test_a_speaker_cancels_and_the_other_stops_by_rule(tmp_path):
    text = (
        HEAD
        + """
roles: [a, b]
acts: {ask: {act: request, content: {}}, agree: {}, more: {act: inform, content: {}}}
states:
  x: {a: {ask: y}}
  y: {b: {agree: z}}
  z: {a: {more: done}}
"""
        + ENDS
    )
    ann, bob, path = Agent("ann"), Agent("bob"), tmp_path / "t.jsonl"

    @ann.opens
    def _(turn):
        return turn.say("ask")

    @ann.on("agree")
    def _(turn):
        return turn.say("cancel", reason="not needed any more")

    @bob.on("ask")
    def _(turn):
        return turn.say("agree")

    result = await enact(loads(text), cast={"a": ann, "b": bob}, transcript=path)
    assert (result.outcome_class, result.cause) == ("cancelled", "cancelled by a")
    assert [entry.status.value for entry in result.commitments] == ["released"]
    same_again(path, result)


# --- choice ---


def counting() -> dict:
    ann, bob, said = Agent("ann"), Agent("bob"), []

    @ann.opens
    def _(turn):
        said.append(1)
        return turn.say("order", count=len(said))

    @ann.on("noted")
    def _(turn):
        said.append(1)
        return turn.say("order", count=len(said))

    @bob.on("order")
    def _(turn):
        return turn.say("noted", count=turn.heard.content.count)

    return {"boss": ann, "worker": bob}


async def test_what_is_learned_in_one_conversation_opens_the_next(tmp_path):
    path = tmp_path / "t.jsonl"
    first = await enact(loads(COUNT), cast=counting(), choice=Choice(), transcript=path)
    assert first.outcome == "done"
    actions = [event.action for event in events_of(path) if isinstance(event, Chose)]
    assert actions[0] == "confirm"
    assert actions[-1] == "accept"
    same_again(path, first)
    assert first.choice.counters["|order|boss|worker"].good > 40
    second = await enact(loads(COUNT), cast=counting(), choice=first.choice, transcript=tmp_path / "2.jsonl")
    assert {event.action for event in events_of(tmp_path / "2.jsonl") if isinstance(event, Chose)} == {
        "accept"
    }
    assert second.messages < first.messages


async def test_without_a_choice_nothing_is_learned():
    result = await enact(loads(COUNT), cast=counting())
    assert result.choice is None


def test_experience_is_kept_apart_by_model():
    choice = Choice(models={"worker": "tiny"}, counters={"tiny|order|boss|worker": Beta(2.0, 2.0)})
    assert choice.known(choice.key("order", "boss", "worker"), {}) == Beta(2.0, 2.0)


@pytest.mark.parametrize(
    ("limits", "own", "outcome"),
    [
        ("", "", "aborted"),
        ("limits: {reply_within: 50s}", "", "aborted"),
        ("limits: {reply_within: 4h}", "", "done"),
        ("limits: {reply_within: 4h}", "10m", "aborted"),
        ("", "4h", "done"),
    ],
)
async def test_a_patient_protocol_has_patient_readbacks(tmp_path, root, limits, own, outcome):
    text = (
        COUNT.replace("{next: x, max: 80, then: done}", "done")
        + "grounding: {order: {readback: [count]}}\n"
        + limits
    )
    if own:
        text = text.replace("acts:", "overlays: {read-back: slow}\nacts:", 1)
        shipped = (root / "protocols/_overlays/read-back.yaml").read_text()
        slow = shipped.replace("protocol: read-back", "protocol: slow").replace("30s", own)
        (tmp_path / "slow.yaml").write_text(slow)
    path = tmp_path / "p.yaml"
    path.write_text(text)
    boss, worker = Agent("boss"), Agent("worker")

    @boss.opens
    def order(turn):
        return turn.say("order", count=7)

    @worker.on("order", overlay="read-back")
    async def read_back(turn):
        await asyncio.sleep(3600)
        return turn.say("readback", fields={"count": 7})

    @worker.on("order")
    def noted(turn):
        return turn.say("noted", count=7)

    with JumpingClock() as clock:
        result = await enact(load(path), cast={"boss": boss, "worker": worker})
    assert result.outcome == outcome
    assert clock.elapsed == {"done": 3600, "aborted": 600 if own else 30}[outcome]
    assert replay(result.transcript).same
