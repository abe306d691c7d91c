"""What the requests of one route share: its limits, its gatekeepers, its failures."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..error_pages import SERVERS
from ..errors import ExchangeError, UpgradeUnsupported
from ..routing.router import Match, Mount
from ..servers.hijack import thread_pool_of, threads_of
from .slots import Bulkhead, Held, Slots, default_tunnels, share_of

if TYPE_CHECKING:
    from ..access.check import AccessCheck
    from ..access.identity import Identity
    from ..servers.hijack import Hijacker

__all__ = ["Limits", "Report", "RouteState"]

logger = logging.getLogger("wsgiproxy")

#: Counts and logs a failure: the error, the route, the request it happened to, and the seconds
#: that it took; returns the id of the log line.
Report = Callable[[ExchangeError, Mount, Mapping[str, Any], "float | None"], str]

#: The bulkheads of the servers that this process runs, and of the process itself.
_by_server: weakref.WeakKeyDictionary[Any, Bulkhead] = weakref.WeakKeyDictionary()
_by_process: dict[int | None, Bulkhead] = {}
_lock = threading.Lock()


class Limits:
    """The worker threads that the proxied requests of one middleware may hold.

    Every middleware and every view behind the same server share them: the threads are the same.
    """

    def __init__(self) -> None:
        self._workers: Bulkhead | None = None
        self._warned = False

    def workers(self, environ: Mapping[str, Any], start_response: Any) -> Bulkhead:
        """The worker slots, found out by the first request."""
        if self._workers is None:
            self._workers = _workers_of(environ, start_response)
        return self._workers

    def hijacker(self, environ: Mapping[str, Any]) -> Hijacker:
        """The way to the client's connection, for an upgrade.

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


def _workers_of(environ: Mapping[str, Any], start_response: Any) -> Bulkhead:
    server, threads = thread_pool_of(environ), threads_of(environ, start_response)
    known: Any = _by_process if server is None else _by_server
    key: Any = threads if server is None else server
    with _lock:
        if key not in known:
            limit = None if threads is None else share_of(threads)
            known[key] = Bulkhead(limit, "requests hold their worker threads")
        found: Bulkhead = known[key]
    return found


class RouteState:
    """What the requests of one route share.

    :param mount: the route at its prefix.
    :param locate: works out what a request asks of it.
    :param limits: those of the middleware.
    :param via: our own name among proxies.
    :param report: told of every failure.
    :param check: decides who may pass, if anything does.
    :param identity: tells the upstream who the user is, if it is to know.
    """

    __slots__ = (
        "check",
        "identity",
        "in_flight",
        "limits",
        "locate",
        "mount",
        "passed",
        "report",
        "tunnels",
        "via",
    )

    def __init__(
        self,
        mount: Mount,
        *,
        locate: Callable[[Mount, Mapping[str, Any]], Match],
        limits: Limits,
        via: str,
        report: Report,
        check: AccessCheck | None,
        identity: Identity | None,
    ) -> None:
        route = mount.route
        self.mount = mount
        self.passed = frozenset(route.pass_headers)
        self.locate = locate
        self.limits = limits
        self.via = via
        self.report = report
        self.check = check
        self.identity = identity
        self.tunnels = Slots(default_tunnels() if route.max_tunnels is None else route.max_tunnels)
        self.in_flight = Bulkhead(route.max_in_flight, "requests are in flight")

    def hold(self, environ: Mapping[str, Any], start_response: Any) -> Held:
        """The slots of one request, none of which is held yet."""
        return Held(self.limits.workers(environ, start_response), self.tunnels, self.in_flight)
