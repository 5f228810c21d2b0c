"""A recorded exchange is judged by a protocol: the library's own sequences, and records made for one case each."""

import asyncio
import json

import pytest
from hypothesis import given as fuzz
from hypothesis import strategies as st

from agentcomm import Agent, Message, conforms, enact_sync, load
from agentcomm.acts.content import parse_duration
from agentcomm.errors import UsageError
from agentcomm.protocol.library import loads
from agentcomm.runtime.conforms import Verdict, conforms_file
from tests.protocol.library.test_sequences import sequences, tables
from tests.runtime.test_enact_lanes import bidder, manager

ASK = {"sender": "initiator", "act": "request", "content": {"action": "restart"}}
AGREE = {"sender": "participant", "act": "agree"}
DONE = {"sender": "participant", "act": "inform-done"}


@pytest.fixture(scope="module")
def request_protocol():
    return load("request")


def protocol_of(name):
    if "grounding" in tables()[name]:
        pytest.skip("a judge's verdict is in no record of others")
    return load(tables()[name].get("protocol", name))


def record(steps):
    """Return the steps of a sequence as a record that begins at 0 s."""
    at, lines = 0.0, [{"at": 0}]
    for given in steps:
        ((who, what),) = given.items()
        if who == "leave":
            pytest.skip("that somebody left is in no record of others")
        if who == "wait":
            at += parse_duration(what).total_seconds()
            lines.append({"at": at})
        else:
            ((act, content),) = what.items()
            role, _, lane = who.replace(" -> ", " ").partition(" ")
            lines.append({"sender": role, "act": act, "content": content, "at": at, "lane": lane or None})
    return lines


@pytest.mark.parametrize(("name", "row"), tuple(sequences("accept")))
def test_an_accepted_sequence_conforms(name, row):
    protocol = protocol_of(name)
    verdict = conforms(protocol, record(row["steps"]), members=row.get("members", ()))
    assert verdict.ok, verdict
    assert row["ends"] == (verdict.outcome_class if protocol.many else verdict.outcome)
    assert (verdict.state, verdict.legal, verdict.after_end) == ("", (), ())


@pytest.mark.parametrize(("name", "row"), tuple(sequences("refuse")))
def test_a_refused_step_is_found_at_its_place(name, row):
    lines = record([*row["steps"], row["then"]])
    verdict = conforms(protocol_of(name), lines, members=row.get("members", ()))
    assert (verdict.ok, verdict.line) == (False, len(lines)), verdict
    assert verdict.reason
    if verdict.code == "late":  # its lane is over
        assert verdict.state == verdict.lanes[verdict.lane]
        return
    assert verdict.code == row["code"], verdict
    assert verdict.floors
    assert verdict.legal or verdict.lanes
    assert verdict.outcome == ""


@pytest.mark.parametrize(("name", "row"), tuple(sequences("accept")))
def test_without_grounding_the_protocols_own_turns_are_enough(name, row):
    protocol = protocol_of(name)
    said = {line["act"] for line in record(row["steps"]) if "act" in line}
    if said - set(protocol.acts) or (row["ends"] not in protocol.outcomes and not protocol.many):
        pytest.skip("a repair is part of it")
    verdict = conforms(protocol, record(row["steps"]), grounding=False, members=row.get("members", ()))
    assert verdict.ok, verdict
    assert row["ends"] == (verdict.outcome_class if protocol.many else verdict.outcome)


def test_an_open_exchange_is_accepted_so_far(request_protocol):
    verdict = conforms(request_protocol, [ASK, AGREE])
    assert verdict.ok
    assert (verdict.state, verdict.outcome, verdict.speaker) == ("agreed", "", "participant")
    assert "failure(reason: text)" in verdict.legal
    [owed] = verdict.open_commitments
    assert (owed.debtor, owed.creditor, owed.act, owed.line, owed.status) == (
        "participant",
        "initiator",
        "request",
        1,
        "detached",
    )


def test_the_same_as_messages(request_protocol):
    said = [
        Message(act="request", sender="initiator", content={"action": "restart"}, receivers=("participant",)),
        Message(act="inform-done", sender="participant"),
    ]
    assert conforms(request_protocol, said).outcome == "done"


