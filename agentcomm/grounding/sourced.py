"""Find values that nobody ever said: a figure or a dotted name in a text that stands in no source.

A model that writes words around facts may invent a figure, or take one from a worked example; code can see both, since every
figure must come from somewhere.
"""

import re
from collections.abc import Iterable

__all__ = ("unsourced",)

_EDGE = r"\s'\"(){}\[\],;="
_FIGURE = re.compile(rf"[^{_EDGE}]*\d[^{_EDGE}]*|\w[\w-]*(?:\.[a-z0-9][\w-]*)+")


def unsourced(texts: Iterable[str], sources: Iterable[str], examples: Iterable[str] = ()) -> tuple[str, ...]:
    """Return what stands in `texts` and whole in none of `sources`, each once.

    Looked for are words with a digit, dotted names such as `mail.example`, and the values of worked `examples`.
    """
    known = "\n".join(sources).casefold()
    found: dict[str, None] = {}
    foreign = [value for value in examples if not _stands_in(value, known)]
    for text in texts:
        for match in _FIGURE.finditer(text):
            if not _stands_in(match[0].rstrip(".:!?"), known):
                found[match[0]] = None
        found |= dict.fromkeys(value for value in foreign if _stands_in(value, text.casefold()))
    return tuple(found)


def _stands_in(word: str, text: str) -> bool:
    return bool(word) and bool(re.search(rf"(?<![0-9a-z]){re.escape(word.casefold())}(?![0-9a-z])", text))
