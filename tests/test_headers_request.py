"""Request headers: what goes upstream as it came, what is rebuilt, what never passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import Headers, RawUpstream, Site, call, front, message, post
from wsgiproxy import ProxyMiddleware

Proxied = Callable[..., Site]

#: What the proxy says of the way a request took; all else comes from the client.
ADDED = {
    *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"),
    *("x-forwarded-prefix", "via"),
}


def sent(site: Site, *headers: str, target: str = "/p/x", host: str | None = "front") -> Headers:
    """The headers that reach the upstream when the client sends these."""
    lines = [f"Host: {host}"] if host is not None else []
    version = "HTTP/1.1" if host is not None else "HTTP/1.0"
    response = site.exchange(message(f"GET {target} {version}", [*lines, *headers]))
    assert response.status == 200, response
    return site.upstream.requests[-1].headers


def open_site(proxied: Proxied, **options: object) -> Site:
    """A waitress that leaves all headers to the application, as other servers do."""
    return proxied(server_options={"clear_untrusted_proxy_headers": False}, **options)


# -- as they came ------------------------------------------------------------------


def test_bare_request_gets_no_header_invented(proxied: Proxied) -> None:
    headers = sent(proxied())

    assert headers.names()[0] == "host"
    assert set(headers.names()) == {"host", *ADDED}


@pytest.mark.parametrize(
    "header",
    [
        "User-Agent: x/1 (y; z)",
        "Accept: */*",
        "Accept-Encoding: gzip, br;q=0.5, *;q=0",
        "Accept-Language: de-CH,de;q=0.9",
        "Cache-Control: no-cache",
        'If-None-Match: "a", W/"b"',
        'If-Range: "a"',
        "Range: bytes=0-1,5-",
        "Authorization: Basic Zm9vOmJhcg==",
        "X-HTTP-Method-Override: PUT",
        "X-Http-Thing: http",
        "Http-Host: x",
        "X-Requested-With: XMLHttpRequest",
        "X-Long: " + "a" * 8000,
        "X-Colons: a:b: c",
        'X-Quoted: "a\\"b", \'c\'',
        "X-Comma: a, b,, c ,",
        "X-Percent: %0d%0aX: y",
        "X-Tab: a\tb",
        "X-Latin: \xe9\xff",
        "X-Utf8: \xc3\xa9",
        'Cookie: a=1; b="2; 3"; c; =d; e=f=g',
        "Sec-Fetch-Site: same-origin",
        "DNT: 1",
        "Origin: null",
        "X-CSRF-Token: abc",
        "MIME-Version: 1.0",
        "X-Empty:",
        "Depth: infinity",
        "Last-Event-ID: 7",
        "Max-Forwards: 3",
    ],
)
def test_header_reaches_the_upstream_with_its_value_unchanged(
    proxied: Proxied, header: str
) -> None:
    name, _, value = header.partition(":")

    assert sent(proxied(), header).get(name) == value.strip()


def test_repeated_headers_arrive_as_one_list_in_order(proxied: Proxied) -> None:
    # WSGI has one environ key for all: RFC 9110, 5.3 lets a recipient join them.
    value = sent(proxied(), "X-A: 1", "X-B: x", "X-A: 2").get("X-A") or ""

    assert value.replace(" ", "") == "1,2"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_method_is_passed_on(proxied: Proxied, method: str) -> None:
    site = proxied()

    assert site.exchange(post("/p/x", b"", method=method)).status == 200
    assert site.upstream.request.method == method


@pytest.mark.parametrize("method", ["PROPFIND", "M-SEARCH", "X!#$%&'*+-.^_`|~", "LOCK"])
def test_any_token_is_a_method(upstream: RawUpstream, method: str) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})

    assert call(app, "/p/x", REQUEST_METHOD=method).status == "200 OK"
    assert upstream.request.method == method


@pytest.mark.parametrize(
    "method",
    ["", "GE T", "GET /x HTTP/1.1\r\nX:", "GET\n", "G\x00T", "GÉT", "GET:", "G\u0178T"],
    ids=ascii,
)
def test_method_that_is_no_token_is_refused(upstream: RawUpstream, method: str) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})

    assert call(app, "/p/x", REQUEST_METHOD=method).status.startswith("400")
    assert not upstream.requests


@pytest.mark.parametrize(
    "value",
    ["a\r\nEvil: b", "a\nEvil: b", "a\rb", "a\x00b", "a\r\n b", "a\x0bb", "a\x7fb", "a\u0178b"],
    ids=ascii,
)
@pytest.mark.parametrize(
    "key",
    ["HTTP_X", "HTTP_COOKIE", "HTTP_HOST", "CONTENT_TYPE", "HTTP_X_FORWARDED_FOR", "HTTP_VIA"],
)
def test_control_characters_in_a_value_never_go_upstream(
    upstream: RawUpstream, key: str, value: str
) -> None:
    # Servers refuse most of these; the middleware must not depend on it.
    app = ProxyMiddleware(front, {"/p": upstream.url})

    answer = call(app, "/p/x", **{key: value})

    assert answer.status.startswith(("400", "200"))
    for request in upstream.requests:
        assert b"Evil" not in request.head
        assert b"\x00" not in request.head
        assert request.head.count(b"\n") == request.head.count(b"\r\n") == request.head.count(b"\r")


@pytest.mark.parametrize(
    "key", ["HTTP_X Y", "HTTP_X:Y", "HTTP_X\r\nEVIL", "HTTP_", "HTTP_É", "HTTP_X\x00"], ids=ascii
)
def test_header_name_that_is_no_token_never_goes_upstream(upstream: RawUpstream, key: str) -> None:
    app = ProxyMiddleware(front, {"/p": upstream.url})

    call(app, "/p/x", **{key: "v"})

    for request in upstream.requests:
        assert set(request.headers.names()) == {"host", *ADDED}


@pytest.mark.parametrize(
    "value", ["a\x01b", "b\x00", "c\x1f"], ids=["soh", "nul", "unit-separator"]
)
def test_control_character_from_the_wire_never_goes_upstream(proxied: Proxied, value: str) -> None:
    site = proxied()

    site.get("/p/x", f"X: {value}")

    assert all(value.encode() not in request.head for request in site.upstream.requests)


# -- hop by hop --------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eA==",
        "Proxy-Authenticate: Basic",
        "TE: trailers",
        "Trailer: X-A",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMA",
        "Proxy: http://evil:8080",
    ],
)
def test_hop_by_hop_header_stays_here(proxied: Proxied, header: str) -> None:
    name = header.partition(":")[0]

    assert name.lower() not in sent(proxied(), header).names()


def test_expectation_is_answered_here_and_not_passed_on(proxied: Proxied) -> None:
    site = proxied()

    response = site.exchange(post("/p/x", b"body", "Expect: 100-continue"))

    assert [head.split()[1] for head in response.interim] == [b"100"]
    assert response.status == 200
    assert "expect" not in site.upstream.request.headers.names()


def test_h2c_upgrade_is_not_passed_on(proxied: Proxied) -> None:
    headers = sent(
        proxied(), "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA"
    )

    assert set(headers.names()) == {"host", *ADDED}


def test_headers_that_connection_names_stay_here(proxied: Proxied) -> None:
    headers = sent(proxied(), "Connection: close, X-Hop , x-hop2", "X-Hop: 1", "X-Hop2: 2", "X: 3")

    assert "x-hop" not in headers.names()
    assert "x-hop2" not in headers.names()
    assert headers.get("X") == "3"


@pytest.mark.parametrize(
    "named",
    ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix", "Via"],
)
def test_connection_cannot_remove_what_we_say(proxied: Proxied, named: str) -> None:
    assert sent(open_site(proxied), f"Connection: close, {named}").get(named)


@pytest.mark.parametrize("named", ["Host", "Content-Length", "Content-Type", "Transfer-Encoding"])
def test_connection_cannot_change_the_message_itself(proxied: Proxied, named: str) -> None:
    site = proxied()

    site.exchange(post("/p/x", b"body", f"Connection: close, {named}", "Content-Type: a/b"))

    request = site.upstream.request
    assert request.headers.get("Host") == site.upstream.netloc
    assert request.headers.get("Content-Type") == "a/b"
    assert (request.headers.get("Content-Length"), request.body) == ("4", b"body")


def test_connection_cannot_remove_a_header_that_the_route_sets(proxied: Proxied) -> None:
    site = proxied(request_headers={"X-Key": "secret"})

    assert sent(site, "Connection: close, X-Key").get("X-Key") == "secret"


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


# -- Host, Origin, Referer -----------------------------------------------------------------


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


# -- options -------------------------------------------------------------------------


def test_request_headers_are_set_replaced_and_removed(proxied: Proxied) -> None:
    site = proxied(
        request_headers={"X-New": "n", "User-Agent": "mine", "Cookie": None, "Authorization": None}
    )
    headers = sent(site, "User-Agent: theirs", "Cookie: a=b", "Authorization: Basic eA==")

    assert headers.get("X-New") == "n"
    assert headers.get("User-Agent") == "mine"
    assert not {"cookie", "authorization"} & set(headers.names())


def test_hidden_cookies_are_kept_from_the_upstream(proxied: Proxied) -> None:
    site = proxied(hide_cookies=["sessionid", "csrftoken"])

    assert sent(site, "Cookie: a=1; sessionid=s; b=2;csrftoken=t").get("Cookie") == "a=1; b=2"
    assert sent(site, "Cookie: sessionid=s").get("Cookie") is None
    assert sent(site, "Cookie: xsessionid=s; sessionid2=t").get("Cookie")
    assert (
        sent(site, 'Cookie: sessionid="s"; sessionid=z; SESSIONID=k').get("Cookie") == "SESSIONID=k"
    )


def test_environment_of_the_caller_is_left_as_found(upstream: RawUpstream) -> None:
    seen = {}

    def spy(environ: dict[str, object], start_response: object) -> object:
        before = dict(environ)
        result = app(environ, start_response)
        seen.update(before=before, after=dict(environ))
        return result

    app = ProxyMiddleware(front, {"/p": upstream.url}, request_headers={"X": "y"})
    call(spy, "/p/x", HTTP_CONNECTION="close, X-Hop", HTTP_X_HOP="1", HTTP_PROXY="evil")

    assert seen["after"] == seen["before"]


def test_unmatched_request_reaches_the_application_with_the_same_environ(
    upstream: RawUpstream,
) -> None:
    seen = []

    def inner(environ: dict[str, object], start_response: object) -> object:
        seen.append((environ, dict(environ)))
        return front(environ, start_response)  # type: ignore[arg-type]

    def outer(environ: dict[str, object], start_response: object) -> object:
        seen.append((environ, dict(environ)))
        return app(environ, start_response)

    app = ProxyMiddleware(inner, {"/p": upstream.url})
    assert call(outer, "/else").body == b"front GET /else 0"
    assert seen[0][0] is seen[1][0]
    assert seen[0][1] == seen[1][1]


def test_proxy_variables_of_our_own_process_are_not_used(
    proxied: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert proxied().get("/p/x", "Proxy: http://127.0.0.1:9").status == 200
