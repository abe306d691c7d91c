"""What is asked of this proxy and of each target, side by side."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from tests.support import get, message, post

from .bench import ODD

__all__ = ["CASES", "Case"]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Case(NamedTuple):
    """One question: the request's bytes, and the upstream's answer."""

    name: str
    request: bytes
    answer: bytes = OK
    closes: bool = False


def answer(*headers: str, status: str = "200 OK", body: bytes = b"ok") -> bytes:
    """A response of the upstream."""
    own = ("Content-Type: text/plain", f"Content-Length: {len(body)}")
    return message(f"HTTP/1.1 {status}", (*headers, *own), body)


def asked(target: str, host: str, *headers: str) -> bytes:
    """A request for another host."""
    return message(f"GET {target} HTTP/1.1", (f"Host: {host}", *headers))


def chunked(target: str, *chunks: bytes) -> bytes:
    """A request with a chunked body."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    return message(f"POST {target} HTTP/1.1", ("Host: front", "Transfer-Encoding: chunked"), body)


_CLAIMS = (
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Port: 666",
    "X-Forwarded-Prefix: /evil",
    "Forwarded: for=6.6.6.6",
    "X-Real-IP: 6.6.6.6",
    "X-Original-URI: /evil",
    "Remote-User: root",
    "X-Remote-User: root",
    "X-Auth-Request-Email: root@evil.example",
    "Proxy: http://evil.example",
)
_HOPS = ("TE: trailers", "Keep-Alive: 5", "Proxy-Authorization: x", "Proxy-Connection: close")
_COOKIES = (
    "Set-Cookie: a=1; Path=/",
    "Set-Cookie: b=2; Path=/x; HttpOnly",
    "Set-Cookie: c=3",
    "Set-Cookie: d=4; Domain=127.0.0.1; Path=/; Secure",
    "Set-Cookie: e=5; path=/p/y",
    "Set-Cookie: f=6; Domain=other.example",
)


_BEYOND = (
    "Strict-Transport-Security: max-age=1",
    "Clear-Site-Data: *",
    "Service-Worker-Allowed: /",
)


def location(name: str, value: str, target: str = "/p/x") -> Case:
    """A case of a redirect."""
    return Case(name, get(target), answer(f"Location: {value}", status="302 Found", body=b""))


