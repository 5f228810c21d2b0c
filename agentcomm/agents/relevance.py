"""Whether free text is about what it answers: words in common say yes, an embedding says no, and most often nobody can tell.

An answer need not repeat a word of its question, so code alone never says no. The likeness of an embedding finds the topic: an answer
that is unlike all that was asked is about something else, as a rule; how often that is wrong, `bench_judges.py relevance` measures.

Source: questions under discussion (Ginzburg 1996): an answer that addresses none of them is a sign of derailment.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from agentcomm.agents.judge_words import clauses, is_english
from agentcomm.models.embedding import likeness

__all__ = ("about",)

_FEW = 3
"""Content words from which on a text says enough to be about something."""
_UNLIKE = -0.05
"""Below this likeness it is about something else: one of 40 real answers of the half `develop` is."""


class Embedder(Protocol):
    """Makes vectors of texts."""

    def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of length one for each text; may block."""
        ...


def about(asked: Iterable[str], said: str, embedder: Embedder | None = None) -> bool | None:
    """Say whether a text is about what was asked; None where nobody can tell.

    Args:
        asked: What was asked, text by text.
        said: The answer.
        embedder: Makes vectors of texts; without one nothing is ever found to be about something else.
    """
    questions = [text for text in asked if text.strip()]
    if not questions:
        return None
    mine, theirs = _words([said]), _words(questions)
    if mine & theirs:
        return True
    if embedder is None or len(mine) < _FEW or not is_english((said, *questions)):
        return None
    first, *rest = embedder.vectors([said, *questions])
    return False if max(likeness(first, vector) for vector in rest) < _UNLIKE else None


def _words(texts: Sequence[str]) -> set[str]:
    return {word for text in texts for clause in clauses(text) for word in (*clause.words, *clause.names)}
