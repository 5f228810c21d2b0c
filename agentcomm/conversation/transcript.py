"""The record of a conversation: one format for every store, hash-chained from the first line.

A transcript is JSON lines of two kinds, hashed as the bytes that stand there:

    {"hash": H, "record": {"v", "seq", "prev", "time", "kind", "type", "data", "body"}}
    {"blob": B, "salt": S, "body": ...}

H is the SHA-256 of the record's own bytes, and `prev` is the H before it, so an edit or a deletion shows. What was said stands in
blobs, named by SHA-256 over salt and body; a record holds only the name. Deleting a blob erases what was said, keeps the chain
valid, and the salt keeps short contents from being guessed. Nothing here reads a clock or a file: times and salts are given.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, cast, get_args

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message
from agentcomm.conversation.events import Event, Grounded, Heard, Input, Say
from agentcomm.conversation.plain import Told, heard_again
from agentcomm.conversation.reading import recorded
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation, state_hash
from agentcomm.conversation.step import open_conversation, step
from agentcomm.errors import RecordError, UsageError

__all__ = (
    "ERASED",
    "SCHEMA",
    "Chain",
    "Kind",
    "Record",
    "Replay",
    "Transcript",
    "blob_name",
    "content_of",
    "dump",
    "joined",
    "plain_bytes",
    "replay_inputs",
    "split_up",
)

SCHEMA = 2
"""Version of the record format.

1 knew no answer in a `duplicate`, and no lane in what was heard; both are read as empty. What version 1 wrote replays: events are
compared in what they had then but for why something was refused or ended, which is worded anew, and the hash of the final state only
where this version wrote it.
"""

Kind = Literal["open", "input", "event", "step", "seal"]

ERASED = "erased"

_CONTENT = frozenset(
    (
        "content",
        "differs",
        "fields",
        "reason",
        "cause",
        "legal",
        "readings",
        "meant",
        "restated",
        "missing",
        "added",
    )
)
"""Fields of inputs and events that hold what was said; they go into blobs."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the chain."""

    v: int
    seq: int
    prev: str
    time: str
    """RFC 3339, UTC."""
    kind: Kind
    type: str
    data: dict[str, Any]
    body: str = ""
    """Name of the blob that holds the content; empty if there is none."""


class _Line(msgspec.Struct, frozen=True):
    hash: str
    record: msgspec.Raw


class _Blob(msgspec.Struct, frozen=True):
    blob: str
    salt: str
    body: msgspec.Raw


_RECORD = msgspec.json.Decoder(Record)
_BLOB = msgspec.json.Decoder(_Blob)
_UNREADABLE = "not a line of a transcript"


def _parted(line: bytes) -> tuple[str, bytes]:
    """Return the hash that a line names and the bytes of its record; most lines are written just so and need not be read twice."""
    raw = line.rstrip()
    if raw[:9] == b'{"hash":"' and raw[73:84] == b'","record":' and raw[-2:] == b"}}":
        return raw[9:73].decode(), raw[84:-1]
    entry = msgspec.json.decode(line, type=_Line)
    return entry.hash, bytes(entry.record)


def dump(value: Any) -> bytes:
    """Return the bytes that are hashed: fields in the order they were said, no spaces."""
    return _encode(value)


def plain_bytes(value: Any, what: str) -> bytes:
    """Return a value as it is written down.

    Args:
        value: JSON data, or values that have a JSON form.
        what: What it belongs to, for the error.

    Raises:
        UsageError: If it has no JSON form.
    """
    try:
        return dump(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"what belongs to {what!r} cannot be written down",
            why=str(error).partition("\n")[0],
            fix="use JSON data (text in Unicode, numbers, lists, maps) or a pydantic class",
            code="U340",
        ) from error


def _plain(value: Any) -> Any:
    plain = to_plain(value)
    if plain is value:
        raise TypeError(f"{type(value).__name__} is no JSON data")
    return plain


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


class _Sent(msgspec.Struct):
    """A message as an input holds it, without its content."""

    act: str
    id: str
    sender: str
    receivers: tuple[str, ...]
    in_reply_to: str
    made_by: str
    about: str
    lane: str


