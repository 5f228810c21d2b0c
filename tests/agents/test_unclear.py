"""A phrase that fits several things is asked about, where that is expected to cost less than a guess."""

import asyncio

import pytest

from agentcomm import Agent, Human, enact_sync
from agentcomm.conversation.events import Chose, Heard
from agentcomm.grounding.choice import Beta, Choice, Costs
from agentcomm.protocol.library import loads
from agentcomm.runtime.experience import experience
from agentcomm.runtime.replay import replay
from tests.agents.talks import Says

ORDER = """
agentcomm: 1
protocol: order
version: 1
about: Something is restarted.
roles: [ann, bob]
acts:
  order: {act: request, content: {what: text}, stakes: STAKES}
  told: {act: inform, content: {what: text}, discharges: order}
  failure: {reason: text}
grounding: {order: delivered}
states:
  ordering: {ann: {order: working}}
  working: {bob: {told: done, failure: failed}}
outcomes: {done: success, failed: failed, expired: expired}
"""
THINGS = {"web-1": "web server, Bremen", "web-2": "web server, Kiel", "db-1": "database server"}


def talk(what="restart the web server", stakes="normal", things=THINGS, choice=None, model=None):
    said = iter([what, "restart web-2", "restart web-2"])
    ann, bob = Agent("Ann"), Agent("Bob", things=things, model=model)
    ann.opens(lambda turn: turn.say("order", what=next(said)))
    if model is None:
        bob.on("order")(lambda turn: turn.say("told", what=turn.content["what"]))
    ann.on("choose", overlay="repair")(lambda turn: turn.say("value", value="web-2"))
    ann.on("specify", overlay="repair")(lambda turn: turn.say("value", value="web-2"))
    result = enact_sync(loads(ORDER.replace("STAKES", stakes)), cast={"ann": ann, "bob": bob}, choice=choice)
    heard = [event.message for event in result.transcript.events() if type(event).__name__ == "Heard"]
    return result, heard


def test_it_asks_which_and_acts_on_the_answer():
    result, heard = talk()
    assert result.outcome == "done"
    question = next(message for message in heard if message.about)
    assert (question.act, question.made_by) == ("choose", "rule")
    assert question.content["path"] == "what"
    assert question.content["options"] == ["web-1", "web-2"]
    assert result.repairs == 1
    assert heard[-1].content["what"] == "restart web-2"


@pytest.mark.parametrize("what", ["restart web-1", "restart the database server", "restart the mail server"])
def test_what_is_clear_or_about_something_else_is_not_asked_about(what):
    result, _ = talk(what)
    assert (result.outcome, result.repairs) == ("done", 0)


def test_where_little_is_at_stake_it_acts_on_a_guess():
    assert talk(stakes="low")[0].repairs == 0
    assert talk(choice=Choice(costs=Costs(clarify=1000.0)))[0].repairs == 0


def test_without_things_nothing_is_unclear():
    assert talk(things=None)[0].repairs == 0


def test_a_model_is_not_asked_before_it_is_clear():
    model = Says({"act": "told", "content": {"what": "web-2 is restarted"}})
    result, _ = talk(model=model)
    assert result.outcome == "done"
    assert len(model.asked) == 1
    assert "restart web-2" in str(model.asked[0].messages)


def test_it_asks_no_more_than_repairs_allow():
    ann, bob = Agent("Ann"), Agent("Bob", things=THINGS)
    ann.opens(lambda turn: turn.say("order", what="restart the web server"))
    bob.on("order")(lambda turn: turn.say("told", what="restarted one of them"))
    for label in ("choose", "specify"):
        ann.on(label, overlay="repair")(lambda turn: turn.say("value", value="the web server"))
    result = enact_sync(loads(ORDER.replace("STAKES", "normal")), cast={"ann": ann, "bob": bob})
    assert result.outcome == "done"
    assert result.repairs <= 2
    assert result.messages <= result.conversation.rules.bound


def chosen(result):
    return [event for event in result.transcript.events() if isinstance(event, Chose)]


def test_the_decision_is_the_conversation_s_on_record_and_replayed():
    for stakes, action in (("normal", "choose"), ("low", "accept")):
        result, _ = talk(stakes=stakes)
        [decision] = chosen(result)
        assert decision.action == action
        assert [one.value for one in decision.readings] == ["web-1", "web-2"]
        assert min(decision.costs, key=decision.costs.get) == action
        again = replay(result.transcript)
        assert (again.same, again.first_difference) == (True, "")


