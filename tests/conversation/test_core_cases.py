"""The core, case by case: small talks by hand, each with what must come of it."""

import math

import pytest
from talks import ENDS, Talk, eur, floor_of, kinds, one, only, overlays, refusal, rules

from agentcomm.acts.message import Message
from agentcomm.conversation.events import (
    Cancel,
    CommitmentChanged,
    DeadlineSet,
    Ended,
    Grounded,
    Heard,
    Late,
    Leave,
    Misfire,
    Moved,
    OverlayClosed,
    OverlayOpened,
    OwnerChanged,
    RepairClosed,
    RepairOpened,
    Say,
    TroubleFound,
)
from agentcomm.conversation.moves import Make, Over, Speak, legal, wants
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import altered, state_hash
from agentcomm.conversation.step import open_conversation, step
from agentcomm.errors import UsageError
from agentcomm.protocol.library import loads

SALE = (
    """
roles: [buyer, seller]
acts:
  cfp: {item: text}
  propose: {price: money, plan: optional text}
  accept-proposal: {price: money}
  refuse: {reason: text}
grounding:
  propose: {readback: [price, plan]}
  accept-proposal: {repeats: {price: propose.price}}
states:
  asking: {buyer: {cfp: asked}}
  asked: {seller: {propose: offered, refuse: off}, within: 20s, else: off}
  offered: {buyer: {accept-proposal: done, refuse: off}, within: 10s, else: off}
"""
    + ENDS
)

LOOP = (
    """
roles: [a, b]
acts:
  ping: {act: inform, content: {n: int}}
  pong: {act: inform, content: {n: int}}
states:
  x: {a: {ping: {next: y, max: 3, then: done}}}
  y: {b: {pong: x}}
"""
    + ENDS
)

TRIO = (
    """
roles: [chief, left, right]
acts:
  order: {act: inform, content: {dose: int, drug: optional text}}
  done-it: {act: inform, content: {}}
grounding: {order: {readback: [dose, drug]}}
states:
  start: {chief: {order: {next: given, to: [left, right]}}}
  given: {left: {done-it: {next: done, to: [chief, right]}}}
"""
    + ENDS
)


def sale(price: str = "110 EUR", plan: str | None = "fast") -> Talk:
    talk = Talk(rules(SALE))
    talk.say("buyer", "cfp", item="bike")
    talk.say("seller", "propose", {"price": price} if plan is None else {"price": price, "plan": plan})
    return talk


def sold_for(price: str = "110 EUR") -> Talk:
    talk = sale(price)
    talk.say("buyer", "readback", fields={"price": price, "plan": "fast"})
    talk.say("seller", "right")
    return talk


# --- who may say what ---


def test_an_overlay_cannot_be_enacted_by_itself():
    with pytest.raises(UsageError, match="overlay"):
        open_conversation(Rules(overlays()["repair"]), "c")


def test_an_act_to_be_read_back_needs_the_overlay_for_it():
    with pytest.raises(UsageError, match="read back"):
        open_conversation(Rules(rules(SALE).protocol), "c")


@pytest.mark.parametrize(
    ("sender", "act", "content", "code"),
    [
        ("seller", "cfp", {"item": "bike"}, "unexpected-act"),
        ("buyer", "propose", {"price": "1 EUR"}, "unexpected-act"),
        ("buyer", "no-such-act", {}, "unexpected-act"),
        ("buyer", "offer", {"path": "x", "candidate": 1}, "unexpected-act"),
        ("stranger", "cfp", {"item": "bike"}, "wrong-party"),
        ("buyer", "cfp", {}, "invalid-content"),
        ("buyer", "cfp", {"item": 7}, "invalid-content"),
        ("buyer", "cfp", {"item": "bike", "colour": "red"}, "invalid-content"),
        ("buyer", "cfp", None, "invalid-content"),
        ("buyer", "cfp", "bike", "invalid-content"),
        ("buyer", "cfp", [], "invalid-content"),
        ("", "cfp", {"item": "bike"}, "wrong-party"),
        ("buyer", "", {"item": "bike"}, "unreadable"),
    ],
)
def test_what_may_not_be_said_is_refused(sender, act, content, code):
    talk = Talk(rules(SALE))
    before = talk.now
    message = Message(act=act, content=content, id="m1", sender=sender)
    assert refusal(talk.give(Say(message, 1.0))) == code
    expected = before if sender != "buyer" else altered(before, misfires=1)
    assert state_hash(talk.now) == state_hash(expected)


def test_a_refusal_tells_the_one_who_has_the_floor_what_is_legal():
    talk = Talk(rules(SALE))
    (refused,) = talk.say("buyer", "propose", price="1 EUR")
    assert refused.legal == ("cfp(item: text)",)
    assert refused.left == 2
    (refused,) = talk.say("seller", "propose", price="1 EUR")
    assert refused.legal == ()


def test_tries_are_counted_and_end_the_talk():
    talk = Talk(rules(SALE))
    lefts = [talk.say("buyer", "x")[0].left for _ in range(3)]
    assert lefts == [2, 1, 0]
    assert not talk.ended
    assert kinds(talk.say("buyer", "x")) == ["Refused", "Ended"]
    assert talk.ended == "aborted"


def test_tries_start_anew_with_the_next_turn():
    talk = Talk(rules(SALE))
    talk.say("buyer", "x")
    talk.give(Misfire("buyer", "not JSON", 0.0))
    assert talk.now.here.misfires == 2
    talk.say("buyer", "cfp", item="bike")
    assert talk.now.here.misfires == 0


