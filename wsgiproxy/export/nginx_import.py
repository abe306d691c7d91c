"""The other way: a ``proxy.toml`` from an ``nginx.conf``, with a list of what was not understood.

A best effort: every ``location`` with a ``proxy_pass`` becomes a route. What concerns nginx alone
(workers, logs, buffers) is left out without a word; everything else is told with file and line.
The extra ``import-nginx`` has the parser.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..errors import ConfigurationError
from ..routing.route import Route
from ..routing.router import Mount
from .comments import comment
from .nginx_directives import Found, read_options, read_target
from .site import Export
from .toml_text import key, line

__all__ = ["read_nginx"]

Directive = dict[str, Any]

#: What concerns nginx alone, or is what this proxy does by itself.
_SILENT = frozenset(
    [
        "absolute_redirect",
        "access_log",
        "charset",
        "client_body_buffer_size",
        "client_body_temp_path",
        "daemon",
        "client_header_buffer_size",
        "client_header_timeout",
        "client_body_timeout",
        "default_type",
        "error_log",
        "events",
        "fastcgi_temp_path",
        "gzip",
        "gzip_comp_level",
        "gzip_disable",
        "gzip_http_version",
        "gzip_min_length",
        "gzip_proxied",
        "gzip_types",
        "gzip_vary",
        "include",
        "internal",
        "keepalive",
        "keepalive_requests",
        "keepalive_timeout",
        "large_client_header_buffers",
        "log_format",
        "map_hash_bucket_size",
        "merge_slashes",
        "master_process",
        "pid",
        "real_ip_header",
        "real_ip_recursive",
        "reset_timedout_connection",
        "scgi_temp_path",
        "send_timeout",
        "sendfile",
        "server_name_in_redirect",
        "server_names_hash_bucket_size",
        "server_tokens",
        "tcp_nodelay",
        "tcp_nopush",
        "types",
        "types_hash_max_size",
        "upstream",
        "user",
        "uwsgi_temp_path",
        "variables_hash_bucket_size",
        "variables_hash_max_size",
        "worker_connections",
        "worker_processes",
        "worker_rlimit_nofile",
        "load_module",
    ]
)
_STRUCTURE = frozenset(("http", "listen", "location", "proxy_pass", "server", "server_name"))


class _Made(NamedTuple):
    prefix: str
    urls: list[str]
    options: dict[str, Any]


def read_nginx(path: str) -> Export:
    """The settings that a file and those that it includes stand for.

    :returns: the text of a ``proxy.toml``, and what was not understood.
    :raises ConfigurationError: without the parser, or for a file that is no configuration.
    """
    directives = _parse(path)
    lost: list[str] = []
    http = [inner for d in directives if d["directive"] == "http" for inner in d["block"]]
    # A file from conf.d/ holds what stands inside of "http".
    top = http or directives
    _tell([d for d in directives if d["directive"] != "http"] if http else [], lost)
    upstreams = {d["args"][0]: d["block"] for d in top if d["directive"] == "upstream"}
    servers = [d for d in top if d["directive"] == "server"]
    outer = Found(upstreams, lost)
    read_options([d for d in top if d["directive"] not in ("server", "upstream")], outer)
    _tell([d for d in top if d["directive"] not in outer.known], lost)
    made = [route for server in servers for route in _server(server, outer, len(servers) > 1)]
    return Export(_text(path, _listens(servers, lost), made, lost), tuple(lost))


def _parse(path: str) -> list[Directive]:
    try:
        import crossplane
    except ImportError:
        raise ConfigurationError(
            "reading nginx.conf needs crossplane; pip install 'wsgi-reverse-proxy[import-nginx]'"
        ) from None
    if not os.path.exists(path):
        raise ConfigurationError(f"{path}: no such file; check the name")
    options = {"combine": True, "check_ctx": False, "check_args": False, "single": False}
    parsed = crossplane.parse(path, **options)
    if parsed["status"] != "ok":
        first = parsed["errors"][0]
        raise ConfigurationError(f"{first.get('error') or path}; nginx -t tells more")
    found: list[Directive] = parsed["config"][0]["parsed"]
    return found


def _tell(directives: Sequence[Directive], lost: list[str]) -> None:
    """Name what has no counterpart."""
    for directive in directives:
        name = directive["directive"]
        if name not in _SILENT and name not in _STRUCTURE:
            lost.append(where(directive))


def where(directive: Directive) -> str:
    """A directive as a line of the list."""
    words = " ".join([directive["directive"], *directive["args"]])
    file = os.path.basename(directive.get("file", "")) or "line"
    return f"{file}:{directive['line']}: {words[:100]}"


def _listens(servers: Sequence[Directive], lost: list[str]) -> list[str]:
    """The addresses of all servers, those without TLS."""
    found: list[str] = []
    for server in servers:
        for directive in server["block"]:
            if directive["directive"] != "listen":
                continue
            address, *words = directive["args"]
            if "ssl" in words or "quic" in words or address.startswith("unix:"):
                lost.append(where(directive))
                continue
            address = f"0.0.0.0:{address}" if address.isdigit() else address
            address = address if address.rpartition(":")[2].isdigit() else f"{address}:80"
            found.append(address.replace("*:", "0.0.0.0:"))
    return list(dict.fromkeys(found))


def _server(server: Directive, outer: Found, is_several: bool) -> Iterator[_Made]:
    """The routes of a server block; one for each of its names if there are several blocks."""
    inside = outer.nested()
    read_options([d for d in server["block"] if d["directive"] != "location"], inside)
    _tell([d for d in server["block"] if d["directive"] not in inside.known], outer.lost)
    words = [d["args"] for d in server["block"] if d["directive"] == "listen"]
    is_default = any("default_server" in args for args in words)
    names = [n for d in server["block"] if d["directive"] == "server_name" for n in d["args"]]
    plain = [name for name in names if name and name != "_" and not set(name) & set("~*$")]
    if len(plain) < len([name for name in names if name not in ("", "_")]):
        outer.lost.append(f"{where(server)}: server_name {' '.join(names)}")
    hosts: list[str | None] = [None] if not is_several or is_default or not plain else [*plain]
    for location in server["block"]:
        if location["directive"] == "location":
            for count, host in enumerate(hosts):
                yield from _location(location, inside.quiet() if count else inside, host)


def _location(location: Directive, outer: Found, host: str | None) -> Iterator[_Made]:
    """The route of a location, if it has a ``proxy_pass`` to a place that is written out."""
    *modifier, prefix = location["args"]
    inside = outer.nested()
    read_options(location["block"], inside)
    if modifier not in ([], ["^~"]) or not prefix.startswith("/"):
        outer.lost.append(where(location))
        return
    passed = [d for d in location["block"] if d["directive"] == "proxy_pass"]
    others = [d for d in location["block"] if d["directive"] not in inside.known]
    _tell(others, outer.lost)
    if not passed:
        if not any(d["directive"] == "internal" for d in location["block"]):
            outer.lost.append(where(location))
        return
    target = read_target(prefix, passed[0]["args"][0], inside)
    if target is None:
        outer.lost.append(where(passed[0]))
        return
    urls, options = target
    options = {**inside.options, **options, **({"host_match": host} if host else {})}
    made = _Made(prefix.rstrip("/") or "/", urls, options)
    problem = _problem(made)
    if problem:
        outer.lost.append(f"{where(location)}: {problem}")
    else:
        yield made


def _problem(made: _Made) -> str:
    """Why this proxy would not take a route, or nothing."""
    try:
        Mount(made.prefix, Route(made.urls, **made.options))
    except ConfigurationError as error:
        return str(error)
    return ""


def _text(path: str, listens: list[str], made: Sequence[_Made], lost: Sequence[str]) -> str:
    lines = [comment(f"Written by: python -m wsgiproxy import {path}")]
    lines += [comment("Not understood:")] if lost else []
    lines += [comment(f"  {text}") for text in lost]
    if listens:
        lines += ["", "[server]", line("listen", listens)]
    prefixes = list(dict.fromkeys(route.prefix for route in made))
    for prefix in prefixes:
        routes = [route for route in made if route.prefix == prefix]
        mark = "[[routes.{}]]" if len(routes) > 1 else "[routes.{}]"
        for route in routes:
            lines += ["", mark.format(key(prefix)), *_table(route)]
    return "\n".join(lines) + "\n"


def _table(route: _Made) -> Iterator[str]:
    yield line("upstream", route.urls if len(route.urls) > 1 else route.urls[0])
    for name in sorted(route.options):
        yield line(name, route.options[name])
