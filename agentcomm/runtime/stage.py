"""What all conversations of one protocol share: its rules, and for each state what need not be asked again at every turn."""

from collections.abc import Mapping
from typing import Any

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
        self._last: tuple[dict[str, Any], Casting] | None = None

    def casting(self, cast: Cast, brief: Mapping[str, Any], judge: Judge | None = None) -> Casting:
        """Return a cast with its seats; agents cast as they were the last time have the seats of then.

        Raises:
            UsageError: If it does not fit the protocol.
        """
        last = self._last
        if last is not None and not brief and judge is None and _is_same(last[0], cast):
            for agent in last[1].roles.values():
                agent.agent.check(self._acts, self.protocol.name)
            return last[1]
        check_cast(self.protocol, self._acts, cast, brief, human=self.rules.human)
        casting = Casting(self.protocol, cast, judge)
        if judge is None and all(isinstance(player, Agent) for player in cast.values()):
            self._last = dict(cast), casting
        return casting


def _is_same(last: Mapping[str, Any], cast: Cast) -> bool:
    if len(last) != len(cast):
        return False
    for role, player in cast.items():  # noqa: SIM110  (a generator costs as much as the rest)
        if last.get(role) is not player:
            return False
    return True


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
