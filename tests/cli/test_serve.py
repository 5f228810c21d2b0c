"""A team that is hosted from the command line, and the conversations that people look after."""

import json

from agentcomm.cli.main import main

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
    ):
        (tmp_path / "team.yaml").write_text(text)
        assert main(["serve", "team.yaml"]) == 4
        assert expected in capsys.readouterr().err
    assert main(["conversations", "list"]) == 4
    assert "there is no store" in capsys.readouterr().err
