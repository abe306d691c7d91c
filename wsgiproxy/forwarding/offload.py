"""Leaving the worker thread: the rest of an exchange goes to the relay.

Here the pieces meet: the client's connection (``servers``), the upstream's (an exchange), and
the relay's job that serves the two from now on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .. import error_pages
from ..errors import BadRequest, ClientGone, ExchangeError, HijackRefused, UpstreamBroken
from ..protocol.fields import HeaderList
from ..protocol.http1 import Head
from ..relay import Endpoint, Pair, PendingResponse, Reply, Stream, Tunnel, relay
from ..servers.hijack import Hijacker, find, is_direct, lift
from ..upstream.exchange import Exchange
from .client_heads import interim_head, last_head, trailer_section
from .limits import RouteState
from .slots import Held

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["DIRECT", "Offload"]

logger = logging.getLogger("wsgiproxy")

#: The environ key by which a middleware around us says that it passes event streams on as they
#: are: its own ``start_response`` and the one that it was given. The first has to be ours, or
#: there is one more middleware in between, which has said nothing.
DIRECT = "wsgiproxy.start_response"

#: What a server is told that writes into the void: as little as PEP 3333 allows.
_VOID = [("Content-Type", "application/octet-stream")]

#: Status line and headers for the client, from the upstream's head.
Adapt = Callable[[Head], tuple[str, HeaderList]]


class Offload:
    """The rest of one exchange, off its worker thread.

    :param state: of the route.
    :param held: what the request holds; the worker's slot is released when it leaves.
    :param start_response: the server's own, or a middleware's, which keeps the response.
    """

    __slots__ = ("_environ", "_held", "_hijacker", "_start_response", "_state")

    def __init__(
        self,
        state: RouteState,
        held: Held,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        self._state = state
        self._held = held
        self._environ = environ
        self._start_response = start_response
        self._hijacker: Hijacker | None = None

    # -- may it leave?

    def can_wait_elsewhere(self) -> bool:
        """Whether the rest needs nothing but pure functions and the two connections."""
        route = self._state.mount.route
        if route.modify_response is not None or route.on_error is not None:
            return False
        if route.rebase and "text/event-stream" not in self._environ.get("HTTP_ACCEPT", ""):
            return False  # the body may have to be edited
        if route.modify_request is not None and self._environ["REQUEST_METHOD"] == "HEAD":
            return False  # the hook may have made it a GET, whose body must not go out
        return self._find(is_stream=False)

    def _find(self, is_stream: bool) -> bool:
        """Whether the client's connection can be had without a worker that stays with it.

        It cannot where a middleware around us has a right to see the response: that one is not
        the server's own ``start_response`` then.
        """
        start_response: Any = self._start_response
        own, given = self._environ.get(DIRECT, (None, None))
        if is_stream and own == start_response:
            start_response = given
        found = find(self._environ) if is_direct(start_response) else None
        self._hijacker = None if found is None or found.holds_worker else found
        return self._hijacker is not None

    def is_stream(self, headers: HeaderList) -> bool:
        """Whether these are the headers of one of the route's ``stream_types``."""
        types = self._state.mount.route.stream_types
        return any(
            name.lower() == "content-type" and value.partition(";")[0].strip().lower() in types
            for name, value in headers
        )

    def is_wanted(self, exchange: Exchange, head: Head) -> bool:
        """Whether a body is better left to the relay, however many threads are free.

        It goes on and on, or is over ``relay_over`` bytes.
        """
        if exchange.at_end or head.status >= 300:  # it may have left some of the request unread
            return False
        remaining = exchange.remaining
        if remaining is not None:
            over = self._state.mount.route.relay_over
            return over is not None and remaining > over
        return self.is_stream(head.headers)

    def prepare_switch(self) -> None:
        """See that the client's connection can be had for another protocol.

        :raises UpgradeUnsupported: where the server keeps it.
        """
        self._hijacker = self._state.limits.hijacker(self._environ)

    # -- leave

    def wait_for_head(
        self, exchange: Exchange, method: str, adapt: Adapt
    ) -> Iterable[bytes] | None:
        """Have the relay wait for the head; ``None`` if the worker has to."""
        taken = self._take()
        if taken is None:
            return None
        route = self._state.mount.route
        rest = _Rest(self, exchange, method, adapt)
        job = PendingResponse(
            taken,
            Endpoint(exchange.lend(lift), borrowed=True),
            rest,
            exchange.reader,
            patience=exchange.patience,
            on_end=rest.ended,
            write_timeout=route.write_timeout,
        )
        return self._leave(job, "102 Processing")

    def pass_on(
        self,
        exchange: Exchange,
        method: str,
        status: str,
        headers: HeaderList,
        first: bytes = b"",
    ) -> Iterable[bytes] | None:
        """Have the relay pass the body on; ``None`` if the worker has to.

        :param first: the part of the body that has been read already.
        :raises UpstreamBroken: for a header that cannot be sent.
        """
        if not self._find(self.is_stream(headers)):
            return None
        ahead = exchange.take_ahead()
        try:
            reply = self.reply(exchange, status, headers, first, ahead)
            taken = self._take()
        except BaseException:
            exchange.put_back(ahead)
            raise
        if taken is None:
            exchange.put_back(ahead)
            return None
        rest = _Rest(self, exchange, method, None)
        taken.owed += reply.head
        job = Stream(
            taken,
            Endpoint(exchange.lend(lift), borrowed=True),
            reply,
            on_end=rest.ended,
            write_timeout=self._state.mount.route.write_timeout,
        )
        return self._leave(job, "200 OK")

    def switch(self, exchange: Exchange, head: bytes) -> Iterable[bytes]:
        """After a 101: relay what both sides send.

        :param head: the 101 for the client.
        :raises BadRequest: if bytes behind the request cannot be had.
        :raises ClientGone: if nobody is there any more.
        """
        hijacker = self._hijacker
        assert hijacker is not None, "prepare_switch() comes first"
        try:
            taken = hijacker.hijack()
        except HijackRefused as error:
            raise BadRequest(str(error), error="http_upgrade_failed") from error
        route = self._state.mount.route
        first = exchange.take_ahead()
        client = Endpoint(taken.sock, head + first, hijacker.holds_worker)
        upstream = Endpoint(lift(exchange.detach()), taken.early)
        job = Tunnel(
            client,
            upstream,
            route.idle_timeout,
            self._tunnel_ended,
            write_timeout=route.write_timeout,
        )
        return self._leave(job, "101 Switching Protocols")

    def _take(self) -> Endpoint | None:
        """The client's connection, with a tunnel slot; ``None`` if one of them cannot be had."""
        assert self._hijacker is not None
        had = self._held.has_tunnel
        if not self._held.try_tunnel():
            return None
        try:
            return Endpoint(self._hijacker.hijack(strict=False).sock)
        except (HijackRefused, ClientGone) as refused:
            logger.debug("the response stays with its worker: %s", refused)
            if not had:
                self._held.leave_tunnel()
            return None

    def _leave(self, job: Pair, status: str) -> Iterable[bytes]:
        assert self._hijacker is not None
        # Before the job can end: from then on the relay's thread releases what is left.
        if self._hijacker.holds_worker:
            relay.hold(job)
            self._held.leave_worker()
        else:
            self._held.leave_worker()
            relay.submit(job)
        # For the server's own log; what it makes of it goes nowhere.
        self._start_response(status, [*_VOID])
        return self._hijacker.release()

    # -- for the relay's thread

    def reply(
        self, exchange: Exchange, status: str, headers: HeaderList, first: bytes, ahead: bytes
    ) -> Reply:
        """The reply to the client: its head says that the connection ends with it.

        A body without a length goes in chunks to HTTP/1.1 (RFC 9112, 6.1), and to HTTP/1.0 up to
        the end of the connection.
        """
        body = exchange.body
        assert body is not None
        patience = exchange.timeout
        if self.is_stream(headers):
            patience = self._state.mount.route.idle_timeout
        sized = any(name.lower() == "content-length" for name, _ in headers)
        chunked = not sized and not body.done and self._is_modern()
        if chunked:
            headers = [*headers, ("Transfer-Encoding", "chunked")]
        head = last_head(status, headers)
        return Reply(
            head, body, chunked, sized or body.done, first, ahead, patience, trailer_section
        )

    def interim(self, status: str, headers: HeaderList) -> bytes:
        """An interim response for the client; nothing for HTTP/1.0, which has none."""
        return interim_head(status, headers) if self._is_modern() else b""

    def _is_modern(self) -> bool:
        return bool(self._environ.get("SERVER_PROTOCOL") == "HTTP/1.1")

    def report(self, error: ExchangeError, exchange: Exchange) -> str:
        """Count and log a failure; the id of its log line."""
        error.upstream = error.upstream or exchange.server.url
        return self._state.report(error, self._state.mount, self._environ, None)

    def failure(self, error: ExchangeError, exchange: Exchange) -> bytes:
        """The whole response, head and body, that tells of an error."""
        request_id = self.report(error, exchange)
        status, headers, body = error_pages.answer(error, request_id, self._environ)
        return last_head(status, headers) + body

    def release(self) -> None:
        """The relay is done with the connections."""
        self._held.leave_tunnel()
        self._held.leave_flight()

    def _tunnel_ended(self, pair: object, error: ExchangeError | None) -> None:
        self.release()
        if error is not None:
            level = logging.DEBUG if isinstance(error, ClientGone) else logging.INFO
            logger.log(level, "%s: %s", self._state.mount.prefix or "/", error)


class _Rest:
    """What is to become of one exchange that the relay has."""

    def __init__(
        self, offload: Offload, exchange: Exchange, method: str, adapt: Adapt | None
    ) -> None:
        self._offload = offload
        self._exchange = exchange
        self._method = method
        self._adapt = adapt
        self._told: ExchangeError | None = None

    def interim(self, head: Head) -> bytes:
        assert self._adapt is not None
        return self._offload.interim(*self._adapt(head))

    def reply(self, head: Head, rest: bytes) -> Reply:
        assert self._adapt is not None
        if head.status == 101:
            raise UpstreamBroken("an upgrade that nobody asked for", stage="head")
        self._exchange.begin_body(head, self._method, b"")
        status, headers = self._adapt(head)
        return self._offload.reply(self._exchange, status, headers, b"", rest)

    def failure(self, error: ExchangeError) -> bytes:
        self._told = error
        return self._offload.failure(error, self._exchange)

    def ended(self, pair: object, error: ExchangeError | None) -> None:
        self._offload.release()
        if error is not None and error is not self._told:
            self._offload.report(error, self._exchange)
        self._exchange.close_lent()
