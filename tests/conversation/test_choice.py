"""Read back or not: chosen in a conversation by what is known of its speakers."""

from talks import HEAD, Talk, only

from agentcomm.conversation.events import Chose, Counted, OverlayOpened
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import state_hash
from agentcomm.conversation.step import open_conversation, step
from agentcomm.grounding.choice import Beta, Choice
from agentcomm.protocol.library import load, loads

TEXT = """
roles: [a, b]
acts:
  order: {act: inform, content: {count: int}, critical: [count], stakes: STAKES}
  noted: {act: inform, content: {count: int}}
GROUNDING
states:
  x: {a: {order: y}}
  y: {b: {noted: {next: x, max: 200, then: done}}}
outcomes: {done: success, expired: expired}
"""
REPEATED = TEXT.replace("GROUNDING", "grounding: {noted: {repeats: {count: order.count}}}")
TEXT = TEXT.replace("GROUNDING", "")


def rules(stakes: str = "normal", choice: Choice | None = None, text: str = TEXT) -> Rules:
    overlays = {name: load(f"_overlays/{name}") for name in ("read-back", "repair", "not-understood")}
    return Rules(loads(HEAD + text.replace("STAKES", stakes)), overlays, choice)


def run(stakes: str, choice: Choice | None, turns: int) -> Talk:
    """Return a talk in which everything is understood."""
    talk = Talk(Rules(rules(stakes).protocol, rules(stakes).overlays, choice))
    for n in range(turns):
        talk.say("a", "order", count=n)
        if talk.now.frame is not None:
            talk.say("b", "readback", fields={"count": n})
            talk.say("a", "right")
        talk.say("b", "noted", count=n)
    return talk


def test_without_a_choice_stakes_alone_say():
    assert not only(run("normal", None, 3).events, OverlayOpened)
    assert len(only(run("high", None, 3).events, OverlayOpened)) == 3


def test_what_is_new_is_read_back_until_it_has_been_understood_often_enough():
    talk = run("normal", Choice(), 70)
    actions = [event.action for event in only(talk.events, Chose)]
    first = actions.index("accept")
    assert actions == ["confirm"] * first + ["accept"] * (70 - first)
    assert 40 <= first <= 60
    assert len(only(talk.events, OverlayOpened)) == first
    assert {event.key for event in only(talk.events, Counted)} == {"|order|a|b"}


def test_low_stakes_pay_nothing_and_what_cannot_be_undone_always():
    assert not only(run("low", Choice(), 5).events, OverlayOpened)
    known = Choice(counters={"|order|a|b": Beta(1e9, 1.0)})
    protocol = rules("high").protocol
    talk = Talk(Rules(protocol, rules("high").overlays, known))
    talk.say("a", "order", count=1)
    assert talk.now.frame is None  # experience says enough, even for high stakes
    assert only(talk.events, Chose)[0].p > only(talk.events, Chose)[0].least


def test_a_value_used_wrongly_is_stopped_and_counts():
    talk = Talk(rules("high", Choice(), REPEATED))
    talk.say("a", "order", count=4)
    assert talk.now.frame is None
    talk.say("b", "noted", count=5)
    assert talk.now.frame is not None
    assert talk.now.frame.overlay == "repair"
    assert [event.understood for event in only(talk.events, Counted)] == [False]
    talk.say("a", "offer", path="count", candidate=4)
    talk.say("b", "confirm")
    talk.say("b", "noted", count=4)
    assert [event.understood for event in only(talk.events, Counted)] == [False, True]


def test_what_the_protocol_asks_for_is_not_up_for_choice():
    text = REPEATED.replace("STAKES", "low").replace(
        "noted: {repeats", "order: {readback: [count]}, noted: {repeats"
    )
    known = Choice(counters={"|order|a|b": Beta(1e9, 1.0)})
    talk = Talk(Rules(loads(HEAD + text), rules().overlays, known))
    talk.say("a", "order", count=4)
    assert talk.now.frame is not None
    assert not only(talk.events, Chose)


def test_a_replay_from_the_same_snapshot_decides_the_same():
    talk = run("normal", Choice(), 12)
    again, events = open_conversation(talk.rules, "c")
    told = list(events)
    for given in talk.inputs:
        again, events = step(again, given)
        told += events
    assert state_hash(again) == state_hash(talk.now)
    assert told[-len(talk.events) :] == talk.events
    learned = talk.rules.choice.learned((event.key, event.understood) for event in only(talk.events, Counted))
    assert learned.counters["|order|a|b"] == talk.now.shared.counted["|order|a|b"]


def test_the_longest_talk_counts_what_may_be_read_back():
    assert rules("normal", Choice()).bound > rules("normal").bound


def test_who_is_hardly_ever_understood_is_laid_before_the_authority_instead_of_repaired_again():
    names = ("read-back", "repair", "not-understood", "escalate")
    protocol = loads(HEAD + TEXT.replace("STAKES", "high"))

    def heard(known: Beta, *, human: bool) -> Talk:
        choice = Choice({"|order|a|b": known})
        talk = Talk(Rules(protocol, {name: load(f"_overlays/{name}") for name in names}, choice, human=human))
        talk.say("a", "order", count=4)
        talk.say("b", "readback", fields={"count": 5})
        return talk

    talk = heard(Beta(1.0, 9.0), human=True)
    assert [event.action for event in only(talk.events, Chose)] == ["confirm", "escalate"]
    assert only(talk.events, OverlayOpened)[-1].overlay == "escalate"
    # known better, or with nobody to ask, it is mended
    for known, human in ((Beta(9.0, 1.0), True), (Beta(1.0, 9.0), False)):
        talk = heard(known, human=human)
        assert [event.action for event in only(talk.events, Chose)] == ["confirm"]
        talk.say("a", "wrong", fields={"count": 4})
        talk.say("b", "readback", fields={"count": 4})
        talk.say("a", "right")
        assert talk.now.ground["order.count"] == 4
