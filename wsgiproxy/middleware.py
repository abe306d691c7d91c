"""``ProxyMiddleware``: one request from top to bottom, and nothing else."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import webob

from . import failures
from .client import Client, client_descriptor, client_of
from .errors import ExchangeError, UpstreamBroken
from .exchange import Exchange
from .outgoing import Outgoing, outgoing, target_of
from .request import clone, pseudonym, url_map
from .response import ResponseBody, adapt_headers, status_line
from .routing import Match, Mount, Router, encode_path
from .traffic import Traffic, Trip
from .transport import Head
from .upgrade import announce, asked_for, check, switching_head

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
        self._traffic = Traffic(self.router.mounts, self._note)
        mounts = self.router.mounts
        if any(mount.route.rebase for mount in mounts):
            self.app = _with_strays(app, mounts)
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
            protocol = asked_for(environ, route.upgrade)
            if protocol is not None:
                announce(request.environ, protocol)
            if route.rewrite is not None:
                answer = route.rewrite(request)
                if answer is not None:
                    return _respond(answer, environ, start_response)
            if route.rebase:
                own = _rebase(environ, match, client, request, start_response)
                if own is not None:
                    return own
            out = outgoing(request, target_of(request, match, environ), route.max_body)
            # 3. Send it, wait for the head of the answer, pass the body on.
            with self._traffic.trip(match.mount, protocol, environ, start_response) as trip:
                return self._forward(match, client, request, out, trip)
        except ExchangeError as error:
            return self._fail(error, match.mount, request, environ, start_response)

    def _forward(
        self, match: Match, client: Client, request: webob.Request, out: Outgoing, trip: Trip
    ) -> Iterable[bytes]:
        exchange, head = self._exchange(match.mount, out, trip)
        try:
            if head is None:  # it takes its time: the relay waits for it
                answer = trip.finish(exchange, out.method, lambda h: _adapted(h, match, client))
                if answer is not None:
                    return answer
                head = exchange.read_head(out.method)
            if head.status == 101:
                return self._switch(match, client, request, exchange, head, trip)
            return self._answer(match, client, request, exchange, head, trip)
        except BaseException:
            exchange.close()
            raise

    def _exchange(self, mount: Mount, out: Outgoing, trip: Trip) -> tuple[Exchange, Head | None]:
        """The exchange, and the head unless it is better waited for elsewhere."""
        exchange: Exchange = mount.route.upstream.connect()
        try:
            try:
                return exchange, _ask(exchange, out, trip)
            except UpstreamBroken:
                # A kept-alive connection may close under the request (RFC 9112, 9.3.1).
                if not (exchange.may_retry(out.method) and out.replayable):
                    raise
                exchange.close()
                exchange = exchange.server.open()
                return exchange, _ask(exchange, out, trip)
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
        trip: Trip,
    ) -> Iterable[bytes]:
        route = match.mount.route
        status, headers = _adapted(head, match, client)
        goes_on = trip.goes_on(exchange, head)
        own = body = self._body(match.mount, exchange, request, trip, goes_on)
        if route.rebase:
            headers, body = request.environ[_REBASING].adapt_response(
                request.method,
                head.status,
                headers,
                body,
                lambda error: self._note(error, match.mount, request.method),
            )
        if route.modify_response is not None:
            status, headers, body = _modified(route.modify_response, request, status, headers, body)
        if goes_on and body is own:
            answer = trip.stream(exchange, request.method, status, headers)
            if answer is not None:
                return answer
        trip.start_response(status, headers)
        return body

    def _switch(
        self,
        match: Match,
        client: Client,
        request: webob.Request,
        exchange: Exchange,
        head: Head,
        trip: Trip,
    ) -> Iterable[bytes]:
        if trip.protocol is None:
            raise UpstreamBroken("an upgrade that nobody asked for", stage="head")
        check(head, request.environ, trip.protocol)
        _, headers = _adapted(head, match, client)
        return trip.switch(exchange, switching_head(headers, trip.protocol))

    def _body(
        self,
        mount: Mount,
        exchange: Exchange,
        request: webob.Request,
        trip: Trip,
        goes_on: bool,
    ) -> Iterable[bytes]:
        """The body; in a list if it is here already, so the connection is free at once."""
        method = request.method
        body = ResponseBody(exchange, lambda error: self._note(error, mount, method), trip.leave)
        if goes_on:
            return body
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


def _ask(exchange: Exchange, out: Outgoing, trip: Trip) -> Head | None:
    exchange.wire.client = client_descriptor(trip.environ)
    exchange.send(out.head, out.body)
    return exchange.read_head(out.method) if trip.is_worth_waiting(exchange) else None


def _adapted(head: Head, match: Match, client: Client) -> tuple[str, list[tuple[str, str]]]:
    route = match.mount.route
    headers = adapt_headers(
        head, lambda: url_map(match, client), route.hide_cookies, route.response_headers
    )
    return status_line(head), headers


#: Where the clone keeps what a rebased route needs for its response.
_REBASING = "wsgiproxy.rebasing"


def _rebase(
    environ: WSGIEnvironment,
    match: Match,
    client: Client,
    request: webob.Request,
    start_response: StartResponse,
) -> Iterable[bytes] | None:
    """Prepare the clone for a service that believes it lives at ``/``, or serve our script."""
    from .rebase import Rebasing

    urls = url_map(match, client)
    hosts = urls.inside | ({client.host.lower()} if match.mount.route.host == "client" else set())
    tls = client.scheme == "https"
    rebasing = Rebasing(environ, urls.prefix, hosts, urls.base, client.host, tls)
    answer = rebasing.own_answer(match.path)
    if answer is not None:
        headers, body = answer
        start_response("200 OK", headers)
        return [body]
    rebasing.adapt_request(request.environ)
    request.environ[_REBASING] = rebasing
    return None


def _with_strays(app: WSGIApplication, mounts: Iterable[Mount]) -> WSGIApplication:
    from .rebase import Strays

    return Strays(app, [(encode_path(m.path), m.host) for m in mounts if m.route.rebase])


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
