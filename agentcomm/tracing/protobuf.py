"""Write spans as OTLP's protobuf bytes, without making objects of them first.

What is the same for many spans (a conversation's names, an agent's, a kind of turn) is encoded once, as a `Base`.

Source: opentelemetry-proto 1.9, `trace/v1/trace.proto` and `common/v1/common.proto`; the encoding itself,
https://protobuf.dev/programming-guides/encoding.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, cast

__all__ = (
    "Base",
    "Place",
    "Stencil",
    "attribute",
    "child_of",
    "refused_of",
    "request",
    "scope_of",
    "sized",
    "span_bytes",
)


class Place(NamedTuple):
    """Where a span is."""

    trace: bytes
    """16 bytes."""
    span: bytes
    """8 bytes."""
    state: str = ""
    """W3C trace state."""


def child_of(place: Place, number: int) -> Place:
    """Return where the step of a turn is, by its number from 1."""
    trace, span, state = place
    found = (int.from_bytes(span) + _STRIDE * number) & 0xFFFFFFFFFFFFFFFF or 1
    return Place(trace, found.to_bytes(8), state)


_STRIDE = 0xD1B54A32D192ED03
"""Odd: its multiples do not repeat in 64 bits, and meet no turn's."""


class Base:
    """Attributes that many spans share.

    Args:
        attributes: Names and values.
        under: Others that they come on top of.
    """

    __slots__ = ("_encoded", "_own", "_under", "attributes")

    def __init__(self, attributes: Mapping[str, Any], under: "Base | None" = None) -> None:
        self._own, self._under = attributes, under
        self._encoded: bytes | None = None
        self.attributes: Mapping[str, Any] = {**under.attributes, **attributes} if under else attributes
        """All of them."""

    @property
    def encoded(self) -> bytes:
        """All of them, as fields of a span."""
        found = self._encoded
        if found is None:
            parts = [self._under.encoded] if self._under else []
            _fields_of(self._own, parts)
            found = self._encoded = b"".join(parts)
        return found


_ONE = [bytes((n,)) for n in range(128)]
_CHARS = [chr(n) for n in range(128)]
_TIMES = struct.Struct("<BQBQ").pack
_DOUBLE = struct.Struct("<d").pack
_FLAGS = b"\x85\x01" + struct.pack("<I", 0x100)
"""Flags of a span: it is known whether its parent is remote, and it is not."""
_LINK_FLAGS = b"\x35" + struct.pack("<I", 0x100)
_NO_ERROR = b"\x7a\x00" + _FLAGS
_PLAIN_END = _NO_ERROR.decode("latin-1")
_INT64 = 1 << 63


def _varint(number: int) -> bytes:
    if number < 128:  # noqa: PLR2004  (seven bits a byte)
        return _ONE[number]
    found = bytearray()
    while number > 127:  # noqa: PLR2004
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def sized(data: bytes) -> bytes:
    """Return bytes with their length before them."""
    return _varint(len(data)) + data


@lru_cache(1024)
def _head(name: str) -> bytes:
    """Return the name of an attribute, and the tag of its value."""
    return b"\x0a" + sized(name.encode("utf-8", "replace")) + b"\x12"


def _value(value: Any) -> bytes:
    """Return an AnyValue."""
    match value:
        case str():
            return b"\x0a" + sized(value.encode("utf-8", "replace"))
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case int() if -_INT64 <= value < _INT64:
            return b"\x18" + _varint(value & 0xFFFFFFFFFFFFFFFF)
        case float():
            return b"\x21" + _DOUBLE(value)
        case bytes():
            return b"\x3a" + sized(value)
        case Mapping():
            entries = cast("Mapping[Any, Any]", value)
            pairs = (b"\x0a" + attribute(str(key), item) for key, item in entries.items())
            return b"\x32" + sized(b"".join(pairs))
        case list() | tuple():
            items = cast("Iterable[Any]", value)
            return b"\x2a" + sized(b"".join(b"\x0a" + sized(_value(item)) for item in items))
        case None:
            return b""
        case _:
            return b"\x0a" + sized(str(value).encode("utf-8", "replace"))


