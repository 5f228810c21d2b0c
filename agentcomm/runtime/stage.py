"""What all conversations of one protocol share: its rules, and for each state what need not be asked again at every turn."""

from collections.abc import Mapping, Sequence
from typing import Any
from typing import cast as typed

import msgspec

from agentcomm.agents.agent import Agent
from agentcomm.agents.judges import Judge
from agentcomm.conversation.rules import Rules
from agentcomm.protocol.graph import Move, State
from agentcomm.runtime.casting import Cast, Casting, check_cast

__all__ = ("Spot", "Stage")


class Spot(msgspec.Struct, frozen=True):
    """What holds in a state whatever was said before."""

    role: str
    """Who has the floor, where that is one role that always has a free move; else empty, and the core is asked."""
    moves: Mapping[str, Move]
    """By label and by name: moves without condition, budget or count, so that they are legal whenever it is in the state."""
    speaker: str
    """Where several lanes have one turn: who takes it."""
    is_joint: bool
    """One turn is for several lanes: at a gather, and where something is said for all."""
    for_all: frozenset[str]
    """Labels and names of what is said for all."""
    is_for_all: bool
    """Nothing else can be said."""


class Stage:
    """A protocol with its rules, ready to be enacted many times.

    Attributes:
        protocol: The protocol.
        rules: It and its overlays.
        spots: State -> what holds there.
        is_plural: Several may have the floor at once: members in their lanes, or roles in a race.
    """

    def __init__(self, rules: Rules) -> None:
        protocol = rules.protocol
        self.protocol = protocol
        self.rules = rules
        self.spots = {state.name: _spot(rules, state) for state in protocol.states.values()}
        self.is_plural = bool(protocol.many) or any(len(s.speakers) > 1 for s in protocol.states.values())
        self._acts = frozenset(
            {
                *protocol.acts,
                *(act.name for act in protocol.acts.values()),
                *(act for overlay in rules.overlays.values() for act in overlay.acts),
            }
        )
        self._last: _Last | None = None

    def casting(self, cast: Cast, brief: Mapping[str, Any], judge: Judge | None = None) -> Casting:
        """Return a cast with its seats; agents cast as they were the last time have the seats of then.

        Raises:
            UsageError: If it does not fit the protocol.
        """
        last = self._last
        if last is not None and not brief and judge is None and last.is_of(cast):
            count = Agent.registered
            if last.registered != count:  # somebody may have a handler for what nobody can say
                for agent in last.agents:
                    agent.check(self._acts, self.protocol.name)
                last.registered = count
            return last.casting
        check_cast(self.protocol, self._acts, cast, brief, human=self.rules.human)
        casting = Casting(self.protocol, cast, judge)
        if judge is None:
            self._last = _kept(cast, casting)
        return casting


class _Last:
    """The cast that was seated last, all of it agents."""

    __slots__ = ("_ids", "_roles", "_several", "agents", "casting", "registered")

    def __init__(self, cast: Cast, casting: Casting, several: Sequence[Any] | None) -> None:
        self.casting, self.registered = casting, -1
        self.agents: list[Agent] = [
            seat.player for seat in (*casting.roles.values(), *casting.members.values())
        ]
        self._roles, self._ids = list(cast), list(map(id, cast.values()))
        self._several = several, list(map(id, several or ()))

    def is_of(self, cast: Cast) -> bool:
        """Say whether these very agents are cast again, in the same order."""
        if [*map(id, cast.values())] != self._ids or [*cast] != self._roles:
            return False
        several, ids = self._several
        return several is None or [*map(id, several)] == ids


def _kept(cast: Cast, casting: Casting) -> _Last | None:
    """Return a cast to be known again; None if not all of it are agents, one by one or in one list."""
    lists = [given for given in cast.values() if not isinstance(given, Agent)]
    if len(lists) > 1 or not all(isinstance(given, list | tuple) for given in lists):
        return None
    several = typed("Sequence[Any]", lists[0]) if lists else None
    if several is not None and not all(isinstance(player, Agent) for player in several):
        return None
    return _Last(cast, casting, several)


def _spot(rules: Rules, state: State) -> Spot:
    free: dict[str, Move | None] = {}
    for move in state.moves.values():
        for name in (move.label, move.act.name):
            free.setdefault(name, move if _is_free(rules, move) else None)
    moves = {name: move for name, move in free.items() if move is not None}
    said = [move for move in state.moves.values() if move.for_all]
    is_joint = state.gather or bool(said)
    is_plain = len(state.speakers) == 1 and not is_joint and bool(moves)
    names = frozenset(name for move in said for name in (move.label, move.act.name))
    return Spot(
        role=state.speaker if is_plain else "",
        moves=moves if len(state.speakers) == 1 else {},
        speaker=state.speaker,
        is_joint=is_joint,
        for_all=names,
        is_for_all=len(said) == len(state.moves),
    )


def _is_free(rules: Rules, move: Move) -> bool:
    has_budget = move.max is not None and not move.then
    return not (move.when or has_budget or move.at_most is not None or move.next in rules.capped)
