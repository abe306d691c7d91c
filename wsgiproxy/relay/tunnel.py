"""The tunnel: bytes both ways, whatever they mean."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ClientGone, UpstreamBroken
from .endpoint import READ, Endpoint
from .pair import Pair

__all__ = ["Tunnel"]

#: Seconds that a half-closed tunnel may stay silent.
HALF_CLOSED = 60.0


class Tunnel(Pair):
    """Bytes both ways, unseen, with bounded buffers and half-closes passed on."""

    def start(self) -> None:
        """See :meth:`Pair.start`."""
        super().start()
        self._guarded(self.client, self._flush, self.client)
        self._guarded(self.upstream, self._flush, self.upstream)
        for end in (self.client, self.upstream):
            self._guarded(end, self._move, end)  # TLS may hold bytes already
        self._settle()

    def on_ready(self, end: Endpoint, mask: int) -> None:
        """Some bytes may move."""
        if end.owed:
            self._guarded(end, self._flush, end)
        if mask & READ or end.tls:
            self._guarded(end, self._move, end)
        self._settle()

    def _guarded(self, end: Endpoint, step: Callable[..., None], *arguments: Endpoint) -> None:
        """Any OSError ends the tunnel; ``end`` is the one it is blamed on."""
        if self._ended:
            return
        try:
            step(*arguments)
        except OSError as error:
            self._lost(end, error)

    def _flush(self, end: Endpoint) -> None:
        self.flush(end)

    def _move(self, source: Endpoint) -> None:
        sink = self._other(source)
        while not source.has_ended and sink.has_room():
            data = source.receive()
            if data:
                self._active = self.loop.now
                try:
                    self.push(sink, data)
                except OSError as error:
                    self._lost(sink, error)
                    return
            if not data or not source.has_pending():
                return

    def _settle(self) -> None:
        if self._ended:
            return
        for end in (self.client, self.upstream):
            if self._other(end).has_ended and not end.owed and not end.is_shut:
                end.shut()
                self._shorten()
        if self.client.is_shut and self.upstream.is_shut:
            self.end(None)
            return
        for end in (self.client, self.upstream):
            room = self._other(end).has_room()
            self.loop.watch(end, end.interest(room), self)
            if room and end.has_pending() and not end.has_ended:
                self.loop.soon(self, self.on_ready, end, READ)

    def _shorten(self) -> None:
        if self.timeout is None or self.timeout > HALF_CLOSED:
            self.timeout = HALF_CLOSED
            self._active = self.loop.now
            if self._timer is not None:
                self._timer.cancel()
            self._check_idle()

    def _other(self, end: Endpoint) -> Endpoint:
        return self.upstream if end is self.client else self.client

    def _lost(self, end: Endpoint, error: OSError) -> None:
        # The other side gets what was meant for it, then an orderly end.
        self._part(self._other(end))
        kind = ClientGone if end is self.client else UpstreamBroken
        self.end(kind(f"the tunnel broke: {error}", stage="tunnel"))
