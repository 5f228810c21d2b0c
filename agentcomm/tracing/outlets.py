"""Where spans go: to an OTLP endpoint, as bytes that are written at once, or to an exporter of the program's own.

Imports the OpenTelemetry SDK; `setup` loads it when it is needed.
"""

import gzip
import logging
import os
import random
import re
import ssl
import threading
import time
import zlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import msgspec
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from agentcomm.errors import UsageError
from agentcomm.tracing.posting import Poster
from agentcomm.tracing.protobuf import (
    Base,
    Place,
    about,
    attribute,
    body_of,
    ids_of,
    place_of,
    refused_of,
    request,
    scope_of,
    sized,
    span_bytes,
)
from agentcomm.version import VERSION

__all__ = (
    "REQUEST_SECONDS",
    "Bytes",
    "ExporterOutlet",
    "OtlpOutlet",
    "Outlet",
    "context_of",
    "place_from",
    "traces_url",
)

REQUEST_SECONDS = 5.0
"""Seconds for one request and its retries; waiting longer only fills the queue."""
REQUEST_BYTES = 4 * 1024 * 1024
"""Most bytes of spans in one request: what receivers take by default is from there up."""

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_KINDS = tuple(SpanKind)
_TRY_AGAIN = frozenset({408, 429, 502, 503, 504})
"""Answers after which the same request may go better; those of the OTLP specification, and a timeout."""


class Bytes(msgspec.Struct, frozen=True):
    """Spans that are bytes already."""

    count: int
    data: bytes


Links = Sequence[tuple[Place, Mapping[str, Any]]]


class Outlet(Protocol):
    """Makes spans and sends them."""

    takes_bytes: bool
    """Whether a span is bytes, which may be made by others, too."""
    problem: str
    """Why something was not taken; empty if all was."""

    def span(
        self,
        name: str,
        place: Place,
        parent: Place | None,
        bases: Sequence[Base],
        attributes: Mapping[str, Any],
        links: Links,
        kind: int,
        start: int,
        end: int,
        error: str | None,
    ) -> Any:
        """Return a span as `send` takes it; arguments as of `span_bytes`."""
        ...

    def foreign(self, span: ReadableSpan) -> Any:
        """Return a span of a provider's as `send` takes it."""
        ...

    def send(self, spans: Sequence[Any]) -> int:
        """Send spans, and return how many were taken."""
        ...

    def again(self) -> None:
        """Share no connection with the process that this one was forked from."""
        ...

    def give_up(self) -> None:
        """Fail what is still to come, and interrupt waiting between tries."""
        ...

    def close(self) -> None:
        """Give up connections; from the thread that sends."""
        ...


def context_of(place: Place) -> SpanContext:
    """Return a place as OpenTelemetry's API has it."""
    trace, span, state = ids_of(place)
    states = TraceState.from_header([state]) if state else None
    return SpanContext(int.from_bytes(trace), int.from_bytes(span), False, _SAMPLED, states)


def place_from(context: SpanContext) -> Place:
    """Return the place that OpenTelemetry's API tells."""
    return place_of(
        context.trace_id.to_bytes(16), context.span_id.to_bytes(8), context.trace_state.to_header()
    )


class ExporterOutlet:
    """Makes the SDK's spans, and gives them to an exporter; what the exporter logs about its failures is kept to one line.

    Args:
        exporter: The exporter.
        resource: What the process is.
    """

    takes_bytes = False

    def __init__(self, exporter: SpanExporter, resource: Resource) -> None:
        self.problem = ""
        self._exporter, self._resource = exporter, resource
        self._scope = InstrumentationScope("agentcomm", VERSION)
        self._given_up = False
        for name in (*_LOGGERS, type(exporter).__module__):
            logging.getLogger(name).addFilter(_QUIET)

    def span(
        self,
        name: str,
        place: Place,
        parent: Place | None,
        bases: Sequence[Base],
        attributes: Mapping[str, Any],
        links: Links,
        kind: int,
        start: int,
        end: int,
        error: str | None,
    ) -> ReadableSpan:
        """Return the SDK's span."""
        shown: dict[str, Any] = {}
        for base in bases:
            shown |= base.attributes
        shown |= attributes
        return ReadableSpan(
            name,
            context_of(place),
            context_of(parent) if parent is not None else None,
            self._resource,
            {key: tuple(value) if type(value) is list else value for key, value in shown.items()},  # pyright: ignore[reportUnknownArgumentType]
            (),
            [Link(context_of(there), known) for there, known in links],
            _KINDS[kind],
            None,
            Status(StatusCode.UNSET) if error is None else Status(StatusCode.ERROR, error),
            start,
            end,
            self._scope,
        )

    def foreign(self, span: ReadableSpan) -> ReadableSpan:
        """Return it as it is."""
        return span

    def send(self, spans: Sequence[ReadableSpan]) -> int:
        """Send spans, and return how many were taken: all or none."""
        if self._given_up:
            return 0
        with _quietly(self):
            try:
                taken = self._exporter.export(spans) is SpanExportResult.SUCCESS
            except Exception as error:  # noqa: BLE001  (whatever a backend does, the program goes on)
                self.problem = in_short(f"{type(error).__name__}: {error}")
                return 0
        return len(spans) if taken else 0

    def again(self) -> None:
        """Nothing: the exporter minds its own connections."""

    def give_up(self) -> None:
        """Fail what is still to come, and interrupt the exporter's waiting between tries."""
        self._given_up = True
        with _quietly(self):
            self._exporter.shutdown()

    def close(self) -> None:
        """Nothing: the exporter minds its own connections."""


