"""One request on one connection, and its response."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Protocol

from ..errors import UpstreamBroken
from ..protocol.http1 import Body, Head, HeadReader, body_reader
from .connection import Wire

__all__ = ["ConnectionOwner", "Exchange"]

#: Methods that change nothing (RFC 9110, 9.2.1): only they are ever sent a second time.
_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))


class ConnectionOwner(Protocol):
    """The server whose connections an exchange uses."""

    def open(self) -> Exchange:
        """An exchange on a connection that is new for certain."""

    def take_back(self, conn: Any) -> None:
        """Keep a connection for the next request."""


class Exchange:
    """One request on one connection, and its response.

    Whoever holds it calls :meth:`close` in the end, whatever happened: a connection that
    was read to its clean end goes back to the pool, any other is closed.
    """

    __slots__ = ("_body", "_early", "_keep", "_reader", "conn", "reused", "server", "wire")

    def __init__(self, server: ConnectionOwner, conn: Any, *, reused: bool) -> None:
        self.server = server
        self.conn = conn
        self.reused = reused
        self.wire: Wire = conn.wire
        self.wire.received = False
        self._body: Body | None = None
        self._keep = True
        self._reader = HeadReader()
        self._early: Head | None = None  # a final head that came before the body's end

    def send(self, head: bytes, body: Iterable[bytes] = ()) -> None:
        """Write the request; stops when the upstream refuses it before the body's end.

        :raises UpstreamBroken, UpstreamTimeout: and whatever reading ``body`` raises.
        """
        try:
            complete = self.wire.send(head)
            for piece in body:
                is_refused = self._is_refused if self._early is None else None
                complete = not (is_refused and is_refused()) and self.wire.send(piece, is_refused)
                if not complete:
                    break
        except OSError as error:
            # It may have answered before it hung up: 413 and 401 come that way.
            if not self.wire.has_answered():
                raise UpstreamBroken(f"sending failed: {error}", stage="send") from error
            complete = False
        self._keep = self._keep and complete

    def _is_refused(self) -> bool:
        """Whether the upstream has ended the exchange though we have more to send.

        Interim responses do not end it, nor does a 2xx: only an upstream that says no, or
        hangs up, will not read on (RFC 9112, 9.3).
        """
        while self._early is None and self.wire.has_answered():
            data = self.wire.receive("send")
            if not data:
                self.wire.put_back(data)
                return True
            self._early = self._reader.feed(data)
        return self._early is not None and self._early.status >= 300

    def read_head(self, method: str) -> Head:
        """Wait for the head of the final response, ``read_timeout`` at the most.

        :raises UpstreamBroken, UpstreamTimeout, ClientGone: as they say.
        """
        reader, head = self._reader, self._early
        timeout = self.wire.timeout
        deadline = None if timeout is None else time.monotonic() + timeout
        while head is None:
            data = self.wire.receive("head", deadline)
            if not data:
                raise UpstreamBroken(
                    "closed without a complete response head",
                    stage="head",
                    error="connection_terminated",
                )
            head = reader.feed(data)
        self.begin_body(head, method, reader.rest)
        return head

    def begin_body(self, head: Head, method: str, rest: bytes) -> None:
        """Take note of the framing; ``rest`` is what came after the head."""
        self._body, alive = body_reader(head, method)
        # After a 101 the connection speaks another protocol, whether it is wanted or not.
        self._keep = self._keep and alive and head.status != 101
        if rest:
            self.wire.put_back(rest)

    def read(self) -> bytes:
        """The next piece of the body, as soon as it is here; ``b""`` at the end.

        :raises UpstreamBroken: if the body breaks off.
        :raises UpstreamTimeout, ClientGone: as they say.
        """
        body = self._body
        assert body is not None, "read_head() comes first"
        while not body.done:
            data = self.wire.receive("body")
            if not data:
                body.eof()
                break
            piece = body.feed(data)
            if piece:
                return piece
        return b""

    @property
    def at_end(self) -> bool:
        """Whether the whole body has been read."""
        return self._body is not None and self._body.done

    def may_retry(self, method: str) -> bool:
        """Whether a failed request may be sent once more on a new connection.

        Only where the connection had been idle, no byte came back and nothing can happen
        twice (RFC 9112, 9.3.1).
        """
        return self.reused and not self.wire.received and method in _SAFE

    def close(self) -> None:
        """Give the connection back if it is at a clean end, else close it."""
        conn, self.conn = self.conn, None
        if conn is None:
            return
        body = self._body
        self.wire.client = None
        if body is not None and body.done and body.clean and self._keep and not self.wire.has_ahead:
            self.server.take_back(conn)
        else:
            conn.close()
