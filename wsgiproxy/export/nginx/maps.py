"""The ``map`` blocks: values that nginx computes for a request when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..patterns import DOTS, any_of, encoded, first_match, head, literal, mapped_prefix
from ..plan import Place
from ..servers import base as base_of
from ..servers import origin
from .text import block, pattern, var, word

__all__ = [
    "after_map",
    "cookie_map",
    "origin_map",
    "referer_map",
    "shared",
    "trust",
    "upgrade_maps",
]

_ORIGIN = f"{var('wsgiproxy_proto_{}')}://{var('wsgiproxy_asked_{}')}"


def make(source: str, name: str, rows: Iterable[tuple[str, str]], default: str = "") -> list[str]:
    """A ``map`` from a source to a variable; the first pattern that matches decides."""
    lines = [f"default {word(default)};"] if default else ['default "";']
    lines += [f"{pattern(left)} {word(right) if right else chr(34) * 2};" for left, right in rows]
    return block(f"map {word(source)} ${name}", lines)


def shared() -> list[str]:
    """What every route uses: whether a bare prefix is redirected, and what lasts."""
    return [
        *make(
            var("request_method") + ":" + var("http_upgrade"),
            "wsgiproxy_slash",
            [("GET:", "1"), ("HEAD:", "1")],
        ),
        *make(
            var("http_upgrade") + ":" + var("http_accept"),
            "wsgiproxy_lasts",
            [(r"~*^[^:]+:|text/event-stream", "1")],
        ),
        *make(var("http_upgrade"), "wsgiproxy_connection_any", [(r"~.", "upgrade")]),
    ]


def trust(number: int, networks: Sequence[Any]) -> list[str]:
    """What is told of a client, with the claims of those who are believed.

    :param number: the end of the variables' names.
    :param networks: whose claims are believed; nobody's if it is empty.
    """
    peer, asked = var("realip_remote_addr"), f"wsgiproxy_asked_{number}"
    believed = f"wsgiproxy_trusted_{number}"
    claim = var(believed) + " "
    lines = block(
        f"geo $realip_remote_addr ${believed}",
        ["default 0;", *(f"{network} 1;" for network in networks)],
    )
    rows: list[tuple[str, str, list[tuple[str, str]], str]] = [
        ("for", "x_forwarded_for", [("~^1 (.+)$", var("1") + ", " + peer)], peer),
        (
            "asked",
            "x_forwarded_host",
            [(r"~^1 (?:.*,)?\s*([^,\s]+)\s*$", var("1"))],
            var("http_host"),
        ),
        (
            "proto",
            "x_forwarded_proto",
            [(r"~*^1 (?:.*,)?\s*(https?)\s*$", var("1"))],
            var("scheme"),
        ),
        (
            "port",
            "x_forwarded_port",
            [("~^1 (.+)$", var("1"))],
            var(f"wsgiproxy_own_port_{number}"),
        ),
        ("outer", "x_forwarded_prefix", [("~^1 (.*?)/*$", var("1"))], ""),
        ("before", "forwarded", [("~^1 (.+)$", var("1") + ", ")], ""),
    ]
    for name, header, matched, default in rows:
        source = claim + var(f"http_{header}")
        lines += make(source, f"wsgiproxy_{name}_{number}", matched, default)
    lines += make(
        f"{var(f'wsgiproxy_proto_{number}')} {var(asked)}",
        f"wsgiproxy_own_port_{number}",
        [(r"~:([0-9]+)$", var("1")), ("~*^https ", "443")],
        "80",
    )
    return lines


def node() -> list[str]:
    """The client's address as ``Forwarded`` has it (RFC 7239, 6)."""
    peer = var("realip_remote_addr")
    return make(peer, "wsgiproxy_node", [("~:", f'"[{peer}]"')], peer)


def after_map(segments: int) -> list[str]:
    """What follows so many segments of the path as the client spelt it; nothing if dots lead out.

    A location is found by the decoded and resolved path, the target is what the client wrote.
    """
    start = head(segments)
    rows = [(rf"~^{start}(/.*)$", var("1")), (rf"~^{start}(\?.*)?$", "/" + var("1"))]
    return make(var("request_uri"), f"wsgiproxy_after_{segments}", [_OUT, *rows])


def whole_map(segments: int) -> list[str]:
    """The whole target, under the same conditions."""
    rows = [_OUT, (f"~^({head(segments)}(?:[/?].*)?)$", var("1"))]
    return make(var("request_uri"), f"wsgiproxy_whole_{segments}", rows)


_OUT = (f"~^[^?]*{DOTS}", "")


def content_location_map(place: Place) -> list[str]:
    """``Content-Location`` under the prefix, for which nginx has no directive."""
    source = "upstream_http_content_location"
    rows = [
        (f"~{rule.pattern}", rule.before + (var("1") if rule.has_group else ""))
        for rule in first_match(place.mount)
        if rule.pattern != "^$"
    ]
    return make(var(source), f"wsgiproxy_content_location_{place.number}", rows, var(source))


