"""The source of a page, checked and mended before libxml2 reads it.

libxml2 finds tags, comments and raw text as browsers do, but it knows no foreign content,
takes ``/>`` for the end of any element, and does not know all void elements. Text that a
browser displays could become an element with a script in it. So, before libxml2:

- a void element that it does not know gets a slash: ``<wbr>`` becomes ``<wbr />``;
- the slash of any other HTML element goes, because browsers ignore it: ``<style/>``;
- where a browser may read raw text as tags (in svg, math, select and frameset), raw text
  that holds a ``<`` is refused, and so is CDATA;
- ``<noscript>`` has to end at the same place with scripts and without;
- a script that is not closed, which browsers do not run, is refused, and so are other raw
  text without an end tag, ``<plaintext>``, and an element with more than 256 attributes.

All that takes one walk over the tags, linear in the size of the page. Most pages hold
nothing that needs it, which a few searches find out faster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .elements import FOREIGN_ROOTS, REGIONS, VOID, OpenElements
from .tokens import (
    ATTRIBUTE,
    MAX_ATTRIBUTES,
    RAW_TEXT,
    MarkupError,
    Tag,
    next_tag,
    raw_text_end,
)

__all__ = ["MarkupError", "check_closed", "mend_page", "mend_theme", "mend_xhtml"]

#: Void elements that libxml2 does not know.
UNKNOWN_VOID = frozenset((b"bgsound", b"embed", b"keygen", b"source", b"track", b"wbr"))
_SPECIAL = b"|".join(sorted({*REGIONS, *UNKNOWN_VOID, b"plaintext"}))
_NEEDS_WALK = re.compile(rb"<(?:%b)[ \t\n\f\r/>]" % _SPECIAL)
# Texts and tags that need no look where no region is open, at most so many at a time.
_PLAIN = re.compile(
    rb"""(?: [^<]+
      | < (?! /? (?i:%b|%b) [ \t\n\f\r/>] ) /? [A-Za-z] [^ \t\n\f\r/>]* (?=[ \t\n\f\r/>])
        (?:%b){0,%d} [ \t\n\f\r]* > ){0,1000}"""
    % (_SPECIAL, b"|".join(sorted(RAW_TEXT)), ATTRIBUTE, MAX_ATTRIBUTES),
    re.VERBOSE,
)
# A ">" in quotes, without which the next ">" ends a tag; and a tag without it that may have
# too many attributes. That the length is fixed keeps the search linear.
_QUOTED_END = re.compile(rb"=[ \t\n\f\r]*(?:\"[^\">]*>|'[^'>]*>)")
_LONG_TAG = re.compile(rb"<[a-z][^>]{%d}" % (2 * MAX_ATTRIBUTES))
_TAG_NAME = re.compile(rb"<([a-z][^ \t\n\f\r/>]*)")


def mend_page(data: bytes) -> bytes:
    """The page in a form that libxml2 reads as browsers read what was given.

    :param data: UTF-8 HTML with ``\\n`` for line ends.
    :raises MarkupError: if there is no such form; the page is left as it is.

    >>> mend_page(b"<p>long<wbr>word<i class=icon />")
    b'<p>long<wbr />word<i class=icon  >'
    """
    return _Walk(data).mended() if _needs_walk(data) else data


def check_closed(data: bytes, name: str, text: str) -> None:
    """Check that the last element of a page, one of raw text, is closed in its source.

    :param data: UTF-8 HTML.
    :param name: the element's.
    :param text: what libxml2 took for its text.
    :raises MarkupError: if it is not.
    """
    low, tag = data.lower(), name.encode()
    start = low.rfind(b"<" + tag)
    if "<!--" in text or raw_text_end(low, tag, start + 1) == len(low):
        _Walk(data).mended()


def mend_theme(data: bytes) -> bytes:
    """A theme with its void elements closed; it is trusted, and ``<div/>`` is Diazo's.

    :param data: UTF-8 HTML.
    """
    low = data.lower()
    if not any(b"<" + name in low for name in UNKNOWN_VOID):
        return data
    edits = [(tag.end - 1, b" />") for tag in _xml_tags(data) if _is_open_void(tag)]
    return _edited(data, edits)


def mend_xhtml(data: bytes) -> bytes:
    """A page that browsers read as XML, where it means the same in HTML.

    :param data: UTF-8 XHTML.
    :raises MarkupError: for what HTML reads otherwise: CDATA, processing instructions, and
        scripts or styles with markup characters.
    """
    body = data[data.find(b"?>") + 2 :] if data.startswith(b"<?xml") else data
    if b"<![" in body or b"<?" in body:
        raise MarkupError("its XHTML has CDATA sections or processing instructions")
    for tag in _xml_tags(body):
        text = body[tag.end : tag.text_end]
        if b"<" in text or b"&" in text or tag.name == b"plaintext":
            raise MarkupError(f"<{tag.name.decode()}> of its XHTML means something else in HTML")
    return data


def _needs_walk(data: bytes) -> bool:
    low = data.lower()
    return any(
        search(low) for search in (_NEEDS_WALK.search, _QUOTED_END.search, _LONG_TAG.search)
    ) or _has_self_closed(low)


def _has_self_closed(low: bytes) -> bool:
    """Whether a ``/>`` may belong to another element than a void one.

    A tag is the first "<" with a letter after it since the last ">": no ">" is quoted.
    """
    end = low.find(b"/>")
    while end >= 0:
        found = _TAG_NAME.search(low, low.rfind(b">", 0, end) + 1, end + 1)
        if found is not None and found[1] not in VOID:
            return True
        end = low.find(b"/>", end + 2)
    return False


def _xml_tags(data: bytes) -> Iterator[Tag]:
    at = 0
    while (tag := next_tag(data, at, is_xml=True)) is not None:
        yield tag
        at = tag.text_end


def _is_open_void(tag: Tag) -> bool:
    return tag.name in UNKNOWN_VOID and not (tag.is_end or tag.is_self_closing)


def _edited(data: bytes, edits: list[tuple[int, bytes]]) -> bytes:
    """The data with one byte each replaced, in the order of their places."""
    parts: list[bytes] = []
    done = 0
    for at, text in edits:
        parts += data[done:at], text
        done = at + 1
    return b"".join([*parts, data[done:]])


class _Walk:
    """One walk over the tags of a page."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._opened = OpenElements()
        self._edits: list[tuple[int, bytes]] = []
        # Where <noscript> ends for a browser with scripts: at the first end tag of any kind.
        self._noscript_end: int | None = None

    def mended(self) -> bytes:
        """The page with its edits.

        :raises MarkupError: for what cannot be mended.
        """
        at = self._skipped(0)
        while (tag := next_tag(self._data, at)) is not None:
            if self._opened.is_doubtful and self._data.find(b"<![", at, tag.start) >= 0:
                raise MarkupError("CDATA in svg or math")
            self._check_noscript(tag)
            if not tag.is_end:
                self._start(tag)
            elif tag.name not in RAW_TEXT:
                self._opened.end(tag)
            at = self._skipped(tag.text_end)
        if self._noscript_end is not None:
            raise MarkupError("<noscript> is not closed")
        return _edited(self._data, self._edits)

    def _skipped(self, at: int) -> int:
        """Where the next tag stands that needs a look."""
        while not self._opened and (found := _PLAIN.match(self._data, at)) and found.end() > at:
            at = found.end()
        return at

    def _start(self, tag: Tag) -> None:
        if tag.name == b"plaintext":
            raise MarkupError("<plaintext>")
        is_foreign = self._opened.is_foreign or tag.name in FOREIGN_ROOTS
        if tag.name in RAW_TEXT:
            self._check_raw(tag)
        else:
            self._opened.start(tag)
            if tag.name == b"noscript" and self._noscript_end is None:
                self._noscript_end = raw_text_end(self._data, tag.name, tag.end)
        if is_foreign:
            return
        if _is_open_void(tag):
            self._edits.append((tag.end - 1, b" />"))
        elif tag.is_self_closing and tag.name not in VOID:
            self._edits.append((self._data.rindex(b"/", tag.start, tag.end), b" "))

    def _check_raw(self, tag: Tag) -> None:
        name = tag.name.decode()
        if tag.text_end == len(self._data):
            raise MarkupError(f"<{name}> is not closed")
        if not self._opened.is_doubtful:
            return
        if tag.is_self_closing or b"<" in self._data[tag.end : tag.text_end]:
            raise MarkupError(f"the text of <{name}> in svg, math or select may be tags")

    def _check_noscript(self, tag: Tag) -> None:
        end = self._noscript_end
        if end is None or tag.text_end <= end:
            return
        if tag.start != end:
            raise MarkupError("<noscript> ends elsewhere without scripts")
        self._noscript_end = None
