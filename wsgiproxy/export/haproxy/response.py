"""The lines of a backend that concern the response."""

from __future__ import annotations

from collections.abc import Iterator

from ..claims import dropped
from ..patterns import any_of, cookie_domains, literal, location_steps, mapped_prefix, own_origin
from ..plan import Place
from ..servers import base as base_of
from .text import formatted, replaced, replacement, word

__all__ = ["response_lines"]


def response_lines(place: Place) -> Iterator[str]:
    """All that happens to a response before the client gets it."""
    for name in dropped(place.mount):
        yield f"http-response del-header {name}"
    if place.does("location"):
        for field in ("Location", "Content-Location"):
            yield from _location(place, field)
        yield from _within(place)
    if place.does("cookies"):
        yield from _cookie_paths(place)
        yield from _cookie_domains(place)
    for name, value in place.mount.route.response_headers:
        if value is None:
            yield f"http-response del-header {name}"
        else:
            yield f"http-response set-header {name} {word(formatted(value))}"


def _location(place: Place, field: str) -> Iterator[str]:
    """A URL alone: the host that was asked for stands in front of it while it is compared."""
    base = literal(base_of(place.mount))
    found = f"{{ res.hdr({field.lower()}) -m found }}"
    yield (
        f"http-response set-header {field} "
        f"'%[var(txn.asked)] %[res.fhdr({field.lower()})]' if {found}"
    )
    path = f"({base}(?:[/?#].*)?)" if base else "(/.*)?"
    front = rf"^(\S+) (?i:(?:https?|wss?)://\1){path}$"
    yield f"http-response replace-header {field} {word(front)} '\\2'"
    yield f"http-response replace-header {field} '^\\S* (.*)$' '\\1'"
    for step in location_steps(place.mount):
        yield replaced("response", field, step)


def _within(place: Place) -> Iterator[str]:
    """URLs within other values: ``Refresh`` and ``Link``."""
    mount = place.mount
    prefix, base = mapped_prefix(mount), base_of(mount)
    refresh = r"\s*[0-9.]+\s*[;,]\s*(?:(?i:url)\s*=\s*)?[\x22\x27]?"
    under = rf"(?!{literal(prefix)}(?:[/?#>\x22\x27]|$))" if prefix else ""
    for how, before in (("replace-header Refresh", refresh), ("replace-value Link", "<")):
        own = f"^({before}){own_origin(mount)}(/.*)$"
        yield f"http-response {how} {word(own)} '\\1\\2'"
        if prefix or base:
            path = f"^({before}){under}{literal(base)}(/(?![/\\\\]).*)$"
            after = rf"\1{replacement(prefix)}\2"
            yield f"http-response {how} {word(path)} {word(after)}"


def _cookie_paths(place: Place) -> Iterator[str]:
    """The first rule that matches counts: what is settled begins with a colon for a while."""
    from ..patterns import cookie_paths

    rules = cookie_paths(place.mount)
    attribute = r"(?!__(?i:host)-)([^;]*;(?:.*;)?\s*(?i:path)\s*=\s*)"
    for rule in rules:
        inner = rule.pattern[1:-1].replace(".*", "[^;]*")
        group = r"\2" if rule.has_group else ""
        rest = r"\3" if rule.has_group else r"\2"
        pattern = f"^{attribute}{inner}(\\s*(?:;.*)?)$"
        after = rf"\1:{replacement(rule.before)}{group}{rest}"
        yield f"http-response replace-header Set-Cookie {word(pattern)} {word(after)}"
    if rules:
        yield f"http-response replace-header Set-Cookie {word(f'^{attribute}:(.*)$')} '\\1\\2'"


def _cookie_domains(place: Place) -> Iterator[str]:
    names = any_of(cookie_domains(place.mount))
    pattern = rf"^([^;]*(?:;.*?)?);\s*(?i:domain\s*=\s*\.?{names})\s*(;.*)?$"
    yield f"http-response replace-header Set-Cookie {word(pattern)} '\\1\\2'"
