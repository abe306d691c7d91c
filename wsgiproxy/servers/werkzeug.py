"""Werkzeug's development server, which gives the connection's socket."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from .contract import Hijacker, is_of, warn_of_change
from .swap import Ahead, hijacker_by_swap

__all__ = ["KEY", "START_RESPONSE", "ahead_of", "hijacker_of", "threads_of"]

#: The environ key of its socket.
KEY = "werkzeug.socket"
#: Its own ``start_response``.
START_RESPONSE = ("werkzeug.serving", "WSGIRequestHandler.run_wsgi.<locals>.start_response")


def hijacker_of(environ: Mapping[str, Any]) -> Hijacker | None:
    """The way to this request's connection."""
    return hijacker_by_swap(environ[KEY], environ, ahead_of(environ.get("wsgi.input")))


def ahead_of(stream: Any) -> Ahead:
    """Its buffered file, which may be behind its own decoder of chunks."""
    file = getattr(stream, "_rfile", stream)
    if isinstance(file, io.BufferedReader):
        return Ahead(file)
    if not is_of("werkzeug", stream):
        return Ahead(None)
    warn_of_change(
        "werkzeug", "the file of wsgi.input", "WebSockets and other upgrades are refused"
    )
    return Ahead(None, "a new kind of Werkzeug's body reader")


def threads_of(environ: Mapping[str, Any], start_response: Any) -> int | None:
    """``None``: it makes a thread for each request."""
    return None