def test_a_misfire_of_somebody_who_has_not_the_floor_is_not_counted():
    talk = Talk(rules(SALE))
    talk.give(Misfire("seller", "not JSON", 0.0))
    assert talk.now.here.misfires == 0


# --- ids and references ---


def test_a_message_needs_an_id():
    talk = Talk(rules(SALE))
    assert (
        refusal(talk.give(Say(Message(act="cfp", content={"item": "x"}, sender="buyer"), 0.0)))
        == "unreadable"
    )


def test_an_id_that_is_on_record_has_no_second_effect_whatever_comes_with_it():
    talk = sale()
    before = talk.hash
    for sender, act in (("seller", "propose"), ("buyer", "cfp"), ("stranger", "nonsense")):
        assert kinds(talk.say(sender, act, id_="m1")) == ["Duplicate"]
    assert talk.hash == before


def test_a_message_that_comes_again_is_told_what_answered_it():
    talk = sale()
    (again,) = talk.say("buyer", "cfp", id_="m1")
    assert (again.message, again.reply) == ("m1", "m2")
    (again,) = talk.say("seller", "propose", id_="m2")
    assert again.reply == ""  # not answered yet
    talk.say("buyer", "readback", {"fields": {"price": "110 EUR", "plan": "fast"}}, id_="m3")
    (again,) = talk.say("seller", "propose", id_="m2")
    assert again.reply == "m3"
    earlier = talk.now
    talk.say("seller", "right")
    _, (again,) = step(earlier, Say(Message(act="x", id="m3", sender="buyer"), 0.0))
    assert again.reply == ""  # in the talk as it was then


def test_an_id_is_on_record_also_after_its_message_was_taken_back():
    talk = Talk(rules(SALE))
    talk.say("buyer", "cfp", item="bike", id_="first")
    talk.say("seller", "not-understood", reason="which bike?")
    assert floor_of(talk.now) == "buyer"
    assert kinds(talk.say("buyer", "cfp", item="bike", id_="first")) == ["Duplicate"]


def test_a_refused_id_can_be_used_again():
    talk = Talk(rules(SALE))
    talk.say("buyer", "cfp", item=7, id_="one")
    assert "Moved" in kinds(talk.say("buyer", "cfp", item="bike", id_="one"))


def test_a_reply_names_a_message_that_was_heard():
    talk = Talk(rules(SALE))
    talk.say("buyer", "cfp", item="bike")
    for unheard in ("nothing", "m99"):
        assert refusal(talk.say("seller", "refuse", reason="no", reply=unheard)) == "unknown-reference"
    heard = one(talk.say("seller", "refuse", reason="no", reply="m1"), Heard)
    assert heard.message.in_reply_to == "m1"


def test_a_reply_to_ones_own_message_is_refused():
    talk = sale()
    talk.say("buyer", "readback", fields={"price": "110 EUR", "plan": "fast"})
    talk.say("seller", "right")
    assert refusal(talk.say("buyer", "refuse", reason="no", reply="m1")) == "unknown-reference"


def test_in_an_overlay_too_a_reply_names_a_message_that_was_heard():
    talk = sale()
    fields = {"price": "110 EUR", "plan": "fast"}
    assert refusal(talk.say("buyer", "readback", fields=fields, reply="nothing")) == "unknown-reference"
    assert refusal(talk.say("buyer", "readback", fields=fields, reply="m1")) == "unknown-reference"
    heard = one(talk.say("buyer", "readback", fields=fields), Heard)
    assert (heard.message.in_reply_to, heard.message.about) == ("m2", "m2")
    heard = one(talk.say("seller", "right"), Heard)
    assert heard.message.in_reply_to == "m5"


def test_what_is_said_after_the_end_is_late():
    talk = sold_for()
    talk.say("buyer", "accept-proposal", price="110 EUR")
    before = talk.hash
    assert kinds(talk.say("buyer", "accept-proposal", price="110 EUR")) == ["Late"]
    assert kinds(talk.say("buyer", "accept-proposal", price="110 EUR", id_="m1")) == ["Duplicate"]
    assert talk.give(Misfire("buyer", "?", 9.0)) == ()
    assert talk.tick(1e9) == ()
    assert talk.give(Cancel("buyer", "too late", 9.0)) == ()
    assert talk.hash == before
    assert isinstance(wants(talk.now), Over)


# --- conditions ---


MONEY = (
    """
roles: [a, b]
acts:
  ask: {act: inform, content: {price: money, due: optional datetime}, when: price <= ask.price}
  bid: {act: inform, content: {price: money, due: datetime}, when: [price <= ask.price, "price in [10 EUR, 20 EUR, 1 USD]"]}
  quit: {act: inform, content: {}}
states:
  x: {a: {ask: y, quit: off}}
  y: {b: {bid: {next: x, max: 2}, quit: off}}
"""
    + ENDS
)


def test_a_condition_is_about_the_latest_saying_and_the_first_time_is_free():
    talk = Talk(rules(MONEY))
    talk.say("a", "ask", price="20 EUR")
    talk.say("b", "bid", price="10 EUR", due="2026-01-01T00:00:00")
    (refused,) = talk.say("a", "ask", price="20.01 EUR")
    assert refused.code == "condition-false"
    assert refused.reason == "must hold: price <= ask.price (20 EUR); it is 20.01 EUR"
    assert "Moved" in kinds(talk.say("a", "ask", price="15 EUR"))


def test_two_currencies_do_not_compare():
    talk = Talk(rules(MONEY))
    talk.say("a", "ask", price="20 EUR")
    assert refusal(talk.say("b", "bid", price="1 USD", due="2026-01-01T00:00:00")) == "incomparable"


