"""A route inside a framework's own URL map, for the adapters of Django, Flask and Pyramid.

The framework has matched the URL and run its decorators; from there a request goes the same
way as through :class:`~wsgiproxy.ProxyMiddleware`. What differs: the response goes back through
the framework, so an event stream keeps its worker thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from .access.subrequest import ROOT, Answer, ask
from .errors import ConfigurationError
from .middleware import ProxyMiddleware
from .protocol.request_target import raw_target
from .routing.route import Route

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["EmbeddedProxy", "cut", "moved", "place"]

_BYTE = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)


class EmbeddedProxy:
    """One route, to be called by a view.

    :param app: the framework's application, for sub-requests of ``auth``.
    :param wrap: middleware between view and proxy, such as a theme.
    :raises ConfigurationError: for ``auth=True``, which would ask the view itself.
    """

    def __init__(self, route: Route, app: WSGIApplication, wrap: Any = None) -> None:
        if route.auth is True:
            raise ConfigurationError(
                "auth=True asks the wrapped application for the same URL, which is this view; "
                "write another path, or use the framework's own decorators"
            )
        self.route = route
        proxy = ProxyMiddleware(app, {"/": route})
        self._app: WSGIApplication = wrap(proxy) if wrap is not None else proxy

    def answer(self, environ: dict[str, Any]) -> Answer:
        """The response to an environ made by :func:`moved`; its body must be closed."""
        return ask(self._app, environ)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer it as a WSGI application."""
        return self._app(environ, start_response)

    def close(self) -> None:
        """Close the idle connections to the upstream."""
        self.route.upstream.close()


def moved(environ: WSGIEnvironment, root: str, mount: str, target: str) -> dict[str, Any]:
    """A copy of an environ, as if the application's root were the view's URL.

    :param root: the application's own ``SCRIPT_NAME``.
    :param mount: the encoded path of the view, without a slash at its end.
    :param target: encoded path, with a slash first, and query, as the upstream shall get it.
    """
    path, mark, query = target.partition("?")
    copy = {key: value for key, value in environ.items() if key not in _OWN}
    copy[ROOT] = root
    copy["SCRIPT_NAME"] = unquote_to_bytes(mount).decode("latin-1")
    copy["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
    copy["QUERY_STRING"] = query
    copy["REQUEST_URI"] = mount + path + mark + query
    return copy


def place(environ: WSGIEnvironment, captured: str) -> tuple[str, str]:
    """Where a view is: the encoded path of its mount, and the target behind it.

    :param captured: the last part of the URL as the framework's own pattern has captured it.
    :raises BadRequest: for a target that no request line can hold.
    """
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    raw, query = raw_target(environ, path)
    text = path.encode("latin-1").decode("utf-8", "replace")
    head = text[: len(text) - len(captured)] if text.endswith(captured) else ""
    rest = cut(raw, head.encode())
    if rest is None:
        return "", raw + query
    mount = raw[: len(raw) - len(rest)]
    if mount.endswith("/"):
        mount, rest = mount[:-1], "/" + rest
    return mount, rest + query


# The response has to pass through the framework, so nobody may lend the way around it.
_OWN = frozenset(("RAW_URI", "wsgiproxy.start_response"))


def cut(raw: str, head: bytes) -> str | None:
    """What follows in an encoded path behind the part that decodes to ``head``.

    ``None`` if it does not begin so.
    """
    done = b""
    if not head:
        return raw
    for piece in _BYTE.finditer(raw):
        done += unquote_to_bytes(piece[0])
        if len(done) >= len(head):
            return raw[piece.end() :] if done == head else None
    return None
