"""What is known of the client: facts from the server, claims from trusted proxies only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, NamedTuple

from ..errors import BadRequest, Misdirected
from ..protocol.hosts import Pattern, host_matches, is_valid_host
from ..protocol.request_target import authority_of, host_of
from ..routing.route import Route
from ..settings.kinds import UNIX

__all__ = ["Client", "address_of", "client_of"]


class Client(NamedTuple):
    """What is known, not claimed, of the client's side of a request."""

    host: str  #: the Host it asked for, or our own address if it named none
    scheme: str  #: http or https
    trusted: bool  #: whether the peer is one of the ``trusted_proxies``
    origin: str  #: our own origin as the client sees it
    port: str  #: the port it asked for
    verified: bool = True  #: whether the client named the host, and it is one of ours


def client_of(
    environ: Mapping[str, Any], route: Route, hosts: tuple[Pattern, ...] | None = None
) -> Client:
    """The facts; forwarded ones where the peer is trusted.

    :param hosts: the hosts that are ours, if any are known; the route's own come first.
    :raises BadRequest: for a malformed ``Host`` (RFC 9112, 3.2).
    :raises Misdirected: for a host that is not one of ours.
    """
    host = host_of(environ)
    scheme = environ["wsgi.url_scheme"]
    trusted = bool(route.trusted_proxies) and _is_trusted(
        environ.get("REMOTE_ADDR", ""), route.trusted_proxies
    )
    if trusted:
        host = _last(environ.get("HTTP_X_FORWARDED_HOST", "")) or host
        proto = _last(environ.get("HTTP_X_FORWARDED_PROTO", "")).lower()
        scheme = proto if proto in ("http", "https") else scheme
    if not host and authority_of(environ) is None:
        return _client(_server_name(environ), scheme, trusted)._replace(verified=False)
    client = _client(host, scheme, trusted)
    allowed = hosts if route.allowed_hosts is None else route.allowed_hosts
    if allowed is not None and not route.host_match and not _is_ours(host, allowed):
        raise Misdirected(
            f"the Host {host[:200]!r} is none of ours; if it is, name it in the option "
            f"allowed_hosts, or in ALLOWED_HOSTS of a Django site: {_shown(allowed)}"
        )
    return client


_is_ours = lru_cache(1024)(host_matches)


@lru_cache(1024)
def _client(host: str, scheme: str, trusted: bool) -> Client:
    if not is_valid_host(host):
        raise BadRequest(f"malformed Host {host[:200]!r}")
    port = host.rpartition(":")[2]
    if not port.isdigit() or ":" not in host:
        port = _DEFAULT_PORTS[scheme]
    return Client(host, scheme, trusted, f"{scheme}://{host}", port)


_DEFAULT_PORTS = {"http": "80", "https": "443"}


def _server_name(environ: Mapping[str, Any]) -> str:
    name, port = environ["SERVER_NAME"], str(environ["SERVER_PORT"])
    name = f"[{name}]" if ":" in name else name
    if not is_valid_host(name):
        return "localhost"  # the path of a unix socket
    default = _DEFAULT_PORTS.get(environ["wsgi.url_scheme"])
    return f"{name}:{port}" if port.isdigit() and port != default else name


def _shown(patterns: Iterable[Pattern]) -> str:
    return " ".join(map(str, patterns)) or "there is none in it"


def _last(value: str) -> str:
    """The value that the nearest proxy gave."""
    return value.rpartition(",")[2].strip()


#: What servers say where the peer is a unix socket, which has no address: gunicorn and cheroot,
#: waitress, Werkzeug.
_UNIX_PEERS = frozenset(("", "localhost", "<local>"))


def address_of(environ: Mapping[str, Any]) -> str:
    """The peer's IP address as the server tells it, without a zone; empty for a unix socket."""
    text: str = environ.get("REMOTE_ADDR") or ""
    return text.partition("%")[0] if _parsed(text) is not None else ""


@lru_cache(1024)
def _is_trusted(address: str, networks: tuple[Any, ...]) -> bool:
    if address in _UNIX_PEERS:
        return UNIX in networks
    peer = _parsed(address)
    if peer is None:
        return False
    mapped = getattr(peer, "ipv4_mapped", None)
    return any((mapped or peer) in network for network in networks if network != UNIX)


def _parsed(address: str) -> Any:
    try:
        return ip_address(address.partition("%")[0])  # without the zone of fe80::1%eth0
    except ValueError:
        return None