def test_nothing_said_is_open_at_the_start(request_protocol):
    verdict = conforms(request_protocol, [])
    assert (verdict.ok, verdict.state, verdict.messages) == (True, request_protocol.start, 0)


def test_after_the_end(request_protocol):
    verdict = conforms(request_protocol, [ASK, DONE, AGREE, DONE])
    assert (verdict.ok, verdict.line, verdict.code) == (False, 3, "after-end")
    assert verdict.after_end == (3, 4)
    assert (verdict.outcome, verdict.messages) == ("done", 2)


@pytest.mark.parametrize(
    ("receivers", "ok"), [(["participant"], True), ("participant", True), (["initiator"], False), ([], False)]
)
def test_receivers_are_those_of_the_move(request_protocol, receivers, ok):
    verdict = conforms(request_protocol, [ASK | {"receivers": receivers}])
    assert verdict.ok is ok
    if not ok:
        assert verdict.code == "wrong-receivers"
        assert (verdict.state, verdict.messages) == (request_protocol.start, 0)


def test_a_message_twice_has_no_second_effect(request_protocol):
    verdict = conforms(request_protocol, [ASK | {"id": "a"}, ASK | {"id": "a"}, AGREE])
    assert (verdict.ok, verdict.repeated, verdict.messages) == (True, (2,), 2)


def test_an_id_for_two_messages(request_protocol):
    verdict = conforms(request_protocol, [ASK | {"id": "a"}, AGREE | {"id": "a"}])
    assert (verdict.ok, verdict.line, verdict.code) == (False, 2, "reused-id")


def test_a_reply_to_what_was_never_said(request_protocol):
    verdict = conforms(request_protocol, [ASK, AGREE | {"in_reply_to": "x"}])
    assert verdict.code == "unknown-reference"


@pytest.mark.parametrize(
    ("first", "then", "outcome"),
    [
        (0, 59, "done"),
        (0, 60, "expired"),
        (1000.5, 1059, "done"),
        ("2026-11-24T10:00:00Z", "2026-11-24T10:00:59Z", "done"),
        ("2026-11-24T10:00:00Z", "2026-11-24T11:00:59+01:00", "done"),
        ("2026-11-24T10:00:00Z", "2026-11-24T10:02:00Z", "expired"),
        (0, None, "done"),
    ],
)
def test_deadlines_run_by_the_times_of_the_record(request_protocol, first, then, outcome):
    verdict = conforms(request_protocol, [ASK | {"at": first}, DONE | {"at": then}])
    assert verdict.outcome == outcome
    assert verdict.ok is (outcome == "done")


def test_a_time_alone_says_how_far_the_record_reaches(request_protocol):
    verdict = conforms(request_protocol, [ASK | {"at": 0}, {"at": 61}])
    assert (verdict.ok, verdict.outcome) == (True, "expired")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"act": "agree"}, "'sender'"),
        ({"sender": "participant"}, "'act'"),
        (AGREE | {"at": "noon"}, "RFC 3339"),
        (AGREE | {"at": "2026-11-24T10:00:00"}, "offset"),
        (AGREE | {"at": "2026-11-24T10:00:00Z"}, "in one record"),
        (AGREE | {"receivers": 4}, "receivers"),
        (AGREE | {"at": float("nan")}, "no time"),
        (AGREE | {"receiver": "initiator"}, "did you mean 'receivers'?"),
        ({"sender": "participant", "Act": "agree"}, "did you mean 'act'?"),
    ],
)
def test_a_line_that_cannot_be_read(request_protocol, line, reason):
    verdict = conforms(request_protocol, [ASK | {"at": 0}, line, DONE])
    assert (verdict.ok, verdict.line, verdict.code, verdict.messages) == (False, 2, "broken-line", 1)
    assert reason in verdict.reason
    assert verdict.state == "requested"


def test_keys_that_a_record_has_of_its_own_are_left_alone(request_protocol):
    more = {"note": "x", "line": 3, "date": "today", "timestamp": 4, "agent": "x"}
    assert conforms(request_protocol, [ASK | more, DONE | more]).outcome == "done"


