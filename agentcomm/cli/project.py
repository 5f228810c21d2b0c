"""What `agentcomm new` writes into a project: each file as a text, and where it goes."""

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from string import Template

from agentcomm.protocol.graph import Protocol
from agentcomm.protocol.schema import language_schema
from agentcomm.version import VERSION

__all__ = ("CHECK_ALL", "files_of")

CHECK_ALL = "agentcomm check protocols/*.yaml"

_README = Template("""\
# $name

$about

In the environment that `agentcomm` is installed in:

```sh
pip install -e '.[dev]'     # pytest and pre-commit
pytest                      # the protocol is checked, walked at random, and the agents hold a conversation
python agents.py            # one conversation, with its transcript in transcripts/
agentcomm show protocols/$name.yaml
agentcomm trace show        # what was said, what every model was shown
```

| file | |
|---|---|
| `protocols/$name.yaml` | who may say what, when, and where that leads |
| `agents.py` | who plays which role |
| `tests/test_$module.py` | what must hold |
| `.github/workflows/check.yml` | a CI job: `agentcomm check`, then the tests |
| `.pre-commit-config.yaml` | `pre-commit install` has protocols checked before every commit |
| `agentcomm.schema.json`, `.vscode/` | editors with a YAML language server complete and check protocols; after an update, `agentcomm schema -o agentcomm.schema.json` |
""")

_PYPROJECT = Template("""\
[project]
name = "$name"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["$requirement"]

[project.optional-dependencies]
dev = ["pytest>=8", "pre-commit>=3"]

[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[tool.setuptools]
py-modules = ["agents"]

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]
""")

_AGENTS = Template('''\
"""Who plays which role in `$name`. `python agents.py` lets them talk."""

from pathlib import Path

from agentcomm import Agent, Message, Turn, enact_sync, load

PROTOCOL = load(Path(__file__).parent / "protocols" / "$name.yaml")


def cast() -> dict[str, Agent]:
    """Return an agent for each role. With model="ollama:qwen3:4b" a model answers whatever has no handler."""
    $first = Agent("$first")
    $second = Agent("$second")

    @$first.opens
    def ask(turn: Turn) -> Message:
        return turn.say("request", action=turn.brief["action"])

    @$second.on("request", state="asked")
    def take_it(turn: Turn) -> Message:
        return turn.say("agree")

    @$second.on("request", state="working")
    def do_it(turn: Turn) -> Message:
        return turn.say("done", summary=f"did: {turn.content['action']}")

    return {$cast}


BRIEF = {"$first_role": {"action": "count the chairs"}}

if __name__ == "__main__":
    print(enact_sync(PROTOCOL, cast=cast(), brief=BRIEF, transcript="transcripts"))
''')

_MODEL_AGENTS = Template('''\
"""Who plays which role in `$name`. `python agents.py` lets them talk; AGENTCOMM_MODEL names another model."""

import os
from pathlib import Path
from typing import Any

from agentcomm import Agent, enact_sync, load

PROTOCOL = load(Path(__file__).parent / "protocols" / "$name.yaml")
MODEL = os.environ.get("AGENTCOMM_MODEL", "ollama:qwen3:4b")


def cast(model: str = MODEL) -> dict[str, Any]:
    """Return an agent for each role: a model answers whatever has no handler; add handlers with @agent.on("act")."""
    return {
$cast
    }


if __name__ == "__main__":
    print(enact_sync(PROTOCOL, cast=cast(), transcript="transcripts"))
''')

_TEST_HEAD = Template('''\
"""What must hold for `$name`: no model and no network is needed, and time jumps."""

$imports
import pytest
from agentcomm import $names
from agentcomm.testing import $testing

from agents import $own


def test_the_protocol_has_no_error_and_no_warning():
    assert [finding for finding in check(PROTOCOL_FILE) if finding.level != "info"] == []


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_said_it_comes_to_a_named_end(seed):
    dice = Dice(seed)
    talk = walk(Walk(PROTOCOL, members=members_for(PROTOCOL, dice)), dice)
    assert talk.outcome, str(talk)
''')

_TEST_AGENTS = Template("""

def test_the_agents_get_it_done():
    result = enact_sync(PROTOCOL, cast=cast(), brief=BRIEF)
    assert result.outcome == "finished", str(result)
    assert replay(result.transcript).same


@pytest.mark.parametrize("role", list(cast())[:2])
def test_each_agent_survives_what_the_others_may_say(role):
    report = asyncio.run(survives(cast()[role], PROTOCOL, role=role, brief=BRIEF, runs=20))
    assert report.survived, str(report)
""")

