"""The commands about protocols as a person uses them: a process of its own, its output, its exit code."""

import json
import os
import re
import subprocess
import sys
import time
import tomllib
from types import SimpleNamespace

import jsonschema
import pytest
import yaml

from agentcomm.cli.main import main
from agentcomm.cli.words import noted_if_long
from agentcomm.protocol.families import FAMILIES, words_for
from agentcomm.protocol.library import names


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


def test_schema_is_printed_or_written(agentcomm, tmp_path):
    printed = agentcomm("schema")
    assert printed.returncode == 0, printed.stderr
    jsonschema.Draft7Validator.check_schema(json.loads(printed.stdout))
    written = agentcomm("schema", "-o", "agentcomm.schema.json")
    assert (tmp_path / "agentcomm.schema.json").read_text() == printed.stdout
    assert "# yaml-language-server: $schema=agentcomm.schema.json" in written.stderr
    assert agentcomm("schema", "-o", "no/where.json").returncode == 4


BROKEN = """\
agentcomm: 1
protocol: sale
roles: [buyer, seller]
acts: {cfp: {item: text}, propose: {price: money}, refuse: {reason: text}}
states:
  asking:
    buyer: {cfp: asked}
  asked:
    seller: {propose: asking, refuse: clsoed}
outcomes: {closed: refused}
"""


def test_check_says_the_same_in_all_forms(agentcomm, tmp_path):
    (tmp_path / "broken.yaml").write_text(BROKEN)
    text, data, log = (
        agentcomm("check", "broken.yaml", "--format", form) for form in ("text", "json", "sarif")
    )
    assert text.returncode == data.returncode == log.returncode == 1
    report = json.loads(data.stdout)
    [run] = json.loads(log.stdout)["runs"]
    assert report["errors"] == len(report["findings"]) == len(run["results"]) >= 1
    for finding, result in zip(report["findings"], run["results"], strict=True):
        region = result["locations"][0]["physicalLocation"]["region"]
        assert (finding["line"], finding["column"]) == (region["startLine"], region["startColumn"])
        for words in (finding["what"], finding["why"], finding["fix"], *finding["witness"]):
            assert words in result["message"]["text"]
            assert words in text.stdout
        assert f"broken.yaml:{finding['line']}:{finding['column']}: {finding['code']}" in text.stdout
    notes = [note["message"]["text"] for note in run["invocations"][0]["toolExecutionNotifications"]]
    for words in report["not_checked"]:
        assert words in text.stdout.splitlines()[-1]
        assert f"not checked: {words}" in notes
    assert agentcomm("check", "broken.yaml", "--json").stdout == data.stdout


def test_roles_that_run_alone_are_checked_when_asked(agentcomm, tmp_path):
    (tmp_path / "three.yaml").write_text(
        "agentcomm: 1\nprotocol: three\nroles: [a, b, c]\nacts: {request: {x: text}, refuse: {y: text}, inform: {z: text}}\n"
        "states:\n  s: {a: {request: {next: t, to: [b, c]}}}\n  t: {b: {refuse: {next: no, to: a}, inform: {next: u, to: [a, c]}}}\n"
        "  u: {c: {inform: {next: yes, to: a}}}\noutcomes: {no: refused, yes: success}\n"
    )
    usual = json.loads(agentcomm("check", "three.yaml", "--json").stdout)
    alone = json.loads(agentcomm("check", "three.yaml", "--json", "--distributed").stdout)
    assert not any(finding["code"] == "E306" for finding in usual["findings"])
    assert any(finding["code"] == "E306" for finding in alone["findings"])
    assert any("--distributed" in text for text in usual["not_checked"])
    assert not any("--distributed" in text for text in alone["not_checked"])


