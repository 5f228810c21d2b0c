"""Three ways to a digest of a document, and what each costs: all of it counted by code."""

import re
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from agentcomm.acts.content import Money
from agentcomm.errors import InputError

__all__ = ("Document", "extract", "outline", "read_document")

_HEADING = re.compile(r"^ {0,4}(?:#{1,6} +|\d{1,2}\. +)(\S.*)$", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.;:])\s+(?=[A-Z(])")
_WORD = re.compile(r"[A-Za-z][A-Za-z-]{3,}")
MOST_BYTES = 5_000_000


@dataclass(frozen=True)
class Document:
    """A text with its sections: heading -> what stands below it."""

    name: str
    words: int
    sections: dict[str, str]


def read_document(path: str) -> Document:
    """Read a text in which sections begin with `# ` or with a number.

    Raises:
        InputError: If it cannot be read, is no text, or has no sections.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise InputError(
                "the document is too long", fix="name one below 5 MB, or a chapter of it", where=path
            )
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "the document cannot be read", why=str(error), fix="name a text file", where=path
        ) from error
    places = list(_HEADING.finditer(text))
    if not places:
        raise InputError(
            "the document has no sections", fix="headings are `# Title` or `1. Title`", where=path
        )
    ends = [place.start() for place in places[1:]] + [len(text)]
    sections = {
        _flat(place[1]): _flat(text[place.end() : end]) for place, end in zip(places, ends, strict=True)
    }
    return Document(Path(path).name, len(text.split()), {h: body for h, body in sections.items() if body})


def outline(document: Document, at_most: int) -> tuple[str, int]:
    """Return the headings that fit, and how many there are."""
    names = [re.split(r"\. |\.$", heading)[0] for heading in document.sections]
    return _fitting([f"{number} {name}." for number, name in enumerate(names, start=1)], at_most)


def extract(document: Document, at_most: int) -> tuple[str, int]:
    """Return the sentences that hold most of the document's frequent words, at most one of a section, and how many."""
    count = Counter(word.lower() for body in document.sections.values() for word in _WORD.findall(body))
    frequent = {word for word, _ in count.most_common(40)}
    best: list[tuple[float, str]] = []
    for body in document.sections.values():
        weighed = [(_weight(one, frequent), one) for one in _SENTENCE.split(body) if len(one.split()) >= 6]  # noqa: PLR2004
        if weighed:
            best.append(max(weighed))
    return _fitting([text for _, text in sorted(best, reverse=True)], at_most)


def price(cents: int) -> Money:
    """Return an amount in euros."""
    return Money(Decimal(cents) / 100, "EUR")


def _weight(sentence: str, frequent: set[str]) -> float:
    words = [word.lower() for word in _WORD.findall(sentence)]
    return len(frequent.intersection(words)) / (len(words) + 5)


def _fitting(pieces: list[str], at_most: int) -> tuple[str, int]:
    kept: list[str] = []
    for piece in pieces:
        if sum(len(one.split()) for one in (*kept, piece)) > at_most:
            break
        kept.append(piece)
    return " ".join(kept), len(kept)


def _flat(text: str) -> str:
    return " ".join(text.split())
