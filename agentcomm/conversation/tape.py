"""Fold the lines of a record into a conversation, entry by entry: hashes are checked, inputs stepped, and only they are decoded."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec

from agentcomm.conversation.events import Input
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
    """Reads lines in order.

    Attributes:
        seq: Records read.
        head: Hash of the last.
        opening: The record that opens the conversation, and its content.
        brief: What roles were told.
        at: When the last record was written, in RFC 3339.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.head = ""
        self.at = ""
        self.opening: tuple[Record, Any] | None = None
        self.brief: Any = None
        self._blobs: dict[str, msgspec.Raw] = {}

    def feed(self, lines: bytes) -> Iterator[Input | Step]:
        """Yield the inputs and steps in some more lines.

        Raises:
            RecordError: If the chain is broken, or an input was erased.
        """
        for line in lines.splitlines():
            if line.startswith(b'{"blob":'):
                self._keep(line)
                continue
            try:
                entry = msgspec.json.decode(line, type=_Line)
                text = bytes(entry.record)
                if sha256(text).hexdigest() != entry.hash:
                    raise self._broken("the record was changed after it was written")
                record = msgspec.json.decode(text, type=Record)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise self._broken(f"not a line of a record: {error}") from None
            if record.prev != self.head or record.seq != self.seq:
                raise self._broken("a record before this one is missing or was changed")
            if record.v > SCHEMA:
                raise self._broken(f"written by a newer version (format {record.v}, this one reads {SCHEMA})")
            self.seq += 1
            self.head, self.at = entry.hash, record.time
            if record.kind == "input":
                yield joined(record, self._body(record), Input)
            elif record.kind == "step":
                yield Step(record.type, record.data, self._body(record))
            elif record.kind == "open":
                if record.type == "brief":
                    self.brief = self._body(record)
                else:
                    self.opening = record, self._body(record)
            elif record.kind == "seal":
                continue
        if len(self._blobs) > _KEPT:
            self._blobs = dict(list(self._blobs.items())[-_KEPT:])

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