@pytest.mark.parametrize(
    ("second", "earlier"),
    [(AGREE | {"at": 5}, "5 s"), ({"at": 9.5}, "0.5 s"), (AGREE | {"at": "2026-11-24T09:59:00Z"}, "60 s")],
)
def test_time_that_runs_backwards_is_told(request_protocol, second, earlier):
    first = "2026-11-24T10:00:00Z" if isinstance(second["at"], str) else 10
    verdict = conforms(request_protocol, [ASK | {"at": first}, second, DONE])
    assert (verdict.ok, verdict.line, verdict.code) == (False, 2, "time-backwards")
    assert f"{earlier} before line 1" in verdict.reason


def test_the_same_time_again_and_lines_without_one_are_no_step_back(request_protocol):
    verdict = conforms(request_protocol, [ASK | {"at": 10}, AGREE, DONE | {"at": 10}])
    assert (verdict.ok, verdict.outcome) == (True, "done")


@pytest.mark.parametrize(
    ("lines", "code", "meant"),
    [
        ([ASK | {"act": "reqest"}], "unexpected-act", "request"),
        ([ASK, AGREE | {"act": "agre"}], "unexpected-act", "agree"),
        ([ASK, AGREE | {"act": "not-understod"}], "unexpected-act", "not-understood"),
        ([ASK | {"sender": "initator"}], "wrong-party", "initiator"),
        ([ASK | {"receivers": ["partcipant"]}], "wrong-receivers", "participant"),
        ([ASK | {"content": {"acton": "sing"}}], "invalid-content", "action"),
    ],
)
def test_what_is_misspelt_is_told_with_what_was_meant(request_protocol, lines, code, meant):
    verdict = conforms(request_protocol, lines)
    assert verdict.code == code
    assert f"did you mean {meant!r}?" in verdict.reason


@pytest.mark.parametrize("row", [[DONE], [ASK | {"act": "xyz"}], [ASK | {"sender": "zoe"}]])
def test_what_is_like_no_name_has_no_hint(request_protocol, row):
    verdict = conforms(request_protocol, row)
    assert not verdict.ok
    assert "did you mean" not in verdict.reason


def test_a_lane_where_there_are_none(request_protocol):
    assert conforms(request_protocol, [ASK | {"lane": "b1"}]).code == "wrong-party"


SALE = """
agentcomm: 1
protocol: sale
version: 1
roles: [buyer, seller]
acts:
  cfp: {item: text}
  propose: {content: {price: money}, critical: [price], stakes: high}
  accept-proposal: {price: money}
  reject-proposal: {reason: text}
  refuse: {reason: text}
grounding:
  accept-proposal: {repeats: {price: propose.price}}
states:
  calling: {buyer: {cfp: asked}}
  asked: {seller: {propose: weighing, refuse: refused}}
  weighing: {buyer: {accept-proposal: sold, reject-proposal: refused}}
outcomes: {sold: success, refused: refused}
"""
CALL = {"sender": "buyer", "act": "cfp", "content": {"item": "bolt"}}
OFFER = {"sender": "seller", "act": "propose", "content": {"price": "10 EUR"}}
READ = {"sender": "buyer", "act": "readback", "content": {"fields": {"price": "10 EUR"}}}
RIGHT = {"sender": "seller", "act": "right"}


def accept(price):
    return {"sender": "buyer", "act": "accept-proposal", "content": {"price": price}}


@pytest.fixture(scope="module")
def sale():
    return loads(SALE)


def test_a_readback_that_is_missing(sale):
    verdict = conforms(sale, [CALL, OFFER, accept("10 EUR")])
    assert (verdict.ok, verdict.line, verdict.code) == (False, 3, "unexpected-act")
    [open_] = verdict.open_repairs
    assert (open_.overlay, open_.act, open_.line, open_.speaker) == ("read-back", "propose", 2, "buyer")


@pytest.mark.parametrize("made", [[], [RIGHT]])
def test_a_move_that_code_makes_may_be_missing(sale, made):
    verdict = conforms(sale, [CALL, OFFER, READ, *made, accept("10 EUR")])
    assert (verdict.ok, verdict.outcome, verdict.open_repairs) == (True, "sold", ())


