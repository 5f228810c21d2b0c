"""A snapshot stands for the conversation that it was taken of: it goes on as that one does, and what is old is read when it is needed."""

import msgspec
import pytest
from talks import LANED, SHIPPED, shipped

from agentcomm.acts.message import Message
from agentcomm.conversation import snapshot
from agentcomm.conversation.events import Say
from agentcomm.conversation.snapshot import Later, restored, taken
from agentcomm.conversation.state import seal_hash, state_hash
from agentcomm.conversation.step import step
from agentcomm.conversation.tape import Step
from agentcomm.errors import RecordError
from agentcomm.protocol.library import loads
from agentcomm.testing.choices import Dice
from agentcomm.testing.walking import Manner, Walk, advance, members_for

LINK = b"l" * 32
STEP = Step("tool.call", {"tool": "t", "go": "x"}, {"n": 1})


def a_talk(name, seed):
    dice = Dice(seed)
    talk = Walk(shipped(name), members=members_for(shipped(name).protocol, dice))
    states = [talk.conversation]
    for _ in range(60):
        if talk.outcome:
            break
        before = len(talk.steps)
        advance(talk, dice, Manner(asks=0.2, accidents=0.1))
        now = states[-1]
        for given, _ in talk.steps[before:]:
            now, _ = step(now, given)
            states.append(now)
    return talk, states


@pytest.mark.parametrize("few", [0, 3, 16])
@pytest.mark.parametrize("name", [*SHIPPED, *LANED])
def test_what_was_restored_goes_on_as_the_conversation_does(name, few, monkeypatch):
    monkeypatch.setattr(snapshot, "_LATEST", few)
    count = 0
    for seed in range(4):
        talk, states = a_talk(name, seed)
        known = None
        for place, state in enumerate(states[:-1]):
            found = taken(state, place, LINK, (STEP,), known)
            if found is None:
                continue
            data, known = found
            count += 1
            asked = []

            def load(state=state, asked=asked):
                asked.append(state)
                return state

            back, kept = restored(data, talk.rules, state.id, load)
            assert (kept.seq, kept.link, kept.steps) == (place, LINK, (STEP,))
            for given, events in talk.steps[place : place + 6]:
                back, again = step(back, given)
                assert again == events
            wanted = states[min(place + 6, len(states) - 1)]
            read = len(asked)
            assert seal_hash(back) == seal_hash(wanted)
            assert len(asked) == read  # nothing old is read for it
            assert state_hash(back) == state_hash(wanted)
            assert list(back.seen.items()) == list(wanted.seen.items())
            assert back.ledger == wanted.ledger
            assert len(asked) <= 1
    assert count >= 3


def test_what_does_not_fit_is_not_taken(monkeypatch):
    talk, states = a_talk("protocols/request.yaml", 1)
    data, _ = taken(states[1], 1, LINK)
    other = shipped("protocols/propose.yaml")
    for wrong, rules, why in (
        (data[:-1] + bytes([data[-1] ^ 1]), talk.rules, "changed"),
        (b"", talk.rules, "changed"),
        (data, other, "another version, or of another protocol"),
    ):
        with pytest.raises(RecordError) as caught:
            restored(wrong, rules, "walk", lambda: states[1])
        assert why in caught.value.why
    monkeypatch.setattr(snapshot, "_shapes", ["another"])
    with pytest.raises(RecordError, match="does not fit"):
        restored(data, talk.rules, "walk", lambda: states[1])


def test_what_would_not_come_back_as_it_is_gives_no_snapshot():
    _, states = a_talk("protocols/request.yaml", 1)
    odd = msgspec.structs.replace(states[1], here=msgspec.structs.replace(states[1].here, used={"x": 2**70}))
    assert taken(odd, 1, LINK) is None


def test_old_entries_come_when_they_are_asked_for():
    asked = []

    def load():
        asked.append(1)
        return {f"c:{n}": (n, f"m{n}") for n in range(1, 11)}

    def made():
        asked.clear()
        record = Later({"c:9": (9, "m9"), "c:10": (10, "m10")}, 10, lambda key: key.startswith("c:"), load)
        record["c:11"] = (11, "m11")
        return record

    record = made()
    assert len(record) == 11
    assert record
    assert record.get("c:10") == (10, "m10")
    assert record["c:11"] == (11, "m11")
    assert record.get("elsewhere") is None
    assert "elsewhere" not in record
    assert asked == []
    assert record.get("c:3") == (3, "m3")
    assert asked == [1]
    assert list(record) == [f"c:{n}" for n in range(1, 12)]
    assert asked == [1]
    for look in (
        lambda r: next(iter(r.values())),
        lambda r: next(iter(r.items()))[1],
        lambda r: r[next(iter(r))],
        lambda r: r[next(iter(r.keys()))],
        lambda r: r[[*reversed(r)][-1]],
        lambda r: r.copy()["c:1"],
        lambda r: r["c:1"],
    ):
        assert look(made()) == (1, "m1")
        assert asked == [1]
    assert made() == {f"c:{n}": (n, f"m{n}") for n in range(1, 12)}
    with pytest.raises(KeyError):
        made()["c:99"]


LOOP = """
agentcomm: 1
protocol: loop
version: 1
roles: [a, b]
acts:
  ask:  {act: query-ref, content: {text: text}}
  tell: {act: inform, content: {text: text}, discharges: ask}
states:
  x: {a: {ask: {next: y, max: 100000, then: done}}}
  y: {b: {tell: x}}
outcomes: {done: success, expired: expired}
limits: {reply_within: 1d, else: expired}
"""


def test_a_snapshot_stays_small_however_long_the_talk_is():
    talk = Walk(loads(LOOP))
    known, sizes = None, []
    for n in range(4000):
        said = Message(
            act=("ask", "tell")[n % 2],
            sender="ab"[n % 2],
            id=f"walk:{n + 1}",
            content={"text": f"text {n:06}"},
        )
        talk.give(Say(said, 0.0))
        if n % 256 == 255:
            data, known = taken(talk.conversation, n, LINK, (), known)
            sizes.append(len(data))
    assert talk.conversation.n == 4000
    assert sizes[-1] < 1.1 * sizes[0] < 10_000
    back, _ = restored(data, talk.rules, "walk", lambda: pytest.fail("nothing old is needed"))
    place = back.n
    for given, wanted in talk.steps[place:]:
        back, events = step(back, given)
        assert events == wanted
