"""What a turn's spans are drawn from, as it is noted while the turn goes on."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Event
from agentcomm.conversation.rules import Rules

__all__ = ("TurnNotes",)


class TurnNotes(msgspec.Struct, gc=False):
    """What a turn's spans are drawn from."""

    begun: int
    place: str
    """Where it begins: the state, or overlay and state."""
    rules: Rules
    whole: float
    """Seconds for the whole conversation."""
    role: str
    model: str
    steps: list[tuple[int, str, Any, Any]] | None = None
    """What its agent did: when, kind, structure and content."""
    at: int = 0
    events: tuple[Event, ...] | None = None
    """What happened first, and when."""
    more: list[tuple[int, tuple[Event, ...]]] | None = None
    """What happened after that."""
    ended: int = 0
    after: str = ""
    """Where it ends."""
    awaiting: Sequence[str] = ()
    """Moves that were legal, if a deadline passed."""
    error: BaseException | None = None
    known: Mapping[str, Any] | None = None
    """What the agent set on its span."""
    heard: Message | None = None
    came: str = ""
    """What it answers, where that may have been said in another process; and the trace context that came with it."""

    def happened(self, at: int, events: tuple[Event, ...]) -> None:
        """Note what happened."""
        if self.events is None:
            self.at, self.events = at, events
        elif self.more is None:
            self.more = [(at, events)]
        else:
            self.more.append((at, events))

    def moments(self) -> list[tuple[int, Event]]:
        """Return everything that happened, with its time."""
        found = [(self.at, event) for event in self.events or ()]
        for at, events in self.more or ():
            found += [(at, event) for event in events]
        return found