def test_a_foreign_record_without_readbacks(sale):
    assert conforms(sale, [CALL, OFFER, accept("10 EUR")], grounding=False).outcome == "sold"


def test_without_grounding_what_differs_is_a_bad_step(sale):
    verdict = conforms(sale, [CALL, OFFER, accept("9 EUR")], grounding=False)
    assert (verdict.ok, verdict.line, verdict.code) == (False, 3, "differs")
    assert "price" in verdict.reason
    assert (verdict.state, verdict.outcome) == ("weighing", "")


def test_with_grounding_what_differs_opens_a_repair(sale):
    verdict = conforms(sale, [CALL, OFFER, READ, accept("9 EUR")])
    assert verdict.ok
    assert [found.overlay for found in verdict.open_repairs] == ["repair"]


def test_what_is_to_be_demonstrated_is_judged_without_grounding_only():
    text = SALE.replace("grounding:\n", "grounding:\n  cfp: demonstrated\n")
    with pytest.raises(UsageError):
        conforms(loads(text), [CALL])
    assert conforms(loads(text), [CALL], grounding=False).ok


def test_a_verdict_is_data_and_cannot_be_changed(request_protocol):
    verdict = conforms(request_protocol, [ASK, AGREE, AGREE])
    assert json.loads(json.dumps(verdict.as_dict()))["line"] == 3
    assert set(verdict.as_dict()) == set(Verdict.__dataclass_fields__)
    with pytest.raises(AttributeError):
        verdict.ok = True


# --- lanes, gathers, races and runs ---

CFP = {
    "sender": "manager",
    "act": "cfp",
    "content": {"goal": "paint the fence", "due": "2026-12-01T18:00:00Z"},
}


def bid(lane, **more):
    return {"sender": "bidder", "lane": lane, "act": "refuse", "content": {"reason": "far"}} | more


def offer(lane):
    return bid(lane, act="propose", content={"price": "9 EUR", "plan": "alone"})


def answer(lane, act="reject-proposal", **content):
    return {"sender": "manager", "lane": lane, "act": act, "content": content or {"reason": "dear"}}


@pytest.fixture(scope="module")
def contract_net():
    return load("contract-net")


def test_members_are_those_that_a_lane_names(contract_net):
    verdict = conforms(contract_net, [CFP, offer("b2"), bid("b1")], grounding=False)
    assert verdict.ok
    assert verdict.lanes == {"b2": "weighing", "b1": "declined"}
    assert (verdict.state, verdict.speaker) == ("", "manager")
    assert [floor.lane for floor in verdict.floors] == ["b2"]


def test_a_silent_member_stands_for_those_that_no_lane_names(contract_net):
    verdict = conforms(contract_net, [CFP])
    assert (verdict.ok, verdict.lanes) == (True, {"bidder1": "bidding"})


@pytest.mark.parametrize("members", [["b1", "b1"], ["manager"], [f"b{n}" for n in range(99)]])
def test_members_that_do_not_fit(contract_net, members):
    with pytest.raises(UsageError):
        conforms(contract_net, [CFP], members=members)


def test_fewer_members_than_there_must_be():
    protocol = load("sealed-vote")
    with pytest.raises(UsageError, match="1 play") as caught:
        conforms(protocol, [], members=["m1"])
    assert caught.value.code == "U410"


def test_members_by_their_own_names(contract_net):
    calls = CFP | {"receivers": ["b1", "b2"]}
    own = [
        {key: value for key, value in bid(name, sender=name).items() if key != "lane"}
        for name in ("b1", "b2")
    ]
    verdict = conforms(contract_net, [calls, *own], members=["b1", "b2"])
    assert (verdict.ok, verdict.outcome_class) == (True, "refused"), verdict


def test_a_message_to_one_member_is_said_in_its_lane(contract_net):
    said = answer("b2") | {"receivers": "b2"}
    del said["lane"]
    record = [CFP, offer("b1"), offer("b2"), said]
    verdict = conforms(contract_net, record, grounding=False, members=["b1", "b2"])
    assert verdict.ok, verdict
    assert verdict.open_gather == ("b1",)


