"""A route inside a framework's own URL map, for the adapters of Django, Flask and Pyramid.

The framework has matched the URL and run its decorators; from there a request goes the same
way as through :class:`~wsgiproxy.ProxyMiddleware`. What differs: the response goes back through
the framework, so an event stream keeps its worker thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from .access.hosts import Hosts
from .access.subrequest import ROOT, Answer, ask
from .errors import BadRequest, ConfigurationError
from .middleware import ProxyMiddleware
from .protocol.path_readings import climbs, is_ambiguous, normal, readings
from .protocol.request_target import host_of, raw_target, unquote
from .routing.route import Route

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["EmbeddedProxy", "as_text", "check_place", "cut", "moved", "place", "says_cookies"]

#: Options by which a route says itself what becomes of the site's cookies.
_COOKIE_OPTIONS = frozenset(("hide_cookies", "site_cookies"))
_BYTE = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)


def says_cookies(options: Iterable[str]) -> bool:
    """Whether the options of a view tell what becomes of the site's cookies.

    :param options: their names. If they do not, the framework's own cookies stay with it.
    """
    return not _COOKIE_OPTIONS.isdisjoint(options)


def as_text(path: bytes) -> str:
    """The text of a decoded path, as Flask and Pyramid have it."""
    return path.decode("utf-8", "replace")


class EmbeddedProxy:
    """One route, to be called by a view.

    :param app: the framework's application, for sub-requests of ``auth``.
    :param wrap: middleware between view and proxy, such as a theme.
    :param hosts: finds out which hosts are ours, if the framework does not refuse others itself.
    :raises ConfigurationError: for ``auth=True``, which would ask the view itself.
    """

    def __init__(
        self,
        route: Route,
        app: WSGIApplication,
        wrap: Any = None,
        hosts: Hosts | None = None,
    ) -> None:
        if route.auth is True:
            raise ConfigurationError(
                "auth=True asks the wrapped application for the same URL, which is this view; "
                "write another path, or use the framework's own decorators"
            )
        self.route = route
        proxy = ProxyMiddleware(app, {"/": route})
        proxy.hosts = hosts
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


def moved(environ: Mapping[str, Any], root: str, mount: str, target: str) -> dict[str, Any]:
    """A copy of an environ, as if the application's root were the view's URL.

    :param environ: as the framework has it; numbers among its headers become text.
    :param root: the application's own ``SCRIPT_NAME``.
    :param mount: the encoded path of the view, without a slash at its end.
    :param target: encoded path, with a slash first, and query, as the upstream shall get it.
    """
    path, mark, query = target.partition("?")
    copy = {
        key: str(value) if key.startswith(("HTTP_", "CONTENT_")) else value
        for key, value in environ.items()
        if key not in _OWN and value is not None
    }
    if host := host_of(environ):
        copy["HTTP_HOST"] = host
    copy[ROOT] = root
    copy["SCRIPT_NAME"] = unquote_to_bytes(mount).decode("latin-1")
    copy["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1")
    copy["QUERY_STRING"] = query
    copy["REQUEST_URI"] = mount + path + mark + query
    return copy


def place(
    environ: Mapping[str, Any],
    captured: str,
    text: str | None = None,
    decode: Callable[[str], str] = unquote,
) -> tuple[str, str]:
    """Where a view is: the encoded path of its mount, and the target behind it.

    :param captured: the last part of the URL as the framework's own pattern has captured it.
    :param text: the whole path as the framework's patterns see it, if it is not just decoded.
    :param decode: makes that of an encoded path, one character for each byte.
    :raises BadRequest: for a target that no request line can hold.
    """
    if text is None:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        text = as_text(path.encode("latin-1"))
    else:
        path = text.encode().decode("latin-1")
    raw, query = raw_target(environ, path, decode)
    head = text[: len(text) - len(captured)] if text.endswith(captured) else ""
    rest = cut(raw, head.encode())
    if rest is None:
        return "", raw + query
    mount = raw[: len(raw) - len(rest)]
    if mount.endswith("/"):
        mount, rest = mount[:-1], "/" + rest
    return mount, rest + query


def check_place(mount: str, target: str, leads_here: Callable[[str], bool]) -> None:
    """Refuse a path that somebody may take for one of another view, which others guard.

    :param mount: encoded, as :func:`place` has it.
    :param target: the same.
    :param leads_here: whether the framework's patterns lead a path to this very view; the path is
        decoded as PEP 3333 has it, and without the application's root.
    :raises BadRequest: if not every reading of the path does.
    """
    raw_path = target.partition("?")[0]
    if not raw_path.startswith("/") or not is_ambiguous(unquote(raw_path)):
        return
    before = unquote(mount)
    for reading in readings(raw_path):
        if climbs(reading):
            raise BadRequest(f"{raw_path[:200]!r} leaves {mount!r}")
        if not leads_here(before + normal(reading)):
            raise BadRequest(f"{raw_path[:200]!r} may mean another view than that at {mount!r}")


# The response has to pass through the framework, so nobody may lend the way around it.
_OWN = frozenset(("RAW_URI", "wsgiproxy.start_response"))


def cut(raw: str, head: bytes) -> str | None:
    """What follows in an encoded path behind the part that decodes to ``head``.

    :param raw: the encoded path.
    :return: ``None`` if it does not begin so.
    """
    done = b""
    if not head:
        return raw
    for piece in _BYTE.finditer(raw):
        done += unquote_to_bytes(piece[0])
        if len(done) >= len(head):
            return raw[piece.end() :] if done == head else None
    return None
