"""``ProxyMiddleware``: the callable that puts routes in front of an application."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import error_pages as failures
from .errors import ExchangeError
from .forwarding.forwarder import Forwarder
from .forwarding.limits import Limits
from .forwarding.prepare import pseudonym
from .routing.route import Route
from .routing.router import Match, Mount, Router

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

    ::

        application = ProxyMiddleware(application, {"/new_req": "http://localhost:9999"})

    The longest prefix that ends on a segment boundary wins. What a client says about
    itself (``X-Forwarded-*``, ``Remote-User`` ...) is not believed, unless it comes from
    one of a route's ``trusted_proxies``.

    ``failures`` counts what went wrong by the name of the error. What happens to one request
    is in :class:`~wsgiproxy.forwarding.forwarder.Forwarder`.
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
        mounts = self.router.mounts
        self.pseudonym = pseudonym(f"{m.host}{m.prefix}={m.route.upstream!r}" for m in mounts)
        self.traffic = Limits(mounts, self.note)
        self.gates = {m: _gate(m.route, app) for m in mounts if m.route.auth or m.route.redirects}
        self.identities = {m: _identity(m.route) for m in mounts if m.route.tells_identity}
        self._candidates = self.router.candidates
        if any(mount.route.rebase for mount in mounts):
            self.app = _with_strays(app, mounts)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, here or in the wrapped application."""
        candidates = self._candidates(environ.get("PATH_INFO", ""))
        if not candidates:
            return self.app(environ, start_response)
        try:
            match = self.router.match(environ)
        except ExchangeError as error:
            request_id = self.note(error, candidates[0], environ["REQUEST_METHOD"])
            status, headers, body = failures.answer(error, request_id, environ)
            start_response(status, headers)
            return [body]
        if match is None:
            return self.app(environ, start_response)
        return self.pass_on(match, environ, start_response)

    def pass_on(
        self, match: Match, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request that belongs to a route."""
        return Forwarder(self, match, environ, start_response).run()

    def note(self, error: ExchangeError, mount: Mount, method: str) -> str:
        """Count and log a failure; the id of its log line."""
        request_id = failures.new_request_id()
        self.failures[type(error).__name__] += 1
        failures.log_failure(error, request_id, method, mount.prefix)
        return request_id


def _gate(route: Route, app: WSGIApplication) -> AccessCheck:
    from .access.check import AccessCheck

    return AccessCheck(route, app)


def _identity(route: Route) -> Identity:
    from .access.identity import Identity

    return Identity.of(route)


def _with_strays(app: WSGIApplication, mounts: Iterable[Mount]) -> WSGIApplication:
    from .protocol.request_target import encode_path
    from .rebase import Strays

    return Strays(app, [(encode_path(m.path), m.host) for m in mounts if m.route.rebase])
