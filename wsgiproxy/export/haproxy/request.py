"""The lines of a backend that concern the request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..claims import CLAIMS, HOP_BY_HOP
from ..patterns import DOTS, any_of, encoded, head, literal, mapped_prefix
from ..plan import Place
from ..servers import base as base_of
from ..servers import origin
from ..spans import seconds
from .text import formatted, replacement, word

__all__ = ["claims_removed", "facts", "request_lines"]

# Fields that tell who the user is are nobody's to send; the others are a trusted proxy's.
_WHO = re.compile(r"user|name$|email|groups?$|token|cert|verify|s-dn", re.IGNORECASE)
_WAY = tuple(name for name in CLAIMS if not _WHO.search(name) or name == "X-ProxyUser-IP")


# RFC 3986, 3.2.2, and no Host at all, as HTTP/1.0 allows.
_HOST = r"^(?:(?:[A-Za-z0-9._~%!$&\x27()*+;=-]+|\[[0-9A-Fa-f:.v]+\])(?::[0-9]{1,5})?)?$"


def _folded(names: Sequence[str]) -> str:
    """A pattern for all spellings that ``fields.fold_name`` takes for one of these names."""
    spelt = "|".join("[-_]*".join(name.lower().split("-")) for name in names)
    return f"^(?:http[-_]*)*(?:{spelt})[-_]*$"


def claims_removed(trusted: str) -> Iterator[str]:
    """Take away what a client says about itself.

    :param trusted: the condition on those who are believed; nobody if it is empty.
    """
    way = _folded(_WAY).replace("(?:cf", "(?:x[-_]*forwarded.*|cf", 1)
    who = _folded([name for name in CLAIMS if name not in _WAY] + ["Proxy"])
    yield f"http-request del-header {word(who)} -m reg"
    yield f"http-request del-header {word(way)} -m reg" + (f" unless {trusted}" if trusted else "")
    for name in HOP_BY_HOP:
        yield f"http-request del-header {name}"


def facts(networks: Sequence[Any]) -> Iterator[str]:
    """What is known of the client, in variables: before the claims are removed."""
    yield "http-request set-var(txn.asked) req.hdr(host)"
    yield "http-request set-var(txn.proto) str(http)"
    yield "http-request set-var(txn.proto) str(https) if { ssl_fc }"
    if networks:
        yield f"acl trusted src {' '.join(map(str, networks))}"
        asked = "req.hdr(x-forwarded-host,-1)"
        yield f"http-request set-var(txn.asked) {asked} if trusted {{ {asked} -m found }}"
        proto = "req.hdr(x-forwarded-proto,-1),lower"
        yield f"http-request set-var(txn.proto) {proto} if trusted {{ {proto} -m str http https }}"
        yield "http-request set-var(txn.outer) req.fhdr(x-forwarded-prefix) if trusted"
    yield "http-request set-var(txn.own) var(txn.proto),concat(://,txn.asked)"
    yield "http-request set-var(txn.port) var(txn.asked),port_only"
    yield "http-request set-var(txn.port) int(80) if { var(txn.port) -m int 0 }"
    is_open = "{ var(txn.port) -m int 80 } !{ var(txn.asked) -m end :80 }"
    yield f"http-request set-var(txn.port) int(443) if {is_open} {{ var(txn.proto) -m str https }}"


def told(prefix: str, style: str, trusts: bool) -> Iterator[str]:
    """Tell of the client."""
    if style in ("x-forwarded", "both"):
        yield f"http-request {'add' if trusts else 'set'}-header X-Forwarded-For '%[src]'"
        yield "http-request set-header X-Forwarded-Proto '%[var(txn.proto)]'"
        yield "http-request set-header X-Forwarded-Host '%[var(txn.asked)]'"
        kept = " unless trusted { req.hdr(x-forwarded-port) -m found }" if trusts else ""
        yield f"http-request set-header X-Forwarded-Port '%[var(txn.port)]'{kept}"
        if prefix:
            outer = "%[var(txn.outer)]" if trusts else ""
            yield f"http-request set-header X-Forwarded-Prefix {word(outer + formatted(prefix))}"
    if style in ("rfc7239", "both"):
        hop = 'for=%[var(txn.node)];host="%[var(txn.asked)]";proto=%[var(txn.proto)]'
        yield "http-request set-var-fmt(txn.node) '%[src]'"
        yield "http-request set-var-fmt(txn.node) '\"[%[src]]\"' if { src -m sub : }"
        yield f"http-request {'add' if trusts else 'set'}-header Forwarded '{hop}'"


def request_lines(place: Place) -> Iterator[str]:
    """All that happens to a request before a server gets it."""
    route = place.mount.route
    trusts = bool(route.trusted_proxies)
    yield from _refused(place)
    yield from facts(route.trusted_proxies)
    yield from claims_removed("trusted" if trusts else "")
    yield from _target(place)
    yield from told(encoded(place.mount), route.forwarded, trusts)
    yield from _addresses(place)
    yield from _upgrades(place)
    yield from _hidden(place)
    for name, value in route.request_headers:
        if value is None:
            yield f"http-request del-header {name}"
        else:
            yield f"http-request set-header {name} {word(formatted(value))}"
    lasting = seconds(route.idle_timeout)
    stream = "{ req.hdr(accept) -m sub text/event-stream }"
    yield f"http-request set-timeout server {lasting} if {stream}"


def _refused(place: Place) -> Iterator[str]:
    """What is answered here: dots that lead out, large bodies, the prefix without its slash."""
    mount, route = place.mount, place.mount.route
    yield f"acl bare var(txn.path) -m str -- {word(mount.prefix)}"
    yield f"http-request deny deny_status 400 if {{ path -m reg {word(DOTS)} }}"
    odd = f"{{ req.hdr(host) -m found }} !{{ req.hdr(host) -m reg {word(_HOST)} }}"
    yield f"http-request deny deny_status 400 if {odd}"
    spelt = f"^{head(mount.prefix.count('/'))}(?:/|$)"
    yield f"http-request deny deny_status 400 unless {{ path -m reg {word(spelt)} }}"
    if mount.prefix and route.strip_prefix and route.add_slash:
        there = formatted("/" + encoded(mount).lstrip("/") + "/")
        condition = "if bare METH_GET !{ req.hdr(upgrade) -m found }"
        query = word(there + "?%[query]")
        yield f"http-request redirect code 308 location {query} {condition} {{ url -m sub ? }}"
        yield f"http-request redirect code 308 location {word(there)} {condition}"
    if route.max_body is not None:
        size = f"{{ req.hdr_val(content-length) gt {route.max_body} }}"
        yield f"http-request deny deny_status 413 if {size}"
        # How long a body in chunks will be, nobody knows before its end.
        yield "http-request return status 411 if { req.hdr(transfer-encoding) -m found }"


def _target(place: Place) -> Iterator[str]:
    """The path as the client spelt it, without the prefix and behind the base."""
    mount, base = place.mount, replacement(base_of(place.mount))
    if not mount.route.strip_prefix or not mount.prefix:
        if base:
            yield f"http-request replace-path '^(.*)$' {word(base + chr(92) + '1')}"
        return
    rest = f"^{head(mount.prefix.count('/'))}(/.*)$"
    yield f"http-request replace-path '^.*$' {word(base + '/')} if bare"
    yield f"http-request replace-path {word(rest)} {word(base + chr(92) + '1')} unless bare"


def _addresses(place: Place) -> Iterator[str]:
    """``Host``, and what must agree with it."""
    mount, route = place.mount, place.mount.route
    if route.host == "client":
        yield "http-request set-header Host '%[var(txn.asked)]'"
        return
    yield f"http-request set-header Host {word(formatted(origin(mount).partition('://')[2]))}"
    own = "{ req.hdr(origin),lower,strcmp(txn.own) eq 0 }"
    yield f"http-request set-header Origin {word(formatted(origin(mount)))} if {own}"
    # Our own origin in front of the referring page, so that a pattern can compare the two.
    both = "'%[var(txn.own)] %[req.fhdr(referer)]'"
    yield f"http-request set-header Referer {both} if {{ req.hdr(referer) -m found }}"
    base, prefix = base_of(place.mount), mapped_prefix(mount)
    there = replacement(origin(mount))
    rows = [(rf"^(\S+) \1{literal(prefix)}(/.*)$", there + replacement(base) + r"\2")]
    if prefix:
        rows.append((rf"^(\S+) \1{literal(prefix)}([?#].*)?$", there + replacement(base) + r"/\2"))
    rows += [(r"^(\S+) \1([/?#].*)?$", there + r"\2"), (r"^\S+ (.*)$", r"\1")]
    for pattern, after in rows:
        yield f"http-request replace-header Referer {word(pattern)} {word(after)}"


def _upgrades(place: Place) -> Iterator[str]:
    """Only those protocols that the route names."""
    condition = ""
    if place.mount.route.upgrade:
        allowed = f"^{any_of(place.mount.route.upgrade)}$"
        condition = f" unless {{ req.hdr(upgrade) -m reg -i {word(allowed)} }}"
    yield f"http-request del-header Upgrade{condition}"


def _hidden(place: Place) -> Iterator[str]:
    """Cookies that the upstream does not see; were a name to come three times, all go."""
    hidden = place.mount.route.hide_cookies
    for name in (*hidden, *hidden):
        pattern = rf"^(|.*;\s*){literal(name)}=[^;]*(?:;\s*(.*))?$"
        yield f"http-request replace-header Cookie {word(pattern)} '\\1\\2'"
    if hidden:
        left = rf"(?:^|;)\s*{any_of(hidden)}=|^[;\s]*$"
        yield f"http-request del-header Cookie if {{ req.fhdr(cookie) -m reg {word(left)} }}"
        yield r"http-request replace-header Cookie '^(.*[^;\s])[;\s]*$' '\1'"
