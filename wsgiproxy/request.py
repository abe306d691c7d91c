"""The request as the upstream gets it: cleaned of claims, told the facts, serialised."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, NamedTuple

from webob import Request

from . import headers as rules
from .errors import BadRequest, BodyTooLarge, LoopDetected
from .mapping import UrlMap
from .routing import Match, Route, encode_path, encode_query
from .wire import BLOCK

__all__ = [
    "Client",
    "Outgoing",
    "client_of",
    "clone",
    "outgoing",
    "pseudonym",
    "target_of",
    "url_map",
]

#: Methods whose request without a body says so (RFC 9110, 8.6).
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Connection options that need no look at the other headers.
_PLAIN_CONNECTION = frozenset(("keep-alive", "close", "Keep-Alive", "Close", ""))
# What Connection may never take away (RFC 9110, 7.6.1): it would change the message.
_UNREMOVABLE = frozenset(("host", "content-length", "content-type", "transfer-encoding"))


# Where the clone remembers how the body comes in, once the header itself is gone.
_CODING = "wsgiproxy.transfer_encoding"


class Client(NamedTuple):
    """What is known, not claimed, of the client's side of a request."""

    host: str  #: the Host it asked for, or our own address if it named none
    scheme: str  #: http or https
    trusted: bool  #: whether the peer is one of the ``trusted_proxies``

    @property
    def origin(self) -> str:
        """Our own origin as the client sees it."""
        return f"{self.scheme}://{self.host}"


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
    if not rules.is_valid_host(host):
        raise BadRequest(f"malformed Host {host[:200]!r}")
    return Client(host, scheme, trusted)


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


def url_map(match: Match, client: Client) -> UrlMap:
    """The translation of URLs between this client and the route's upstream."""
    mount = match.mount
    route = mount.route
    origin = client.origin if route.host == "client" else mount.origin
    prefix = match.prefix if route.strip_prefix else ""
    base = route.upstream.servers[0].base
    return UrlMap(prefix, base, mount.inside, client.host, origin, client.origin)


# -- the clone ---------------------------------------------------------------------


class _Kept(dict[str, bool]):
    """Whether an environ key stays in the clone, worked out once for each key."""

    def __init__(self, trusted: bool) -> None:
        self._trusted = trusted

    def __missing__(self, key: str) -> bool:
        kept = True
        if key.startswith("HTTP_"):
            name = key[5:]
            squashed = rules.squash(name)
            kept = (
                name.lower().replace("_", "-") not in rules.HOP_BY_HOP
                and squashed != "PROXY"  # CVE-2016-5385
                and not rules.is_identity(squashed)
                and (self._trusted or not rules.is_claim(squashed))
            )
        if len(self) < 1000:  # clients choose the names
            self[key] = kept
        return kept


_KEPT = {trusted: _Kept(trusted) for trusted in (True, False)}


def clone(environ: dict[str, Any], match: Match, client: Client, via: str) -> Request:
    """A request over a copy of the environ, as the upstream is to see it.

    Hop-by-hop headers and those that ``Connection`` names are gone, claims of the client
    are gone, and then our own headers are set. The incoming environ stays as it is.

    :param via: our own name among proxies, see :func:`pseudonym`.
    :raises LoopDetected: if the request has been here before.
    """
    kept = _KEPT[client.trusted]
    copy = {key: value for key, value in environ.items() if kept[key]}
    connection = environ.get("HTTP_CONNECTION", "")
    if connection not in _PLAIN_CONNECTION:
        for name in rules.connection_options(connection) - _UNREMOVABLE:
            copy.pop("HTTP_" + name.upper().replace("-", "_"), None)
    if match.mount.route.strip_prefix:
        copy["SCRIPT_NAME"], copy["PATH_INFO"] = match.public, match.path or "/"
    _set_addresses(copy, match, client)
    _set_forwarded(copy, environ, match, client)
    _set_via(copy, environ, via)
    if "HTTP_TRANSFER_ENCODING" in environ:
        copy[_CODING] = environ["HTTP_TRANSFER_ENCODING"]
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


