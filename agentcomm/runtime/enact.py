"""Let a cast of agents hold a conversation: the shell around the core.

The loop asks the core who has the floor, asks that agent for a message, and hands it to the core; what comes back is written
down before anybody hears of it.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from agentcomm.acts.content import parse_duration
from agentcomm.agents.agent import Agent
from agentcomm.agents.judges import Judge
from agentcomm.agents.turn import Turn
from agentcomm.conversation.events import Event
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.transcript import Transcript
from agentcomm.errors import UsageError
from agentcomm.grounding.choice import Choice
from agentcomm.protocol.graph import Protocol
from agentcomm.protocol.library import load
from agentcomm.runtime.casting import Cast, Player, players_of
from agentcomm.runtime.host import open_talk, run_talk
from agentcomm.runtime.inner import Asked, hold
from agentcomm.runtime.past import past_of
from agentcomm.runtime.result import Result
from agentcomm.runtime.stage import Stage
from agentcomm.runtime.waiting import clock_now
from agentcomm.tracing.content import Level

__all__ = (
    "OVERLAYS",
    "Player",
    "enact",
    "enact_sync",
    "models_of",
    "players_of",
    "rules_for",
    "seconds",
    "stage_for",
    "staged",
)

OVERLAYS = (
    "read-back",
    "repair",
    "not-understood",
    "cancel",
    "standby",
    "escalate",
    "demonstrate",
    "correct",
)
"""Overlays that every protocol has unless it names its own."""


def rules_for(
    protocol: Protocol, *, human: bool = False, judge: str = "", choice: Choice | None = None
) -> Rules:
    """Return the protocol with the overlays that may run on it.

    Args:
        protocol: What `load` returned.
        human: Whether somebody outside the roles decides what two cannot mend.
        judge: Name of who judges demonstrations.
        choice: How to choose whether something is read back, where the protocol leaves that open.
    """
    overlays = dict(_overlays())
    for name, own in protocol.overlays.items():
        if own is None:
            overlays.pop(name, None)
        elif name in overlays:
            overlays[name] = own
    return Rules(protocol, overlays, choice, judge, human=human)


_stages: dict[tuple[int, bool, str], Stage] = {}
_STAGES = 64
"""Protocols whose stages are kept."""


def stage_for(protocol: Protocol, *, human: bool = False, judge: str = "") -> Stage:
    """Return a protocol ready to be enacted; the same for the same object."""
    key = (id(protocol), human, judge)
    stage = _stages.get(key)
    if stage is None:
        stage = Stage(rules_for(protocol, human=human, judge=judge))
        while len(_stages) >= _STAGES:
            _stages.pop(next(iter(_stages)), None)
        _stages[key] = stage  # it holds the protocol, so that no other has this id
    return stage


@cache
def _overlays() -> dict[str, Protocol]:
    return {name: load(f"_overlays/{name}") for name in OVERLAYS}


def enact_sync(protocol: Protocol, **options: Any) -> Result:
    """Do what `enact` does, for scripts without an event loop; models opened by name are closed in the end."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError(
            "enact_sync runs an event loop of its own, and one is running already",
            fix="await enact(protocol, cast=…)",
        )

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
    transcript_content: Level = "full",
    watch: Callable[[Event], None] | None = None,
    note: Callable[[str], None] | None = None,
    conversation_id: str = "",
    judge: Judge | None = None,
    choice: Choice | None = None,
    within: Turn | None = None,
    past: str | Path | Transcript | None = None,
    after: int | None = None,
) -> Result:
    """Let a cast of agents hold a conversation, and return what it came to.

    An ending that the protocol knows never raises. Where something outside fails, or a handler does, the conversation ends as
    `aborted`, its transcript is kept, and the error is raised as it is, with the transcript's path in `error.transcript`.

    Args:
        protocol: What `load` returned.
        cast: Role -> agent; for a many-role a list of agents, or member -> agent.
        brief: Role -> what it is told for this conversation.
        deadline: For the whole conversation: seconds, or text such as `60s`.
        transcript: File to write, which must not be there yet, or a folder for a new one; without it the record stays in memory.
        transcript_content: How much of what is said the file keeps: `full`; `hash`, so that whoever has the content can show that it
            was this; or `none`. What is not kept cannot be replayed.
        watch: Called with every event, after it was written down.
        note: Called with a line of text when something takes long or is done for an agent.
        conversation_id: Unique id; one is made if it is empty.
        judge: Who says whether a demonstration shows that something was understood.
        choice: How to choose whether something is read back, with what is known of the cast; `result.choice` is it with what
            was learned. Without it, the protocol and the stakes alone say.
        within: The turn in which this is held, for an agent that asks others before it answers. It is kept where the turn's
            conversation is kept, ends no later than the turn has to, and the records of both name one another; in a `Runtime` it
            outlives the process, too.
        past: A transcript, or its file, from which this conversation goes on: to see what another model would have said, or to carry
            on what a crash cut short. What was said is taken from it, and so is the brief unless one is given.
        after: Number of the last message that is taken from `past`; all without it.

    Raises:
        UsageError: If the cast does not fit the protocol, or an agent says what it may not.
        EdgeError: If a model or the transcript fails.
        Exception: Whatever a handler raises.
    """
    if not isinstance(protocol, Protocol):  # pyright: ignore[reportUnnecessaryIsInstance] - who uses no type checker
        raise UsageError(
            f"{protocol!r} is no protocol",
            why="it is what `load` returned",
            fix=f"enact(load({str(protocol)!r}), cast=…)",
        )
    stage = staged(protocol, cast, judge, choice)
    if within is not None:
        if any(one is not None for one in (transcript, watch, note, past)) or conversation_id:
            raise UsageError(
                "a conversation within a turn has no transcript, watcher, note, past or id of its own",
                why="it is kept where the turn's conversation is kept, and named after it",
                fix="leave them out",
            )
        return await hold(
            within,
            Asked(
                stage=stage, cast=cast, brief=brief, deadline=seconds(deadline), judge=judge, choice=choice
            ),
        )
    gone = None if past is None else past_of(past, after)
    if gone is None and after is not None:
        raise UsageError(f"after={after} without a past", fix='name a transcript: past="talk.jsonl"')
    talk = open_talk(
        stage,
        cast,
        clock_now(),
        brief=gone.brief if gone is not None and brief is None else brief,
        whole=gone.whole if gone is not None and deadline is None else seconds(deadline),
        past=gone,
        transcript=Path(transcript) if transcript is not None else None,
        content=transcript_content,
        conversation_id=conversation_id,
        judge=judge,
        watch=watch,
        note=note,
    )
    return await run_talk(talk)


def staged(protocol: Protocol, cast: Cast, judge: Judge | None, choice: Choice | None) -> Stage:
    """Return a protocol ready to be enacted by a cast."""
    human = "human" in cast and "human" not in protocol.roles
    name = judge.name if judge is not None else ""
    if choice is None:
        return stage_for(protocol, human=human, judge=name)
    known = choice if choice.models else msgspec.structs.replace(choice, models=models_of(cast))
    return Stage(rules_for(protocol, human=human, judge=name, choice=known))


def models_of(cast: Cast) -> dict[str, str]:
    """Return role -> the model that plays it."""
    found: dict[str, str] = {}
    for role, given in cast.items():
        for player in players_of({role: given}):
            if isinstance(player, Agent) and player.model_name:
                found[role] = player.model_name
    return found


def seconds(deadline: str | float | None) -> float | None:
    """Return a deadline in seconds."""
    if deadline is None or isinstance(deadline, int | float):
        return deadline
    try:
        return parse_duration(deadline).total_seconds()
    except ValueError as error:
        raise UsageError(f"deadline {deadline!r}: {error}", fix='deadline="60s"') from None
