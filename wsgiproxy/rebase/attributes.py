"""What in a tag is a URL, and how the values that hold several are taken apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .css import css_edits
from .escapes import decode_html, end_of, escape_attribute
from .page_urls import REACH, Edit, PageUrls

__all__ = ["INTERESTING", "Attribute", "Tag", "edit_tag", "is_foreign", "new_value"]

#: An attribute: its name in lower case, and where its value stands in the text.
Attribute = tuple[bytes, int, int]

_ONE_URL = frozenset(
    b"href src action formaction poster cite background longdesc xlink:href".split()
)
_ONE_URL_OF = {b"data": b"object", b"manifest": b"html"}
_SEVERAL = frozenset(b"srcset imagesrcset ping attributionsrc".split())
_OTHERS = frozenset(b"style content integrity srcdoc".split())
#: Every attribute that may have to change, so that all others can be skipped unread.
INTERESTING = _ONE_URL | _SEVERAL | _OTHERS | frozenset(_ONE_URL_OF)

_WORD = re.compile(rb"[^ \t\n\r\f]+")
_CANDIDATE = re.compile(rb"[ \t\n\r\f,]*([^ \t\n\r\f]+)")
_DESCRIPTORS = re.compile(rb"(?:[^,(]|\([^)]*\)?)*")
_REFRESH = re.compile(
    rb"[ \t\n\r\f]*[0-9.]+[ \t\n\r\f]*[;,]?[ \t\n\r\f]*(?:url[ \t\n\r\f]*=[ \t\n\r\f]*)?([\"']?)",
    re.IGNORECASE,
)
_ABSOLUTE = re.compile(rb"[\x00-\x20]*(?:([A-Za-z][A-Za-z0-9+.-]*):)?[/\\]{2}([^/\\?#]*)")


class Tag:
    """A tag, or what is known of one.

    :param name: in lower case.
    :param text: where it stands, from ``start`` to ``end``.
    """

    __slots__ = ("_values", "attributes", "end", "name", "start", "text")

    def __init__(
        self, name: bytes, attributes: list[Attribute], text: bytes, start: int, end: int
    ) -> None:
        self.name = name
        self.attributes = attributes
        self.text = text
        self.start = start
        self.end = end
        self._values: dict[bytes, bytes] | None = None

    @property
    def is_end(self) -> bool:
        """Whether this is an end tag."""
        return self.text[self.start + 1] == 0x2F

    @property
    def closes_itself(self) -> bool:
        """Whether it ends with ``/>``, and the slash is no part of a value."""
        if self.text[self.end - 2] != 0x2F:
            return False
        return not self.attributes or self.attributes[-1][2] < self.end - 1

    def has(self, name: bytes) -> bool:
        """Whether there is an attribute of that name."""
        return name in self._decoded()

    def get(self, name: bytes) -> bytes:
        """The decoded value of an attribute, stripped; empty if it is missing."""
        return self._decoded().get(name, b"")

    def words(self, name: bytes) -> list[bytes]:
        """The words of an attribute's value, in lower case."""
        return self.get(name).lower().split()

    def _decoded(self) -> dict[bytes, bytes]:
        """Each attribute's value; of several with one name, the first counts."""
        if self._values is None:
            self._values = {}
            for name, start, end in self.attributes:
                if name not in self._values:
                    self._values[name] = decode_html(self.text[start:end]).text.strip()
        return self._values


def edit_tag(
    urls: PageUrls,
    tag: Tag,
    *,
    with_style: bool = True,
    srcdoc: Callable[[bytes], list[Edit]] | None = None,
) -> list[Edit]:
    """The edits of one start tag's attributes, in order.

    :param with_style: whether the ``style`` attribute may be edited.
    :param srcdoc: gives the edits of a page within the page.
    """
    edits: list[Edit] = []
    for attribute, start, end in tag.attributes:
        if start == end or attribute not in INTERESTING:
            continue
        if attribute == b"integrity":
            edits += _integrity(urls, tag, start, end)
        elif attribute == b"srcdoc":
            if srcdoc is not None and tag.name == b"iframe":
                edits += _shifted(_nested(srcdoc, tag.text[start:end]), start)
        elif with_style or attribute != b"style":
            edits += _shifted(_edit_value(urls, tag, attribute, tag.text[start:end]), start)
    return edits


