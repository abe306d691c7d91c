"""``ProxyMiddleware``: one request from top to bottom, and nothing else."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import webob

from . import failures
from .client import client_descriptor
from .errors import ExchangeError, UpstreamBroken
from .request import Client, Outgoing, client_of, clone, outgoing, pseudonym, target_of, url_map
from .response import ResponseBody, adapt_headers, status_line
from .routing import Match, Mount, Router
from .transport import Head
from .upstream import Exchange

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ProxyMiddleware"]

logger = logging.getLogger("wsgiproxy")


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

    ``failures`` counts what went wrong by the name of the error.
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
        self._candidates = self.router.candidates
        mounts = self.router.mounts
        self._via = pseudonym(f"{m.host}{m.prefix}={m.route.upstream!r}" for m in mounts)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, here or in the wrapped application."""
        if not self._candidates(environ.get("PATH_INFO", "")):
            return self.app(environ, start_response)
        try:
            match = self.router.match(environ)
        except ExchangeError as error:
            mount = self.router.candidates(environ.get("PATH_INFO", ""))[0]
            return self._fail(error, mount, None, environ, start_response)
        if match is None:
            return self.app(environ, start_response)
        return self._proxy(match, environ, start_response)

    def _proxy(
        self, match: Match, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        route = match.mount.route
        request: webob.Request | None = None
        try:
            # 1. A prefix without its slash: relative links need it.
            if not match.path and _wants_slash(match, environ):
                return _redirect(match, start_response)
            # 2. The clone, which the hook may change or answer.
            client = client_of(environ, route)
            request = clone(environ, match, client, self._via)
            if route.rewrite is not None:
                answer = route.rewrite(request)
                if answer is not None:
                    return _respond(answer, environ, start_response)
            # 3. Send it, and wait for the head of the answer.
            out = outgoing(request, target_of(request, match, environ), route.max_body)
            exchange, head = self._exchange(match.mount, out, environ)
        except ExchangeError as error:
            return self._fail(error, match.mount, request, environ, start_response)
        # 4. Adapt the head and pass the body on.
        try:
            return self._answer(match, client, request, exchange, head, start_response)
        except BaseException:
            exchange.close()
            raise

    def _exchange(
        self, mount: Mount, out: Outgoing, environ: WSGIEnvironment
    ) -> tuple[Exchange, Head]:
        exchange: Exchange = mount.route.upstream.connect()
        try:
            try:
                return exchange, _ask(exchange, out, environ)
            except UpstreamBroken:
                # A kept-alive connection may close under the request (RFC 9112, 9.3.1).
                if not (exchange.may_retry(out.method) and out.replayable):
                    raise
                exchange.close()
                exchange = exchange.server.open()
                return exchange, _ask(exchange, out, environ)
        except BaseException:
            exchange.close()
            raise

    def _answer(
        self,
        match: Match,
        client: Client,
        request: webob.Request,
        exchange: Exchange,
        head: Head,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        route = match.mount.route
        headers = adapt_headers(
            head, lambda: url_map(match, client), route.hide_cookies, route.response_headers
        )
        status = status_line(head)
        body = self._body(match.mount, exchange, request)
        if route.modify_response is not None:
            status, headers, body = _modified(route.modify_response, request, status, headers, body)
        start_response(status, headers)
        return body

    def _body(self, mount: Mount, exchange: Exchange, request: webob.Request) -> Iterable[bytes]:
        """The body; in a list if it is here already, so the connection is free at once."""
        body = ResponseBody(exchange, lambda error: self._note(error, mount, request.method))
        first = next(body, b"") if exchange.wire.has_ahead else b""
        if exchange.at_end:
            body.close()
            return [first] if first else []
        return body.after(first)

    # -- failures --------------------------------------------------------------------

    def _note(self, error: ExchangeError, mount: Mount, method: str) -> str:
        request_id = failures.new_request_id()
        self.failures[type(error).__name__] += 1
        failures.log_failure(error, request_id, method, mount.prefix)
        return request_id

    def _fail(
        self,
        error: ExchangeError,
        mount: Mount,
        request: webob.Request | None,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        request_id = self._note(error, mount, environ["REQUEST_METHOD"])
        if mount.route.on_error is not None:
            answer = mount.route.on_error(error, request or webob.Request(dict(environ)))
            if answer is not None:
                return _respond(answer, environ, start_response)
        status, headers, body = failures.answer(error, request_id, environ)
        start_response(status, headers)
        return [body]


def _ask(exchange: Exchange, out: Outgoing, environ: WSGIEnvironment) -> Head:
    exchange.wire.client = client_descriptor(environ)
    exchange.send(out.head, out.body)
    head = exchange.read_head(out.method)
    if head.status == 101:
        raise UpstreamBroken("an upgrade that nobody asked for", stage="head")
    return head


def _wants_slash(match: Match, environ: WSGIEnvironment) -> bool:
    route = match.mount.route
    return (
        route.strip_prefix
        and route.add_slash
        and environ["REQUEST_METHOD"] in ("GET", "HEAD")
        and "HTTP_UPGRADE" not in environ
    )


def _redirect(match: Match, start_response: StartResponse) -> Iterable[bytes]:
    # Path-absolute with exactly one slash in front, so that it cannot lead elsewhere.
    location = "/" + match.prefix.lstrip("/") + "/" + match.query
    start_response("308 Permanent Redirect", [("Location", location), ("Content-Length", "0")])
    return []


def _respond(
    response: webob.Response, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """A hook's response as it is: WebOb's own call would change ``Location``."""
    start_response(response.status, response.headerlist)
    if environ["REQUEST_METHOD"] == "HEAD":
        if hasattr(response.app_iter, "close"):
            response.app_iter.close()
        return []
    return response.app_iter  # type: ignore[no-any-return]


def _modified(
    hook: Any,
    request: webob.Request,
    status: str,
    headers: list[tuple[str, str]],
    body: Iterable[bytes],
) -> tuple[str, list[tuple[str, str]], Iterable[bytes]]:
    response = webob.Response(status=status, headerlist=headers, app_iter=body)
    replaced = hook(response, request)
    response = response if replaced is None else replaced
    if response.app_iter is not body and hasattr(body, "close"):
        body.close()
    return response.status, response.headerlist, response.app_iter
