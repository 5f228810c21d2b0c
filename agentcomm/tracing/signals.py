"""Metrics and log events, through OpenTelemetry's API alone: for the providers that the program has set, if it has.

`signals()` never imports OpenTelemetry, and costs nothing where no provider is set. Counters are counted here and read when the
program's reader asks: adding to one of the SDK's takes nine microseconds. Ids never stand on a metric.
"""

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from agentcomm.tracing import names
from agentcomm.version import VERSION

__all__ = ("Signals", "count_dropped", "signals")

_SECONDS = tuple(0.01 * 2**n for n in range(14))
_LONG_SECONDS = tuple(0.1 * 2**n for n in range(13))
_TOKENS = tuple(4.0**n for n in range(14))
_TURNS = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 55.0, 89.0, 144.0, 233.0, 377.0, 610.0)

_COUNTERS = {
    names.MESSAGES_COUNT: "{message}",
    names.REJECTED_COUNT: "{move}",
    names.CHECKS_COUNT: "{check}",
    names.RETRIES_COUNT: "{retry}",
    names.TIMEOUTS_COUNT: "{timeout}",
    names.EDITS_COUNT: "{edit}",
    names.AUDIT_COUNTED: "{record}",
    names.DROPPED_COUNT: "{span}",
}
_HISTOGRAMS = {
    names.OPERATION_DURATION: ("s", _SECONDS),
    names.TOKEN_USAGE: ("{token}", _TOKENS),
    names.AGENT_DURATION: ("s", _LONG_SECONDS),
    names.TOOL_DURATION: ("s", _LONG_SECONDS),
    names.REPAIR_TURNS: ("{turn}", _TURNS),
    names.REPAIR_DURATION: ("s", _LONG_SECONDS),
    names.CONVERSATION_TURNS: ("{turn}", _TURNS),
    names.CONVERSATION_DURATION: ("s", _LONG_SECONDS),
}
_NEWEST_COUNTERS = {names.INFERENCE_INPUT_TOKENS: "{token}", names.INFERENCE_OUTPUT_TOKENS: "{token}"}
_NEWEST_HISTOGRAMS = {names.INFERENCE_DURATION: ("s", _SECONDS)}

_METRICS = (
    "opentelemetry.metrics",
    "opentelemetry.metrics._internal",
    "_METER_PROVIDER",
    "OTEL_PYTHON_METER_PROVIDER" in os.environ,
    "get_meter_provider",
    frozenset({"_ProxyMeterProvider", "NoOpMeterProvider"}),
)
_LOGS = (
    "opentelemetry._logs",
    "opentelemetry._logs._internal",
    "_LOGGER_PROVIDER",
    "OTEL_PYTHON_LOGGER_PROVIDER" in os.environ,
    "get_logger_provider",
    frozenset({"ProxyLoggerProvider", "NoOpLoggerProvider"}),
)

_loaded = sys.modules.get
_counted: dict[tuple[str, tuple[tuple[str, Any], ...]], int] = {}
_lock = threading.Lock()
_found: "tuple[Any, Any, Signals] | None" = None


def signals() -> "Signals | None":
    """Return where metrics and log events go: to the providers that the program has set; None if it has set none."""
    global _found  # noqa: PLW0603  (one for one pair of providers)
    if _loaded(_METRICS[0]) is None and _loaded(_LOGS[0]) is None:
        return None
    meters, logs = _provider(_METRICS), _provider(_LOGS)
    if meters is None and logs is None:
        return None
    if _found is None or _found[0] is not meters or _found[1] is not logs:
        _found = meters, logs, Signals(meters, logs)
    return _found[2]


def _provider(where: tuple[str, str, str, bool, str, frozenset[str]]) -> Any:
    module, inside, held, is_named, find, silent = where
    loaded = _loaded(module)
    if loaded is None:
        return None
    if not is_named and getattr(_loaded(inside), held, where) is None:
        return None  # nothing is set: asking would cost microseconds in each conversation
    provider = getattr(loaded, find)()
    return None if type(provider).__name__ in silent else provider


def count_dropped(sink: str, count: int) -> None:
    """Count spans that were lost on their way somewhere."""
    if count > 0:
        _count(names.DROPPED_COUNT, ((names.SINK, sink),), count)


def _count(name: str, attributes: tuple[tuple[str, Any], ...], by: int) -> None:
    key = name, attributes
    with _lock:
        _counted[key] = _counted.get(key, 0) + by


class Signals:
    """The instruments of one meter provider, and the logger of one logger provider; either may be None."""

    def __init__(self, meters: Any, logs: Any) -> None:
        self.has_meters = meters is not None
        self.has_logs = logs is not None
        self._histograms: dict[str, Any] = {}
        newest = os.environ.get("OTEL_SEMCONV_STABILITY_OPT_IN", "")
        self.is_newest = "gen_ai_latest_experimental" in newest.split(",")
        """Whether model calls are counted under the names of the newest conventions."""
        if meters is not None:
            meter = meters.get_meter("agentcomm", VERSION)
            histograms, counters = dict(_HISTOGRAMS), dict(_COUNTERS)
            if self.is_newest:
                histograms |= _NEWEST_HISTOGRAMS
                counters |= _NEWEST_COUNTERS
                del histograms[names.OPERATION_DURATION], histograms[names.TOKEN_USAGE]
            for name, (unit, edges) in histograms.items():
                self._histograms[name] = meter.create_histogram(
                    name, unit, explicit_bucket_boundaries_advisory=edges
                )
            for name, unit in counters.items():
                meter.create_observable_counter(name, [partial(_observed, name)], unit)
        capture = os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").upper()
        self.is_detailed = logs is not None and capture in {"EVENT_ONLY", "SPAN_AND_EVENT"}
        """Whether what models were told and said goes into log events."""
        self._logger: Any = logs.get_logger("agentcomm", VERSION) if logs is not None else None

    def count(self, name: str, attributes: Mapping[str, Any], by: int = 1) -> None:
        """Add to a counter."""
        if self.has_meters and by:
            _count(name, tuple(attributes.items()), by)

    def record(self, name: str, value: float, attributes: Mapping[str, Any]) -> None:
        """Record a value in a histogram."""
        histogram = self._histograms.get(name)
        if histogram is not None:
            histogram.record(value, attributes)

    def tell(self, name: str, severity: str, attributes: Mapping[str, Any], at: int) -> None:
        """Emit a log event; it belongs to the span that is current.

        Args:
            name: Of the event.
            severity: DEBUG, INFO, WARN or ERROR.
            attributes: What it tells.
            at: Nanoseconds since the epoch.
        """
        if self._logger is None:
            return
        from opentelemetry._logs import LogRecord, SeverityNumber
        from opentelemetry.context import get_current

        self._logger.emit(
            LogRecord(
                timestamp=at,
                observed_timestamp=at,
                context=get_current(),
                severity_text=severity,
                severity_number=SeverityNumber[severity],
                attributes=dict(attributes),
                event_name=name,
            )
        )


def _observed(name: str, _options: Any) -> Iterator[Any]:
    from opentelemetry.metrics import Observation

    with _lock:
        found = [(attributes, value) for (one, attributes), value in _counted.items() if one == name]
    for attributes, value in found:
        yield Observation(value, dict(attributes))