def test_a_misspelt_role_is_not_taken_for_a_member_in_silence(contract_net):
    verdict = conforms(contract_net, [CFP | {"sender": "manger"}])
    assert verdict.code == "unexpected-act"
    assert "'manger' is taken for a bidder; did you mean 'manager'?" in verdict.reason


def test_a_member_that_is_named_after_its_role_is_not_taken_for_a_slip(contract_net):
    verdict = conforms(contract_net, [CFP | {"sender": "bidder-1"}])
    assert verdict.code == "unexpected-act"
    assert "taken for" not in verdict.reason


def test_a_member_in_the_lane_of_another(contract_net):
    record = [CFP, offer("b1"), offer("b2"), answer("b2") | {"receivers": ["b1"]}]
    verdict = conforms(contract_net, record, grounding=False)
    assert (verdict.code, verdict.lane, verdict.line) == ("wrong-receivers", "b2", 4)
    assert "in the lane of b2, not to b1" in verdict.reason


def test_a_lane_that_does_not_exist(contract_net):
    verdict = conforms(contract_net, [CFP, bid("b3")], members=["b1", "b2"])
    assert (verdict.code, verdict.line) == ("wrong-party", 2)


def test_what_is_said_at_a_gather_counts_and_the_turn_is_open(contract_net):
    record = [CFP, offer("b1"), offer("b2"), answer("b1")]
    verdict = conforms(contract_net, record, grounding=False)
    assert (verdict.ok, verdict.messages, verdict.open_gather) == (True, 4, ("b2",))
    assert verdict.lanes == {"b1": "weighing", "b2": "weighing"}
    again = conforms(contract_net, [*record, answer("b1")], grounding=False)
    assert (again.ok, again.code, again.lane) == (False, "unexpected-act", "b1")


def test_what_differs_at_a_gather_names_its_line(contract_net):
    record = [CFP, offer("b1"), offer("b2"), answer("b1", "accept-proposal", price="8 EUR"), answer("b2")]
    verdict = conforms(contract_net, record, grounding=False)
    assert (verdict.ok, verdict.line, verdict.code) == (False, 5, "differs")
    assert verdict.reason.startswith("line 4 differs from the record: ")


def test_in_a_lane_that_has_ended(contract_net):
    verdict = conforms(contract_net, [CFP, bid("b1"), bid("b1"), bid("b2")])
    assert (verdict.ok, verdict.line, verdict.code, verdict.lane) == (False, 3, "late", "b1")
    assert verdict.lanes == {"b1": "declined", "b2": "bidding"}


def test_deadlines_run_out_in_each_lane(contract_net):
    verdict = conforms(contract_net, [CFP | {"at": 0}, bid("b1", at=1), {"at": 31}], members=["b1", "b2"])
    assert verdict.ok
    assert verdict.lanes["b1"] == "declined"
    assert verdict.lanes["b2"] != "bidding"
    assert verdict.outcome


def test_open_repairs_name_their_lane(contract_net):
    verdict = conforms(contract_net, [CFP, offer("b1")], members=["b1", "b2"])
    assert [(found.lane, found.line) for found in verdict.open_repairs] == [("b1", 2)]


RACE = """
agentcomm: 1
protocol: job
version: 1
roles: [caller, worker]
acts:
  request: {action: text}
  inform: {result: text}
  propose: {reason: text}
  agree: {}
states:
  asking: {caller: {request: working}}
  working:
    first: worker
    worker: {inform: closing}
    caller: {propose: closing}
  closing: {caller: {agree: done}}
outcomes: {done: success}
"""


def test_a_message_that_lost_a_race_is_no_fault():
    asked = {"sender": "caller", "act": "request", "content": {"action": "sing"}}
    called_off = {"sender": "caller", "act": "propose", "content": {"reason": "late"}}
    told = {"sender": "worker", "act": "inform", "content": {"result": "la"}}
    verdict = conforms(loads(RACE), [asked])
    assert {floor.speaker for floor in verdict.floors} == {"caller", "worker"}
    verdict = conforms(loads(RACE), [asked, called_off, told])
    assert (verdict.ok, verdict.superseded, verdict.messages) == (True, (3,), 2), verdict


