"""A route's servers, as the targets have to name them."""

from __future__ import annotations

from ..routing.router import Mount
from ..upstream import Server

__all__ = ["address", "base", "host", "origin", "tls_name", "unix_path"]


def unix_path(server: Server) -> str:
    """The path of a unix socket; nothing for a server that is reached by TCP."""
    if not server.url.startswith("unix:"):
        return ""
    return "/" + server.url[5:].partition(":")[0].lstrip("/")


def host(server: Server) -> str:
    """The host alone, an IPv6 address in its brackets."""
    head, colon, port = server.netloc.rpartition(":")
    return server.netloc if not colon or port.endswith("]") else head


def address(server: Server) -> str:
    """Host and port, the scheme's own port where the URL has none."""
    port = 443 if server.scheme == "https" else 80
    return server.netloc if host(server) != server.netloc else f"{server.netloc}:{port}"


def tls_name(server: Server) -> str:
    """The name that an https server's certificate has to hold."""
    return host(server).strip("[]")


def base(mount: Mount) -> str:
    """The path before every path that is sent, without a last slash."""
    return mount.route.upstream.servers[0].base


def origin(mount: Mount) -> str:
    """``scheme://host[:port]`` of the upstream as it is told it."""
    first, named = mount.route.upstream.servers[0], mount.route.host
    netloc = first.netloc if named in ("upstream", "client") else named
    return f"{first.scheme}://{netloc}"
