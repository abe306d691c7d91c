"""Edits seen through an escaping: HTML character references, CSS and JSON escapes.

A URL may be spelt ``&#47;x``, ``\\2f x`` or ``\\u002fx``. It is decoded to be judged, with
an index that leads from each decoded byte back to where it was written, so that an edit
can be made in place and the other bytes keep their spelling.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from html import unescape
from html.entities import html5

from .page_urls import Edit

__all__ = [
    "Decoded",
    "apply",
    "decode_css",
    "decode_html",
    "decode_json",
    "end_of",
    "escape_attribute",
    "json_for_html",
]

_REFERENCE = re.compile(rb"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]{1,31};)")
_CSS_ESCAPE = re.compile(
    rb"\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[ \t\n\f\r])?|(\r\n|[\n\f\r])|(.))", re.DOTALL
)
_JSON_ESCAPE = re.compile(rb'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
# What could end a script or an attribute, or begin markup or a line of JavaScript.
_NOT_IN_HTML = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
_NOT_IN_ATTRIBUTES = re.compile(rb"[\x00-\x20\"'&<=>`]")
_JSON_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


class Decoded:
    """Decoded bytes, and where each of them was written."""

    __slots__ = ("_index", "text")

    def __init__(self, text: bytes, index: Sequence[int]) -> None:
        self.text = text
        self._index = index

    def edits(self, edits: Iterable[Edit]) -> list[Edit]:
        """The same edits, at the places of the written text."""
        at = self._index
        if isinstance(at, range):
            return list(edits)  # nothing was escaped
        return [Edit(at[edit.start], at[edit.end], edit.new) for edit in edits]


def apply(text: bytes, edits: Iterable[Edit], start: int = 0, end: int | None = None) -> bytes:
    """The text from ``start`` to ``end`` with its edits made, in order and apart."""
    parts: list[bytes] = []
    for begin, stop, new in edits:
        parts.append(text[start:begin])
        parts.append(new)
        start = stop
    parts.append(text[start:end])
    return b"".join(parts)


def end_of(pattern: re.Pattern[bytes], text: bytes, at: int = 0) -> int:
    """Where the match of a pattern ends that begins here; if there is none, here."""
    match = pattern.match(text, at)
    return at if match is None else match.end()


def decode_html(text: bytes) -> Decoded:
    """An attribute's value without its character references."""
    return _decode(text, _REFERENCE, _reference)


def decode_css(text: bytes) -> Decoded:
    """A CSS string or URL without its escapes (CSS Syntax 3, 4.3.7)."""
    return _decode(text, _CSS_ESCAPE, _css_escape)


def decode_json(text: bytes) -> Decoded:
    """What stands between the quotes of a JSON string (RFC 8259, 7)."""
    return _decode(text, _JSON_ESCAPE, _json_escape)


def escape_attribute(text: bytes) -> bytes:
    """Text as it may stand in the value of an HTML attribute, with or without quotes."""
    return _NOT_IN_ATTRIBUTES.sub(lambda match: b"&#%d;" % match[0][0], text)


def json_for_html(value: object) -> str:
    """JSON that may stand in a ``<script>`` of HTML or XML, or in an attribute's quotes.

    >>> json_for_html("</script>")
    '"\\\\u003c/script\\\\u003e"'
    """
    return json.dumps(value, separators=(",", ":")).translate(_NOT_IN_HTML)


def _decode(
    text: bytes, pattern: re.Pattern[bytes], meaning: Callable[[re.Match[bytes]], bytes]
) -> Decoded:
    if not pattern.search(text):
        return Decoded(text, range(len(text) + 1))
    parts: list[bytes] = []
    index: list[int] = []
    done = 0
    for match in pattern.finditer(text):
        decoded = meaning(match)
        parts += (text[done : match.start()], decoded)
        index += range(done, match.start())
        index += [match.start()] * len(decoded)
        done = match.end()
    parts.append(text[done:])
    index += range(done, len(text) + 1)
    return Decoded(b"".join(parts), index)


def _reference(match: re.Match[bytes]) -> bytes:
    text = match[0].decode("ascii")
    if text[1] != "#":  # `&ampx;` is no reference within an attribute (HTML, 13.2.5.73)
        return html5.get(text[1:], text).encode()
    kind, digits = ("#x", text[3:]) if text[2] in "xX" else ("#", text[2:])
    digits = digits.rstrip(";").lstrip("0")[:8] or "0"  # more are beyond Unicode as well
    return unescape(f"&{kind}{digits};").encode("utf-8", "replace")


def _css_escape(match: re.Match[bytes]) -> bytes:
    if match[2]:
        return b""  # an escaped line break is no character at all
    return _character(int(match[1], 16)) if match[1] else match[3]


def _json_escape(match: re.Match[bytes]) -> bytes:
    return _character(int(match[1], 16)) if match[1] else _JSON_LETTERS.get(match[2], match[2])


def _character(code: int) -> bytes:
    valid = 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF
    return chr(code if valid else 0xFFFD).encode()
