"""Find values that nobody ever said: a number or name with digits in a text that stands in no source.

A model that writes words around facts may invent a figure; code can see that, since every figure must come from somewhere.
"""

import re
from collections.abc import Iterable

__all__ = ("unsourced",)

_FIGURE = re.compile(r"[^\s'\"(){}\[\],;=]*\d[^\s'\"(){}\[\],;=]*")


def unsourced(texts: Iterable[str], sources: Iterable[str]) -> tuple[str, ...]:
    """Return the words with a digit in `texts` that occur in none of `sources`, each once, in order."""
    known = "\n".join(sources).casefold()
    found: dict[str, None] = {}
    for text in texts:
        for match in _FIGURE.finditer(text):
            word = match[0].rstrip(".:!?").casefold()
            if word not in known:
                found[match[0]] = None
    return tuple(found)