def refusal_maps() -> list[str]:
    """What a client gets that may not pass: a person the way to the login, a script 401.

    The same signs count as in :func:`~wsgiproxy.access.check.is_page_load`.
    """
    signs = ("upgrade", "x_requested_with", "sec_fetch_mode", "sec_fetch_dest", "accept")
    dest = "document|iframe|frame|embed|object|fencedframe"
    return [
        *make(
            "|".join(var(f"http_{name}") for name in signs),
            "wsgiproxy_page",
            [
                (r"~^[^|]", ""),
                (r"~*^\|xmlhttprequest\|", ""),
                (r"~^\|[^|]*\|navigate\|", "1"),
                (r"~^\|[^|]*\|[^|]", ""),
                (rf"~^\|[^|]*\|\|(?:{dest})\|", "1"),
                (r"~^\|[^|]*\|\|[^|]", ""),
                (r"~*text/html|application/xhtml\+xml", "1"),
            ],
        ),
        *make(
            var("wsgiproxy_page") + " " + var("wsgiproxy_login"),
            "wsgiproxy_refusal",
            [("~^1 .", "login"), ("~^ .", "refuse")],
        ),
    ]


def login_map(place: Place) -> list[str]:
    """The way to the login, with the URL that was asked for where it named the question's.

    nginx cannot encode, so a query is left out, and a path with escapes is left alone.
    """
    asked = literal(str(place.mount.route.auth))
    encoded_asked = literal(str(place.mount.route.auth).replace("/", "%2F"))
    row = (
        r"~^([A-Za-z0-9/:._~-]+)(?:\?\S*)? (\S*[?&;][^=&;]*=)"
        rf"(?i:{asked}|{encoded_asked})([&;#]\S*)?$",
        var("2") + var("1") + var("3"),
    )
    source = var("request_uri") + " " + var("wsgiproxy_login")
    return make(source, f"wsgiproxy_login_{place.number}", [row], var("wsgiproxy_login"))


def upgrade_maps(number: int, protocols: Sequence[str]) -> list[str]:
    """Which switch of protocols goes through."""
    rows = [(f"~*^{any_of(protocols)}$", var("http_upgrade"))] if protocols else []
    name = f"wsgiproxy_upgrade_{number}"
    connection = make(var(name), f"wsgiproxy_connection_{number}", [("~.", "upgrade")])
    return [*make(var("http_upgrade"), name, rows), *connection]


def origin_map(place: Place, trusted: int) -> list[str]:
    """``Origin`` of our own as the upstream's; a foreign one stays foreign."""
    own = _ORIGIN.format(trusted, trusted)
    return make(
        f"{own} {var('http_origin')}",
        f"wsgiproxy_origin_{place.number}",
        [(r"~*^(\S+) \1$", origin(place.mount))],
        var("http_origin"),
    )


def referer_map(place: Place, trusted: int) -> list[str]:
    """``Referer`` of our own as the upstream knows its pages."""
    mount, own = place.mount, _ORIGIN.format(trusted, trusted)
    base = base_of(mount)
    prefix = mapped_prefix(mount)
    rows = []
    if prefix:
        inside = rf"~*^(\S+) \1(?-i:{literal(encoded(mount))})"
        rows.append((rf"{inside}(/.*)$", origin(mount) + base + var("2")))
        rows.append((rf"{inside}([?#].*)?$", origin(mount) + base + "/" + var("2")))
    else:
        rows.append((r"~*^(\S+) \1(/.*)$", origin(mount) + base + var("2")))
    rows.append((r"~*^(\S+) \1([/?#].*)?$", origin(mount) + var("2")))
    return make(
        f"{own} {var('http_referer')}",
        f"wsgiproxy_referer_{place.number}",
        rows,
        var("http_referer"),
    )


def cookie_map(place: Place) -> list[str]:
    """``Cookie`` without the hidden ones.

    Each map takes one away; were a name to come three times, the last map would take all.
    """
    lines, source = [], "http_cookie"
    hidden = place.mount.route.hide_cookies
    for step, name in enumerate((*hidden, *hidden)):
        taken = rf"~^(|.*;\s*){literal(name)}=[^;]*(?:;\s*(.*))?$"
        target = f"wsgiproxy_cookie_{place.number}_{step}"
        lines += make(var(source), target, [(taken, var("1") + var("2"))], var(source))
        source = target
    left = rf"~(?:^|;)\s*{any_of(hidden)}="
    rows = [(left, ""), (r"~^(.*[^;\s])[;\s]*$", var("1"))]
    return [*lines, *make(var(source), f"wsgiproxy_cookie_{place.number}", rows)]
