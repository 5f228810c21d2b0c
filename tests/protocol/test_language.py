from datetime import date

import pytest
from sale_document import SALE, edited

from agentcomm.acts.content import Content, FieldType
from agentcomm.errors import ProtocolError
from agentcomm.protocol.check import examine
from agentcomm.protocol.graph import Condition, Criterion, OutcomeClass, Ref, Stakes
from agentcomm.protocol.library import loads


def check(text, **options):
    return list(examine(text, **options).findings)


LONG = """\
# the same protocol, in its longest form
agentcomm: 1
protocol: "sale"
version: "1"
roles: {buyer: 1, seller: 1}
start: open
acts:
  cfp: {act: cfp, content: {item: text, budget: money}, stakes: normal, critical: []}
  propose:
    act: propose
    content:
      item: text
      price: {is: money}
    critical: price
    outlives: true
  accept-proposal: {content: {price: money}}
  reject-proposal: {act: reject-proposal, content: {reason: text}}
  refuse: {act: refuse, content: {reason: text}, outlives: false}
grounding:
  cfp: delivered
  propose: {criterion: readback}
  accept-proposal: {criterion: delivered, repeats: {price: propose.price}}
states:
  open:
    buyer: {cfp: {next: asked, to: seller}}
    within: 1m
    else: expired
  asked:
    seller:
      propose: {next: offered, to: [buyer]}
      refuse: {next: closed}
    within: 60s
  offered:
    buyer:
      accept-proposal: {next: sold}
      reject-proposal: {next: closed, when: []}
      cfp: {next: asked, max: 2}
outcomes: {closed: refused, sold: success, expired: expired}
limits: {reply_within: 60s, else: expired, repairs: 2, misfires: 3}
"""


def test_the_short_and_the_long_form_are_one_protocol():
    short, long = loads(SALE), loads(LONG)
    assert short.hash == long.hash
    assert short.acts == long.acts
    assert short.limits == long.limits
    assert dict(short.outcomes) == dict(long.outcomes)


def test_layout_and_comments_do_not_change_the_hash():
    noisy = SALE.replace("states:\n", "\n\n# here it goes on\nstates:      # turns\n").replace(
        "text", '"text"'
    )
    assert loads(noisy).hash == loads(SALE).hash


@pytest.mark.parametrize(
    "edit",
    [
        ("max: 2", "max: 3"),
        ("refuse: closed}", "refuse: sold}"),
        ("closed: refused", "closed: failed"),
        ("item: text, price", "item: id, price"),
        ("reply_within: 60s", "reply_within: 61s"),
        ("version: 1", "version: 2"),
        ("{readback: [price]}", "{readback: [price, item]}"),
        ("outlives: true", "outlives: true, when: price <= cfp.budget"),
        ("accept-proposal: sold", "accept-proposal: {next: sold, owner: buyer}"),
    ],
)
def test_what_changes_the_protocol_changes_the_hash(edit):
    checked = examine(edited(edit))
    assert checked.protocol is not None, [str(found) for found in checked.findings]
    assert checked.protocol.hash != loads(SALE).hash


def test_the_tables():
    protocol = loads(SALE, path="sale.yaml")
    assert protocol.name == "sale"
    assert protocol.version == "1"
    assert protocol.roles == ("buyer", "seller")
    assert protocol.start == "open"
    assert list(protocol.states) == ["open", "asked", "offered"]
    assert protocol.outcomes == {
        "sold": OutcomeClass.SUCCESS,
        "closed": OutcomeClass.REFUSED,
        "expired": OutcomeClass.EXPIRED,
    }
    move = protocol.states["offered"].moves["cfp"]
    assert (move.speaker, move.to, move.next, move.max, move.then) == ("buyer", ("seller",), "asked", 2, "")
    assert protocol.states["asked"].within == 60
    assert protocol.states["asked"].otherwise == "expired"
    offer = protocol.acts["propose"]
    assert offer.criterion is Criterion.READBACK
    assert offer.readback == offer.critical == ("price",)
    assert protocol.acts["accept-proposal"].repeats == {"price": Ref("propose", "price")}
    assert protocol.path == "sale.yaml"
    assert protocol.text == SALE
    mark = protocol.marks["states.asked.seller.propose"]
    assert (mark.line, mark.column) == (20, 14)
    assert repr(protocol).startswith("<Protocol sale 1 sha256:")


def test_expired_is_there_only_when_used():
    said = edited(("reply_within: 60s", "reply_within: 60s, else: closed"))
    assert set(loads(said).outcomes) == {"sold", "closed"}
    whole = edited(("reply_within: 60s", "whole: 1h"))
    assert "expired" in loads(whole).outcomes


def test_expired_can_be_a_class_of_ones_own():
    said = edited(("  closed: refused", "  closed: refused\n  expired: failed"))
    assert loads(said).outcomes["expired"] is OutcomeClass.FAILED