def new_value(text: bytes, start: int, end: int, value: bytes) -> Edit:
    """The edit that gives an attribute another value, in quotes if it had none.

    Without them, an empty value would take the next attribute for its own.
    """
    escaped = escape_attribute(value)
    return Edit(start, end, escaped if text[start - 1] in b"\"'" else b'"' + escaped + b'"')


def is_foreign(urls: PageUrls, url: bytes) -> bool:
    """Whether the URL of a ``<base>`` names neither the upstream's origin nor ours."""
    match = _ABSOLUTE.match(url)
    if match is None:
        return False
    return urls.edit(url) is None and match[2].lower() != urls.front.lower()


def _shifted(edits: list[Edit], by: int) -> list[Edit]:
    return [Edit(by + edit.start, by + edit.end, edit.new) for edit in edits]


def _edit_value(urls: PageUrls, tag: Tag, attribute: bytes, value: bytes) -> list[Edit]:
    if attribute in _ONE_URL or _ONE_URL_OF.get(attribute) == tag.name:
        return _one(urls, value)
    if attribute == b"style":
        return _style(urls, value)
    if attribute == b"content":
        is_refresh = tag.name == b"meta" and tag.get(b"http-equiv").lower() == b"refresh"
        return _refresh(urls, value) if is_refresh else []
    return _several(urls, attribute, value) if attribute in _SEVERAL else []


def _one(urls: PageUrls, value: bytes) -> list[Edit]:
    head = value[:REACH]
    if b"&" not in head:
        edit = urls.edit(head)
        return [edit] if edit else []
    decoded = decode_html(head)
    edit = urls.edit(decoded.text)
    return decoded.edits([edit]) if edit else []


def _several(urls: PageUrls, attribute: bytes, value: bytes) -> list[Edit]:
    decoded = decode_html(value)
    spans = _candidates(decoded.text) if b"srcset" in attribute else _words(decoded.text)
    edits = (_within(urls, decoded.text, start, end) for start, end in spans)
    return decoded.edits(edit for edit in edits if edit is not None)


def _style(urls: PageUrls, value: bytes) -> list[Edit]:
    if b"(" not in value and b"&" not in value:
        return []
    decoded = decode_html(value)
    return decoded.edits(css_edits(urls, decoded.text))


def _refresh(urls: PageUrls, value: bytes) -> list[Edit]:
    decoded = decode_html(value)
    match = _REFRESH.match(decoded.text)
    if match is None:
        return []
    edit = _within(urls, decoded.text, match.end(), len(decoded.text))
    return decoded.edits([edit]) if edit else []


def _nested(srcdoc: Callable[[bytes], list[Edit]], value: bytes) -> list[Edit]:
    """A page within an attribute: what is put in must not end the attribute."""
    decoded = decode_html(value)
    edits = srcdoc(decoded.text)
    return decoded.edits(edit._replace(new=escape_attribute(edit.new)) for edit in edits)


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
            at = end_of(_DESCRIPTORS, text, end)


def _integrity(urls: PageUrls, tag: Tag, start: int, end: int) -> list[Edit]:
    """Empty the hash of a style sheet of ours: once its URLs are mapped it is wrong."""
    is_sheet = b"stylesheet" in tag.words(b"rel") or tag.words(b"as") == [b"style"]
    if tag.name != b"link" or not is_sheet or not _is_ours(urls, tag.get(b"href")):
        return []
    return [new_value(tag.text, start, end, b"")]


def _is_ours(urls: PageUrls, url: bytes) -> bool:
    """Whether what lies at this URL of a page comes from the upstream, by way of us."""
    match = _ABSOLUTE.match(url)
    if match is None:
        return not urls.foreign_base
    is_front = match[2].lower() == urls.front.lower()
    return urls.edit(url) is not None or (is_front and urls.is_under(url[match.end() :]))
