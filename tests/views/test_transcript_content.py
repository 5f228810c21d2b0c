"""How much of what is said a transcript keeps: all, hashes, or nothing."""

import hashlib
import json

import pytest

from agentcomm import Agent, enact_sync
from agentcomm.agents.judgement import Judgement
from agentcomm.cli.main import main
from agentcomm.conversation.audit import prove
from agentcomm.conversation.transcript import plain_bytes
from agentcomm.errors import AgentcommError, UsageError
from agentcomm.models.scripted import ScriptedModel
from agentcomm.protocol.library import loads
from agentcomm.runtime.replay import read_transcript, replay
from agentcomm.runtime.troubles import look_at
from agentcomm.store.jsonl import read_lines
from agentcomm.views.page import page_of
from agentcomm.views.story import story_of
from tests.tracing.traced_scenes import cast, sale

SAID = "Zanzibar"


def held(tmp_path, level, **how):
    path = tmp_path / f"{level}.jsonl"
    bob = Agent("bob", model=ScriptedModel(["rubbish", {"act": "propose", "content": {"price": "20 EUR"}}]))
    bob.on("accept-proposal")(lambda turn: turn.say("inform-done"))
    players = {**cast(item=SAID, slip=True, misfires=1), "seller": bob}
    result = enact_sync(
        sale(tmp_path),
        cast=players,
        brief={"seller": f"{SAID} is dear"},
        transcript=path,
        transcript_content=level,
        **how,
    )
    assert result.outcome == "done"
    return path


@pytest.mark.parametrize("level", ["hash", "none"])
def test_what_is_not_kept_is_not_there_and_the_record_holds(tmp_path, level, capsys):
    path = held(tmp_path, level)
    assert SAID.encode() not in path.read_bytes()
    assert b"20 EUR" not in path.read_bytes()
    assert b"rubbish" not in path.read_bytes()
    proof = prove(read_lines(path))
    assert proof.holds
    assert (proof.level, proof.unaccounted) == (level, ())
    assert proof.erased
    whole = story_of(read_transcript(held(tmp_path, "full")))
    story = story_of(read_transcript(path))
    assert [(row.kind, row.by, row.act, row.n) for row in story.rows] == [
        (row.kind, row.by, row.act, row.n) for row in whole.rows
    ]
    assert (story.outcome, story.level) == ("done", level)
    assert "protocol" in page_of(read_transcript(path))
    assert main(["trace", "verify", str(path)]) == 0
    assert main(["trace", "show", str(path), "--prompts"]) == 0
    out = capsys.readouterr().out
    assert out.count("what was said is not kept") == 2
    assert ("only its hashes" in out) is (level == "hash")
    assert SAID not in out
    with pytest.raises(AgentcommError):
        replay(path)


def test_a_hash_shows_that_a_content_was_said_and_none_shows_nothing(tmp_path):
    content = plain_bytes({"content": {"item": SAID}}, "x")
    known = "sha256:" + hashlib.sha256(content).hexdigest()
    names = {
        level: {record.body for record in read_transcript(held(tmp_path, level)).records}
        for level in ("hash", "none")
    }
    assert known in names["hash"]
    assert known not in names["none"]
    assert not (names["hash"] & names["none"]) - {"", *opened(tmp_path)}


def opened(tmp_path):
    return {r.body for r in read_transcript(tmp_path / "none.jsonl").records if r.kind == "open"}


def test_what_was_taken_out_later_is_still_told_from_what_was_never_kept(tmp_path):
    path = held(tmp_path, "full")
    lines = [line for line in read_lines(path) if SAID.encode() not in line]
    assert prove(lines).unaccounted
    forged = json.dumps({"level": "none"})
    assert forged not in path.read_text()


def test_the_sinks_of_a_prompt_name_only_who_keeps_it(tmp_path):
    for level, wanted in (("full", True), ("none", False)):
        record = read_transcript(held(tmp_path, level))
        asked = next(one for one in record.records if one.type == "model.request")
        assert any(name.startswith("transcript:") for name in asked.data["stored"]) is wanted


def test_a_talk_that_breaks_off_has_kept_no_content_either(tmp_path):
    ann = Agent("ann")

    @ann.opens
    def ask(turn):
        turn.note(SAID)
        raise RuntimeError(SAID)

    path = tmp_path / "broken.jsonl"
    with pytest.raises(RuntimeError):
        enact_sync(sale(tmp_path), cast={**cast(), "buyer": ann}, transcript=path, transcript_content="none")
    assert SAID.encode() not in path.read_bytes()
    assert prove(read_lines(path)).holds


def test_a_level_that_is_unknown_or_for_nothing_is_refused(tmp_path):
    for options in (
        {"transcript": tmp_path / "x.jsonl", "transcript_content": "some"},
        {"transcript_content": "hash"},
    ):
        with pytest.raises(UsageError) as caught:
            enact_sync(sale(tmp_path), cast=cast(), **options)
        assert caught.value.fix


def test_run_keeps_what_it_is_told_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["run", "incident-handoff", "--model", "scripted", "--transcript", "t.jsonl"]
    assert main([*command, "--transcript-content", "none"]) == 0
    assert b"shop.example" not in (tmp_path / "t.jsonl").read_bytes()


SHOWN = """
agentcomm: 1
protocol: shown
version: 1
about: Many are asked, each shows what it will do.
roles: {ann: 1, bob: 1..2}
acts:
  order: {act: request, content: {item: text}}
  packed: {act: inform, content: {note: text}, discharges: order}
  failure: {reason: text}
grounding: {order: demonstrated}
states:
  ordering: {ann: {order: packing}}
  packing: {bob: {packed: done, failure: failed}}
outcomes: {done: success, failed: failed, expired: expired}
settles: {success: any done, failed: otherwise}
"""


class Strict:
    """Finds something missing in what b2 shows, and in the first that anybody shows."""

    name = "strict"

    def __init__(self):
        self.asked = 0

    async def judge(self, meant, restated):
        self.asked += 1
        missing = (f"{SAID} is missing",) if self.asked == 1 or "b2" in restated["goal"] else ()
        return Judgement(self.name, missing, (), "")


@pytest.mark.parametrize("level", ["none", "hash"])
def test_neither_doubts_nor_demonstrations_nor_verdicts_are_kept(tmp_path, level):
    ann, crew = Agent("ann"), [Agent("b1"), Agent("b2")]
    ann.opens(lambda turn: turn.say("order", item=f"go to {SAID}"))
    for one in crew:

        def show(turn, name=one.name):
            return turn.say("demonstrate", goal=f"{name} goes to {SAID}", plan=[], missing=[], assumed=[])

        def pack(turn):
            if not turn.is_weighed("item"):
                return turn.unclear("item", {f"{SAID} city": 0.999, f"{SAID} island": 0.001})
            return turn.say("packed", note=SAID)

        one.on("order", overlay="demonstrate")(show)
        one.on("wrong", overlay="demonstrate")(show)
        one.on("order")(pack)
    path = tmp_path / "talk.jsonl"
    players = {"ann": ann, "bob": crew}
    result = enact_sync(loads(SHOWN), cast=players, judge=Strict(), transcript=path, transcript_content=level)
    assert SAID.encode() not in path.read_bytes()
    kinds = [type(event).__name__ for event in read_transcript(path).events()]
    assert {"EvidenceWanted", "Judged", "Chose", "GaveUp", "LaneEnded"} <= set(kinds)
    assert result.outcome_class == "success"
    assert look_at(read_transcript(path)).unchecked[0] == "what was said: it is not kept"
    assert main(["trace", "show", str(path), "--why"]) == 0
