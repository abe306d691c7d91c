"""The servers behind a route: their addresses, pools, health, and one exchange."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import queue
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
)

from . import options as kinds
from .errors import (
    ConfigurationError,
    ExchangeError,
    NoUpstream,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from .options import Options, check_names, option
from .transport import Body, Head, HeadReader, body_of
from .wire import Wire

__all__ = ["Exchange", "Server", "Upstream", "UpstreamOptions"]

#: Methods that change nothing (RFC 9110, 9.2.1): only they are ever sent a second time.
_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
_HOST = re.compile(r"[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?\]")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclasses.dataclass(frozen=True, kw_only=True)
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
            pool: urllib3.HTTPConnectionPool = _UnixPool(self.path, **_pool_options(options))
        else:
            self.scheme, self.host, port, self.base = _split_url(url)
            self.path = None
            pool = _tcp_pool(self.scheme, self.host, port, options)
        self.pool = pool
        #: What the Host header says to it, and the names it may call itself by.
        self.netloc = self.host if self.path else _netloc(self.scheme, self.host, pool.port)
        self.origins = _own_origins(self.scheme, self.host, pool.port, self.netloc)

    def connect(self) -> Exchange:
        """An exchange on a pooled connection, or on a new one.

        :raises UpstreamUnreachable, UpstreamTimeout: and counts the failure.
        """
        conn: Any = self.pool._get_conn()
        if conn.sock is not None:
            return Exchange(self, conn, reused=True)
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

    def close(self) -> None:
        """Close the idle connections; new ones are made as needed."""
        with contextlib.suppress(queue.Empty):
            while self.pool.pool is not None:
                self.pool.pool.get(block=False).close()

    def _failed(self) -> None:
        self._fails += 1
        if self._fails >= self.options.max_fails:
            self.down_until = time.monotonic() + self.options.fail_timeout


class Exchange:
    """One request on one connection, and its response.

    Whoever holds it calls :meth:`close` in the end, whatever happened: a connection that
    was read to its clean end goes back to the pool, any other is closed.
    """

    __slots__ = ("_body", "_early", "_keep", "_reader", "conn", "reused", "server", "wire")

    def __init__(self, server: Server, conn: Any, *, reused: bool) -> None:
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
        self._body, alive = body_of(head, method)
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
            self.server.pool._put_conn(conn)
        else:
            conn.close()


def connect_error(error: Exception, url: str) -> ExchangeError:
    """The one place where failures to connect get their names."""
    cause = error.__cause__ or error.__context__
    detail = f"{url}: {error}"
    if isinstance(error, NameResolutionError):
        return UpstreamUnreachable(detail, stage="connect", error="dns_error")
    if isinstance(error, NewConnectionError):  # a subclass of ConnectTimeoutError
        if isinstance(cause, TimeoutError):
            return UpstreamTimeout(detail, stage="connect", error="connection_timeout")
        return UpstreamUnreachable(detail, stage="connect")
    if isinstance(error, (ConnectTimeoutError, TimeoutError)):
        return UpstreamTimeout(detail, stage="connect", error="connection_timeout")
    if isinstance(error, (urllib3.exceptions.SSLError, ssl.CertificateError)) or isinstance(
        cause, ssl.CertificateError
    ):
        return UpstreamUnreachable(detail, stage="connect", error="tls_certificate_error")
    if isinstance(error, ssl.SSLError):
        return UpstreamUnreachable(detail, stage="connect", error="tls_protocol_error")
    return UpstreamUnreachable(detail, stage="connect")


# -- urllib3's pools, with lighter queues and unix sockets ------------------------------


class _Stack:
    """The idle connections: the part of ``queue.LifoQueue`` that urllib3 uses, lock-free.

    The last one used is the next one taken, so that idle ones grow old and are closed.
    """

    def __init__(self, maxsize: int) -> None:
        self._idle: deque[Any] = deque()
        self._maxsize = maxsize

    def put(self, conn: Any, block: bool = True) -> None:
        if conn is None:  # urllib3 fills new queues with places for connections
            return
        if len(self._idle) < self._maxsize:
            self._idle.append(conn)
        else:
            conn.close()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            raise queue.Empty from None

    def qsize(self) -> int:
        return len(self._idle)


_QueueClass: Any = _Stack


class _Checked:
    """How a pool asks whether an idle connection may be used: one look, no waiting."""

    sock: socket.socket | None
    wire: Wire

    @property
    def is_connected(self) -> bool:
        return self.sock is not None and self.wire.is_quiet()


class _HttpConnection(_Checked, HTTPConnection):
    pass


class _HttpsConnection(_Checked, HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    QueueCls = _QueueClass
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    QueueCls = _QueueClass
    ConnectionCls = _HttpsConnection


class _UnixConnection(_HttpConnection):
    path: str = ""

    def _new_conn(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(self.timeout if isinstance(self.timeout, (int, float)) else None)
        try:
            sock.connect(self.path)
        except OSError:
            sock.close()
            raise
        return sock


class _UnixPool(_HttpPool):
    def __init__(self, path: str, **options: Any) -> None:
        super().__init__("localhost", **options)
        connection: Any = type("UnixConnection", (_UnixConnection,), {"path": path})
        self.ConnectionCls = connection


def _pool_options(options: UpstreamOptions) -> dict[str, Any]:
    timeout = urllib3.Timeout(connect=options.connect_timeout, read=options.read_timeout)
    return {"timeout": timeout, "maxsize": options.pool_size, "retries": False}


def _tcp_pool(
    scheme: str, host: str, port: int | None, options: UpstreamOptions
) -> urllib3.HTTPConnectionPool:
    settings = _pool_options(options)
    if scheme == "http":
        return _HttpPool(host, port, **settings)
    return _HttpsPool(host, port, ssl_context=_tls_context(options), **settings)


def _tls_context(options: UpstreamOptions) -> ssl.SSLContext:
    """Verified against the system's authorities or ``ca``; loaded now, so errors show now."""
    name, path = "ca", options.ca
    try:
        context = ssl.create_default_context(cafile=path)
        name, path = "client_cert", options.client_cert
        if path:
            context.load_cert_chain(path, options.client_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"option {name}: {path!r} cannot be loaded ({error}); name a PEM file"
        ) from None
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


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
