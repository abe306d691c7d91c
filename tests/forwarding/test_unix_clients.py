"""Clients that come by a unix socket, and so have no address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import Headers, RawClient, RawUpstream, get
from tests.support.servers import UNIX_SERVERS, serve_unix

FOR = "X-Forwarded-For: 192.0.2.7"


def sent(
    upstream: RawUpstream, server: str, tmp_path: Path, *lines: str, **options: Any
) -> Headers:
    """The headers that reach the upstream from a client of a unix socket."""
    spec = {"routes": {"/p": upstream.url}, "defaults": options}
    with serve_unix(spec, server, tmp_path / "front") as path, RawClient(path) as client:
        assert client.exchange(get("/p/x", *lines)).status == 200
    return upstream.request.headers


@pytest.mark.parametrize("server", UNIX_SERVERS)
def test_client_without_address_is_unknown_and_never_an_empty_one(
    upstream: RawUpstream, tmp_path: Path, server: str
) -> None:
    headers = sent(upstream, server, tmp_path, FOR, "X-Forwarded-Host: evil", forwarded="both")

    assert headers.get("X-Forwarded-For") is None
    assert headers.get("X-Forwarded-Host") == "front"
    assert headers.get("Forwarded") == 'for=unknown;host="front";proto=http'


@pytest.mark.parametrize("server", UNIX_SERVERS)
def test_trusted_socket_is_believed(upstream: RawUpstream, tmp_path: Path, server: str) -> None:
    lines = (FOR, "X-Forwarded-Host: site.example", "X-Forwarded-Proto: https")
    headers = sent(upstream, server, tmp_path, *lines, trusted_proxies="10.0.0.0/8 unix:")

    assert headers.get("X-Forwarded-For") == "192.0.2.7"
    assert headers.get("X-Forwarded-Host") == "site.example"
    assert headers.get("X-Forwarded-Proto") == "https"


def test_trusted_socket_that_names_nobody_adds_no_empty_name(
    upstream: RawUpstream, tmp_path: Path
) -> None:
    headers = sent(upstream, "waitress", tmp_path, "X-Forwarded-For:", trusted_proxies="unix:")

    assert "x-forwarded-for" not in headers.names()


def test_trusted_network_does_not_mean_a_socket(upstream: RawUpstream, tmp_path: Path) -> None:
    headers = sent(upstream, "waitress", tmp_path, FOR, trusted_proxies="0.0.0.0/0 ::/0")

    assert headers.get("X-Forwarded-For") is None


@pytest.mark.parametrize("server", UNIX_SERVERS)
def test_client_of_http_1_0_without_host_gets_a_host_that_is_valid(
    upstream: RawUpstream, tmp_path: Path, server: str
) -> None:
    spec = {"routes": {"/p": upstream.url}}
    with serve_unix(spec, server, tmp_path / "front") as path, RawClient(path) as client:
        client.send(b"GET /p/x HTTP/1.0\r\n\r\n")
        assert client.read_response().status == 200
    assert upstream.request.headers.get("X-Forwarded-Host") in ("localhost", "waitress.invalid")
