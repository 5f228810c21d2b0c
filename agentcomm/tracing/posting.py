"""Post bytes over HTTP on one connection that is kept, as plainly as can be: a batch of spans is megabytes, and is not copied.

The environment's proxies are used, but never for this machine.
"""

import http.client
import ssl
from base64 import b64encode
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ("Answer", "Poster")

_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


class Answer(NamedTuple):
    """What a server said."""

    status: int
    reason: str
    content: bytes
    retry_after: str
    """That header; empty if there is none."""


class Poster:
    """Posts to one address.

    Args:
        url: The address, with a user and a password where it needs them.
        headers: Sent with each request.
        tls: What a connection by TLS is made with.
    """

    def __init__(self, url: str, headers: dict[str, str], tls: ssl.SSLContext | None) -> None:
        self._parts, self._tls = urlsplit(url), tls
        self._headers = dict(headers)
        if self._parts.username is not None:
            self._headers.setdefault("authorization", _basic(self._parts))
        self._path = self._parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        self._connection: http.client.HTTPConnection | None = None

    def post(self, data: Sequence[bytes], seconds: float) -> Answer:
        """Send a request and return the answer.

        Args:
            data: Its body, in pieces.
            seconds: For connecting, and for each wait.

        Raises:
            OSError: If it could not be sent, or no answer came in time.
            http.client.HTTPException: If what came is no answer.
        """
        kept = self._connection
        try:
            return self._posted(data, seconds)
        except (ConnectionError, http.client.RemoteDisconnected):
            self.close()
            if kept is None:
                raise
            return self._again(data, seconds)  # a server may end a connection that was idle
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def _again(self, data: Sequence[bytes], seconds: float) -> Answer:
        try:
            return self._posted(data, seconds)
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def _posted(self, data: Sequence[bytes], seconds: float) -> Answer:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._opened(seconds)
        connection.timeout = seconds
        if connection.sock is not None:
            connection.sock.settimeout(seconds)
        length = str(sum(map(len, data)))
        try:
            connection.request("POST", self._path, data, {**self._headers, "content-length": length})
        except (BrokenPipeError, ConnectionResetError):
            answer = _early(connection)
            if answer is None:
                raise
            self.close()
            return answer
        answer = connection.getresponse()
        content = answer.read()
        return Answer(answer.status, answer.reason, content, answer.headers.get("retry-after", ""))

    def _opened(self, seconds: float) -> http.client.HTTPConnection:
        parts, proxy = self._parts, self._proxy()
        host, port = parts.hostname or "", parts.port
        is_safe = parts.scheme == "https"
        if proxy is not None:
            known = {"proxy-authorization": _basic(proxy)} if proxy.username is not None else {}
            to = proxy.hostname or "", proxy.port
            if is_safe:
                connection = http.client.HTTPSConnection(*to, timeout=seconds, context=self._tls)
                connection.set_tunnel(host, port or 443, known)
                return connection
            self._path = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
            self._headers |= known
            return http.client.HTTPConnection(*to, timeout=seconds)
        if is_safe:
            return http.client.HTTPSConnection(host, port, timeout=seconds, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=seconds)

    def _proxy(self) -> SplitResult | None:
        """Return the proxy that the environment names for the address."""
        host = self._parts.hostname or ""
        if host in _HERE or proxy_bypass(host):
            return None
        found = getproxies()
        named = found.get(self._parts.scheme) or found.get("all", "")
        return urlsplit(named if "//" in named else f"http://{named}") if named else None

    def close(self) -> None:
        """Give up the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _basic(parts: SplitResult) -> str:
    said = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return "Basic " + b64encode(said.encode()).decode()


def _early(connection: http.client.HTTPConnection) -> Answer | None:
    """Return what a server said that would not read all of a request; None if it said nothing."""
    try:
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException):
        return None
    return Answer(answer.status, answer.reason, b"", answer.headers.get("retry-after", ""))
