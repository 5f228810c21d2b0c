"""A judge by code that knows what a text is about: an embedding tells what is said in other words from what is not said.

Likeness finds the topic only. It turns `cannot tell` into `missing` or `added` where nothing is about the same thing, and a
`missing` by words into `cannot tell` where something is. It never lets anything pass: opposites are as like as words get.
"""

from collections.abc import Sequence
from typing import Protocol

from agentcomm.agents.judge_code import CodeJudge
from agentcomm.models.embedding import Embedding, likeness

__all__ = ("Embedder", "EmbeddingJudge")


class Embedder(Protocol):
    """Makes vectors of texts."""

    @property
    def name(self) -> str:
        """Model and version."""
        ...

    def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of length one for each text; may block."""
        ...


class EmbeddingJudge(CodeJudge):
    """Judges by code, with an embedding to find the topic; without the embedding it comes to no verdict.

    Args:
        embedder: Makes the vectors; the embedded model of `agentcomm[judge]` if none is given.
    """

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = embedder or Embedding()

    @property
    def name(self) -> str:
        """`embedding`."""
        return "embedding"

    @property
    def model(self) -> str:
        """Model and version of the embedding."""
        return self._embedder.name

    def _topic(self, text: str, others: Sequence[str]) -> float | None:
        """Return how like the likest of some texts is."""
        if not others:
            return 0.0
        first, *rest = self._embedder.vectors([text, *others])
        return max(likeness(first, vector) for vector in rest)
