"""The command line as a person uses it: a process of its own, its output, its exit code."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from agentcomm import replay
from agentcomm.conversation.transcript import Chain
from tests.models.fake_ollama import FakeOllama, says, slow


@pytest.fixture
def agentcomm(tmp_path):
    def call(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "agentcomm.cli.main", *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


def transcripts(folder):
    return sorted((folder / "transcripts").glob("*.jsonl"))


def test_the_example_runs_offline_and_shows_the_repair(agentcomm, tmp_path):
    done = agentcomm("run", "incident-handoff", "--model", "scripted")
    assert done.returncode == 0, done.stderr
    assert "monitor -> oncall  handoff  host=shop.example" in done.stdout
    assert "differs: error_count (meant 176, understood 167)" in done.stdout
    assert "owner: oncall (was monitor), by message 6" in done.stdout
    [path] = transcripts(tmp_path)
    assert f"transcript transcripts/{path.name}" in done.stdout
    assert replay(path).same


def test_json_is_one_object_and_nothing_else(agentcomm, tmp_path):
    done = agentcomm("run", "incident-handoff", "--model", "scripted", "--json", "--transcript", "a.jsonl")
    result = json.loads(done.stdout)
    assert (result["outcome"], result["class"], result["owner"]) == ("transferred", "success", "oncall")
    assert result["ground"]["handoff.error_count"] == 176
    assert result["transcript"] == "a.jsonl"
    assert replay(tmp_path / "a.jsonl").state_hash == result["state"]


def test_the_other_example_runs_too(agentcomm):
    done = agentcomm("run", "purchase", "--model", "scripted")
    assert done.returncode == 0, done.stderr
    assert "sold (success)" in done.stdout


def test_replay_and_trace_take_the_newest_transcript(agentcomm, tmp_path):
    agentcomm("run", "purchase", "--model", "scripted")
    same = agentcomm("replay")
    assert same.returncode == 0
    assert same.stdout.startswith("the same: sold after ")
    shown = agentcomm("trace", "show", "--prompts")
    assert "Ann -> Bob  cfp" in shown.stdout
    assert "the chain is whole, sealed" in shown.stdout
    assert "| Say readback price valid_until" in shown.stdout
    assert json.loads(agentcomm("trace", "show", "--json").stdout)[0]["kind"] == "open"


def test_a_changed_transcript_is_told_by_its_line(agentcomm, tmp_path):
    agentcomm("run", "purchase", "--model", "scripted")
    [path] = transcripts(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if b'"city bike"' in line)
    lines[at] = lines[at].replace(b"city bike", b"race bike")
    path.write_bytes(b"".join(lines))
    for command in (["replay"], ["trace", "show"]):
        done = agentcomm(*command)
        assert done.returncode == 1
        assert f"line {at + 1}: this content is not what was recorded" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_user_needs_no_model_to_be_told_what_to_do(agentcomm):
    done = agentcomm("run", "incident-handoff", "--model", "ollama:qwen3:4b")
    assert done.returncode == 4
    assert "no Ollama server answers" in done.stderr
    assert "ollama serve" in done.stderr
    assert "transcript transcripts/incident-handoff-" in done.stdout


def test_a_running_ollama_is_used_when_no_model_is_named(agentcomm, tmp_path):
    words = dict.fromkeys(
        ("situation", "background", "assessment", "recommendation"), "nginx reports errors."
    )
    fields = {
        "host": "shop.example",
        "service": "nginx",
        "first_seen": "2026-11-23T22:56:01",
        "error_count": 176,
        "severity": "critical",
    }
    replies = [
        says(json.dumps(words)),
        says(json.dumps({"act": "readback", "content": {"fields": fields}})),
        says(json.dumps({"act": "i-have-it", "content": {}})),
    ]
    with FakeOllama(replies=replies) as server:
        done = agentcomm("run", "incident-handoff", OLLAMA_HOST=server.url)
    assert done.returncode == 0, done.stderr
    assert "its model demo is used" in done.stderr
    assert "transferred (success)" in done.stdout
    sent = [
        json.loads(chat.body) if isinstance(chat.body, str | bytes) else chat.body for chat in server.chats
    ]
    assert all(body["truncate"] is False and body["think"] is False for body in sent)


def test_without_any_model_the_ways_out_are_named(agentcomm, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['xllamacpp'] = None")
    done = agentcomm("run", "incident-handoff", PYTHONPATH=str(tmp_path))
    assert done.returncode == 4
    assert "there is no model to run" in done.stderr
    for way in ("pip install xllamacpp", "ollama pull", "--model scripted"):
        assert way in done.stderr
    assert not transcripts(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "incident-handof"], 2, "did you mean 'incident-handoff'"),
        (["run", "incident-handoff", "--model", "qwen3:4b"], 2, "ollama:qwen3:4b"),
        (
            ["run", "incident-handoff", "--model", "scripted", "--cast", "boss=x"],
            2,
            "the roles are monitor, oncall",
        ),
        (
            ["run", "incident-handoff", "--model", "scripted", "--input", "empty.log"],
            2,
            "needs a model that reads it",
        ),
        (["run", "_overlays/read-back", "--model", "scripted"], 2, "is an overlay"),
        (["run", "request", "--model", "scripted"], 2, "there are no scripted replies here"),
        (
            ["run", "purchase", "--model", "embedded:", "--input", "empty.log"],
            2,
            "purchase reads no file",
        ),
        (["run", "broken.yaml"], 1, "broken.yaml:3:8: E100"),
        (["run", "nowhere.yaml"], 4, "nowhere.yaml"),
        (["run", "incident-handoff", "--input", "nowhere.log"], 4, "no such file"),
        (["run", "incident-handoff", "--model", "scripted", "--deadline", "soon"], 2, "--deadline 10m"),
        (
            ["run", "incident-handoff", "--model", "scripted", "--brief", "monitor=hi"],
            2,
            "several things by name",
        ),
        (["run", "incident-handoff", "--model", "scripted", "--transcript", "file/x.jsonl"], 4, "is a file"),
        (["check", "broken.yaml"], 1, "1 error"),
        (["replay", "empty.log"], 1, "empty"),
        (["replay", "binary.log"], 1, "this is not a transcript"),
        (["replay", "nowhere.jsonl"], 4, "cannot read"),
        (["replay"], 2, "there is no transcript in ./transcripts"),
        ([], 2, ""),
    ],
)
def test_bad_input_gets_a_message_a_remedy_and_an_exit_code(agentcomm, tmp_path, arguments, code, words):
    (tmp_path / "empty.log").write_bytes(b"")
    (tmp_path / "binary.log").write_bytes(bytes(range(256)))
    (tmp_path / "file").write_text("")
    (tmp_path / "broken.yaml").write_text("agentcomm: 1\nprotocol: x\nroles: [a, b\n")
    done = agentcomm(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if code in {2, 4} and words:
        assert "fix  " in done.stderr


@pytest.mark.parametrize("name", ["empty.log", "binary.log", "calm.log"])
def test_a_log_that_cannot_be_used_says_so_and_keeps_the_transcript(agentcomm, tmp_path, name):
    (tmp_path / "empty.log").write_bytes(b"")
    (tmp_path / "binary.log").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "calm.log").write_text("2026-01-01T00:00:00Z INFO all is well\n")
    with FakeOllama() as server:
        done = agentcomm(
            "run", "incident-handoff", "--model", "ollama:demo", "--input", name, OLLAMA_HOST=server.url
        )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "X301" in done.stderr
    assert "fix  " in done.stderr
    [path] = transcripts(tmp_path)
    assert replay(path).conversation.outcome.kind == "aborted"


def test_an_ollama_that_dies_mid_turn_is_told_and_the_transcript_is_kept(tmp_path):
    server = FakeOllama(replies=[slow(says("{}"), 20.0)])
    with server:
        process = start(tmp_path, server)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 4, out + err
    assert "no Ollama server answers" in err
    assert "fix  start it with `ollama serve`" in err
    assert "Traceback" not in err
    [path] = transcripts(tmp_path)
    assert replay(path).conversation.outcome.kind == "aborted"


def test_a_model_that_babbles_comes_to_an_end_with_a_reason(agentcomm, tmp_path):
    with FakeOllama(replies=[says("Sure! Here you go:"), says("[]"), says("")], repeat=True) as server:
        done = agentcomm("run", "incident-handoff", "--model", "ollama:demo", OLLAMA_HOST=server.url)
    assert done.returncode == 3, done.stderr
    assert done.stdout.count("refused: monitor: ") == 3
    assert "aborted (aborted): monitor left: monitor found nothing to say that counts" in done.stdout
    [path] = transcripts(tmp_path)
    assert replay(path).same


def start(folder, server):
    """Start the example in a process of its own; return it once it waits for the model."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agentcomm.cli.main", "run", "incident-handoff", "--model", "ollama:demo"],
        cwd=folder,
        env=os.environ | {"OLLAMA_HOST": server.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 40
    while not server.chats and time.monotonic() < until:
        time.sleep(0.02)
    return process


def test_ctrl_c_ends_the_conversation_as_cancelled_and_keeps_it(tmp_path):
    with FakeOllama(replies=[slow(says("{}"), 20.0)]) as server:
        process = start(tmp_path, server)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert "cancelled" in out
    assert "stopped; the transcript so far" in err
    assert "Traceback" not in err
    [path] = transcripts(tmp_path)
    assert replay(path).conversation.outcome.kind == "cancelled"


def test_check_and_show(agentcomm):
    assert agentcomm("check", "incident-handoff", "purchase", "request").returncode == 0
    assert "at most 6 messages, " in agentcomm("show", "incident-handoff").stdout
    assert agentcomm("show", "request", "--format", "mermaid").stdout.startswith("stateDiagram-v2")
    assert "incident-handoff" in agentcomm("show").stdout
    assert json.loads(agentcomm("check", "request", "--format", "json").stdout)["findings"] == []


def test_doctor_says_what_is_there(agentcomm):
    rows = json.loads(agentcomm("doctor", "--json").stdout)
    assert {row["what"] for row in rows} >= {
        "agentcomm",
        "ollama",
        "embedded",
        "protocols",
        "examples",
        "transcripts",
    }
    assert next(row for row in rows if row["what"] == "ollama")["fix"]
    with FakeOllama() as server:
        text = agentcomm("doctor", OLLAMA_HOST=server.url).stdout
    assert "ollama:demo" in text


def test_a_terminal_that_lacks_a_character_gets_its_number(agentcomm, tmp_path):
    agentcomm("run", "purchase", "--model", "scripted")
    done = agentcomm("trace", "show", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\\u2026" in done.stdout


def test_no_colour_and_no_folding_in_a_pipe(agentcomm):
    done = agentcomm("run", "purchase", "--model", "scripted")
    assert "\x1b" not in done.stdout
    wide = agentcomm("run", "purchase", "--model", "scripted", FORCE_COLOR="1")
    assert "\x1b[" in wide.stdout


STEER = "\x1b]0;owned\x07\x1b[2J"


def test_a_stranger_s_files_cannot_steer_a_terminal(agentcomm, tmp_path):
    body = (
        "roles: [a, b]\nacts: {request: {action: text}, refuse: {reason: text}}\n"
        "states: {s0: {a: {request: s1}}, s1: {b: {refuse: %s}}}\noutcomes: {no1: refused}\n"
    )
    head = 'agentcomm: 1\nprotocol: evil\nversion: 1\nabout: "x\\e[2J"\n'
    (tmp_path / "about.yaml").write_text(head + body % "no1")
    (tmp_path / "broken.yaml").write_text(head + body % '"no\\e[2J"')
    chain = Chain(now=lambda: STEER, salt=lambda: "0" * 16)
    opening = {
        "conversation": STEER,
        "protocol": {"name": STEER, "version": "1", "hash": STEER * 3},
        "cast": {"a": {"agent": STEER, "model": f"m:{STEER}"}},
    }
    heard = {"message": "m", "act": STEER, "sender": "a", "receivers": ["a"], "in_reply_to": "", "about": ""}
    (tmp_path / "evil.jsonl").write_bytes(
        chain.record("open", "conversation", opening, {})
        + chain.record(
            "event", "heard", heard | {"made_by": "", "n": 1, "overlay": ""}, {"content": {STEER: STEER}}
        )
        + chain.record("event", "ended", {"outcome": STEER, "outcome_class": "success"}, {"cause": STEER})
    )
    for command in (
        ["show", "about.yaml", "--format", "dot"],
        ["check", "about.yaml"],
        ["check", "broken.yaml"],
        ["run", "about.yaml", "--model", "embedded:/nowhere.gguf"],
        ["trace", "show", "evil.jsonl"],
        ["replay", "evil.jsonl"],
    ):
        done = agentcomm(*command)
        assert "\x1b" not in done.stdout + done.stderr, command
        assert "\x07" not in done.stdout + done.stderr, command


OPENING = {"conversation": "c", "protocol": {"name": "n", "version": "1", "hash": "h"}, "cast": {}}


@pytest.mark.parametrize(
    ("records", "command"),
    [
        ([("open", "conversation", {}, {})], "trace show"),
        ([("open", "conversation", OPENING, {})], "replay"),
        ([("open", "conversation", OPENING, {}), ("event", "nonsense", {}, None)], "trace show"),
        ([("open", "conversation", OPENING, {}), ("event", "heard", {}, None)], "trace show"),
    ],
)
def test_a_whole_chain_with_odd_records_is_told_without_blaming_us(agentcomm, tmp_path, records, command):
    chain = Chain(now=lambda: "now", salt=lambda: "0" * 16)
    (tmp_path / "odd.jsonl").write_bytes(b"".join(chain.record(*record) for record in records))
    done = agentcomm(*command.split(), "odd.jsonl")
    assert done.returncode == 1
    assert "X402" in done.stderr
    assert "fix  " in done.stderr
