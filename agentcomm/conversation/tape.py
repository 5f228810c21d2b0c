"""Fold the lines of a record into a conversation, entry by entry: hashes are checked, inputs stepped, and only they are decoded."""

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from agentcomm.conversation.entries import Put, Short, Took, message_of, opened_up, taken_in
from agentcomm.conversation.events import Input, Say
from agentcomm.conversation.transcript import ERASED, SCHEMA, Record, blob_name, joined
from agentcomm.errors import RecordError

__all__ = ("Step", "Tape")


class Step(msgspec.Struct, frozen=True):
    """What somebody did within a turn: a model call, a tool call, a note."""

    type: str
    data: dict[str, Any]
    body: Any


class _Line(msgspec.Struct, frozen=True):
    hash: str
    record: msgspec.Raw


class _Blob(msgspec.Struct, frozen=True):
    blob: str
    salt: str
    body: msgspec.Raw


class Tape:
    """Reads entries in order.

    Attributes:
        seq: Records read.
        link: What chains the next entry to those before.
        opening: The record that opens the conversation, and its content.
        brief: What roles were told.
        begun: When it was opened, in seconds since 1970.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.link = b""
        self.begun = 0.0
        self.opening: tuple[Record, Any] | None = None
        self.brief: Any = None
        self._blobs: dict[str, msgspec.Raw] = {}

    def feed(self, data: bytes) -> Iterator[Input | Step]:
        """Yield the inputs and steps in one more entry.

        Raises:
            RecordError: If the chain is broken, or an input was erased.
        """
        is_empty = not data
        while data.startswith(b"{"):
            line, _, data = data.partition(b"\n")
            if line.startswith(b'{"blob":'):
                self._keep(line)
            else:
                yield from self._line(line)
        if data or is_empty:
            for part in self.parts(data):
                yield from self.given(part)
        if len(self._blobs) > _KEPT:
            self._blobs = dict(list(self._blobs.items())[-_KEPT:])

    def parts(self, data: bytes) -> list[Short | Took | Put]:
        """Return the parts of one more entry; who takes them counts their records.

        Raises:
            RecordError: If the chain is broken.
        """
        _, parts, self.link = opened_up(data, self.link)
        return parts

    def given(self, part: Short | Took | Put) -> Iterator[Input | Step]:
        """Yield the input or the step that a part stands for."""
        if type(part) is Short:
            self.seq += part.count()
            yield Say(message_of(part.said), part.at)
        elif isinstance(part, Took):
            given = taken_in(part)
            self.seq += (given is not None) + len(msgspec.json.decode(part.events, type=list[msgspec.Raw]))
            if given is not None:
                yield given
        elif isinstance(part, Put):
            record = Record(
                v=SCHEMA,
                seq=self.seq,
                prev="",
                time="",
                kind=part.kind,
                type=part.type,
                data=part.data,
                body=part.blob,
            )
            self.seq += 1
            yield from self._other(record, self._body(record) if part.blob else part.body, part.time)

    def _line(self, line: bytes) -> Iterator[Input | Step]:
        """Read a record as versions before 3 of the store kept it."""
        try:
            entry = msgspec.json.decode(line, type=_Line)
            text = bytes(entry.record)
            if sha256(text).hexdigest() != entry.hash:
                raise self._broken("the record was changed after it was written")
            record = msgspec.json.decode(text, type=Record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._broken(f"not a line of a record: {error}") from None
        if record.prev.encode() != self.link or record.seq != self.seq:
            raise self._broken("a record before this one is missing or was changed")
        if record.v > SCHEMA:
            raise self._broken(f"written by a newer version (format {record.v}, this one reads {SCHEMA})")
        self.seq += 1
        self.link = entry.hash.encode()
        body = self._body(record)
        if record.kind == "input":
            yield joined(record, body, Input)
        else:
            yield from self._other(record, body, datetime.fromisoformat(record.time).timestamp())

    def _other(self, record: Record, body: Any, time: float) -> Iterator[Step]:
        if record.kind == "step":
            yield Step(record.type, record.data, body)
        elif record.kind == "open":
            if record.type == "brief":
                self.brief = body
            else:
                self.opening, self.begun = (record, body), time

    def _keep(self, line: bytes) -> None:
        try:
            blob = msgspec.json.decode(line, type=_Blob)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._broken(f"not a line of a record: {error}") from None
        if blob_name(blob.salt, bytes(blob.body)) != blob.blob:
            raise self._broken("this content is not what was recorded")
        self._blobs[blob.blob] = blob.body

    def _body(self, record: Record) -> Any:
        if not record.body:
            return None
        found = self._blobs.get(record.body)
        return ERASED if found is None else msgspec.json.decode(found)

    def _broken(self, why: str) -> RecordError:
        return RecordError(
            f"record {self.seq} is damaged: {why}",
            why=f"{self.seq} records before it are sound",
            fix="restore the store from a backup; the conversation is left as it is until then",
        )


_KEPT = 64
"""Blobs that later lines may refer to."""
