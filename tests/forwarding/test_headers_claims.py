"""What a client says of itself never passes; what we say of it are facts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import Site
from tests.support.headers import open_site, sent

Proxied = Callable[..., Site]


# -- who the client says it is --------------------------------------------------------

IDENTITY = [
    *("Remote-User: root", "REMOTE-USER: root", "remote-user: root", "Remote--User: root"),
    *("X-Remote-User: root", "X-Forwarded-User: root", "X-Auth-Request-User: root"),
    *("X-WEBAUTH-USER: root", "X-Authenticated-User: root", "X-Remote-Group: wheel"),
    *("HTTP-Remote-User: root", "HTTP-HTTP-Remote-User: root", "Remote-Groups: wheel"),
]
UNDERSCORED = ["Remote_User: root", "HTTP_REMOTE_USER: root", "X_Remote_User: root"]


@pytest.mark.parametrize("server", ["waitress", "werkzeug", "cheroot", "wsgiref"])
def test_identity_from_a_client_never_reaches_the_upstream(proxied: Proxied, server: str) -> None:
    site = proxied(server=server)

    for header in IDENTITY + UNDERSCORED:
        site.get("/p/x", header)

    assert site.upstream.requests
    for request in site.upstream.requests:
        assert b"root" not in request.head
        assert b"wheel" not in request.head


@pytest.mark.parametrize("header", IDENTITY)
def test_identity_from_a_trusted_proxy_is_no_more_than_a_claim(
    proxied: Proxied, header: str
) -> None:
    headers = sent(open_site(proxied, trusted_proxies="127.0.0.1"), header)

    assert not {"root", "wheel"} & {value for _, value in headers}


CLAIMS = [
    "X-Forwarded-For: 6.6.6.6",
    "X_Forwarded_For: 6.6.6.6",
    "X-Forwarded-Host: evil",
    "X-Forwarded-Server: evil",
    "X-Forwarded-Proto: evil",
    "X-Forwarded-Scheme: evil",
    "X-Forwarded-Port: 666",
    "X-Forwarded-Prefix: //evil/",
    "X-Forwarded-Uri: /evil",
    "X-Forwarded-Ssl: evil",
    "X-Forwarded-By: evil",
    "Forwarded: for=6.6.6.6;host=evil",
    "X-Real-IP: 6.6.6.6",
    "X-Client-IP: 6.6.6.6",
    "True-Client-IP: 6.6.6.6",
    "CF-Connecting-IP: 6.6.6.6",
    "X-Original-URL: /evil",
    "X-Original-Host: evil",
    "X-Rewrite-URL: /evil",
    "X-Script-Name: /evil",
]


@pytest.mark.parametrize("server", ["waitress", "werkzeug", "cheroot", "wsgiref"])
def test_claim_of_a_client_never_reaches_the_upstream(proxied: Proxied, server: str) -> None:
    site = open_site(proxied) if server == "waitress" else proxied(server=server)

    for header in CLAIMS:
        site.get("/p/x", header)

    assert len(site.upstream.requests) == len(CLAIMS)
    for request in site.upstream.requests:
        assert not any(word in request.head for word in (b"6.6.6.6", b"evil", b"Port: 666"))


def test_claimed_prefix_is_not_echoed_in_a_redirect(proxied: Proxied) -> None:
    site = open_site(proxied)
    site.upstream.respond(b"HTTP/1.1 302 F\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")

    response = site.get("/p/y", "X-Forwarded-Prefix: //evil/", "X-Forwarded-Host: evil")

    assert response.headers.get("Location") == "/p/x"


# -- what we say of the client ----------------------------------------------------------


def test_forwarded_headers_tell_the_facts(proxied: Proxied) -> None:
    site = proxied()
    headers = sent(site, host="front.example:8080")

    assert headers.get("X-Forwarded-For") == "127.0.0.1"
    assert headers.get("X-Forwarded-Proto") == "http"
    assert headers.get("X-Forwarded-Host") == "front.example:8080"
    assert headers.get("X-Forwarded-Port") == "8080"
    assert headers.get("X-Forwarded-Prefix") == "/p"
    assert "forwarded" not in headers.names()


def test_forwarded_header_of_rfc_7239_is_sent_on_request(proxied: Proxied) -> None:
    headers = sent(proxied(forwarded="rfc7239"), "X-Forwarded-For: 6.6.6.6")

    assert headers.get("Forwarded") == 'for=127.0.0.1;host="front";proto=http'
    assert not [name for name in headers.names() if name.startswith("x-forwarded")]


def test_both_kinds_of_forwarded_headers_agree(proxied: Proxied) -> None:
    headers = sent(proxied(forwarded="both"))

    assert headers.get("X-Forwarded-For") == "127.0.0.1"
    assert "for=127.0.0.1" in (headers.get("Forwarded") or "")


def test_forwarded_headers_can_be_left_out(proxied: Proxied) -> None:
    assert set(sent(open_site(proxied, forwarded="none"), *CLAIMS[:3]).names()) == {"host", "via"}


@pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8", "10.0.0.1 127.0.0.1"])
def test_claims_of_a_trusted_proxy_are_passed_on_and_added_to(
    proxied: Proxied, trusted: str
) -> None:
    headers = sent(
        open_site(proxied, trusted_proxies=trusted),
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: public.example",
        "X-Forwarded-Prefix: /site/",
    )

    assert headers.get("X-Forwarded-For") == "1.2.3.4, 127.0.0.1"
    assert headers.get("X-Forwarded-Proto") == "https"
    assert headers.get("X-Forwarded-Host") == "public.example"
    assert headers.get("X-Forwarded-Port") == "443"
    assert headers.get("X-Forwarded-Prefix") == "/site/p"


def test_claims_of_an_untrusted_proxy_are_replaced(proxied: Proxied) -> None:
    headers = sent(open_site(proxied, trusted_proxies="10.0.0.0/8"), "X-Forwarded-For: 1.2.3.4")

    assert headers.get("X-Forwarded-For") == "127.0.0.1"


def test_forwarded_chain_of_a_trusted_proxy_is_added_to(proxied: Proxied) -> None:
    site = open_site(proxied, trusted_proxies="127.0.0.1", forwarded="rfc7239")

    value = sent(site, 'Forwarded: for="[2001:db8::1]"').get("Forwarded") or ""

    assert value.startswith('for="[2001:db8::1]", for=127.0.0.1;')


def test_via_is_added_to(proxied: Proxied) -> None:
    first, _, second = (sent(proxied(), "Via: 1.0 first").get("Via") or "").partition(", ")

    assert first == "1.0 first"
    assert second.startswith("1.1 wsgiproxy")


@pytest.mark.parametrize("host", ["a/b", "a@b", "a:80:90", "<b>", "a b"])
def test_malformed_host_of_a_trusted_proxy_is_refused(proxied: Proxied, host: str) -> None:
    site = open_site(proxied, trusted_proxies="127.0.0.1")

    assert site.get("/p/x", f"X-Forwarded-Host: {host}").status == 400
    assert not site.upstream.requests


@pytest.mark.parametrize("scheme", ["ftp", "javascript", "https:", "evil, ftp", ""])
def test_odd_scheme_of_a_trusted_proxy_is_not_taken(proxied: Proxied, scheme: str) -> None:
    headers = sent(open_site(proxied, trusted_proxies="127.0.0.1"), f"X-Forwarded-Proto: {scheme}")

    assert headers.get("X-Forwarded-Proto") == "http"