def test_a_choice_of_amounts_is_compared_as_amounts():
    talk = Talk(rules(MONEY))
    talk.say("a", "ask", price="20 EUR")
    assert refusal(talk.say("b", "bid", price="11 EUR", due="2026-01-01T00:00:00")) == "condition-false"
    assert "Moved" in kinds(talk.say("b", "bid", price="10.00 EUR", due="2026-01-01T00:00:00"))


DATES = (
    """
roles: [a, b]
acts:
  ask: {act: inform, content: {due: datetime}}
  bid: {act: inform, content: {due: datetime}, when: due <= ask.due}
  quit: {act: inform, content: {}}
states:
  x: {a: {ask: y}}
  y: {b: {bid: done, quit: off}}
"""
    + ENDS
)


@pytest.mark.parametrize(
    ("asked", "said", "came"),
    [
        ("2026-01-01T10:00:00+01:00", "2026-01-01T09:00:00Z", "Heard"),
        ("2026-01-01T10:00:00+01:00", "2026-01-01T09:00:01Z", "condition-false"),
        ("2026-01-01T10:00:00+01:00", "2026-01-01T09:00:00", "incomparable"),
        ("2026-01-01T10:00:00", "2026-01-01T09:00:00Z", "incomparable"),
        ("2026-01-01T10:00:00", "2026-01-01T09:00:00", "Heard"),
    ],
)
def test_times_with_and_without_a_zone(asked, said, came):
    talk = Talk(rules(DATES))
    talk.say("a", "ask", due=asked)
    events = talk.say("b", "bid", due=said)
    assert (events[0].code if kinds(events) == ["Refused"] else kinds(events)[0]) == came


CODED = (
    """
roles: [a, b]
acts:
  ask: {act: inform, content: {price: money}}
  bid: {act: inform, content: {price: money}}
  deal: {act: inform, content: {}, when: bid.price == ask.price}
  no-deal: {act: inform, content: {}, when: bid.price != ask.price}
states:
  x: {a: {ask: y}}
  y: {b: {bid: z}}
  z: {a: {deal: done, no-deal: off}, else: off}
"""
    + ENDS
)


@pytest.mark.parametrize(("price", "act", "ended"), [("5 EUR", "deal", "done"), ("6 EUR", "no-deal", "off")])
def test_code_makes_the_one_move_that_is_left_where_it_carries_nothing(price, act, ended):
    talk = Talk(rules(CODED))
    talk.say("a", "ask", price="5 EUR")
    talk.say("b", "bid", price=price)
    asked = wants(talk.now)
    assert isinstance(asked, Make)
    assert (asked.role, asked.move.label) == ("a", act)
    talk.say("a", act)
    assert talk.ended == ended


def test_where_nothing_compares_nothing_is_offered_and_the_deadline_decides():
    talk = Talk(rules(CODED))
    talk.say("a", "ask", price="5 EUR")
    talk.say("b", "bid", price="5 USD")
    asked = wants(talk.now)
    assert isinstance(asked, Speak)
    assert asked.moves == ()
    assert refusal(talk.say("a", "deal")) == "incomparable"
    talk.tick(60.0)
    assert talk.ended == "off"


# --- budgets ---


def test_a_budget_leads_on_when_it_is_used_up():
    talk = Talk(rules(LOOP))
    for n in range(3):
        talk.say("a", "ping", n=n)
        talk.say("b", "pong", n=n)
    talk.say("a", "ping", n=3)
    assert talk.ended == "done"
    assert talk.now.n == rules(LOOP).protocol.bound


def test_a_budget_without_then_is_no_longer_offered():
    talk = Talk(rules(MONEY))
    for _ in range(2):
        talk.say("a", "ask", price="20 EUR")
        talk.say("b", "bid", price="20 EUR", due="2026-01-01T00:00:00")
    talk.say("a", "ask", price="20 EUR")
    assert [move.label for move in legal(talk.now)] == ["quit"]
    assert refusal(talk.say("b", "bid", price="20 EUR", due="2026-01-01T00:00:00")) == "unexpected-act"


def test_taking_a_message_back_gives_its_budget_back_but_not_the_repair():
    talk = Talk(rules(LOOP))
    talk.say("a", "ping", n=1)
    talk.say("b", "not-understood", reason="?")
    assert talk.now.here.used.get("x/ping") is None
    assert talk.now.spent == 1
    assert talk.now.position == "x"


# --- read-back ---


def test_a_value_counts_once_it_was_read_back():
    talk = sale()
    assert talk.now.position == "asked"
    assert "propose.price" not in talk.now.ground
    assert list(talk.now.ledger) == []
    talk.say("buyer", "readback", fields={"price": "EUR 110.00", "plan": " FAST "})
    assert talk.now.position == "asked"
    events = talk.say("seller", "right")
    assert talk.now.position == "offered"
    assert one(events, Grounded).fields == {"price": "110 EUR", "plan": "fast"}
    assert one(events, CommitmentChanged).now == "conditional"
    item = talk.now.ground.item("price")
    assert (item.value, item.by, item.act, item.message) == (eur("110"), "seller", "propose", "m2")
    assert item.evidence == ("readback: copied",)


