"""A real listening upstream that sends exactly the bytes a test wants.

::

    with RawUpstream() as upstream:
        upstream.respond(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")
        ...                                  # every request is answered so
        assert upstream.requests[0].target == "/x"

        def handler(conn):                   # or: a script for each connection
            request = conn.read_request()
            conn.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\nhalf")
            conn.reset()
        upstream.script(handler)

A handler runs in its own thread, one for each connection. It may raise
:class:`PeerClosed` or a ``ConnectionError`` (the proxy left: that ends the connection
and nothing else); any other exception, assertions included, is raised again when the
upstream is closed, so that it fails the test.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from .deadline import DEADLINE, eventually
from .wire import Headers, PeerClosed, Wire

__all__ = ["Handler", "RawUpstream", "RequestRecord", "UpstreamConnection"]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


@dataclasses.dataclass
class RequestRecord:
    """One request as it came: ``raw`` are its very bytes (the body's framing included)."""

    connection: int
    method: str
    target: str
    version: str
    headers: Headers
    head: bytes
    body: bytes = b""
    chunks: list[bytes] = dataclasses.field(default_factory=list)
    #: Whether the body came whole, by its own framing.
    complete: bool = False

    @property
    def is_chunked(self) -> bool:
        """Whether the body is framed by chunks."""
        return (self.headers.get("Transfer-Encoding") or "").lower() == "chunked"

    @property
    def length(self) -> int:
        """The ``Content-Length``, 0 without one."""
        return int(self.headers.get("Content-Length") or 0)


Answer = bytes | Callable[[RequestRecord], bytes]


class UpstreamConnection(Wire):
    """What a handler gets: one accepted connection (see :class:`Wire` for the rest)."""

    def __init__(self, upstream: RawUpstream, sock: socket.socket, number: int) -> None:
        super().__init__(sock, upstream.timeout)
        self.upstream = upstream
        #: 0 for the first connection that the upstream accepted.
        self.number = number
        #: Set when the handler has ended and the socket is closed.
        self.finished = threading.Event()

    def read_request_head(self) -> RequestRecord:
        """Read a request's head and record it; the body stays on the wire."""
        head, lines = self.read_head()
        method, _, rest = lines[0].decode("latin-1").partition(" ")
        target, _, version = rest.rpartition(" ")
        headers = Headers.parse(lines[1:])
        record = RequestRecord(self.number, method, target, version, headers, head)
        self.upstream.requests.append(record)
        return record

    def read_request_body(self, record: RequestRecord) -> bytes:
        """Read the body that the head announced; raises :class:`PeerClosed` if it is cut."""
        try:
            if record.is_chunked:
                for chunk in self.iter_chunks():
                    record.chunks.append(chunk)
                    record.body += chunk
            elif record.length:
                record.body = self.read_exactly(record.length)
        except PeerClosed as gone:
            record.body = record.body or gone.partial
            raise
        record.complete = True
        return record.body

    def read_request(self) -> RequestRecord:
        """Read and record one whole request; raises :class:`PeerClosed` at the end."""
        record = self.read_request_head()
        self.read_request_body(record)
        return record

    def answer(self, record: RequestRecord, answer: Answer) -> None:
        """Send an answer, or what a function makes of the request."""
        self.send(answer if isinstance(answer, bytes) else answer(record))


Handler = Callable[[UpstreamConnection], object]


def answering(answer: Answer) -> Handler:
    """A handler that answers every request of a connection alike, keeping it alive."""

    def handler(conn: UpstreamConnection) -> None:
        while True:
            conn.answer(conn.read_request(), answer)

    return handler


def current_answer(conn: UpstreamConnection) -> None:
    """The handler that :meth:`RawUpstream.respond` sets: the answer may change meanwhile."""
    while True:
        record = conn.read_request()
        conn.answer(record, conn.upstream.current_answer)


class RawUpstream:
    """A listening socket on port 0 (or a unix path) with a script per connection.

    :param unix: listen on this path instead of a TCP port.
    :param tls: a server-side context; the URL is then ``https://localhost:PORT``.
    :param host: the address to listen on; ``"::1"`` works too.
    :param timeout: seconds a handler may wait for one read or write.
    """

    def __init__(
        self,
        *,
        unix: Path | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        timeout: float = DEADLINE,
    ) -> None:
        self.timeout = timeout
        self.tls = tls
        #: Every request in the order of arrival, of all connections.
        self.requests: list[RequestRecord] = []
        #: Every connection that was accepted (after the TLS handshake, if any).
        self.connections: list[UpstreamConnection] = []
        #: What went wrong in TLS handshakes.
        self.handshake_errors: list[Exception] = []
        self.current_answer: Answer = OK
        self._scripts: list[Handler] = [current_answer]
        self._errors: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._accepted = 0
        self._closing = threading.Event()
        self._listener = _listen(unix, host)
        self.address = str(unix) if unix else self._listener.getsockname()[:2]
        self._start(self._accept)

    # -- what a test asks --------------------------------------------------------

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self._listener.getsockname()[1])

    @property
    def netloc(self) -> str:
        """``host:port`` as it stands in :attr:`url`."""
        host = "localhost" if self.tls else self.address[0]
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL to proxy to, without a path."""
        return f"{'https' if self.tls else 'http'}://{self.netloc}"

    @property
    def request(self) -> RequestRecord:
        """The only request that came."""
        assert len(self.requests) == 1, [r.head for r in self.requests]
        return self.requests[0]

    def wait_for_requests(self, count: int = 1) -> list[RequestRecord]:
        """Wait until ``count`` request heads have come; return all of them."""
        eventually(lambda: len(self.requests) >= count, what=f"{count} requests")
        return self.requests

    def wait_for_connections(self, count: int = 1) -> list[UpstreamConnection]:
        """Wait until ``count`` connections were accepted; return all of them."""
        eventually(lambda: len(self.connections) >= count, what=f"{count} connections")
        return self.connections

    # -- what it answers ---------------------------------------------------------

    def respond(self, *answers: Answer) -> None:
        """Answer every request with these bytes, or with what a function of it returns.

        One answer is given on connections that stand already, too. With several, each
        new connection has the next one; the last one stays.
        """
        if len(answers) == 1:
            self.current_answer = answers[0]
            self.script(current_answer)
        else:
            self.script(*(answering(answer) for answer in answers))

    def script(self, *handlers: Handler) -> None:
        """Let the next connections run these handlers, one each; the last one stays."""
        self._scripts = list(handlers)

    # -- the threads -------------------------------------------------------------

    def __enter__(self) -> RawUpstream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def stop_listening(self) -> None:
        """Refuse new connections; those that stand go on."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        """End all connections and threads, then raise what a handler raised first."""
        self._closing.set()
        self.stop_listening()
        for conn in list(self.connections):
            conn.abort_waits()
        for thread in self._threads:
            thread.join(self.timeout * 2)
            assert not thread.is_alive(), "a handler of the upstream does not end"
        if self._errors:
            raise self._errors[0]

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            handler = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
            self._start(self._run, handler, sock, self._accepted)
            self._accepted += 1

    def _run(self, handler: Handler, sock: socket.socket, number: int) -> None:
        sock.settimeout(self.timeout)
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
        except OSError as error:
            self.handshake_errors.append(error)
            sock.close()
            return
        conn = UpstreamConnection(self, sock, number)
        self.connections.append(conn)
        try:
            handler(conn)
        except (PeerClosed, ConnectionError):
            pass
        except BaseException as error:
            if not self._closing.is_set():
                self._errors.append(error)
        finally:
            conn.close()
            conn.finished.set()


def _listen(unix: Path | None, host: str) -> socket.socket:
    if unix is not None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(unix))
    else:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.bind((host, 0))
    listener.listen(64)
    return listener
