"""Taking the client's connection over from the WSGI server that accepted it.

WSGI has no way to say "this connection is mine now", so there is one small adapter for each
server that lets its socket be had. Each keeps three promises:

- once :meth:`Hijacker.hijack` has returned, the server reads and writes the client's connection
  no more, whatever it believes;
- bytes that the server had read past the request are handed over, or taking is refused;
- the server sees its request end in the ordinary way, so it logs no failure, and keeps
  neither a thread nor a place in its connection limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from . import gunicorn, waitress, werkzeug
from .contract import Hijacked, Hijacker, is_of, lift, warn_of_change

__all__ = [
    "ADAPTERS",
    "Hijacked",
    "Hijacker",
    "find",
    "is_direct",
    "lift",
    "thread_pool_of",
    "threads_of",
]

#: One module for each server: add a file and a line. The name of its package comes first.
ADAPTERS: dict[str, ModuleType] = {
    "waitress": waitress,
    "gunicorn": gunicorn,
    "werkzeug": werkzeug,
}


def find(environ: Mapping[str, Any]) -> Hijacker | None:
    """The way to this request's connection, if its server has one."""
    if not environ.get("SERVER_PROTOCOL", "").startswith("HTTP/1."):
        return None  # in HTTP/2 the connection is not this request's alone
    for adapter in ADAPTERS.values():
        if environ.get(adapter.KEY) is not None:
            found: Hijacker | None = adapter.hijacker_of(environ)
            return found
    return None


def is_direct(start_response: Any) -> bool:
    """Whether no middleware stands between us and the server on the way back.

    A response that leaves by the relay is not seen by what wraps us, so it may only leave so
    if nothing does.
    """
    function = getattr(start_response, "__func__", start_response)
    name = (getattr(function, "__module__", None), getattr(function, "__qualname__", None))
    for server, adapter in ADAPTERS.items():
        if name == adapter.START_RESPONSE:
            return True
        if is_of(server, function):
            warn_of_change(
                server,
                ".".join(adapter.START_RESPONSE),
                "Slow answers and streams hold worker threads",
            )
    return False


def threads_of(environ: Mapping[str, Any], start_response: Any) -> int | None:
    """How many worker threads the server has, if it tells."""
    for adapter in ADAPTERS.values():
        if environ.get(adapter.KEY) is not None:
            threads: int | None = adapter.threads_of(environ, start_response)
            return threads
    return None


def thread_pool_of(environ: Mapping[str, Any]) -> Any:
    """The object that stands for the server's threads; ``None`` for those of the process."""
    return getattr(waitress.channel_of(environ), "server", None)
