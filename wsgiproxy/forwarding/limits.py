"""What the requests of one middleware share: worker threads and tunnels.

One :class:`Limits` belongs to a middleware, one :class:`Trip` to a request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..error_pages import SERVERS
from ..errors import ExchangeError, UpgradeUnsupported
from ..routing.route import Route
from ..routing.router import Mount
from .slots import Bulkhead, Slots, default_tunnels, share_of, threads_of
from .trip import Trip

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ..servers.hijack import Hijacker

__all__ = ["Limits", "Trip"]

logger = logging.getLogger("wsgiproxy")

#: Tells of a failure: the error, the route, the method; returns the request's id.
Note = Callable[[ExchangeError, Mount, str], str]


class Limits:
    """The places that the requests of one middleware share.

    :param note: called for what fails after the worker thread has gone.
    """

    def __init__(self, mounts: Iterable[Mount], note: Note) -> None:
        self.note = note
        self._lanes = {mount: _Lane(mount.route) for mount in mounts}
        self._shared: Bulkhead | None = None
        self._leader: Limits | None = None
        self._warned = False

    def trip(
        self,
        mount: Mount,
        protocol: str | None,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Trip:
        """Take a place for one request.

        :param protocol: the one to switch to, if any.
        :raises TooBusy: if the route has its share already and cannot do with less.
        :raises UpgradeUnsupported: if the server does not give its connection away.
        """
        lane = self._lanes[mount]
        bulkhead = lane.bulkhead or self._shared or self._share(environ, start_response)
        trip = Trip(self, mount, protocol, lane.tunnels, bulkhead, environ, start_response)
        trip.enter()
        return trip

    def _share(self, environ: Mapping[str, Any], start_response: Any) -> Bulkhead:
        """Routes without a number of their own share what the wrapped application leaves."""
        if self._leader is not None:
            leader = self._leader
            self._shared = leader._shared or leader._share(environ, start_response)
            return self._shared
        threads = threads_of(environ, start_response)
        self._shared = Bulkhead(None if threads is None else share_of(threads))
        return self._shared

    def follow(self, leader: Limits) -> None:
        """Count the worker threads that routes hold together with another middleware's."""
        self._leader = leader

    def connection(self, environ: Mapping[str, Any]) -> Hijacker:
        """The client's connection, for an upgrade.

        :raises UpgradeUnsupported: where the server keeps it; warns once.
        """
        from ..servers.hijack import find

        found = find(environ)
        if found is None:
            if not self._warned:
                self._warned = True
                logger.warning(
                    "an upgrade (WebSocket) was asked for, but this server (%s) does not give "
                    "its connections away; these do: %s",
                    environ.get("SERVER_SOFTWARE") or "unknown",
                    SERVERS,
                )
            raise UpgradeUnsupported("this server gives no socket to tunnel through")
        return found


class _Lane:
    """One route's places."""

    def __init__(self, route: Route) -> None:
        tunnels = route.max_tunnels
        self.tunnels = Slots(default_tunnels() if tunnels is None else tunnels)
        self.bulkhead = None if route.max_in_flight is None else Bulkhead(route.max_in_flight)