class OtlpOutlet:
    """Writes spans as OTLP's bytes, and sends them over HTTP; the OTEL_EXPORTER_OTLP_* variables say how.

    Args:
        url: The full URL for traces.
        resource: What the process is.
        seconds: For one request and its retries.

    Raises:
        UsageError: If a variable, or a file that one names, cannot be used.
    """

    takes_bytes = True
    span = staticmethod(span_bytes)

    def __init__(self, url: str, resource: Resource, seconds: float = REQUEST_SECONDS) -> None:
        self.problem = ""
        self._seconds = seconds
        self._about = about(resource.attributes)
        self._scope = scope_of("agentcomm", VERSION)
        self._stop = threading.Event()
        self._pack = _setting("COMPRESSION").strip().lower()
        if self._pack not in _PACKERS:
            raise _wrong("COMPRESSION", "use gzip, deflate or none")
        self._headers = {**_headers(), "content-type": "application/x-protobuf"}
        if self._pack and self._pack != "none":
            self._headers["content-encoding"] = self._pack
        self._poster = Poster(url, self._headers, _tls() if urlsplit(url).scheme == "https" else None)

    def foreign(self, span: ReadableSpan) -> tuple[bytes, bytes]:
        """Return a provider's span as (scope, bytes)."""
        scope, context = span.instrumentation_scope, span.get_span_context()
        assert context is not None  # noqa: S101  (a span that ended has one)
        parent = place_from(span.parent) if span.parent is not None else None
        wrong = span.status.status_code is StatusCode.ERROR
        whole = span_bytes(
            span.name,
            place_from(context),
            parent,
            (),
            span.attributes or {},
            [(place_from(link.context), link.attributes or {}) for link in span.links],
            span.kind.value,
            span.start_time or 0,
            span.end_time or 0,
            (span.status.description or "") if wrong else None,
        )
        if span.events:
            moments = b"".join(b"\x5a" + sized(_event(event)) for event in span.events)
            whole = b"\x12" + sized(body_of(whole) + moments)
        named = (
            scope_of(scope.name, scope.version, scope.attributes) if scope is not None else scope_of("", "")
        )
        return named, whole

    def send(self, spans: Sequence[bytes | Bytes | tuple[bytes, bytes]]) -> int:
        """Send spans, in requests that are not too long, and return how many were taken."""
        taken = 0
        scopes: dict[bytes, list[bytes]] = {}
        count = size = 0
        for span in spans:
            scope, several = self._scope, 1
            if isinstance(span, Bytes):
                several, data = span.count, span.data
            elif isinstance(span, bytes):
                data = span
            else:
                scope, data = span
            if size + len(data) > REQUEST_BYTES and count:
                taken += self._post(request(self._about, scopes), count)
                scopes, count, size = {}, 0, 0
            scopes.setdefault(scope, []).append(data)
            count, size = count + several, size + len(data)
        return taken + (self._post(request(self._about, scopes), count) if count else 0)

    def again(self) -> None:
        """Open a connection of its own."""
        self._poster.close()
        self._stop = threading.Event()

    def give_up(self) -> None:
        """Fail what is still to come, and interrupt waiting between tries."""
        self._stop.set()

    def close(self) -> None:
        """Give up the connection."""
        self._poster.close()

    def _post(self, parts: list[bytes], count: int) -> int:
        """Send one request, again where that may help, and return how many of its spans were taken."""
        pack = _PACKERS[self._pack]
        data = [pack(b"".join(parts))] if pack is not None else _gathered(parts)
        end = time.monotonic() + self._seconds
        pause = 0.2
        while not self._stop.is_set():
            left = end - time.monotonic()
            if left <= 0:
                break
            wait = pause * random.uniform(0.8, 1.2)  # noqa: S311  (so that many do not come back at once)
            try:
                answer = self._poster.post(data, left)
            except (OSError, HTTPException) as error:
                self.problem = in_short(f"{type(error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001  (whatever a backend does, the program goes on)
                self.problem = in_short(f"{type(error).__name__}: {error}")
                return 0
            else:
                if 200 <= answer.status < 300:  # noqa: PLR2004
                    refused, why = refused_of(answer.content)
                    if refused:
                        self.problem = f"the backend refused {refused}{f': {in_short(why)}' if why else ''}"
                    return max(0, count - refused)
                self.problem = f"HTTP {answer.status} {answer.reason}".rstrip()
                if answer.status not in _TRY_AGAIN:
                    return 0
                asked = answer.retry_after
                wait = float(asked) if asked.isdigit() else wait
            if self._stop.wait(min(wait, max(0.0, end - time.monotonic()))):
                break
            pause *= 2
        return 0


def _event(event: Event) -> bytes:
    known = b"".join(b"\x1a" + attribute(key, value) for key, value in (event.attributes or {}).items())
    name = b"\x12" + sized(event.name.encode("utf-8", "replace"))
    return b"\x09" + event.timestamp.to_bytes(8, "little") + name + known


def _gathered(parts: list[bytes]) -> list[bytes]:
    """Return pieces of which none is small: each is written by a call of its own, and one of all of them would be copied for nothing."""
    found, small = list[bytes](), list[bytes]()
    size = 0
    for part in parts:
        if len(part) >= _LARGE:
            found += (b"".join(small), part)
            small.clear()
            size = 0
            continue
        small.append(part)
        size += len(part)
        if size >= _LARGE:
            found.append(b"".join(small))
            small.clear()
            size = 0
    found.append(b"".join(small))
    return list(filter(None, found))


_LARGE = 64 * 1024

_PACKERS: dict[str, Any] = {
    "": None,
    "none": None,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


def _setting(name: str) -> str:
    """Return what the environment says for traces, or for all."""
    found = os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "")
    return found or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")


def _wrong(name: str, fix: str) -> UsageError:
    return UsageError(
        f"OTEL_EXPORTER_OTLP_{name}={_setting(name)!r} cannot be used",
        why="it is not what it should be",
        fix=fix,
        code="U502",
    )


def _headers() -> dict[str, str]:
    """Return the headers that the environment names: `key=value,key=value`, values in URL encoding."""
    found: dict[str, str] = {}
    for entry in filter(None, map(str.strip, _setting("HEADERS").split(","))):
        name, equals, value = entry.partition("=")
        name, value = name.strip(), unquote(value.strip())
        if not equals or not _HEADER.fullmatch(name) or not value.isprintable() or not value.isascii():
            raise _wrong("HEADERS", "write them like api-key=secret,x-team=shop")
        found[name.lower()] = value
    return found


_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _tls() -> ssl.SSLContext:
    """Return what connections by TLS are made with."""
    authority, mine, key = _setting("CERTIFICATE"), _setting("CLIENT_CERTIFICATE"), _setting("CLIENT_KEY")
    try:
        context = ssl.create_default_context(cafile=authority) if authority else ssl.create_default_context()
    except OSError as error:
        raise _wrong("CERTIFICATE", f"name a file with certificates in PEM ({error})") from error
    if mine:
        try:
            context.load_cert_chain(mine, key or None)
        except OSError as error:
            raise _wrong(
                "CLIENT_CERTIFICATE", f"name a certificate in PEM, and its key in CLIENT_KEY ({error})"
            ) from error
    return context


_LOGGERS = (
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.exporter.otlp.common.http",
)


class _Quiet(logging.Filter):
    """Keeps back what is logged in a thread while it sends for us; the first warning of it is kept for the report."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a record back while we send."""
        outlet: Any = getattr(_sending, "outlet", None)
        if outlet is None:
            return True
        if record.levelno >= logging.WARNING and not outlet.problem:
            outlet.problem = in_short(record.getMessage())
        return False


_sending = threading.local()
_QUIET = _Quiet()


@contextmanager
def _quietly(outlet: Any) -> Generator[None]:
    _sending.outlet = outlet
    try:
        yield
    finally:
        _sending.outlet = None


def in_short(text: str) -> str:
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
