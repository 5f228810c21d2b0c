"""What code finds wrong with a conversation when it looks at the record.

Values from nowhere, values that contradict each other, placeholders, names that fit several things, words and deeds that disagree,
answers to something else than what is open. What could not be looked at is told, too.

The core stops what differs from the record where a protocol says what must repeat what. What is found here needs more than the
protocol: who was told what, and which tools were called. It is a report; nothing is stopped by it.

Source: MAST, the failures "reasoning-action mismatch" and "disobey task specification" (Cemri et al. 2025).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from agentcomm.acts.content import FieldType, entries_of, to_plain
from agentcomm.agents.calibration import at_chance, is_measured
from agentcomm.agents.relevance import Embedder
from agentcomm.conversation.audit import level_of
from agentcomm.conversation.events import Heard, Judged
from agentcomm.conversation.transcript import ERASED, Transcript
from agentcomm.grounding.consistency import contradictions, unfilled
from agentcomm.grounding.deeds import Claim, Deed, claims, unasked, unperformed
from agentcomm.grounding.reference import unclear_references
from agentcomm.grounding.sourced import Sources, unsourced_values
from agentcomm.grounding.troubles import InDoubt, Trouble, Unperformed, Unsourced
from agentcomm.protocol.graph import Act
from agentcomm.runtime.issues import MOVING, Issues
from agentcomm.runtime.replay import rules_of

__all__ = ("Found", "Look", "doubts_of", "look_at", "troubles_of")

_NONE: Mapping[str, Any] = {}
_WORDED = ("text", "any", "list", "map")
"""Types whose values are worded anew, or hold something else each time."""


class Found(msgspec.Struct, frozen=True):
    """A trouble, and where it is on record."""

    message: str
    """Id of the message; empty for a deed that belongs to none."""
    role: str
    """Who said or did it."""
    trouble: Trouble
    made_by: str = ""
    """How the message was made: model, handler, rule or plan; empty where that is not known, and for a deed."""

    def __str__(self) -> str:
        return f"{self.message or self.role}: {self.trouble.sentence}"


class Look(msgspec.Struct, frozen=True):
    """What a look at a record gave."""

    troubles: tuple[Found, ...]
    unchecked: tuple[str, ...]
    """What could not be looked at, and what would be needed for it."""

    @property
    def shown(self) -> tuple[Found, ...]:
        """The troubles that are shown unasked: code has sources of its own, such as a price list; a model has what it was told."""
        return tuple(
            one for one in self.troubles if one.made_by == "model" or not isinstance(one.trouble, Unsourced)
        )


def troubles_of(
    transcript: Transcript,
    *,
    actions: Mapping[str, Sequence[str]] = _NONE,
    orders: Mapping[str, str] = _NONE,
    free: Collection[str] = (),
    things: Mapping[str, Any] = _NONE,
) -> tuple[Found, ...]:
    """Return what is wrong with what was said and done, in the order of the record; see `look_at`."""
    return look_at(transcript, actions=actions, orders=orders, free=free, things=things).troubles


def look_at(
    transcript: Transcript,
    *,
    actions: Mapping[str, Sequence[str]] = _NONE,
    orders: Mapping[str, str] = _NONE,
    free: Collection[str] = (),
    things: Mapping[str, Any] = _NONE,
    embedder: Embedder | None = None,
) -> Look:
    """Return what is wrong with what was said and done, in the order of the record, and what was not looked at.

    Args:
        transcript: The record, with its content.
        actions: Tool -> verbs for it: a text that says it was done, or will be, is compared with the calls on record.
        orders: Tool -> the act by which somebody asks for it: each call is compared with what was asked for.
        free: Values that are their speaker's own to choose, as `act.field`, such as `propose.price`.
        things: Name -> what is known of it: a phrase in a text that fits several of them is told.
        embedder: Tells whether a text is about what it answers; the embedded model where it is installed.

    Raises:
        RecordError: If the content of the opening was erased.
    """
    protocol = rules_of(transcript).protocol
    brief = _brief(transcript)
    said: list[tuple[Heard, dict[str, Any]]] = []
    latest: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}
    sources = _Heard(brief)
    calls: list[Deed] = []
    found: list[Found] = []
    issues = Issues(protocol, embedder)
    events = transcript.events()
    for record in transcript.records:
        body = transcript.body(record)
        if record.kind == "step" and body != ERASED:
            if record.type == "tool.call":
                arguments = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
                calls.append(Deed(str(record.data["tool"]), arguments, source=str(record.seq)))
            elif record.type == "tool.result":
                sources.add(body)
        elif record.kind == "event":
            event = next(events)
            if not isinstance(event, Heard) or event.overlay:
                continue
            message, content = event.message, dict(entries_of(to_plain(event.message.content)) or {})
            act = protocol.acts.get(message.act)
            kinds = act.fields if act is not None else dict[str, FieldType]()
            own = [name.partition(".")[2] for name in free if name.partition(".")[0] == message.act]
            troubles = unsourced_values(content, sources.of(message.sender), free=own, kinds=kinds)
            troubles = (
                *troubles,
                *_in_itself(act, content, things),
                *_against(act, content, own, latest),
                *issues.heard(event, content),
            )
            found += [Found(message.id, message.sender, trouble, message.made_by) for trouble in troubles]
            said.append((event, content))
            sources.add(content)
            for name, kind in kinds.items():
                latest[name, kind.kind] = message.act if act is None else act.label, content
    found += _words(said, calls, actions)
    found += [Found("", doubt.by, doubt) for doubt in doubts_of(transcript)]
    asked = [
        Deed(tool, content, source=event.message.id)
        for tool, label in orders.items()
        for event, content in said
        if event.message.act == label
    ]
    mine = [call for call in calls if call.action in orders]
    found += [Found("", trouble.action, trouble) for trouble in unasked(_within(mine, asked), asked)]
    texts = any(isinstance(value, str) for _, content in said for value in content.values())
    if (level := level_of(transcript)) != "full" or transcript.erased:
        what = (
            "it is not kept"
            if level != "full"
            else f"the content of {len(transcript.erased)} records was erased"
        )
        return Look(tuple(found), (f"what was said: {what}", *_judges(transcript)))
    unchecked = list(issues.unchecked)
    if texts and not things:
        unchecked.append("whether a name fits several things: no things were given (things=)")
    if texts and (calls or actions) and not actions:
        unchecked.append("whether words and deeds agree: no verbs for tools were given (actions=)")
    if calls and not orders:
        unchecked.append("whether each call was asked for: no orders were given (orders=)")
    return Look(tuple(found), (*unchecked, *_judges(transcript)))


def doubts_of(transcript: Transcript) -> Iterator[InDoubt]:
    """Yield the tool calls with an effect of which the record of a conversation that is over does not tell what became of them.

    While it is open, they may be at work.
    """
    for record in transcript.in_doubt if transcript.seal is not None else ():
        data = record.data
        yield InDoubt(str(data["tool"]), str(data.get("role", "")), str(data.get("key", "")))


class _Heard:
    """What each role has as a source: its brief, what tools gave and what was said, each taken in once."""

    def __init__(self, brief: Mapping[str, Any]) -> None:
        self._brief = brief
        self._all: list[Any] = []
        self._of: dict[str, tuple[Sources, int]] = {}

    def add(self, item: Any) -> None:
        """Take in what everybody has now."""
        self._all.append(item)

    def of(self, role: str) -> Sources:
        """Return what a role has so far."""
        sources, count = self._of.get(role) or (Sources([self._brief.get(role)]), 0)
        for item in self._all[count:]:
            sources.add(item)
        self._of[role] = sources, len(self._all)
        return sources


def _judges(transcript: Transcript) -> Iterator[str]:
    """Yield the judges whose word was taken though nobody knows here what it is worth."""
    names = {event.judge for event in transcript.events() if isinstance(event, Judged) and event.understood}
    for name in sorted(names):
        if reason := at_chance(name):
            yield f"what {name!r} passed as understood: {reason}"
        elif not is_measured(name):
            yield f"how good the judge {name!r} is: agentcomm judge calibrate --judge NAME"


def _in_itself(act: Act | None, content: Mapping[str, Any], things: Mapping[str, Any]) -> Iterator[Trouble]:
    """Yield the placeholders in what an act must carry, and the phrases that fit several things."""
    if act is None:
        return
    held = [name for name, kind in act.fields.items() if not kind.optional and content.get(name) is not None]
    yield from unfilled(held, _NONE, content)
    if things:
        texts = {name: value for name, value in content.items() if isinstance(value, str)}
        yield from unclear_references(texts, things)


def _against(
    act: Act | None,
    content: Mapping[str, Any],
    own: Collection[str],
    latest: Mapping[tuple[str, str], tuple[str, Mapping[str, Any]]],
) -> Iterator[Trouble]:
    """Yield the values of an act that differ from what was said last under the same name and type, with another act.

    What proposes, calls or asks may put new values on the table; texts are worded anew each time; what must repeat the record was
    compared when it was said.
    """
    if act is None or act.performative in MOVING:
        return
    for name, kind in act.fields.items():
        if name in own or name in act.repeats or kind.kind in _WORDED or content.get(name) is None:
            continue
        label, before = latest.get((name, kind.kind), (act.label, _NONE))
        if label != act.label:
            yield from contradictions({name: kind}, before, {name: content[name]})


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