@pytest.mark.parametrize(
    "fields",
    [
        {"price": "111 EUR", "plan": "fast"},
        {"price": "110 USD", "plan": "fast"},
        {"price": "110 EUR", "plan": "not fast"},
        {"price": "110 EUR"},
    ],
)
def test_a_read_back_that_differs_is_trouble_and_the_sender_can_only_say_wrong(fields):
    talk = sale()
    events = talk.say("buyer", "readback", fields=fields)
    assert kinds(events) == ["Heard", "TroubleFound", "RepairOpened"]
    assert [move.label for move in legal(talk.now)] == ["wrong"]
    assert refusal(talk.say("seller", "right")) == "condition-false"


@pytest.mark.parametrize(
    ("act", "content", "code"),
    [
        ("readback", {}, "invalid-content"),
        ("readback", {"fields": {}}, "invalid-content"),
        ("readback", {"fields": None}, "invalid-content"),
        ("readback", {"fields": {"price": "110 EUR", "plan": "fast", "more": 1}}, "invalid-content"),
        ("readback", {"fields": [["price", "110 EUR"]]}, "invalid-content"),
        ("right", {}, "unexpected-act"),
        ("accept-proposal", {"price": "110 EUR"}, "unexpected-act"),
        ("not-understood", {"reason": "?"}, "unexpected-act"),
    ],
)
def test_in_a_read_back_nothing_else_can_be_said(act, content, code):
    talk = sale()
    assert refusal(talk.say("buyer", act, content)) == code


def test_nobody_reads_back_for_the_hearer():
    talk = sale()
    assert (
        refusal(talk.say("seller", "readback", fields={"price": "110 EUR", "plan": "fast"}))
        == "unexpected-act"
    )
    talk.say("buyer", "readback", fields={"price": "110 EUR", "plan": "fast"})
    assert refusal(talk.say("buyer", "right")) == "unexpected-act"
    assert "propose.price" not in talk.now.ground


def test_a_correction_is_read_back_before_it_counts():
    talk = sale()
    talk.say("buyer", "readback", fields={"price": "111 EUR", "plan": "fast"})
    talk.say("seller", "wrong", fields={"price": "112 EUR"})
    events = talk.say("buyer", "readback", fields={"price": "110 EUR", "plan": "fast"})
    assert one(events, TroubleFound).differs[0].meant == "112 EUR"
    talk.say("seller", "wrong", fields={"price": "112 EUR"})
    talk.say("buyer", "readback", fields={"price": "112 EUR", "plan": "fast"})
    talk.say("seller", "right")
    assert talk.now.ground["price"] == eur("112")
    assert talk.now.seen["m2"].content.price == eur("112")
    assert refusal(talk.say("buyer", "accept-proposal", price="112 EUR", reply="m1")) == "unknown-reference"
    talk.say("buyer", "accept-proposal", price="112 EUR")
    assert talk.ended == "done"


def test_a_correction_says_something():
    talk = sale()
    talk.say("buyer", "readback", fields={"price": "111 EUR", "plan": "fast"})
    assert refusal(talk.say("seller", "wrong", fields={})) == "invalid-content"


def test_a_field_left_empty_can_be_misheard_and_mended():
    talk = sale(plan=None)
    events = talk.say("buyer", "readback", fields={"price": "110 EUR", "plan": "fast"})
    assert one(events, TroubleFound).differs[0].meant is None
    talk.say("seller", "wrong", fields={})
    talk.say("buyer", "readback", fields={"price": "110 EUR"})
    talk.say("seller", "right")
    assert talk.now.ground["price"] == eur("110")
    assert "plan" not in talk.now.ground


CAPPED = SALE.replace(
    "propose: {price: money, plan: optional text}",
    "propose: {content: {price: money, plan: optional text}, when: price <= 200 EUR}",
)


def test_a_correction_does_not_escape_the_conditions_of_what_it_corrects():
    talk = Talk(rules(CAPPED))
    talk.say("buyer", "cfp", item="bike")
    talk.say("seller", "propose", price="110 EUR")
    talk.say("buyer", "readback", fields={"price": "111 EUR"})
    assert refusal(talk.say("seller", "wrong", fields={"price": "201 EUR"})) == "condition-false"
    assert refusal(talk.say("seller", "wrong", fields={"price": "1 USD"})) == "incomparable"
    assert talk.now.frame.fields["price"] == eur("110")


REPEATED = SALE.replace(
    "accept-proposal: {repeats: {price: propose.price}}",
    "accept-proposal: {readback: [price], repeats: {price: propose.price}}",
)


def test_a_correction_does_not_escape_what_it_must_repeat():
    talk = Talk(rules(REPEATED))
    talk.say("buyer", "cfp", item="bike")
    talk.say("seller", "propose", price="110 EUR")
    talk.say("buyer", "readback", fields={"price": "110 EUR"})
    talk.say("seller", "right")
    talk.say("buyer", "accept-proposal", price="110 EUR")
    talk.say("seller", "readback", fields={"price": "120 EUR"})
    assert refusal(talk.say("buyer", "wrong", fields={"price": "120 EUR"})) == "condition-false"
    talk.say("buyer", "wrong", fields={"price": "110 EUR"})
    talk.say("seller", "readback", fields={"price": "110 EUR"})
    talk.say("buyer", "right")
    assert talk.ended == "done"


def test_a_read_back_that_never_fits_ends_the_talk_and_nothing_counts():
    talk = sale()
    for _ in range(2):
        talk.say("buyer", "readback", fields={"price": "111 EUR", "plan": "fast"})
        talk.say("seller", "wrong", fields={"price": "110 EUR"})
    talk.say("buyer", "readback", fields={"price": "111 EUR", "plan": "fast"})
    assert talk.ended == "aborted"
    assert "propose.price" not in talk.now.ground
    assert list(talk.now.ledger) == []
    assert len(only(talk.events, RepairOpened)) == len(only(talk.events, RepairClosed)) == 2
    assert len(only(talk.events, OverlayOpened)) == len(only(talk.events, OverlayClosed)) == 1


