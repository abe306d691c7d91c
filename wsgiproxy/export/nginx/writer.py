"""The file for nginx, put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..comments import comment, heading, out_of_reach, remarks
from ..plan import Abilities, Place, plan, warnings_of
from ..site import Export, Site
from . import maps
from .locations import PASSED, auth_locations, locations, request_fields, to_this_proxy, upstream
from .text import DOLLAR, block, pattern

__all__ = ["ABILITIES", "write"]

ABILITIES = Abilities(
    "nginx",
    frozenset(
        [
            "strip_prefix",
            "add_slash",
            "host_match",
            "host",
            "forwarded",
            "trusted_proxies",
            "request_headers",
            "response_headers",
            "hide_cookies",
            "max_body",
            "upgrade",
            "idle_timeout",
            "connect_timeout",
            "read_timeout",
            "pool_size",
            "verify",
            "ca",
            "client_cert",
            "client_key",
            "max_fails",
            "fail_timeout",
            "auth",
            "copy_headers",
            "pass_headers",
            "write_timeout",
        ]
    ),
    {"max_tunnels": "worker_connections limits all connections together"},
    {
        "several bases": "its servers have different schemes or base paths",
        "host port": "host_match holds a port, which server_name does not look at",
        "odd host": "host_match can stand in no Host header",
        "odd values": "a header's value holds letters beyond ASCII, whose bytes a file may change",
    },
)
_PLACE = "It belongs into http { }, as /etc/nginx/conf.d/wsgiproxy.conf (nginx 1.22 or newer)."


#: What an upstream could tell nginx to do; here these are headers like any other.
_ACCEL = ("Redirect", "Expires", "Limit-Rate", "Buffering", "Charset")


def write(site: Site, without: Iterable[str] = ()) -> Export:
    """The routes of a site for nginx.

    :param without: needs that the user gives up, see :func:`~wsgiproxy.export.plan.plan`.
    """
    places = plan(site, ABILITIES, without)
    trusted = _Trusted(places)
    lines = [*heading(site, "nginx", _PLACE), ""]
    lines += block("upstream wsgiproxy_self", [f"server {site.to};", "keepalive 32;"])
    for place in places:
        lines += [] if place.kept else _before(place, trusted)
    lines += [*maps.shared(), *maps.node(), *trusted.lines()]
    if any(place.mount.route.auth is not None for place in places if not place.kept):
        lines += maps.refusal_maps()
    lines += _targets(places)
    lines += _servers(site, places, trusted)
    if DOLLAR in "\n".join(lines):
        lines.insert(len(heading(site, "", "")) + 1, f'geo ${DOLLAR} {{ default "$"; }}')
    return Export("\n".join(lines) + "\n", tuple(warnings_of(places, ABILITIES)))


def _targets(places: Iterable[Place]) -> list[str]:
    """The maps that give what to ask for, one for each number of segments."""
    mounts = [place.mount for place in places if not place.kept]
    kinds = {(mount.route.strip_prefix, mount.prefix.count("/")) for mount in mounts}
    return [
        line
        for strips, segments in sorted(kinds)
        for line in (maps.after_map if strips else maps.whole_map)(segments)
    ]


class _Trusted:
    """The numbers of the sets of addresses that are believed; 0 is all of them together."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.sets: list[tuple[Any, ...]] = []
        everywhere = sorted({n for p in places for n in p.mount.route.trusted_proxies}, key=str)
        self.everywhere = tuple(everywhere)
        for networks in (self.everywhere, *(p.mount.route.trusted_proxies for p in places)):
            if networks not in self.sets:
                self.sets.append(networks)

    def number(self, place: Place) -> int:
        """Whom a route believes."""
        return self.sets.index(place.mount.route.trusted_proxies)

    def lines(self) -> list[str]:
        """The maps of all of them."""
        return [
            line
            for number, networks in enumerate(self.sets)
            for line in maps.trust(number, networks)
        ]


def _before(place: Place, trusted: _Trusted) -> list[str]:
    """What a route needs outside its server block."""
    route, number = place.mount.route, trusted.number(place)
    lines = ["", *remarks(place, ABILITIES), *upstream(place)]
    lines += maps.upgrade_maps(place.number, route.upgrade)
    if route.host != "client":
        lines += [*maps.origin_map(place, number), *maps.referer_map(place, number)]
    if route.hide_cookies:
        lines += maps.cookie_map(place)
    if place.does("location"):
        lines += maps.content_location_map(place)
    if route.auth is not None:
        lines += maps.login_map(place)
    return lines


def _servers(site: Site, places: Sequence[Place], trusted: _Trusted) -> list[str]:
    """A server block for every host that a route names, and one for all others."""
    lines = []
    hosts = {place.host for place in places if not place.is_out_of_reach}
    for host in ["", *sorted(hosts - {""})]:
        lines += ["", *block("server", _server(site, host, places, trusted))]
    return lines


def _server(site: Site, host: str, places: Sequence[Place], trusted: _Trusted) -> list[str]:
    listen = str(site.at) if ":" not in site.at.host else f"[{site.at.host}]:{site.at.port}"
    lines = [f"listen {listen}{'' if host else ' default_server'};"]
    lines.append(f"server_name {pattern(host)};" if host else 'server_name "";')
    lines += [*_general(trusted), ""]
    taken: set[str] = set()
    for place in places:
        if _is_for(place, host) and place.mount.prefix not in taken:
            taken.add(place.mount.prefix)
            lines += [*_route(place, trusted), ""]
    if "" not in taken:
        lines += out_of_reach(places, ABILITIES)
        lines += [comment("everything else"), *block("location /", to_this_proxy(0))]
    return lines


def _is_for(place: Place, host: str) -> bool:
    return place.host in ("", host) and not place.is_out_of_reach


def _route(place: Place, trusted: _Trusted) -> list[str]:
    number = trusted.number(place)
    if not place.kept:
        auth = auth_locations(place, number) if place.mount.route.auth is not None else []
        return [comment(place.title), *locations(place, number), *auth]
    lines, prefix = list(remarks(place, ABILITIES)), place.mount.prefix
    for name in [f"= {pattern(prefix)}"] * bool(prefix) + [pattern(prefix + "/")]:
        lines += block(f"location {name}", to_this_proxy(number))
    return lines


def _general(trusted: _Trusted) -> list[str]:
    """What holds for all locations of a server."""
    lines = [
        "merge_slashes off;",
        "absolute_redirect off;",
        "client_max_body_size 0;",
        "large_client_header_buffers 8 64k;",
        "proxy_http_version 1.1;",
        "proxy_buffering off;",
        "proxy_request_buffering off;",
        "proxy_buffer_size 64k;",
        "proxy_busy_buffers_size 128k;",
        "proxy_buffers 4 64k;",
        "proxy_next_upstream error;",
        *(f"proxy_pass_header {name};" for name in PASSED),
        f"proxy_ignore_headers {' '.join(f'X-Accel-{name}' for name in _ACCEL)};",
        "proxy_redirect off;",
        "proxy_read_timeout 1h;",
        "proxy_send_timeout 1h;",
    ]
    lines += [f"set_real_ip_from {network};" for network in trusted.everywhere]
    if trusted.everywhere:
        lines += ["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"]
    return [*lines, *request_fields()]
