"""Taking the client's connection over from the WSGI server that accepted it.

WSGI has no way to say "this connection is mine now", so there is one small adapter for each
server that lets its socket be had. Each keeps three promises:

- once :meth:`Hijacker.hijack` has returned, the server reads and writes the client's connection
  no more, whatever it believes;
- bytes that the server had read past the request are handed over, or taking is refused;
- the server sees its request end in the ordinary way, so it logs no failure, and keeps
  neither a thread nor a place in its connection limit.

waitress is asked on its own event loop to forget the channel. gunicorn and Werkzeug get
another socket put under their descriptor: a dead end that swallows what they still write
and reads as closed.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import ClientGone, HijackRefused

__all__ = ["Hijacked", "Hijacker", "find", "is_direct", "lift"]

log = logging.getLogger("wsgiproxy")

#: Seconds in which waitress's loop must come round; it is only ever busy for microseconds.
PATIENCE = 2.0
#: Where our descriptors begin: ``select()``, waitress's default, cannot watch any above.
LOW = 1024


class Hijacked(NamedTuple):
    """A client's connection that is ours."""

    sock: socket.socket  #: non-blocking
    early: bytes  #: what the client sent behind its request and the server had read already


class Hijacker:
    """How to get the client's connection from one server.

    :ivar holds_worker: the worker must stay until the connection is done with, because the
        server's own object does the TLS and cannot be shared.
    """

    holds_worker = False

    def hijack(self, strict: bool = True) -> Hijacked:
        """Take the connection over; to be called once, from the request's own thread.

        :param strict: refuse where bytes behind the request cannot be handed over; false
            drops them, which suits a response that ends with its connection.
        :raises HijackRefused: nothing has changed, the server is still in charge.
        :raises ClientGone: the client has left already.
        """
        raise NotImplementedError

    def release(self) -> Iterable[bytes]:
        """The response iterable that lets the server finish into the void."""
        return ()


def find(environ: Mapping[str, Any]) -> Hijacker | None:
    """The way to this request's connection, if its server has one."""
    if not environ.get("SERVER_PROTOCOL", "").startswith("HTTP/1."):
        return None  # in HTTP/2 the connection is not this request's alone
    asked = environ.get("waitress.client_disconnected")
    if asked is not None:
        return _find_waitress(getattr(asked, "__self__", None))
    for key, is_ahead in (("gunicorn.socket", _gunicorn_ahead), ("werkzeug.socket", _file_ahead)):
        sock = environ.get(key)
        if sock is not None:
            return _find_swap(sock, environ, is_ahead)
    return None


#: What each server calls its own ``start_response``, as (module, qualified name).
_OWN = {
    ("waitress.task", "WSGITask.execute.<locals>.start_response"),
    ("gunicorn.http.wsgi", "Response.start_response"),
    ("werkzeug.serving", "WSGIRequestHandler.run_wsgi.<locals>.start_response"),
}


def is_direct(start_response: Any) -> bool:
    """Whether no middleware stands between us and the server on the way back.

    A response that leaves by the relay is not seen by what wraps us, so it may only leave so
    if nothing does.
    """
    function = getattr(start_response, "__func__", start_response)
    name = (getattr(function, "__module__", None), getattr(function, "__qualname__", None))
    return name in _OWN


def lift(sock: socket.socket) -> socket.socket:
    """The same connection under a descriptor above those that ``select()`` needs.

    Thousands of tunnels must not use up the low numbers that the server's own loop depends
    on. TLS keeps its number, OpenSSL knows it by that. The given socket is closed if moved.
    """
    if isinstance(sock, ssl.SSLSocket) or sock.fileno() >= LOW:
        return sock
    try:
        moved = _duplicate(sock.fileno(), LOW)
    except OSError:  # the limit of descriptors is lower than that
        return sock
    sock.close()
    return moved


def _duplicate(fd: int, lowest: int = 0) -> socket.socket:
    try:
        import fcntl
    except ImportError:  # not on Windows
        return socket.socket(fileno=os.dup(fd))
    return socket.socket(fileno=fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest))


# -- waitress ------------------------------------------------------------------------

#: What the adapter relies on; tried with waitress 3.0. Names the server, then the channel.
_WAITRESS = (
    ("trigger", "active_channels"),
    (
        "server",
        "socket",
        "connected",
        "requests",
        "request",
        "requests_lock",
        "del_channel",
        "total_outbufs_len",
        "will_close",
        "close_when_flushed",
    ),
)
_warned: set[str] = set()


def _find_waitress(channel: Any) -> Hijacker | None:
    server = getattr(channel, "server", None)
    for owner, names in zip((server, channel), _WAITRESS, strict=True):
        missing = [name for name in names if not hasattr(owner, name)]
        if missing:
            _warn_once(f"this version of waitress has no {', '.join(missing)}")
            return None
    return _Waitress(channel)


def _warn_once(what: str) -> None:
    if what not in _warned:
        _warned.add(what)
        log.warning("connections cannot be taken over from the server: %s", what)


