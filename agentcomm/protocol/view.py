"""A protocol as one role sees it: what it says and hears, and where it may not know enough. Made by `project.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agentcomm.protocol.graph import Act, Move, Protocol

__all__ = ("Doubt", "DoubtKind", "LocalMove", "LocalProtocol", "LocalState")

DoubtKind = Literal["turn", "obligations", "crossing", "end", "race", "size"]
"""It cannot know that it is its turn, or what is asked of it; messages may overtake each other; it is not told of the end; two race
for a move; there was too much to look at."""


@dataclass(frozen=True, slots=True)
class LocalMove:
    """What a role says or hears in a local state."""

    state: str
    act: Act
    speaker: str
    to: tuple[str, ...]
    next: str
    is_sent: bool
    max: int | None = None
    then: str = ""
    owner: str = ""
    moves: tuple[Move, ...] = ()
    """The moves of the protocol that this may be."""

    @property
    def label(self) -> str:
        """As session types write it: `seller!cfp` is said to the seller, `seller?propose` is heard from it."""
        return (
            f"{', '.join(self.to)}!{self.act.label}" if self.is_sent else f"{self.speaker}?{self.act.label}"
        )


@dataclass(frozen=True, slots=True)
class LocalState:
    """Where a role is in a conversation, as far as it can know."""

    name: str
    speaker: str
    """The role itself, or whom it waits for first; empty where it waits for nobody."""
    moves: Mapping[str, LocalMove]
    """By label."""
    places: frozenset[str]
    """States and outcomes in which the conversation may be."""
    within: float = 0.0
    """Seconds of its own deadline; 0 where it waits for others."""
    otherwise: str = ""
    """Where its own deadline leads."""
    gather: bool = False
    in_lane: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a role may not be able to play its part from what it hears."""

    kind: DoubtKind
    role: str
    places: tuple[str, ...]
    """States and outcomes that it cannot tell apart."""
    what: str
    why: str
    fix: str
    witness: tuple[str, ...] = ()
    """The shortest way on which it fails."""


@dataclass(frozen=True, slots=True, repr=False)
class LocalProtocol:
    """A protocol as one role sees it. Immutable."""

    name: str
    version: str
    role: str
    roles: tuple[str, ...]
    states: Mapping[str, LocalState]
    start: str
    outcomes: Mapping[str, str]
    """Name -> class."""
    doubts: tuple[Doubt, ...] = ()
    whole: Protocol | None = None
    """What it is a view of."""

    @property
    def is_implementable(self) -> bool:
        """Whether nothing was found that the role cannot know; False: not proven."""
        return not self.doubts

    def __repr__(self) -> str:
        return f"<LocalProtocol {self.name} {self.version} of {self.role}>"

    def __format__(self, spec: str) -> str:
        if not spec:
            return f"{self.name} {self.version} of {self.role}"
        from agentcomm.protocol.draw import draw

        return draw(self, spec)
