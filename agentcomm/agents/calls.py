"""The tool calls of a turn, under keys that are the same whoever takes the turn, and however often.

A key follows from the conversation, the place in it and the number of the call: so a turn that is taken again, after a refusal or
a crash, finds what was done and does not do it again.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

import msgspec

from agentcomm.agents.tools import ToolFailed

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
    error: Exception | None = None
    """Why it failed; a failed call is not made again in this turn, unless a handler asks for it again."""

    @property
    def is_in_doubt(self) -> bool:
        """Whether it was begun, and what became of it is not known here."""
        return self.is_restored and not self.is_done


class Calls:
    """The calls of one turn, by everybody who takes it: each try of it and each resumption begins them anew.

    Args:
        turn: Name of the turn.
    """

    def __init__(self, turn: str) -> None:
        self.turn = turn
        self.made: list[Call] = []
        self._taken: set[str] = set()
        self._number = 0

    def begin(self) -> None:
        """Begin a try of the turn: calls that were made are found again, in their order."""
        self._taken = set()

    def find(self, tool: str, arguments: Any, by: By = "handler") -> Call:
        """Return the call that was made before, or a new one.

        A model that says the same again is given what it has. A handler that makes the same call twice in one try means two, unless
        the first failed or is in doubt: then it is that call again, under its key.
        """
        same = [one for one in self.made if (one.tool, one.arguments, one.by) == (tool, arguments, by)]
        for call in same:
            if call.key not in self._taken or by == "model" or call.is_in_doubt:
                self._taken.add(call.key)
                return call
        for call in reversed(same):
            if call.error is not None:
                call.is_done, call.error, call.is_restored = False, None, False
                return call
        known = {one.key for one in self.made}
        while (key := key_of(self.turn, self._number)) in known:
            self._number += 1
        call = Call(key, tool, arguments, by)
        self.made.append(call)
        self._taken.add(key)
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
                known = next((call for call in self.made if call.key == data["key"]), None)
                if known is not None:  # begun once more
                    known.is_cleared, known.is_done, known.error, known.is_restored = False, False, None, True
                    continue
                by: By = "model" if data.get("by") == "model" else "handler"
                self.made.append(Call(str(data["key"]), str(data["tool"]), body, by, is_restored=True))
                continue
            for call in self.made:
                if call.key != data.get("key"):
                    continue
                if kind == "tool.again":
                    call.is_cleared = True
                elif kind in ("tool.result", "tool.error"):
                    call.is_done = True
                    call.result = body
                    if kind == "tool.error":
                        told = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
                        call.error = ToolFailed(str(told.get("error", "it failed")))


def key_of(turn: str, number: int) -> str:
    """Return the key of a call: the same whoever computes it, and another for every other call."""
    return hashlib.sha256(f"{turn}#{number}".encode()).hexdigest()[:32]