def attribute(name: str, value: Any) -> bytes:
    """Return a KeyValue with its length before it."""
    return sized(_head(name) + sized(_value(value)))


@lru_cache(1024)
def _texts(name: str) -> list[bytes]:
    """Return what stands before a text of n bytes that is the value of an attribute, for each n where all lengths take one byte."""
    head = _head(name)
    return [b"\x4a" + _ONE[len(head) + n + 3] + head + bytes((n + 2, 10, n)) for n in range(125 - len(head))]


@lru_cache(1024)
def _ints(name: str) -> list[bytes]:
    """Return what stands before a number whose varint takes n bytes; at 11, before a float."""
    head = _head(name)
    found = [b"\x4a" + sized(head + bytes((n + 1, 24)) + bytes(n))[: -n or None] for n in range(11)]
    return [*found, b"\x4a" + sized(head + bytes((9, 33)) + bytes(8))[:-8]]


_REPEATED: dict[str, dict[Any, bytes]] = {}
"""Name of an attribute -> the first values that it had, as fields of a span: most have few."""
_MOST_NAMES, _MOST_VALUES = 512, 64


def _fields_of(attributes: Mapping[str, Any], parts: list[bytes]) -> None:
    """Add attributes, as fields of a span."""
    for name, value in attributes.items():
        kind = cast("type[Any]", type(value))
        if kind is int and 0 <= value < _INT64:
            number = _varint(value)
            parts += (_ints(name)[len(number)], number)
            continue
        if kind is str:
            key = value
        elif (kind is list or kind is tuple) and value and type(value[0]) is str:
            key = tuple(value)
        else:
            parts += (b"\x4a", attribute(name, value))
            continue
        known = _REPEATED.get(name)
        if known is None:
            known = {}
            if len(_REPEATED) < _MOST_NAMES:
                _REPEATED[name] = known
        found = known.get(key)
        if found is not None:
            parts.append(found)
            continue
        if len(known) < _MOST_VALUES:
            found = b"\x4a" + attribute(name, value)
            if len(found) < 128:  # noqa: PLR2004  (what is long is seldom said twice)
                known[key] = found
            parts.append(found)
            continue
        if kind is str:
            text = value.encode("utf-8", "replace")
            before = _texts(name)
            if len(text) < len(before):
                parts += (before[len(text)], text)
                continue
        parts += (b"\x4a", attribute(name, value))


def _link(there: Place, known: Mapping[str, Any]) -> bytes:
    """Return a link with its length before it."""
    parts = [b"\x0a\x10", there[0], b"\x12\x08", there[1], _state(b"\x1a", there[2])]
    for name, value in known.items():
        parts += (b"\x22", attribute(name, value))
    parts.append(_LINK_FLAGS)
    return sized(b"".join(parts))


@lru_cache(4096)
def _name_field(name: str) -> bytes:
    return b"\x2a" + sized(name.encode("utf-8", "replace"))


def _state(tag: bytes, state: str) -> bytes:
    return tag + sized(state.encode()) if state else b""


def span_bytes(
    name: str,
    place: Place,
    parent: Place | None,
    bases: Sequence[Base],
    attributes: Mapping[str, Any],
    links: Sequence[tuple[Place, Mapping[str, Any]]],
    kind: int,
    start: int,
    end: int,
    error: str | None,
) -> bytes:
    """Return a Span as a field of its scope.

    Args:
        name: Its name.
        place: Where it is.
        parent: Where its parent is.
        bases: Attributes that it shares with others.
        attributes: Its own.
        links: What it follows from.
        kind: As OpenTelemetry's API counts: 0 is internal.
        start: Nanoseconds since the epoch.
        end: Nanoseconds since the epoch.
        error: What went wrong, if it did.
    """
    trace, span, state = place
    parts = [b"\x0a\x10", trace, b"\x12\x08", span]
    if state:
        parts.append(_state(b"\x1a", state))
    if parent is not None:
        parts += (b"\x22\x08", parent[1])
    parts += (_name_field(name), b"\x30", _ONE[kind + 1], _TIMES(0x39, start, 0x41, end))
    parts += [base.encoded for base in bases]
    _fields_of(attributes, parts)
    for there, known in links:
        parts += (b"\x6a", _link(there, known))
    if error is None:
        parts.append(_NO_ERROR)
    else:
        message = error.encode("utf-8", "replace")
        parts += (b"\x7a", sized((b"\x12" + sized(message) if message else b"") + b"\x18\x02"), _FLAGS)
    return b"\x12" + sized(b"".join(parts))


