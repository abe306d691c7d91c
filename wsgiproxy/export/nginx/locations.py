"""The ``location`` blocks: one route each, or what leads back to this proxy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..claims import CLAIMS, HOP_BY_HOP, dropped
from ..patterns import (
    Rewrite,
    cookie_domains,
    cookie_paths,
    encoded,
    first_match,
    mapped_prefix,
)
from ..plan import Place
from ..servers import address, origin, tls_name, unix_path
from ..servers import base as base_of
from ..spans import seconds
from .text import block, pattern, var, word

__all__ = ["PASSED", "auth_locations", "locations", "request_fields", "to_this_proxy", "upstream"]

#: Where an https upstream's certificate is checked against if nothing else is said.
SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"
#: By which variable a field is told; locations set these.
_FIELDS = {
    "Host": "host",
    "Connection": "connection",
    "Upgrade": "upgrade",
    "X-Forwarded-For": "for",
    "X-Forwarded-Proto": "proto",
    "X-Forwarded-Host": "asked",
    "X-Forwarded-Port": "port",
    "X-Forwarded-Prefix": "prefix",
    "Forwarded": "forwarded",
    "Origin": "origin",
    "Referer": "referer",
    "Cookie": "cookie",
}


def request_fields(changes: Iterable[tuple[str, str | None]] = ()) -> list[str]:
    """The fields of the request: told, removed, and changed by the route.

    Without changes they stand once, around all locations, which set the variables in them.
    """
    fields = {name: var(f"wsgiproxy_{key}") for name, key in _FIELDS.items()}
    for name in (*CLAIMS, *HOP_BY_HOP):
        fields.setdefault(name, "")
    known = {name.lower(): name for name in fields}
    for name, value in changes:
        fields[known.setdefault(name.lower(), name)] = value or ""
    return [
        f"proxy_set_header {name} {word(value) if value else EMPTY};"
        for name, value in fields.items()
    ]


EMPTY = '""'


def upstream(place: Place) -> list[str]:
    """The servers of a route, which take turns."""
    options = place.mount.route.upstream.options
    servers = place.mount.route.upstream.servers
    limits = ""
    if len(servers) > 1:
        limits = f" max_fails={options.max_fails} fail_timeout={seconds(options.fail_timeout)}"
    lines = []
    for server in servers:
        path = unix_path(server)
        where = f"unix:{path}" if path else address(server)
        lines.append(f"server {pattern(where)}{limits};")
    return block(
        f"upstream wsgiproxy_{place.number}", [*lines, f"keepalive {options.pool_size or 1};"]
    )


def to_this_proxy(trusted: int) -> list[str]:
    """The inside of a location that leaves everything to this proxy."""
    told = {"connection": "wsgiproxy_connection_any", "upgrade": "http_upgrade"}
    values = {key: var(name) for key, name in told.items()}
    return [
        *_sets({**values, **_told(trusted, "", "x-forwarded")}),
        "proxy_pass http://wsgiproxy_self;",
    ]


def _sets(values: Mapping[str, str]) -> Iterator[str]:
    """Every variable of :func:`request_fields`, so that none is left from another location.

    They stand in the locations and not around them: a question of ``auth_request`` shares its
    variables with the request that it is about, and would set them anew.
    """
    same = {key: var(f"http_{key}") for key in ("host", "origin", "referer", "cookie")}
    for key in _FIELDS.values():
        value = values.get(key, same.get(key, ""))
        yield f"set $wsgiproxy_{key} {word(value) if value else EMPTY};"


def _told(trusted: int, prefix: str, style: str) -> dict[str, str]:
    """What is told of the client."""
    told = {}
    if style in ("x-forwarded", "both"):
        keys = ("for", "proto", "asked", "port")
        told = {key: var(f"wsgiproxy_{key}_{trusted}") for key in keys}
        told["prefix"] = var(f"wsgiproxy_outer_{trusted}") + prefix
    if style in ("rfc7239", "both"):
        before, asked = var(f"wsgiproxy_before_{trusted}"), var(f"wsgiproxy_asked_{trusted}")
        proto = var(f"wsgiproxy_proto_{trusted}")
        told["forwarded"] = f'{before}for={var("wsgiproxy_node")};host="{asked}";proto={proto}'
    return told


def locations(place: Place, trusted: int) -> list[str]:
    """The locations of a route that nginx takes over."""
    mount, number = place.mount, place.number
    again = f"@wsgiproxy_{number}"
    lasting = [f"error_page 418 = {again};", "if ($wsgiproxy_lasts) { return 418; }"]
    options = mount.route.upstream.options
    inside = list(_inside(place, trusted))
    lines = []
    if mount.prefix:
        lines += block(f"location = {pattern(mount.prefix)}", _bare(place, again))
    short = [*lasting, *inside, *_timeouts(options.connect_timeout, options.read_timeout)]
    long = [*inside, *_timeouts(options.connect_timeout, mount.route.idle_timeout)]
    long.append(f"send_timeout {seconds(mount.route.write_timeout)};")
    lines += block(f"location {pattern(mount.prefix + '/')}", short)
    return [*lines, *block(f"location {again}", long)]


def _bare(place: Place, again: str) -> Iterator[str]:
    """The inside of the location for the prefix without its slash."""
    route = place.mount.route
    yield from _body_limit(route.max_body)
    if route.strip_prefix and route.add_slash:
        there = word("/" + encoded(place.mount).lstrip("/") + "/" + var("is_args") + var("args"))
        yield f"if ($wsgiproxy_slash) {{ return 308 {there}; }}"
    yield f"error_page 418 = {again};"
    yield "return 418;"


def _body_limit(limit: int | None) -> Iterator[str]:
    if limit is not None:
        yield f"client_max_body_size {limit or 1};"


def _timeouts(connect: float | None, read: float | None) -> Iterator[str]:
    yield f"proxy_connect_timeout {seconds(connect)};"
    yield f"proxy_read_timeout {seconds(read)};"
    yield f"proxy_send_timeout {seconds(read)};"


def _inside(place: Place, trusted: int) -> Iterator[str]:
    mount, number = place.mount, place.number
    route = mount.route
    after = _after(place)
    yield f'if (${after} = "") {{ return 400; }}'
    yield from _body_limit(route.max_body)
    yield from _set(place, trusted)
    if route.auth is not None:
        yield from _auth(place)
    if route.request_headers or route.copy_headers:
        yield from request_fields([*_copied(place), *route.request_headers])
    yield from _response(place)
    if origin(mount).startswith("https:"):
        yield from _tls(place)
    base = base_of(place.mount)
    scheme = route.upstream.servers[0].scheme
    yield f"proxy_pass {word(f'{scheme}://wsgiproxy_{number}{base}{var(after)}')};"


def _after(place: Place) -> str:
    """The variable with the target to ask for, without the base."""
    kind = "after" if place.mount.route.strip_prefix else "whole"
    return f"wsgiproxy_{kind}_{place.mount.prefix.count('/')}"


def _set(place: Place, trusted: int) -> Iterator[str]:
    """What a route tells its upstream."""
    mount, number = place.mount, place.number
    route = mount.route
    names = {key: f"{key}_{number}" for key in ("upgrade", "connection")}
    if route.host == "client":
        names["host"] = f"asked_{trusted}"
    else:
        names |= {key: f"{key}_{number}" for key in ("origin", "referer")}
    if route.hide_cookies:
        names["cookie"] = f"cookie_{number}"
    values = {key: var(f"wsgiproxy_{name}") for key, name in names.items()}
    if route.host != "client":
        values["host"] = origin(mount).partition("://")[2]
    yield from _sets({**values, **_told(trusted, encoded(mount), route.forwarded)})


def _response(place: Place) -> Iterator[str]:
    """What becomes of the response's fields."""
    mount = place.mount
    yield from _passed(place)
    if place.does("location"):
        yield from _redirects(place)
        value = var(f"wsgiproxy_content_location_{place.number}")
        yield "proxy_hide_header Content-Location;"
        yield f"add_header Content-Location {word(value)} always;"
    if place.does("cookies"):
        for rule in cookie_paths(mount):
            yield f"proxy_cookie_path {pattern('~' + rule.pattern)} {word(_replacement(rule))};"
        for domain in cookie_domains(mount):
            yield f"proxy_cookie_domain {pattern(domain)} {EMPTY};"
    for name, value in mount.route.response_headers:
        yield f"proxy_hide_header {name};"
        if value is not None:
            yield f"add_header {name} {word(value)} always;"


