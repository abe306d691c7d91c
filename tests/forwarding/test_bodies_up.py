"""Request bodies: every byte arrives, and half of one never looks like a whole."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import (
    RawUpstream,
    Site,
    call,
    eventually,
    front,
    message,
    post,
)
from tests.support.bodies import (
    CHUNKED_POST,
    STREAMING,
    Unseekable,
    pattern,
)
from wsgiproxy import ProxyMiddleware

Proxied = Callable[..., Site]


# -- bodies that are not what they say ------------------------------------------------


@pytest.mark.parametrize(("size", "sent"), [(10, 3), (10, 0), (100_000, 3), (1_000_000, 500_000)])
def test_body_that_ends_early_is_refused_and_never_looks_complete(
    upstream: RawUpstream, size: int, sent: int
) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})

    answer = call(app, "/p/x", pattern(sent), REQUEST_METHOD="POST", CONTENT_LENGTH=str(size))

    assert answer.status.startswith("400")
    eventually(lambda: all(conn.finished.is_set() for conn in upstream.connections))
    assert not any(request.complete for request in upstream.requests)


def test_nothing_is_read_behind_the_length(upstream: RawUpstream) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})
    stream = io.BytesIO(b"abcGET /smuggled HTTP/1.1\r\n\r\n")

    call(app, "/p/x", stream, REQUEST_METHOD="POST", CONTENT_LENGTH="3")

    assert upstream.request.body == b"abc"
    assert stream.tell() == 3


def test_body_that_was_read_already_is_rewound(upstream: RawUpstream) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})
    stream = io.BytesIO(b"abc")
    stream.read()

    answer = call(app, "/p/x", stream, REQUEST_METHOD="POST", CONTENT_LENGTH="3")

    assert answer.status == "200 OK"
    assert upstream.request.body == b"abc"


def test_body_that_a_framework_parsed_is_rewound(upstream: RawUpstream) -> None:
    from webob import Request

    app = ProxyMiddleware(front, {"/p": upstream.url})

    def parsing(environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        request.make_body_seekable()
        assert request.POST["a"] == "b"
        return app(environ, start_response)

    answer = call(
        parsing,
        "/p/x",
        Unseekable(b"a=b"),
        REQUEST_METHOD="POST",
        CONTENT_LENGTH="3",
        CONTENT_TYPE="application/x-www-form-urlencoded",
    )

    assert answer.status == "200 OK"
    assert upstream.request.body == b"a=b"


def test_body_that_was_read_and_cannot_be_rewound_is_a_clear_error(
    upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})
    stream = Unseekable(b"abc")
    stream.read(3)

    answer = call(app, "/p/x", stream, REQUEST_METHOD="POST", CONTENT_LENGTH="3")

    assert answer.status.startswith("400")
    assert "rewound" in caplog.text or caplog.text == ""


@pytest.mark.parametrize(
    "error", [OSError("gone"), ValueError("odd"), TimeoutError("slow")], ids=repr
)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_input_that_raises_is_the_clients_failure(
    upstream: RawUpstream, error: Exception, framing: str
) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})
    environ: dict[str, object] = {"CONTENT_LENGTH": "1000000"}
    if framing == "chunked":
        environ = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}

    answer = call(app, "/p/x", Unseekable(b"abc", error), REQUEST_METHOD="POST", **environ)

    assert answer.status.startswith("40")
    eventually(lambda: all(conn.finished.is_set() for conn in upstream.connections))
    assert not any(request.complete for request in upstream.requests)


@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
@pytest.mark.parametrize("server", STREAMING)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_upload_that_breaks_off_never_looks_complete(
    proxied: Proxied, server: str, framing: str, leave: str
) -> None:
    site = proxied(server=server)
    client = site.connect()

    if framing == "length":
        client.send(message("POST /p/x HTTP/1.1", ["Host: front", "Content-Length: 9000000"]))
        client.send(pattern(1_000_000))
    else:
        client.send(CHUNKED_POST)
        client.send_chunk(pattern(1_000_000))
    site.upstream.wait_for_requests()
    getattr(client, leave)()

    conn = site.upstream.connections[0]
    assert conn.finished.wait(15)
    assert not site.upstream.request.complete
    assert len(site.upstream.requests) == 1


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_upload_that_breaks_off_at_waitress_never_starts(proxied: Proxied, leave: str) -> None:
    site = proxied()
    client = site.connect()
    client.send(message("POST /p/x HTTP/1.1", ["Host: front", "Content-Length: 1000"], b"half"))
    getattr(client, leave)()

    assert site.get("/p/after").status == 200
    assert [request.target for request in site.upstream.requests] == ["/after"]


# -- limits --------------------------------------------------------------------------------


def test_body_over_the_limit_is_refused_without_asking_the_upstream(proxied: Proxied) -> None:
    site = proxied(max_body="1k")

    assert site.exchange(post("/p/x", b"x" * 1025)).status == 413
    assert not site.upstream.connections
    assert site.exchange(post("/p/x", b"x" * 1024)).status == 200


@pytest.mark.parametrize("server", STREAMING)
def test_chunked_body_over_the_limit_is_refused_and_never_looks_complete(
    proxied: Proxied, server: str
) -> None:
    site = proxied(server=server, max_body="100k")
    client = site.connect()

    client.send(CHUNKED_POST)
    client.send_chunk(pattern(150_000))
    client.send_chunk(b"")

    assert client.read_response().status == 413
    assert not any(request.complete for request in site.upstream.requests)
