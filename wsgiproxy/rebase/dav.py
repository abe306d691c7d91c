"""URLs in the XML of WebDAV: the text of ``DAV:href`` (RFC 4918, 14.7), both ways."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from .attributes import Tag
from .editor import Reading
from .escapes import decode_html
from .html import HtmlEditor
from .page_urls import Edit, PageUrls

__all__ = ["DAV_METHODS", "DavEditor", "adapt_dav_request"]

#: Methods whose bodies, of requests and of responses, may be WebDAV's XML (RFC 4918, 3253,
#: 3744, 4791 and 5323); a response of any method may be with status 207.
DAV_METHODS = frozenset(
    [
        "ACL",
        "LOCK",
        "MKCALENDAR",
        "MKCOL",
        "PROPFIND",
        "PROPPATCH",
        "REPORT",
        "SEARCH",
        "VERSION-CONTROL",
    ]
)
#: Bytes of a request's body that is edited.
_MOST = 1 << 20
_URL = Reading(re.compile(rb"[^<]*"), re.compile(rb"<"), decode_html)
_XML = re.compile(r"(?:text|application)/(?:.+\+)?xml\s*(?:;|\Z)", re.IGNORECASE)


class DavEditor(HtmlEditor):
    """Maps what stands in the ``href`` elements of one document.

    :param urls: where URLs belong.
    """

    def __init__(self, urls: PageUrls) -> None:
        super().__init__(urls, is_xml=True)
        self._prefixes: set[bytes] = set()  # bound to the namespace somewhere so far

    def _whole(self, tag: Tag) -> list[Edit]:
        self._state = self._data
        if not tag.is_end:
            for name, start, end in tag.attributes:
                if name[:5] == b"xmlns" and tag.text[start:end] == b"DAV:":
                    self._prefixes.add(name[6:])
            prefix, _, local = tag.name.rpartition(b":")
            if local == b"href" and prefix in self._prefixes and not tag.closes_itself:
                self._state = self._href
        return []

    def _href(self, text: bytes, at: int) -> int:
        return self._url(text, at, _URL, self._data)


def adapt_dav_request(environ: MutableMapping[str, Any], urls: PageUrls) -> None:
    """Map the URLs that a client of WebDAV sends back, such as those of a multiget.

    :param urls: the way back, from our site to the upstream.
    """
    size = _size(environ)
    if not 0 < size <= _MOST:
        return
    body = environ["wsgi.input"].read(size)
    if len(body) == size:  # else it is for others to say that it is cut off
        editor = DavEditor(urls)
        body = editor.feed(body) + editor.finish()
        environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)


def _size(environ: Mapping[str, Any]) -> int:
    """The length of a body that is WebDAV's XML; 0 for any other."""
    is_dav = environ["REQUEST_METHOD"] in DAV_METHODS
    if not is_dav or not _XML.match(environ.get("CONTENT_TYPE") or ""):
        return 0
    length = environ.get("CONTENT_LENGTH") or ""
    return int(length) if length.isascii() and length.isdigit() and len(length) < 9 else 0
