"""What in a tag is a URL, and how the values that hold several are taken apart."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .css import css_edits
from .escapes import Decoded, decode_html
from .page_urls import REACH, Edit, PageUrls

__all__ = ["INTERESTING", "Attribute", "edit_tag", "get", "is_foreign"]

#: An attribute: its name in lower case, and where its value stands in the text.
Attribute = tuple[bytes, int, int]

_ONE_URL = frozenset(
    b"href src action formaction poster cite background longdesc xlink:href".split()
)
_ONE_URL_OF = {b"data": b"object", b"manifest": b"html", b"content": b"meta"}
_SEVERAL = frozenset(b"srcset imagesrcset ping style".split())
#: Every attribute that may have to change, so that all others can be skipped unread.
INTERESTING = _ONE_URL | _SEVERAL | frozenset(_ONE_URL_OF)

_WORD = re.compile(rb"[^ \t\n\r\f]+")
_CANDIDATE = re.compile(rb"[ \t\n\r\f,]*([^ \t\n\r\f]+)")
_DESCRIPTORS = re.compile(rb"(?:[^,(]|\([^)]*\)?)*")
_REFRESH = re.compile(
    rb"[ \t\n\r\f]*[0-9.]+[ \t\n\r\f]*[;,]?[ \t\n\r\f]*(?:url[ \t\n\r\f]*=[ \t\n\r\f]*)?([\"']?)",
    re.IGNORECASE,
)
_ABSOLUTE = re.compile(rb"[\x00-\x20]*(?:([A-Za-z][A-Za-z0-9+.-]*):)?[/\\]{2}([^/\\?#]*)")


def edit_tag(urls: PageUrls, name: bytes, attributes: list[Attribute], text: bytes) -> list[Edit]:
    """The edits of one start tag, in order.

    :param name: the element, in lower case.
    """
    edits: list[Edit] = []
    for attribute, start, end in attributes:
        if attribute in INTERESTING and start < end:
            value = text[start:end]
            for edit in _edit_value(urls, name, attribute, value, attributes, text):
                edits.append(Edit(start + edit.start, start + edit.end, edit.new))
        elif attribute == b"integrity" and name == b"link":
            edits += _integrity(urls, attributes, text, start, end)
    return edits


def get(attributes: list[Attribute], text: bytes, name: bytes) -> bytes:
    """The decoded value of an attribute, stripped; empty if it is missing."""
    for attribute, start, end in attributes:
        if attribute == name:
            return decode_html(text[start:end]).text.strip()
    return b""


def is_foreign(urls: PageUrls, url: bytes) -> bool:
    """Whether the URL of a ``<base>`` names neither the upstream's origin nor ours."""
    match = _ABSOLUTE.match(url)
    if match is None:
        return False
    return urls.edit(url) is None and match[2].lower() != urls.front.lower()


def _edit_value(
    urls: PageUrls,
    name: bytes,
    attribute: bytes,
    value: bytes,
    attributes: list[Attribute],
    text: bytes,
) -> list[Edit]:
    if attribute in _ONE_URL or _ONE_URL_OF.get(attribute) == name != b"meta":
        return _url(urls, value)
    if attribute == b"style":
        return _style(urls, value)
    if attribute not in _SEVERAL:
        refreshes = (
            name == b"meta"
            and attribute == b"content"
            and (get(attributes, text, b"http-equiv").lower() == b"refresh")
        )
        return _refresh(urls, decode_html(value)) if refreshes else []
    decoded = decode_html(value)
    spans = _words(decoded.text) if attribute == b"ping" else _candidates(decoded.text)
    edits = (_within(urls, decoded.text, start, end) for start, end in spans)
    return decoded.edits(edit for edit in edits if edit is not None)


def _url(urls: PageUrls, value: bytes) -> list[Edit]:
    head = value[:REACH]
    if b"&" not in head:
        edit = urls.edit(head)
        return [edit] if edit else []
    decoded = decode_html(head)
    edit = urls.edit(decoded.text)
    return decoded.edits([edit]) if edit else []


def _style(urls: PageUrls, value: bytes) -> list[Edit]:
    if b"(" not in value and b"&" not in value:
        return []
    decoded = decode_html(value)
    return decoded.edits(css_edits(urls, decoded.text))


def _refresh(urls: PageUrls, decoded: Decoded) -> list[Edit]:
    match = _REFRESH.match(decoded.text)
    if match is None:
        return []
    edit = _within(urls, decoded.text, match.end(), len(decoded.text))
    return decoded.edits([edit]) if edit else []


def _within(urls: PageUrls, text: bytes, start: int, end: int) -> Edit | None:
    """The edit of the URL at this place of a text."""
    edit = urls.edit(text[start : min(end, start + REACH)])
    return edit and Edit(start + edit.start, start + edit.end, edit.new)


def _words(text: bytes) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _WORD.finditer(text))


def _candidates(text: bytes) -> Iterator[tuple[int, int]]:
    """The URLs of a ``srcset`` (HTML, 4.8.4.2.2), whose commas are not always separators."""
    at = 0
    while match := _CANDIDATE.match(text, at):
        start, end = match.span(1)
        url = match[1].rstrip(b",")
        yield start, start + len(url)
        at = end
        if len(url) == end - start:
            at = _DESCRIPTORS.match(text, end).end()  # type: ignore[union-attr] # matches always


def _integrity(
    urls: PageUrls, attributes: list[Attribute], text: bytes, start: int, end: int
) -> list[Edit]:
    """Empty the hash of a style sheet of ours: once its URLs are mapped it is wrong."""
    is_sheet = b"stylesheet" in get(attributes, text, b"rel").lower().split()
    url = get(attributes, text, b"href")
    is_ours = not _ABSOLUTE.match(url) or urls.edit(url) is not None
    return [Edit(start, end, b"")] if is_sheet and is_ours else []
