"""The request as the upstream gets it: cleaned of claims and told the facts."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from webob import Request

from ..access.cookies import Cookies
from ..errors import LoopDetected
from ..protocol import fields as rules
from ..protocol.claims import is_unwanted
from ..protocol.fields import environ_key, fold_name
from ..protocol.url_map import HeaderUrls
from ..routing.router import Match
from ..upstream import Server
from .client import Client, address_of
from .limits import RouteState

__all__ = ["CODING", "prepare_request", "pseudonym", "readdress", "url_map"]

# Connection options that need no look at the other headers.
_PLAIN_CONNECTION = frozenset(("keep-alive", "close", "Keep-Alive", "Close", ""))
# A prefix that cannot be taken for another host.
_PLAIN_PREFIX = re.compile(r"/[^/\\\x00-\x20\x7f][^\\\x00-\x20\x7f]*")
#: Where the clone remembers how the body comes in, once the header itself is gone.
CODING = "wsgiproxy.transfer_encoding"


def url_map(match: Match, client: Client, server: Server) -> HeaderUrls:
    """The translation of URLs between this client and one server of the route's upstream."""
    route = match.mount.route
    prefix = match.prefix if route.strip_prefix else ""
    origin = _origin(route.host, client, server)
    return HeaderUrls(prefix, server.base, match.mount.inside, client.host, origin, client.origin)


def _origin(host: str, client: Client, server: Server) -> str:
    """The origin at which the upstream believes to be asked."""
    if host == "client":
        return client.origin
    return server.origin if host == "upstream" else f"{server.scheme}://{host}"


def readdress(environ: dict[str, Any], old: Server, new: Server) -> None:
    """Address a clone that was prepared for one server to another one."""
    if environ.get("HTTP_HOST") == old.netloc:
        environ["HTTP_HOST"] = new.netloc
    for key in (*_ADDRESS_KEYS, "HTTP_DESTINATION"):
        value = environ.get(key, "")
        if value == old.origin or value.startswith(old.origin + "/"):
            environ[key] = new.origin + value[len(old.origin) :]


@lru_cache(64)
def _unwanted(keys: tuple[str, ...], trusted: bool, ours: frozenset[str]) -> tuple[str, ...]:
    """The keys of an environ that are not for the upstream.

    :param ours: the folded names of fields that the route sets itself.

    Clients send the same names again and again, so this is worked out once for each set of
    them; for few sets only, because a client may send names without end.
    """
    return tuple(
        key
        for key in keys
        if key.startswith("HTTP_")
        and (is_unwanted(key[5:], trusted) or (ours and fold_name(key) in ours))
    )


@lru_cache(64)
def _set_by(changes: tuple[tuple[str, str | None], ...]) -> frozenset[str]:
    """The folded names of what ``request_headers`` sets, whose other spellings must not pass."""
    return frozenset(fold_name(name) for name, _ in changes)


def prepare_request(
    environ: dict[str, Any], match: Match, client: Client, state: RouteState, server: Server
) -> Request:
    """A request over a copy of the environ, as the upstream is to see it.

    Hop-by-hop headers and those that ``Connection`` names are gone, claims of the client
    are gone, and then our own headers are set. The incoming environ stays as it is.

    :param state: what the route's requests share: our name among proxies, and whose cookies are
        whose.
    :param server: the one of the upstream that was chosen.
    :raises LoopDetected: if the request has been here before.
    """
    changes = match.mount.route.request_headers
    copy = environ.copy()
    for key in _unwanted(tuple(environ), client.trusted, _set_by(changes)):
        del copy[key]
    connection = environ.get("HTTP_CONNECTION", "")
    if connection not in _PLAIN_CONNECTION:
        # Host is set below; what frames the body is in no HTTP_ key.
        for name in rules.connection_options(connection):
            copy.pop("HTTP_" + name.upper().replace("-", "_"), None)
    if match.mount.route.strip_prefix:
        copy["SCRIPT_NAME"], copy["PATH_INFO"] = match.public, match.path or "/"
    _set_addresses(copy, match, client, server)
    _set_forwarded(copy, environ, match, client)
    _set_via(copy, environ, state.via)
    if "HTTP_TRANSFER_ENCODING" in environ:
        copy[CODING] = environ["HTTP_TRANSFER_ENCODING"]
    if "HTTP_COOKIE" in copy:
        _set_cookies(copy, environ, match, state.cookies)
    for name, value in changes:
        _set_header(copy, name, value)
    return Request(copy)


