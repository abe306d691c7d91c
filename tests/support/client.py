"""A client that sends exactly the bytes a test wants and reads what really comes back.

::

    with RawClient(site.address) as client:
        client.send(b"GET /p/x HTTP/1.1\\r\\nHost: front\\r\\n\\r\\n")
        response = client.read_response()
        assert (response.status, response.body) == (200, b"hello")
        assert client.is_open()              # the server keeps the connection

A body that ends before its framing says so raises :class:`ResponseCut`. A test that
expects that says ``allow_cut=True`` and asserts ``response.complete`` itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from types import TracebackType
from typing import Any

from .deadline import DEADLINE, eventually
from .wire import Headers, PeerClosed, Wire, message

__all__ = ["RawClient", "RawResponse", "ResponseCut", "get", "post"]


@dataclasses.dataclass
class RawResponse:
    """One response as it came; ``complete`` is false when its body was cut off."""

    version: str
    status: int
    reason: str
    headers: Headers
    head: bytes
    body: bytes = b""
    #: The pieces of a chunked body.
    chunks: list[bytes] = dataclasses.field(default_factory=list)
    complete: bool = False
    #: How the body ends: ``"none"``, ``"length"``, ``"chunked"`` or ``"close"``.
    framing: str = "none"
    #: Heads of the 1xx responses that came before.
    interim: list[bytes] = dataclasses.field(default_factory=list)

    @property
    def closes(self) -> bool:
        """Whether the server said that it closes the connection after this one."""
        if self.version == "HTTP/1.0":
            return (self.headers.get("Connection") or "").lower() != "keep-alive"
        return (self.headers.get("Connection") or "").lower() == "close"


class ResponseCut(AssertionError):
    """A response ended before its framing said so; ``response`` is what came of it."""

    def __init__(self, response: RawResponse) -> None:
        super().__init__(f"the response is cut: {response.head!r}, then {response.body[-200:]!r}")
        self.response = response


class RawClient(Wire):
    """A connection to an :class:`Address`, ``(host, port)`` or the path of a unix socket."""

    def __init__(self, address: Any, timeout: float = DEADLINE) -> None:
        if isinstance(address, str):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout)
            sock.connect(address)
        else:
            sock = socket.create_connection(address[:2], timeout)
        super().__init__(sock, timeout)
        #: The last response that was read.
        self.last: RawResponse | None = None

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def exchange(self, raw: bytes, *, allow_cut: bool = False) -> RawResponse:
        """Send ``raw``, read one response (a ``HEAD`` is known by the first bytes)."""
        # A server may answer and close before it has read all: the answer counts.
        with contextlib.suppress(ConnectionError):
            self.send(raw)
        response = self.read_response(is_head=raw.startswith(b"HEAD "), allow_cut=allow_cut)
        # waitress ends its chunks in the answer to HEAD too, and closes then.
        ends = (b"", b"0\r\n\r\n") if raw.startswith(b"HEAD ") and response.closes else (b"",)
        assert self.buffer in ends, f"after the response came {self.buffer[:200]!r}"
        return response

    def read_response_head(self) -> RawResponse:
        """Read up to the end of the final head; the body stays on the wire."""
        interim: list[bytes] = []
        while True:
            head, lines = self.read_head()
            version, _, rest = lines[0].decode("latin-1").partition(" ")
            code, _, reason = rest.partition(" ")
            if not 100 <= int(code) < 200 or int(code) == 101:
                headers = Headers.parse(lines[1:])
                return RawResponse(version, int(code), reason, headers, head, interim=interim)
            interim.append(head)

    def read_response(self, *, is_head: bool = False, allow_cut: bool = False) -> RawResponse:
        """Read one response by its framing.

        :raises ResponseCut: when its body is cut, unless ``allow_cut`` is true; then the
            response tells it by ``complete``.
        """
        response = self.last = self.read_response_head()
        try:
            self._read_body(response, is_head)
            response.complete = True
        except PeerClosed as gone:
            response.body = response.body or gone.partial
            if not allow_cut:
                raise ResponseCut(response) from gone
        return response

    def _read_body(self, response: RawResponse, is_head: bool) -> None:
        headers = response.headers
        if is_head or response.status in (101, 204, 304):
            return
        if (headers.get("Transfer-Encoding") or "").lower() == "chunked":
            response.framing = "chunked"
            for chunk in self.iter_chunks():
                response.chunks.append(chunk)
                response.body += chunk
        elif (length := headers.get("Content-Length")) is not None:
            response.framing = "length"
            response.body = self.read_exactly(int(length))
        else:
            response.framing = "close"
            response.body = self.read_to_end()
            if self.ended == "reset":
                raise PeerClosed(b"", "reset")

    def is_open(self) -> bool:
        """Whether the server takes another request on this connection; it is asked one."""
        if self.last is not None and self.last.closes:
            return False
        try:
            self.send(b"GET /__still_open__ HTTP/1.1\r\nHost: front\r\n\r\n")
            self.read_response()
        except (ConnectionError, PeerClosed):
            return False
        return True

    def wait_cut(self) -> str:
        """Wait until the server has closed or reset; tells which."""
        eventually(lambda: self.read_some() == b"", what="the server closes")
        return self.ended


def get(target: str, *headers: str | tuple[str, str], method: str = "GET") -> bytes:
    """The bytes of a request without a body, ``Host: front`` first."""
    return message(f"{method} {target} HTTP/1.1", ("Host: front", *headers))


def post(target: str, body: bytes, *headers: str | tuple[str, str], method: str = "POST") -> bytes:
    """The bytes of a request with a ``Content-Length`` body, ``Host: front`` first."""
    length = f"Content-Length: {len(body)}"
    return message(f"{method} {target} HTTP/1.1", ("Host: front", *headers, length), body)
