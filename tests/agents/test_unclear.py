"""A phrase that fits several things is asked about, where that is expected to cost less than a guess."""

import pytest

from agentcomm import Agent, enact_sync
from agentcomm.grounding.choice import Choice, Costs
from agentcomm.protocol.library import loads
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
