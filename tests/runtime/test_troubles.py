"""What code finds in a record when a conversation is over."""

import pytest
from msgspec.structs import replace

from agentcomm import Agent, enact_sync
from agentcomm.agents.judgement import Judgement
from agentcomm.conversation.events import Judged
from agentcomm.errors import ModelUnavailable
from agentcomm.grounding.troubles import Contradiction, Irrelevant, SeveralReferents, Unfilled, Unsourced
from agentcomm.models.scripted import ScriptedModel
from agentcomm.protocol.library import loads
from agentcomm.runtime.troubles import look_at, troubles_of
from agentcomm.views.failures import modes_of

ORDER = """
agentcomm: 1
protocol: order
version: 1
about: Goods are ordered.
roles: [ann, bob]
acts:
  order: {act: request, content: {item: text, count: int}}
  offer: {act: propose, content: {count: int}}
  packed: {act: inform, content: {count: int, note: text}, discharges: order}
  failure: {reason: text}
states:
  ordering: {ann: {order: packing}}
  packing: {bob: {packed: done, offer: packing-less, failure: failed}}
  packing-less: {bob: {packed: done, failure: failed}}
outcomes: {done: success, failed: failed, expired: expired}
"""


def talk(*answers, item="tulips"):
    """Ann, in code, orders five; Bob, a model, answers."""
    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("order", item=item, count=5))
    bob = Agent("Bob", model=ScriptedModel([*answers]))
    return enact_sync(loads(ORDER), cast={"ann": ann, "bob": bob}, brief={"bob": "At most 9 of each."})


def packed(count, note="done"):
    return {"act": "packed", "content": {"count": count, "note": note}}


def test_nothing_is_found_where_nothing_is_wrong():
    assert [one for one in talk(packed(5)).troubles if one.made_by == "model"] == []


def test_a_value_that_contradicts_what_was_said_is_found():
    [found] = [one for one in talk(packed(9)).troubles if one.made_by == "model"]
    assert isinstance(found.trouble, Contradiction)
    assert found.role == "bob"
    assert "5 was meant, 9 was understood" in str(found)


def test_a_proposal_may_name_another_value_and_what_follows_it_is_compared_with_that():
    offer = {"act": "offer", "content": {"count": 9}}
    assert [one for one in talk(offer, packed(9)).troubles if one.made_by == "model"] == []
    [found] = [one for one in talk(offer, packed(5)).troubles if one.made_by == "model"]
    assert "9 was meant, 5 was understood" in str(found)


@pytest.mark.parametrize("note", ["TBD", "<note>", "???"])
def test_a_placeholder_is_found(note):
    """Said by code: a model that says it is asked again."""
    bob = Agent("Bob")
    bob.on("order")(lambda turn: turn.say("packed", count=5, note=note))
    ann = Agent("Ann")
    ann.opens(lambda turn: turn.say("order", item="tulips", count=5))
    result = enact_sync(loads(ORDER), cast={"ann": ann, "bob": bob})
    [found] = [one for one in result.troubles if isinstance(one.trouble, Unfilled)]
    assert "is a placeholder" in str(found)
    assert talk(packed(5, note), packed(5)).messages == 2


def test_a_value_from_nowhere_is_found():
    found = [one.trouble for one in talk(packed(5, "4711 are left")).troubles if one.made_by == "model"]
    assert [type(one) for one in found] == [Unsourced]


def test_a_name_that_fits_several_things_is_found_where_the_things_are_known():
    things = {"red tulip": "tall", "red tulip dwarf": "small, red tulip"}
    vague = talk(packed(5, "the tulip is out"))
    [found] = [
        one.trouble
        for one in troubles_of(vague.transcript, things=things)
        if isinstance(one.trouble, SeveralReferents)
    ]
    assert found.candidates == ("red tulip", "red tulip dwarf")
    assert not any(isinstance(one.trouble, SeveralReferents) for one in vague.troubles)  # no things are known


ASK = """
agentcomm: 1
protocol: ask
version: 1
about: Questions are asked and answered.
roles: [ann, bob]
acts:
  ask: {act: query-ref, content: {question: text}}
  tell: {act: inform, content: {answer: text}, discharges: ask}
  failure: {reason: text}
states:
  asking: {ann: {ask: answering}}
  answering: {bob: {tell: more, failure: failed}}
  more: {ann: {ask: again}}
  again: {bob: {tell: done, failure: failed}}
outcomes: {done: success, failed: failed, expired: expired}
"""
QUESTION = "Which of the two routers was replaced last night?"


