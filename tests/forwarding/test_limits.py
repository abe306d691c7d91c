"""Loops, floods, glued requests: what an outsider can do without an upstream's help."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import RawUpstream, Site, call, front, get, message, post
from wsgiproxy import ProxyMiddleware

Proxied = Callable[..., Site]


# -- loops --------------------------------------------------------------------------------------


def test_proxy_to_itself_is_a_508(proxied: Proxied) -> None:
    import socket

    from tests.support import RawClient, serve

    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    spec = {"routes": {"/p": f"http://127.0.0.1:{port}/p"}}
    with serve(spec, port=port) as address, RawClient(address) as client:
        assert client.exchange(get("/p/x")).status == 508


def test_loop_through_a_second_proxy_is_a_508(upstream: RawUpstream) -> None:
    # The second proxy is played by the upstream's record of what it was sent.
    app = ProxyMiddleware(front, {"/p": upstream.url})
    call(app, "/p/x")
    via = upstream.request.headers.get("Via") or ""

    assert call(app, "/p/x", HTTP_VIA=f"1.0 other, {via}, 1.1 another").status.startswith("508")
    assert len(upstream.requests) == 1


def test_two_proxies_in_a_row_are_no_loop(proxied: Proxied) -> None:
    site = proxied()
    outer = proxied({"/q": site.address.url})

    assert outer.get("/q/p/x").status == 200
    assert (site.upstream.request.headers.get("Via") or "").count("wsgiproxy") == 2


def test_other_via_is_no_loop(proxied: Proxied) -> None:
    assert proxied().get("/p/x", "Via: 1.1 wsgiproxy, 1.1 wsgiproxy-000000000000").status == 200


# -- glued and broken requests ------------------------------------------------------------------


@pytest.mark.parametrize("lookahead", [0, 1, 5])
def test_request_behind_a_broken_one_is_not_answered_with_its_rest(
    proxied: Proxied, lookahead: int
) -> None:
    site = proxied(server_options={"channel_request_lookahead": lookahead})
    client = site.connect()
    broken = message("POST /p/a HTTP/1.1", ["Host: f", "Transfer-Encoding: chunked"], b"XYZ\r\n")

    client.send(broken + get("/p/smuggled"))
    client.half_close()
    client.read_to_end()

    assert "/a" not in [request.target for request in site.upstream.requests]


@pytest.mark.parametrize("server", ["waitress", "werkzeug", "cheroot"])
def test_pipelined_requests_are_separate_requests(proxied: Proxied, server: str) -> None:
    site = proxied(server=server)
    client = site.connect()

    client.send(post("/p/1", b"GET /p/evil HTTP/1.1\r\n\r\n") + get("/p/2"))
    client.half_close()
    client.read_to_end()

    targets = [request.target for request in site.upstream.requests]
    assert targets in (["/1", "/2"], ["/1"], [])
    assert all(request.complete for request in site.upstream.requests)


# -- floods ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("HTTP_COOKIE", "; ".join(f"c{number}=v" for number in range(10_000))),
        ("HTTP_COOKIE", ";" * 100_000),
        ("HTTP_COOKIE", "=" * 100_000),
        ("HTTP_COOKIE", "a=1; " * 20_000),
        ("HTTP_CONNECTION", ", ".join(f"x{number}" for number in range(10_000))),
        ("HTTP_CONNECTION", "," * 100_000),
        ("HTTP_ACCEPT", "a/b;q=0.1," * 10_000),
        ("HTTP_ACCEPT", "," * 100_000),
        ("HTTP_X", " " * 1_000_000),
        ("HTTP_HOST", "a" * 100_000 + "!@"),
        ("HTTP_HOST", "a." * 50_000 + "/"),
        ("HTTP_FORWARDED", "for=" * 20_000),
        ("HTTP_REFERER", "http://front/p/" + "../" * 30_000),
        ("HTTP_ORIGIN", "http://front" + ":" * 100_000),
        ("HTTP_VIA", "1.1 a, " * 20_000),
        ("HTTP_TRANSFER_ENCODING", "," * 100_000),
        ("CONTENT_LENGTH", "9" * 100_000),
        ("CONTENT_LENGTH", " " * 100_000),
        ("PATH_INFO", "/p" + "/.." * 30_000),
        ("PATH_INFO", "/p/x" + "/a/.." * 20_000),
        ("PATH_INFO", "/p/" + "%25" * 30_000),
        ("PATH_INFO", "/p" + "/" * 100_000),
        ("PATH_INFO", "/p/" + "\\" * 100_000),
        ("QUERY_STRING", "a=b&" * 30_000),
        ("QUERY_STRING", "%" * 100_000),
    ],
    ids=lambda value: value[:12],
)
def test_long_input_takes_time_in_proportion(upstream: RawUpstream, key: str, value: str) -> None:
    app = ProxyMiddleware(
        front, {"/p": upstream.url}, hide_cookies=["s"], trusted_proxies="192.0.2.1"
    )
    environ: dict[str, Any] = {"PATH_INFO": "/p/x", key: value}

    start = time.process_time()
    call(app, **environ)

    # CPU, not wall time: about 50 ms for the worst, minutes for a pattern that backtracks.
    assert time.process_time() - start < 2.0


def test_many_header_names_do_not_grow_the_tables(upstream: RawUpstream) -> None:
    import wsgiproxy

    app = ProxyMiddleware(front, {"/p": upstream.url})
    for batch in range(30):
        call(app, "/p/x", **{f"HTTP_X_{batch}_{number}": "v" for number in range(100)})

    assert len(upstream.requests) == 30
    assert wsgiproxy is not None
    tables = [table for table in _tables() if len(table) > 2000]
    assert not tables


def _tables() -> list[Any]:
    import gc

    return [
        found
        for found in gc.get_objects()
        if isinstance(found, dict) and type(found).__module__.startswith("wsgiproxy")
    ]


def test_many_headers_reach_the_upstream(upstream: RawUpstream) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})

    call(app, "/p/x", **{f"HTTP_X_{number}": str(number) for number in range(1500)})

    assert len([name for name in upstream.request.headers.names() if name.startswith("x-")]) >= 1500


def test_credentials_are_withheld_if_the_route_says_so(proxied: Proxied) -> None:
    site = proxied(request_headers={"Authorization": None}, hide_cookies=["sessionid"])

    site.get("/p/x", "Authorization: Basic Zm9v", "Cookie: sessionid=s; up=1")

    headers = site.upstream.request.headers
    assert (headers.get("Authorization"), headers.get("Cookie")) == (None, "up=1")