def _set_addresses(copy: dict[str, Any], match: Match, client: Client) -> None:
    """``Host``, and what must agree with it."""
    route = match.mount.route
    if route.host == "client":
        copy["HTTP_HOST"] = client.host
    elif route.host == "upstream":
        copy["HTTP_HOST"] = route.upstream.servers[0].netloc
    else:
        copy["HTTP_HOST"] = route.host
    if "HTTP_DESTINATION" in copy:
        copy["HTTP_DESTINATION"] = url_map(match, client).destination(copy["HTTP_DESTINATION"])
    if route.host == "client":
        return
    for key in _ADDRESS_KEYS:
        if key in copy:
            copy[key] = url_map(match, client).to_upstream(copy[key])


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
        before = copy.get("HTTP_X_FORWARDED_FOR", "")  # there from trusted peers only
        copy["HTTP_X_FORWARDED_FOR"] = f"{before}, {peer}" if before else peer
        copy["HTTP_X_FORWARDED_PROTO"] = client.scheme
        copy["HTTP_X_FORWARDED_HOST"] = client.host
        copy["HTTP_X_FORWARDED_PORT"] = _port(copy, client)
        if match.prefix:
            before = copy.get("HTTP_X_FORWARDED_PREFIX", "")
            copy["HTTP_X_FORWARDED_PREFIX"] = before.rstrip("/") + match.prefix
    if style != "x-forwarded":
        before = copy.get("HTTP_FORWARDED", "")
        node = f'"[{peer}]"' if ":" in peer else peer or "unknown"  # RFC 7239, 6
        hop = f'for={node};host="{client.host}";proto={client.scheme}'
        copy["HTTP_FORWARDED"] = f"{before}, {hop}" if before else hop


def _port(copy: Mapping[str, Any], client: Client) -> str:
    given: str = copy.get("HTTP_X_FORWARDED_PORT", "")
    if given:
        return given
    port = client.host.rpartition(":")[2]
    return port if port.isdigit() and ":" in client.host else _DEFAULT_PORTS[client.scheme]


_DEFAULT_PORTS = {"http": "80", "https": "443"}


def pseudonym(names: Iterable[str]) -> str:
    """Our name in ``Via`` (RFC 9110, 7.6.3): the same in every worker process of a site."""
    facts = "\n".join([socket.gethostname(), *names])
    return "wsgiproxy-" + hashlib.sha256(facts.encode()).hexdigest()[:12]


def _set_via(copy: dict[str, Any], environ: Mapping[str, Any], name: str) -> None:
    before = copy.get("HTTP_VIA", "")
    if name in before:
        raise LoopDetected(f"the request has passed {name} before: Via {before!r}")
    version = environ.get("SERVER_PROTOCOL", "HTTP/1.1").rpartition("/")[2]
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


# -- what goes over the wire ----------------------------------------------------------


class Outgoing(NamedTuple):
    """A request ready to be sent."""

    method: str
    head: bytes
    body: Iterable[bytes]
    replayable: bool  #: nothing of the client's input is used up by sending it


def target_of(request: Request, match: Match, environ: Mapping[str, Any]) -> str:
    """The request target: as the client spelt it, but for what a hook has changed."""
    route = match.mount.route
    path, query = request.environ.get("PATH_INFO", ""), request.environ.get("QUERY_STRING", "")
    if route.strip_prefix:
        before, raw_path = match.path or "/", match.raw_path or "/"
    else:
        before, raw_path = environ.get("PATH_INFO", ""), match.prefix + match.raw_path
    if path != before:
        raw_path = encode_path(path)
    raw_query = match.query
    if query != environ.get("QUERY_STRING", ""):
        raw_query = encode_query(query)
    base: str = route.upstream.servers[0].base
    return base + raw_path + raw_query


