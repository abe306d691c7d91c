"""Servers that give their socket: another one is put under its descriptor.

The server goes on with a dead end, which swallows what it still writes and reads as closed.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import HijackRefused
from .contract import LOW, Hijacked, Hijacker, duplicate

__all__ = ["Ahead", "DeadEnd", "HeldHijacker", "SwapHijacker", "hijacker_by_swap"]


class Ahead(NamedTuple):
    """What a server has read behind a request.

    :ivar buffer: has it; ``None`` if it cannot be had.
    :ivar hidden_by: whose fault that is, for the message.
    """

    buffer: Any
    hidden_by: str = "a middleware"


def hijacker_by_swap(sock: Any, environ: Mapping[str, Any], ahead: Ahead) -> Hijacker | None:
    """The way to a connection whose socket the server gives.

    :param sock: the server's.
    :param ahead: what it has read behind the request.
    """
    if not isinstance(sock, ssl.SSLSocket):
        return SwapHijacker(sock, ahead)
    # gunicorn's sync worker is one process with one request, killed if that one lasts.
    return HeldHijacker(sock, ahead) if environ.get("wsgi.multithread") else None


def _check(ahead: Ahead) -> None:
    if ahead.buffer is None:
        raise HijackRefused(f"what the server has read ahead is hidden by {ahead.hidden_by}")


class SwapHijacker(Hijacker):
    """Puts a dead end under the server's descriptor; ours is a duplicate made before."""

    def __init__(self, sock: Any, ahead: Ahead) -> None:
        self._server_socket = sock
        self._given = ahead
        self._ahead = ahead.buffer
        self._void = DeadEnd()

    def hijack(self, strict: bool = True) -> Hijacked:
        """See :meth:`Hijacker.hijack`."""
        if strict:
            _check(self._given)
        fd = self._server_socket.fileno()
        try:
            ours = duplicate(fd, LOW)
        except OSError:
            ours = _duplicate_low(fd)
        self._void.put_under(fd)
        ours.setblocking(False)
        return Hijacked(ours, self._read_ahead() if strict else b"")

    def _read_ahead(self) -> bytes:
        # The descriptor is a dead end by now, so reading on gives what was in memory.
        if isinstance(self._ahead, io.BufferedReader):
            return self._ahead.read()
        early: bytes = self._ahead.buf.getvalue()
        self._ahead.buf = io.BytesIO()
        return early

    def release(self) -> Iterable[bytes]:
        """See :meth:`Hijacker.release`."""
        return self._void


def _duplicate_low(fd: int) -> socket.socket:
    try:
        return duplicate(fd)
    except OSError as error:
        raise HijackRefused(f"the server's socket cannot be duplicated: {error}") from error


class DeadEnd:
    """One end of a pair of sockets; the server's writes end in our memory of no interest.

    It is the response iterable as well, so that the server's ``close()`` ends the pair.
    """

    def __init__(self) -> None:
        self._ours: socket.socket | None = None

    def put_under(self, fd: int) -> None:
        """Make ``fd``, in bytes written and read, a dead end."""
        theirs, self._ours = socket.socketpair()
        with theirs:
            self._ours.setblocking(False)
            self._ours.shutdown(socket.SHUT_WR)
            # The server's object knows whether its descriptor blocks and must stay right.
            os.set_blocking(theirs.fileno(), os.get_blocking(fd))
            os.dup2(theirs.fileno(), fd, inheritable=False)

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        """End the pair; read it empty before, or the server's next read is an error."""
        if self._ours is not None:
            with contextlib.suppress(OSError):
                while self._ours.recv(65536):
                    pass
            self._ours.close()
            self._ours = None


class HeldHijacker(Hijacker):
    """The server's TLS socket itself, used in the worker's thread until it is done with."""

    holds_worker = True

    def __init__(self, sock: ssl.SSLSocket, ahead: Ahead) -> None:
        self._sock = sock
        self._given = ahead
        self._ahead = ahead.buffer
        self._void = DeadEnd()

    def hijack(self, strict: bool = True) -> Hijacked:
        """See :meth:`Hijacker.hijack`; the socket stays the server's to close."""
        if strict:
            _check(self._given)
        self._sock.setblocking(False)
        return Hijacked(self._sock, self._peek() if strict else b"")

    def _peek(self) -> bytes:
        if not isinstance(self._ahead, io.BufferedReader):
            return bytes(self._ahead.buf.getvalue())
        try:
            return self._ahead.peek()
        except ssl.SSLWantReadError:
            return b""

    def release(self) -> Iterable[bytes]:
        """See :meth:`Hijacker.release`; the connection is at its end by now."""
        with contextlib.suppress(OSError):  # the client was faster
            self._sock.shutdown(socket.SHUT_RDWR)
        # Without its TLS object the server's socket is a plain one, fit for a dead end.
        self._sock.setblocking(True)
        self._void.put_under(self._sock.fileno())
        return self._void
