"""Work that grows like its input: every editor on text that was written to be slow.

What is compared is the processor time for ten times as much text with that for the text, so
neither the machine nor its load matters: linear work gives 10, quadratic work 100.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.rebase.feeding import URLS
from wsgiproxy.rebase.codings import Decoder, Encoder
from wsgiproxy.rebase.css import CssEditor
from wsgiproxy.rebase.dav import DavEditor
from wsgiproxy.rebase.html import HtmlEditor
from wsgiproxy.rebase.import_map import ImportMapEditor, edit_import_map
from wsgiproxy.rebase.json_urls import LINKS, JsonEditor
from wsgiproxy.rebase.page_urls import PageUrls
from wsgiproxy.rebase.policy import Policies
from wsgiproxy.rebase.runtime import Runtime
from wsgiproxy.rebase.validators import mixed, unmixed

SIZES = (10**4, 10**5, 10**6)
#: So that the larger one is still held as one tag.
TAG_SIZES = (6 * 10**3, 6 * 10**4)

HTML = partial(HtmlEditor, URLS, b"[S]", b"[M]")
PLAIN_HTML = partial(HtmlEditor, URLS)
XML = partial(HtmlEditor, URLS, is_xml=True)
CSS = partial(CssEditor, URLS)
JSON = partial(JsonEditor, URLS, LINKS)
DAV = partial(DavEditor, URLS)
MAP = partial(ImportMapEditor, URLS)

# What is repeated, behind what comes first.
TEXTS: dict[str, tuple[Callable[[], Any], bytes, bytes]] = {
    "tags": (HTML, b"", b"<a "),
    "blanks-in-a-tag": (HTML, b"<a", b" "),
    "blanks-behind-a-name": (HTML, b"<a a", b" "),
    "blanks-behind-equals": (HTML, b"<a a=", b" "),
    "attributes": (HTML, b"<a ", b"a "),
    "quotes-in-a-tag": (HTML, b'<a a="', b'" b="'),
    "endless-name": (HTML, b"<a", b"a"),
    "endless-value": (HTML, b'<a a="', b"x"),
    "unquoted": (HTML, b"<p a=", b"a"),
    "contents-of-a-refresh": (HTML, b"<meta http-equiv=refresh ", b"content=0 "),
    "contents-of-a-meta": (HTML, b"<meta ", b"content=0 "),
    "candidates": (HTML, b"<img srcset='", b"/x,"),
    "descriptors": (HTML, b"<img srcset='", b"/x ("),
    "references": (HTML, b'<a href="', b"&#47;"),
    "digits-of-a-reference": (HTML, b"<a href=&#", b"0"),
    "raw-text": (HTML, b"", b"<xmp>&</xmp>"),
    "ends-of-raw-text": (HTML, b"<xmp>", b"</xm"),
    "escaped-scripts": (HTML, b"<script>", b"<!--<script></script>-->"),
    "svg-and-out": (HTML, b"", b"<svg><p>"),
    "svg-titles": (HTML, b"", b"<svg><title>"),
    "svg-ends": (HTML, b"<svg>", b"</p>"),
    "elements-in-svg": (HTML, b"<svg><foreignObject>", b"<div>"),
    "templates": (HTML, b"", b"<template>"),
    "noscripts": (HTML, b"", b"<noscript></noscript>"),
    "links-in-noscript": (HTML, b"<noscript>", b"<a href=/x>"),
    "page-in-an-attribute": (HTML, b"<iframe srcdoc='", b"<a "),
    "styles": (HTML, b"<p style='", b"url("),
    "policy": (HTML, b"<meta http-equiv=content-security-policy content='", b"a-"),
    "links": (PLAIN_HTML, b"", b"<a href='/x"),
    "instructions": (XML, b"", b"<?"),
    "css-functions": (CSS, b"", b"url("),
    "css-strings": (CSS, b"", b"url('"),
    "css-escapes": (CSS, b"url('", b"\\"),
    "css-comments": (CSS, b"/*", b"/*"),
    "css-stars": (CSS, b"/*", b"*"),
    "css-bad-strings": (CSS, b"", b"'\n"),
    "css-sets": (CSS, b"", b"image-set("),
    "json-quotes": (JSON, b"", b'\\"'),
    "json-backslashes": (JSON, b'"', b"\\"),
    "json-names": (JSON, b"", b'"url":'),
    "json-url": (JSON, b'"url":"', b"\\/"),
    "map-quotes": (MAP, b"", b'\\"'),
    "dav-text": (DAV, b"<D:href xmlns:D='DAV:'>", b"<"),
    "dav-names": (DAV, b"<a ", b"xmlns:a='DAV:' "),
}


def _text(start: bytes, repeated: bytes, size: int) -> bytes:
    return start + repeated * (size // len(repeated)) + b"'\">"  # a tag is over in the end


def _time(run: Callable[[], object]) -> float:
    """Processor time, of several runs the best, since only the work counts."""
    times: list[float] = []
    gc.collect()
    gc.disable()
    try:
        while sum(times) < 0.02 or (len(times) < 3 and sum(times) < 0.15):
            begun = time.thread_time()
            run()
            times.append(time.thread_time() - begun)
    finally:
        gc.enable()
    return min(times)


def _assert_linear(run: Callable[[int], Callable[[], object]], sizes: tuple[int, ...]) -> None:
    """The most text against each smaller one: half way from linear to quadratic at most."""
    times = [_time(run(size)) for size in sizes]

    for size, spent in zip(sizes[:-1], times[:-1], strict=True):
        assert times[-1] < spent * (sizes[-1] / size) ** 1.5, times


def _fed(make: Callable[[], Any], text: bytes, step: int) -> None:
    editor = make()
    for start in range(0, len(text), step):
        editor.feed(text[start : start + step])
    editor.finish()


@pytest.mark.parametrize(("make", "start", "repeated"), TEXTS.values(), ids=TEXTS)
def test_work_grows_like_the_text(make: Callable[[], Any], start: bytes, repeated: bytes) -> None:
    _assert_linear(lambda size: partial(_fed, make, _text(start, repeated, size), 1 << 16), SIZES)


@pytest.mark.parametrize(("make", "start", "repeated"), TEXTS.values(), ids=TEXTS)
def test_work_grows_like_the_text_in_tiny_pieces(
    make: Callable[[], Any], start: bytes, repeated: bytes
) -> None:
    _assert_linear(lambda size: partial(_fed, make, _text(start, repeated, size), 5), TAG_SIZES)


def _nested(size: int) -> bytes:
    return b'{"imports":{"a":' + b'{"a":"/x","b":' * (size // 14)


def _members(size: int) -> bytes:
    coder = Encoder("gzip")
    return (coder.feed(b"x") + coder.finish()) * (size // 21)


def _decoded(coded: bytes) -> None:
    decoder = Decoder("gzip")
    assert sum(map(len, decoder.feed(coded))) == len(coded) // 21


def _policy(size: int) -> Callable[[], object]:
    urls = PageUrls("/app", ["localhost:9999"], front="site.example")
    value = "script-src 'nonce-a',; a-b" * (size // 25)
    headers = [("Content-Security-Policy", value)]
    return lambda: Policies(urls, Runtime(urls), headers).edited(headers)


OTHERS: dict[str, Callable[[int], Callable[[], object]]] = {
    "import-map": lambda size: partial(edit_import_map, URLS, b'\\"' * (size // 2)),
    "import-map-depth": lambda size: partial(edit_import_map, URLS, _nested(size)),
    "gzip-members": lambda size: partial(_decoded, _members(size)),
    "policies": _policy,
    "condition": lambda size: partial(unmixed, 'W/"' * (size // 3), "01234567"),
    "tag": lambda size: partial(mixed, '"' * size, "01234567"),
}


@pytest.mark.parametrize("run", OTHERS.values(), ids=OTHERS)
def test_other_work_grows_like_its_input(run: Callable[[int], Callable[[], object]]) -> None:
    _assert_linear(run, SIZES)
