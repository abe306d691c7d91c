"""Paths and queries: what the client wrote is what the upstream reads, minus the prefix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import RawUpstream, Site, call
from wsgiproxy import ProxyMiddleware, Route

Proxied = Callable[..., Site]

#: What other proxies were seen to change, and what they were seen to keep.
TARGETS = [
    "/",
    "/a%2Fb",
    "/a%2fb",
    "/a%252Fb",
    "/a%2520b",
    "/a%20b",
    "/a%2Bb",
    "/a+b",
    "/%E2%9C%93",
    "/%e2%9c%93",
    "/%ff",
    "/x/../y",
    "/x/%2e%2e/y",
    "/x/./y",
    "//a//b",
    "//",
    "/a//",
    "/%7Eu",
    "/~u",
    "/100%",
    "/%zz",
    "/%u0041",
    "/%00",
    "/a%00b",
    "/%2F",
    "/%c0%ae",
    "/[x]",
    "/{x}|y^z`",
    '/"x"<y>',
    "/a;v=1",
    "/a%3Fb",
    "/a%23b",
    "/a'b(c)!*$&,=:@",
    "/@types%2fcors",
    "/api/vhosts/%2F/queues",
    "/a\\b",
    "/p/x",
    "/http://evil/",
    "/@evil/",
    "/.evil/",
    "/:80@evil",
    "/x?b=2&a=1&b=3",
    "/x?q=a%20b",
    "/x?q=a+b",
    "/x?q=/",
    "/x?q=%2F",
    "/x?",
    "/x?a",
    "/x?a=",
    "/x?a[]=1",
    "/x?a[0:1:1]",
    "/x?q=a;b=2",
    "/x?q=%zz",
    "/x?q=%ff",
    "/x?q=1%2C2",
    "/x??",
    "/x?a=?b=/../..",
    "/x?a=1;b=2&%zz=1&a=%26x",
    "/x?unix:AAAA|http://evil/",
    "/?",
    "/x?%0d%0aX:%20y",
    "/a%0d%0aX:%20y",
    "/a%20HTTP/1.1%0d%0aHost:%20e",
]


@pytest.mark.parametrize("target", TARGETS)
def test_target_behind_the_prefix_reaches_the_upstream_as_written(
    proxied: Proxied, target: str
) -> None:
    site = proxied()

    assert site.get("/p" + target).status == 200
    assert site.upstream.request.target == target


@pytest.mark.parametrize("target", TARGETS)
def test_target_with_prefix_kept_reaches_the_upstream_as_written(
    proxied: Proxied, target: str
) -> None:
    site = proxied(strip_prefix=False)

    assert site.get("/p" + target).status == 200
    assert site.upstream.request.target == "/p" + target


@pytest.mark.parametrize("target", TARGETS)
def test_target_goes_behind_the_base_path_as_written(proxied: Proxied, target: str) -> None:
    site = proxied(base="/public/")

    assert site.get("/p" + target).status == 200
    assert site.upstream.request.target == "/public" + target


@pytest.mark.parametrize("target", TARGETS)
def test_target_of_a_route_at_the_root_reaches_the_upstream_as_written(
    proxied: Proxied, target: str
) -> None:
    site = proxied(prefix="/")

    assert site.get(target).status == 200
    assert site.upstream.request.target == target


def test_raw_bytes_beyond_ascii_are_encoded_once(upstream: RawUpstream) -> None:
    app = ProxyMiddleware(_unwanted, {"/p": upstream.url})
    path = b"/p/\xe2\x9c\x93".decode("latin-1")

    call(app, path, REQUEST_URI=path + "?q=\xff", QUERY_STRING="q=\xff")

    assert upstream.request.target == "/%E2%9C%93?q=%FF"


# -- without a raw target ----------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/p/a b", "/a%20b"),
        ("/p/a+b", "/a+b"),
        ("/p/a%2Fb", "/a%252Fb"),
        ("/p/\xe2\x9c\x93", "/%E2%9C%93"),
        ("/p/\xff", "/%FF"),
        ("/p/a?b#c", "/a%3Fb%23c"),
        ("/p/a\r\nX: y", "/a%0D%0AX:%20y"),
        ("/p/a HTTP/1.1\r\nHost: e", "/a%20HTTP/1.1%0D%0AHost:%20e"),
        ("/p/\x00", "/%00"),
        ("/p//a", "//a"),
        ("/p/[x]", "/%5Bx%5D"),
        ("/p/a;v=1,2:3@4!$&'()*=", "/a;v=1,2:3@4!$&'()*="),
        ("/p/", "/"),
    ],
)
def test_decoded_path_is_encoded_once_where_the_server_gives_no_raw_one(
    upstream: RawUpstream, path: str, target: str
) -> None:
    app = ProxyMiddleware(_unwanted, {"/p": upstream.url})

    assert call(app, path).status == "200 OK"
    assert upstream.request.target == target


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        pytest.param({"REQUEST_URI": "/p/a%2Fb"}, "/a%2Fb", id="raw-agrees"),
        pytest.param({"RAW_URI": "/p/a%2Fb"}, "/a%2Fb", id="gunicorn-raw-agrees"),
        pytest.param({"REQUEST_URI": "/p/other"}, "/a/b", id="raw-disagrees"),
        pytest.param({"REQUEST_URI": "*"}, "/a/b", id="asterisk"),
        pytest.param({"REQUEST_URI": "http://h/p/a%2Fb"}, "/a%2Fb", id="absolute-form"),
        pytest.param({"REQUEST_URI": "http://h"}, "/a/b", id="absolute-form-no-path"),
        pytest.param({"REQUEST_URI": "p/a/b"}, "/a/b", id="no-slash"),
        pytest.param({"REQUEST_URI": "/p/a%2Fb?x=1"}, "/a%2Fb", id="query-taken-away"),
        pytest.param(
            {"REQUEST_URI": "/p/a%2Fb?x=1", "QUERY_STRING": "y=2"}, "/a%2Fb?y=2", id="query-changed"
        ),
        pytest.param(
            {"REQUEST_URI": "/p/a%2Fb", "QUERY_STRING": "y=2"}, "/a%2Fb?y=2", id="query-added"
        ),
    ],
)
def test_raw_target_counts_only_if_it_agrees_with_the_path(
    upstream: RawUpstream, environ: dict[str, str], target: str
) -> None:
    app = ProxyMiddleware(_unwanted, {"/p": upstream.url})

    assert call(app, "/p/a/b", **environ).status == "200 OK"
    assert upstream.request.target == target


@pytest.mark.parametrize(
    ("raw", "target"),
    [("/outer/p/a%2Fb", "/a%2Fb"), ("/%6futer/p/a%2Fb", "/a%2Fb"), ("/else/p/a%2Fb", "/a/b")],
    ids=["agrees", "encoded-mount", "rewritten-outside"],
)
def test_outer_mount_is_respected(upstream: RawUpstream, raw: str, target: str) -> None:
    app = ProxyMiddleware(_unwanted, {"/p": upstream.url})
    upstream.respond(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")

    answer = call(app, "/p/a/b", SCRIPT_NAME="/outer", REQUEST_URI=raw)

    assert ("Location", "/outer/p/x") in answer.headers
    assert upstream.request.target == target
    assert upstream.request.headers.get("X-Forwarded-Prefix") == "/outer/p"


def test_outer_mount_is_kept_with_the_prefix(upstream: RawUpstream) -> None:
    app = ProxyMiddleware(_unwanted, {"/p": Route(upstream.url, strip_prefix=False)})

    call(app, "/p/x", SCRIPT_NAME="/outer", REQUEST_URI="/outer/p/x")

    assert upstream.request.target in ("/p/x", "/outer/p/x")


def _unwanted(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise AssertionError("this request is no concern of the wrapped application")
