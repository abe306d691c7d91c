"""The rules of PEP 3333, checked by ``wsgiref.validate`` around and below the middleware."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import webob

from tests.support import RawUpstream, Site, UpstreamConnection, get, message, post

Proxied = Callable[..., Site]

TYPE = "Content-Type: text/plain"


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    return message(f"HTTP/1.1 {status}", [TYPE, *headers], body)


UPSTREAM = {
    "length": answer("200 OK", "Content-Length: 5", body=b"hello"),
    "empty": answer("200 OK", "Content-Length: 0"),
    "chunked": answer(
        "200 OK", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"
    ),
    "large": answer("200 OK", "Content-Length: 300000", body=b"x" * 300_000),
    "hop-by-hop": answer(
        "200 OK",
        "Connection: keep-alive, X",
        "X: y",
        "Keep-Alive: 1",
        "Upgrade: h",
        "Content-Length: 0",
    ),
    "no-reason": answer("200", "Content-Length: 0"),
    "no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not-modified": b"HTTP/1.1 304 Not Modified\r\nETag: e\r\n\r\n",
    "redirect": answer("302 Found", "Location: /x", "Set-Cookie: a=b; Path=/", "Content-Length: 0"),
    "interim": b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n" + answer("200 OK", "Content-Length: 0"),
    "nonsense": b"nonsense\r\n\r\n",
    "unasked-upgrade": answer("101 Switch", "Upgrade: x", "Connection: Upgrade"),
}

CLIENT = {
    "get": get("/p/a%2Fb?c=d"),
    "head": get("/p/x", method="HEAD"),
    "post": post("/p/x", b"body", "Content-Type: a/b"),
    "large-post": post("/p/x", b"x" * 300_000, "Content-Type: a/b"),
    "slash": get("/p"),
    "climbing": get("/p/../x"),
    "bad-host": message("GET /p/x HTTP/1.1", ["Host: a/b"]),
    "too-large": post("/p/x", b"x" * 500_001, "Content-Type: a/b"),
    "front": get("/else"),
    "front-post": post("/else", b"body", "Content-Type: a/b"),
}


@pytest.mark.parametrize("server", ["waitress", "wsgiref"])
@pytest.mark.parametrize("sent", CLIENT)
@pytest.mark.parametrize("given", UPSTREAM)
def test_every_exchange_keeps_to_the_rules_of_wsgi(
    proxied: Proxied, server: str, sent: str, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = proxied(server=server, validate=True, max_body=500_000)
    site.upstream.respond(UPSTREAM[given])

    response = site.exchange(CLIENT[sent])

    # An assertion of the validator is a 500 of the server.
    assert response.status != 500, caplog.text
    assert "AssertionError" not in caplog.text


HOOKS: dict[str, dict[str, Any]] = {
    "rewrite": {"rewrite": lambda request: request.headers.update({"X-New": "n"})},
    "rewrite-answers": {"rewrite": lambda request: webob.Response("own")},
    "modify": {
        "modify_response": lambda response, request: response.headers.update({"X-New": "n"})
    },
    "modify-replaces": {"modify_response": lambda response, request: webob.Response("other")},
    "on-error": {"on_error": lambda error, request: webob.Response("sorry", status=error.status)},
}


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("given", ["length", "chunked", "nonsense", "no-content"])
def test_hooks_keep_to_the_rules_of_wsgi(
    proxied: Proxied, hook: str, method: str, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = proxied(validate=True, **HOOKS[hook])
    site.upstream.respond(UPSTREAM[given])

    response = site.get("/p/x", method=method)

    assert response.status in (200, 204, 502), caplog.text
    assert method != "HEAD" or response.body == b""


@pytest.mark.parametrize(
    "broken",
    [b"Content-Length: 100\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
)
def test_broken_body_is_cut_within_the_rules_of_wsgi(proxied: Proxied, broken: bytes) -> None:
    site = proxied(validate=True)

    def half(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(b"HTTP/1.1 200 OK\r\n" + TYPE.encode() + b"\r\n" + broken)

    site.upstream.script(half)

    assert not site.get("/p/x", allow_cut=True).complete


def test_client_that_leaves_is_within_the_rules_of_wsgi(
    proxied: Proxied, upstream: RawUpstream
) -> None:
    def endless(conn: Any) -> None:
        conn.read_request()
        conn.send(answer("200 OK", "Transfer-Encoding: chunked"))
        while True:
            conn.send_chunk(b"x" * 60_000)

    upstream.script(endless)
    site = proxied(validate=True)
    client = site.connect()
    client.send(get("/p/x"))
    client.read_until(b"xxx")
    client.close()

    assert upstream.connections[0].finished.wait(10)
