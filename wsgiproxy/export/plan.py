"""Which routes a target can take over, and what is to be said about them.

A writer says which options it writes, which do not matter where it runs, and which it has
nothing for. Options are taken from the route's own table, so that one that no writer has heard of
is seen: its route stays with this proxy until somebody teaches the writer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from ..errors import ConfigurationError
from ..routing.route import Route
from ..routing.router import Mount
from .servers import host as host_of
from .servers import unix_path
from .site import Site

__all__ = ["Abilities", "Place", "plan", "warnings_of"]

#: What only this proxy does, in whatever target: what is lost without it.
_OURS = {
    "rebase": "links in pages, styles and scripts are led under the prefix",
    "remote_user": "the user's name comes from the wrapped application",
    "remote_user_header": "a header is kept for the name of the user",
    "identity_headers": "headers about the user come from the wrapped application",
    "redirects": "the patterns are Python's regular expressions",
    "rewrites": "the patterns are Python's regular expressions",
    "modify_request": "a hook in Python sees every request",
    "modify_response": "a hook in Python sees every response",
    "on_error": "a hook in Python answers for failures",
    "theming": "a theme lies around every page",
}
#: Limits of this proxy's own threads.
_THREADS = {
    "stream_types": "every response is passed on as it comes",
    "relay_over": "no worker thread is held by a response",
    "max_in_flight": "no worker thread is held by a response",
    "auth_cache": "who may pass is asked at each request",
}


# Names that no target's grammar takes for a pattern, and that a Host header may hold.
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


_LABEL = "[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SERVICE = re.compile(rf"{_LABEL}(?:\.{_LABEL}(?:\.svc(?:\.cluster\.local)?)?)?")


_UNKNOWN = "the writer for {} does not know this option"


class Abilities(NamedTuple):
    """What a target's writer can do.

    :ivar name: the target's name in sentences.
    :ivar writes: options that come out right.
    :ivar notes: options that are not written, with the reason why that does no harm.
    :ivar lacks: options and needs that the target has nothing for, with what would be lost.
    """

    name: str
    writes: frozenset[str]
    notes: Mapping[str, str]
    lacks: Mapping[str, str]


class Place(NamedTuple):
    """A route and what becomes of it.

    :ivar number: its place in the order in which routes are tried, from 1.
    :ivar kept: why it stays with this proxy, as pairs of need and reason; nothing if it does not.
    :ivar notes: pairs of option and remark that go into a comment.
    :ivar given_up: needs that the user lets go.
    """

    mount: Mount
    number: int
    kept: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]
    given_up: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """How a comment calls it: host and prefix, and where it leads."""
        return f"{name_of(self.mount)} -> {' '.join(self.mount.route.upstream.urls)}"

    @property
    def host(self) -> str:
        """The host whose requests are looked at; a port in ``host_match`` this proxy looks at."""
        is_open = "host port" in dict(self.kept)
        return self.mount.host.rpartition(":")[0] if is_open else self.mount.host

    @property
    def is_out_of_reach(self) -> bool:
        """Whether no request can be for the route: its host is none."""
        return "odd host" in dict(self.kept)

    def does(self, need: str) -> bool:
        """Whether something is to be written that the user has not given up."""
        return need not in self.given_up


def plan(site: Site, can: Abilities, without: Iterable[str] = ()) -> list[Place]:
    """What becomes of each route of a site.

    :param without: needs that the user gives up, so that they keep no route here.
    :raises ConfigurationError: for ``auth``, or a name that is no need.
    """
    given_up = frozenset(without)
    _check(given_up, can)
    return [_place(site, mount, number, can, given_up) for number, mount in _numbered(site)]


def _numbered(site: Site) -> Iterable[tuple[int, Mount]]:
    return enumerate(site.mounts, 1)


def _check(given_up: frozenset[str], can: Abilities) -> None:
    if "auth" in given_up:
        raise ConfigurationError("auth cannot be given up: everybody would be let in")
    known = {*Route.table(), *_OURS, *can.lacks}
    for name in sorted(given_up - known):
        raise ConfigurationError(f"--without {name}: there is no such thing to give up")


def _place(
    site: Site, mount: Mount, number: int, can: Abilities, given_up: frozenset[str]
) -> Place:
    kept, notes = [], []
    for need in _needs(site, mount):
        reason = _problem(site, mount, need, can)
        if reason and need not in given_up:
            kept.append((need, reason))
        elif reason:
            notes.append((need, f"given up: {reason}"))
        elif need in can.notes or need in _THREADS:
            notes.append((need, can.notes.get(need) or _THREADS[need]))
    # Of a route that stays here nothing is lost.
    return Place(mount, number, tuple(kept), () if kept else tuple(notes), given_up)


def _needs(site: Site, mount: Mount) -> list[str]:
    """All that a route asks for beyond the defaults, and what its URLs ask for."""
    route = mount.route
    needs = [] if not site.is_themed else ["theming"]
    needs += [name for name, row in _rows(route) if _value(route, name) != row.default]
    needs += [name for name, is_needed in _derived(mount).items() if is_needed]
    return needs


def _rows(route: Route) -> Iterable[tuple[str, object]]:
    return route.table().items()


def _value(route: Route, name: str) -> object:
    """An option's value, where it was given: to the route, or to its upstream."""
    return getattr(route.upstream.options, name, getattr(route, name))