CASES = (
    Case("the path behind the prefix", get("/p/x/y?a=1&b")),
    Case("encoded slash, percent, plus", get("/p/a%2Fb%25c%2525+d%20e?q=%2F+")),
    Case("upper and lower case of escapes", get("/p/%c3%A9%7e~")),
    Case("characters that URLs should not hold", get('/p/a|b^`{}"<>[]\\c')),
    Case("doubled slashes behind the prefix", get("/p//x///y//")),
    Case("doubled slash in front of the prefix", get("//p/x")),
    Case("encoded letters in the prefix", get("/%70/x")),
    Case("a prefix is not the beginning of a word", get("/px")),
    Case("upper case is another prefix", get("/P/x")),
    Case("the prefix alone", get("/p")),
    Case("the prefix alone, with a query", get("/p?a=1/2")),
    Case("the prefix alone, HEAD", get("/p", method="HEAD")),
    Case("the prefix alone, POST", post("/p", b"hi")),
    Case("the prefix alone, add_slash = false", get("/bare")),
    Case("the prefix alone, strip_prefix = false", get("/keep")),
    Case("the prefix with its slash", get("/p/")),
    Case("question mark without a query", get("/p/x?")),
    Case("the longest prefix", get("/p/inner/x")),
    Case("strip_prefix = false", get("/keep/a%2Fb?c")),
    Case("a base path", get("/base/a%2Fb?c")),
    Case("a base path, nothing behind it", get("/base/")),
    Case("a prefix of odd characters", get(quote(ODD) + "/a%2Fb?c")),
    Case("a prefix of odd characters alone", get(quote(ODD))),
    Case("dots that leave the prefix", get("/p/../x")),
    Case("dots that lead into the prefix", get("/x/../p/y")),
    Case("encoded dots that leave the prefix", get("/p/%2e%2E/x")),
    Case("encoded slashes around dots", get("/p/a%2f..%2f..%2fx")),
    Case("twice encoded dots", get("/p/%252e%252e/x")),
    Case("backslashes around dots", get("/p/..\\..\\x")),
    Case("dots that stay within the prefix", get("/p/a/../b")),
    Case("a single dot", get("/p/./x")),
    Case("an encoded slash in the prefix", get("/p%2Finner/x")),
    Case("a path of the application", get("/other%2Fpath?x")),
    Case("a host of its own", asked("/x", "whole.example")),
    Case("a host of its own, with a port", asked("/x", "WHOLE.example:8080")),
    Case("a prefix at another host", asked("/p/x", "part.example")),
    Case("another prefix at a host of its own", asked("/client/x", "whole.example")),
    Case("an unknown host", asked("/p/x", "unknown.example")),
    Case("host = client", asked("/client/x", "Front.example:81")),
    Case("host = a name", asked("/named/x", "front.example")),
    Case("claims of a client", get("/p/x", *_CLAIMS)),
    Case("claims with underscores", get("/p/x", "X_Forwarded_For: 6.6.6.6", "Remote_User: root")),
    Case("claims in mixed spelling", get("/p/x", "x-FORWARDED-for: 6", "X-Remote_User: root")),
    Case("claims with dashes doubled", get("/p/x", "Remote--User: root")),
    Case("claims under unheard of names", get("/p/x", "X-Forwarded-Whatever: 6.6.6.6")),
    Case("claims to the wrapped application's route", get("/client/x", *_CLAIMS)),
    Case("forwarded = both", get("/both/x", "Forwarded: for=6.6.6.6")),
    Case("forwarded = none", get("/none/x", *_CLAIMS)),
    Case("claims of a trusted proxy", get("/trust/x", *_CLAIMS[:6], "X-Forwarded-For: 7.7.7.7")),
    Case("other claims of a trusted proxy", get("/trust/x", "X-Real-IP: 6.6.6.6")),
    Case("headers of one connection", get("/p/x", *_HOPS)),
    Case("a header that Connection names", get("/p/x", "Connection: X-One", "X-One: 1")),
    Case("repeated headers", get("/p/x", "X-A: 1", "X-A: 2", "Accept: a", "Accept: b")),
    Case("no User-Agent, no Accept", get("/p/x")),
    Case(
        "own Origin and Referer", get("/p/x", "Origin: http://front", "Referer: http://front/p/y?z")
    ),
    Case("own Referer outside the prefix", get("/base/x", "Referer: http://front/other")),
    Case(
        "foreign Origin and Referer",
        get("/p/x", "Origin: http://a.example", "Referer: http://a.example/p/"),
    ),
    Case("own Origin where host = client", get("/client/x", "Origin: http://front")),
    Case("Destination (WebDAV)", get("/p/x", "Destination: http://front/p/y", method="MOVE")),
    Case(
        "headers set and removed",
        get("/change/x", "X-Set: c", "X-Gone: c", "X-Kept: c"),
        answer("X-Set: u", "X-Gone: u", "X-Kept: u"),
    ),
    Case("cookies", get("/p/x", "Cookie: a=1; b=2")),
    Case("two cookies of one name", get("/p/x", "Cookie: a=1; b=2; a=3")),
    Case("hide_cookies", get("/hide/x", "Cookie: a=1; secret=s; b=2; other=o; secretive=3")),
    Case("hide_cookies, all are", get("/hide/x", "Cookie: secret=s; other=o")),
    Case("hide_cookies, four times", get("/hide/x", "Cookie: " + "secret=s; " * 4 + "a=1")),
    Case(
        "a hidden cookie that is set",
        get("/hide/x"),
        answer("Set-Cookie: secret=s", "Set-Cookie: a=1"),
    ),
    Case("Set-Cookie", get("/p/x"), answer(*_COOKIES)),
    Case(
        "Set-Cookie with a base path",
        get("/base/x"),
        answer("Set-Cookie: a=1; Path=/b/c$d/e", "Set-Cookie: b=1; Path=/b"),
    ),
    Case("Set-Cookie with __Host-", get("/p/x"), answer("Set-Cookie: __Host-a=1; Path=/; Secure")),
    location("Location: a path", "/login?next=/x"),
    location("Location: relative", "../y"),
    location("Location: under the prefix", "/p/y"),
    location("Location: another site", "https://other.example/y"),
    location("Location: two slashes", "//other.example/y"),
    location("Location: front", "http://front/y"),
    location("Location: front, under the prefix", "http://front/p/y"),
    location("Location: front, host = client", "http://front/y?z#f", "/client/x"),
    location("Location: under a base path", "/b/c$d/y", "/base/x"),
    location("Location: the base path", "/b/c$d", "/base/x"),
    location("Location: outside a base path", "/elsewhere", "/base/x"),
    location("Location: strip_prefix = false", "/keep/y", "/keep/x"),
    location("Location: a prefix of odd characters", "/y", quote(ODD) + "/x"),
    Case("Refresh", get("/p/x"), answer("Refresh: 5; url=/y")),
    Case("Content-Location", get("/p/x"), answer("Content-Location: /y")),
    Case("Link", get("/p/x"), answer("Link: </a>; rel=next, </b>; rel=prev")),
    Case("Alt-Svc", get("/p/x"), answer('Alt-Svc: h3=":443"')),
    Case("headers for the whole origin", get("/p/x"), answer(*_BEYOND)),
    Case("headers for the whole origin, pass_headers", get("/pass/x"), answer(*_BEYOND)),
    Case(
        "headers for the whole origin, from a host of its own",
        asked("/x", "whole.example"),
        answer(*_BEYOND),
    ),
    Case(
        "orders to a server in front",
        get("/p/x"),
        answer("X-Accel-Redirect: /", "X-Sendfile: /x", "X-Accel-Buffering: no"),
    ),
    Case(
        "headers of the response",
        get("/p/x"),
        answer("X-A: 1", "X-A: 2", 'ETag: "x"', "Accept-Ranges: bytes"),
    ),
    Case(
        "X-Accel-Redirect", get("/p/x"), answer("X-Accel-Redirect: /other", "X-Accel-Buffering: no")
    ),
    Case("status and reason", get("/p/x"), answer(status="418 Short And Stout")),
    Case("a failure of the upstream", get("/p/x"), answer(status="500 Internal Server Error")),
    Case("204", get("/p/x"), b"HTTP/1.1 204 No Content\r\n\r\n"),
    Case("304", get("/p/x"), b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'),
    Case(
        "HEAD",
        get("/p/x", method="HEAD"),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n",
    ),
    Case("a method of one's own", get("/p/x", method="BREW")),
    Case(
        "a response in chunks",
        get("/p/x"),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
    ),
    Case("large headers of the response", get("/p/x"), answer("X-Large: " + "x" * 12000)),
    Case("large headers of the request", get("/p/x", "X-Large: " + "x" * 12000)),
    Case(
        "103 before the response",
        get("/p/x"),
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
    ),
    Case("a body", post("/p/x", b"hello")),
    Case("a body in chunks", chunked("/p/x", b"hel", b"lo")),
    Case("an empty body", post("/p/x", b"")),
    Case("max_body", post("/small/x", b"x" * 10)),
    Case("over max_body", post("/small/x", b"x" * 11)),
    Case("over max_body, in chunks", chunked("/small/x", b"x" * 8, b"x" * 8)),
    Case("auth: allowed", get("/auth/a%2Fb?c", "Cookie: session=good", "X-Level: evil")),
    Case("auth: allowed, without a level", get("/auth/x", "Cookie: session=good", "X-Asked: evil")),
    Case("auth: the way to the login, for a page", get("/auth/x", "Accept: text/html")),
    Case("auth: the way to the login, for a script", get("/auth/x", "Accept: application/json")),
    Case("auth: refused", get("/auth/x", "Cookie: session=none")),
    Case("auth: the application fails", get("/auth/x", "Cookie: session=broken")),
    Case("auth: POST", post("/auth/x", b"hello", "Cookie: session=good")),
    Case("auth: the prefix alone", get("/auth")),
    Case("auth: dots out of the prefix", get("/auth/../auth/x", "Cookie: session=good")),
    Case("a route that stays here", get("/rebase/x")),
    Case("a unix socket", get("/unix/x")),
    Case("https, ca", get("/tls/x")),
    Case("https, not trusted", get("/untrusted/x")),
    Case("https, verify = false", get("/unchecked/x")),
    Case("nobody listens", get("/down/x")),
    Case("one of two servers is down", get("/two/x")),
    Case("an answer that is no HTTP", get("/p/x"), b"what?\r\n\r\n", True),
    Case(
        "a body that is cut",
        get("/p/x"),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nhalf",
        True,
    ),
    Case("HTTP/1.0 without a Host", b"GET /p/x HTTP/1.0\r\n\r\n"),
    Case("an invalid Host", asked("/p/x", "a b")),
    Case(
        "a question mark in front of an absolute target",
        b"GET http://front/p/x?y HTTP/1.1\r\nHost: front\r\n\r\n",
    ),
)