def test_acts_of_a_run_by_their_own_names():
    plan = {"goal": "pass", "steps": ["fix"], "test": "pytest"}
    record = [
        {"sender": "lead", "act": "plan", "content": plan},
        {"sender": "lead", "act": "request"},
        {"sender": "worker", "act": "refuse", "content": {"reason": "no access"}},
    ]
    verdict = conforms(load("plan-execute-verify"), record)
    assert (verdict.ok, verdict.outcome, verdict.messages) == (True, "refused", 3), verdict


BIDS = st.builds(
    lambda row, lane, to: (
        row | ({"lane": lane} if lane is not None else {}) | ({"receivers": to} if to else {})
    ),
    st.sampled_from(
        [CFP, offer("b1"), bid("b1"), answer("b1"), answer("b1", "accept-proposal", price="9 EUR")]
    ),
    st.sampled_from(["b1", "b2", "manager", "b 3", "", None]),
    st.sampled_from([None, ["b1"], ["b1", "b2"], ["bidder"], ["x"]]),
)


@fuzz(st.lists(BIDS, max_size=8), st.booleans())
def test_no_record_with_lanes_makes_it_raise(contract_net, lines, grounding):
    verdict = conforms(contract_net, lines, grounding=grounding)
    assert verdict.ok == (verdict.line == 0) == (verdict.code == "")
    json.dumps(verdict.as_dict())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
LINES = st.fixed_dictionaries(
    {},
    optional={
        "sender": st.sampled_from(["initiator", "participant", "x"]) | JSON,
        "act": st.sampled_from(["request", "agree", "inform-done", "not-understood"]) | JSON,
        "content": st.just({"action": "sing"}) | st.just({"reason": "why"}) | JSON,
        "receivers": JSON,
        "at": st.floats() | st.integers() | JSON,
        "id": st.sampled_from(["a", "line 2"]) | JSON,
        "in_reply_to": JSON,
        "lane": JSON,
    },
)


@fuzz(st.lists(LINES | JSON, max_size=6), st.booleans())
def test_no_record_makes_it_raise(lines, grounding):
    verdict = conforms(load("request"), lines, grounding=grounding)
    assert verdict.ok == (verdict.line == 0) == (verdict.code == "")
    json.dumps(verdict.as_dict())


# --- transcripts of ours ---


@pytest.fixture
def talk(request_protocol, tmp_path):
    """Return a transcript in which the participant was refused once before it answered."""
    ask, do = Agent("ask"), Agent("do")
    tries = []

    @ask.opens
    def say(turn):
        return turn.say("request", action="sing")

    @do.on("request")
    def answer(turn):
        tries.append(turn.refusal)
        return Message(act="inform-done" if len(tries) > 1 else "sing")

    path = tmp_path / "talk.jsonl"
    enact_sync(request_protocol, cast={"initiator": ask, "participant": do}, transcript=path)
    return path


def test_a_transcript_of_ours_is_recognised(request_protocol, talk):
    verdict = conforms_file(request_protocol, talk)
    assert (verdict.ok, verdict.outcome, verdict.messages) == (True, "done", 2), verdict
    assert conforms(request_protocol, enacted(request_protocol)).ok


def enacted(protocol):
    ask, do = Agent("ask"), Agent("do")
    ask.opens(lambda turn: turn.say("request", action="sing"))
    do.on("request")(lambda turn: turn.say("refuse", reason="hoarse"))
    return enact_sync(protocol, cast={"initiator": ask, "participant": do}).transcript


def test_a_transcript_by_another_protocol_names_the_line(talk):
    verdict = conforms_file(load("query"), talk)
    assert not verdict.ok
    line = talk.read_text(encoding="utf-8").splitlines()[verdict.line - 1]
    assert '"kind":"input"' in line


def test_a_damaged_transcript_is_judged_up_to_the_damage(request_protocol, talk):
    lines = talk.read_text(encoding="utf-8").splitlines()
    last = max(number for number, line in enumerate(lines) if '"type":"say"' in line)
    lines[last] = lines[last].replace("say", "sax")
    talk.write_text("\n".join(lines), encoding="utf-8")
    verdict = conforms_file(request_protocol, talk)
    assert (verdict.ok, verdict.line, verdict.code) == (False, last + 1, "broken-line")
    assert (verdict.messages, verdict.state) == (1, "requested")


