"""How large a window a prompt needs: measured, not guessed once and for all.

A server loads a model again for another window, so a window is taken in few steps and only ever grows. What a token is
worth in characters differs by model and text, so it is learnt from the counts that the server returns.
"""

from collections.abc import Iterable

from agentcomm.models.base import ChatMessage, ModelRequest

__all__ = ("Window", "estimate")

FIRST = 4096
"""The smallest window that is loaded, unless the model's own or the one allowed is smaller."""

CHARS_PER_TOKEN = 4
"""Of prose in an alphabet; data has fewer."""

DENSE = 1.5
"""Tokens of data to tokens of prose of that length; taken until the model's own figure is known."""

SPARE = 1.1
TEMPLATE = 64
"""Tokens that a chat's template adds."""

IDEOGRAPHS = "\u2e80"
"""From here on a character is about a token."""

HALF_SLACK = 4
"""Tokens by which the count of a silently shortened prompt was seen to differ from half the window."""

SUSPECT = 1.4
"""Prose that fits is estimated at up to 1.2 of its count; what was shortened at 1.5 and more."""


def estimate(messages: Iterable[ChatMessage]) -> int:
    """Return about how many tokens messages have, taken for prose."""
    total = 0
    for message in messages:
        text = message.content
        dense = 0 if text.isascii() else sum(character >= IDEOGRAPHS for character in text)
        total += (len(text) - dense) // CHARS_PER_TOKEN + dense
    return total


class Window:
    """The window of one model at one server, shared by all who use it there."""

    __slots__ = ("_least", "_most", "own", "size")

    def __init__(self) -> None:
        self.own: int | None = None
        """Tokens the model was trained for; None if not known."""
        self.size = 0
        """Tokens of the window asked for last; 0 before the first call."""
        self._least: float | None = None
        self._most: float | None = None
        """Tokens counted to tokens estimated, as seen so far."""

    def take(self, request: ModelRequest) -> int:
        """Return the window for a request; it is at least the one asked for last."""
        need = estimate(request.messages) * (self._most or DENSE) * SPARE + TEMPLATE + request.num_predict
        return self.grow(int(need), request)

    def grow(self, tokens: int, request: ModelRequest) -> int:
        """Return the window that holds so many tokens, as far as the request and the model allow."""
        most = min(request.num_ctx, self.own or request.num_ctx)
        size = FIRST
        while size < tokens:
            size *= 2
        self.size = max(self.size, min(size, most))
        return self.size

    def learn(self, request: ModelRequest, counted: int | None) -> None:
        """Remember how many tokens a prompt had that went through whole."""
        estimated = estimate(request.messages)
        if counted is None or estimated < TEMPLATE:
            return
        ratio = counted / estimated
        self._least = ratio if self._least is None else min(self._least, ratio)
        self._most = ratio if self._most is None else max(self._most, ratio)

    def is_shortened(self, request: ModelRequest, counted: int | None, size: int) -> bool:
        """Tell whether a prompt was cut in silence, as servers before 0.12.6 do.

        A long message is cut to half the window; of many messages the oldest are dropped until the rest fits.
        """
        if counted is None:
            return False
        expected = estimate(request.messages) * min(1.0, self._least or 1.0)
        if expected <= SUSPECT * counted:
            return False
        return abs(counted - size // 2) <= HALF_SLACK or expected > size
