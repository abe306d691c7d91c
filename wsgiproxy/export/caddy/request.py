"""What a route's block does with the request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..claims import CLAIMS, HOP_BY_HOP
from ..patterns import DOTS, any_of, decoded, encoded, literal, mapped_prefix
from ..plan import Place
from ..servers import base as base_of
from ..servers import origin
from .text import block, fixed, pattern, replacement, word

__all__ = ["PATH", "claims_removed", "facts", "matcher", "refusals", "request_lines"]

#: The path as it was asked for, decoded once and not resolved.
PATH = "{http.request.orig_uri.path}"
_OWN = '{http.vars.proto} + "://" + {http.vars.asked}'


def matcher(place: Place) -> list[str]:
    """Which requests are a route's: by the decoded path, and by the host."""
    mount = place.mount
    lines = [f"vars_regexp {PATH} {pattern(f'^{decoded(mount.prefix)}(?:/|$)')}"]
    if place.host:
        lines.append(f"host {word(place.host)}")
    return block(f"@route_{place.number}", lines)


def facts(number: int, networks: Sequence[Any]) -> Iterator[str]:
    """What is known of the client, in variables, and whether its claims are believed."""
    yield "vars asked {http.request.hostport}"
    yield "vars proto {http.request.scheme}"
    yield 'vars outer ""'
    if not networks:
        return
    peers = f"remote_ip {' '.join(map(str, networks))}"
    yield from block(f"@trusted_{number}", [peers])
    yield from block(f"@untrusted_{number}", [f"not {peers}"])
    rows = [
        ("asked", "X-Forwarded-Host", r"^(?:.*,)?\s*([^,\s]+)\s*$"),
        ("proto", "X-Forwarded-Proto", r"^(?:.*,)?\s*(https?)\s*$"),
        ("outer", "X-Forwarded-Prefix", r"^(.*?)/*$"),
    ]
    for key, field, claim in rows:
        name = f"{key}_{number}"
        lines = [peers, f"header_regexp {name} {field} {pattern(claim)}"]
        yield from block(f"@claims_{name}", lines)
        yield f"vars @claims_{name} {key} {{http.regexp.{name}.1}}"


def claims_removed(number: int, trusts: bool) -> Iterator[str]:
    """Take away what a client says about itself, and names with underscores."""
    yield "request_header -*_*"
    who = f" @untrusted_{number}" if trusts else ""
    yield f"request_header{who} -X-Forwarded-*"
    for name in CLAIMS:
        is_way = not any(part in name.lower() for part in _WHO)
        if trusts and name.startswith("X-Forwarded-") and is_way:
            continue
        yield f"request_header{who if is_way else ''} -{name}"
    for name in HOP_BY_HOP:
        yield f"request_header -{name}"


_WHO = ("user", "email", "group", "name", "token", "cert", "verify", "s-dn", "proxy-remote")


def refusals(place: Place) -> Iterator[str]:
    """What is answered here: dots that lead out, the prefix without its slash."""
    mount, route, number = place.mount, place.mount.route, place.number
    # An encoded slash within the prefix: what would be cut off is not what was found.
    parts = ["/[^/?]*" * count for count in range(1, mount.prefix.count("/") + 1)]
    slashed = f"^(?:{'|'.join(parts)})%2[fF]" if parts else "^$"
    lines = [f"vars_regexp {PATH} {pattern(DOTS)}"]
    yield from block(f"@dots_{number}", lines)
    yield f"respond @dots_{number} 400"
    yield from block(
        f"@slashed_{number}", [f"vars_regexp {{http.request.orig_uri}} {pattern(slashed)}"]
    )
    yield f"respond @slashed_{number} 400"
    if mount.prefix and route.strip_prefix and route.add_slash:
        bare = [f"vars_regexp {PATH} {pattern(f'^{decoded(mount.prefix)}$')}"]
        yield from block(f"@bare_{number}", [*bare, "method GET HEAD", "not header Upgrade *"])
        there = fixed("/" + encoded(mount).lstrip("/") + "/")
        yield f"redir @bare_{number} {word(there + '{http.request.orig_uri.prefixed_query}')} 308"


