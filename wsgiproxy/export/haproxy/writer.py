"""The file for HAProxy, put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..comments import comment, heading, out_of_reach, remarks
from ..plan import Abilities, Place, plan, warnings_of
from ..servers import address, tls_name, unix_path
from ..site import Export, Site
from ..spans import seconds
from .request import claims_removed, facts, request_lines, told
from .response import response_lines
from .text import section, word

__all__ = ["ABILITIES", "write"]

ABILITIES = Abilities(
    "HAProxy",
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
            "max_fails",
            "fail_timeout",
            "pass_headers",
        ]
    ),
    {
        "max_tunnels": "maxconn limits all connections together",
        "write_timeout": "a client that takes nothing is given up after the longest idle_timeout",
    },
    {
        "auth": "asking the application who may pass",
        "copy_headers": "asking the application who may pass",
        "client_key": "certificate and key have to stand in one file, the one of client_cert",
        "several bases": "its servers have different schemes or base paths",
        "odd host": "host_match can stand in no Host header",
        "odd values": "a header's value holds letters beyond ASCII, whose bytes a file may change",
    },
)
_PLACE = "It is a whole file, /etc/haproxy/haproxy.cfg (HAProxy 2.6 or newer, built with PCRE2)."


def write(site: Site, without: Iterable[str] = ()) -> Export:
    """The routes of a site for HAProxy.

    :param without: needs that the user gives up, see :func:`~wsgiproxy.export.plan.plan`.
    """
    places = plan(site, ABILITIES, without)
    taken = [place for place in places if not place.kept]
    lines = [*heading(site, "haproxy", _PLACE), ""]
    lines += section("global", ["log stdout format raw local0", "tune.bufsize 65536"])
    lines += section("defaults", _defaults(taken))
    lines += section("frontend wsgiproxy", _frontend(site, places))
    for place in taken:
        lines += [
            *remarks(place, ABILITIES),
            *section(f"backend wsgiproxy_{place.number}", _backend(place)),
        ]
    lines += [comment("everything else"), *section("backend wsgiproxy_self", _self(site, places))]
    return Export("\n".join(lines).rstrip() + "\n", tuple(warnings_of(places, ABILITIES)))


def _defaults(places: Sequence[Place]) -> Iterator[str]:
    lasting = [place.mount.route.idle_timeout for place in places] or [3600.0]
    longest = None if None in lasting else max(value or 0 for value in lasting)
    yield "mode http"
    yield "log global"
    yield "option httplog"
    # Names with underscores, which some services take for others with dashes.
    yield "option http-restrict-req-hdr-names delete"
    # A client that leaves ends what the server does for it.
    yield "option abortonclose"
    yield "timeout connect 5s"
    yield f"timeout client {seconds(longest, '24d')}"
    yield "timeout server 1h"
    yield "timeout tunnel 1h"
    yield "timeout http-request 60s"
    yield "timeout http-keep-alive 120s"
    yield "default-server init-addr last,libc,none"


def _frontend(site: Site, places: Sequence[Place]) -> Iterator[str]:
    """Which route a request is for: by the decoded path, and by the host."""
    yield f"bind {site.at}"
    yield "http-request set-uri '%[pathq]' if { url -m reg -i ^https?:// }"
    yield "http-request set-var(txn.path) path,url_dec"
    yield "http-request set-var(txn.host) req.hdr(host),lower"
    yield "http-request set-var(txn.name) req.hdr(host),lower,host_only"
    for place in places:
        if not place.is_out_of_reach:
            yield from _rule(place)
    yield from out_of_reach(places, ABILITIES)
    yield "default_backend wsgiproxy_self"


def _rule(place: Place) -> Iterator[str]:
    mount, number = place.mount, place.number
    if place.kept:
        yield from remarks(place, ABILITIES)
    condition = f"at_{number}"
    yield f"acl at_{number} var(txn.path) -m str -- {word(mount.prefix or '/')}"
    yield f"acl at_{number} var(txn.path) -m beg -- {word(mount.prefix + '/')}"
    if mount.host:
        variable = "txn.host" if mount.host.rpartition(":")[2].isdigit() else "txn.name"
        yield f"acl host_{number} var({variable}) -m str -- {word(mount.host)}"
        condition += f" host_{number}"
    backend = "self" if place.kept else number
    yield f"use_backend wsgiproxy_{backend} if {condition}"


def _backend(place: Place) -> Iterator[str]:
    route, options = place.mount.route, place.mount.route.upstream.options
    yield f"timeout connect {seconds(options.connect_timeout, '24d')}"
    yield f"timeout server {seconds(options.read_timeout, '24d')}"
    yield f"timeout tunnel {seconds(route.idle_timeout, '24d')}"
    yield from request_lines(place)
    yield from response_lines(place)
    yield from _servers(place)


def _servers(place: Place) -> Iterator[str]:
    """The servers, which take turns; one that cannot be reached is left alone for a while."""
    options, servers = place.mount.route.upstream.options, place.mount.route.upstream.servers
    health = ""
    if len(servers) > 1:
        pause = seconds(options.fail_timeout)
        yield "balance roundrobin"
        yield "option redispatch 1"
        health = (
            f" check inter {pause} fall {options.max_fails or 1} rise 1"
            f" observe layer4 error-limit {options.max_fails or 1} on-error mark-down"
        )
    yield f"retries {len(servers) - 1}"
    for count, server in enumerate(servers, 1):
        path = unix_path(server)
        where = f"unix@{path}" if path else address(server)
        reuse = f" pool-max-conn {options.pool_size}"
        yield f"server s{count} {word(where)}{health}{reuse}{_tls(place)}"


def _tls(place: Place) -> str:
    server, options = place.mount.route.upstream.servers[0], place.mount.route.upstream.options
    if server.scheme != "https":
        return ""
    name = tls_name(server)
    text = f" ssl sni str({name})"
    if options.verify:
        text += f" verify required verifyhost {name} ca-file {word(options.ca or '@system-ca')}"
    else:
        text += " verify none"
    return text + (f" crt {word(options.client_cert)}" if options.client_cert else "")


def _self(site: Site, places: Sequence[Place]) -> Iterator[str]:
    networks = sorted({n for p in places for n in p.mount.route.trusted_proxies}, key=str)
    yield from facts(networks)
    yield from claims_removed("trusted" if networks else "")
    yield from told("", "x-forwarded", bool(networks))
    yield "retries 0"
    yield f"server wsgiproxy {site.to}"
