"""Handing an exchange over from its worker thread to the relay.

Here the pieces meet: the client's connection (``takeover``), the upstream's (an exchange), and
the job that serves the two from now on (``tunnel``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from ..errors import ExchangeError, UpstreamBroken
from ..protocol import fields as rules
from ..protocol.fields import HeaderList
from ..protocol.http1 import Body, Head
from ..relay import Endpoint, OnEnd, PendingResponse, Reply, Stream, Tunnel, relay
from ..servers.hijack import Hijacker, find, is_direct, lift
from ..upstream.exchange import Exchange

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

__all__ = [
    "DIRECT",
    "finish",
    "give_back",
    "make_reply",
    "render",
    "stream",
    "switch",
    "way_out",
]

#: The environ key by which a middleware around us says that it passes event streams on as they
#: are: its own ``start_response`` and the one that it was given. The first has to be ours, or
#: there is one more middleware in between, which has said nothing.
DIRECT = "wsgiproxy.start_response"

#: What a server is told that writes into the void: as little as PEP 3333 allows.
_VOID = [("Content-Type", "application/octet-stream")]


def way_out(
    environ: Mapping[str, Any], start_response: Any, is_stream: bool = False
) -> Hijacker | None:
    """The client's connection, if a response may leave by it.

    ``None`` if the server keeps it, or if a middleware around us has a right to see the
    response, or if a worker would have to stay with it anyhow.
    """
    own, given = environ.get(DIRECT, (None, None))
    if is_stream and own == start_response:
        start_response = given
    if not is_direct(start_response):
        return None
    found = find(environ)
    return None if found is None or found.holds_worker else found


def switch(
    found: Hijacker,
    exchange: Exchange,
    head: bytes,
    timeout: float | None,
    on_end: OnEnd,
    start_response: StartResponse,
) -> Iterable[bytes]:
    """After a 101: relay what both sides send.

    :param head: the 101 for the client.
    :raises HijackRefused, ClientGone: the exchange is still the caller's then.
    """
    taken = found.hijack()
    first = exchange.wire.receive("tunnel") if exchange.wire.has_ahead else b""
    conn, exchange.conn = exchange.conn, None
    sock, conn.sock = conn.sock, None
    client = Endpoint(taken.sock, head + first, found.holds_worker)
    job = Tunnel(client, Endpoint(lift(sock), taken.early), timeout, on_end)
    if found.holds_worker:
        relay.hold(job)
    else:
        relay.submit(job)
    start_response("101 Switching Protocols", [*_VOID])
    return found.release()


def stream(
    found: Hijacker,
    exchange: Exchange,
    reply: Reply,
    timeout: float | None,
    on_end: OnEnd,
    start_response: StartResponse,
) -> Iterable[bytes]:
    """After the head: relay the body. ``on_end`` has to close the exchange.

    :raises HijackRefused, ClientGone: the exchange is still the caller's then.
    """
    client = Endpoint(found.hijack(strict=False).sock, reply.head)
    relay.submit(Stream(client, _upstream_end(exchange), reply, timeout=timeout, on_end=on_end))
    # For the server's own log; what it makes of it goes nowhere.
    start_response("200 OK", [*_VOID])
    return found.release()


def finish(
    found: Hijacker,
    exchange: Exchange,
    adapt: Callable[[Head, bytes], Reply],
    fail: Callable[[ExchangeError], bytes],
    patience: float | None,
    timeout: float | None,
    on_end: OnEnd,
    start_response: StartResponse,
) -> Iterable[bytes]:
    """Before the head: wait for it in the relay. ``on_end`` has to close the exchange.

    :raises HijackRefused, ClientGone: the exchange is still the caller's then.
    """
    client = Endpoint(found.hijack(strict=False).sock)
    job = PendingResponse(
        client,
        _upstream_end(exchange),
        adapt,
        fail,
        patience=patience,
        timeout=timeout,
        on_end=on_end,
    )
    relay.submit(job)
    start_response("102 Processing", [*_VOID])
    return found.release()


def _upstream_end(exchange: Exchange) -> Endpoint:
    # The pool may get it back, so the connection keeps it, under its new number.
    sock = lift(exchange.conn.sock)
    exchange.conn.sock = exchange.wire.sock = sock
    return Endpoint(sock, borrowed=True)


def give_back(exchange: Exchange) -> None:
    """Close an exchange that the relay has had: the pool's connections may block."""
    wire = exchange.wire
    if exchange.conn is not None and wire.sock.fileno() >= 0:
        wire.sock.setblocking(wire._is_plain)
        wire.recount()
    exchange.close()


# -- heads ---------------------------------------------------------------------------


def make_reply(
    environ: Mapping[str, Any],
    status: str,
    headers: HeaderList,
    body: Body,
    ahead: bytes,
    patience: float | None,
) -> Reply:
    """The reply to the client: its head says that the connection ends with it.

    A body without a length goes in chunks to HTTP/1.1 (RFC 9112, 6.1), and to HTTP/1.0 up to
    the end of the connection.
    """
    sized = any(name.lower() == "content-length" for name, _ in headers)
    chunked = not sized and not body.done and environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
    if chunked:
        headers = [*headers, ("Transfer-Encoding", "chunked")]
    return Reply(render(status, headers), body, chunked, sized or body.done, ahead, patience)


def render(status: str, headers: HeaderList) -> bytes:
    """The bytes of a response head that is the last on its connection.

    :raises UpstreamBroken: if a hook has put what no header may hold into one.
    """
    names = {name.lower() for name, _ in headers}
    if "date" not in names:  # RFC 9110, 6.6.1
        headers = [*headers, ("Date", formatdate(usegmt=True))]
    lines = [f"{name}: {value}" for name, value in [*headers, ("Connection", "close")]]
    if not all(map(rules.is_safe_value, [status, *lines])):
        raise UpstreamBroken("a header holds a control character", stage="head")
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")
