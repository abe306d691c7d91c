"""The test harness: real sockets, real servers, exact bytes.

- :class:`RawUpstream`, the service behind the proxy: a script for each connection.
- :class:`RawClient`, the client in front: any bytes out, the real bytes in.
- :func:`serve` runs a WSGI application under one of :data:`SERVERS` on a free port.
- :func:`get`, :func:`post`, :func:`message` write messages, nothing added.
- :func:`eventually` waits with a deadline.

The fixtures ``upstream``, ``tls_upstream``, ``unix_upstream``, ``proxied`` and
``authority`` are in ``tests/conftest.py``.
"""

from __future__ import annotations

from .apps import front
from .client import RawClient, RawResponse, ResponseCut, get, post
from .deadline import DEADLINE, eventually
from .servers import GUNICORN, SERVERS, Address, serve
from .site import Site, call
from .upstream import RawUpstream, RequestRecord, UpstreamConnection
from .wire import Headers, PeerClosed, Wire, message

__all__ = [
    "DEADLINE",
    "GUNICORN",
    "SERVERS",
    "Address",
    "Headers",
    "PeerClosed",
    "RawClient",
    "RawResponse",
    "RawUpstream",
    "RequestRecord",
    "ResponseCut",
    "Site",
    "UpstreamConnection",
    "Wire",
    "call",
    "eventually",
    "front",
    "get",
    "message",
    "post",
    "serve",
]
