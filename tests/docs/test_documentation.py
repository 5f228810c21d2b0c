"""Every block of the README and of the documentation does what its page says."""

from pathlib import Path

import pytest
from blocks import blocks_of, run

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
