"""What a stranger meets first: no arguments, a slip of the finger, a shell that completes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

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
        (["xyzzy"], "`agentcomm --help` shows them all"),
        (["show"], None),
        (["show", "--rol"], "`agentcomm show --help` says how"),
        (["new"], "for example: agentcomm new shop"),
        (["purchase"], "did you mean `agentcomm run purchase`?"),
        (["-v"], "did you mean `--version`?"),
        (["trace"], "name one of list, show, tail"),
        (["trace", "sho"], "did you mean `agentcomm trace show`?"),
        (["trace", "show", "--promts"], "did you mean `--prompts`?"),
        (["show", "query", "--as", "pdf"], "choose table, mermaid, dot or svg"),
        (["show", "query", "--as", "tabel"], "did you mean 'table'?"),
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
    about = out.split("\n\n")[1]
    assert about.replace("\n", " ").strip().endswith((".", ":")), about


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
        ("agentcomm trace sh", "show"),
        ("agentcomm trace show x --pr", "--prompts"),
        ("agentcomm --version tra", "trace"),
        ("agentcomm show query --as me", "mermaid"),
    ],
)
def test_bash_completes(capsys, tmp_path, typed, offered):
    _, out, _ = called(capsys, "completion", "bash")
    words = typed.split()
    script = f"{out}\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _agentcomm; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert offered in done.stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_where_a_file_is_wanted_bash_offers_files_and_no_words(capsys):
    _, out, _ = called(capsys, "completion", "bash")
    script = (
        f"{out}\nCOMP_WORDS=(agentcomm run x --input ''); COMP_CWORD=4; _agentcomm; echo [${{COMPREPLY[@]}}]"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"  # `complete -o default` then looks at the files


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
def test_zsh_completes(capsys, tmp_path):
    _, out, _ = called(capsys, "completion", "zsh")
    (tmp_path / "_agentcomm").write_text(out)
    script = (
        "zmodload zsh/zpty; zpty it zsh -f; "
        f"zpty -w it 'fpath=({tmp_path} $fpath); autoload -U compinit; compinit -u -D; PS1=; echo re''ady'; "
        "zpty -r it out '*ready*'; zpty -n -w it $'agentcomm trace show --promp\\t'; "
        "zpty -r it out '*--prompts*' && print -r -- ok"
    )
    done = subprocess.run(["zsh", "-fc", script], capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout.endswith("ok\n"), done.stdout + done.stderr


def test_examples_can_be_shown_and_checked(capsys):
    code, out, _ = called(capsys, "check", *example_names(), "--format", "json")
    assert code == 0, out
    told = json.loads(out)
    assert (told["errors"], told["warnings"]) == (0, 0)


def started(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "agentcomm.cli.main", *arguments], stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk to be had")  # noqa: PTH110
def test_a_full_disk_and_a_closed_output_are_no_fault_of_ours():
    with open("/dev/full", "w", encoding="utf-8") as full, started("show", "query", stdout=full) as done:  # noqa: PTH123
        told = done.stderr.read()
    assert done.returncode == 4
    assert told.startswith("X100 cannot read or write: no space left on device\n  fix  ")
    assert "Traceback" not in told
    closed = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m agentcomm.cli.main show query >&-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (closed.returncode, closed.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows closes its windows otherwise")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_who_is_told_to_end_or_loses_its_terminal_closes_its_record(tmp_path, name):
    (tmp_path / "slow.py").write_text(
        "import asyncio\n"
        "from agentcomm.cli.main import entry\n"
        "from agentcomm.models.scripted import ScriptedModel\n"
        "async def reply(self, request):\n"
        "    await asyncio.sleep(60)\n"
        "ScriptedModel.reply = reply\n"
        "entry()\n"
    )
    command = [sys.executable, "slow.py", "run", "incident-handoff", "--model", "scripted"]
    running = subprocess.Popen(
        [*command, "--transcript", "talk.jsonl"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},  # noqa: PTH109
    )
    record, patience = tmp_path / "talk.jsonl", time.monotonic() + 30
    while not (record.exists() and b'"model.request"' in record.read_bytes()) and time.monotonic() < patience:
        time.sleep(0.1)
    running.send_signal(getattr(signal, name))
    out, err = running.communicate(timeout=20)
    assert running.returncode == 130, err
    assert ("stopped; the transcript so far" in err) == (name == "SIGTERM")  # nobody is there to read it
    assert "Traceback" not in err + out
    assert main(["trace", "verify", str(record)]) == 0
