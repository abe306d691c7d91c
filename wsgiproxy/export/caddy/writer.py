"""The Caddyfile, put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..comments import comment, heading, remarks
from ..plan import Abilities, Place, plan, warnings_of
from ..site import Export, Site
from .auth import auth
from .request import claims_removed, facts, matcher, refusals, request_lines
from .text import block
from .upstream import reverse_proxies, told

__all__ = ["ABILITIES", "write"]

ABILITIES = Abilities(
    "Caddy",
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
        ]
    ),
    {
        "max_tunnels": "connections are not limited",
        "write_timeout": "a client that takes nothing is given up when its connection breaks",
    },
    {
        "several bases": "its servers have different schemes or base paths",
        "host port": "host_match holds a port, which Caddy's host does not look at",
        "odd host": "host_match can stand in no Host header",
        "odd values": "a header's value holds letters beyond ASCII, whose bytes a file may change",
        "odd braces": "a text holds {$, which Caddy takes for a variable of the environment",
    },
)
_PLACE = "It is a whole Caddyfile, /etc/caddy/Caddyfile (Caddy 2.10 or newer)."


def write(site: Site, without: Iterable[str] = ()) -> Export:
    """The routes of a site for Caddy.

    :param without: needs that the user gives up, see :func:`~wsgiproxy.export.plan.plan`.
    """
    places = plan(site, ABILITIES, without)
    lines = [*heading(site, "caddy", _PLACE), ""]
    lines += ["{", "\tauto_https off", "}"]
    inside = [*_bound(site), "log", *block("route", _routes(site, places))]
    lines += ["", *block(f"http://:{site.at.port}", inside)]
    return Export("\n".join(lines) + "\n", tuple(warnings_of(places, ABILITIES)))


def _bound(site: Site) -> list[str]:
    return [] if site.at.is_wildcard else [f"bind {site.at.host}"]


def _routes(site: Site, places: Sequence[Place]) -> Iterator[str]:
    """One block for each route, tried in this order, and one for everything else."""
    everywhere = sorted({n for p in places for n in p.mount.route.trusted_proxies}, key=str)
    for place in places:
        yield ""
        yield from remarks(place, ABILITIES)
        if place.is_out_of_reach:
            continue
        yield from matcher(place)
        inside = _self(site, place.number, place.mount.route.trusted_proxies)
        if not place.kept:
            inside = _route(site, place)
        yield from block(f"handle @route_{place.number}", block("route", inside))
    yield ""
    yield comment("everything else")
    yield from block("handle", block("route", _self(site, 0, everywhere)))


def _port(number: int) -> Iterator[str]:
    """The port that the client asked for."""
    yield from block(f"@https_{number}", ["vars {http.vars.proto} https"])
    yield "vars port 80"
    yield f"vars @https_{number} port 443"
    named = f"port_{number}"
    yield from block(f"@{named}", [f"vars_regexp {named} {{http.vars.asked}} :([0-9]+)$"])
    yield f"vars @{named} port {{http.regexp.{named}.1}}"


def _route(site: Site, place: Place) -> Iterator[str]:
    networks = place.mount.route.trusted_proxies
    yield from refusals(place)
    yield from facts(place.number, networks)
    yield from _port(place.number)
    yield from _claimed_port(place.number, networks)
    yield from claims_removed(place.number, bool(networks))
    if place.mount.route.auth is not None:
        yield from auth(site, place)
    yield from request_lines(place)
    yield from reverse_proxies(place)


def _claimed_port(number: int, networks: Sequence[Any]) -> Iterator[str]:
    if networks:
        lines = [f"remote_ip {' '.join(map(str, networks))}", "header X-Forwarded-Port *"]
        yield from block(f"@claims_port_{number}", lines)
        yield f"vars @claims_port_{number} port {{http.request.header.X-Forwarded-Port}}"


def _self(site: Site, number: int, networks: Sequence[Any]) -> Iterator[str]:
    """Leave it to this proxy."""
    yield from facts(number, networks)
    yield from _port(number)
    yield from _claimed_port(number, networks)
    yield from claims_removed(number, bool(networks))
    lines = ["flush_interval -1"]
    if networks:
        lines.append(f"trusted_proxies {' '.join(map(str, networks))}")
    lines += [
        *told("", "x-forwarded"),
        *block("transport http", ["versions 1.1", "compression off"]),
    ]
    yield from block(f"reverse_proxy {site.to}", lines)
