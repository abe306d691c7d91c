"""A themed page of 50 KB against ``diazo.wsgi.DiazoMiddleware``: ``python -m benchmarks.theming``.

Both wrap the same application with the same rules and theme in one process. Rounds interleave
the two; the median counts. Needs the ``theme`` extra and ``pip install repoze.xmliter``.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from diazo.wsgi import DiazoMiddleware
from lxml import etree

from wsgiproxy.theming import ThemeMiddleware

NAMESPACES = (
    'xmlns="http://namespaces.plone.org/diazo" xmlns:css="http://namespaces.plone.org/diazo/css"'
)
CARD = (
    '<div class="card"><h2 id="h{0}">Title {0} &amp; caf\u00e9</h2><p>Some <b>bold</b> text with '
    '<a href="/x/{0}?a=1&amp;b=2">a link</a>, and more text to fill.</p></div>\n'
)
THEME = (
    '<!DOCTYPE html><html><head><title>Theme</title><link rel="stylesheet" href="site.css">'
    "<script>if (1 < 2) { start(); }</script></head><body><nav><ul>"
    + "".join(f'<li><a href="/{n}">Entry {n}</a></li>' for n in range(40))
    + '</ul></nav><div id="main"></div><footer>Foot</footer></body></html>'
)
COPY = (
    '<theme href="theme.html"/><replace css:theme="title" css:content="title"/>'
    '<replace css:theme="#main" css:content="#content"/>'
)
CASES = {
    "content copied": COPY,
    "content changed": COPY + '<drop css:content=".ad"/><strip css:content="font"/>',
}
Application = Callable[..., Iterable[bytes]]


def page(size: int) -> bytes:
    """A page of about so many bytes."""
    cards = "".join(map(CARD.format, range(size // len(CARD.format(100).encode()))))
    head = "<!DOCTYPE html><html><head><title>Page</title></head><body>"
    return f'{head}<div id="content">{cards}</div></body></html>'.encode()


def application(body: bytes) -> Application:
    """An application that always answers with the same page."""

    def answer(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [body]

    return answer


def visit(app: Application) -> bytes:
    """One request."""
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost",
        "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http",
    }  # fmt: skip
    return b"".join(app(environ, lambda status, headers, exc_info=None: None))


def cost(app: Application, visits: int) -> float:
    """Milliseconds of CPU for one page."""
    began = time.process_time()
    for _ in range(visits):
        visit(app)
    return (time.process_time() - began) / visits * 1000


def rate(app: Application, threads: int, visits: int) -> float:
    """Pages in a second with so many threads at work."""
    workers = [
        threading.Thread(target=lambda: [visit(app) for _ in range(visits)]) for _ in range(threads)
    ]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return threads * visits / (time.perf_counter() - began)


def first(make: Callable[[], Application]) -> float:
    """Milliseconds of CPU from nothing to the first page."""
    began = time.process_time()
    visit(make())
    return (time.process_time() - began) * 1000


def measure(rules: Path, body: bytes, rounds: int, visits: int) -> dict[str, list[float]]:
    """By contestant: first page, each page, and pages a second by threads."""
    app = application(body)
    makers: dict[str, Callable[[], Application]] = {
        "wsgiproxy.theming": lambda: ThemeMiddleware(app, rules=str(rules)),
        "diazo.wsgi": lambda: DiazoMiddleware(app, {}, str(rules)),
    }
    made = {name: make() for name, make in makers.items()}
    samples: dict[str, list[list[float]]] = {name: [] for name in makers}
    for _ in range(rounds):
        for name, make in makers.items():
            rates = [rate(made[name], threads, visits) for threads in (1, 2, 4)]
            samples[name].append([first(make), cost(made[name], visits), *rates])
    return {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in samples.items()
    }


def table(rows: list[list[str]]) -> str:
    """Rows as a table of reStructuredText, the first of them its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--visits", type=int, default=60)
    parser.add_argument("--kilobytes", type=int, default=50)
    given = parser.parse_args()
    body = page(given.kilobytes * 1024)
    rows = [["Rules", "Middleware", "ms a page", "ratio", "first page, ms", "pages/s: 1 thread",
             "2 threads", "4 threads"]]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "theme.html").write_text(THEME)
        for case, inside in CASES.items():
            rules = Path(folder, "rules.xml")
            rules.write_text(f"<rules {NAMESPACES}>{inside}</rules>")
            results = measure(rules, body, given.rounds, given.visits)
            base = results["diazo.wsgi"][1]
            for name, (start, each, *rates) in results.items():
                shown = [f"{each:.2f}", f"{each / base:.2f}", f"{start:.1f}"]
                rows.append([case, name, *shown, *(f"{value:.0f}" for value in rates)])
    print(
        f"A page of {len(body) / 1024:.0f} KB. Python {platform.python_version()},"
        f" lxml {'.'.join(map(str, etree.LXML_VERSION[:3]))}, {os.cpu_count()} cores.\n"
    )
    print(table(rows))


if __name__ == "__main__":
    main()
