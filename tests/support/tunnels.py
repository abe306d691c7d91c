"""What the tests of tunnels and streams share: an application that takes connections over,
a pair of connected sockets, and counting descriptors."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import serve as serve_tcp
from websockets.asyncio.server import unix_serve as serve_unix
from websockets.exceptions import ConnectionClosed

from tests.support import eventually
from wsgiproxy import errors
from wsgiproxy.relay import Endpoint, Tunnel, relay
from wsgiproxy.servers import hijack as takeover

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: Every server whose connections can be had.
SERVERS = ("waitress", "gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent", "werkzeug")

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n"


def taker(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Take the client's connection and echo on it; ``/plain`` is answered as usual."""
    if environ["PATH_INFO"] == "/plain":
        start_response("200 OK", [("Content-Length", "5"), ("Content-Type", "text/plain")])
        return [b"plain"]
    found = takeover.find(environ)
    assert found is not None
    assert takeover.is_direct(start_response)
    try:
        taken = found.hijack()
    except errors.HijackRefused as refused:
        body = str(refused).encode()
        start_response("400 Bad Request", [("Content-Length", str(len(body)))])
        return [body]
    upstream, echo = socket.socketpair()
    threading.Thread(target=echo_bytes, args=(echo,), daemon=True).start()
    client = Endpoint(taken.sock, SWITCHING, found.holds_worker)
    job = Tunnel(client, Endpoint(upstream, taken.early), 60.0, None)
    if found.holds_worker:
        relay.hold(job)
    else:
        relay.submit(job)
    start_response("101 Switching Protocols", [])
    return found.release()


def tls_taker(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The same, for servers that speak TLS themselves."""
    return taker(environ, start_response)


def echo_bytes(sock: socket.socket) -> None:
    """Send back what comes until the other side ends."""
    with sock:
        try:
            while data := sock.recv(65536):
                sock.sendall(data)
        except OSError:
            pass


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    for sock in (near, far):
        sock.settimeout(15)
    return near, far


def descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def settled(count: int, threads: int) -> None:
    """Wait until descriptors and threads are back to these numbers."""
    eventually(lambda: descriptors() <= count, what=f"{count} descriptors")
    eventually(lambda: threading.active_count() <= threads, what=f"{threads} threads")


def read_exactly(sock: Any, size: int) -> bytes:
    """``size`` bytes, or fewer at the end."""
    received = b""
    while len(received) < size:
        piece = sock.recv(min(65536, size - len(received)))
        if not piece:
            break
        received += piece
    return received


def log_of(address: Any) -> str:
    """What gunicorn has logged."""
    return Path(address.log).read_text() if address.log else ""


def server_context(authority: Any, *names: str) -> ssl.SSLContext:
    """A server-side context for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


class EchoServer:
    """A WebSocket upstream made with the ``websockets`` library; echoes, and more by path.

    ``/subprotocol`` speaks ``second``, ``/close`` closes with 4321, ``/refuse`` answers 403,
    ``/greet`` speaks first, ``/die`` breaks its connection after the first message.

    :param tls: a server-side context; the URL is then ``https://localhost:PORT``.
    :param unix: the path of a unix socket to listen on instead.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, unix: str | None = None) -> None:
        self.paths: list[str] = []
        self.headers: list[Any] = []
        #: The connections that are open now.
        self.connections: set[Any] = set()
        self._tls, self._unix = tls, unix
        self.url = ""
        self.loop = asyncio.new_event_loop()
        self._started, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> EchoServer:
        self._thread.start()
        assert self._started.wait(15)
        return self

    def __exit__(self, *exception: object) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(15)
        self.loop.close()

    async def _run(self) -> None:
        options: dict[str, Any] = {
            "process_request": self._request,
            "select_subprotocol": self._subprotocol,
            "max_size": None,
            "ssl": self._tls,
            "close_timeout": 0.5,
            "ping_interval": None,
        }
        if self._unix:
            server = serve_unix(self._echo, self._unix, **options)
        else:
            server = serve_tcp(self._echo, "127.0.0.1", 0, backlog=1024, **options)
        async with server as running:
            port = None if self._unix else running.sockets[0].getsockname()[1]
            scheme, host = ("https", "localhost") if self._tls else ("http", "127.0.0.1")
            self.url = f"unix:{self._unix}" if self._unix else f"{scheme}://{host}:{port}"
            self._started.set()
            await self._stop.wait()

    def _request(self, connection: Any, request: Any) -> Any:
        self.paths.append(request.path)
        self.headers.append(request.headers)
        if request.path == "/refuse":
            return connection.respond(403, "you may not\n")
        return None

    def _subprotocol(self, connection: Any, offered: Any) -> Any:
        return "second" if "second" in offered else None

    async def _echo(self, connection: Any) -> None:
        path = connection.request.path
        self.connections.add(connection)
        try:
            if path == "/greet":
                await connection.send("hello before you")
            if path == "/close":
                await connection.close(4321, "as asked")
            async for message in connection:
                if path == "/die":
                    connection.transport.abort()
                await connection.send(message)
        except ConnectionClosed:
            pass
        finally:
            self.connections.discard(connection)
