"""The same routes as an ``Ingress`` of Kubernetes: hosts, prefixes and Services, nothing more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from . import kubernetes
from .comments import comment, out_of_reach, remarks
from .patterns import encoded
from .plan import Abilities, Place, plan, warnings_of
from .site import Export, Site
from .yaml_text import Commented, dump

__all__ = ["ABILITIES", "write"]

ABILITIES = Abilities(
    "an Ingress",
    frozenset(("strip_prefix", "add_slash", "host_match", "host")),
    kubernetes.ABILITIES.notes,
    {
        **kubernetes.ABILITIES.lacks,
        "claims": "headers of clients are removed",
        "strip": "the prefix is taken off the path",
        "base": "a base path is put before every path",
        "several servers": "a path has one Service",
        "request_headers": "headers of the request are changed",
        "response_headers": "headers of the response are changed",
    },
)
_HEAD = (
    "Written by: python -m wsgiproxy export ingress",
    "A Service of this proxy gets what an Ingress cannot do.",
    "Start this proxy with --trusted-proxies and the addresses of the Ingress controller.",
)


def write(site: Site, without: Iterable[str] = ()) -> Export:
    """The routes of a site as one ``Ingress``.

    :param without: needs that the user gives up, see :func:`~wsgiproxy.export.plan.plan`.
    """
    places = plan(site, ABILITIES, without)
    rules = [_rule(site, host, places) for host in kubernetes.hosts_of(places)]
    document = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "wsgiproxy"},
        "spec": {"rules": rules},
    }
    head = "".join(comment(line) + "\n" for line in _HEAD)
    return Export(head + dump(document), tuple(warnings_of(places, ABILITIES)))


def _rule(site: Site, host: str, places: Sequence[Place]) -> dict[str, Any]:
    http = {"http": {"paths": list(_paths(site, host, places))}}
    return {"host": host, **http} if host else http


def _paths(site: Site, host: str, places: Sequence[Place]) -> Iterator[Any]:
    own = kubernetes.backend(site)
    is_whole = False
    for place in kubernetes.chosen(host, places):
        is_whole = is_whole or not place.mount.prefix
        service = own if place.kept else kubernetes.service(place.mount.route.upstream.urls[0])
        path = _path(encoded(place.mount) or "/", service)
        yield Commented(path, list(remarks(place, ABILITIES)))
    if not is_whole:
        comments = [*out_of_reach(places, ABILITIES), comment("everything else")]
        yield Commented(_path("/", own), comments)


def _path(prefix: str, service: dict[str, Any]) -> dict[str, Any]:
    found = {"name": service["name"], "port": {"number": service["port"]}}
    return {"path": prefix, "pathType": "Prefix", "backend": {"service": found}}
