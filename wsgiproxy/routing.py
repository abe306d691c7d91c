"""Routes, and the match: which route a request belongs to and what is asked of it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from . import options as kinds
from .auth import AUTH
from .errors import BadRequest, ConfigurationError
from .identity import FIELD_NAME, FIELD_NAMES, RESOLVER, RESOLVERS, Identity
from .options import Kind, check_names, option
from .redirects import REDIRECTS, REWRITES, Rule
from .upstream import Upstream, UpstreamOptions

__all__ = ["Match", "Mount", "Route", "Router", "encode_path", "encode_query", "raw_target"]

#: What ``quote`` leaves alone in a path: RFC 3986, 3.3 (pchar) and the slash.
_PATH_SAFE = "/:@!$&'()*+,;=~-._"
#: Every printable ASCII character: to encode the rest of a raw target only.
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
# Where a path may mean another one to somebody who decodes or normalises it.
_AMBIGUOUS = re.compile(r"//|/\.|\\|%")
_INVALID_TARGET = re.compile(r"[\x00-\x20\x7f#]")
_ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def _host_option(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._~\[\]:-]+", value):
        return value
    raise ValueError(f"{value!r} is no host; write upstream, client, or a name such as a.example")


class Route(UpstreamOptions):
    """One prefix's settings.

    :param upstream: a URL, several URLs of servers that answer alike, or an
        :class:`~wsgiproxy.Upstream`.
    :raises ConfigurationError: for a URL or an option that cannot work.

    Every other option is keyword-only; those of :class:`~wsgiproxy.Upstream` are taken
    here as well.
    """

    strip_prefix: bool = option(
        True, kinds.BOOLEAN, "take the prefix off the path before sending it upstream"
    )
    add_slash: bool = option(
        True, kinds.BOOLEAN, "redirect the bare prefix to the prefix with a slash"
    )
    host_match: str | None = option(
        None, kinds.TEXT, "take requests for this Host only, such as jupyter.example.org"
    )
    host: str = option(
        "upstream",
        Kind("upstream, client or a name", _host_option),
        "the Host the upstream sees: its own (upstream), the one asked for (client), or a name",
    )
    forwarded: str = option(
        "x-forwarded",
        kinds.choice("x-forwarded", "rfc7239", "both", "none"),
        "tell the upstream of the client: X-Forwarded-* headers, Forwarded, both or none",
    )
    trusted_proxies: tuple[Any, ...] = option(
        (), kinds.NETWORKS, "addresses whose X-Forwarded-* and Forwarded headers are believed"
    )
    request_headers: tuple[tuple[str, str | None], ...] = option(
        (), kinds.HEADER_CHANGES, "set these headers of the request; an empty value removes one"
    )
    response_headers: tuple[tuple[str, str | None], ...] = option(
        (), kinds.HEADER_CHANGES, "set these headers of the response; an empty value removes one"
    )
    hide_cookies: tuple[str, ...] = option(
        (),
        kinds.NAMES,
        "cookies of the wrapped application, which the upstream neither sees nor sets",
    )
    max_body: int | None = option(None, kinds.SIZE, "refuse request bodies over this size with 413")
    upgrade: tuple[str, ...] = option(
        ("websocket",), kinds.NAMES, "protocols that a client may switch its connection to"
    )
    stream_types: tuple[str, ...] = option(
        ("text/event-stream",),
        kinds.NAMES,
        "content types of responses that go on and on and should hold no worker thread",
    )
    relay_over: int | None = option(
        1 << 20, kinds.SIZE, "bodies over this size should hold no worker thread either"
    )
    idle_timeout: float | None = option(
        3600.0, kinds.SECONDS, "end tunnels and streams that are silent for this long"
    )
    max_tunnels: int | None = option(
        None,
        kinds.COUNT,
        "at most this many tunnels and streams at once; a quarter of the descriptors by default",
    )
    max_in_flight: int | None = option(
        None,
        kinds.COUNT,
        "worker threads to hold at most; three quarters by default, shared by all such routes",
    )
    rebase: bool = option(
        False,
        kinds.BOOLEAN,
        "lead the links of a service that believes it lives at / under the prefix",
    )
    remote_user: Any = option(
        None,
        RESOLVER,
        "tell the upstream the user: true (REMOTE_USER), an environ key, or a callable(environ)",
    )
    remote_user_header: str = option(
        "Remote-User", FIELD_NAME, "the header that names the user: X-Remote-User, REMOTE_USER"
    )
    identity_headers: tuple[tuple[str, Any], ...] = option(
        (), RESOLVERS, "more about the user: headers, each with an environ key or a callable"
    )
    auth: Any = option(
        None,
        AUTH,
        "ask who may pass: a path of the wrapped application, true (the same path), a callable",
    )
    copy_headers: tuple[str, ...] = option(
        (), FIELD_NAMES, "headers that auth's answer sets for the upstream; never the client"
    )
    auth_cache: float | None = option(
        None, kinds.SECONDS, "remember for so long that auth let a cookie pass, for every URL"
    )
    redirects: tuple[Rule, ...] = option(
        (), REDIRECTS, "patterns on the encoded path and query, and where they redirect to"
    )
    rewrites: tuple[Rule, ...] = option(
        (), REWRITES, "patterns on what follows the prefix, and what to ask the upstream for"
    )
    rewrite: Any = option(
        None, kinds.HOOK, "called with the request; may change it, or return a response"
    )
    modify_response: Any = option(
        None, kinds.HOOK, "called with the response and the request; may change the response"
    )
    on_error: Any = option(
        None, kinds.HOOK, "called with the error and the request; may return a response"
    )

    upstream: Upstream

    def __init__(self, upstream: Any, **options: Any) -> None:
        super().__init__(**options)
        self.__dict__["upstream"] = self._made(upstream)

    def _made(self, upstream: Any) -> Upstream:
        names = UpstreamOptions.table()
        given = {name: getattr(self, name) for name in names}
        if not isinstance(upstream, Upstream):
            if not upstream:
                raise ConfigurationError("a route needs an upstream; write http://localhost:9999")
            return Upstream(upstream, **given)
        for name, row in names.items():
            if given[name] != row.default:
                raise ConfigurationError(f"option {name}: give it to Upstream(...), not to Route")
        return upstream

    def check(self) -> None:
        """Refuse options that contradict each other."""
        if self.rebase and not self.strip_prefix:
            raise ConfigurationError(
                "option rebase: a service that is sent its prefix (strip_prefix = false) needs "
                "no rebasing; drop one of the two"
            )


class Mount:
    """A route at its prefix, with what can be computed before the first request."""

    __slots__ = ("host", "identity", "inside", "origin", "path", "prefix", "route")

    def __init__(self, prefix: str, route: Route) -> None:
        if not prefix.startswith("/") or re.search(r"//|/\.\.?(/|$)|[?#%\\\x00-\x20\x7f]", prefix):
            raise ConfigurationError(
                f"prefix {prefix!r} is no plain path; write one such as /new_req, not encoded"
            )
        self.prefix = prefix.rstrip("/")
        #: As PATH_INFO spells it: UTF-8 bytes as latin-1 characters (PEP 3333).
        self.path = self.prefix.encode().decode("latin-1")
        self.route = route
        self.host = (route.host_match or "").lower()
        self.identity = Identity.of(route)
        servers = route.upstream.servers
        #: The names by which the upstream means itself, and its origin, as it is told it.
        self.inside = frozenset[str]().union(*(server.origins for server in servers))
        self.origin = f"{servers[0].scheme}://{servers[0].netloc}"
        if route.host not in ("upstream", "client"):
            self.inside |= {route.host}
            self.origin = f"{servers[0].scheme}://{route.host}"

    def takes(self, path: str, host: str) -> bool:
        """Whether a request for this decoded path at this host is the route's."""
        mine = self.path
        return (
            path.startswith(mine)
            and (len(path) == len(mine) or path[len(mine)] == "/")
            and (not self.host or _is_host(host, self.host))
        )


