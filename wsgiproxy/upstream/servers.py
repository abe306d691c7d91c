"""The servers behind a route: their addresses, their options, whose turn it is."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigurationError, ExchangeError, NoUpstream
from ..settings import kinds
from ..settings.options import Options, check_names, option
from .connection import Connection
from .dialer import dial_tcp, dial_unix, tls_context
from .exchange import Exchange

__all__ = ["Server", "Upstream", "UpstreamOptions"]

_HOST = re.compile(r"[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?\]")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class UpstreamOptions(Options):
    """How the servers of an upstream are reached."""

    connect_timeout: float | None = option(
        5.0, kinds.SECONDS, "longest wait for a connection to be made"
    )
    read_timeout: float | None = option(
        60.0,
        kinds.SECONDS,
        "longest wait for the response head, and between two reads of the body",
    )
    pool_size: int = option(128, kinds.COUNT, "keep at most this many idle connections a server")
    verify: bool = option(True, kinds.BOOLEAN, "check the certificate of an https upstream")
    ca: str | None = option(None, kinds.TEXT, "trust this file of CA certificates instead")
    client_cert: str | None = option(
        None, kinds.TEXT, "show this certificate file to an https upstream"
    )
    client_key: str | None = option(None, kinds.TEXT, "the key file of client_cert")
    max_fails: int = option(
        1, kinds.COUNT, "failed connections in a row after which a server counts as down"
    )
    fail_timeout: float = option(
        10.0, kinds.SECONDS, "leave a server that is down alone for this long"
    )

    def tls_context(self) -> Any:
        """How the certificates of an https upstream are checked; files are read now."""
        return tls_context(self.verify, self.ca, self.client_cert, self.client_key)


class Upstream:
    """One or more servers that answer alike.

    :param urls: a URL or several: ``http://host[:port][/base]``, ``https://...`` or
        ``unix:/path/to/socket``. A base path is put before every path sent and cannot be
        climbed out of.
    :param options: the fields of :class:`UpstreamOptions`.
    :raises ConfigurationError: for a URL or an option that cannot work.

    Servers take turns. One that cannot be reached is left alone for ``fail_timeout``
    seconds and the request goes to the next, since nothing of it was sent.
    """

    def __init__(self, urls: str | Iterable[str], **options: Any) -> None:
        check_names(options, UpstreamOptions.names(), "Upstream")
        self.options = UpstreamOptions(**options)
        self.urls = tuple(urls.split()) if isinstance(urls, str) else tuple(urls)
        if not self.urls:
            raise ConfigurationError("an upstream needs a URL; write http://localhost:9999")
        self.servers = tuple(Server(url, self.options) for url in self.urls)
        self._turn = itertools.count()

    def __repr__(self) -> str:
        return f"Upstream({', '.join(map(repr, self.urls))})"

    def candidates(self) -> Iterator[Server]:
        """The servers to try for one request, in their order.

        :raises NoUpstream: if every server is down for now.
        """
        if len(self.servers) == 1:  # nothing to choose from: trying beats refusing
            return iter(self.servers)
        return self._in_turn()

    def _in_turn(self) -> Iterator[Server]:
        turn = next(self._turn)
        now = time.monotonic()
        is_any = False
        for place in range(len(self.servers)):
            server = self.servers[(turn + place) % len(self.servers)]
            if server.down_until <= now:
                is_any = True
                yield server
        if not is_any:
            raise NoUpstream(
                f"every server of {self!r} is down",
                stage="connect",
                retry_after=int(self.options.fail_timeout) or 1,
            )

    def close(self) -> None:
        """Close the idle connections."""
        for server in self.servers:
            server.close()


#: Every server of the process, whose connections a forked child must not share.
_servers: weakref.WeakSet[Server] = weakref.WeakSet()


class Server:
    """One server of an upstream, with its idle connections.

    :param url: see :class:`Upstream`.
    :ivar netloc: what the ``Host`` header says to it.
    :ivar origin: ``scheme://host[:port]`` of the same.
    :ivar origins: ``host[:port]`` spellings by which it may mean itself.
    :ivar base: the path before every path that is sent, without a last slash.
    """

    def __init__(self, url: str, options: UpstreamOptions) -> None:
        self.url = url
        self.options = options
        self.down_until = 0.0
        self._fails = 0
        # The last one used is the next one taken, so that those too many grow old and are closed.
        self._idle: deque[Connection] = deque()
        timeout = options.connect_timeout
        if url.startswith("unix:"):
            path, _, base = url[5:].partition(":")
            self.scheme, host, self.base = "http", "localhost", _base(base, url)
            self._dial = dial_unix("/" + path.lstrip("/"), timeout)
            self.netloc, port = host, 80
        else:
            self.scheme, host, given, self.base = _split_url(url)
            port = given or (443 if self.scheme == "https" else 80)
            tls = options.tls_context() if self.scheme == "https" else None
            self._dial = dial_tcp(host, port, tls, timeout)
            self.netloc = _netloc(self.scheme, host, port)
        self.origin = f"{self.scheme}://{self.netloc}"
        self.origins = _own_origins(self.scheme, host, port, self.netloc)
        _servers.add(self)
        weakref.finalize(self, _close_all, self._idle)

    def connect(self) -> Exchange:
        """An exchange on an idle connection, or on a new one.

        :raises UpstreamUnreachable, UpstreamTimeout: and counts the failure.
        """
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self.open()
            if connection.is_quiet():
                return Exchange(self, connection, reused=True)
            connection.close()

    def open(self) -> Exchange:
        """An exchange on a connection that is new for certain.

        :raises UpstreamUnreachable, UpstreamTimeout: and counts the failure.
        """
        try:
            sock = self._dial()
        except ExchangeError as error:
            self._failed()
            error.upstream = self.url
            raise
        self._fails = 0
        return Exchange(self, Connection(sock, self.options.read_timeout), reused=False)

    def take_back(self, connection: Connection) -> None:
        """Keep a connection for the next request, unless there are enough."""
        if len(self._idle) < self.options.pool_size:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close the idle connections; new ones are made as needed."""
        _close_all(self._idle)

    def after_fork(self) -> None:
        """In a forked child: leave the parent's connections to the parent.

        Two processes on one connection would get each other's responses. Closing our copies
        of the descriptors says nothing to the upstream.
        """
        self.close()

    def _failed(self) -> None:
        self._fails += 1
        if self._fails >= self.options.max_fails:
            self.down_until = time.monotonic() + self.options.fail_timeout


