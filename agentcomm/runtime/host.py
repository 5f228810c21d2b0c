"""The conversations that go on in this process: a row each in a table, found by id.

A conversation is carried on where it stands until somebody has to be waited for; then whoever runs it waits. So an idle one has
no task and no queue of its own, and one whose agents answer at once never waits at all.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentcomm.agents.judges import Judge
from agentcomm.conversation.events import Cancel, Event, Leave
from agentcomm.errors import StoreError, UsageError
from agentcomm.runtime.casting import Cast
from agentcomm.runtime.driving import Plural, run_alone
from agentcomm.runtime.past import Past, check_members, relive
from agentcomm.runtime.recording import Recording, drawn
from agentcomm.runtime.result import Result
from agentcomm.runtime.stage import Stage
from agentcomm.runtime.talk import Talk
from agentcomm.runtime.waiting import clock_now
from agentcomm.store.jsonl import JsonlLog, file_for
from agentcomm.tracing.content import Level

__all__ = ("Host", "open_talk", "run_talk")

_NOTHING: dict[str, Any] = {}


class Host:
    """Conversations in flight.

    Args:
        clock: Returns seconds; only differences count. The event loop's own without one.
        watch: Called with every event, after it was recorded.
        note: Called with a line of text when something takes long or is done for an agent.
    """

    __slots__ = ("_clock", "_note", "_watch", "talks")

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        watch: Callable[[Event], None] | None = None,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self._clock = clock or clock_now()
        self._watch, self._note = watch, note
        self.talks: dict[str, Talk] = {}
        """By id: those that are open."""

    def open(self, stage: Stage, cast: Cast, **given: Any) -> Talk:
        """Open a conversation, as `open_talk` does; nobody speaks yet.

        Raises:
            UsageError: If the cast does not fit the protocol.
            StoreError: If the transcript cannot be written.
        """
        talk = open_talk(stage, cast, self._clock, watch=self._watch, note=self._note, **given)
        self.talks[talk.id] = talk
        return talk

    async def run(self, talk: Talk) -> Result:
        """Carry a conversation on to its end, as `run_talk` does."""
        try:
            return await run_talk(talk)
        finally:
            self.talks.pop(talk.id, None)


def open_talk(
    stage: Stage,
    cast: Cast,
    clock: Callable[[], float],
    *,
    brief: Mapping[str, Any] | None = None,
    whole: float | None = None,
    transcript: Path | None = None,
    content: Level = "full",
    conversation_id: str = "",
    judge: Judge | None = None,
    watch: Callable[[Event], None] | None = None,
    note: Callable[[str], None] | None = None,
    opened: Mapping[str, Any] | None = None,
    past: Past | None = None,
) -> Talk:
    """Open a conversation; nobody speaks yet.

    Args:
        stage: Its protocol.
        cast: Role -> who plays it.
        clock: Returns seconds; only differences count.
        brief: Role or member -> what it is told.
        whole: Seconds for the whole conversation.
        transcript: File to write, or a folder for a new one; without it the record stays in memory.
        content: How much of what is said the file keeps: full, hash or none.
        conversation_id: Unique id; one is made if it is empty.
        judge: Who says whether a demonstration shows understanding.
        watch: Called with every event, after it was recorded.
        note: Called with a line of text when something takes long or is done for an agent.
        opened: More for the record that opens it.
        past: What it goes on from.

    Raises:
        UsageError: If the cast does not fit the protocol.
        StoreError: If the transcript cannot be written.
    """
    told = dict(brief) if brief else _NOTHING
    casting = stage.casting(cast, told, judge)
    if past is not None:
        check_members(past, casting.members)
    if content != "full":
        _check_content(content, transcript)
    name = conversation_id or f"conv-{drawn()[:12]}"
    log: JsonlLog | None = None

    def begin() -> Talk:
        return Talk(
            stage,
            casting,
            name,
            clock=clock,
            brief=told,
            whole=whole,
            recording=Recording(log, level=content),
            watch=watch,
            note=note,
            opened=opened if past is None else {"past": past.data},
        )

    talk: Talk | None = None
    if past is not None:
        talk = begin()
        relive(talk, past)  # before there is a file, since it may not fit
    if transcript is not None:
        log = JsonlLog(file_for(transcript, stage.protocol.name, f"-{drawn()[:4]}"))
    try:
        if talk is None:
            return begin()
        if log is not None:
            talk.recording.goes_to(log)
    except Exception as error:
        if log is not None:
            tell_path(error, log.path)
            log.close()
        raise
    return talk


def _check_content(content: str, transcript: Path | None) -> None:
    if content not in {"full", "hash", "none"}:
        raise UsageError(f"content={content!r} is unknown", fix="use one of full, hash, none", code="U504")
    if content != "full" and transcript is None:
        raise UsageError(
            f"content={content!r} without a transcript",
            why="it says how much of what is said the file keeps",
            fix="name a file with transcript=…",
            code="U506",
        )


async def run_talk(talk: Talk) -> Result:
    """Carry a conversation on to its end.

    Raises:
        UsageError: If an agent says what it may not.
        EdgeError: If a model or the transcript fails.
        Exception: Whatever a handler raises.
    """
    try:
        try:
            talk.show_opening()
            if talk.stage.is_plural:
                await Plural(talk).run()
            else:
                await run_alone(talk)
        except BaseException as error:
            _stop(talk, error)
            raise
        talk.seal()
    except Exception as error:
        if talk.recording.path is not None:
            tell_path(error, talk.recording.path)
        raise
    finally:
        talk.recording.close()
    return talk.result()


def _stop(talk: Talk, error: BaseException) -> None:
    """End a conversation that something outside of it has ended, and seal its record unless that is what failed."""
    if isinstance(error, asyncio.CancelledError):
        talk.stop(Cancel("the caller", "stopped from outside", talk.now()))
    elif not isinstance(error, StoreError):
        talk.stop(Leave("the runtime", f"{type(error).__name__}: {error}", talk.now()))


def tell_path(error: Exception, path: Path) -> None:
    """Add to an error where the transcript so far lies."""
    error.transcript = path  # type: ignore[attr-defined]
    error.add_note(f"the transcript so far: {path}")
