"""`agentcomm trace prompt`: what a model was sent, as a person and as a program read it."""

import argparse
import json

import pytest

from agentcomm import Agent, enact_sync, load
from agentcomm.cli.trace_prompt import show_prompts
from agentcomm.errors import UsageError
from agentcomm.models.scripted import ScriptedModel


@pytest.fixture
def told(tmp_path):
    model = ScriptedModel(
        [{"act": "refuse", "content": {}}, {"act": "refuse", "content": {"reason": "no\x1b[2J"}}]
    )
    ann, bob = Agent("Ann", model=model, goal="Be kind."), Agent("Bob")
    bob.opens(lambda turn: turn.say("request", action="mow \x1b[2J the lawn"))
    path = tmp_path / "talk.jsonl"
    enact_sync(load("request"), cast={"initiator": bob, "participant": ann}, transcript=path)

    def show(**given):
        options = {"file": str(path), "n": None, "agent": None, "all": False, "changes": False, "json": False}
        return show_prompts(argparse.Namespace(**options | given))

    return show


def test_the_last_call_is_shown_piece_by_piece_with_what_changed(told, capsys):
    assert told() == 0
    out = capsys.readouterr().out
    assert "call 2: Ann asks scripted:, try 2" in out
    assert "= [system] goal, by author" in out
    assert "+ [user] refusal, by agentcomm core" in out
    assert "the chain closes at the bytes sent" in out
    assert "classifiers: none ran" in out
    assert "kept in: transcript:" in out
    assert "\x1b" not in out


def test_every_call_one_of_them_and_only_what_changed(told, capsys):
    told(all=True)
    assert "call 1:" in capsys.readouterr().out
    told(n=1)
    out = capsys.readouterr().out
    assert "| Be kind." in out
    assert "not delivered" not in out  # it was delivered, and refused by the core
    told(changes=True)
    assert "goal" not in capsys.readouterr().out


def test_json_holds_the_same(told, capsys):
    told(json=True, all=True)
    first, second = json.loads(capsys.readouterr().out)
    assert [s["label"] for s in first["segments"]] == ["goal", "heard", "moves"]
    assert {s["change"] for s in second["segments"]} == {"same", "new"}
    assert first["faults"] == second["faults"] == []


@pytest.mark.parametrize("given", [{"n": 9}, {"n": 0}, {"agent": "Eve"}])
def test_what_is_not_there_is_told(told, given):
    with pytest.raises(UsageError):
        told(**given)
