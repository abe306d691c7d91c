"""The servers behind a route: their addresses, their options, whose turn it is."""

from __future__ import annotations

import contextlib
import itertools
import queue
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from ..errors import (
    ConfigurationError,
    ExchangeError,
    NoUpstream,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ..settings import kinds
from ..settings.options import Options, check_names, option
from .connection import Wire
from .dialer import connect_error, tcp_pool, tls_context, unix_pool
from .exchange import Exchange

__all__ = ["Server", "Upstream", "UpstreamOptions"]

_HOST = re.compile(r"[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?\]")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class UpstreamOptions(Options):
    """How the servers of an upstream are reached."""

    connect_timeout: float | None = option(
        5.0, kinds.SECONDS, "wait at most this long for a connection"
    )
    read_timeout: float | None = option(
        60.0, kinds.SECONDS, "wait at most this long for the head, and for each next byte"
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

    def for_pool(self) -> dict[str, Any]:
        """The settings of a pool of urllib3's."""
        timeout = urllib3.Timeout(connect=self.connect_timeout, read=self.read_timeout)
        return {"timeout": timeout, "maxsize": self.pool_size, "retries": False}

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
        check_names(options, UpstreamOptions.table(), "Upstream")
        self.options = UpstreamOptions(**options)
        self.urls = tuple(urls.split()) if isinstance(urls, str) else tuple(urls)
        if not self.urls:
            raise ConfigurationError("an upstream needs a URL; write http://localhost:9999")
        self.servers = tuple(Server(url, self.options) for url in self.urls)
        self._turn = itertools.count()

    def __repr__(self) -> str:
        return f"Upstream({', '.join(map(repr, self.urls))})"

    def connect(self) -> Exchange:
        """An exchange on a connection, pooled or new, to the server whose turn it is.

        :raises NoUpstream: if every server is down for now.
        :raises UpstreamUnreachable, UpstreamTimeout: if the last one tried failed.
        """
        failure: ExchangeError | None = None
        for server in self._candidates():
            try:
                return server.connect()
            except (UpstreamUnreachable, UpstreamTimeout) as error:
                failure = error
        raise failure or NoUpstream(
            f"every server of {self!r} is down",
            stage="connect",
            retry_after=int(self.options.fail_timeout) or 1,
        )

    def close(self) -> None:
        """Close the idle connections."""
        for server in self.servers:
            server.close()

    def _candidates(self) -> Iterator[Server]:
        if len(self.servers) == 1:  # nothing to choose from: trying beats refusing
            yield self.servers[0]
            return
        turn = next(self._turn)
        now = time.monotonic()
        for place in range(len(self.servers)):
            server = self.servers[(turn + place) % len(self.servers)]
            if server.down_until <= now:
                yield server


class Server:
    """One server of an upstream and its pool of connections."""

    def __init__(self, url: str, options: UpstreamOptions) -> None:
        self.url = url
        self.options = options
        self.down_until = 0.0
        self._fails = 0
        if url.startswith("unix:"):
            path, _, base = url[5:].partition(":")
            self.scheme, self.host, self.base = "http", "localhost", _base(base, url)
            self.path: str | None = "/" + path.lstrip("/")
            pool = unix_pool(self.path, **options.for_pool())
        else:
            self.scheme, self.host, port, self.base = _split_url(url)
            self.path = None
            tls = options.tls_context() if self.scheme == "https" else None
            pool = tcp_pool(self.host, port, tls, **options.for_pool())
        self.pool: urllib3.HTTPConnectionPool = pool
        assert pool.pool is not None, "only a closed pool has no queue"
        self._idle = pool.pool
        #: What the Host header says to it, and the names it may call itself by.
        self.netloc = self.host if self.path else _netloc(self.scheme, self.host, pool.port)
        self.origins = _own_origins(self.scheme, self.host, pool.port, self.netloc)

    def connect(self) -> Exchange:
        """An exchange on a pooled connection, or on a new one.

        :raises UpstreamUnreachable, UpstreamTimeout: and counts the failure.
        """
        try:
            conn: Any = self._idle.get(block=False)
        except queue.Empty:
            return self.open()
        if conn.is_connected:
            return Exchange(self, conn, reused=True)
        conn.close()
        return self.open(conn)

    def open(self, conn: Any = None) -> Exchange:
        """An exchange on a connection that is new for certain."""
        conn = conn or self.pool._new_conn()
        try:
            conn.connect()
        except (HTTPError, OSError, ValueError) as error:
            conn.close()
            self._failed()
            raise connect_error(error, self.url) from error
        self._fails = 0
        conn.wire = Wire(conn.sock, self.options.read_timeout)
        return Exchange(self, conn, reused=False)

    def take_back(self, conn: Any) -> None:
        """Keep a connection for the next request."""
        self._idle.put(conn)

    def close(self) -> None:
        """Close the idle connections; new ones are made as needed."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get(block=False).close()

    def _failed(self) -> None:
        self._fails += 1
        if self._fails >= self.options.max_fails:
            self.down_until = time.monotonic() + self.options.fail_timeout


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


def _netloc(scheme: str, host: str, port: int | None) -> str:
    default = 443 if scheme == "https" else 80
    return host if port in (None, default) else f"{host}:{port}"


def _own_origins(scheme: str, host: str, port: int | None, netloc: str) -> frozenset[str]:
    """``host[:port]`` spellings by which this server may mean itself in a URL."""
    names = {netloc, f"{host}:{port}"}
    if host in _LOOPBACK:
        names.update(_netloc(scheme, name, port) for name in _LOOPBACK)
    return frozenset(names)
