"""Protocols of other languages become protocols of ours that pass check, and what is not carried over is told."""

import json
import random

import pytest

from agentcomm import Agent, enact_sync
from agentcomm.cli.main import main
from agentcomm.errors import ProtocolError
from agentcomm.protocol.check import examine
from agentcomm.protocol.imports.aea import from_aea
from agentcomm.protocol.imports.aea_types import aea_type
from agentcomm.protocol.imports.bspl import from_bspl
from agentcomm.protocol.imports.words import act_of, class_of
from agentcomm.protocol.library import loads

HAGGLE = """\
---
name: flat_haggle
author: house
version: 0.2.0
description: Somebody looks for a flat, and haggles about the rent.
speech_acts:
  cfp:
    district: pt:str
    rooms: pt:optional[pt:int]
  propose:
    rent: pt:float
    extras: pt:dict[pt:str, pt:float]
    photos: pt:list[pt:bytes]
  accept: {}
  decline:
    reason: pt:optional[pt:union[pt:str, pt:int]]
...
---
initiation: [cfp]
reply:
  cfp: [propose, decline]
  propose: [propose, accept, decline]
  accept: []
  decline: []
termination: [accept, decline]
roles: {tenant, landlord}
end_states: [agreed, declined_cfp, declined_propose]
keep_terminal_state_dialogues: true
...
"""
WEB = """\
---
name: web_page
speech_acts:
  request:
    method: pt:str
    headers: pt:dict[pt:str, pt:str]
    body: pt:bytes
  response:
    status: pt:int
    body: pt:bytes
...
---
initiation: [request]
reply: {request: [response], response: []}
termination: [response]
roles: {client, server}
end_states: [successful]
keep_terminal_state_dialogues: false
...
"""
ORACLE = """\
---
name: rain_oracle
speech_acts:
  query:
    place: ct:Place
    class: pt:str
    json: pt:bool
  reading: {millimetres: "pt:float", sources: "pt:set[pt:str]"}
  error: {code: "ct:Code", text: "pt:str"}
  gossip: {text: "pt:str"}
---
ct:Place: |
  string name = 1;
ct:Code: |
  enum Codes { UNKNOWN = 0; BROKEN = 1; }
  Codes code = 1;
---
initiation: [query]
reply: {query: [reading, error], reading: [query], gossip: [reading]}
termination: [reading, error]
roles: {station}
end_states: [successful, failed, timed_out]
"""
TICKETS = """\
---
name: tickets
speech_acts: {subscribe: {topic: "pt:str"}, ask_again: {}, update: {text: "pt:str"}, end: {}}
---
initiation: [subscribe]
reply:
  subscribe: [update, end]
  update: [ask_again, end]
  ask_again: [update, end]
termination: [end]
roles: {reader, desk}
end_states: [successful]
"""

LOAN = """\
// somebody borrows a book
Loan {
  roles Reader, Library
  parameters out loanID key, out title, out outcome
  private due, decision

  Reader -> Library: ask[out loanID, out title]
  Library -> Reader: lend[in loanID, in title, out due, out decision]
  Library -> Reader: refuse[in loanID, in title, out decision, out outcome]
  Reader -> Library: giveBack[in loanID, in due, out outcome]
}
"""
KITCHEN = """\
Kitchen {
  roles Waiter, Cook, Barkeeper, Runner
  parameters out table key, out dish, out drink, out served
  private plate, glass
  Waiter -> Cook: cookThis[out table key, out dish]      # either may be ready first
  Waiter -> Barkeeper: mixThis[in table key, out drink]
  Cook -> Runner: cooked[in table key, in dish, out plate]
  Barkeeper -> Runner: mixed[in table key, in drink, out glass]
  Runner -> Waiter: serve[in table key, in plate, in glass, out served]
}
"""
TAXI = """\
Taxi {
  roles Rider, Driver, Bank, Nobody
  parameters out rideID key, out from, out paid
  private price, stop

  Rider → Driver: order[out rideID key, out from]
  Driver ↦ Rider: price[in rideID key, out price]
  Settle(Rider, Bank, in rideID key, in price, out paid)
  Meter(Driver, in rideID)
  Rider -> Driver: cancel[in rideID key, nil price, out stop]
  Driver -> Driver: note[in rideID key, out weather]
}
protocol Settle {
  roles Payer, Bank
  parameters in rideID key, in price, out paid
  private slip
  Payer -> Bank: transfer[in rideID key, in price, out slip]
  Bank -> Payer: receipt[in rideID key, in slip, out paid]
}
Spare { roles A, B parameters out x key A -> B: m[out x] }
"""
SURVEY = """\
Survey {
  roles Chair, Member
  parameters out ID key, out question, out answer
  Chair -> Member: ask[out ID, out question]
  Member -> Chair: reply[in ID, out answer, opt remark]
  Member -> Chair: reply[in ID, in question, out answer, any mood]
  Chair -> Member: thank[in ID, in answer, out bound]
}
"""
AEA = {"haggle": HAGGLE, "web": WEB, "oracle": ORACLE, "tickets": TICKETS}
BSPL = {"loan": LOAN, "kitchen": KITCHEN, "taxi": TAXI, "survey": SURVEY}
ALL = [*((from_aea, text) for text in AEA.values()), *((from_bspl, text) for text in BSPL.values())]


