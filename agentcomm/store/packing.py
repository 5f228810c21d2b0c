"""Lines of records made smaller for the disk, and given back as they were, to the byte.

Three things make them small. A hash that follows from what stands beside it is left out: all but the last of an entry, every
`prev` but the first, and the name of a blob where the line before holds that blob; so the chain from entry to entry, and
everything that was said, stays protected. What is left is deflated with the words that all records share. The first byte says how
it is packed, so that what was written once can always be read.
"""

import zlib
from hashlib import sha256

from agentcomm.errors import RecordError

__all__ = ("pack", "unpack")

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
"""What the lines of a turn look like; it must never change, since packed lines refer to it. Another one gets another number."""

_PLAIN, _ZLIB_1 = b"\x00", b"\x01"


_HASH = b'{"hash":"'
_RECORD = b'","record":'
_TEXT = len(_HASH) + 64 + len(_RECORD)
_BLOB = b'{"blob":"'
_NAME = 7 + 64
_PREV, _BODY = b',"prev":"', b',"body":"'
_NO_HASH, _NO_PREV, _NO_BODY = b"\x01", b"\x02", b"\x03"
"""Stand for what was left out; JSON text never holds them."""


def pack(lines: bytes) -> bytes:
    """Return lines made smaller."""
    press = zlib.compressobj(1, zlib.DEFLATED, -13, 6, zlib.Z_DEFAULT_STRATEGY, _WORDS_1)
    made = press.compress(_shorten(lines)) + press.flush()
    return _ZLIB_1 + made if len(made) < len(lines) else _PLAIN + lines


def unpack(packed: bytes) -> bytes:
    """Return the lines that were packed.

    Raises:
        RecordError: If this is not what was packed.
    """
    how, rest = packed[:1], packed[1:]
    try:
        if how == _ZLIB_1:
            press = zlib.decompressobj(-13, _WORDS_1)
            text = press.decompress(rest)
            if press.eof:
                return _lengthen(text)
            why = "it is cut off"
        elif how == _PLAIN:
            return rest
        else:
            why = "it was packed by a newer version, or changed"
    except zlib.error as error:
        why = str(error)
    raise RecordError(
        "records in the store cannot be read",
        why=why,
        fix="restore the store from a backup, or take what is before them",
    )


def _shorten(lines: bytes) -> bytes:
    made: list[bytes] = []
    blob = last = b""
    every = lines.splitlines(keepends=True)
    final = len(every) - 1
    for number, line in enumerate(every):
        if line.startswith(_BLOB):
            blob = line[len(_BLOB) : len(_BLOB) + _NAME]
        elif line.startswith(_HASH) and line.endswith(b"}\n") and line[73:_TEXT] == _RECORD:
            name, text = line[len(_HASH) : len(_HASH) + 64], line[_TEXT:-2]
            if number != final and sha256(text).hexdigest().encode() == name:
                line = _NO_HASH + _shorter(text, last, blob) + b"\n"  # noqa: PLW2901
            else:
                line = line[:_TEXT] + _shorter(text, last, blob) + b"}\n"  # noqa: PLW2901
            last = name
        made.append(line)
    return b"".join(made)


def _shorter(text: bytes, last: bytes, blob: bytes) -> bytes:
    if last:
        text = text.replace(_PREV + last, _PREV + _NO_PREV, 1)
    if blob and text.endswith(_BODY + blob + b'"}'):
        text = text[: -len(blob) - 2] + _NO_BODY + b'"}'
    return text


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
