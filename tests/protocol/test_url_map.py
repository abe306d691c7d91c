"""URLs, paths and cookies between an upstream's own view and the prefix that it is mounted at."""

from __future__ import annotations

import pytest

from wsgiproxy.protocol.url_map import HeaderUrls

INSIDE = frozenset({"up.example:8000", "localhost:8000", "[::1]:8000"})


def urls(prefix: str = "/p", base: str = "") -> HeaderUrls:
    return HeaderUrls(
        prefix, base, INSIDE, "Front.example", "http://up.example:8000", "https://front.example"
    )


@pytest.mark.parametrize(
    ("prefix", "base", "url", "expected"),
    [
        ("/p", "", "/x", "/p/x"),
        ("/p", "", "/", "/p/"),
        ("/p", "", "/?q", "/p/?q"),
        ("/p", "", "/p", "/p"),  # told of its prefix, it has said it already
        ("/p", "", "/p/x", "/p/x"),
        ("/p", "", "/p?x", "/p?x"),
        ("/p", "", "/p#x", "/p#x"),
        ("/p", "", "/pX", "/p/pX"),
        ("/p", "", "x/y", "x/y"),
        ("/p", "", "?q", "?q"),
        ("/p", "", "", ""),
        ("/p", "", "//other/x", "//other/x"),
        ("/p", "", "/\\other/x", "/\\other/x"),
        ("/p", "", "http://up.example:8000/x", "/p/x"),
        ("/p", "", "HTTPS://UP.example:8000/X", "/p/X"),
        ("/p", "", "http://up.example:8000", "/p/"),
        ("/p", "", "http://up.example:8000?q", "/p/?q"),
        ("/p", "", "http://front.EXAMPLE/x", "/p/x"),
        ("/p", "", "http://up.example:8001/x", "http://up.example:8001/x"),
        ("/p", "", "http://other/x", "http://other/x"),
        ("/p", "", "mailto:a@up.example:8000", "mailto:a@up.example:8000"),
        ("/p", "", "http://up.example:8000//x", "/p//x"),
        ("", "", "/x", "/x"),
        ("", "", "http://up.example:8000/x", "/x"),
        ("", "", "http://up.example:8000//other", "/.//other"),
        ("", "", "http://up.example:8000/\\other", "/./\\other"),
        ("", "/b", "/b/x", "/x"),
        ("", "/b", "/b//other", "/.//other"),
        ("", "/b", "/b/\\other", "/./\\other"),
        ("/p", "/b", "/b/x", "/p/x"),
        ("/p", "/b", "/b", "/p/"),
        ("/p", "/b", "/b?q", "/p/?q"),
        ("/p", "/b", "/bX", "/bX"),
        ("/p", "/b", "/else", "/else"),
        ("/p", "/b", "http://up.example:8000/b/x", "/p/x"),
        ("/p", "/b", "http://up.example:8000/else", "http://up.example:8000/else"),
    ],
)
def test_url_of_the_upstream_as_the_client_must_say_it(
    prefix: str, base: str, url: str, expected: str
) -> None:
    assert urls(prefix, base).to_client(url) == expected


