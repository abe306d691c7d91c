"""Request bodies have one framing, the client's, and smuggle nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import (
    RawUpstream,
    Site,
    call,
    front,
    message,
    post,
)
from tests.support.bodies import (
    CHUNKED_POST,
    STREAMING,
    pattern,
)
from wsgiproxy import ProxyMiddleware

Proxied = Callable[..., Site]


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
