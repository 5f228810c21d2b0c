"""What every connection to a server shares."""

import ssl
from functools import cache

import httpx

__all__ = ("CONNECT_SECONDS", "DIRECT", "limits", "tls")

CONNECT_SECONDS = 5.0

DIRECT: dict[str, httpx.AsyncBaseTransport | None] = dict.fromkeys(
    ("all://127.0.0.1", "all://localhost", "all://[::1]")
)
"""This machine is reached without a proxy."""


@cache
def tls() -> ssl.SSLContext:
    """Return the one context for TLS: reading all certificates takes 60 ms, also for those who never use them."""
    return httpx.create_ssl_context()


def limits(timeout: float) -> httpx.Timeout:
    """Return the time limits of a connection: so long for silence, and less until it stands."""
    return httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
