"""Switch tracing on, for applications and the command line.

A provider that the program has set is used and left as it is. Otherwise a private one is made: the global one stays free for
the program.
"""

import atexit
import os
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from agentcomm.errors import UsageError
from agentcomm.tracing import names
from agentcomm.tracing.content import Content, Level, Redactor
from agentcomm.tracing.spans import activate, activated, user_provider
from agentcomm.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

    from agentcomm.tracing.export import CountedBatches
    from agentcomm.tracing.late import LateTracer
    from agentcomm.tracing.tracer import Detail, Scope

__all__ = ("FLUSH_SECONDS", "Tracing", "pushing", "setup")

FLUSH_SECONDS = 3.0
"""Longest wait for a backend when the program ends."""


_FULL = "more came than was sent in time, and what waits is bounded"


class Tracing:
    """Tracing that is switched on. Use it as a context manager, or call `shutdown` at the end."""

    def __init__(self, where: str, provider: Any, batches: "CountedBatches | None", before: Any) -> None:
        self.where = where
        """Address or name of what gets the spans."""
        self.provider = provider
        self._batches = batches
        self.before = before
        """What was active before, and will be again."""
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()

    @property
    def ended(self) -> int:
        """Spans that were drawn; 0 if the program's own provider has them."""
        return self._batches.counts.ended if self._batches else 0

    @property
    def lost(self) -> int:
        """Spans that did not arrive: dropped, refused, or still waiting."""
        return self._batches.counts.lost if self._batches else 0

    def submit(self, draw: Callable[..., None], given: tuple[Any, ...]) -> None:
        """Take a piece of drawing, as `CountedBatches.submit`."""
        if self._batches is not None:
            self._batches.submit(draw, given)

    def shutdown(self, timeout: float = FLUSH_SECONDS) -> int:
        """Switch tracing off, flush, and return how many spans were lost.

        Args:
            timeout: Seconds to wait for the backend.
        """
        if not self._closed:
            self._closed = True
            atexit.unregister(self.shutdown)
            activate(self.before)
            if self._batches is not None:
                self._batches.close(timeout)
        return self.lost

    def report(self) -> str:
        """Return one line: what was sent where, and what was lost."""
        if self._batches is None:
            return f"traces: given to {self.where}"
        counts = self._batches.counts
        sent = f"traces: {counts.exported} of {counts.ended} spans sent to {self.where}"
        if not self.lost:
            return sent
        if not self._closed and not counts.failed and not counts.overflowed:
            return f"{sent}, {counts.waiting} waiting"
        why = counts.problem or (_FULL if counts.overflowed else "")
        problem = f": {why}" if why else ""
        return f"{sent}; {self.lost} lost{problem}"


def setup(
    endpoint: str | None = None,
    *,
    exporter: "SpanExporter | None" = None,
    content: Level = "hash",
    service_name: str = "agentcomm",
    scope: "Scope" = "turn",
    detail: "Detail" = "steps",
    ratio: float = 1.0,
    redactors: Sequence[Redactor] = (),
) -> Tracing:
    """Switch tracing on for this process.

    If the program has set a tracer provider, spans go there and `endpoint` and `exporter` are not used; the report says so.

    Args:
        endpoint: Where to send, by OTLP over HTTP: `http://host:4318` or a full URL. Without it and without an exporter,
            what the OTEL_EXPORTER_OTLP_* variables say.
        exporter: A span exporter of your own, instead of an endpoint.
        content: What spans show of what was said: full, hash or none.
        service_name: `service.name` of the resource.
        scope: `turn` makes each turn a trace; `conversation` keeps a short conversation in one.
        detail: `turn` makes a turn one span, `steps` one of each of its steps, `full` one of each piece of a prompt, too.
        ratio: Share of conversations that are traced; of one, all turns are or none is. Only where no provider is set: else
            give yours a `ConversationSampler`.
        redactors: `(kind, text) -> text`, applied before anything is shown or hashed.

    Raises:
        UsageError: If the arguments, or the OTEL_EXPORTER_OTLP_* variables, do not fit.
    """
    _check(endpoint, exporter, content, scope, detail, ratio)
    from agentcomm.tracing.tracer import Tracer

    policy = Content(content, redactors)
    theirs = user_provider()
    if theirs is not None:
        given = endpoint or (type(exporter).__name__ if exporter else "")
        where = f"the provider that this program has set{f' ({given} is not used)' if given else ''}"
        return Tracing(
            where, theirs, None, activate(Tracer(theirs, content=policy, scope=scope, detail=detail))
        )
    tracing, tracer = pushing(
        endpoint,
        exporter=exporter,
        content=content,
        service_name=service_name,
        scope=scope,
        detail=detail,
        ratio=ratio,
        redactors=redactors,
    )
    tracing.before = activate(tracer)
    atexit.register(tracing.shutdown)
    return tracing