def test_who_is_unable_to_read_back_gives_up_by_name():
    talk = sale()
    talk.say("buyer", "unable", reason="no price list here")
    assert talk.ended == "aborted"
    assert talk.now.outcome.cause == "read-back about propose ended as given-up"


LAX = """
agentcomm: 1
protocol: lax
version: 1
overlay: {on: readback}
roles: [sender, hearer]
acts:
  readback: {act: inform, content: {fields: any}}
  ok: {act: confirm, content: {}}
states:
  presented: {hearer: {ok: grounded, readback: grounded}, else: silent}
outcomes: {grounded: success, silent: expired}
then: {success: resume, otherwise: aborted}
"""


@pytest.mark.parametrize(
    ("act", "content", "ended"),
    [
        ("ok", {}, "aborted"),
        ("readback", {"fields": {"price": "111 EUR", "plan": "fast"}}, "aborted"),
        ("readback", {"fields": {"price": "110 EUR", "plan": "fast"}}, ""),
    ],
)
def test_a_bare_ok_is_no_evidence_whatever_the_file_of_an_overlay_says(act, content, ended):
    talk = Talk(Rules(rules(SALE).protocol, {**overlays(), "read-back": loads(LAX)}))
    talk.say("buyer", "cfp", item="bike")
    talk.say("seller", "propose", price="110 EUR", plan="fast")
    talk.say("buyer", act, content)
    assert talk.ended == ended
    assert ("propose.price" in talk.now.ground) is not bool(ended)


def test_stakes_of_a_move_ask_for_a_read_back_too():
    text = (
        """
roles: [a, b]
acts:
  set: {act: inform, content: {dose: int, note: text}, critical: [dose]}
states:
  x: {a: {set: y}}
  y: {b: {set: {next: done, stakes: high}}}
"""
        + ENDS
    )
    talk = Talk(rules(text))
    assert "Moved" in kinds(talk.say("a", "set", dose=1, note="x"))
    assert "OverlayOpened" in kinds(talk.say("b", "set", dose=2, note="y"))
    assert refusal(talk.say("a", "readback", fields={"dose": 2, "note": "y"})) == "invalid-content"
    talk.say("a", "readback", fields={"dose": 2})
    talk.say("b", "right")
    assert talk.ended == "done"
    assert one(talk.events[-8:], Grounded).criterion == "readback"


def test_every_hearer_reads_back():
    talk = Talk(rules(TRIO))
    talk.say("chief", "order", dose=5)
    assert refusal(talk.say("right", "readback", fields={"dose": 5})) == "unexpected-act"
    talk.say("left", "readback", fields={"dose": 5})
    talk.say("chief", "right")
    assert "order.dose" not in talk.now.ground
    talk.say("right", "readback", fields={"dose": 5})
    talk.say("chief", "right")
    assert talk.now.ground["dose"] == 5
    assert talk.now.position == "given"


def test_a_correction_is_read_back_again_by_those_who_had_read_back_what_it_changes():
    talk = Talk(rules(TRIO))
    talk.say("chief", "order", dose=5)
    talk.say("left", "readback", fields={"dose": 5})
    talk.say("chief", "right")
    talk.say("right", "readback", fields={"dose": 6})
    talk.say("chief", "wrong", fields={"dose": 7})
    talk.say("right", "readback", fields={"dose": 7})
    talk.say("chief", "right")
    assert "order.dose" not in talk.now.ground  # left still believes 5
    assert floor_of(talk.now) == "left"
    talk.say("left", "readback", fields={"dose": 7})
    talk.say("chief", "right")
    assert talk.now.ground["dose"] == 7
    assert talk.now.n == 9


def test_a_correction_that_changes_nothing_need_not_be_read_back_by_all():
    talk = Talk(rules(TRIO))
    talk.say("chief", "order", dose=5)
    talk.say("left", "readback", fields={"dose": 5})
    talk.say("chief", "right")
    talk.say("right", "readback", fields={"dose": 6})
    talk.say("chief", "wrong", fields={"dose": 5})
    talk.say("right", "readback", fields={"dose": 5})
    talk.say("chief", "right")
    assert talk.now.position == "given"


# --- repair ---


def test_the_hearer_asks_and_the_message_is_said_again():
    talk = Talk(rules(SALE))
    talk.say("buyer", "cfp", item="bike")
    events = talk.say("seller", "specify", path="item", wh="which")
    assert kinds(events) == ["OverlayOpened", "RepairOpened", "Heard"]
    events = talk.say("buyer", "value", value="city bike")
    assert kinds(events) == ["Heard", "OverlayClosed", "RepairClosed", "Moved", "DeadlineSet"]
    assert talk.now.position == "asking"
    assert "cfp.item" not in talk.now.ground
    assert str(talk.now.here.troubles[0]) == "item (meant 'city bike', understood bike)"
    talk.say("buyer", "cfp", item="city bike")
    assert talk.now.ground["item"] == "city bike"


def test_a_repair_after_a_read_back_goes_back_before_it():
    talk = sold_for()
    talk.say("buyer", "not-understood", reason="of what?")
    assert talk.now.frame is None
    assert talk.now.position == "asked"
    assert floor_of(talk.now) == "seller"
    assert [move.label for move in legal(talk.now)] == ["propose", "refuse"]
    assert list(talk.now.ledger) == []
    assert "propose.price" not in talk.now.ground
    talk.say("seller", "propose", price="90 EUR")
    talk.say("buyer", "readback", fields={"price": "90 EUR"})
    talk.say("seller", "right")
    assert talk.now.ground["price"] == eur("90")


