"""The handshake, byte by byte: what is asked, what is checked, what is refused."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import RawUpstream, Site, eventually, get, post
from wsgiproxy.protocol.upgrade import WEBSOCKET_GUID

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(hashlib.sha1((KEY + WEBSOCKET_GUID).encode()).digest()).decode()
ASKED = (
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {KEY}",
)
SWITCHED = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    f"Sec-WebSocket-Accept: {ACCEPT}",
)
Proxied = Callable[..., Site]


def switching(*headers: str) -> bytes:
    """A 101 with these headers."""
    lines = ["HTTP/1.1 101 Switching Protocols", *headers, "", ""]
    return "\r\n".join(lines).encode()


def test_handshake_passes_with_both_sides_headers(proxied: Proxied, upstream: RawUpstream) -> None:
    upstream.respond(switching(*SWITCHED, "X-More: yes", "Keep-Alive: 5", "Content-Length: 0"))
    site = proxied()
    client = site.connect()
    client.send(get("/p/ws?x=1", *ASKED, "Sec-WebSocket-Extensions: permessage-deflate; a=1"))
    response = client.read_response_head()
    assert response.status == 101
    assert response.headers.get("Upgrade") == "websocket"
    assert response.headers.get("Connection") == "Upgrade"
    assert response.headers.get("Sec-WebSocket-Accept") == ACCEPT
    assert response.headers.get("X-More") == "yes"
    assert response.headers.get("Keep-Alive") is None
    assert response.headers.get("Content-Length") is None
    sent = upstream.request
    assert sent.target == "/ws?x=1"
    assert sent.headers.get("Upgrade") == "websocket"
    assert sent.headers.get("Connection") == "Upgrade"
    assert sent.headers.get("Sec-WebSocket-Key") == KEY
    assert sent.headers.get("Sec-WebSocket-Extensions") == "permessage-deflate; a=1"
    assert sent.headers.get("Host") == upstream.netloc


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Upgrade: h2c", "Connection: Upgrade", f"Sec-WebSocket-Accept: {ACCEPT}"),
        ("Upgrade: websocket, h2c", "Connection: Upgrade", f"Sec-WebSocket-Accept: {ACCEPT}"),
        ("Upgrade: websocket", f"Sec-WebSocket-Accept: {ACCEPT}"),
        ("Upgrade: websocket", "Connection: Upgrade"),
        ("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {ACCEPT[::-1]}"),
        (*SWITCHED, f"Sec-WebSocket-Accept: {ACCEPT}"),
        (*SWITCHED, "Sec-WebSocket-Protocol: never-offered"),
    ],
    ids=[
        "nothing",
        "another-protocol",
        "two-protocols",
        "no-connection",
        "no-accept",
        "wrong-accept",
        "two-accepts",
        "unasked-subprotocol",
    ],
)
def test_101_that_does_not_fit_is_502(
    proxied: Proxied, upstream: RawUpstream, headers: tuple[str, ...]
) -> None:
    upstream.respond(switching(*headers))
    response = proxied().get("/p/ws", *ASKED)
    assert response.status == 502
    eventually(lambda: upstream.connections[0].finished.is_set())


@pytest.mark.parametrize(
    "asked",
    [
        (),
        ("Upgrade: websocket",),
        ("Connection: Upgrade",),
        ("Connection: Upgrade", "Upgrade: h2c"),
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA"),
    ],
    ids=["plain", "no-connection", "no-upgrade", "h2c", "h2c-settings"],
)
def test_unasked_101_is_502_and_upgrade_headers_stay_here(
    proxied: Proxied, upstream: RawUpstream, asked: tuple[str, ...]
) -> None:
    upstream.respond(switching(*SWITCHED))
    assert proxied().get("/p/ws", *asked).status == 502
    names = upstream.request.headers.names()
    assert not {"upgrade", "connection", "http2-settings"} & set(names)


def test_request_with_a_body_is_no_upgrade(proxied: Proxied, upstream: RawUpstream) -> None:
    site = proxied()
    response = site.exchange(post("/p/ws", b"body", *ASKED))
    assert response.status == 200
    assert upstream.request.headers.get("Upgrade") is None


@pytest.mark.parametrize("server", ["waitress", "werkzeug"])
@pytest.mark.parametrize(
    ("framing", "body"),
    [("Content-Length: 4", b"body"), ("Transfer-Encoding: chunked", b"4\r\nbody\r\n0\r\n\r\n")],
    ids=["length", "chunked"],
)
def test_get_with_a_body_is_no_upgrade(
    proxied: Proxied, upstream: RawUpstream, server: str, framing: str, body: bytes
) -> None:
    response = proxied(server=server).exchange(get("/p/ws", *ASKED, framing) + body)
    assert response.status == 200
    assert upstream.request.headers.get("Upgrade") is None
    assert upstream.request.headers.get("Connection") is None
    assert upstream.request.body == b"body"


def test_http_1_0_client_cannot_upgrade(proxied: Proxied, upstream: RawUpstream) -> None:
    site = proxied()
    site.exchange(get("/p/ws", *ASKED).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    assert upstream.request.headers.get("Upgrade") is None


def test_other_protocol_passes_if_the_route_allows_it(
    proxied: Proxied, upstream: RawUpstream
) -> None:
    upstream.respond(switching("Upgrade: Tunnel/2", "Connection: upgrade") + b"welcome")
    client = proxied(upgrade=("tunnel/2",)).connect()
    client.send(get("/p/x", "Connection: upgrade", "Upgrade: Tunnel/2"))
    assert client.read_response_head().status == 101
    assert client.read_exactly(7) == b"welcome"


def test_no_protocol_passes_if_the_route_allows_none(
    proxied: Proxied, upstream: RawUpstream
) -> None:
    assert proxied(upgrade=()).get("/p/ws", *ASKED).status == 200
    assert upstream.request.headers.get("Upgrade") is None


@pytest.mark.parametrize("status", [401, 403, 404, 426, 200, 302])
def test_refusal_reaches_the_client_and_ends_the_connection(
    proxied: Proxied, upstream: RawUpstream, status: int
) -> None:
    upstream.respond(
        b"HTTP/1.1 %d Told You\r\nContent-Length: 4\r\nX-Why: because\r\n"
        b"Location: /login\r\n\r\nbody" % status
    )
    client = proxied().connect()
    client.send(get("/p/ws", *ASKED))
    response = client.read_response()
    assert (response.status, response.reason, response.body) == (status, "Told You", b"body")
    assert response.headers.get("X-Why") == "because"
    assert response.headers.get("Location") == "/p/login"
    assert response.closes
    assert client.read_to_end() == b""


def test_request_glued_behind_a_refused_upgrade_is_not_served(
    proxied: Proxied, upstream: RawUpstream
) -> None:
    upstream.respond(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
    client = proxied().connect()
    client.send(get("/p/ws", *ASKED) + get("/p/smuggled"))
    assert client.read_response().status == 403
    assert client.read_to_end() == b""
    assert [request.target for request in upstream.requests] == ["/ws"]


def test_request_glued_behind_an_accepted_upgrade_is_refused(
    proxied: Proxied, upstream: RawUpstream
) -> None:
    upstream.respond(switching(*SWITCHED))
    client = proxied().connect()
    client.send(get("/p/ws", *ASKED) + get("/p/smuggled"))
    assert client.read_response().status == 400
    eventually(lambda: upstream.connections[0].finished.is_set())


def test_refusal_body_that_breaks_off_is_not_whole(proxied: Proxied, upstream: RawUpstream) -> None:
    def handler(conn: Any) -> None:
        conn.read_request()
        conn.send(b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")

    upstream.script(handler)
    client = proxied().connect()
    client.send(get("/p/ws", *ASKED))
    response = client.read_response(allow_cut=True)
    assert (response.status, response.body, response.complete) == (403, b"first", False)


def test_upstream_that_is_down_is_502(proxied: Proxied, upstream: RawUpstream) -> None:
    site = proxied()
    upstream.stop_listening()
    assert site.get("/p/ws", *ASKED).status == 502


def test_silent_upstream_is_504(proxied: Proxied, upstream: RawUpstream) -> None:
    upstream.script(lambda conn: (conn.read_request(), conn.read_some()))
    assert proxied(read_timeout=0.2).get("/p/ws", *ASKED).status == 504


def test_hook_that_answers_keeps_the_upstream_unbothered(
    upstream: RawUpstream, proxied: Proxied
) -> None:
    import webob

    site = proxied(rewrite=lambda request: webob.Response(status=401, body=b"log in"))
    response = site.get("/p/ws", *ASKED)
    assert (response.status, response.body) == (401, b"log in")
    assert upstream.requests == []


def test_hook_sees_the_upgrade_and_may_add_to_it(proxied: Proxied, upstream: RawUpstream) -> None:
    seen: list[str] = []

    def rewrite(request: Any) -> None:
        seen.append(request.headers["Upgrade"])
        request.headers["X-Token"] = "secret"

    upstream.respond(switching(*SWITCHED))
    client = proxied(rewrite=rewrite).connect()
    client.send(get("/p/ws", *ASKED))
    assert client.read_response_head().status == 101
    assert seen == ["websocket"]
    assert upstream.request.headers.get("X-Token") == "secret"


def test_foreign_origin_passes_untouched(proxied: Proxied, upstream: RawUpstream) -> None:
    upstream.respond(switching(*SWITCHED))
    client = proxied().connect()
    client.send(get("/p/ws", *ASKED, "Origin: https://evil.example"))
    assert client.read_response_head().status == 101
    assert upstream.request.headers.get("Origin") == "https://evil.example"


def test_full_route_answers_503_before_asking_upstream(
    proxied: Proxied, upstream: RawUpstream
) -> None:
    def handler(conn: Any) -> None:
        conn.read_request()
        conn.send(switching(*SWITCHED))
        conn.read_to_end()

    upstream.script(handler)
    site = proxied(max_tunnels=2)
    clients = [site.connect() for _ in range(2)]
    for client in clients:
        client.send(get("/p/ws", *ASKED))
        assert client.read_response_head().status == 101
    response = site.get("/p/ws", *ASKED)
    assert response.status == 503
    assert response.headers.get("Retry-After") == "5"
    assert len(upstream.requests) == 2
    clients[0].close()

    def try_again() -> bool:
        client = site.connect()
        client.send(get("/p/ws", *ASKED))
        return client.read_response_head().status == 101

    eventually(try_again)


def test_failed_handshakes_give_their_place_back(proxied: Proxied, upstream: RawUpstream) -> None:
    answers = {
        "/refused": b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n",
        "/wrong": switching("Upgrade: nonsense"),
    }
    upstream.respond(lambda request: answers[request.target])
    site = proxied(max_tunnels=1)
    for target, status in [("/p/wrong", 502), ("/p/refused", 403)] * 5:
        # The relay gives a place back a moment after the client has the refusal.
        expect(site, target, status)


def expect(site: Site, target: str, status: int) -> None:
    eventually(lambda: site.get(target, *ASKED).status == status)
