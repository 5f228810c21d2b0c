"""What grows with a conversation: a step at turn 100,000, bytes a turn, an idle conversation, a large protocol, a replay.

    python tests/benchmarks/bench_growth.py [quick]

Steps are those of one conversation that goes on, each with a message of its own: typed content, commitments made and met, all
events. Time is CPU time; of several slices the least counts, and slices of what is compared take turns. Bytes are those that
`tracemalloc` sees.
"""

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

from bench_hops import REQUEST, two
from results import write

from agentcomm.acts.message import Message
from agentcomm.conversation.events import Event, Input, Say
from agentcomm.conversation.replaying import replay_inputs
from agentcomm.conversation.rules import Rules
from agentcomm.conversation.state import Conversation, seal_hash
from agentcomm.conversation.step import open_conversation, step
from agentcomm.conversation.transcript import Chain, Transcript
from agentcomm.protocol.graph import Protocol
from agentcomm.protocol.library import loads
from agentcomm.runtime.enact import stage_for
from agentcomm.runtime.host import Host

LOOP = """
agentcomm: 1
protocol: loop
version: 1
roles: [a, b]
acts:
  order: {act: request, content: {host: id, count: int, note: text}, outlives: true}
  did:   {act: inform, content: {note: text}, discharges: order}
states:
  x: {a: {order: {next: y, max: 1000000, then: done}}}
  y: {b: {did: x}}
outcomes: {done: success, expired: expired}
"""


class Ids:
    """The least that a record of ids costs: whether one is there that is not, and putting it there."""

    def __init__(self, count: int) -> None:
        self.known = {f"c:{n}": n for n in range(count)}

    def go(self, count: int) -> float:
        """Ask for so many new ids and put them there; return microseconds for one."""
        first = len(self.known)
        given = [f"c:{n}" for n in range(first, first + count)]
        known = self.known
        begun = process_time()
        for name in given:
            if name not in known:
                known[name] = first
        return (process_time() - begun) / count * 1e6


class Loop:
    """A conversation that goes on."""

    def __init__(self, rules: Rules) -> None:
        self.now, self.opening = open_conversation(rules, "c")
        self.n = 0

    def inputs(self, count: int) -> list[Say]:
        """Return the next inputs, made beforehand so that they are not measured."""
        found: list[Say] = []
        for n in range(self.n + 1, self.n + count + 1):
            said: dict[str, Any] = {"act": "did", "content": {"note": f"done {n}"}, "sender": "b"}
            if n % 2:
                said = {
                    "act": "order",
                    "content": {"host": f"db-{n}", "count": n, "note": f"disk {n} is full"},
                    "sender": "a",
                }
            found.append(Say(Message(id=f"c:{n}", **said), n / 100))
        self.n += count
        return found

    def go(self, count: int) -> float:
        """Go on by so many messages; return microseconds a step."""
        given = self.inputs(count)
        begun = process_time()
        now = self.now
        for one in given:
            now, _ = step(now, one)
        took = process_time() - begun
        self.now = now
        return took / count * 1e6

    def bytes_a_step(self, count: int = 200) -> tuple[float, float]:
        """Return (bytes at a step's peak, bytes that stay after it), on average."""
        peak = kept = 0
        for given in self.inputs(count):
            tracemalloc.start()
            self.now, _ = step(self.now, given)
            now, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            peak, kept = peak + most, kept + now
        return peak / count, kept / count


