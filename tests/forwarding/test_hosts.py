"""Which ``Host`` values are taken, which are ours, and what rests on them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import RawUpstream, Site, call, front, message
from tests.support.headers import open_site, sent
from wsgiproxy import ConfigurationError, ProxyMiddleware, Route
from wsgiproxy.protocol.hosts import host_matches, is_valid_host, read_pattern

Proxied = Callable[..., Site]

# -- the grammar ----------------------------------------------------------------------------


@pytest.mark.parametrize("host", [
    "a", "a.b", "a.b.", "A_b.example", "x--y.example", "127.0.0.1", "127.0.0.1:65535", "[::1]",
    "[2001:db8::7]:8080", "xn--bcher-kva.example", "1.example", "_x.example",
])  # fmt: skip
def test_host_of_a_machine_is_valid(host: str) -> None:
    assert is_valid_host(host)


@pytest.mark.parametrize("host", [
    "", ".", "..", "a..b", ".a", "-a", "a-", "a'onx=1;b", "good.test;proto=https", "a,b", 'a"b',
    "a=b", "a!b", "a$b", "a&b", "a(b)", "a*b", "a+b", "a%41", "a b", "a\tb", "a@b", "a/b", "a\\b",
    "a?b", "a#b", "a:", "a:x", "a:65536", "a:123456", "[::1", "[::1]x", "[1.2.3.4]", "[::::]",
    "[fe80::1%25eth0]", "[v1.x]", "::1", "\xe9.example", "a" * 300 + ".example",
])  # fmt: skip
def test_host_of_no_machine_is_invalid(host: str) -> None:
    assert not is_valid_host(host)


@pytest.mark.parametrize("host", ["a'onx=1;b", "good.test;proto=https", "a,b", 'a"b', "a%2fb"])
@pytest.mark.parametrize("server", ["waitress", "werkzeug", "cheroot"])
def test_host_that_would_end_a_quoted_value_is_refused(
    proxied: Proxied, server: str, host: str
) -> None:
    site = proxied(server=server, forwarded="both")

    assert site.exchange(message("GET /p/x HTTP/1.1", [f"Host: {host}"])).status == 400
    assert not site.upstream.requests


# -- absolute form ----------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["waitress", "gunicorn-gthread", "werkzeug"])
def test_authority_of_an_absolute_target_wins_over_host(proxied: Proxied, server: str) -> None:
    site = proxied(server=server, host="client")

    site.exchange(message("GET http://wins.example:81/p/x HTTP/1.1", ["Host: loses.example"]))

    [request] = site.upstream.requests
    assert request.headers.get("Host") == "wins.example:81"
    assert request.headers.get("X-Forwarded-Host") == "wins.example:81"
    assert b"loses" not in request.head


def test_route_is_chosen_by_the_authority_of_an_absolute_target(
    proxied: Proxied, upstream: RawUpstream
) -> None:
    site = proxied({"/": Route(upstream.url, host_match="inner.example")})
    told = [("outer", "inner", b"ok"), ("inner", "outer", b"front GET /x 0")]
    for host, authority, body in told:
        line = f"GET http://{authority}.example/x HTTP/1.1"
        assert site.exchange(message(line, [f"Host: {host}.example"])).body == body


@pytest.mark.parametrize("target", ["http://user@a/p/x", "http:///p/x", "http://a;b/p/x"])
def test_malformed_authority_is_refused(upstream: RawUpstream, target: str) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})

    assert call(app, "/p/x", HTTP_HOST="a", REQUEST_URI=target).status == "400 Bad Request"
    assert not upstream.requests


# -- ours or not ------------------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "ours", "foreign"), [
    ("example.org", "example.org EXAMPLE.ORG:80 example.org.", "a.example.org xexample.org"),
    (".example.org", "example.org a.example.org a.b.example.org", "xexample.org example.com"),
    ("*.example.org", "a.example.org", "example.org xexample.org"),
    ("*", "anything 127.0.0.1 [::1]", ""),
    ("127.0.0.1", "127.0.0.1 127.0.0.1:8080", "127.0.0.2 127.0.0.1.example"),
    ("[::1]", "[::1]:80 [0:0:0:0:0:0:0:1]", "[::2] 127.0.0.1"),
    ("10.0.0.0/8", "10.1.2.3", "11.1.2.3 10.example"),
    ("b\xfccher.example", "xn--bcher-kva.example", "bucher.example"),
])  # fmt: skip
def test_pattern_is_for_hosts(pattern: str, ours: str, foreign: str) -> None:
    assert all(host_matches(host, [read_pattern(pattern)]) for host in ours.split())
    assert not any(host_matches(host, [read_pattern(pattern)]) for host in foreign.split())


@pytest.mark.parametrize(
    "pattern", ["example.org:80", "http://example.org", "a b", "", "a..b", "*a"]
)
def test_what_is_no_pattern_is_refused_at_start(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="allowed_hosts"):
        Route("http://localhost:1", allowed_hosts=[pattern])


def test_foreign_host_gets_421_and_the_log_names_the_remedy(
    proxied: Proxied, caplog: pytest.LogCaptureFixture
) -> None:
    site = proxied(allowed_hosts="site.example .local")
    with caplog.at_level(logging.WARNING, "wsgiproxy"):
        for host in ("attacker.example", "site.example.attacker.example", "127.0.0.1"):
            request = message("GET /p/x HTTP/1.1", [f"Host: {host}", f"Origin: http://{host}"])
            response = site.exchange(request)
            assert (response.status, response.reason) == (421, "Misdirected Request")
    assert not site.upstream.requests
    assert "allowed_hosts" in caplog.text
    assert "'attacker.example'" in caplog.text
    origin = sent(site, "Origin: http://a.local", host="a.local").get("Origin")
    assert origin == f"http://{site.upstream.netloc}"


def test_foreign_host_of_a_trusted_proxy_is_foreign_too(proxied: Proxied) -> None:
    site = open_site(proxied, allowed_hosts="front", trusted_proxies="127.0.0.1")
    assert site.get("/p/x", "X-Forwarded-Host: attacker.example").status == 421
    assert not site.upstream.requests
    assert site.get("/p/x", "X-Forwarded-Host: front").status == 200


def test_foreign_host_cannot_open_a_websocket(proxied: Proxied) -> None:
    site = proxied(allowed_hosts="site.example")
    lines = ["Host: attacker.example", "Connection: Upgrade", "Upgrade: websocket"]
    assert site.exchange(message("GET /p/x HTTP/1.1", lines)).status == 421
    assert not site.upstream.connections


def test_route_with_a_host_of_its_own_needs_no_list(upstream: RawUpstream) -> None:
    app = ProxyMiddleware(
        front, {"/": Route(upstream.url, host_match="a.example", allowed_hosts="localhost")}
    )
    assert call(app, "/x", HTTP_HOST="a.example").body == b"ok"


def test_origin_that_rests_on_no_host_at_all_is_not_translated(upstream: RawUpstream) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})
    given = {"SERVER_NAME": "here", "SERVER_PORT": "80", "HTTP_ORIGIN": "http://here"}
    call(app, "/p/x", HTTP_HOST="", HTTP_REFERER="http://here/p/y", **given)
    assert upstream.request.headers.get("Origin") == "http://here"
    assert upstream.request.headers.get("Referer") == "http://here/p/y"


# -- frameworks that know their hosts -----------------------------------------------------------


def test_trusted_hosts_of_a_flask_application_count(upstream: RawUpstream) -> None:
    import flask

    app = flask.Flask("site")
    proxy: Any = ProxyMiddleware(app.wsgi_app, {"/p": upstream.url})
    assert call(proxy, "/p/x", HTTP_HOST="any.example").body == b"ok"
    app.config["TRUSTED_HOSTS"] = [".site.example"]
    assert call(proxy, "/p/x", HTTP_HOST="any.example").status == "421 Misdirected Request"
    assert call(proxy, "/p/x", HTTP_HOST="www.site.example").body == b"ok"
    wrapped: Any = ProxyMiddleware(ProxyMiddleware(app, {}), {"/p": upstream.url})
    assert call(wrapped, "/p/x", HTTP_HOST="any.example").status == "421 Misdirected Request"
