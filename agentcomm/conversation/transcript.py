"""The record of a conversation: one format for every store, hash-chained from the first line.

A transcript is JSON lines of two kinds, hashed as the bytes that stand there:

    {"hash": H, "record": {"v", "seq", "prev", "time", "kind", "type", "data", "body"}}
    {"blob": B, "salt": S, "body": ...}

H is the SHA-256 of the record's own bytes, and `prev` is the H before it, so an edit or a deletion shows. What was said stands in
blobs, named by SHA-256 over salt and body; a record holds only the name. Deleting a blob erases what was said, keeps the chain
valid, and the salt keeps short contents from being guessed. Nothing here reads a clock or a file: times and salts are given.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, cast, get_args

import msgspec

from agentcomm.acts.content import to_plain
from agentcomm.acts.message import Message
from agentcomm.conversation.events import Event, Grounded, Heard, Input, Say
from agentcomm.conversation.reading import recorded
from agentcomm.errors import RecordError, UsageError
from agentcomm.protocol.resting import resting

__all__ = (
    "ERASED",
    "MANY",
    "SCHEMA",
    "Chain",
    "Kind",
    "Lines",
    "Record",
    "SaidLine",
    "Transcript",
    "blob_name",
    "content_of",
    "dump",
    "holds_no_words",
    "joined",
    "plain_bytes",
    "record_of",
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


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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


class _Blob(msgspec.Struct, frozen=True, gc=False):
    blob: str
    salt: str
    body: msgspec.Raw


class _Object(msgspec.Struct, frozen=True, gc=False):
    """Any map; nobody has looked into it yet."""


class _Seen(msgspec.Struct, frozen=True, gc=False):
    """A record as far as its chain is concerned; its fields are those of `Record`."""

    v: int
    seq: int
    prev: str
    time: str
    kind: Kind
    type: str
    data: _Object
    body: str = ""


_RECORD = msgspec.json.Decoder(Record)
_SEEN = msgspec.json.Decoder(_Seen)
_UNREADABLE = "not a line of a transcript"


class Sent(msgspec.Struct, frozen=True, gc=False):
    """A message as an input holds it, without its content."""

    act: str
    id: str
    sender: str
    receivers: tuple[str, ...]
    in_reply_to: str
    made_by: str
    about: str
    lane: str


class Came(msgspec.Struct, frozen=True, gc=False):
    """What an input holds by which a message came in."""

    message: Sent
    at: float


class SaidLine(msgspec.Struct, frozen=True, gc=False):
    """The record of a message that came in."""

    v: int
    seq: int
    prev: str
    time: str
    kind: Kind
    type: str
    data: Came
    body: str


_SAID = msgspec.json.Decoder(SaidLine)
_BLOB = msgspec.json.Decoder(_Blob)


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
        data = Came(
            Sent(it.act, it.id, it.sender, it.receivers, it.in_reply_to, it.made_by, it.about, it.lane),
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


def holds_no_words(event: Event) -> bool:
    """Say whether an event of this kind holds nothing that was said."""
    return type(event) in _START


def blob_name(salt: str, body: bytes) -> str:
    """Return the name of a content: the hash of its salt and its bytes."""
    return "sha256:" + hashlib.sha256(salt.encode() + body).hexdigest()


class Lines:
    """Lines that were read and are sound, decoded when somebody looks at them; most are only hashed and compared.

    Attributes:
        texts: The records, as they stand there.
        bodies: Name -> content, as it stands there.
        inputs: Places of the inputs among the records.
        said: For each of them, what it holds if it is a message as this version writes it.
        events: Places of the events among the records.
        first: For each input, how many events stand before it.
        followed: For each input, what the events behind it say, one after the other, each from its type on.
    """

    __slots__ = ("_tails", "bodies", "events", "first", "followed", "inputs", "said", "texts")

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.bodies: dict[str, bytes] = {}
        self.inputs: list[int] = []
        self.said: list[SaidLine | None] = []
        self.events: list[int] = []
        self.first: list[int] = []
        self.followed: list[bytes] = []
        self._tails: list[bytes] = []

    def take(self, seen: _Seen | SaidLine, text: bytes) -> None:
        """Keep one more record."""
        kind, place = seen.kind, len(self.texts)
        if kind == "event":
            self.events.append(place)
            self._tails.append(text[text.find(_TYPE, _FAR) :] if seen.v == SCHEMA else b"?")
        elif kind == "input":
            self.closed()
            self.inputs.append(place)
            self.said.append(seen if type(seen) is SaidLine and seen.v == SCHEMA else None)
            self.first.append(len(self.events))
        self.texts.append(text)

    def closed(self) -> "Lines":
        """Return it once nothing follows the last input any more."""
        if self.inputs:
            self.followed.append(b"".join(self._tails))
        self._tails.clear()
        return self


MANY = 1000
"""Lines from which on the collector of circles rests while they are read and replayed: there are none in them."""
_TYPE = b',"type":'
_FAR = len('{"v":2,"seq":0,"prev":"') + 64
"""Bytes before the type of any record but the first."""


_SAY = b'"kind":"input","type":"say"'


def _said(text: bytes) -> SaidLine | None:
    """Return the record of a message that came in; None if it is another one."""
    try:
        found = _SAID.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if found.kind == "input" and found.type == "say" else None


def record_of(text: bytes) -> Record:
    """Return a record as it stands in a line.

    Raises:
        RecordError: If it holds a number that is none.
    """
    try:
        return _RECORD.decode(text)
    except msgspec.DecodeError as error:
        raise _unfit(error) from None


def _data_of(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise _unfit(error) from None


def _unfit(error: Exception) -> RecordError:
    return RecordError(
        "a record cannot be read, though its hash is right",
        why=str(error),
        fix="take the transcript as agentcomm wrote it",
    )


def _checked(
    lines: Sequence[bytes], where: str, head: str, first: int
) -> tuple[Lines, RecordError | None, str]:
    """Return the lines that are sound, what is wrong with the one after them, and the head of the chain up to there."""
    read = Lines()
    texts, bodies = read.texts, read.bodies
    damage: RecordError | None = None
    for number, line in enumerate(lines, start=first):
        problem = ""
        try:
            if line.startswith(b'{"blob":'):
                blob = _BLOB.decode(line)
                name, body = blob.blob, bytes(blob.body)
                if blob_name(blob.salt, body) != name:
                    problem = "this content is not what was recorded"
                else:
                    if not body.isascii():
                        body.decode()
                    bodies[name] = body
            elif line.strip():
                own, raw = _parted(line)
                seen = _said(raw) if _SAY in raw else None
                seen = seen or _SEEN.decode(raw)
                if not raw.isascii():
                    _RECORD.decode(raw)
                if hashlib.sha256(raw).hexdigest() != own:
                    problem = "the record was changed after it was written"
                elif seen.prev != head:
                    problem = "a record before this one is missing or was changed"
                elif seen.v > SCHEMA:
                    problem = f"written by a newer version (format {seen.v}, this one reads {SCHEMA})"
                else:
                    read.take(seen, raw)
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
                    why=f"the {len(texts)} records before it are sound",
                    fix="work with what is before it, or take an intact copy",
                )
            )
            break
    return read.closed(), damage, head


class Transcript:
    """A conversation's record, read back.

    `damage` says which line is broken and why; everything before it is in `records` and usable.
    """

    def __init__(
        self, records: Iterable[Record], blobs: dict[str, Any], damage: RecordError | None, head: str
    ) -> None:
        self._records: tuple[Record, ...] | None = tuple(records)
        self._blobs: dict[str, Any] | None = blobs
        self.lines: Lines | None = None
        """The lines, if it was read from lines."""
        self.damage = damage
        self.head = head

    @property
    def records(self) -> tuple[Record, ...]:
        """The records that are sound, in order.

        Raises:
            RecordError: If one holds a number that is none.
        """
        if self._records is None:
            self._records = tuple(map(record_of, self.lines.texts)) if self.lines is not None else ()
        return self._records

    @property
    def blobs(self) -> dict[str, Any]:
        """Name -> content.

        Raises:
            RecordError: If one holds a number that is none.
        """
        if self._blobs is None:
            self._blobs = {name: _data_of(body) for name, body in (self.lines or Lines()).bodies.items()}
        return self._blobs

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
        several = cast("Sequence[bytes]", lines) if isinstance(lines, list | tuple) else list(lines)
        with resting(big=len(several) > MANY):
            read, damage, head = _checked(several, where, head, first)
        found = cls((), {}, damage, head)
        found.lines, found._records, found._blobs = read, None, None
        return found

    def body(self, record: Record) -> Any:
        """Return a record's content; `ERASED` if it was deleted, None if it never had any."""
        if not record.body:
            return None
        if self._blobs is not None or self.lines is None:
            return self.blobs.get(record.body, ERASED)
        body = self.lines.bodies.get(record.body)
        return ERASED if body is None else _data_of(body)

    @property
    def opening(self) -> Record | None:
        """The first record."""
        return self._one(0, "open")

    @property
    def seal(self) -> Record | None:
        """The last record, if the conversation was closed in order."""
        return self._one(-1, "seal")

    def _one(self, place: int, kind: Kind) -> Record | None:
        """Return the first or the last record, if it is of a kind; the others need not be decoded for it."""
        if self._records is None and self.lines is not None:
            found = record_of(self.lines.texts[place]) if self.lines.texts else None
        else:
            found = self.records[place] if self.records else None
        return found if found is not None and found.kind == kind else None

    @property
    def erased(self) -> tuple[int, ...]:
        """`seq` of the records whose content was deleted."""
        known = self.blobs if self.lines is None else self.lines.bodies
        return tuple(r.seq for r in self.records if r.body and r.body not in known)

    @property
    def in_doubt(self) -> tuple[Record, ...]:
        """The `tool.call` records of calls with an effect that were begun, and of which nothing tells what became of them.

        A call that was cut off stands here: by a deadline, a cancellation, or the end of its process. While a conversation is open, so
        does one that is being made.
        """
        begun: dict[str, Record] = {}
        for record in self._of_tools():
            key = str(record.data.get("key", ""))
            if record.type == "tool.call":
                begun[key] = record
            elif record.type == "tool.result" or (
                record.type == "tool.error" and not record.data.get("lost")
            ):
                begun.pop(key, None)
        return tuple(one for one in begun.values() if one.data.get("effect", "once") != "pure")

    def _of_tools(self) -> Iterator[Record]:
        """Yield the steps of tools; the others need not be decoded for it."""
        if self._records is None and self.lines is not None:
            found: Iterable[Record] = map(record_of, (text for text in self.lines.texts if b'"tool.' in text))
        else:
            found = self.records
        return (one for one in found if one.kind == "step" and one.type.startswith("tool."))

    def inputs(self) -> Iterator[Input]:
        """Yield the inputs, in order.

        Raises:
            RecordError: If the content of one was erased.
        """
        for record in self.records:
            if record.kind == "input":
                yield self.input_of(record)

    def input_of(self, record: Record) -> Input:
        """Return the input that a record holds.

        Raises:
            RecordError: If its content was erased, or it is none.
        """
        body, data = self.body(record), record.data
        at = data.get("at")
        if record.type == "say" and type(at) is float and type(body) is dict and "content" in body:
            try:
                entry: dict[str, Any] = {**data["message"], "content": body["content"]}
                return Say(msgspec.convert(entry, type=Message), at)
            except (KeyError, TypeError, msgspec.ValidationError):  # what is wrong with it is told below
                pass
        return joined(record, body, Input)

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