class Topics:
    """Vectors by hand: what is about routers, and what is not."""

    def vectors(self, texts):
        return [[1.0, 0.0] if "rout" in text or "rack" in text else [-0.6, 0.8] for text in texts]


def asked(*answers, replies=("", "")):
    questions = iter([QUESTION, "How is the patient in bed seven?"])
    said, to = iter(answers), iter(replies)
    ann, bob = Agent("Ann"), Agent("Bob")
    ann.opens(lambda turn: turn.say("ask", question=next(questions)))
    ann.on("tell")(lambda turn: turn.say("ask", question=next(questions)))

    @bob.on("ask")
    def tell(turn):
        first = next(iter(turn.conversation.seen))
        return replace(turn.say("tell", answer=next(said)), in_reply_to=first if next(to) else "")

    return enact_sync(loads(ASK), cast={"ann": ann, "bob": bob}).transcript


def irrelevant(look):
    return [one for one in look.troubles if isinstance(one.trouble, Irrelevant)]


def test_an_answer_about_something_else_is_found_and_what_nobody_can_tell_is_told():
    record = asked("the sonata in three movements is lovely", "her fever dropped within a few hours")
    look = look_at(record, embedder=Topics())
    [found] = irrelevant(look)
    assert found.role == "bob"
    assert found.message in str(found)
    assert "in answer, answers none of what is open (ask)" in str(found)
    [unchecked] = [text for text in look.unchecked if "about what it answers" in text]
    assert "message 4, answer: no word in common" in unchecked
    assert modes_of(record)["2.3 task derailment"] in (0, 1)


def test_an_answer_with_words_of_the_question_is_about_it():
    look = look_at(asked("the router in rack 12", "the patient sleeps"), embedder=Topics())
    assert not irrelevant(look)
    assert not [text for text in look.unchecked if "about what it answers" in text]


def test_without_an_embedding_nothing_is_accused_and_the_report_says_so(monkeypatch):
    monkeypatch.setattr("agentcomm.runtime.issues._embedding", lambda: None)
    look = look_at(asked("a sonata in three lovely movements", "in bed seven"))
    assert not irrelevant(look)
    assert any("no embedding is installed" in text for text in look.unchecked)


def test_an_embedding_that_cannot_be_loaded_is_no_evidence():
    class Broken:
        def vectors(self, texts):
            raise ModelUnavailable("no weights", fix="reinstall")

    look = look_at(asked("a sonata in three lovely movements", "in bed seven"), embedder=Broken())
    assert not irrelevant(look)
    assert any("about what it answers" in text for text in look.unchecked)


def test_an_answer_to_what_was_answered_while_something_else_waits_is_found():
    record = asked("the router in rack 12", "the other router, too", replies=("", "first"))
    [found] = irrelevant(look_at(record))
    assert "answers none of what is open (ask)" in str(found)
    assert not irrelevant(look_at(asked("the router in rack 12", "the patient sleeps")))


def test_a_judge_whose_worth_nobody_knows_is_told(monkeypatch):
    monkeypatch.setattr("agentcomm.runtime.troubles.is_measured", lambda _name: False)
    protocol = ORDER.replace("states:", "grounding: {order: demonstrated}\nstates:")
    ann, bob = Agent("Ann"), Agent("Bob")
    ann.opens(lambda turn: turn.say("order", item="tulips", count=5))
    bob.on("order", overlay="demonstrate")(
        lambda turn: turn.say("demonstrate", goal="order 5 tulips", plan=[], missing=[], assumed=[])
    )
    bob.on("order")(lambda turn: turn.say("packed", count=5, note="packed 5 tulips"))

    class Judge:
        name = "kind"

        async def judge(self, meant, restated):
            return Judgement(self.name)

    result = enact_sync(loads(protocol), cast={"ann": ann, "bob": bob}, judge=Judge())
    assert result.outcome == "done"
    assert any("how good the judge 'kind' is" in text for text in result.look.unchecked)
    monkeypatch.setattr("agentcomm.agents.calibration.at_chance", lambda _name: "it is chance")
    result = enact_sync(loads(protocol), cast={"ann": ann, "bob": bob}, judge=Judge())
    assert result.outcome != "done"  # its word is no evidence: nothing is built on it
    judged = [event for event in result.transcript.events() if isinstance(event, Judged)]
    assert judged
    assert all((one.understood, one.reason) == (False, "it is chance") for one in judged)
