"""Paths and queries: what the client wrote is what the upstream reads, minus the prefix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import RawUpstream, Site, call, get
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


# -- which route -------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/px",
        "/px/p",
        "/P/x",
        "/p;a/x",
        "/p%2Fx",
        "/p%5Cx",
        "/p.",
        "/x/p/y",
        "/p%20/x",
        "/pX?/p/",
    ],
)
def test_path_beside_the_prefix_belongs_to_the_application(proxied: Proxied, target: str) -> None:
    site = proxied()

    response = site.get(target)

    # An encoded slash may be refused as well; what must not be is that it goes upstream.
    assert response.status == 400 or response.body.startswith(b"front GET")
    assert not site.upstream.connections


def test_longest_prefix_wins(upstream: RawUpstream) -> None:
    routes = {f"/{name}": f"{upstream.url}/{name}-base" for name in ("a", "a/b", "a/b/c")}
    app = ProxyMiddleware(_unwanted, routes | {"/": upstream.url + "/root"})

    for path in ("/a/x", "/a/b/x", "/a/bx", "/a/b/c/x", "/a/b/cx", "/x"):
        call(app, path)

    assert [request.target for request in upstream.requests] == [
        "/a-base/x",
        "/a/b-base/x",
        "/a-base/bx",
        "/a/b/c-base/x",
        "/a/b-base/cx",
        "/root/x",
    ]


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("one.example", "/one/x"),
        ("ONE.example", "/one/x"),
        ("one.example:8080", "/one/x"),
        ("two.example", "/any/x"),
        ("evilone.example", "/any/x"),
        ("one.example.evil", "/any/x"),
        ("one.example@evil", None),
        ("one.example, evil", None),
    ],
)
def test_route_of_a_host_is_taken_for_that_host_exactly(
    upstream: RawUpstream, host: str, target: str | None
) -> None:
    routes = [
        ("/p", Route(upstream.url + "/one", host_match="one.example")),
        ("/p", upstream.url + "/any"),
    ]
    answer = call(ProxyMiddleware(_unwanted, routes), "/p/x", HTTP_HOST=host)

    assert [request.target for request in upstream.requests] == ([target] if target else [])
    assert answer.status.startswith("200" if target else "400")


def test_prefix_in_other_letters_matches_its_encoded_form(proxied: Proxied) -> None:
    site = proxied(prefix="/ünï")

    site.get("/%C3%BCn%c3%af/a%2Fb")

    assert site.upstream.request.target == "/a%2Fb"


# -- dots, and whatever may become dots ----------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/p/../admin",
        "/p/%2e%2e/admin",
        "/p/..%2fadmin",
        "/p/%2e%2e%2fadmin",
        "/p/%2E%2E%2Fadmin",
        "/p/x/../../admin",
        "/p/x/..%2f..%2fadmin",
        "/p/./../admin",
        "/p//../../admin",
        "/p/%5c..%5cadmin",
        "/p/..\\admin",
        "/p/x\\..\\..\\admin",
        "/p/%2E%2E%5Cadmin",
        "/p/%252e%252e/admin",
        "/p/%252e%252e%252fadmin",
        "/p/.%2e/admin",
        "/p/..",
        "/p/%2e%2e",
        "/p/x/../..",
    ],
)
@pytest.mark.parametrize("strip_prefix", [True, False], ids=["stripped", "kept"])
def test_path_that_climbs_out_of_its_prefix_is_refused(
    proxied: Proxied, target: str, strip_prefix: bool
) -> None:
    site = proxied(base="/public", strip_prefix=strip_prefix)

    response = site.get(target)

    assert response.status in (400, 404) or response.body.startswith(b"front")
    assert not site.upstream.connections


@pytest.mark.parametrize(
    "target",
    [
        "/p/x/..%2fadmin/y",
        "/p/x/%2e%2e/admin/y",
        "/p/./admin/y",
        "/p/%2e/admin/y",
        "/p//admin/y",
        "/p/%2fadmin/y",
        "/p/%61dmin/y",
        "/p/%2561dmin/y",
        "/p/\\admin/y",
        "/p/x/../admin/y",
        "/p/q/..;/admin/y",
        "/p/admin%2fy",
        "/%70/admin/y",
        "/p/admin/../admin/y",
    ],
)
def test_nested_route_cannot_be_reached_through_the_outer_one(
    proxied: Proxied, upstream: RawUpstream, target: str
) -> None:
    site = proxied({"/p": upstream.url + "/open", "/p/admin": upstream.url + "/closed"})

    site.get(target)

    for request in upstream.requests:
        # The inner route may get it; the outer one may get only what no reader can take
        # for the inner one's.
        assert request.target.startswith("/closed/") or "..;" in request.target


@pytest.mark.parametrize("target", ["/%70/x", "/%70%2fx", "/%70/a%2Fb", "/p%2Fx/y", "/%2570/x"])
def test_encoded_prefix_is_cut_where_it_was_matched_or_not_at_all(
    proxied: Proxied, target: str
) -> None:
    site = proxied()

    response = site.get(target)

    assert response.status in (200, 400, 404)
    sent = [request.target for request in site.upstream.requests]
    assert sent in ([], [target[target.find("/", 1) :]])


@pytest.mark.parametrize("target", ["/p/admin#.png", "/p#/../admin", "/p/x?a#b", "#/p/x"])
def test_fragment_in_a_target_is_refused(proxied: Proxied, target: str) -> None:
    site = proxied()

    response = site.get(target)

    assert response.status == 400 or response.body.startswith(b"front")
    assert not site.upstream.connections


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("GET http://evil.example/p/x HTTP/1.1", "/x"),
        ("GET http://evil.example:99/p/a%2Fb?c HTTP/1.1", "/a%2Fb?c"),
        ("GET //p/x HTTP/1.1", None),
        ("GET p/x HTTP/1.1", None),
        ("OPTIONS * HTTP/1.1", None),
    ],
)
def test_unusual_form_of_target_is_routed_by_its_path(
    proxied: Proxied, line: str, target: str | None
) -> None:
    site = proxied()

    response = site.exchange(line.encode() + b"\r\nHost: front\r\n\r\n")

    assert response.status in (200, 400)
    for request in site.upstream.requests:
        assert request.target in (target, "/x")
        assert request.headers.get("Host") == site.upstream.netloc


def test_host_of_the_upstream_comes_from_the_configuration_only(proxied: Proxied) -> None:
    site = proxied()

    for target in ("/p//evil/x", "/p/@evil/", "/p/.evil/", "/p/:80@evil", "/p/http://evil/"):
        assert site.get(target).status == 200

    hosts = {request.headers.get("Host") for request in site.upstream.requests}
    assert hosts == {site.upstream.netloc}
    assert len(site.upstream.requests) == 5


# -- the slash behind the prefix -----------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("query", ["", "?a=1&b", "?"])
def test_prefix_without_slash_redirects_to_the_slash(
    proxied: Proxied, method: str, query: str
) -> None:
    site = proxied()

    response = site.get("/p" + query, method=method)

    assert response.status in (301, 308)
    assert response.headers.get("Location") in ("/p/" + query, "/p/" + query.rstrip("?"))
    assert not site.upstream.connections


@pytest.mark.parametrize("host", ["evil.example", "a@b"])
def test_slash_redirect_names_no_host(proxied: Proxied, host: str) -> None:
    response = proxied().exchange(f"GET /p HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    assert "evil" not in (response.headers.get("Location") or "")


@pytest.mark.parametrize("target", ["//p", "/%2fp", "/\\p", "/%09/p", "//evil.example/p", "///p"])
def test_slash_redirect_never_leads_to_another_host(proxied: Proxied, target: str) -> None:
    for prefix in ("/p", "/evil.example/p"):
        location = proxied(prefix=prefix).get(target).headers.get("Location")
        assert location is None or (location[0] == "/" and location[1:2] not in ("/", "\\"))


def test_prefix_without_slash_is_forwarded_for_other_methods(proxied: Proxied) -> None:
    site = proxied()

    assert site.get("/p?x", method="DELETE").status == 200
    assert site.upstream.request.target == "/?x"


def test_prefix_without_slash_is_forwarded_if_the_prefix_is_kept(proxied: Proxied) -> None:
    site = proxied(strip_prefix=False)

    assert site.get("/p?x").status == 200
    assert site.upstream.request.target == "/p?x"


def test_prefix_without_slash_is_forwarded_if_told_so(proxied: Proxied) -> None:
    site = proxied(add_slash=False)

    assert site.get("/p?x").status == 200
    assert site.upstream.request.target == "/?x"


def test_http_pipeline_of_paths_keeps_its_order(proxied: Proxied) -> None:
    site = proxied()
    client = site.connect()

    client.send(get("/p/1") + get("/front") + get("/p/2"))

    bodies = [client.read_response().body for _ in range(3)]
    assert bodies == [b"ok", b"front GET /front 0", b"ok"]
    assert [request.target for request in site.upstream.requests] == ["/1", "/2"]


def _unwanted(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise AssertionError("this request is no concern of the wrapped application")
