"""Asking a WSGI application something on a request's behalf, inside the process."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes

from ..errors import AuthFailed
from ..protocol.request_target import encode_path, host_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ROOT", "Answer", "ask", "derive", "original_uri", "without_body"]

#: Where a view that moved ``SCRIPT_NAME`` to its own URL keeps the application's.
ROOT = "wsgiproxy.script_name"
#: How many questions a request is within.
DEPTH = "wsgiproxy.subrequest"

# Concern the message or the connection, which a question has of its own: it has no body,
# gets a whole answer, and cannot be switched to another protocol.
_DROPPED = frozenset(
    (
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "HTTP_CONNECTION",
        "HTTP_CONTENT_LENGTH",
        "HTTP_EXPECT",
        "HTTP_IF_MATCH",
        "HTTP_IF_MODIFIED_SINCE",
        "HTTP_IF_NONE_MATCH",
        "HTTP_IF_RANGE",
        "HTTP_IF_UNMODIFIED_SINCE",
        "HTTP_RANGE",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_UPGRADE",
        "HTTP_X_HTTP_METHOD_OVERRIDE",
        "HTTP_X_ORIGINAL_URL",
        "HTTP_X_REWRITE_URL",
        "RAW_URI",
        "gunicorn.socket",
        "waitress.client_disconnected",
        "werkzeug.request",
        "werkzeug.socket",
        "wsgiproxy.start_response",
    )
)
# What frameworks keep about the request that an environ belongs to.
_CACHES = ("webob.", "werkzeug.", "bottle.")


class Answer(NamedTuple):
    """A response of which nothing has been sent yet; itself a WSGI application."""

    status: str
    headers: list[tuple[str, str]]
    body: Iterable[bytes]

    @property
    def code(self) -> int:
        """The status code."""
        return int(self.status[:3])

    def values(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def close(self) -> None:
        """Be done with it unread."""
        _close(self.body)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send it; its body must not go with the answer to ``HEAD`` (RFC 9110, 9.3.2)."""
        start_response(self.status, self.headers)
        if environ["REQUEST_METHOD"] == "HEAD":
            self.close()
            return []
        return self.body


def without_body(environ: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an environ for somebody who may look at everything but the body.

    What a framework has worked out about the original is left out.
    """
    copy = {key: value for key, value in environ.items() if not key.startswith(_CACHES)}
    copy["wsgi.input"] = io.BytesIO()
    copy["CONTENT_LENGTH"] = "0"
    return copy


def derive(environ: WSGIEnvironment, path: str | None = None) -> dict[str, Any]:
    """The environ of a question: a ``GET`` without a body in the name of the same client.

    :param path: another path to ask, as it stands in a URL below the application's root,
        with a query if wanted; ``None`` for the same URL.

    ``X-Original-URI``, ``X-Original-Method`` and ``X-Forwarded-Uri``, ``-Method`` tell what it
    is about, in the manner of nginx and of Caddy. A client's own values are overwritten.

    :raises AuthFailed: for a question that arises from a question from a question.
    """
    asked = {
        key: value
        for key, value in environ.items()
        if key not in _DROPPED and not key.startswith(_CACHES)
    }
    original = original_uri(environ)
    for name in ("X_ORIGINAL_URI", "X_FORWARDED_URI"):
        asked["HTTP_" + name] = original
    for name in ("X_ORIGINAL_METHOD", "X_FORWARDED_METHOD"):
        asked["HTTP_" + name] = environ["REQUEST_METHOD"]
    if host := host_of(environ):
        asked["HTTP_HOST"] = host
    asked["REQUEST_METHOD"] = "GET"
    asked["REQUEST_URI"] = original
    script = environ.get("SCRIPT_NAME", "")
    root = str(environ.get(ROOT, script))
    asked["SCRIPT_NAME"] = root
    asked["PATH_INFO"] = (script + environ.get("PATH_INFO", ""))[len(root) :]
    if path is not None:
        raw_path, _, asked["QUERY_STRING"] = path.partition("?")
        asked["PATH_INFO"] = unquote_to_bytes(raw_path).decode("latin-1")
        asked["REQUEST_URI"] = encode_path(root) + path
    asked["wsgi.input"] = io.BytesIO()
    asked[DEPTH] = environ.get(DEPTH, 0) + 1
    if asked[DEPTH] > 3:
        raise AuthFailed(f"asking for {path or original!r} leads back to the asking route")
    return asked


def original_uri(environ: WSGIEnvironment) -> str:
    """Path and query of a request, encoded, from what every server gives.

    There is one slash in front: behind ``?next=``, ``//host/`` would lead to another site.
    """
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    path = "/" + encode_path(path).lstrip("/")
    query = environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def ask(app: WSGIApplication, environ: dict[str, Any]) -> Answer:
    """Call an application up to the point where status and headers are known.

    :raises AuthFailed: if it breaks PEP 3333 by never calling ``start_response``.
    """
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started[:] = [(status, list(headers))]
        return written.append

    body = app(environ, start_response)
    try:
        pieces, ahead = iter(body), []
        while not started:  # an application may start with its first piece
            piece = next(pieces, None)
            if piece is None:
                break
            ahead.append(piece)
        if not started:
            raise AuthFailed("the application that was asked did not answer")
    except BaseException:
        _close(body)
        raise
    if not ahead and not written:
        return Answer(*started[0], body)
    return Answer(*started[0], _Body(itertools.chain(written, ahead, pieces), body))


class _Body:
    """What an application has given already and what is to come, closed as one."""

    def __init__(self, pieces: Iterator[bytes], body: Any) -> None:
        self._pieces = pieces
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Close the application's own iterable (PEP 3333)."""
        _close(self._body)


def _close(body: Any) -> None:
    if hasattr(body, "close"):
        body.close()
