"""What comes of judging a recorded exchange: where it stands, who may speak there, and what is open."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from agentcomm.acts.message import format_content
from agentcomm.conversation.events import Input, Say
from agentcomm.conversation.moves import (
    Appraise,
    Joint,
    Make,
    Speak,
    bind,
    overlay_state,
    signature,
    wants_all,
)
from agentcomm.conversation.state import Conversation

__all__ = (
    "Floor",
    "OpenCommitment",
    "OpenRepair",
    "Verdict",
    "floors_of",
    "gather_of",
    "lanes_of",
    "owed",
    "repairs_of",
    "words_of",
)

_WIDEST = 200
"""Characters of what was said."""


@dataclass(frozen=True)
class Floor:
    """A role that may speak."""

    speaker: str
    lane: str
    """The member in whose lane it is; empty outside lanes."""
    legal: tuple[str, ...]
    """What it may say, each with its fields."""


@dataclass(frozen=True)
class OpenRepair:
    """A read-back or a repair that the record leaves open."""

    overlay: str
    """`read-back`, `repair` or `not-understood`."""
    act: str
    """What it is about."""
    line: int
    sender: str
    hearer: str
    speaker: str
    """Who is to speak in it."""
    lane: str = ""


@dataclass(frozen=True)
class OpenCommitment:
    """Something that is owed where the record ends."""

    debtor: str
    creditor: str
    act: str
    """What made it."""
    line: int
    status: str
    lane: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether an exchange follows a protocol, and where it ends or stops to."""

    ok: bool
    """Every message was legal where it was said."""
    messages: int
    """Those that were read and accepted."""
    state: str
    """Where it stands: at the end of the record, or at the first bad step; empty at an outcome, and in lanes outside of one."""
    speaker: str
    """Who may speak there: the first of `floors`, at a bad step the first of its lane."""
    legal: tuple[str, ...]
    """What `speaker` may say there, each with its fields."""
    floors: tuple[Floor, ...] = ()
    """Everybody who may speak, in each lane."""
    lanes: Mapping[str, str] = field(default_factory=dict[str, str])
    """Member -> the state or the outcome of its lane; empty until lanes begin."""
    outcome: str = ""
    """Name of the outcome, if one was reached."""
    outcome_class: str = ""
    cause: str = ""
    line: int = 0
    """Of the first bad step, from 1; 0 if there is none."""
    lane: str = ""
    """The member in whose lane the first bad step is."""
    said: str = ""
    """What was said there."""
    code: str = ""
    """Why it is refused: a code of `Refused`, or broken-line, time-backwards, wrong-receivers, differs, late, after-end or reused-id."""
    reason: str = ""
    open_commitments: tuple[OpenCommitment, ...] = ()
    open_repairs: tuple[OpenRepair, ...] = ()
    open_gather: tuple[str, ...] = ()
    """Lanes that still lack their move in a turn for all lanes that others have theirs in: none of these counts yet."""
    after_end: tuple[int, ...] = ()
    """Lines of the messages that were said after the end."""
    superseded: tuple[int, ...] = ()
    """Lines of messages that lost a race; they are no fault, and have no effect."""
    repeated: tuple[int, ...] = ()
    """Lines of messages that are there already; they have no second effect."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return cast("dict[str, Any]", msgspec.to_builtins(self))


def floors_of(now: Conversation) -> tuple[Floor, ...]:
    """Return who may speak, and the moves with their fields."""
    return tuple(floor for asked in wants_all(now) for floor in _floors(asked))


def _floors(asked: Speak | Make | Joint | Appraise) -> Iterator[Floor]:
    match asked:
        case Appraise():
            return
        case Make():
            yield Floor(asked.role, asked.lane, (signature(asked.move),))
        case Speak():
            yield Floor(asked.role, asked.lane, tuple(map(signature, (*asked.moves, *asked.exits))))
        case Joint():
            for lane in asked.lanes.values():
                yield from _floors(lane)


def lanes_of(now: Conversation) -> dict[str, str]:
    """Return where each member's lane stands, in the order of the members."""
    return {name: place.name for name, place in now.lanes.items()}


def repairs_of(now: Conversation, lines: Mapping[str, int]) -> tuple[OpenRepair, ...]:
    """Return the overlays that run, in each lane.

    Args:
        now: The conversation.
        lines: Id of a message -> its line.
    """
    places = [now.view(name) for name in now.members] if now.begun else [now]
    found: list[OpenRepair] = []
    for place in places:
        frame = place.frame
        if frame is not None:
            speaker = bind(frame, overlay_state(place, frame).speaker)
            line = lines.get(frame.it.id, 0)
            found.append(
                OpenRepair(frame.overlay, frame.it.act, line, frame.sender, frame.hearer, speaker, place.lane)
            )
    return tuple(found)


def owed(now: Conversation, lines: Mapping[str, int]) -> tuple[OpenCommitment, ...]:
    """Return what is owed.

    Args:
        now: The conversation.
        lines: Id of a message -> its line.
    """
    return tuple(
        OpenCommitment(
            one.debtor, one.creditor, one.act, lines.get(one.message, 0), one.status.value, one.lane
        )
        for one in now.ledger
        if one.is_live
    )


def gather_of(now: Conversation) -> tuple[str, ...]:
    """Return the lanes that lack their move, if others have theirs."""
    turn = now.turn
    if turn is None or turn.left == len(turn.lanes):
        return ()
    return tuple(name for name in now.members if turn.waits_for(name))


def words_of(given: Input | None) -> str:
    """Return what was said, in one line."""
    if not isinstance(given, Say):
        return ""
    message = given.message
    lane = f" ({message.lane})" if message.lane else ""
    words = f"{message.sender}{lane}: {message.act} {format_content(message.content)}".rstrip()
    return words if len(words) <= _WIDEST else f"{words[: _WIDEST - 1]}…"
