"""Responses that the relay passes on: bodies that go on, heads that take long."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..errors import ClientGone, ExchangeError, UpstreamBroken, UpstreamTimeout
from ..protocol.http1 import BodyReader, Fields, Head, HeadReader
from .endpoint import READ, Endpoint
from .pair import MAX_CHATTER, WRITE_TIMEOUT, OnEnd, Pair

__all__ = ["Pending", "PendingResponse", "Reply", "Stream"]


class Reply(NamedTuple):
    """What goes to the client, and how the upstream's bytes become its body."""

    head: bytes
    body: BodyReader  #: cuts the body out of what the upstream sends
    chunked: bool  #: the client gets chunks
    sized: bool  #: the head named the length; if neither, the end of the connection is the end
    first: bytes  #: the part of the body that has been read already
    ahead: bytes  #: bytes of the upstream behind that which have come already
    patience: float | None  #: seconds that the upstream may be silent
    trailers: Callable[[Fields], bytes]  #: the trailer section for the client


class Stream(Pair):
    """A response body: from the upstream's framing into the client's.

    What the client is owed holds the reply's head already.
    """

    def __init__(
        self,
        client: Endpoint,
        upstream: Endpoint,
        reply: Reply,
        *,
        on_end: OnEnd | None = None,
        write_timeout: float | None = WRITE_TIMEOUT,
    ) -> None:
        super().__init__(client, upstream, reply.patience, on_end, write_timeout=write_timeout)
        self._body = reply.body
        self._chunked = reply.chunked
        self._is_sized = reply.sized
        self._first = reply.first
        self._ahead = reply.ahead
        self._trailers = reply.trailers

    def limit(self) -> float | None:
        """The upstream's patience, unless it is the client that nothing can be sent to."""
        return self.timeout if self.client.has_room() else None

    def start(self) -> None:
        """See :meth:`Pair.start`."""
        super().start()
        self._step(self._flush_client)
        self._step(self._begin)
        self._settle()

    def _begin(self) -> None:
        if self._first:
            self._pass_on(self._first)
        if self._ahead:
            self._take(self._ahead)
        elif not self._body.done:
            self._read_upstream()  # TLS may hold bytes already

    def on_ready(self, end: Endpoint, mask: int) -> None:
        """Some bytes may move, or the client has left."""
        if end is self.client:
            self._step(self._flush_client)
            if mask & READ or end.tls:
                self._step(self._listen_to_client)
        else:
            self._step(self._read_upstream)
        self._settle()

    def _step(self, step: Callable[[], None]) -> None:
        if self._ended:
            return
        try:
            step()
        except UpstreamBroken as error:
            self._break(error)
        except OSError as error:
            self.end(ClientGone(f"the client broke off: {error}", stage="body"))

    def _flush_client(self) -> None:
        if self.flush(self.client):
            self._active = self.loop.now

    def _listen_to_client(self) -> None:
        # Nothing is expected from it, so only its end is of interest; a second request
        # has come too early, and this connection ends with the present response.
        data = self.client.receive()
        if data == b"":
            self.end(ClientGone("the client left", stage="body"))
        elif self.client.received > MAX_CHATTER:
            self.end(ClientGone("the client sends without waiting", stage="body"))

    def _read_upstream(self) -> None:
        while not self._body.done and self.client.has_room():
            try:
                data = self.upstream.receive()
            except OSError as error:
                raise UpstreamBroken(f"reading failed: {error}", stage="body") from error
            if data is None:
                return
            if data:
                self._take(data)
            else:
                self._body.eof()
            if not self.upstream.has_pending():
                return

    def _take(self, data: bytes) -> None:
        self._active = self.loop.now
        piece = self._body.feed(data)
        if piece:
            self._pass_on(piece)

    def _pass_on(self, piece: bytes) -> None:
        if self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        self.push(self.client, piece)

    def _settle(self) -> None:
        if self._ended:
            return
        if self._body.done:
            if self._chunked:
                self.client.owed += b"0\r\n" + self._trailers(self._body.trailers) + b"\r\n"
            self._part(self.client)
            self.end(None)
            return
        room = self.client.has_room()
        self.loop.watch(self.client, self.client.interest(True), self)
        self.loop.watch(self.upstream, self.upstream.interest(room), self)
        if room and self.upstream.has_pending():
            self.loop.soon(self, self.on_ready, self.upstream, READ)

    def _break(self, error: ExchangeError) -> None:
        """Never let half a body pass for a whole one."""
        if self._chunked or self._is_sized:
            self._part(self.client)  # no last chunk, or too few bytes
        else:
            self.loop.watch(self.client, 0, self)
            self.client.reset()
        self.end(error)

    def idle(self) -> None:
        """See :meth:`Pair.idle`."""
        self._break(UpstreamTimeout(f"no bytes for {self.timeout} s", stage="body"))

    def stalled(self, end: Endpoint) -> None:
        """See :meth:`Pair.stalled`."""
        error = ClientGone(f"the client took nothing for {self.write_timeout} s", stage="body")
        self.loop.watch(end, 0, self)
        end.reset()
        self.end(error)