class Stencil:
    """A span of which all but a few values is the same each time; it has one link at most, and no error.

    Bytes are put together as texts in Latin-1, one character a byte: that is how Python joins them fastest.

    Args:
        name: Its name.
        base: What is the same.
        texts: Names of the attributes that are texts.
        numbers: Names of those that are numbers: whole ones from 0 up, or floats.
        linked: Name of the link's attribute that is a text; empty where there is no link.
        link: The link's other attributes.
        kind: As OpenTelemetry's API counts.
    """

    __slots__ = (
        "_body",
        "_head",
        "_link",
        "_links",
        "_numbers",
        "_texts",
        "base",
        "kind",
        "link",
        "linked",
        "name",
        "numbers",
        "texts",
    )

    def __init__(
        self,
        name: str,
        base: Base,
        texts: Sequence[str],
        numbers: Sequence[str],
        linked: str = "",
        link: Mapping[str, str] = MappingProxyType({}),
        kind: int = 0,
    ) -> None:
        self.kind = kind
        self.name, self.base, self.texts, self.numbers = name, base, texts, numbers
        self.linked, self.link = linked, link
        self._head = (_name_field(name) + b"\x30" + _ONE[kind + 1]).decode("latin-1")
        self._texts = [[row.decode("latin-1") for row in _texts(one)] for one in texts]
        self._numbers = [[row.decode("latin-1") for row in _ints(one)] for one in numbers]
        end = b"".join(b"\x22" + attribute(key, value) for key, value in link.items()) + _LINK_FLAGS
        self._link = (end + _NO_ERROR).decode("latin-1")
        self._links: dict[int, tuple[str, str]] = {}
        self._body: tuple[Base | None, str] = None, ""

    def encoded(
        self,
        place: Place,
        parent: Place | None,
        shared: Base,
        texts: Sequence[str],
        numbers: Sequence[Any],
        there: Place | None,
        linked: str,
        start: int,
        end: int,
    ) -> bytes:
        """Return a span as `span_bytes` does.

        Args:
            place: Where it is.
            parent: Where its parent is.
            shared: Attributes that it has besides.
            texts: Values, in the order of the names.
            numbers: Values, in the order of the names.
            there: Where what it is linked to is.
            linked: The value of the link's text.
            start: Nanoseconds since the epoch.
            end: Nanoseconds since the epoch.
        """
        of, body = self._body
        if of is not shared:
            body = (shared.encoded + self.base.encoded).decode("latin-1")
            self._body = shared, body
        ids = place[0] + b"\x12\x08" + place[1] + _state(b"\x1a", place[2])
        if parent is not None:
            ids += b"\x22\x08" + parent[1]
        times = _TIMES(0x39, start, 0x41, end)
        parts: list[str] = ["\n\x10", ids.decode("latin-1"), self._head, times.decode("latin-1"), body]
        for rows, number in zip(self._numbers, numbers, strict=True):
            if type(number) is float:
                parts += (rows[11], _DOUBLE(number).decode("latin-1"))
                continue
            whole = int(number)
            said = _CHARS[whole] if whole < 128 else _varint(whole).decode("latin-1")  # noqa: PLR2004
            parts += (rows[len(said)], said)
        for rows, text in zip(self._texts, texts, strict=True):
            said = text if text.isascii() else text.encode("utf-8", "replace").decode("latin-1")
            size = len(said)
            if size < len(rows):
                parts += (rows[size], said)
            else:
                name = self.texts[self._texts.index(rows)]
                parts += ("\x4a", attribute(name, text).decode("latin-1"))
        if there is None:
            parts.append(_PLAIN_END)
            data = "".join(parts).encode("latin-1")
            return b"\x12" + _varint(len(data)) + data
        said = linked if linked.isascii() else linked.encode("utf-8", "replace").decode("latin-1")
        before, middle = self._links.get(len(said)) or self._linked(len(said))
        ids = there[0] + b"\x12\x08" + there[1]
        parts += (before, ids.decode("latin-1"), middle, said, self._link)
        data = "".join(parts).encode("latin-1")
        return b"\x12" + _varint(len(data)) + data

    def _linked(self, size: int) -> tuple[str, str]:
        """Return what stands before the ids of the link, and before a text of so many bytes."""
        head = _head(self.linked) + _varint(size + 1 + len(_varint(size))) + b"\x0a" + _varint(size)
        middle = b"\x22" + _varint(len(head) + size) + head
        total = 28 + len(middle) + size + len(self._link) - len(_NO_ERROR)
        before = b"\x6a" + _varint(total) + b"\x0a\x10"
        found = self._links[size] = before.decode("latin-1"), middle.decode("latin-1")
        return found


