"""Real Flask with Flask-Login and real Pyramid with a security policy, services in and behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import Address, RawClient, RawUpstream, eventually, message, serve
from tests.support.auth import Visitor, received, serve_apart, service, told

SITES = [
    pytest.param((site, server), id=f"{site}-{server}")
    for site in ("flask_site", "pyramid_site")
    for server in ("waitress", "gunicorn-gthread")
]


@pytest.fixture(scope="module")
def behind() -> Iterator[RawUpstream]:
    """The service."""
    with RawUpstream() as upstream:
        upstream.script(service)
        yield upstream


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest, behind: RawUpstream) -> Iterator[Address]:
    """Each site on each server."""
    name, server = request.param
    factory = f"tests.support.frameworks:{name}"
    with serve_apart(factory, server, upstream=behind.url) as address:
        yield address


@pytest.fixture
def upstream(behind: RawUpstream) -> RawUpstream:
    """The service without what it was asked before."""
    behind.requests.clear()
    return behind


@pytest.fixture
def visitor(site: Address) -> Visitor:
    """Somebody who is not logged in."""
    return Visitor(site)


def test_user_logs_in_and_out_upstream_sees_the_name_while_it_lasts(
    visitor: Visitor, upstream: RawUpstream
) -> None:
    assert "remote-user" not in told(visitor.ask("/named/", "Remote-User: root"))["headers"]
    visitor.ask("/login?name=alice")
    assert told(visitor.ask("/named/"))["headers"]["remote-user"] == "alice"
    found = told(visitor.ask("/guarded/x"))["headers"]
    assert (found["remote-user"], found["x-mail"]) == ("alice", "alice@example.org")
    with visitor.websocket("/guarded/ws") as (client, response):
        assert response.status == 101
        client.send(b"ping")
        assert client.read_until(b"ping") == b"echo ping"
    visitor.ask("/logout")
    upstream.requests.clear()
    assert visitor.ask("/guarded/x").status == 401
    assert visitor.page("/guarded/x").headers.get("Location", ) in (
        "/login?next=/guarded/x", "/login?next=%2Fguarded%2Fx", _absolute(visitor, "/guarded/x"),
    )  # fmt: skip
    with visitor.websocket("/guarded/ws") as (_, response):
        assert response.status == 401
    assert not upstream.requests
    assert "remote-user" not in told(visitor.ask("/named/"))["headers"]


def _absolute(visitor: Visitor, path: str) -> str:
    return f"http://{visitor.address.netloc}/login?next={path}"


@pytest.mark.parametrize("path", ["/private/x", "/asked/x"])
def test_guarded_view_refuses_until_login(
    visitor: Visitor, upstream: RawUpstream, path: str
) -> None:
    response = visitor.page(path)
    assert response.status == 302
    assert "/login?next=" in (response.headers.get("Location") or "")
    with visitor.websocket(path) as (_, refused):
        assert refused.status in (302, 401)
    assert not upstream.requests
    visitor.ask("/login?name=bob")
    assert told(visitor.ask(path))["target"] == "/x"
    with visitor.websocket(path) as (client, response):
        assert response.status == 101
        client.send(b"ping")
        assert client.read_until(b"ping") == b"echo ping"


@pytest.mark.parametrize("target", [
    "/a%2Fb", "/a%252Fb", "/a%20b", "/a+b", "/%e2%9c%93", "/a//b", "//a", "/~u;v=1", "/",
    "/x?b=2&a=1&b=3", "/x?q=a%20b", "/x?", "/x?a[]=%zz", "/100%", "/p/http://evil/", "/a/./b",
])  # fmt: skip
def test_view_passes_the_target_as_the_client_spelt_it(visitor: Visitor, target: str) -> None:
    assert told(visitor.ask("/open" + target))["target"] == target
    assert told(visitor.ask("/team/r%65d" + target))["target"] == target


@pytest.mark.parametrize("target", ["/../admin", "/%2e%2e/admin", "/..%2fadmin"])
def test_view_refuses_to_leave_its_upstream(
    visitor: Visitor, upstream: RawUpstream, target: str
) -> None:
    assert visitor.ask("/open" + target).status == 400
    assert not upstream.requests


@pytest.mark.parametrize("method", [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE",
])  # fmt: skip
def test_view_takes_every_method_without_csrf_token(
    visitor: Visitor, upstream: RawUpstream, method: str
) -> None:
    body = b"a=1" if method in ("POST", "PUT", "PATCH") else b""
    kind = "Content-Type: application/x-www-form-urlencoded"
    for query in ("", "?peek=1"):
        upstream.requests.clear()
        response = visitor.ask("/open/x" + query, kind, method=method, body=body)
        assert response.status == 200
        assert (upstream.request.method, upstream.request.body) == (method, body)


def test_view_keeps_repeats_reason_cookies_and_location(visitor: Visitor) -> None:
    response = visitor.ask("/open/repeats")
    assert (response.status, response.reason) == (299, "Odd Reason")
    assert response.headers.all("X-Twice") == ["one", "two"]
    assert sorted(response.headers.all("Set-Cookie")) == [
        'a="2 3"; Path=/open/other',
        "a=1; Path=/open/; Weird=yes; HttpOnly",
        "sessionid=theirs; Path=/open/",
    ]
    response = visitor.ask("/team/red/moved")
    assert response.headers.get("Location") == "/team/red/inside?next=http://other/"


def test_view_passes_errors_chunks_and_no_type_of_its_own(visitor: Visitor) -> None:
    response = visitor.ask("/open/missing")
    assert (response.status, response.body) == (404, b"nothing")
    assert visitor.ask("/open/chunks").body == b"helloworld"
    assert visitor.ask("/open/notype").headers.get("Content-Type") is None


def test_prefix_without_slash_redirects_to_it(visitor: Visitor, upstream: RawUpstream) -> None:
    response = visitor.ask("/open?a=1")
    assert (response.status, response.headers.get("Location")) == (308, "/open/?a=1")
    assert not upstream.requests


def test_blueprint_tells_who_the_user_is(behind: RawUpstream) -> None:
    from tests.support.frameworks import flask_site

    with serve(flask_site(behind.url)) as address:
        visitor = Visitor(address)
        assert visitor.page("/jobs/x").status == 302
        visitor.ask("/login?name=alice")
        headers = told(visitor.ask("/jobs/x", "X-Team: blue"))["headers"]
    names = [headers[name] for name in ("remote-user", "x-mail", "x-team")]
    assert names == ["alice", "alice@example.org", "red"]


def test_permission_that_nobody_has_refuses_everybody(behind: RawUpstream) -> None:
    from tests.support.frameworks import pyramid_site

    with serve(pyramid_site(behind.url)) as address:
        visitor = Visitor(address)
        visitor.ask("/login?name=alice")
        assert visitor.ask("/never/x").status == 403


def test_upload_streams_through_the_view(site: Address, upstream: RawUpstream) -> None:
    half = b"x" * 300_000
    kind = "Content-Type: multipart/form-data; boundary=b"
    lines = ["Host: front", kind, "Content-Length: 600000"]
    with RawClient(site) as client:
        client.send(message("POST /open/upload HTTP/1.1", lines) + half)
        if site.log is not None:  # waitress reads a whole body first
            eventually(lambda: received["bytes"] > 100_000, what="the first half upstream")
        client.send(half)
        assert client.read_response().body == b"600000"


def test_chunked_upload_reaches_the_upstream_whole(site: Address, upstream: RawUpstream) -> None:
    lines = ["Host: front", "Transfer-Encoding: chunked"]
    with RawClient(site) as client:
        body = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        client.send(message("POST /open/x HTTP/1.1", lines) + body)
        assert client.read_response().status == 200
    assert upstream.request.body == b"hello world"


def test_events_pass_at_once_and_end_with_the_client(site: Address, upstream: RawUpstream) -> None:
    with RawClient(site) as client:
        client.send(message("GET /open/events HTTP/1.1", ["Host: front"]))
        assert client.read_until(b"data: first\n\n")
        record = upstream.request
    connection = upstream.connections[record.connection]
    eventually(connection.finished.is_set, what="the upstream is told")


def test_half_a_response_is_never_told_to_be_a_whole_one(visitor: Visitor) -> None:
    response = visitor.ask("/open/half", allow_cut=True)
    assert (response.body, response.complete) == (b"half of it", False)
