"""Response bodies: passed on as they come, in their framing, or none at all."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable

import pytest

from tests.support import Site, UpstreamConnection, get, message
from tests.support.bodies import (
    CHUNKED,
    OK,
    OPEN,
    once,
)

Proxied = Callable[..., Site]


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

    assert response.body == b"abcdef"
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


def test_not_modified_keeps_its_validators_and_says_no_length(proxied: Proxied) -> None:
    # RFC 9110, 15.4.5 wants the validators; a length may be left out (8.6), and waitress
    # would complain of it in its log.
    site = proxied()
    site.upstream.respond(
        message("HTTP/1.1 304 Not Modified", ["Content-Length: 5", 'ETag: "e"', "Vary: Accept"])
    )

    headers = site.get("/p/x").headers

    assert (headers.get("ETag"), headers.get("Vary")) == ('"e"', "Accept")
    assert headers.get("Content-Length") is None


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
