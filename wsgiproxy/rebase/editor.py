"""What the streaming editors share: a text that comes in pieces, and edits of it.

The work is linear in the size of the text, however small the pieces are: an editor that
must see more before it can go on says for which bytes it waits, and is not asked again
before one of them has come or ``room`` is used up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from .escapes import Decoded, apply, end_of
from .page_urls import REACH, Edit, PageUrls

__all__ = ["Reading", "State", "StreamEditor"]

#: Takes a text and a place in it, and gives the place it came to, or -1 to see more.
State = Callable[[bytes, int], int]

#: Bytes that are looked at together; more would be copied again and again.
_PIECE = 1 << 16


class Reading(NamedTuple):
    """How a URL stands in a text."""

    pattern: re.Pattern[bytes]  #: its bytes; matches always
    wakes: re.Pattern[bytes]  #: the bytes that can end it
    decode: Callable[[bytes], Decoded]


class StreamEditor:
    """Takes a text in pieces of any size and gives it back with its URLs mapped.

    A subclass has states: methods that take the text and a place in it, note edits, and
    give the place they came to, or what :meth:`_wait` gives if they must see more.

    :param urls: where URLs belong.
    """

    #: Bytes before a place that a state may look back at.
    _BEHIND = 0

    def __init__(self, urls: PageUrls) -> None:
        self._urls = urls
        self._state: State
        self._edits: list[Edit] = []  # of the text at hand, in order
        self._last = False
        self._before = b""  # what was let through last, as far as states look back
        self._held: list[bytes] = []
        self._size = 0  # of what is held
        self._wakes: re.Pattern[bytes] | None = None
        self._room = 0

    def feed(self, data: bytes) -> bytes:
        """The next bytes of the text, edited as far as they can be judged."""
        if len(data) <= _PIECE:
            return self._feed(data)
        starts = range(0, len(data), _PIECE)
        return b"".join([self._feed(data[start : start + _PIECE]) for start in starts])

    def finish(self) -> bytes:
        """What was held back; the text is over."""
        self._last = True
        return self._feed(b"")

    def edits(self, text: bytes) -> list[Edit]:
        """The edits of a whole text of 64 KiB at most; the editor is of no use afterwards."""
        self._last = True
        self._over(self._run(text, 0))
        return self._edits

    def _feed(self, data: bytes) -> bytes:
        self._held.append(data)
        self._size += len(data)
        if self._wakes is not None and not self._last:
            if self._size < self._room and not self._wakes.search(data):
                return b""
            self._wakes = None
        text = self._before + b"".join(self._held)
        start = len(self._before)
        done = self._run(text, start)
        if self._last:
            self._over(done)
        made = apply(text, self._edits, start, done)
        self._edits = []
        self._before = text[max(done - self._BEHIND, 0) : done] if self._BEHIND else b""
        self._held, self._size = [text[done:]], len(text) - done
        return made

    def _run(self, text: bytes, at: int) -> int:
        """Go from state to state as far as the text allows; the place that was reached."""
        while at < len(text):
            reached = self._state(text, at)
            if reached < 0:
                break
            at = reached
        return at

    def _over(self, at: int) -> None:
        """The text ended here: note what was held back."""

    def _wait(self, text: bytes, wakes: re.Pattern[bytes] | None = None, room: int = 0) -> int:
        """See more first; if there is no more, let everything through.

        :param wakes: matches the bytes that can change matters; any byte can without it.
        :param room: bytes that are held at most until then.
        """
        if self._last:
            return len(text)
        self._wakes, self._room = wakes, room
        return -1

    def _hold(self, text: bytes, at: int, keep: int) -> int:
        """Let all but the last ``keep`` bytes through; at the end these too."""
        end = len(text) if self._last else len(text) - keep
        return end if end > at else -1

    def _url(self, text: bytes, at: int, reading: Reading, then: State, reach: int = REACH) -> int:
        """The URL that begins here: its first bytes decide, so only they are waited for."""
        window = text[at : at + reach]
        end = end_of(reading.pattern, window)
        is_open = end == len(window) or (window[end] == 0x5C and end + 2 >= len(window))
        if is_open and len(window) < reach and not self._last:
            return self._wait(text, reading.wakes, reach)
        decoded = reading.decode(window[:end])
        edit = self._urls.edit(decoded.text)
        for found in decoded.edits([edit] if edit else []):
            self._replace(at + found.start, at + found.end, found.new)
        self._state = then
        return at + end

    def _replace(self, start: int, end: int, new: bytes) -> None:
        self._edits.append(Edit(start, end, new))
