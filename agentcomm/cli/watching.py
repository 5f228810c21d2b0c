"""Show a conversation while it goes on, as a page that this machine alone can open."""

import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

__all__ = ("LivePage",)

_WAIT = 20.0
"""Seconds that a question for something new may wait."""
_PAUSE = 0.1
"""Seconds between two looks at the file."""
_LAST = 8
"""Records among which the end is, once it was told."""
_SHARE = 8
"""How much longer than making the page takes, nothing new is made: a long talk is not slowed by who watches it."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_WAITING = b"<!doctype html><meta http-equiv=refresh content=1><title>agentcomm</title><p>The conversation is about to begin."


class LivePage:
    """Serves the page of a transcript that is being written, on the loopback interface, under an address that cannot be guessed.

    Args:
        path: The transcript; it may not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._made: tuple[int, Any] = (0, None)
        """Bytes of the file, and the transcript in them."""
        self._next = 0.0
        self._seen = threading.Event()
        self._closed = False
        self._key = secrets.token_urlsafe(16)
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/{self._key}/"
        """Where it is."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="agentcomm-page", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed = True
        self._server.shutdown()
        self._server.server_close()

    def wait(self, seconds: float) -> bool:
        """Wait until a page has shown the end, and return whether one has."""
        return self._seen.wait(seconds)

    def answer(self, request: "_Request") -> None:
        """Answer a request."""
        parts = urlsplit(request.path)
        host = request.headers.get("Host", "")
        port = self._server.server_address[1]
        if self._closed:
            request.close_connection = True
            request.say(410, "text/plain", b"this page is over\n")
        elif host not in {f"127.0.0.1:{port}", f"localhost:{port}"}:  # a name that was pointed here
            request.say(403, "text/plain", b"this page is for this machine\n")
        elif parts.path == f"/{self._key}/":
            self._page(request)
        elif parts.path == f"/{self._key}/data":
            self._data(request, parse_qs(parts.query).get("after", [""])[0])
        elif parts.path == "/favicon.ico":  # browsers ask for it, and complain
            request.say(204, "", b"")
        else:
            request.say(404, "text/plain", b"there is nothing here\n")

    def _page(self, request: "_Request") -> None:
        from agentcomm.views.page import page_of

        version, transcript = self._read("")
        if transcript is None:
            request.say(200, "text/html; charset=utf-8", _WAITING)
            return
        request.say(200, "text/html; charset=utf-8", page_of(transcript, live=version).encode())
        self._note(transcript)

    def _data(self, request: "_Request", after: str) -> None:
        from agentcomm.views.page import data_of

        version, transcript = self._read(after)
        if transcript is None:
            request.say(204, "", b"")
            return
        request.say(200, "application/gzip", data_of(transcript), {"X-Version": version})
        self._note(transcript)

    def _note(self, transcript: Any) -> None:
        if any(record.type == "ended" for record in transcript.records[-_LAST:]):
            self._seen.set()

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def _wait(self, after: str) -> None:
        """Wait a while for a transcript that is longer than one that was shown."""
        end = time.monotonic() + _WAIT
        while not self._closed and (now := time.monotonic()) < end:
            if now >= self._next and str(self._size()) not in {"0", after}:
                return
            time.sleep(_PAUSE)

    def _read(self, after: str) -> tuple[str, Any]:
        """Return the transcript as it is, and its version; where one was shown, wait a while for another."""
        from agentcomm.conversation.transcript import Transcript

        if after:
            self._wait(after)
        size = self._size()
        if not size or str(size) == after:
            return after, None
        with self._lock:
            begun = time.monotonic()
            if self._made[0] != size:
                lines = self._path.read_bytes()[:size]
                whole = lines[: lines.rfind(b"\n") + 1].splitlines(keepends=True)
                while whole and whole[-1].startswith(b'{"blob":'):  # its record is still to come
                    whole.pop()
                self._made = size, Transcript.from_lines(whole, where=str(self._path))
            transcript = self._made[1]
            self._next = time.monotonic() + _SHARE * (time.monotonic() - begun)
        return str(size), transcript if transcript.opening is not None else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, page: LivePage) -> None:
        self.page = page
        super().__init__(("127.0.0.1", 0), _Request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever watched has left."""


class _Request(BaseHTTPRequestHandler):
    server: "_Server"  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        self.server.page.answer(self)

    def say(self, status: int, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in {**_HEADERS, **(more or {})}.items():
            self.send_header(name, value)
        if kind:
            self.send_header("Content-Type", kind)
        if status != 204:  # noqa: PLR2004  (an answer without a body)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: the terminal belongs to the conversation."""
