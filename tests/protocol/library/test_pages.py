"""The pages of the library say what its files say."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def make_library():
    spec = importlib.util.spec_from_file_location("make_library", ROOT / "docs/make_library.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_current(make_library):
    """If this fails: python docs/make_library.py"""
    pages = make_library.pages()
    assert {file.name for file in make_library.PAGES.glob("*.md")} == set(pages)
    stale = [
        name
        for name, text in pages.items()
        if (make_library.PAGES / name).read_text(encoding="utf-8") != text
    ]
    assert stale == []
