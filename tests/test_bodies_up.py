"""Request bodies: one framing, the client's; every byte of it; never half of one as a whole."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable

import pytest

from tests.support import (
    PeerClosed,
    RawUpstream,
    Site,
    UpstreamConnection,
    call,
    eventually,
    front,
    get,
    message,
    post,
)
from wsgiproxy import ProxyMiddleware, Route

Proxied = Callable[..., Site]

STREAMING = ["werkzeug"]  # waitress reads the body before it calls anybody
DONE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"
CHUNKED_POST = message("POST /p/x HTTP/1.1", ["Host: front", "Transfer-Encoding: chunked"])


def pattern(size: int) -> bytes:
    """So many bytes that tell where they belong."""
    return b"".join(b"%07d\n" % number for number in range(size // 8 + 1))[:size]


# -- framing -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 100, 65535, 65536, 65537, 300_000, 1_000_000])
@pytest.mark.parametrize("server", ["waitress", *STREAMING])
def test_body_of_a_known_length_arrives_with_that_length(
    proxied: Proxied, server: str, size: int
) -> None:
    site = proxied(server=server)

    assert site.exchange(post("/p/x", pattern(size))).status == 200

    request = site.upstream.request
    assert request.headers.get("Content-Length") == str(size)
    assert "transfer-encoding" not in request.headers.names()
    assert request.body == pattern(size)
    assert request.complete


@pytest.mark.parametrize("chunks", [[], [1], [1, 2, 3], [70_000, 1, 200_000]], ids=str)
@pytest.mark.parametrize("server", ["waitress", *STREAMING])
def test_chunked_body_arrives_whole_with_one_framing(
    proxied: Proxied, server: str, chunks: list[int]
) -> None:
    site = proxied(server=server)
    client = site.connect()

    client.send(CHUNKED_POST)
    for size in chunks:
        client.send_chunk(pattern(size))
    client.send_chunk(b"")

    assert client.read_response().status == 200
    request = site.upstream.request
    framing = {"content-length", "transfer-encoding"} & set(request.headers.names())
    assert len(framing) == 1
    assert request.complete
    assert request.body == b"".join(map(pattern, chunks))


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("headers", [[], ["Content-Length: 0"]], ids=["no-length", "length-0"])
def test_request_without_a_body_gets_no_framing(
    proxied: Proxied, method: str, headers: list[str]
) -> None:
    site = proxied()

    assert site.get("/p/x", *headers, method=method).status == 200
    assert not {"content-length", "transfer-encoding"} & set(site.upstream.request.headers.names())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("headers", [[], ["Content-Length: 0"]], ids=["no-length", "length-0"])
def test_empty_body_of_a_method_with_bodies_says_so(
    proxied: Proxied, method: str, headers: list[str]
) -> None:
    site = proxied()

    assert site.get("/p/x", *headers, method=method).status == 200
    assert site.upstream.request.headers.all("Content-Length") == ["0"]


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("server", ["waitress", *STREAMING])
def test_body_of_any_method_keeps_its_length(proxied: Proxied, method: str, server: str) -> None:
    site = proxied(server=server)
    smuggled = b"GET /admin HTTP/1.1\r\nX: x\r\n\r\n"

    assert site.exchange(post("/p/x", smuggled, method=method)).status == 200

    request = site.upstream.request
    assert (request.method, request.target, request.length) == (method, "/x", len(smuggled))
    assert request.body == smuggled


AMBIGUOUS = {
    "length-and-chunked": ["Content-Length: 4", "Transfer-Encoding: chunked"],
    "chunked-and-length": ["Transfer-Encoding: chunked", "Content-Length: 4"],
    "xchunked": ["Content-Length: 4", "Transfer-Encoding: xchunked"],
    "tab-chunked": ["Content-Length: 4", "Transfer-Encoding:\tchunked"],
    "vertical-tab-chunked": ["Content-Length: 4", "Transfer-Encoding: \x0bchunked"],
    "chunked-twice": ["Content-Length: 4", "Transfer-Encoding: chunked, chunked"],
    "chunked-lines": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    "identity-chunked": ["Content-Length: 4", "Transfer-Encoding: identity, chunked"],
    "chunked-identity": ["Content-Length: 4", "Transfer-Encoding: chunked, identity"],
    "space-before-colon": ["Content-Length: 4", "Transfer-Encoding : chunked"],
    "underscore": ["Content-Length: 4", "Transfer_Encoding: chunked"],
    "folded": ["Content-Length: 4", "Transfer-Encoding:\r\n chunked"],
    "capitals": ["Content-Length: 4", "Transfer-Encoding: CHUNKED"],
    "quoted": ["Content-Length: 4", 'Transfer-Encoding: "chunked"'],
    "two-lengths": ["Content-Length: 4", "Content-Length: 4"],
    "two-other-lengths": ["Content-Length: 4", "Content-Length: 40"],
    "length-list": ["Content-Length: 4, 4"],
    "plus": ["Content-Length: +4"],
    "minus": ["Content-Length: -4"],
    "hex": ["Content-Length: 0x4"],
    "underscored": ["Content-Length: 4_0"],
    "empty": ["Content-Length:"],
    "space": ["Content-Length: 4 0"],
    "25-digits": ["Content-Length: " + "9" * 25],
    "length-underscore": ["Content_Length: 40", "Content-Length: 4"],
    "named-by-connection": ["Connection: Content-Length", "Content-Length: 4"],
}


@pytest.mark.parametrize("case", AMBIGUOUS)
@pytest.mark.parametrize("server", ["waitress", *STREAMING, "wsgiref"])
def test_ambiguous_framing_smuggles_nothing(proxied: Proxied, server: str, case: str) -> None:
    site = proxied(server=server)
    client = site.connect()
    smuggled = b"GET /p/smuggled HTTP/1.1\r\nHost: front\r\n\r\n"

    client.send(
        message("POST /p/x HTTP/1.1", ["Host: front", *AMBIGUOUS[case]], b"0\r\n\r\n" + smuggled)
    )
    client.half_close()
    client.read_to_end()

    # Whatever the server makes of it, the upstream must read the very requests that the
    # proxy wrote: as many request lines as requests, each with one framing at the most.
    for conn in site.upstream.connections:
        own = [r for r in site.upstream.requests if r.connection == conn.number]
        assert all(r.target in ("/x", "/smuggled") for r in own)
    for request in site.upstream.requests:
        framing = {"content-length", "transfer-encoding"} & set(request.headers.names())
        assert len(framing) <= 1
        assert (
            b"smuggled" not in request.body or request.length == len(request.body) or request.chunks
        )
        assert (request.headers.get("Transfer-Encoding") or "chunked") == "chunked"
        assert (request.headers.get("Content-Length") or "0").isdigit()


@pytest.mark.parametrize(
    "length",
    ["+3", "-3", "0x3", "3_0", "3, 3", " 3", "3 ", "\xb2", "3\r\nX: y", "9" * 25, "3.0", "a"],
)
def test_length_that_is_no_number_is_refused(upstream: RawUpstream, length: str) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})

    answer = call(app, "/p/x", b"abc", REQUEST_METHOD="POST", CONTENT_LENGTH=length)

    assert answer.status.startswith("400")
    assert not upstream.requests


def test_transfer_encoding_of_the_environ_is_never_copied(upstream: RawUpstream) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "3", "HTTP_TRANSFER_ENCODING": "gzip"}

    call(app, "/p/x", b"abc", **environ)

    for request in upstream.requests:
        assert "transfer-encoding" not in request.headers.names()


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

    def parsing(environ: dict[str, object], start_response: object) -> object:
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


# -- upstreams that answer before the end --------------------------------------------------


@pytest.mark.parametrize("ending", ["close", "reset", "drain"])
@pytest.mark.parametrize(
    "status", ["413 Too Large", "401 Unauthorized", "403 Forbidden", "302 Found"]
)
@pytest.mark.parametrize("server", ["waitress", "werkzeug"])
def test_early_answer_is_delivered_while_the_body_is_on_its_way(
    proxied: Proxied, server: str, status: str, ending: str
) -> None:
    def refuse(conn: UpstreamConnection) -> None:
        record = conn.read_request_head()
        conn.send(message(f"HTTP/1.1 {status}", ["Content-Length: 4"], b"no!!"))
        if ending == "drain":
            conn.read_request_body(record)
            conn.wait_closed()
        elif ending == "close":
            conn.half_close()
            conn.wait_closed()
        else:
            conn.close()  # with unread bytes: a reset, but behind the answer

    site = proxied(server=server)
    site.upstream.script(refuse)

    response = site.exchange(post("/p/x", pattern(3_000_000)))

    assert (response.status, response.body) == (int(status[:3]), b"no!!")
    if ending != "drain":
        assert not site.upstream.request.complete
        site.upstream.respond(DONE)
        assert site.get("/p/next").status == 200
        assert site.upstream.requests[-1].connection == 1


@pytest.mark.parametrize(
    "interim", ["100 Continue", "102 Processing", "103 Early Hints"], ids=lambda text: text[:3]
)
def test_interim_answer_does_not_stop_an_upload(proxied: Proxied, interim: str) -> None:
    body = pattern(3_000_000)
    told = threading.Event()

    def patient(conn: UpstreamConnection) -> None:
        record = conn.read_request_head()
        conn.send(message(f"HTTP/1.1 {interim}"))
        assert conn.read_some()  # it sends on, so it has seen the interim answer or not yet
        told.set()
        rest = len(body) - 65536
        while rest > 0:
            rest -= len(conn.read_some()) or rest
        record.complete = not conn.ended
        conn.send(DONE)
        conn.wait_closed()

    site = proxied(read_timeout=3)
    site.upstream.script(patient)

    assert site.exchange(post("/p/x", body)).status == 200
    assert told.is_set()


def test_answer_that_begins_early_and_echoes_is_whole(proxied: Proxied) -> None:
    body = pattern(3_000_000)

    def echo(conn: UpstreamConnection) -> None:
        conn.read_request_head()
        conn.send(message("HTTP/1.1 200 OK", [f"Content-Length: {len(body)}"]))
        received = b""
        while len(received) < len(body):
            received += conn.read_some()
            assert not conn.ended, "the upload was cut"
        conn.send(received)
        conn.wait_closed()

    site = proxied(read_timeout=3)
    site.upstream.script(echo)

    response = site.exchange(post("/p/x", body))

    assert response.complete
    assert hashlib.sha256(response.body).digest() == hashlib.sha256(body).digest()


def test_connection_lost_while_sending_is_a_502(proxied: Proxied) -> None:
    def lose(conn: UpstreamConnection) -> None:
        conn.read_request_head()
        conn.reset()

    site = proxied()
    site.upstream.script(lose)

    assert site.exchange(post("/p/x", pattern(3_000_000))).status == 502
    assert len(site.upstream.requests) == 1


def test_upstream_that_takes_no_more_of_the_body_is_a_504(proxied: Proxied) -> None:
    released = threading.Event()

    def stall(conn: UpstreamConnection) -> None:
        conn.read_request_head()
        released.wait(15)

    site = proxied(read_timeout=0.3)
    site.upstream.script(stall)

    assert site.exchange(post("/p/x", pattern(20_000_000))).status == 504
    released.set()


def test_expectation_refused_by_the_upstream_is_an_answer(proxied: Proxied) -> None:
    site = proxied()
    site.upstream.respond(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")

    assert site.exchange(post("/p/x", b"abc", "Expect: 100-continue")).status == 417
    assert site.get("/p/y").status == 417
    assert [request.body for request in site.upstream.requests] == [b"abc", b""]


def test_post_is_never_sent_twice(proxied: Proxied) -> None:
    site = proxied()
    site.exchange(get("/p/first"))
    assert site.upstream.requests[0].connection == 0

    def hang_up(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.close()

    site.upstream.script(hang_up)
    site.upstream.connections[0].abort_waits()
    eventually(lambda: site.upstream.connections[0].finished.is_set())

    assert site.exchange(post("/p/x", b"abc")).status == 502
    assert [request.target for request in site.upstream.requests] == ["/first", "/x"]


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


def test_route_limit_is_checked_before_a_connection_is_made() -> None:
    route = Route("http://127.0.0.1:9", max_body=10)
    app = ProxyMiddleware(front, {"/p": route})

    answer = call(app, "/p/x", b"x" * 11, REQUEST_METHOD="POST", CONTENT_LENGTH="11")

    assert answer.status.startswith("413")


def test_cut_request_raises_in_the_harness_too(upstream: RawUpstream) -> None:
    # The proof that "complete" can be false: the harness itself cuts an upload.
    from tests.support import RawClient

    caught = []

    def handler(conn: UpstreamConnection) -> None:
        try:
            conn.read_request()
        except PeerClosed as gone:
            caught.append(gone.how)

    upstream.script(handler)
    with RawClient(upstream.address) as client:
        client.send(message("POST /x HTTP/1.1", ["Content-Length: 10"], b"half"))
    eventually(lambda: caught)
    assert not upstream.request.complete