class Pending(Protocol):
    """What is to become of a response whose head the relay waits for.

    Called in the loop's thread, so it must be quick.
    """

    def interim(self, head: Head) -> bytes:
        """An interim response as the client gets it; nothing where it must not get any."""

    def reply(self, head: Head, rest: bytes) -> Reply:
        """The response to the client.

        :param rest: the bytes that followed the head.
        :raises ExchangeError: if there is none.
        """

    def failure(self, error: ExchangeError) -> bytes:
        """The whole response, head and body, that tells of an error."""


class PendingResponse(Pair):
    """A request that was sent and whose response takes its time.

    :param pending: makes the reply.
    :param reader: has what has come of the head.
    :param patience: seconds for the whole head to come; ``None`` for no limit.
    """

    def __init__(
        self,
        client: Endpoint,
        upstream: Endpoint,
        pending: Pending,
        reader: HeadReader,
        *,
        patience: float | None,
        on_end: OnEnd | None = None,
        write_timeout: float | None = WRITE_TIMEOUT,
    ) -> None:
        super().__init__(client, upstream, patience, on_end, write_timeout=write_timeout)
        self._pending = pending
        self._reader = reader

    def start(self) -> None:
        """See :meth:`Pair.start`."""
        super().start()
        if not self._ended:  # the time may have been up already
            self._pass_on_interim()
            self.on_ready(self.upstream, READ)

    def on_ready(self, end: Endpoint, mask: int) -> None:
        """The head is coming, or the client has left."""
        try:
            if end is self.upstream:
                self._read_head()
            else:
                self.flush(self.client)
                self._listen_to_client()
        except ExchangeError as error:
            self._answer(error)
        if not self._ended:
            self.loop.watch(self.client, self.client.interest(True), self)
            self.loop.watch(self.upstream, self.upstream.interest(True), self)

    def _read_head(self) -> None:
        while True:
            try:
                data = self.upstream.receive()
            except OSError as error:
                raise UpstreamBroken(f"reading failed: {error}", stage="head") from error
            if data is None:
                return
            if not data:
                raise UpstreamBroken(
                    "closed without a complete response head",
                    stage="head",
                    error="connection_terminated",
                )
            head = self._reader.feed(data)
            self._pass_on_interim()
            if head is not None:
                self._go_on(self._pending.reply(head, self._reader.rest))
                return

    def _pass_on_interim(self) -> None:
        # RFC 9110, 15.2: a proxy forwards interim responses.
        while self._reader.passed < len(self._reader.interim):
            self.client.owed += self._pending.interim(self._reader.interim[self._reader.passed])
            self._reader.passed += 1

    def _listen_to_client(self) -> None:
        try:
            data = self.client.receive()
        except OSError:
            data = b""
        if data == b"" or self.client.received > MAX_CHATTER:
            self.end(ClientGone("the client left", stage="head"))

    def _go_on(self, reply: Reply) -> None:
        self._hand_on()
        self.client.owed += reply.head
        stream = Stream(
            self.client,
            self.upstream,
            reply,
            on_end=self._on_end,
            write_timeout=self.write_timeout,
        )
        self.loop.begin(stream)

    def _answer(self, error: ExchangeError) -> None:
        self.client.owed += self._pending.failure(error)
        self._part(self.client)
        self.end(error)

    def idle(self) -> None:
        """See :meth:`Pair.idle`."""
        self._answer(UpstreamTimeout("no complete response head in time", stage="head"))