class Match(NamedTuple):
    """What a request asks of a route."""

    mount: Mount
    public: str  #: the path of the prefix for the client, decoded as PEP 3333 has it
    prefix: str  #: the same, percent-encoded; empty for the root
    path: str  #: the rest, decoded; empty or with a slash first
    raw_path: str  #: the rest as the client spelt it, or encoded once
    query: str  #: the query as it came, with its question mark if there was one


class Router:
    """Finds the route with the longest prefix that ends on a segment boundary.

    :param routes: URL, :class:`Route` or :class:`Upstream` by prefix; or pairs of these, for
        routes that differ by ``host_match`` only.
    :param defaults: options for the routes that are given as URLs.
    :raises ConfigurationError: for two equal prefixes, or an unknown option.
    """

    def __init__(
        self,
        routes: Mapping[str, Any] | Iterable[tuple[str, Any]],
        defaults: Mapping[str, Any],
    ) -> None:
        check_names(defaults, Route.table(), "route defaults")
        pairs = routes.items() if isinstance(routes, Mapping) else routes
        self.mounts = [Mount(prefix, _as_route(given, defaults, prefix)) for prefix, given in pairs]
        seen: set[tuple[str, str]] = set()
        for mount in self.mounts:
            if (mount.prefix, mount.host) in seen:
                raise ConfigurationError(
                    f"two routes for prefix {mount.prefix or '/'!r}; merge them or change one"
                )
            seen.add((mount.prefix, mount.host))
        self._everywhere = self._starting_with("")
        self._by_segment = {
            segment: self._starting_with(segment)
            for segment in {_segment(mount.path) for mount in self.mounts}
        }

    def _starting_with(self, segment: str) -> tuple[Mount, ...]:
        chosen = [mount for mount in self.mounts if _segment(mount.path) in ("", segment)]
        return tuple(sorted(chosen, key=lambda mount: (-len(mount.path), not mount.host)))

    def candidates(self, path: str) -> tuple[Mount, ...]:
        """The mounts that may take a path, by its first segment; the hot path's one look-up."""
        return self._by_segment.get(path[1:].partition("/")[0], self._everywhere)

    def find(self, path: str, host: str) -> Mount | None:
        """The mount for a decoded path at a host."""
        for mount in self.candidates(path):
            if mount.takes(path, host):
                return mount
        return None

    def match(self, environ: Mapping[str, Any]) -> Match | None:
        """What this request asks, or ``None`` if no route is concerned.

        :raises BadRequest: for a path that leaves its prefix once it is decoded or
            normalised, that could be another route's, or that is no valid target.
        """
        path = environ.get("PATH_INFO", "")
        host = environ.get("HTTP_HOST", "")
        mount = self.find(path, host)
        if mount is None:
            return None
        script = environ.get("SCRIPT_NAME", "")
        rest = path[len(mount.path) :]
        if _AMBIGUOUS.search(path):
            self._check(mount, path, rest, host)
        public = script + mount.path
        raw_path, query = raw_target(environ, script + path)
        prefix = encode_path(public)
        raw_rest = _cut(raw_path, public, prefix) if public else raw_path
        return Match(mount, public, prefix, rest, raw_rest, query)

    def _check(self, mount: Mount, path: str, rest: str, host: str) -> None:
        """The most decoded reading of a path must stay with this route and prefix."""
        for _ in range(3):
            path, rest = path.replace("\\", "/"), rest.replace("\\", "/")
            if _climbs(rest):
                raise BadRequest(f"{path!r} leaves the prefix {mount.prefix!r}")
            if self.find(_normal(path), host) is not mount:
                raise BadRequest(f"{path!r} may mean another route than {mount.prefix!r}")
            decoded = _unquote(path)
            if decoded == path:
                return
            path, rest = decoded, _unquote(rest)


