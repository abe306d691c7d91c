"""One request's way: from its worker thread, or by the relay."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .. import error_pages as failures
from ..errors import (
    BadRequest,
    ClientGone,
    ExchangeError,
    HijackRefused,
    TooBusy,
    UpstreamBroken,
)
from ..protocol.http1 import Head, LengthReader
from ..routing.router import Mount
from ..upstream.exchange import Exchange
from .slots import Bulkhead, Slots

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..relay import Reply
    from ..servers.hijack import Hijacker
    from .limits import Limits

__all__ = ["Trip"]

logger = logging.getLogger("wsgiproxy")

#: How long, in seconds, a worker waits for the answer's head before it looks around: while
#: threads are plenty, and while they get scarce or the request has none by right.
PLENTY, SCARCE = 0.1, 0.02
#: Seconds after which it leaves in any case: the relay sees at once if the client does.
LONG = 1.0


def _handover() -> Any:
    """The way to the relay, imported by the first request that takes it."""
    from . import offload as handover

    return handover


class Trip:
    """One request's way: it holds a worker thread until it leaves.

    As a context manager it leaves when its block fails; what returns a response leaves later.
    """

    __slots__ = (
        "_bulkhead",
        "_holds",
        "_mount",
        "_reserved",
        "_traffic",
        "_tunnels",
        "_way_out",
        "environ",
        "protocol",
        "start_response",
    )

    def __init__(
        self,
        traffic: Limits,
        mount: Mount,
        protocol: str | None,
        tunnels: Slots,
        bulkhead: Bulkhead,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        self.protocol = protocol
        self.environ = environ
        self.start_response = start_response
        self._traffic = traffic
        self._mount = mount
        self._tunnels = tunnels
        self._bulkhead = bulkhead
        self._holds = self._reserved = False
        self._way_out: Hijacker | None = None

    def __enter__(self) -> Trip:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:
            self.leave()

    def enter(self) -> None:
        """Take a place, or see that the answer can be waited for without one.

        The place of a tunnel is taken before the upstream is bothered.

        :raises TooBusy, UpgradeUnsupported: see :meth:`Limits.trip`.
        """
        if self.protocol is not None:
            self._way_out = self._traffic.connection(self.environ)
            if not self._tunnels.acquire():
                raise TooBusy(f"{self._tunnels.limit} tunnels are open already", retry_after=5)
            self._reserved = True
        self._holds = self._bulkhead.slots.acquire()
        # The answer to a handshake cannot be waited for elsewhere.
        if not self._holds and (self.protocol is not None or not self._can_leave()):
            self._bulkhead.enter()
            self._holds = True

    def leave(self) -> None:
        """Give back what the request still has; the worker thread is free, or will be at once."""
        if self._holds:
            self._holds = False
            self._bulkhead.leave()
        if self._reserved:
            self._reserved = False
            self._tunnels.release()

    # -- slow answers

    def is_worth_waiting(self, exchange: Exchange) -> bool:
        """Wait for the answer to begin; false if the relay had better do that.

        A worker waits while threads are plenty, so a server at ease serves slow answers in
        the ordinary way. The scarcer they get, the sooner it leaves.
        """
        slots = self._bulkhead.slots
        if slots.limit is None or self.protocol is not None or exchange.wire.is_there(SCARCE):
            return True
        waited, enough = 0.0, min(LONG, exchange.wire.timeout or LONG)
        while not exchange.wire.is_there(patience := self._patience()):
            waited += patience
            if waited >= enough or not (self._holds and slots.plenty):
                return not self._can_leave()
        return True

    def _patience(self) -> float:
        return PLENTY if self._holds and self._bulkhead.slots.plenty else SCARCE

    def _can_leave(self) -> bool:
        """Whether the rest needs nothing but pure functions and the two connections."""
        route = self._mount.route
        if route.modify_response is not None or route.on_error is not None:
            return False
        if route.rebase and "text/event-stream" not in self.environ.get("HTTP_ACCEPT", ""):
            return False  # the body may have to be edited
        if route.rewrite is not None and self.environ["REQUEST_METHOD"] == "HEAD":
            return False  # the hook may have made it a GET, whose body must not go out
        if self._way_out is None:
            self._way_out = _handover().way_out(self.environ, self.start_response)
        return self._way_out is not None

    def finish(
        self, exchange: Exchange, method: str, adapt: Callable[[Head], tuple[str, Any]]
    ) -> Iterable[bytes] | None:
        """Leave the rest to the relay; ``None`` if that cannot be.

        :param adapt: status line and headers for the client, from the upstream's head.
        """
        if self._way_out is None or not self._take_tunnel():
            return None
        noted: list[ExchangeError] = []

        def make(head: Head, rest: bytes) -> Reply:
            if head.status == 101:
                raise UpstreamBroken("an upgrade that nobody asked for", stage="head")
            exchange.begin_body(head, method, b"")
            status, headers = adapt(head)
            return self._reply(exchange, status, headers, rest)

        def fail(error: ExchangeError) -> bytes:
            noted.append(error)
            request_id = self._traffic.note(error, self._mount, method)
            status, headers, body = failures.answer(error, request_id, self.environ)
            rendered: bytes = _handover().render(status, headers)
            return rendered + body

        ended = self._ending(exchange, method, noted)
        patience, timeout = exchange.wire.timeout, self._mount.route.idle_timeout
        return self._hand(
            _handover().finish, exchange, make, fail, patience, timeout, ended, self.start_response
        )

    # -- bodies that go on

    def goes_on(self, exchange: Exchange, head: Head) -> bool:
        """Whether a response is better left to the relay: its end is not in sight.

        So is the refusal of an upgrade, because it ends the connection there: a client that
        sent the new protocol's bytes at once must not have them read as a request (RFC 9931).
        """
        if self.protocol is not None:
            return True
        if exchange.at_end or head.status >= 300:  # it may have left some of the request unread
            return False
        if isinstance(exchange._body, LengthReader):
            over = self._mount.route.relay_over
            return over is not None and exchange._body.left > over
        return self._is_stream(head.headers)

    def _is_stream(self, headers: list[tuple[str, str]]) -> bool:
        types = self._mount.route.stream_types
        return any(
            name.lower() == "content-type" and value.partition(";")[0].strip().lower() in types
            for name, value in headers
        )

    def _reply(
        self, exchange: Exchange, status: str, headers: list[tuple[str, str]], ahead: bytes
    ) -> Reply:
        assert exchange._body is not None
        patience = exchange.wire.timeout
        if self._is_stream(headers):
            patience = self._mount.route.idle_timeout
        reply: Reply = _handover().make_reply(
            self.environ, status, headers, exchange._body, ahead, patience
        )
        return reply

    def stream(
        self, exchange: Exchange, method: str, status: str, headers: list[tuple[str, str]]
    ) -> Iterable[bytes] | None:
        """Leave the body to the relay; ``None`` if that cannot be."""
        is_stream = self._is_stream(headers)
        self._way_out = _handover().way_out(self.environ, self.start_response, is_stream)
        if self._way_out is None or not self._take_tunnel():
            return None
        wire = exchange.wire
        ahead = wire.receive("body") if wire.has_ahead else b""
        reply = self._reply(exchange, status, headers, ahead)
        timeout = self._mount.route.idle_timeout
        ended = self._ending(exchange, method, [])
        leave = _handover().stream
        answer = self._hand(leave, exchange, reply, timeout, ended, self.start_response)
        if answer is None and ahead:
            wire.put_back(ahead)
        return answer

    def _hand(self, how: Callable[..., Iterable[bytes]], *arguments: Any) -> Iterable[bytes] | None:
        try:
            answer = how(self._way_out, *arguments)
        except (HijackRefused, ClientGone) as refused:
            logger.debug("the response stays with its worker: %s", refused)
            self._tunnels.release()
            return None
        except BaseException:
            self._tunnels.release()
            raise
        self.leave()
        return answer

    def _ending(self, exchange: Exchange, method: str, noted: list[ExchangeError]) -> Any:
        def ended(pair: object, error: ExchangeError | None) -> None:
            self._tunnels.release()
            _handover().give_back(exchange)
            if error is not None and error not in noted:
                self._traffic.note(error, self._mount, method)

        return ended

    def _take_tunnel(self) -> bool:
        taken = self._reserved or self._tunnels.acquire()
        self._reserved = False
        return taken

    # -- upgrades

    def switch(self, exchange: Exchange, head: bytes) -> Iterable[bytes]:
        """Let the two sides talk; the tunnel's place is given back when they are done.

        :raises BadRequest: if bytes behind the request cannot be had.
        :raises ClientGone: if nobody is there any more.
        """
        assert self._way_out is not None
        timeout = self._mount.route.idle_timeout
        ended, self._reserved = self._tunnel_ended, False
        try:
            answer: Iterable[bytes] = _handover().switch(
                self._way_out, exchange, head, timeout, ended, self.start_response
            )
        except (HijackRefused, ClientGone) as error:
            self._tunnels.release()
            if isinstance(error, HijackRefused):
                raise BadRequest(str(error), error="http_upgrade_failed") from error
            raise
        self.leave()
        return answer

    def _tunnel_ended(self, pair: object, error: ExchangeError | None) -> None:
        self._tunnels.release()
        if error is not None:
            level = logging.DEBUG if isinstance(error, ClientGone) else logging.INFO
            logger.log(level, "%s: %s", self._mount.prefix or "/", error)
