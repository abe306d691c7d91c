"""One request from top to bottom: down to the upstream, and the response up to the client."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import webob

from .. import error_pages
from ..errors import (
    ExchangeError,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ..protocol.beyond import beyond_route
from ..protocol.fields import HeaderList
from ..protocol.http1 import Head
from ..protocol.request_target import with_slash
from ..protocol.upgrade import announce, asked_for, check, switching_head
from ..routing.router import Match
from ..servers.disconnect import DisconnectWatch
from ..upstream import Server
from ..upstream.exchange import Exchange, is_bound
from .client import Client, client_of
from .hooks import answer_with, call_hook, modify, redirect, sendable_body
from .limits import RouteState
from .offload import Offload
from .prepare import prepare_request, readdress, url_map
from .respond import BegunBody, ResponseBody, adapt_headers, collect, status_line
from .serialize import has_body, read_body, request_head, target_of
from .slots import Held

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..access.check import Granted
    from ..rebase import Rebasing

__all__ = ["Forwarder"]

#: How long, in seconds, a worker waits at a time for a head: while threads are plenty, and while
#: they get scarce or the request holds no slot.
PLENTY, SCARCE = 0.1, 0.02
#: Seconds after which the relay waits instead in any case: it sees at once if the client leaves.
LONG = 1.0
#: How much of a body, in bytes, a worker reads before the relay has to pass it on when threads
#: get scarce.
AT_HAND = 1 << 18


class Forwarder:
    """One request that belongs to a route.

    :param state: what the route's requests share.
    :param environ: the request; it stays as it is.
    :param start_response: the server's, or that of a middleware around us.
    """

    __slots__ = (
        "begun",
        "client",
        "environ",
        "granted",
        "held",
        "match",
        "protocol",
        "rebasing",
        "request",
        "route",
        "server",
        "start_response",
        "state",
    )

    match: Match
    client: Client
    server: Server
    held: Held

    def __init__(
        self, state: RouteState, environ: WSGIEnvironment, start_response: StartResponse
    ) -> None:
        self.state = state
        self.route = state.mount.route
        self.environ = environ
        self.start_response = start_response
        self.begun = time.monotonic()
        self.protocol: str | None = None
        self.granted: Granted = []
        self.request: webob.Request | None = None
        self.rebasing: Rebasing | None = None

    def run(self) -> Iterable[bytes]:
        """Answer the request. Every failure before the response begins ends here."""
        try:
            # 1. Match: what is asked of the route; a bare prefix is sent to its slash.
            self.match = self.state.locate(self.state.mount, self.environ)
            if self._lacks_slash():
                location = with_slash(self.match.prefix, self.match.query)
                return redirect("308 Permanent Redirect", location, self.start_response)
            # 2. Claims: who the client is, and whether it may pass.
            self.client = client_of(self.environ, self.route, self.state.hosts())
            answer = self._check_access()
            if answer is not None:
                return answer
            # 3. Clone: what the upstream shall see; hooks may change it, or answer.
            candidates = self.route.upstream.candidates()
            self.server = next(candidates)
            self.request = self._prepare()
            answer = self._ask_hooks(self.request)
            if answer is not None:
                return answer
            with self.state.hold(self.environ, self.start_response) as self.held:
                offload = Offload(self.state, self.held, self.environ, self.start_response)
                # 4. Connect and send.
                with self._send(self.request, candidates, offload) as exchange:
                    # 5. Head: the relay waits for it if it takes long.
                    head = exchange.head
                    if head is None:
                        answer = offload.wait_for_head(exchange, self.method, self._adapt)
                        if answer is not None:
                            return answer
                        self.held.need_worker(wait=False)
                        head = exchange.read_head(self.method)
                    if head.status == 101:
                        return self._switch(exchange, head, offload)
                    # 6. Adapt the head; 7. pass the body on.
                    return self._respond(exchange, head, offload)
        except ExchangeError as error:
            return self._fail(error)

    @property
    def method(self) -> str:
        """The method that goes upstream."""
        assert self.request is not None
        method: str = self.request.environ["REQUEST_METHOD"]
        return method

    # -- 1. match

    def _lacks_slash(self) -> bool:
        return (
            not self.match.path
            and self.route.strip_prefix
            and self.route.add_slash
            and self.environ["REQUEST_METHOD"] in ("GET", "HEAD")
            and "HTTP_UPGRADE" not in self.environ
        )

    # -- 2. claims

    def _check_access(self) -> Iterable[bytes] | None:
        if self.state.check is None:
            return None
        entered = self.state.check.enter(self.match, self.environ)
        if isinstance(entered, list):
            self.granted = entered
            return None
        return entered(self.environ, self.start_response)

    # -- 3. clone

    def _prepare(self) -> webob.Request:
        self.protocol = asked_for(self.environ, self.route.upgrade)
        request = prepare_request(self.environ, self.match, self.client, self.state, self.server)
        if self.state.identity is not None:
            self.state.identity.apply(request.environ, self.environ, self.granted)
        if self.protocol is not None:
            announce(request.environ, self.protocol)
        return request

    def _ask_hooks(self, request: webob.Request) -> Iterable[bytes] | None:
        if self.route.modify_request is not None:
            answer = call_hook("modify_request", self.route.modify_request, request)
            if answer is not None:
                return answer_with(answer, self.environ, self.start_response)
        if self.route.rebase:
            return self._rebase(request)
        return None

    def _rebase(self, request: webob.Request) -> Iterable[bytes] | None:
        """Prepare the clone for a service that believes it lives at ``/``, or serve our script."""
        from ..rebase import Rebasing

        urls = url_map(self.match, self.client, self.server)
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

    # -- 4. connect and send

    def _send(
        self, request: webob.Request, candidates: Iterator[Server], offload: Offload
    ) -> Exchange:
        """The exchange, with its head if that came while a worker had better wait."""
        self._acquire(offload)
        framing, body = read_body(request.environ, self.route.max_body)
        exchange = self._connect(request, candidates)
        try:
            try:
                self._ask(exchange, framing, body, offload)
            except UpstreamBroken:
                # A kept-alive connection may close under the request (RFC 9112, 9.3.1).
                if not (exchange.may_retry(self.method) and isinstance(body, bytes)):
                    raise
                exchange.close()
                exchange = self.server.open()
                self._ask(exchange, framing, body, offload)
        except BaseException:
            exchange.close()
            raise
        return exchange

    def _acquire(self, offload: Offload) -> None:
        """Hold a worker slot, unless the response can be waited for without one.

        :raises TooBusy: if the route has its share already and cannot do with less.
        :raises UpgradeUnsupported: if the server does not give its connection away.
        """
        if self.protocol is not None:
            # Before the upstream is bothered; and nobody else can wait for a handshake.
            offload.prepare_switch()
            self.held.need_tunnel()
            self.held.need_worker()
        elif not self.held.try_worker() and (
            has_body(self.environ) or not offload.can_wait_elsewhere()
        ):
            self.held.need_worker()
        self.held.begin()

    def _connect(self, request: webob.Request, candidates: Iterator[Server]) -> Exchange:
        """An exchange with the server that was chosen, or with the next that can be reached."""
        while True:
            try:
                return self.server.connect()
            except (UpstreamUnreachable, UpstreamTimeout):
                following = next(candidates, None)
                if following is None:
                    raise
                readdress(request.environ, self.server, following)
                self.server = following

    def _ask(
        self, exchange: Exchange, framing: str, body: bytes | Iterator[bytes], offload: Offload
    ) -> None:
        assert self.request is not None
        target = target_of(self.request, self.match, self.environ, self.server.base)
        head = request_head(self.request, target, framing)
        credentials = self.request.environ.get("HTTP_AUTHORIZATION")
        if credentials and is_bound([credentials]):
            exchange.close_after()
        watch = DisconnectWatch(self.environ)
        if isinstance(body, bytes):
            exchange.send(head + body, client=watch)
        else:
            exchange.send(head, body, client=watch)
        if body and self.method in ("GET", "HEAD"):
            exchange.close_after()  # servers differ on whether they read such a body
        self._await_head(exchange, offload)

    # -- 5. head

    def _await_head(self, exchange: Exchange, offload: Offload) -> None:
        """Wait for the head while a worker thread can be spared for it.

        A server at ease answers slowly in the ordinary way. The scarcer threads get, the sooner
        the relay waits instead.
        """
        held, method = self.held, self.method
        if not held.is_bounded or self.protocol is not None:
            exchange.read_head(method)
            return
        waited, enough = 0.0, min(LONG, exchange.timeout or LONG)
        patience = SCARCE
        while exchange.poll_head(method, patience) is None:
            waited += patience
            if waited > SCARCE and (waited >= enough or not held.may_stay):
                if not offload.can_wait_elsewhere():
                    exchange.read_head(method)
                return
            patience = PLENTY if held.may_stay else SCARCE

    def _switch(self, exchange: Exchange, head: Head, offload: Offload) -> Iterable[bytes]:
        if self.protocol is None:
            raise UpstreamBroken("an upgrade that nobody asked for", stage="head")
        assert self.request is not None
        check(head, self.request.environ, self.protocol)
        _, headers = self._adapt(head)
        return offload.switch(exchange, switching_head(headers, self.protocol))

    # -- 6. adapt

    def _adapt(self, head: Head) -> tuple[str, HeaderList]:
        """Status line and headers for the client."""
        mount, route = self.state.mount, self.route
        beyond = beyond_route(
            tuple(head.names),
            confined=bool(self.match.prefix) and not mount.host,
            scoped=route.rebase,
            passed=self.state.passed,
        )
        headers = adapt_headers(
            head,
            lambda: url_map(self.match, self.client, self.server),
            self._set_cookie,
            route.response_headers,
            beyond,
        )
        return status_line(head), headers

    def _set_cookie(self, value: str, mapped: str) -> list[str]:
        prefix, path = self.match.prefix, self.match.path
        return self.state.cookies.to_client(value, mapped, self.environ, prefix, path)

    # -- 7. body

    def _respond(self, exchange: Exchange, head: Head, offload: Offload) -> Iterable[bytes]:
        status, headers = self._adapt(head)
        # The refusal of an upgrade leaves too, because that ends the connection: a client that
        # sent the new protocol's bytes at once must not have them read as a request (RFC 9931).
        leaves = self.protocol is not None or offload.is_wanted(exchange, head)
        pieces = [] if leaves else self._begin_body(exchange)
        is_whole = exchange.at_end and not leaves
        leaves = leaves or not (is_whole or self.held.may_stay)
        body: Iterable[bytes] = pieces
        if is_whole:
            exchange.close()  # the connection is free at once
            self.held.release()
        else:
            body = own = ResponseBody(exchange, pieces, self._report, self.held.release)
        before = body
        if self.rebasing is not None:
            headers, body = self.rebasing.adapt_response(
                self.method, head.status, headers, body, self._report
            )
        if self.route.modify_response is not None:
            status, headers, body = modify(
                self.route.modify_response, self.request, status, headers, body
            )
        body = sendable_body(self.environ["REQUEST_METHOD"], status, body)
        if leaves and body is before:
            answer = offload.pass_on(exchange, self.method, status, headers, b"".join(pieces))
            if answer is not None:
                return answer
        if not is_whole:
            self.held.need_worker(wait=False)
            body = BegunBody(body)
            own.is_said = True
        self.start_response(status, headers)
        return body

    def _begin_body(self, exchange: Exchange) -> list[bytes]:
        """What is here of the body; when threads are scarce, also what comes at once."""
        if not self.held.may_stay:
            return collect(exchange, SCARCE, AT_HAND)
        return [exchange.read()] if exchange.has_ahead and not exchange.at_end else []

    # -- answers of our own

    def _report(self, error: ExchangeError) -> str:
        """Count and log a failure; the id of its log line."""
        if not error.upstream and hasattr(self, "server"):
            error.upstream = self.server.url
        seconds = time.monotonic() - self.begun
        return self.state.report(error, self.state.mount, self.environ, seconds)

    def _fail(self, error: ExchangeError) -> Iterable[bytes]:
        request_id = self._report(error)
        if self.route.on_error is not None:
            request = self.request or webob.Request(dict(self.environ))
            try:
                answer = call_hook("on_error", self.route.on_error, error, request)
            except ExchangeError as failed:
                error, request_id = failed, self._report(failed)
            else:
                if answer is not None:
                    return answer_with(answer, self.environ, self.start_response)
        status, headers, body = error_pages.answer(error, request_id, self.environ)
        self.start_response(status, headers)
        return [body]
