"""What a stranger meets first: no arguments, a slip of the finger, a shell that completes."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from agentcomm.cli.examples import example_names
from agentcomm.cli.main import main, parser


def called(capsys, *arguments):
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = stopped.code
    out, err = capsys.readouterr()
    return code, out, err


def test_without_arguments_the_first_steps_are_named(capsys):
    code, out, _ = called(capsys)
    assert code == 2
    for words in (
        "agentcomm run incident-handoff --model scripted",
        "agentcomm new",
        "agentcomm check",
        "--help",
    ):
        assert words in out


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (["chek", "x"], "did you mean `agentcomm check`?"),
        (["repaly"], "did you mean `agentcomm replay`?"),
        (["xyzzy"], "agentcomm --help"),
        (["show"], None),
        (["show", "--rol"], "agentcomm show --help"),
        (["new"], "agentcomm new --help"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(capsys, arguments, fix):
    code, _, err = called(capsys, *arguments)
    assert code == (0 if fix is None else 2)
    if fix:
        assert err.startswith("U100 ")
        assert f"  fix  {fix}" in err
        assert "usage:" not in err


def test_an_option_that_was_misspelt_is_told_with_the_one_that_was_meant(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["agentcomm", "run", "purchase", "--modle", "scripted"])
    code, _, err = called(capsys, "run", "purchase", "--modle", "scripted")
    assert code == 2
    assert "did you mean `--model`?" in err


def commands():
    [chosen] = [action for action in parser()._actions if action.dest == "command"]
    return chosen.choices


@pytest.mark.parametrize("name", commands())
def test_every_command_has_help_that_says_what_it_is_for(capsys, name):
    code, out, _ = called(capsys, name, "--help")
    assert code == 0
    assert out.startswith(f"usage: agentcomm {name}")
    assert "positional arguments:" in out or "options:" in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_of_every_command(capsys, tmp_path, shell):
    code, out, err = called(capsys, "completion", shell)
    assert code == 0
    assert "to keep it: agentcomm completion" in err
    for word in (*commands(), "incident-handoff", "contract-net", "model"):
        assert word in out
    if shutil.which(shell):
        (tmp_path / "script").write_text(out)
        checked = subprocess.run(
            [shell, "-n", "script"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("agentcomm rep", "replay"),
        ("agentcomm run inci", "incident-handoff"),
        ("agentcomm run x --mod", "--model"),
    ],
)
def test_bash_completes(capsys, tmp_path, typed, offered):
    _, out, _ = called(capsys, "completion", "bash")
    words = typed.split()
    script = f"{out}\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _agentcomm; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert offered in done.stdout.split()


def test_examples_can_be_shown_and_checked(capsys):
    code, out, _ = called(capsys, "check", *example_names(), "--format", "json")
    assert code == 0, out
    told = json.loads(out)
    assert (told["errors"], told["warnings"]) == (0, 0)