def lost(made):
    return "\n".join(item.what for item in made.lost)


def graph(protocol):
    return {
        name: {move.label: (move.speaker, move.next) for move in state.moves.values()}
        for name, state in protocol.states.items()
    }


@pytest.mark.parametrize(("read", "text"), ALL, ids=[*AEA, *BSPL])
def test_what_is_written_loads_without_errors_and_says_what_is_lost(read, text):
    made = read(text)
    protocol = loads(made.text)
    assert protocol.name == made.name
    assert not [finding for finding in examine(made.text).findings if finding.severity == "error"]
    assert made.findings == examine(made.text).findings
    comments = " ".join(line.lstrip("# ") for line in made.text.splitlines() if line.startswith("#"))
    for item in made.lost:
        assert item.what in comments
        assert 1 <= item.line <= len(text.splitlines())
    assert "deadlines are not said" in lost(made)
    assert read(text) == made


def test_a_reply_structure_becomes_states_with_a_budget_on_the_loop():
    made = from_aea(HAGGLE)
    protocol = loads(made.text)
    assert (protocol.name, protocol.version, protocol.roles) == (
        "flat-haggle",
        "0.2.0",
        ("tenant", "landlord"),
    )
    assert graph(protocol) == {
        "start": {"cfp": ("tenant", "after-cfp")},
        "after-cfp": {
            "propose": ("landlord", "after-propose-by-landlord"),
            "decline": ("landlord", "declined-cfp"),
        },
        "after-propose-by-landlord": {
            "propose": ("tenant", "after-propose-by-tenant"),
            "accept": ("tenant", "agreed"),
            "decline": ("tenant", "declined-propose"),
        },
        "after-propose-by-tenant": {
            "propose": ("landlord", "after-propose-by-landlord"),
            "accept": ("landlord", "agreed"),
            "decline": ("landlord", "declined-propose"),
        },
    }
    again = protocol.states["after-propose-by-tenant"].moves["propose"]
    assert (again.max, again.then) == (10, "out-of-rounds")
    assert {name: str(kind) for name, kind in protocol.outcomes.items()} == {
        "agreed": "success",
        "declined-cfp": "rejected",
        "declined-propose": "rejected",
        "out-of-rounds": "undecided",
        "expired": "expired",
    }
    fields = protocol.acts["propose"].fields
    assert {name: kind.kind for name, kind in fields.items()} == {
        "rent": "number",
        "extras": "any",
        "photos": "list",
    }
    assert protocol.acts["cfp"].fields["rooms"].optional
    assert str(protocol.acts["accept"].performative) == "accept-proposal"
    for words in ("loops have no bound", "a union is `any`", "bytes are text", "who begins", "keep_terminal"):
        assert words in lost(made)


