"""What is handed over: routes, where clients reach the new server, and where this proxy is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..errors import ConfigurationError
from ..routing.router import Mount, Router

__all__ = ["Address", "Export", "Site", "read_address"]

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


class Address(NamedTuple):
    """Host and port; an IPv6 address without its brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for every interface."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


class Site(NamedTuple):
    """All that a writer gets.

    :ivar mounts: the routes, in the order in which they are tried.
    :ivar at: where the exported server listens.
    :ivar to: where this proxy listens, which answers everything that is not handed over.
    :ivar is_themed: whether a theme lies around everything, which only this proxy has.
    """

    mounts: tuple[Mount, ...]
    at: Address
    to: Address
    is_themed: bool = False

    @classmethod
    def of(
        cls, routes: Iterable[tuple[str, Any]], at: Address, to: Address, is_themed: bool = False
    ) -> Site:
        """The site of these routes.

        :param routes: prefix and route, as for :class:`~wsgiproxy.ProxyMiddleware`.
        :raises ConfigurationError: for routes that contradict each other, or if both
            servers would listen on one port.
        """
        mounts = sorted(Router(list(routes), {}).mounts, key=lambda m: (-len(m.path), not m.host))
        if at.port == to.port and (at.host == to.host or at.is_wildcard or to.is_wildcard):
            raise ConfigurationError(
                f"the exported server ({at}) and this proxy ({to}) would listen on one port; "
                "write another --at or --to"
            )
        return cls(tuple(mounts), at, to, is_themed)


class Export(NamedTuple):
    """The configuration of a target, and what the user should be told about it."""

    text: str
    warnings: tuple[str, ...]


def read_address(text: str, option: str) -> Address:
    """``HOST:PORT``, ``[IPv6]:PORT`` or ``PORT``, which means every interface.

    :raises ConfigurationError: for anything else; ``option`` is named in it.
    """
    host, _, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host or "0.0.0.0"  # noqa: S104
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if not is_port or not _HOST.fullmatch(host):
        raise ConfigurationError(f"{option} {text!r} is no address; write 127.0.0.1:8080")
    return Address(host, int(port))
