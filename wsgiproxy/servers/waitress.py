"""waitress: it is asked on its own event loop to forget the connection."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from ..errors import ClientGone, HijackRefused
from .contract import Hijacked, Hijacker, is_of, lift, warn_of_change

__all__ = ["KEY", "START_RESPONSE", "WaitressHijacker", "channel_of", "hijacker_of", "threads_of"]

#: The environ key by which waitress is known.
KEY = "waitress.client_disconnected"
#: Its own ``start_response``.
START_RESPONSE = ("waitress.task", "WSGITask.execute.<locals>.start_response")
#: Seconds in which waitress's loop must come round; it is only ever busy for microseconds.
PATIENCE = 2.0
#: What the adapter relies on; tried with waitress 3.0.1 to 3.0.2. First of the server, then of
#: the channel.
NEEDED = (
    ("trigger", "active_channels"),
    (
        "server",
        "socket",
        "connected",
        "requests",
        "request",
        "requests_lock",
        "del_channel",
        "total_outbufs_len",
        "will_close",
        "close_when_flushed",
    ),
)


def channel_of(environ: Mapping[str, Any]) -> Any:
    """The channel of a request's connection, or ``None``."""
    return getattr(environ.get(KEY), "__self__", None)


def hijacker_of(environ: Mapping[str, Any]) -> Hijacker | None:
    """The way to this request's connection."""
    channel = channel_of(environ)
    server = getattr(channel, "server", None)
    for owner, names in zip((server, channel), NEEDED, strict=True):
        missing = [name for name in names if not hasattr(owner, name)]
        if missing:
            warn_of_change(
                "waitress",
                ", ".join(missing),
                "WebSockets are answered with 501, and streams hold worker threads",
            )
            return None
    return WaitressHijacker(channel)


def threads_of(environ: Mapping[str, Any], start_response: Any) -> int | None:
    """How many worker threads it has; ``None`` if it does not tell."""
    channel = channel_of(environ)
    threads = getattr(getattr(channel, "adj", None), "threads", None)
    if isinstance(threads, int):
        return threads
    if is_of("waitress", channel):
        warn_of_change(
            "waitress",
            "adj.threads",
            "Slow upstreams may hold every worker thread, since their number is unknown",
        )
    return None


class WaitressHijacker(Hijacker):
    """Has waitress forget the channel, between two rounds of its loop.

    :param channel: the connection's, of waitress.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._answer: Hijacked | Exception | None = None
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._given_up = False

    def hijack(self, strict: bool = True) -> Hijacked:
        """See :meth:`Hijacker.hijack`."""
        self._strict = strict
        try:
            self._channel.server.trigger.pull_trigger(self._on_loop)
        except OSError as error:
            raise HijackRefused("waitress is shutting down") from error
        self._done.wait(PATIENCE)
        with self._lock:
            self._given_up = True
            answer = self._answer
        if answer is None:
            raise HijackRefused(f"waitress's loop did not come round in {PATIENCE} s")
        if isinstance(answer, Exception):
            raise answer
        return Hijacked(lift(answer.sock), answer.early)

    def _on_loop(self) -> None:
        with self._lock:
            if self._given_up:
                return
            try:
                self._answer = self._detach()
            except Exception as error:
                self._answer = error
        self._done.set()

    def _detach(self) -> Hijacked:
        channel = self._channel
        with channel.requests_lock:
            if not channel.connected or channel.socket is None:
                raise ClientGone("the client left before its connection was taken over")
            if channel.total_outbufs_len or channel.will_close or channel.close_when_flushed:
                raise HijackRefused("waitress still writes on this connection")
            early = self._early(channel)
            # Not to be answered any more: the connection ends with the present request.
            for request in channel.requests[1:]:
                request.close()
            del channel.requests[1:]
            channel.request = None
            sock, channel.socket = channel.socket, _Void()
        # The descriptor stays open, so nothing else can get its number in this round.
        channel.del_channel()
        sock.setblocking(False)
        return Hijacked(sock, early)

    def _early(self, channel: Any) -> bytes:
        if not self._strict:
            return b""
        # waitress drops blank lines between requests; no WebSocket frame begins with one.
        following = channel.request
        if len(channel.requests) > 1 or (following and following.headers_finished):
            # They looked like requests, so waitress has parsed them and kept no bytes.
            raise HijackRefused("the client sent requests behind its upgrade")
        return bytes(following.header_plus) if following else b""


class _Void:
    """Stands in for the socket of a channel that waitress has lost: takes all, gives nothing."""

    def send(self, data: bytes) -> int:
        """Swallow it."""
        return len(data)

    def recv(self, size: int) -> bytes:
        """Read as closed."""
        return b""

    def close(self) -> None:
        """Nothing is open."""