class _Said(msgspec.Struct):
    message: _Sent
    at: float


class _Received(msgspec.Struct):
    """A message as an event holds it, without its content."""

    n: int
    message: str
    overlay: str
    act: str
    sender: str
    receivers: tuple[str, ...]
    in_reply_to: str
    about: str
    made_by: str
    lane: str


def _written(value: Input | Event) -> tuple[str, bytes, bytes | None]:
    """Return the type, the structure and the content of an input or event, as they are written down."""
    start = _START.get(type(value))
    if start is not None and not (type(value) is Grounded and value.fields):
        text = dump(value)
        if text.startswith(start):
            data = b"{" + text[len(start) :]
            if type(value) is Grounded:  # what holds a quotation mark has it escaped
                data = data.replace(b'"fields":{},', b"", 1)
            return str(type(value).__struct_config__.tag), data, None
    data, body = content_of(value)
    kind = data.pop("type")
    return kind, dump(data), dump(body) if body else None


class Chain:
    """Writes records: gives the lines for the next one.

    Args:
        now: Returns the wall-clock time in RFC 3339.
        salt: Returns 16 random hexadecimal digits.
    """

    def __init__(self, now: Callable[[], str], salt: Callable[[], str]) -> None:
        self._now = now
        self._salt = salt
        self.seq = 0
        self.head = ""
        self._last = b"", ""
        """The content that was written last, and the name of its blob."""
        self._said: tuple[Any, bytes] = None, b""
        """The content of the message that came in last, and its bytes."""

    def record(
        self,
        kind: Kind,
        type_: str,
        data: dict[str, Any],
        body: Any = None,
        *,
        salt: str | None = None,
        blob: str = "",
    ) -> bytes:
        """Return the lines of one record, the blob's first; content that the record before holds is not written again.

        Args:
            kind: What kind of record it is.
            type_: What it is.
            data: Its structure.
            body: Its content, for a blob.
            salt: For content that is no secret and the same in many records: an empty one makes it one blob for all.
            blob: Name of the content, where that stands elsewhere.
        """
        said = None if body is None else plain_bytes(body, type_)
        return self._lines(kind, type_, plain_bytes(data, type_), said, salt, blob)

    def _lines(
        self, kind: Kind, type_: str, data: bytes, body: bytes | None, salt: str | None = None, name: str = ""
    ) -> bytes:
        lines = b""
        if body is not None:
            if salt is None and body == self._last[0]:
                name = self._last[1]
            else:
                salt = self._salt() if salt is None else salt
                name = blob_name(salt, body)
                lines = f'{{"blob":"{name}","salt":"{salt}","body":'.encode() + body + b"}\n"
                self._last = body, name
        start = f'{{"v":{SCHEMA},"seq":{self.seq},"prev":"{self.head}","time":"{self._now()}","kind":"{kind}","type":'
        text = b"".join((start.encode(), dump(type_), b',"data":', data, f',"body":"{name}"}}'.encode()))
        head = self.head = hashlib.sha256(text).hexdigest()
        self.seq += 1
        return b"".join((lines, b'{"hash":"', head.encode(), b'","record":', text, b"}\n"))

    def input(self, given: Input) -> bytes:
        """Return the lines of an input."""
        if type(given) is not Say:
            return self._lines("input", *_written(recorded(given)))
        said = recorded(given)
        assert isinstance(said, Say)  # noqa: S101
        it = said.message
        body = b'{"content":' + dump(it.content) + b"}"
        self._said = given.message.content, body
        data = _Said(
            _Sent(it.act, it.id, it.sender, it.receivers, it.in_reply_to, it.made_by, it.about, it.lane),
            said.at,
        )
        return self._lines("input", "say", dump(data), body)

    def event(self, event: Event) -> bytes:
        """Return the lines of an event."""
        if type(event) is not Heard:
            return self._lines("event", *_written(event))
        it = event.message  # the input before it holds the rest
        body = self._said[1] if it.content is self._said[0] else b'{"content":' + dump(it.content) + b"}"
        data = _Received(
            event.n,
            it.id,
            event.overlay,
            it.act,
            it.sender,
            it.receivers,
            it.in_reply_to,
            it.about,
            it.made_by,
            it.lane,
        )
        return self._lines("event", "heard", dump(data), body)

    def at(self, seq: int, head: str) -> None:
        """Go on behind other records: `seq` of them, the last with the hash `head`."""
        self.seq, self.head, self._last, self._said = seq, head, (b"", ""), (None, b"")


