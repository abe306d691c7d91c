"""What the first bytes of a body tell: whether it is HTML at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

__all__ = [
    "BodyEditor",
    "Chooser",
    "Untouched",
    "always",
    "if_html",
    "unless_json",
    "unless_json_for_scripts",
]

#: Bytes that are looked at (MIME Sniffing, 5.2).
_MOST = 1445
_UTF16_MARKS = (b"\xfe\xff", b"\xff\xfe")
_MARK = b"\xef\xbb\xbf"
_BLANKS = b" \t\n\r\f"
# How JSON begins: what a page could begin with as well counts where a script asked only.
_JSON = re.compile(rb'\{\s*["}]|\[\s*[{\["\]]')
_JSON_FOR_SCRIPTS = re.compile(rb'\{\s*["}]|\[\s*[{\["\]0-9tfn-]|"')
# Patterns of MIME Sniffing, 7.1.
_HTML = re.compile(
    rb"<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|!--)"
    rb"[ >]",
    re.IGNORECASE,
)


class BodyEditor(Protocol):
    """What edits a body piece by piece."""

    def feed(self, data: bytes) -> bytes:
        """The next bytes, edited as far as they can be judged."""

    def finish(self) -> bytes:
        """What was held back."""


class Untouched:
    """Lets a body through as it is, behind what is put in front of it."""

    def __init__(self, front: bytes = b"") -> None:
        self._front = front

    def feed(self, data: bytes) -> bytes:
        """The next bytes, the first with the front before them."""
        front, self._front = self._front, b""
        return front + data

    def finish(self) -> bytes:
        """The front, if nothing has come."""
        return self.feed(b"")


class Chooser:
    """Holds the first bytes until they tell whether the body is to be edited.

    :param editor: makes the editor.
    :param tells: takes the first bytes, without what may stand before all text, and whether
        these are all; whether the body is to be edited, or ``None`` to see more.
    """

    def __init__(
        self, editor: Callable[[], BodyEditor], tells: Callable[[bytes, bool], bool | None]
    ) -> None:
        self._editor = editor
        self._tells = tells
        self._chosen: BodyEditor | None = None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The next bytes, edited as far as they can be judged."""
        if self._chosen is None:
            self._held += data
            self._chosen = self._choose(len(self._held) >= _MOST)
            if self._chosen is None:
                return b""
            data, self._held = self._held, b""
        return self._chosen.feed(data)

    def finish(self) -> bytes:
        """What was held back."""
        if self._chosen is not None:
            return self._chosen.finish()
        editor = self._choose(True) or Untouched()
        return editor.feed(self._held) + editor.finish()

    def _choose(self, is_all: bool) -> BodyEditor | None:
        held = self._held
        if held[:2] in _UTF16_MARKS:
            return Untouched()
        is_mark = not is_all and (held in _MARK or held in (b"\xfe", b"\xff"))
        text = held.removeprefix(_MARK).lstrip(_BLANKS)[:_MOST]
        is_edited = None if is_mark else self._tells(text, is_all)
        return None if is_edited is None else self._editor() if is_edited else Untouched()


def always(text: bytes, is_all: bool) -> bool:
    """Text that is what its type says, if it is not UTF-16."""
    return True


def unless_json(text: bytes, is_all: bool) -> bool | None:
    """Of what a user goes to: HTML, if it does not begin as JSON does."""
    return _unless(_JSON, text, is_all)


def unless_json_for_scripts(text: bytes, is_all: bool) -> bool | None:
    """The same of what a script asked for."""
    return _unless(_JSON_FOR_SCRIPTS, text, is_all)


def if_html(text: bytes, is_all: bool) -> bool | None:
    """Of what has no type: whether a browser takes it for HTML."""
    is_html = _HTML.match(text) is not None
    return None if not is_html and not is_all and text[:1] in b"<" and len(text) < 15 else is_html


def _unless(json: re.Pattern[bytes], text: bytes, is_all: bool) -> bool | None:
    is_open = text.rstrip(_BLANKS) in (b"", b"{", b"[")
    return None if is_open and not is_all else json.match(text) is None
