"""Regular expressions in what PCRE and Go's RE2 have in common, safe in any grammar.

A literal becomes a pattern whose special characters are all written in hexadecimal. Such a
pattern has no quote, brace, semicolon, dollar, percent sign or space in it, so no
configuration file's grammar can take it for anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..protocol.request_target import encode_path
from ..routing.router import Mount
from .servers import base as base_of

__all__ = [
    "DOTS",
    "Rewrite",
    "any_of",
    "cookie_domains",
    "cookie_paths",
    "decoded",
    "encoded",
    "first_match",
    "head",
    "literal",
    "location_steps",
    "mapped_prefix",
    "own_origin",
]

_PLAIN = re.compile(r"[A-Za-z0-9/_~-]")
_DOT = r"(?:\.|%(?:25)*2[eE])"
_SEPARATOR = r"(?:[/\\]|%(?:25)*(?:2[fF]|5[cC]))"
#: Two dots as a segment of an encoded path, however often they were encoded: somebody further
#: on may resolve them and leave the prefix.
DOTS = rf"{_SEPARATOR}{_DOT}{_DOT}(?:{_SEPARATOR}|[;?]|$)"


def head(segments: int) -> str:
    """So many first segments of a path that have been found to be a prefix once decoded.

    They may be neither dots nor hold encoded slashes, or what is cut off is not the prefix.
    The pattern looks ahead, which PCRE can and RE2 cannot.
    """
    segment = r"/(?!(?:\.|%2[eE])(?:\.|%2[eE])?(?:[/?]|$))(?:(?!%2[fF])[^/?])+"
    return f"(?:{segment}){{{segments}}}" if segments else ""


class Rewrite(NamedTuple):
    """What matches ``pattern`` becomes ``before``, with the first group behind it if wanted."""

    pattern: str
    before: str
    has_group: bool = True


def literal(text: str) -> str:
    """A pattern that matches this very text, one of ASCII characters."""
    return "".join(c if _PLAIN.match(c) else f"\\x{ord(c):02x}" for c in text)


def decoded(text: str) -> str:
    """A pattern that matches this text in a path that was decoded to letters."""
    return "".join(c if not c.isascii() else literal(c) for c in text)


def any_of(texts: Iterable[str]) -> str:
    """A pattern that matches one of these texts."""
    return "(?:" + "|".join(map(literal, texts)) + ")"


def encoded(mount: Mount) -> str:
    """A mount's prefix as it stands in URLs; nothing for the root."""
    return encode_path(mount.path)


def mapped_prefix(mount: Mount) -> str:
    """What goes in front of the upstream's own paths, as in ``forwarding.prepare.url_map``."""
    return encoded(mount) if mount.route.strip_prefix else ""


def own_origin(mount: Mount) -> str:
    """A pattern for an absolute URL's scheme and host, where the upstream names itself."""
    names = "|".join(map(_netloc, sorted(mount.inside)))
    return f"(?i:(?:(?:https?|wss?):)?//(?:{names}))"


def _netloc(netloc: str) -> str:
    """A last dot means nothing, and where there is no port the scheme's own may stand."""
    name, colon, port = netloc.rpartition(":")
    if not colon or port.endswith("]"):
        return literal(netloc) + r"\.?(?::(?:80|443))?"
    return literal(name) + r"\.?:" + port


def location_steps(mount: Mount) -> list[Rewrite]:
    """The steps, one after the other, that bring a URL of the upstream under the prefix.

    They do what :meth:`~wsgiproxy.protocol.url_map.UrlMap.to_client` does. What a step has
    settled begins with a colon, as no relative URL does (RFC 3986, 4.2), and is left alone by
    the following ones; the last one takes the colon away.
    """
    prefix, base = mapped_prefix(mount), base_of(mount)
    root = literal(base)
    # A place outside the base cannot be reached through this prefix: it stays as it is.
    path = f"({root}(?:[/?#].*)?)" if base else "(/.*)?"
    steps = [Rewrite(f"^{own_origin(mount)}{path}$", "")]
    if not base:
        steps.append(Rewrite(r"^$", "/", False))
    if prefix:
        steps.append(Rewrite(rf"^({literal(prefix)}(?:[/?#].*)?)$", ":"))
    if base:
        steps.append(Rewrite(rf"^{root}(/.*)$", ":" + prefix))
        steps.append(Rewrite(rf"^{root}([?#].*)?$", ":" + prefix + "/"))
    elif prefix:
        steps.append(Rewrite(r"^(/(?:[^/\\].*)?)$", ":" + prefix))
    return [*steps, Rewrite(r"^:(.*)$", "")] if prefix or base else steps


def first_match(mount: Mount) -> Iterator[Rewrite]:
    """The same as :func:`location_steps`, for servers where the first rule that matches counts."""
    prefix, base = mapped_prefix(mount), base_of(mount)
    root = literal(base)
    for own in (own_origin(mount), ""):
        if prefix:
            yield Rewrite(f"^{own}({literal(prefix)}(?:[/?#].*)?)$", "")
        # "//host" and "/\\host" are other sites, where they do not follow our own.
        path = "/.*" if own or base else r"/(?![/\\]).*"
        if own or prefix or base:
            yield Rewrite(f"^{own}{root}({path})$", prefix)
        if own or base:
            yield Rewrite(f"^{own}{root}([?#].*)?$", prefix + "/")


def cookie_paths(mount: Mount) -> list[Rewrite]:
    """What becomes of a cookie's ``Path``, the first that matches."""
    prefix, base = mapped_prefix(mount), base_of(mount)
    rules = [Rewrite(rf"^({literal(prefix)}(?:/.*)?)$", "")] if prefix else []
    if base:
        rules.append(Rewrite(rf"^{literal(base)}(/.*)$", prefix))
        rules.append(Rewrite(rf"^{any_of(_parents(base))}$", prefix + "/", False))
    return [*rules, Rewrite(r"^(/.*)$", prefix)] if prefix else rules


def _parents(base: str) -> list[str]:
    """A base path and every path above it, with a slash and without."""
    parts = base.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return sorted({form for path in above for form in (path, path + "/") if form})


def cookie_domains(mount: Mount) -> list[str]:
    """Every ``Domain`` by which the upstream may mean itself, without a leading dot."""
    names = {re.sub(r":[0-9]+$", "", host).strip("[]") for host in mount.inside}
    parts = [name.split(".") for name in names]
    return sorted({".".join(p[start:]) for p in parts for start in range(len(p))})
