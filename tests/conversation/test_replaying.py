"""A replay of lines compares text where it can; it finds what one that compares event by event finds."""

import hashlib
import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from talks import SHIPPED, Talk, dice_of, shipped, walk, written
from test_transcript_damage import others

from agentcomm.conversation import replaying
from agentcomm.conversation.replaying import replay_inputs
from agentcomm.conversation.transcript import Transcript
from agentcomm.errors import RecordError

NAMES = ["protocols/request.yaml", "protocols/query.yaml", "protocols/sbar-handoff.yaml"]
Change = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


def talk_of(name: str, seed: int = 3, honest: float = 1.0) -> Talk:
    talk = Talk(shipped(name))
    walk(talk, dice_of(seed), honest=honest)
    return talk


def chained_anew(lines: list[bytes], change: Change) -> Transcript:
    """Return a transcript whose records somebody changed who made the chain whole again."""
    blobs = [line for line in lines if line.startswith(b'{"blob":')]
    records = [msgspec.json.decode(line)["record"] for line in lines if not line.startswith(b'{"blob":')]
    made, head = list(blobs), ""
    for seq, record in enumerate(change(records)):
        text = msgspec.json.encode({**record, "seq": seq, "prev": head})
        head = hashlib.sha256(text).hexdigest()
        made.append(b'{"hash":"' + head.encode() + b'","record":' + text + b"}\n")
    found = Transcript.from_lines(made)
    assert found.damage is None
    assert found.lines is not None
    return found


@pytest.mark.parametrize("name", NAMES)
def test_lines_in_which_any_field_of_an_event_is_another_are_no_replay(name):
    talk = talk_of(name)
    lines = written(talk)
    assert replay_inputs(talk.rules, chained_anew(lines, list)).same
    records = Transcript.from_lines(lines).records
    tried = 0
    for place, record in enumerate(records):
        if record.kind != "event":
            continue
        told = [(field, other) for field, value in record.data.items() for other in others(value)]
        forged = [{**record.data, field: other} for field, other in told]
        forged += [{**record.data, "more": 1}, dict(list(record.data.items())[1:])]
        for data in forged:

            def put(
                every: list[dict[str, Any]], data: Any = data, place: int = place
            ) -> list[dict[str, Any]]:
                return [*every[:place], {**every[place], "data": data}, *every[place + 1 :]]

            replay = replay_inputs(talk.rules, chained_anew(lines, put))
            assert f"record {record.seq}" in replay.first_difference
            tried += 1
    assert tried > 50


@pytest.mark.parametrize("name", NAMES)
def test_lines_of_which_one_is_missing_or_stands_twice_or_elsewhere_are_no_replay(name):
    talk = talk_of(name)
    lines = written(talk)
    kinds = [record.kind for record in Transcript.from_lines(lines).records]
    for place, kind in enumerate(kinds):
        if kind not in ("input", "event"):
            continue
        for change in (
            lambda every, at=place: [*every[:at], *every[at + 1 :]],
            lambda every, at=place: [*every[: at + 1], *every[at:]],
        ):
            assert not replay_inputs(talk.rules, chained_anew(lines, change)).same, (place, kind)
    inputs = [place for place, kind in enumerate(kinds) if kind == "input"]
    for first, second in itertools.pairwise(inputs):

        def swapped(every: list[dict[str, Any]], a: int = first, b: int = second) -> list[dict[str, Any]]:
            every[a], every[b] = every[b], every[a]
            return every

        assert not replay_inputs(talk.rules, chained_anew(lines, swapped)).same


@pytest.mark.parametrize("name", NAMES)
def test_what_was_said_cannot_be_put_in_place_of_something_else(name):
    """The content that was heard is another than the one that came in, and both are there."""
    talk = talk_of(name)
    lines = written(talk)
    bodies = {record.body for record in Transcript.from_lines(lines).records if record.kind == "input"}
    tried = 0
    for place, record in enumerate(Transcript.from_lines(lines).records):
        for body in bodies - {record.body} if record.type == "heard" else ():

            def put(
                every: list[dict[str, Any]], body: str = body, place: int = place
            ) -> list[dict[str, Any]]:
                return [*every[:place], {**every[place], "body": body}, *every[place + 1 :]]

            replay = replay_inputs(talk.rules, chained_anew(lines, put))
            assert f"record {record.seq}" in replay.first_difference
            tried += 1
    assert tried


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SHIPPED), st.integers(0, 10**6), st.sampled_from([0.6, 0.9, 1.0]))
def test_lines_replay_to_the_same_as_their_records(name: str, seed: int, honest: float):
    talk = talk_of(name, seed, honest)
    found = Transcript.from_lines(written(talk))
    of_lines = replay_inputs(talk.rules, found)
    of_records = replay_inputs(talk.rules, Transcript(found.records, found.blobs, None, found.head))
    assert of_lines.same, of_lines.first_difference
    assert of_records.same, of_records.first_difference
    assert of_lines.state_hash == of_records.state_hash


def test_plain_moves_are_compared_as_text(monkeypatch: pytest.MonkeyPatch):
    """The ones above would hold if everything were compared event by event."""
    talk = talk_of("protocols/request.yaml")
    compared: list[str] = []
    as_recorded = replaying._is_as_recorded

    def noted(event: Any, *rest: Any) -> bool:
        compared.append(type(event).__name__)
        return as_recorded(event, *rest)

    monkeypatch.setattr(replaying, "_is_as_recorded", noted)
    assert replay_inputs(talk.rules, Transcript.from_lines(written(talk))).same
    assert compared.count("Heard") == 1  # the last one, which ends it
    assert talk.now.n > 1


def test_a_number_that_is_none_is_told_where_it_is_looked_at():
    """Its hash is right, so it was written like this on purpose."""
    talk = talk_of("protocols/request.yaml")
    lines = written(talk)
    place = next(n for n, line in enumerate(lines) if b'"type":"deadline"' in line)
    text = lines[place].replace(b'"at":', b'"at":1e999,"was":', 1)
    raw = text[84:-2]
    head = hashlib.sha256(raw).hexdigest().encode()
    found = Transcript.from_lines([*lines[:place], b'{"hash":"' + head + b'","record":' + raw + b"}\n"])
    with pytest.raises(RecordError, match="cannot be read, though its hash is right"):
        _ = found.records
    with pytest.raises(RecordError, match="cannot be read, though its hash is right"):
        replay_inputs(talk.rules, found)