def _close_all(idle: deque[Connection]) -> None:
    with contextlib.suppress(IndexError):
        while True:
            idle.pop().close()


def _after_fork() -> None:
    for server in _servers:
        server.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _split_url(url: str) -> tuple[str, str, int | None, str]:
    example = "write http://localhost:9999"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"upstream {url!r}: {error}; {example}") from None
    if "@" in parts.netloc:
        hidden = url.replace(parts.netloc, "...@" + parts.netloc.rpartition("@")[2])
        raise ConfigurationError(
            f"upstream {hidden!r} holds a password; "
            'send it with request_headers={"Authorization": "Basic ..."}'
        )
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.rstrip(":")
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host) or port == 0:
        raise ConfigurationError(f"upstream {url!r} is no http, https or unix URL; {example}")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"upstream {url!r} has a query or a fragment; leave it out")
    return parts.scheme, host.lower(), port, _base(parts.path, url)


def _base(path: str, url: str) -> str:
    if re.search(r"[^\x21-\x7e]|/\.\.?(/|$)", path) or (path and not path.startswith("/")):
        raise ConfigurationError(
            f"upstream {url!r} has a base path with dots, spaces or letters beyond ASCII; "
            "write it as it goes over the wire"
        )
    return path.rstrip("/")


def _netloc(scheme: str, host: str, port: int) -> str:
    default = 443 if scheme == "https" else 80
    return host if port == default else f"{host}:{port}"


def _own_origins(scheme: str, host: str, port: int, netloc: str) -> frozenset[str]:
    """``host[:port]`` spellings by which this server may mean itself in a URL."""
    names = {netloc, f"{host}:{port}"}
    if host in _LOOPBACK:
        names.update(_netloc(scheme, name, port) for name in _LOOPBACK)
    return frozenset(names)
