"""What changed between two versions of a protocol, and whether their peers understand each other."""

import random

import pytest

from agentcomm.protocol.accepts import misfit
from agentcomm.protocol.differ import compare
from agentcomm.protocol.fields import TypeReader
from agentcomm.protocol.findings import Report
from agentcomm.protocol.library import load, loads, names
from agentcomm.protocol.source import read

SALE = """\
agentcomm: 1
protocol: sale
version: 1
roles: [buyer, seller]
acts:
  cfp: {item: text, budget: money}
  propose: {content: {price: {is: money, minimum: 1, maximum: 100}, plan: optional text}, when: price <= cfp.budget}
  accept-proposal: {price: money}
  reject-proposal: {reason: text}
  refuse: {reason: [price, time]}
grounding:
  accept-proposal: {repeats: {price: propose.price}}
states:
  open:
    buyer: {cfp: asked}
  asked:
    seller: {propose: offered, refuse: closed}
    within: 1h
  offered:
    buyer:
      accept-proposal: sold
      reject-proposal: closed
      cfp: {next: asked, max: 3}
outcomes: {sold: success, closed: refused}
"""


def changed(*pairs):
    text = SALE
    for before, after in pairs:
        assert before in text, before
        text = text.replace(before, after)
    return compare(loads(SALE), loads(text))


@pytest.mark.parametrize("name", [*names(), *names(overlays=True)])
def test_a_protocol_is_the_same_as_itself(name):
    found = compare(load(name), load(name))
    assert not found.changes
    assert found.is_compatible


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("version: 1", "version: 2", "~ version: 1 -> 2"),
        ("within: 1h", "within: 2h", "~ states.asked.within: 1h -> 2h"),
        ("item: text,", "item: text, note: text,", "+ acts.cfp.content.note: text"),
        ("item: text, ", "", "- acts.cfp.content.item: text"),
        ("item: text", "item: id", "~ acts.cfp.content.item: text -> id"),
        ("maximum: 100", "maximum: 90", "minimum 1, maximum 100 -> money, minimum 1, maximum 90"),
        ("max: 3", "max: 4", "~ states.offered.cfp.max: 3 -> 4"),
        ("max: 3", "max: 4", "~ bound: 9 messages -> 11 messages"),
        ("sold: success", "sold: partial", "~ outcomes.sold: success -> partial"),
        ("      reject-proposal: closed\n", "", "- states.offered.reject-proposal"),
        (", when: price <= cfp.budget", "", "~ acts.propose.when: price <= cfp.budget -> nothing"),
        (
            "accept-proposal: {repeats",
            "cfp: relevant\n  accept-proposal: {repeats",
            "~ acts.cfp.criterion: delivered -> relevant",
        ),
        ("outcomes:", "limits: {repairs: 1}\noutcomes:", "~ limits.repairs: 2 -> 1"),
    ],
)
def test_what_changed_is_told(before, after, line):
    assert any(line in str(change) for change in changed((before, after)).changes)


@pytest.mark.parametrize(
    ("pairs", "by", "why"),
    [
        ([("item: text,", "item: text, note: text,")], {"old", "new"}, "the field 'note' is required there"),
        (
            [("item: text,", "item: text, note: optional text,")],
            {"new"},
            "the field 'note' is not known there",
        ),
        ([("item: text", "item: bool")], {"old", "new"}, "'item' is text, and bool there"),
        ([("maximum: 100", "maximum: 90")], {"old"}, "'price' has maximum 90 there, and 100 here"),
        ([("plan: optional text", "plan: text")], {"old"}, "may be left out, and is required there"),
        ([("[price, time]", "[price]")], {"old"}, "'reason' may be 'time', which is no choice there"),
        ([("max: 3", "max: 2")], {"old"}, "it may be said 2 times only there"),
        ([("max: 3", "max: 3, then: closed")], {"new"}, "it may be said 3 times only there"),
        ([("      reject-proposal: closed\n", "")], {"old"}, "it may not be said there in 'offered'"),
        ([(", when: price <= cfp.budget", "")], {"new"}, "it has the condition price <= cfp.budget there"),
        (
            [("grounding:\n  accept-proposal: {repeats: {price: propose.price}}\n", "")],
            {"new"},
            "price = propose.price",
        ),
        (
            [("cfp: {item", "cfp: {act: request, content: {item"), ("budget: money}", "budget: money}}")],
            {"old", "new"},
            "it means request there",
        ),
        (
            [("grounding:\n", "grounding:\n  cfp: {readback: [item]}\n")],
            {"old", "new"},
            "it must have item read back there",
        ),
        ([("closed: refused", "closed: rejected")], {"both"}, "has ended as refused"),
        (
            [("[buyer, seller]", "[buyer, vendor]"), ("    seller:", "    vendor:")],
            {"both"},
            "a role of one of them only",
        ),
        (
            [("reject-proposal: closed", "reject-proposal: {next: asked, max: 1, then: closed}")],
            {"both"},
            "the new goes on in 'asked'",
        ),
    ],
)
def test_what_is_no_longer_understood_is_told(pairs, by, why):
    found = changed(*pairs)
    assert not found.is_compatible
    assert {item.by for item in found.breaks} == by
    assert any(why in item.why for item in found.breaks), found.breaks


