"""One request from top to bottom: its way to the upstream and the answer's way back."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import webob

from .. import error_pages as failures
from ..errors import ExchangeError, UpstreamBroken
from ..protocol.fields import HeaderList
from ..protocol.http1 import Head
from ..protocol.upgrade import announce, asked_for, check, switching_head
from ..routing.router import Match
from ..servers.disconnect import DisconnectWatch
from ..upstream.exchange import Exchange
from .client import client_of
from .limits import Trip
from .prepare import prepare_request, url_map
from .respond import ResponseBody, adapt_headers, sendable_body, status_line
from .serialize import serialize, target_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..access.check import Granted
    from ..rebase import Rebasing

__all__ = ["Forwarder"]


class Forwarder:
    """One request that belongs to a route.

    :param proxy: the middleware it came to.
    :param match: what it asks of which route.
    """

    __slots__ = (
        "client",
        "environ",
        "granted",
        "match",
        "protocol",
        "proxy",
        "rebasing",
        "request",
        "route",
        "start_response",
    )

    def __init__(
        self,
        proxy: Any,
        match: Match,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        self.proxy = proxy
        self.match = match
        self.environ = environ
        self.start_response = start_response
        self.route = match.mount.route
        self.granted: Granted = []
        self.request: webob.Request | None = None
        self.rebasing: Rebasing | None = None

    def run(self) -> Iterable[bytes]:
        """Answer the request. Every failure before the response begins ends here."""
        try:
            # 1. A prefix without its slash: relative links need it.
            if self._lacks_slash():
                return self._redirect()
            # 2. Redirects, and who may pass: before the upstream hears of anything.
            answer = self._ask_gate()
            if answer is not None:
                return answer
            # 3. What is known of the client, and what it wants to switch to.
            self.client = client_of(self.environ, self.route)
            self.protocol = asked_for(self.environ, self.route.upgrade)
            # 4. The clone, told who the user is, which hooks may change or answer.
            request = self._clone()
            answer = self._ask_hooks(request)
            if answer is not None:
                return answer
            # 5. Send it, wait for the head of the answer, pass the body on.
            target = target_of(request, self.match, self.environ)
            out = serialize(request, target, self.route.max_body)
            mount = self.match.mount
            with self.proxy.traffic.trip(
                mount, self.protocol, self.environ, self.start_response
            ) as trip:
                return self._forward(request, out, trip)
        except ExchangeError as error:
            return self._fail(error)

    # -- 1. the slash

    def _lacks_slash(self) -> bool:
        return (
            not self.match.path
            and self.route.strip_prefix
            and self.route.add_slash
            and self.environ["REQUEST_METHOD"] in ("GET", "HEAD")
            and "HTTP_UPGRADE" not in self.environ
        )

    def _redirect(self) -> Iterable[bytes]:
        # Path-absolute with exactly one slash in front, so that it cannot lead elsewhere.
        location = "/" + self.match.prefix.lstrip("/") + "/" + self.match.query
        headers = [("Location", location), ("Content-Type", "text/plain"), ("Content-Length", "0")]
        self.start_response("308 Permanent Redirect", headers)
        return []

    # -- 2. the gate

    def _ask_gate(self) -> Iterable[bytes] | None:
        gate = self.proxy.gates.get(self.match.mount)
        if gate is None:
            return None
        entered: Any = gate.enter(self.match, self.environ)
        if not isinstance(entered, list):
            answer: Iterable[bytes] = entered(self.environ, self.start_response)
            return answer
        self.granted = entered
        return None

    # -- 4. the clone

    def _clone(self) -> webob.Request:
        request = prepare_request(self.environ, self.match, self.client, self.proxy.pseudonym)
        identity = self.proxy.identities.get(self.match.mount)
        if identity is not None:
            identity.apply(request.environ, self.environ, self.granted)
        if self.protocol is not None:
            announce(request.environ, self.protocol)
        self.request = request
        return request

    def _ask_hooks(self, request: webob.Request) -> Iterable[bytes] | None:
        if self.route.rewrite is not None:
            answer = self.route.rewrite(request)
            if answer is not None:
                return self._respond(answer)
        if self.route.rebase:
            return self._rebase(request)
        return None

    def _rebase(self, request: webob.Request) -> Iterable[bytes] | None:
        """Prepare the clone for a service that believes it lives at ``/``, or serve our script."""
        from ..rebase import Rebasing

        urls = url_map(self.match, self.client)
        hosts = urls.inside
        if self.route.host == "client":
            hosts |= {self.client.host.lower()}
        tls = self.client.scheme == "https"
        self.rebasing = Rebasing(self.environ, urls.prefix, hosts, urls.base, self.client.host, tls)
        answer = self.rebasing.own_answer(self.match.path)
        if answer is None:
            self.rebasing.adapt_request(request.environ)
            return None
        headers, body = answer
        self.start_response("200 OK", headers)
        return [body]

    # -- 5. the exchange

    def _forward(self, request: webob.Request, out: Any, trip: Trip) -> Iterable[bytes]:
        exchange, head = self._send(out, trip)
        try:
            if head is None:  # it takes its time: the relay waits for it
                answer = trip.finish(exchange, out.method, self._adapt)
                if answer is not None:
                    return answer
                head = exchange.read_head(out.method)
            if head.status == 101:
                return self._switch(request, exchange, head, trip)
            return self._answer(request, exchange, head, trip)
        except BaseException:
            exchange.close()
            raise

    def _send(self, out: Any, trip: Trip) -> tuple[Exchange, Head | None]:
        """The exchange, and the head unless it is better waited for elsewhere."""
        exchange: Exchange = self.route.upstream.connect()
        try:
            try:
                return exchange, self._ask(exchange, out, trip)
            except UpstreamBroken:
                # A kept-alive connection may close under the request (RFC 9112, 9.3.1).
                if not (exchange.may_retry(out.method) and out.replayable):
                    raise
                exchange.close()
                exchange = exchange.server.open()
                return exchange, self._ask(exchange, out, trip)
        except BaseException:
            exchange.close()
            raise

    def _ask(self, exchange: Exchange, out: Any, trip: Trip) -> Head | None:
        exchange.wire.client = DisconnectWatch(self.environ)
        exchange.send(out.head, out.body)
        return exchange.read_head(out.method) if trip.is_worth_waiting(exchange) else None

    def _adapt(self, head: Head) -> tuple[str, HeaderList]:
        """Status line and headers for the client."""
        headers = adapt_headers(
            head,
            lambda: url_map(self.match, self.client),
            self.route.hide_cookies,
            self.route.response_headers,
        )
        return status_line(head), headers

    def _switch(
        self, request: webob.Request, exchange: Exchange, head: Head, trip: Trip
    ) -> Iterable[bytes]:
        if self.protocol is None:
            raise UpstreamBroken("an upgrade that nobody asked for", stage="head")
        check(head, request.environ, self.protocol)
        _, headers = self._adapt(head)
        return trip.switch(exchange, switching_head(headers, self.protocol))

    def _answer(
        self, request: webob.Request, exchange: Exchange, head: Head, trip: Trip
    ) -> Iterable[bytes]:
        status, headers = self._adapt(head)
        goes_on = trip.goes_on(exchange, head)
        own = body = self._body(exchange, trip, goes_on)
        if self.rebasing is not None:
            headers, body = self.rebasing.adapt_response(
                request.method, head.status, headers, body, self._note
            )
        if self.route.modify_response is not None:
            hook = self.route.modify_response
            status, headers, body = _modified(hook, request, status, headers, body)
        body = sendable_body(self.environ["REQUEST_METHOD"], status, body)
        if goes_on and body is own:
            answer = trip.stream(exchange, request.method, status, headers)
            if answer is not None:
                return answer
        trip.start_response(status, headers)
        return body

    def _body(self, exchange: Exchange, trip: Trip, goes_on: bool) -> Iterable[bytes]:
        """The body; in a list if it is here already, so the connection is free at once."""
        first = exchange.read() if exchange.wire.has_ahead and not goes_on else b""
        if exchange.at_end and not goes_on:
            exchange.close()
            trip.leave()
            return [first] if first else []
        return ResponseBody(exchange, first, self._note, self._say_instead, trip.leave)

    # -- answers of our own

    def _note(self, error: ExchangeError) -> str:
        """Count and log a failure; the id of its log line."""
        noted: str = self.proxy.note(error, self.match.mount, self.environ["REQUEST_METHOD"])
        return noted

    def _fail(self, error: ExchangeError) -> Iterable[bytes]:
        request_id = self._note(error)
        if self.route.on_error is not None:
            request = self.request or webob.Request(dict(self.environ))
            answer = self.route.on_error(error, request)
            if answer is not None:
                return self._respond(answer)
        status, headers, body = failures.answer(error, request_id, self.environ)
        self.start_response(status, headers)
        return [body]

    def _say_instead(self, error: ExchangeError) -> bytes:
        """The page for a body that broke before its first byte.

        Servers send the head with the first piece (PEP 3333), so it can still be changed; one
        that has sent it raises, and cuts the connection.
        """
        request_id = self._note(error)
        status, headers, body = failures.answer(error, request_id, self.environ)
        self.start_response(status, headers, sys.exc_info())
        return body

    def _respond(self, response: webob.Response) -> Iterable[bytes]:
        """A hook's response as it is: WebOb's own call would change ``Location``."""
        self.start_response(response.status, response.headerlist)
        return sendable_body(self.environ["REQUEST_METHOD"], response.status, response.app_iter)


def _modified(
    hook: Any, request: webob.Request, status: str, headers: HeaderList, body: Iterable[bytes]
) -> tuple[str, HeaderList, Iterable[bytes]]:
    response = webob.Response(status=status, headerlist=headers, app_iter=body)
    replaced = hook(response, request)
    response = response if replaced is None else replaced
    if response.app_iter is not body and hasattr(body, "close"):
        body.close()
    return response.status, response.headerlist, response.app_iter
