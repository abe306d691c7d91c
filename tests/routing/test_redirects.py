"""Rules on URLs: redirects that stay where they were meant to lead, and rewrites upstream."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import RawUpstream, call, front
from wsgiproxy import ConfigurationError, ProxyMiddleware, Route
from wsgiproxy.errors import BadRequest
from wsgiproxy.protocol.url_rules import read_redirects, redirect_of


def proxy(upstream: RawUpstream, **options: Any) -> Any:
    return ProxyMiddleware(front, {"/p": Route(upstream.url + "/base", **options)})


REDIRECTED = [
    (r"^/p/old/(.*)$", r"/p/new/\1", "/p/old/a b?q=1", "/p/new/a%20b?q=1"),
    (r"^/p/old$", r"/elsewhere", "/p/old", "/elsewhere"),
    (r"^/p/(?P<a>\w+)/(?P<b>\w+)$", r"/p/\g<b>/\g<a>", "/p/x/y", "/p/y/x"),
    (r"^/p/out/(.*)$", r"https://other.example/\1", "/p/out/x?y=/", "https://other.example/x?y=/"),
    (r"^/p/old", r"/p/new", "/p/old/rest", "/p/new/rest"),
    (r"^/p/(.*)$", r"/\1", "/p//evil.example/", "/evil.example/"),
    (r"^/p/(.*)$", r"/\1", "/p/\\evil.example/", "/%5Cevil.example/"),
    (r"^/p/(.*)$", r"/x/\1", "/p/a\r\nSet-Cookie: a=1", "/x/a%0D%0ASet-Cookie:%20a=1"),
]


@pytest.mark.parametrize(("pattern", "to", "path", "location"), REDIRECTED)
def test_redirect_leads(
    upstream: RawUpstream, pattern: str, to: str, path: str, location: str
) -> None:
    app = proxy(upstream, redirects=[(pattern, to)])
    path, _, query = path.partition("?")
    for method in ("GET", "POST", "OPTIONS"):
        answer = call(app, path, REQUEST_METHOD=method, QUERY_STRING=query)
        assert (answer.status, dict(answer.headers)["Location"]) == ("302 Found", location)
    assert not upstream.requests


def test_first_rule_that_matches_counts_and_others_pass(upstream: RawUpstream) -> None:
    app = proxy(upstream, redirects={"^/p/a$": "/1", "^/p/": "/2", "^/p/b": "/3"})
    locations = [dict(call(app, path).headers).get("Location") for path in ("/p/a", "/p/b")]
    assert locations == ["/1", "/2b"]
    app = proxy(upstream, redirects="^/p/a$ -> /1\n^/x -> /2")
    assert call(app, "/p/b").body == b"ok"


def test_host_that_grows_by_what_the_client_sends_is_refused(upstream: RawUpstream) -> None:
    app = proxy(upstream, redirects={"^/p/old": "https://shop.example"})
    assert call(app, "/p/old/x").status == "302 Found"
    for rest in (".evil.example", "@evil.example", ":80@evil.example"):
        assert call(app, "/p/old" + rest).status == "400 Bad Request"


@pytest.mark.parametrize("rules", [
    [("(", "/x")],
    [(r"^/p/(.*)", r"\1")],
    [(r"^/p/(.*)", r"//\1")],
    [(r"^/p/(.*)", r"https://\1/")],
    [(r"^/p/(.*)", r"https://a\g<1>/")],
    [(r"^/p/", r"/\1")],
    [(r"^/p/(.*)", r"/\g<name>")],
    [(r"^/p/(.*)", r"/\g<2>")],
    [(r"^/p/(.*)", r"/\g<1")],
    [(r"^/p/(.*)", "/\\evil.example")],
    [(r"^/p/(.*)", "/\\\\evil.example")],
    [(r"^/p/(.*)", "/x\\")],
    [(r"^/p/", "named-view")],
    "^/p/ /x",
], ids=str)  # fmt: skip
def test_rule_that_cannot_work_is_refused_at_start(rules: Any) -> None:
    with pytest.raises(ConfigurationError):
        Route("http://localhost:1", redirects=rules)


SENT = st.text("ab/\\.:@?#%25cfe\t\r\n ", max_size=12)


@given(SENT)
def test_redirect_never_leads_to_another_host(sent: str) -> None:
    """Whatever a client writes, for templates of all shapes."""
    for to in (r"/\1", r"/x\1", r"https://shop.example/\1", r"https://shop.example"):
        rules = read_redirects([(re.compile(r"/p/(.*)", re.DOTALL), to)])
        try:
            location = redirect_of(rules, "/p/" + sent)
        except BadRequest:
            continue
        assert location is not None
        assert "\r" not in location
        assert "\n" not in location
        # As browsers read it: a backslash is a slash, tabs and breaks do not count.
        read = re.sub("[\t\r\n]", "", location).replace("\\", "/")
        host = urlsplit(urljoin("http://front/", read)).hostname
        assert host == ("shop.example" if to.startswith("https") else "front")


REWRITTEN = [
    ("^/v1/", "/v2/", "/v1/a%2Fb", "/base/v2/a%2Fb"),
    (r"^/(\w+)/latest$", r"/\1/3", "/app/latest", "/base/app/3"),
    (r"^/search\?q=(.*)$", r"/find/\1", "/search?q=x%20y", "/base/find/x%20y"),
    ("^/other", "/x", "/v1/a?b", "/base/v1/a?b"),
]


@pytest.mark.parametrize(("pattern", "to", "path", "target"), REWRITTEN)
def test_rewrite_changes_what_is_asked_of_the_upstream(
    upstream: RawUpstream, pattern: str, to: str, path: str, target: str
) -> None:
    app = proxy(upstream, rewrites={pattern: to})
    raw = "/p" + path
    decoded = raw.partition("?")[0].replace("%2F", "/")
    query = raw.partition("?")[2]
    assert call(app, decoded, REQUEST_URI=raw, QUERY_STRING=query).body == b"ok"
    assert upstream.request.target == target


@pytest.mark.parametrize("sent", ["../admin", "%2e%2e/admin", "..%2fadmin", "x/..%5cadmin"])
def test_rewrite_that_climbs_is_refused(upstream: RawUpstream, sent: str) -> None:
    app = proxy(upstream, rewrites={"^/a/b/(.*)$": r"/\1"})
    raw = "/p/a/b/" + sent
    from urllib.parse import unquote

    answer = call(app, unquote(raw), REQUEST_URI=raw)
    assert answer.status == "400 Bad Request"
    assert not upstream.requests


@pytest.mark.parametrize("to", [r"http://evil/\1", r"\1", r"/\2", r"/\g<name>", "/x\\", r"/\x"])
def test_rewrite_that_cannot_work_is_refused_at_start(to: str) -> None:
    with pytest.raises(ConfigurationError):
        Route("http://localhost:1", rewrites={"^/(.*)": to})
