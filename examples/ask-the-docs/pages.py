"""Search pages of Markdown by their sections: SQLite's full text index, ranked by BM25."""

import re
import sqlite3
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agentcomm.errors import InputError

__all__ = ("Hit", "areas_of", "own_docs", "passage", "rivals", "search", "stands_in")

_STOP = frozenset(
    [
        "a",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "by",
        "can",
        "do",
        "does",
        "for",
        "from",
        "how",
        "i",
        "if",
        "in",
        "is",
        "it",
        "its",
        "may",
        "of",
        "on",
        "or",
        "so",
        "that",
        "the",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "you",
        "your",
    ]
)
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`])")
_MARKUP = re.compile(r"\[([^\]]+)\]\([^)]*\)|[*`]")
CLOSE = 0.95
"""From which share of the best score a page is a rival to it."""
SHORTEST = 25
"""Characters below which a line is no sentence."""


@dataclass(frozen=True)
class Hit:
    """A section that was found."""

    page: str
    heading: str
    sentence: str
    """The sentence in it with most of the words that were asked for."""
    score: float
    """BM25, higher is better."""
    covers: float
    """Share of the words asked for that stand in the section."""


def own_docs() -> Path:
    """Return the folder of agentcomm's own pages: in a checkout, else as shipped."""
    here = Path(__file__).resolve()
    checkout = here.parents[2] / "docs" / "pages"
    return checkout if checkout.is_dir() else here.parents[2] / "docs"


def areas_of(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Return which pages are whose: those in subfolders are the collection, the others the guide.

    Raises:
        InputError: If there are fewer than two pages.
    """
    if not folder.is_dir():
        raise InputError("this is no folder", fix="name a folder with pages in Markdown", where=str(folder))
    pages = sorted(folder.rglob("*.md"))
    if len(pages) < 2:  # noqa: PLR2004
        raise InputError(
            "there are fewer than two pages", fix="name a folder with *.md files", where=str(folder)
        )
    guide = tuple(page for page in pages if page.parent == folder)
    below = tuple(page for page in pages if page.parent != folder)
    if not guide or not below:
        half = len(pages) // 2
        guide, below = tuple(pages[:half]), tuple(pages[half:])
    return {"guide": guide, "collection": below}


@cache
def _index(folder: str, area: str) -> sqlite3.Connection:
    base = Path(folder)
    index = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        index.execute(
            "create virtual table part using fts5(page, heading, body, tokenize='porter unicode61')"
        )
    except sqlite3.OperationalError as error:
        raise InputError("this Python's SQLite has no FTS5", fix="use another build of Python") from error
    for page in areas_of(base)[area]:
        text = _FENCE.sub("", page.read_text(encoding="utf-8", errors="replace"))
        places = list(_HEADING.finditer(text))
        ends = [place.start() for place in places[1:]] + [len(text)]
        for place, end in zip(places, ends, strict=True):
            row = (str(page.relative_to(base)), _plain(place[1]), text[place.end() : end])
            index.execute("insert into part values (?, ?, ?)", row)
    return index


def search(folder: str, area: str, question: str, limit: int = 3) -> list[Hit]:
    """Return the best sections of an area, best first."""
    words = _words(question)
    if not words:
        return []
    query = " OR ".join(f'"{word}"' for word in sorted(words))
    rows = _index(folder, area).execute(
        "select page, heading, body, -bm25(part, 0, 4, 1) as score from part where part match ? order by score desc, 1, 2 limit ?",
        (query, limit),
    )
    found = [
        Hit(page, heading, passage(body, words), score, _share(words, f"{heading} {body}"))
        for page, heading, body, score in rows
    ]
    return [hit for hit in found if hit.sentence]


def rivals(folder: str, question: str) -> list[str]:
    """Return the pages, named by their first heading, that fit a question about equally well: one, if it is clear."""
    best: dict[str, float] = {}
    for area in areas_of(Path(folder)):
        for hit in search(folder, area, question, limit=6):
            best[hit.page] = max(hit.score, best.get(hit.page, 0.0))
    top = sorted(best, key=lambda page: (-best[page], page))
    return [Path(page).stem for page in top if best[page] >= CLOSE * best[top[0]]]


def _share(words: set[str], text: str) -> float:
    there = {word[:5] for word in _words(text)}
    return sum(word[:5] in there for word in words) / len(words)


def passage(body: str, words: set[str]) -> str:
    """Return the sentence with most of the words; empty where there is none."""
    sentences = [
        _plain(one) for block in body.split("\n\n") for one in _SENTENCE.split(block) if "|" not in block
    ]
    fitting = [one for one in sentences if SHORTEST <= len(one) <= 280]  # noqa: PLR2004
    stems = {word[:5] for word in words}
    return max(fitting, key=lambda one: len(stems & {word[:5] for word in _words(one)}), default="")


def stands_in(folder: str, page: str, quote: str) -> bool:
    """Say whether a quote stands on a page, word by word."""
    path = (Path(folder) / page).resolve()
    if not path.is_relative_to(Path(folder).resolve()) or not path.is_file():
        return False
    return _plain(quote) in _plain(path.read_text(encoding="utf-8", errors="replace"))


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z][a-z-]+", text.lower()) if word not in _STOP}


def _plain(text: str) -> str:
    """Return Markdown as plain words in one line."""
    return " ".join(_MARKUP.sub(lambda found: found[1] or "", text).lstrip("-* ").split())