_CI = """\
name: check
on: [push, pull_request]
permissions: {contents: read, security-events: write}
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "3.12"}
      - run: pip install -e '.[dev]'                    # agentcomm, too: from where pyproject.toml says
      - run: agentcomm check protocols/*.yaml --format sarif > findings.sarif
      - uses: github/codeql-action/upload-sarif@v3      # findings stand at their lines in the pull request
        if: always()
        with: {sarif_file: findings.sarif}
      - run: pytest
"""

_PRE_COMMIT = """\
repos:
  - repo: local
    hooks:
      - id: agentcomm-check
        name: agentcomm check
        entry: agentcomm check
        language: system            # the agentcomm of this project's environment
        files: ^protocols/.*\\.yaml$
"""

_EDITOR = {"yaml.schemas": {"./agentcomm.schema.json": "protocols/*.yaml"}}
_IGNORED = "__pycache__/\n.venv/\n*.egg-info/\n/transcripts/\nfindings.sarif\n"


def files_of(name: str, text: str, protocol: Protocol, *, is_copy: bool) -> Mapping[str, str]:
    """Return path -> text of a project.

    Args:
        name: The protocol's name, and the project's.
        text: The protocol.
        protocol: The same, compiled.
        is_copy: Whether it began as another protocol: then models play all roles; else two roles have handlers.
    """
    module = name.replace("-", "_")
    words = {
        "name": name,
        "module": module,
        "about": protocol.about,
        "requirement": _requirement(),
    }
    agents = _played_by_models(words, protocol) if is_copy else _played_by_code(words, protocol)
    return {
        "README.md": _README.substitute(words),
        "pyproject.toml": _PYPROJECT.substitute(words),
        f"protocols/{name}.yaml": f"# yaml-language-server: $schema=../agentcomm.schema.json\n{text}",
        "agents.py": agents,
        f"tests/test_{module}.py": _tests(words, is_copy=is_copy),
        ".github/workflows/check.yml": _CI,
        ".pre-commit-config.yaml": _PRE_COMMIT,
        ".vscode/settings.json": json.dumps(_EDITOR, indent=2) + "\n",
        ".gitignore": _IGNORED,
        "agentcomm.schema.json": json.dumps(language_schema(), indent=2) + "\n",
    }


def _requirement() -> str:
    """Return what installs this agentcomm elsewhere: the address of its repository, if it came from one, else its version."""
    try:
        found = distribution("agentcomm").read_text("direct_url.json")
    except PackageNotFoundError:
        found = None
    came = json.loads(found or "{}")
    if vcs := came.get("vcs_info"):
        return f"agentcomm @ {vcs['vcs']}+{came['url']}@{vcs['commit_id']}"
    return f"agentcomm>={VERSION.partition('.dev')[0]}"


def _played_by_code(words: dict[str, str], protocol: Protocol) -> str:
    first, second, *others = protocol.roles
    variables = {role: f"{role.replace('-', '_')}_agent" for role in protocol.roles}
    cast = [f'"{first}": {variables[first]}', f'"{second}": {variables[second]}']
    cast += [f'"{role}": Agent("{role}")' for role in others]
    text = _AGENTS.safe_substitute(words | {"cast": ", ".join(cast), "first_role": first})
    for role, word in ((first, "first"), (second, "second")):
        text = text.replace(f'Agent("${word}")', f'Agent("{role}")').replace(f"${word}", variables[role])
    return text


def _played_by_models(words: dict[str, str], protocol: Protocol) -> str:
    least = max(protocol.members[0], 1)
    lines = [
        f'        "{role}": [Agent(f"{role}-{{n}}", model=model) for n in range(1, {least + 1})],'
        if role == protocol.many
        else f'        "{role}": Agent("{role}", model=model),'
        for role in protocol.roles
    ]
    return _MODEL_AGENTS.substitute(words | {"cast": "\n".join(lines)})


def _tests(words: dict[str, str], *, is_copy: bool) -> str:
    tools = ["Dice", "Walk", "members_for", "walk"]
    head = _TEST_HEAD.substitute(
        words
        | {
            "imports": "from pathlib import Path\n"
            if is_copy
            else "import asyncio\nfrom pathlib import Path\n",
            "names": "check" if is_copy else "check, enact_sync, replay",
            "testing": ", ".join(sorted(tools if is_copy else [*tools, "survives"])),
            "own": "PROTOCOL" if is_copy else "BRIEF, PROTOCOL, cast",
        }
    )
    place = f'PROTOCOL_FILE = Path(__file__).parent.parent / "protocols" / "{words["name"]}.yaml"\n'
    head = head.replace("\n\n\ndef test_the_protocol", f"\n\n{place}\n\ndef test_the_protocol", 1)
    return head + ("" if is_copy else _TEST_AGENTS.substitute(words))
