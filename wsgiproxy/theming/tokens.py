"""The tags of a page, found as browsers find them (HTML Living Standard, section 13.2.5)."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = [
    "ATTRIBUTE",
    "MAX_ATTRIBUTES",
    "RAW_TEXT",
    "MarkupError",
    "Tag",
    "next_tag",
    "raw_text_end",
]

#: libxml2 compares each attribute with all before it on the element.
MAX_ATTRIBUTES = 256
#: Elements whose content has no tags, outside of foreign content (section 13.2.6.4.7).
RAW_TEXT = frozenset(
    (b"iframe", b"noembed", b"noframes", b"script", b"style", b"textarea", b"title", b"xmp")
)
#: An attribute and what may stand before it, for ``re.VERBOSE``. White space is what the
#: standard calls so; ``\s`` would add the vertical tab. A name ends before a delimiter and a
#: value before white space or ">": there is one reading only, so that a match that fails
#: takes linear time.
ATTRIBUTE = rb"""
    [ \t\n\f\r/]* [^ \t\n\f\r/>] [^ \t\n\f\r/>=]*
    (?: (?=[ \t\n\f\r/>]) (?![ \t\n\f\r]*=)
      | [ \t\n\f\r]* = [ \t\n\f\r]*
        (?: "[^"]*" | '[^']*' | [^ \t\n\f\r"'>] [^ \t\n\f\r>]* (?=[ \t\n\f\r>]) | (?=>) ) )
"""
_NAME = rb"<(/?) ([A-Za-z][^ \t\n\f\r/>]*) (?=[ \t\n\f\r/>])"
_TAG = re.compile(
    rb"%b ((?:%b){0,%d}) ([ \t\n\f\r/]*) >" % (_NAME, ATTRIBUTE, MAX_ATTRIBUTES), re.VERBOSE
)
_OVERLONG = re.compile(rb"%b (?:%b){%d}" % (_NAME, ATTRIBUTE, MAX_ATTRIBUTES + 1), re.VERBOSE)
_COMMENT = re.compile(rb"<!--(?:-?>|.*?--!?>)", re.DOTALL)
_IS_NAME = re.compile(rb"</?[A-Za-z]")
_RAW_END = {
    name: re.compile(rb"</%b(?=[ \t\n\f\r/>])" % name, re.IGNORECASE)
    for name in (*RAW_TEXT, b"noscript")
}
# What changes the state of a script (sections 13.2.5.15 to 13.2.5.31).
_SCRIPT_OPEN = re.compile(rb"<!--|</script(?=[ \t\n\f\r/>])", re.IGNORECASE)
_SCRIPT_ESCAPED = re.compile(rb"-->|<(/?)script(?=[ \t\n\f\r/>])", re.IGNORECASE)


class MarkupError(ValueError):
    """Markup that libxml2 would not read as a browser does; the message says which."""


class Tag(NamedTuple):
    """A start tag or end tag.

    :ivar name: in lower case.
    :ivar start: where its ``<`` stands, in bytes.
    :ivar end: behind its ``>``.
    :ivar attributes: the source of its attributes.
    :ivar text_end: where the raw text after a start tag ends; ``end`` if there is none.
    """

    name: bytes
    start: int
    end: int
    is_end: bool
    is_self_closing: bool
    attributes: bytes
    text_end: int


def next_tag(data: bytes, at: int, *, is_xml: bool = False) -> Tag | None:
    """The first tag from a place on that is neither in raw text nor in a comment.

    :param data: UTF-8 with ``\\n`` for line ends.
    :param at: where to begin: the start, or the ``text_end`` of the tag before.
    :param is_xml: whether ``/>`` ends an element, so that no raw text follows.
    :returns: ``None`` at the end of the page.
    :raises MarkupError: for a tag with more than ``MAX_ATTRIBUTES`` attributes.
    """
    while (at := data.find(b"<", at)) >= 0:
        found = _TAG.match(data, at)
        if found is not None:
            return _tag(data, found, is_xml)
        if _IS_NAME.match(data, at):
            if _OVERLONG.match(data, at):
                raise MarkupError(f"an element has more than {MAX_ATTRIBUTES} attributes")
            return None  # the page ends within the tag
        at = _after_other(data, at)
    return None


def _tag(data: bytes, found: re.Match[bytes], is_xml: bool) -> Tag:
    name, end = found[2].lower(), found.end()
    is_end, is_self_closing = bool(found[1]), found[4].endswith(b"/")
    is_raw = name in RAW_TEXT and not is_end and not (is_xml and is_self_closing)
    text_end = raw_text_end(data, name, end) if is_raw else end
    return Tag(name, found.start(), end, is_end, is_self_closing, found[3], text_end)


def _after_other(data: bytes, at: int) -> int:
    """Where what begins with ``<`` and is no tag ends: a comment, a declaration or a text."""
    if data.startswith(b"<!--", at):
        comment = _COMMENT.match(data, at)
        return comment.end() if comment else len(data)
    if data[at + 1 : at + 2] in (b"!", b"?", b"/"):
        end = data.find(b">", at + 2)
        return end + 1 if end >= 0 else len(data)
    return at + 1


def raw_text_end(data: bytes, name: bytes, at: int) -> int:
    """Where the end tag of a raw text element stands, or the end of the page.

    :param data: the page.
    :param name: one of ``RAW_TEXT`` or ``noscript``.
    :param at: where its text begins.
    """
    if name == b"script":
        return _script_end(data, at)
    found = _RAW_END[name].search(data, at)
    return found.start() if found else len(data)


def _script_end(data: bytes, at: int) -> int:
    """The end of a script, which ``<!-- <script>`` puts off."""
    while found := _SCRIPT_OPEN.search(data, at):
        if found[0] != b"<!--":
            return found.start()
        # "<!-->" and "<!--->" are over at once: their dashes count twice.
        at, is_double = found.end() - 2, False
        while step := _SCRIPT_ESCAPED.search(data, at):
            at = step.end()
            if step[0] == b"-->":
                break
            if step[1] and not is_double:
                return step.start()
            is_double = not step[1]
        else:
            return len(data)
    return len(data)