class _WireNames(dict[str, str]):
    """``"Name: "`` for an environ key that is a header, else an empty string."""

    def __missing__(self, key: str) -> str:
        name = None
        if key.startswith("HTTP_"):
            name = rules.wire_name(key[5:])
        found = f"{name}: " if name else ""
        if len(self) < 1000:
            self[key] = found
        return found


# Host comes first and the framing is ours; the body's type needs no HTTP_ before it.
_WIRE_NAMES = _WireNames(
    HTTP_HOST="", HTTP_CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="", CONTENT_TYPE="Content-Type: "
)


def outgoing(request: Request, target: str, max_body: int | None) -> Outgoing:
    """Serialise the clone; a short body goes into one piece with the head.

    :param max_body: the largest body, in bytes, that is accepted.
    :raises BadRequest, BodyTooLarge: as they say.
    """
    environ = request.environ
    method = environ["REQUEST_METHOD"]
    framing, body = _body(environ, method, max_body)
    lines = [f"{method} {target} HTTP/1.1", f"Host: {environ['HTTP_HOST']}"]
    for key, value in environ.items():
        name = _WIRE_NAMES[key]
        if name and (value or key != "CONTENT_TYPE"):
            lines.append(name + value)
    if framing:
        lines.append(framing)
    text = "\r\n".join(lines)
    breaks = len(lines) - 1
    if text.count("\n") != breaks or text.count("\r") != breaks or _CONTROL.search(text):
        raise BadRequest("a header holds a control character")
    if not _TOKEN.fullmatch(method):
        raise BadRequest(f"{method!r} is no method")
    try:
        head = (text + "\r\n\r\n").encode("latin-1")
    except UnicodeEncodeError:
        raise BadRequest("a header holds characters beyond latin-1") from None
    if isinstance(body, bytes):
        return Outgoing(method, head + body, (), not body)
    return Outgoing(method, head, body, False)


def _body(
    environ: Mapping[str, Any], method: str, max_body: int | None
) -> tuple[str, bytes | Iterator[bytes]]:
    """The framing header and the body: with the client's own framing (RFC 9112, 6)."""
    length: str = environ.get("CONTENT_LENGTH") or ""
    if "chunked" in environ.get(_CODING, "").lower():
        if not environ.get("wsgi.input_terminated"):
            raise BadRequest("a chunked request body, which this WSGI server does not decode")
        return "Transfer-Encoding: chunked", _chunks(environ["wsgi.input"], max_body)
    if not length or length == "0":
        return ("Content-Length: 0" if method in _WITH_BODY else ""), b""
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise BadRequest(f"invalid Content-Length {length[:40]!r}")
    size = int(length)
    if max_body is not None and size > max_body:
        raise BodyTooLarge(f"a body of {size} bytes, over the limit of {max_body}")
    pieces = _pieces(_rewound(environ["wsgi.input"]), size)
    return f"Content-Length: {size}", b"".join(pieces) if size <= BLOCK else pieces


def _rewound(stream: Any) -> Any:
    """The input at its first byte, though an application may have read it before us."""
    seekable = getattr(stream, "seekable", None)
    if seekable is not None and seekable() and stream.tell():
        stream.seek(0)
    return stream


def _pieces(stream: Any, left: int) -> Iterator[bytes]:
    while left:
        piece = _read(stream, min(left, BLOCK * 4))
        if not piece:
            raise BadRequest(
                f"the request body ended {left} bytes early: the client broke off, or "
                "something in front of the proxy has read it and it cannot be rewound"
            )
        left -= len(piece)
        yield piece


def _chunks(stream: Any, max_body: int | None) -> Iterator[bytes]:
    total = 0
    while piece := _read(stream, BLOCK):
        total += len(piece)
        if max_body is not None and total > max_body:
            raise BodyTooLarge(f"a chunked body over the limit of {max_body} bytes")
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _read(stream: Any, size: int) -> bytes:
    try:
        piece: bytes = stream.read(size)
    except Exception as error:  # servers raise exceptions of their own here
        raise BadRequest(f"reading the request body failed: {error!r}", stage="send") from error
    return piece
