"""Peers who say anything that a protocol lets them say."""

import asyncio
from collections.abc import Sequence
from typing import Any

from agentcomm.acts.message import Message
from agentcomm.agents.turn import Turn
from agentcomm.protocol.graph import Move
from agentcomm.testing.choices import Choices
from agentcomm.testing.contents import Examples
from agentcomm.testing.speech import content_of_turn, meets
from agentcomm.testing.walking import PLAIN, Manner

__all__ = ("Peer",)


class Peer:
    """An agent that makes any legal move, falls silent, asks again, and reads back wrongly: all of it by chance.

    Args:
        choices: Where chance comes from.
        manner: How often it does what.
        examples: Act -> contents to say as they are.
    """

    def __init__(
        self,
        choices: Choices,
        manner: Manner = PLAIN,
        *,
        examples: Examples | None = None,
    ) -> None:
        self.choices = choices
        self.manner = manner
        self.examples = examples

    async def __call__(self, turn: Turn) -> Message | list[Message]:
        """Make a move, or say nothing until the time is up."""
        if self.choices.chance(self.manner.slow):
            await asyncio.Event().wait()
        said = self._say_in_lanes(turn) if turn.lanes else [self._say(turn)]
        found = [message for message in said if message is not None]
        if not found:
            await asyncio.Event().wait()
        return found if turn.lanes else found[0]

    def _say_in_lanes(self, turn: Turn) -> list[Message | None]:
        said: list[Message | None] = []
        done: set[str] = set()
        for one in turn.lanes.values():
            if one.state in done:
                continue
            message = self._say(one, turn)
            said.append(message)
            if message is not None and not message.lane:
                done.add(one.state)
        return said

    def _say(self, turn: Turn, whole: Turn | None = None) -> Message | None:
        for move in self._in_order(turn):
            content = content_of_turn(
                turn.conversation,
                move,
                self.choices,
                exits=turn.exits,
                honest=self.manner.honest,
                examples=self.examples,
            )
            if content is not None and (whole is None or not move.for_all or _fits(whole, move, content)):
                return Message(act=move.label, content=content, lane="" if move.for_all else turn.lane)
        return None

    def _in_order(self, turn: Turn) -> list[Move]:
        """Return the moves in the order in which they are tried."""
        moves: Sequence[Move] = turn.moves
        if turn.exits and self.choices.chance(self.manner.asks):
            moves = turn.exits
        staying = [move for move in moves if move.label not in {"unable", "give-up"}]
        if staying and not self.choices.chance(self.manner.quits):
            moves = staying
        left, found = list(moves), list[Move]()
        while left:
            found.append(self.choices.pick(left))
            left.remove(found[-1])
        return found


def _fits(whole: Turn, move: Move, content: dict[str, Any]) -> bool:
    """Say whether what is said once fits every lane that hears it."""
    return all(
        meets(one.conversation, other, content)
        for one in whole.lanes.values()
        for other in one.moves
        if other.label == move.label
    )
