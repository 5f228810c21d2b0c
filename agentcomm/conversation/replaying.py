"""Replay: fold the inputs of a record through the core again, and see whether the same comes out.

The messages that make plain moves, most of a record, are folded in one run: between them no conversation is made, and what happened
is compared as the bytes that stand in the lines (`spelling`). Whatever else comes in goes through `step`, and its events are compared
one by one.
"""

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.conversation.events import Event, Grounded, Heard
from agentcomm.conversation.reading import read
from agentcomm.conversation.rerun import Rerun
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.spelling import Speller
from agentcomm.conversation.state import Conversation, seal_hash, state_hash
from agentcomm.conversation.step import open_conversation, step
from agentcomm.conversation.transcript import (
    ERASED,
    MANY,
    SCHEMA,
    Lines,
    Record,
    Transcript,
    dump,
    holds_no_words,
    record_of,
    split_up,
)
from agentcomm.errors import RecordError
from agentcomm.protocol.resting import resting

__all__ = ("Replay", "replay_inputs")


class _Content(msgspec.Struct, gc=False):
    """The content of a message that came in."""

    content: Any


_CONTENT = msgspec.json.Decoder(_Content)
_WORDED = frozenset({"code", "reason", "cause", "legal"})


def _as_older(
    data: dict[str, Any], body: Any, held: dict[str, Any], wanted: Any
) -> tuple[dict[str, Any], Any, dict[str, Any], Any]:
    """Return an event of now and a recorded one of an older version without what only one of them has, or words otherwise."""

    def plain(entries: Any) -> Any:
        if not isinstance(entries, dict):
            return entries
        return {name: entry for name, entry in cast("dict[str, Any]", entries).items() if name not in _WORDED}

    if wanted == {"fields": {}}:  # values were not left out where there are none
        wanted = None
    known = {name: entry for name, entry in plain(data).items() if name in held}
    return known, plain(body) or None, plain(held), wanted if wanted == ERASED else plain(wanted) or None


class Replay(msgspec.Struct, frozen=True):
    """What a replay gave."""

    conversation: Conversation
    state_hash: str
    """As the seal of the record has it."""
    same: bool
    """Every event and, if the record is sealed, the final hash are the recorded ones."""
    first_difference: str = ""


def _is_plainly(event: Event, kind: str, held: dict[str, Any], wanted: Any) -> bool:
    """Say whether the commonest events are seen to be those of a record without writing them down."""
    tag = event.__struct_config__.tag
    if tag != kind:
        return False
    if type(event) is Heard:
        it = event.message
        return (
            wanted is not None
            and len(held) == 10  # noqa: PLR2004
            and held["n"] == event.n
            and held["message"] == it.id
            and held["act"] == it.act
            and held["sender"] == it.sender
            and held["in_reply_to"] == it.in_reply_to
            and held["lane"] == it.lane
            and held["receivers"] == list(it.receivers)
            and held["overlay"] == event.overlay
            and held["about"] == it.about
            and held["made_by"] == it.made_by
            and wanted == {"content": to_plain(it.content)}
        )
    if type(event) is Grounded:
        return (
            wanted is None
            and not event.fields
            and len(held) == 5  # noqa: PLR2004
            and held["message"] == event.message
            and held["act"] == event.act
            and held["criterion"] == event.criterion
            and held["lane"] == event.lane
            and held["evidence"] == list(event.evidence)
        )
    return wanted is None and holds_no_words(event) and {"type": kind, **held} == msgspec.to_builtins(event)


def _is_as_recorded(event: Event, record: Record, wanted: Any) -> bool:
    """Say whether an event of now is the one of a record with this content."""
    if record.v == SCHEMA and _is_plainly(event, record.type, record.data, wanted):
        return True
    plain, said = split_up(msgspec.json.decode(dump(event)))
    kind, held, body = plain.pop("type"), record.data, said or None
    if record.v < SCHEMA:
        plain, body, held, wanted = _as_older(plain, body, held, wanted)
    if kind != record.type:
        return False
    if plain.keys() == held.keys():
        return plain == held and wanted in (ERASED, body)
    if wanted == ERASED:
        return plain == {name: value for name, value in held.items() if name in plain}
    return {**plain, **(body or {})} == {**held, **(wanted or {})}  # what is content now was structure once


def replay_inputs(rules: Rules, transcript: Transcript) -> Replay:
    """Fold the recorded inputs through the core and compare every event with the recorded one.

    Raises:
        RecordError: If there is no opening record, or an input was erased.
    """
    opening = transcript.opening
    if opening is None:
        raise transcript.damage or RecordError(
            "the transcript has no opening record", fix="take an intact copy"
        )
    lines = transcript.lines
    with resting(big=lines is not None and len(lines.texts) > MANY):
        return _replayed(rules, transcript, opening)