def request_lines(place: Place) -> Iterator[str]:
    """What is changed of the request before it goes on, in this order."""
    mount, route, number = place.mount, place.mount.route, place.number
    if route.max_body is not None:
        yield from block("request_body", [f"max_size {max(route.max_body, 1)}"])
    base = base_of(place.mount)
    cut = "/[^/]*" * mount.prefix.count("/") if route.strip_prefix else ""
    if cut or base:
        # strip_prefix and rewrite would resolve dots, and decode what the client has encoded.
        yield f"uri path_regexp {pattern(f'^{cut}/?(.*)$')} {word(replacement(base) + '/$1')}"
    if route.host != "client":
        yield from _addresses(place)
    other = ["header Upgrade *"]
    if route.upgrade:
        other.append(f"not header_regexp Upgrade {pattern(f'^(?i:{any_of(route.upgrade)})$')}")
    yield from block(f"@other_{number}", other)
    yield f"request_header @other_{number} -Upgrade"
    yield from _hidden(place)
    yield from _forwarded(place)
    for name, value in route.request_headers:
        yield (
            f"request_header -{name}"
            if value is None
            else f"request_header {name} {word(fixed(value))}"
        )


def _addresses(place: Place) -> Iterator[str]:
    """``Origin`` and ``Referer`` of our own, as the upstream knows itself."""
    mount, number = place.mount, place.number
    base, prefix = base_of(mount), mapped_prefix(mount)
    yield f"@origin_{number} `{{http.request.header.Origin}}.lowerAscii() == ({_OWN}).lowerAscii()`"
    yield f"request_header @origin_{number} Origin {word(origin(mount))}"
    yield (
        f'@referer_{number} `({{http.request.header.Referer}} + "/").lowerAscii()'
        f'.startsWith(({_OWN} + "/").lowerAscii())`'
    )
    # What is settled begins with a colon until all rules have seen it.
    own, there = r"^[Hh][^/]*//[^/?#]*", replacement(origin(mount))
    rows = [(f"{own}{literal(prefix)}(/.*)$", f":{there}{replacement(base)}$1")]
    if prefix:
        rows.append((f"{own}{literal(prefix)}([?#].*)?$", f":{there}{replacement(base)}/$1"))
    rows += [(f"{own}(/.*)?$", f":{there}$1"), ("^:(.*)$", "$1")]
    for before, after in rows:
        yield f"request_header @referer_{number} Referer {pattern(before)} {word(after)}"


def _hidden(place: Place) -> Iterator[str]:
    hidden, number = place.mount.route.hide_cookies, place.number
    if not hidden:
        return
    taken = rf"(?:^|;\s*){any_of(hidden)}=[^;]*"
    for before in (taken, r"^;\s*"):
        yield f'request_header Cookie {pattern(before)} ""'
    yield from block(f"@none_left_{number}", ["header_regexp Cookie ^$"])
    yield f"request_header @none_left_{number} -Cookie"


def _forwarded(place: Place) -> Iterator[str]:
    """``Forwarded`` (RFC 7239); the ``X-Forwarded`` fields are told where the upstream is asked."""
    if place.mount.route.forwarded not in ("rfc7239", "both"):
        return
    trusts = bool(place.mount.route.trusted_proxies)
    node = "{http.request.remote.host}"
    yield f"vars node {node}"
    yield f'@ipv6_{place.number} `{node}.contains(":")`'
    yield f'vars @ipv6_{place.number} node `"[{node}]"`'
    hop = 'for={http.vars.node};host="{http.vars.asked}";proto={http.vars.proto}'
    yield f"request_header {'+' if trusts else ''}Forwarded `{hop}`"
