"""TLS to the upstream: verified unless it is written otherwise."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.support import RawUpstream, Site
from tests.support.failures import broken, failed
from wsgiproxy import ConfigurationError, Route

Proxied = Callable[..., Site]


def test_verified_upstream_is_asked(
    proxied: Proxied, tls_upstream: RawUpstream, ca_file: str
) -> None:
    site = proxied({"/p": tls_upstream.url}, ca=ca_file)

    assert [site.get("/p/x").body for _ in range(2)] == [b"ok", b"ok"]
    assert len(tls_upstream.connections) == 1
    assert tls_upstream.requests[0].headers.get("Host") == tls_upstream.netloc
    assert tls_upstream.requests[0].headers.get("X-Forwarded-Proto") == "http"


def test_large_bodies_pass_through_tls(
    proxied: Proxied, tls_upstream: RawUpstream, ca_file: str
) -> None:
    from tests.support import post

    body = b"0123456789" * 100_000
    tls_upstream.respond(
        lambda request: (
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request.body) + request.body
        )
    )
    site = proxied({"/p": tls_upstream.url}, ca=ca_file)

    assert site.exchange(post("/p/x", body)).body == body


@pytest.mark.parametrize("framing", [b"Content-Length: 99\r\n", b"Connection: close\r\n"])
def test_tls_cut_without_goodbye_is_a_cut(
    proxied: Proxied, tls_upstream: RawUpstream, ca_file: str, framing: bytes
) -> None:
    tls_upstream.script(broken(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\nhalf"))
    site = proxied({"/p": tls_upstream.url}, ca=ca_file)

    response = site.get("/p/x", allow_cut=True)

    # A body that ends with the connection cannot be told from a truncated one (RFC 9112, 9.8).
    assert response.complete == (b"close" in framing)
    assert response.body == b"half"


def test_unknown_authority_is_a_502(
    proxied: Proxied, tls_upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    response = failed(proxied({"/p": tls_upstream.url}), caplog)

    assert response.status == 502
    assert "tls_certificate_error" in (response.headers.get("Proxy-Status") or "")
    assert not tls_upstream.requests


def test_certificate_of_another_name_is_a_502(
    proxied: Proxied, authority: trustme.CA, ca_file: str, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    with RawUpstream(tls=context) as upstream:
        response = failed(proxied({"/p": upstream.url}, ca=ca_file), caplog)

        assert response.status == 502
        assert "tls_certificate_error" in (response.headers.get("Proxy-Status") or "")
        assert not upstream.requests


def test_unverified_upstream_is_asked_only_if_it_is_written(
    proxied: Proxied, tls_upstream: RawUpstream
) -> None:
    assert proxied({"/p": tls_upstream.url}, verify=False).get("/p/x").body == b"ok"


def test_plain_upstream_asked_for_tls_is_a_502(
    proxied: Proxied, upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script(lambda conn: conn.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    site = proxied({"/p": upstream.url.replace("http:", "https:")})

    assert failed(site, caplog).status == 502


def test_tls_upstream_asked_for_plain_is_a_502(
    proxied: Proxied, tls_upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    site = proxied({"/p": tls_upstream.url.replace("https:", "http:")})

    assert failed(site, caplog).status == 502


def test_tls_handshake_that_stalls_is_a_504(
    proxied: Proxied, upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script(lambda conn: conn.wait_closed())
    site = proxied({"/p": upstream.url.replace("http:", "https:")}, connect_timeout=0.3)

    assert failed(site, caplog).status == 504


def test_client_certificate_is_shown(
    proxied: Proxied, authority: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    mine = authority.issue_cert("me@example.org")
    pem = tmp_path / "client.pem"
    mine.private_key_and_cert_chain_pem.write_to_path(str(pem))
    with RawUpstream(tls=context) as upstream:
        assert proxied({"/p": upstream.url}, ca=ca_file).get("/p/x").status == 502
        site = proxied({"/p": upstream.url}, ca=ca_file, client_cert=str(pem))
        assert site.get("/p/x").body == b"ok"


@pytest.mark.parametrize("option", ["ca", "client_cert"])
def test_certificate_file_that_is_missing_is_told_at_start(option: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{option}.*none.pem"):
        Route("https://localhost", **{option: str(tmp_path / "none.pem")})
