"""The request as the upstream gets it: cleaned of claims and told the facts."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from webob import Request

from ..errors import LoopDetected
from ..protocol import fields as rules
from ..protocol.url_map import HeaderUrls
from ..routing.router import Match
from ..upstream import Server
from .client import Client

__all__ = ["CODING", "prepare_request", "pseudonym", "readdress", "url_map"]

# Connection options that need no look at the other headers.
_PLAIN_CONNECTION = frozenset(("keep-alive", "close", "Keep-Alive", "Close", ""))
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
def _unwanted(keys: tuple[str, ...], trusted: bool) -> tuple[str, ...]:
    """The keys of an environ that are not for the upstream.

    Clients send the same names again and again, so this is worked out once for each set of
    them; for few sets only, because a client may send names without end.
    """
    return tuple(key for key in keys if key.startswith("HTTP_") and _is_unwanted(key[5:], trusted))


def _is_unwanted(name: str, trusted: bool) -> bool:
    folded = rules.fold_name(name)
    return (
        name.lower().replace("_", "-") in rules.HOP_BY_HOP
        or folded == "PROXY"  # CVE-2016-5385
        or rules.is_identity(folded)
        or (rules.is_claim(folded) and not trusted)
    )


def prepare_request(
    environ: dict[str, Any], match: Match, client: Client, via: str, server: Server
) -> Request:
    """A request over a copy of the environ, as the upstream is to see it.

    Hop-by-hop headers and those that ``Connection`` names are gone, claims of the client
    are gone, and then our own headers are set. The incoming environ stays as it is.

    :param via: our own name among proxies, see :func:`pseudonym`.
    :param server: the one of the upstream that was chosen.
    :raises LoopDetected: if the request has been here before.
    """
    copy = environ.copy()
    for key in _unwanted(tuple(environ), client.trusted):
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
    _set_via(copy, environ, via)
    if "HTTP_TRANSFER_ENCODING" in environ:
        copy[CODING] = environ["HTTP_TRANSFER_ENCODING"]
    if "HTTP_COOKIE" in copy:
        _set_cookies(copy, match)
    for name, value in match.mount.route.request_headers:
        _set_header(copy, name, value)
    return Request(copy)


def _set_header(environ: dict[str, Any], name: str, value: str | None) -> None:
    key = name.upper().replace("-", "_")
    key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key
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
        if key in copy:
            copy[key] = url_map(match, client, server).to_upstream(copy[key])


#: Headers with URLs of our own site. A foreign ``Origin`` is never translated: the
#: upstream's defence against forged requests lives on it.
_ADDRESS_KEYS = ("HTTP_ORIGIN", "HTTP_REFERER")


def _set_forwarded(
    copy: dict[str, Any], environ: Mapping[str, Any], match: Match, client: Client
) -> None:
    style = match.mount.route.forwarded
    if style == "none":
        return
    peer = environ.get("REMOTE_ADDR", "")
    if style != "rfc7239":
        claims = copy.copy() if client.trusted else {}
        copy["HTTP_X_FORWARDED_FOR"] = peer
        copy.update(_forwarded_facts(client, match.prefix))
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


def _continue_claims(copy: dict[str, Any], claims: Mapping[str, Any]) -> None:
    """Put what a trusted proxy has said in front of our own, or in its place."""
    if "HTTP_X_FORWARDED_FOR" in claims:
        peers = (claims["HTTP_X_FORWARDED_FOR"], copy["HTTP_X_FORWARDED_FOR"])
        copy["HTTP_X_FORWARDED_FOR"] = ", ".join(peers)
    if "HTTP_X_FORWARDED_PORT" in claims:
        copy["HTTP_X_FORWARDED_PORT"] = claims["HTTP_X_FORWARDED_PORT"]
    if "HTTP_X_FORWARDED_PREFIX" in claims:
        outer = claims["HTTP_X_FORWARDED_PREFIX"].rstrip("/")
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


def _set_cookies(copy: dict[str, Any], match: Match) -> None:
    """Keep back hidden cookies, and of equal names all but the most specific one.

    A browser names the cookie with the longest path first (RFC 6265, 5.4). Behind a
    prefix the first is the upstream's own, and the others belong to a wider path, where
    the upstream, were it visited directly, would never see them.
    """
    hidden = match.mount.route.hide_cookies
    given = copy["HTTP_COOKIE"]
    pairs = given.split(";")
    names = [pair.partition("=")[0].strip() for pair in pairs]
    if not hidden and (not match.prefix or len(set(names)) == len(names)):
        return
    seen, left = set(hidden), []
    for name, pair in zip(names, pairs, strict=True):
        if name not in seen:
            left.append(pair)
            if match.prefix:
                seen.add(name)
    if left:
        copy["HTTP_COOKIE"] = ";".join(left).strip()
    else:
        del copy["HTTP_COOKIE"]