def test_a_request_and_its_answer():
    protocol = loads(from_aea(WEB).text)
    assert graph(protocol) == {
        "start": {"request": ("client", "after-request")},
        "after-request": {"response": ("server", "successful")},
    }
    assert str(protocol.acts["response"].performative) == "inform"


def test_one_role_custom_types_fields_that_cannot_be_and_acts_that_are_never_said():
    made = from_aea(ORACLE)
    protocol = loads(made.text)
    assert protocol.roles == ("station", "other-station")
    assert list(protocol.acts["query"].fields) == ["place", "class_value", "json_value"]
    assert protocol.acts["query"].fields["place"].kind == "any"
    assert "gossip" not in protocol.acts
    reading = next(state for name, state in protocol.states.items() if name.startswith("after-reading"))
    assert reading.otherwise == "successful"  # `reading` is in `termination`, and may be answered
    for words in (
        "Place is `any`",
        "Code is `any`",
        "'gossip' is left out",
        "a set is a list",
        "'timed_out'",
        "both sides",
    ):
        assert words in lost(made)


def test_an_act_between_the_roles_of_a_subscription_keeps_its_bound():
    protocol = loads(from_aea(TICKETS).text)
    assert set(protocol.acts) == {"subscribe", "update", "ask-again", "end"}
    assert (
        sum(move.max is not None for state in protocol.states.values() for move in state.moves.values()) >= 1
    )


def test_information_causality_gives_the_order():
    made = from_bspl(LOAN)
    protocol = loads(made.text)
    assert protocol.roles == ("reader", "library")
    assert graph(protocol) == {
        "start": {"ask": ("reader", "after-ask")},
        "after-ask": {"lend": ("library", "after-lend"), "refuse": ("library", "complete-refused")},
        "after-lend": {"give-back": ("reader", "complete")},
    }
    assert protocol.acts["ask"].fields["loanID"].kind == "id"
    assert "give-back: {repeats: {loanID: ask.loanID, due: lend.due}}" in made.text
    assert str(protocol.outcomes["complete-refused"]) == "refused"
    assert "keys are fields here" in lost(made)


def test_what_may_be_said_at_once_is_a_race_in_every_order():
    made = from_bspl(KITCHEN)
    protocol = loads(made.text)
    races = [state for state in protocol.states.values() if len(state.speakers) > 1]
    assert (races[0].speakers, races[0].first) == (("waiter", "cook"), "waiter")
    orders = set()

    def walk(name, said):
        if name not in protocol.states:
            orders.add(said)
            return
        for move in protocol.states[name].moves.values():
            walk(move.next, (*said, move.label))

    walk(protocol.start, ())
    assert len(orders) == 3
    assert all(order[0] == "cook-this" and order[-1] == "serve" for order in orders)
    assert "race here" in lost(made)
    assert protocol.states["start"].moves["cook-this"].to == ("cook",)


def test_composed_protocols_stand_in_one_and_the_rest_is_told():
    made = from_bspl(TAXI)
    protocol = loads(made.text)
    assert protocol.name == "taxi"
    assert protocol.roles == ("rider", "driver", "bank")
    assert set(protocol.acts) == {"order", "price", "transfer", "receipt", "cancel"}
    assert "slip" in " ".join(protocol.acts["transfer"].fields)
    for words in (
        "'Settle' stand in 'Taxi'",
        "'Meter' is left out: it is not in this file",
        "'Spare' is left out",
        "'note' is left out: Driver says it to itself",
        "the role 'Nobody'",
        "`nil` in 'cancel'",
    ):
        assert words in lost(made)


def test_messages_of_one_name_and_adornments_that_are_optional():
    made = from_bspl(SURVEY)
    protocol = loads(made.text)
    assert {"reply", "reply-2", "thank"} < set(protocol.acts)
    assert protocol.acts["reply"].fields["remark"].optional
    assert protocol.acts["reply-2"].fields["mood"].optional
    after = protocol.states["after-reply"]
    assert after.otherwise == "complete"
    assert "silence ends the conversation as complete" in lost(made)


