"""What traces cost: off, not sampled, on; the audit transcript beside serialising alone; a burst of spans; the page of a long talk.

    python tests/benchmarks/bench_trace.py [quick]

Conversations are the long kind (`bench_hops` has the short): two agents in code, a question and an answer at a time. Spans are
drawn, written as OTLP and sent over HTTP to a receiver in another process, which drops them. A message is timed in CPU time of the
conversation's own thread, which is what a conversation feels, and of the whole process, the thread that draws and sends included, which
is what the machine feels. Switching tracing on and off is within. One row draws all spans and writes their bytes, but sends nothing: what
is left of the cost if a receiver takes them for nothing. Traced and untraced rounds alternate; ratios are of medians.
"""

import asyncio
import gc
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import timeit
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from time import process_time, thread_time, time_ns
from typing import Any

import msgspec
from bare import bare, cost
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from results import write

from agentcomm import Agent, enact
from agentcomm.acts.message import Message
from agentcomm.agents.turn import Turn
from agentcomm.conversation.transcript import Chain
from agentcomm.protocol.library import loads
from agentcomm.runtime.span_late import begin_spans
from agentcomm.tracing.outlets import OtlpOutlet
from agentcomm.tracing.posting import Poster
from agentcomm.tracing.setup import setup

QUICK = "quick" in sys.argv[1:]
ROUNDS = 3 if QUICK else 7
ASKS = 250 if QUICK else 1000
TALLY = f"""
agentcomm: 1
protocol: tally
version: 1
roles: [clerk, keeper]
acts:
  ask: {{act: query-ref, content: {{item: text, number: int}}}}
  count: {{act: inform, content: {{number: int}}}}
  stop: {{act: inform, content: {{}}}}
states:
  asking: {{clerk: {{ask: {{next: counting, max: {ASKS + 1}, then: done}}, stop: done}}}}
  counting: {{keeper: {{count: asking}}}}
outcomes: {{done: success, expired: expired}}
limits: {{turns: {9 * ASKS}}}
"""


RECEIVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Drops(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Drops)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@contextmanager
def receiver() -> Generator[str]:
    """Run a receiver that drops what it gets, in a process of its own; yield its address."""
    with subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