def pushing(
    endpoint: str | None = None,
    *,
    exporter: "SpanExporter | None" = None,
    content: Level = "hash",
    service_name: str = "agentcomm",
    scope: "Scope" = "turn",
    detail: "Detail" = "steps",
    ratio: float = 1.0,
    redactors: Sequence[Redactor] = (),
    request_seconds: float | None = None,
) -> "tuple[Tracing, LateTracer]":
    """Return tracing that no conversation of this process goes to, and what draws for it.

    Arguments are those of `setup`, and `request_seconds`: seconds for one request and its retries, where somebody can wait.

    Raises:
        UsageError: If the arguments, or the OTEL_EXPORTER_OTLP_* variables, do not fit.
    """
    _check(endpoint, exporter, content, scope, detail, ratio)
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    from agentcomm.tracing.export import CountedBatches
    from agentcomm.tracing.late import LateTracer
    from agentcomm.tracing.outlets import REQUEST_SECONDS, ExporterOutlet, OtlpOutlet, Outlet, traces_url

    resource = Resource.create(
        {
            names.SERVICE_NAME: service_name,
            names.SERVICE_VERSION: VERSION,
            names.SERVICE_INSTANCE_ID: str(uuid.uuid4()),
        }
    )
    outlet: Outlet
    if exporter is None:
        url = traces_url(endpoint) if endpoint else _url_from_environment()
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        outlet = OtlpOutlet(url, resource, request_seconds or REQUEST_SECONDS)
        where, sink = parts._replace(netloc=host).geturl(), f"otlp:{host}"
    else:
        outlet = ExporterOutlet(exporter, resource)
        where = sink = type(exporter).__name__
    batches = CountedBatches(outlet, sink=sink)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(batches)
    tracer = LateTracer(
        batches.make,
        batches.put if outlet.takes_bytes else None,
        content=Content(content, redactors),
        scope=scope,
        detail=detail,
        ratio=ratio,
        sink=sink,
        submit=batches.submit,
        note=batches.note,
    )
    return Tracing(where, provider, batches, activated()), tracer


def _check(endpoint: str | None, exporter: Any, content: str, scope: str, detail: str, ratio: float) -> None:
    if endpoint is not None and exporter is not None:
        raise UsageError("both an endpoint and an exporter are given", fix="pass one of the two", code="U503")
    for name, value, known in (
        ("content", content, ("full", "hash", "none")),
        ("scope", scope, ("turn", "conversation")),
        ("detail", detail, ("turn", "steps", "full")),
    ):
        if value not in known:
            raise UsageError(
                f"{name}={value!r} is unknown", fix=f"use one of {', '.join(known)}", code="U504"
            )
    if not 0 <= ratio <= 1:
        raise UsageError(f"ratio={ratio!r} is no share", fix="use a number from 0 to 1", code="U505")


def _url_from_environment() -> str:
    full = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if full:
        return full
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
    return f"{base.rstrip('/')}/v1/traces"
