"""Response headers that reach beyond a prefix stay out, unless the route lets them through."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import Site, get
from tests.support.headers import answered

Proxied = Callable[..., Site]

ORIGIN_WIDE = [
    ("Strict-Transport-Security", "max-age=1"),
    ("Clear-Site-Data", '"*"'),
    ("NEL", '{"report_to":"x","max_age":1}'),
    ("Report-To", '{"group":"x","max_age":1,"endpoints":[]}'),
    ("Accept-CH", "DPR"),
    ("Critical-CH", "DPR"),
    ("Use-As-Dictionary", 'match="/*"'),
    ("Set-Login", "logged-out"),
    ("Public-Key-Pins", 'pin-sha256="x"'),
    ("Origin-Agent-Cluster", "?1"),
    ("Service-Worker-Allowed", "/"),
]
ORDERS = [
    ("X-Accel-Redirect", "/internal/x"),
    ("X-Accel-Expires", "0"),
    ("x-accel-whatever-comes", "1"),
    ("X-Sendfile", "/etc/passwd"),
    ("X-LiteSpeed-Location", "/internal/x"),
    ("X-LiteSpeed-Cache-Control", "public"),
]


@pytest.mark.parametrize("header", ORIGIN_WIDE + ORDERS, ids=lambda header: header[0])
def test_header_beyond_the_prefix_is_dropped(proxied: Proxied, header: tuple[str, str]) -> None:
    name, value = header
    headers = answered(proxied(), f"{name}: {value}", "X-Other: stays")

    assert headers.get(name) is None
    assert headers.get("X-Other") == "stays"


@pytest.mark.parametrize("header", ORIGIN_WIDE + ORDERS, ids=lambda header: header[0])
def test_header_that_the_route_names_passes(proxied: Proxied, header: tuple[str, str]) -> None:
    name, value = header
    headers = answered(proxied(pass_headers=[name.upper()]), f"{name}: {value}")

    assert headers.get(name) == value


@pytest.mark.parametrize(
    ("prefix", "options"), [("/", {}), ("/p", {"host_match": "front"})], ids=["root", "own-host"]
)
@pytest.mark.parametrize("header", ORIGIN_WIDE, ids=lambda header: header[0])
def test_site_of_its_own_sends_its_own_headers(
    proxied: Proxied, prefix: str, options: dict[str, str], header: tuple[str, str]
) -> None:
    name, value = header
    site = proxied(prefix=prefix, **options)
    site.upstream.respond(
        f"HTTP/1.1 200 OK\r\n{name}: {value}\r\nContent-Length: 0\r\n\r\n".encode()
    )

    assert site.exchange(get("/p/x")).headers.get(name) == value


def test_order_to_a_front_server_is_dropped_at_the_root_too(proxied: Proxied) -> None:
    site = proxied(prefix="/")
    site.upstream.respond(
        b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: /internal\r\nContent-Length: 0\r\n\r\n"
    )

    assert site.get("/x").headers.get("X-Accel-Redirect") is None
