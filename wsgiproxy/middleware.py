"""``ProxyMiddleware``: the callable that puts routes in front of an application."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import error_pages
from .access.hosts import hosts_of
from .errors import ExchangeError
from .forwarding.forwarder import Forwarder
from .forwarding.limits import Limits, RouteState
from .forwarding.prepare import pseudonym
from .protocol.request_target import encode_path, host_of
from .routing.route import Route
from .routing.router import Mount, Router

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .access.check import AccessCheck
    from .access.identity import Identity

__all__ = ["ProxyMiddleware"]


class ProxyMiddleware:
    """Sends requests under some prefixes to upstreams, and all others to ``app``.

    :param app: the wrapped WSGI application.
    :param routes: by prefix, a URL, several URLs, an :class:`~wsgiproxy.Upstream` or a
        :class:`~wsgiproxy.Route`; or pairs of prefix and route.
    :param route_defaults: options for the routes that are given as URLs.
    :raises ConfigurationError: for a prefix, a URL or an option that cannot work.
    :ivar hosts: finds out which hosts are ours for routes without ``allowed_hosts``; ``None`` for
        any. A Django application's ``ALLOWED_HOSTS`` by default, and Flask's ``TRUSTED_HOSTS``.
    :ivar failures: how often each kind of failure happened, by the name of the error.

    ::

        application = ProxyMiddleware(application, {"/new_req": "http://localhost:9999"})

    The longest prefix that ends on a segment boundary wins. What a client says about
    itself (``X-Forwarded-*``, ``Remote-User`` ...) is not believed, unless it comes from
    one of a route's ``trusted_proxies``.
    """

    def __init__(
        self,
        app: WSGIApplication,
        routes: Mapping[str, Any] | Iterable[tuple[str, Any]],
        **route_defaults: Any,
    ) -> None:
        self.app = app
        self.router = Router(routes, route_defaults)
        self.failures: Counter[str] = Counter()
        self.hosts = hosts_of(app)
        self._candidates = self.router.candidates
        mounts = self.router.mounts
        limits = Limits()
        via = pseudonym(f"{m.host}{m.prefix}={m.route.upstream!r}" for m in mounts)
        self._states = {mount: self._state(mount, limits, via) for mount in mounts}
        if any(mount.route.rebase for mount in mounts):
            self.app = _with_strays(app, mounts)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, here or in the wrapped application."""
        path = environ.get("PATH_INFO", "")
        candidates = self._candidates(path)
        if candidates:
            host = host_of(environ)
            for mount in candidates:
                if mount.takes(path, host):
                    return Forwarder(self._states[mount], environ, start_response).run()
        return self.app(environ, start_response)

    def _state(self, mount: Mount, limits: Limits, via: str) -> RouteState:
        route = mount.route
        return RouteState(
            mount,
            locate=self.router.locate,
            limits=limits,
            via=via,
            report=self._report,
            check=_check(route, self.app) if route.auth or route.redirects else None,
            identity=_identity(route) if route.tells_identity else None,
            hosts=lambda: None if self.hosts is None else self.hosts(),
        )

    def _report(
        self,
        error: ExchangeError,
        mount: Mount,
        environ: Mapping[str, Any],
        seconds: float | None,
    ) -> str:
        """Count and log a failure; the id of its log line."""
        request_id = error_pages.new_request_id()
        self.failures[type(error).__name__] += 1
        # Under a framework's view, SCRIPT_NAME is the view's own prefix.
        prefix = encode_path(environ.get("SCRIPT_NAME", "") + mount.path)
        error_pages.log_failure(error, request_id, environ, prefix=prefix, seconds=seconds)
        return request_id


def _check(route: Route, app: WSGIApplication) -> AccessCheck:
    from .access.check import AccessCheck

    return AccessCheck(route, app)


def _identity(route: Route) -> Identity:
    from .access.identity import Identity

    return Identity.of(route)


def _with_strays(app: WSGIApplication, mounts: Iterable[Mount]) -> WSGIApplication:
    from .rebase import Strays

    return Strays(app, [(encode_path(m.path), m.host) for m in mounts if m.route.rebase])
