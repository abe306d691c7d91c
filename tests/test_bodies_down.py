"""Response bodies: passed on as they come, in their framing, cut where the upstream cut them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable

import pytest

from tests.support import PeerClosed, Site, UpstreamConnection, eventually, get, message

Proxied = Callable[..., Site]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
OPEN = OK + b"Connection: close\r\n\r\n"


def once(raw: bytes) -> Callable[[UpstreamConnection], None]:
    """A script: read one request, send these bytes, close."""

    def handler(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(raw)

    return handler


# -- whole bodies -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1000, 65536, 65537, 1_000_000])
@pytest.mark.parametrize("framing", ["length", "chunked", "open"])
@pytest.mark.parametrize("validate", [False, True], ids=["bare", "validated"])
def test_body_arrives_whole(proxied: Proxied, framing: str, size: int, validate: bool) -> None:
    site = proxied(validate=validate)
    body = bytes(number * 7 % 251 for number in range(1000)) * (size // 1000 + 1)
    body = body[:size]
    raw = {
        "length": OK + b"Content-Length: %d\r\n\r\n" % size + body,
        "chunked": CHUNKED + (b"%x\r\n%b\r\n" % (size, body) if size else b"") + b"0\r\n\r\n",
        "open": OPEN + body,
    }[framing]
    site.upstream.script(once(raw))

    response = site.get("/p/x")

    assert response.complete
    assert response.body == body
    if framing == "length":
        assert response.headers.get("Content-Length") == str(size)


def test_known_length_keeps_the_clients_connection(proxied: Proxied) -> None:
    site = proxied()
    client = site.connect()

    for number in range(3):
        response = client.exchange(get(f"/p/{number}"))
        assert (response.framing, response.body) == ("length", b"ok")
    assert len(site.upstream.connections) == 1


def test_chunks_of_many_sizes_and_trailers_arrive_as_one_body(proxied: Proxied) -> None:
    site = proxied()
    site.upstream.script(
        once(CHUNKED + b"1;x=y\r\na\r\n0002\r\nbc\r\n3\r\ndef\r\n0\r\nX-Trailer: evil\r\n\r\n")
    )

    response = site.get("/p/x")

    assert (response.body, response.complete) == (b"abcdef", True)
    assert b"evil" not in response.head


def test_encoded_body_stays_encoded(proxied: Proxied) -> None:
    site = proxied()
    body = gzip.compress(b"hello" * 1000)
    head = message("HTTP/1.1 200 OK", ["Content-Encoding: gzip", f"Content-Length: {len(body)}"])
    site.upstream.respond(head + body)

    response = site.get("/p/x", "Accept-Encoding: gzip")

    assert response.headers.get("Content-Encoding") == "gzip"
    assert (response.body, response.headers.get("Content-Length")) == (body, str(len(body)))


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip, gzip", "nonsense"])
def test_body_is_never_decoded(proxied: Proxied, coding: str) -> None:
    site = proxied()
    head = message("HTTP/1.1 200 OK", [f"Content-Encoding: {coding}", "Content-Length: 6"])
    site.upstream.respond(head + b"broken")

    assert site.get("/p/x").body == b"broken"


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        ("206 Partial", ["Content-Range: bytes 0-2/10", "Accept-Ranges: bytes"], b"abc"),
        ("416 No Range", ["Content-Range: bytes */10"], b""),
        ("206 Partial", ["Content-Type: multipart/byteranges; boundary=x"], b"--x--"),
    ],
)
def test_range_is_asked_for_and_answered_exactly(
    proxied: Proxied, status: str, headers: list[str], body: bytes
) -> None:
    site = proxied()
    site.upstream.respond(
        message(f"HTTP/1.1 {status}", [*headers, f"Content-Length: {len(body)}"], body)
    )

    response = site.get("/p/x", "Range: bytes=0-2", 'If-Range: "e"')

    assert site.upstream.request.headers.get("Range") == "bytes=0-2"
    assert site.upstream.request.headers.get("If-Range") == '"e"'
    assert (f"{response.status} {response.reason}", response.body) == (status, body)
    for header in headers:
        name, _, value = header.partition(": ")
        assert response.headers.get(name) == value


# -- no body ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "framing", ["Content-Length: 12345", "Transfer-Encoding: chunked", "X: y"], ids=lambda v: v[:7]
)
@pytest.mark.parametrize("validate", [False, True], ids=["bare", "validated"])
def test_head_has_the_headers_and_no_body(proxied: Proxied, framing: str, validate: bool) -> None:
    site = proxied(validate=validate)
    site.upstream.respond(message("HTTP/1.1 200 OK", [framing, "ETag: e", "Content-Type: a/b"]))
    client = site.connect()

    response = client.exchange(get("/p/x", method="HEAD"))

    assert (response.status, response.headers.get("ETag")) == (200, "e")
    if framing.startswith("Content"):
        assert response.headers.get("Content-Length") == "12345"
        assert client.is_silent()
        assert client.is_open()
    else:
        assert client.read_to_end() in (b"", b"0\r\n\r\n")  # the second is waitress's own


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("header", ["Content-Length: 5", "ETag: e", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("server", ["waitress", "werkzeug"])
def test_status_without_body_has_none(
    proxied: Proxied, server: str, status: str, header: str
) -> None:
    site = proxied(server=server)
    site.upstream.respond(message(f"HTTP/1.1 {status}", [header]))
    client = site.connect()

    response = client.exchange(get("/p/x"))

    assert response.status == int(status[:3])
    assert response.body == b""
    if response.status == 204:
        assert "content-length" not in response.headers.names()
    if server == "werkzeug":
        assert "content-type" not in response.headers.names()
        assert client.read_to_end() == b""


def test_not_modified_keeps_its_length(proxied: Proxied) -> None:
    site = proxied(server="werkzeug")  # waitress takes it away
    site.upstream.respond(message("HTTP/1.1 304 Not Modified", ["Content-Length: 5", "ETag: e"]))

    assert site.get("/p/x").headers.get("Content-Length") == "5"


# -- as they come -----------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked", "open"])
@pytest.mark.parametrize("kind", ["text/event-stream", "text/html", "application/octet-stream"])
@pytest.mark.parametrize("server", ["waitress", "werkzeug"])
def test_each_piece_is_at_the_client_before_the_next_is_sent(
    proxied: Proxied, server: str, kind: str, framing: str
) -> None:
    pieces = [b"data: %d\n\n" % number for number in range(5)]
    seen = [threading.Event() for _ in pieces]

    def stream(conn: UpstreamConnection) -> None:
        conn.read_request()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind.encode() + b"\r\n"
        if framing == "length":
            conn.send(head + b"Content-Length: %d\r\n\r\n" % sum(map(len, pieces)))
        elif framing == "chunked":
            conn.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
        else:
            conn.send(head + b"\r\n")
        for piece, event in zip(pieces, seen, strict=True):
            (conn.send_chunk if framing == "chunked" else conn.send)(piece)
            assert event.wait(15), "the client has not seen the piece"
        if framing == "chunked":
            conn.send_chunk(b"")

    site = proxied(server=server)
    site.upstream.script(stream)
    client = site.connect()
    client.send(get("/p/events"))
    client.read_response_head()

    for piece, event in zip(pieces, seen, strict=True):
        client.read_until(piece)
        event.set()


def test_head_is_at_the_client_before_the_body_begins(proxied: Proxied) -> None:
    # WSGI servers send the head with the first bytes of the body; werkzeug's too. What the
    # proxy owes is that one byte of the body is enough.
    go_on = threading.Event()

    def stream(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(CHUNKED)
        conn.send_chunk(b"x")
        assert go_on.wait(15)
        conn.send_chunk(b"")

    site = proxied()
    site.upstream.script(stream)
    client = site.connect()
    client.send(get("/p/x"))

    assert client.read_response_head().status == 200
    go_on.set()


def test_body_in_single_bytes_arrives_whole(proxied: Proxied) -> None:
    raw = CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"

    def dribble(conn: UpstreamConnection) -> None:
        conn.read_request()
        for place in range(len(raw)):
            conn.send(raw[place : place + 1])

    site = proxied()
    site.upstream.script(dribble)

    assert site.get("/p/x").body == b"hello"


# -- bodies that break off -----------------------------------------------------------------------

BROKEN = {
    "length-short": OK + b"Content-Length: 100\r\n\r\nhalf",
    "length-empty": OK + b"Content-Length: 100\r\n\r\n",
    "length-huge": OK + b"Content-Length: 99999999999\r\n\r\nhalf",
    "chunk-short": CHUNKED + b"64\r\nhalf",
    "chunk-no-end": CHUNKED + b"4\r\nhalf\r\n",
    "chunk-no-last-line": CHUNKED + b"4\r\nhalf\r\n0\r\n",
    "chunk-in-trailers": CHUNKED + b"4\r\nhalf\r\n0\r\nX: y\r\n",
    "chunk-too-long": CHUNKED + b"3\r\nhalf\r\n0\r\n\r\n",
    "chunk-bare-lf": CHUNKED + b"4\nhalf\n0\n\n",
    "chunk-extension-lf": CHUNKED + b"4;a=b\nhalf\r\n0\r\n\r\n",
    "chunk-0x": CHUNKED + b"4\r\nhalf\r\n0x4\r\nhalf\r\n0\r\n\r\n",
    "chunk-minus": CHUNKED + b"4\r\nhalf\r\n-1\r\n\r\n",
    "chunk-underscore": CHUNKED + b"4\r\nhalf\r\n1_0\r\n",
    "chunk-html": CHUNKED + b"<html>",
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("server", ["waitress", "werkzeug"])
def test_half_a_body_is_never_a_whole_one(proxied: Proxied, server: str, case: str) -> None:
    site = proxied(server=server)
    site.upstream.script(once(BROKEN[case]))
    client = site.connect()

    response = client.exchange(get("/p/x"))

    # Either nothing had gone out and it is an error page, or the connection is cut.
    assert not response.complete or response.status == 502, response
    if not response.complete:
        assert client.wait_closed()
    assert site.upstream.connections[0].finished.wait(15)


@pytest.mark.parametrize("framing", ["length", "chunked", "open"])
@pytest.mark.parametrize("sent", [0, 5, 300_000])
def test_body_that_a_reset_ends_is_cut(proxied: Proxied, framing: str, sent: int) -> None:
    started = threading.Event()

    def reset(conn: UpstreamConnection) -> None:
        conn.read_request()
        head = {"length": OK + b"Content-Length: 900000\r\n\r\n", "chunked": CHUNKED, "open": OPEN}
        conn.send(head[framing])
        if sent:
            (conn.send_chunk if framing == "chunked" else conn.send)(b"x" * sent)
            assert started.wait(15)
        conn.reset()

    site = proxied()
    site.upstream.script(reset)
    client = site.connect()
    client.send(get("/p/x"))
    if sent:
        head = client.read_response_head()
        assert head.status == 200
        client.read_until(b"x" * 5)
        started.set()
        rest = client.read_to_end()
        assert not rest.endswith(b"0\r\n\r\n")
    else:
        response = client.read_response()
        assert not response.complete or response.status == 502


@pytest.mark.parametrize("framing", ["length", "chunked", "open"])
def test_body_that_stops_moving_is_cut_after_the_timeout(proxied: Proxied, framing: str) -> None:
    def stall(conn: UpstreamConnection) -> None:
        conn.read_request()
        head = {"length": OK + b"Content-Length: 900000\r\n\r\n", "chunked": CHUNKED, "open": OPEN}
        conn.send(head[framing])
        (conn.send_chunk if framing == "chunked" else conn.send)(b"half")
        assert conn.wait_closed()

    site = proxied(read_timeout=0.3)
    site.upstream.script(stall)

    response = site.get("/p/x")

    assert (response.status, response.complete) == (200, False)


def test_slow_body_is_not_cut_while_it_moves(proxied: Proxied) -> None:
    timer = threading.Event()

    def slow(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(CHUNKED)
        for _ in range(6):
            timer.wait(0.15)
            conn.send_chunk(b"x")
        conn.send_chunk(b"")
        conn.wait_closed()

    site = proxied(read_timeout=0.6)
    site.upstream.script(slow)

    assert site.get("/p/x").body == b"xxxxxx"


# -- clients that leave -------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("server", ["waitress", "werkzeug"])
def test_client_that_leaves_a_moving_download_ends_it_upstream(
    proxied: Proxied, server: str, leave: str
) -> None:
    ended = threading.Event()

    def endless(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(CHUNKED)
        try:
            while True:
                conn.send_chunk(b"x" * 60000)
        except (ConnectionError, PeerClosed):
            ended.set()

    site = proxied(server=server)
    site.upstream.script(endless)
    client = site.connect()
    client.send(get("/p/x"))
    client.read_until(b"xxxx")
    getattr(client, leave)()

    assert ended.wait(15)


@pytest.mark.parametrize("leave", ["close", "reset"])
@pytest.mark.parametrize("stage", ["head", "body"])
@pytest.mark.parametrize("server", ["waitress", "werkzeug"])
def test_client_that_leaves_a_silent_upstream_ends_it(
    proxied: Proxied, server: str, stage: str, leave: str
) -> None:
    ended = threading.Event()

    def silent(conn: UpstreamConnection) -> None:
        conn.read_request()
        if stage == "body":
            conn.send(CHUNKED)
            conn.send_chunk(b"first")
        conn.wait_closed()
        ended.set()

    site = proxied(server=server)
    site.upstream.script(silent)
    client = site.connect()
    client.send(get("/p/x"))
    site.upstream.wait_for_requests()
    if stage == "body":
        client.read_until(b"first")
    getattr(client, leave)()

    assert ended.wait(15)


def test_client_that_leaves_takes_its_connection_out_of_the_pool(proxied: Proxied) -> None:
    left = threading.Event()

    def stream(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(OK + b"Content-Length: 10\r\n\r\nfirst")
        assert left.wait(15)
        assert conn.wait_closed()

    site = proxied()
    site.upstream.script(stream)
    client = site.connect()
    client.send(get("/p/secret"))
    client.read_until(b"first")
    client.close()
    left.set()
    assert site.upstream.connections[0].finished.wait(15)

    site.upstream.respond(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")
    assert site.get("/p/x").body == b"new"


def test_workers_are_free_again_after_clients_left(proxied: Proxied) -> None:
    def silent(conn: UpstreamConnection) -> None:
        if conn.read_request().target == "/quick":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nquick")
        conn.wait_closed()

    site = proxied(server_options={"threads": 2})
    site.upstream.script(silent)
    for _ in range(4):
        client = site.connect()
        client.send(get("/p/slow"))
        eventually(lambda: site.upstream.requests)
        client.close()

    assert site.get("/p/quick").body == b"quick"


@pytest.mark.parametrize(
    ("server", "options"),
    [("waitress", {"channel_request_lookahead": 0}), ("werkzeug", {})],
    ids=["waitress", "werkzeug"],
)
def test_client_that_half_closes_after_its_request_gets_its_answer(
    proxied: Proxied, server: str, options: dict[str, int]
) -> None:
    # With a lookahead waitress itself takes this for a client that has left.
    site = proxied(server=server, server_options=options)
    client = site.connect()
    client.send(get("/p/x"))
    client.half_close()

    assert client.read_response().body == b"ok"
