"""How many worker threads the server in front has, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["thread_pool_of", "threads_of"]


def threads_of(environ: Mapping[str, Any], start_response: Any) -> int | None:
    """How many worker threads the server has, if it tells: waitress, and gunicorn's gthread."""
    channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)
    threads = getattr(getattr(channel, "adj", None), "threads", None)
    if threads is None:
        settings = getattr(getattr(start_response, "__self__", None), "cfg", None)
        if getattr(settings, "worker_class_str", None) == "gthread":
            threads = getattr(settings, "threads", None)
    return threads if isinstance(threads, int) else None


def thread_pool_of(environ: Mapping[str, Any]) -> Any:
    """The object that stands for the server's threads; ``None`` for those of the process."""
    channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)
    return getattr(channel, "server", None)
