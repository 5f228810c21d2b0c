"""Agents that say what a script says, and keep what they were offered."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from agentcomm.acts.message import Message
from agentcomm.agents.agent import by_code
from agentcomm.agents.turn import Turn
from agentcomm.conversation.moves import signature
from agentcomm.errors import UsageError

__all__ = ("SILENCE", "Offered", "Scripted", "scripted")

SILENCE = "(silence)"
"""A line of a script: say nothing until the time is up."""

Line = str | Sequence[Any] | Message | Callable[[Turn], Message] | Mapping[str, Any]
"""`"agree"`, `["propose", {"price": "10 EUR"}]`, a message, `SILENCE`, or a function of the turn; at a gather, one for each lane
by member, or one line after the other."""


class Offered(msgspec.Struct, frozen=True):
    """What an agent was offered in one turn."""

    state: str
    heard: Message | None
    """What it was to answer; None for the one who opens."""
    moves: tuple[str, ...]
    """The legal moves, as `propose(price: money)`."""
    exits: tuple[str, ...]
    """The labels by which it could say that it did not understand."""
    refusal: str = ""
    """Why its last try did not count."""
    overlay: str = ""
    lane: str = ""

    @classmethod
    def of(cls, turn: Turn) -> "Offered":
        """Return what a turn offers."""
        return cls(
            state=turn.state,
            heard=turn.heard,
            moves=tuple(signature(move) for move in turn.moves),
            exits=tuple(move.label for move in turn.exits),
            refusal=turn.refusal.reason if turn.refusal else "",
            overlay=turn.overlay.name if turn.overlay else "",
            lane=turn.lane,
        )


def scripted(*lines: Line, name: str = "") -> "Scripted":
    """Return an agent that says what a script says, line by line.

    A line is the label of an act (`"agree"`), an act with its content (`["propose", {"price": "10 EUR"}]`), a function
    of the turn, or `SILENCE`. What an overlay asks of it, such as a read-back, it says by itself, unless the next line
    can be said there.

    Args:
        lines: What it says, in order.
        name: How transcripts call it; the name of its role, if it is empty.
    """
    return Scripted(lines, name=name)


class Scripted:
    """An agent that says what a script says; see `scripted`.

    Attributes:
        offered: What it was offered, turn by turn.
        rest: The lines that were not said yet.
    """

    def __init__(self, lines: Sequence[Line], *, name: str = "") -> None:
        if name:
            self.name = name
        self.offered: list[Offered] = []
        self.rest: list[Line] = list(lines)

    def __repr__(self) -> str:
        return f"scripted({', '.join(map(repr, self.rest))})"

    async def __call__(self, turn: Turn) -> Message | list[Message]:
        """Say the next line.

        Raises:
            UsageError: If the script is at its end.
            IllegalMove: If the line may not be said now.
        """
        if turn.lanes:
            return await self._say_in_lanes(turn)
        self.offered.append(Offered.of(turn))
        return await self._say(turn, self._next(turn))

    async def _say_in_lanes(self, turn: Turn) -> list[Message]:
        self.offered += [Offered.of(one) for one in turn.lanes.values()]
        if self.rest and isinstance(self.rest[0], Mapping):
            lines = dict(cast("Mapping[str, Line]", self.rest.pop(0)))
            return [await self._say(turn.lanes[name], line) for name, line in lines.items()]
        said: list[Message] = []
        done: set[str] = set()
        for one in turn.lanes.values():
            if one.state not in done:
                message = await self._say(one, self._next(one))
                said.append(message)
                if not message.lane:  # it was said for all that stand there
                    done.add(one.state)
        return said

    def _next(self, turn: Turn) -> Line:
        if turn.overlay is not None and not (self.rest and _fits(turn, self.rest[0])):
            made = by_code(turn, has_model=False)
            if made is not None:
                return made
        if not self.rest:
            offered = Offered.of(turn)
            heard = f"{turn.heard.act!r}" if turn.heard else "nothing: it opens"
            raise UsageError(
                f"the script of {turn.agent} is at its end, and it has the floor in {turn.state!r}",
                why=f"it heard {heard}; it may say {', '.join(offered.moves) or 'nothing'}",
                fix="add a line; SILENCE lets the deadline pass",
                code="U520",
            )
        return self.rest.pop(0)

    async def _say(self, turn: Turn, line: Line) -> Message:
        if isinstance(line, Message):
            return line
        if line == SILENCE:
            await asyncio.Event().wait()
        if isinstance(line, str):
            return turn.say(line)
        if isinstance(line, Sequence):
            act, *rest = cast("Sequence[Any]", line)
            return turn.say(str(act), **(rest[0] if rest else {}))
        if callable(line):
            return line(turn)
        raise UsageError(
            f"{line!r} is no line of a script",
            fix='write `"agree"`, or `["propose", {"price": "10 EUR"}]`',
            code="U521",
        )


def _fits(turn: Turn, line: Line) -> bool:
    """Say whether the next line is for this turn of an overlay."""
    if isinstance(line, str):
        return line == SILENCE or turn.can(line)
    if isinstance(line, Sequence):
        return turn.can(str(cast("Sequence[Any]", line)[0]))
    return callable(line) or isinstance(line, Message)
