"""URLs in JSON documents that say by their media type that they hold some.

The text is edited while it streams: a member is known by its name, and the string behind
it is a URL. What a name lies in does not matter, so nothing has to be remembered.
"""

from __future__ import annotations

import re

from .editor import Reading, StreamEditor
from .escapes import decode_json, end_of
from .page_urls import PageUrls

__all__ = ["LINKS", "MANIFEST", "JsonEditor"]

_Names = tuple["re.Pattern[bytes]", "re.Pattern[bytes]"]

#: Bytes of a member's name that is looked at.
_LONGEST = 64
_BLANKS = re.compile(rb"[ \t\r\n]*")
_REST = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_URL = Reading(_REST, re.compile(rb'"'), decode_json)


def _names(pattern: bytes) -> _Names:
    """Two patterns: what can be skipped, and a name with its quotes."""
    name = rb'"(?:%b)"' % pattern
    skip = rb'(?:[^"]+|(?!%b)"[^"\\]*(?:\\.[^"\\]*)*")*' % name
    return re.compile(skip, re.DOTALL), re.compile(name)


#: Members of a web manifest that hold URLs (Web App Manifest and its extensions).
MANIFEST = _names(rb"start_url|scope|id|src|url|action|note_taking_url|new_note_url")
#: Members that link in media types with the suffix ``+json``, as in HAL or PEP 691.
LINKS = _names(rb"(?:[a-z0-9]+[_-]){0,3}(?:url|uri|href)|[a-z0-9]{1,32}(?:Url|URL|Uri|URI|Href)")


class JsonEditor(StreamEditor):
    """Maps the URLs of one JSON document.

    :param names: which members hold URLs: :data:`MANIFEST` or :data:`LINKS`.
    """

    def __init__(self, urls: PageUrls, names: _Names) -> None:
        super().__init__(urls)
        self._skip, self._name = names
        self._state = self._between

    def _between(self, text: bytes, at: int) -> int:
        end = end_of(self._skip, text, at)
        if end > at:
            return end
        name = self._name.match(text, at)
        if name is None:
            if len(text) - at <= _LONGEST and not self._last:
                return -1
            self._state = self._string
            return at + 1
        self._state = self._colon
        return name.end()

    def _colon(self, text: bytes, at: int) -> int:
        """Behind what is a name if a colon follows."""
        end = end_of(_BLANKS, text, at)
        if end > at:
            return end
        is_name = text[at] == 0x3A
        self._state = self._value if is_name else self._between
        return at + is_name

    def _value(self, text: bytes, at: int) -> int:
        end = end_of(_BLANKS, text, at)
        if end > at:
            return end
        is_string = text[at] == 0x22
        self._state = self._address if is_string else self._between
        return at + is_string

    def _address(self, text: bytes, at: int) -> int:
        return self._url(text, at, _URL, self._string)

    def _string(self, text: bytes, at: int) -> int:
        """The rest of a string."""
        end = end_of(_REST, text, at)
        if end == len(text):
            return end
        if text[end] == 0x5C:  # it escapes what has not come yet
            return self._hold(text, at, 1)
        self._state = self._between
        return end + 1