def test_repairs_of_one_contribution_run_out():
    talk = Talk(rules(SALE))
    for _ in range(2):
        talk.say("buyer", "cfp", item="bike")
        talk.say("seller", "not-understood", reason="?")
    talk.say("buyer", "cfp", item="bike")
    assert wants(talk.now).exits == ()
    assert refusal(talk.say("seller", "not-understood", reason="?")) == "unexpected-act"


def test_a_refused_question_costs_no_repair():
    talk = Talk(rules(SALE))
    talk.say("buyer", "cfp", item="bike")
    before = talk.now
    assert refusal(talk.say("seller", "specify", path="item", wh="why")) == "invalid-content"
    assert talk.hash == state_hash(altered(before, misfires=1))


def test_only_the_last_message_can_be_asked_about_and_only_by_who_heard_it():
    talk = Talk(rules(TRIO))
    assert wants(talk.now).exits == ()
    assert refusal(talk.say("left", "not-understood", reason="?")) == "unexpected-act"


@pytest.mark.parametrize("path", ["model_dump", "__class__", "copy", "nothing", "", "item"])
def test_a_question_about_any_path_leaves_a_record_that_can_be_written(path):
    talk = Talk(rules(SALE))
    talk.say("buyer", "cfp", item="bike")
    talk.say("seller", "offer", path=path, candidate={"x": [1]})
    talk.say("buyer", "confirm")
    assert talk.now.here.troubles[0].understood == ("bike" if path == "item" else None)
    assert talk.transcript().damage is None
    with pytest.raises(TypeError):
        talk.now.here.troubles[0].meant["x"].append(2)


def test_who_does_not_repeat_what_is_on_record_is_asked():
    talk = sold_for()
    events = talk.say("buyer", "accept-proposal", price="101 EUR")
    assert kinds(events) == ["Heard", "TroubleFound", "OverlayOpened", "RepairOpened"]
    assert floor_of(talk.now) == "seller"
    assert "accept-proposal.price" not in talk.now.ground
    talk.say("seller", "offer", path="price", candidate="110 EUR")
    events = talk.say("buyer", "value", value="110 EUR")
    assert kinds(events) == ["Heard", "OverlayClosed", "RepairClosed"]
    assert (talk.now.position, floor_of(talk.now)) == ("offered", "buyer")
    talk.say("buyer", "accept-proposal", price="110 EUR")
    assert talk.ended == "done"
    assert [entry.status.value for entry in talk.now.ledger] == [
        "violated"
    ]  # it was sold, and not yet delivered


def test_another_currency_is_trouble_where_a_value_is_to_be_repeated():
    talk = sold_for()
    assert "TroubleFound" in kinds(talk.say("buyer", "accept-proposal", price="110 USD"))


def test_who_never_repeats_it_right_ends_the_talk():
    talk = sold_for()
    for _ in range(2):
        talk.say("buyer", "accept-proposal", price="101 EUR")
        talk.say("seller", "open", level="price")
        talk.say("buyer", "restate", fields={"price": "110 EUR"})
    events = talk.say("buyer", "accept-proposal", price="101 EUR")
    assert kinds(events) == ["TroubleFound", "GaveUp", "CommitmentChanged", "Ended"]
    assert talk.ended == "aborted"


def test_silence_in_a_repair_ends_the_talk():
    talk = sold_for()
    talk.say("buyer", "accept-proposal", price="101 EUR")
    talk.tick(30.0)
    assert talk.ended == "aborted"


def test_going_back_undoes_what_the_message_did_to_commitments_and_ownership():
    text = (
        """
roles: [a, b]
owner: a
acts:
  ask: {act: request, content: {what: text}, outlives: true}
  agree: {}
  told: {act: inform, content: {}}
states:
  x: {a: {ask: y}}
  y: {b: {agree: {next: z, owner: b}}}
  z: {a: {told: done}}
"""
        + ENDS
    )
    talk = Talk(rules(text))
    talk.say("a", "ask", what="x")
    before = talk.now
    talk.say("b", "agree")
    assert talk.now.owner == "b"
    events = talk.say("a", "not-understood", reason="?")
    change = one(events, CommitmentChanged)
    assert (change.was, change.now) == ("detached", "proposed")
    assert [(e.was, e.now) for e in only(events, OwnerChanged)] == [("b", "a")]
    assert list(talk.now.ledger) == list(before.ledger)
    for name in ("owner", "said", "used", "held", "name", "last"):
        assert getattr(talk.now.here, name) == getattr(before.here, name), name
    talk.say("b", "agree")
    assert talk.now.owner == "b"


# --- relevance ---


RELEVANT = (
    """
roles: [a, b]
acts:
  ask: {act: request, content: {what: text}, outlives: true}
  more: {act: inform, content: {}}
  agree: {}
  refuse: {reason: text}
grounding: {ask: relevant}
states:
  x: {a: {ask: y, more: w}}
  w: {a: {ask: y}}
  y: {b: {agree: done, refuse: off, more: {next: x, max: 2}}}
"""
    + ENDS
)


