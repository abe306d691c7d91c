"""One request on one connection, and its response."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from ..errors import UpstreamBroken
from ..protocol.http1 import BodyReader, Head, HeadReader, body_reader
from .connection import ClientWatch, Connection

__all__ = ["ConnectionOwner", "Exchange"]

#: Methods that do the same however often they are asked (RFC 9110, 9.2.2): only they are ever
#: sent a second time.
_IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
# RFC 4559 and NTLM authenticate the connection, not the request.
_CONNECTION_BOUND = re.compile(r"(?:^|,)\s*(?:ntlm|negotiate)\b", re.IGNORECASE)
#: Headers that tell what may become of the connection.
_NOTED = frozenset(("keep-alive", "proxy-authenticate", "www-authenticate"))
_KEEP_ALIVE_TIMEOUT = re.compile(r"(?:^|,)\s*timeout\s*=\s*\"?([0-9]{1,6})", re.IGNORECASE)


class ConnectionOwner(Protocol):
    """The server whose connections an exchange uses."""

    url: str  #: for messages

    def take_back(self, connection: Connection) -> None:
        """Keep a connection for the next request."""


class Exchange:
    """One request on one connection, and its response.

    :param server: gets the connection back in the end.
    :param reused: whether the connection has carried an exchange before.

    Whoever holds it calls :meth:`close` in the end, whatever happened: a connection that
    was read to its clean end goes back to its server, any other is closed. As a context manager
    it closes when its block fails. Nobody else touches the connection, but for what
    :meth:`lend` and :meth:`detach` give away.
    """

    __slots__ = (
        "_connection",
        "_deadline",
        "_early",
        "_keep",
        "_reader",
        "body",
        "head",
        "reused",
        "server",
        "timeout",
    )

    def __init__(self, server: ConnectionOwner, connection: Connection, *, reused: bool) -> None:
        self.server = server
        self.reused = reused
        self.timeout = connection.timeout  #: the longest wait for bytes, in seconds
        self.head: Head | None = None  #: of the final response, once it is known
        self.body: BodyReader | None = None  #: reads the body, once the head is known
        self._connection: Connection | None = connection
        self._deadline: float | None = None
        self._keep = True
        self._reader = HeadReader()
        self._early: Head | None = None  # a final head that came before the request's end
        connection.received = False

    @property
    def connection(self) -> Connection:
        """The connection, until the exchange is closed."""
        connection = self._connection
        assert connection is not None, "the exchange is closed"
        return connection

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:
            self.close()

    # -- the request

    def send(
        self, head: bytes, body: Iterable[bytes] = (), client: ClientWatch | None = None
    ) -> None:
        """Write the request; stops when the upstream refuses it before the body's end.

        :param head: the head, with the body behind it if that is short.
        :param body: the rest of the body, framed.
        :param client: ends a wait for the upstream when it leaves.
        :raises UpstreamBroken, UpstreamTimeout: and whatever reading ``body`` raises.
        """
        connection = self.connection
        connection.client = client
        try:
            complete = connection.send(head)
            for piece in body:
                is_refused = self._is_refused if self._early is None else None
                complete = not (is_refused and is_refused()) and connection.send(piece, is_refused)
                if not complete:
                    break
        except OSError as error:
            # It may have answered before it hung up: 413 and 401 come that way.
            if not connection.has_answered():
                raise UpstreamBroken(f"sending failed: {error}", stage="send") from error
            complete = False
        self._keep = self._keep and complete
        if self.timeout is not None:
            self._deadline = time.monotonic() + self.timeout

    def close_after(self) -> None:
        """Never use the connection again after this exchange."""
        self._keep = False

    def _is_refused(self) -> bool:
        """Whether the upstream has ended the exchange though we have more to send.

        Interim responses do not end it, nor does a 2xx: only an upstream that says no, or
        hangs up, will not read on (RFC 9112, 9.3).
        """
        connection = self.connection
        while self._early is None and connection.has_answered():
            data = connection.receive("send")
            if not data:
                connection.put_back(data)
                return True
            self._early = self._reader.feed(data)
        return self._early is not None and self._early.status >= 300

    def may_retry(self, method: str) -> bool:
        """Whether a failed request may be sent once more on a new connection.

        Only where the connection had been idle, no byte came back and nothing can happen
        twice (RFC 9112, 9.3.1).
        """
        return self.reused and not self.connection.received and method in _IDEMPOTENT

    # -- the head

    @property
    def patience(self) -> float | None:
        """Seconds that are left for the head to come; ``None`` for no limit."""
        return None if self._deadline is None else max(self._deadline - time.monotonic(), 0.0)

    @property
    def reader(self) -> HeadReader:
        """What reads the head, with the bytes that have come so far."""
        return self._reader

    def read_head(self, method: str) -> Head:
        """Wait for the head of the final response, ``read_timeout`` at the most.

        :raises UpstreamBroken, UpstreamTimeout, ClientGone: as they say.
        """
        head = self._early
        while head is None:
            head = self._read_head_on()
        self.begin_body(head, method, self._reader.rest)
        return head

    def poll_head(self, method: str, seconds: float) -> Head | None:
        """The head of the final response if it comes within so many seconds.

        Interim responses and half a head do not end the wait.

        :raises UpstreamBroken, UpstreamTimeout, ClientGone: as they say.
        """
        head, end = self._early, 0.0
        while head is None:
            if not self.connection.wait(seconds):
                return None
            head = self._read_head_on()
            if head is None:
                end = end or time.monotonic() + seconds
                seconds = max(end - time.monotonic(), 0.0)
        self.begin_body(head, method, self._reader.rest)
        return head

    def _read_head_on(self) -> Head | None:
        data = self.connection.receive("head", self._deadline)
        if not data:
            raise UpstreamBroken(
                "closed without a complete response head",
                stage="head",
                error="connection_terminated",
            )
        return self._reader.feed(data)

    def begin_body(self, head: Head, method: str, rest: bytes) -> None:
        """Take note of the framing; ``rest`` is what came after the head."""
        self.head = head
        self.body, alive = body_reader(head, method)
        # After a 101 the connection speaks another protocol, whether it is wanted or not.
        self._keep = self._keep and alive and head.status != 101
        if not _NOTED.isdisjoint(head.names):
            challenges = head.all("www-authenticate") + head.all("proxy-authenticate")
            self._keep = self._keep and not is_bound(challenges)
            self.connection.expires = _expiry(head)
        if rest:
            self.connection.put_back(rest)

    # -- the body

    def read(self) -> bytes:
        """The next piece of the body, as soon as it is here; ``b""`` at the end.

        :raises UpstreamBroken: if the body breaks off.
        :raises UpstreamTimeout, ClientGone: as they say.
        """
        while not self.at_end:
            piece = self.read_on()
            if piece:
                return piece
        return b""

    def read_on(self) -> bytes:
        """What the bytes that arrive next hold of the body; it may be nothing.

        :raises UpstreamBroken, UpstreamTimeout, ClientGone: as :meth:`read` does.
        """
        body = self.body
        assert body is not None, "read_head() comes first"
        data = self.connection.receive("body")
        if data:
            return body.feed(data)
        body.eof()
        return b""

    @property
    def has_ahead(self) -> bool:
        """Whether bytes of the body are here already."""
        return self.connection.has_ahead

    def take_ahead(self) -> bytes:
        """The bytes that have come already, as they came; they are the caller's then."""
        connection = self.connection
        return connection.receive("body") if connection.has_ahead else b""

    def put_back(self, data: bytes) -> None:
        """Have bytes of :meth:`take_ahead` read once more."""
        if data:
            self.connection.put_back(data)

    @property
    def at_end(self) -> bool:
        """Whether the whole body has been read."""
        return self.body is not None and self.body.done

    @property
    def remaining(self) -> int | None:
        """The bytes of the body that are still to come; ``None`` if that is unknown."""
        return None if self.body is None else self.body.remaining

    # -- the connection

    def lend(self, move: Callable[[socket.socket], socket.socket]) -> socket.socket:
        """The socket, for whoever reads the rest without blocking; :meth:`close` ends that.

        :param move: may give the connection another descriptor, and returns that.
        """
        return self.connection.lend(move)

    def detach(self) -> socket.socket:
        """The socket, to be the caller's for good: the connection speaks another protocol now."""
        connection, self._connection = self.connection, None
        return connection.sock

    def close(self) -> None:
        """Give the connection back if it is at a clean end, else close it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        body = self.body
        connection.client = None
        if (
            body is not None
            and body.done
            and body.clean
            and self._keep
            and not connection.has_ahead
        ):
            self.server.take_back(connection)
        else:
            connection.close()

    def close_lent(self) -> None:
        """The same for a connection that was lent."""
        if self._connection is not None:
            self._connection.reclaim()
        self.close()


def is_bound(challenges: Iterable[str]) -> bool:
    """Whether authentication fields name a scheme that authenticates the connection.

    After NTLM or Negotiate (RFC 4559, 6) a connection is its user's; the next client must not
    get it.
    """
    return any(_CONNECTION_BOUND.search(challenge) for challenge in challenges)


def _expiry(head: Head) -> float | None:
    """When the upstream closes the connection if it stays idle (monotonic, seconds).

    ``Keep-Alive: timeout=5`` says so (RFC 2068, 19.7.1.1, and most servers since). A second
    less, so that no request crosses the close on its way.
    """
    found = _KEEP_ALIVE_TIMEOUT.search(",".join(head.all("keep-alive")))
    return None if found is None else time.monotonic() + max(int(found[1]) - 1, 0)