def content_of(value: Input | Event) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an input or event as (structure, content): only the second holds what was said."""
    return split_up(cast("dict[str, Any]", msgspec.to_builtins(value, enc_hook=to_plain)))


def split_up(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of an input or event as (structure, content)."""
    body = {name: data.pop(name) for name in _CONTENT_OF.get(data["type"], ())}
    message = data.get("message")
    if isinstance(message, dict):
        entry = cast("dict[str, Any]", message)
        if data["type"] == "heard":  # the input before it holds the rest
            data["message"] = entry["id"]
            data["act"], data["sender"], data["receivers"] = entry["act"], entry["sender"], entry["receivers"]
            data["in_reply_to"], data["about"] = entry["in_reply_to"], entry["about"]
            data["made_by"], data["lane"] = entry["made_by"], entry["lane"]
        body["content"] = entry.pop("content")
    if data["type"] == "grounded" and not body["fields"]:
        body = {}
    return data, body


_CONTENT_OF: dict[str, tuple[str, ...]] = {
    str(kind.__struct_config__.tag): tuple(name for name in kind.__struct_fields__ if name in _CONTENT)
    for kind in (*get_args(Input), *get_args(Event))
}
"""Type of an input or event -> its fields that hold what was said."""
_KINDS: dict[str, type[Any]] = {
    str(kind.__struct_config__.tag): kind for kind in (*get_args(Input), *get_args(Event))
}
_START: dict[type, bytes] = {
    kind: f'{{"type":"{tag}",'.encode()
    for tag, kind in _KINDS.items()
    if kind is Grounded or not (_CONTENT_OF[tag] or kind in (Say, Heard))
}
"""Inputs and events that hold nothing that was said -> how each begins when it is written."""


def blob_name(salt: str, body: bytes) -> str:
    """Return the name of a content: the hash of its salt and its bytes."""
    return "sha256:" + hashlib.sha256(salt.encode() + body).hexdigest()


