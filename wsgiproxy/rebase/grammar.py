"""What HTML is made of, as far as it tells a URL from what looks like one."""

from __future__ import annotations

import re

from .attributes import INTERESTING, Attribute

__all__ = [
    "ATTRIBUTE",
    "BARE_END",
    "BEFORE_SCRIPTS",
    "BORING",
    "COMMENT_END",
    "FOREIGN",
    "NAME",
    "OPEN_QUOTE",
    "RAW_ENDS",
    "RAW_TEXT",
    "SCRIPT_ESCAPED",
    "SCRIPT_PLAIN",
    "SIMPLE",
    "SPECIAL",
    "TEXT",
    "read_attributes",
]

RAW_TEXT = frozenset(b"title textarea xmp iframe noembed noframes".split())
FOREIGN = frozenset((b"svg", b"math"))
SPECIAL = RAW_TEXT | FOREIGN | frozenset(b"script style plaintext meta base link html".split())
# What may stand before the first script without being touched by it.
BEFORE_SCRIPTS = frozenset((b"html", b"head"))

TEXT = re.compile(rb"[^<]*")
_PARTS = {
    b"special": b"|".join(sorted(SPECIAL)),
    b"interesting": b"|".join(sorted(INTERESTING)),
}
# Attributes that cannot matter, in the spelling that most have.
_PARTS[b"boring"] = (
    rb"""(?: [\t\n\f\r ]+
        (?: (?!(?:%(interesting)s)[\t\n\f\r /=>]) [a-z@:_][a-z0-9@:._-]*
            (?: = (?: "[^"]*" | '[^']*' | [a-z0-9_.\#%%-]+ (?=[\t\n\f\r >]) )
              | (?= /?> | [\t\n\f\r ]+[^\t\n\f\r =] ) )
          | (?:href|src) = (?: "(?: [\#?._a-gi-vx-z0-9] [^"]* )?"
                            | '(?: [\#?._a-gi-vx-z0-9] [^']* )?'
                            | [\#?._a-gi-vx-z0-9] [^\t\n\f\r >]* (?=[\t\n\f\r >]) ) ) )*"""
    % _PARTS
)
# A run of text and of tags without anything of interest, for `re` to skip at its own
# speed. No alternative can begin like another, so nothing is tried twice.
BORING = re.compile(
    rb"""(?: [^<]+
      | </ (?!(?:svg|math)[\t\n\f\r />]) [a-z][a-z0-9-]* [\t\n\f\r ]* >
      | < (?!(?:%(special)s)[\t\n\f\r />]) [a-z][a-z0-9-]* %(boring)s [\t\n\f\r ]* /? >
    )*"""
    % _PARTS,
    re.IGNORECASE | re.VERBOSE,
)
# A tag with one path in it and nothing else of interest: most links are such.
SIMPLE = re.compile(
    rb"""< (?!(?:%(special)s)[\t\n\f\r />]) [a-z][a-z0-9-]* %(boring)s
      [\t\n\f\r ]+ (?:href|src|action) = "(/[^/\\"\t\n\r][^"]*)" %(boring)s [\t\n\f\r ]* /? >"""
    % _PARTS,
    re.IGNORECASE | re.VERBOSE,
)
NAME = re.compile(rb"</?([A-Za-z][^\t\n\f\r />]*)")
ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*(=?[^\t\n\f\r />=]*)(?:[\t\n\f\r ]*(=)[\t\n\f\r ]*"
    rb"(?:\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r >\"'][^\t\n\f\r >]*)?))?"
)
OPEN_QUOTE = re.compile(rb"[\t\n\f\r /]*=?[^\t\n\f\r />=]*[\t\n\f\r ]*=[\t\n\f\r ]*([\"'])")
BARE_END = re.compile(rb"[\t\n\f\r >]")
COMMENT_END = re.compile(rb"--!?>")
SCRIPT_PLAIN = re.compile(rb"<!--|</script(?=[\t\n\f\r />])", re.IGNORECASE)
SCRIPT_ESCAPED = re.compile(rb"-->|<(/?)script(?=[\t\n\f\r />])", re.IGNORECASE)
RAW_ENDS = {
    name: re.compile(rb"</" + name + rb"(?=[\t\n\f\r />])", re.IGNORECASE)
    for name in (*RAW_TEXT, b"style", b"script")
}


def read_attributes(text: bytes, at: int, found: list[Attribute], most: int = -1) -> int:
    """Read attributes up to the end of the tag; the place behind it, or 0 if it is not there.

    :param most: read that many attributes only and give the place behind them, which is
        known only if another byte follows.
    """
    while most:
        match = ATTRIBUTE.match(text, at)
        at = match.end()  # type: ignore[union-attr] # matches always
        following = text[at : at + 1]
        quoted = match[3] is not None or match[4] is not None  # type: ignore[index]
        if not following:
            return 0
        if following in b"\"'" and match[2] and not quoted and match[5] is None:  # type: ignore[index]
            return 0  # a quote that is not closed yet
        if match[1]:  # type: ignore[index]
            group = match.lastindex if match[2] and match.lastindex != 2 else 0  # type: ignore[index,union-attr]
            start, end = match.span(group) if group else (at, at)  # type: ignore[union-attr]
            found.append((match[1].lower(), start, end))  # type: ignore[index]
            most -= 1
        if following == b">":
            return at + 1
    return at
