"""Text in HTML that is no markup: comments, scripts, style sheets, titles, CDATA."""

from __future__ import annotations

from typing import Protocol

from . import grammar, tags
from .page_urls import PageUrls
from .tags import TagEditor

__all__ = ["Sink", "TextEditor"]


class Sink(Protocol):
    """What edits the text of one element."""

    def feed(self, data: bytes) -> bytes:
        """The next bytes, edited as far as they can be judged."""

    def finish(self) -> bytes:
        """What was held back."""


class TextEditor(TagEditor):
    """Finds the ends of what is no markup."""

    def __init__(self, urls: PageUrls) -> None:
        super().__init__(urls)
        self._level = 0  # of escape within a script: none, <!--, <!-- <script
        self._sink: Sink | None = None

    def _over(self, at: int) -> None:
        super()._over(at)
        self._replace(at, at, self._close_sink())

    def _pour(self, text: bytes, at: int, end: int) -> None:
        """Send text through the sink, if there is one."""
        if self._sink is not None and end > at:
            self._replace(at, end, self._sink.feed(text[at:end]))

    def _close_sink(self) -> bytes:
        sink, self._sink = self._sink, None
        return b"" if sink is None else sink.finish()

    def _until(self, text: bytes, at: int, mark: bytes) -> int:
        end = text.find(mark, at)
        if end < 0:
            return self._hold(text, at, len(mark) - 1)
        self._state = self._data
        return end + len(mark)

    def _bogus(self, text: bytes, at: int) -> int:
        return self._until(text, at, b">")

    def _instruction(self, text: bytes, at: int) -> int:
        return self._until(text, at, b"?>")

    def _cdata(self, text: bytes, at: int) -> int:
        """Text behind ``<![CDATA[``, which may be that of a style sheet."""
        end = text.find(b"]]>", at)
        if end == at:
            self._state = self._data
            return end + 3
        end = end if end > 0 else self._hold(text, at, 2)
        self._pour(text, at, end)
        return end

    def _comment_start(self, text: bytes, at: int) -> int:
        """Behind ``<!--``, where ``>`` and ``->`` end a comment as well."""
        if text[at:] == b"-":
            return self._wait(text)
        end = at + 1 if text.startswith(b">", at) else at + 2 if text.startswith(b"->", at) else 0
        self._state = self._data if end else self._comment
        return end or self._comment(text, at)

    def _comment(self, text: bytes, at: int) -> int:
        match = grammar.COMMENT_END.search(text, at)
        if match is None:
            return self._hold(text, at, 3)
        self._state = self._data
        return match.end()

    def _plaintext(self, text: bytes, at: int) -> int:
        """Text to the end of the page, or a page that is left as it is from here on."""
        return len(text)

    def _script(self, text: bytes, at: int) -> int:
        """HTML 13.2.5.4 and 13.2.5.17 to 31: where a script ends, with ``<!--`` in it."""
        match = (grammar.SCRIPT_ESCAPED if self._level else grammar.SCRIPT_PLAIN).search(text, at)
        if match is None:
            return self._hold(text, at, len(b"</script"))
        found = match[0]
        if found == b"<!--":
            self._level = 1
            return match.end() - 2  # its dashes may end it: <!-->
        if found == b"-->":
            self._level = 0
        elif self._level == 2 or not found.startswith(b"</"):
            self._level = 1 if found.startswith(b"</") else 2
        else:
            self._state = self._data
            return match.start() if match.start() > at else self._tag(text, at)
        return match.end()

    def _raw(self, text: bytes, at: int) -> int:
        """Text up to the end tag of its element, through the sink if there is one."""
        match = grammar.RAW_ENDS[self._name].search(text, at)
        end = match.start() if match else self._hold(text, at, len(self._name) + 2)
        self._pour(text, at, end)
        if match:
            self._state = self._data
            return end if end > at else self._tag(text, at)
        return end

    def _doubtful(self, text: bytes, at: int) -> int:
        """Text if this is HTML, markup if it is SVG: the same only if no markup comes.

        If one comes, nobody can say what the rest of the page is, and it stays as it is.
        """
        end = text.find(b"<", at)
        if end != at:
            return end if end > 0 else len(text)
        size = len(self._name) + 3
        if len(text) - at < size and not self._last:
            return -1
        match = grammar.RAW_ENDS[self._name].match(text, at)
        self._state = self._data if match else self._plaintext
        return self._tag(text, at) if match else at + 1

    def _noscript(self, text: bytes, at: int) -> int:
        """Text where scripts run, markup elsewhere: held until it can be read both ways."""
        match = grammar.RAW_ENDS[b"noscript"].search(text, at)
        end = match.start() if match else self._hold(text, at, len(b"</noscript"))
        if end > at:
            self._keep(text, at, end)
        if self._length > tags.LIMIT:
            self._replace(end, end, b"".join(self._take()))
        if match is None:
            return end
        whole = None if self._parts is None else b"".join(self._take())
        made = None if whole is None else self._edited_noscript(whole)
        self._state = self._data if made is not None else self._plaintext
        self._replace(end, end, whole or b"" if made is None else made)
        return end if end > at else self._state(text, at)

    def _edited_noscript(self, text: bytes) -> bytes | None:
        """The edited markup; ``None`` if its end is one for scripts' sake only."""
        raise NotImplementedError
