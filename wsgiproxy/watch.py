"""Whether the client is still there, as far as the WSGI server lets it be seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Watch"]


class Watch:
    """The client of one request; asked only once an upstream has been silent for a while."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def descriptor(self) -> int | None:
        """The descriptor of its socket, to be polled; ``None`` if that is unknown."""
        asked = self._environ.get("waitress.client_disconnected")
        if asked is not None:
            sock = getattr(getattr(asked, "__self__", None), "socket", None)
        else:
            sock = self._environ.get("gunicorn.socket") or self._environ.get("werkzeug.socket")
        try:
            descriptor: int = sock.fileno() if sock is not None else -1
        except (OSError, ValueError, AttributeError):
            return None
        return descriptor if descriptor >= 0 else None

    def has_left(self) -> bool:
        """Whether the server has noticed that it left, and closed that descriptor perhaps."""
        asked = self._environ.get("waitress.client_disconnected")
        return asked is not None and bool(asked())
