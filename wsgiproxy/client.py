"""The client's socket, where the WSGI server lets it be seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["client_descriptor"]


def client_descriptor(environ: Mapping[str, Any]) -> int | None:
    """The descriptor of the client's socket, only to be watched; ``None`` if unknown."""
    bound = environ.get("waitress.client_disconnected")
    if bound is not None:
        sock = getattr(getattr(bound, "__self__", None), "socket", None)
    else:
        sock = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if sock is None:
        return None
    try:
        descriptor: int = sock.fileno()
    except (OSError, ValueError, AttributeError):
        return None
    return descriptor if descriptor >= 0 else None
