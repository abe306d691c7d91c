"""What the streaming editors share: bytes that wait to be judged, and those that are done."""

from __future__ import annotations

from .page_urls import PageUrls

__all__ = ["Editor"]

#: Bytes that are looked at together; more would be copied again and again.
_PIECE = 1 << 16


class Editor:
    """Takes a text in pieces of any size and gives it back with its URLs mapped.

    What cannot be judged yet is held back in ``_rest``; what is done waits in ``_out``.
    """

    def __init__(self, urls: PageUrls) -> None:
        self._urls = urls
        self._rest = b""
        self._out: list[bytes] = []
        self._last = False

    def feed(self, data: bytes) -> bytes:
        """The next bytes of the text, edited as far as they can be judged."""
        for start in range(0, len(data) or 1, _PIECE):
            self._feed(data[start : start + _PIECE])
        return self._made()

    def finish(self) -> bytes:
        """What was held back; the text is over."""
        self._last = True
        return self.feed(b"")

    def _feed(self, data: bytes) -> None:
        raise NotImplementedError

    def _made(self) -> bytes:
        made, self._out = b"".join(self._out), []
        return made

    def _pass(self, text: bytes, at: int, end: int) -> int:
        """Let bytes through as they are."""
        self._out.append(text[at:end])
        return end

    def _hold(self, text: bytes, at: int, keep: int) -> int:
        """Let all but the last ``keep`` bytes through; at the end these too."""
        end = len(text) if self._last else len(text) - keep
        return self._pass(text, at, end) if end > at else -1
