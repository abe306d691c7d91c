"""WebDAV: ``DAV:href`` in responses and requests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.rebase.feeding import URLS, bytewise, whole
from tests.support import RawUpstream, Site, message, post
from wsgiproxy.rebase.dav import DavEditor

edit = partial(DavEditor, URLS)

MAPPED = {
    "prefix": b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>@/x</D:href></D:response>',
    "other-prefix": b"<lp1:a xmlns:lp1='DAV:'><lp1:href>\n @/x</lp1:href></lp1:a>",
    "default": b'<href xmlns="DAV:">@/x</href><propstat><href>@/y?a=1&amp;b</href></propstat>',
    "reference": b'<D:href xmlns:D="DAV:">@&#47;x</D:href>',
    "behind-cdata": b'<D:a xmlns:D="DAV:"><![CDATA[<D:href>/y</D:href>]]><D:href>@/x</D:href>',
    "empty-before": b'<D:href xmlns:D="DAV:"/><D:x>/y</D:x><D:href>@/x</D:href>',
}
KEPT = {
    "other-namespace": b'<a:href xmlns:a="urn:x">/x</a:href>',
    "other-element": b'<D:displayname xmlns:D="DAV:">/x</D:displayname>',
    "attribute": b'<D:x xmlns:D="DAV:" href="/x" src="/y"/>',
    "relative": b'<D:href xmlns:D="DAV:">x</D:href><D:href>//cdn.example/x</D:href>',
    "prefixed": b'<D:href xmlns:D="DAV:">/app/x</D:href>',
    "comment": b'<D:a xmlns:D="DAV:"><!-- <D:href>/x</D:href> --></D:a>',
}


@pytest.mark.parametrize("marked", MAPPED.values(), ids=MAPPED)
def test_href_gets_the_prefix_and_nothing_else_changes(marked: bytes) -> None:
    text, expected = marked.replace(b"@", b""), marked.replace(b"@", b"/app")

    assert whole(edit, text) == bytewise(edit, text) == expected


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_is_no_href_of_the_upstream_stays(text: bytes) -> None:
    assert whole(edit, text) == bytewise(edit, text) == text


def test_own_address_becomes_a_path() -> None:
    text = b'<href xmlns="DAV:">http://localhost:9999/x</href>'

    assert whole(edit, text) == b'<href xmlns="DAV:">/app/x</href>'


# -- over the wire ---------------------------------------------------------------------------

XML = "Content-Type: application/xml; charset=utf-8"
BODY = b'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:href>/x</D:href></D:multistatus>'


@pytest.fixture
def site(proxied: Callable[..., Site]) -> Site:
    """A rebased route at ``/p``."""
    return proxied(rebase=True)


ANSWERS = {
    "multi-status": ("207 Multi-Status", XML, "PROPFIND", True),
    "text": ("207 Multi-Status", "Content-Type: text/xml", "REPORT", True),
    "suffix": ("207 Multi-Status", "Content-Type: application/x+xml", "GET", True),
    "lock": ("200 OK", XML, "LOCK", True),
    "error": ("423 Locked", XML, "PROPPATCH", True),
    "other": ("200 OK", XML, "GET", False),
    "no-xml": ("207 Multi-Status", "Content-Type: text/plain", "PROPFIND", False),
}


@pytest.mark.parametrize(("status", "kind", "method", "is_dav"), ANSWERS.values(), ids=ANSWERS)
def test_response_is_edited_if_it_is_that_of_webdav(
    upstream: RawUpstream, site: Site, status: str, kind: str, method: str, is_dav: bool
) -> None:
    head = (kind, f"Content-Length: {len(BODY)}")
    upstream.respond(message(f"HTTP/1.1 {status}", head, BODY))

    expected = BODY.replace(b">/x<", b">/p/x<") if is_dav else BODY
    assert site.get("/p/", method=method).body == expected


ASKED = b'<c:calendar-multiget xmlns:c="urn:x" xmlns="DAV:"><href>%s</href></c:calendar-multiget>'
ASKS = {
    "path": ("REPORT", XML, b"/p/x", b"/x"),
    "address": ("REPORT", "Content-Type: text/xml", b"http://front/p/x", b"/x"),
    "beside": ("REPORT", XML, b"/other/x", b"/other/x"),
    "root": ("SEARCH", XML, b"/p/", b"/"),
    "no-xml": ("REPORT", "Content-Type: text/plain", b"/p/x", b"/p/x"),
    "other-method": ("PUT", XML, b"/p/x", b"/p/x"),
}


@pytest.mark.parametrize(("method", "kind", "sent", "seen"), ASKS.values(), ids=ASKS)
def test_request_names_resources_as_the_upstream_does(
    upstream: RawUpstream, site: Site, method: str, kind: str, sent: bytes, seen: bytes
) -> None:
    body = ASKED % sent
    site.exchange(post("/p/", body, kind, method=method))

    request = upstream.requests[0]
    assert request.body == ASKED % seen
    assert request.headers.get("Content-Length") == str(len(request.body))


def test_route_with_a_base_path_maps_both_ways(
    upstream: RawUpstream, proxied: Callable[..., Site]
) -> None:
    site = proxied(rebase=True, base="/base")
    body = ASKED % b"/p/x"
    answer = BODY.replace(b"/x", b"/base/x")
    head = (XML, f"Content-Length: {len(answer)}")
    upstream.respond(message("HTTP/1.1 207 Multi-Status", head, answer))

    response = site.exchange(post("/p/", body, XML, method="REPORT"))
    assert response.body == BODY.replace(b">/x<", b">/p/x<")
    assert upstream.requests[0].body == ASKED % b"/base/x"