def test_an_erased_message_is_where_judging_stops(request_protocol, talk):
    lines = talk.read_text(encoding="utf-8").splitlines()
    kept = [
        line
        for line in lines
        if not (line.startswith('{"blob"') and "sing" in line and "agentcomm" not in line)
    ]
    talk.write_text("\n".join(kept), encoding="utf-8")
    verdict = conforms_file(request_protocol, talk)
    assert (verdict.code, verdict.messages) == ("broken-line", 0)
    assert "erased" in verdict.reason


def test_a_conversation_that_was_left_is_at_its_end(request_protocol, tmp_path):
    ask, do = Agent("ask"), Agent("do")
    ask.opens(lambda turn: turn.say("request", action="sing"))

    @do.on("request")
    def fail(turn):
        raise RuntimeError("hoarse")

    path = tmp_path / "left.jsonl"
    with pytest.raises(RuntimeError):
        enact_sync(request_protocol, cast={"initiator": ask, "participant": do}, transcript=path)
    verdict = conforms_file(request_protocol, path)
    assert (verdict.ok, verdict.outcome) == (True, "aborted")


def test_a_conversation_whose_time_was_up_is_at_its_end(request_protocol, tmp_path):
    ask, do = Agent("ask"), Agent("do")
    ask.opens(lambda turn: turn.say("request", action="sing"))

    @do.on("request")
    async def sleep(turn):
        await asyncio.sleep(5)

    path = tmp_path / "slow.jsonl"
    cast = {"initiator": ask, "participant": do}
    enact_sync(request_protocol, cast=cast, transcript=path, deadline=0.1)
    verdict = conforms_file(request_protocol, path)
    assert (verdict.ok, verdict.outcome, verdict.messages) == (True, "expired", 1)


@pytest.mark.parametrize("price", [0, 800])
def test_a_transcript_with_lanes(contract_net, tmp_path, price):
    path = tmp_path / "lanes.jsonl"
    bidders = [bidder("bea", 900), bidder("bob", price)]
    cast = {"manager": manager(), "bidder": bidders}
    result = enact_sync(contract_net, cast=cast, transcript=path)
    verdict = conforms_file(contract_net, path)
    assert verdict.ok, verdict
    assert (verdict.outcome, verdict.messages) == (result.outcome, result.conversation.n)
    assert verdict.lanes == {name: lane.outcome.name for name, lane in result.lanes.items()}
    assert conforms(contract_net, result.transcript).ok


def test_a_record_with_the_names_of_agents_is_judged_with_its_cast():
    said = [
        {"sender": "ann", "receivers": ["bob"], "act": "request", "content": {"action": "restart"}},
        {"sender": "bob", "receivers": ["ann"], "act": "agree"},
    ]
    bare = conforms(load("request"), said)
    assert (bare.line, bare.code) == (1, "wrong-party")
    assert "a cast says who plays which: ann=ROLE" in bare.reason
    verdict = conforms(load("request"), said, cast={"ann": "initiator", "bob": "participant"})
    assert (verdict.ok, verdict.messages, verdict.state) == (True, 2, "agreed")
    with pytest.raises(UsageError, match="'initator' is no role"):
        conforms(load("request"), said, cast={"ann": "initator"})


def test_who_speaks_and_is_no_role_is_a_member():
    task = {"goal": "paint", "due": "2026-12-01T00:00:00Z"}
    said = [
        {"sender": "manager", "act": "cfp", "content": task},
        {"sender": "b1", "receivers": ["manager"], "act": "refuse", "content": {"reason": "busy"}},
        {"sender": "b2", "receivers": ["manager"], "act": "refuse", "content": {"reason": "busy"}},
    ]
    verdict = conforms(load("contract-net"), said)
    assert (verdict.ok, set(verdict.lanes), verdict.outcome_class) == (True, {"b1", "b2"}, "refused")
    named = [{**line, "sender": "ann" if line["sender"] == "manager" else line["sender"]} for line in said]
    assert conforms(load("contract-net"), named, cast={"ann": "manager"}).outcome_class == "refused"
