"""Every block of the README and of the documentation does what its page says."""

import re
from pathlib import Path

import pytest
from blocks import blocks_of, run

from agentcomm.cli.main import parser

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs/pages").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page, tmp_path):
    for name in ("examples", "protocols"):
        (tmp_path / name).symlink_to(ROOT / name)
    for block in blocks_of(page):
        try:
            run(block, tmp_path)
        except AssertionError as error:
            pytest.fail(f"{page.relative_to(ROOT)}:{block.line}: {error}", pytrace=False)


def test_no_page_is_without_a_way_there():
    """Every page stands in the table of contents, and everything in the table is a page."""
    contents = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    listed = {line.strip() for line in contents.splitlines() if line.startswith("pages/") and "*" not in line}
    pages = {
        str(page.relative_to(ROOT / "docs").with_suffix("")) for page in (ROOT / "docs/pages").glob("*.md")
    }
    assert pages | {"pages/library/index"} == listed


def test_every_command_is_on_the_page_about_commands():
    [chosen] = [action for action in parser()._actions if action.dest == "command"]
    page = (ROOT / "docs/pages/commands.md").read_text(encoding="utf-8")
    assert [name for name in chosen.choices if f"| `agentcomm {name}" not in page] == []


def test_every_code_is_on_the_page_about_errors_and_no_other():
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "agentcomm").rglob("*.py"))
    used = set(re.findall(r'"([UX][0-9]{3})"', text)) - {"X000"}  # the tree's root, which is never raised
    page = (ROOT / "docs/pages/codes.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\b[UX][0-9]{3}\b", page)) == used


def test_every_reason_to_refuse_is_on_the_page_about_errors():
    text = (ROOT / "agentcomm/conversation/events.py").read_text(encoding="utf-8")
    [listed] = re.findall(r'"""(unreadable, .*)\."""', text)
    page = (ROOT / "docs/pages/codes.md").read_text(encoding="utf-8")
    assert [reason for reason in re.split(r", | or ", listed) if f"`{reason}`" not in page] == []