@pytest.mark.parametrize(
    ("prefix", "base", "url", "expected"),
    [
        ("/p", "", "https://front.example/p/x", "http://up.example:8000/x"),
        ("/p", "", "HTTPS://FRONT.example/p/x", "http://up.example:8000/x"),
        ("/p", "", "https://front.example/p", "http://up.example:8000/"),
        ("/p", "", "https://front.example/p?q", "http://up.example:8000/?q"),
        ("/p", "", "https://front.example/pX", "http://up.example:8000/pX"),
        ("/p", "", "https://front.example", "http://up.example:8000"),
        ("/p", "", "https://front.example?q", "http://up.example:8000?q"),
        ("/p", "", "https://front.example#q", "http://up.example:8000#q"),
        ("/p", "", "https://front.exampleX/p/x", "https://front.exampleX/p/x"),
        ("/p", "", "https://front.example:444/p/x", "https://front.example:444/p/x"),
        ("/p", "", "http://front.example/p/x", "http://front.example/p/x"),
        ("/p", "/b", "https://front.example/p/x", "http://up.example:8000/b/x"),
        ("", "/b", "https://front.example/x", "http://up.example:8000/b/x"),
        ("", "", "https://front.example/x", "http://up.example:8000/x"),
        ("", "", "https://front.example?q", "http://up.example:8000?q"),
    ],
)
def test_url_of_ours_as_the_upstream_knows_it(
    prefix: str, base: str, url: str, expected: str
) -> None:
    assert urls(prefix, base).to_upstream(url) == expected
    assert urls(prefix, base).destination(url) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/p/x", "/b/x"),
        ("/p", "/b/"),
        ("/pX", "/pX"),
        ("/else", "/else"),
        ("//front.example/p/x", "//front.example/p/x"),
        ("p/x", "p/x"),
    ],
)
def test_destination_may_be_a_path(value: str, expected: str) -> None:
    assert urls(base="/b").destination(value) == expected


@pytest.mark.parametrize(
    ("prefix", "base", "path", "expected"),
    [
        ("/p", "", "/", "/p/"),
        ("/p", "", "/x", "/p/x"),
        ("/p", "", "/p", "/p"),
        ("/p", "", "/p/x", "/p/x"),
        ("/p", "", "/pX", "/p/pX"),
        ("/p", "/b/c", "/b/c", "/p/"),
        ("/p", "/b/c", "/b/c/", "/p/"),
        ("/p", "/b/c", "/b/c/x", "/p/x"),
        ("/p", "/b/c", "/b/cX", "/p/b/cX"),
        ("/p", "/b/c", "/b", "/p/"),
        ("/p", "/b/c", "/b/", "/p/"),
        ("/p", "/b/c", "/", "/p/"),
        ("/p", "/b/c", "/else", "/p/else"),
        ("", "/b", "/b/x", "/x"),
        ("", "/b", "/b", "/"),
        ("", "", "/x", "/x"),
    ],
)
def test_cookie_path_lies_under_the_prefix(
    prefix: str, base: str, path: str, expected: str
) -> None:
    edited = urls(prefix, base).set_cookie(f"a=b; Path={path}; Secure")

    assert edited == f"a=b; Path={expected}; Secure"


@pytest.mark.parametrize("name", ["Domain", "domain", " DOMAIN "])
@pytest.mark.parametrize(
    "domain", ["up.example", ".up.example", "UP.Example", "example", "localhost", "::1"]
)
def test_cookie_of_the_upstreams_own_domain_becomes_ours(name: str, domain: str) -> None:
    assert urls().set_cookie(f"a=b;{name}={domain}; Secure") == "a=b; Secure"


@pytest.mark.parametrize(
    "value",
    [
        "a=b",
        "a=b; Secure; HttpOnly; Max-Age=1",
        "a=b; Path",
        "a=b; Path=",
        "a=b; Path=relative",
        "a=b; Comment=/x",
        "a=b; Comment=up.example",
        "a=b; Domain=other.example",
        "a=b; Domain=p.example",
        "a=/x",
        "Path=/x",
        "__Host-a=b; Path=/; Secure",
        " __Host-a=b; Path=/; Secure",
    ],
)
def test_rest_of_a_cookie_stays_as_it_is(value: str) -> None:
    assert urls().set_cookie(value) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("5", "5"),
        ("5; url=/x", "5; url=/p/x"),
        ("0;URL='/x'", "0;URL='/p/x'"),
        ("5; url=http://other/x", "5; url=http://other/x"),
    ],
)
def test_refresh_leads_under_the_prefix(value: str, expected: str) -> None:
    assert urls().refresh(value) == expected


def test_destination_on_another_host_stays_at_the_root_too() -> None:
    assert urls("", "/b").destination("//other/x") == "//other/x"


def test_each_target_of_a_link_is_translated() -> None:
    value = '</a>; rel=next, <http://other/b>; title="<c>", <http://up.example:8000/d>'

    assert urls().link(value) == ('</p/a>; rel=next, <http://other/b>; title="<c>", </p/d>')