class Dropping(SpanExporter):
    """Takes spans, counts them, and drops them."""

    def __init__(self) -> None:
        self.taken = 0

    def export(self, spans: Any) -> SpanExportResult:
        self.taken += len(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass


def cast() -> dict[str, Agent]:
    clerk, keeper = Agent("cleo"), Agent("kim")
    left = iter(range(ASKS))

    @clerk.opens
    @clerk.on("count")
    def ask(turn: Turn) -> Message:
        n = next(left, None)
        return turn.say("stop") if n is None else turn.say("ask", item="shelf", number=n)

    @keeper.on("ask")
    def count(turn: Turn) -> Message:
        return turn.say("count", number=turn.heard.content.number)

    return {"clerk": clerk, "keeper": keeper}


def message(protocol: Any) -> tuple[float, float]:
    """Return microseconds for one message: of the process, and of the thread that converses."""

    async def run() -> tuple[float, float]:
        whole, mine = process_time(), thread_time()
        result = await enact(protocol, cast=cast())
        mine = thread_time() - mine
        assert result.outcome == "done"
        return whole, mine

    gc.collect()
    begun, mine = asyncio.run(run())
    return begun, mine / (2 * ASKS + 1) * 1e6


@contextmanager
def dropped() -> Generator[None]:
    """Draw and write spans, and send none of them."""
    post = OtlpOutlet._post
    OtlpOutlet._post = lambda self, parts, count: count
    try:
        yield
    finally:
        OtlpOutlet._post = post


def measured(protocol: Any, url: str, **options: Any) -> tuple[float, float]:
    """Return microseconds for one message, of the process and of the conversing thread; traced if options are given."""
    if options.pop("dropped", False):
        with dropped():
            return measured(protocol, url, **options)
    if not options:
        begun, mine = message(protocol)
        return (process_time() - begun) / (2 * ASKS + 1) * 1e6, mine
    before = process_time()
    tracing = setup(url, **options)
    before = process_time() - before
    try:
        begun, mine = message(protocol)
    finally:
        lost = tracing.shutdown(30)
    assert not lost
    return (before + process_time() - begun) / (2 * ASKS + 1) * 1e6, mine


def floor(url: str) -> float:
    """Return microseconds for one span of the least that it takes in Python, with nothing to find out about it.

    That is: two times are noted with it, its content is hashed, its bytes are put together from pieces, and they are sent.
    """
    pieces = [b"-" * 113 for _ in range(13)]  # as long as those of a turn of this talk
    form = [part for piece in pieces for part in (piece, b"")][:-1]
    poster, encode, count = Poster(f"{url}/v1/traces", {}, None), msgspec.json.encode, 2 * ASKS + 1
    poster.post([b"-"], 5)
    gc.collect()
    begun = process_time()
    waiting: deque[tuple[int, int, dict[str, Any]]] = deque()
    for n in range(count):
        waiting.append((time_ns(), time_ns(), {"item": "shelf", "number": n}))
    drawn, some = list[bytes](), list[bytes]()
    while waiting:
        first, last, content = waiting.popleft()
        digest = sha256(encode(content)).hexdigest().encode()
        head = _HEAD(first, last)
        form[1::2] = (head, b"", b"", b"", head, head, head, digest, digest[:12], head, head, head)
        some += form
        if len(some) >= 64 * len(form):
            drawn.append(b"".join(some))
            some.clear()
    drawn.append(b"".join(some))
    poster.post(drawn, 5)
    spent = process_time() - begun
    poster.close()
    return spent / count * 1e6


_HEAD = struct.Struct("<QQ").pack


def audit() -> tuple[float, float]:
    """Return microseconds for one record of the chain, and for serialising its record and its content alone."""
    chain = Chain(now=lambda: "2026-11-28T12:00:00.000+00:00", salt=lambda: "0123456789abcdef")
    data = {
        "n": 4,
        "message": "conv-1:4",
        "act": "propose",
        "sender": "seller",
        "receivers": ["buyer"],
        "lane": "",
    }
    bodies = [
        {"content": {"item": "city bike", "price": {"amount": n, "currency": "EUR"}}} for n in range(1000)
    ]

    def chained() -> None:
        for body in bodies:
            chain.record("event", "heard", data, body)

    def serialised() -> None:
        for seq, body in enumerate(bodies):
            msgspec.json.encode({"blob": "sha256:" + "0" * 64, "salt": "0" * 16, "body": body})
            msgspec.json.encode(
                {
                    "v": 2,
                    "seq": seq,
                    "prev": "0" * 64,
                    "time": "",
                    "kind": "event",
                    "type": "heard",
                    "data": data,
                }
            )

    times = [
        min(timeit.repeat(work, number=1, repeat=4 * ROUNDS, timer=process_time))
        for work in (chained, serialised)
    ]
    return times[0] / len(bodies) * 1e6, times[1] / len(bodies) * 1e6


def burst(count: int = 20_000) -> tuple[int, int, int]:
    """Return spans ended, sent and lost, of a burst through the default batches."""
    exporter = Dropping()
    tracing = setup(exporter=exporter)
    tracer = tracing.provider.get_tracer("burst")
    for _ in range(count):
        tracer.start_span("x").end()
    lost = tracing.shutdown(60)
    return tracing.ended, exporter.taken, lost


def page() -> dict[str, float]:
    """Return bytes of the page of 5,000 turns, and seconds of CPU to make it."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from agentcomm.runtime.replay import read_transcript
    from agentcomm.views.page import page_of
    from tests.views.page_scenes import long_talk

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.jsonl"
        long_talk(path, 500 if QUICK else 5000)
        begun = process_time()
        made = page_of(read_transcript(path))
        return {
            "turns": 500 if QUICK else 5000,
            "bytes": len(made.encode()),
            "seconds": process_time() - begun,
        }


def main() -> None:
    protocol = loads(TALLY)
    ways: dict[str, dict[str, Any]] = {
        "off": {},
        "not sampled": {"ratio": 0.0},
        "turn": {"detail": "turn"},
        "turn, drawn and dropped": {"detail": "turn", "dropped": True},
        "turn, no content hash": {"detail": "turn", "content": "none"},
        "steps": {"detail": "steps"},
    }
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    hops: list[float] = []
    floors: list[float] = []
    with receiver() as url:
        measured(protocol, url, detail="turn")  # loads what is needed once
        for _ in range(ROUNDS):
            hops.append(cost(bare))
            floors.append(floor(url))
            for name, options in ways.items():
                rounds[name].append(measured(protocol, url, **options))
    hop, least = statistics.median(hops), statistics.median(floors)
    found = {
        name: [statistics.median(column) for column in zip(*each, strict=True)]
        for name, each in rounds.items()
    }
    off = found["off"]
    begin = min(timeit.repeat(lambda: begin_spans(protocol, "c", {}), number=20_000, repeat=7)) / 20_000 * 1e6
    figures: dict[str, Any] = {
        "load": [round(one, 1) for one in os.getloadavg()],
        "bare_hop_us": round(hop, 2),
        "messages": {
            name: {
                "process_us": round(whole, 1),
                "hops": round(whole / hop, 1),
                "to_untraced": round(whole / off[0], 2),
                "own_thread_us_above_off": round(mine - off[1], 1),
                "own_thread_to_untraced": round(mine / off[1], 2),
            }
            for name, (whole, mine) in found.items()
        },
        "least_in_python": {
            "process_us": round(least, 1),
            "to_untraced": round(1 + least / off[0], 2),
        },
        "off_us_a_conversation": round(begin, 3),
    }
    chained, serialised = audit()
    figures["audit"] = {
        "record_us": round(chained, 1),
        "serialising_us": round(serialised, 1),
        "above_us": round(chained - serialised, 1),
    }
    ended, sent, lost = burst()
    figures["burst"] = {
        "ended": ended,
        "sent": sent,
        "lost_and_reported": lost,
        "lost_silently": ended - sent - lost,
    }
    figures["page"] = page()
    print(f"a bare hop: {hop:.2f} us")
    for name, row in figures["messages"].items():
        print(
            f"{name:<24}{row['process_us']:>8} us a message {row['hops']:>6} hops {row['to_untraced']:>6} x untraced"
            f" {row['own_thread_us_above_off']:>8} us more on its own thread, {row['own_thread_to_untraced']} x"
        )
    for name in ("least_in_python", "off_us_a_conversation", "audit", "burst", "page"):
        print(name, figures[name])
    if not QUICK:
        write("trace", figures)


if __name__ == "__main__":
    main()