class Transcript:
    """A conversation's record, read back.

    `damage` says which line is broken and why; everything before it is in `records` and usable.
    """

    def __init__(
        self, records: Sequence[Record], blobs: dict[str, Any], damage: RecordError | None, head: str
    ) -> None:
        self.records = tuple(records)
        self.blobs = blobs
        self.damage = damage
        self.head = head

    def __repr__(self) -> str:
        name = self.records[0].data.get("conversation", "") if self.records else ""
        return f"<Transcript {name}: {len(self.records)} records{', damaged' if self.damage else ''}>"

    @classmethod
    def from_lines(
        cls, lines: Iterable[bytes], *, where: str = "", head: str = "", first: int = 1
    ) -> "Transcript":
        """Read JSON lines, checking the chain and every blob; stops at the first damage.

        Args:
            lines: All lines of a transcript, or those that came since.
            where: Its name, for errors.
            head: Head of the chain before the first of these lines.
            first: Number of the first of these lines.
        """
        records: list[Record] = []
        blobs: dict[str, Any] = {}
        damage: RecordError | None = None
        for number, line in enumerate(lines, start=first):
            if not line.strip():
                continue
            problem = ""
            try:
                if line.startswith(b'{"blob":'):
                    blob = _BLOB.decode(line)
                    if blob_name(blob.salt, bytes(blob.body)) != blob.blob:
                        problem = "this content is not what was recorded"
                    else:
                        blobs[blob.blob] = msgspec.json.decode(blob.body)
                else:
                    own, raw = _parted(line)
                    record = _RECORD.decode(raw)
                    if hashlib.sha256(raw).hexdigest() != own:
                        problem = "the record was changed after it was written"
                    elif record.prev != head:
                        problem = "a record before this one is missing or was changed"
                    elif record.v > SCHEMA:
                        problem = f"written by a newer version (format {record.v}, this one reads {SCHEMA})"
                    else:
                        records.append(record)
                        head = own
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                problem = f"{_UNREADABLE}: {error}"
            if problem:
                place = f"{where}:{number}" if where else ""
                damage = (
                    RecordError(
                        "this is not a transcript, or line 1 of it is damaged",
                        where=place,
                        why=problem,
                        fix="name a transcript, or an intact copy",
                    )
                    if number == 1 and problem.startswith(_UNREADABLE)
                    else RecordError(
                        f"line {number}: {problem}",
                        where=place,
                        why=f"the {len(records)} records before it are sound",
                        fix="work with what is before it, or take an intact copy",
                    )
                )
                break
        return cls(records, blobs, damage, head)

    def body(self, record: Record) -> Any:
        """Return a record's content; `ERASED` if it was deleted, None if it never had any."""
        return self.blobs.get(record.body, ERASED) if record.body else None

    @property
    def opening(self) -> Record | None:
        """The first record."""
        return self.records[0] if self.records and self.records[0].kind == "open" else None

    @property
    def seal(self) -> Record | None:
        """The last record, if the conversation was closed in order."""
        return self.records[-1] if self.records and self.records[-1].kind == "seal" else None

    @property
    def erased(self) -> tuple[int, ...]:
        """`seq` of the records whose content was deleted."""
        return tuple(r.seq for r in self.records if r.body and r.body not in self.blobs)

    def inputs(self) -> Iterator[Input]:
        """Yield the inputs, in order.

        Raises:
            RecordError: If the content of one was erased.
        """
        blobs = self.blobs
        for record in self.records:
            if record.kind == "input":
                body, data = blobs.get(record.body), record.data
                at = data.get("at")
                if record.type == "say" and type(at) is float and type(body) is dict and "content" in body:
                    try:
                        entry: dict[str, Any] = {**data["message"], "content": body["content"]}
                        yield Say(msgspec.convert(entry, type=Message), at)
                        continue
                    except (
                        KeyError,
                        TypeError,
                        msgspec.ValidationError,
                    ):  # what is wrong with it is told below
                        pass
                yield self._join(record, Input)

    def events(self) -> Iterator[Event]:
        """Yield the events, in order; content that was erased reads `erased`."""
        heard: dict[str, Any] = {}
        for record in self.records:
            if record.kind == "event":
                data = {**record.data, "type": record.type}
                body = self.body(record)
                if isinstance(body, dict):
                    data |= cast("dict[str, Any]", body)
                elif body == ERASED:
                    data |= _blank(record.type)
                if record.type == "heard":
                    names = ("act", "sender", "receivers", "in_reply_to", "about", "made_by", "lane")
                    data.setdefault("lane", "")
                    data["message"] = {
                        "id": data["message"],
                        "content": data.pop("content"),
                        **{name: data.pop(name) for name in names},
                    }
                    heard[data["message"]["id"]] = data["message"]
                yield msgspec.convert(data, type=_KINDS.get(record.type, Event))

    def _join(self, record: Record, kind: Any) -> Any:
        return joined(record, self.body(record), kind)


def joined(record: Record, body: Any, kind: Any) -> Any:
    """Return what a record and its content stand for: an input, or an event.

    Raises:
        RecordError: If the content was erased, or it is not what it says.
    """
    data: dict[str, Any] = {**record.data, "type": record.type}
    if body == ERASED:
        raise RecordError(
            f"record {record.seq} was erased",
            why="its content was deleted on purpose, so what followed from it cannot be computed again",
            fix="read the events with `agentcomm trace show`: they are still there",
        )
    if isinstance(body, dict):
        extra = cast("dict[str, Any]", body)
        if isinstance(data.get("message"), dict):
            data["message"] = {**data["message"], "content": extra.get("content")}
            extra = {name: value for name, value in extra.items() if name != "content"}
        data |= extra
    own = _KINDS.get(record.type)  # a class alone is converted faster than one of many
    try:
        return msgspec.convert(data, type=own if own in get_args(kind) else kind)
    except msgspec.ValidationError as error:
        raise RecordError(
            f"record {record.seq} is no {record.kind}", why=str(error), fix="take an intact copy"
        ) from None


