"""What a phrase refers to among things that are known: one of them, none, or several.

`the second server` names nothing while three servers are known and their order was never said. Source: constituent
clarification (Purver, Ginzburg & Healey 2003); English phrases.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from agentcomm.acts.content import entries_of
from agentcomm.acts.glossary import Glossary, canonical_name, fold
from agentcomm.grounding.troubles import NoReferent, SeveralReferents

__all__ = ("check_reference", "referents", "unclear_references")

_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip
_EMPTY = frozenset(
    ["the", "a", "an", "this", "that", "one", "of", "our", "your", "my", "same", "other", "it", "them"]
)
_PRONOUNS = frozenset(
    ["it", "this", "that", "this one", "that one", "the one", "the other", "the other one", "the same"]
)
_PHRASE = re.compile(r"\b(?:the|this|that) ((?:[\w-]+ ){0,3}?[\w-]+)", re.IGNORECASE)


def referents(
    phrase: str, known: Mapping[str, Any], *, ordered: bool = False, glossary: Glossary | None = None
) -> tuple[str, ...]:
    """Return the names of the known things that a phrase fits.

    A name fits itself only. Otherwise each word of the phrase must stand in the thing's name or in what is known of it.

    Args:
        phrase: What was said, such as `the second server` or `db-1`.
        known: Name -> what is known of it: a text, texts, or a map of attributes.
        ordered: Their order was said to both, so that `second` picks one.
        glossary: Names with their synonyms.
    """
    word = fold(canonical_name(glossary, phrase) if glossary else phrase)
    if exact := tuple(name for name in known if fold(name) == word):
        return exact
    if word in _PRONOUNS:
        return tuple(known)
    words = [part for part in re.findall(r"[\w-]+", word) if part not in _EMPTY]
    place = next(
        (_ORDINALS.index(part) for part in words if part in _ORDINALS), -1 if "last" in words else None
    )
    wanted = {_singular(part) for part in words if part not in _ORDINALS and part != "last"}
    found = tuple(name for name, about in known.items() if wanted <= _words(name, about))
    if ordered and place is not None:
        return found[place : place + 1 or None]
    return found if words else ()


def check_reference(
    field: str,
    phrase: str,
    known: Mapping[str, Any],
    *,
    ordered: bool = False,
    glossary: Glossary | None = None,
) -> SeveralReferents | NoReferent | None:
    """Return the trouble with a field that must name one known thing, None if it does.

    Args:
        field: Name of the field.
        phrase: Its value.
        known: Name -> what is known of it.
        ordered: Their order was said to both.
        glossary: Names with their synonyms.
    """
    found = referents(phrase, known, ordered=ordered, glossary=glossary)
    if len(found) == 1:
        return None
    return SeveralReferents(field, phrase, found) if found else NoReferent(field, phrase)


def unclear_references(
    texts: Mapping[str, str],
    known: Mapping[str, Any],
    *,
    ordered: bool = False,
    glossary: Glossary | None = None,
) -> tuple[SeveralReferents, ...]:
    """Return the definite phrases in free texts that fit several known things; what fits none is about something else.

    Args:
        texts: Field -> text.
        known: Name -> what is known of it.
        ordered: Their order was said to both.
        glossary: Names with their synonyms.
    """
    found: dict[tuple[str, str], SeveralReferents] = {}
    for field, text in texts.items():
        for match in _PHRASE.finditer(text):
            for phrase in _shortenings(text, match):
                candidates = referents(phrase, known, ordered=ordered, glossary=glossary)
                if len(candidates) > 1:
                    found[field, fold(phrase)] = SeveralReferents(field, phrase, candidates)
                if candidates:
                    break
    return tuple(found.values())


def _shortenings(text: str, match: re.Match[str]) -> list[str]:
    """Return what a phrase may be, longest first: four words after the article, three, two, one."""
    words = re.findall(r"[\w-]+", text[match.start() :][:200])[:5]
    return [" ".join(words[:count]) for count in range(len(words), 1, -1)]


def _words(name: str, about: Any) -> set[str]:
    texts = [name, *_texts(about)]
    return {
        _singular(word) for text in texts for word in (fold(text), *re.findall(r"[\w-]+|\w+", fold(text)))
    }


def _texts(about: Any) -> list[str]:
    if isinstance(about, str):
        return [about]
    if (fields := entries_of(about)) is not None:
        return [
            str(value)
            for value in fields.values()
            if isinstance(value, str | int) and not isinstance(value, bool)
        ]
    items = cast("Sequence[Any]", about) if isinstance(about, Sequence) else ()
    return [item for item in items if isinstance(item, str)]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word  # noqa: PLR2004
