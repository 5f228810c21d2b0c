"""Who plays which role: from what the user gives to seats that conversations share."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any
from typing import cast as typed

from agentcomm.agents.agent import Agent
from agentcomm.agents.judges import Judge
from agentcomm.agents.turn import Said, Seat, Turn
from agentcomm.errors import UsageError
from agentcomm.protocol.graph import Protocol

__all__ = ("Cast", "Casting", "Player", "check_cast", "players_of")

Player = Agent | Callable[[Turn], Awaitable[Said]]
"""Whoever takes turns: an `Agent` or any async callable."""

Cast = Mapping[str, Player | Sequence[Player] | Mapping[str, Player]]
"""Role -> who plays it; for a many-role a list of agents, called by their names, or member -> agent."""


class Casting:
    """A cast with a seat for each role and each member of the many-role.

    Attributes:
        roles: Role -> its seat, but for the many-role.
        members: Member -> its seat.
        names: Role or member -> how transcripts call who plays it.
        judge: Who says whether a demonstration shows understanding.
        told: What lists say of a conversation with this cast, once somebody wanted to know.
    """

    __slots__ = ("judge", "members", "names", "roles", "told")

    def __init__(self, protocol: Protocol, cast: Cast, judge: Judge | None = None) -> None:
        self.judge = judge
        self.told = b""
        roles, members = _split(protocol, cast)
        self.roles = {role: _seat(role, role, player) for role, player in roles.items()}
        self.members = {name: _seat(protocol.many, name, player) for name, player in members.items()}
        self.names = {seat.key: seat.name for seat in (*self.roles.values(), *self.members.values())}

    def players(self) -> dict[str, dict[str, str]]:
        """Return role or member -> agent and model, as the record names them."""
        return {
            seat.key: {"agent": seat.name, "model": getattr(seat.player, "model_name", "")}
            for seat in (*self.roles.values(), *self.members.values())
        }


def _seat(role: str, key: str, player: Player) -> Seat:
    agent = player if isinstance(player, Agent) else None
    ask = player.take if isinstance(player, Agent) else player
    return Seat(role, key, _name(key, player), player, agent, ask)


def _name(role: str, player: Player) -> str:
    return player.name if isinstance(player, Agent) else getattr(player, "name", role)


def _split(protocol: Protocol, cast: Cast) -> tuple[dict[str, Player], dict[str, Player]]:
    """Return who plays the roles, and who the members of the many-role are."""
    roles = {role: typed("Player", player) for role, player in cast.items() if role != protocol.many}
    given = cast.get(protocol.many)
    if given is None:
        return roles, {}
    if isinstance(given, Mapping):
        return roles, dict(typed("Mapping[str, Player]", given))
    several = list(typed("Sequence[Player]", given)) if isinstance(given, Sequence) else [given]
    members = {
        _name(f"{protocol.many}-{number}", player): player for number, player in enumerate(several, start=1)
    }
    if len(members) < len(several):
        raise UsageError(
            f"two who play {protocol.many!r} have one name",
            fix="give each agent a name of its own",
            code="U403",
        )
    return roles, members


def players_of(cast: Cast) -> list[Any]:
    """Return everybody who is cast."""
    found: list[Any] = []
    for given in cast.values():
        if isinstance(given, Mapping):
            found += list(typed("Mapping[str, Player]", given).values())
        else:
            several = isinstance(given, Sequence) and not isinstance(given, str)
            found += typed("Sequence[Any]", given) if several else [given]
    return found


def check_cast(
    protocol: Protocol, acts: frozenset[str], cast: Cast, brief: Mapping[str, Any], *, human: bool = False
) -> None:
    """Check that a cast and a brief fit a protocol, before anything happens.

    Args:
        protocol: The protocol.
        acts: The labels that can be said in it and in its overlays.
        cast: Role -> who plays it.
        brief: Role -> what it is told.
        human: Whether `human` may be cast, to decide what two cannot mend.

    Raises:
        UsageError: If they do not fit.
    """
    several = cast.get(protocol.many)
    members = tuple(typed("Mapping[str, Any]", several)) if isinstance(several, Mapping) else ()
    if isinstance(several, Sequence):
        members = tuple(_name("", player) for player in typed("Sequence[Any]", several))
    for kind, given in (("cast", cast), ("brief", brief)):
        for role in given:
            if role == "human" and human:
                continue
            if role not in protocol.roles and not (kind == "brief" and role in members):
                close = get_close_matches(role, protocol.roles, 1)
                raise UsageError(
                    f"{kind}: {protocol.name!r} has no role {role!r}",
                    why=f"its roles are {', '.join(protocol.roles)}",
                    fix=f"did you mean {close[0]!r}?" if close else "use one of these",
                    code="U401",
                )
    if missing := [role for role in protocol.roles if role not in cast]:
        raise UsageError(
            f"nobody plays {', '.join(missing)}",
            why=f"{protocol.name!r} needs {', '.join(protocol.roles)}",
            fix=f"cast={{…, {missing[0]!r}: Agent(…)}}",
            code="U402",
        )
    for player in players_of(cast):
        if isinstance(player, Agent):
            player.check(acts, protocol.name)
        elif not callable(player):
            raise UsageError(
                f"{player!r} cannot play a role",
                why="a role is played by an Agent, or by a coroutine function that takes a turn",
                fix=f"cast={{…, {protocol.roles[0]!r}: Agent(…)}}",
            )