def test_too_many_orders_become_one():
    pairs = "\n".join(
        f"  A -> R{n}: tell{n}[in k, out a{n}]\n  R{n} -> A: answer{n}[in k, in a{n}, out b{n}]"
        for n in range(5)
    )
    roles = ", ".join(f"R{n}" for n in range(5))
    made = from_bspl(f"Wide {{ roles A, B, {roles} parameters out k key\n A -> B: start[out k]\n{pairs}\n}}")
    protocol = loads(made.text)
    assert all(len(state.speakers) == 1 for state in protocol.states.values())
    assert "every order of the messages has more than" in lost(made)


def test_a_protocol_that_was_brought_in_can_be_enacted():
    reader, library = Agent("Ann"), Agent("Hall")

    @reader.opens
    def ask(turn):
        return turn.say("ask", loanID="7", title="Emma")

    @library.on("ask")
    def lend(turn):
        return turn.say("lend", loanID="7", title="Emma", due="Monday", decision="yes")

    @reader.on("lend")
    def give_back(turn):
        return turn.say("give-back", loanID="7", due="Monday", outcome="as new")

    result = enact_sync(loads(from_bspl(LOAN).text), cast={"reader": reader, "library": library})
    assert result.outcome == "complete"


BROKEN_AEA = {
    "not YAML": ("---\nname: [a\n", 2, "E100"),
    "no dialogue": ("---\nname: a\nspeech_acts: {x: {}}\n...\n", 1, "E101"),
    "no acts": (WEB.replace("speech_acts:", "speech:"), 1, "E101"),
    "unknown reply": (WEB.replace("[response], r", "[respnse], r"), 14, "E102"),
    "unknown answered": (WEB.replace("response: []}", "other: []}"), 14, "E102"),
    "not a type": (WEB.replace("pt:int", "pt:number"), 9, "E104"),
    "bracket open": (WEB.replace("pt:str, pt:str]", "pt:str, pt:str"), 6, "E104"),
    "three roles": (WEB.replace("{client, server}", "{a, b, c}"), 16, "E101"),
    "nothing begins": (WEB.replace("[request]\n", "[]\n"), 13, "E101"),
    "tag": (WEB.replace("name: web_page", "name: !!python/object:os.system web"), 2, "E100"),
    "twice": (WEB.replace("termination:", "initiation: [request]\ntermination:"), 15, "E100"),
}


@pytest.mark.parametrize(("text", "line", "code"), BROKEN_AEA.values(), ids=BROKEN_AEA)
def test_a_broken_specification_is_told_by_its_line(text, line, code):
    with pytest.raises(ProtocolError) as raised:
        from_aea(text, "broken.yaml")
    first = raised.value.findings[0]
    assert (first.path, first.line, first.code) == ("broken.yaml", line, code)
    assert first.fix


BROKEN_BSPL = {
    "empty": ("// nothing\n", 1, "E100"),
    "no roles": ("P {\n  parameters out x key\n}", 2, "E100"),
    "no parameters": ("P {\n  roles A B\n}", 2, "E100"),
    "a stranger": (LOAN.replace("Library -> Reader: lend", "Libary -> Reader: lend"), 8, "E102"),
    "a stranger in a reference": (
        TAXI.replace("Driver, Bank, Nobody", "Driver, Banker, Nobody"),
        8,
        "E102",
    ),
    "open bracket": (LOAN.replace("out title]", "out title"), 8, "E100"),
    "no brace": (LOAN.rstrip().removesuffix("}"), 10, "E100"),
    "a character": (LOAN.replace("private due,", "private $due,"), 5, "E100"),
    "no arrow": (LOAN.replace("Reader -> Library: ask", "Reader Library: ask"), 7, "E100"),
    "no beginning": ("P { roles A, B parameters out x key\n A -> B: m[in x]\n}", 1, "E101"),
    "not text": (b"\xff\xfe", 1, "E100"),
}


@pytest.mark.parametrize(("text", "line", "code"), BROKEN_BSPL.values(), ids=BROKEN_BSPL)
def test_broken_bspl_is_told_by_its_line(text, line, code):
    with pytest.raises(ProtocolError) as raised:
        from_bspl(text, "broken.bspl")
    first = raised.value.findings[0]
    assert (first.path, first.line, first.code) == ("broken.bspl", line, code)
    assert first.fix


