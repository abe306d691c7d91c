"""The match: which route a request belongs to and what is asked of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from ..errors import BadRequest, ConfigurationError
from ..protocol.origins import normal_host
from ..protocol.path_readings import climbs, is_ambiguous, normal, readings
from ..protocol.request_target import cut, encode_path, host_of, raw_target
from ..settings.options import check_names
from .route import Route

__all__ = ["Match", "Mount", "Router"]

_encoded = lru_cache(256)(encode_path)  # there are few prefixes


class Mount:
    """A route at its prefix, with what can be computed before the first request."""

    __slots__ = ("host", "inside", "path", "prefix", "route")

    def __init__(self, prefix: str, route: Route) -> None:
        if not prefix.startswith("/") or re.search(r"//|/\.\.?(/|$)|[?#%\\\x00-\x20\x7f]", prefix):
            raise ConfigurationError(
                f"prefix {prefix!r} is no plain path; write one such as /new_req, not encoded"
            )
        self.prefix = prefix.rstrip("/")
        #: As PATH_INFO spells it: UTF-8 bytes as latin-1 characters (PEP 3333).
        self.path = self.prefix.encode().decode("latin-1")
        self.route = route
        self.host = normal_host(route.host_match or "")
        #: The names by which the upstream may mean itself.
        self.inside = frozenset[str]().union(*(s.origins for s in route.upstream.servers))
        if route.host not in ("upstream", "client"):
            self.inside |= {route.host}

    def takes(self, path: str, host: str) -> bool:
        """Whether a request for this decoded path at this host is the route's."""
        mine = self.path
        return (
            path.startswith(mine)
            and (len(path) == len(mine) or path[len(mine)] == "/")
            and (not self.host or _is_host(host, self.host))
        )


class Match(NamedTuple):
    """What a request asks of a route."""

    mount: Mount
    public: str  #: the path of the prefix for the client, decoded as PEP 3333 has it
    prefix: str  #: the same, percent-encoded; empty for the root
    path: str  #: the rest, decoded; empty or with a slash first
    raw_path: str  #: the rest as the client spelt it, or encoded once
    query: str  #: the query as it came, with its question mark if there was one


class Router:
    """Finds the route with the longest prefix that ends on a segment boundary.

    :param routes: URL, :class:`Route` or :class:`Upstream` by prefix; or pairs of these, for
        routes that differ by ``host_match`` only.
    :param defaults: options for the routes that are given as URLs.
    :raises ConfigurationError: for two equal prefixes, or an unknown option.
    """

    def __init__(
        self,
        routes: Mapping[str, Any] | Iterable[tuple[str, Any]],
        defaults: Mapping[str, Any],
    ) -> None:
        check_names(defaults, Route.names(), "route defaults")
        pairs = routes.items() if isinstance(routes, Mapping) else routes
        self.mounts = [Mount(prefix, _as_route(given, defaults, prefix)) for prefix, given in pairs]
        seen: set[tuple[str, str]] = set()
        for mount in self.mounts:
            if (mount.prefix, mount.host) in seen:
                raise ConfigurationError(
                    f"two routes for prefix {mount.prefix or '/'!r}; merge them or change one"
                )
            seen.add((mount.prefix, mount.host))
        self._everywhere = self._starting_with("")
        self._by_segment = {
            segment: self._starting_with(segment)
            for segment in {_segment(mount.path) for mount in self.mounts}
        }

    def _starting_with(self, segment: str) -> tuple[Mount, ...]:
        chosen = [mount for mount in self.mounts if _segment(mount.path) in ("", segment)]
        return tuple(sorted(chosen, key=lambda mount: (-len(mount.path), not mount.host)))

    def candidates(self, path: str) -> tuple[Mount, ...]:
        """The mounts that may take a path, by its first segment; the hot path's one look-up."""
        return self._by_segment.get(path[1:].partition("/")[0], self._everywhere)

    def find(self, path: str, host: str) -> Mount | None:
        """The mount for a decoded path at a host."""
        for mount in self.candidates(path):
            if mount.takes(path, host):
                return mount
        return None

    def match(self, environ: Mapping[str, Any]) -> Match | None:
        """What this request asks, or ``None`` if no route is concerned.

        :raises BadRequest: for a path that leaves its prefix once it is decoded or
            normalised, that could be another route's, or that is no valid target.
        """
        mount = self.find(environ.get("PATH_INFO", ""), host_of(environ))
        return None if mount is None else self.locate(mount, environ)

    def locate(self, mount: Mount, environ: Mapping[str, Any]) -> Match:
        """What this request asks of the mount that was found for it.

        :raises BadRequest: see :meth:`match`.
        """
        path: str = environ.get("PATH_INFO", "")
        public = environ.get("SCRIPT_NAME", "") + mount.path
        raw_path, query = raw_target(environ, environ.get("SCRIPT_NAME", "") + path)
        prefix = _encoded(public)
        raw_rest = cut(raw_path, public, prefix) if public else raw_path
        if is_ambiguous(path) or raw_rest.startswith("//"):
            self._check(mount, raw_rest, host_of(environ))
        return Match(mount, public, prefix, path[len(mount.path) :], raw_rest, query)

    def _check(self, mount: Mount, raw_path: str, host: str) -> None:
        """Every reading of what goes upstream must stay with this route and below its prefix.

        :param raw_path: what follows the prefix, as it goes upstream.
        """
        for reading in readings(raw_path or "/"):
            if climbs(reading):
                raise BadRequest(f"{raw_path[:200]!r} leaves the prefix {mount.prefix!r}")
            if self.find(mount.path + normal(reading), host) is not mount:
                raise BadRequest(f"{raw_path[:200]!r} may mean another route than {mount.prefix!r}")


def _as_route(given: Any, defaults: Mapping[str, Any], prefix: str) -> Route:
    try:
        return given if isinstance(given, Route) else Route(given, **defaults)
    except ConfigurationError as error:
        raise ConfigurationError(f"route {prefix}: {error}") from None


def _segment(path: str) -> str:
    return path[1:].partition("/")[0]


def _is_host(host: str, wanted: str) -> bool:
    if ":" in wanted:
        return host.lower() == wanted
    return normal_host(re.sub(r":[0-9]*$", "", host)) == wanted
