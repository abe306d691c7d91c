"""Responses that the relay brings to the client: bodies that go on, heads that take long."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..errors import ClientGone, ExchangeError, UpstreamBroken, UpstreamTimeout
from ..protocol.http1 import Body, Head, HeadReader
from .endpoint import READ, Endpoint
from .pair import MAX_CHATTER, OnEnd, Pair

__all__ = ["PendingResponse", "Reply", "Stream"]


class Reply(NamedTuple):
    """What goes to the client, and how the upstream's bytes become its body."""

    head: bytes
    body: Body  #: cuts the body out of what the upstream sends
    chunked: bool  #: the client gets chunks
    sized: bool  #: the head named the length; if neither, the end of the connection is the end
    ahead: bytes  #: bytes behind the upstream's head that have come already
    patience: float | None  #: seconds that the upstream may be silent


class Stream(Pair):
    """A response body: from the upstream's framing into the client's.

    What the client is owed holds the reply's head already. ``timeout`` is for how many seconds
    the client may stop reading.
    """

    def __init__(
        self,
        client: Endpoint,
        upstream: Endpoint,
        reply: Reply,
        *,
        timeout: float | None = None,
        on_end: OnEnd | None = None,
    ) -> None:
        super().__init__(client, upstream, timeout, on_end)
        self._body = reply.body
        self._chunked = reply.chunked
        self._is_sized = reply.sized
        self._ahead = reply.ahead
        self._patience = reply.patience

    def limit(self) -> float | None:
        """The upstream's patience, unless it is the client that nothing can be sent to."""
        return self._patience if self.client.has_room() else self.timeout

    def start(self) -> None:
        """See :meth:`Pair.start`."""
        super().start()
        self._step(self._flush_client)
        self._step(self._begin)
        self._settle()

    def _begin(self) -> None:
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
        owed = len(self.client.owed)
        self.client.flush()
        if len(self.client.owed) < owed:
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
        if piece and self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        if piece:
            self.client.push(piece)

    def _settle(self) -> None:
        if self._ended:
            return
        if self._body.done:
            if self._chunked:
                self.client.owed += b"0\r\n\r\n"
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
        if self.client.has_room():
            self._break(UpstreamTimeout(f"no bytes for {self._patience} s", stage="body"))
        else:
            self.end(ClientGone(f"the client took nothing for {self.timeout} s", stage="body"))


class PendingResponse(Pair):
    """A request that was sent and whose answer takes its time.

    :param adapt: makes the reply from the upstream's head and the bytes that followed it; may
        raise an :class:`ExchangeError`. Called in the loop's thread, so it must be quick.
    :param fail: makes the whole response, head and body, that tells of an error.
    :param patience: seconds for the whole head to come; ``None`` for no limit.
    :param timeout: seconds that the client may stop reading, later.
    """

    def __init__(
        self,
        client: Endpoint,
        upstream: Endpoint,
        adapt: Callable[[Head, bytes], Reply],
        fail: Callable[[ExchangeError], bytes],
        *,
        patience: float | None,
        timeout: float | None,
        on_end: OnEnd | None = None,
    ) -> None:
        super().__init__(client, upstream, patience, on_end)
        self._adapt = adapt
        self._fail = fail
        self._body_timeout = timeout
        self._reader = HeadReader()

    def start(self) -> None:
        """See :meth:`Pair.start`."""
        super().start()
        self.on_ready(self.upstream, READ)

    def on_ready(self, end: Endpoint, mask: int) -> None:
        """The head is coming, or the client has left."""
        try:
            if end is self.upstream:
                self._read_head()
            else:
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
            if head is not None:
                self._go_on(self._adapt(head, self._reader.rest))
                return

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
            self.client, self.upstream, reply, timeout=self._body_timeout, on_end=self._on_end
        )
        self.loop.begin(stream)

    def _answer(self, error: ExchangeError) -> None:
        self.client.owed += self._fail(error)
        self._part(self.client)
        self.end(error)

    def idle(self) -> None:
        """See :meth:`Pair.idle`."""
        self._answer(UpstreamTimeout(f"no head for {self.timeout} s", stage="head"))
