"""Transcripts as older versions wrote them: they are read, and replay to the same events."""

from pathlib import Path

import msgspec
import pytest

from agentcomm.conversation.events import Duplicate, Ended, Heard
from agentcomm.conversation.replaying import replay_inputs
from agentcomm.conversation.transcript import SCHEMA, Transcript
from agentcomm.runtime.replay import read_transcript, replay, rules_of

FILES = sorted((Path(__file__).parent / "transcripts").glob("v*.jsonl"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_an_older_version_wrote_is_read_and_replays(path):
    found = read_transcript(path)
    assert found.damage is None
    assert {record.v for record in found.records} == {1}
    assert SCHEMA > 1
    events = list(found.events())
    assert isinstance(events[-1], Ended)
    assert all(isinstance(event.reply, str) for event in events if isinstance(event, Duplicate))
    again = replay(path)
    assert again.first_difference == ""
    assert again.same
    assert again.conversation.n == sum(isinstance(event, Heard) for event in events)
    assert again.conversation.outcome.name == found.seal.data["outcome"]


def test_another_course_of_events_is_found_in_an_older_record_too():
    found = read_transcript(FILES[0])
    records = [
        msgspec.structs.replace(record, data={**record.data, "next": "elsewhere"})
        if record.type == "moved"
        else record
        for record in found.records
    ]
    changed = Transcript(records, found.blobs, None, found.head)
    again = replay_inputs(rules_of(found), changed)
    assert not again.same
    assert "recorded moved" in again.first_difference


def test_what_a_newer_version_wrote_is_not_guessed_at():
    lines = FILES[0].read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if line.startswith(b'{"hash"'))
    changed = lines[place].replace(b'"v":1,', b'"v":99,')
    body = changed[changed.index(b'"record":') + 9 : -2]
    import hashlib

    head = hashlib.sha256(body).hexdigest().encode()
    lines[place] = b'{"hash":"' + head + b'","record":' + body + b"}\n"
    found = Transcript.from_lines(lines)
    assert found.records == ()
    assert f"line {place + 1}: written by a newer version (format 99" in found.damage.what
