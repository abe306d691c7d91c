"""What every server adapter keeps to, and what they share."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Iterable
from importlib import metadata
from typing import Any, NamedTuple

__all__ = ["LOW", "Hijacked", "Hijacker", "duplicate", "is_of", "lift", "warn_of_change"]

log = logging.getLogger("wsgiproxy")

#: Where our descriptors begin: ``select()``, waitress's default, cannot watch any above.
LOW = 1024
_warned: set[tuple[str, str]] = set()


def is_of(server: str, thing: Any) -> bool:
    """Whether an object's class, or a function, is defined in a server's own package."""
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return str(module).partition(".")[0] == server


def warn_of_change(server: str, missing: str, lost: str) -> None:
    """Say once that a server's insides are not what its adapter relies on.

    :param server: the distribution's name.
    :param missing: what was looked for and not found.
    :param lost: what users go without until the adapter knows the new insides.
    """
    if (server, missing) in _warned:
        return
    _warned.add((server, missing))
    try:
        version = metadata.version(server)
    except metadata.PackageNotFoundError:
        version = "of an unknown version"
    log.warning(
        "%s %s has changed inside: %s is not there. %s. Use a version that the documentation "
        "names as tested, or report this line",
        server,
        version,
        missing,
        lost,
    )


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


def lift(sock: socket.socket) -> socket.socket:
    """The same connection under a descriptor above those that ``select()`` needs.

    Thousands of tunnels must not use up the low numbers that the server's own loop depends
    on. TLS keeps its number, OpenSSL knows it by that. The given socket is closed if moved.
    """
    if isinstance(sock, ssl.SSLSocket) or sock.fileno() >= LOW:
        return sock
    try:
        moved = duplicate(sock.fileno(), LOW)
    except OSError:  # the limit of descriptors is lower than that
        return sock
    sock.close()
    return moved


def duplicate(fd: int, lowest: int = 0) -> socket.socket:
    """A second descriptor of the same socket.

    :param fd: the first one.
    :param lowest: the least number that it may have.
    :raises OSError: if there is none.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        return socket.socket(fileno=os.dup(fd))
    return socket.socket(fileno=fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest))
