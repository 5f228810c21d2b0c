"""Where chance comes from: dice with a seed here, draws of hypothesis in `strategies.py`.

Whoever makes values or walks a protocol asks for choices only, so the same code serves both, and what hypothesis drew shrinks.
"""

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

__all__ = ("Choices", "Dice")

LETTERS = "abcdefgh ÄßéñΩ漢字😀'\"\\\n0123"
"""Letters of texts that a peer might send: some of more than one byte, some that have to be quoted."""

T = TypeVar("T")


class Choices(Protocol):
    """Somebody who chooses. Where choices shrink, they shrink to the first, the least, and no."""

    def pick(self, options: Sequence[T], /) -> T:
        """Return one of several."""
        ...

    def integer(self, low: int, high: int, /) -> int:
        """Return a whole number from `low` to `high`, both included."""
        ...

    def number(self, low: float, high: float, /) -> float:
        """Return a finite number from `low` to `high`."""
        ...

    def text(self, shortest: int, longest: int, /) -> str:
        """Return a text with so many characters."""
        ...

    def chance(self, likelihood: float, /) -> bool:
        """Return yes with this probability."""
        ...


class Dice(random.Random):
    """Choices by a seed: the same seed, the same choices."""

    def pick(self, options: Sequence[T], /) -> T:
        """Return one of several."""
        return self.choice(options)

    def integer(self, low: int, high: int, /) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return self.randint(low, high)

    def number(self, low: float, high: float, /) -> float:
        """Return a finite number from `low` to `high`."""
        return min(max(self.uniform(low, high), low), high)

    def text(self, shortest: int, longest: int, /) -> str:
        """Return a text with so many characters."""
        return "".join(self.choices(LETTERS, k=self.randint(shortest, longest)))

    def chance(self, likelihood: float, /) -> bool:
        """Return yes with this probability."""
        return self.random() < likelihood
