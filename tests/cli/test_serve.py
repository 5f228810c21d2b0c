"""A team that is hosted from the command line, and the conversations that people look after."""

import asyncio
import json
import signal
import subprocess
import sys
import time

import pytest

from agentcomm import Agent, load
from agentcomm.agents.tools import Tool
from agentcomm.cli.main import main
from agentcomm.runtime.runtime import Runtime
from agentcomm.store.sqlite import SQLiteStore

TEAM = """
agents:
  ann: {code: team.py}
  bob: {code: team.py}
people: [lena]
"""
CODE = """
from agentcomm import Agent

ann, bob = Agent("ann"), Agent("bob")
ann.opens(lambda turn: turn.say("request", action=turn.brief or "sing"))
bob.on("request")(lambda turn: turn.say("inform-result", result="la"))
"""


def said(capsys, *words):
    code = main(["conversations", *words])
    return code, capsys.readouterr()


def test_from_opening_to_pruning(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "team.yaml").write_text(TEAM)
    (tmp_path / "team.py").write_text(CODE)
    cast = ["--cast", "initiator=ann", "--cast", "participant=bob"]
    _, first = said(capsys, "open", "request", *cast, "--key", "k")
    _, again = said(capsys, "open", "request", *cast, "--key", "k")
    assert first.out == again.out
    name = said(capsys, "open", "request", "--cast", "initiator=ann", "--cast", "participant=lena")[
        1
    ].out.strip()
    assert main(["serve", "team.yaml", "--until-idle"]) == 0
    assert f"{first.out.strip()}  done" in capsys.readouterr().out
    (row,) = json.loads(said(capsys, "list", "--json")[1].out)
    assert (row["conversation"], row["waits_for"], row["state"]) == (name, ["lena"], "open")
    code, told = said(capsys, "answer", name, "participant", "sing", "--by", "lena")
    assert code == 2
    assert "legal now: refuse(reason: text)" in told.err
    code, told = said(capsys, "answer", name, "participant", "refuse", "reason=no", "--by", "eve")
    assert code == 2
    assert "eve does not play participant" in told.err
    assert said(capsys, "answer", name, "participant", "refuse", "reason=no", "--by", "lena")[0] == 0
    assert "rejected       eve said refuse" in said(capsys, "show", name)[1].out
    assert said(capsys, "backup", "copy.db")[0] == 0
    assert "2 conversations, all sound" in said(capsys, "check", "--store", "copy.db")[1].out
    assert said(capsys, "cancel", name)[0] == 2
    assert "2 deleted" in said(capsys, "prune", "--older-than", "0s")[1].out
    code, told = said(capsys, "show", "nobody")
    assert code == 4
    assert "X406" in told.err


def test_what_is_wrong_with_a_team_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for text, expected in (
        ("agents: {}", "nobody is in the team"),
        ("agents: {a: {modle: x}}", "not of its form"),
        ("agents: {a: {code: none.py}}", "no code for 'a'"),
        ("agents: [", "no YAML"),
        ("agents: {a: {code: team.py}}\nlease: soon", "a duration is a number with a unit"),
        ("agents: {a: {code: team.py}}\nturns: 0", "not of its form"),
        ("agents: {a: {code: team.py}}\nmodel_calls: {m: 0}", "not of its form"),
    ):
        (tmp_path / "team.yaml").write_text(text)
        assert main(["serve", "team.yaml"]) == 4
        assert expected in capsys.readouterr().err
    assert main(["conversations", "list"]) == 4
    assert "there is no store" in capsys.readouterr().err


SLOW = """
import asyncio
from pathlib import Path

from agentcomm import Agent

ann, bob = Agent("ann"), Agent("bob")
ann.opens(lambda turn: turn.say("request", action="sing"))


async def post(text: str) -> str:
    Path("posted").write_text(text)
    if Path("die").exists():
        import os, signal

        os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.sleep(1.0)
    return "posted"


bob = Agent("bob", tools=[post])


@bob.on("request")
async def do(turn):
    return turn.say("inform-result", result=await turn.use(post, text="la"))
"""


