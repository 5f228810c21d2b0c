"""Hear an answer piece by piece: keep what counts, and stop listening to what will not end.

Streamed, since an answer that is listened to can be stopped: a cancelled call frees the machine at the next token, and a model
that repeats itself is not waited for until its last one.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any, cast

from agentcomm.errors import EdgeError, ModelBroken
from agentcomm.models.base import ModelRequest, Token

__all__ = ("Hearing", "broken_off", "lines_of")

EVERY = 128
"""Characters after which an answer is looked at again."""
TAIL = 640
"""Characters that repeat one pattern without a break before it is stopped; more than any text that an act may carry twice."""
PATTERN = 80
"""Longest pattern looked for."""
BLANKS = 256
"""White space in a row; inside a grammar a model can write it without end."""
CHARS_PER_TOKEN = 64
"""Characters of an answer for each token allowed; more is a server that does not keep to what it was asked."""
LONGEST_LINE = 8_000_000
"""Bytes."""


class Hearing:
    """What was heard of one answer so far."""

    def __init__(self, name: str, request: ModelRequest) -> None:
        self._name = name
        self._most = max(1, request.num_predict) * CHARS_PER_TOKEN
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._chars = 0
        self._looked = 0
        self.tokens: list[Token] = []
        self.done_reason = ""
        self.prompt_tokens: int | None = None
        self.output_tokens: int | None = None
        self.ended = False

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._text)

    @property
    def thinking(self) -> str:
        """What was thought so far."""
        return "".join(self._thinking)

    def add(self, text: str, thinking: str = "") -> None:
        """Add a piece.

        Raises:
            ModelBroken: The answer goes on without an end.
        """
        if thinking:
            self._thinking.append(thinking)
        if text:
            self._text.append(text)
        self._chars += len(text) + len(thinking)
        if self._chars - self._looked >= EVERY:
            self._looked = self._chars
            self._look()

    def note(self, tokens: Iterable[Any]) -> None:
        """Add log-probabilities in the form that servers give them; what is not of that form is left out."""
        for entry in tokens:
            if not isinstance(entry, dict):
                continue
            found = cast("dict[str, Any]", entry)
            text, logprob = found.get("token"), found.get("logprob")
            if isinstance(text, str) and isinstance(logprob, int | float):
                self.tokens.append(Token(text, float(logprob)))

    def take_completion(self, chunk: Any) -> None:
        """Add one piece in the form of OpenAI's streamed chat completions, which many servers speak.

        Raises:
            ModelBroken: The answer goes on without an end.
        """
        for choice in chunk.get("choices") or ():
            delta: Any = choice.get("delta") or choice.get("message") or {}
            self.done_reason = choice.get("finish_reason") or self.done_reason
            logprobs: Any = choice.get("logprobs") or {}
            self.note(logprobs.get("content") or ())
            thinking = delta.get("reasoning_content") or delta.get("reasoning") or ""
            self.add(delta.get("content") or "", thinking)
        if usage := chunk.get("usage"):
            self.prompt_tokens = usage.get("prompt_tokens")
            self.output_tokens = usage.get("completion_tokens")

    def _look(self) -> None:
        for pieces in (self._text, self._thinking):
            tail = _tail(pieces, TAIL)
            if len(tail) > BLANKS and not tail[-BLANKS:].strip():
                raise self._endless(f"its last {BLANKS} characters are white space")
            if len(tail) == TAIL and (length := _period(tail)):
                raise self._endless(f"it says {tail[-length:]!r} again and again")
        if self._chars > self._most:
            raise self._endless(f"it has {self._chars} characters, and was allowed few tokens")

    def _endless(self, why: str) -> ModelBroken:
        return ModelBroken(
            f"the answer of {self._name} goes on without an end, and was stopped",
            why=why,
            fix="bound the texts and lists of the act, or use another model",
        )


def _tail(pieces: list[str], length: int) -> str:
    found: list[str] = []
    have = 0
    for piece in reversed(pieces):
        found.append(piece)
        have += len(piece)
        if have >= length:
            break
    return "".join(reversed(found))[-length:]


def _period(text: str) -> int:
    """Return the length of the pattern of which a text consists, 0 if it has none."""
    return next((length for length in range(1, PATTERN + 1) if text[length:] == text[:-length]), 0)


async def lines_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of a streamed body, blank ones left out.

    Raises:
        ValueError: A line does not end.
    """
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        if b"\n" not in chunk:
            parts.append(chunk)
            size += len(chunk)
            if size > LONGEST_LINE:
                raise ValueError(f"a line of more than {LONGEST_LINE} bytes")
            continue
        *whole, rest = b"".join((*parts, chunk)).split(b"\n")
        parts, size = [rest], len(rest)
        for line in whole:
            if line.strip():
                yield line
    if (last := b"".join(parts)).strip():
        yield last


def broken_off(name: str, heard: Hearing, where: str, why: str) -> EdgeError:
    """Return the error for a connection that broke before an answer was complete."""
    have = len(heard.text)
    return ModelBroken(
        f"the connection broke before the answer of {name} was complete",
        why=f"{why}; {have} characters had come" if have else why,
        fix="look at the server's log; it may have run out of memory",
        where=where,
    )
