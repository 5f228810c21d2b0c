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
    "END_TAG",
    "ODD",
    "PLACE_BYTES",
    "PLACE_TAG",
    "SPAN_AT",
    "SPAN_TAG",
    "START_TAG",
    "STRIDE",
    "Base",
    "Hole",
    "Place",
    "Stencil",
    "about",
    "attribute",
    "body_of",
    "child_of",
    "field",
    "ids_of",
    "parent_field",
    "place_of",
    "refused_of",
    "request",
    "scope_of",
    "sized",
    "span_bytes",
    "state_field",
    "times_of",
)


Place = bytes
"""Where a span is: its trace, its id and W3C's trace state, as the first fields of a span and of a link have them."""

PLACE_BYTES = 28
"""Of a place without trace state."""
SPAN_AT = 20
"""Where the span's id begins in a place."""

PLACE_TAG = 0x100A
SPAN_TAG = b"\x12\x08"
START_TAG, END_TAG = 0x39, 0x41
"""What stands before a trace's id, a span's, and its times; numbers are little-endian."""


def place_of(trace: bytes, span: bytes, state: str = "") -> Place:
    """Return a place.

    Args:
        trace: The 16 bytes of the trace's id.
        span: The 8 bytes of the span's.
        state: W3C trace state.
    """
    return b"\x0a\x10" + trace + SPAN_TAG + span + state_field(state)


def state_field(state: str) -> bytes:
    """Return W3C trace state as a place has it; empty for none."""
    return b"\x1a" + sized(state.encode()) if state else b""


def ids_of(place: Place) -> tuple[bytes, bytes, str]:
    """Return the 16 bytes of a trace's id, the 8 of a span's, and W3C trace state."""
    state = body_of(place[PLACE_BYTES:]).decode() if len(place) > PLACE_BYTES else ""
    return place[2:18], place[SPAN_AT:PLACE_BYTES], state


def parent_field(place: Place) -> bytes:
    """Return a place as the parent of a span."""
    return b"\x22\x08" + place[SPAN_AT:PLACE_BYTES]


def child_of(place: Place, number: int) -> Place:
    """Return where the step of a turn is, by its number from 1."""
    found = (int.from_bytes(place[SPAN_AT:PLACE_BYTES]) + STRIDE * number) & 0xFFFFFFFFFFFFFFFF or 1
    return place[:SPAN_AT] + found.to_bytes(8) + place[PLACE_BYTES:]


ODD = 0x9E3779B1
"""Odd: its multiples do not repeat in 32 bits."""
STRIDE = 0xD1B54A32D192ED03
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
_TIMES = struct.Struct("<BQBQ").pack
_DOUBLE = struct.Struct("<d").pack
_FLAGS = b"\x85\x01" + struct.pack("<I", 0x100)
"""Flags of a span: it is known whether its parent is remote, and it is not."""
_LINK_FLAGS = b"\x35" + struct.pack("<I", 0x100)
_NO_ERROR = b"\x7a\x00" + _FLAGS
_INT64 = 1 << 63


def times_of(start: int, end: int) -> bytes:
    """Return the times of a span, in nanoseconds since the epoch, as its fields."""
    return _TIMES(START_TAG, start, END_TAG, end)


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


def field(name: str, value: Any) -> bytes:
    """Return an attribute as a field of a span."""
    return b"\x4a" + attribute(name, value)


def body_of(field: bytes) -> bytes:
    """Return a field's bytes without its tag and length."""
    at = 1
    while field[at] > 127:  # noqa: PLR2004  (seven bits a byte)
        at += 1
    return field[at + 1 :]


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
    parts = [there]
    for name, value in known.items():
        parts += (b"\x22", attribute(name, value))
    parts.append(_LINK_FLAGS)
    return sized(b"".join(parts))


@lru_cache(4096)
def _name_field(name: str) -> bytes:
    return b"\x2a" + sized(name.encode("utf-8", "replace"))


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
    parts = [place]
    if parent is not None:
        parts.append(parent_field(parent))
    parts += (_name_field(name), b"\x30", _ONE[kind + 1], times_of(start, end))
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


