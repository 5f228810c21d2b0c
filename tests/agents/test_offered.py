"""How a prompt writes what may be said, and that it shows a role only what that role heard."""

import dataclasses
import datetime as dt
from typing import Literal

import pytest
from msgspec import structs

from agentcomm import Agent, enact_sync
from agentcomm.acts.content import Content
from agentcomm.acts.message import Message
from agentcomm.agents.offered import briefly, in_full
from agentcomm.protocol.library import loads
from tests.agents.talks import Says, text_of

FIELDS = {
    "text": "note",
    "id": "note",
    "any": "note",
    "int": "note",
    "number": "note",
    "bool": "note",
    "date": "note",
    "datetime": "note=datetime",
    "money": "note",
    "{is: quantity, unit: kg}": "note=quantity in kg",
    "[low, high]": "note=low/high",
    "list of text": "note=[]",
    "list of money": "note=[]",
    "optional text": "note?",
    "optional duration": "note=duration?",
}


def move_of(field):
    """Return the only move of a protocol whose act has one field."""
    protocol = loads(f"""
agentcomm: 1
protocol: one
version: 1
about: One field.
roles: [ann, bob]
types: {{Deep: {{a: text, b: money}}}}
acts: {{tell: {{act: inform, content: {{note: {field}}}}}}}
states: {{start: {{ann: {{tell: over}}}}}}
outcomes: {{over: success}}
limits: {{reply_within: 60s}}
""")
    return protocol.states["start"].moves["tell"]


@pytest.mark.parametrize(("field", "shown"), FIELDS.items())
def test_a_type_stands_where_a_grammar_does_not_hold_it(field, shown):
    move = move_of(field)
    assert briefly([move], ()) == f"Say tell {shown}"
    assert in_full([move]).startswith('Answer {"act": …, "content": {…}}:\ntell(note: ')


def test_a_map_shows_its_fields():
    assert briefly([move_of("Deep")], ()) == "Say tell note={a b}"


def test_a_class_of_ones_own_shows_its_fields_and_choices():
    class Told(Content):
        level: Literal["low", "high"]
        words: list[str]
        at: dt.date | None = None

    move = move_of("text")
    move = structs.replace(move, act=dataclasses.replace(move.act, registered=Told))
    assert briefly([move], ()) == "Say tell level=low/high words=[] at?"


def said(move, **content):
    return Message(act=move.label, content=move.act.content.model_validate(content), sender="bob")


def test_an_act_whose_like_is_shown_is_named_alone():
    move = move_of("duration")
    assert briefly([move], [said(move, note="5m")]) == "Say tell"
    choice = move_of("[low, high]")  # one value does not show what others there are
    assert briefly([choice], [said(choice, note="low")]) == "Say tell note=low/high"
    optional = move_of("optional text")  # what was left out is not seen
    assert briefly([optional], [said(optional)]) == "Say tell note?"
    other = Message(act="other", content={"note": "5m"}, sender="bob")
    assert briefly([move], [other]) == "Say tell note=duration"


ASIDE = """
agentcomm: 1
protocol: aside
version: 1
about: What is told to one of two.
roles: [ann, bob, cat]
acts:
  whisper: {act: inform, content: {secret: text}}
  word: {act: inform, content: {words: text}}
  reply: {act: inform, content: {words: text}}
states:
  one: {ann: {whisper: {next: two, to: bob}}}
  two: {ann: {word: {next: three, to: cat}}}
  three: {cat: {reply: {next: four, to: ann}}}
  four: {bob: {reply: {next: over, to: ann}}}
outcomes: {over: success}
limits: {reply_within: 60s, else: over}
"""


def test_a_role_is_shown_nothing_that_was_not_said_to_it():
    told = {}

    def speaker(name):
        def reply(request):
            told[name] = text_of(request)
            return {"act": "reply", "content": {"words": "well"}}

        return Agent(name, model=Says(reply), goal="Be kind.")

    def speak(turn):
        act = "whisper" if turn.state == "one" else "word"
        return turn.say(act, **({"secret": "the safe is open"} if act == "whisper" else {"words": "hello"}))

    cast = {"ann": speak, "bob": speaker("Bob"), "cat": speaker("Cat")}
    result = enact_sync(loads(ASIDE), cast=cast)
    assert result.outcome == "over", result.cause
    assert "the safe is open" in told["Bob"]
    assert "the safe is open" not in told["Cat"]
    assert "whisper.secret" in result.ground


def test_who_one_is_stands_where_it_would_not_be_known():
    """Of two, the goal says it; of three, it is said, unless the goal does."""

    def first(goal):
        seen = []

        def reply(request):
            seen.append(text_of(request))
            return {"act": "whisper", "content": {"secret": "x"}} if len(seen) == 1 else {
                "act": "word", "content": {"words": "x"}}  # fmt: skip

        ann = Agent("Ann", model=Says(reply), goal=goal)
        others = {name: lambda turn: turn.say("reply", words="well") for name in ("bob", "cat")}
        enact_sync(loads(ASIDE), cast={"ann": ann, **others})
        return seen[0]

    assert first("Be kind.").startswith("You are the ann.\n\nBe kind.")
    assert first("You, ann, are kind.").startswith("You, ann, are kind.\n\nSay whisper secret")
