"""Upstreams that answer before they have read the whole request."""

from __future__ import annotations

import hashlib
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
from tests.support.bodies import (
    DONE,
    once,
    pattern,
)
from wsgiproxy import ProxyMiddleware, Route

Proxied = Callable[..., Site]


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

    assert hashlib.sha256(response.body).digest() == hashlib.sha256(body).digest()


@pytest.mark.parametrize("server", ["waitress", "werkzeug"])
def test_refusal_by_an_upstream_that_reads_no_further_is_delivered(
    proxied: Proxied, server: str
) -> None:
    """More than the buffers of the system hold, so that nobody can go on writing."""
    released = threading.Event()

    def refuse(conn: UpstreamConnection) -> None:
        conn.read_request_head()
        conn.send(message("HTTP/1.1 413 Too Large", ["Content-Length: 4"], b"no!!"))
        assert released.wait(15)

    site = proxied(server=server, read_timeout=2)
    site.upstream.script(refuse, once(DONE))

    response = site.exchange(post("/p/x", pattern(20_000_000)))

    assert (response.status, response.body) == (413, b"no!!")
    # The connection in the middle of a body is not for the next request.
    assert site.get("/p/y").status == 200
    assert [request.connection for request in site.upstream.requests] == [0, 1]
    released.set()


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
