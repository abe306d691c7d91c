"""The same routes for Traefik: one file that is its static and its dynamic configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..routing.route import Route
from .claims import CLAIMS, dropped
from .comments import comment, heading, out_of_reach, remarks
from .patterns import DOTS, decoded, encoded
from .plan import Abilities, Place, plan, warnings_of
from .servers import base as base_of
from .servers import origin, tls_name
from .site import Export, Site
from .spans import seconds
from .yaml_text import Commented, dump

__all__ = ["ABILITIES", "FILE", "write"]

ABILITIES = Abilities(
    "Traefik",
    frozenset(
        [
            "strip_prefix",
            "add_slash",
            "host_match",
            "host",
            "request_headers",
            "response_headers",
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
        "upgrade": "every switch of protocols passes",
        "idle_timeout": "tunnels and streams may be silent for ever",
    },
    {
        "location": "redirects are led back under the prefix",
        "origin": "Origin and Referer are told as the upstream knows itself",
        "cookies": "cookies are confined to the prefix",
        "hide_cookies": "cookies are kept from the upstream",
        "max_body": "only a body held in memory as a whole could be limited",
        "forwarded": "X-Forwarded-For is always told, Forwarded never",
        "trusted_proxies": "who is believed is the same for all routes",
        "unix socket": "there are no unix sockets",
        "several bases": "its servers have different schemes or base paths",
        "host port": "host_match holds a port, which Host() does not look at",
        "odd host": "host_match can stand in no Host header",
    },
)
#: Where the file says that it is: it names itself as the dynamic part.
FILE = "/etc/traefik/traefik.yml"
_PLACE = f"It is a whole file, {FILE} (Traefik 3.7 or newer)."
_CODED = ("Slash", "BackSlash", "NullCharacter", "Semicolon", "Percent", "QuestionMark", "Hash")


def write(site: Site, without: Iterable[str] = ()) -> Export:
    """The routes of a site for Traefik.

    :param without: needs that the user gives up, see :func:`~wsgiproxy.export.plan.plan`.
    """
    sets = {mount.route.trusted_proxies for mount in site.mounts}
    can = ABILITIES
    if len(sets) == 1:
        can = can._replace(writes=can.writes | {"trusted_proxies"})
    places = plan(site, can, without)
    networks = [str(network) for network in min(sets, key=len, default=())]
    text = dump({**_static(site, networks), "http": _dynamic(site, places)})
    head = "\n".join([*heading(site, "traefik", _PLACE), ""])
    return Export(head + text, tuple(warnings_of(places, can)))


def _static(site: Site, networks: Sequence[str]) -> dict[str, Any]:
    """The entry point, and where the rest is found."""
    address = f":{site.at.port}" if site.at.is_wildcard else str(site.at)
    entry: dict[str, Any] = {
        "address": address,
        # A large upload may take its time.
        "transport": {"respondingTimeouts": {"readTimeout": 0}},
        "http": {
            "aliasHeadersStrategy": "delete",
            "encodedCharacters": {f"allowEncoded{name}": True for name in _CODED},
        },
    }
    if networks:
        entry["forwardedHeaders"] = {"trustedIPs": list(networks)}
    return {
        "entryPoints": {"wsgiproxy": entry},
        "providers": {"file": {"filename": FILE}},
        "accessLog": {},
    }


def _dynamic(site: Site, places: Sequence[Place]) -> dict[str, Any]:
    taken = [place for place in places if not place.kept]
    own = [(name, value) for place in taken for name, value in _middlewares(site, place).items()]
    transports = {f"route-{p.number}": _transport(p) for p in taken}
    services = {f"route-{p.number}": _service(p) for p in taken}
    whole = {"servers": [{"url": f"http://{site.to}"}], **_PASSED_ON}
    return {
        "routers": dict(_routers(places)),
        "middlewares": {
            "claims": {"headers": {"customRequestHeaders": dict.fromkeys(_CLEARED, "")}},
            **dict(own),
        },
        "services": {**services, "wsgiproxy": {"loadBalancer": whole}},
        **({"serversTransports": transports} if transports else {}),
    }


_PASSED_ON = {"responseForwarding": {"flushInterval": "-1s"}}
#: The entry point itself decides about these.
_CLEARED = tuple(
    name
    for name in CLAIMS
    if name.lower()
    not in (
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-forwarded-prefix",
    )
)


# -- routers -----------------------------------------------------------------------------


def _routers(places: Sequence[Place]) -> Iterable[tuple[str, Any]]:
    """The first route has the highest priority. Paths with dots in them this proxy refuses."""
    last = len(places) * 2 + 2
    yield "dots", _router(f"PathRegexp(`{DOTS}`)", last, "wsgiproxy", [])
    for place in places:
        if place.is_out_of_reach:
            continue
        service = "wsgiproxy" if place.kept else f"route-{place.number}"
        priority, names = last - place.number * 2, _names(place)
        rule = _host(place) + f"PathRegexp(`^{_routed(place.mount.prefix)}(?:/|$)`)"
        router = _router(rule, priority, service, names)
        yield f"route-{place.number}", Commented(router, list(remarks(place, ABILITIES)))
        if _redirects(place):
            bare = f"PathRegexp(`^{_routed(place.mount.prefix)}$`)"
            rule = f"{_host(place)}{bare} && {_PLAIN_GET}"
            slash = _router(rule, priority + 1, service, [f"slash-{place.number}"])
            yield f"slash-{place.number}", slash
    rest = _router("PathPrefix(`/`)", 1, "wsgiproxy", [])
    yield (
        "everything-else",
        Commented(rest, [*out_of_reach(places, ABILITIES), comment("everything else")]),
    )


_PLAIN_GET = "(Method(`GET`) || Method(`HEAD`)) && !HeaderRegexp(`Upgrade`, `.`)"


def _router(rule: str, priority: int, service: str, middlewares: Sequence[str]) -> dict[str, Any]:
    router: dict[str, Any] = {
        "entryPoints": ["wsgiproxy"],
        "rule": rule,
        "priority": priority,
        "service": service,
    }
    return {**router, "middlewares": ["claims", *middlewares]}


def _host(place: Place) -> str:
    return f"Host(`{place.host}`) && " if place.host else ""


def _routed(prefix: str) -> str:
    """A pattern for a path as Traefik compares it: decoded, but for reserved characters.

    Those stay encoded where the client has encoded them (RFC 3986, 2.2).
    """
    return "".join(
        f"(?:{decoded(c)}|%(?i:{ord(c):02x}))" if c in _RESERVED else decoded(c) for c in prefix
    )


_RESERVED = ":[]@!$&'()*+,;="


def _redirects(place: Place) -> bool:
    route = place.mount.route
    return bool(place.mount.prefix and route.strip_prefix and route.add_slash and not place.kept)


# -- middlewares -------------------------------------------------------------------------


def _names(place: Place) -> list[str]:
    """The middlewares of a route in their order: who may pass is asked first."""
    if place.kept:
        return []
    order = ("auth", "path", "headers", "retry")
    made = _kinds(place)
    return [f"{kind}-{place.number}" for kind in order if made[kind]]


def _middlewares(site: Site, place: Place) -> dict[str, Any]:
    made = _kinds(place)
    made["auth"] = _auth(site, place) if made["auth"] else None
    if _redirects(place):
        made["slash"] = _slash(place)
    return {f"{kind}-{place.number}": value for kind, value in made.items() if value}


def _kinds(place: Place) -> dict[str, Any]:
    mount, route = place.mount, place.mount.route
    base = base_of(place.mount)
    cut = "/[^/]*" * mount.prefix.count("/") if route.strip_prefix else ""
    path = {"regex": f"^{cut}/?(.*)$", "replacement": base.replace("$", "$$") + "/$1"}
    count = len(route.upstream.servers)
    return {
        "auth": route.auth is not None,
        "path": {"replacePathRegex": path} if cut or base else None,
        "headers": {"headers": _headers(place)},
        "retry": {"retry": {"attempts": count}} if count > 1 else None,
    }


def _headers(place: Place) -> dict[str, Any]:
    route = place.mount.route
    request = {"X-Forwarded-Server": "", "X-Real-IP": "", "X-Replaced-Path": ""}
    if place.mount.prefix:
        request["X-Forwarded-Prefix"] = encoded(place.mount)
    if not _is_passed(route):
        request["Host"] = origin(place.mount).partition("://")[2]
    request |= _changes(route.request_headers)
    response = {**dict.fromkeys(dropped(place.mount), ""), **_changes(route.response_headers)}
    return {"customRequestHeaders": request, "customResponseHeaders": response}


def _is_passed(route: Route) -> bool:
    """Whether Traefik itself knows the ``Host``: the client's, or each server's own."""
    is_several = len(route.upstream.servers) > 1
    return route.host == "client" or (route.host == "upstream" and is_several)


def _changes(changes: Iterable[tuple[str, str | None]]) -> Mapping[str, str]:
    return {name: value or "" for name, value in changes}


def _auth(site: Site, place: Place) -> dict[str, Any]:
    names = list(place.mount.route.copy_headers)
    asked: dict[str, Any] = {"address": f"http://{site.to}{place.mount.route.auth}"}
    if names:
        asked["authResponseHeaders"] = names
    asked["maxResponseBodySize"] = 1 << 20
    return {"forwardAuth": {**asked, "trustForwardHeader": True, "preserveLocationHeader": True}}


def _slash(place: Place) -> dict[str, Any]:
    there = ("/" + encoded(place.mount).lstrip("/") + "/").replace("$", "$$")
    regex = r"^https?://[^/]+/[^?]*(\?.*)?$"
    return {"redirectRegex": {"regex": regex, "replacement": there + "$1", "permanent": True}}


# -- services ----------------------------------------------------------------------------


def _service(place: Place) -> dict[str, Any]:
    route, options = place.mount.route, place.mount.route.upstream.options
    urls = [{"url": _origin(server.url)} for server in route.upstream.servers]
    service: dict[str, Any] = {
        "passHostHeader": not _is_passed(route) or route.host == "client",
        "servers": urls,
        "serversTransport": f"route-{place.number}",
        **_PASSED_ON,
    }
    if len(urls) > 1:
        service["passiveHealthCheck"] = {
            "maxFailedAttempts": options.max_fails or 1,
            "failureWindow": seconds(options.fail_timeout),
        }
    return {"loadBalancer": service}


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _transport(place: Place) -> dict[str, Any]:
    options, server = place.mount.route.upstream.options, place.mount.route.upstream.servers[0]
    transport: dict[str, Any] = {
        "maxIdleConnsPerHost": options.pool_size or 1,
        "disableHTTP2": True,
        "forwardingTimeouts": {
            "dialTimeout": seconds(options.connect_timeout, "0s"),
            "responseHeaderTimeout": seconds(options.read_timeout, "0s"),
        },
    }
    if server.scheme == "https":
        transport["serverName"] = tls_name(server)
        if not options.verify:
            transport["insecureSkipVerify"] = True
        elif options.ca:
            transport["rootCAs"] = [options.ca]
        if options.client_cert:
            key = options.client_key or options.client_cert
            transport["certificates"] = [{"certFile": options.client_cert, "keyFile": key}]
    return transport
