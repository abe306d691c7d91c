"""What a response is edited as: by its type, by its first bytes, by what the browser wants."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import RawUpstream, Site, message
from wsgiproxy.rebase.codings import effective_coding, known_codings

Proxied = Callable[..., Site]

LINK = b'<!doctype html><a href="/x">x</a>'
MAPPED = b'<!doctype html><a href="/p/x">x</a>'
PAGE = ("Sec-Fetch-Dest: document", "Accept: text/html")
FETCH = ("Sec-Fetch-Dest: empty", "Accept: */*")
#: What a script asks for that is no whole page gets no script of ours.
PIECE = LINK[15:]


@pytest.fixture
def site(proxied: Proxied) -> Site:
    """A rebased route at ``/p``."""
    return proxied(rebase=True)


def _asked(
    upstream: RawUpstream, site: Site, body: bytes, *headers: str, ask: tuple[str, ...] = FETCH
) -> bytes:
    upstream.respond(message("HTTP/1.1 200 OK", (*headers, f"Content-Length: {len(body)}"), body))
    response = site.get("/p/", *ask)
    assert response.complete
    return response.body


HTML = "Content-Type: text/html"
JSON_BODIES = {
    "object": (b'{"html": "<a href=\\"/x\\">"}', FETCH),
    "object-after-blanks": (b'\xef\xbb\xbf \n{ "html": "<a href=\'/x\'>"}', FETCH),
    "array": (b'[ "<a href=/x>"]', FETCH),
    "numbers": (b'[1, "<a href=/x>"]', FETCH),
    "string": (b'"<a href=/x>"', FETCH),
    "of-a-page": (b'{"html": "<a href=/x>"}', PAGE),
    "by-a-library": (b'{"html": "<a href=/x>"}', ("X-Requested-With: XMLHttpRequest",)),
    "without-metadata": (b'[{"html": "<a href=/x>"}]', ("Accept: application/json",)),
}


@pytest.mark.parametrize(("body", "ask"), JSON_BODIES.values(), ids=JSON_BODIES)
def test_json_that_claims_to_be_html_stays(
    upstream: RawUpstream, site: Site, body: bytes, ask: tuple[str, ...]
) -> None:
    assert _asked(upstream, site, body, HTML, ask=ask) == body


HTML_BODIES = {
    "tag": b'<a href="/x">',
    "braces": b'{{ x }}<a href="/x">',
    "bracket": b'[x]<a href="/x">',
    "text": b'x {"a": 1} <a href="/x">',
}


@pytest.mark.parametrize("body", HTML_BODIES.values(), ids=HTML_BODIES)
def test_html_that_looks_a_little_like_json_is_edited(
    upstream: RawUpstream, site: Site, body: bytes
) -> None:
    assert _asked(upstream, site, body, HTML) == body.replace(b"/x", b"/p/x")


def test_page_that_begins_with_a_bracket_is_a_page(upstream: RawUpstream, site: Site) -> None:
    assert b"/p/x" in _asked(upstream, site, b'[1] <a href="/x">', HTML, ask=PAGE)


@pytest.mark.parametrize("wanted", ["script", "style", "image", "font", "video", "worker"])
def test_what_is_read_as_something_else_is_no_html(
    upstream: RawUpstream, site: Site, wanted: str
) -> None:
    assert _asked(upstream, site, LINK, HTML, ask=(f"Sec-Fetch-Dest: {wanted}",)) == LINK


CODINGS = ["UTF-8", "utf8", "none", "text/html", "", "identity", "binary"]


@pytest.mark.parametrize("coding", CODINGS)
def test_coding_that_is_none_is_ignored_as_browsers_do(
    upstream: RawUpstream, site: Site, coding: str
) -> None:
    assert _asked(upstream, site, PIECE, HTML, f"Content-Encoding: {coding}") == MAPPED[15:]


@pytest.mark.parametrize("coding", ["dcb", "compress", "gzip, gzip", "gzip, utf-8", "aes128gcm"])
def test_coding_that_cannot_be_undone_leaves_the_body(
    upstream: RawUpstream, site: Site, coding: str
) -> None:
    assert _asked(upstream, site, PIECE, HTML, f"Content-Encoding: {coding}") == PIECE


@pytest.mark.parametrize("coding", sorted(known_codings()))
def test_coding_is_known_by_any_of_its_names(coding: str) -> None:
    assert effective_coding(f" {coding.upper()} ") == coding
    assert effective_coding("x-gzip") == "gzip"


TYPES = {
    "missing": (),
    "empty": ("Content-Type:",),
    "no-type": ("Content-Type: html",),
    "unknown": ("Content-Type: application/unknown; charset=utf-8",),
    "any": ("Content-Type: */*",),
}


@pytest.mark.parametrize("headers", TYPES.values(), ids=TYPES)
def test_page_without_a_type_is_what_a_browser_takes_it_for(
    upstream: RawUpstream, site: Site, headers: tuple[str, ...]
) -> None:
    assert _asked(upstream, site, LINK, *headers, ask=PAGE).endswith(MAPPED[15:])
    text = b"see <a href='/x'>"
    assert _asked(upstream, site, text, *headers, ask=PAGE) == text
    nosniff = "X-Content-Type-Options: nosniff"
    assert _asked(upstream, site, LINK, *headers, nosniff, ask=PAGE) == LINK


SUFFIXES = {
    "html": ("application/vnd.pypi.simple.v1+html", b'<a href="/x">', b'<a href="/p/x">'),
    "other-html": ("application/vnd.other+html; a=b", b'<a href="/x">', b'<a href="/p/x">'),
    "json": ("application/vnd.pypi.simple.v1+json", b'{"url": "/x"}', b'{"url": "/p/x"}'),
    "other-json": ("application/hal+json", b'{"href": "/x"}', b'{"href": "/p/x"}'),
}


@pytest.mark.parametrize(("kind", "body", "edited"), SUFFIXES.values(), ids=SUFFIXES)
def test_type_is_known_by_its_suffix(
    upstream: RawUpstream, site: Site, kind: str, body: bytes, edited: bytes
) -> None:
    assert _asked(upstream, site, body, f"Content-Type: {kind}", ask=()) == edited


def test_plain_json_stays(upstream: RawUpstream, site: Site) -> None:
    body = b'{"url": "/x", "href": "/y"}'

    assert _asked(upstream, site, body, "Content-Type: application/json") == body
