"""The door to tracing: `active()` says whether anybody listens, and costs nothing when nobody does.

This module does not import OpenTelemetry, so that a program which does not trace never loads it. What draws spans is
`agentcomm.tracing.tracer`.
"""

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentcomm.tracing.late import LateTracer
    from agentcomm.tracing.tracer import Tracer

__all__ = ("activate", "activated", "active", "user_provider")

_CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

_IS_NAMED = "OTEL_PYTHON_TRACER_PROVIDER" in os.environ
"""Whether the environment names a provider, which OpenTelemetry then loads when it is asked."""

_set_up: "Tracer | LateTracer | None" = None
_found: "tuple[Any, Tracer] | None" = None


def active() -> "Tracer | LateTracer | None":
    """Return what draws spans: what `setup` wired, else the program's own provider, else None."""
    global _found  # noqa: PLW0603  (one tracer for one provider)
    if _set_up is not None:
        return _set_up
    provider = user_provider()
    if provider is None:
        return None
    if _found is None or _found[0] is not provider:
        from agentcomm.tracing.content import Content
        from agentcomm.tracing.tracer import Tracer

        level = "full" if os.environ.get(_CAPTURE, "").upper() in {"SPAN_ONLY", "SPAN_AND_EVENT"} else "hash"
        _found = provider, Tracer(provider, content=Content(level))
    return _found[1]


def activate(tracer: "Tracer | LateTracer | None") -> "Tracer | LateTracer | None":
    """Make `active()` return this tracer, and return the one before it."""
    global _set_up
    before, _set_up = _set_up, tracer
    return before


def activated() -> "Tracer | LateTracer | None":
    """Return what `activate` was given last."""
    return _set_up


def user_provider() -> Any:
    """Return the tracer provider that the program has set, or None. Never imports OpenTelemetry."""
    trace = sys.modules.get("opentelemetry.trace")
    find = getattr(trace, "get_tracer_provider", None)
    if trace is None or find is None:
        return None
    if getattr(trace, "_TRACER_PROVIDER", find) is None and not _IS_NAMED:
        return None  # nothing is set: asking would cost microseconds in each conversation
    provider = find()
    silent = (trace.ProxyTracerProvider, trace.NoOpTracerProvider)
    return None if isinstance(provider, silent) else provider
