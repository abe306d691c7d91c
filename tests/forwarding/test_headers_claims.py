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
#: One or more of each kind of software that tells a service who the user is.
OTHERS = [
    *("Client-Cert", "Client-Cert-Chain", "Ssl-Client-Cert", "Ssl-Client-Verify"),
    *("X-Ssl-Client-S-Dn", "X-Client-Cert", "X-Client-Cert-Hash", "X-Client-Verify"),
    *("X-Auth-User", "X-Auth-Username", "X-User", "X-User-Email", "X-Username"),
    *("X-Authentik-Username", "X-Authentik-Meta-App", "X-Goog-Authenticated-User-Email"),
    *("X-Goog-Iap-Jwt-Assertion", "X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Data"),
    *("X-Amzn-Mtls-Clientcert-Subject", "X-Ms-Client-Principal"),
    *("X-Ms-Client-Principal-Name", "X-Ms-Token-Aad-Id-Token", "Tailscale-User-Login"),
    *("Tailscale-Name", "X-Vouch-User", "X-Vouch-Idp-Claims-Groups"),
    *("Cf-Access-Authenticated-User-Email", "Cf-Access-Jwt-Assertion"),
    *("X-Pomerium-Claim-Email", "X-Consumer-Username", "X-WebAuth-Role"),
    *("X-Remote-Extra-Scopes", "X-Auth-Request-Roles", "Oidc-Claim-Sub"),
    *("Shib-Session-Id", "Eppn", "Auth-User", "X-Forwarded-Client-Cert"),
    *("X-Forwarded-Tls-Client-Cert", "X-Forwarded-User", "Teleport-Jwt-Assertion"),
]
#: What a server or a framework may read as dashes: all that is neither letter nor digit.
SEPARATORS = ".~+!#$%&'*^`|"
SPELLINGS = [
    f"{name.replace('-', mark)}: root"
    for name in ("Remote-User", "X-Auth-User", "X-Authentik-Uid")
    for mark in SEPARATORS
] + ["Remote.-_User: root", "-Remote-User-: root", "http.remote.user: root"]
UNDERSCORED = ["Remote_User: root", "HTTP_REMOTE_USER: root", "X_Remote_User: root"]


@pytest.mark.parametrize("server", ["waitress", "werkzeug", "cheroot", "wsgiref"])
def test_identity_from_a_client_never_reaches_the_upstream(proxied: Proxied, server: str) -> None:
    site = proxied(server=server)
    others = [f"{name}: root" for name in OTHERS]

    for header in IDENTITY + UNDERSCORED + SPELLINGS + others:
        site.get("/p/x", header)

    assert site.upstream.requests
    for request in site.upstream.requests:
        assert b"root" not in request.head
        assert b"wheel" not in request.head


@pytest.mark.parametrize("header", IDENTITY + [f"{name}: root" for name in OTHERS])
def test_identity_from_a_trusted_proxy_is_no_more_than_a_claim(
    proxied: Proxied, header: str
) -> None:
    headers = sent(open_site(proxied, trusted_proxies="127.0.0.1"), header)

    assert not {"root", "wheel"} & {value for _, value in headers}


def test_credentials_and_names_that_only_resemble_claims_pass(proxied: Proxied) -> None:
    names = [
        *("Authorization", "X-Auth-Token", "X-Api-Key", "X-User-Id", "Cf-Access-Client-Id"),
        *("Http-Host", "X-Http-Method-Override", "X-Userland", "Authority", "X-Remote-Control"),
    ]
    headers = sent(proxied(), *(f"{name}: kept" for name in names))

    assert [name for name in names if headers.get(name) != "kept"] == []


@pytest.mark.parametrize("spelling", [
    "X-Api-Key", "X--Api-Key", "X.Api.Key", "x~api~key", "HTTP-X-Api-Key", "X-ApiKey",
])  # fmt: skip
@pytest.mark.parametrize("value", ["secret", ""])
def test_header_that_the_route_sets_is_cleared_in_every_spelling(
    proxied: Proxied, spelling: str, value: str
) -> None:
    headers = sent(proxied(request_headers={"X-Api-Key": value}), f"{spelling}: forged")

    assert "forged" not in {text for _, text in headers}
    assert headers.get("X-Api-Key") == (value or None)


@pytest.mark.parametrize("header", [
    "Transfer.Encoding: chunked", "Content.Length: 99", "Content~Type: text/evil", "T-E: trailers",
    "Keep.Alive: 5", "Proxy.Connection: close", "Up.grade: h2c",
])  # fmt: skip
def test_framing_in_another_spelling_never_passes(proxied: Proxied, header: str) -> None:
    headers = sent(proxied(), header)

    assert header.partition(": ")[2] not in {text for _, text in headers}


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
    "X.Forwarded.For: 6.6.6.6",
    "X~Forwarded~Host: evil",
    "X+Real+IP: 6.6.6.6",
    "Client-IP: 6.6.6.6",
    "X-Remote-Addr: 6.6.6.6",
    "Wl-Proxy-Client-IP: 6.6.6.6",
    "Fly-Client-IP: 6.6.6.6",
    "X-Envoy-Original-Path: /evil",
    "X-Sendfile-Type: evil",
]
#: Those that count if a trusted proxy says them.
BELIEVED = [
    *("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port"),
    *("X-Forwarded-Prefix", "X-Forwarded-Proto"),
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


@pytest.mark.parametrize("style", ["x-forwarded", "rfc7239", "both", "none"])
def test_only_what_the_readme_names_is_believed_of_a_trusted_proxy(
    proxied: Proxied, style: str
) -> None:
    site = open_site(proxied, trusted_proxies="127.0.0.1", forwarded=style)
    claims = [line for line in CLAIMS if line.partition(":")[0] not in BELIEVED]

    for line in claims:
        if "_" not in line:  # underscores are dashes to a server, who knows that it trusts
            site.get("/p/x", line)

    for request in site.upstream.requests:
        assert not any(word in request.head for word in (b"6.6.6.6", b"evil"))


@pytest.mark.parametrize(("line", "name", "told"), [
    ("X-Forwarded-Prefix: //evil", "X-Forwarded-Prefix", "/p"),
    ("X-Forwarded-Prefix: /\\evil", "X-Forwarded-Prefix", "/p"),
    ("X-Forwarded-Prefix: evil", "X-Forwarded-Prefix", "/p"),
    ("X-Forwarded-Prefix: /", "X-Forwarded-Prefix", "/p"),
    ("X-Forwarded-Port: evil", "X-Forwarded-Port", "80"),
    ("X-Forwarded-For:", "X-Forwarded-For", "127.0.0.1"),
])  # fmt: skip
def test_nonsense_of_a_trusted_proxy_is_not_taken(
    proxied: Proxied, line: str, name: str, told: str
) -> None:
    assert sent(open_site(proxied, trusted_proxies="127.0.0.1"), line).get(name) == told


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
