"""Pages of the wrapped application of which themed pages show parts."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextvars import ContextVar
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from lxml import etree

from .charset import to_utf8
from .codings import decoded, offer
from .decide import is_xhtml
from .fetch_metadata import SCRIPT_KEYS
from .fields import Headers, find, media_type
from .held_response import HeldResponse, Verdict
from .markup import mend_theme
from .page import PageError, mended
from .source_reader import NETWORK, SourceReader, local_path

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

    from .settings import ThemeOptions

__all__ = ["CURRENT", "IncludeResolver", "blank_environ", "fetch_page", "sub_environ"]

log = logging.getLogger("wsgiproxy.theming")

#: The environ of the request whose page is being transformed in this thread.
CURRENT: ContextVar[WSGIEnvironment | None] = ContextVar("wsgiproxy.theming.request", default=None)

_PRIVATE = frozenset(
    (
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "HTTP_CONNECTION",
        "HTTP_EXPECT",
        "HTTP_IF_MATCH",
        "HTTP_IF_MODIFIED_SINCE",
        "HTTP_IF_NONE_MATCH",
        "HTTP_IF_RANGE",
        "HTTP_IF_UNMODIFIED_SINCE",
        "HTTP_ORIGIN",
        "HTTP_RANGE",
        "HTTP_TE",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_UPGRADE",
        "RAW_URI",
        "REQUEST_URI",
    )
)
_LEFT_OUT = _PRIVATE | SCRIPT_KEYS
_WRAPPED = {
    "text/javascript": "script",
    "application/javascript": "script",
    "application/x-javascript": "script",
    "text/css": "style",
}
_READABLE = {"text/html", "application/xhtml+xml", "text/plain", "text/xml", *_WRAPPED}
_READABLE |= {"application/xml"}
_EMPTY = "<html><body></body></html>"


class IncludeResolver(etree.Resolver):  # type: ignore[misc]  # lxml carries no types
    """Answers ``document()`` of a themed page; what cannot be read is an empty page.

    A URL without a scheme is a page of the wrapped application, requested with the client's
    headers. ``file://`` and ``python://`` are read if they lie beside the rules or the theme.

    :param app: the wrapped application.
    :param options: of the middleware.
    :param folders: those of the rules and themes.
    """

    def __init__(
        self, app: WSGIApplication, options: ThemeOptions, folders: Iterable[Path]
    ) -> None:
        self._app = app
        self._options = options
        self._folders = tuple(folders)

    def resolve(self, url: str, pubid: str | None, context: object) -> object:
        """Read one document; lxml calls this.

        :param url: as the rules have it.
        :param pubid: not used.
        :param context: lxml's.
        :returns: always a document, for lxml would read the file itself.
        """
        if url.startswith("file:///__diazo"):
            return None
        try:
            page = self._read(url)
        except Exception as error:
            log.warning("the include %s of a theme fails and is left empty: %s", url, error)
            page = b""
        return self.resolve_string(page or _EMPTY, context, base_url=url)

    def _read(self, url: str) -> bytes:
        if url.startswith(NETWORK):
            reader = SourceReader(self._options.read_network, self._options.max_size, None)
            return mended(to_utf8(reader.fetch(url).getvalue(), None))
        if "://" in url:
            return self._read_file(url)
        page, kind = fetch_page(self._app, sub_environ(CURRENT.get(), url), self._options)
        return mended(page, is_xhtml=is_xhtml(kind))

    def _read_file(self, url: str) -> bytes:
        path = Path(local_path(url)).resolve()
        if not self._options.read_file:
            raise PermissionError("set read_file to allow that")
        if url.startswith("file:") and not any(map(path.is_relative_to, self._folders)):
            raise PermissionError("it lies neither beside the rules nor beside the theme")
        if path.stat().st_size > self._options.max_size:
            raise PageError("it is over max_size")
        return mend_theme(to_utf8(path.read_bytes(), None))


def blank_environ() -> WSGIEnvironment:
    """The environ of a request without a client, for what is read at start."""
    return {
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": _Errors(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


class _Errors:
    """``wsgi.errors`` that ends in the log."""

    def write(self, text: str) -> None:
        """Log a text."""
        log.warning("%s", text.rstrip())

    def writelines(self, lines: Iterable[str]) -> None:
        """Log several."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing is held back."""


def sub_environ(environ: WSGIEnvironment | None, url: str) -> WSGIEnvironment:
    """The environ of a GET for another page, with the client's own headers and cookies.

    The server's private keys are left out: a page that is included must not get hold of
    the client's socket.

    :param environ: the client's request; ``None`` without one.
    :param url: an absolute path, or one relative to the requested page.
    """
    outer = environ or blank_environ()
    script = outer.get("SCRIPT_NAME", "")
    here = script + outer.get("PATH_INFO", "")
    parts = urlsplit(urljoin(here.encode("latin-1").decode("utf-8", "replace") or "/", url))
    path = unquote_to_bytes(parts.path).decode("latin-1")
    if script and path.startswith(script + "/"):
        path = path[len(script) :]
    copied = {k: v for k, v in outer.items() if k.isupper() and k not in _LEFT_OUT}
    copied |= {k: v for k, v in outer.items() if k.startswith("wsgi.") and k.count(".") == 1}
    copied.pop("wsgi.file_wrapper", None)
    return copied | {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": script,
        "PATH_INFO": path,
        "QUERY_STRING": parts.query,
        "HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8",
        "HTTP_ACCEPT_ENCODING": offer(outer.get("HTTP_ACCEPT_ENCODING", "")),
        "CONTENT_LENGTH": "0",
        "wsgi.input": BytesIO(),
        "wsgi.input_terminated": True,
    }


def fetch_page(
    app: WSGIApplication, environ: WSGIEnvironment, options: ThemeOptions
) -> tuple[bytes, str]:
    """A page of the application, and its media type.

    :param app: the wrapped application.
    :param environ: the request.
    :param options: ``max_size`` and ``max_ratio`` are the limits.
    :returns: UTF-8; scripts and styles in elements of their own.
    :raises PageError: for any status but 200, and for what is too large or not text.
    """
    reasons: list[str] = []

    def judge(held: HeldResponse) -> Verdict:
        if not held.status.startswith("200"):
            reasons.append(f"the application answers {held.status}")
        elif _kind(held.headers) not in _READABLE:
            reasons.append(f"{_kind(held.headers)} cannot be included")
        return "discard" if reasons else "hold"

    held = HeldResponse(lambda *_: lambda data: None, judge, options.max_size)
    passed = held.ask(app, environ)
    getattr(passed, "close", lambda: None)()
    if reasons or passed is not None:
        raise PageError(reasons[0] if reasons else "it is over max_size, or was never begun")
    return _as_html(held.headers, held.body, options), _kind(held.headers)


def _kind(headers: Headers) -> str:
    return media_type(find(headers, "content-type")) or "text/html"


def _as_html(headers: Headers, data: bytes, options: ThemeOptions) -> bytes:
    coding = find(headers, "content-encoding") or ""
    plain = decoded(data, coding, max_size=options.max_size, max_ratio=options.max_ratio)
    if plain is None:
        raise PageError("its Content-Encoding is unknown, broken or over max_size")
    text = to_utf8(plain, find(headers, "content-type"))
    element = _WRAPPED.get(_kind(headers), "").encode()
    if element:
        text = b"<html><body><%b>%b</%b></body></html>" % (element, text, element)
    return text
