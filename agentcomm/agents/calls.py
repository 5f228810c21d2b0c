"""The tool calls of a turn, under keys that are the same whoever takes the turn, and however often.

A key follows from the conversation, the place in it and the number of the call: so a turn that is taken again, after a refusal or
a crash, finds what was done and does not do it again.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

import msgspec

from agentcomm.agents.tools import ToolFailed, ToolLate

__all__ = ("By", "Call", "Calls", "key_of")

By = Literal["handler", "model"]


class Call(msgspec.Struct):
    """One call of a turn."""

    key: str
    tool: str
    arguments: Any
    """JSON data."""
    by: By = "handler"
    is_done: bool = False
    result: Any = None
    """What it gave, in this process; from a record, JSON data."""
    is_restored: bool = False
    is_cleared: bool = False
    """Somebody has looked, and said that it is to be made again."""
    cut: str = ""
    """What cut it off in this process; whatever carries it out may still be at it."""
    error: Exception | None = None
    """Why it failed; a failed call is not made again in this turn, unless a handler asks for it again."""

    @property
    def is_in_doubt(self) -> bool:
        """Whether it was begun, and what became of it is not known here."""
        return (self.is_restored or bool(self.cut)) and not self.is_done

    @property
    def is_settled(self) -> bool:
        """Whether it succeeded, which nothing changes."""
        return self.is_done and self.error is None


class _Alike(msgspec.Struct):
    """Calls of one tool with the same arguments, in their order."""

    calls: list[Call] = []
    place: int = 0
    """How many of them this try has come to."""
    settled: int = 0
    """How many from the first on have succeeded: they need not be looked at again, however often a tool is polled."""


class Calls:
    """The calls of one turn, by everybody who takes it: each try of it and each resumption begins them anew.

    Args:
        turn: Name of the turn.
    """

    def __init__(self, turn: str) -> None:
        self.turn = turn
        self.made: list[Call] = []
        self._by_key: dict[str, Call] = {}
        self._alike: defaultdict[tuple[str, bytes, By], _Alike] = defaultdict(_Alike)
        self._number = 0

    def begin(self) -> None:
        """Begin a try of the turn: calls that were made are found again, in their order."""
        for alike in self._alike.values():
            alike.place = 0

    def find(self, tool: str, arguments: Any, by: By = "handler") -> Call:
        """Return the call that was made before, or a new one.

        A model that says the same again is given what it has. A handler that makes the same call twice in one try means two, unless
        the first failed or is in doubt: then it is that call again, under its key.
        """
        alike = self._alike[_as_said(tool, arguments, by)]
        calls, place = alike.calls, alike.place
        if by == "model" and calls:
            return calls[0]
        while alike.settled < place and calls[alike.settled].is_settled:
            alike.settled += 1
        loose = calls[alike.settled : place]
        for call in loose:
            if call.is_in_doubt:
                return call
        if place < len(calls):
            alike.place += 1
            return calls[place]
        for call in reversed(loose):
            if call.error is not None:
                call.is_done, call.error, call.is_restored, call.cut = False, None, False, ""
                return call
        while (key := key_of(self.turn, self._number)) in self._by_key:
            self._number += 1
        alike.place += 1
        return self._add(Call(key, tool, arguments, by))

    def _add(self, call: Call) -> Call:
        self.made.append(call)
        self._by_key[call.key] = call
        self._alike[_as_said(call.tool, call.arguments, call.by)].calls.append(call)
        return call

    def of_model(self) -> list[Call]:
        """Return the calls that the model made in this turn and that came to an end, in their order."""
        return [call for call in self.made if call.by == "model" and call.is_done]

    def restore(self, steps: Iterable[tuple[str, Mapping[str, Any], Any]]) -> None:
        """Take up what is on record of this turn.

        Args:
            steps: Type, data and content of step records, in order; those of other turns are skipped.
        """
        for kind, data, body in steps:
            if kind == "tool.call":
                if data.get("turn") != self.turn:
                    continue
                known = self._by_key.get(str(data["key"]))
                if known is not None:  # begun once more
                    known.is_cleared, known.is_done, known.error, known.is_restored = False, False, None, True
                    continue
                by: By = "model" if data.get("by") == "model" else "handler"
                self._add(Call(str(data["key"]), str(data["tool"]), body, by, is_restored=True))
                continue
            call = self._by_key.get(str(data.get("key")))
            if call is None:
                continue
            if kind == "tool.again":
                call.is_cleared = True
            elif kind in ("tool.result", "tool.error"):
                call.is_done, call.result = True, body
                if kind == "tool.error":
                    told = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
                    what, code = str(told.get("error", "it failed")), str(data.get("code", ""))
                    call.error = ToolLate(what) if code == ToolLate.code else ToolFailed(what, code=code)


def _as_said(tool: str, arguments: Any, by: By) -> tuple[str, bytes, By]:
    """Return what two calls have in common that are the same."""
    return tool, msgspec.json.encode(arguments, order="deterministic"), by


def key_of(turn: str, number: int) -> str:
    """Return the key of a call: the same whoever computes it, and another for every other call."""
    return hashlib.sha256(f"{turn}#{number}".encode()).hexdigest()[:32]
