"""Whether the client is still there, as far as the WSGI server lets it be seen."""

from __future__ import annotations

import select
import socket
from collections.abc import Mapping
from typing import Any

__all__ = ["DisconnectWatch"]


class DisconnectWatch:
    """The client of one request; asked only once an upstream has been silent for a while."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def descriptor(self) -> int | None:
        """The descriptor of its socket, to be polled; ``None`` if that is unknown."""
        sock = self._socket()
        try:
            descriptor: int = sock.fileno() if sock is not None else -1
        except (OSError, ValueError, AttributeError):
            return None
        return descriptor if descriptor >= 0 else None

    def has_left(self) -> bool:
        """Whether it has left by now, as its server or its socket says."""
        asked = self._environ.get("waitress.client_disconnected")
        if asked is not None:
            return bool(asked())
        sock = self._socket()
        try:
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            return bool(poll.poll(0)) and sock.recv(1, socket.MSG_PEEK) == b""
        except (OSError, ValueError, TypeError, AttributeError):
            return False  # TLS cannot be looked into; no socket, no answer

    def _socket(self) -> Any:
        asked = self._environ.get("waitress.client_disconnected")
        if asked is not None:
            return getattr(getattr(asked, "__self__", None), "socket", None)
        return self._environ.get("gunicorn.socket") or self._environ.get("werkzeug.socket")