def test_what_questions_mended_is_learned_over_conversations():
    choice = Choice()
    for _ in range(3):
        choice = talk(choice=choice)[0].choice
    assert choice.counters["|order?choose|bob|ann"] == Beta(7.0, 1.0)
    assert experience([talk()[0].transcript]).counters == {}  # without a choice nothing is counted


class _Chat:
    def __init__(self, *lines):
        self.lines, self.shown = list(lines), []

    def show(self, text):
        self.shown.append(text)

    async def ask(self, prompt):
        self.shown.append(prompt)
        return self.lines.pop(0) if self.lines else None


def asks_ann():
    said = iter(["restart the web server", "restart web-2"])
    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("order", what=next(said)))
    ann.on("choose", overlay="repair")(lambda turn: turn.say("value", value="web-2"))
    return ann


def test_a_person_s_doubt_is_decided_alike_and_asked_for_them():
    chat = _Chat("1", "restarted web-2")
    bob = Human("Bob", console=chat, things=THINGS)
    result = enact_sync(loads(ORDER.replace("STAKES", "normal")), cast={"ann": asks_ann(), "bob": bob})
    assert result.outcome == "done"
    assert [one.action for one in chosen(result)] == ["choose"]
    assert any("it is asked for you: choose" in text for text in chat.shown)


def test_a_handler_may_leave_the_decision_to_the_conversation():
    weighed = []
    bob = Agent("Bob")

    @bob.on("order")
    def work(turn):
        weighed.append(turn.is_weighed("what"))
        if not turn.is_weighed("what"):
            return turn.unclear("what", {"web-1": 3, "web-2": 1})
        return turn.say("told", what="web-1")

    result = enact_sync(loads(ORDER.replace("STAKES", "low")), cast={"ann": asks_ann(), "bob": bob})
    assert (result.outcome, weighed) == ("done", [False, True])
    [decision] = chosen(result)
    assert (decision.action, decision.p) == ("accept", 0.75)


def test_any_callable_may_and_puts_the_question_itself():
    async def bob(turn):
        if turn.overlay is not None:
            return turn.put()
        if turn.content["what"] != "restart web-2":
            return turn.unclear("what", {"web-1": 1, "web-2": 1})
        return turn.say("told", what="web-2")

    result = enact_sync(loads(ORDER.replace("STAKES", "normal")), cast={"ann": asks_ann(), "bob": bob})
    assert (result.outcome, [one.action for one in chosen(result)]) == ("done", ["choose"])


LANES = """
agentcomm: 1
protocol: orders
version: 1
about: Something is restarted at many.
roles: {ann: 1, bob: 1..3}
acts:
  order: {act: request, content: {what: text}}
  told: {act: inform, content: {what: text}, discharges: order}
  failure: {reason: text}
  thanks: {act: inform, content: {to: text}}
grounding: {order: delivered}
states:
  ordering: {ann: {order: working}}
  working: {bob: {told: thanking, failure: failed}}
  thanking: {ann: {thanks: done}}
outcomes: {done: success, failed: failed, expired: expired}
settles: {success: any done, failed: otherwise}
"""


@pytest.mark.parametrize("slow", [False, True])
def test_in_lanes_each_doubt_is_its_own(slow):
    def bob(name, things):
        agent = Agent(name, things=things)

        async def late(turn):
            await asyncio.sleep(0.01)
            return turn.say("told", what=turn.content["what"])

        agent.on("order")(late if slow else lambda turn: turn.say("told", what=turn.content["what"]))
        return agent

    ann = Agent("Ann")

    @ann.opens
    def order(turn):
        return turn.say("order", what="restart web-2" if turn.troubles else "restart the web server")

    ann.on("choose", overlay="repair")(lambda turn: turn.say("value", value="web-2"))
    ann.on("told")(lambda turn: turn.say("thanks", to=turn.lane))
    crew = [bob("b1", THINGS), bob("b2", {"web-1": "web server"}), bob("b3", THINGS)]
    result = enact_sync(loads(LANES), cast={"ann": ann, "bob": crew})
    assert result.outcome_class == "success"
    assert [(one.lane, one.action) for one in chosen(result)] == [("b1", "choose"), ("b3", "choose")]
    told = [e.message for e in result.transcript.events() if isinstance(e, Heard) and e.message.act == "told"]
    assert {one.lane: one.content["what"] for one in told} == {
        "b1": "restart web-2",
        "b2": "restart the web server",
        "b3": "restart web-2",
    }
    assert replay(result.transcript).same
