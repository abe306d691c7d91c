"""One side of a relayed connection: a non-blocking socket, plain or TLS, and what it is owed."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import sys

__all__ = ["BLOCK", "ROOM", "Endpoint"]

#: The most that is read at once, in bytes.
BLOCK = 65536
#: An end that is owed this many bytes gets no more until it takes some: the other is not read.
ROOM = 65536

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Endpoint:
    """A socket with the bytes that are on their way to it.

    :param owed: bytes to be sent before all others.
    :param borrowed: the socket belongs to somebody else, who closes it.
    :ivar has_ended: the other side has closed its sending half; nothing more will come.
    :ivar is_shut: our sending half is closed.
    :ivar wrote_at: when it last took bytes, or had none to take (the loop's time, seconds).
    """

    __slots__ = (
        "_read_event",
        "_write_event",
        "borrowed",
        "has_ended",
        "is_closed",
        "is_shut",
        "mask",
        "owed",
        "received",
        "sock",
        "tls",
        "wrote_at",
    )

    def __init__(self, sock: socket.socket, owed: bytes = b"", borrowed: bool = False) -> None:
        sock.setblocking(False)
        _keep_alive(sock)
        self.sock = sock
        self.tls = isinstance(sock, ssl.SSLSocket)
        self.owed = bytearray(owed)
        self.borrowed = borrowed
        self.has_ended = self.is_shut = self.is_closed = False
        self.mask = 0  # what the loop watches for now
        self.received = 0
        self.wrote_at = 0.0
        self._read_event, self._write_event = READ, WRITE

    def interest(self, wants_to_read: bool) -> int:
        """The events to wait for; TLS may have to write in order to read, and vice versa."""
        mask = self._write_event if self.owed else 0
        if wants_to_read and not self.has_ended:
            mask |= self._read_event
        return mask

    def has_room(self) -> bool:
        """Whether more may be put in its way."""
        return len(self.owed) < ROOM

    def has_pending(self) -> bool:
        """Whether TLS holds decrypted bytes, of which no selector tells."""
        return isinstance(self.sock, ssl.SSLSocket) and bool(self.sock.pending())

    def receive(self) -> bytes | None:
        """What has come: ``b""`` at the end, ``None`` if nothing is there.

        :raises OSError: if the connection broke.
        """
        try:
            data = self.sock.recv(BLOCK)
        except (BlockingIOError, InterruptedError):
            return None
        except ssl.SSLWantReadError:
            self._read_event = READ
            return None
        except ssl.SSLWantWriteError:
            self._read_event = WRITE
            return None
        except ssl.SSLZeroReturnError:
            data = b""
        self._read_event = READ
        if data:
            self.received += len(data)
        else:
            self.has_ended = True
        return data

    def push(self, data: bytes) -> None:
        """Send it, keeping what cannot go now.

        :raises OSError: if the connection broke.
        """
        if self.owed:
            self.owed += data
            return
        sent = self._send(data)
        if sent < len(data):
            self.owed += memoryview(data)[sent:]

    def flush(self) -> None:
        """Send what is owed, as far as it goes.

        :raises OSError: if the connection broke.
        """
        while self.owed:
            with memoryview(self.owed) as view, view[: 4 * BLOCK] as block:
                sent = self._send(block)
            if not sent:
                return
            del self.owed[:sent]

    def _send(self, data: bytes | memoryview) -> int:
        try:
            sent = self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except ssl.SSLWantWriteError:
            self._write_event = WRITE
            return 0
        except ssl.SSLWantReadError:
            self._write_event = READ
            return 0
        self._write_event = WRITE
        return sent

    def shut(self) -> None:
        """Close our sending half: the other side reads an end and may go on sending.

        Over TLS that is close_notify. Python waits for the answer in the same call, and what
        a peer sends instead within those microseconds is lost to OpenSSL; the connection then
        reads as ended.
        """
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self.sock, ssl.SSLSocket):
                # SSLWantReadError says that close_notify is out and the other's not yet in.
                self.sock.unwrap()
                self.has_ended = True
            else:
                self.sock.shutdown(socket.SHUT_WR)
        self.is_shut = True

    def reset(self) -> None:
        """Break the connection, so that what was sent cannot be taken for the whole."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the connection; a borrowed socket is left to its owner."""
        self.is_closed = True
        self.owed.clear()
        if not self.borrowed:
            self.sock.close()


def _keep_alive(sock: socket.socket) -> None:
    """Notice a peer that is gone without a word, within some two minutes."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    options = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    ]
    if sys.platform == "linux":
        options += [
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
        ]
    with contextlib.suppress(OSError):
        for option in options:
            sock.setsockopt(*option)
