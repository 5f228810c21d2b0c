"""Every example as a reader runs it: offline, with its recorded replies, printing what its expected transcript says.

`python tests/examples/test_examples.py NAME…` writes the expected transcripts again.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentcomm import replay
from agentcomm.cli.examples import example_names

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name, folder, *options, model="scripted"):
    return subprocess.run(
        [
            *(sys.executable, "-m", "agentcomm.cli.main", "run", name, "--model", model),
            *("--transcript", "talk.jsonl", *options),
        ],
        cwd=folder,
        env=os.environ | {"NO_COLOR": "1", "COLUMNS": "110"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("name", example_names())
def test_an_example_prints_its_expected_transcript_and_can_be_replayed(name, tmp_path):
    """If this fails because the view changed: python tests/examples/test_examples.py"""
    done = run(name, tmp_path)
    if done.returncode == 4 and "is not installed" in done.stderr:
        pytest.skip(done.stderr.strip().replace("\n", " "))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == (EXAMPLES / name / "expected.txt").read_text(encoding="utf-8")
    assert replay(tmp_path / "talk.jsonl").same


@pytest.mark.parametrize("name", example_names())
def test_an_example_says_what_it_shows_for_which_model_it_is_and_what_was_not_run(name):
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[:1] == ["What it shows"]
    assert headings[-2:] == ["For which model", "Not run"]
    assert f"agentcomm run {name}" in text
    page = (EXAMPLES.parent / "docs/pages/examples.md").read_text(encoding="utf-8")
    assert f"(../../examples/{name}/README.md)" in page


@pytest.mark.live
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", example_names())
def test_an_example_ends_in_the_outcome_that_its_readme_names_with_the_demo_model(name, tmp_path):
    done = run(name, tmp_path, model="embedded:")
    print(done.stdout, done.stderr)
    if done.returncode == 4 and "is not installed" in done.stderr:
        pytest.skip(done.stderr.strip().replace("\n", " "))
    assert done.returncode in {0, 3}, done.stderr
    again = replay(tmp_path / "talk.jsonl")
    assert again.same
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    [said] = re.findall(r"With the demo model it ends in\s+`([\w-]+)`", text)
    assert again.conversation.outcome.name == said


if __name__ == "__main__":
    import tempfile

    for chosen in sys.argv[1:] or example_names():
        with tempfile.TemporaryDirectory() as made:
            ran = run(chosen, made)
        print(ran.stdout, ran.stderr)
        if ran.returncode == 0:
            (EXAMPLES / chosen / "expected.txt").write_text(ran.stdout, encoding="utf-8")