def test_the_runs_are_looked_through_when_asked(agentcomm):
    done = agentcomm("check", "sbar-handoff", "--deep", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    [looked] = [finding for finding in report["findings"] if finding["code"] == "I901"]
    assert "were looked at" in looked["what"]
    assert not any("--deep" in text for text in report["not_checked"])
    assert any(
        "--deep" in text for text in json.loads(agentcomm("check", "request", "--json").stdout)["not_checked"]
    )


def test_codes_are_explained(agentcomm):
    done = agentcomm("check", "--codes", "e205")
    assert done.stdout.startswith("E205 error, unbounded_cycle\n  what  a loop without a budget")
    assert "E100" in agentcomm("check", "--codes").stdout
    [row] = json.loads(agentcomm("check", "--codes", "E205", "--json").stdout)
    assert row["severity"] == "error"
    wrong = agentcomm("check", "--codes", "E999")
    assert wrong.returncode == 2
    assert "fix  `agentcomm check --codes`" in wrong.stderr


def test_the_token_ceiling_is_the_bound_times_what_a_message_can_cost(agentcomm):
    done = agentcomm("check", "purchase", "--models", "ollama:qwen3:4b", "--json")
    [ceiling] = json.loads(done.stdout)["tokens"]
    assert ceiling["tokens"] == ceiling["messages"] * ceiling["tries"] * (8192 + 800)
    text = agentcomm("check", "purchase", "--models", "ollama:qwen3:4b", "--tokens-per-turn", "1000").stdout
    assert f"at most {ceiling['messages'] * ceiling['tries'] * 1000:,} tokens with ollama:qwen3:4b" in text
    assert "not counted: " in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], "there is nothing to check"),
        (["check", "purchase", "--models", "qwen3:4b"], "ollama:qwen3:4b"),
        (["check", "purchase", "--tokens-per-turn", "7"], "--models"),
        (["check", "purchase", "--models", "ollama:x", "--tokens-per-turn", "0"], "above 0"),
    ],
)
def test_wrong_use_gets_a_remedy(agentcomm, arguments, words):
    done = agentcomm(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert words in done.stderr
    assert "fix  " in done.stderr


def test_show_draws_and_writes(agentcomm, tmp_path):
    done = agentcomm("show", "sbar-handoff", "--as", "svg", "-o", "a.svg")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert (tmp_path / "a.svg").read_text().startswith("<svg ")
    own = agentcomm("show", "sbar-handoff", "--as", "svg", "--layout", "own")
    assert own.stdout.startswith("<svg ")
    seen = agentcomm("show", "sbar-handoff", "--role", "giver")
    assert "as giver sees it" in seen.stdout
    assert "at most 8 messages" in seen.stdout
    assert agentcomm("show", "request", "--role", "boss").returncode == 2


def test_without_graphviz_a_picture_is_laid_out_here(agentcomm, tmp_path):
    done = agentcomm("show", "request", "--as", "svg", PATH=str(tmp_path))
    assert done.stdout.startswith("<svg ")
    asked = agentcomm("show", "request", "--as", "svg", "--layout", "graphviz", PATH=str(tmp_path))
    assert asked.returncode == 4
    assert "fix  add --layout own" in asked.stderr


def test_the_library_is_listed_and_searched(agentcomm):
    whole = agentcomm("protocols")
    assert "sbar-handoff (giver, taker; at most 8 messages)" in whole.stdout
    found = json.loads(agentcomm("protocols", "FIPA", "refuse", "--json").stdout)
    assert {"request", "query"} <= {row["name"] for row in found}
    assert all("FIPA" in row["source"] for row in found)
    assert "_overlays/repair" in agentcomm("protocols", "--overlays").stdout
    assert {row["family"] for row in found} >= {"FIPA interaction protocols"}
    nothing = agentcomm("protocols", "pancake")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "nothing has 'pancake'" in nothing.stderr


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("negotiation", "alternating-offers"),
        ("approving", "ask-a-human"),
        ("closed loop", "checklist"),
        ("consensus", "sealed-vote"),
        ("handover", "sbar-handoff"),
        ("emergency", "incident-command"),
    ],
)
def test_protocols_are_found_by_what_they_are_for(capsys, words, name):
    assert main(["protocols", words, "--json"]) == 0
    found = [row["name"] for row in json.loads(capsys.readouterr().out)]
    assert name in found
    assert len(found) < 10


def test_every_protocol_has_one_family_and_words_to_be_found_by():
    listed = [name for members in FAMILIES.values() for name in members]
    assert sorted(listed) == sorted(names())
    assert all(words_for(name) for name in listed)


