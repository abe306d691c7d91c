"""Requests that a rebased service meant for itself, but that came without its prefix.

A script or style sheet that builds ``/static/x`` in a way nobody foresaw asks the site,
not the service. The ``Referer`` tells which page asked, and the browser is sent on to
where the service has it, so that whatever is relative to the answer is right as well.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from ..protocol.request_target import encode_path
from .fetch_metadata import is_navigation

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Strays", "stray_target"]

logger = logging.getLogger("wsgiproxy.rebase")

_INVALID = re.compile(r"[\x00-\x20\x7f\\]|[^\x00-\x7f]")
_DOTS = re.compile(r"/\.\.?(?:/|\Z)")


def stray_target(environ: Mapping[str, Any], prefixes: Iterable[str], host: str) -> str | None:
    """Where a stray request belongs, or ``None`` if it is none.

    :param environ: a request that no route matches.
    :param prefixes: the public prefixes of rebased routes, percent-encoded.
    :param host: our own ``host[:port]`` as the client wrote it.

    Only a browser's own word counts: a ``Referer`` of our origin under a prefix, and a
    ``Sec-Fetch-Site``, where there is one, that says the same. What comes back is a path
    that begins with that prefix, so it cannot lead elsewhere.
    """
    referer = environ.get("HTTP_REFERER", "")
    if not referer or environ.get("HTTP_SEC_FETCH_SITE", "same-origin") != "same-origin":
        return None
    if not host or "HTTP_UPGRADE" in environ or environ["REQUEST_METHOD"] in ("CONNECT", "TRACE"):
        return None
    path = _page_of(referer, "" if "HTTP_SEC_FETCH_SITE" in environ else host)
    under = [prefix for prefix in prefixes if prefix and _is_under(path, prefix)]
    if not under:
        return None
    target = _target(environ)
    return max(under, key=len) + target if target else None


class Strays:
    """Stands before the wrapped application and sends strays where they belong.

    :param app: the wrapped application.
    :param mounts: the public prefix of each rebased route, percent-encoded and without a
        last slash, with the host it is bound to, if any.

    What a page loads is sent on at once. Where a user goes is asked of the wrapped
    application first and sent on only if that answers 404: its own pages stay its own.
    """

    def __init__(self, app: WSGIApplication, mounts: Iterable[tuple[str, str]]) -> None:
        self.app = app
        self._mounts = tuple(mounts)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request that no route matches."""
        if "HTTP_REFERER" not in environ:
            return self.app(environ, start_response)
        target = stray_target(environ, self._prefixes(environ), environ.get("HTTP_HOST", ""))
        if target is None:
            return self.app(environ, start_response)
        if not is_navigation(environ):
            return _send_on(environ, target, start_response)
        return self._after_404(environ, target, start_response)

    def _prefixes(self, environ: WSGIEnvironment) -> list[str]:
        script = encode_path(environ.get("SCRIPT_NAME", ""))
        host = environ.get("HTTP_HOST", "").lower()
        name = re.sub(r":[0-9]*\Z", "", host)
        return [script + prefix for prefix, own in self._mounts if own in ("", host, name)]

    def _after_404(
        self, environ: WSGIEnvironment, target: str, start_response: StartResponse
    ) -> Iterable[bytes]:
        statuses: list[str] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            statuses.append(status)
            if status.startswith("404"):
                return lambda data: None
            return start_response(status, headers, *([exc_info] if exc_info else []))

        body = self.app(environ, start)
        if not statuses:  # a generator calls start_response with its first piece
            body = _Started(body)
        if not statuses or not statuses[-1].startswith("404"):
            return body
        if hasattr(body, "close"):
            body.close()
        return _send_on(environ, target, start_response)


class _Started:
    """An iterable whose first piece has been asked for already."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self.close = getattr(body, "close", lambda: None)
        self._pieces = iter(body)
        try:
            self._first = next(self._pieces, b"")
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> _Started:
        return self

    def __next__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return next(self._pieces)


def _send_on(
    environ: WSGIEnvironment, target: str, start_response: StartResponse
) -> Iterable[bytes]:
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    logger.debug("stray %s %s, sent on to %s", method, path, target)
    headers = [
        ("Location", target),
        ("Content-Length", "0"),
        ("Cache-Control", "no-store"),  # the next page to ask may be another service's
        ("Vary", "Referer"),
    ]
    start_response("307 Temporary Redirect", headers)
    return []


def _page_of(referer: str, host: str) -> str:
    """The path of a ``Referer`` of our own origin; empty for any other.

    :param host: ours, unless the browser itself has said that the origins are the same:
        behind another proxy our name may not be the one it knows.
    """
    try:
        url = urlsplit(referer)
    except ValueError:
        return ""
    is_ours = url.scheme in ("http", "https") and (not host or url.netloc.lower() == host.lower())
    return "" if not is_ours or _DOTS.search(_unquoted(url.path)) else url.path


def _is_under(path: str, prefix: str) -> bool:
    if path.startswith(prefix):
        return path[len(prefix) :][:1] in ("", "/")
    return _unquoted(path).startswith(_unquoted(prefix) + "/")


def _unquoted(path: str) -> str:
    return unquote_to_bytes(path).decode("latin-1")


def _target(environ: Mapping[str, Any]) -> str | None:
    """Path and query as the client spelt them; ``None`` for one that is not plain."""
    raw = environ.get("REQUEST_URI") or environ.get("RAW_URI") or ""
    if not raw.startswith("/") or raw.startswith("//") or _INVALID.search(raw):
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        query = environ.get("QUERY_STRING", "")
        raw = encode_path(path) + ("?" + query if query else "")
    path = _unquoted(raw.partition("?")[0])
    if not raw.startswith("/") or _INVALID.search(raw) or _DOTS.search(path) or "\\" in path:
        return None
    return raw
