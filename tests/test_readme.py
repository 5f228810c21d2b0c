"""What the README says is what happens."""

import json
import os
import re
import subprocess
import sys

BEGIN, END = "<!-- live view: begin -->", "<!-- live view: end -->"
COMMAND = "agentcomm run incident-handoff --model scripted"


def live_view(folder) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "agentcomm.cli.main", *COMMAND.split()[1:]],
        cwd=folder,
        env=os.environ | {"COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    out = re.sub(
        r"-\d{8}-\d{6}-\d{3}\.jsonl", "-20261128-153033-910.jsonl", done.stdout
    )  # one moment, for all
    return f"{BEGIN}\n```text\n$ {COMMAND}\n{out}```\n{END}"


def readme(root) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_live_view_in_the_readme_is_what_the_command_prints(root, tmp_path):
    """If this fails because the view changed: python tests/test_readme.py"""
    text = readme(root)
    assert text[text.index(BEGIN) : text.index(END) + len(END)] == live_view(tmp_path)


def test_the_python_in_the_readme_says_what_came_of_it(root):
    [program] = blocks(readme(root), "python")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "sold 110 EUR"


def test_the_protocol_in_the_readme_is_the_one_its_program_loads(root):
    [shown] = blocks(readme(root), "yaml")
    assert shown == (root / "examples/purchase/protocol.yaml").read_text(encoding="utf-8")


def test_the_share_in_the_readme_is_the_one_that_was_measured(root):
    told = re.search(
        r"none of ([\d,]+) seeded conversations\]\S+ acted on a wrong one \(without grounding: (\d+) %\)",
        readme(root),
    )
    cells = json.loads((root / "tests/benchmarks/results/lab-values.json").read_text(encoding="utf-8"))[
        "cells"
    ]
    share = {cell["grounding"]: cell["measures"]["undetected"] for cell in cells if cell["effect"] == "seen"}
    assert int(told[1].replace(",", "")) == share["adaptive"]["n"]
    assert int(told[2]) == round(100 * share["off"]["value"])
    assert share["adaptive"]["value"] == share["always"]["value"] == 0


def test_links_lead_somewhere(root):
    pages = [
        root / "README.md",
        *(root / "docs/pages").rglob("*.md"),
        root / "docs/index.md",
        *(root / "examples").glob("*/README.md"),
        *(root / "tests").rglob("*.md"),
    ]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_code_of_the_checker_is_on_its_page(root):
    sources = (root / "agentcomm/protocol").glob("*.py")
    codes = {
        code for path in sources for code in re.findall(r'"([EWI]\d{3})"', path.read_text(encoding="utf-8"))
    }
    page = (root / "docs/pages/checks.md").read_text(encoding="utf-8")
    used, _, unused = page.partition("## Codes that this language has no use for")
    assert codes == set(re.findall(r"\b[EWI]\d{3}\b", used))
    assert unused


def test_the_gate_runs_the_readme_s_test_command(root):
    command = next(block.strip() for block in blocks(readme(root), "sh") if "pytest" in block)
    assert command in (root / ".ci/run").read_text(encoding="utf-8")


if __name__ == "__main__":
    import tempfile
    from pathlib import Path

    page = Path(__file__).parent.parent / "README.md"
    said = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as made:
        page.write_text(
            said[: said.index(BEGIN)] + live_view(made) + said[said.index(END) + len(END) :], encoding="utf-8"
        )