class Hole(NamedTuple):
    """What differs among spans that are else the same: a text, or whole fields."""

    name: str = ""
    """The attribute that the text is the value of; empty for whole fields."""
    before: str = ""
    after: str = ""
    """What stands around it in the value, each time."""


class Stencil:
    """A span of which all but a few values is the same each time; it has one link at most, and no error.

    For values of the same lengths it is one form: pieces among which the values are put.

    Args:
        name: Its name.
        base: What is the same.
        holes: What is not, besides its head: where it is, when it was, and what else stands there.
        linked: The link's text that is not the same; None where there is no link. Its values are the place and the text.
        link: The link's other attributes.
        kind: As OpenTelemetry's API counts.
    """

    __slots__ = ("_holes", "_link", "_linked", "_same")

    def __init__(
        self,
        name: str,
        base: Base,
        holes: Sequence[Hole],
        linked: str | None = None,
        link: Mapping[str, str] = MappingProxyType({}),
        kind: int = 0,
    ) -> None:
        self._same = _name_field(name) + b"\x30" + _ONE[kind + 1] + base.encoded + _NO_ERROR
        self._holes, self._linked = holes, linked
        self._link = b"".join(b"\x22" + attribute(key, value) for key, value in link.items()) + _LINK_FLAGS

    def form(self, values: tuple[bytes, ...]) -> list[bytes]:
        """Return pieces that are, with values in every second place, a span as `span_bytes` gives it.

        Args:
            values: Of head, holes and link, of which only the lengths matter.
        """
        pieces, before = list[bytes](), b""
        for hole, value in zip((Hole(), *self._holes), values, strict=False):
            first, last = _around(hole, value) if hole.name else (b"", b"")
            pieces += (before + first, value)
            before = last
        before += self._same
        if self._linked is not None:
            there, text = values[-2:]
            first, last = _around(Hole(self._linked), text, b"\x22")
            size = sum(map(len, (there, first, text, last, self._link)))
            pieces += (before + b"\x6a" + _varint(size), there, first, text)
            before = last + self._link
        pieces.append(before)
        pieces[0] = b"\x12" + _varint(sum(map(len, pieces))) + pieces[0]
        return pieces


def _around(hole: Hole, value: bytes, tag: bytes = b"\x4a") -> tuple[bytes, bytes]:
    """Return what stands before and after a value, of which only the length is looked at, as a field with that tag."""
    after = hole.after.encode("utf-8", "replace")
    whole = attribute(hole.name, hole.before + "-" * len(value) + hole.after)
    return tag + whole[: len(whole) - len(after) - len(value)], after


def scope_of(name: str, version: str | None, attributes: Mapping[str, Any] | None = None) -> bytes:
    """Return an InstrumentationScope as a field of the spans that have it."""
    found = b"\x0a" + sized(name.encode())
    if version:
        found += b"\x12" + sized(version.encode())
    found += b"".join(b"\x1a" + attribute(key, value) for key, value in (attributes or {}).items())
    return b"\x0a" + sized(found)


def about(resource: Mapping[str, Any]) -> bytes:
    """Return a Resource as a field of what it sends.

    Args:
        resource: Attributes of the process.
    """
    return b"\x0a" + sized(b"".join(b"\x0a" + attribute(key, value) for key, value in resource.items()))


def request(resource: bytes, scopes: Mapping[bytes, Sequence[bytes]]) -> list[bytes]:
    """Return the pieces of an ExportTraceServiceRequest.

    Args:
        resource: The process, from `about`.
        scopes: Scope -> its spans.
    """
    sizes = [len(scope) + sum(map(len, spans)) for scope, spans in scopes.items()]
    total = len(resource) + sum(1 + len(_varint(size)) + size for size in sizes)
    parts = [b"\x0a", _varint(total), resource]
    for (scope, spans), size in zip(scopes.items(), sizes, strict=True):
        parts += (b"\x12", _varint(size), scope)
        parts += spans
    return parts


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
