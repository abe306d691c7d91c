"""What single directives of nginx mean as options of a route."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["Found", "read_options", "read_target"]

Directive = dict[str, Any]

_TIME = re.compile(r"([0-9]+)(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, None: 1}
_URL = re.compile(r"(https?)://([^/$]+)(/[^$]*)?")
#: What the proxy tells by itself, with the values that are customary.
_OWN = frozenset(
    [
        "connection",
        "upgrade",
        "x-real-ip",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-ssl",
        "x-scheme",
        "accept-encoding",
    ]
)
_CLIENT = ("$host", "$http_host", "$host:$server_port")


class Found:
    """The options that hold at a place of the file: its own, and those from around it.

    :param upstreams: the ``upstream`` blocks by name.
    :param lost: where what was not understood is noted.
    """

    def __init__(self, upstreams: Mapping[str, list[Directive]], lost: list[str]) -> None:
        self.upstreams = upstreams
        self.lost = lost
        self.options: dict[str, Any] = {}
        #: Names of directives that were read.
        self.known: set[str] = set()

    def nested(self) -> Found:
        """What holds one block further in, before its own directives are read."""
        inner = Found(self.upstreams, self.lost)
        inner.options = dict(self.options)
        return inner

    def quiet(self) -> Found:
        """The same, for a second reading that notes nothing again."""
        inner = self.nested()
        inner.lost = []
        return inner

    def lose(self, directive: Directive) -> None:
        """Note a directive that was not understood."""
        words = " ".join([directive["directive"], *directive["args"]])
        self.lost.append(f"line {directive['line']}: {words[:100]}")


def read_options(directives: Sequence[Directive], found: Found) -> None:
    """Add what directives of one block mean.

    As in nginx, one ``proxy_set_header`` or ``add_header`` of a block replaces all from around it.
    """
    names = {directive["directive"] for directive in directives}
    if "proxy_set_header" in names:
        for name in ("request_headers", "host"):
            found.options.pop(name, None)
    if {"add_header", "proxy_hide_header"} & names:
        found.options.pop("response_headers", None)
    for directive in directives:
        reader = _READERS.get(directive["directive"])
        if reader is not None:
            found.known.add(directive["directive"])
            reader(directive, found)


def _request_header(directive: Directive, found: Found) -> None:
    name, value = (*directive["args"], "")[:2]
    if name.lower() == "host":
        if value in _CLIENT:
            found.options["host"] = "client"
        elif "$" not in value:
            found.options["host"] = value
        elif value != "$proxy_host":
            found.lose(directive)
    elif name.lower() not in _OWN:
        _change("request_headers", name, value, directive, found)


def _add_header(directive: Directive, found: Found) -> None:
    name, value = directive["args"][:2]
    _change("response_headers", name, value, directive, found)


def _hide_header(directive: Directive, found: Found) -> None:
    headers = found.options.setdefault("response_headers", {})
    headers.setdefault(directive["args"][0], "")


def _change(option: str, name: str, value: str, directive: Directive, found: Found) -> None:
    if "$" in value:
        found.lose(directive)
    else:
        found.options.setdefault(option, {})[name] = value


def _seconds(option: str) -> Callable[[Directive, Found], None]:
    def read(directive: Directive, found: Found) -> None:
        match = _TIME.fullmatch(directive["args"][0])
        if match is None or not int(match[1]):
            found.lose(directive)
        else:
            found.options[option] = int(match[1]) * _UNITS[match[2]]

    return read


def _body(directive: Directive, found: Found) -> None:
    size = directive["args"][0]
    found.options.pop("max_body", None)
    if size != "0":
        found.options["max_body"] = size


def _trusted(directive: Directive, found: Found) -> None:
    networks = found.options.setdefault("trusted_proxies", [])
    if directive["args"][0].startswith("unix"):
        found.lose(directive)
    else:
        found.options["trusted_proxies"] = [*networks, directive["args"][0]]


def _auth(directive: Directive, found: Found) -> None:
    if directive["args"][0] == "off":
        found.options.pop("auth", None)
        return
    found.options["auth"] = directive["args"][0]
    found.lost.append(
        f"line {directive['line']}: auth_request {directive['args'][0]}: the path of the wrapped "
        "application to ask may be another one"
    )


def _text(option: str) -> Callable[[Directive, Found], None]:
    def read(directive: Directive, found: Found) -> None:
        found.options[option] = directive["args"][0]

    return read


def _verify(directive: Directive, found: Found) -> None:
    found.options["verify"] = directive["args"][0] == "on"


def _switched_off(directive: Directive, found: Found) -> None:
    """Streaming is what the proxy does; whoever wants a buffer should know."""


_READERS: dict[str, Callable[[Directive, Found], None]] = {
    "add_header": _add_header,
    "auth_request": _auth,
    "client_max_body_size": _body,
    "proxy_buffer_size": _switched_off,
    "proxy_buffering": _switched_off,
    "proxy_buffers": _switched_off,
    "proxy_busy_buffers_size": _switched_off,
    "proxy_connect_timeout": _seconds("connect_timeout"),
    "proxy_hide_header": _hide_header,
    "proxy_http_version": _switched_off,
    "proxy_read_timeout": _seconds("read_timeout"),
    "proxy_redirect": _switched_off,
    "proxy_request_buffering": _switched_off,
    "proxy_send_timeout": _switched_off,
    "proxy_set_header": _request_header,
    "proxy_ssl_certificate": _text("client_cert"),
    "proxy_ssl_certificate_key": _text("client_key"),
    "proxy_ssl_server_name": _switched_off,
    "proxy_ssl_trusted_certificate": _text("ca"),
    "proxy_ssl_verify": _verify,
    "set_real_ip_from": _trusted,
}


# -- proxy_pass ----------------------------------------------------------------------------


def read_target(prefix: str, url: str, found: Found) -> tuple[list[str], dict[str, Any]] | None:
    """The URLs that ``proxy_pass`` leads to, and the options that follow from how it is written.

    With a path behind the host, nginx puts that path in the place of the location's; without one
    the path goes on as it is.

    :returns: ``None`` for a URL with variables in it.
    """
    options: dict[str, Any] = {}
    if url.startswith(("http://unix:", "https://unix:")):
        path, colon, rest = url.partition("unix:")[2].partition(":")
        base, is_kept = rest, not colon
        urls = [f"unix:{path}"]
    else:
        match = _URL.fullmatch(url)
        if match is None:
            return None
        base, is_kept = match[3] or "", match[3] is None
        urls, options = _servers(match[1], match[2], found)
        if match[1] == "https":
            options["verify"] = found.options.get("verify", False)
    if is_kept and prefix.rstrip("/"):
        options["strip_prefix"] = False
    if not prefix.endswith("/") and base and not is_kept:
        options["add_slash"] = False
    base = base.rstrip("/")
    return [one + (":" if one.startswith("unix:") and base else "") + base for one in urls], options


def _servers(scheme: str, name: str, found: Found) -> tuple[list[str], dict[str, Any]]:
    """The servers of an ``upstream`` block, or the one host that a URL names."""
    block = found.upstreams.get(name)
    if block is None:
        return [f"{scheme}://{name}"], {}
    urls, options = [], {}
    for directive in block:
        if directive["directive"] != "server":
            continue
        address, *words = directive["args"]
        urls.append(address if address.startswith("unix:") else f"{scheme}://{address}")
        for word in words:
            option, _, value = word.partition("=")
            match = _TIME.fullmatch(value)
            if option == "max_fails" and value.isdigit():
                options["max_fails"] = int(value)
            elif option == "fail_timeout" and match:
                options["fail_timeout"] = int(match[1]) * _UNITS[match[2]]
            else:
                found.lost.append(f"line {directive['line']}: {word} of {address}")
    return urls, options