def _derived(mount: Mount) -> dict[str, bool]:
    """What no option says but the URLs do; a target has it unless it ``lacks`` it."""
    route, servers = mount.route, mount.route.upstream.servers
    is_cut = bool(route.strip_prefix and mount.prefix)
    is_moved = is_cut or bool(servers[0].base)
    host = mount.host
    return {
        "location": is_moved or route.host != "client",
        "cookies": is_moved or route.host != "client",
        "origin": route.host != "client",
        "claims": True,
        "beyond": True,
        "strip": is_cut,
        "base": bool(servers[0].base),
        "https": servers[0].scheme == "https",
        "unix socket": any(map(unix_path, servers)),
        "several servers": len(servers) > 1,
        "several bases": len({(server.scheme, server.base) for server in servers}) > 1,
        "services": not all(_is_service(host_of(server)) for server in servers),
        "host port": bool(host) and host.rpartition(":")[2].isdigit() and ":" in host,
        "odd host": bool(host) and not _NAME.fullmatch(host),
        "odd values": any(not text.isascii() for text in _texts(route)),
        "odd braces": any("{$" in text for text in _texts(route)),
    }


def _is_service(host: str) -> bool:
    """Whether a host can be a Service of the cluster: ``name[.namespace[.svc[.domain]]]``."""
    return bool(_SERVICE.fullmatch(host)) and host != "localhost"


def _texts(route: Route) -> Iterable[str]:
    """The texts of a route that are written as they stand, and come from outside."""
    options = route.upstream.options
    files = (options.ca, options.client_cert, options.client_key)
    changes = (*route.request_headers, *route.response_headers)
    yield from (value or "" for value in (*files, *(value for _, value in changes)))
    yield from route.upstream.urls


def _problem(site: Site, mount: Mount, need: str, can: Abilities) -> str:
    """Why a need keeps a route here, or nothing."""
    if need == "auth" and need in can.writes:
        return _auth_problem(site, mount)
    for reasons in (can.lacks, _OURS):
        if need in reasons:
            return reasons[need]
    is_known = need in can.writes or need in can.notes or need in _THREADS
    return "" if is_known or need not in Route.table() else _UNKNOWN.format(can.name)


def _auth_problem(site: Site, mount: Mount) -> str:
    """Why the application cannot be asked over the wire, or nothing."""
    path = mount.route.auth
    if not isinstance(path, str):
        return "only inside the process can the application be asked for the same path"
    asked = unquote(path.partition("?")[0])
    for other in site.mounts:
        is_met = not (mount.host and other.host) or mount.host == other.host
        if is_met and other.takes(asked, other.host):
            return f"the path {path} that is to be asked lies under {name_of(other)}"
    return ""


def name_of(mount: Mount) -> str:
    """Host and prefix of a route."""
    return f"{mount.host}{mount.prefix or '/'}"


def warnings_of(places: Iterable[Place], can: Abilities) -> list[str]:
    """What the user should be told: which routes stay here, and what was given up."""
    lines = []
    for place in places:
        name = name_of(place.mount)
        lines += [f"{name} stays with this proxy: {need}: {why}" for need, why in place.kept]
        lines += [f"{name}: {need}: {why}" for need, why in place.notes]
    return lines
