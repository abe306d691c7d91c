"""Response bodies that break off, and clients that leave."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.support import PeerClosed, ResponseCut, Site, UpstreamConnection, eventually, get
from tests.support.bodies import (
    CHUNKED,
    OK,
    OPEN,
    once,
)

Proxied = Callable[..., Site]


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

    response = client.exchange(get("/p/x"), allow_cut=True)

    # Either nothing had gone out and it is an error page, or the connection is cut.
    assert not response.complete or response.status == 502, response
    if not response.complete:
        assert client.wait_closed()
    assert site.upstream.connections[0].finished.wait(15)


@pytest.mark.parametrize("case", ["length-short", "chunk-short", "chunk-no-end"])
def test_client_of_the_tests_takes_no_half_for_a_whole(proxied: Proxied, case: str) -> None:
    site = proxied()
    site.upstream.script(once(BROKEN[case]))

    with pytest.raises(ResponseCut) as cut:
        site.get("/p/x")

    assert (cut.value.response.status, cut.value.response.body) == (200, b"half")


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
        response = client.read_response(allow_cut=True)
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

    response = site.get("/p/x", allow_cut=True)

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
            return
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
