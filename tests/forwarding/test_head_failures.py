"""Answers that are no HTTP, or come too late: 502 and 504, asked for once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.support import RawUpstream, Site, UpstreamConnection
from tests.support.failures import OK, broken, failed

Proxied = Callable[..., Site]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", id="half-a-head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="half-a-header"),
        pytest.param(b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n", id="only-interim"),
        pytest.param(b"HTTP/1.1 103 Early\r\n\r\n" * 200 + OK, id="interim-flood"),
        pytest.param(b"hello\r\n\r\n", id="http-0.9"),
        pytest.param(b"<html></html>", id="html"),
        pytest.param(b"SSH-2.0-OpenSSH_9.0\r\n", id="ssh"),
        pytest.param(b"HTTP/2 200\r\n\r\n", id="http-2"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", id="no-code"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\nB: c\r\n\r\n", id="bare-lf"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\n\nbody", id="bare-lf-at-end"),
        pytest.param(b"HTTP/1.1 200 O\rK\r\n\r\n", id="reason-with-cr"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", id="no-colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\n: v\r\n\r\n", id="no-name"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n", id="nul"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", id="bare-cr"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70000 + b"\r\n\r\n", id="70-kb-line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab", id="two-lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="negative-length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab", id="unknown-coding"),
        pytest.param(
            b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            id="unasked-upgrade",
        ),
    ],
)
def test_answer_that_is_no_http_is_a_502_and_asked_for_once(
    proxied: Proxied, upstream: RawUpstream, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script(broken(raw))

    response = failed(proxied(), caplog)

    assert response.status == 502
    assert "stage=head" in caplog.text
    assert "party=upstream" in caplog.text
    assert len(upstream.requests) == 1
    upstream.respond(OK)
    assert proxied().get("/p/next").body == b"ok"


def test_head_reset_is_a_502(proxied: Proxied, caplog: pytest.LogCaptureFixture) -> None:
    def reset(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(b"HTTP/1.1 200")
        conn.reset()

    site = proxied()
    site.upstream.script(reset)

    assert failed(site, caplog).status == 502


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Early\r\n\r\n"])
def test_head_that_does_not_come_is_a_504(
    proxied: Proxied, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    def stall(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(sent)
        conn.wait_closed()

    site = proxied(read_timeout=0.3)
    site.upstream.script(stall)

    response = failed(site, caplog)

    assert response.status == 504
    assert "http_response_timeout" in (response.headers.get("Proxy-Status") or "")


def test_head_in_drops_is_bounded_as_a_whole(proxied: Proxied) -> None:
    stop = threading.Event()

    def dribble(conn: UpstreamConnection) -> None:
        conn.read_request()
        for letter in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
            conn.send(bytes([letter]))
            if stop.wait(0.02):
                return

    site = proxied(read_timeout=0.5)
    site.upstream.script(dribble)

    assert site.get("/p/x").status == 504
    stop.set()


def test_retry_after_is_the_clients_business(proxied: Proxied) -> None:
    site = proxied()
    raw = b"HTTP/1.1 503 Busy\r\nRetry-After: 21600\r\nContent-Length: 0\r\n\r\n"
    site.upstream.respond(raw)

    response = site.get("/p/x")

    assert (response.status, response.headers.get("Retry-After")) == (503, "21600")
    assert len(site.upstream.requests) == 1
