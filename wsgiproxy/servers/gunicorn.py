"""gunicorn: its sync, gthread and gevent workers give the connection's socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .contract import Hijacker, is_of, warn_of_change
from .swap import Ahead, hijacker_by_swap

__all__ = ["KEY", "START_RESPONSE", "ahead_of", "hijacker_of", "threads_of"]

#: The environ key of its socket.
KEY = "gunicorn.socket"
#: Its own ``start_response``.
START_RESPONSE = ("gunicorn.http.wsgi", "Response.start_response")


def hijacker_of(environ: Mapping[str, Any]) -> Hijacker | None:
    """The way to this request's connection."""
    return hijacker_by_swap(environ[KEY], environ, ahead_of(environ.get("wsgi.input")))


def ahead_of(stream: Any) -> Ahead:
    """Its read-ahead buffer, from the body reader that it gives as ``wsgi.input``."""
    reader = getattr(stream, "reader", None)
    unreader = getattr(reader, "unreader", None)
    if unreader is None:
        unreader = getattr(getattr(reader, "req", None), "unreader", None)
    if hasattr(unreader, "buf"):
        return Ahead(unreader)
    if not is_of("gunicorn", stream):
        return Ahead(None)
    warn_of_change(
        "gunicorn", "the unreader of wsgi.input", "WebSockets and other upgrades are refused"
    )
    return Ahead(None, "a new kind of gunicorn's body reader")


def threads_of(environ: Mapping[str, Any], start_response: Any) -> int | None:
    """How many threads a gthread worker has; ``None`` for other workers."""
    response = getattr(start_response, "__self__", None)
    if not is_of("gunicorn", response):
        return None  # a middleware's start_response
    settings = getattr(response, "cfg", None)
    kind = getattr(settings, "worker_class_str", None)
    threads = getattr(settings, "threads", None)
    if kind is None or not isinstance(threads, int):
        warn_of_change(
            "gunicorn",
            "cfg.worker_class_str or cfg.threads",
            "Slow upstreams may hold every worker thread, since their number is unknown",
        )
        return None
    return threads if kind == "gthread" else None
