"""What the lines of a transcript prove, said in words; and how content is erased from them.

The chain proves that the records are the ones that were written, in this order and without a gap, back from its head. It does not
prove that nothing was cut off behind the head, unless a seal is there, nor that the whole was not written anew, unless the head is
known from elsewhere: the closing span and whoever was told the head keep it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from agentcomm.conversation.transcript import Chain, Transcript
from agentcomm.errors import UsageError

__all__ = ("ERASURE", "WITHHELD", "Proof", "erase_lines", "level_of", "prove")

ERASURE = "content.erased"
"""Type of the record that tells which contents were deleted, and why."""

WITHHELD = "content.withheld"
"""Type of the record that tells that no content was kept from the first on, and whether hashes of it were."""

_BLOB = b'{"blob":'


class Proof(msgspec.Struct, frozen=True):
    """What a transcript proves."""

    records: int
    """Sound records from the first on."""
    head: str
    """Hash of the last of them."""
    problem: str
    """What is broken; empty if nothing is."""
    line: int
    """Line of the problem; 0 if there is none or it is no line's."""
    is_sealed: bool
    erased: tuple[int, ...]
    """`seq` of records whose content is gone."""
    unaccounted: tuple[int, ...]
    """Those of them that no erasure record names: somebody deleted content and did not say so."""
    is_anchored: bool | None
    """Whether the head is the one known from elsewhere; None if none was given."""
    level: str = "full"
    """How much of what was said was kept from the first on: full, hash or none."""

    @property
    def holds(self) -> bool:
        """Nothing is broken or silently gone, the end is there, and a head known from elsewhere is in the chain."""
        whole = not self.problem and not self.unaccounted
        return whole and self.is_sealed and self.is_anchored is not False

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**msgspec.to_builtins(self), "holds": self.holds}


def prove(lines: Iterable[bytes], *, head: str = "") -> Proof:
    """Return what the lines of a transcript prove.

    Args:
        lines: Every line.
        head: The chain's head as it is known from elsewhere, with or without `sha256:`, whole or at least 12 digits of it.
    """
    kept = list(lines)
    transcript = Transcript.from_lines(kept)
    problem, line = "", 0
    if transcript.damage is not None:
        place, _, problem = transcript.damage.what.partition(": ")
        if problem:
            line = int(place.removeprefix("line "))
        else:  # of a file that is something else, or has no beginning
            line, problem = 1, place
    elif not transcript.records:
        problem = "there is no record"
    elif kept and not kept[-1].endswith(b"\n"):
        problem, line = "the last line is cut", len(kept)
    else:
        problem, line = _odd(transcript, kept)
    wanted = head.removeprefix("sha256:").lower()
    told = {
        seq
        for record in transcript.records
        if record.type == ERASURE
        for seq in record.data.get("records", ())
    }
    level = level_of(transcript)
    return Proof(
        records=len(transcript.records),
        head=transcript.head,
        problem=problem,
        line=line,
        is_sealed=transcript.seal is not None,
        erased=transcript.erased,
        unaccounted=tuple(seq for seq in transcript.erased if seq not in told) if level == "full" else (),
        is_anchored=_is_head(transcript, wanted) if head else None,
        level=level,
    )


def level_of(transcript: Transcript) -> str:
    """Return how much of what was said a transcript keeps: full, or hash or none if one of its first records says so."""
    for record in transcript.records[:_EARLY]:
        if record.type == WITHHELD and record.kind == "step":
            return str(record.data.get("level", "none"))
    return "full"


_EARLY = 4
"""Records among which it stands: those that open a conversation come before it."""


def _is_head(transcript: Transcript, wanted: str) -> bool:
    """Return whether a head is in the chain: records that came after it, such as an erasure, do not break it."""
    least = 12
    heads = [record.prev for record in transcript.records] + [transcript.head]
    return len(wanted) >= least and any(found.startswith(wanted) for found in heads if found)


def _odd(transcript: Transcript, lines: Sequence[bytes]) -> tuple[str, int]:
    """Return what is wrong though every record's hash is right."""
    for place, record in enumerate(transcript.records):
        if record.seq != place:
            return f"record {record.seq} stands in place {place}", 0
        if record.kind == "seal" and record.data.get("count") != place:
            return f"the seal counts {record.data.get('count')} records, {place} are there", 0
        following = transcript.records[place + 1] if place + 1 < len(transcript.records) else None
        if record.kind == "seal" and following is not None and following.type != ERASURE:
            return f"record {following.seq} stands behind the seal", 0
    named = {record.body for record in transcript.records if record.body}
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if line.startswith(_BLOB):
            name = msgspec.json.decode(line)["blob"]
            if name not in named:
                return "content that no record names was put in", number
            if name in seen:
                return "content stands there twice", number
            seen.add(name)
    return "", 0


def erase_lines(
    lines: Iterable[bytes],
    records: Iterable[int],
    why: str,
    *,
    now: Callable[[], str],
    salt: Callable[[], str],
) -> list[bytes]:
    """Return the lines of a transcript without the content of some records; the chain stays valid and says what was erased.

    Args:
        lines: Every line.
        records: `seq` of the records whose content goes.
        why: The reason, which is kept.
        now: Returns the time, as for `Chain`.
        salt: Returns 16 random hexadecimal digits.

    Raises:
        RecordError: If the chain is broken: what is broken is not made to look sound.
        UsageError: If a record has no content that could be erased, or the conversation has not ended.
    """
    kept = list(lines)
    transcript = Transcript.from_lines(kept)
    if transcript.damage is not None:
        raise transcript.damage
    seal = transcript.seal
    if seal is None:
        raise UsageError(
            "the conversation goes on, or broke off",
            why="content is erased from a sealed transcript: what is still written to must not be rewritten",
            fix="let it end, or resume and cancel it",
            code="U560",
        )
    by_seq = {record.seq: record for record in transcript.records}
    wanted = sorted(set(records))
    for seq in wanted:
        if seq not in by_seq or not by_seq[seq].body:
            raise UsageError(
                f"record {seq} has no content",
                fix="`agentcomm trace show FILE --json` lists records with their content",
                code="U561",
            )
    names = {by_seq[seq].body for seq in wanted}
    wanted = [
        record.seq for record in transcript.records if record.body in names
    ]  # two may share one content
    left = [line for line in kept if not (line.startswith(_BLOB) and _name(line) in names)]
    chain = Chain(now, salt)
    chain.seq, chain.head = len(transcript.records), transcript.head
    left.append(chain.record("step", ERASURE, {"records": wanted, "why": why}))
    left.append(chain.record("seal", "conversation", {**seal.data, "count": chain.seq}))
    return [line for part in left for line in part.splitlines(keepends=True)]


def _name(line: bytes) -> str:
    return str(msgspec.json.decode(line)["blob"])