def act(form: str) -> str:
    return edited(("{item: text, budget: money}", form))


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("text", FieldType("text")),
        ("optional int", FieldType("int", optional=True)),
        ("list of number", FieldType("list", item=FieldType("number"))),
        ("list of list of id", FieldType("list", item=FieldType("list", item=FieldType("id")))),
        ("optional list of bool", FieldType("list", item=FieldType("bool"), optional=True)),
        ("[low, high]", FieldType("choice", choices=("low", "high"))),
        ("[1, 2, 3.5, true]", FieldType("choice", choices=(1, 2, 3.5, True))),
        ("{is: money, minimum: 0}", FieldType("money", constraints={"minimum": 0})),
        ("{is: money, minimum: 10 EUR}", FieldType("money", constraints={"minimum": "10 EUR"})),
        ("{is: duration, maximum: 2h}", FieldType("duration", constraints={"maximum": "2h"})),
        (
            "{is: list of text, minItems: 1}",
            FieldType("list", item=FieldType("text"), constraints={"minItems": 1}),
        ),
        ("{is: optional text, maxLength: 5}", FieldType("text", optional=True, constraints={"maxLength": 5})),
        ("{is: [a, b]}", FieldType("choice", choices=("a", "b"))),
        (
            "{street: text, no: int}",
            FieldType("map", fields={"street": FieldType("text"), "no": FieldType("int")}),
        ),
        ("Offer", FieldType("map", fields={"item": FieldType("text"), "price": FieldType("money")})),
        (
            "list of Offer",
            FieldType(
                "list", item=FieldType("map", fields={"item": FieldType("text"), "price": FieldType("money")})
            ),
        ),
        ("any", FieldType("any")),
    ],
)
def test_types(written, kind):
    protocol = loads(act(f"{{item: {written}}}"))
    assert protocol.acts["cfp"].fields["item"] == kind
    assert issubclass(protocol.acts["cfp"].content, Content)


def test_a_named_type_may_be_a_choice_or_limited():
    text = act("{item: Level, cap: Cap}").replace(
        "types:\n", "types:\n  Level: [low, high]\n  Cap: {is: money, minimum: 1}\n"
    )
    fields = loads(text).acts["cfp"].fields
    assert fields["item"].choices == ("low", "high")
    assert fields["cap"].constraints == {"minimum": 1}


class Order(Content):
    item: str
    due: date


def test_a_class_given_in_python_is_content():
    protocol = loads(act("Order"), types={"Order": Order})
    assert protocol.acts["cfp"].content is Order
    assert set(protocol.acts["cfp"].fields) == {"item", "due"}
    assert "'Order' is not a type" in check(act("Order"))[0].what


def test_the_hash_knows_the_class():
    class Other(Content):
        item: str
        due: str

    assert (
        loads(act("Order"), types={"Order": Order}).hash != loads(act("Order"), types={"Order": Other}).hash
    )


def test_a_class_is_no_field():
    found = check(act("{item: Order}"), types={"Order": Order})
    assert [finding.code for finding in found] == ["E104"]


def when(condition: str, *, field: str = "money") -> str:
    return edited(
        ("Offer: {item: text, price: money}", f"Offer: {{item: text, price: {field}}}"),
        ("{content: Offer,", f"{{content: Offer, when: {condition},"),
        (
            "{item: text, budget: money}",
            f"{{item: text, budget: {field}, options: list of {field}}}".replace("list of [", "list of ["),
        ),
        ("accept-proposal: {price: money}", f"accept-proposal: {{price: {field}}}"),
    )


@pytest.mark.parametrize(
    ("condition", "field", "parsed"),
    [
        ("price <= cfp.budget", "money", Condition("price", "<=", Ref("cfp", "budget"))),
        ("price<=cfp.budget", "money", Condition("price", "<=", Ref("cfp", "budget"))),
        ("price > propose.price", "money", Condition("price", ">", Ref("propose", "price"))),
        ("price <= 100 EUR", "money", Condition("price", "<=", "100 EUR")),
        ("price != 3", "int", Condition("price", "!=", 3)),
        ("price >= -1.5", "number", Condition("price", ">=", -1.5)),
        ("price in cfp.options", "text", Condition("price", "in", Ref("cfp", "options"))),
        ("price == 'a.b'", "text", Condition("price", "==", "a.b")),
        ("'price == \"a b\"'", "text", Condition("price", "==", "a b")),
        ("price == true", "bool", Condition("price", "==", True)),
        ("price < 2026-12-01", "date", Condition("price", "<", "2026-12-01")),
        ("price < 90s", "duration", Condition("price", "<", "90s")),
        ("cfp.budget == 3", "int", Condition(Ref("cfp", "budget"), "==", 3)),
    ],
)
def test_conditions(condition, field, parsed):
    protocol = loads(when(condition, field=field))
    assert protocol.acts["propose"].when == (parsed,)
    assert protocol.states["asked"].moves["propose"].when == (parsed,)


def test_a_condition_with_a_list_of_values():
    block = "propose:\n    content: Offer\n    outlives: true\n    when: item in [bike, 'old car', 3rd]\n"
    text = edited(("propose:         {content: Offer, outlives: true}\n", block))
    assert loads(text).acts["propose"].when == (Condition("item", "in", ("bike", "old car", "3rd")),)


