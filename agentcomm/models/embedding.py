"""An embedding of words in process, which says whether two texts are about the same thing, and nothing more.

wordllama was taken (MIT, a wheel of 19 MB that carries its weights, 0.4 s to load, 0.1 ms for a short text): a table of vectors
and a tokenizer. all-MiniLM-L6-v2 tells topics apart as well as it does, and takes PyTorch or onnxruntime with 80 MB of weights.
"""

import math
import threading
from collections.abc import Sequence
from typing import Any

from agentcomm.errors import ModelUnavailable

__all__ = ("Embedding", "likeness")

MODEL = "l2_supercat_256"
"""Weights that the package carries."""


class Embedding:
    """Vectors of texts; loaded on first use, never fetched."""

    def __init__(self) -> None:
        self._model: Any = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Package, version and weights."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            return f"wordllama {version('wordllama')} {MODEL}"
        except PackageNotFoundError:
            return f"wordllama {MODEL}"

    def vectors(self, texts: Sequence[str]) -> list[list[float]]:
        """Return a vector of length one for each text; blocks.

        Raises:
            ModelUnavailable: The package is not installed, or its weights are not there.
        """
        with self._lock:
            if self._model is None:
                self._model = _load()
        return [[float(number) for number in row] for row in self._model.embed(list(texts), norm=True)]


def likeness(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the cosine of two vectors of length one; 0 where either is no vector."""
    product = math.fsum(a * b for a, b in zip(one, other, strict=True))
    return product if math.isfinite(product) else 0.0


def _load() -> Any:
    try:
        import wordllama  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
    except ImportError as error:
        raise ModelUnavailable(
            "there is no embedding model",
            why="wordllama is not installed",
            fix="pip install 'agentcomm[judge]'; or judge by code, or with a model",
        ) from error
    from pathlib import Path

    package: Any = wordllama
    try:  # its own folder is named as its cache, so that it finds the tokenizer that it carries
        return package.WordLlama.load(cache_dir=Path(package.__file__).parent, disable_download=True)
    except (OSError, ValueError) as error:
        raise ModelUnavailable(
            "the embedding model cannot be loaded", why=str(error), fix="reinstall wordllama"
        ) from error
