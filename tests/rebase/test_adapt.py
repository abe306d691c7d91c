"""Requests and responses of a rebased route, over real sockets."""

from __future__ import annotations

import contextlib
import gzip
import random
import re
import threading
import zlib
from collections.abc import Callable

import brotli
import pytest

from tests.support import DEADLINE, RawResponse, RawUpstream, Site, UpstreamConnection, get, message
from tests.support.wire import PeerClosed
from wsgiproxy import Route
from wsgiproxy.errors import ConfigurationError

Proxied = Callable[..., Site]

PAGE = b'<!doctype html><html><head><meta charset="utf-8"></head><a href="/x">x</a></html>'
HTML = "Content-Type: text/html; charset=utf-8"
BROWSER = ("Accept: text/html,*/*", "Sec-Fetch-Dest: document")
SCRIPT = re.compile(rb'<script src="(/p/\.wsgiproxy-rebase-\w+\.js)"></script>')


def _answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return message(f"HTTP/1.1 {status}", (*headers, f"Content-Length: {len(body)}"), body)


@pytest.fixture
def site(proxied: Proxied) -> Site:
    """A rebased route at ``/p``."""
    return proxied(rebase=True)


def test_page_is_mapped_and_gets_the_script(upstream: RawUpstream, site: Site) -> None:
    upstream.respond(_answer(PAGE, HTML))
    response = site.get("/p/", *BROWSER)

    assert SCRIPT.search(response.body)
    assert SCRIPT.sub(b"", response.body) == PAGE.replace(b'"/x"', b'"/p/x"')
    assert response.headers.get("Content-Length") == str(len(response.body))
    assert "Sec-Fetch-Dest" in (response.headers.get("Vary") or "")


def test_script_is_served_by_us(upstream: RawUpstream, site: Site) -> None:
    upstream.respond(_answer(PAGE, HTML))
    match = SCRIPT.search(site.get("/p/", *BROWSER).body)
    assert match
    target = match[1].decode()
    plain = site.get(target)
    packed = site.get(target, "Accept-Encoding: gzip")

    assert gzip.decompress(packed.body) == plain.body
    assert b'("/p", [' in plain.body
    assert b"127.0.0.1" not in plain.body
    assert "immutable" in (plain.headers.get("Cache-Control") or "")
    assert site.get(target, method="HEAD").body == b""
    assert len(upstream.requests) == 1


PIECES = {
    "fetched": ("Sec-Fetch-Dest: empty", "Accept: text/html"),
    "any": ("Accept: */*",),
    "by-a-library": ("Accept: text/html, */*; q=0.01", "X-Requested-With: XMLHttpRequest"),
    "not-asked": (),
}


@pytest.mark.parametrize("headers", PIECES.values(), ids=PIECES)
def test_piece_that_a_script_asked_for_gets_no_script(
    upstream: RawUpstream, site: Site, headers: tuple[str, ...]
) -> None:
    upstream.respond(_answer(b'<a href="/x">', HTML))

    assert site.get("/p/", *headers).body == b'<a href="/p/x">'


@pytest.mark.parametrize("headers", [*list(PIECES.values())[:2], ()])
def test_whole_page_that_a_script_fetched_gets_the_script(
    upstream: RawUpstream, site: Site, headers: tuple[str, ...]
) -> None:
    # A service worker shows it as a page later on, and must find it by any Accept.
    upstream.respond(_answer(PAGE, HTML))
    response = site.get("/p/", *headers)

    assert SCRIPT.search(response.body)
    assert response.headers.get("Vary") == "Sec-Fetch-Dest"


def test_page_has_a_script_with_its_hash_where_a_policy_asks_for_that(
    upstream: RawUpstream, site: Site
) -> None:
    upstream.respond(_answer(PAGE, HTML, "Integrity-Policy: blocked-destinations=(script)"))

    assert b' integrity="sha256-' in site.get("/p/", *BROWSER).body