def a_team(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "team.yaml").write_text(TEAM + "lease: 1s\n")
    (tmp_path / "team.py").write_text(SLOW)
    _, told = said(capsys, "open", "request", "--cast", "initiator=ann", "--cast", "participant=bob")
    return told.out.strip()


def served(*more):
    return subprocess.Popen(
        [sys.executable, "-m", "agentcomm.cli.main", "serve", "team.yaml", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def in_time(is_so):
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.timeout(180)
def test_sigterm_lets_the_turn_that_goes_on_come_to_its_end(tmp_path, monkeypatch, capsys):
    name = a_team(tmp_path, monkeypatch, capsys)
    process = served()
    in_time((tmp_path / "posted").exists)
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "stopping: turns have 30s to come to their end" in err
    assert "stopped: no conversation is open" in err
    assert f"{name}  done" in out


@pytest.mark.timeout(180)
def test_killed_in_the_middle_of_a_tool_it_is_in_doubt_until_somebody_has_looked(
    tmp_path, monkeypatch, capsys
):
    name = a_team(tmp_path, monkeypatch, capsys)
    (tmp_path / "die").touch()
    process = served()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    (tmp_path / "die").unlink()
    process = served("--until-idle")
    _, err = process.communicate(timeout=60)
    assert "nobody can tell whether it was done" in err
    assert "1 conversation is open" in err
    (row,) = json.loads(said(capsys, "list", "--json")[1].out)
    assert row["state"] == "in doubt"
    shown = said(capsys, "show", name)[1].out
    assert "given up       bob  in doubt" in shown
    assert f"agentcomm conversations resume {name} --effect done" in shown
    code, told = said(capsys, "resume", name)
    assert code == 2
    assert "--effect again" in told.err
    assert said(capsys, "resume", name, "--effect", "done", "--result", '"by hand"')[0] == 0
    out, _ = served("--until-idle").communicate(timeout=60)
    assert f"{name}  done" in out
    assert "result='by hand'" in said(capsys, "show", name)[1].out


def test_an_opening_that_lacks_somebody_says_whom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, told = said(capsys, "open", "request", "--cast", "initiator=ann")
    assert (code, "--cast participant=NAME" in told.err) == (2, True)
    code, told = said(capsys, "open", "request", "--cast", "initiator")
    assert (code, "--cast initiator=NAME" in told.err) == (2, True)


def test_a_call_that_was_cut_off_is_shown_when_its_conversation_is_over(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    begun = asyncio.Event()

    async def post() -> str:
        begun.set()
        await asyncio.sleep(60)
        return "posted"

    ann, bob = Agent("ann"), Agent("bob", tools=[Tool.of(post)])
    ann.opens(lambda turn: turn.say("request", action="sing"))

    @bob.on("request")
    async def work(turn):
        return turn.say("inform-result", result=await turn.use("post"))

    async def talk():
        store = SQLiteStore(tmp_path / "agentcomm.db")
        async with Runtime(store=store, agents=[ann, bob]) as runtime:
            name = await runtime.open(load("request"), cast={"initiator": ann, "participant": bob})
            await begun.wait()
            shown = (await asyncio.to_thread(said, capsys, "show", name, "--store", "agentcomm.db"))[1].out
            await runtime.cancel(name, by="eve", reason="no longer needed")
            await runtime.outcome(name)
        store.close()
        return name, shown

    name, shown = asyncio.run(talk())
    assert "in doubt" not in shown  # it is being made
    shown = said(capsys, "show", name, "--store", "agentcomm.db")[1].out
    assert "in doubt       participant's call of post was begun, and nothing tells" in shown
    (one,) = json.loads(said(capsys, "show", name, "--store", "agentcomm.db", "--json")[1].out)["in_doubt"]
    assert (one["role"], one["tool"]) == ("participant", "post")
    assert one["key"] in shown
