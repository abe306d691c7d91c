"""When a connection to the upstream is kept, and which request bodies are read."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import Site, get, post
from wsgiproxy.errors import BadRequest, CodingUnsupported
from wsgiproxy.forwarding.prepare import CODING
from wsgiproxy.forwarding.serialize import read_body

Proxied = Callable[..., Site]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"


def asked_twice(site: Site, response: bytes, request: bytes) -> int:
    """How many connections two exchanges took."""
    site.upstream.respond(response)
    client = site.connect()
    for _ in range(2):
        assert client.exchange(request).body == b"ok"
    return len(site.upstream.connections)


def test_connection_is_kept_where_nothing_speaks_against_it(proxied: Proxied) -> None:
    assert asked_twice(proxied(), OK + b"\r\nok", get("/p/x")) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: x,\tclose\r\n",
        b"Keep-Alive: timeout=1\r\n",
        b"Keep-Alive: max=9, timeout=0\r\n",
        b"WWW-Authenticate: NTLM\r\n",
        b"WWW-Authenticate: Basic realm=x, Negotiate\r\n",
        b"Proxy-Authenticate: ntlm\r\n",
    ],
)
def test_connection_is_given_up_where_the_upstream_says_so(proxied: Proxied, line: bytes) -> None:
    assert asked_twice(proxied(), OK + line + b"\r\nok", get("/p/x")) == 2


@pytest.mark.parametrize("scheme", ["NTLM abc", "negotiate abc"])
def test_connection_that_was_logged_in_is_given_up(proxied: Proxied, scheme: str) -> None:
    request = get("/p/x", f"Authorization: {scheme}")

    assert asked_twice(proxied(), OK + b"\r\nok", request) == 2


def test_connection_is_given_up_after_a_get_with_a_body(proxied: Proxied) -> None:
    request = post("/p/x", b"body", method="GET")

    assert asked_twice(proxied(), OK + b"\r\nok", request) == 2


@pytest.mark.parametrize(
    ("coding", "protocol", "error"),
    [
        ("gzip, chunked", "HTTP/1.1", CodingUnsupported),
        ("chunked, chunked", "HTTP/1.1", CodingUnsupported),
        ("identity", "HTTP/1.1", CodingUnsupported),
        ("chunked", "HTTP/1.0", BadRequest),
    ],
)
def test_body_that_cannot_be_told_from_the_next_request_is_refused(
    coding: str, protocol: str, error: type[Exception]
) -> None:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "SERVER_PROTOCOL": protocol,
        CODING: coding,
        "wsgi.input": io.BytesIO(b"body"),
        "wsgi.input_terminated": True,
    }

    with pytest.raises(error):
        read_body(environ, None)


def test_trailers_pass_by_the_relay_but_for_cookies(proxied: Proxied) -> None:
    site = proxied(relay_over=1)

    def handler(conn: Any) -> None:
        conn.read_request()
        conn.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\n\r\n"
        )

    site.upstream.script(handler)
    client = site.connect()
    client.send(get("/p/x"))
    client.read_response_head()
    rest = client.read_to_end()

    assert rest.endswith(b"0\r\nX-Sum: 1\r\n\r\n")
