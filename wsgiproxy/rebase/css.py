"""URLs in style sheets, edited while they stream.

Of CSS Syntax Level 3 only those tokens matter in which a URL can stand, or which could be
mistaken for one: comments, strings, ``url(``, ``@import``, ``image-set(`` and escapes.
"""

from __future__ import annotations

import re

from .editor import Reading, StreamEditor
from .escapes import decode_css, end_of
from .page_urls import REACH, Edit, PageUrls

__all__ = ["CssEditor", "css_edits"]

# A run of what cannot matter, for `re` to skip at its own speed: no URL, and nothing that
# what follows might still turn into the start of one.
_BORING = re.compile(
    rb"""(?:
        [^"'\\(@/]+
      | \( (?<![uU][rR][lL]\() (?<![sS][eE][tT]\()
      | "[^"\\\n\r\f]*" | '[^'\\\n\r\f]*'
      | /\*[^*]*\*+(?:[^/*][^*]*\*+)*/
      | /(?=[^*]) | @(?=[^iI])
    )*""",
    re.VERBOSE,
)
_BORING_IN_SET = re.compile(rb"[^\"'\\()/]*")
_IMPORT = re.compile(rb"@import(?![\w\-])", re.IGNORECASE)
_FUNCTION = re.compile(rb"(?<![\w\-\\\x80-\xff])(?:(url)|(?:-webkit-)?image-set)\Z", re.IGNORECASE)
_BLANKS = re.compile(rb"[ \t\n\r\f]*")
_URL = Reading(
    re.compile(rb"[^)\\ \t\n\r\f\"'(]*(?:\\[^\n\r\f][^)\\ \t\n\r\f\"'(]*)*"),
    re.compile(rb"[)\\ \t\n\r\f\"'(]"),
    decode_css,
)
_URL_STOP = re.compile(rb"[)\\]")
_STRINGS = {
    quote: Reading(
        re.compile(rb"[^%b\\\n\r\f]*(?:\\(?:\r\n|.)[^%b\\\n\r\f]*)*" % (quote, quote), re.DOTALL),
        re.compile(rb"[%b\n\r\f]" % quote),
        decode_css,
    )
    for quote in (b'"', b"'")
}
_STRING_STOPS = {b'"': re.compile(rb'["\\\n\r\f]'), b"'": re.compile(rb"['\\\n\r\f]")}


def css_edits(urls: PageUrls, text: bytes) -> list[Edit]:
    """The edits of a whole piece of CSS of 64 KiB at most, such as a ``style`` attribute."""
    return CssEditor(urls).edits(text)


class CssEditor(StreamEditor):
    """Maps the URLs of one style sheet.

    What has not been decided yet is held back: never more than ``REACH`` bytes.
    """

    #: How much of what went before must be seen to know a function's name.
    _BEHIND = len("-webkit-image-set(") + 1

    def __init__(self, urls: PageUrls) -> None:
        super().__init__(urls)
        self._state = self._plain
        self._quote = b'"'
        self._importing = False  # behind @import, where a string is a URL
        self._depth = 0  # parentheses open since image-set

    def _plain(self, text: bytes, at: int) -> int:
        if self._importing:
            return self._import(text, at)
        boring = _BORING_IN_SET if self._depth else _BORING
        end = end_of(boring, text, at)
        if end > at:
            return end
        return self._token(text, at, text[at : at + 1])

    def _token(self, text: bytes, at: int, first: bytes) -> int:
        """What begins with a byte that may matter."""
        if first == b"\\":
            return self._escape(text, at, at + 1)
        if first in b"()":
            self._parenthesis(text, at, first)
        elif first in b"\"'":
            self._quote = first
            self._state = self._url_string if self._depth == 1 else self._string
        elif text.startswith(b"/*", at):
            self._state = self._comment
            return at + 2
        elif first == b"@" and len(text) <= at + len("@import") and not self._last:
            return -1
        elif first == b"@" and _IMPORT.match(text, at):
            self._importing = True
            return at + len("@import")
        elif len(text) == at + 1 and not self._last:
            return -1
        return at + 1

    def _parenthesis(self, text: bytes, at: int, which: bytes) -> None:
        if which == b")":
            self._depth -= 1
            return
        match = _FUNCTION.search(text, max(at - self._BEHIND, 0), at)
        if match is not None and match[1]:
            self._state = self._url_start
        elif match is not None or self._depth:
            self._depth += 1

    def _import(self, text: bytes, at: int) -> int:
        end = end_of(_BLANKS, text, at)
        if end > at:
            return end
        if text[at:] == b"/" and not self._last:
            return -1
        if text.startswith(b"/*", at):
            self._state = self._comment
            return at + 2
        self._importing = False
        if text[at : at + 1] not in (b'"', b"'"):
            return at
        self._quote, self._state = text[at : at + 1], self._url_string
        return at + 1

    def _comment(self, text: bytes, at: int) -> int:
        end = text.find(b"*/", at)
        if end < 0:
            return self._hold(text, at, 1)
        self._state = self._plain
        return end + 2

    def _string(self, text: bytes, at: int) -> int:
        """Within a string that is no URL, or behind the part of one that matters."""
        match = _STRING_STOPS[self._quote].search(text, at)
        if match is None:
            return len(text)
        if match[0] == b"\\":
            return self._escape(text, at, match.end())
        self._state = self._plain  # closed, or ended by a bare line break (a bad string)
        return match.end()

    def _escape(self, text: bytes, at: int, end: int) -> int:
        """Let an escape through; the backslash before ``end`` hides what comes behind it."""
        known = len(text) > end + (text[end : end + 1] == b"\r")
        if not known and not self._last:
            return end - 1 if end - 1 > at else -1
        end += 2 if text.startswith(b"\r\n", end) else 1
        return min(end, len(text))

    def _url_start(self, text: bytes, at: int) -> int:
        """Behind ``url(``."""
        end = end_of(_BLANKS, text, at)
        if end > at:
            return end
        if text[at : at + 1] in (b'"', b"'"):
            self._quote, self._state = text[at : at + 1], self._url_string
            self._depth += self._depth > 0
            return at + 1
        return self._url(text, at, _URL, self._url_tail, REACH)

    def _url_string(self, text: bytes, at: int) -> int:
        return self._url(text, at, _STRINGS[self._quote], self._string, REACH)

    def _url_tail(self, text: bytes, at: int) -> int:
        """The rest of a URL without quotes, good or bad, to its parenthesis."""
        match = _URL_STOP.search(text, at)
        if match is None:
            return len(text)
        if match[0] == b"\\":
            return self._escape(text, at, match.end())
        self._state = self._plain
        return match.end()
