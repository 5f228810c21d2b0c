"""The types of open-aea's protocol specifications, in the types of our language."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ("AeaType", "aea_type")

_TOKEN = re.compile(r"\s*(?:(pt|ct):(\w+)|([\[\],]))")
_PLAIN = {"str": "text", "int": "int", "float": "number", "bool": "bool", "bytes": "text"}
_LISTS = ("list", "set", "tuple")
_DEEPEST = 12


@dataclass(slots=True)
class AeaType:
    """A type of ours, and what of theirs it does not say."""

    name: str
    lost: list[str] = field(default_factory=list[str])


class _Unreadable(Exception):
    """The text is no type."""


def aea_type(text: str) -> AeaType | None:
    """Return the type that stands for theirs; None if the text is none."""
    made = AeaType("any")
    try:
        tokens = _Tokens(text)
        made.name = _read(tokens, made.lost, 0)
        return made if tokens.next() is None else None
    except _Unreadable:
        return None


class _Tokens:
    """The parts of a type, one after the other."""

    def __init__(self, text: str) -> None:
        self._parts = _parts(text.strip())

    def next(self) -> tuple[str, str] | None:
        """Return the next part: `pt`, `ct` or nothing, and the word or sign; None at the end."""
        return next(self._parts, None)

    def expect(self, *signs: str) -> str:
        """Return the sign that comes next, if it is one of these."""
        kind, sign = self.next() or ("", "")
        if kind or sign not in signs:
            raise _Unreadable
        return sign


def _parts(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise _Unreadable
        at = found.end()
        yield found[1] or "", found[2] or found[3]


def _read(tokens: _Tokens, lost: list[str], depth: int) -> str:
    kind, word = tokens.next() or ("", "")
    if depth > _DEEPEST or not kind:
        raise _Unreadable
    if kind == "ct":
        lost.append(f"the custom type {word} is `any`")
        return "any"
    if word in _PLAIN:
        lost += ["bytes are text"] if word == "bytes" else []
        return _PLAIN[word]
    if word not in (*_LISTS, "dict", "union", "optional"):
        raise _Unreadable
    below: list[str] = []
    inner = _inner(tokens, below, depth)
    match word:
        case "optional" if len(inner) == 1:
            lost += below
            return inner[0] if inner[0].startswith("optional ") else f"optional {inner[0]}"
        case "dict" if len(inner) == 2:  # noqa: PLR2004  (key and value)
            lost.append("a dict is `any`: what its keys and values are is not said")
            return "any"
        case "union" if inner:
            lost.append("a union is `any`")
            return "any"
        case "list" | "set" | "tuple" if len(inner) == 1:
            lost += [*below, *([f"a {word} is a list"] if word != "list" else [])]
            return f"list of {inner[0].removeprefix('optional ')}"
        case _:
            raise _Unreadable


def _inner(tokens: _Tokens, lost: list[str], depth: int) -> list[str]:
    """Return what stands in brackets."""
    tokens.expect("[")
    found = [_read(tokens, lost, depth + 1)]
    while tokens.expect(",", "]") == ",":
        found.append(_read(tokens, lost, depth + 1))
    return found