def turns(rules: Rules, quick: bool) -> dict[str, Any]:
    """Return the cost of a step at some turns, to that at turn 1,000."""
    marks = (1000, 10_000) if quick else (1000, 10_000, 100_000)
    loops, ids = {mark: Loop(rules) for mark in marks}, {mark: Ids(mark) for mark in marks}
    for mark, loop in loops.items():
        loop.go(mark)
    gc.collect()
    gc.freeze()  # what the collector does with what a program keeps is no part of a step
    times: dict[int, list[float]] = {mark: [] for mark in marks}
    bare: dict[int, list[float]] = {mark: [] for mark in marks}
    for _ in range(5 if quick else 10):  # few beside the turn that they are of
        for mark, loop in loops.items():
            for _ in range(2):
                times[mark].append(loop.go(50))
                bare[mark].append(ids[mark].go(50))
    gc.unfreeze()
    found: dict[str, Any] = {}
    base_bytes = 0.0
    for mark in marks:
        took = min(times[mark])
        peak, _kept = loops[mark].bytes_a_step()
        base_bytes = base_bytes or peak
        ratio = took / min(times[marks[0]])
        found[f"turn {mark:,}"] = {
            "us a step": round(took, 2),
            "to turn 1,000": round(ratio, 3),
            "us to look for an id among so many in a bare dict, and put it there": round(min(bare[mark]), 3),
            "bytes at a step's peak": round(peak),
            "bytes to turn 1,000": round(peak / base_bytes, 3),
        }
    return found


def memory(rules: Rules, count: int = 20_000) -> dict[str, float]:
    """Return bytes a turn: of the conversation, and of its messages alone."""
    loop = Loop(rules)
    loop.go(2)
    given = loop.inputs(count)
    gc.collect()
    tracemalloc.start()
    for one in given:
        loop.now, _ = step(loop.now, one)
    del given, one
    gc.collect()
    whole = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    kept = list(loop.now.seen.values())
    gc.collect()
    tracemalloc.start()
    again = [_copy(message) for message in kept]
    alone = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(again) == count + 2
    return {"conversation": whole / count, "its messages alone": alone / count, "ratio": whole / alone}


def _copy(message: Message) -> Message:
    """Return a message with content of its own, as it was made: the ids and texts in it are its own, too."""
    fields = {name: getattr(message, name) for name in Message.__struct_fields__}
    content = type(message.content).model_validate(
        {name: _own(value) for name, value in message.content.model_dump().items()}
    )
    return Message(**{**fields, "content": content, "id": _own(message.id)})


def _own(value: Any) -> Any:
    return "".join(list(value)) if isinstance(value, str) else value


def idle(count: int) -> dict[str, Any]:
    """Return bytes of an open conversation with two messages in it, hosted, with events and transcript; and the cost to find one."""
    protocol = loads(REQUEST)
    agents = two()

    async def run() -> dict[str, Any]:
        host, stage = Host(), stage_for(protocol)
        host.open(stage, agents)
        gc.collect()
        tracemalloc.start()
        for _ in range(count):
            talk = host.open(stage, agents)
            talk.advance(2)
        gc.collect()
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert talk.conversation.n == 2
        assert len(host.talks) == count + 1
        tasks = len(asyncio.all_tasks()) - 1
        names = list(host.talks)[::7]
        begun = process_time()
        for _ in range(20):
            for name in names:
                host.talks[name]
        look = (process_time() - begun) / (20 * len(names)) * 1e6
        return {
            "bytes": round(used / count),
            "KiB": round(used / count / 1024, 2),
            "tasks": tasks,
            "us to find one": round(look, 3),
        }

    return asyncio.run(run())


def chain(states: int) -> Protocol:
    """Return a protocol of so many states in a ring, left only by its last budget."""
    lines = [
        f"  s{n}: {{{'ab'[n % 2]}: {{say: {{next: s{(n + 1) % states}{', max: 1000000, then: done' if not n else ''}}}}}}}"
        for n in range(states)
    ]
    head = "agentcomm: 1\nprotocol: ring\nversion: 1\nroles: [a, b]\nacts: {say: {act: inform, content: {n: int}}}\nstates:\n"
    return loads(head + "\n".join(lines) + "\noutcomes: {done: success, expired: expired}\n")