def _replayed(rules: Rules, transcript: Transcript, opening: Record) -> Replay:
    conversation, events = open_conversation(
        rules,
        str(opening.data["conversation"]),
        whole=opening.data.get("whole"),
        members=tuple(map(str, opening.data.get("members", ()))),
    )
    compared = _Compared(transcript)
    compared.events(events)
    if transcript.lines is None or rules.protocol.many:
        for given in transcript.inputs():
            conversation, events = step(conversation, given)
            compared.events(events)
    else:
        conversation = _folded(conversation, transcript, compared)
    difference = compared.at_the_end()
    seal = transcript.seal
    wanted = None if seal is None or seal.v != SCHEMA else str(seal.data.get("state"))
    is_older = wanted is not None and wanted.startswith("sha256:")
    found = state_hash(conversation) if is_older else seal_hash(conversation)
    if not difference and wanted is not None and wanted != found:
        difference = "the final state differs"
    return Replay(conversation, found, not difference, difference)


class _Compared:
    """Compares what happens now with what was recorded, in order, up to the first difference.

    Attributes:
        count: Events that were compared.
        total: Events that were recorded.
        difference: The first difference; empty so far.
    """

    __slots__ = ("_records", "_transcript", "count", "difference", "total")

    def __init__(self, transcript: Transcript) -> None:
        self._transcript, self.count, self.difference = transcript, 0, ""
        self._records: list[Record] | None = None
        lines = transcript.lines
        if lines is None:
            self._records = [record for record in transcript.records if record.kind == "event"]
            self.total = len(self._records)
        else:
            self.total = len(lines.events)

    def _record(self, n: int) -> Record:
        if self._records is not None:
            return self._records[n]
        lines = self._transcript.lines
        assert lines is not None  # noqa: S101
        return record_of(lines.texts[lines.events[n]])

    def events(self, events: Iterable[Event]) -> None:
        """Compare some events, one by one."""
        for event in events:
            if self.difference:
                return
            n = self.count
            self.count += 1
            if n >= self.total:
                self.difference = f"{n} events were recorded, and more come out now"
                return
            record = self._record(n)
            if not _is_as_recorded(event, record, self._transcript.body(record)):
                now = type(event).__struct_config__.tag
                self.difference = f"event {n + 1} (record {record.seq}): recorded {record.type}, now {now}"

    def at_the_end(self) -> str:
        """Return the first difference; empty if there is none."""
        if not self.difference and self.count < self.total:
            return f"more events were recorded than the {self.count} that come out now"
        return self.difference


def _folded(conversation: Conversation, transcript: Transcript, compared: _Compared) -> Conversation:
    """Fold lines of a talk with one position."""
    lines = transcript.lines
    assert lines is not None  # noqa: S101
    done, count = 0, len(lines.inputs)
    while done < count:
        conversation, done = _run(conversation, done, lines, compared)
        if done < count:
            given = transcript.input_of(record_of(lines.texts[lines.inputs[done]]))
            conversation, events = step(conversation, given)
            compared.events(events)
            done += 1
    return conversation


def _run(
    conversation: Conversation, first: int, lines: Lines, compared: _Compared
) -> tuple[Conversation, int]:
    """Fold plain moves, up to an input that is none.

    Args:
        conversation: A talk with one position.
        first: Inputs that were folded before.
        lines: Where the inputs are.
        compared: Compares what happens.

    Returns:
        The conversation after them, and the inputs that are folded now.
    """
    hear, tails = (run := Rerun(conversation)).hear, Speller().tails
    bodies, several, starts, followed = lines.bodies, lines.said, lines.first, lines.followed
    count, end = compared.count, len(several)
    for done in range(first, end):
        record = several[done]
        if record is None:
            end = done
            break
        try:
            said = _CONTENT.decode(bodies[record.body]).content
        except (msgspec.DecodeError, KeyError):  # what is wrong with it is told by who looks closer
            end = done
            break
        it, at = record.data.message, record.data.at
        told = None
        if not (it.lane or it.about):
            told = hear(it.act, it.id, it.sender, it.receivers, it.in_reply_to, it.made_by, at, said, read)
        if told is None:
            end = done
            break
        content = told.message.content
        if count == starts[done] and (content.__dict__ == said or to_plain(content) == said):
            length, expected = tails(told, record.body)
            if length and expected.encode() == followed[done]:
                count += length
                continue
        compared.count = count
        compared.events(told)
        count = compared.count
    compared.count = count
    return run.conversation, end
