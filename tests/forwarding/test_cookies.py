"""Whose cookies are whose, as browsers and as servers read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import RawUpstream, Site, call, front, message
from tests.support.headers import answered, sent
from wsgiproxy import ProxyMiddleware, Route
from wsgiproxy.access.cookies import Cookies

Proxied = Callable[..., Site]

# -- requests ---------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["waitress", "gunicorn-gthread", "werkzeug"])
@pytest.mark.parametrize(("lines", "left"), [
    (["a=1", "sessionid=secret"], "a=1"),
    (["sessionid=secret", "a=1"], "a=1"),
    (["a=1; sessionid=secret", "sessionid=secret; b=2"], "a=1; b=2"),
    (["a=1, b=2; c=3"], "a=1, b=2; c=3"),
], ids=str)  # fmt: skip
def test_hidden_cookie_of_another_cookie_line_is_hidden_too(
    proxied: Proxied, server: str, lines: list[str], left: str
) -> None:
    site = proxied(server=server, hide_cookies="sessionid")
    site.get("/p/x", *(f"Cookie: {line}" for line in lines))
    [request] = site.upstream.requests
    assert b"secret" not in request.head
    assert _spaced(request.headers.get("Cookie") or "") == _spaced(left)


def _spaced(cookies: str) -> list[str]:
    return [cookie.strip() for cookie in cookies.split(";")]


@pytest.mark.parametrize(("header", "left"), [
    ("sessionid=a", ""),
    ("a=1;  sessionid =a; b=2", "a=1; b=2"),
    ("=sessionid=a; b=2", "b=2"),
    ("\tsessionid=a; b", "b"),
    ("\xa0sessionid=a; b=2", "b=2"),
    ("a=x,sessionid=secret, b=2", "a=x; b=2"),
    ("sessionid=se,cret, b=2", "b=2"),
    ("sessionid2=a; xsessionid=b", "sessionid2=a; xsessionid=b"),
    ('a="sessionid=1"', 'a="sessionid=1"'),
    ("a=b, c=d, e", "a=b, c=d, e"),
])  # fmt: skip
def test_hidden_cookie_is_found_however_it_is_written(header: str, left: str) -> None:
    cookies = Cookies(["sessionid"], [])
    assert _spaced(cookies.to_upstream(header, {}, is_below=True)) == _spaced(left)


# -- responses --------------------------------------------------------------------------------


@pytest.mark.parametrize("cookie", [
    "sessionid=evil", " sessionid =evil", "=sessionid=evil", " = sessionid=evil",
    "==sessionid=evil", "sessionid", "\xa0sessionid=evil", "\tsessionid\t=evil",
    "wsgiproxy-own-sessionid=forged",
])  # fmt: skip
def test_hidden_cookie_cannot_be_set_however_it_is_written(proxied: Proxied, cookie: str) -> None:
    site = proxied(hide_cookies=["sessionid"])
    assert answered(site, f"Set-Cookie: {cookie}; Path=/", "Set-Cookie: a=1").all("Set-Cookie") == [
        "a=1"
    ]


@pytest.mark.parametrize(("given", "expected"), [
    ("__Host-a=1; Path=/; Secure", "__Host-a=1; Path=/; Secure"),
    (" __Host-a=1; Secure; Path=/", "__Host-a=1; Secure; Path=/"),
    ("__Host-a=1; Path=/", "__Host-a=1; Path=/p/"),
    ("__HOST-a=1; Path=/; Secure", "__HOST-a=1; Path=/p/; Secure"),
    ("__host-a=1; Path=/; Secure", "__host-a=1; Path=/p/; Secure"),
    ("\xa0__Host-a=1; Path=/; Secure", "\xa0__Host-a=1; Path=/p/; Secure"),
    ("=__Host-a=1; Path=/; Secure", "=__Host-a=1; Path=/p/; Secure"),
    ("__Secure-a=1; Path=/; Secure", "__Secure-a=1; Path=/p/; Secure"),
    ("a=1; \xa0Path=/; b", "a=1; \xa0Path=/p/; b"),
    ("a=1; Path=/x; Path=/", "a=1; Path=/p/x; Path=/p/"),
    ("a=1; PATH = /x", "a=1; PATH =/p/x"),
])  # fmt: skip
def test_cookie_leaves_its_prefix_only_if_browsers_take_it_for_a_host_cookie(
    proxied: Proxied, given: str, expected: str
) -> None:
    assert answered(proxied(), f"Set-Cookie: {given}").get("Set-Cookie") == expected


@pytest.mark.parametrize(("path", "given", "expected"), [
    ("/p", "a=1", "a=1; Path=/p/"),
    ("/p", "a=1; Path=relative", "a=1; Path=relative; Path=/p/"),
    ("/p", "a=1; Path=/x", "a=1; Path=/p/x"),
    ("/p/", "a=1", "a=1"),
    ("/p/x", "a=1; Path=", "a=1; Path="),
])  # fmt: skip
def test_cookie_without_path_at_the_bare_prefix_stays_below_it(
    proxied: Proxied, path: str, given: str, expected: str
) -> None:
    site = proxied()
    answer = message("HTTP/1.1 200 OK", [f"Set-Cookie: {given}", "Content-Length: 0"])
    site.upstream.respond(answer)
    assert site.get(path, method="POST").headers.get("Set-Cookie") == expected


@pytest.mark.parametrize(("given", "expected"), [
    ("a=1; Path=/", "a=1; Path=/; Path=/p/"),
    ("a=1; Path=/p/x", "a=1; Path=/p/x"),
    ("a=1", "a=1"),
])  # fmt: skip
def test_cookie_of_a_service_that_knows_its_prefix_stays_below_it_too(
    proxied: Proxied, given: str, expected: str
) -> None:
    site = proxied(strip_prefix=False)
    assert answered(site, f"Set-Cookie: {given}").get("Set-Cookie") == expected


# -- the site's cookies, and the upstream's of the same name -------------------------------------


def proxy(upstream: RawUpstream, **options: Any) -> Any:
    return ProxyMiddleware(front, {"/p": Route(upstream.url, site_cookies="sessionid", **options)})


def cookie_seen(upstream: RawUpstream, app: Any, header: str, **environ: Any) -> str | None:
    call(app, "/p/x", HTTP_COOKIE=header, **environ)
    return upstream.requests[-1].headers.get("Cookie")


def set_cookies(upstream: RawUpstream, app: Any, cookie: str, **environ: Any) -> list[str]:
    upstream.respond(message("HTTP/1.1 200 OK", [f"Set-Cookie: {cookie}", "Content-Length: 0"]))
    headers = call(app, "/p/x", **environ).headers
    return [value for name, value in headers if name == "Set-Cookie"]


def test_upstream_sees_its_own_cookie_and_not_the_sites(upstream: RawUpstream) -> None:
    app = proxy(upstream)
    assert cookie_seen(upstream, app, "sessionid=site; a=1") == "a=1"
    assert set_cookies(upstream, app, "sessionid=own; Path=/") == ["sessionid=own; Path=/p/"]
    assert cookie_seen(upstream, app, "sessionid=own; a=1") == "sessionid=own; a=1"
    assert cookie_seen(upstream, app, "sessionid=own; sessionid=site") == "sessionid=own"
    assert cookie_seen(upstream, app, "sessionid=site; sessionid=own") == "sessionid=own"
    assert cookie_seen(upstream, app, "sessionid=site") is None


LASTING = "sessionid=own; Path=/; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(("cookie", "environ"), [
    (LASTING, {}),
    ("sessionid=own; Max-Age=60", {}),
    ("sessionid=own; expires=Fri, 01 Jan 2100 00:00:00 GMT", {}),
    ("sessionid=own", {"wsgi.multiprocess": True}),
])  # fmt: skip
def test_another_process_knows_the_upstreams_cookie_by_its_mark(
    upstream: RawUpstream, cookie: str, environ: dict[str, Any]
) -> None:
    own, mark = set_cookies(upstream, proxy(upstream), cookie, **environ)
    other = proxy(upstream)
    pairs = "; ".join(text.partition(";")[0] for text in (own, mark))
    assert cookie_seen(upstream, other, f"{pairs}; a=1") == "sessionid=own; a=1"
    assert cookie_seen(upstream, other, f"sessionid=site; {mark.partition(';')[0]}") is None
    assert mark.partition(";")[2].startswith(own.partition(";")[2])
    assert "httponly" in mark.lower()


def test_upstream_cannot_forge_a_mark(upstream: RawUpstream) -> None:
    app = proxy(upstream)
    assert set_cookies(upstream, app, "wsgiproxy-own-sessionid=x; Path=/") == []
    assert cookie_seen(upstream, app, "sessionid=site; wsgiproxy-own-sessionid=x") is None


@pytest.mark.parametrize("cookie", ["=sessionid=evil", "sessionid", "\xa0sessionid=evil"])
def test_site_cookie_in_disguise_is_not_the_upstreams(upstream: RawUpstream, cookie: str) -> None:
    app = proxy(upstream)
    set_cookies(upstream, app, f"{cookie}; Path=/")
    assert cookie_seen(upstream, app, "sessionid=site") is None


def test_cookie_that_would_replace_the_sites_own_is_dropped(upstream: RawUpstream) -> None:
    host = Route(upstream.url, site_cookies="__Host-sid")
    app: Any = ProxyMiddleware(front, {"/p": host})
    assert set_cookies(upstream, app, "__Host-sid=own; Path=/; Secure") == []
    root: Any = ProxyMiddleware(front, {"/": Route(upstream.url, site_cookies="sessionid")})
    assert set_cookies(upstream, root, LASTING) == []


def test_first_cookie_of_a_name_is_the_upstreams_in_any_case(proxied: Proxied) -> None:
    assert sent(proxied(), "Cookie: s=own; a; s=site; b").get("Cookie") == "s=own; a; b"
