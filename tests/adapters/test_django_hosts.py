"""The names of a Django site hold for what it proxies, in front of it and inside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import Address, RawClient, RawUpstream, message
from tests.support.auth import serve_apart, service, told
from tests.support.client import RawResponse

SITE = "tests.adapters.django_site.site:create"
FRONT, VIEW = "/named/x", "/view/x"


@pytest.fixture(scope="module")
def behind() -> Iterator[RawUpstream]:
    """The service."""
    with RawUpstream() as upstream:
        upstream.script(service)
        yield upstream


@pytest.fixture(scope="module")
def named(behind: RawUpstream) -> Iterator[Address]:
    """A site with names, and without the middleware of Django's that would check them."""
    options = {"ALLOWED_HOSTS": ["site.example", ".more.example", "bad:80"], "MIDDLEWARE": []}
    with serve_apart(SITE, "waitress", upstream=behind.url, **options) as address:
        yield address


def ask(address: Address, target: str, host: str, *lines: str) -> RawResponse:
    origin = f"Origin: http://{host}"
    with RawClient(address) as client:
        return client.exchange(message(f"GET {target} HTTP/1.1", [f"Host: {host}", origin, *lines]))


@pytest.mark.parametrize("target", [FRONT, VIEW])
@pytest.mark.parametrize("host", ["site.example", "SITE.example:81", "a.more.example."])
def test_name_of_the_site_is_served_and_its_origin_translated(
    named: Address, behind: RawUpstream, target: str, host: str
) -> None:
    headers = told(ask(named, target, host))["headers"]
    assert headers["origin"] == f"http://{behind.netloc}"


@pytest.mark.parametrize("target", [FRONT, VIEW])
@pytest.mark.parametrize("host", ["attacker.example", "localhost", "127.0.0.1", "bad"])
def test_other_name_is_refused_before_the_upstream_hears_of_it(
    named: Address, behind: RawUpstream, target: str, host: str
) -> None:
    behind.requests.clear()
    assert ask(named, target, host).status == 421
    absolute = f"http://{host}{target}"
    assert ask(named, absolute, "site.example").status == 421
    assert not behind.requests


@pytest.mark.parametrize("target", [FRONT, VIEW])
def test_site_in_debug_without_names_is_served_by_loopback_names(
    behind: RawUpstream, target: str
) -> None:
    options = {"ALLOWED_HOSTS": [], "DEBUG": True, "MIDDLEWARE": []}
    with serve_apart(SITE, "waitress", upstream=behind.url, **options) as address:
        for host in ("localhost", "app.localhost:1", "127.0.0.1", "[::1]:8000"):
            assert ask(address, target, host).status == 200
        for host in ("attacker.example", "192.0.2.1"):
            assert ask(address, target, host).status == 421


def test_view_of_a_site_that_believes_x_forwarded_host_goes_by_it(behind: RawUpstream) -> None:
    options = {"ALLOWED_HOSTS": ["site.example"], "USE_X_FORWARDED_HOST": True, "MIDDLEWARE": []}
    # gunicorn passes the header on; waitress would have to be told whom to trust.
    with serve_apart(SITE, "gunicorn-sync", upstream=behind.url, **options) as address:
        lines = ("X-Forwarded-Host: site.example",)
        assert ask(address, VIEW, "inner", *lines).status == 200
        attacker = ("X-Forwarded-Host: attacker.example",)
        assert ask(address, VIEW, "site.example", *attacker).status == 421
        assert ask(address, VIEW, "inner", *attacker).status == 421
        assert ask(address, VIEW, "inner").status == 421