@pytest.mark.parametrize(
    "pairs",
    [
        [("version: 1", "version: 2")],
        [("within: 1h", "within: 2h")],
        [("asked", "asked-for")],
        [("sold", "bought")],
        [("max: 3", "max: 3"), ("outcomes:", "limits: {repairs: 5}\noutcomes:")],
    ],
)
def test_what_still_fits_is_told(pairs):
    assert changed(*pairs).is_compatible


def test_the_way_there_is_told():
    found = changed(("      reject-proposal: closed\n", ""))
    [only] = found.breaks
    assert (only.by, only.role, only.act, only.path) == (
        "old",
        "buyer",
        "reject-proposal",
        ("open --cfp--> asked", "asked --propose--> offered"),
    )


def walk(protocol, dice):
    """Return roles and labels of one conversation, any budgets kept."""
    state, used, said = protocol.start, {}, []
    while state in protocol.states:
        moves = list(protocol.states[state].moves.values())
        moves = [m for m in moves if m.max is None or m.then or used.get(m.key, 0) < m.max]
        if not moves:
            break
        move = dice.choice(moves)
        used[move.key] = used.get(move.key, 0) + 1
        said.append((move.speaker, move.act.name))
        state = move.then if move.max is not None and used[move.key] > move.max else move.next
    return said


def accepted(protocol, said):
    state, used = protocol.start, {}
    for role, label in said:
        moves = (
            {m.act.name: m for m in protocol.states[state].moves.values()} if state in protocol.states else {}
        )
        move = moves.get(label)
        if move is None or move.speaker != role:
            return False
        used[move.key] = used.get(move.key, 0) + 1
        if move.max is not None and used[move.key] > move.max and not move.then:
            return False
        state = move.then if move.max is not None and used[move.key] > move.max else move.next
    return True


@pytest.mark.parametrize("seed", range(60))
def test_what_is_said_to_fit_is_accepted_on_every_walk(seed):
    """Delete, redirect or rename something at random; where the verdict is well, no walk of one is refused by the other."""
    dice = random.Random(seed)  # noqa: S311
    lines = SALE.splitlines()
    moves = [n for n, line in enumerate(lines) if ": closed" in line or ": sold" in line or "max: 3" in line]
    at = dice.choice(moves)
    swap = dice.choice(
        [
            ("closed", "sold"),
            ("sold", "closed"),
            ("max: 3", "max: 2"),
            ("next: asked", "next: open"),
            ("x", "x"),
        ]
    )
    lines[at] = lines[at].replace(*swap)
    old, new = loads(SALE), loads("\n".join(lines) + "\n")
    if compare(old, new).is_compatible:
        for _ in range(50):
            assert accepted(new, walk(old, dice))
            assert accepted(old, walk(new, dice))
    else:
        assert "\n".join(lines) + "\n" != SALE


def kind(text):
    return TypeReader(Report(), {}, {}).field(read(text).root)


@pytest.mark.parametrize(
    ("sent", "taken", "fits"),
    [
        ("text", "any", True),
        ("any", "text", False),
        ("int", "number", True),
        ("number", "int", False),
        ("id", "text", True),
        ("text", "id", False),
        ("[a, b]", "text", True),
        ("[1, 2]", "text", False),
        ("list of int", "list of number", True),
        ("list of text", "list of int", False),
        ("text", "optional text", True),
        ("{a: text}", "{a: text, b: optional text}", True),
        ("{a: text, b: text}", "{a: text}", False),
        ("{is: duration, minimum: 2m}", "{is: duration, minimum: 60s}", True),
        ("{is: duration, minimum: 30s}", "{is: duration, minimum: 1m}", False),
        ("{is: money, maximum: 5 EUR}", "{is: money, maximum: 9 EUR}", True),
        ("{is: money, maximum: 5 USD}", "{is: money, maximum: 9 EUR}", False),
        ("{is: text, pattern: a+}", "{is: text, pattern: a}", False),
        ("{is: text, maxLength: 3}", "text", True),
        ("text", "{is: text, maxLength: 3}", False),
    ],
)
def test_types_that_take_each_other(sent, taken, fits):
    assert (misfit(kind(sent), kind(taken), "x") == "") is fits
