"""The same routes for the servers that people grow into.

::

    from wsgiproxy import Route
    from wsgiproxy.export import Address, Site, export

    site = Site.of([("/new_req", Route("http://localhost:9999"))],
                   at=Address("0.0.0.0", 80), to=Address("127.0.0.1", 8080))
    print(export("nginx", site).text)
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from ..errors import ConfigurationError
from .site import Address, Export, Site, read_address

__all__ = ["TARGETS", "Address", "Export", "Site", "export", "read_address"]

#: The servers and systems that there is a writer for.
TARGETS = ("nginx", "caddy", "haproxy", "traefik", "kubernetes", "ingress")


def export(target: str, site: Site, without: Iterable[str] = ()) -> Export:
    """The configuration of a target with the routes of a site.

    :param target: one of :data:`TARGETS`.
    :param without: what the user gives up, so that it keeps no route with this proxy: names of
        options, ``location`` or ``cookies``.
    :raises ConfigurationError: for an unknown target or name.
    """
    if target not in TARGETS:
        raise ConfigurationError(f"no target {target!r}; known are: {', '.join(TARGETS)}")
    writer = importlib.import_module(f".{target}", __name__)
    written: Export = writer.write(site, without)
    return written
