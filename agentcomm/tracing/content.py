"""Decide how much of what was said reaches a span: redact, then show it, its hash, or nothing.

Long texts are cut inside, so that what is left is still JSON: backends cut a long attribute blindly, and then show nothing.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

__all__ = ("ATTRIBUTE_BYTES", "Content", "Level", "Redactor", "cut", "encode_sorted", "fit", "sorted_json")

Level = Literal["full", "hash", "none"]
Redactor = Callable[[str, str], str]
"""`(kind, text) -> text`; kinds are message, prompt, answer, tool and error."""


def _limit() -> int:
    """Return the longest content of one attribute: 8 KiB, or what the environment says that backends take, from 64 up."""
    for name in ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"):
        text = os.environ.get(name, "").strip()
        if text.isdigit():
            return max(64, min(int(text), _MOST))
    return _MOST


_MOST = 8 * 1024
ATTRIBUTE_BYTES = _limit()
"""Longest content of one attribute."""

UNREADABLE = "[removed: a redactor failed]"
ELLIPSIS = "…"


class Content:
    """What a span may show of what was said.

    Args:
        level: full, hash or none.
        redactors: Applied in order to every text, before it is shown or hashed.
    """

    def __init__(self, level: Level = "hash", redactors: Sequence[Redactor] = ()) -> None:
        self.level: Level = level
        self.redactors = tuple(redactors)
        self.redacted: set[str] = set()
        """Kinds of texts that a redactor changed."""

    def fresh(self) -> "Content":
        """Return one that shows the same, for one conversation."""
        return Content(self.level, self.redactors)

    @property
    def is_full(self) -> bool:
        """Texts are shown."""
        return self.level == "full"

    @property
    def is_hashed(self) -> bool:
        """Hashes are shown, with or without the texts."""
        return self.level != "none"

    def text(self, kind: str, text: str) -> str:
        """Return a redacted text, cut to what an attribute takes."""
        return cut(self._redact(kind, text))

    def data(self, kind: str, value: Any) -> str:
        """Return redacted JSON data as JSON, its texts cut so that an attribute takes it."""
        return fit(self._redact_all(kind, value) if self.redactors else value)

    def digest(self, kind: str, value: Any) -> str:
        """Return the `sha256:` of redacted JSON data, keys sorted; of a text, that of its bytes."""
        value = self._redact_all(kind, value) if self.redactors else value
        said = value.encode() if isinstance(value, str) else sorted_json(value)
        return "sha256:" + hashlib.sha256(said).hexdigest()

    def digest_of(self, kind: str, value: Any, said: bytes) -> str:
        """Return the digest of JSON data whose `sorted_json` is at hand."""
        if self.redactors:
            return self.digest(kind, value)
        return "sha256:" + hashlib.sha256(said).hexdigest()

    def _redact(self, kind: str, text: str) -> str:
        before = text
        for redactor in self.redactors:
            try:
                text = redactor(kind, text)
            except Exception:  # noqa: BLE001  (a redactor that fails must not let the text through, nor end the talk)
                text = UNREADABLE
                break
        if text != before:
            self.redacted.add(kind)
        return text

    def _redact_all(self, kind: str, value: Any) -> Any:
        match value:
            case str():
                return self._redact(kind, value)
            case int() | float() if not isinstance(value, bool):
                written = str(value)
                shown = self._redact(kind, written)
                return value if shown == written else shown
            case Mapping():
                entries = cast("Mapping[Any, Any]", value)
                return {str(key): self._redact_all(kind, item) for key, item in entries.items()}
            case list() | tuple():
                return [self._redact_all(kind, item) for item in cast("Sequence[Any]", value)]
            case _:
                return value


def fit(value: Any, limit: int = ATTRIBUTE_BYTES) -> str:
    """Return JSON of at most `limit` bytes: long texts in it are cut, evenly and as little as needed."""
    whole = _dump(value)
    size = len(whole.encode())
    if size <= limit:
        return whole
    share = limit
    while share > 32:  # noqa: PLR2004  (shorter pieces tell nothing; then the head of the whole does)
        share //= 2
        shorter = _dump(_shorten(value, share))
        if len(shorter.encode()) <= limit:
            return shorter
    return _dump({"truncated": True, "chars": len(whole), "head": cut(whole, limit // 4)})


def _shorten(value: Any, share: int) -> Any:
    match value:
        case str():
            return cut(value, share)
        case Mapping():
            entries = cast("Mapping[Any, Any]", value)
            made: dict[str, Any] = {str(key): _shorten(item, share) for key, item in entries.items()}
            text = entries.get("content")
            if "type" in entries and isinstance(text, str) and made["content"] != text:
                made |= {"truncated": True, "chars": len(text)}
            return made
        case list() | tuple():
            return [_shorten(item, share) for item in cast("Sequence[Any]", value)]
        case _:
            return value


def cut(text: str, limit: int = ATTRIBUTE_BYTES) -> str:
    """Return at most `limit` bytes of a text, ending with its full length if it was cut."""
    if len(text) <= limit // 4 or len(text.encode()) <= limit:
        return text
    note = f"{ELLIPSIS}[{len(text)} characters]"
    room = max(0, limit - len(note.encode()))
    return text.encode()[:room].decode(errors="ignore") + note


def sorted_json(value: Any) -> bytes:
    """Return JSON with its keys in order and without spaces."""
    try:
        return encode_sorted(value)
    except (TypeError, ValueError, RecursionError):  # e.g. half a surrogate pair; `json` writes what it can
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
        return text.encode("utf-8", "replace")


encode_sorted = msgspec.json.Encoder(order="sorted", enc_hook=str).encode
"""Does what `sorted_json` does, but raises where a text is no text."""


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