def _blank(kind: str) -> dict[str, Any]:
    """Return what stands for the content of an event that is gone."""
    if kind == "heard":
        return {"content": {}}
    fields = {one.name: one.type for one in msgspec.structs.fields(_KINDS[kind])} if kind in _KINDS else {}
    return {
        name: ERASED if fields[name] is str else {} if fields[name] == dict[str, Any] else []
        for name in _CONTENT_OF.get(kind, ())
    }


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
    return wanted is None and type(event) in _START and {"type": kind, **held} == msgspec.to_builtins(event)


def _is_told(told: Told, records: Sequence[Record], transcript: Transcript) -> bool:
    """Say whether what happened by a simple move is seen to be that of some records without making its events."""
    if len(records) != told.length or told.ending:
        return False
    plan, it, lane = told.plan, told.message, told.lane
    name, label = it.id, plan.label
    wanted: list[tuple[str, dict[str, Any]]] = []
    if told.is_first:
        body = transcript.body(records[0])
        if type(body) is not dict or body != {"content": to_plain(it.content)}:
            return False
        heard = {
            "n": told.n,
            "message": name,
            "overlay": "",
            "act": label,
            "sender": it.sender,
            "receivers": list(it.receivers),
            "in_reply_to": it.in_reply_to,
            "about": "",
            "made_by": it.made_by,
            "lane": it.lane,
        }
        wanted.append(("heard", heard))
    if plan.grounds:
        wanted.append(("grounded", {**plan.grounded, "message": name, "lane": lane}))
    for change in told.changes:
        now, was = change.now, change.was
        changed = {
            "id": now.id,
            "act": now.act,
            "debtor": now.debtor,
            "creditor": now.creditor,
            "was": "" if was is None else was.status,
            "now": now.status,
            "lane": lane,
        }
        wanted.append(("commitment", changed))
    wanted.append(("moved", {**plan.moved, "message": name, "lane": lane}))
    if told.deadline < math.inf:
        wanted.append(("deadline", {"state": plan.target, "at": told.deadline, "lane": lane}))
    for record, (kind, data) in zip(records, wanted, strict=True):
        if record.type != kind or record.data != data or record.v != SCHEMA:
            return False
        if record.body and kind != "heard":
            return False
    return True


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
    conversation, events = open_conversation(
        rules,
        str(opening.data["conversation"]),
        whole=opening.data.get("whole"),
        members=tuple(map(str, opening.data.get("members", ()))),
    )
    recorded = [record for record in transcript.records if record.kind == "event"]
    difference, count = "", 0

    def compare(events: Iterable[Event]) -> str:
        for n, event in enumerate(events, start=count):
            if n >= len(recorded):
                return f"{n} events were recorded, and more come out now"
            record = recorded[n]
            if not _is_as_recorded(event, record, transcript.body(record)):
                now = type(event).__struct_config__.tag
                return f"event {n + 1} (record {record.seq}): recorded {record.type}, now {now}"
        return ""

    difference, count = compare(events), len(events)
    is_alone = not rules.protocol.many
    for given in transcript.inputs():
        done = heard_again(conversation, given) if is_alone and type(given) is Say else None
        if done is not None:
            conversation, told = done
            if not difference:
                length = told.length
                if not _is_told(told, recorded[count : count + length], transcript):
                    difference = compare(told)
                count += length
            continue
        conversation, events = step(conversation, given)
        if not difference:
            difference = compare(events)
            count += len(events)
    if not difference and count < len(recorded):
        difference = f"more events were recorded than the {count} that come out now"
    found = state_hash(conversation)
    seal = transcript.seal
    if not difference and seal is not None and seal.v == SCHEMA and seal.data.get("state") != found:
        difference = "the final state differs"
    return Replay(conversation, found, not difference, difference)
