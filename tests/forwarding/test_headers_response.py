"""Response heads on their way back: order, repeats, reason, and what the hook may change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import webob

from tests.support import DEADLINE, Site, UpstreamConnection, get, message
from tests.support.headers import answered
from wsgiproxy.forwarding import forwarder

Proxied = Callable[..., Site]


# -- as they came ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("200 OK", "OK"),
        ("200 Fine by me", "Fine by me"),
        ("299 Own", "Own"),
        ("404 Nicht gefunden: \xfc", "Nicht gefunden: \xfc"),
        ("418 I'm a teapot", "I'm a teapot"),
        ("500 ", ""),
        ("503", ""),
        ("599 x", "x"),
    ],
)
def test_status_and_reason_are_passed_on(proxied: Proxied, status: str, reason: str) -> None:
    site = proxied()
    site.upstream.respond(message(f"HTTP/1.1 {status}", ["Content-Length: 0"]))

    response = site.get("/p/x")

    assert (response.status, response.reason.strip()) == (int(status[:3]), reason)


def test_headers_keep_their_order_case_and_repeats(proxied: Proxied) -> None:
    # gunicorn writes headers as given; waitress sorts them.
    site = proxied(server="werkzeug")
    given = [
        "X-B: 1",
        "x-a: 2",
        "Set-Cookie: a=1",
        "X-B: 3",
        "Set-Cookie: b=2",
        "WWW-Authenticate: B",
    ]

    headers = answered(site, *given, "WWW-Authenticate: C")

    names = {"X-B", "x-a", "Set-Cookie", "WWW-Authenticate"}
    kept = [f"{name}: {value}" for name, value in headers if name in names]
    assert kept == [*given, "WWW-Authenticate: C"]


def test_no_header_is_invented(proxied: Proxied) -> None:
    site = proxied(server="werkzeug")

    names = set(answered(site).names())

    assert names - {"server", "date"} == {"content-length", "connection"}


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: text/html; charset=latin-1",
        'ETag: W/"a"',
        "Server: them/1",
        "Date: Mon, 01 Jan 2001 00:00:00 GMT",
        "Cache-Control: no-store, no-transform",
        "Vary: *",
        'Content-Disposition: attachment; filename="\xe4"',
        "X-Utf8: \xc3\xa9",
        "X-Empty:",
        "X-Under_Score: kept",
        "Accept-Ranges: bytes",
        "Retry-After: 120",
        "Content-Encoding: br",
        "Content-Security-Policy: default-src 'self'; frame-ancestors 'none'",
        "Last-Modified: x",
        "X-Accel-Buffering: no",
        "Link: <https://cdn.example/a>; rel=preload",
    ],
)
def test_header_reaches_the_client_unchanged(proxied: Proxied, header: str) -> None:
    name, _, value = header.partition(":")

    assert answered(proxied(), header).get(name) == value.strip()


def test_hundreds_of_headers_are_passed_on(proxied: Proxied) -> None:
    headers = answered(proxied(), *(f"X-{number}: {number}" for number in range(150)))

    assert len([name for name, _ in headers if name.startswith("X-")]) == 150


@pytest.mark.parametrize(
    "header",
    [
        "Connection: keep-alive",
        "Keep-Alive: timeout=7",
        "Proxy-Authenticate: Basic",
        "Proxy-Connection: close",
        "TE: trailers",
        "Trailer: X-A",
        "Upgrade: h2c",
        'Alt-Svc: h3=":443"',
    ],
)
def test_hop_by_hop_header_of_the_upstream_stays_here(proxied: Proxied, header: str) -> None:
    name, _, value = header.partition(": ")

    assert value not in answered(proxied(), header).all(name)


def test_headers_that_connection_of_the_upstream_names_stay_here(proxied: Proxied) -> None:
    headers = answered(
        proxied(), "Connection: X-Hop, Content-Type", "X-Hop: 1", "Content-Type: a/b", "X: y"
    )

    assert "x-hop" not in headers.names()
    assert headers.get("X") == "y"
    assert headers.get("Content-Type") == "a/b"


def test_response_headers_are_set_replaced_and_removed(proxied: Proxied) -> None:
    site = proxied(response_headers={"X-Frame-Options": "DENY", "Server": None, "X-Own": "1"})

    headers = answered(site, "Server: secret/1", "X-Own: theirs", "X-Own: again", "X-Left: l")

    assert "secret/1" not in headers.all("Server")
    assert headers.get("X-Own") == "1"
    assert headers.get("X-Frame-Options") == "DENY"
    assert headers.get("X-Left") == "l"


# -- hooks -------------------------------------------------------------------------------


def test_response_hook_sees_and_changes_the_head(proxied: Proxied) -> None:
    def hook(response: Any, request: Any) -> None:
        assert request.path_info == "/dir/page"
        response.status = "203 Changed"
        response.headers["X-Hook"] = response.headers["X-Up"] + "!"

    site = proxied(modify_response=hook)
    site.upstream.respond(message("HTTP/1.1 200 OK", ["X-Up: u", "Content-Length: 2"], b"ok"))

    response = site.get("/p/dir/page")

    assert (response.status, response.reason) == (203, "Changed")
    assert (response.headers.get("X-Hook"), response.body) == ("u!", b"ok")


def test_response_hook_may_replace_the_body(proxied: Proxied) -> None:
    def hook(response: Any, request: Any) -> None:
        response.body = response.body.upper()

    site = proxied(modify_response=hook)
    for length in (2, 100_000):
        body = b"a" * length
        head = message("HTTP/1.1 200 OK", [f"Content-Length: {length}"])
        site.upstream.respond(head + body)
        assert site.get("/p/x").body == body.upper()


@pytest.mark.parametrize("order", [1, -1], ids=["length-last", "length-first"])
def test_length_that_chunks_overrule_goes_no_further(proxied: Proxied, order: int) -> None:
    site = proxied()
    framing = ["Transfer-Encoding: chunked", "Content-Length: 3"][::order]
    site.upstream.respond(message("HTTP/1.1 200 OK", framing, b"1\r\nx\r\n0\r\n\r\n"))

    response = site.get("/p/x")

    assert response.headers.get("Content-Length") in (None, "1")
    assert response.body == b"x"


def test_response_hook_leaves_relative_locations_alone(proxied: Proxied) -> None:
    site = proxied(modify_response=lambda response, request: None)

    headers = answered(site, "Location: ../up", "Location: //cdn/x", status="302 F")

    assert headers.all("Location") == ["../up", "//cdn/x"]


BODILESS: dict[str, dict[str, Any]] = {
    "replaced": {"modify_response": lambda response, request: webob.Response("other")},
    "new-body": {"modify_response": lambda response, request: setattr(response, "body", b"other")},
    "answered": {"modify_request": lambda request: webob.Response("other")},
    "method": {"modify_request": lambda request: setattr(request, "method", "GET")},
}


@pytest.mark.parametrize("case", BODILESS)
def test_answer_to_head_has_no_body_whatever_a_hook_does(proxied: Proxied, case: str) -> None:
    client = proxied(**BODILESS[case]).connect()

    response = client.exchange(get("/p/x", method="HEAD"))

    assert response.status == 200
    assert client.exchange(get("/front")).body == b"front GET /front 0"


def test_method_that_a_hook_changes_has_no_body_after_a_long_wait(proxied: Proxied) -> None:
    go = threading.Event()

    def late(conn: UpstreamConnection) -> None:
        assert conn.read_request().method == "GET"
        assert go.wait(DEADLINE)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

    site = proxied(**BODILESS["method"], server_options={"threads": 2})
    site.upstream.script(late)
    client = site.connect()
    client.send(get("/p/x", method="HEAD"))
    site.upstream.wait_for_requests()
    # Longer than a worker waits that could leave.
    assert client.is_silent(1.5 * forwarder.LONG)
    go.set()

    response = client.read_response(is_head=True)

    assert (response.status, response.headers.get("Content-Length")) == (200, "4")
    assert client.exchange(get("/front")).body == b"front GET /front 0"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_status_of_a_hook_that_has_no_body_gets_none(proxied: Proxied, status: str) -> None:
    def hook(response: Any, request: Any) -> None:
        response.status = status
        del response.headers["Content-Length"]

    client = proxied(modify_response=hook).connect()

    assert client.exchange(get("/p/x")).status == int(status[:3])
    assert client.read_to_end() == b""  # waitress closes without a length


@pytest.mark.parametrize("target", ["/p/old%0d%0aSet-Cookie:a=b", "/p/old%0aSet-Cookie:a=b"])
def test_redirect_of_a_hook_cannot_be_split(proxied: Proxied, target: str) -> None:
    def hook(request: Any) -> Any:
        response = webob.Response(status=302)
        response.headers["Location"] = request.path_info.replace("old", "new")
        return response

    response = proxied(rewrite=hook).get(target)

    assert b"\nSet-Cookie" not in response.head
    assert response.status in (302, 400, 500)
