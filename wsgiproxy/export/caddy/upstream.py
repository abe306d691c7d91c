"""``reverse_proxy``: the servers, how they are reached, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator

from ...upstream import Server
from ..claims import dropped
from ..patterns import (
    Rewrite,
    any_of,
    cookie_domains,
    cookie_paths,
    encoded,
    literal,
    location_steps,
    mapped_prefix,
    own_origin,
)
from ..plan import Place
from ..servers import address, origin, tls_name, unix_path
from ..servers import base as base_of
from ..spans import seconds
from .text import block, fixed, pattern, replacement, word

__all__ = ["reverse_proxies", "told"]


def reverse_proxies(place: Place) -> Iterator[str]:
    """Two of them: one that waits as long as an answer may take, one for what goes on and on."""
    route, number = place.mount.route, place.number
    servers = " ".join(word(_address(server)) for server in route.upstream.servers)
    header = "{http.request.header."
    upgrades = f'{header}Upgrade}} != ""'
    yield f'@lasts_{number} `{upgrades} || {header}Accept}}.contains("text/event-stream")`'
    both = list(_inside(place))
    for condition, span in ((f"@lasts_{number} ", route.idle_timeout), ("", _read(place))):
        transport = block("transport http", _transport(place, span))
        yield from block(f"reverse_proxy {condition}{servers}", [*both, *transport])


def _read(place: Place) -> float | None:
    return place.mount.route.upstream.options.read_timeout


def _address(server: Server) -> str:
    path = unix_path(server)
    return f"unix/{path}" if path else f"{server.scheme}://{address(server)}"


def _inside(place: Place) -> Iterator[str]:
    route, options = place.mount.route, place.mount.route.upstream.options
    count = len(route.upstream.servers)
    if count > 1:
        yield "lb_policy round_robin"
        yield f"lb_retries {count - 1}"
        yield f"max_fails {options.max_fails or 1}"
        yield f"fail_duration {seconds(options.fail_timeout)}"
    yield "flush_interval -1"
    yield f"header_up Host {word(_host(place))}"
    yield from told(encoded(place.mount), route.forwarded, place)
    yield from _response(place)


def _host(place: Place) -> str:
    """``Host``; several servers are each told their own name."""
    route = place.mount.route
    if route.host == "client":
        return "{http.vars.asked}"
    if route.host == "upstream" and len(route.upstream.servers) > 1:
        return "{http.reverse_proxy.upstream.hostport}"
    return origin(place.mount).partition("://")[2]


def told(prefix: str, style: str, place: Place | None = None) -> Iterator[str]:
    """What is told of the client; ``reverse_proxy`` itself tells the address."""
    networks = place.mount.route.trusted_proxies if place else ()
    if networks:
        yield f"trusted_proxies {' '.join(map(str, networks))}"
    if style not in ("x-forwarded", "both"):
        for name in ("For", "Host", "Proto"):
            yield f"header_up -X-Forwarded-{name}"
        return
    yield "header_up X-Forwarded-Host {http.vars.asked}"
    yield "header_up X-Forwarded-Proto {http.vars.proto}"
    yield "header_up X-Forwarded-Port {http.vars.port}"
    if prefix:
        yield f"header_up X-Forwarded-Prefix {word('{http.vars.outer}' + fixed(prefix))}"


def _transport(place: Place, span: float | None) -> Iterator[str]:
    options, servers = place.mount.route.upstream.options, place.mount.route.upstream.servers
    yield "versions 1.1"
    yield "compression off"
    yield f"dial_timeout {seconds(options.connect_timeout, '0')}"
    yield f"response_header_timeout {seconds(span, '0')}"
    yield f"read_timeout {seconds(span, '0')}"
    yield f"keepalive_idle_conns_per_host {options.pool_size or 1}"
    if servers[0].scheme == "https":
        yield f"tls_server_name {tls_name(servers[0])}"
        if not options.verify:
            yield "tls_insecure_skip_verify"
        elif options.ca:
            yield f"tls_trust_pool file {word(fixed(options.ca))}"
        if options.client_cert:
            key = options.client_key or options.client_cert
            yield f"tls_client_auth {word(fixed(options.client_cert))} {word(fixed(key))}"


# -- the response ----------------------------------------------------------------------------


def _response(place: Place) -> Iterator[str]:
    for name in dropped(place.mount):
        yield f"header_down -{name}"
    if place.does("location"):
        for field in ("Location", "Content-Location"):
            yield from _location(place, field)
        yield from _within(place)
    if place.does("cookies"):
        yield from _cookies(place)
    hidden = place.mount.route.hide_cookies
    if hidden:
        yield _down("Set-Cookie", rf"^\s*{any_of(hidden)}\s*=.*$", "")
    for name, value in place.mount.route.response_headers:
        yield (
            f"header_down -{name}" if value is None else f"header_down {name} {word(fixed(value))}"
        )


def _down(field: str, before: str, after: str) -> str:
    return f"header_down {field} {pattern(before)} {word(after) if after else chr(34) * 2}"


def _after(rule: Rewrite) -> str:
    return replacement(rule.before) + ("$1" if rule.has_group else "")


def _location(place: Place, field: str) -> Iterator[str]:
    base = literal(base_of(place.mount))
    path = f"({base}(?:[/?#].*)?)" if base else "(/.*)?"
    yield _down(field, rf"^(?i:(?:https?|wss?)://{{http.request.hostport}}){path}$", "$1")
    for step in location_steps(place.mount):
        yield _down(field, step.pattern, _after(step))


def _within(place: Place) -> Iterator[str]:
    """URLs within other values: what is settled begins with a colon for a while."""
    mount = place.mount
    prefix, base = mapped_prefix(mount), literal(base_of(mount))
    there = replacement(prefix)
    seconds_first = r"^(\s*[0-9.]+\s*[;,]\s*(?:(?i:url)\s*=\s*)?[\x22\x27]?)"
    for field, before, end in (
        ("Refresh", seconds_first, r"[^\x22\x27]*"),
        ("Link", "(<)", "[^>]*"),
    ):
        yield _down(field, f"{before}{own_origin(mount)}(/{end})", "$1$2")
        if prefix:
            yield _down(field, rf"{before}({literal(prefix)}(?:[/?#]{end}|[>\x22\x27]|$))", "$1:$2")
        if prefix or base:
            yield _down(field, rf"{before}{base}(/(?:[^/\\>]{end})?)", f"$1:{there}$2")
            yield _down(field, f"{before}:", "$1")


def _cookies(place: Place) -> Iterator[str]:
    field, rules = "Set-Cookie", cookie_paths(place.mount)
    if rules:
        # RFC 6265bis, 4.1.3.2: such a cookie has Path=/ or is none.
        yield _down(field, r"^(\s*__(?i:host)-.*)$", ":$1")
    attribute = r"([^:;][^;]*;(?:.*;)?\s*(?i:path)\s*=\s*)"
    for rule in rules:
        inner = rule.pattern[1:-1].replace(".*", "[^;]*")
        after = f"$1:{replacement(rule.before)}$2" + ("$3" if rule.has_group else "")
        yield _down(field, rf"^{attribute}{inner}(\s*(?:;.*)?)$", after)
    if rules:
        yield _down(field, f"^{attribute}:(.*)$", "$1$2")
        yield _down(field, "^:(.*)$", "$1")
    names = any_of(cookie_domains(place.mount))
    yield _down(field, rf"^([^;]*(?:;.*?)?);\s*(?i:domain\s*=\s*\.?{names})\s*(;.*)?$", "$1$2")
