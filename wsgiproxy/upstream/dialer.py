"""urllib3's connection pools, with a lighter queue, unix sockets and one tree of errors."""

from __future__ import annotations

import queue
import socket
import ssl
from collections import deque
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from ..errors import ConfigurationError, ExchangeError, UpstreamTimeout, UpstreamUnreachable
from .connection import Wire

__all__ = ["connect_error", "tcp_pool", "tls_context", "unix_pool"]


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


def unix_pool(path: str, **settings: Any) -> urllib3.HTTPConnectionPool:
    """A pool of connections to the unix socket at ``path``."""
    return _UnixPool(path, **settings)


def tcp_pool(
    host: str, port: int | None, tls: ssl.SSLContext | None, **settings: Any
) -> urllib3.HTTPConnectionPool:
    """A pool of connections to a host, over TLS if there is a context for it."""
    if tls is None:
        return _HttpPool(host, port, **settings)
    return _HttpsPool(host, port, ssl_context=tls, **settings)


def tls_context(
    verify: bool, ca: str | None, client_cert: str | None, client_key: str | None
) -> ssl.SSLContext:
    """Verified against the system's authorities, or those in the file ``ca`` instead.

    :raises ConfigurationError: for a file that cannot be loaded.
    """
    name, path = "ca", ca
    try:
        context = ssl.create_default_context(cafile=path)
        name, path = "client_cert", client_cert
        if path:
            context.load_cert_chain(path, client_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"option {name}: {path!r} cannot be loaded ({error}); name a PEM file"
        ) from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