def _as_route(given: Any, defaults: Mapping[str, Any], prefix: str) -> Route:
    try:
        return given if isinstance(given, Route) else Route(given, **defaults)
    except ConfigurationError as error:
        raise ConfigurationError(f"route {prefix}: {error}") from None


def _segment(path: str) -> str:
    return path[1:].partition("/")[0]


def _is_host(host: str, wanted: str) -> bool:
    host = host.lower()
    return host == wanted or (":" not in wanted and re.sub(r":[0-9]*$", "", host) == wanted)


def _unquote(path: str) -> str:
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1")


def _climbs(rest: str) -> bool:
    depth = 0
    for segment in rest.split("/"):
        if segment == "..":
            depth -= 1
        elif segment not in ("", "."):
            depth += 1
        if depth < 0:
            return True
    return False


def _normal(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


def raw_target(environ: Mapping[str, Any], path: str) -> tuple[str, str]:
    """The path as the client spelt it, and the query with its question mark.

    The server's raw target counts only if it says the same as ``SCRIPT_NAME`` and
    ``PATH_INFO``, which an outer middleware may have changed; else these are encoded.
    """
    raw: str = environ.get("REQUEST_URI") or environ.get("RAW_URI") or ""
    query = environ.get("QUERY_STRING", "")
    if raw and not raw.startswith("/"):
        raw = _ABSOLUTE_FORM.sub("", raw, count=1)
    raw_path, mark, raw_query = raw.partition("?")
    if _INVALID_TARGET.search(raw):
        raise BadRequest(f"invalid request target {raw[:200]!r}")
    if not raw_path.isascii():
        raw_path = quote(raw_path.encode("latin-1"), safe=_ASCII)
    # waitress collapses the slashes at the start of PATH_INFO, not of the raw target.
    if raw_path != path and not _agrees(raw_path, path):
        raw_path = encode_path(path)
    if raw_query != query or not query.isascii():
        return raw_path, encode_query(query)
    return raw_path, mark + raw_query


def _agrees(raw_path: str, path: str) -> bool:
    decoded = _unquote(raw_path)
    if decoded.lstrip("/") == path.lstrip("/"):
        return True
    # Werkzeug's server puts replacement characters where the bytes are no UTF-8.
    replaced = decoded.encode("latin-1").decode("utf-8", "replace")
    return replaced.encode().decode("latin-1") == path


@lru_cache(1024)
def encode_path(path: str) -> str:
    """A decoded path (PEP 3333: bytes as latin-1) as it goes over the wire."""
    return quote(path.encode("latin-1"), safe=_PATH_SAFE)


def encode_query(query: str) -> str:
    """A query with its question mark; what may not stand in a target is encoded."""
    return "?" + quote(query.encode("latin-1"), safe=_ASCII) if query else ""


def _cut(raw_path: str, public: str, prefix: str) -> str:
    """The raw path behind the prefix, whose spelling must have the prefix's segments."""
    raw_path = "/" + raw_path.lstrip("/")
    if raw_path.startswith(prefix) and raw_path[len(prefix) : len(prefix) + 1] in ("", "/"):
        return raw_path[len(prefix) :]
    parts = raw_path.split("/", public.count("/") + 1)
    count = public.count("/") + 1
    segments = [_unquote(part) for part in parts[:count]]
    if segments != public.split("/"):
        raise BadRequest(f"{raw_path!r} spells the prefix {prefix!r} with encoded slashes")
    return "/" + parts[count] if len(parts) > count else ""