def _passed(place: Place) -> Iterator[str]:
    """What nginx would hide and we do not, and the other way round."""
    hidden = dropped(place.mount)
    passed = [
        name for name in place.mount.route.pass_headers if name.lower().startswith("x-accel-")
    ]
    if passed:
        yield from (f"proxy_pass_header {name};" for name in (*PASSED, *passed))
    yield from (f"proxy_hide_header {name};" for name in hidden)


#: What nginx hides of every response, and this proxy does not.
PASSED = ("Date", "Server", "X-Accel-Buffering")


def _replacement(rule: Rewrite) -> str:
    return rule.before + (var("1") if rule.has_group else "")


def _redirects(place: Place) -> Iterator[str]:
    """``Location`` and ``Refresh`` back under the prefix; the first rule that matches counts."""
    mount = place.mount
    prefix, base = mapped_prefix(mount), base_of(mount)
    for rule in first_match(mount):
        yield f"proxy_redirect {pattern('~' + rule.pattern)} {word(_replacement(rule))};"
    for scheme in ("http", "https"):
        front = f"{scheme}://{var('http_host')}"
        if prefix:
            yield f"proxy_redirect {word(front + prefix + '/')} {word(prefix + '/')};"
        yield f"proxy_redirect {word(front + base + '/')} {word(prefix + '/')};"


