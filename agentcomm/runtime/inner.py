"""A conversation within a turn of another: an agent that asks others before it answers.

Its id follows from the turn and from what is asked, so that a turn which is tried again, or taken up after a crash, comes to the
same conversation and not to a second one. It ends no later than the turn that waits for it. Each of the two records names the other.
"""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.agents.turn import Turn
from agentcomm.agents.using import turn_id
from agentcomm.conversation.moves import limit_of
from agentcomm.errors import UsageError
from agentcomm.runtime.casting import players_of
from agentcomm.runtime.host import open_talk, run_talk
from agentcomm.runtime.result import Result
from agentcomm.runtime.stage import Stage
from agentcomm.runtime.talk import Talk

__all__ = ("Asked", "Inner", "hold")

_DEPTH = 16
"""Conversations within one another."""


class Asked(msgspec.Struct, kw_only=True):
    """What is to be held within a turn."""

    stage: Stage
    cast: Mapping[str, Any]
    brief: Mapping[str, Any] | None
    deadline: float | None
    """In seconds."""
    judge: Any
    choice: Any


class Inner:
    """What was held within one turn.

    Args:
        turn: The turn's id.
    """

    __slots__ = ("_counts", "_go", "results", "turn")

    def __init__(self, turn: str) -> None:
        self.turn = turn
        self.results: dict[str, Result] = {}
        """By id."""
        self._go: Turn | None = None
        self._counts: dict[bytes, int] = {}

    def name(self, go: Turn, asked: bytes) -> str:
        """Return the id of a conversation: the same in each try of the turn for the same that is asked."""
        if self._go is not go:
            self._go, self._counts = go, {}
        number = self._counts[asked] = self._counts.get(asked, 0) + 1
        told = b"%s\0%d\0%s" % (self.turn.encode(), number, asked)
        return f"{go.whole.id}.{hashlib.sha256(told).hexdigest()[:8]}"


async def hold(turn: Turn, asked: Asked) -> Result:
    """Hold a conversation within a turn, and return what it came to.

    Raises:
        UsageError: If it fits no cast, or too many are within one another.
        EdgeError: If a model, a transcript or a store fails.
        Exception: Whatever a handler raises.
    """
    talk = turn.port
    if not isinstance(talk, Talk):
        raise UsageError(
            "this turn belongs to no conversation", fix="hand on the turn that a handler was given"
        )
    if talk.depth >= _DEPTH:
        raise UsageError(
            f"{_DEPTH} conversations are within one another already",
            why="an agent that asks itself would do so for ever",
            fix="let the innermost turn answer by itself",
        )
    protocol = asked.stage.protocol
    inner = _of(talk, turn)
    name = inner.name(turn, _told(asked))
    known = inner.results.get(name)
    if known is not None:
        return known
    journal = turn.journal
    told = {
        "agent": turn.agent,
        "role": turn.role,
        "conversation": name,
        "protocol": {"name": protocol.name, "version": protocol.version, "hash": protocol.hash},
    }
    begun = f"holds {protocol.name} {protocol.version} with {_names(asked.cast)}: {name}"
    if journal.recalled("note", name) is None:
        journal.step("note", {**told, "key": name}, {"text": begun})
        journal.note(f"{turn.agent} {begun}")
        if talk.holds is None:
            await journal.kept()
    left = limit_of(turn.actual.here) - talk.now()
    whole = min(math.inf if asked.deadline is None else asked.deadline, left)
    asked.deadline = None if whole == math.inf else max(0.0, whole)
    opened = {
        "within": {
            "conversation": talk.id,
            "role": turn.role,
            "message": turn.heard.id if turn.heard else "",
            "depth": talk.depth + 1,
        }
    }
    if talk.holds is not None:
        result = cast("Result", await talk.holds(name, asked, opened, journal))
    else:
        result = await run_talk(
            open_talk(
                asked.stage,
                asked.cast,
                talk.clock,
                brief=asked.brief,
                whole=asked.deadline,
                transcript=_beside(talk.recording.path, name),
                content=talk.recording.level,
                conversation_id=name,
                judge=asked.judge,
                note=talk.note,
                opened=opened,
            )
        )
    inner.results[name] = result
    ended = f"{protocol.name} ended as {result.outcome} ({result.outcome_class}): {name}"
    journal.step("note", {**told, "outcome": result.outcome, "class": result.outcome_class}, {"text": ended})
    journal.note(f"{turn.agent}: {ended}")
    return result


def _of(talk: Talk, turn: Turn) -> Inner:
    """Return what was held within a turn; the same for every try of it."""
    name = turn_id(talk.conversation, turn.conversation, turn.role, turn.lane)
    known: dict[tuple[str, str], Inner] = talk.inner or {}
    talk.inner = known
    found = known.get((turn.role, turn.lane))
    if found is None or found.turn != name:
        found = known[turn.role, turn.lane] = Inner(name)
    return found


def _told(asked: Asked) -> bytes:
    """Return what is asked for, as text: protocol, who plays what, what they are told, and the time for it."""
    names = {role: _named(given) for role, given in asked.cast.items()}
    told = [asked.stage.protocol.hash, names, to_plain(dict(asked.brief or {})), asked.deadline]
    return msgspec.json.encode(told, enc_hook=str, order="sorted")


def _named(given: Any) -> Any:
    """Return what the players of a role are called: one, several, or each member's."""
    if isinstance(given, Mapping):
        return {str(member): _named(one) for member, one in cast("Mapping[str, Any]", given).items()}
    if isinstance(given, list | tuple):
        return [_named(one) for one in cast("list[Any]", given)]
    return (
        given
        if isinstance(given, str)
        else str(getattr(given, "name", None) or getattr(given, "__name__", "it"))
    )


def _names(given: Mapping[str, Any]) -> str:
    return ", ".join(dict.fromkeys(map(_named, players_of(given))))


def _beside(path: Path | None, name: str) -> Path | None:
    """Return where the transcript goes: beside that of the conversation around it."""
    return None if path is None else path.with_name(f"{path.stem}.{name.rpartition('.')[2]}{path.suffix}")
