"""What no single request and answer can show: streams, switches of protocols, waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.support import PeerClosed, RawClient, RequestRecord, get, message
from tests.support.upstream import UpstreamConnection

from .bench import Front

__all__ = ["SCENARIOS"]

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
_SWITCH = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
_SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


def events(front: Front) -> str:
    """The second event is sent once the client has the first one."""

    def handle(conn: UpstreamConnection, record: RequestRecord) -> bool:
        conn.send(_EVENTS + b"data: 1\n\n")
        return bool(conn.read_some())

    front.bench.handler = handle
    with RawClient(front.address) as client:
        client.send(get("/p/events", "Accept: text/event-stream"))
        client.read_response_head()
        client.read_until(b"data: 1\n\n")
    return "at once"


def upload(front: Front) -> str:
    """The upstream sees the beginning of a body whose end has not been sent."""
    begun = threading.Event()

    def handle(conn: UpstreamConnection, record: RequestRecord) -> bool:
        conn.read_exactly(5)
        begun.set()
        conn.read_exactly(record.length - 5)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return True

    front.bench.handler = handle
    with RawClient(front.address) as client:
        head = ("Host: front", "Content-Length: 100000")
        client.send(message("POST /p/x HTTP/1.1", head, b"hello"))
        is_early = begun.wait(0.5)
        client.send(b"x" * 99995)
        client.read_response()
    return "while it comes" if is_early else "once it is there"


def switch(front: Front) -> str:
    """Bytes go both ways after 101, of which some come with the head."""

    def handle(conn: UpstreamConnection, record: RequestRecord) -> bool:
        conn.send(_SWITCHED + b"early")
        conn.send(conn.read_exactly(4))
        return False

    front.bench.handler = handle
    with RawClient(front.address) as client:
        client.send(get("/p/ws", *_SWITCH))
        status = client.read_response_head().status
        if status != 101:
            return f"status {status}"
        client.send(b"ping")
        return client.read_exactly(9).decode()


def other_switch(front: Front) -> str:
    """A protocol that the route does not name."""
    front.exchange(get("/p/x", "Connection: Upgrade", "Upgrade: other"), _OK)
    return f"Upgrade: {front.bench.upstream.requests[-1].headers.get('Upgrade')}"


def coding(front: Front) -> str:
    """What the upstream is asked for by a client that says nothing of codings."""
    front.exchange(get("/p/x"), _OK)
    return f"Accept-Encoding: {front.bench.upstream.requests[-1].headers.get('Accept-Encoding')}"


def silence(front: Front) -> str:
    """No head within ``read_timeout``."""
    front.bench.handler = lambda conn, record: bool(conn.read_some())
    with RawClient(front.address) as client:
        return f"status {client.exchange(get('/slow/x')).status}"


def lasting(front: Front) -> str:
    """An event stream is silent for longer than ``read_timeout``, not than ``idle_timeout``."""

    def handle(conn: UpstreamConnection, record: RequestRecord) -> bool:
        conn.send(_EVENTS + b"data: 1\n\n")
        if conn.is_silent(1.2):
            conn.send(b"data: 2\n\n")
            conn.read_some()
        return False

    front.bench.handler = handle
    with RawClient(front.address) as client:
        client.send(get("/slow/events", "Accept: text/event-stream"))
        try:
            client.read_response_head()
            client.read_until(b"data: 2\n\n")
        except PeerClosed:
            return "is cut"
    return "goes on"


def leaving(front: Front) -> str:
    """The upstream learns that the client has left a stream."""
    told = threading.Event()

    def handle(conn: UpstreamConnection, record: RequestRecord) -> bool:
        conn.send(_EVENTS + b"data: 1\n\n")
        conn.wait_closed()
        told.set()
        return False

    front.bench.handler = handle
    with RawClient(front.address) as client:
        client.send(get("/p/events", "Accept: text/event-stream"))
        client.read_response_head()
        client.read_until(b"data: 1\n\n")
    return "told" if told.wait(5) else "not told"


#: By name, what is tried; each gives its outcome in a few words.
SCENARIOS: dict[str, Callable[[Front], str]] = {
    "an event of a stream arrives": events,
    "an upload is passed on": upload,
    "a WebSocket": switch,
    "a switch to a protocol that upgrade does not name": other_switch,
    "a request without Accept-Encoding": coding,
    "no answer within read_timeout": silence,
    "a stream silent for longer than read_timeout": lasting,
    "a client leaves a stream": leaving,
}
