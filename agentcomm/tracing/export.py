"""Carry spans away in batches, and count what arrived: a backend that does not answer costs a line, not a terminal full of them.

Imports the OpenTelemetry SDK; `setup` loads it when it is needed.
"""

import logging
import math
import os
import re
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from agentcomm.errors import UsageError

__all__ = ("REQUEST_SECONDS", "CountedBatches", "Counts", "otlp_exporter", "traces_url")

QUEUE = 65536
"""Turns that may wait to be drawn: they are tuples of values that the record holds anyway."""
WAKE = 256
"""Turns that are not left to wait for the delay."""
DELAY_MS = 1000
"""Milliseconds that a batch waits for company."""
BATCH = 512
REQUEST_SECONDS = 5.0
"""Seconds for one request and its retries; waiting longer only fills the queue."""

_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk.trace.export",
)
_exporting = threading.local()


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
        exporter: What sends a batch.
        queue: Turns and spans that may wait.
        delay: Seconds that a batch waits for company.
    """

    def __init__(self, exporter: SpanExporter, *, queue: int = QUEUE, delay: float = DELAY_MS / 1000) -> None:
        self.counts = Counts()
        self._counted = _CountedExporter(exporter, self.counts)
        self._queue, self._delay = queue, delay
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._made: list[ReadableSpan] = []
        self._wake = threading.Event()
        self._closing = False
        self._drawing = threading.Lock()
        self._pid = os.getpid()
        self._thread = self._started()

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, name="agentcomm-trace", daemon=True)
        thread.start()
        return thread

    def submit(self, *job: Any) -> None:
        """Take a piece of drawing, a callable with its arguments; it is done in order."""
        waiting = self._waiting
        if len(waiting) >= self._queue:
            self.counts.ended += 1
            self.counts.overflowed += 1
            return
        waiting.append(job)
        if self._pid != os.getpid():  # threads do not survive a fork
            self._pid = os.getpid()
            self._thread = self._started()
        if len(waiting) >= WAKE:
            self._wake.set()

    def take(self, span: ReadableSpan) -> None:
        """Take a span that was drawn."""
        self.counts.ended += 1
        self._made.append(span)

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span of a provider's."""
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            self.submit(self.take, span)

    def _work(self) -> None:
        while not self._closing:
            self._wake.wait(self._delay)
            self._wake.clear()
            self._send()

    def _send(self) -> None:
        """Draw what waits, and send it."""
        while self._waiting or self._made:
            with self._drawing:
                self._draw(BATCH)
                batch, self._made = self._made[:BATCH], self._made[BATCH:]
            if batch:
                self._counted.export(batch)

    def _draw(self, enough: float) -> None:
        waiting = self._waiting
        while waiting and len(self._made) < enough:
            draw, *given = waiting.popleft()
            try:
                draw(*given)
            except Exception as error:  # noqa: BLE001  (a picture that cannot be drawn must not end those of other talks)
                self.counts.ended += 1
                self.counts.overflowed += 1
                self.counts.problem = self.counts.problem or _in_short(f"{type(error).__name__}: {error}")

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what waits; returns whether that was done in time."""
        self._wake.set()
        counts = self.counts
        with counts.idle:
            return counts.idle.wait_for(
                lambda: not self._waiting and not counts.waiting, timeout_millis / 1000
            )

    def shutdown(self) -> None:
        """Send what waits, within the time for one request."""
        self.close(REQUEST_SECONDS)

    def close(self, timeout: float) -> None:
        """Flush for at most `timeout` seconds, then give up what is left."""
        self.force_flush(int(timeout * 1000))
        self._closing = True
        self._counted.give_up()
        self._wake.set()
        self._thread.join(0.2)
        with self._drawing:  # count what was never drawn
            self._draw(math.inf)
            self._made.clear()


class _CountedExporter(SpanExporter):
    """Passes batches on, counts them, and keeps what the exporter has to say about its failures to one line."""

    def __init__(self, inner: SpanExporter, counts: Counts) -> None:
        self._inner = inner
        self._counts = counts
        self._given_up = False
        self._quiet = _Quiet()
        self._loggers = [logging.getLogger(name) for name in {*_LOGGERS, type(inner).__module__}]
        for logger in self._loggers:
            logger.addFilter(self._quiet)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        counts = self._counts
        counts.taken += len(spans)
        _exporting.now = counts
        result = SpanExportResult.FAILURE
        try:
            if not self._given_up:
                result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001  (whatever a backend does, the program goes on)
            counts.problem = _in_short(f"{type(error).__name__}: {error}")
        finally:
            _exporting.now = None
        with counts.idle:
            if result is SpanExportResult.SUCCESS:
                counts.exported += len(spans)
            else:
                counts.failed += len(spans)
            counts.idle.notify_all()
        return result

    def give_up(self) -> None:
        """Fail what is still to come, and interrupt the exporter's waiting between tries."""
        self._given_up = True
        self.shutdown()

    def shutdown(self) -> None:
        _exporting.now = self._counts
        try:
            self._inner.shutdown()
        finally:
            _exporting.now = None

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._inner.force_flush(timeout_millis)


class _Quiet(logging.Filter):
    """Keeps back what is logged in a thread while it exports for us; the first line of it is kept for the report."""

    def filter(self, record: logging.LogRecord) -> bool:
        counts: Counts | None = getattr(_exporting, "now", None)
        if counts is None:
            return True
        if record.levelno >= logging.WARNING and not counts.problem:
            counts.problem = _in_short(record.getMessage())
        return False


def _in_short(text: str) -> str:
    """Return the system's own words for an error if they are in the text, else the beginning of its first line."""
    found = re.search(r"\[Errno -?\d+\] ([^'\")]+)", text)
    return found[1] if found else text.partition("\n")[0][:160]


def traces_url(endpoint: str) -> str:
    """Return the URL for traces: an address without a path gets `/v1/traces`.

    Raises:
        UsageError: If it is no http address.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(
            f"{endpoint!r} is no address for traces",
            why="traces are sent by OTLP over HTTP",
            fix="write it like http://127.0.0.1:4318",
            code="U501",
        )
    return parts._replace(path="/v1/traces").geturl() if parts.path in {"", "/"} else endpoint


def otlp_exporter(url: str, seconds: float = REQUEST_SECONDS) -> SpanExporter:
    """Return the exporter for OTLP over HTTP, with so many seconds for a request and its retries.

    Raises:
        UsageError: If it is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise UsageError(
            "the OTLP exporter is not installed",
            why=str(error),
            fix="pip install opentelemetry-exporter-otlp-proto-http",
            code="U502",
        ) from error
    made: Any = OTLPSpanExporter(endpoint=url, timeout=seconds)  # 1.39 wants an int in its types only
    return made
