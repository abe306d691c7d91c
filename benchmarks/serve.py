"""One WSGI contestant in a process of its own, under waitress or gunicorn.

    python -m benchmarks.serve NAME PORT UPSTREAM_URL [FOLDER]

``NAME`` is a function of this module without its ``make_``. ``FOLDER`` is where packages stand
that cannot be installed beside this one: WSGIProxy2's import name is ``wsgiproxy`` too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.upstream import BIG, SIZES, body

PREFIX = "/new_req"
THREADS = 16
_BODIES = {f"{PREFIX}/{name}": body(length) for name, length in SIZES.items()}
_BLOCK = bytes(1 << 16)


def make_bare(upstream: str) -> Any:
    """Answers by itself what the others fetch from the upstream; reads uploads."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            content = b"%d" % sum(map(len, iter(lambda: environ["wsgi.input"].read(1 << 18), b"")))
        else:
            content = _BODIES.get(environ["PATH_INFO"], b"")
        is_big = environ["PATH_INFO"].endswith("/200m")
        length = BIG if is_big else len(content)
        headers = [
            ("Server", "upstream"),
            ("Content-Type", "text/html; charset=utf-8"),
            ("Last-Modified", "Wed, 31 Dec 2025 00:00:00 GMT"),
            ("ETag", '"5f5e1000-400"'),
            ("Cache-Control", "max-age=60"),
            ("Content-Length", str(length)),
        ]
        start_response("200 OK", headers)
        return (_BLOCK for _ in range(BIG // len(_BLOCK))) if is_big else [content]

    return application


def make_wsgiproxy(upstream: str) -> Any:
    """This package."""
    from wsgiproxy import ProxyMiddleware

    return ProxyMiddleware(make_bare(upstream), {PREFIX: upstream})


def make_werkzeug(upstream: str) -> Any:
    """Werkzeug's middleware."""
    from werkzeug.middleware.http_proxy import ProxyMiddleware

    targets = {f"{PREFIX}/": {"target": f"{upstream}/", "remove_prefix": True}}
    return ProxyMiddleware(make_bare(upstream), targets)


def make_wsgiproxy2(upstream: str) -> Any:
    """WSGIProxy2's HostProxy with its default client; the prefix is cut off for it."""
    from wsgiproxy import HostProxy

    proxy = HostProxy(upstream)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(PREFIX)
        environ["REQUEST_URI"] = environ["PATH_INFO"]
        return proxy(environ, start_response)

    return application


def make_revproxy(upstream: str) -> Any:
    """django-revproxy's view in a site without any middleware."""
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.urls import re_path

    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="benchmark",
        DATA_UPLOAD_MAX_MEMORY_SIZE=None,
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "revproxy"],
    )
    application = get_wsgi_application()
    from revproxy.views import ProxyView

    globals()["urlpatterns"] = [
        re_path(r"^new_req/(?P<path>.*)$", ProxyView.as_view(upstream=upstream))
    ]
    return application


def make_urllib3(upstream: str) -> Any:
    """What one would write in twenty lines."""
    import urllib3

    pool = urllib3.PoolManager(maxsize=THREADS)
    hop_by_hop = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        url = upstream + environ["PATH_INFO"].removeprefix(PREFIX)
        headers = {
            name[5:].replace("_", "-").title(): value
            for name, value in environ.items()
            if name.startswith("HTTP_") and name != "HTTP_CONNECTION"
        }
        content = None
        if environ.get("CONTENT_LENGTH"):
            headers["Content-Length"] = environ["CONTENT_LENGTH"]
            content = environ["wsgi.input"]
        response = pool.urlopen(
            environ["REQUEST_METHOD"], url, body=content, headers=headers,
            preload_content=False, decode_content=False, redirect=False, retries=False,
        )  # fmt: skip
        kept = [(name, value) for name, value in response.headers.items()
                if name.lower() not in hop_by_hop]  # fmt: skip
        start_response(f"{response.status} {response.reason}", kept)
        yield from response.stream(65536, decode_content=False)
        response.release_conn()

    return application


def make(name: str, upstream: str, folder: str = "") -> Any:
    """The application of a contestant."""
    if folder:
        sys.path.insert(0, folder)
    return globals()[f"make_{name}"](upstream)


def application() -> Any:
    """For gunicorn: the contestant that the environment names."""
    return make(os.environ["BENCHMARK_NAME"], os.environ["BENCHMARK_UPSTREAM"])


def main() -> None:
    """Serve under waitress until killed."""
    name, port, upstream, *folder = sys.argv[1:]
    import waitress

    waitress.serve(
        make(name, upstream, *folder),
        listen=f"127.0.0.1:{port}",
        threads=THREADS,
        channel_request_lookahead=5,
    )


if __name__ == "__main__":
    main()