def test_a_contribution_waits_for_a_relevant_answer():
    talk = Talk(rules(RELEVANT))
    events = talk.say("a", "ask", what="x")
    assert "Grounded" not in kinds(events)
    assert list(talk.now.ledger) == []
    assert "ask.what" not in talk.now.ground
    events = talk.say("b", "agree")
    assert [e.message for e in only(events, Grounded)] == ["m1", "m2"]
    assert [e.now for e in only(events, CommitmentChanged)] == ["proposed", "detached"]
    assert talk.now.ground["ask.what"] == "x"


def test_a_last_word_counts_as_delivered_where_no_answer_can_come():
    loop = rules(
        """
roles: [ann, bob]
acts: {propose: {draft: text}, accept-proposal: {}, reject-proposal: {reason: text}}
grounding: {reject-proposal: relevant}
states:
  writing: {ann: {propose: judging}}
  judging: {bob: {accept-proposal: done, reject-proposal: {next: writing, max: 1, then: off}}}
"""
        + ENDS
    )
    talk = Talk(loop)
    talk.say("ann", "propose", draft="one")
    assert not only(talk.say("bob", "reject-proposal", reason="short"), Grounded)
    talk.say("ann", "propose", draft="two")
    last = talk.say("bob", "reject-proposal", reason="long")
    assert [event.criterion for event in only(last, Grounded)] == ["delivered"]
    assert [event.now for event in only(last, CommitmentChanged)] == ["released"]
    assert talk.ended == "off"


def test_going_back_undoes_also_what_came_and_went_with_one_message():
    text = RELEVANT.replace("refuse: off, ", "refuse: z, ")
    text = text.replace("  w: {a:", "  z: {a: {more: off}}\n  w: {a:")
    talk = Talk(rules(text))
    talk.say("a", "ask", what="x")
    events = talk.say("b", "refuse", reason="no")
    assert [event.now for event in only(events, CommitmentChanged)] == ["proposed", "rejected"]
    events = talk.say("a", "not-understood", reason="why?")
    assert [(event.was, event.now) for event in only(events, CommitmentChanged)] == [("rejected", "")]
    assert list(talk.now.ledger) == []
    assert len(talk.now.here.held) == 1


def test_an_answer_to_something_else_is_no_evidence():
    talk = Talk(rules(RELEVANT))
    talk.say("a", "ask", what="x")
    talk.say("b", "more")
    talk.say("a", "ask", what="y")
    talk.say("b", "refuse", reason="no", reply="m1")
    assert talk.now.ground["ask.what"] == "x"
    assert [held.message.id for held in talk.now.here.held] == ["m3"]


def test_what_is_said_anew_replaces_what_still_waits():
    talk = Talk(rules(RELEVANT, repairs=False))
    talk.say("a", "ask", what="x")
    talk.say("b", "more", reply="m1")
    talk.say("a", "ask", what="y")
    assert len(talk.now.here.held) == 1
    assert talk.now.ground["ask.what"] == "x"  # grounded, and the new one is not yet
    talk.say("b", "agree")
    assert talk.now.ground["ask.what"] == "y"


def test_contributions_that_nobody_answers_do_not_pile_up():
    text = (
        """
roles: [a, b]
acts:
  note: {act: inform, content: {n: int}}
  bye: {act: inform, content: {}}
grounding: {note: relevant}
states:
  x: {a: {note: {next: x, max: 50}, bye: done}}
"""
        + ENDS
    )
    talk = Talk(rules(text))
    for n in range(50):
        talk.say("a", "note", n=n)
    assert len(talk.now.here.held) == 1
    talk.say("a", "bye")
    assert talk.ended == "done"
    assert "note.n" not in talk.now.ground


def test_ownership_waits_for_the_evidence_as_well():
    text = (
        """
roles: [a, b]
owner: a
acts:
  give: {act: inform, content: {}}
  thanks: {act: inform, content: {}}
grounding: {give: relevant}
states:
  x: {a: {give: {next: y, owner: b}}}
  y: {b: {thanks: done}}
"""
        + ENDS
    )
    talk = Talk(rules(text))
    assert "OwnerChanged" not in kinds(talk.say("a", "give"))
    assert talk.now.owner == "a"
    assert one(talk.say("b", "thanks"), OwnerChanged).now == "b"


def test_a_new_owner_takes_over_what_the_old_one_owes():
    text = (
        """
roles: [client, early, later]
owner: early
acts:
  ask: {act: request, content: {}}
  agree: {}
  over: {act: inform, content: {}}
  did: {act: inform, content: {}, discharges: ask}
states:
  x: {client: {ask: {next: y, to: early}}}
  y: {early: {agree: {next: z, to: client}}}
  z: {early: {over: {next: w, to: later, owner: later}}}
  w: {later: {did: {next: done, to: client}}}
"""
        + ENDS
    )
    talk = Talk(rules(text))
    talk.say("client", "ask")
    talk.say("early", "agree")
    change = one(talk.say("early", "over"), CommitmentChanged)
    assert (change.debtor, change.creditor, change.was, change.now) == (
        "later",
        "client",
        "detached",
        "detached",
    )
    change = one(talk.say("later", "did"), CommitmentChanged)
    assert change.now == "satisfied"


# --- time ---


def test_a_deadline_has_come_when_its_time_has_come():
    talk = Talk(rules(SALE))
    talk.say("buyer", "cfp", item="bike")
    assert talk.tick(math.nextafter(20.0, 0.0)) == ()
    assert kinds(talk.tick(20.0)) == ["Expired", "Ended"]
    assert talk.ended == "off"


def test_what_stands_before_the_deadline_in_the_log_counts_however_late():
    talk = Talk(rules(SALE))
    talk.say("buyer", "cfp", item="bike")
    talk.at = 99.0
    assert "Moved" in kinds(talk.say("seller", "refuse", reason="no"))


