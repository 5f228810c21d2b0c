"""Let a cast of agents hold a conversation: the shell around the core.

The loop asks the core who has the floor, asks that agent for a message, and hands it to the core; what comes back is written
down before anybody hears of it.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from agentcomm.acts.content import parse_duration
from agentcomm.agents.agent import Agent
from agentcomm.conversation.events import Event
from agentcomm.conversation.state import Rules
from agentcomm.errors import UsageError
from agentcomm.protocol.graph import Protocol
from agentcomm.protocol.library import load
from agentcomm.runtime.casting import Cast, Player, players_of
from agentcomm.runtime.host import Host
from agentcomm.runtime.result import Result
from agentcomm.runtime.stage import Stage

__all__ = ("OVERLAYS", "Player", "enact", "enact_sync", "players_of", "rules_for", "stage_for")

OVERLAYS = ("read-back", "repair", "not-understood")
"""Overlays that every protocol has unless it names its own."""


def rules_for(protocol: Protocol) -> Rules:
    """Return the protocol with the overlays that may run on it."""
    overlays = dict(_overlays())
    for name, own in protocol.overlays.items():
        if own is None:
            overlays.pop(name, None)
        elif name in overlays:
            overlays[name] = own
    return Rules(protocol, overlays)


_stages: dict[int, Stage] = {}
_STAGES = 64
"""Protocols whose stages are kept."""


def stage_for(protocol: Protocol) -> Stage:
    """Return a protocol ready to be enacted; the same for the same object."""
    stage = _stages.get(id(protocol))
    if stage is None:
        stage = Stage(rules_for(protocol))
        while len(_stages) >= _STAGES:
            _stages.pop(next(iter(_stages)), None)
        _stages[id(protocol)] = stage  # it holds the protocol, so that no other has this id
    return stage


@cache
def _overlays() -> dict[str, Protocol]:
    return {name: load(f"_overlays/{name}") for name in OVERLAYS}


def enact_sync(protocol: Protocol, **options: Any) -> Result:
    """Do what `enact` does, for scripts without an event loop; models opened by name are closed in the end."""

    async def run() -> Result:
        try:
            return await enact(protocol, **options)
        finally:
            for player in players_of(options.get("cast", {})):
                if isinstance(player, Agent):
                    await player.close()

    return asyncio.run(run())


async def enact(
    protocol: Protocol,
    *,
    cast: Cast,
    brief: Mapping[str, Any] | None = None,
    deadline: str | float | None = None,
    transcript: str | Path | None = None,
    watch: Callable[[Event], None] | None = None,
    note: Callable[[str], None] | None = None,
    conversation_id: str = "",
) -> Result:
    """Let a cast of agents hold a conversation, and return what it came to.

    An ending that the protocol knows never raises. Where something outside fails, or a handler does, the conversation ends as
    `aborted`, its transcript is kept, and the error is raised as it is, with the transcript's path in `error.transcript`.

    Args:
        protocol: What `load` returned.
        cast: Role -> agent; for a many-role a list of agents, or member -> agent.
        brief: Role -> what it is told for this conversation.
        deadline: For the whole conversation: seconds, or text such as `60s`.
        transcript: File to write; without it the record stays in memory.
        watch: Called with every event, after it was written down.
        note: Called with a line of text when something takes long or is done for an agent.
        conversation_id: Unique id; one is made if it is empty.

    Raises:
        UsageError: If the cast does not fit the protocol, or an agent says what it may not.
        EdgeError: If a model or the transcript fails.
        Exception: Whatever a handler raises.
    """
    host = Host(watch=watch, note=note)
    talk = host.open(
        stage_for(protocol),
        cast,
        brief=brief,
        whole=_seconds(deadline),
        transcript=Path(transcript) if transcript is not None else None,
        conversation_id=conversation_id,
    )
    return await host.run(talk)


def _seconds(deadline: str | float | None) -> float | None:
    if deadline is None or isinstance(deadline, int | float):
        return deadline
    try:
        return parse_duration(deadline).total_seconds()
    except ValueError as error:
        raise UsageError(f"deadline {deadline!r}: {error}", fix='deadline="60s"') from None