@pytest.mark.parametrize(("read", "text"), ALL, ids=[*AEA, *BSPL])
def test_whatever_is_read_it_is_a_protocol_or_findings(read, text):
    for seed in range(60):
        dice = random.Random(seed)  # noqa: S311  (the same each time)
        characters = list(text)
        for _ in range(dice.randint(1, 5)):
            characters[dice.randrange(len(characters))] = dice.choice(
                ["", "{", "]", ":", "->", "\n", " ", "ä", "in", "\0"]
            )
        try:
            made = read("".join(characters))
        except ProtocolError:
            continue
        loads(made.text)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("pt:str", "text"),
        ("pt:optional[pt:list[pt:int]]", "optional list of int"),
        ("pt:list[pt:optional[pt:bool]]", "list of bool"),
        ("pt:optional[pt:optional[pt:float]]", "optional number"),
        ("pt:dict[pt:str, pt:list[pt:int]]", "any"),
        ("pt:optional[ct:Offer]", "optional any"),
    ],
)
def test_types(theirs, ours):
    made = aea_type(theirs)
    assert made is not None
    assert made.name == ours


@pytest.mark.parametrize(
    "text", ["", "str", "pt:list", "pt:list[]", "pt:dict[pt:str]", "pt:str]", "pt:list[pt:str"]
)
def test_what_is_no_type(text):
    assert aea_type(text) is None


def test_words_are_taken_for_acts_and_classes():
    assert [
        str(act_of(word)) for word in ("accept", "declined", "rfq", "get-page", "dog", "not-understood")
    ] == [
        "accept-proposal",
        "reject-proposal",
        "cfp",
        "query-ref",
        "inform",
        "not-understood",
    ]
    assert [
        class_of(word) for word in ("agreed", "agreement_unreached", "declined_cfp", "orderCancelled")
    ] == [
        "success",
        "undecided",
        "rejected",
        "cancelled",
    ]


def test_the_command_writes_the_protocol_and_tells_the_rest(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loan.bspl").write_text(LOAN)
    (tmp_path / "web.txt").write_text(WEB)
    assert main(["import", "loan.bspl", "-o", "loan.yaml"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "loan.bspl:1: deadlines are not said" in shown.err
    assert "loan.yaml:" in shown.err
    assert main(["check", "loan.yaml"]) == 0
    capsys.readouterr()
    assert main(["import", "loan.bspl"]) == 0
    assert capsys.readouterr().out == (tmp_path / "loan.yaml").read_text()
    assert main(["import", "web.txt"]) == 2
    assert "--from aea" in capsys.readouterr().err
    assert main(["import", "web.txt", "--from", "aea", "--json"]) == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert shown.err == ""
    assert (report["from"], report["protocol"]) == ("aea", "web-page")
    assert loads(report["text"]).name == "web-page"
    assert {"what", "line"} == set(report["not_carried_over"][0])
    (tmp_path / "bad.bspl").write_text("P {")
    assert main(["import", "bad.bspl"]) == 1
    assert "bad.bspl:1:4: E100" in capsys.readouterr().err
    assert main(["import", "none.bspl"]) == 4
    capsys.readouterr()
    assert main(["import", "loan.bspl", "-o", str(tmp_path / "loan.bspl")]) == 2
    assert (tmp_path / "loan.bspl").read_text() == LOAN


def test_the_only_act_that_ends_a_dialogue_leads_to_the_only_end_state():
    text = TICKETS.replace("[end]", "[bye]").replace(", end]", ", bye]").replace("end: {}", "bye: {}")
    made = from_aea(text.replace("[successful]", "[failed]"), "tickets")
    assert "failed: failed" in made.text
    assert "is left out" not in made.text


@pytest.mark.parametrize("word", ["broken_off", "lost_connection", "oops", "interrupted"])
def test_an_end_that_sounds_bad_is_no_success(word):
    assert class_of(word) in ("failed", "cancelled")
