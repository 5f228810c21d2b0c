"""The short form of records: it stands for the very lines that a transcript would hold, and a change is found."""

from datetime import UTC, datetime
from hashlib import sha256

import msgspec
import pytest
from fuzz import fuzzed
from talks import LANED, SHIPPED, shipped

from agentcomm.conversation.border import checked
from agentcomm.conversation.entries import lines_of, put, sealed_up, took
from agentcomm.conversation.events import Say
from agentcomm.conversation.rerun import heard_again
from agentcomm.conversation.state import state_hash
from agentcomm.conversation.step import open_conversation, step
from agentcomm.conversation.tape import Step, Tape
from agentcomm.conversation.transcript import Chain, Transcript
from agentcomm.errors import RecordError, UsageError
from agentcomm.testing.choices import Dice
from agentcomm.testing.walking import Manner, Walk, advance, members_for

NOW = 1_760_000_000.123


def stamp():
    return datetime.fromtimestamp(NOW, UTC).isoformat(timespec="milliseconds")


def a_walk(name, seed, *, wild=False):
    """Return what was put in and what came out, in a talk with slips, repairs and, if it is wild, nonsense."""
    dice = Dice(seed)
    talk = Walk(shipped(name), members=members_for(shipped(name).protocol, dice))
    steps = [(None, talk.opening)]
    for _ in range(60):
        if talk.outcome:
            break
        before = len(talk.steps)
        advance(talk, dice, Manner(asks=0.2, accidents=0.1))
        steps += talk.steps[before:]
        if wild and not talk.outcome:
            try:
                given = checked(fuzzed(talk, dice))
                given = msgspec.structs.replace(given, at=talk.at)
                after, events = step(talk.conversation, given)
            except UsageError:
                continue
            talk.conversation = after
            steps.append((given, events))
    return talk, steps


def both(steps, *, sealed=False):
    """Return the entries, and the lines that a transcript would hold."""
    entries, link, lines = [], b"", []
    salts = []
    chain = Chain(now=stamp, salt=lambda: salts.pop(0))
    for number, (given, events) in enumerate(steps):
        salt = f"{number:016x}"
        salts[:] = [sha256(f"{salt}{n}".encode()).hexdigest()[:16] for n in range(1, 200)]
        chain.at(chain.seq, chain.head)
        parts = [took(NOW, given, events, is_sealed=sealed)]
        if number % 3 == 1:
            parts.append(put(NOW, "step", "tool.call", {"tool": "t", "key": number}, {"n": number}))
        data, link = sealed_up(parts, salt, link)
        entries.append(data)
        made = b"" if given is None else chain.input(given)
        made += b"".join(map(chain.event, events))
        if number % 3 == 1:
            made += chain.record("step", "tool.call", {"tool": "t", "key": number}, {"n": number})
        lines += made.splitlines(keepends=True)
    return entries, lines


@pytest.mark.parametrize("wild", [False, True])
@pytest.mark.parametrize("name", [*SHIPPED, *LANED])
def test_entries_stand_for_the_very_lines_of_a_transcript(name, wild):
    for seed in range(3):
        talk, steps = a_walk(name, seed, wild=wild)
        entries, wanted = both(steps)
        lines, damage = lines_of(entries)
        assert damage is None
        assert lines == wanted
        assert Transcript.from_lines(lines).damage is None

        tape = Tape()
        found = [one for data in entries for one in tape.feed(data)]
        again, _ = open_conversation(talk.rules, talk.conversation.id, members=talk.members)
        for one in found:
            if not isinstance(one, Step):
                again, _ = step(again, one)
        assert state_hash(again) == state_hash(talk.conversation)
        assert tape.seq == len(Transcript.from_lines(lines).records)
        assert sum(isinstance(one, Step) for one in found) == len(steps[1::3])


def test_what_is_heard_again_is_as_it_was_then():
    """A record is taken up by the short way where that is one, and comes to the same."""
    count = 0
    for name in (*SHIPPED, *LANED):
        for seed in range(4):
            talk, steps = a_walk(name, seed)
            now = then = open_conversation(talk.rules, talk.conversation.id, members=talk.members)[0]
            tape = Tape()
            for one in (one for data in both(steps)[0] for one in tape.feed(data)):
                if isinstance(one, Step):
                    continue
                then, wanted = step(then, one)
                done = heard_again(now, one) if isinstance(one, Say) else None
                now, events = done or step(now, one)
                count += done is not None
                assert list(events) == list(wanted)
                assert state_hash(now) == state_hash(then)
    assert count > 100


def test_a_record_that_says_something_else_is_not_heard_by_the_short_way():
    _, steps = a_walk("protocols/request.yaml", 3)
    rules = a_walk("protocols/request.yaml", 3)[0].rules
    begun = open_conversation(rules, "c")[0]
    said = next(given for given, _ in steps if isinstance(given, Say))
    for change in (
        {"receivers": ("nobody",)},
        {"in_reply_to": "c:9"},
        {"content": {"n": 1}},
        {"sender": "it"},
    ):
        wrong = msgspec.structs.replace(said.message, **change)
        assert heard_again(begun, msgspec.structs.replace(said, message=wrong)) is None


def test_what_is_known_to_be_sound_is_written_the_same():
    for seed in range(20):
        _, steps = a_walk(SHIPPED[seed % len(SHIPPED)], seed)
        assert both(steps, sealed=True) == both(steps)


def test_every_change_is_found_and_what_stands_before_it_is_kept():
    _, steps = a_walk("protocols/request.yaml", 3)
    entries, wanted = both(steps)
    for place, data in enumerate(entries):
        for at in (0, 1, 32, 33, len(data) // 2, len(data) - 1):
            changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            lines, damage = lines_of([*entries[:place], changed, *entries[place + 1 :]])
            assert isinstance(damage, RecordError)
            assert lines == wanted[: len(lines)]
            with pytest.raises(RecordError):
                list(fed([*entries[:place], changed]))
        rest = [*entries[:place], *entries[place + 1 :]]
        assert place == len(entries) - 1 or lines_of(rest)[1] is not None  # one that is missing
    assert lines_of([*entries, entries[-1]])[1] is not None  # one that stands there twice
    assert lines_of([b"\x07" + entries[0][1:]])[1] is not None
    assert lines_of([*entries[:-1], b""])[1] is not None
    with pytest.raises(RecordError, match="damaged"):
        list(fed([*entries[:-1], b""]))


def fed(entries):
    tape = Tape()
    for data in entries:
        yield from tape.feed(data)
