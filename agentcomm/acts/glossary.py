"""Names that mean the same: each canonical name with its synonyms, as a protocol's type gives them.

Source: a term once accepted by both is used from then on (Clark & Wilkes-Gibbs 1986); a glossary says it beforehand.
"""

import unicodedata
from collections.abc import Mapping, Sequence

__all__ = ("Glossary", "canonical_name", "clash", "fold")

Glossary = Mapping[str, Sequence[str]]


def fold(text: str) -> str:
    """Return a text without case and spacing; what NFKC would fold stays, for 10² is not 102."""
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())


def canonical_name(glossary: Glossary, text: str) -> str:
    """Return the name that a text stands for; the text itself where the glossary has none."""
    word = fold(text)
    for name, synonyms in glossary.items():
        if word == fold(name) or any(word == fold(synonym) for synonym in synonyms):
            return name
    return text


def clash(glossary: Glossary) -> str:
    """Return a word that stands for two names, empty if there is none."""
    owner: dict[str, str] = {}
    for name, synonyms in glossary.items():
        for word in (name, *synonyms):
            if owner.setdefault(fold(word), name) != name:
                return word
    return ""
