"""A connection to an upstream, read and written with deadlines."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import ClientGone, UpstreamBroken, UpstreamTimeout

__all__ = ["BLOCK", "ClientWatch", "Connection"]

#: The largest block read or written at once, in bytes.
BLOCK = 65536
#: Seconds in which a silent upstream is waited for before the client is watched as well:
#: short answers need no watch, and a client may close its sending half after a request.
WATCH_AFTER = 1.0
#: Seconds that the first read waits in the kernel; answers that come sooner cost one
#: system call.
FIRST_WAIT = 0.02

_READ = select.POLLIN
_WRITE = select.POLLOUT
_HANGUP = getattr(select, "POLLRDHUP", 0)
_DONTWAIT = getattr(socket, "MSG_DONTWAIT", 0)
# Hijacked now: gevent puts its own class in this place, whose reads must not block.
_TCP_INFO = getattr(socket, "TCP_INFO", 0) if sys.platform == "linux" else 0
#: Where tcp_bytes_received stands in struct tcp_info since Linux 4.1; the state is first.
_COUNT = slice(128, 136)
_ESTABLISHED = 1
_PLAIN = socket.socket if socket.socket.__module__ == "socket" else None


def _can_hang_up() -> bool:
    """Whether a poll tells of hang-ups: Linux's does, gevent's, in its place, does not."""
    return bool(_HANGUP) and select.poll.__module__ == "select"


class ClientWatch(Protocol):
    """The client behind an exchange, as far as its server lets it be seen."""

    def descriptor(self) -> int | None:
        """The descriptor of its socket, to be polled; ``None`` if that is unknown."""

    def has_left(self) -> bool:
        """Whether it has left by now."""


class Connection:
    """A connected socket, read and written with a timeout.

    :param sock: owned by the connection from now on.
    :param timeout: the longest wait for bytes in seconds; ``None`` for no limit.
    :ivar client: the client, if it can be watched: while the upstream is silent, a client that
        leaves ends the wait.
    :ivar received: whether any byte has come since it was last set to false.
    :ivar expires: when the upstream will have closed it if it stays idle (monotonic, seconds).

    A plain socket reads with the kernel's own timeout and is polled only after that; under
    16 busy threads each system call less is worth as much as all the code around it. TLS
    and gevent's sockets do not block and are polled first.
    """

    __slots__ = (
        "_ahead",
        "_is_plain",
        "_taken",
        "client",
        "expires",
        "received",
        "sock",
        "timeout",
    )

    def __init__(self, sock: socket.socket, timeout: float | None) -> None:
        self.sock = sock
        self.timeout = timeout
        self.client: ClientWatch | None = None
        self.received = False
        self.expires: float | None = None
        self._ahead: bytes | None = None
        self._taken = 0  # bytes read off the socket in all
        self._is_plain = type(sock) is _PLAIN and bool(_DONTWAIT) and sock.fileno() >= 0
        sock.setblocking(self._is_plain)
        if self._is_plain:
            first = FIRST_WAIT if timeout is None else min(timeout, FIRST_WAIT)
            interval = struct.pack("ll", int(first), int(first % 1 * 1e6) or 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, interval)

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    # -- lent to the relay

    def lend(self, move: Callable[[socket.socket], socket.socket]) -> socket.socket:
        """The socket, for somebody who reads it without blocking until :meth:`reclaim`.

        :param move: may give the connection another descriptor, and returns that.
        """
        self.sock = move(self.sock)
        return self.sock

    def reclaim(self) -> None:
        """Have the socket back, and count what was read off it meanwhile."""
        if self.sock.fileno() < 0:
            return
        self.sock.setblocking(self._is_plain)
        if not self._poll(_READ, 0):
            self._taken = self._count() or 0

    # -- reading

    def receive(self, stage: str, deadline: float | None = None) -> bytes:
        """What has arrived, waiting for the first byte; ``b""`` at the end.

        :param stage: of the exchange, for the error.
        :param deadline: the time (monotonic, seconds) that ends the wait, if sooner.
        :raises UpstreamTimeout, UpstreamBroken, ClientGone: as they say.
        """
        if self._ahead is not None:
            data, self._ahead = self._ahead, None
            self.received = self.received or bool(data)
            return data
        # The first wait is within its time; what drips in after it may not be.
        if deadline is not None and self.received and time.monotonic() >= deadline:
            raise UpstreamTimeout(f"not complete after {self.timeout} s", stage=stage)
        if not self._is_plain and not self._is_pending():
            self._wait(_READ, self._left(deadline), stage)
        while True:
            try:
                data = self.sock.recv(BLOCK)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait(_READ, self._left(deadline), stage)
            except ssl.SSLWantWriteError:
                self._wait(_WRITE, self._left(deadline), stage)
            except ssl.SSLEOFError:
                return b""
            except OSError as error:
                raise UpstreamBroken(f"reading failed: {error}", stage=stage) from error
            else:
                self._taken += len(data)
                self.received = True if data else self.received
                return data

    def wait(self, seconds: float) -> bool:
        """Whether something arrives, or the end does, within so many seconds."""
        if self._ahead is not None or self._is_pending():
            return True
        if not self._is_plain or seconds < FIRST_WAIT:
            return bool(self._poll(_READ, seconds))
        try:
            self._ahead = self.sock.recv(BLOCK)
        except BlockingIOError:
            return seconds > FIRST_WAIT and bool(self._poll(_READ, seconds - FIRST_WAIT))
        except OSError:
            self._ahead = b""
        self._taken += len(self._ahead)
        self.received = self.received or bool(self._ahead)
        return True

    def has_answered(self) -> bool:
        """Whether bytes, or the end, have come before they were asked for."""
        if self._ahead is None and (self._is_pending() or self._poll(_READ, 0)):
            try:
                self._ahead = self.sock.recv(BLOCK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False  # TLS had something to say, the upstream had not
            except OSError:
                self._ahead = b""
            self._taken += len(self._ahead)
            self.received = self.received or bool(self._ahead)
        return self._ahead is not None

    def put_back(self, data: bytes) -> None:
        """Have ``data`` received once more."""
        self._ahead = data

    @property
    def has_ahead(self) -> bool:
        """Whether bytes are here that need no waiting for."""
        return bool(self._ahead)

    def is_quiet(self) -> bool:
        """Whether an idle connection is still open and nobody has spoken out of turn.

        Linux counts the bytes of a connection; to compare costs less than to poll, and does
        not let go of the interpreter's lock, for which under load another thread is waiting.
        """
        if self._ahead is not None:
            return False
        if self.expires is not None and time.monotonic() >= self.expires:
            return False
        count = self._count()
        if count is not None:
            return count == self._taken
        return not self._is_pending() and not self._poll(_READ, 0)

    def _count(self) -> int | None:
        """Bytes received since the connection began; -1 if it is closing, ``None`` if unknown."""
        if not self._is_plain or not _TCP_INFO:
            return None
        try:
            info = self.sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _COUNT.stop)
        except OSError:  # a unix socket has none
            return None
        if len(info) < _COUNT.stop:
            return None
        return int.from_bytes(info[_COUNT], sys.byteorder) if info[0] == _ESTABLISHED else -1

    # -- writing

    def send(self, data: bytes, is_refused: Callable[[], bool] | None = None) -> bool:
        """Write all of ``data``.

        :param is_refused: asked when bytes arrive before all is written; true ends the
            writing, with false as the result. ``None`` leaves such bytes for later.
        :raises UpstreamTimeout: if nothing could be written in time.
        :raises OSError: if the connection is gone.
        """
        view: Any = data
        while True:
            try:
                sent = self.sock.send(view, _DONTWAIT) if self._is_plain else self.sock.send(view)
            except (BlockingIOError, ssl.SSLWantWriteError):
                events = self._wait(_WRITE | (_READ if is_refused else 0), self.timeout, "send")
                if is_refused is not None and events & _READ:
                    if is_refused():
                        return False
                    is_refused = None  # what else comes waits until this is written
            except ssl.SSLWantReadError:
                self._wait(_READ, self.timeout, "send")
            else:
                if sent == len(view):
                    return True
                view = memoryview(view)[sent:]

    # -- waiting

    def _left(self, deadline: float | None) -> float | None:
        if deadline is None:
            return self.timeout
        return max(deadline - time.monotonic(), 0.0)

    def _is_pending(self) -> bool:
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    def _wait(self, events: int, timeout: float | None, stage: str) -> int:
        first = WATCH_AFTER if timeout is None else min(timeout, WATCH_AFTER)
        found = self._poll(events, first)
        if not found and (timeout is None or timeout > first):
            found = self._watch(events, None if timeout is None else timeout - first, stage)
        if not found:
            raise UpstreamTimeout(f"nothing moved for {self.timeout} s", stage=stage)
        return found

    def _poll(self, events: int, timeout: float | None) -> int:
        poll = select.poll()
        poll.register(self.sock, events)
        found = poll.poll(None if timeout is None else timeout * 1000)
        return found[0][1] if found else 0

    def _watch(self, events: int, timeout: float | None, stage: str) -> int:
        poll = select.poll()
        poll.register(self.sock, events)
        client = self.client.descriptor() if self.client and _can_hang_up() else None
        if client is not None:
            poll.register(client, _HANGUP)
        end = None if timeout is None else time.monotonic() + timeout
        left = WATCH_AFTER
        while left > 0:
            # Not every system tells of hang-ups, and a server may close the descriptor itself.
            found = poll.poll(min(left, WATCH_AFTER) * 1000)
            if end is not None:
                left = end - time.monotonic()
            has_left = self.client is not None and self.client.has_left()
            if has_left or any(descriptor == client for descriptor, _ in found):
                raise ClientGone("the client left while the upstream was silent", stage=stage)
            if found:
                return found[0][1]
        return 0
