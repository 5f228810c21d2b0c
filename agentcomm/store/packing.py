"""What is stored made smaller for the disk, and given back as it was, to the byte.

The first byte says how it is packed, so that what was written once can always be read. Before version 3 of the store entries were
lines of records, from which every hash that follows from what stands beside it was left out: those are only read.
"""

import zlib
from hashlib import sha256

from agentcomm.errors import RecordError

__all__ = ("PACKED", "pack", "unpack")

_PLAIN, _LINES, _DEFLATED = b"\x00", b"\x01", b"\x04"
_LONG = 2048
"""Bytes: what is shorter is left as it is, since making it smaller takes as long as all else that a turn needs but the disk."""
_WORDS_1 = (
    b'"differs":[{"field":"","meant":,"understood":,"kind":"changed","why":""}],"kind":"readback"'
    b'"type":"model.result","data":{"agent":"","model":"","done_reason":"stop","prompt_tokens":,"output_tokens":,"seconds":,'
    b'"transport_retries":0,"address":"","sent":"sha256:"type":"model.request","attempt":1,"temperature":0.0,"seed":1,"num_ctx":4096'
    b'"kind":"step","type":"tool.call","data":{"tool":"","key":"","effect":"once"}"type":"tool.result""kind":"seal"'
    b'"type":"overlay-opened","data":{"overlay":"read-back","about":"","sender":"","hearer":""}"type":"overlay-closed"'
    b'"type":"repair-opened""type":"refused","type":"expired","kind":"input","type":"tick","type":"ended","data":{"outcome":"done",'
    b'"outcome_class":"success"},"body":{"cause":" said '
    b'{"blob":"sha256:","salt":"","body":{"fields":{}}}\n'
    b'","kind":"event","type":"commitment","data":{"id":"","act":"request","debtor":"","creditor":"","was":"","now":"detached",'
    b'"discharged","created","lane":""},"body":""}}\n'
    b'","kind":"event","type":"grounded","data":{"message":"","act":"inform","criterion":"delivered","evidence":["delivered"],"lane":""},'
    b'"body":""}}\n","kind":"event","type":"heard","data":{"n":,"message":"","overlay":"","act":"","sender":"","receivers":[""],'
    b'"in_reply_to":"","about":"","made_by":"handler","lane":""},"body":"sha256:'
    b'","kind":"event","type":"deadline","data":{"state":"","at":,"lane":""},"body":""}}\n'
    b'","kind":"event","type":"moved","data":{"act":"","by":"","state":"","next":"","message":"","lane":""},"body":""}}\n'
    b'{"blob":"sha256:","salt":"","body":{"content":{"'
    b'{"hash":"","record":{"v":1,"seq":1,"prev":"","time":"2026-01-01T00:00:00.000+00:00","kind":"input","type":"say",'
    b'"data":{"message":{"act":"","id":"conv-:","sender":"","receivers":[],"in_reply_to":"","about":"","made_by":"handler","lane":""},'
    b'"at":0.0},"body":"sha256:'
)
"""What the lines of a turn looked like; it must never change, since packed lines refer to it."""

_HASH = b'{"hash":"'
_RECORD = b'","record":'
_TEXT = len(_HASH) + 64 + len(_RECORD)
_BLOB = b'{"blob":"'
_NAME = 7 + 64
_PREV, _BODY = b',"prev":"', b',"body":"'
_NO_HASH, _NO_PREV, _NO_BODY = b"\x01", b"\x02", b"\x03"
"""Stand for what was left out; JSON text never holds them."""


def pack(data: bytes) -> bytes:
    """Return it made smaller, if it is long enough."""
    if len(data) >= _LONG:
        press = zlib.compressobj(1, zlib.DEFLATED, -13, 6)
        made = press.compress(data) + press.flush()
        if len(made) + 1 < len(data):
            return _DEFLATED + made
    return _PLAIN + data if data[:1] in PACKED else data


PACKED = (_PLAIN, _LINES, _DEFLATED)
"""First bytes of what is not kept as it is."""


def unpack(packed: bytes) -> bytes:
    """Return what was packed.

    Raises:
        RecordError: If this is not what was packed.
    """
    how = packed[:1]
    if how == _PLAIN:
        return packed[1:]
    if how not in (_DEFLATED, _LINES):
        return packed
    why = "it is cut off"
    try:
        press = zlib.decompressobj(-13) if how == _DEFLATED else zlib.decompressobj(-13, _WORDS_1)
        data = press.decompress(packed[1:])
        if press.eof:
            return data if how == _DEFLATED else _lengthen(data)
    except zlib.error as error:
        why = str(error)
    raise RecordError(
        "records in the store cannot be read",
        why=why,
        fix="restore the store from a backup, or take what is before them",
    )


def _lengthen(short: bytes) -> bytes:
    made: list[bytes] = []
    blob = last = b""
    for line in short.splitlines(keepends=True):
        if line.startswith(_NO_HASH):
            text = _longer(line[1:-1], last, blob)
            last = sha256(text).hexdigest().encode()
            made.append(_HASH + last + _RECORD + text + b"}\n")
            continue
        if line.startswith(_BLOB):
            blob = line[len(_BLOB) : len(_BLOB) + _NAME]
            made.append(line)
        elif line.startswith(_HASH):
            last, before = line[len(_HASH) : len(_HASH) + 64], last
            made.append(line[:_TEXT] + _longer(line[_TEXT:], before, blob))
        else:
            made.append(line)
    return b"".join(made)


def _longer(text: bytes, last: bytes, blob: bytes) -> bytes:
    return text.replace(_PREV + _NO_PREV, _PREV + last, 1).replace(_BODY + _NO_BODY, _BODY + blob, 1)
