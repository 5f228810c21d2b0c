import json
import re
from pathlib import Path

import pytest
from sale_document import SALE, edited, unmarked

from agentcomm.protocol.check import examine
from agentcomm.protocol.findings import Kind


def check(text, **options):
    return list(examine(text, **options).findings)


KINDS = set(Kind.__args__)

# code, edits of the sale; «…» is what the finding underlines
BROKEN = {
    # --- the document ---
    "a name is a boolean": ("E100", ("  open:\n", "  «true»:\n")),
    "a name is a number": ("E100", ("  open:\n", "  «12»:\n")),
    "a name is nothing": ("E100", ("  open:\n", "  «null»:\n")),
    "a target is a boolean": ("E100", ("cfp: asked}", "cfp: «true»}")),
    "a target is a number": ("E100", ("cfp: asked}", "cfp: «1»}")),
    "a target is nothing": ("E100", ("refuse: closed}", "refuse: «~»}")),
    "a class is a boolean": ("E100", ("sold: success", "sold: «True»")),
    "a key stands twice": ("E100", ("  offered:\n", "  «asked»:\n")),
    "a field stands twice": ("E100", ("{item: text, budget: money}", "{item: text, «item»: money}")),
    "a tag": ("E100", ("version: 1\n", "version: «!!int» 1\n")),
    "a tag of its own": ("E100", ("version: 1\n", "version: «!python/object» 1\n")),
    "a second document": ("E100", ("version: 1\n", "version: 1\n«---»\n")),
    "a merge key": ("E100", ("{item: text, budget: money}", "{«<<»: {item: text}, budget: money}")),
    "an alias to nothing": ("E100", ("{item: text, budget: money}", "«*nothing»")),
    "a list as a key": ("E100", ("  open:\n", "  ? «[»a, b]\n  : {}\n  open:\n")),
    "an alias as a key": (
        "E100",
        ("protocol: sale", "protocol: &name sale"),
        ("  open:\n", "  «*name» : {}\n  open:\n"),
    ),
    "infinity": ("E100", ("reply_within: 60s", "reply_within: «.inf»")),
    "a tab": ("E100", ("    buyer: {cfp: asked}", "«\t»buyer: {cfp: asked}")),
    "an open list": ("E100", ("roles: [buyer, seller]", "roles: «[»buyer, seller")),
    "a colon in text": ("E100", ("version: 1\n", "version: 1\nabout: a«:» b\n")),
    "an open quote": ("E100", ("limits: {reply_within: 60s, repairs: 2}\n", "about: «'»open\n")),
    "an unknown key": ("E101", ("limits:", "«limit»:")),
    "an unknown key of an act": ("E101", ("outlives: true", "«outlivs»: true")),
    "an unknown key of a move": ("E101", ("max: 2", "«maximum»: 2")),
    "an unknown key of a state": ("E101", ("  asked:\n", "  asked:\n    «withn»: 10s\n")),
    "a missing name": ("E101", ("agentcomm: 1", "«a»gentcomm: 1"), ("protocol: sale\n", "")),
    "another language": ("E101", ("agentcomm: 1", "agentcomm: «2»")),
    "no roles": ("E101", ("[buyer, seller]", "«[»]")),
    "a state that is a list": ("E101", ("    buyer: {cfp: asked}", "    «-» buyer")),
    "a move to a list": ("E101", ("cfp: asked}", "cfp: «[»asked, offered]}")),
    "a move that leads nowhere": ("E101", ("cfp: {next: asked, max: 2}", "«cfp»: {max: 2}")),
    "a count that is a word": ("E101", ("max: 2", "max: «two»")),
    "a count of none": ("E101", ("max: 2", "max: «0»")),
    "a count that is a boolean": ("E101", ("max: 2", "max: «true»")),
    "`then` without `max`": ("E101", ("{next: asked, max: 2}", "{next: closed, «then»: sold}")),
    "a duration without unit": ("E101", ("reply_within: 60s", "reply_within: «60»")),
    "a sexagesimal": ("E101", ("reply_within: 60s", "reply_within: «1:30»")),
    "a condition that is none": (
        "E101",
        ("{content: Offer,", "{content: Offer, when: «price = 10 EUR»,"),
    ),
    "a flag that is a word": ("E101", ("outlives: true", "outlives: «yes»")),
    "content that is nothing": ("E101", ("  refuse:          {reason: text}", "  «refuse»:")),
    "a name with a space": ("E101", ("  open:\n", "  «wide open»:\n")),
    "a role named like a key": (
        "E101",
        ("roles: [buyer, seller]", "roles: [buyer, seller, «within»]"),
    ),
    "an unknown state": ("E102", ("refuse: closed}", "refuse: «clsoed»}")),
    "an unknown `then`": ("E102", ("max: 2}", "max: 2, then: «slod»}")),
    "an unknown `else`": ("E102", ("  asked:\n", "  asked:\n    else: «clsoed»\n")),
    "an unknown default": ("E102", ("repairs: 2}", "else: «clsoed»}")),
    "an unknown speaker": ("E102", ("    seller: {propose", "    «saller»: {propose")),
    "an unknown receiver": ("E102", ("max: 2}", "max: 2, to: «saler»}")),
    "an unknown owner": ("E102", ("version: 1\n", "version: 1\nowner: «byer»\n")),
    "an unknown act": ("E102", ("{cfp: asked}", "{«cpf»: asked}")),
    "an unknown class": ("E102", ("sold: success", "sold: «sucess»")),
    "grounding of an unknown act": ("E102", ("  propose: {readback", "  «propse»: {readback")),
    "an unknown criterion": ("E102", ("{readback: [price]}", "«relevent»")),
    "a record of an unknown act": ("E102", ("propose.price}", "«propsoe.price»}")),
    "a record of an unknown field": ("E102", ("propose.price}", "«propose.prize»}")),
    "an unknown field that repeats": ("E102", ("{repeats: {price:", "{repeats: {«prize»:")),
    "an unknown field in a condition": (
        "E102",
        ("{content: Offer,", "{content: Offer, when: «prize > cfp.budget»,"),
    ),
    "unknown stakes": ("E102", ("outlives: true", "stakes: «hihg», outlives: true")),
    "discharges an unknown act": ("E102", ("outlives: true", "discharges: «offer»")),
    "to oneself": ("E103", ("max: 2}", "max: 2, to: «buyer»}")),
    "to nobody": ("E103", ("cfp: {next: asked, max: 2}", "«cfp»: {next: asked, max: 2, to: []}")),
    "three roles and no `to`": (
        "E103",
        ("[buyer, seller]", "[buyer, seller, bank]"),
        ("{cfp: asked}", "{«cfp»: asked}"),
    ),
    "a role in nothing": (
        "E103",
        ("[buyer, seller]", "[buyer, seller, «bank»]"),
        ("{cfp: asked}", "{cfp: {next: asked, to: seller}}"),
        (
            "{propose: offered, refuse: closed}",
            "{propose: {next: offered, to: buyer}, refuse: {next: closed, to: buyer}}",
        ),
        ("accept-proposal: sold", "accept-proposal: {next: sold, to: seller}"),
        ("reject-proposal: closed", "reject-proposal: {next: closed, to: seller}"),
        ("max: 2}", "max: 2, to: seller}"),
    ),
    "not in the library": (
        "E104",
        ("  refuse:          {reason", "  «decline»:          {reason"),
        ("refuse: closed}", "decline: closed}"),
    ),
    "a misspelt library act": ("E104", ("{content: Offer,", "{act: «propsoe», content: Offer,")),
    "an unknown type": ("E104", ("{reason: text}\n  refuse", "{reason: «txt»}\n  refuse")),
    "an unknown named type": ("E104", ("content: Offer", "content: «Ofer»")),
    "content without fields": ("E104", ("content: Offer", "content: «text»")),
    "a bad field": ("E104", ("{item: text, budget: money}", "{«the-item»: text, budget: money}")),
    "a field of every class": ("E104", ("{item: text, budget: money}", "{«copy»: text, budget: money}")),
    "a constraint of another type": (
        "E104",
        ("item: text, price: money}", "item: text, price: {is: money, «minLength»: 3}}"),
    ),
    "a bound that is a word": ("E104", ("price: money}\n", "price: {is: money, minimum: «low»}}\n")),
    "bounds that exclude all": (
        "E104",
        ("item: text, price", "item: «{»is: text, minLength: 5, maxLength: 2}, price"),
    ),
    "a bad pattern": ("E104", ("item: text, price", 'item: {is: text, pattern: «"("»}, price')),
    "an empty choice": ("E104", ("item: text, price", "item: «[»], price")),
    "a type in itself": ("E104", ("item: text, price", "item: «Offer», price")),
    "a comparison of two types": (
        "E104",
        ("{content: Offer,", "{content: Offer, when: «price <= cfp.item»,"),
    ),
    "an order of words": ("E104", ("{content: Offer,", "{content: Offer, when: «item < abc»,")),
    "money without currency": ("E104", ("{content: Offer,", "{content: Offer, when: «price < 10»,")),
    "no outcomes": (
        "E105",
        ("outcomes:\n  sold: success\n  closed: refused\n", "«outcomes»: {}\n"),
        ("accept-proposal: sold", "accept-proposal: expired"),
        ("reject-proposal: closed", "reject-proposal: expired"),
        ("refuse: closed", "refuse: expired"),
    ),
    "an outcome without class": ("E105", ("  sold: success", "  «sold»:")),
    "a start that is no state": ("E105", ("version: 1\n", "version: 1\nstart: «opne»\n")),
    "a start that is an outcome": ("E105", ("version: 1\n", "version: 1\nstart: «sold»\n")),
    "moves of an outcome": ("E106", ("outcomes:\n", "  «sold»:\n    buyer: {cfp: asked}\noutcomes:\n")),
    # --- the graph ---
    "an unreachable state": ("E201", ("outcomes:\n", "  «late»:\n    buyer: {cfp: asked}\noutcomes:\n")),
    "unreachable states in a row": (
        "E201",
        ("outcomes:\n", "  «late»:\n    buyer: {cfp: later}\n  later:\n    buyer: {cfp: asked}\noutcomes:\n"),
    ),
    "a dead end": ("E202", ("  asked:\n    seller: {propose: offered, refuse: closed}", "  «asked»: {}")),
    "a role without moves": (
        "E202",
        ("  asked:\n    seller: {propose: offered, refuse: closed}", "  «asked»:\n    seller: {}"),
    ),
    "a trap": (
        "E203",
        ("refuse: closed}", "refuse: stuck}"),
        ("outcomes:\n", "  «stuck»:\n    seller: {refuse: {next: stuck, max: 2}}\noutcomes:\n"),
    ),
    "a trap of two": (
        "E204",
        ("refuse: closed}", "refuse: one}"),
        ("outcomes:\n", "  «one»:\n    buyer: {cfp: two}\n  two:\n    seller: {refuse: one}\noutcomes:\n"),
    ),
    "an unbounded loop": ("E205", ("cfp: {next: asked, max: 2}", "«cfp»: asked")),
    "a loop by `then`": ("E205", ("cfp: {next: asked, max: 2}", "«cfp»: {next: asked, max: 2, then: asked}")),
    "a loop by `else`": ("E205", ("  asked:\n", "  asked:\n    else: «asked»\n")),
    "a deadline of nothing": ("E206", ("  asked:\n", "  asked:\n    within: «0s»\n")),
    "too many turns": ("E207", ("repairs: 2}", "turns: «6»}")),
    "two speakers": (
        "E301",
        ("    seller: {propose", "    buyer: {reject-proposal: closed}\n    «seller»: {propose"),
    ),
    "nothing but conditions": (
        "E303",
        ("{content: Offer,", "{content: Offer, when: price <= cfp.budget,"),
        (
            "  asked:\n    seller: {propose: offered, refuse: closed}",
            "  «asked»:\n    seller: {propose: offered}",
        ),
        ("  refuse:          {reason: text}\n", ""),
    ),
    "nothing but spent budgets": (
        "E303",
        (
            "  offered:\n    buyer:\n      accept-proposal: sold\n      reject-proposal: closed\n",
            "  «offered»:\n    buyer:\n      accept-proposal: {next: sold, max: 1}\n",
        ),
        ("  reject-proposal: {reason: text}\n", ""),
    ),
    # --- values, commitments, owners ---
    "a value nobody said": (
        "E401",
        ("{propose: offered, refuse: closed}", "{propose: offered, refuse: offered}"),
        ("      accept-proposal: sold", "      «accept-proposal»: sold"),
    ),
    "a value not heard": (
        "E401",
        ("[buyer, seller]", "[buyer, seller, bank]"),
        ("{cfp: asked}", "{cfp: {next: asked, to: [seller, bank]}}"),
        (
            "{propose: offered, refuse: closed}",
            "{propose: {next: paying, to: buyer}, refuse: {next: closed, to: buyer}}",
        ),
        (
            "  offered:\n    buyer:\n",
            "  paying:\n    bank:\n      «accept-proposal»: {next: offered, to: buyer}\n  offered:\n    buyer:\n",
        ),
        ("accept-proposal: sold", "accept-proposal: {next: sold, to: seller}"),
        ("reject-proposal: closed", "reject-proposal: {next: closed, to: seller}"),
        ("max: 2}", "max: 2, to: seller}"),
    ),
    "an open commitment": (
        "W501",
        ("outlives: true", "outlives: false"),
        ("      accept-proposal: sold", "      «accept-proposal»: sold"),
    ),
    "no way to say no": (
        "W503",
        ("{cfp: asked}", "{«cfp»: asked}"),
        ("{propose: offered, refuse: closed}", "{propose: offered}"),
        ("  refuse:          {reason: text}\n", ""),
    ),
    "two owners": (
        "E504",
        ("version: 1\n", "version: 1\nowner: buyer\n"),
        ("  asked:\n", "  «asked»:\n"),
        ("max: 2}", "max: 2, owner: seller}"),
    ),
    # --- grounding ---
    "last words to be answered": (
        "E601",
        ("  accept-proposal: {repeats: {price: propose.price}}", "  accept-proposal: relevant"),
        ("      accept-proposal: sold", "      «accept-proposal»: sold"),
    ),
    "high stakes in nothing": (
        "E602",
        ("  accept-proposal: {price: money}", "  «accept-proposal»: {content: {price: money}, stakes: high}"),
    ),
    "high stakes of a move": (
        "E602",
        ("  accept-proposal: {price: money}", "  accept-proposal: {price: money}"),
        ("      accept-proposal: sold", "      «accept-proposal»: {next: sold, stakes: high}"),
    ),
    "a read-back of nothing": ("E602", ("  propose: {readback: [price]}", "  «propose»: readback")),
    "a read-back of another field": ("E102", ("{readback: [price]}", "{readback: [«prize»]}")),
    "a critical field of another act": ("E102", ("outlives: true", "critical: [«budget»], outlives: true")),
    "no repairs": ("E602", ("repairs: 2", "repairs: «0»")),
    "nobody to escalate to": ("E603", ("repairs: 2", "escalate_to: «boss»")),
    "too many critical fields": (
        "W604",
        (
            "  refuse:          {reason: text}",
            "  «refuse»: {content: {a: text, b: text, c: text, d: text, e: text, f: text, g: text, h: text}, critical: [a, b, c, d, e, f, g, h]}",
        ),
    ),
    "an act never said": ("W201", ("  refuse:  ", "  «agree»: {}\n  refuse:  ")),
    "a type never used": ("W201", ("types:\n", "types:\n  «Bid»: {price: money}\n")),
    "an outcome never reached": ("W201", ("outcomes:\n", "outcomes:\n  «lost»: failed\n")),
    "a deadline that never comes": (
        "W206",
        ("  asked:\n", "  asked:\n    within: «2h»\n"),
        ("repairs: 2", "whole: 1h"),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_one_mistake_is_one_finding_at_its_place(case):
    code, *edits = BROKEN[case]
    text, place = unmarked(edited(*edits))
    findings = check(text, path="sale.yaml")
    assert [finding.code for finding in findings] == [code], "\n".join(map(str, findings))
    finding = findings[0]
    line, column, length = place
    assert (finding.line, finding.column) == (line, column), str(finding)
    if code != "E100" and length:
        assert finding.length == length, str(finding)


@pytest.mark.parametrize("case", BROKEN)
def test_a_finding_says_what_and_how_to_mend_it(case):
    code, *edits = BROKEN[case]
    text, _ = unmarked(edited(*edits))
    finding = check(text, path="sale.yaml")[0]
    assert finding.kind in KINDS
    assert finding.severity == {"E": "error", "W": "warning"}[code[0]]
    assert finding.what
    assert finding.excerpt == (text.splitlines() or [""])[finding.line - 1]
    assert finding.fix or finding.why or code in ("E100", "E101"), str(finding)
    assert json.loads(json.dumps(finding.as_dict()))["code"] == code


def test_every_code_of_this_version_has_a_case():
    covered = {code for code, *_ in BROKEN.values()}
    assert covered >= {
        *("E100", "E101", "E102", "E103", "E104", "E105", "E106"),
        *("E201", "E202", "E203", "E204", "E205", "E206", "E207", "E301", "E303", "E401"),
        *("W501", "W503", "E504", "E601", "E602", "E603", "W604", "W201", "W206"),
    }


def test_the_sale_has_no_finding():
    checked = examine(SALE)
    assert checked.findings == ()
    assert checked.protocol.bound == 7


def test_a_finding_reads_like_this():
    text, _ = unmarked(edited(("refuse: closed}", "refuse: clsoed}")))
    assert str(check(text, path="protocols/sale.yaml")[0]) == (
        "protocols/sale.yaml:20:40: E102 'clsoed' is not a state [unknown_name]\n"
        "    seller: {propose: offered, refuse: clsoed}\n"
        "                                       ^^^^^^\n"
        "  why  'refuse' said by seller in 'asked' must lead to a state or an outcome\n"
        "  fix  did you mean 'closed'?"
    )


def test_a_witness_is_the_shortest_way():
    text = edited(("cfp: {next: asked, max: 2}", "cfp: asked"))
    finding = check(text)[0]
    assert finding.witness == (
        "open --cfp--> asked",
        "asked --propose--> offered",
        "offered --cfp--> asked",
    )
    assert "  via  open --cfp--> asked --propose--> offered --cfp--> asked\n" in str(finding)


def test_the_witness_of_an_unknown_value_is_a_way_on_which_it_was_not_said():
    code, *edits = BROKEN["a value nobody said"]
    finding = check(unmarked(edited(*edits))[0])[0]
    assert finding.code == code
    assert finding.witness == ("open --cfp--> asked", "asked --refuse--> offered")


def test_several_mistakes_are_found_in_one_run():
    text = edited(
        ("refuse: closed}", "refuse: clsoed}"),
        ("{item: text, budget: money}", "{item: txet, budget: money}"),
        ("sold: success", "sold: sucess"),
        ("max: 2}", "max: none}"),
    )
    assert [(found.code, found.line) for found in check(text)] == [
        ("E104", 8),
        ("E102", 20),
        ("E101", 25),
        ("E102", 27),
    ]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("refuse: clsoed}", "closed"),
        ("refuse: Closed}", "closed"),
        ("refuse: close}", "closed"),
        ("refuse: aksed}", "asked"),
        ("refuse: offred}", "offered"),
    ],
)
def test_did_you_mean(wrong, right):
    assert check(edited(("refuse: closed}", wrong)))[0].fix == f"did you mean '{right}'?"


