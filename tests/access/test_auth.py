"""Who may pass: asked before the upstream hears of a request, and nobody when in doubt."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import webob

from tests.support import RawUpstream, Site, call, front
from tests.support.auth import WEBSOCKET
from wsgiproxy import ConfigurationError, ProxyMiddleware, Route
from wsgiproxy.embedding import EmbeddedProxy

Proxied = Callable[..., Site]


class Application:
    """A wrapped application that says who may pass, and remembers what it was asked."""

    def __init__(self, status: str = "204 No Content", *headers: tuple[str, str]) -> None:
        self.status = status
        self.headers = list(headers)
        self.asked: list[dict[str, Any]] = []
        self.closed = 0

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/plain":
            return front(environ, start_response)
        self.asked.append({**environ, "read": environ["wsgi.input"].read()})
        start_response(self.status, self.headers)
        return self

    def __iter__(self) -> Any:
        return iter([b"from the application"])

    def close(self) -> None:
        self.closed += 1


def ask(app: Any, upstream: RawUpstream, path: str = "/p/x", **given: Any) -> Any:
    """One request to a route that asks ``/check``; options begin with ``auth_`` or ``copy_``."""
    names = ("auth", "auth_cache", "copy_headers")
    options = {"auth": "/check", **{k: given.pop(k) for k in names if k in given}}
    proxy = given.pop("proxy", None) or ProxyMiddleware(app, {"/p": Route(upstream.url, **options)})
    return call(proxy, path, **given)


PAGE = {"HTTP_ACCEPT": "text/html,*/*;q=0.8"}


def test_2xx_lets_pass_and_is_closed(upstream: RawUpstream) -> None:
    app = Application()
    assert ask(app, upstream).body == b"ok"
    assert (len(app.asked), app.closed, len(upstream.requests)) == (1, 1, 1)


def test_question_is_a_get_without_a_body_that_tells_what_it_is_about(
    upstream: RawUpstream,
) -> None:
    app = Application()
    ask(
        app,
        upstream,
        "/p/a b",
        REQUEST_METHOD="POST",
        QUERY_STRING="q=1",
        CONTENT_LENGTH="3",
        CONTENT_TYPE="text/plain",
        HTTP_COOKIE="a=1",
        HTTP_RANGE="bytes=0-",
        HTTP_IF_NONE_MATCH="x",
        HTTP_X_ORIGINAL_URI="/forged",
        HTTP_X_HTTP_METHOD_OVERRIDE="DELETE",
        body=b"abc",
        auth="/check?level=2",
        **{"wsgi.input": io.BytesIO(b"abc")},
    )
    [asked] = app.asked
    assert (asked["REQUEST_METHOD"], asked["PATH_INFO"]) == ("GET", "/check")
    assert (asked["QUERY_STRING"], asked["REQUEST_URI"]) == ("level=2", "/check?level=2")
    assert asked["HTTP_X_ORIGINAL_URI"] == "/p/a%20b?q=1"
    assert (asked["HTTP_X_ORIGINAL_METHOD"], asked["HTTP_COOKIE"]) == ("POST", "a=1")
    assert asked["read"] == b""
    gone = ("CONTENT_LENGTH", "HTTP_RANGE", "HTTP_IF_NONE_MATCH", "HTTP_X_HTTP_METHOD_OVERRIDE")
    assert not any(key in asked for key in gone)
    assert upstream.request.body == b"abc"


@pytest.mark.parametrize("status", ["302 Found", "401 Unauthorized", "403 Forbidden"])
def test_refusal_of_a_page_load_is_the_applications_own(upstream: RawUpstream, status: str) -> None:
    app = Application(status, ("Location", "/login"), ("Set-Cookie", "a=1"))
    answer = ask(app, upstream, **PAGE)
    assert answer == (status, app.headers, b"from the application")
    assert app.closed == 1
    assert ask(app, upstream, REQUEST_METHOD="HEAD", **PAGE).body == b""
    assert app.closed == 2
    assert not upstream.requests


API = {
    "json": {"HTTP_ACCEPT": "application/json"},
    "anything": {"HTTP_ACCEPT": "*/*"},
    "nothing": {},
    "xhr": {**PAGE, "HTTP_X_REQUESTED_WITH": "XMLHttpRequest"},
    "fetch": {**PAGE, "HTTP_SEC_FETCH_MODE": "cors", "HTTP_SEC_FETCH_DEST": "empty"},
    "image": {**PAGE, "HTTP_SEC_FETCH_DEST": "image"},
    "websocket": {**PAGE, "HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade"},
}


@pytest.mark.parametrize("headers", API.values(), ids=API)
@pytest.mark.parametrize(("status", "told"), [
    ("302 Found", 401), ("303 See Other", 401), ("401 Unauthorized", 401), ("403 Forbidden", 403),
])  # fmt: skip
def test_refusal_of_anything_else_is_plain(
    upstream: RawUpstream, headers: dict[str, str], status: str, told: int
) -> None:
    app = Application(status, ("Location", "/login"), ("WWW-Authenticate", "Basic"))
    answer = ask(app, upstream, **headers)
    assert answer.status.startswith(str(told))
    names = dict(answer.headers)
    assert "Location" not in names
    assert names["WWW-Authenticate"] == "Basic"
    assert b"from the application" not in answer.body
    assert app.closed == 1
    assert not upstream.requests


@pytest.mark.parametrize("status", [
    "100 Continue", "304 Not Modified", "400 Bad", "404 Not Found", "418 Tea", "500 Oops",
    "503 Busy",
])  # fmt: skip
def test_answer_that_is_neither_yes_nor_no_lets_nobody_pass(
    upstream: RawUpstream, status: str
) -> None:
    app = Application(status)
    answer = ask(app, upstream, **PAGE)
    assert answer.status == "500 Internal Server Error"
    assert b"from the application" not in answer.body
    assert (app.closed, upstream.requests) == (1, [])


def silent(environ: Any, start_response: Any) -> Iterable[bytes]:
    return [b"never started"]


def late(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("204 No Content", [])
    yield b"from a generator"


def writer(environ: Any, start_response: Any) -> Iterable[bytes]:
    write = start_response("401 Unauthorized", [])
    write(b"written, ")
    return [b"returned"]


def broken(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise RuntimeError("secret of the application")


@pytest.mark.parametrize(("app", "status", "body"), [
    (silent, "500 Internal Server Error", None),
    (broken, "500 Internal Server Error", None),
    (late, "200 OK", b"ok"),
    (writer, "401 Unauthorized", b"written, returned"),
])  # fmt: skip
def test_application_that_answers_oddly(
    upstream: RawUpstream, app: Any, status: str, body: bytes | None
) -> None:
    answer = ask(app, upstream, **PAGE)
    assert answer.status == status
    assert b"secret" not in answer.body
    if body is not None:
        assert answer.body == body
    assert len(upstream.requests) == (status == "200 OK")


# -- coming back after the login --------------------------------------------------------------


@pytest.mark.parametrize(("location", "sent"), [
    ("/login?next=/check", "/login?next=/p/x%3Fq%3D1"),
    ("/login?a=1&next=%2Fcheck&b=2", "/login?a=1&next=/p/x%3Fq%3D1&b=2"),
    ("/login?next=http://front/check#f", "/login?next=http://front/p/x%3Fq%3D1#f"),
    ("http://sso.example/?back=http%3A//front/check",
     "http://sso.example/?back=http://front/p/x%3Fq%3D1"),
    ("/login?next=/check/other", "/login?next=/check/other"),
    ("login", "/login"),
    ("/login", "/login"),
])  # fmt: skip
def test_redirect_to_login_leads_back_to_the_page_asked_for(
    upstream: RawUpstream, location: str, sent: str
) -> None:
    app = Application("302 Found", ("Location", location))
    answer = ask(app, upstream, QUERY_STRING="q=1", **PAGE)
    assert dict(answer.headers)["Location"] == sent


def test_auth_true_asks_for_the_same_path(upstream: RawUpstream) -> None:
    app = Application()
    assert ask(app, upstream, "/p/a/b", QUERY_STRING="q=1", auth=True).status == "200 OK"
    [asked] = app.asked
    assert (asked["PATH_INFO"], asked["QUERY_STRING"]) == ("/p/a/b", "q=1")


@pytest.mark.parametrize("path", ["/p/a/../b", "/p/a/%2e%2e/b", "/p/a/..;/b", "/p/a\\..\\b"])
def test_path_that_may_mean_another_is_refused_where_the_path_decides(
    upstream: RawUpstream, path: str
) -> None:
    for auth in (True, lambda request: True):
        assert ask(Application(), upstream, path, auth=auth).status == "400 Bad Request"
    assert not upstream.requests
    assert ask(Application(), upstream, "/p/a/../b").status == "200 OK"


def test_mounted_view_that_would_ask_itself_is_refused_at_start() -> None:
    with pytest.raises(ConfigurationError, match="same URL"):
        EmbeddedProxy(Route("http://localhost:1", auth=True), front)


def test_question_that_leads_back_to_the_question_ends(upstream: RawUpstream) -> None:
    proxy: Any = None

    def app(environ: Any, start_response: Any) -> Any:
        return proxy({**environ, "PATH_INFO": "/p/again"}, start_response)

    proxy = ProxyMiddleware(app, {"/p": Route(upstream.url, auth="/check")})
    assert call(proxy, "/p/x").status == "500 Internal Server Error"
    assert not upstream.requests


# -- callables --------------------------------------------------------------------------------


@pytest.mark.parametrize(("verdict", "status"), [
    (True, "200 OK"),
    (False, "403 Forbidden"),
    (None, "403 Forbidden"),
    ("yes", "500 Internal Server Error"),
    (1, "500 Internal Server Error"),
    (webob.Response(status=204), "200 OK"),
    (webob.Response("log in", status=401), "401 Unauthorized"),
    (webob.Response(status=404), "500 Internal Server Error"),
], ids=str)  # fmt: skip
def test_callable_says(upstream: RawUpstream, verdict: Any, status: str) -> None:
    answer = ask(front, upstream, auth=lambda request: verdict, **PAGE)
    assert answer.status == status
    assert len(upstream.requests) == (status == "200 OK")


def test_callable_that_raises_lets_nobody_pass(upstream: RawUpstream) -> None:
    answer = ask(front, upstream, auth=lambda request: 1 / 0)
    assert answer.status == "500 Internal Server Error"
    assert not upstream.requests


def test_callable_may_not_read_the_body(upstream: RawUpstream) -> None:
    bodies = []

    def look(request: webob.Request) -> bool:
        bodies.append((request.body, request.method, request.path))
        return True

    given: dict[str, Any] = {"CONTENT_LENGTH": "3", "wsgi.input": io.BytesIO(b"abc")}
    assert ask(front, upstream, auth=look, REQUEST_METHOD="PUT", **given).status == "200 OK"
    assert bodies == [(b"", "PUT", "/p/x")]
    assert upstream.request.body == b"abc"


# -- headers for the upstream ----------------------------------------------------------------------


def test_chosen_headers_are_copied_and_cleared_when_absent(upstream: RawUpstream) -> None:
    app = Application("200 OK", ("X-User", "alice"), ("X-Not-Chosen", "1"), ("x-mail", "a@b"))
    claims = {f"HTTP_{name}": "root" for name in ("X_USER", "X__MAIL", "X_GONE", "HTTP_X_GONE")}
    ask(app, upstream, copy_headers="X-User X-Mail X-Gone", **claims)
    sent = {n: v for n, v in upstream.request.headers if n.startswith("X-") and "Forw" not in n}
    assert sent == {"X-User": "alice", "X-Mail": "a@b"}


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\x00", "\u20ac"])
def test_header_to_copy_that_no_header_can_hold_lets_nobody_pass(
    upstream: RawUpstream, value: str
) -> None:
    app = Application("200 OK", ("X-User", value))
    assert ask(app, upstream, copy_headers="X-User").status == "500 Internal Server Error"
    assert not upstream.requests


# -- what is remembered ------------------------------------------------------------------------


def asked_times(app: Application, proxy: Any, *requests: dict[str, Any]) -> int:
    for given in requests:
        call(proxy, **{"path": "/p/x", **given})
    return len(app.asked)


ALICE = {"HTTP_COOKIE": "s=alice"}


@pytest.mark.parametrize(("requests", "times"), [
    ([ALICE, ALICE], 1),
    ([ALICE, {**ALICE, "path": "/p/other"}], 1),
    ([ALICE, {"HTTP_COOKIE": "s=bob"}], 2),
    ([ALICE, {**ALICE, "HTTP_AUTHORIZATION": "Basic x"}], 2),
    ([ALICE, {**ALICE, "REMOTE_ADDR": "192.0.2.2"}], 2),
    ([{}, {}], 2),
    ([{"REMOTE_USER": "a"}, {"REMOTE_USER": "a"}], 1),
], ids=["same", "path", "cookie", "credentials", "address", "nobody", "user"])  # fmt: skip
def test_pass_is_remembered_for_the_same_cookie_only(
    upstream: RawUpstream, requests: list[dict[str, Any]], times: int
) -> None:
    app = Application()
    proxy = ProxyMiddleware(app, {"/p": Route(upstream.url, auth="/check", auth_cache=60)})
    assert asked_times(app, proxy, *requests) == times
    assert len(upstream.requests) == len(requests)


def test_pass_is_remembered_with_its_headers(upstream: RawUpstream) -> None:
    app = Application("200 OK", ("X-User", "alice"))
    options = {"auth": "/check", "auth_cache": 60, "copy_headers": "X-User"}
    proxy = ProxyMiddleware(app, {"/p": Route(upstream.url, **options)})
    assert asked_times(app, proxy, ALICE, {**ALICE, "HTTP_X_USER": "root"}) == 1
    assert [r.headers.get("X-User") for r in upstream.requests] == ["alice", "alice"]


def test_pass_for_a_path_does_not_count_for_another_where_the_path_decides(
    upstream: RawUpstream,
) -> None:
    app = Application()
    proxy = ProxyMiddleware(app, {"/p": Route(upstream.url, auth=True, auth_cache=60)})
    assert asked_times(app, proxy, ALICE, ALICE, {**ALICE, "path": "/p/admin"}) == 2


def test_refusal_is_not_remembered(upstream: RawUpstream) -> None:
    app = Application("401 Unauthorized")
    proxy = ProxyMiddleware(app, {"/p": Route(upstream.url, auth="/check", auth_cache=60)})
    assert call(proxy, "/p/x", **ALICE).status == "401 Unauthorized"
    app.status = "200 OK"
    assert call(proxy, "/p/x", **ALICE).status == "200 OK"


def test_pass_is_forgotten_in_time(upstream: RawUpstream) -> None:
    app = Application()
    proxy = ProxyMiddleware(app, {"/p": Route(upstream.url, auth="/check", auth_cache=1e-6)})
    assert asked_times(app, proxy, ALICE, ALICE) == 2


# -- on the wire ---------------------------------------------------------------------------------


def refuses(environ: Any, start_response: Any) -> Iterable[bytes]:
    if "s=alice" in environ.get("HTTP_COOKIE", ""):
        start_response("200 OK", [("Content-Length", "0")])
        return []
    start_response("302 Found", [("Location", "/login"), ("Content-Length", "0")])
    return []


@pytest.mark.parametrize("server", ["waitress", "gunicorn-sync", "gunicorn-gthread", "werkzeug"])
def test_websocket_without_login_never_reaches_the_upstream(
    proxied: Proxied, upstream: RawUpstream, server: str
) -> None:
    routes = {"/p": {"url": upstream.url, "auth": "/check"}}
    site = proxied(routes, server=server, app="tests.access.test_auth:refuses")
    assert site.get("/p/ws", *WEBSOCKET).status == 401
    assert site.get("/p/x", "Accept: text/html").headers.get("Location") == "/login"
    assert not upstream.connections
    assert site.get("/p/x", "Cookie: s=alice").body == b"ok"


def test_options_written_as_text_mean_the_same() -> None:
    """As an ini file, a TOML file and the command line have them."""
    text = Route(
        "http://localhost:1",
        auth="/check",
        auth_cache="2.5",
        copy_headers="X-A, X-B",
        remote_user="true",
        identity_headers="X-Mail: MAIL\nX-Name: tests.access.test_identity:resolver",
        redirects="^/a$ -> /b\n^/c/(.*) -> https://other.example/\\1",
        rewrites="^/v1/ -> /v2/",
    )
    from tests.access.test_identity import resolver

    python = Route(
        "http://localhost:1",
        auth="/check",
        auth_cache=2.5,
        copy_headers=["X-A", "X-B"],
        remote_user=True,
        identity_headers={"X-Mail": "MAIL", "X-Name": resolver},
        redirects={"^/a$": "/b", "^/c/(.*)": r"https://other.example/\1"},
        rewrites=[("^/v1/", "/v2/")],
    )
    names = ("auth", "auth_cache", "copy_headers", "remote_user", "identity_headers")
    for name in (*names, "redirects", "rewrites"):
        assert getattr(text, name) == getattr(python, name)
    assert Route("http://localhost:1", auth="false").auth is None
    assert Route("http://localhost:1", auth="true").auth is True


@pytest.mark.parametrize("auth", ["check", "//check", "/check#x", "/ch eck", "no.such:thing", 7])
def test_auth_that_names_nothing_is_refused_at_start(auth: Any) -> None:
    with pytest.raises(ConfigurationError):
        Route("http://localhost:1", auth=auth)
