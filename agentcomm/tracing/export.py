"""Carry spans away in batches, and count what arrived: a backend that does not answer costs a line, not a terminal full of them.

Imports the OpenTelemetry SDK; `setup` loads it when it is needed.
"""

import logging
import re
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from agentcomm.errors import UsageError

__all__ = ("CountedBatches", "Counts", "otlp_exporter", "traces_url")

QUEUE = 8192
"""Spans that may wait; the SDK's 2048 overflows in a burst of a few hundred turns."""
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


class CountedBatches(BatchSpanProcessor):
    """The SDK's batch processor, with a count of what goes in and what comes out."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.counts = Counts()
        self._counted = _CountedExporter(exporter, self.counts)
        super().__init__(
            self._counted, max_queue_size=QUEUE, schedule_delay_millis=DELAY_MS, max_export_batch_size=BATCH
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that ended; one too many is counted as lost instead of pushing out an older one."""
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled:
            return
        counts = self.counts
        counts.ended += 1
        if counts.ended - counts.overflowed - counts.taken > QUEUE:
            counts.overflowed += 1
            return
        super().on_end(span)

    def close(self, timeout: float) -> None:
        """Flush for at most `timeout` seconds, then give up what is left."""
        closing = threading.Thread(target=self._close_quietly, name="agentcomm-trace-flush", daemon=True)
        try:
            closing.start()
        except RuntimeError:  # the interpreter is going down and starts no thread; the worker still runs
            with self.counts.idle:
                self.counts.idle.wait_for(lambda: not self.counts.waiting, timeout)
            self._counted.give_up()
            return
        closing.join(timeout)
        if closing.is_alive():
            self._counted.give_up()
            closing.join(0.2)

    def _close_quietly(self) -> None:
        _exporting.now = self.counts
        super().shutdown()


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


def otlp_exporter(url: str) -> SpanExporter:
    """Return the exporter for OTLP over HTTP.

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
    made: Any = OTLPSpanExporter(endpoint=url, timeout=REQUEST_SECONDS)  # 1.39 wants an int in its types only
    return made
