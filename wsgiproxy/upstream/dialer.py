"""Opening connections: urllib3 resolves, connects and verifies; failures get our names."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
)

from ..errors import ConfigurationError, ExchangeError, UpstreamTimeout, UpstreamUnreachable

__all__ = ["Dial", "connect_error", "dial_tcp", "dial_unix", "tls_context"]

#: Opens one connection; raises UpstreamUnreachable or UpstreamTimeout.
Dial = Callable[[], socket.socket]


def dial_tcp(host: str, port: int, tls: ssl.SSLContext | None, timeout: float | None) -> Dial:
    """A dialer to a host.

    :param host: a name or an address, IPv6 in brackets or without.
    :param tls: how to verify; ``None`` for a plain connection.
    :param timeout: seconds for each address that the name has, and for TLS.
    """
    host = host.strip("[]")

    def dial() -> socket.socket:
        conn: HTTPConnection
        if tls is None:
            conn = HTTPConnection(host, port, timeout=timeout)
        else:
            conn = HTTPSConnection(host, port, timeout=timeout, ssl_context=tls)
        try:
            conn.connect()
        except (HTTPError, OSError, ValueError) as error:
            conn.close()
            raise connect_error(error) from error
        # The object is done with: what goes over the socket is written and read by us.
        sock, conn.sock = conn.sock, None
        assert sock is not None, "connect() makes it or raises"
        return sock

    return dial


def dial_unix(path: str, timeout: float | None) -> Dial:
    """A dialer to the unix socket at ``path``; ``timeout`` in seconds."""

    def dial() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(path)
        except OSError as error:
            sock.close()
            raise connect_error(error) from error
        return sock

    return dial


def connect_error(error: Exception) -> ExchangeError:
    """The one place where failures to connect get their names."""
    cause = error.__cause__ or error.__context__
    detail = _in_words(error)
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


def _in_words(error: Exception) -> str:
    """What went wrong, as the system says it: urllib3's text names its own classes."""
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return "no connection in time"
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and not isinstance(seen, HTTPError):
            if isinstance(seen, ssl.SSLCertVerificationError):
                return f"certificate not accepted: {seen.verify_message}"
            return seen.strerror or str(seen) or "no connection in time"
        seen = seen.__cause__ or seen.__context__
    return str(error)


def tls_context(
    verify: bool, ca: str | None, client_cert: str | None, client_key: str | None
) -> ssl.SSLContext:
    """How an https upstream is verified, and what it is shown.

    :param verify: whether to check its certificate: against the system's authorities, or
        those in the file ``ca`` instead.
    :param client_cert: the file of our own certificate, ``client_key`` its key.
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
