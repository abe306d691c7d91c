"""The same routes for the Gateway API of Kubernetes: an ``HTTPRoute`` for each host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .comments import comment, out_of_reach, remarks
from .patterns import encoded
from .plan import Abilities, Place, plan, warnings_of
from .servers import base as base_of
from .servers import origin
from .site import Export, Site
from .yaml_text import Commented, dump

__all__ = ["ABILITIES", "backend", "chosen", "hosts_of", "resource_name", "service", "write"]

ABILITIES = Abilities(
    "the Gateway API",
    frozenset(
        ["strip_prefix", "add_slash", "host_match", "host", "request_headers", "response_headers"]
    ),
    {
        "connect_timeout": "the Gateway has its own",
        "read_timeout": "a timeout of a rule would cut streams",
        "idle_timeout": "the Gateway has its own",
        "pool_size": "the Gateway has its own",
        "max_fails": "Pods that are not ready get no requests",
        "fail_timeout": "Pods that are not ready get no requests",
        "max_tunnels": "the Gateway has its own limits",
        "write_timeout": "the Gateway has its own",
        "upgrade": "every switch of protocols passes",
    },
    {
        "location": "redirects are led back under the prefix",
        "cookies": "cookies are confined to the prefix",
        "origin": "Origin and Referer are told as the upstream knows itself",
        "claims": "more headers of clients are removed than the sixteen that a filter takes",
        "beyond": "headers of responses that reach beyond a prefix are kept from clients",
        "pass_headers": "headers of responses that reach beyond a prefix are kept from clients",
        "hide_cookies": "cookies are kept from the upstream",
        "max_body": "large bodies are refused",
        "forwarded": "the Gateway decides what it tells of clients",
        "trusted_proxies": "the Gateway decides whom it believes",
        "auth": "the application is asked who may pass",
        "copy_headers": "the application is asked who may pass",
        "https": "how a server's certificate is checked is said elsewhere (BackendTLSPolicy)",
        "verify": "how a server's certificate is checked is said elsewhere (BackendTLSPolicy)",
        "ca": "how a server's certificate is checked is said elsewhere (BackendTLSPolicy)",
        "client_cert": "a certificate is shown to the upstream",
        "client_key": "a certificate is shown to the upstream",
        "services": "its URL names no Service; write http://name.namespace:port",
        "unix socket": "there are no unix sockets",
        "several bases": "its servers have different schemes or base paths",
        "host port": "host_match holds a port, which hostnames do not have",
        "odd host": "host_match can stand in no Host header",
        "odd values": "a header's value holds letters beyond ASCII",
    },
)
_HEAD = (
    "Written by: python -m wsgiproxy export kubernetes",
    "A Gateway named wsgiproxy takes the requests; a Service of this proxy gets what it cannot do.",
    "Start this proxy with --trusted-proxies and the addresses of the Gateway.",
)
#: What is removed where the user gives up the rest of ``claims``; a filter takes sixteen.
_REMOVED = [
    "Remote-User",
    "Remote-Name",
    "Remote-Email",
    "Remote-Groups",
    "X-Remote-User",
    "X-Remote-Email",
    "X-Remote-Groups",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-WebAuth-User",
    "X-Authenticated-User",
    "X-Client-Cert",
    "Proxy",
]
#: The same for responses.
_GUARDED = [
    "Strict-Transport-Security",
    "Clear-Site-Data",
    "Service-Worker-Allowed",
    "NEL",
    "Report-To",
    "Accept-CH",
    "Alt-Svc",
    "Set-Login",
    "Origin-Agent-Cluster",
    "X-Accel-Redirect",
    "X-Sendfile",
]


def write(site: Site, without: Iterable[str] = ()) -> Export:
    """The routes of a site as ``HTTPRoute`` objects.

    :param without: needs that the user gives up, see :func:`~wsgiproxy.export.plan.plan`.
    """
    places = plan(site, ABILITIES, without)
    objects = [made for host in hosts_of(places) for made in _objects(site, host, places)]
    head = "".join(comment(line) + "\n" for line in _HEAD)
    return Export(head + "---\n".join(map(dump, objects)), tuple(warnings_of(places, ABILITIES)))


def hosts_of(places: Sequence[Place]) -> list[str]:
    """The hosts that need an object of their own; the first one is for all others."""
    return sorted({"", *(place.host for place in places if not place.is_out_of_reach)})


def resource_name(host: str) -> str:
    """The name of the object for a host."""
    return "wsgiproxy" + ("-" + "".join(c if c.isalnum() else "-" for c in host) if host else "")


def _objects(site: Site, host: str, places: Sequence[Place]) -> Iterator[dict[str, Any]]:
    """All routes that hold for a host: the host decides first, and then the longest path."""
    rules = list(_rules(site, host, places))
    spec: dict[str, Any] = {"parentRefs": [{"name": "wsgiproxy"}]}
    if host:
        spec["hostnames"] = [host]
    for count, start in enumerate(range(0, len(rules), _RULES), 1):
        name = resource_name(host) + (f"-{count}" if count > 1 else "")
        yield {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": name},
            "spec": {**spec, "rules": rules[start : start + _RULES]},
        }


#: So many rules an object may have.
_RULES = 16


def chosen(host: str, places: Sequence[Place]) -> Iterator[Place]:
    """The routes for a host, one for each prefix."""
    seen: set[str] = set()
    for place in places:
        if place.is_out_of_reach:
            continue
        if place.host in ("", host) and place.mount.prefix not in seen:
            seen.add(place.mount.prefix)
            yield place


def _rules(site: Site, host: str, places: Sequence[Place]) -> Iterator[Any]:
    is_whole = False
    for place in chosen(host, places):
        is_whole = is_whole or not place.mount.prefix
        comments = list(remarks(place, ABILITIES))
        if place.kept:
            yield Commented(_rule(encoded(place.mount), [], [backend(site)]), comments)
            continue
        backends = [service(server.url) for server in place.mount.route.upstream.servers]
        yield Commented(_rule(encoded(place.mount), _filters(place), backends), comments)
        if place.mount.prefix and place.mount.route.strip_prefix and place.mount.route.add_slash:
            yield _slash(place)
    if not is_whole:
        comments = [*out_of_reach(places, ABILITIES), comment("everything else")]
        yield Commented(_rule("", [], [backend(site)]), comments)


def _rule(prefix: str, filters: list[Any], backends: list[Any]) -> dict[str, Any]:
    match = {"path": {"type": "PathPrefix", "value": prefix or "/"}}
    rule: dict[str, Any] = {"matches": [match]}
    if filters:
        rule["filters"] = filters
    return {**rule, "backendRefs": backends}


def _slash(place: Place) -> dict[str, Any]:
    """The prefix without its slash; a query stays."""
    path = {"type": "Exact", "value": encoded(place.mount)}
    matches = [{"path": path, "method": method} for method in ("GET", "HEAD")]
    there = {"type": "ReplaceFullPath", "replaceFullPath": encoded(place.mount) + "/"}
    redirect = {"path": there, "statusCode": 301}
    return {
        "matches": matches,
        "filters": [{"type": "RequestRedirect", "requestRedirect": redirect}],
    }


def _filters(place: Place) -> list[dict[str, Any]]:
    mount, route = place.mount, place.mount.route
    filters = [_modifier("Request", _request_changes(place))]
    changes = list(route.response_headers)
    left = max(16 - sum(value is None for _, value in changes), 0)
    changes += [(name, None) for name in _GUARDED if name not in dict(changes)][:left]
    filters.append(_modifier("Response", changes))
    rewrite: dict[str, Any] = {}
    if route.host != "client":
        rewrite["hostname"] = origin(mount).partition("://")[2].partition(":")[0]
    base = base_of(place.mount)
    if (mount.prefix and route.strip_prefix) or base:
        kept = "" if route.strip_prefix else encoded(mount)
        path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": base + kept or "/"}
        rewrite["path"] = path
    if rewrite:
        filters.append({"type": "URLRewrite", "urlRewrite": rewrite})
    return filters


def _request_changes(place: Place) -> list[tuple[str, str | None]]:
    """What the route changes, the prefix, and as many claims as there is room for."""
    changes: list[tuple[str, str | None]] = list(place.mount.route.request_headers)
    if place.mount.prefix:
        changes.append(("X-Forwarded-Prefix", encoded(place.mount)))
    own = {name.lower() for name, _ in changes}
    left = 16 - sum(value is None for _, value in changes)
    return changes + [(name, None) for name in _REMOVED if name.lower() not in own][: max(left, 0)]


def _modifier(side: str, changes: Iterable[tuple[str, str | None]]) -> dict[str, Any]:
    changes = list(changes)
    values = {
        "set": [{"name": name, "value": value} for name, value in changes if value is not None],
        "remove": [name for name, value in changes if value is None],
    }
    kind = f"{side}HeaderModifier"
    return {"type": kind, kind[0].lower() + kind[1:]: {k: v for k, v in values.items() if v}}


def service(url: str) -> dict[str, Any]:
    """A Service from ``http://name.namespace:port``."""
    netloc = url.partition("://")[2].partition("/")[0]
    host, _, port = netloc.partition(":")
    name, _, rest = host.partition(".")
    namespace = rest.partition(".")[0]
    found: dict[str, Any] = {"name": name}
    if namespace:
        found["namespace"] = namespace
    return {**found, "port": int(port or 80)}


def backend(site: Site) -> dict[str, Any]:
    """The Service of this proxy."""
    return service(f"http://{site.to}")
