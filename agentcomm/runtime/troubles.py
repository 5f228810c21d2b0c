"""What code finds wrong with a conversation when it looks at the record: values from nowhere, words and deeds that disagree.

The core stops what differs from the record where a protocol says what must repeat what. What is found here needs more than the
protocol: who was told what, and which tools were called. It is a report; nothing is stopped by it.

Source: MAST, the failures "reasoning-action mismatch" and "disobey task specification" (Cemri et al. 2025).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from agentcomm.acts.content import FieldType, entries_of, to_plain
from agentcomm.conversation.events import Heard
from agentcomm.conversation.transcript import ERASED, Transcript
from agentcomm.grounding.deeds import Claim, Deed, claims, unasked, unperformed
from agentcomm.grounding.sourced import Sources, unsourced_values
from agentcomm.grounding.troubles import Trouble, Unperformed
from agentcomm.runtime.replay import rules_of

__all__ = ("Found", "troubles_of")

_NONE: Mapping[str, Any] = {}


class Found(msgspec.Struct, frozen=True):
    """A trouble, and where it is on record."""

    message: str
    """Id of the message; empty for a deed that belongs to none."""
    role: str
    """Who said or did it."""
    trouble: Trouble

    def __str__(self) -> str:
        return f"{self.message or self.role}: {self.trouble.sentence}"


def troubles_of(
    transcript: Transcript,
    *,
    actions: Mapping[str, Sequence[str]] = _NONE,
    orders: Mapping[str, str] = _NONE,
    free: Collection[str] = (),
) -> tuple[Found, ...]:
    """Return what is wrong with what was said and done, in the order of the record.

    Args:
        transcript: The record, with its content.
        actions: Tool -> verbs for it: a text that says it was done, or will be, is compared with the calls on record.
        orders: Tool -> the act by which somebody asks for it: each call is compared with what was asked for.
        free: Values that are their speaker's own to choose, as `act.field`, such as `propose.price`.

    Raises:
        RecordError: If the content of the opening was erased.
    """
    protocol = rules_of(transcript).protocol
    brief = _brief(transcript)
    said: list[tuple[Heard, dict[str, Any]]] = []
    results: list[Any] = []
    calls: list[Deed] = []
    found: list[Found] = []
    events = transcript.events()
    for record in transcript.records:
        body = transcript.body(record)
        if record.kind == "step" and body != ERASED:
            if record.type == "tool.call":
                arguments = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
                calls.append(Deed(str(record.data["tool"]), arguments, source=str(record.seq)))
            elif record.type == "tool.result":
                results.append(body)
        elif record.kind == "event":
            event = next(events)
            if not isinstance(event, Heard) or event.overlay:
                continue
            message, content = event.message, dict(entries_of(to_plain(event.message.content)) or {})
            act = protocol.acts.get(message.act)
            kinds = act.fields if act is not None else dict[str, FieldType]()
            own = [name.partition(".")[2] for name in free if name.partition(".")[0] == message.act]
            known = Sources([brief.get(message.sender), *results, *(values for _, values in said)])
            troubles = unsourced_values(content, known, free=own, kinds=kinds)
            found += [Found(message.id, message.sender, trouble) for trouble in troubles]
            said.append((event, content))
    found += _words(said, calls, actions)
    asked = [
        Deed(tool, content, source=event.message.id)
        for tool, label in orders.items()
        for event, content in said
        if event.message.act == label
    ]
    mine = [call for call in calls if call.action in orders]
    found += [Found("", trouble.action, trouble) for trouble in unasked(_within(mine, asked), asked)]
    return tuple(found)


def _within(calls: Sequence[Deed], asked: Sequence[Deed]) -> list[Deed]:
    """Return the calls with those arguments that somebody could have asked for: the others are the tool's own."""
    names = {name for deed in asked for name in deed.arguments}
    return [
        msgspec.structs.replace(call, arguments={k: v for k, v in call.arguments.items() if k in names})
        for call in calls
    ]


def _words(
    said: Sequence[tuple[Heard, Mapping[str, Any]]],
    calls: Sequence[Deed],
    actions: Mapping[str, Sequence[str]],
) -> Iterator[Found]:
    """Yield what was told as done, or announced, and is not among the calls."""
    for event, content in said:
        for text in _texts(content):
            for claim in claims(text, actions):
                yield from _compared(claim, event, calls)


def _compared(claim: Claim, event: Heard, calls: Sequence[Deed]) -> Iterator[Found]:
    announced = Deed(claim.action, source=f"{event.message.id} ({claim.quote!r})")
    for trouble in unperformed([announced], calls):
        yield Found(event.message.id, event.message.sender, Unperformed(trouble.action, trouble.said_in))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in cast("dict[str, Any]", value).values():
                yield from _texts(item)
        case list() | tuple():
            for item in cast("Sequence[Any]", value):
                yield from _texts(item)
        case _:
            return


def _brief(transcript: Transcript) -> Mapping[str, Any]:
    """Return role -> what it was told; a record of its own, or in the opening where a former version wrote it."""
    for record in transcript.records:
        if record.kind != "open":
            break
        body: Any = transcript.body(record)
        if isinstance(body, dict):
            content = cast("dict[str, Any]", body)
            brief: Any = content if record.type == "brief" else content.get("brief")
            if isinstance(brief, dict):
                return cast("dict[str, Any]", brief)
    return {}
