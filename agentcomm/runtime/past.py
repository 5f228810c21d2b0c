"""A past that a conversation goes on from: what was said in another one, as far as some message.

Whatever that one was told is told to the core again, in the same order and at the same times, so what follows stands where it stood.
Models and tools are not asked again, and what agents kept to themselves is not there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from agentcomm.conversation.events import Heard, Input, Refused
from agentcomm.conversation.transcript import Transcript
from agentcomm.errors import UsageError
from agentcomm.runtime.replay import read_transcript
from agentcomm.runtime.talk import Talk

__all__ = ("Past", "check_members", "past_of", "relive")


class Past(msgspec.Struct, frozen=True):
    """What a conversation goes on from."""

    conversation: str
    messages: int
    """How many of its messages count."""
    head: str
    """Hash of the last record that counts."""
    inputs: tuple[tuple[Input, int], ...]
    """Each with the number of the last message that was heard by it; 0 if none was."""
    brief: Mapping[str, Any]
    members: tuple[str, ...]
    whole: float | None

    @property
    def data(self) -> dict[str, Any]:
        """What the record that opens the new conversation says of it."""
        return {"conversation": self.conversation, "messages": self.messages, "head": self.head}


def past_of(source: str | Path | Transcript, after: int | None = None) -> Past:
    """Return what to go on from.

    Args:
        source: A transcript, or its file. One that is cut serves as far as it is whole.
        after: Number of the last message that counts; all of them without it.

    Raises:
        StoreError: If the file cannot be read.
        RecordError: If it is no transcript, or what was said is no longer in it.
        UsageError: If there are not so many messages, or it is over by then.
    """
    transcript = source if isinstance(source, Transcript) else read_transcript(source)
    opening = transcript.opening
    if opening is None:
        raise transcript.damage or UsageError(
            "the transcript has no opening record", fix="take an intact copy"
        )
    if after is not None and after < 0:
        raise UsageError(
            f"after={after} is no message", fix="they are counted from 1; 0 goes on from the opening"
        )
    data = opening.data
    given: list[list[Any]] = []
    inputs = transcript.inputs()
    head, heard, ended = transcript.head, 0, ""
    brief: Mapping[str, Any] = {}
    for record in transcript.records:
        if record.kind == "input":
            if after is not None and heard >= after:
                head = record.prev
                break
            given.append([next(inputs), 0])
        elif record.kind == "event" and record.type == "heard":
            heard = int(record.data["n"])
            given[-1][1] = heard
        elif record.kind == "event" and record.type == "ended":
            ended = str(record.data.get("outcome", ""))
        elif record.type == "brief":
            body = transcript.body(record)
            brief = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    name = str(data["conversation"])
    if after is not None and heard < after:
        raise UsageError(
            f"{name} has {heard} messages, so nothing comes after message {after}",
            fix=f"name one of them, such as after={max(0, heard - 1)}",
            code="U404",
        )
    if ended:
        raise UsageError(
            f"{name} is over: it ended as {ended}",
            why="nothing can be said after that",
            fix=f"name the message to go on from: after={max(0, heard - 1)}, on the command line --after",
            code="U404",
        )
    return Past(
        name,
        heard,
        head,
        tuple((one, n) for one, n in given),
        brief,
        tuple(map(str, data.get("members", ()))),
        data.get("whole"),
    )


def relive(talk: Talk, past: Past) -> None:
    """Tell a conversation that was just opened what it goes on from.

    Raises:
        UsageError: If a message that counted then does not count by this protocol.
    """
    talk.show_opening()
    spans, talk.spans = talk.spans, None  # what others did is not drawn again
    last, n = 0.0, 0
    try:
        for given, heard in past.inputs:
            last = max(last, given.at)
            events = talk.take(given)
            n = max((event.n for event in events if isinstance(event, Heard)), default=n)
            if n < heard:
                reason = next((event.reason for event in events if isinstance(event, Refused)), "")
                raise UsageError(
                    f"message {heard} of {past.conversation} does not count by this protocol",
                    why=reason or "something else follows from what was said before it",
                    fix=f"go on from an earlier one: after={heard - 1}; or by the protocol that it was held by",
                    code="U404",
                )
    finally:
        talk.spans = spans
    talk.begun = talk.clock() - last
    talk.sent = talk.conversation.n


def check_members(past: Past, names: Mapping[str, Any]) -> None:
    """See that those who had lanes then are cast now.

    Raises:
        UsageError: If somebody is missing, or new.
    """
    if past.members and set(past.members) != set(names):
        raise UsageError(
            f"the members of {past.conversation} were {', '.join(past.members)}",
            why=f"cast are {', '.join(names) or 'none'}, and each has a lane of its own",
            fix="cast somebody under each of these names: cast={…: {member: agent}}",
            code="U404",
        )