def sizes(quick: bool) -> dict[str, Any]:
    """Return the cost of a step in a protocol of 10 states and in one of 10,000."""
    times: dict[int, list[float]] = {}
    talks: dict[int, tuple[Conversation, int]] = {}
    for states in (10, 1000 if quick else 10_000):
        talks[states] = open_conversation(Rules(chain(states)), "c")[0], 0
        times[states] = []
    for _ in range(40):
        for states, (start, n) in talks.items():
            now = start
            given = [
                Say(Message(act="say", content={"n": k}, id=f"c:{k}", sender="ab"[k % states % 2]), 1.0)
                for k in range(n, n + 300)
            ]
            begun = process_time()
            for one in given:
                now, _ = step(now, one)
            times[states].append((process_time() - begun) / 300 * 1e6)
            assert now.n == n + 300
            talks[states] = now, n + 300
    few, many = times
    return {
        f"us at {few} states": round(min(times[few]), 2),
        f"us at {many:,} states": round(min(times[many]), 2),
        "ratio": round(min(times[many]) / min(times[few]), 3),
    }


def replays(rules: Rules, count: int) -> dict[str, Any]:
    """Return microseconds a message: the steps that made a talk, its seal and its record; reading that and replaying it."""
    loop = Loop(rules)
    given = loop.inputs(count)
    salts = iter(range(10**9))
    chain_ = Chain(now=lambda: "2026-01-01T00:00:00.000+00:00", salt=lambda: f"{next(salts):016x}")

    def timed(work: Callable[[], Any]) -> tuple[Any, float]:
        gc.collect()
        begun = process_time()
        found = work()
        return found, (process_time() - begun) / count * 1e6

    def steps() -> tuple[Conversation, list[tuple[Input, tuple[Event, ...]]]]:
        now, made = loop.now, []
        for one in given:
            now, events = step(now, one)
            made.append((one, events))
        return now, made

    (after, made), stepped = timed(steps)
    state, sealed = timed(partial(seal_hash, after))
    del after

    def writing() -> bytes:
        data = {"conversation": "c", "whole": None}
        parts = [chain_.record("open", "conversation", data, {"protocol": rules.protocol.text})]
        parts += [chain_.event(event) for event in loop.opening]
        for one, events in made:
            parts.append(chain_.input(one))
            parts += [chain_.event(event) for event in events]
        parts.append(chain_.record("seal", "conversation", {"count": chain_.seq, "state": state}))
        return b"".join(parts)

    lines, written = timed(writing)
    made.clear()
    text = lines.splitlines(keepends=True)
    transcript, read = timed(lambda: Transcript.from_lines(text))
    replay, folded = timed(lambda: replay_inputs(rules, transcript))
    assert replay.same, replay.first_difference
    assert replay.state_hash == state
    assert replay.conversation.n == count
    return {
        "messages": count,
        "us to step": round(stepped, 2),
        "us to hash the state that seals it": round(sealed, 2),
        "us to write the record": round(written, 2),
        "us to read it and check its chain": round(read, 2),
        "us to replay what was read, every event and the state's hash compared": round(folded, 2),
        "replay to steps and their hash": round(folded / (stepped + sealed), 2),
        "replay, its hash and all, to steps alone": round(folded / stepped, 2),
        "read and replay to steps, their hash and their record": round(
            (read + folded) / (stepped + sealed + written), 2
        ),
    }


def main() -> None:
    """Print the figures and write them down."""
    quick = "quick" in sys.argv
    rules = Rules(loads(LOOP))
    figures: dict[str, Any] = {}
    for name, work in (
        ("a step, by turn", lambda: turns(rules, quick)),
        ("bytes a turn", lambda: {k: round(v, 2) for k, v in memory(rules).items()}),
        ("an idle open conversation with two messages", lambda: idle(500 if quick else 5000)),
        ("a step, by states", lambda: sizes(quick)),
        ("a replay", lambda: replays(rules, 2000 if quick else 100_000)),
    ):
        figures[name] = work()
        print(name)
        for what, value in figures[name].items():
            print(f"    {what:<52} {value}")
        sys.stdout.flush()
    if not quick:
        write("growth", figures)


if __name__ == "__main__":
    main()
