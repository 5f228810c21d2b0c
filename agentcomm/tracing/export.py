"""Carry spans away in batches, and count what arrived: a backend that does not answer costs a line, not a terminal full of them.

Imports the OpenTelemetry SDK; `setup` loads it when it is needed.
"""

import math
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from agentcomm.tracing.outlets import REQUEST_SECONDS, Bytes, Outlet, in_short
from agentcomm.tracing.signals import count_dropped

__all__ = ("CountedBatches", "Counts")

QUEUE = 65536
"""Turns that may wait to be drawn: they are values that the record holds anyway."""
WAKE = 4096
"""Turns that are not left to wait for the delay."""
DELAY_MS = 1000
"""Milliseconds that a batch waits for company."""
BATCH = 2048
"""Spans that are drawn before they are sent."""
RUN = 512
"""Turns of one conversation that are drawn in one go; each is a span, or some."""


class Counts:
    """What became of the spans."""

    def __init__(self) -> None:
        self.ended = 0
        self.taken = 0
        self.exported = 0
        self.failed = 0
        self.overflowed = 0
        self.problem = ""
        self.idle = threading.Condition()

    @property
    def waiting(self) -> int:
        """Spans that are neither exported nor lost."""
        return self.ended - self.overflowed - self.exported - self.failed

    @property
    def lost(self) -> int:
        """Spans that ended and did not arrive."""
        return self.ended - self.exported


class CountedBatches(SpanProcessor):
    """Draws and sends spans in a thread of its own, batch by batch; counts what goes in and what comes out.

    What waits is bounded: of a turn or a span too many nothing is kept, and it is counted as lost.

    Args:
        outlet: What makes and sends spans.
        sink: What the count of lost spans calls it.
        queue: Turns and spans that may wait.
        delay: Seconds that a batch waits for company.
    """

    def __init__(
        self, outlet: Outlet, *, sink: str = "otel", queue: int = QUEUE, delay: float = DELAY_MS / 1000
    ) -> None:
        self.counts = Counts()
        self._sink = sink
        self._told = 0
        self._outlet = outlet
        self._queue, self._delay = queue, delay
        self._waiting: deque[Any] = deque()
        self._made: list[Any] = []
        self._count = 0
        """Spans in what is made."""
        self._wake = threading.Event()
        self._closing = False
        self._drawing = threading.Lock()
        self._thread = self._started()
        _BATCHES.add(self)

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, name="agentcomm-trace", daemon=True)
        thread.start()
        return thread

    def again(self) -> None:
        """Begin anew in a process that was forked: threads do not survive that, and what waits is the parent's to send."""
        if not self._closing:
            self.counts, self._told = Counts(), 0
            self._waiting.clear()
            self._take()
            self._drawing, self._wake = threading.Lock(), threading.Event()
            self._outlet.again()
            self._thread = self._started()

    def submit(self, draw: Callable[..., None], given: tuple[Any, ...]) -> None:
        """Take a piece of drawing, a callable and what it takes; pieces are done in order."""
        self.note((draw, given))

    def note(self, one: Any) -> None:
        """Take a piece of drawing, or one thing of several: `draw` of its `talk` takes those that follow each other as an iterator."""
        waiting = self._waiting
        count = len(waiting)
        if count >= self._queue:
            self.counts.ended += 1
            self.counts.overflowed += 1
            return
        waiting.append(one)
        if count >= WAKE and not self._wake.is_set():
            self._wake.set()

    def put(self, spans: bytes, count: int) -> None:
        """Take spans that are bytes already, and how many they are."""
        self._made.append(Bytes(count, spans))
        self._count += count

    def make(self, *told: Any) -> None:
        """Take what a span is to tell: the arguments of `span_bytes`."""
        self._made.append(self._outlet.span(*told))
        self._count += 1

    def _foreign(self, span: ReadableSpan) -> None:
        self._made.append(self._outlet.foreign(span))
        self._count += 1

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span of a provider's."""
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            self.submit(self._foreign, (span,))

    def _work(self) -> None:
        while not self._closing:
            self._wake.wait(self._delay)
            self._wake.clear()
            self._send()
            with self.counts.idle:
                self.counts.idle.notify_all()
        self._outlet.close()

    def _send(self) -> None:
        """Draw what waits, and send it."""
        while self._waiting or self._made:
            with self._drawing:
                self._draw(BATCH)
                batch, count = self._take()
            if count:
                self._export(batch, count)

    def _take(self) -> tuple[list[Any], int]:
        """Return what is made, and how many spans that are; whoever calls it holds the lock."""
        made, count = self._made, self._count
        self._made, self._count = [], 0
        return made, count

    def _export(self, batch: Sequence[Any], count: int) -> None:
        counts = self.counts
        counts.taken += count
        taken = self._outlet.send(batch)
        counts.problem = counts.problem or (self._outlet.problem if taken < count else "")
        with counts.idle:
            counts.exported += taken
            counts.failed += count - taken
            counts.idle.notify_all()
        self._tell_lost(counts.failed + counts.overflowed)

    def _draw(self, enough: float) -> None:
        """Draw what waits until there are enough spans; whoever calls it holds the lock."""
        waiting, before = self._waiting, self._count
        while waiting and self._count < enough:
            one = waiting.popleft()
            if type(one) is tuple:
                draw, given = cast("tuple[Callable[..., None], tuple[Any, ...]]", one)
                self._tried(draw, *given)
                continue
            talk, several = one.talk, [one]
            while waiting and len(several) < RUN:
                one = waiting[0]
                if type(one) is tuple or one.talk is not talk:
                    break
                several.append(waiting.popleft())
            left = iter(several)
            while not self._tried(talk.draw, left):
                pass
        self.counts.ended += self._count - before

    def _tried(self, draw: Callable[..., None], *given: Any) -> bool:
        """Draw, and return whether all went well; what did not is counted as lost."""
        try:
            draw(*given)
        except Exception as error:  # noqa: BLE001  (a picture that cannot be drawn must not end those of other talks)
            counts = self.counts
            counts.ended += 1
            counts.overflowed += 1
            counts.problem = counts.problem or in_short(f"{type(error).__name__}: {error}")
            return False
        return True

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what waits; returns whether that was done in time."""
        self._wake.set()
        counts = self.counts
        with counts.idle:
            return counts.idle.wait_for(
                lambda: not self._waiting and not self._drawing.locked() and not counts.waiting,
                timeout_millis / 1000,
            )

    def shutdown(self) -> None:
        """Send what waits, within the time for one request."""
        self.close(REQUEST_SECONDS)

    def close(self, timeout: float) -> None:
        """Flush for at most `timeout` seconds, then give up what is left."""
        self.force_flush(int(timeout * 1000))
        self._closing = True
        self._outlet.give_up()
        self._wake.set()
        self._thread.join(0.2)
        with self._drawing:  # count what was never drawn
            self._draw(math.inf)
            self._take()
            counts = self.counts
            counts.problem = counts.problem or (self._outlet.problem if counts.lost else "")
            self._tell_lost(counts.lost)

    def _tell_lost(self, lost: int) -> None:
        """Count what was lost since it was counted last."""
        count_dropped(self._sink, lost - self._told)
        self._told = max(lost, self._told)


_BATCHES: "weakref.WeakSet[CountedBatches]" = weakref.WeakSet()


def _after_fork() -> None:
    for batches in list(_BATCHES):
        batches.again()


os.register_at_fork(after_in_child=_after_fork)
