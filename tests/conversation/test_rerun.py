"""A record that is taken up by its plain moves comes to what every step of it comes to."""

import msgspec
import pytest
from talks import LANED, SHIPPED
from test_entries import NOW, a_walk

from agentcomm.conversation.entries import Short, sealed_up, short, took
from agentcomm.conversation.events import Say
from agentcomm.conversation.rerun import Rerun, heard_again, messages
from agentcomm.conversation.state import state_hash
from agentcomm.conversation.step import open_conversation, step
from agentcomm.conversation.tape import Step, Tape
from agentcomm.errors import RecordError


def written(talk, steps):
    """Return the entries of a talk as a store keeps them, plain moves in short, and how many those are."""
    now, entries, link, count = None, [], b"", 0
    for given, events in steps:
        done = heard_again(now, given) if now is not None and isinstance(given, Say) else None
        if done is not None:
            now, told = done
            part, _ = short(NOW, Say(told.message, given.at), told)
            count += part[0] == "m"
        else:
            part = took(NOW, given, events)
            now = step(now, given)[0] if given is not None else begun(talk)
        data, link = sealed_up([part], "0" * 16, link)
        entries.append(data)
    return entries, count


def begun(talk):
    return open_conversation(talk.rules, talk.conversation.id, members=talk.members)[0]


def test_plain_moves_run_again_come_to_the_same():
    moves = read = 0
    for name in (*SHIPPED, *LANED):
        for seed in range(4):
            talk, steps = a_walk(name, seed)
            entries, count = written(talk, steps)
            now, rerun, tape = begun(talk), None, Tape()
            for data in entries:
                for part in tape.parts(data):
                    if type(part) is Short and not talk.members:
                        rerun = rerun or Rerun(now)
                        if rerun.take(part):
                            tape.seq += part.count()
                            moves += 1
                            continue
                    if rerun is not None:
                        now, rerun = rerun.conversation, None
                    for one in tape.given(part):
                        if not isinstance(one, Step):
                            now = step(now, one)[0]
            now = rerun.conversation if rerun is not None else now
            assert state_hash(now) == state_hash(talk.conversation)
            assert now.checkpoints == talk.conversation.checkpoints
            found = messages(talk.conversation.id, Tape(), entries, talk.rules)
            if found is not None:
                assert found == talk.conversation.shared.seen
                read += bool(found)
            else:
                assert count < len(talk.conversation.seen)
    assert moves > 100
    assert read > 5


def test_a_move_that_says_something_else_is_not_taken():
    talk, steps = a_walk("protocols/request.yaml", 3)
    entries, _ = written(talk, steps)
    parts = [part for tape in [Tape()] for data in entries for part in tape.parts(data)]
    part = next(part for part in parts if type(part) is Short)
    assert Rerun(begun(talk)).take(part)
    for place, value in ((0, "nonsense"), (1, {"n": 1}), (2, ""), (3, "it"), (4, ["nobody"]), (5, "c:9")):
        said = [*part.said]
        said[place] = value
        rerun = Rerun(begun(talk))
        assert not rerun.take(msgspec.structs.replace(part, said=said))
        assert rerun.conversation == begun(talk)
    assert not Rerun(begun(talk)).take(msgspec.structs.replace(part, at=-1.0))
    rerun = Rerun(begun(talk))
    assert rerun.take(part)
    assert not rerun.take(part)  # it was heard
    changed = entries[1][:-4] + bytes([entries[1][-4] ^ 1]) + entries[1][-3:]
    with pytest.raises(RecordError):
        messages(talk.conversation.id, Tape(), [entries[0], changed], talk.rules)


def test_messages_in_order_are_those_by_their_ids():
    for seed in range(6):
        talk, _ = a_walk("protocols/request.yaml", seed)
        seen = talk.conversation.seen
        assert list(seen.values()) == [seen[name] for name in seen]
        assert len(seen.values()) == len(seen)
        for one in seen.values():
            assert one in seen.values()
