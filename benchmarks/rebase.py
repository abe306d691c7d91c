"""How fast links are rebased, in how much memory, and what other types pay.

``python -m benchmarks.rebase [--megabytes 50]``. Parsers that could have been used instead
are measured beside it if they are installed: they are timed on the same page, and it is
told whether they give a page back byte for byte when nothing in it has to change.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from wsgiproxy.rebase import Rebasing
from wsgiproxy.rebase.css import CssEditor
from wsgiproxy.rebase.html import HtmlEditor
from wsgiproxy.rebase.page_urls import PageUrls

BLOCK = 1 << 16
URLS = PageUrls("/app", ["localhost:9999"], front="site.example")
HEAD = b'<!doctype html><html><head><meta charset="utf-8"><title>t</title></head><body>\n'
#: One row as pages have them: a link and a picture of the service, other tags, and text.
ROW = b"""<tr class="row odd" id="row-17" data-key="17"><td class="name">
<a href="/items/17?x=1&amp;y=2" title="Some item">Some item of the list</a></td><td>
<span class='badge'>new</span> A sentence or two of text, as there is in most pages, and
<em>some</em> of it <b>marked</b>; then more text to the end of the cell.</td>
<td><img src="/img/17.png" alt="" width=16 height=16><br></td>
<td><a href="#top">up</a> <a href="details/17">details</a></td></tr>
"""
#: The same for a style sheet: a picture among many rules.
RULES = b""".card-17 > .title, .card-17:hover { color: #0d6efd; margin: 0 auto .5rem }
.card-17 .body { display: flex; transition: all .2s; border: 1px solid rgba(0, 0, 0, .2) }
@media (min-width: 768px) { .card-17 { font: 1rem/1.5 "Open Sans"; width: calc(50% - 2px) } }
/* a comment */ .icon-17 { background: url("/img/icons.svg#i17") no-repeat }
.card-17 .footer::after { content: "\201C"; padding: 0 1px 2px 3px; text-align: center }
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=50, help="size of the large page")
    size = parser.parse_args(arguments).megabytes << 20
    page, sheet = HEAD + ROW * ((8 << 20) // len(ROW)), RULES * ((8 << 20) // len(RULES))
    _tell("HTML", _speed(lambda: _run(HtmlEditor(URLS, b"<script>"), page), len(page)))
    _tell("HTML without links", _speed(lambda: _run(HtmlEditor(URLS), _plain(page)), len(page)))
    _tell("CSS", _speed(lambda: _run(CssEditor(URLS), sheet), len(sheet)))
    _tell("HTML in gzip, off and on", _speed(lambda: _gzipped(page), len(page)))
    _memory(size)
    _other_types()
    for name, run in _alternatives(page):
        _tell(f"instead: {name}", _speed(run, len(page)))


def _tell(what: str, result: str) -> None:
    print(f"{what:<40} {result}", flush=True)


def _plain(page: bytes) -> bytes:
    return page.replace(b'"/', b'"')


def _blocks(text: bytes) -> Iterator[bytes]:
    for start in range(0, len(text), BLOCK):
        yield text[start : start + BLOCK]


def _run(editor: Any, text: bytes) -> int:
    return sum(len(editor.feed(block)) for block in _blocks(text)) + len(editor.finish())


def _speed(run: Callable[[], object], size: int, times: int = 3) -> str:
    best = min(_timed(run) for _ in range(times))
    return f"{size / best / 1e6:8.1f} MB/s"


def _timed(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _response(content_type: str, body: Iterable[bytes], *headers: tuple[str, str]) -> Any:
    environ = {"REQUEST_METHOD": "GET", "HTTP_ACCEPT": "text/html", "HTTP_SEC_FETCH_DEST": ""}
    rebasing = Rebasing(environ, "/app", ["localhost:9999"], front="site.example")
    given = [("Content-Type", content_type), ("Server", "x"), ("ETag", '"x"'), *headers]
    return rebasing.adapt_response("GET", 200, given, body)


def _gzipped(page: bytes) -> int:
    import gzip

    coded = gzip.compress(page, 5)
    _, body = _response("text/html", _blocks(coded), ("Content-Encoding", "gzip"))
    return sum(map(len, body))


def _memory(size: int) -> None:
    """A large page, made while it is read, so that only the editor's memory counts."""
    blocks = (ROW * (BLOCK // len(ROW)) for _ in range(size // BLOCK))
    _, body = _response("text/html", blocks)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    made = sum(map(len, body))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    what = f"memory for a page of {size >> 20} MiB"
    _tell(what, f"{peak / 1024:8.0f} KiB at most, process grown by {grown} KiB ({made} bytes out)")


def _other_types() -> None:
    """What a response pays whose type is never rewritten: its head is looked at."""
    times = 20_000
    body = [b""]

    def run() -> None:
        for _ in range(times):
            _response("image/png", body)

    _tell(
        "a response that is not rewritten", f"{_timed(run) / times * 1e6:8.2f} us, body untouched"
    )
    same = _response("image/png", body)[1] is body
    _tell("its body is the very same object", f"{same!s:>8}")


def _alternatives(page: bytes) -> Iterator[tuple[str, Callable[[], object]]]:
    """Other ways to find links, each finding and mapping ``href`` and ``src`` only."""
    yield f"html.parser, {_fidelity(_html_parser, page)}", lambda: _html_parser(page)
    for module, run in (("lxml", _lxml), ("selectolax", _selectolax), ("lolhtml", _lolhtml)):
        if importlib.util.find_spec(module):
            yield f"{module}, {_fidelity(run, page)}", lambda run=run: run(page)  # type: ignore[misc]


def _fidelity(run: Callable[[bytes], bytes], page: bytes) -> str:
    text = b"<P Class='a'  id=b><br/>&amp;&copy;<td>x</p >\x80<a href='x'>y"
    try:
        return "exact" if run(text) == text else "changes pages"
    except Exception as error:  # a parser may refuse the page
        return type(error).__name__


def _mapped(value: str | None) -> str:
    return URLS.map_text(value) if value else ""


def _html_parser(page: bytes) -> bytes:
    from html.parser import HTMLParser

    out: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            text = self.get_starttag_text() or ""
            for name, value in attrs:
                if name in ("href", "src") and value and _mapped(value) != value:
                    text = text.replace(value.replace("&", "&amp;"), _mapped(value), 1)
            out.append(text)

        def handle_endtag(self, tag: str) -> None:
            out.append(f"</{tag}>")

        def handle_data(self, data: str) -> None:
            out.append(data)

    parser = Parser(convert_charrefs=False)
    parser.feed(page.decode("latin-1"))
    parser.close()
    return "".join(out).encode("latin-1")


def _lxml(page: bytes) -> bytes:
    from lxml import html

    tree = html.document_fromstring(page)
    tree.rewrite_links(_mapped, resolve_base_href=False)
    result: bytes = html.tostring(tree)
    return result


def _selectolax(page: bytes) -> bytes:
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(page)
    for node in tree.css("[href], [src]"):
        for name in ("href", "src"):
            value = node.attributes.get(name)
            if value:
                node.attrs[name] = _mapped(value)
    return str(tree.html).encode()


def _lolhtml(page: bytes) -> bytes:
    import lolhtml

    return bytes(lolhtml_rewritten(lolhtml, page))


def lolhtml_rewritten(lolhtml: Any, page: bytes) -> bytes:
    """The page through the rewriter of Cloudflare's, by its Python binding."""
    out: list[bytes] = []

    class Links:
        def element(self, element: Any) -> None:
            for name in ("href", "src"):
                value = element.get_attribute(name)
                if value and _mapped(value) != value:
                    element.set_attribute(name, _mapped(value))

    rewriter = lolhtml.HTMLRewriter(out.append)
    rewriter.on("[href], [src]", Links())
    for block in _blocks(page):
        rewriter.write(block)
    rewriter.end()
    return b"".join(out)


if __name__ == "__main__":
    main()
