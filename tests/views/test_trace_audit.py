"""A transcript that stands up in an audit: whatever is done to it shows, and content can go without breaking it."""

import json
import random

import pytest

from agentcomm.conversation.audit import prove
from agentcomm.runtime.replay import read_transcript


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


def test_an_untouched_transcript_holds(record, trace):
    path = record(slip=True)
    code, out, _ = trace("verify", "--replay")
    assert code == 0
    assert "none edited, none missing between them, none put in" in out
    head = read_transcript(path).head
    assert trace("verify", "--head", head[:16])[0] == 0
    assert trace("verify", "--head", "sha256:" + "0" * 64)[0] == 1


def test_every_single_edit_deletion_insertion_and_cut_is_found(record):
    """Whichever line it is."""
    kept = lines_of(record(slip=True))
    assert prove(kept).holds
    dice = random.Random(7)  # noqa: S311
    for at, line in enumerate(kept):
        spot = dice.randrange(len(line) - 1)
        edited = bytes([line[spot] ^ 1])
        assert not prove([*kept[:at], line[:spot] + edited + line[spot + 1 :], *kept[at + 1 :]]).holds, at
        assert not prove([*kept[:at], *kept[at + 1 :]]).holds, at
        assert not prove([*kept[:at], line, *kept[at:]]).holds, at
        assert not prove(kept[:at]).holds, at
    for a in range(len(kept) - 1):
        swapped = [*kept[:a], kept[a + 1], kept[a], *kept[a + 2 :]]
        blob = kept[a].startswith(b'{"blob"') and kept[a + 1].startswith(b'{"blob"')
        assert blob or not prove(swapped).holds or read_same(swapped, kept)
    assert not prove(b"".join(kept)[:-1].splitlines(keepends=True)).holds


def read_same(one, other):
    """Return whether only the place of a blob changed: it is named by what is in it, and needs no place."""
    return sorted(one) == sorted(other)


def test_a_second_seal_or_a_record_behind_it_is_found(record):
    from agentcomm.conversation.transcript import Chain

    kept = lines_of(record())
    chain = Chain(now=lambda: "2026-01-01T00:00:00+00:00", salt=lambda: "0" * 16)
    found = read_transcript(record("again"))
    del found
    chain.seq, chain.head = prove(kept).records, prove(kept).head
    more = chain.record("step", "note", {"agent": "x"}, {"text": "y"})
    proof = prove([*kept, *more.splitlines(keepends=True)])
    assert not proof.holds
    assert "behind the seal" in proof.problem


def test_erasing_content_keeps_the_chain_and_says_so(record, trace):
    path = record(slip=True)
    before = read_transcript(path)
    heard = next(r.seq for r in before.records if r.type == "heard")
    code, out, _ = trace("erase", path, "--records", heard, "--why", "asked by ann")
    assert code == 0
    after = read_transcript(path)
    assert heard in after.erased
    assert before.head != after.head
    assert [r.data for r in after.records if r.type == "content.erased"] == [
        {"records": list(after.erased), "why": "asked by ann"}
    ]
    code, out, _ = trace("verify", "--head", before.head)
    assert code == 0, out
    assert f"content erased from {len(after.erased)} records, as the record says" in out
    assert trace("show")[0] == 0
    code, *_ = trace("erase", path, "--all", "--why", "end of the time it is kept for")
    assert code == 0
    assert trace("verify")[0] == 0
    assert not read_transcript(path).blobs
    assert b"tea" not in path.read_bytes()
    for command in ("show", "html", "list", "stats"):
        assert trace(command)[0] == 0, command


def test_content_that_is_taken_out_without_a_word_is_found(record, trace):
    path = record()
    kept = lines_of(path)
    at = next(n for n, line in enumerate(kept) if line.startswith(b'{"blob"') and b"tea" in line)
    path.write_bytes(b"".join([*kept[:at], *kept[at + 1 :]]))
    code, out, _ = trace("verify")
    assert code == 1
    assert "without a word about it" in out


@pytest.mark.parametrize(("records", "code"), [("999", 2), ("x", 2)])
def test_what_cannot_be_erased_is_told(record, trace, records, code):
    path = record()
    before = path.read_bytes()
    found, _, err = trace("erase", path, "--records", records, "--why", "w")
    assert found == code
    assert "fix  " in err
    assert path.read_bytes() == before


def test_a_running_or_broken_transcript_is_not_rewritten(record, trace):
    path = record()
    kept = lines_of(path)
    path.write_bytes(b"".join(kept[:-1]))
    assert trace("erase", path, "--all", "--why", "w")[0] == 2
    path.write_bytes(b"".join([*kept[:3], *kept[4:]]))
    assert trace("erase", path, "--all", "--why", "w")[0] == 1


def test_verify_speaks_json(record, trace):
    record("one")
    record("two")
    told = json.loads(trace("verify", "one", "two", "--json")[1])
    assert [row["holds"] for row in told] == [True, True]
    assert all(len(row["head"]) == 64 for row in told)
