"""What HTML is made of, as far as it tells a URL from what looks like one."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from itertools import groupby

from .attributes import INTERESTING, Attribute

__all__ = [
    "ATTRIBUTE",
    "BEFORE_SCRIPTS",
    "BLANKS",
    "COMMENT_END",
    "DRAWING",
    "LINKS",
    "NAME",
    "RAW_ENDS",
    "RAW_TEXT",
    "SCRIPT_ESCAPED",
    "SCRIPT_PLAIN",
    "SEPARATORS",
    "TEXT",
    "TEXTS",
    "open_quote",
    "read_attributes",
]

RAW_TEXT = frozenset(b"title textarea xmp iframe noembed noframes".split())
#: Elements of HTML that hold text rather than markup.
TEXTS = RAW_TEXT | frozenset(b"script style noscript plaintext".split())
# Elements that have to be seen, for what they hold or for what they do to what follows.
_SPECIAL = TEXTS | frozenset(b"svg math meta base link html select template frameset col".split())
_SEEN_ENDS = frozenset(b"svg math select template noscript".split())
# What may stand before the first script without being touched by it.
BEFORE_SCRIPTS = frozenset((b"html", b"head"))


def _any_case(names: Iterable[bytes]) -> bytes:
    """A pattern for these names, by their first letters: most words differ in these.

    Classes are faster than ``re.IGNORECASE``.
    """
    ordered = sorted(names)
    groups = (
        _letters(first) + b"(?:" + b"|".join(_letters(name[1:]) for name in group) + b")"
        for first, group in groupby(ordered, key=lambda name: name[:1])
    )
    return b"|".join(groups)


def _letters(name: bytes) -> bytes:
    return b"".join(b"[%c%c]" % (c, c - 32) if 97 <= c <= 122 else b"%c" % c for c in name)


TEXT = re.compile(rb"[^<]*")
_PARTS = {
    b"special": _any_case(_SPECIAL),
    b"ends": _any_case(_SEEN_ENDS),
    b"interesting": _any_case(INTERESTING),
}
# No alternative here can begin like another, so nothing has to be tried twice; where `re`
# can be told so, it keeps no way back.
_PARTS[b"times"] = b"*+" if sys.version_info >= (3, 11) else b"*"
# A name that is not special; none of one or two letters is.
_PARTS[b"name"] = (
    rb"""(?: [A-Za-z][A-Za-z0-9]? (?=[\t\n\f\r />])
      | (?!(?:%(special)s)[\t\n\f\r />]) [A-Za-z][A-Za-z0-9-]* )"""
    % _PARTS
)
# Attributes that cannot matter, in the spelling that most have: unknown ones, styles
# without a function, and links that are relative or have a scheme but http.
_PARTS[b"boring"] = (
    rb"""(?: [\t\n\f\r ]+
        (?: (?:class|id|title|alt) = "[^"]*"
          | (?!(?:%(interesting)s)[\t\n\f\r /=>]) [A-Za-z@:_\#(\[*][A-Za-z0-9@:._()\[\]\#*-]*
            (?: = (?: "[^"]*" | '[^']*' | [^\t\n\f\r >"'][^\t\n\f\r >]* (?=[\t\n\f\r >]) )
              | (?= /?> | [\t\n\f\r ]+[^\t\n\f\r =] ) )
          | (?:href|src) = (?: "(?: [\#?._A-GI-VX-Za-gi-vx-z0-9] [^"]* )?"
                            | '(?: [\#?._A-GI-VX-Za-gi-vx-z0-9] [^']* )?'
                            | [\#?._A-GI-VX-Za-gi-vx-z0-9] [^\t\n\f\r >]* (?=[\t\n\f\r >]) )
          | style = "[^"&(\\]*" ) )%(times)s"""
    % _PARTS
)
_PARTS[b"skipped"] = (
    rb"""(?: [^<]* < (?:
        / (?!(?:%(ends)s)[\t\n\f\r />]) [A-Za-z][A-Za-z0-9-]* [\t\n\f\r ]* >
      | %(name)s (?: > | %(boring)s [\t\n\f\r ]* /? > ) ) )%(times)s [^<]*"""
    % _PARTS
)
# A run of text and of tags without anything of interest, for `re` to skip at its own speed,
# and behind it a tag with one path and nothing else of interest, as most links are. The
# groups are the place of that tag and its URL.
LINKS = re.compile(
    rb"""%(skipped)s (?: ()< %(name)s %(boring)s
      [\t\n\f\r ]+ (?:href|src|action) = "(/(?:[^/\\"\t\n\r][^"]*)?|https?:[^"]*)"
      %(boring)s [\t\n\f\r ]* /? > )?"""
    % _PARTS,
    re.VERBOSE,
)
# The same within SVG: text, and shapes that close themselves.
DRAWING = re.compile(
    rb"""(?: [^<]+
      | <(?:path|circle|rect|line|ellipse|polygon|polyline|stop|use) %(boring)s [\t\n\f\r ]* / >
    )*"""
    % _PARTS,
    re.VERBOSE,
)
NAME = re.compile(rb"</?([A-Za-z][^\t\n\f\r />]*)")
BLANKS = re.compile(rb"[\t\n\f\r ]*")
SEPARATORS = re.compile(rb"[\t\n\f\r /]*")
ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*(=?[^\t\n\f\r />=]*)(?:[\t\n\f\r ]*(=)[\t\n\f\r ]*"
    rb"(?:\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r >\"'][^\t\n\f\r >]*)?))?"
)
COMMENT_END = re.compile(rb"--!?>")
SCRIPT_PLAIN = re.compile(rb"<!--|</script(?=[\t\n\f\r />])", re.IGNORECASE)
SCRIPT_ESCAPED = re.compile(rb"-->|<(/?)script(?=[\t\n\f\r />])", re.IGNORECASE)
RAW_ENDS = {
    name: re.compile(rb"</" + name + rb"(?=[\t\n\f\r />])", re.IGNORECASE)
    for name in TEXTS - {b"plaintext"}
}


def read_attributes(text: bytes, at: int, found: list[Attribute], most: int = -1) -> int:
    """Read attributes up to the end of the tag; the place behind it, or 0 if it is not there.

    :param most: read that many attributes only and give the place behind them, which is
        known only if another byte follows.
    """
    while most:
        match = ATTRIBUTE.match(text, at)
        assert match is not None  # it may be empty
        at = match.end()
        following = text[at : at + 1]
        if not following or open_quote(match, following):
            return 0
        if match[1]:
            group = match.lastindex if match[2] and match.lastindex != 2 else 0
            start, end = match.span(group) if group else (at, at)
            found.append((match[1].lower(), start, end))
            most -= 1
        if following == b">":
            return at + 1
    return at


def open_quote(match: re.Match[bytes], following: bytes) -> bytes:
    """The quote that opens a value behind an attribute that was read, but does not close it."""
    is_open = match[2] and match.lastindex == 2 and following in b"\"'"
    return following if is_open else b""
