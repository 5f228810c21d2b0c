"""`agentcomm conforms` as a person or a pipeline uses it."""

import json

import pytest

from agentcomm.cli.main import main

ASK = {"sender": "initiator", "act": "request", "content": {"action": "restart"}}
AGREE = {"sender": "participant", "act": "agree"}
REFUSE = {"sender": "participant", "act": "refuse", "content": {"reason": "no"}}
DONE = {"sender": "participant", "act": "inform-done"}


@pytest.fixture
def call(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*lines, options=(), protocol="request"):
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        (tmp_path / "trace.jsonl").write_text(text, encoding="utf-8")
        code = main(["conforms", protocol, "trace.jsonl", *options])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def test_accepted_at_an_outcome(call):
    code, out, _ = call(ASK, AGREE, DONE)
    assert code == 0
    assert out == "accepted: 3 messages, done (success): participant said inform-done\n"


def test_accepted_and_open(call):
    code, out, _ = call(ASK, AGREE)
    assert code == 0
    assert out.startswith("accepted so far: 2 messages, in 'agreed'\n")
    assert "  legal  participant: failure(reason: text)\n" in out
    assert "  owed   request (detached), by participant to initiator, line 1\n" in out


def test_the_first_bad_step(call):
    code, out, _ = call(ASK, "", AGREE, REFUSE)
    assert code == 1
    assert out.startswith("line 4: participant: refuse reason=no\n  why    unexpected-act: ")
    assert "  after  2 messages, in 'agreed'\n" in out
    assert "         participant: inform-done()\n" in out


def test_time_that_runs_backwards(call):
    code, out, _ = call(ASK | {"at": 10}, {"at": 4})
    assert code == 1
    assert out.startswith(
        "line 2: a time\n  why    time-backwards: it is 6 s before line 1: sort the record by"
    )


def test_after_the_end(call):
    code, out, _ = call(ASK, REFUSE, AGREE, DONE)
    assert code == 1
    assert "why    after-end: the conversation ended as refused" in out
    assert "late   said after the end: lines 3, 4" in out


@pytest.mark.parametrize("line", ['{"sender": "participant"', "[]", "agree", '{"act": "agree"}', "\\xff"])
def test_a_broken_line_is_named_and_what_is_before_it_judged(call, line):
    code, out, _ = call(ASK, line, DONE)
    assert code == 1
    assert out.startswith("line 2: cannot be read\n  why    broken-line: not a line of a record: ")
    assert "after  1 message, in 'requested'" in out


def test_json_has_all_of_it(call):
    code, out, _ = call(ASK, AGREE, REFUSE, options=["--json"])
    found = json.loads(out)
    assert code == 1
    assert (found["protocol"], found["ok"], found["line"], found["code"]) == (
        "request",
        False,
        3,
        "unexpected-act",
    )
    assert (found["state"], found["speaker"], found["outcome"]) == ("agreed", "participant", "")
    assert "inform-done()" in found["legal"]
    assert found["open_commitments"][0]["status"] == "detached"


def test_a_readback_is_asked_for_unless_the_record_has_none(call):
    hand = {
        "host": "h",
        "service": "s",
        "first_seen": "2026-11-24T10:00:00Z",
        "error_count": 3,
        "severity": "low",
        "situation": "x",
        "background": "x",
        "assessment": "x",
        "recommendation": "x",
    }
    said = (
        {"sender": "monitor", "act": "handoff", "content": hand},
        {"sender": "oncall", "act": "i-have-it"},
    )
    code, out, _ = call(*said, protocol="incident-handoff")
    assert code == 1
    assert "open   read-back about handoff, line 1: oncall is to speak" in out
    code, out, _ = call(*said, protocol="incident-handoff", options=["--no-grounding"])
    assert (code, out.partition(":")[0]) == (0, "accepted")


def test_a_transcript_of_ours(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "incident-handoff", "--model", "scripted", "--transcript", "t.jsonl"]) == 0
    capsys.readouterr()
    assert main(["conforms", "incident-handoff", "t.jsonl"]) == 0
    assert "transferred (success)" in capsys.readouterr().out


CALL = {
    "sender": "manager",
    "act": "cfp",
    "content": {"goal": "paint the fence", "due": "2026-12-01T18:00:00Z"},
}
BID = {"sender": "b1", "act": "propose", "content": {"price": "900 EUR", "plan": "alone"}}


def test_members_by_their_own_names(call):
    code, out, _ = call(CALL, BID, protocol="contract-net", options=["--members", "b1,b2"])
    assert code == 0
    assert out.startswith("accepted so far: 2 messages, lanes b1 in 'bidding', b2 in 'bidding'\n")
    assert "  open   read-back about propose, lane b1, line 2: manager is to speak\n" in out
    assert "  bidder (b2): refuse(reason: text)\n" in out.replace("       ", "")


def test_a_bad_step_in_a_lane(call):
    code, out, _ = call(CALL, BID, BID, protocol="contract-net", options=["--members", "b1, b2", "--json"])
    found = json.loads(out)
    assert code == 1
    assert (found["line"], found["lane"], found["code"]) == (3, "b1", "unexpected-act")
    assert found["lanes"] == {"b1": "bidding", "b2": "bidding"}
    code, out, _ = call(CALL, BID, BID, protocol="contract-net", options=["--members", "b1,b2"])
    assert "  legal  manager (b1): readback(" in out
    assert "(b2)" not in out


def test_wrong_use(call, capsys):
    code, _, err = call(ASK, options=["--members", "b1,b2"])
    assert code == 2
    assert "no role that several agents play" in err
    code, _, err = call(ASK, protocol="reqest")
    assert code == 2
    assert "'request'" in err
    assert main(["conforms", "request", "nowhere.jsonl"]) == 4
    assert "nowhere.jsonl" in capsys.readouterr().err