def _tls(place: Place) -> Iterator[str]:
    """How an https upstream is reached."""
    options = place.mount.route.upstream.options
    name = tls_name(place.mount.route.upstream.servers[0])
    yield "proxy_ssl_server_name on;"
    yield f"proxy_ssl_name {word(name)};"
    yield "proxy_ssl_protocols TLSv1.2 TLSv1.3;"
    if options.verify:
        yield "proxy_ssl_verify on;"
        yield "proxy_ssl_verify_depth 10;"
        yield f"proxy_ssl_trusted_certificate {pattern(options.ca or SYSTEM_CA)};"
    if options.client_cert:
        yield f"proxy_ssl_certificate {word(options.client_cert)};"
        yield f"proxy_ssl_certificate_key {word(options.client_key or options.client_cert)};"


# -- who may pass ------------------------------------------------------------------------


def _auth(place: Place) -> Iterator[str]:
    """Ask the application; a redirect of its own is passed on to a page load."""
    number = place.number
    yield f"auth_request /.wsgiproxy-auth-{number};"
    yield "auth_request_set $wsgiproxy_login $upstream_http_location;"
    yield f"error_page 500 = @wsgiproxy_login_{number};"
    for count, name in enumerate(place.mount.route.copy_headers):
        key = name.lower().replace("-", "_")
        yield f"auth_request_set $wsgiproxy_copied_{number}_{count} $upstream_http_{key};"


def _copied(place: Place) -> list[tuple[str, str | None]]:
    count = len(place.mount.route.copy_headers)
    variables = [var(f"wsgiproxy_copied_{place.number}_{n}") for n in range(count)]
    return list(zip(place.mount.route.copy_headers, variables, strict=True))


def auth_locations(place: Place, trusted: int) -> list[str]:
    """Where the question is asked, and where its redirects go."""
    path = str(place.mount.route.auth)
    fields = [
        "proxy_set_header Host $http_host;",
        *(
            f"proxy_set_header X-Forwarded-{name} $wsgiproxy_{key}_{trusted};"
            for name, key in (
                ("For", "for"),
                ("Proto", "proto"),
                ("Host", "asked"),
                ("Port", "port"),
            )
        ),
        *(f"proxy_set_header X-{name}-URI $request_uri;" for name in ("Original", "Forwarded")),
        *(
            f"proxy_set_header X-{name}-Method $request_method;"
            for name in ("Original", "Forwarded")
        ),
        'proxy_set_header Content-Length "";',
        *(f'proxy_set_header {name} "";' for name in _UNASKED),
    ]
    asked = [
        "internal;",
        "proxy_method GET;",
        "proxy_pass_request_body off;",
        "client_max_body_size 0;",
        *fields,
        f"proxy_pass {word(f'http://wsgiproxy_self{path}')};",
    ]
    login = [
        f"if ($wsgiproxy_refusal = login) {{ return 302 $wsgiproxy_login_{place.number}; }}",
        "if ($wsgiproxy_refusal = refuse) { return 401; }",
        "return 500;",
    ]
    return [
        *block(f"location = /.wsgiproxy-auth-{place.number}", asked),
        *block(f"location @wsgiproxy_login_{place.number}", login),
    ]


_TOLD = (
    (
        "X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Forwarded-Port X-Original-URI "
        "X-Original-Method X-Forwarded-Uri X-Forwarded-Method"
    )
    .lower()
    .split()
)
#: What the question does not carry: claims, and what concerns the client's own message.
_UNASKED = (
    *(name for name in CLAIMS if name.lower() not in _TOLD),
    *HOP_BY_HOP,
    *[
        "Connection",
        "Upgrade",
        "Content-Type",
        "Range",
        "If-Match",
        "If-None-Match",
        "If-Modified-Since",
    ],
    *["If-Unmodified-Since", "If-Range", "X-HTTP-Method-Override"],
)
