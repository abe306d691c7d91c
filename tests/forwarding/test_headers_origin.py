"""``Host``, ``Origin`` and ``Referer``: whom the upstream believes to be asked by."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import RawUpstream, Site, call, front, message
from tests.support.headers import sent
from wsgiproxy import ProxyMiddleware

Proxied = Callable[..., Site]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({}, None),
        ({"host": "upstream"}, None),
        ({"host": "client"}, "a.example:8080"),
        ({"host": "literal.example:99"}, "literal.example:99"),
    ],
    ids=["default", "upstream", "client", "literal"],
)
def test_host_is_the_one_that_the_route_says(
    proxied: Proxied, option: dict[str, str], expected: str | None
) -> None:
    site = proxied(**option)

    headers = sent(site, host="a.example:8080")

    assert headers[0] == ("Host", expected or site.upstream.netloc)
    assert headers.get("X-Forwarded-Host") == "a.example:8080"


@pytest.mark.parametrize(
    "host", ["a, b", "a/b", "a@b", "a:80:90", "a b", "a?b", "a#b", "<b>", "[::1"]
)
@pytest.mark.parametrize("option", ["client", "upstream"])
def test_malformed_host_is_refused(proxied: Proxied, host: str, option: str) -> None:
    site = proxied(host=option)

    response = site.exchange(message("GET /p/x HTTP/1.1", [f"Host: {host}"]))

    assert response.status == 400
    assert not site.upstream.requests


@pytest.mark.parametrize(("size", "status"), [(300, 200), (301, 400), (60_000, 400)])
def test_host_longer_than_any_name_is_refused(proxied: Proxied, size: int, status: int) -> None:
    site = proxied()

    response = site.exchange(message("GET /p/x HTTP/1.1", [f"Host: {'a' * size}"]))

    assert response.status == status
    assert len(site.upstream.requests) == (status == 200)


def test_two_hosts_are_refused(proxied: Proxied) -> None:
    site = proxied(host="client")

    response = site.exchange(message("GET /p/x HTTP/1.1", ["Host: a", "Host: b"]))

    assert response.status == 400
    assert not site.upstream.requests


@pytest.mark.parametrize(
    "host", ["a", "A.example", "127.0.0.1:1", "[::1]:8000", "x_y.example", "a."]
)
def test_valid_host_is_kept(proxied: Proxied, host: str) -> None:
    assert sent(proxied(host="client"), host=host).get("Host") == host


def test_request_without_host_gets_our_own_address(upstream: RawUpstream) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url}, host="client")

    call(app, "/p/x", HTTP_HOST="", SERVER_NAME="here", SERVER_PORT="81")

    assert upstream.request.headers.get("Host") == "here:81"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://front", "http://UP"),
        ("http://FRONT", "http://UP"),
        ("https://front", "https://front"),
        ("http://front:81", "http://front:81"),
        ("http://front.evil", "http://front.evil"),
        ("http://evil", "http://evil"),
        ("https://evil.example", "https://evil.example"),
        ("null", "null"),
        ("http://front@evil", "http://front@evil"),
    ],
)
def test_origin_is_translated_only_if_it_is_our_own(
    proxied: Proxied, given: str, expected: str
) -> None:
    site = proxied()

    origin = sent(site, f"Origin: {given}").get("Origin")

    assert origin == expected.replace("UP", site.upstream.netloc)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://front/p/a/b?c=d", "http://UP/base/a/b?c=d"),
        ("http://front/p/", "http://UP/base/"),
        ("http://front/p", "http://UP/base/"),
        ("http://front/p?q", "http://UP/base/?q"),
        ("http://front/", "http://UP/"),
        ("http://front", "http://UP"),
        ("http://front/pq", "http://UP/pq"),
        ("http://evil/p/a", "http://evil/p/a"),
        ("http://front.evil/p/a", "http://front.evil/p/a"),
        ("https://front/p/a", "https://front/p/a"),
    ],
)
def test_referer_is_translated_only_if_it_is_our_own(
    proxied: Proxied, given: str, expected: str
) -> None:
    site = proxied(base="/base")

    referer = sent(site, f"Referer: {given}").get("Referer")

    assert referer == expected.replace("UP", site.upstream.netloc)


def test_origin_stays_where_the_host_of_the_client_is_kept(proxied: Proxied) -> None:
    headers = sent(proxied(host="client"), "Origin: http://front", "Referer: http://front/p/x")

    assert headers.get("Origin") == "http://front"
    assert headers.get("Referer") == "http://front/p/x"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://front/p/new", "http://UP/new"),
        ("/p/new", "/new"),
        ("http://evil/p/new", "http://evil/p/new"),
    ],
)
def test_webdav_destination_is_translated(proxied: Proxied, given: str, expected: str) -> None:
    site = proxied()

    destination = sent(site, f"Destination: {given}").get("Destination")

    assert destination == expected.replace("UP", site.upstream.netloc)
