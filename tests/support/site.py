"""A front server with the proxy in it, and an upstream behind it, ready to be asked."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .client import RawClient, RawResponse, get
from .servers import Address, serve
from .upstream import RawUpstream

__all__ = ["Answer", "Site", "call"]


class Site:
    """What the ``proxied`` fixture makes: the proxy's address, its upstream, its clients."""

    def __init__(self, upstream: RawUpstream, stack: contextlib.ExitStack) -> None:
        self.upstream = upstream
        self._stack = stack
        self.address = Address("", 0)

    def start(self, spec: dict[str, Any], server: str, options: Mapping[str, Any]) -> None:
        """Serve the spec; it stops when the stack ends, after the clients."""
        self.address = self._stack.enter_context(serve(spec, server, **options))

    def connect(self) -> RawClient:
        """A new client connection, closed at the end of the test."""
        return self._stack.enter_context(RawClient(self.address))

    def exchange(self, raw: bytes, *, allow_cut: bool = False) -> RawResponse:
        """Send raw bytes on a connection of their own and read one response."""
        with RawClient(self.address) as client:
            return client.exchange(raw, allow_cut=allow_cut)

    def get(
        self,
        target: str,
        *headers: str | tuple[str, str],
        method: str = "GET",
        allow_cut: bool = False,
    ) -> RawResponse:
        """Ask for a target with these headers and nothing else but ``Host: front``."""
        return self.exchange(get(target, *headers, method=method), allow_cut=allow_cut)


class Answer(NamedTuple):
    """What a WSGI application answered when it was called without a server."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def call(app: Any, path: str = "/", body: bytes | Any = b"", **environ: Any) -> Answer:
    """Call a WSGI application with an environ made here; keywords replace its keys."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started[:] = [(status, headers)]
        return lambda data: None

    given = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "front",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "front",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body) if isinstance(body, bytes) else body,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    given.update(environ)
    iterable: Iterable[bytes] = app(given, start_response)
    try:
        content = b"".join(iterable)
    finally:
        getattr(iterable, "close", lambda: None)()
    return Answer(*started[0], content)