UNTOUCHED = {
    "json": _answer(b'{"url": "/x"}', "Content-Type: application/json"),
    "script": _answer(b'import "/x"', "Content-Type: text/javascript"),
    "event-stream": _answer(b"data: /x\n\n", "Content-Type: text/event-stream"),
    "no-type-and-no-html": _answer(b'see <a href="/x">'),
    "no-type-and-no-sniffing": _answer(PAGE, "X-Content-Type-Options: nosniff"),
    "range": _answer(PAGE, HTML, "Content-Range: bytes 0-80/81", status="206 Partial Content"),
    "download": _answer(PAGE, HTML, 'Content-Disposition: attachment; filename="x.html"'),
    "no-transform": _answer(PAGE, HTML, "Cache-Control: public, no-transform"),
    "unknown-coding": _answer(PAGE, HTML, "Content-Encoding: dcb"),
    "two-codings": _answer(PAGE, HTML, "Content-Encoding: gzip, gzip"),
    "utf-16": _answer(PAGE, "Content-Type: text/html; charset=utf-16le"),
    "iso-2022": _answer(PAGE, "Content-Type: text/html; charset=ISO-2022-JP"),
}


@pytest.mark.parametrize("answer", UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_is_no_page_passes_byte_for_byte(
    upstream: RawUpstream, site: Site, answer: bytes
) -> None:
    upstream.respond(answer)
    response = site.get("/p/", *BROWSER)

    assert response.body == answer.partition(b"\r\n\r\n")[2]
    assert response.headers.get("Content-Length") == str(len(response.body))


def test_utf16_mark_is_enough_to_leave_a_page_alone(upstream: RawUpstream, site: Site) -> None:
    page = '\ufeff<a href="/x">'.encode("utf-16-le")
    upstream.respond(_answer(page, "Content-Type: text/html"))

    assert site.get("/p/", *BROWSER).body == page


KINDS = {
    "css": ("text/css", b"a { b: url(/x) }", b"a { b: url(/p/x) }", "style"),
    "svg": ("image/svg+xml", b'<a href="/x"/>', b'<a href="/p/x"/>', "image"),
    "manifest": ("application/manifest+json", b'{"scope":"/"}', b'{"scope":"/p/"}', "manifest"),
    "manifest-as-json": ("application/json", b'{"scope":"/"}', b'{"scope":"/p/"}', "manifest"),
    "xhtml": (
        "application/xhtml+xml",
        b'<p><a href="/x"/></p>',
        b'<a href="/p/x"/></p>',
        "document",
    ),
}


@pytest.mark.parametrize(("kind", "before", "after", "wanted"), KINDS.values(), ids=KINDS)
def test_text_is_edited_as_what_it_is(
    upstream: RawUpstream, site: Site, kind: str, before: bytes, after: bytes, wanted: str
) -> None:
    upstream.respond(_answer(before, f"Content-Type: {kind}"))

    assert site.get("/p/", f"Sec-Fetch-Dest: {wanted}").body.endswith(after)


@pytest.mark.parametrize("worker", ["worker", "sharedworker", "serviceworker"])
def test_script_of_a_worker_has_ours_in_front_on_its_first_line(
    upstream: RawUpstream, site: Site, worker: str
) -> None:
    upstream.respond(_answer(b"fetch('/x');\nnext()", "Content-Type: text/javascript"))
    body = site.get("/p/w.js", f"Sec-Fetch-Dest: {worker}").body

    assert body.endswith(b"fetch('/x');\nnext()")
    assert body.count(b"\n") == 1
    assert b"wsgiproxy.rebase" in body


# -- codings ---------------------------------------------------------------------------

CODERS = {
    "gzip": (gzip.compress, gzip.decompress),
    "deflate": (zlib.compress, zlib.decompress),
    "br": (brotli.compress, brotli.decompress),
}


@pytest.mark.parametrize("coding", CODERS)
def test_coded_page_is_edited_and_coded_again(
    upstream: RawUpstream, site: Site, coding: str
) -> None:
    encode, decode = CODERS[coding]
    upstream.respond(_answer(encode(PAGE), HTML, f"Content-Encoding: {coding}"))
    response = site.get("/p/", *BROWSER, f"Accept-Encoding: {coding}")

    assert response.headers.get("Content-Encoding") == coding
    assert b'<a href="/p/x">' in decode(response.body)


def test_upstream_hears_only_codings_that_can_be_undone(upstream: RawUpstream, site: Site) -> None:
    site.get("/p/", "Accept-Encoding: gzip, dcb, br")
    site.get("/p/", "Accept-Encoding: gzip, dcb, br", "Sec-Fetch-Dest: image")

    accepted = [request.headers.get("Accept-Encoding") for request in upstream.requests]
    assert accepted == ["gzip, br", "gzip, dcb, br"]


def test_broken_coding_is_a_bad_gateway(upstream: RawUpstream, site: Site) -> None:
    upstream.respond(_answer(b"\x1f\x8bgarbage", HTML, "Content-Encoding: gzip"))

    assert site.get("/p/", *BROWSER).status == 502


def test_cut_coding_cuts_the_response(upstream: RawUpstream, site: Site) -> None:
    coded = gzip.compress(PAGE + random.Random(1).randbytes(1 << 20))[:-20]

    def handler(conn: UpstreamConnection) -> None:
        conn.read_request()
        head = f"HTTP/1.1 200 OK\r\n{HTML}\r\nContent-Encoding: gzip\r\n"
        conn.send(f"{head}Content-Length: {len(coded)}\r\n\r\n".encode())
        conn.send(coded)

    upstream.script(handler)
    response = site.get("/p/", *BROWSER, "Accept-Encoding: gzip", allow_cut=True)

    assert response.status == 200
    assert not response.complete


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_piece_of_a_page_comes_before_the_next_is_sent(
    upstream: RawUpstream, site: Site, coding: str
) -> None:
    coder = zlib.compressobj(wbits=31)

    def encoded(text: bytes) -> bytes:
        made = coder.compress(text) + coder.flush(zlib.Z_SYNC_FLUSH)
        return text if coding == "identity" else made

    def chunk(text: bytes) -> bytes:
        return f"{len(text):x}\r\n".encode() + text + b"\r\n"

    def handler(conn: UpstreamConnection) -> None:
        conn.read_request()
        head = f"HTTP/1.1 200 OK\r\n{HTML}\r\nTransfer-Encoding: chunked\r\n"
        head += "" if coding == "identity" else f"Content-Encoding: {coding}\r\n"
        conn.send(head.encode() + b"\r\n" + chunk(encoded(b'<p>first <a href="/1">')))
        seen.wait(DEADLINE)
        conn.send(chunk(encoded(b'second <a href="/2">')))
        conn.send(b"0\r\n\r\n")

    seen = threading.Event()
    upstream.script(handler)
    client = site.connect()
    client.send(get("/p/", *BROWSER, "Accept-Encoding: gzip"))
    client.read_response_head()
    decoder = zlib.decompressobj(wbits=31)

    text = b""
    chunks = client.iter_chunks()
    while b'<a href="/p/1">' not in text:
        piece = next(chunks)
        text += piece if coding == "identity" else decoder.decompress(piece)
    assert b"second" not in text
    seen.set()
    while b'<a href="/p/2">' not in text:
        piece = next(chunks)
        text += piece if coding == "identity" else decoder.decompress(piece)


# -- validators and other headers --------------------------------------------------------


def test_validator_goes_out_mixed_and_comes_back_as_the_upstreams(
    upstream: RawUpstream, site: Site
) -> None:
    upstream.respond(_answer(PAGE, HTML, 'ETag: "v1"', "Accept-Ranges: bytes", "Content-MD5: x"))
    first = site.get("/p/", *BROWSER)
    etag = first.headers.get("ETag") or ""
    upstream.respond(message("HTTP/1.1 304 Not Modified", ('ETag: "v1"',)))
    second = site.get("/p/", *BROWSER, f"If-None-Match: {etag}")

    assert etag.startswith('W/"v1~')
    assert first.headers.get("Accept-Ranges") is first.headers.get("Content-MD5") is None
    assert upstream.requests[1].headers.get("If-None-Match") == '"v1"'
    assert (second.status, second.headers.get("ETag")) == (304, etag)


def test_validator_of_what_is_not_edited_stays(upstream: RawUpstream, site: Site) -> None:
    upstream.respond(_answer(b"x", "Content-Type: image/png", 'ETag: "v1"'))
    assert site.get("/p/").headers.get("ETag") == '"v1"'

    upstream.respond(message("HTTP/1.1 304 Not Modified", ('ETag: "v1"',)))
    response = site.get("/p/", 'If-None-Match: "v1"')
    assert response.headers.get("ETag") == '"v1"'


def test_page_that_has_not_changed_keeps_its_policy_open_for_our_script(
    upstream: RawUpstream, site: Site
) -> None:
    policy = "Content-Security-Policy: script-src 'sha256-AAAA'"
    upstream.respond(_answer(PAGE, HTML, 'ETag: "v1"', policy))
    first = site.get("/p/", *BROWSER)
    upstream.respond(message("HTTP/1.1 304 Not Modified", ('ETag: "v1"', policy)))
    second = site.get("/p/", *BROWSER, f"If-None-Match: {first.headers.get('ETag')}")

    name = "Content-Security-Policy"
    assert "wsgiproxy-rebase" in (first.headers.get(name) or "")
    assert second.headers.get(name) == first.headers.get(name)


def test_part_of_an_edited_page_is_not_asked_for(upstream: RawUpstream, site: Site) -> None:
    upstream.respond(_answer(PAGE, HTML, 'ETag: "v1"'))
    etag = site.get("/p/").headers.get("ETag")
    site.get("/p/", "Range: bytes=5-9", f"If-Range: {etag}")

    assert upstream.requests[1].headers.get("Range") is None


def test_head_tells_of_an_edited_page_without_a_length(upstream: RawUpstream, site: Site) -> None:
    upstream.respond(message("HTTP/1.1 200 OK", (HTML, "Content-Length: 81", 'ETag: "v1"')))
    response = site.get("/p/", *BROWSER, method="HEAD")

    assert response.headers.get("Content-Length") is None
    assert (response.headers.get("ETag") or "").startswith('W/"v1~')


HEADERS = {
    "link": ("Link", "</x.css>; rel=preload", "</p/x.css>; rel=preload"),
    "hash-of-a-sheet": (
        "Link",
        '</x.css>; rel=preload; as=style; integrity="sha384-x", </y>; rel=preload; as=script;'
        " integrity=sha384-y",
        "</p/x.css>; rel=preload; as=style, </p/y>; rel=preload; as=script; integrity=sha384-y",
    ),
    "source-map": ("SourceMap", "/x.map", "/p/x.map"),
    "service-worker": ("Service-Worker-Allowed", "/", "/p/"),
    "location": ("Location", "/x", "/p/x"),
    "refresh": ("Refresh", "0; url=/x", "0; url=/p/x"),
    "reporting": (
        "Reporting-Endpoints",
        'a="/r", b="https://r.example/"',
        'a="/p/r", b="https://r.example/"',
    ),
    "policy-reports": ("Content-Security-Policy", "report-uri /r", "report-uri /p/r"),
    "htmx": ("HX-Redirect", "/x", "/p/x"),
}


@pytest.mark.parametrize(("name", "before", "after"), HEADERS.values(), ids=HEADERS)
def test_header_with_a_url_goes_under_the_prefix(
    upstream: RawUpstream, site: Site, name: str, before: str, after: str
) -> None:
    upstream.respond(_answer(b"x", "Content-Type: text/plain", f"{name}: {before}"))

    assert site.get("/p/").headers.get(name) == after


# -- settings ----------------------------------------------------------------------------


def test_upstream_that_is_told_our_host_means_itself_by_it(
    upstream: RawUpstream, proxied: Proxied
) -> None:
    site = proxied(rebase=True, host="client")
    upstream.respond(_answer(b'<a href="http://front/x"><a href="http://other/x">', HTML))

    assert site.get("/p/").body == b'<a href="/p/x"><a href="http://other/x">'


def test_base_path_of_the_upstream_gives_way_to_the_prefix(
    upstream: RawUpstream, proxied: Proxied
) -> None:
    site = proxied(rebase=True, base="/base")
    upstream.respond(_answer(b'<a href="/base/x"><a href="/else">', HTML))

    assert site.get("/p/").body == b'<a href="/p/x"><a href="/else">'


def test_route_that_keeps_its_prefix_cannot_be_rebased() -> None:
    with pytest.raises(ConfigurationError, match="drop one of the two"):
        Route("http://localhost:1", rebase=True, strip_prefix=False)


def test_route_without_rebase_passes_pages_as_they_are(
    upstream: RawUpstream, proxied: Proxied
) -> None:
    site = proxied()
    upstream.respond(_answer(PAGE, HTML, 'ETag: "v1"'))
    response: RawResponse = site.get("/p/", *BROWSER)

    assert (response.body, response.headers.get("ETag")) == (PAGE, '"v1"')


def test_failing_upstream_in_the_middle_cuts_the_page(upstream: RawUpstream, site: Site) -> None:
    def handler(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(f"HTTP/1.1 200 OK\r\n{HTML}\r\nContent-Length: 100000\r\n\r\n".encode())
        conn.send(PAGE * 100)
        conn.reset()

    upstream.script(handler)
    with contextlib.suppress(PeerClosed):
        assert not site.get("/p/", *BROWSER, allow_cut=True).complete