class _Waitress(Hijacker):
    """Has waitress forget the channel, between two rounds of its loop."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._answer: Hijacked | Exception | None = None
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._given_up = False

    def hijack(self, strict: bool = True) -> Hijacked:
        """See :meth:`Hijacker.hijack`."""
        self._strict = strict
        try:
            self._channel.server.trigger.pull_trigger(self._on_loop)
        except OSError as error:
            raise HijackRefused("waitress is shutting down") from error
        self._done.wait(PATIENCE)
        with self._lock:
            self._given_up = True
            answer = self._answer
        if answer is None:
            raise HijackRefused(f"waitress's loop did not come round in {PATIENCE} s")
        if isinstance(answer, Exception):
            raise answer
        return Hijacked(lift(answer.sock), answer.early)

    def _on_loop(self) -> None:
        with self._lock:
            if self._given_up:
                return
            try:
                self._answer = self._detach()
            except Exception as error:
                self._answer = error
        self._done.set()

    def _detach(self) -> Hijacked:
        channel = self._channel
        with channel.requests_lock:
            if not channel.connected or channel.socket is None:
                raise ClientGone("the client left before its connection was taken over")
            if channel.total_outbufs_len or channel.will_close or channel.close_when_flushed:
                raise HijackRefused("waitress still writes on this connection")
            early = self._early(channel)
            # Not to be answered any more: the connection ends with the present request.
            for request in channel.requests[1:]:
                request.close()
            del channel.requests[1:]
            channel.request = None
            sock, channel.socket = channel.socket, _Void()
        # The descriptor stays open, so nothing else can get its number in this round.
        channel.del_channel()
        sock.setblocking(False)
        return Hijacked(sock, early)

    def _early(self, channel: Any) -> bytes:
        if not self._strict:
            return b""
        # waitress drops blank lines between requests; no WebSocket frame begins with one.
        following = channel.request
        if len(channel.requests) > 1 or (following and following.headers_finished):
            # They looked like requests, so waitress has parsed them and kept no bytes.
            raise HijackRefused("the client sent requests behind its upgrade")
        return bytes(following.header_plus) if following else b""


class _Void:
    """Stands in for the socket of a channel that waitress has lost: takes all, gives nothing."""

    def send(self, data: bytes) -> int:
        """Swallow it."""
        return len(data)

    def recv(self, size: int) -> bytes:
        """Read as closed."""
        return b""

    def close(self) -> None:
        """Nothing is open."""


# -- gunicorn and Werkzeug -------------------------------------------------------------


def _gunicorn_ahead(stream: Any) -> Any:
    """gunicorn's read-ahead buffer, from the body reader that it gives as ``wsgi.input``."""
    reader = getattr(stream, "reader", None)
    unreader = getattr(reader, "unreader", None)
    if unreader is None:
        unreader = getattr(getattr(reader, "req", None), "unreader", None)
    return unreader if hasattr(unreader, "buf") else None


def _file_ahead(stream: Any) -> Any:
    """Werkzeug's buffered file, which may be behind its own decoder of chunks."""
    stream = getattr(stream, "_rfile", stream)
    return stream if isinstance(stream, io.BufferedReader) else None


def _find_swap(sock: Any, environ: Mapping[str, Any], ahead_of: Any) -> Hijacker | None:
    ahead = ahead_of(environ.get("wsgi.input"))
    if not isinstance(sock, ssl.SSLSocket):
        return _Swapped(sock, ahead)
    # gunicorn's sync worker is one process with one request, killed if that one lasts.
    return _Held(sock, ahead) if environ.get("wsgi.multithread") else None


class _Swapped(Hijacker):
    """Puts a dead end under the server's descriptor; ours is a duplicate made before."""

    def __init__(self, sock: Any, ahead: Any) -> None:
        self._server_socket = sock
        self._ahead = ahead
        self._void = _DeadEnd()

    def hijack(self, strict: bool = True) -> Hijacked:
        """See :meth:`Hijacker.hijack`."""
        if strict and self._ahead is None:
            raise HijackRefused("what the server has read ahead is hidden by a middleware")
        fd = self._server_socket.fileno()
        try:
            ours = _duplicate(fd, LOW)
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
        return _duplicate(fd)
    except OSError as error:
        raise HijackRefused(f"the server's socket cannot be duplicated: {error}") from error


class _DeadEnd:
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


class _Held(Hijacker):
    """The server's TLS socket itself, used in the worker's thread until it is done with."""

    holds_worker = True

    def __init__(self, sock: ssl.SSLSocket, ahead: Any) -> None:
        self._sock = sock
        self._ahead = ahead
        self._void = _DeadEnd()

    def hijack(self, strict: bool = True) -> Hijacked:
        """See :meth:`Hijacker.hijack`; the socket stays the server's to close."""
        if strict and self._ahead is None:
            raise HijackRefused("what the server has read ahead is hidden by a middleware")
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
