"""waitress, set up for a proxy: addresses, sockets, start and stop."""

from __future__ import annotations

import contextlib
import errno
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ConfigurationError
from ..protocol.hosts import host_matches, read_pattern
from ..settings import kinds
from ..settings.options import Kind, Options, option

if TYPE_CHECKING:
    from types import FrameType

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["Listener", "ServerOptions", "not_found", "open_sockets", "serve", "shown", "stopping"]

_REMEDIES = {
    errno.EADDRINUSE: "the port is in use; stop what holds it, or give another --listen",
    errno.EACCES: (
        "ports below 1024 need rights that this user lacks; "
        "give a higher one, such as --listen 127.0.0.1:8080"
    ),
    errno.EADDRNOTAVAIL: "this machine has no such address; 0.0.0.0 stands for all it has",
}
_LOOPBACK = tuple(read_pattern(network) for network in ("127.0.0.0/8", "::1"))
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Seconds that answers at work have when the server is told to stop.
_GRACE = 5.0
#: What a machine without IPv6 says when ``localhost`` is asked to mean it too.
_FAMILY_MISSING = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class Listener(NamedTuple):
    """An address to listen on."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or host_matches(self.host, _LOOPBACK)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _listeners(value: Any) -> tuple[Listener, ...]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    return tuple(_listener(item) for item in value)


def _listener(value: Any) -> Listener:
    """``HOST:PORT``, ``[IPv6]:PORT`` or ``PORT``, which means the loopback."""
    if isinstance(value, Listener):
        return value
    host, colon, port = str(value).rpartition(":")
    host = host.strip("[]") if host.startswith("[") else host
    is_number = port.isascii() and port.isdigit() and int(port) < 65536
    bare_ipv6 = ":" in host and not str(value).startswith("[")
    if not is_number or (colon and not host) or bare_ipv6:
        raise ValueError(
            f"{value!r} is no address to listen on; write 127.0.0.1:8080, "
            "or 0.0.0.0:80 for every interface"
        )
    return Listener("0.0.0.0" if host == "*" else host or "127.0.0.1", int(port))  # noqa: S104


LISTEN = Kind("host:port", _listeners)


class ServerOptions(Options):
    """The embedded server."""

    listen: tuple[Listener, ...] = option(
        (Listener("127.0.0.1", 8080),), LISTEN, "listen on these addresses"
    )
    threads: int = option(32, kinds.COUNT, "answer this many requests at the same time")
    connection_limit: int = option(1000, kinds.COUNT, "keep at most this many clients connected")
    channel_timeout: float = option(
        120.0, kinds.SECONDS, "close a client's connection that has been idle this long"
    )
    max_request_body_size: int = option(
        1 << 30, kinds.SIZE, "refuse larger uploads, which are spooled to disk before sent on"
    )

    def check(self) -> None:
        """Refuse a server that could answer nobody."""
        for name in ("threads", "connection_limit", "channel_timeout", "max_request_body_size"):
            if not getattr(self, name):
                raise ConfigurationError(f"option {name}: it must be at least 1; write a number")
        if not self.listen:
            raise ConfigurationError("option listen: no address; write 127.0.0.1:8080")


def open_sockets(listeners: Iterable[Listener]) -> list[socket.socket]:
    """A bound socket for every address that the listeners stand for.

    :raises ConfigurationError: with the remedy, if one of them cannot be had.
    """
    sockets: list[socket.socket] = []
    try:
        for listener in listeners:
            sockets.extend(_open(listener))
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _open(listener: Listener) -> Iterator[socket.socket]:
    port = listener.port
    failure: OSError | None = None
    for family, address in _resolve(listener):
        try:
            sock = socket.create_server((address, port), family=family, backlog=1024)
        except OSError as error:
            if error.errno not in _FAMILY_MISSING:
                raise listen_error(listener, error) from None
            failure = error
            continue
        port = sock.getsockname()[1]  # the same one for both families where 0 was asked for
        failure = None
        yield sock
    if failure is not None and port == listener.port:
        raise listen_error(listener, failure)


def _resolve(listener: Listener) -> list[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(
            listener.host, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError):
        raise ConfigurationError(
            f"cannot listen on {listener}: the host name is unknown; give an address of this "
            "machine, such as 127.0.0.1"
        ) from None
    return list(dict.fromkeys((family, str(address[0])) for family, *_, address in found))


def listen_error(listener: Listener, error: OSError) -> ConfigurationError:
    """What stood in the way, and what to do about it."""
    remedy = _REMEDIES.get(error.errno or 0, f"{error.strerror}; give another --listen")
    return ConfigurationError(f"cannot listen on {listener}: {remedy}")


def shown(sock: socket.socket) -> str:
    """The URL by which a browser reaches a socket."""
    host, port = sock.getsockname()[:2]
    return f"http://{Listener(host, port)}/"


def not_found(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """What stands for the wrapped application where there is none."""
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else b"Not found\n"
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "10")])
    return [body]


def serve(
    application: WSGIApplication,
    sockets: list[socket.socket],
    options: ServerOptions,
    *,
    keep_forwarded: bool = False,
) -> None:
    """Serve until ``SystemExit``, which :func:`stopping` raises; then finish what is at work.

    :param keep_forwarded: leave what clients say in ``X-Forwarded-*`` to the proxy, which
        believes its ``trusted_proxies`` only. Otherwise waitress removes it for everybody.
    """
    import waitress  # the middleware works without it, so it is only loaded here
    from waitress import wasyncore

    watched: dict[int, Any] = {}
    server = waitress.create_server(
        application,
        map=watched,
        sockets=sockets,
        threads=options.threads,
        connection_limit=options.connection_limit,
        channel_timeout=int(options.channel_timeout) or 1,
        max_request_body_size=options.max_request_body_size,
        # Without it nobody learns that a client has left before the answer is there.
        channel_request_lookahead=5,
        clear_untrusted_proxy_headers=not keep_forwarded,
    )
    _raise_descriptor_limit(options.connection_limit)
    # select() fails beyond 1024 descriptors, and each proxied request needs two.
    use_poll = hasattr(select, "poll")
    try:
        wasyncore.loop(timeout=1, map=watched, use_poll=use_poll)
    except SystemExit:
        _finish(server.task_dispatcher, watched, wasyncore.poll2 if use_poll else wasyncore.poll)
    finally:
        wasyncore.close_all(watched)


def _finish(dispatcher: Any, watched: dict[int, Any], poll: Callable[..., None]) -> None:
    """Take no new clients; for a few seconds go on with the answers already at work."""
    from waitress import wasyncore

    for listener in [one for one in watched.values() if getattr(one, "accepting", False)]:
        wasyncore.dispatcher.close(listener)
    ending = threading.Thread(target=dispatcher.shutdown, args=(True, _GRACE), daemon=True)
    ending.start()
    end = time.monotonic() + _GRACE
    while ending.is_alive() or (_is_writing(watched) and time.monotonic() < end):
        poll(0.05, watched)


def _is_writing(watched: dict[int, Any]) -> bool:
    return any(getattr(one, "total_outbufs_len", 0) for one in watched.values())


@contextlib.contextmanager
def stopping() -> Iterator[list[int]]:
    """Turn the first SIGINT or SIGTERM into ``SystemExit``; a second one ends at once.

    Yields the list of what was received.
    """
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for name in _SIGNALS:
            signal.signal(name, signal.SIG_DFL)
        raise SystemExit

    before = {name: signal.signal(name, stop) for name in _SIGNALS}
    try:
        yield received
    except SystemExit:
        if not received:
            raise
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _raise_descriptor_limit(connections: int) -> None:
    """Allow two descriptors a connection and some more, as far as the hard limit goes."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * 2 + 256
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
