"""Who the user is, as the upstream hears it: never from the client, never two names for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support import RawUpstream, Site, call, front
from wsgiproxy import ConfigurationError, ProxyMiddleware, Route
from wsgiproxy.access.identity import encode
from wsgiproxy.errors import Forbidden

Proxied = Callable[..., Site]

#: Spellings that one server or framework or another takes for ``Remote-User``.
SPELLINGS = (
    "Remote-User", "remote-user", "REMOTE_USER", "Remote_User", "Remote--User", "Remote-_User",
    "HTTP_REMOTE_USER", "HTTP-Remote-User", "HTTP_HTTP_REMOTE_USER", "X-Remote-User",
    "X-Forwarded-User", "X-Webauth-User", "X-Auth-Request-Email", "Remote-Groups", "RemoteUser",
)  # fmt: skip


def named(**options: Any) -> Any:
    """A proxy in front of nothing that names its user."""
    return lambda upstream: ProxyMiddleware(front, {"/p": Route(upstream.url, **options)})


def seen(upstream: RawUpstream) -> list[tuple[str, str]]:
    """What the upstream heard of users."""
    words = ("user", "mail", "group", "team")
    return [(n, v) for n, v in upstream.request.headers if any(w in n.lower() for w in words)]


@pytest.mark.parametrize("server", ["waitress", "werkzeug", "wsgiref", "cheroot"])
@pytest.mark.parametrize("user", [None, "alice"], ids=["nobody", "somebody"])
def test_client_claims_a_name_upstream_never_hears_it(
    proxied: Proxied, upstream: RawUpstream, server: str, user: str | None
) -> None:
    routes = {"/p": Route(upstream.url, remote_user=lambda environ: user)}
    site = proxied(routes, server=server)
    # wsgiref's parser takes no dash and underscore for the same; all are sent in one request.
    site.get("/p/", *(f"{name}: root" for name in SPELLINGS))
    assert seen(upstream) == ([("Remote-User", user)] if user else [])


@pytest.mark.parametrize("spelling", ["X-Our-Name", "X_Our_Name", "X--Our-Name", "HTTP-X-Our-Name"])
def test_client_claims_a_configured_header_upstream_never_hears_it(
    proxied: Proxied, upstream: RawUpstream, spelling: str
) -> None:
    route = Route(upstream.url, remote_user_header="X-Our-Name")
    proxied({"/p": route}, server="wsgiref").get("/p/", f"{spelling}: root")
    assert "root" not in str(upstream.request.headers)


def test_connection_header_cannot_remove_the_name(proxied: Proxied, upstream: RawUpstream) -> None:
    route = Route(upstream.url, remote_user=lambda environ: "alice")
    proxied({"/p": route}).get("/p/", "Connection: close, Remote-User")
    assert seen(upstream) == [("Remote-User", "alice")]


@pytest.mark.parametrize(("remote_user", "environ", "sent"), [
    (True, {"REMOTE_USER": "alice"}, "alice"),
    ("true", {"REMOTE_USER": "alice"}, "alice"),
    ("SSL_CLIENT_S_DN_CN", {"SSL_CLIENT_S_DN_CN": "alice"}, "alice"),
    (True, {}, None),
    (True, {"REMOTE_USER": ""}, None),
    (False, {"REMOTE_USER": "alice"}, None),
    (lambda environ: environ["test.user"], {"test.user": "bob"}, "bob"),
    ("tests.access.test_identity:resolver", {}, "imported"),
    (lambda environ: ["a", "b,c"], {}, "a,UTF-8''b%2Cc"),
    (lambda environ: "zo\xeb", {}, "zo\xeb"),
    (lambda environ: "\u20ac", {}, "UTF-8''%E2%82%AC"),
    (lambda environ: "utf-8''admin", {}, "UTF-8''utf-8%27%27admin"),
    (lambda environ: "admin ", {}, "UTF-8''admin%20"),
    (lambda environ: "\xa0admin", {}, "UTF-8''%C2%A0admin"),
], ids=lambda value: "callable" if callable(value) else str(value))  # fmt: skip
def test_remote_user_comes_from(
    upstream: RawUpstream, remote_user: Any, environ: dict[str, Any], sent: str | None
) -> None:
    app = named(remote_user=remote_user)(upstream)
    assert call(app, "/p/x", **environ).status == "200 OK"
    assert upstream.request.headers.get("Remote-User") == sent


def resolver(environ: dict[str, Any]) -> str:
    return "imported"


@pytest.mark.parametrize("name", ["a\r\nX-Admin: 1", "a\nb", "a\x00", "\x7f", "a\tb"])
def test_name_with_control_characters_is_refused(upstream: RawUpstream, name: str) -> None:
    app = named(remote_user=lambda environ: name)(upstream)
    assert call(app, "/p/x").status == "403 Forbidden"
    assert not upstream.requests


@pytest.mark.parametrize("resolve", [
    lambda environ: 1 / 0, lambda environ: 7, lambda environ: b"alice", lambda environ: {"a": 1},
], ids=["raises", "number", "bytes", "mapping"])  # fmt: skip
def test_resolver_that_fails_lets_nobody_pass(upstream: RawUpstream, resolve: Any) -> None:
    answer = call(named(remote_user=resolve)(upstream), "/p/x")
    assert answer.status == "500 Internal Server Error"
    assert b"ZeroDivision" not in answer.body
    assert not upstream.requests


@pytest.mark.parametrize("header", ["REMOTE_USER", "X-Remote-User", "X-WEBAUTH-USER"])
def test_header_name_is_an_option(upstream: RawUpstream, header: str) -> None:
    app = named(remote_user=True, remote_user_header=header)(upstream)
    call(app, "/p/x", REMOTE_USER="alice", HTTP_REMOTE_USER="root", HTTP_X_REMOTE_USER="root")
    [(name, value)] = seen(upstream)
    assert (name if "_" in header else name.lower(), value) == (
        header if "_" in header else header.lower(), "alice",
    )  # fmt: skip


def test_further_headers_come_by_the_same_means(upstream: RawUpstream) -> None:
    headers = {"X-Mail": "MAIL", "X-Team": lambda environ: None, "X-Groups": lambda e: ["a", "b"]}
    app = named(identity_headers=headers)(upstream)
    call(app, "/p/x", MAIL="a@b", HTTP_X_MAIL="root@b", HTTP_X_TEAM="root", HTTP_X__GROUPS="root")
    assert seen(upstream) == [("X-Mail", "a@b"), ("X-Groups", "a,b")]


def test_resolver_cannot_change_the_environ_of_the_server(upstream: RawUpstream) -> None:
    def greedy(environ: dict[str, Any]) -> str:
        environ["greedy"] = True
        return "alice"

    proxy = named(remote_user=greedy)(upstream)
    seen_after = []

    def server(environ: dict[str, Any], start_response: Any) -> Any:
        before = dict(environ)
        body = proxy(environ, start_response)
        seen_after.append(environ == before)
        return body

    assert call(server, "/p/x", HTTP_REMOTE_USER="root").status == "200 OK"
    assert (seen_after, seen(upstream)) == ([True], [("Remote-User", "alice")])


@pytest.mark.parametrize("options", [
    {"remote_user": "HTTP_X_USER"},
    {"remote_user": "no such thing"},
    {"remote_user": "no.such.module:name"},
    {"remote_user_header": "Remote User"},
    {"remote_user_header": "Host"},
    {"identity_headers": {"Content-Length": "X"}},
    {"identity_headers": {"Remote-User": "X"}, "remote_user": True},
    {"identity_headers": {"X-A": "X", "X_A": "Y"}},
    {"copy_headers": "X-A"},
    {"auth_cache": 5},
    {"identity_headers": "no colon"},
], ids=str)  # fmt: skip
def test_option_that_cannot_work_is_refused_at_start(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ProxyMiddleware(front, {"/p": Route("http://localhost:1", **options)})


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
MARKED = TEXT | TEXT.map(lambda text: "UTF-8''" + text) | TEXT.map(lambda text: text + " ")


@given(MARKED, MARKED)
def test_two_names_never_become_one(one: str, other: str) -> None:
    assume(one != other)
    encoded = {encode(one).strip(), encode(other).strip()}
    assert len(encoded) == 2
    assert all(text.encode("latin-1").decode("latin-1").isprintable() or text for text in encoded)


@given(st.text(max_size=20))
def test_encoded_name_is_one_safe_field_value(name: str) -> None:
    try:
        encoded = encode(name)
    except Forbidden:
        assert any(c < " " or c == "\x7f" for c in name)
        return
    encoded.encode("latin-1")
    assert not any(c < " " or "\x7f" <= c < "\xa0" for c in encoded)
    assert encoded == encoded.strip()