def test_a_type_of_another_language_is_recognised():
    fixes = [
        found.fix
        for found in check(edited(("{item: text, budget: money}", "{item: string, budget: 'money?'}")))
    ]
    assert fixes == ["did you mean 'text'?", "did you mean 'optional money'?"]


def test_more_findings_than_anybody_reads_are_cut():
    acts = "".join(f"  a{number}: {{x: nonsense{number}}}\n" for number in range(500))
    findings = check(edited(("acts:\n", f"acts:\n{acts}")))
    assert len(findings) == 101
    assert any("more than 100 findings" in found.what for found in findings)


def test_a_long_line_is_cut_around_the_place():
    padding = ", ".join(f"f{number}: text" for number in range(200))
    text = edited(("{item: text, budget: money}", f"{{{padding}, item: txet, budget: money}}"))
    finding = check(text)[0]
    assert len(finding.excerpt) <= 120
    _, shown, carets, *_ = str(finding).splitlines()
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "txet"


def test_every_code_stands_in_the_table_of_the_documentation():
    folder = Path(__file__).parents[2]
    codes = {
        code
        for file in (folder / "agentcomm" / "protocol").glob("*.py")
        for code in re.findall(r'"([EWI]\d{3})"', file.read_text(encoding="utf-8"))
    }
    rows = re.findall(
        r"^\| ([EWI][^|]*) \|", (folder / "docs/pages/checks.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert codes == {code for row in rows for code in re.findall(r"[EWI]\d{3}", row)}
