"""Request headers: what goes upstream as it came, and what ends here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import RawUpstream, Site, call, front, post
from tests.support.headers import ADDED, open_site, sent
from wsgiproxy import ProxyMiddleware

Proxied = Callable[..., Site]


# -- as they came ------------------------------------------------------------------


def test_bare_request_gets_no_header_invented(proxied: Proxied) -> None:
    headers = sent(proxied())

    assert headers.names()[0] == "host"
    assert set(headers.names()) == {"host", *ADDED}


@pytest.mark.parametrize(
    "header",
    [
        "User-Agent: x/1 (y; z)",
        "Accept: */*",
        "Accept-Encoding: gzip, br;q=0.5, *;q=0",
        "Accept-Language: de-CH,de;q=0.9",
        "Cache-Control: no-cache",
        'If-None-Match: "a", W/"b"',
        'If-Range: "a"',
        "Range: bytes=0-1,5-",
        "Authorization: Basic Zm9vOmJhcg==",
        "X-HTTP-Method-Override: PUT",
        "X-Http-Thing: http",
        "Http-Host: x",
        "X-Requested-With: XMLHttpRequest",
        "X-Long: " + "a" * 8000,
        "X-Colons: a:b: c",
        'X-Quoted: "a\\"b", \'c\'',
        "X-Comma: a, b,, c ,",
        "X-Percent: %0d%0aX: y",
        "X-Tab: a\tb",
        "X-Latin: \xe9\xff",
        "X-Utf8: \xc3\xa9",
        'Cookie: a=1; b="2; 3"; c; =d; e=f=g',
        "Sec-Fetch-Site: same-origin",
        "DNT: 1",
        "Origin: null",
        "X-CSRF-Token: abc",
        "MIME-Version: 1.0",
        "X-Empty:",
        "Depth: infinity",
        "Last-Event-ID: 7",
        "Max-Forwards: 3",
    ],
)
def test_header_reaches_the_upstream_with_its_value_unchanged(
    proxied: Proxied, header: str
) -> None:
    name, _, value = header.partition(":")

    assert sent(proxied(), header).get(name) == value.strip()


def test_repeated_headers_arrive_as_one_list_in_order(proxied: Proxied) -> None:
    # WSGI has one environ key for all: RFC 9110, 5.3 lets a recipient join them.
    value = sent(proxied(), "X-A: 1", "X-B: x", "X-A: 2").get("X-A") or ""

    assert value.replace(" ", "") == "1,2"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_method_is_passed_on(proxied: Proxied, method: str) -> None:
    site = proxied()

    assert site.exchange(post("/p/x", b"", method=method)).status == 200
    assert site.upstream.request.method == method


@pytest.mark.parametrize("method", ["PROPFIND", "M-SEARCH", "X!#$%&'*+-.^_`|~", "LOCK"])
def test_any_token_is_a_method(upstream: RawUpstream, method: str) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})

    assert call(app, "/p/x", REQUEST_METHOD=method).status == "200 OK"
    assert upstream.request.method == method


@pytest.mark.parametrize(
    "method",
    ["", "GE T", "GET /x HTTP/1.1\r\nX:", "GET\n", "G\x00T", "GÉT", "GET:", "G\u0178T"],
    ids=ascii,
)
def test_method_that_is_no_token_is_refused(upstream: RawUpstream, method: str) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})

    assert call(app, "/p/x", REQUEST_METHOD=method).status.startswith("400")
    assert not upstream.requests


@pytest.mark.parametrize(
    "value",
    ["a\r\nEvil: b", "a\nEvil: b", "a\rb", "a\x00b", "a\r\n b", "a\x0bb", "a\x7fb", "a\u0178b"],
    ids=ascii,
)
@pytest.mark.parametrize(
    "key",
    ["HTTP_X", "HTTP_COOKIE", "HTTP_HOST", "CONTENT_TYPE", "HTTP_X_FORWARDED_FOR", "HTTP_VIA"],
)
def test_control_characters_in_a_value_never_go_upstream(
    upstream: RawUpstream, key: str, value: str
) -> None:
    # Servers refuse most of these; the middleware must not depend on it.
    app = ProxyMiddleware(front, {"/p": upstream.url})

    answer = call(app, "/p/x", **{key: value})

    assert answer.status.startswith(("400", "200"))
    for request in upstream.requests:
        assert b"Evil" not in request.head
        assert b"\x00" not in request.head
        assert request.head.count(b"\n") == request.head.count(b"\r\n") == request.head.count(b"\r")


@pytest.mark.parametrize(
    "key", ["HTTP_X Y", "HTTP_X:Y", "HTTP_X\r\nEVIL", "HTTP_", "HTTP_É", "HTTP_X\x00"], ids=ascii
)
def test_header_name_that_is_no_token_never_goes_upstream(upstream: RawUpstream, key: str) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})

    call(app, "/p/x", **{key: "v"})

    for request in upstream.requests:
        assert set(request.headers.names()) == {"host", *ADDED}


@pytest.mark.parametrize(
    "value", ["a\x01b", "b\x00", "c\x1f"], ids=["soh", "nul", "unit-separator"]
)
def test_control_character_from_the_wire_never_goes_upstream(proxied: Proxied, value: str) -> None:
    site = proxied()

    site.get("/p/x", f"X: {value}")

    assert all(value.encode() not in request.head for request in site.upstream.requests)


# -- hop by hop --------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eA==",
        "Proxy-Authenticate: Basic",
        "TE: trailers",
        "Trailer: X-A",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMA",
        "Proxy: http://evil:8080",
    ],
)
def test_hop_by_hop_header_stays_here(proxied: Proxied, header: str) -> None:
    name = header.partition(":")[0]

    assert name.lower() not in sent(proxied(), header).names()


def test_expectation_is_answered_here_and_not_passed_on(proxied: Proxied) -> None:
    site = proxied()

    response = site.exchange(post("/p/x", b"body", "Expect: 100-continue"))

    assert [head.split()[1] for head in response.interim] == [b"100"]
    assert response.status == 200
    assert "expect" not in site.upstream.request.headers.names()


def test_h2c_upgrade_is_not_passed_on(proxied: Proxied) -> None:
    headers = sent(
        proxied(), "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA"
    )

    assert set(headers.names()) == {"host", *ADDED}


def test_headers_that_connection_names_stay_here(proxied: Proxied) -> None:
    headers = sent(proxied(), "Connection: close, X-Hop , x-hop2", "X-Hop: 1", "X-Hop2: 2", "X: 3")

    assert "x-hop" not in headers.names()
    assert "x-hop2" not in headers.names()
    assert headers.get("X") == "3"


@pytest.mark.parametrize(
    "named",
    ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix", "Via"],
)
def test_connection_cannot_remove_what_we_say(proxied: Proxied, named: str) -> None:
    assert sent(open_site(proxied), f"Connection: close, {named}").get(named)


@pytest.mark.parametrize("named", ["Host", "Content-Length", "Content-Type", "Transfer-Encoding"])
def test_connection_cannot_change_the_message_itself(proxied: Proxied, named: str) -> None:
    site = proxied()

    site.exchange(post("/p/x", b"body", f"Connection: close, {named}", "Content-Type: a/b"))

    request = site.upstream.request
    assert request.headers.get("Host") == site.upstream.netloc
    assert request.headers.get("Content-Type") == "a/b"
    assert (request.headers.get("Content-Length"), request.body) == ("4", b"body")


def test_connection_cannot_remove_a_header_that_the_route_sets(proxied: Proxied) -> None:
    site = proxied(request_headers={"X-Key": "secret"})

    assert sent(site, "Connection: close, X-Key").get("X-Key") == "secret"


# -- options -------------------------------------------------------------------------


def test_request_headers_are_set_replaced_and_removed(proxied: Proxied) -> None:
    site = proxied(
        request_headers={"X-New": "n", "User-Agent": "mine", "Cookie": None, "Authorization": None}
    )
    headers = sent(site, "User-Agent: theirs", "Cookie: a=b", "Authorization: Basic eA==")

    assert headers.get("X-New") == "n"
    assert headers.get("User-Agent") == "mine"
    assert not {"cookie", "authorization"} & set(headers.names())


def test_hidden_cookies_are_kept_from_the_upstream(proxied: Proxied) -> None:
    site = proxied(hide_cookies=["sessionid", "csrftoken"])

    assert sent(site, "Cookie: a=1; sessionid=s; b=2;csrftoken=t").get("Cookie") == "a=1; b=2"
    assert sent(site, "Cookie: sessionid=s").get("Cookie") is None
    assert sent(site, "Cookie: xsessionid=s; sessionid2=t").get("Cookie")
    assert (
        sent(site, 'Cookie: sessionid="s"; sessionid=z; SESSIONID=k').get("Cookie") == "SESSIONID=k"
    )


def test_environment_of_the_caller_is_left_as_found(upstream: RawUpstream) -> None:
    seen: dict[str, Any] = {}

    def spy(environ: dict[str, Any], start_response: Any) -> Any:
        before = dict(environ)
        result = app(environ, start_response)
        seen.update(before=before, after=dict(environ))
        return result

    app = ProxyMiddleware(front, {"/p": upstream.url}, request_headers={"X": "y"})
    call(spy, "/p/x", HTTP_CONNECTION="close, X-Hop", HTTP_X_HOP="1", HTTP_PROXY="evil")

    assert seen["after"] == seen["before"]


def test_unmatched_request_reaches_the_application_with_the_same_environ(
    upstream: RawUpstream,
) -> None:
    seen = []

    def inner(environ: dict[str, Any], start_response: Any) -> Any:
        seen.append((environ, dict(environ)))
        return front(environ, start_response)

    def outer(environ: dict[str, Any], start_response: Any) -> Any:
        seen.append((environ, dict(environ)))
        return app(environ, start_response)

    app = ProxyMiddleware(inner, {"/p": upstream.url})
    assert call(outer, "/else").body == b"front GET /else 0"
    assert seen[0][0] is seen[1][0]
    assert seen[0][1] == seen[1][1]


def test_proxy_variables_of_our_own_process_are_not_used(
    proxied: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert proxied().get("/p/x", "Proxy: http://127.0.0.1:9").status == 200
