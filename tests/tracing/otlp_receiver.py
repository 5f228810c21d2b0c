"""A real receiver for OTLP over HTTP, small enough to read: it decodes what arrives with opentelemetry-proto."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass
class Received:
    """What arrived."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    scopes: list[Any] = field(default_factory=list)
    spans: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def value_of(value: Any) -> Any:
    """Return the Python value of an OTLP AnyValue."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def attributes_of(thing: Any) -> dict[str, Any]:
    """Return the attributes of a decoded span, link or resource."""
    return {entry.key: value_of(entry.value) for entry in thing.attributes}


@contextmanager
def receiver(
    *, status: int | list[int] = 200, answer: Any = None, delay: float = 0, retry_after: str = ""
) -> Iterator[Received]:
    """Receive on a free port of this machine until the block ends.

    Args:
        status: What is answered; of several, one after the other, and the last for good.
        answer: The body of an answer.
        delay: Seconds before an answer.
        retry_after: That header, where the status is not 200.
    """
    received = Received()
    statuses = [status] if isinstance(status, int) else list(status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                data = gzip.decompress(data)
            received.paths.append(self.path)
            received.headers.append({name.lower(): value for name, value in self.headers.items()})
            time.sleep(delay)
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
            if status == 200:
                for entry in ExportTraceServiceRequest.FromString(data).resource_spans:
                    received.resources.append(attributes_of(entry.resource))
                    for scope in entry.scope_spans:
                        received.scopes.append(scope.scope)
                        received.spans.extend(scope.spans)
            said = (answer or ExportTraceServiceResponse()).SerializeToString()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(said)))
            if retry_after and status != 200:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    received.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
