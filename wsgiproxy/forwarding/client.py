"""What is known of the client: facts from the server, claims from trusted proxies only."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, NamedTuple

from ..errors import BadRequest
from ..protocol import fields as rules
from ..routing.route import Route

__all__ = ["Client", "client_of"]


class Client(NamedTuple):
    """What is known, not claimed, of the client's side of a request."""

    host: str  #: the Host it asked for, or our own address if it named none
    scheme: str  #: http or https
    trusted: bool  #: whether the peer is one of the ``trusted_proxies``
    origin: str  #: our own origin as the client sees it
    port: str  #: the port it asked for


def client_of(environ: Mapping[str, Any], route: Route) -> Client:
    """The facts; forwarded ones where the peer is trusted.

    :raises BadRequest: for a malformed ``Host`` (RFC 9112, 3.2).
    """
    host = environ.get("HTTP_HOST") or _server_name(environ)
    scheme = environ["wsgi.url_scheme"]
    trusted = bool(route.trusted_proxies) and _is_trusted(
        environ.get("REMOTE_ADDR", ""), route.trusted_proxies
    )
    if trusted:
        host = _last(environ.get("HTTP_X_FORWARDED_HOST", "")) or host
        proto = _last(environ.get("HTTP_X_FORWARDED_PROTO", "")).lower()
        scheme = proto if proto in ("http", "https") else scheme
    if len(host) > 300:  # a name has 253 at most (RFC 1035, 2.3.4)
        raise BadRequest(f"malformed Host {host[:200]!r}")
    return _client(host, scheme, trusted)


@lru_cache(1024)
def _client(host: str, scheme: str, trusted: bool) -> Client:
    if not rules.is_valid_host(host):
        raise BadRequest(f"malformed Host {host[:200]!r}")
    port = host.rpartition(":")[2]
    if not port.isdigit() or ":" not in host:
        port = _DEFAULT_PORTS[scheme]
    return Client(host, scheme, trusted, f"{scheme}://{host}", port)


_DEFAULT_PORTS = {"http": "80", "https": "443"}


def _server_name(environ: Mapping[str, Any]) -> str:
    name, port = environ["SERVER_NAME"], environ["SERVER_PORT"]
    name = f"[{name}]" if ":" in name else name
    default = "443" if environ["wsgi.url_scheme"] == "https" else "80"
    return name if port == default else f"{name}:{port}"


def _last(value: str) -> str:
    """The value that the nearest proxy gave."""
    return value.rpartition(",")[2].strip()


@lru_cache(1024)
def _is_trusted(address: str, networks: tuple[Any, ...]) -> bool:
    try:
        peer = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(peer, "ipv4_mapped", None)
    return any((mapped or peer) in network for network in networks)
