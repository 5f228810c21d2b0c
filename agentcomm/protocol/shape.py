"""The small readers that every part of a document is read with: maps with known keys, words, counts, durations.

A reader that finds something wrong says so once and returns nothing; whoever asked goes on without it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TypeVar

import msgspec

from agentcomm.acts.content import parse_duration
from agentcomm.protocol.findings import Report, near, quoted
from agentcomm.protocol.graph import Mark
from agentcomm.protocol.source import Entry, Node

__all__ = ("Reader", "Word", "is_name", "unknown")

_T = TypeVar("_T")
_NAME = re.compile(r"[^\W\d_][\w-]*")
_MEANT: dict[str, tuple[str, ...]] = {
    "goto": ("next",), "target": ("next",), "state": ("next",), "performative": ("act",), "type": ("act",),
    "timeout": ("within", "reply_within"), "deadline": ("within", "reply_within"), "after": ("within", "reply_within"),
    "receiver": ("to",), "receivers": ("to",), "recipients": ("to",), "retries": ("max", "repairs"), "times": ("max",),
    "limit": ("max",), "guard": ("when",), "condition": ("when",), "if": ("when",), "fields": ("content",),
    "payload": ("content",), "body": ("content",), "params": ("content",), "data": ("content",), "total": ("whole",),
    "max_turns": ("turns",), "default": ("else",), "otherwise": ("else",),
}  # fmt: skip
"""Words that other tools use, and the keys that say the same here."""
_SURE = 0.7
"""How like another a key must be to be read as that one."""
_LONGEST_NAME = 64
"""Characters; names go into spans, file names and drawings."""


class Word(msgspec.Struct, frozen=True, gc=False):
    """A word of the document with its place."""

    text: str
    at: Mark

    def __str__(self) -> str:
        return self.text


def is_name(text: str) -> bool:
    """Whether `text` can name a role, an act, a state or an outcome."""
    return len(text) <= _LONGEST_NAME and bool(_NAME.fullmatch(text))


def _renamed(text: str) -> str:
    """Return what to write instead of a text that cannot be a name."""
    name = re.sub(r"[\W_]+", "-", text[: 4 * _LONGEST_NAME]).strip("-").lstrip("0123456789-")
    return f"write '{name}'" if is_name(name) else "give it a name of that form"


def unknown(
    report: Report,
    word: Word,
    what: str,
    known: Iterable[str],
    *,
    why: str = "",
    is_named: bool = False,
    meant: str = "",
) -> None:
    """Add a finding about a word that stands for nothing; once, if it is a name that other places may have, too."""
    if is_named and not report.is_news(word.text):
        return
    fix = f"did you mean '{meant}'?" if meant else near(word.text, known)
    report.add("E102", "unknown_name", word.at, f"'{word}' is not {what}", why=why, fix=fix)


@dataclass(slots=True)
class Reader:
    """Reads nodes and reports what does not fit."""

    report: Report
    broken: bool = False
    """Something was left out that the graph needs: what follows from the graph is not to be trusted."""

    def wrong(self, at: Mark, what: str, *, why: str = "", fix: str = "") -> None:
        """Add a finding about the shape of the document."""
        self.report.add("E101", "syntax", at, what, why=why, fix=fix)

    def entries(self, node: Node, what: str, *, fix: str = "") -> Mapping[str, Entry]:
        """Return the entries of a map; none, with a finding, for anything else."""
        if node.entries is None:
            self.wrong(node.at, f"{what} is a map, not {node}", fix=fix)
            self.broken = True
            return {}
        return node.entries

    def known(self, node: Node, what: str, allowed: Iterable[str], *, fix: str = "") -> dict[str, Entry]:
        """Return the entries of a map with a closed list of keys.

        An unknown key that is close to a missing one is reported and read as that one.
        """
        keys = tuple(allowed)
        given = self.entries(node, what, fix=fix)
        result = {key: entry for key, entry in given.items() if key in keys}
        if len(result) == len(given):
            return result
        for key, entry in given.items():
            if key in keys:
                continue
            same = next((word for word in _MEANT.get(key, ()) if word in keys), "")
            hint = f"did you mean '{same}'?" if same else near(key, keys)
            meant = hint.split("'")[1] if hint.startswith("did") else ""
            is_sure = bool(same) or (bool(meant) and SequenceMatcher(None, key, meant).ratio() >= _SURE)
            self.wrong(
                entry.at,
                f"'{key}' is not a key of {what}",
                why=f"keys: {quoted(keys, limit=20)}",
                fix=hint + ("" if is_sure else " Else indent it under what it belongs to")
                if meant
                else "take one of these, remove it, or indent it under what it belongs to",
            )
            if is_sure and meant not in result:
                result[meant] = entry
        return result

    def word(self, node: Node, what: str, *, fix: str = "") -> Word | None:
        """Return a text."""
        if (text := node.text) is not None:
            return Word(text, node.at)
        if node.is_scalar:
            self.report.add(
                "E100",
                "syntax",
                node.at,
                f"{what} is read as {node}, not as a word",
                fix=fix or (f'write "{node.raw}" in quotes' if node.raw else "write it out"),
            )
        else:
            self.wrong(
                node.at,
                f"{what} is one word, not {node}",
                why="a name stands here",
                fix=fix or "write one word, without braces, brackets and dashes",
            )
        return None

    def name(self, word: Word, what: str) -> bool:
        """Whether a word can be a name; a finding if not."""
        if is_name(word.text):
            return True
        self.wrong(
            word.at,
            f"'{word.text}' cannot be the name of {what}",
            why=f"a name is letters, digits, `-` and `_`, begins with a letter, and is at most {_LONGEST_NAME} characters long",
            fix=_renamed(word.text),
        )
        self.broken = True
        return False

    def words(self, node: Node, what: str) -> tuple[Word, ...]:
        """Return one text or a list of them."""
        nodes = node.items if node.items is not None else [node]
        found = [self.word(item, what) for item in nodes]
        return tuple(word for word in found if word)

    def pairs(
        self, node: Node, what: str, value: str, *, fix: str = "", each: str = ""
    ) -> tuple[tuple[Word, Word], ...]:
        """Return the entries of a map of words; `each` is the remedy where one is none."""
        found = [
            (Word(entry.key, entry.at), self.word(entry.node, value, fix=each))
            for entry in self.entries(node, what, fix=fix).values()
        ]
        return tuple((key, word) for key, word in found if word)

    def count(self, node: Node, what: str, *, least: int = 1) -> int | None:
        """Return a whole number."""
        value = node.value
        if (
            node.is_scalar
            and isinstance(value, int)
            and not isinstance(value, bool)
            and least <= value <= _MOST
        ):
            return value
        fix = f"write a number, such as {least + 2}"
        self.wrong(node.at, f"{what} is a whole number from {least}, not {node}", fix=fix)
        return None

    def duration(self, node: Node, what: str) -> float | None:
        """Return seconds, more than none."""
        try:
            seconds = parse_duration(node.text).total_seconds()
        except (ValueError, OverflowError):
            self.wrong(
                node.at,
                f"{what} is a duration, not {node}",
                fix=_as_duration(node) or "write a number with a unit, such as 30s, 10m or 1h30m",
            )
            return None
        if seconds > 0:
            return seconds
        self.report.add(
            "E206",
            "missing_deadline",
            node.at,
            f"{what} of {node.raw} is over at once",
            why="nobody could ever answer in time",
            fix="give it time, such as 30s",
        )
        return None

    def flag(self, node: Node, what: str) -> bool:
        """Return true or false."""
        if node.is_scalar and isinstance(node.value, bool):
            return node.value
        self.wrong(node.at, f"{what} is true or false, not {node}")
        return False

    def optional(self, entry: Entry | None, read: Callable[[Node, str], _T | None], what: str) -> _T | None:
        """Return what `read` makes of an entry, None if there is none."""
        return read(entry.node, what) if entry else None


_SPELT = re.compile(r"(\d{1,6}) *(s|m|h|d)[a-z]*", re.IGNORECASE)
"""A duration in words: `1 hour`."""


def _as_duration(node: Node) -> str:
    """Return what to write for a duration in words, or without a unit."""
    if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value > 0:
        return f"write its unit: {node.value}s, {node.value}m, {node.value}h or {node.value}d"
    found = _SPELT.fullmatch(node.text or "")
    return f"write {found[1]}{found[2].lower()}" if found else ""


_MOST = 1_000_000
"""The biggest count: a protocol with more turns than that is a mistake."""