def scope_of(name: str, version: str | None, attributes: Mapping[str, Any] | None = None) -> bytes:
    """Return an InstrumentationScope as a field of the spans that have it."""
    found = b"\x0a" + sized(name.encode())
    if version:
        found += b"\x12" + sized(version.encode())
    found += b"".join(b"\x1a" + attribute(key, value) for key, value in (attributes or {}).items())
    return b"\x0a" + sized(found)


def request(resource: Mapping[str, Any], scopes: Mapping[bytes, Sequence[bytes]]) -> bytes:
    """Return an ExportTraceServiceRequest.

    Args:
        resource: Attributes of the process.
        scopes: Scope -> its spans.
    """
    about = b"\x0a" + sized(b"".join(b"\x0a" + attribute(key, value) for key, value in resource.items()))
    sizes = [len(scope) + sum(map(len, spans)) for scope, spans in scopes.items()]
    total = len(about) + sum(1 + len(_varint(size)) + size for size in sizes)
    parts = [b"\x0a", _varint(total), about]
    for (scope, spans), size in zip(scopes.items(), sizes, strict=True):
        parts += (b"\x12", _varint(size), scope)
        parts += spans
    return b"".join(parts)


def refused_of(answer: bytes) -> tuple[int, str]:
    """Return how many spans an ExportTraceServiceResponse says were not taken, and why; (0, "") for one that says nothing.

    Args:
        answer: The body of an answer with status 200, in protobuf.
    """
    try:
        partial = _fields(answer).get(1, b"")
        found = _fields(partial) if isinstance(partial, bytes) else {}
    except (IndexError, ValueError):
        return 0, ""
    count, why = found.get(1, 0), found.get(2, b"")
    return (count if isinstance(count, int) else 0), (
        why.decode("utf-8", "replace") if isinstance(why, bytes) else ""
    )


def _fields(data: bytes) -> dict[int, int | bytes]:
    """Return the fields of a message; of several with one number, the last.

    Raises:
        IndexError: If it is cut off.
        ValueError: If it is no message.
    """
    found: dict[int, int | bytes] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            if byte < 128:  # noqa: PLR2004
                return number
            shift += 7

    while at < len(data):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            found[tag >> 3] = varint()
            continue
        if kind not in {1, 2, 5}:
            raise ValueError(kind)
        size = varint() if kind == 2 else 8 if kind == 1 else 4  # noqa: PLR2004
        found[tag >> 3] = data[at : at + size]
        at += size
    return found
