"""What is appended to a record together, in the short form that stores keep; the lines of the transcript follow from it.

An entry is a byte that names the form, 32 bytes that chain it to the entry before, and JSON:

    [salt, [part, ...]]                         a part is
    ["t", time, input, [event, ...]]            what came in, and what happened
    ["m", time, message, at, n, grounds, state, next, deadline, [commitment, ...], [event, ...]]
                                                a plain move: what came in, its place among the messages, and what differs from
                                                one to the next; the rest follows from it, and is told by `spelt_out`
    ["p", time, kind, type, data, body, blob]   any other record; `blob` names a content that stands elsewhere

Inputs and events are lists: the type, then the fields in their order. So fields of inputs and events are only ever added at the end,
with a default. Where an event names the message that came in, a 0 stands for its id; a `heard` holds what differs from that message.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, cast, get_args

import msgspec

from agentcomm.acts.content import flat, to_plain
from agentcomm.acts.message import Message
from agentcomm.conversation.events import Event, Heard, Input, Say
from agentcomm.conversation.plain import Told
from agentcomm.conversation.reading import recorded
from agentcomm.conversation.transcript import Chain, Kind, dump, split_up
from agentcomm.errors import RecordError

__all__ = (
    "Lines",
    "Put",
    "Short",
    "Took",
    "lines_of",
    "link_of",
    "message_of",
    "opened_up",
    "put",
    "sealed_up",
    "short",
    "spelt_out",
    "taken_in",
    "took",
)

_FORM = b"\x02"
_HEAD = 1 + 32

_astuple = msgspec.structs.astuple
_KINDS: dict[str, Any] = {
    str(kind.__struct_config__.tag): kind for kind in (*get_args(Input), *get_args(Event))
}
_TAGS: dict[Any, str] = {kind: tag for tag, kind in _KINDS.items()}
_FIELDS: dict[str, tuple[str, ...]] = {tag: kind.__struct_fields__ for tag, kind in _KINDS.items()}
_TEXTS: dict[str, frozenset[str]] = {
    tag: frozenset(one.name for one in msgspec.structs.fields(kind) if one.type is str)
    for tag, kind in _KINDS.items()
}
"""Fields that hold text, and so may hold 0 for the id of what came in."""
_MESSAGE = Message.__struct_fields__
_NONE = Message(act="")


class Took(msgspec.Struct, frozen=True, array_like=True, tag_field="t", tag="t", gc=False):
    """An input and its events."""

    time: float
    given: msgspec.Raw
    events: msgspec.Raw


class Short(msgspec.Struct, frozen=True, array_like=True, tag_field="t", tag="m", gc=False):
    """A plain move: a message that was heard, perhaps grounded at once, and led from a state to the next."""

    time: float
    said: list[Any]
    at: float
    n: int
    """Its place among the messages; 0 if it was heard before."""
    grounds: int
    source: str
    target: str
    deadline: float | None = None
    changes: list[Any] = []
    """Of commitments."""
    ending: list[Any] = []

    def count(self) -> int:
        """Return how many records it stands for."""
        more = (self.deadline is not None) + len(self.changes) + len(self.ending)
        return 2 + (self.n > 0) + self.grounds + more


class Put(msgspec.Struct, frozen=True, array_like=True, tag_field="t", tag="p", gc=False):
    """A record of another kind."""

    time: float
    kind: Kind
    type: str
    data: dict[str, Any]
    body: Any = None
    blob: str = ""


def took(time: float, given: Input | None, events: Sequence[Event], *, is_sealed: bool = False) -> Any:
    """Return an input and its events as a part; an input is None at the opening.

    Args:
        time: Seconds since 1970.
        given: The input.
        events: What happened.
        is_sealed: Whether the content of the input is known to be sound and immutable.
    """
    said, name = _NONE, ""
    if type(given) is Say:
        if not (
            is_sealed and events and type(events[0]) is Heard and events[0].message.id == given.message.id
        ):
            given = cast("Say", recorded(given))
        said = given.message
        name = said.id
        first: Any = ("say", _astuple(said), given.at)
    else:
        first = None if given is None else (_TAGS[type(given)], *_astuple(recorded(given)))
    made: list[Any] = []
    for event in events:
        if type(event) is Heard:
            made.append(("heard", event.n, _differs(event.message, said), event.overlay))
        elif name:
            made.append((_TAGS[type(event)], *[0 if value is name else value for value in _astuple(event)]))
        else:
            made.append((_TAGS[type(event)], *_astuple(event)))
    return "t", time, first, made


def short(time: float, given: Say, told: Told) -> tuple[Any, int]:
    """Return a plain move as a part, and how many records it stands for.

    Args:
        time: Seconds since 1970.
        given: What was said, known to be sound and immutable.
        told: What happened.
    """
    plan, said, lane = told.plan, told.message, told.lane
    if lane != said.lane or said.about:
        return took(time, given, told.events(), is_sealed=True), 1 + told.length
    name, content = said.id, said.content
    if plan.is_words:
        content = content.__dict__
    else:
        words = flat(content)
        if words is not None:
            content = words
    values = [said.act, content, name, said.sender, said.receivers, said.in_reply_to, said.made_by]
    if lane:
        values += "", lane
    n, grounds = told.n if told.is_first else 0, 1 if plan.grounds else 0
    made = "m", time, values, given.at, n, grounds, plan.source, plan.target
    count = 3 + grounds if n else 2 + grounds
    deadline = told.deadline
    if told.changes or told.ending:
        changes: list[Any] = []
        for change in told.changes:
            now, was = change.now, change.was
            about = 0 if now.id is name else now.id
            before = "" if was is None else was.status
            changes.append(("commitment", about, now.act, now.debtor, now.creditor, before, now.status, lane))
        count += len(changes)
        if told.ending:
            ending = [_event(event, name) for event in told.ending]
            return (*made, None, changes, ending), count + len(ending)
        if deadline < math.inf:
            return (*made, deadline, changes), count + 1
        return (*made, None, changes), count
    return ((*made, deadline), count + 1) if deadline < math.inf else (made, count)


def _event(event: Event, name: str) -> Any:
    return _TAGS[type(event)], *[0 if value is name else value for value in _astuple(event)]


def spelt_out(part: Short) -> tuple[list[Any], list[Any]]:
    """Return the input of a plain move and its events, each as a list of its type and its fields."""
    said = [*part.said, "", ""][: len(_MESSAGE)]  # what is empty may be left out at the end
    act, lane = said[0], said[-1]
    events: list[Any] = [["heard", part.n, {}, ""]] if part.n else []
    if part.grounds:
        events.append(["grounded", 0, act, "delivered", ["delivered"], {}, lane])
    events += part.changes
    events.append(["moved", act, said[3], part.source, part.target, 0, lane])
    if part.deadline is not None:
        events.append(["deadline", part.target, part.deadline, lane])
    events += part.ending
    return ["say", said, part.at], events


def _differs(message: Message, said: Message) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _MESSAGE:
        value, other = getattr(message, name), getattr(said, name)
        if value is not other and (dump(value) != dump(other) if name == "content" else value != other):
            found[name] = value
    return found


def put(time: float, kind: Kind, type_: str, data: Any, body: Any = None, blob: str = "") -> Any:
    """Return another record as a part."""
    return "p", time, kind, type_, data, body, blob


def sealed_up(parts: Sequence[Any], salt: str, link: bytes) -> tuple[bytes, bytes]:
    """Return an entry, and the link of the next one to it.

    Args:
        parts: Of `took` and `put`.
        salt: 16 random hexadecimal digits, from which the salts of contents are made.
        link: What chains it to the entry before; empty for the first.
    """
    text = dump((salt, parts))
    link = sha256(link + text).digest()
    return _FORM + link + text, link


def link_of(data: bytes) -> bytes:
    """Return what chains the next entry to this one, without looking whether it is right; empty for another form."""
    return data[1:_HEAD] if data[:1] == _FORM else b""


def opened_up(data: bytes, link: bytes) -> tuple[str, list[Took | Short | Put], bytes]:
    """Return salt and parts of an entry, and the link of the next one to it.

    Raises:
        RecordError: If it is not what was written after the entry before.
    """
    if data[:1] != _FORM:
        raise _broken(f"it is of a form that this version does not know ({data[:1].hex() or 'empty'})")
    found, text = data[1:_HEAD], data[_HEAD:]
    if sha256(link + text).digest() != found:
        raise _broken("it, or what stood before it, was changed after it was written, or is missing")
    try:
        salt, parts = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _broken(f"it cannot be read: {error}") from None
    return salt, parts, found


def taken_in(part: Took | Short) -> Input | None:
    """Return the input of a part."""
    if type(part) is Short:
        return Say(message_of(part.said), part.at)
    assert isinstance(part, Took)  # noqa: S101
    given = msgspec.json.decode(part.given)
    if given is None:
        return None
    if given[0] == "say":
        return Say(message_of(given[1]), given[2])
    return msgspec.convert(_named(given, ""), type=Input)


def message_of(values: list[Any]) -> Message:
    """Return a message from its fields."""
    values[4] = tuple(values[4])
    return Message(*values)


class Lines:
    """Gives the lines of a transcript for entries, in order.

    Attributes:
        chain: Where the transcript stands.
        link: What chains the next entry to those before.
    """

    def __init__(self) -> None:
        self._salt = ""
        self._count = 0
        self._now = 0.0
        self.chain = Chain(now=self._stamp, salt=self._next_salt)
        self.link = b""

    def feed(self, data: bytes) -> bytes:
        """Return the lines of one more entry.

        Raises:
            RecordError: If it is damaged.
        """
        made: list[bytes] = []
        is_empty = not data
        while data.startswith(b"{"):  # lines as they are: shared contents, and what older versions wrote
            line, _, data = data.partition(b"\n")
            made.append(line + b"\n")
            if line.startswith(_LINE):
                head = line[len(_LINE) : len(_LINE) + 64]
                self.chain.at(self.chain.seq + 1, head.decode(errors="replace"))
                self.link = head
        if data or is_empty:
            self._salt, parts, self.link = opened_up(data, self.link)
            self._count = 0
            chain = self.chain
            chain.at(chain.seq, chain.head)
            for part in parts:
                self._now = part.time
                made.append(self._lines(part))
        return b"".join(made)

    def _lines(self, part: Took | Short | Put) -> bytes:
        chain = self.chain
        if isinstance(part, Put):
            return chain.record(part.kind, part.type, part.data, part.body, blob=part.blob)
        if isinstance(part, Short):
            given, events = spelt_out(part)
        else:
            given, events = msgspec.json.decode(part.given), msgspec.json.decode(part.events)
        made = b""
        said: dict[str, Any] = {}
        if given is not None:
            if given[0] == "say":
                said = dict(zip(_MESSAGE, given[1], strict=False))
            made = self._split("input", _named(given, ""))
        name = str(said.get("id", ""))
        for event in events:
            if event[0] == "heard":
                message = {**(said or _BLANK), **event[2]}
                plain = {"type": "heard", "n": event[1], "message": message, "overlay": event[3]}
            else:
                plain = _named(event, name)
            made += self._split("event", plain)
        return made

    def _split(self, kind: Kind, plain: dict[str, Any]) -> bytes:
        data, body = split_up(plain)
        return self.chain.record(kind, data.pop("type"), data, body or None)

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self._now, UTC).isoformat(timespec="milliseconds")

    def _next_salt(self) -> str:
        self._count += 1
        return sha256(f"{self._salt}{self._count}".encode()).hexdigest()[:16]


def lines_of(entries: Iterable[bytes]) -> tuple[list[bytes], RecordError | None]:
    """Return the lines of a transcript for all entries of a conversation, up to the first that is damaged, and what is wrong with it."""
    lines, made = Lines(), list[bytes]()
    damage: RecordError | None = None
    try:
        for data in entries:
            made += lines.feed(data).splitlines(keepends=True)
    except RecordError as error:
        damage = error
    return made, damage


_LINE = b'{"hash":"'
_BLANK: dict[str, Any] = msgspec.to_builtins(_NONE)


def _named(values: list[Any], name: str) -> dict[str, Any]:
    """Return an input or event as a map; fields that came later than it have their defaults."""
    tag = values[0]
    fields = _FIELDS[tag]
    plain: dict[str, Any] = {"type": tag, **dict(zip(fields, values[1:], strict=False))}
    if tag == "say":
        plain["message"] = dict(zip(_MESSAGE, plain["message"], strict=False))
    elif name:
        texts = _TEXTS[tag]
        for field, value in plain.items():
            if value == 0 and field in texts:
                plain[field] = name
    if len(values) <= len(fields):
        plain |= msgspec.to_builtins(msgspec.convert(plain, type=_KINDS[tag]), enc_hook=to_plain)
    return plain


_decode = msgspec.json.Decoder(tuple[str, list[Took | Short | Put]]).decode


def _broken(why: str) -> RecordError:
    return RecordError(
        "an entry of the record is damaged",
        why=why,
        fix="restore the store from a backup; the conversation is left as it is until then",
    )
