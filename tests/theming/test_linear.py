"""Theming takes time in proportion to what it reads, whatever an upstream or a client sends.

Each input is made ten and a hundred times as large. Linear work then takes 10 times as long,
quadratic work 100 times; the limit between them leaves room for a machine that is busy. CPU
time of the thread counts, not time on the clock.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.theming.conftest import rules, zstd
from wsgiproxy.theming import ThemeMiddleware
from wsgiproxy.theming.charset import to_utf8
from wsgiproxy.theming.codings import decoded, is_readable, offer
from wsgiproxy.theming.decide import is_html
from wsgiproxy.theming.etags import asks_for, matches, timestamp, unmix
from wsgiproxy.theming.fields import add_vary
from wsgiproxy.theming.markup import mend_page, mend_theme, mend_xhtml
from wsgiproxy.theming.protect import Protection
from wsgiproxy.theming.tokens import MarkupError

SIZES = (10_000, 100_000, 1_000_000)
#: How many times longer ten times as much may take.
LIMIT = 40
RULES = rules(
    '<drop css:content="s"/><strip css:content="font"/>'
    '<replace css:theme="#main" content="/html/body/node()"/>'
)
THEME = '<html><head></head><body class=themed><div id="main"></div></body></html>'

#: What stands before a piece that is repeated, the piece, and what comes after.
PAGES = {
    "svg in a script": ("<script>", "<svg>", "</script>"),
    "drawings": ("", "<svg viewbox=a></svg>", ""),
    "nested drawings": ("<svg>" * 99, "<g/>", "</svg>" * 99),
    "raw texts": ("", "<xmp>&</xmp>", ""),
    "attributes": ("", "<p " + "a " * 250 + ">x</p>", ""),
    "attributes without end": ("<p ", "a ", ""),
    "links with spaces": ("", '<a href="a b ">', ""),
    "names with spaces": ("", '<a name="a b "></a>', ""),
    "stray end tags": ("<div>" * 99, "</x>", ""),
    "stray end tags in svg": ("<svg>" + "<g>" * 99, "</x>", ""),
    "less-than signs": ("", "<", ""),
    "tag names": ("", "<a", ""),
    "tags without end": ("", "<a ", ""),
    "spaces in a tag": ("<svg/><a b", " ", ""),
    "slashes in a tag": ("<svg/><a", "/", ""),
    "quotes": ("", "<a b='", ""),
    "comments without end": ("", "<!--", ""),
    "void elements": ("", "<wbr>", ""),
    "self-closed elements": ("", "<a/>", ""),
    "noscript": ("", "<noscript>", ""),
    "script in script": ("<svg/><script>", "<!--<script>", "</script>"),
    "equals signs": ("", "='", ""),
    "escapes": ("<xmp>", ' name="', "</xmp>"),
    "dropped and stripped": ("", "<s>x</s><font>x</font>", ""),
    "two bytes of text": ("", "x&", ""),
}


def assert_linear(work: Callable[[Any], object], make: Callable[[int], Any]) -> None:
    """Check that ten times as much is not much more than ten times the work."""
    costs = []
    for size in SIZES:
        given = make(size)
        costs.append(_cost(work, given))
        if len(costs) > 1 and costs[-1] > LIMIT * costs[-2]:
            # Once more: a collection of garbage may have come in between.
            costs[-1] = _cost(work, given)
        assert len(costs) == 1 or costs[-1] <= LIMIT * max(costs[-2], 0.0005), (size, costs)


def _cost(work: Callable[[Any], object], given: Any) -> float:
    began = time.thread_time()
    work(given)
    return time.thread_time() - began


def repeated(before: str, piece: str, after: str) -> Callable[[int], bytes]:
    """A page of about so many bytes."""
    return lambda size: f"<body>{before}{piece * (size // len(piece))}{after}".encode()


@pytest.mark.parametrize("name", PAGES)
def test_page_takes_linear_time(name: str) -> None:
    answer: list[bytes] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])
        return answer

    middleware = ThemeMiddleware(application, rules=RULES, theme=THEME)
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
    }  # fmt: skip

    def visit(page: bytes) -> None:
        answer[:] = [page]
        assert b"".join(middleware(environ, lambda *_: lambda data: None))

    assert_linear(visit, repeated(*PAGES[name]))


def mend(data: bytes) -> None:
    for function in (mend_page, mend_theme, mend_xhtml):
        try:
            function(data)
        except MarkupError:
            continue


@pytest.mark.parametrize("name", PAGES)
def test_markup_takes_linear_time(name: str) -> None:
    assert_linear(mend, repeated(*PAGES[name]))


SCANNERS: dict[str, tuple[Callable[[Any], object], Callable[[int], Any]]] = {
    "gzip members": (
        lambda data: decoded(data, "gzip", max_size=1 << 30, max_ratio=1 << 20),
        lambda size: gzip.compress(b"") * (size // 20),
    ),
    "zstd frames": (
        lambda data: decoded(data, "zstd", max_size=1 << 30, max_ratio=1 << 20),
        lambda size: zstd.compress(b"x") * (size // 14),
    ),
    "charset": (lambda data: to_utf8(data, None), lambda size: b"<meta <!--" * (size // 10)),
    "no UTF-8": (lambda data: to_utf8(data, None), lambda size: b"\xff" * size),
    "no Japanese": (
        lambda data: to_utf8(data, "text/html; charset=iso-2022-jp"),
        lambda size: b"\x1b$B\xff" * (size // 4),
    ),
    "line ends": (lambda data: to_utf8(data, None), lambda size: b"&#13;\r\n" * (size // 7)),
    "content type": (
        lambda text: (to_utf8(b"", text), is_html([("Content-Type", text)])),
        lambda size: "; charset  " * (size // 11),
    ),
    "content coding": (is_readable, lambda size: "gzip," * (size // 5)),
    "accepted codings": (offer, lambda size: "gzip;q=1 , " * (size // 11)),
    "entity tags": (
        lambda text: matches([unmix(etag)[0] for etag in asks_for(text)], '"x"'),
        lambda size: '"a~t0123456789abcdef", W/"' * (size // 26),
    ),
    "entity tags without end": (asks_for, lambda size: 'W/"' * (size // 3)),
    "one entity tag": (unmix, lambda size: '"' + "~t0123456789abcdef" * (size // 18)),
    "vary": (
        lambda text: add_vary([("Vary", text)], ["Cookie", "Accept"]),
        lambda size: "a, " * (size // 3),
    ),
    "header lines": (
        lambda count: add_vary([("Vary", "a")] * count, ["Cookie"]),
        lambda size: size // 10,
    ),
    "date": (timestamp, lambda size: "Mon, " * (size // 5)),
    "protected names": (
        lambda data: Protection().apply(data),
        lambda size: b"".join(b"<p @a%d=b>" % n for n in range(size // 12)),
    ),
}


@pytest.mark.parametrize("name", SCANNERS)
def test_scanner_takes_linear_time(name: str) -> None:
    assert_linear(*SCANNERS[name])
