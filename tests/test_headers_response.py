"""Response heads on their way back: order, repeats, reason; URLs and cookies under the prefix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import Headers, Site, message

Proxied = Callable[..., Site]


def answered(site: Site, *headers: str, status: str = "200 OK", method: str = "GET") -> Headers:
    """The headers that reach the client when the upstream sends these (UP is its netloc)."""
    lines = [header.replace("UP", site.upstream.netloc) for header in headers]
    site.upstream.respond(message(f"HTTP/1.1 {status}", [*lines, "Content-Length: 0"]))
    response = site.get("/p/dir/page", method=method)
    assert response.status == int(status[:3])
    return response.headers


# -- as they came ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("200 OK", "OK"),
        ("200 Fine by me", "Fine by me"),
        ("299 Own", "Own"),
        ("404 Nicht gefunden: \xfc", "Nicht gefunden: \xfc"),
        ("418 I'm a teapot", "I'm a teapot"),
        ("500 ", ""),
        ("503", ""),
        ("599 x", "x"),
    ],
)
def test_status_and_reason_are_passed_on(proxied: Proxied, status: str, reason: str) -> None:
    site = proxied()
    site.upstream.respond(message(f"HTTP/1.1 {status}", ["Content-Length: 0"]))

    response = site.get("/p/x")

    assert (response.status, response.reason.strip()) == (int(status[:3]), reason)


def test_headers_keep_their_order_case_and_repeats(proxied: Proxied) -> None:
    # gunicorn writes headers as given; waitress sorts them.
    site = proxied(server="werkzeug")
    given = [
        "X-B: 1",
        "x-a: 2",
        "Set-Cookie: a=1",
        "X-B: 3",
        "Set-Cookie: b=2",
        "WWW-Authenticate: B",
    ]

    headers = answered(site, *given, "WWW-Authenticate: C")

    names = {"X-B", "x-a", "Set-Cookie", "WWW-Authenticate"}
    kept = [f"{name}: {value}" for name, value in headers if name in names]
    assert kept == [*given, "WWW-Authenticate: C"]


def test_no_header_is_invented(proxied: Proxied) -> None:
    site = proxied(server="werkzeug")

    names = set(answered(site).names())

    assert names - {"server", "date"} == {"content-length", "connection"}


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: text/html; charset=latin-1",
        'ETag: W/"a"',
        "Server: them/1",
        "Date: Mon, 01 Jan 2001 00:00:00 GMT",
        "Cache-Control: no-store, no-transform",
        "Vary: *",
        'Content-Disposition: attachment; filename="\xe4"',
        "X-Utf8: \xc3\xa9",
        "X-Empty:",
        "X-Under_Score: kept",
        "Accept-Ranges: bytes",
        "Retry-After: 120",
        "Content-Encoding: br",
        "Content-Security-Policy: default-src 'self'; frame-ancestors 'none'",
        "Last-Modified: x",
        "X-Accel-Buffering: no",
        "Link: <https://cdn.example/a>; rel=preload",
    ],
)
def test_header_reaches_the_client_unchanged(proxied: Proxied, header: str) -> None:
    name, _, value = header.partition(":")

    assert answered(proxied(), header).get(name) == value.strip()


def test_hundreds_of_headers_are_passed_on(proxied: Proxied) -> None:
    headers = answered(proxied(), *(f"X-{number}: {number}" for number in range(150)))

    assert len([name for name, _ in headers if name.startswith("X-")]) == 150


@pytest.mark.parametrize(
    "header",
    [
        "Connection: keep-alive",
        "Keep-Alive: timeout=7",
        "Proxy-Authenticate: Basic",
        "Proxy-Connection: close",
        "TE: trailers",
        "Trailer: X-A",
        "Upgrade: h2c",
        'Alt-Svc: h3=":443"',
    ],
)
def test_hop_by_hop_header_of_the_upstream_stays_here(proxied: Proxied, header: str) -> None:
    name, _, value = header.partition(": ")

    assert value not in answered(proxied(), header).all(name)


def test_headers_that_connection_of_the_upstream_names_stay_here(proxied: Proxied) -> None:
    headers = answered(
        proxied(), "Connection: X-Hop, Content-Type", "X-Hop: 1", "Content-Type: a/b", "X: y"
    )

    assert "x-hop" not in headers.names()
    assert headers.get("X") == "y"
    assert headers.get("Content-Type") == "a/b"


def test_response_headers_are_set_replaced_and_removed(proxied: Proxied) -> None:
    site = proxied(response_headers={"X-Frame-Options": "DENY", "Server": None, "X-Own": "1"})

    headers = answered(site, "Server: secret/1", "X-Own: theirs", "X-Own: again", "X-Left: l")

    assert "secret/1" not in headers.all("Server")
    assert headers.get("X-Own") == "1"
    assert headers.get("X-Frame-Options") == "DENY"
    assert headers.get("X-Left") == "l"


# -- URLs ------------------------------------------------------------------------------

LOCATIONS = [
    ("/x", "/p/x"),
    ("/", "/p/"),
    ("/x?y=/z#/w", "/p/x?y=/z#/w"),
    ("/?q", "/p/?q"),
    ("http://UP/x", "/p/x"),
    ("http://UP/", "/p/"),
    ("http://UP", "/p/"),
    ("http://UP?q", "/p/?q"),
    ("HTTP://UP/x", "/p/x"),
    ("http://localhost:PORT/x", "/p/x"),
    ("http://[::1]:PORT/x", "/p/x"),
    ("http://front/x", "/p/x"),
    ("/p/x", "/p/x"),
    ("/p", "/p"),
    ("/p?q", "/p?q"),
    ("/p#f", "/p#f"),
    ("http://UP/p/x", "/p/x"),
    ("/px", "/p/px"),
    ("x", "x"),
    ("./x", "./x"),
    ("../up", "../up"),
    ("?q", "?q"),
    ("#f", "#f"),
    ("", ""),
    ("//cdn.example/x", "//cdn.example/x"),
    ("https://elsewhere.example/x", "https://elsewhere.example/x"),
    ("http://elsewhere.example/?next=http://UP/x", "http://elsewhere.example/?next=http://UP/x"),
    ("http://UP.evil.example/x", "http://UP.evil.example/x"),
    ("http://UP@evil.example/x", "http://UP@evil.example/x"),
    ("http://evil.example/UP/x", "http://evil.example/UP/x"),
    ("http://localhost:1/x", "http://localhost:1/x"),
    ("mailto:a@b", "mailto:a@b"),
    ("/a b\xe9", "/p/a b\xe9"),
    ("/a%2Fb", "/p/a%2Fb"),
    ("http://169.254.169.254/", "http://169.254.169.254/"),
]


@pytest.mark.parametrize(
    ("given", "expected"), LOCATIONS, ids=[given or "-" for given, _ in LOCATIONS]
)
@pytest.mark.parametrize("header", ["Location", "Content-Location"])
def test_url_comes_back_under_the_prefix(
    proxied: Proxied, header: str, given: str, expected: str
) -> None:
    site = proxied()
    port = str(site.upstream.port)

    headers = answered(site, f"{header}: {given.replace('PORT', port)}", status="302 Found")

    assert headers.get(header) == expected.replace("UP", site.upstream.netloc).replace("PORT", port)
    assert len(site.upstream.requests) == 1  # and it was not followed


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/base/x", "/p/x"),
        ("/base", "/p/"),
        ("/base?q", "/p/?q"),
        ("/other/x", "/other/x"),
        ("http://UP/base/x", "/p/x"),
        ("http://UP/other", "http://UP/other"),
    ],
)
def test_location_under_the_base_path_comes_back_without_it(
    proxied: Proxied, given: str, expected: str
) -> None:
    site = proxied(base="/base")

    location = answered(site, f"Location: {given}", status="302 Found").get("Location")

    assert location == expected.replace("UP", site.upstream.netloc)


@pytest.mark.parametrize("given", ["//evil.example", "/\\evil.example", "///evil.example"])
def test_base_path_removed_never_makes_another_host(proxied: Proxied, given: str) -> None:
    for options in ({"prefix": "/"}, {"prefix": "/p"}):
        site = proxied(base="/base", **options)
        location = answered(site, f"Location: /base{given}", status="302 F").get("Location") or ""
        assert not location.startswith(("//", "/\\"))


@pytest.mark.parametrize("strip_prefix", [False])
@pytest.mark.parametrize("given", ["/p/x", "/x", "x", "/login"])
def test_location_of_an_upstream_that_keeps_the_prefix_stays(
    proxied: Proxied, given: str, strip_prefix: bool
) -> None:
    site = proxied(strip_prefix=strip_prefix)

    assert answered(site, f"Location: {given}", status="302 F").get("Location") == given


def test_absolute_location_of_an_upstream_that_keeps_the_prefix_loses_its_address(
    proxied: Proxied,
) -> None:
    site = proxied(strip_prefix=False)

    assert answered(site, "Location: http://UP/p/x", status="302 F").get("Location") == "/p/x"


@pytest.mark.parametrize("host", ["client", "literal.example"])
def test_location_with_the_host_we_sent_comes_back_under_the_prefix(
    proxied: Proxied, host: str
) -> None:
    site = proxied(host=host)
    said = "front" if host == "client" else host

    assert answered(site, f"Location: http://{said}/x", status="302 F").get("Location") == "/p/x"


def test_location_under_an_encoded_prefix_is_encoded(proxied: Proxied) -> None:
    site = proxied(prefix="/\xfc-b")
    site.upstream.respond(message("HTTP/1.1 302 F", ["Location: /x", "Content-Length: 0"]))

    assert site.get("/%C3%BC-b/y").headers.get("Location") == "/%C3%BC-b/x"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("5; url=/x", "5; url=/p/x"),
        ("0;URL='/x'", "0;URL='/p/x'"),
        ('0; url="http://UP/x"', '0; url="/p/x"'),
        ("0;/x", "0;/p/x"),
        ("3, url=x", "3, url=x"),
        ("1.5; url=https://else.example/", "1.5; url=https://else.example/"),
        ("10", "10"),
        ("nonsense", "nonsense"),
    ],
)
def test_refresh_comes_back_under_the_prefix(proxied: Proxied, given: str, expected: str) -> None:
    assert answered(proxied(), f"Refresh: {given}").get("Refresh") == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("</a.css>; rel=preload; as=style", "</p/a.css>; rel=preload; as=style"),
        ("</a>; rel=next, <b>; rel=prev, <http://UP/c>", "</p/a>; rel=next, <b>; rel=prev, </p/c>"),
        ("<https://cdn.example/a>", "<https://cdn.example/a>"),
        ("<//cdn.example/a>", "<//cdn.example/a>"),
        ('</p/a>; title="/x"', '</p/a>; title="/x"'),
        ("</a?b=,c;d>; rel=x", "</p/a?b=,c;d>; rel=x"),
        ("nonsense", "nonsense"),
    ],
)
def test_links_come_back_under_the_prefix(proxied: Proxied, given: str, expected: str) -> None:
    assert answered(proxied(), f"Link: {given}").get("Link") == expected


@pytest.mark.parametrize("filler", ["<", "<>", ",", "1;", "'", " "])
def test_long_values_take_no_time(proxied: Proxied, filler: str) -> None:
    long = filler * (20000 // len(filler))

    headers = answered(proxied(), f"Link: x{long}", f"Refresh: 1;{long}", f"Set-Cookie: a{long}")

    assert headers.get("Link")


# -- cookies ---------------------------------------------------------------------------

COOKIES = [
    ("a=1; Path=/", "a=1; Path=/p/"),
    ("a=1; Path=/x", "a=1; Path=/p/x"),
    ("a=1; path=/x; HttpOnly", "a=1; path=/p/x; HttpOnly"),
    ("a=1;Path=/x;Secure", "a=1;Path=/p/x;Secure"),
    ("a=1; Path=/p/x", "a=1; Path=/p/x"),
    ("a=1; Path=/p", "a=1; Path=/p"),
    ("a=1; Path=/px", "a=1; Path=/p/px"),
    ("a=1", "a=1"),
    ("a=1; Path", "a=1; Path"),
    ("a=1; Path=", "a=1; Path="),
    ("a=1; Path=x", "a=1; Path=x"),
    ("a=1; Domain=127.0.0.1", "a=1"),
    ("a=1; Domain=other.example", "a=1; Domain=other.example"),
    ("a=1; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT", None),
    ("a=1; SameSite=None; Secure; Partitioned; Priority=High; X=y", None),
    ('a="1; 2"', None),
    ('a="q\\"uoted"; HttpOnly', None),
    ("a=\xe9\xff", None),
    ("a", None),
    ("=b", None),
    ("=__Host-a=b", None),
    ("a=b=c; Path=/", "a=b=c; Path=/p/"),
    ('a={"json": [1, 2]}', None),
    ("__Host-a=b; Secure; Path=/", "__Host-a=b; Secure; Path=/"),
    ("__Secure-a=b; Secure; Path=/", "__Secure-a=b; Secure; Path=/p/"),
    ("a=1; Expires=Wed, 21-Oct-2015 07:28:00 GMT; Path=/", None),
]


@pytest.mark.parametrize(("given", "expected"), COOKIES, ids=[given for given, _ in COOKIES])
def test_cookie_comes_back_under_the_prefix_as_text(
    proxied: Proxied, given: str, expected: str | None
) -> None:
    expected = given.replace("Path=/", "Path=/p/") if expected is None else expected

    assert answered(proxied(), f"Set-Cookie: {given}").get("Set-Cookie") == expected


def test_cookies_of_one_name_and_their_order_survive(proxied: Proxied) -> None:
    given = ["a=1; Path=/", "b=2", "a=3; Path=/x", "a=1; Path=/"]

    headers = answered(proxied(), *(f"Set-Cookie: {cookie}" for cookie in given))

    assert headers.all("Set-Cookie") == ["a=1; Path=/p/", "b=2", "a=3; Path=/p/x", "a=1; Path=/p/"]


@pytest.mark.parametrize("domain", ["localhost", ".localhost"])
def test_domain_of_the_upstream_is_removed(proxied: Proxied, domain: str) -> None:
    headers = answered(proxied(), f"Set-Cookie: a=1; Domain={domain}; Secure")

    assert headers.get("Set-Cookie") == "a=1; Secure"


def test_cookie_of_a_base_path_comes_back_without_it(proxied: Proxied) -> None:
    headers = answered(
        proxied(base="/base"), "Set-Cookie: a=1; Path=/base/x", "Set-Cookie: b; Path=/"
    )

    assert headers.all("Set-Cookie")[0] == "a=1; Path=/p/x"


def test_hidden_cookies_cannot_be_set_by_the_upstream(proxied: Proxied) -> None:
    site = proxied(hide_cookies=["sessionid"])

    headers = answered(
        site,
        "Set-Cookie: sessionid=evil; Path=/",
        "Set-Cookie:  sessionid =evil",
        "Set-Cookie: a=b; sessionid=c",
        "Set-Cookie: sessionid",
    )

    assert headers.all("Set-Cookie") == ["a=b; sessionid=c"]


# -- hooks -------------------------------------------------------------------------------


def test_response_hook_sees_and_changes_the_head(proxied: Proxied) -> None:
    def hook(response: Any, request: Any) -> None:
        assert request.path_info == "/dir/page"
        response.status = "203 Changed"
        response.headers["X-Hook"] = response.headers["X-Up"] + "!"

    site = proxied(modify_response=hook)
    site.upstream.respond(message("HTTP/1.1 200 OK", ["X-Up: u", "Content-Length: 2"], b"ok"))

    response = site.get("/p/dir/page")

    assert (response.status, response.reason) == (203, "Changed")
    assert (response.headers.get("X-Hook"), response.body) == ("u!", b"ok")


def test_response_hook_may_replace_the_body(proxied: Proxied) -> None:
    def hook(response: Any, request: Any) -> None:
        response.body = response.body.upper()

    site = proxied(modify_response=hook)
    for length in (2, 100_000):
        body = b"a" * length
        head = message("HTTP/1.1 200 OK", [f"Content-Length: {length}"])
        site.upstream.respond(head + body)
        response = site.get("/p/x")
        assert (response.body, response.complete) == (body.upper(), True)


def test_response_hook_leaves_relative_locations_alone(proxied: Proxied) -> None:
    site = proxied(modify_response=lambda response, request: None)

    headers = answered(site, "Location: ../up", "Location: //cdn/x", status="302 F")

    assert headers.all("Location") == ["../up", "//cdn/x"]


@pytest.mark.parametrize("target", ["/p/old%0d%0aSet-Cookie:a=b", "/p/old%0aSet-Cookie:a=b"])
def test_redirect_of_a_hook_cannot_be_split(proxied: Proxied, target: str) -> None:
    import webob

    def hook(request: Any) -> Any:
        response = webob.Response(status=302)
        response.headers["Location"] = request.path_info.replace("old", "new")
        return response

    response = proxied(rewrite=hook).get(target)

    assert b"\nSet-Cookie" not in response.head
    assert response.status in (302, 400, 500)
