"""Counters are a fold over ended records."""

from itertools import permutations

from agentcomm import Agent, enact_sync, replay
from agentcomm.conversation.transcript import Transcript
from agentcomm.grounding.choice import Beta, Choice
from agentcomm.protocol.library import loads
from agentcomm.runtime.experience import experience

COUNT = """
agentcomm: 1
protocol: count
version: 1
roles: [boss, worker]
acts:
  order: {act: inform, content: {count: int}, critical: [count], stakes: normal}
  noted: {act: inform, content: {}}
states:
  x: {boss: {order: y}}
  y: {worker: {noted: done}}
outcomes: {done: success, expired: expired}
"""


def cast(understood):
    ann, bob = Agent("ann"), Agent("bob")

    @ann.opens
    def _(turn):
        return turn.say("order", count=4)

    @bob.on("order", overlay="read-back")
    def _(turn):
        return turn.say("readback", fields={"count": 4 if understood else 5})

    @bob.on("wrong", overlay="read-back")
    def _(turn):
        return turn.say("readback", fields={"count": 4})

    @bob.on("order")
    def _(turn):
        return turn.say("noted")

    return {"boss": ann, "worker": bob}


def talks(*understood, choice=None):
    return [enact_sync(loads(COUNT), cast=cast(one), choice=choice or Choice()) for one in understood]


def test_the_sum_over_records_is_what_each_next_conversation_would_have_opened_with():
    known, records = Choice(), []
    for understood in (True, False, True):
        result = enact_sync(loads(COUNT), cast=cast(understood), choice=known)
        known = result.choice
        records.append(result.transcript)
    assert experience(records).counters == known.counters
    assert known.counters == {"|order|boss|worker": Beta(2.8, 1.2)}
    for record in records:  # each opened with its own snapshot, and decides the same again
        assert replay(record).same


def test_order_does_not_matter_and_a_record_given_twice_counts_once():
    records = [one.transcript for one in talks(True, False, True)]
    sums = {tuple(sorted(experience(order).counters.items())) for order in permutations(records)}
    assert len(sums) == 1
    assert experience(records + records) == experience(records)


def test_what_has_not_ended_or_is_damaged_counts_nothing(tmp_path):
    (result,) = talks(False)
    path = tmp_path / "t.jsonl"
    enact_sync(loads(COUNT), cast=cast(understood=False), choice=Choice(), transcript=path)
    lines = path.read_bytes().splitlines(keepends=True)
    assert experience([path]).counters
    assert not experience([Transcript.from_lines(lines[:-4])]).counters
    broken = [*lines[:3], lines[3].replace(b"e", b"E", 1), *lines[4:]]
    assert not experience([Transcript.from_lines(broken)]).counters
    known = experience([result.transcript], Choice(prior=Beta(8.0, 2.0)))
    assert known.counters == {"|order|boss|worker": Beta(8.0, 3.0)}