def test_types_are_written_as_a_module(agentcomm, tmp_path):
    done = agentcomm("types", "purchase", "-o", "made.py")
    assert done.returncode == 0, done.stderr
    assert "types=ACTS" in done.stderr
    run = subprocess.run(
        [sys.executable, "-c", "import made; print(made.Propose.model_fields['price'].annotation.__name__)"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "Money\n", run.stderr


def test_diff_says_what_changed_and_who_is_not_understood(agentcomm, tmp_path):
    assert agentcomm("diff", "request", "request").returncode == 0
    agentcomm("new", "one.yaml")
    agentcomm("new", "two.yaml", "--from", "one.yaml")
    text = (tmp_path / "two.yaml").read_text()
    (tmp_path / "two.yaml").write_text(text.replace("summary: text", "summary: text, cost: money"))
    done = agentcomm("diff", "one.yaml", "two.yaml")
    assert done.returncode == 1
    assert "+ acts.done.content.cost: money" in done.stdout
    assert "done, said by answerer of the old version, is not understood by the new one" in done.stdout
    assert "via  asking --request--> asked" in done.stdout
    data = json.loads(agentcomm("diff", "one.yaml", "two.yaml", "--json").stdout)
    assert data["compatible"] is False
    assert data["breaks"][0]["path"] == ["asking --request--> asked"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "options", [["--roles", "buyer,seller,night-watch"], ["--from", "contract-net"]], ids=["new", "copy"]
)
def test_new_writes_a_project_that_passes_its_own_tests_at_once(agentcomm, tmp_path, options):
    made = agentcomm("new", "my-shop", *options)
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "my-shop"
    assert {str(folder.relative_to(tmp_path) / path) for path in ("agents.py", "README.md")} <= set(
        made.stdout.split()
    )
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout
    if "--roles" in options and "--from" not in options:
        for _ in range(2):
            ran = subprocess.run(
                [sys.executable, "agents.py"], cwd=folder, capture_output=True, text=True, check=False
            )
            assert "finished (success)" in ran.stdout, ran.stderr
        assert len(list((folder / "transcripts").glob("my-shop-*.jsonl"))) == 2
    for file in ("protocols/my-shop.yaml", ".pre-commit-config.yaml", ".github/workflows/check.yml"):
        assert yaml.safe_load((folder / file).read_text())
    schema = json.loads((folder / "agentcomm.schema.json").read_text())
    text = (folder / "protocols/my-shop.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=../agentcomm.schema.json\n")
    jsonschema.validate(yaml.safe_load(text), schema)
    again = agentcomm("new", "my-shop")
    assert again.returncode == 2
    assert "is there already" in again.stderr


@pytest.mark.parametrize(
    ("came", "wanted"),
    [
        (None, "agentcomm>="),
        ('{"url": "file:///somewhere", "dir_info": {}}', "agentcomm>="),
        (
            '{"url": "https://git.example/agentcomm", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}',
            "agentcomm @ git+https://git.example/agentcomm@c0ffee",
        ),
    ],
)
def test_a_project_needs_the_agentcomm_that_wrote_it(tmp_path, monkeypatch, came, wanted):
    monkeypatch.setattr(
        "agentcomm.cli.project.distribution", lambda _: SimpleNamespace(read_text=lambda _: came)
    )
    monkeypatch.chdir(tmp_path)
    assert main(["new", "shop"]) == 0
    project = tomllib.loads((tmp_path / "shop/pyproject.toml").read_text())["project"]
    [needed] = project["dependencies"]
    assert needed.startswith(wanted)


def test_the_hook_for_pre_commit_is_the_command(root):
    [hook] = yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"] == "agentcomm check"
    assert re.search(hook["files"], "protocols/shop.yaml")
    assert not re.search(hook["files"], ".github/workflows/check.yaml")


def test_new_writes_a_file_that_passes(agentcomm, tmp_path):
    done = agentcomm("new", "my-talk.yaml", "--roles", "boss,worker")
    assert done.stdout == "my-talk.yaml\n", done.stderr
    assert "nothing found" in agentcomm("check", "my-talk.yaml").stdout
    again = agentcomm("new", "my-talk.yaml")
    assert again.returncode == 2
    assert "is there already" in again.stderr
    copy = agentcomm("new", "mine.yaml", "--from", "sbar-handoff", "--roles", "night,day")
    assert copy.returncode == 0, copy.stderr
    assert "night:" in (tmp_path / "mine.yaml").read_text()
    assert agentcomm("new", "7up").returncode == 2


def test_a_document_is_checked_from_the_standard_input(agentcomm, tmp_path):
    file = tmp_path / "in.yaml"
    file.write_text(BROKEN)
    checked = [sys.executable, "-m", "agentcomm.cli.main", "check", "-"]
    with file.open() as opened:
        told = subprocess.run(checked, stdin=opened, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 1
    assert told.stdout == agentcomm("check", "in.yaml").stdout.replace("in.yaml:", "-:")


def test_a_long_way_is_told_by_its_beginning_and_its_end(agentcomm, tmp_path):
    states = "".join(f"  s{n}: {{a: {{go: s{n + 1}}}}}\n" for n in range(200))
    text = f"agentcomm: 1\nprotocol: long\nroles: [a, b]\nacts: {{go: {{act: inform}}}}\nstates:\n{states}"
    (tmp_path / "long.yaml").write_text(f"{text}  s200: {{}}\noutcomes: {{done: success}}\n")
    told = json.loads(agentcomm("check", "long.yaml", "--json").stdout)
    (witness,) = [found["witness"] for found in told["findings"] if found["code"] == "E202"]
    assert witness[0] == "s0 --go--> s1"
    assert witness[8] == "… 176 steps …"
    assert witness[-1] == "s199 --go--> s200"
    lines = agentcomm("check", "long.yaml").stdout.splitlines()
    assert max(map(len, lines)) < 500


def test_how_deep_to_look_is_said(agentcomm):
    assert "with 3 lanes" in agentcomm("check", "--deep", "--lanes", "3", "contract-net").stdout
    for wrong in (("--lanes", "3"), ("--deep", "--queue", "0")):
        told = agentcomm("check", "contract-net", *wrong)
        assert told.returncode == 2
        assert "go with --deep" in told.stderr


def test_text_json_and_sarif_say_the_same(agentcomm, tmp_path):
    (tmp_path / "broken.yaml").write_text(BROKEN)
    text = agentcomm("check", "broken.yaml").stdout
    listed = json.loads(agentcomm("check", "broken.yaml", "--json").stdout)["findings"]
    (run,) = json.loads(agentcomm("check", "broken.yaml", "--format", "sarif").stdout)["runs"]
    assert listed
    assert len(listed) == len(run["results"])
    for found, result in zip(listed, run["results"], strict=True):
        where = f"broken.yaml:{found['line']}:{found['column']}"
        assert f"{found['code']} {found['what']} [{found['kind']}]" in text
        assert where in text
        assert f"why  {found['why']}" in text
        assert f"fix  {found['fix']}" in text
        region = result["locations"][0]["physicalLocation"]["region"]
        assert (region["startLine"], region["startColumn"]) == (found["line"], found["column"])
        assert result["ruleId"] == found["code"]
        assert result["properties"]["kind"] == found["kind"]
        for part in (found["what"], found["why"], found["fix"]):
            assert part in result["message"]["text"]


def test_what_takes_long_says_what_it_does(capsys):
    with noted_if_long("short"):
        pass
    with noted_if_long("looking through it"):
        time.sleep(1.5)
    assert capsys.readouterr().err == "looking through it\n"


def test_a_folder_and_a_misspelt_name_are_told(agentcomm, tmp_path):
    (tmp_path / "mine").mkdir()
    folder = agentcomm("check", "mine/")
    assert (folder.returncode, folder.stdout) == (2, "")
    assert "'mine/' is a folder\n  fix  name the files in it: mine/*.yaml" in folder.stderr
    near = agentcomm("check", "contrct-net")
    assert "did you mean 'contract-net'?" in near.stderr
    assert len(near.stderr) < 200