def _set_header(environ: dict[str, Any], name: str, value: str | None) -> None:
    key = environ_key(name)
    if value is None:
        environ.pop(key, None)
    else:
        environ[key] = value


def _set_addresses(copy: dict[str, Any], match: Match, client: Client, server: Server) -> None:
    """``Host``, and what must agree with it."""
    route = match.mount.route
    if route.host == "client":
        copy["HTTP_HOST"] = client.host
    elif route.host == "upstream":
        copy["HTTP_HOST"] = server.netloc
    else:
        copy["HTTP_HOST"] = route.host
    if "HTTP_DESTINATION" in copy:
        copy["HTTP_DESTINATION"] = url_map(match, client, server).destination(
            copy["HTTP_DESTINATION"]
        )
    if route.host == "client":
        return
    for key in _ADDRESS_KEYS:
        if key in copy and client.verified:
            copy[key] = url_map(match, client, server).to_upstream(copy[key])


#: Headers with URLs of our own site. A foreign ``Origin`` is never translated, nor one that only
#: agrees with a host that nobody vouches for: the upstream's defence against forged requests
#: lives on it.
_ADDRESS_KEYS = ("HTTP_ORIGIN", "HTTP_REFERER")


def _set_forwarded(
    copy: dict[str, Any], environ: Mapping[str, Any], match: Match, client: Client
) -> None:
    style = match.mount.route.forwarded
    if style == "none":
        return
    peer = address_of(environ)
    if style != "rfc7239":
        claims = copy.copy() if client.trusted else {}
        copy.update(_forwarded_facts(client, match.prefix))
        _set_chain(copy, claims.get("HTTP_X_FORWARDED_FOR", ""), peer)
        if claims:
            _continue_claims(copy, claims)
    if style != "x-forwarded":
        before = copy.get("HTTP_FORWARDED", "")
        node = f'"[{peer}]"' if ":" in peer else peer or "unknown"  # RFC 7239, 6
        hop = f'for={node};host="{client.host}";proto={client.scheme}'
        copy["HTTP_FORWARDED"] = f"{before}, {hop}" if before else hop


@lru_cache(1024)
def _forwarded_facts(client: Client, prefix: str) -> dict[str, str]:
    facts = {
        "HTTP_X_FORWARDED_PROTO": client.scheme,
        "HTTP_X_FORWARDED_HOST": client.host,
        "HTTP_X_FORWARDED_PORT": client.port,
    }
    return {**facts, "HTTP_X_FORWARDED_PREFIX": prefix} if prefix else facts


def _set_chain(copy: dict[str, Any], before: str, peer: str) -> None:
    """``X-Forwarded-For``: none at all rather than an empty one, where the peer has no address."""
    chain = ", ".join(filter(None, (before, peer)))
    if chain:
        copy["HTTP_X_FORWARDED_FOR"] = chain
    else:
        copy.pop("HTTP_X_FORWARDED_FOR", None)


def _continue_claims(copy: dict[str, Any], claims: Mapping[str, Any]) -> None:
    """Put the port and the prefix that a trusted proxy has said in the place of our own."""
    port = claims.get("HTTP_X_FORWARDED_PORT", "")
    if port.isascii() and port.isdigit():
        copy["HTTP_X_FORWARDED_PORT"] = port
    outer = claims.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
    if outer and _PLAIN_PREFIX.fullmatch(outer):
        copy["HTTP_X_FORWARDED_PREFIX"] = outer + copy.get("HTTP_X_FORWARDED_PREFIX", "")


def pseudonym(names: Iterable[str]) -> str:
    """Our name in ``Via`` (RFC 9110, 7.6.3): the same in every worker process of a site."""
    facts = "\n".join([socket.gethostname(), *names])
    return "wsgiproxy-" + hashlib.sha256(facts.encode()).hexdigest()[:12]


def _set_via(copy: dict[str, Any], environ: Mapping[str, Any], name: str) -> None:
    before = copy.get("HTTP_VIA", "")
    if name in before:
        raise LoopDetected(f"the request has passed {name} before: Via {before!r}")
    version = environ.get("SERVER_PROTOCOL", "HTTP/1.1")[5:]
    copy["HTTP_VIA"] = f"{before}, {version} {name}" if before else f"{version} {name}"


def _set_cookies(
    copy: dict[str, Any], environ: Mapping[str, Any], match: Match, cookies: Cookies
) -> None:
    left = cookies.to_upstream(copy["HTTP_COOKIE"], environ, is_below=bool(match.prefix))
    if left:
        copy["HTTP_COOKIE"] = left
    else:
        del copy["HTTP_COOKIE"]