PATIENT = (
    """
roles: [a, b]
acts:
  ask: {act: inform, content: {}}
  tell: {act: inform, content: {}}
  bye: {act: inform, content: {}}
states:
  x: {a: {ask: y}}
  y: {b: {tell: done}, within: 5s, else: z}
  z: {a: {bye: off}}
"""
    + ENDS
)


def test_what_comes_after_the_deadline_is_late_and_costs_nothing():
    talk = Talk(rules(PATIENT))
    talk.say("a", "ask")
    talk.tick(5.0)
    before = talk.hash
    assert one(talk.say("b", "tell"), Late).reason == "the time in 'y' is up"
    assert talk.hash == before
    assert refusal(talk.say("b", "bye")) == "unexpected-act"


def test_who_has_the_floor_again_is_refused_and_not_late_for_ever():
    text = PATIENT.replace("z: {a: {bye: off}}", "z: {b: {bye: off}}")
    talk = Talk(rules(text))
    talk.say("a", "ask")
    talk.tick(5.0)
    for _ in range(3):
        assert refusal(talk.say("b", "tell")) == "unexpected-act"
    talk.say("b", "tell")
    assert talk.ended == "aborted"


def test_a_read_back_stops_the_clock_of_the_state_beneath():
    talk = Talk(rules(SALE))
    talk.say("buyer", "cfp", item="bike")
    talk.at = 19.0
    talk.say("seller", "propose", price="1 EUR")
    assert talk.tick(48.0) == ()
    talk.say("buyer", "readback", fields={"price": "1 EUR"})
    assert kinds(talk.tick(77.0)) == []
    events = talk.say("seller", "right")
    assert one(events, DeadlineSet).at == 87.0


def test_a_repair_of_what_was_not_repeated_leaves_the_time_that_was_left():
    talk = sold_for()
    talk.at = 6.0
    talk.say("buyer", "accept-proposal", price="101 EUR")
    talk.at = 20.0
    talk.say("seller", "open", level="price")
    talk.say("buyer", "restate", fields={"price": "110 EUR"})
    assert talk.now.here.deadline == 24.0


def test_time_that_was_over_before_the_overlay_is_not_less_than_nothing():
    talk = sold_for()
    talk.at = 50.0
    talk.say("buyer", "accept-proposal", price="101 EUR")
    talk.say("seller", "open", level="price")
    talk.say("buyer", "restate", fields={"price": "110 EUR"})
    assert talk.now.here.deadline == 50.0


def test_an_overlay_has_a_deadline_of_its_own():
    talk = sale()
    assert talk.tick(29.9) == ()
    assert kinds(talk.tick(30.0)) == ["Expired", "OverlayClosed", "Ended"]
    assert talk.ended == "aborted"


def test_the_whole_conversation_ends_in_the_middle_of_an_overlay():
    talk = Talk(rules(SALE), whole=25.0)
    talk.say("buyer", "cfp", item="bike")
    talk.at = 10.0
    talk.say("seller", "propose", price="1 EUR")
    talk.say("buyer", "readback", fields={"price": "2 EUR"})
    assert talk.tick(24.9) == ()
    assert kinds(talk.tick(25.0)) == ["Expired", "RepairClosed", "OverlayClosed", "Ended"]
    assert (talk.ended, talk.now.outcome.cause) == ("expired", "the whole conversation had 25 s")


@pytest.mark.parametrize("at", [math.nan, -1.0, 0.0, math.inf, -math.inf])
def test_time_does_not_run_backwards(at):
    talk = Talk(rules(SALE))
    talk.at = 3.0
    talk.say("buyer", "cfp", item="bike")
    talk.at = at
    talk.say("seller", "refuse", reason="no")
    assert talk.now.at == 3.0


@pytest.mark.parametrize(
    ("given", "ended"),
    [(Cancel("buyer", "no need", 1.0), "cancelled"), (Leave("seller", "crashed", 1.0), "aborted")],
)
def test_ending_from_outside_closes_what_is_open(given, ended):
    talk = sale()
    events = talk.give(given)
    assert kinds(events) == ["OverlayClosed", "Ended"]
    assert talk.ended == ended
    assert talk.now.frame is None


# --- common ground and the record ---


def test_common_ground_knows_fields_only():
    talk = sold_for()
    for name in ("model_dump", "copy", "propose.json", "__class__", "nothing", ""):
        assert name not in talk.now.ground
        with pytest.raises(KeyError, match="not common ground"):
            talk.now.ground[name]
    assert list(talk.now.ground) == ["cfp.item", "propose.price", "propose.plan"]
    assert talk.now.ground.as_dict()["propose.price"] == "110 EUR"


def test_a_step_leaves_the_conversation_it_was_given_as_it_was():
    talk = sale()
    before, mark = talk.now, talk.hash
    step(
        before,
        Say(Message(act="readback", content={"fields": {"price": "1 EUR"}}, id="x", sender="buyer"), 1.0),
    )
    step(before, Leave("buyer", "x", 1.0))
    assert state_hash(before) == mark


def test_moves_and_ends_are_told_in_order():
    talk = sold_for()
    talk.say("buyer", "accept-proposal", price="110 EUR")
    assert [(e.act, e.state, e.next) for e in only(talk.events, Moved)] == [
        ("cfp", "asking", "asked"),
        ("propose", "asked", "offered"),
        ("accept-proposal", "offered", "done"),
    ]
    assert one(talk.events, Ended).cause == "buyer said accept-proposal"
