"""Dots, and whatever somebody may decode to dots: nothing leaves its prefix."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support import RawUpstream, Site
from wsgiproxy.errors import BadRequest
from wsgiproxy.routing.router import Router

PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
Proxied = Callable[..., Site]


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
        "/p/..;/admin",
        "/p/%2e%2e;/admin",
        "/p/..;x=1/admin",
        "/p/..%3b/admin",
        "/p/.%2e;/admin",
        "/p/x/..;/..;/admin",
        "/p/%u002e%u002e/admin",
        "/p/%c0%ae%c0%ae/admin",
        "/p/%e0%80%ae%c0%ae%c0%afadmin",
        "/p/a%2fb/../../../admin",
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
        *("/../admin", "/%2e%2e/admin", "/..%2fadmin", "/x/../../admin", "/%5c..%5cadmin", "/.."),
        *("/%252e%252e/admin", "/x/%2e%2e%2f%2e%2e/admin", "//../admin", "/..\\admin"),
        *("/..;/admin", "/%2e%2e;/admin", "/x/..;a/..;b/admin"),
    ],
)
@pytest.mark.parametrize("server", ["waitress", "werkzeug"])
def test_path_that_climbs_out_of_a_base_path_is_refused_at_the_root_too(
    proxied: Proxied, server: str, target: str
) -> None:
    site = proxied(prefix="/", base="/public", server=server)

    assert site.get(target).status == 400
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
        "/p/admin;x/y",
        "/p/admin;/y",
        "/p/;/admin/y",
        "/p/.;/admin/y",
        "/p/admin%3bx/y",
        "/p/x/..;/admin/y",
        "/p/%5cadmin/y",
        "/p/%25%36%31dmin/y",
        "/p/%u0061dmin/y",
        "/p/%c0%afadmin/y",
        "/p/a%2fb/../admin/y",
        "/p/a%2fb/../%61dmin/y",
        "/p/x;%2fq/../admin/y",
        "/p//host/admin/y",
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
        assert request.target.startswith("/closed/")


@pytest.mark.parametrize("target", ["//other/inner/x", "/;/inner/x", "/inner;x/y", "/x//../inner"])
@pytest.mark.parametrize("server", ["waitress", "gunicorn-gthread", "werkzeug"])
def test_route_at_the_root_gets_nothing_that_may_be_another_routes(
    proxied: Proxied, upstream: RawUpstream, server: str, target: str
) -> None:
    site = proxied({"/": upstream.url + "/open", "/inner": upstream.url + "/closed"}, server=server)

    site.get(target)

    # Werkzeug's server collapses the first slashes itself: then there is nothing odd left.
    for request in upstream.requests:
        assert request.target.startswith("/closed") or request.target == "/open/other/inner/x"


@pytest.mark.parametrize(
    "target", ["/p/a;v=1", "/p/;a", "/p/a;b/c;d?e;f", "/p/a//b/./c", "/p/50%25"]
)
def test_odd_path_that_stays_with_its_route_passes_as_written(
    proxied: Proxied, target: str
) -> None:
    site = proxied()

    assert site.get(target).status == 200
    assert site.upstream.request.target == target.removeprefix("/p")


def test_path_without_end_of_readings_is_refused(proxied: Proxied) -> None:
    site = proxied()

    assert site.get("/p/" + "".join(f"%{'25' * n}2f;a" for n in range(1, 40))).status == 400


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


# -- any path at all -------------------------------------------------------------------------

PIECES = [
    *("/", "/", "..", ".", "p", "admin", "x", "%2e", "%2E%2e", "%2f", "%2F", "%5c", "%5C", "%25"),
    *("%252e", "%252f", ";", "%00", "%", "%zz", "%c0%ae", "//", "%70", "+", "%20", "\u00e9", ":"),
]


def decoded(path: str) -> str:
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1")


def climbs(path: str) -> bool:
    """Whether some reader of this path would leave its root."""
    depth = 0
    for segment in path.replace("\\", "/").split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(segment, 1)
        if depth < 0:
            return True
    return False


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.booleans())
@example("/x/..%2f..%2fadmin", True)
@example("/%252e%252e/", False)
def test_any_target_is_passed_as_written_or_refused(rest: str, has_raw: bool) -> None:
    router = Router({"/p": "http://127.0.0.1:9", "/p/admin": "http://127.0.0.1:9"}, {})
    raw = "/p" + rest
    environ = {"PATH_INFO": decoded(raw)} | ({"REQUEST_URI": raw} if has_raw else {})
    try:
        match = router.match(environ)
    except BadRequest:
        return
    if match is None:
        assert not raw.startswith("/p/")
        return
    path = match.raw_path
    if has_raw:
        assert quote(raw.encode("latin-1"), safe=PRINTABLE).endswith(path)
    for _ in range(3):
        assert not climbs(path), path
        path = decoded(path)
    if match.mount.prefix == "/p":
        assert not posixpath.normpath("/p" + decoded(match.raw_path)).startswith("/p/admin/")
