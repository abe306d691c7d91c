"""URLs and cookies of an upstream come back under the prefix, and never twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import Site, message
from tests.support.headers import answered

Proxied = Callable[..., Site]


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
    ("//UP/x", "/p/x"),
    ("//localhost:PORT", "/p/"),
    ("//front/x", "/p/x"),
    ("//front:80/x", "/p/x"),
    ("http://front.:80/x", "/p/x"),
    ("ws://UP/x", "/p/x"),
    ("https://front:443/x", "/p/x"),
    ("https://front:80/x", "https://front:80/x"),
    ("/%70/x", "/%70/x"),
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