def test_conditions_of_act_and_move_add_up():
    text = when("price <= cfp.budget").replace(
        "propose: offered", "propose: {next: offered, when: [price > 0 EUR, price != 7 EUR]}"
    )
    assert [str(condition) for condition in loads(text).states["asked"].moves["propose"].when] == [
        "price <= cfp.budget",
        "price > 0 EUR",
        "price != 7 EUR",
    ]


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ("price = 10 EUR", "did you mean '==' for '='?"),
        ("price => 10 EUR", "did you mean '>=' for '=>'?"),
        ("price <= 10 EUR and item == x", None),
        ("price", "write it like `price <= ask.price`"),
        ("<= 10 EUR", "write it like `price <= ask.price`"),
    ],
)
def test_what_is_no_condition_says_how_to_write_one(condition, hint):
    found = check(when(condition))
    assert len(found) == 1
    assert hint is None or found[0].fix == hint


def test_high_stakes_read_back_what_is_critical():
    text = edited(
        (
            "{content: Offer, outlives: true}",
            "{content: Offer, critical: [item], stakes: high, outlives: true}",
        ),
        ("  propose: {readback: [price]}\n", "  propose: relevant\n"),
    )
    offer = loads(text).acts["propose"]
    assert offer.stakes is Stakes.HIGH
    assert offer.criterion is Criterion.READBACK
    assert offer.readback == ("item",)


def test_the_readback_holds_what_is_named_and_what_is_critical_at_high_stakes():
    text = edited(("{content: Offer,", "{content: Offer, critical: [item], stakes: high,"))
    assert loads(text).acts["propose"].readback == ("price", "item")


OVERLAY = """\
agentcomm: 1
protocol: echo
overlay: {on: any}
roles: [sender, hearer]
acts:
  say:   {act: inform, content: {fields: any}}
  right: {act: confirm, content: {}, when: say.fields == it.fields}
  wrong: {act: disconfirm, content: {}}
states:
  one:
    hearer: {say: two}
  two:
    sender: {right: good, wrong: bad}
outcomes: {good: success, bad: failed}
then: {success: resume, otherwise: aborted}
"""


def test_an_overlay():
    overlay = loads(OVERLAY).overlay
    assert overlay.on == "any"
    assert overlay.then == {"success": "resume", "otherwise": "aborted"}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("it.fields", "it.price", "E102"),
        ("{on: any}", "{on: some}", "E102"),
        ("{on: any}", "{an: any}", "E101"),
        ("[sender, hearer]", "[sender, listener]", "E102"),
        ("success: resume", "succes: resume", "E102"),
        ("success: resume", "success: resum", "E102"),
        (", otherwise: aborted", "", "E703"),
        ("then: {success: resume, otherwise: aborted}\n", "", "E101"),
        ("overlay: {on: any}\n", "", "E101"),
    ],
)
def test_a_broken_overlay(old, new, code):
    assert old in OVERLAY
    text = OVERLAY.replace(old, new).replace(
        "hearer: {say", "listener: {say" if "listener" in new else "hearer: {say"
    )
    codes = [found.code for found in check(text)]
    assert codes[0] == code or code in codes


def test_it_is_known_in_overlays_only():
    text = edited(("{content: Offer,", "{content: Offer, when: item == it.fields,"))
    assert [found.code for found in check(text)] == ["E102"]


def test_the_verdict_is_known_in_overlays_on_what_is_demonstrated():
    verdict = OVERLAY.replace("say.fields == it.fields", "it.understood == true")
    made = loads(verdict.replace("{on: any}", "{on: demonstrated}"))
    assert [str(condition) for condition in made.acts["right"].when] == ["it.understood == true"]
    (found,) = check(verdict)
    assert (found.code, found.what) == ("E102", "'it.understood' is not known")
    (found,) = check(verdict.replace("{on: any}", "{on: demonstrated}").replace("== true", "== 1"))
    assert found.code == "E104"


def test_an_error_is_raised_with_all_its_findings():
    with pytest.raises(ProtocolError) as caught:
        loads(
            edited(("refuse: closed}", "refuse: clsoed}"), ("sold: success", "sold: sucess")), path="x.yaml"
        )
    assert [found.code for found in caught.value.findings] == ["E102", "E102"]
    assert "did you mean 'closed'?" in str(caught.value)


def test_an_own_comparison_is_free_the_first_time():
    text = edited(
        ("{item: text, budget: money}", "{content: {item: text, budget: money}, when: budget > cfp.budget}")
    )
    assert check(text) == []


def test_many_types_in_types_are_too_much():
    chain = "".join(f"  T{number}: {{a: T{number + 1}, b: T{number + 1}}}\n" for number in range(18))
    text = act("T0").replace("types:\n", f"types:\n{chain}  T18: {{a: text}}\n")
    assert [found.code for found in check(text)] == ["E104"]


def test_deep_types_are_too_much():
    chain = "".join(f"  T{number}: {{a: T{number + 1}}}\n" for number in range(400))
    text = act("T0").replace("types:\n", f"types:\n{chain}  T400: {{a: text}}\n")
    assert {found.code for found in check(text)} == {"E104"}
