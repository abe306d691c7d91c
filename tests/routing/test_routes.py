"""Which route a path belongs to, however it is spelt, and the slash behind a prefix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import RawUpstream, Site, call, get
from wsgiproxy import ProxyMiddleware, Route

Proxied = Callable[..., Site]


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
