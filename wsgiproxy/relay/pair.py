"""A client and an upstream that a loop serves together, and how one takes leave of them."""

from __future__ import annotations

import socket
from collections.abc import Callable

from ..errors import ClientGone, ExchangeError, UpstreamTimeout
from .endpoint import Endpoint
from .loop import Job, Timer

__all__ = ["MAX_CHATTER", "WRITE_TIMEOUT", "LingeringClose", "OnEnd", "Pair"]

#: Called in the loop's thread when a pair has ended: with the failure, if it was one.
OnEnd = Callable[["Pair", "ExchangeError | None"], None]

#: Seconds for the last bytes to leave, and then for the other side to close as well.
FLUSHING, LINGERING = 30.0, 2.0
#: Seconds that a peer may take nothing of what it is sent.
WRITE_TIMEOUT = 60.0
#: What a client may send during its response before it is cut off, in bytes.
MAX_CHATTER = 1 << 20


class Pair(Job):
    """A client and an upstream; ends when they do.

    :param timeout: seconds without a byte from either that end it; ``None`` for no limit.
    :param on_end: called once at the end.
    :param write_timeout: seconds in which one of them takes nothing of what is sent to it.
    """

    def __init__(
        self,
        client: Endpoint,
        upstream: Endpoint,
        timeout: float | None,
        on_end: OnEnd | None,
        *,
        write_timeout: float | None = WRITE_TIMEOUT,
    ) -> None:
        self.client = client
        self.upstream = upstream
        self.timeout = timeout
        self.write_timeout = write_timeout
        self._on_end = on_end
        self._active = 0.0
        self._ended = False
        self._owned = [client, upstream]
        self._timer: Timer | None = None

    def start(self) -> None:
        """Send what is owed and begin to wait."""
        self._active = self.client.wrote_at = self.upstream.wrote_at = self.loop.now
        self._check_idle()

    def stop(self) -> None:
        """End at once: both connections are closed."""
        self.end(None)

    def sockets(self) -> list[socket.socket]:
        """See :meth:`Job.sockets`."""
        return [end.sock for end in self._owned]

    def moved(self) -> int:
        """The bytes that came from both sides."""
        return self.client.received + self.upstream.received

    def end(self, error: ExchangeError | None) -> None:
        """Close what is open, once, and tell who asked to be told."""
        if self._ended:
            return
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        for end in self._owned:
            self.loop.watch(end, 0, self)
            end.close()
        self._owned = []
        self.loop.finish(self)
        if self._on_end is not None:
            self._on_end(self, error)

    def push(self, end: Endpoint, data: bytes) -> None:
        """Send ``data`` to one end, keeping what cannot go now.

        :raises OSError: if the connection broke.
        """
        if not end.owed:
            end.wrote_at = self.loop.now
        end.push(data)

    def flush(self, end: Endpoint) -> bool:
        """Send what an end is owed; whether it took any.

        :raises OSError: if the connection broke.
        """
        owed = len(end.owed)
        end.flush()
        moved = len(end.owed) < owed
        if moved:
            end.wrote_at = self.loop.now
        return moved

    def limit(self) -> float | None:
        """How long it may be silent now, in seconds."""
        return self.timeout

    def idle(self) -> None:
        """The time without a byte is over."""
        self.end(UpstreamTimeout(f"no bytes for {self.timeout} s", stage="tunnel"))

    def stalled(self, end: Endpoint) -> None:
        """One end has taken nothing for too long."""
        kind = ClientGone if end is self.client else UpstreamTimeout
        self.end(kind(f"nothing could be sent for {self.write_timeout} s", stage="tunnel"))

    def _check_idle(self) -> None:
        if self._ended:
            return
        limit = self.limit()
        left = 60.0 if limit is None else self._active + limit - self.loop.now
        for end in (self.client, self.upstream):
            if end.owed and self.write_timeout is not None:
                writing = end.wrote_at + self.write_timeout - self.loop.now
                if writing <= 0:
                    self.stalled(end)
                    return
                left = min(left, writing)
        if left <= 0:
            self.idle()
        else:
            # Not later than in a minute: a timer stays in the heap until it is due. Not later
            # than the write timeout: it may begin to count at any time.
            soon = min(left, 60.0, self.write_timeout or 60.0)
            self._timer = self.loop.later(soon, self, self._check_idle)

    def _hand_on(self) -> None:
        """End without closing: another job goes on with both."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        for end in self._owned:
            self.loop.watch(end, 0, self)
        self._owned = []
        self.loop.finish(self)

    def _part(self, end: Endpoint) -> None:
        """Leave an end politely while the pair itself is done."""
        self.loop.watch(end, 0, self)
        self._owned.remove(end)
        self.loop.begin(LingeringClose(end))


class LingeringClose(Job):
    """Sends the last bytes to one end, closes our half, and waits a little for the other.

    Closing at once while the other side still sends would make the system reset the
    connection, and a reset may overtake the last bytes (RFC 9112, 9.6).
    """

    def __init__(self, end: Endpoint) -> None:
        self.end = end

    def start(self) -> None:
        """Send."""
        self._timer = self.loop.later(FLUSHING, self, self.stop)
        self.on_ready(self.end, 0)

    def on_ready(self, end: Endpoint, mask: int) -> None:
        """Send on, or read until the end."""
        try:
            end.flush()
            if not end.owed:
                self._shut()
            while end.is_shut and not end.has_ended and end.receive() is not None:
                if end.received > MAX_CHATTER:
                    end.has_ended = True
        except OSError:
            end.has_ended = True
        if end.has_ended and not end.owed:
            self.stop()
        elif not end.is_closed:
            self.loop.watch(end, end.interest(end.is_shut), self)

    def _shut(self) -> None:
        if not self.end.is_shut:
            self.end.shut()
            self._timer.cancel()
            self._timer = self.loop.later(LINGERING, self, self.stop)

    def stop(self) -> None:
        """Close."""
        self._timer.cancel()
        if not self.end.is_closed:
            self.loop.watch(self.end, 0, self)
            self.end.close()
        self.loop.finish(self)

    def sockets(self) -> list[socket.socket]:
        """See :meth:`Job.sockets`."""
        return [] if self.end.is_closed else [self.end.sock]
