"""What the tests of bodies share: bytes that tell their place, scripts, odd inputs."""

from __future__ import annotations

import io
from collections.abc import Callable

from tests.support import (
    UpstreamConnection,
    message,
)

__all__ = [
    "CHUNKED",
    "CHUNKED_POST",
    "DONE",
    "OK",
    "OPEN",
    "STREAMING",
    "Unseekable",
    "once",
    "pattern",
]

STREAMING = ["werkzeug"]  # waitress reads the body before it calls anybody
DONE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"
CHUNKED_POST = message("POST /p/x HTTP/1.1", ["Host: front", "Transfer-Encoding: chunked"])


def pattern(size: int) -> bytes:
    """So many bytes that tell where they belong."""
    return b"".join(b"%07d\n" % number for number in range(size // 8 + 1))[:size]


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
OPEN = OK + b"Connection: close\r\n\r\n"


def once(raw: bytes) -> Callable[[UpstreamConnection], None]:
    """A script: read one request, send these bytes, close."""

    def handler(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(raw)

    return handler


class Unseekable:
    """An input that is read once, and then raises, if told so."""

    def __init__(self, data: bytes, error: Exception | None = None) -> None:
        self._stream = io.BytesIO(data)
        self._error = error

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        if not data and self._error:
            raise self._error
        return data
