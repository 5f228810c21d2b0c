"""A transcript that somebody touched: what is found, and what stays usable."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talks import Talk, dice_of, shipped, walk, written

from agentcomm.conversation.events import Cancel
from agentcomm.conversation.replaying import replay_inputs
from agentcomm.conversation.transcript import ERASED, Transcript
from agentcomm.errors import RecordError

SBAR = "protocols/sbar-handoff.yaml"


def talk_of(seed: int = 11) -> Talk:
    talk = Talk(shipped(SBAR))
    walk(talk, dice_of(seed), honest=0.7, asks=0.2, slow=0.0)
    return talk


WHOLE = talk_of()
LINES = written(WHOLE)
SOUND = Transcript.from_lines(LINES)


def is_blob(line: bytes) -> bool:
    return line.startswith(b'{"blob":')


def check_prefix(found: Transcript) -> None:
    """Check that what is said to be sound is what was written."""
    assert found.records == SOUND.records[: len(found.records)]
    for name, body in found.blobs.items():
        assert SOUND.blobs[name] == body


def test_an_intact_transcript_is_sound_sealed_and_replays():
    assert SOUND.damage is None
    assert SOUND.seal is not None
    assert SOUND.erased == ()
    assert len(LINES) > 20
    assert replay_inputs(WHOLE.rules, SOUND).same


@settings(max_examples=400)
@given(st.data())
def test_any_changed_byte_is_found(data):
    number = data.draw(st.integers(0, len(LINES) - 1))
    line = LINES[number]
    at = data.draw(st.integers(0, len(line) - 2))  # the end of a line carries nothing
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != line[at]))
    text = b"".join([*LINES[:number], line[:at] + bytes([byte]) + line[at + 1 :], *LINES[number + 1 :]])
    found = Transcript.from_lines(text.splitlines(keepends=True))
    assert found.damage is not None
    assert "line" in found.damage.what
    check_prefix(found)
    assert found.seal is None


def test_every_single_bit_of_a_short_record_counts():
    line = min((line for line in LINES if not is_blob(line)), key=len)
    before = LINES[: LINES.index(line)]
    for at in range(len(line) - 1):
        for bit in range(8):
            changed = line[:at] + bytes([line[at] ^ (1 << bit)]) + line[at + 1 :]
            found = Transcript.from_lines(
                [*before, *changed.splitlines(keepends=True), *LINES[len(before) + 1 :]]
            )
            assert found.damage is not None, (at, bit)


@pytest.mark.parametrize("number", range(len(LINES) - 1))
def test_any_dropped_line_is_found_or_is_an_erased_content(number):
    found = Transcript.from_lines([*LINES[:number], *LINES[number + 1 :]])
    if is_blob(LINES[number]):
        assert found.damage is None
        name = msgspec.json.decode(LINES[number])["blob"]
        assert list(found.erased) == [r.seq for r in found.records if r.body == name]
        assert found.erased
    else:
        assert found.damage is not None
        assert "missing" in found.damage.what
        check_prefix(found)


def test_lines_in_another_order_are_found():
    records = [number for number, line in enumerate(LINES) if not is_blob(line)]
    for first, second in itertools.pairwise(records):
        lines = [*LINES]
        lines[first], lines[second] = lines[second], lines[first]
        found = Transcript.from_lines(lines)
        assert found.damage is not None
        check_prefix(found)


def test_a_line_that_stands_there_twice_is_found():
    for number, line in enumerate(LINES):
        if not is_blob(line):
            assert (
                Transcript.from_lines([*LINES[: number + 1], line, *LINES[number + 1 :]]).damage is not None
            )


@pytest.mark.parametrize("count", range(1, len(LINES)))
def test_a_cut_tail_leaves_a_transcript_without_a_seal_whose_beginning_is_usable(count):
    found = Transcript.from_lines(LINES[:count])
    assert found.damage is None
    assert found.seal is None
    check_prefix(found)
    list(found.events())
    if found.opening is not None:
        assert replay_inputs(WHOLE.rules, found).state_hash


@pytest.mark.parametrize("cut", [1, 7, 60])
def test_a_line_cut_in_the_middle_is_found(cut):
    found = Transcript.from_lines([*LINES[:-1], LINES[-1][:-cut]])
    assert (found.damage is None) == (cut == 1)
    check_prefix(found)


def test_erasing_what_was_said_keeps_the_chain_and_is_reported():
    handoff = next(record for record in SOUND.records if record.kind == "input")
    kept = [line for line in LINES if not line.startswith(b'{"blob":"' + handoff.body.encode())]
    found = Transcript.from_lines(kept)
    assert found.damage is None
    assert found.seal is not None
    assert found.head == SOUND.head
    assert found.erased == (
        handoff.seq,
        handoff.seq + 1,
    )  # what was said, and that it was heard, are one content
    assert found.body(handoff) == ERASED
    with pytest.raises(RecordError, match="erased"):
        replay_inputs(WHOLE.rules, found)
    assert len(list(found.events())) == len(WHOLE.events)


def test_every_content_can_be_erased_and_the_events_can_still_be_told():
    found = Transcript.from_lines(line for line in LINES if not is_blob(line))
    assert found.damage is None
    assert len(found.erased) == sum(1 for record in SOUND.records if record.body)
    assert [type(event) for event in found.events()] == [type(event) for event in WHOLE.events]


def test_a_forged_content_is_found():
    number, line = next((n, line) for n, line in enumerate(LINES) if is_blob(line) and b'"content":{' in line)
    forged = line.replace(b'"content":{', b'"content":{"x":1,', 1)
    assert forged != line
    found = Transcript.from_lines([*LINES[:number], forged, *LINES[number + 1 :]])
    assert found.damage is not None
    assert "not what was recorded" in found.damage.what


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b"{}", b"null", b"\xff\xfe", b'{"blob":1}', b'{"hash":"x","record":1}', b"[]"]
)
def test_anything_else_is_no_line_of_a_transcript(line):
    found = Transcript.from_lines([LINES[0], line])
    assert found.damage is not None


def test_a_record_of_another_protocol_is_no_replay():
    replay = replay_inputs(shipped("protocols/request.yaml"), SOUND)
    assert not replay.same
    assert "event 1" in replay.first_difference


def others(value):
    """Yield values that differ from one in a record."""
    match value:
        case bool():
            yield not value
        case int() | float():
            yield value + 1
        case str():
            yield f"{value}?"
        case list():
            yield [*value, "more"]
        case dict():
            yield {**value, "more": 1}
    yield None


@pytest.mark.parametrize("name", ["protocols/request.yaml", "protocols/query.yaml", SBAR])
def test_a_whole_chain_in_which_any_field_of_an_event_is_another_is_no_replay(name):
    talk = Talk(shipped(name))
    walk(talk, dice_of(3), honest=1.0)
    sound = talk.transcript()
    assert replay_inputs(talk.rules, sound).same
    tried = 0
    for place, record in enumerate(sound.records):
        if record.kind != "event":
            continue
        told = [(field, other) for field, value in record.data.items() for other in others(value)]
        forged = [{**record.data, field: other} for field, other in told]
        forged += [{**record.data, "more": 1}, dict(list(record.data.items())[1:])]
        for data in forged:
            changed = msgspec.structs.replace(record, data=data)
            records = [*sound.records[:place], changed, *sound.records[place + 1 :]]
            replay = replay_inputs(talk.rules, Transcript(records, sound.blobs, None, sound.head))
            assert f"record {record.seq}" in replay.first_difference
            tried += 1
        for records in (  # one that is missing, and one that stands there twice
            [*sound.records[:place], *sound.records[place + 1 :]],
            [*sound.records[: place + 1], record, *sound.records[place + 1 :]],
        ):
            assert not replay_inputs(talk.rules, Transcript(records, sound.blobs, None, sound.head)).same
    assert tried > 50


def test_a_talk_that_was_stopped_replays_too():
    talk = Talk(shipped(SBAR))
    talk.give(Cancel("giver", "no need", 3.0))
    assert replay_inputs(talk.rules, talk.transcript()).same


def test_without_its_opening_a_transcript_does_not_replay():
    with pytest.raises(RecordError):
        replay_inputs(WHOLE.rules, Transcript.from_lines(LINES[5:]))
    with pytest.raises(RecordError, match="no opening"):
        replay_inputs(WHOLE.rules, Transcript.from_lines([]))
