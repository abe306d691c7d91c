"""URLs in HTML, edited while it streams.

The text is split as the HTML standard's tokenizer does it (HTML, 13.2.5), so far as that
tells markup from text, and only bytes of URLs are replaced. Everything else goes through
as it came: odd spacing, missing quotes, broken tags, any charset that extends ASCII.
"""

from __future__ import annotations

import re
from functools import partial

from . import grammar
from .attributes import Attribute, edit_tag, get, is_foreign
from .css import CssEditor
from .editor import Editor
from .escapes import apply
from .manifest import WholeEditor, edit_import_map
from .page_urls import REACH, PageUrls

__all__ = ["LIMIT", "HtmlEditor"]

#: Bytes of a tag that is edited as a whole, and of an attribute that is edited at all.
LIMIT = 1 << 16


class HtmlEditor(Editor):
    """Maps the URLs of one page, and puts a script in front of all others.

    :param script: what goes in front of the page's first element that is neither
        ``html``, ``head`` nor says which charset it has.
    :param modules: what goes before the first module script, unless the page has an
        import map: a tag with one.
    :param is_xml: whether the page is XML, which has CDATA and fewer kinds of text.

    No more than ``LIMIT`` bytes are held back, whatever the page does; a tag that is
    longer is edited attribute by attribute, an attribute that is longer stays.
    Each state takes the text and a place in it, and gives the place it came to, or
    ``-1`` if it must see more.
    """

    def __init__(
        self, urls: PageUrls, script: bytes = b"", modules: bytes = b"", *, is_xml: bool = False
    ) -> None:
        super().__init__(urls)
        self._script_tag = script
        self._modules_tag = modules
        self._is_xml = is_xml
        self._depth = 1 if is_xml else 0  # within svg and math
        self._state = self._data
        self._name = b""  # the element whose tag or text is being read
        self._quote = b'"'
        self._level = 0  # of escape within a script: none, <!--, <!-- <script
        self._sink: CssEditor | WholeEditor | None = None

    def finish(self) -> bytes:
        """What was held back; the page is over."""
        self._last = True
        self._feed(b"")
        self._close_sink()
        return self._made()

    def _feed(self, data: bytes) -> None:
        text = self._rest + data
        done = 0
        while done < len(text):
            at = self._state(text, done)
            if at < 0:
                break
            done = at
        self._rest = text[done:]

    def _wait(self, text: bytes, at: int) -> int:
        """See more first, or let everything through if there is no more."""
        return self._pass(text, at, len(text)) if self._last else -1

    # -- text and what may stand in it ----------------------------------------------

    def _data(self, text: bytes, at: int) -> int:
        skip = grammar.TEXT if self._script_tag else grammar.BORING
        end = skip.match(text, at).end()  # type: ignore[union-attr] # matches always
        if end > at:
            return self._pass(text, at, end)
        simple = None if self._script_tag else grammar.SIMPLE.match(text, at)
        if simple is not None and simple.end() - at <= LIMIT:
            end = self._simple(text, at, simple)
            if end:
                return end
        second, third = text[at + 1 : at + 2], text[at + 2 : at + 3]
        if second.isalpha() or (second == b"/" and third.isalpha()):
            return self._tag(text, at)
        if not second or (second == b"/" and not third):
            return self._wait(text, at)
        if second == b"!":
            return self._declaration(text, at)
        if second == b"?" or (second == b"/" and third != b">"):
            self._state = self._instruction if self._is_xml else self._bogus
        return self._pass(text, at, at + 1)

    def _declaration(self, text: bytes, at: int) -> int:
        if text.startswith(b"<!--", at):
            self._state = self._comment_start
            return self._pass(text, at, at + 4)
        if self._depth and text.startswith(b"<![CDATA[", at):
            self._state = self._cdata
            return self._pass(text, at, at + 9)
        start = text[at : at + 9]
        if b"<!--".startswith(start) or (self._depth and b"<![CDATA[".startswith(start)):
            return self._wait(text, at)
        self._state = self._bogus
        return self._pass(text, at, at + 1)

    def _until(self, text: bytes, at: int, mark: bytes) -> int:
        end = text.find(mark, at)
        if end < 0:
            return self._hold(text, at, len(mark) - 1)
        self._state = self._data
        return self._pass(text, at, end + len(mark))

    def _bogus(self, text: bytes, at: int) -> int:
        return self._until(text, at, b">")

    def _instruction(self, text: bytes, at: int) -> int:
        return self._until(text, at, b"?>")

    def _cdata(self, text: bytes, at: int) -> int:
        return self._until(text, at, b"]]>")

    def _comment_start(self, text: bytes, at: int) -> int:
        """Behind ``<!--``, where ``>`` and ``->`` end a comment as well."""
        if text[at:] == b"-":
            return self._wait(text, at)
        end = at + 1 if text.startswith(b">", at) else at + 2 if text.startswith(b"->", at) else 0
        self._state = self._data if end else self._comment
        return self._pass(text, at, end) if end else at

    def _comment(self, text: bytes, at: int) -> int:
        match = grammar.COMMENT_END.search(text, at)
        if match is None:
            return self._hold(text, at, 3)
        self._state = self._data
        return self._pass(text, at, match.end())

    # -- tags ---------------------------------------------------------------------------

    def _tag(self, text: bytes, at: int) -> int:
        """A whole tag, if it is not too long."""
        if not self._last and text.find(b">", at, at + LIMIT) < 0:
            return -1 if len(text) - at < LIMIT else self._long(text, at)
        name = grammar.NAME.match(text, at)
        attributes: list[Attribute] = []
        end = grammar.read_attributes(text, name.end(), attributes)  # type: ignore[union-attr]
        if (end or len(text)) - at > LIMIT or (not end and len(text) - at >= LIMIT):
            return self._long(text, at)
        if not end:
            return self._wait(text, at)
        lowered = name[1].lower()  # type: ignore[index] # a letter stands there
        if text[at + 1] == 0x2F:
            self._end_tag(lowered)
            return self._pass(text, at, end)
        self._insert(lowered, attributes, text)
        edits = edit_tag(self._urls, lowered, attributes, text)
        self._out.append(apply(text, edits, at, end))
        if lowered == b"base" and is_foreign(self._urls, get(attributes, text, b"href")):
            self._urls = self._urls.on_foreign_base()
        self._opened(lowered, get(attributes, text, b"type").lower(), text[end - 2] == 0x2F)
        return end

    def _simple(self, text: bytes, at: int, match: re.Match[bytes]) -> int:
        """A tag with one path, unless that is spelt so that it has to be decoded."""
        start, path = match.start(1), match[1][:REACH]
        if b"&" in path[: len(self._urls.prefix) + len(self._urls.base) + 1]:
            return 0
        edit = self._urls.edit(path)
        if edit is None:
            return self._pass(text, at, match.end())
        self._out += (text[at : start + edit.start], edit.new)
        return self._pass(text, start + edit.end, match.end())

    def _end_tag(self, name: bytes) -> None:
        self._put_script()
        if name in grammar.FOREIGN and self._depth > self._is_xml:
            self._depth -= 1

    def _insert(self, name: bytes, attributes: list[Attribute], text: bytes) -> None:
        """What has to stand in front of this start tag."""
        if self._script_tag and name not in grammar.BEFORE_SCRIPTS:
            equivalent = get(attributes, text, b"http-equiv").lower()
            names_charset = equivalent == b"content-type" or any(
                attribute == b"charset" for attribute, _, _ in attributes
            )
            if name != b"meta" or not names_charset:
                self._put_script()
        if not self._modules_tag or name not in (b"script", b"link"):
            return
        kind = get(attributes, text, b"type").lower()
        if name == b"script" and kind == b"importmap":
            self._modules_tag = b""
        elif kind == b"module" if name == b"script" else _preloads_module(attributes, text):
            self._out.append(self._modules_tag)
            self._modules_tag = b""

    def _put_script(self) -> None:
        if self._script_tag:
            self._out.append(self._script_tag)
            self._script_tag = b""

    def _opened(self, name: bytes, kind: bytes, closes_itself: bool) -> None:
        """Behind a start tag: which kind of text comes now."""
        self._name = name
        self._state = self._data
        if name in grammar.FOREIGN:
            self._depth += not closes_itself
        elif self._depth and (closes_itself or name not in (b"script", b"style")):
            return
        elif name == b"script" and kind == b"importmap":
            self._sink = WholeEditor(partial(edit_import_map, self._urls))
            self._state = self._raw
        elif name == b"script":
            self._level, self._state = 0, self._script
        elif name == b"style":
            self._sink, self._state = CssEditor(self._urls), self._raw
        elif name in grammar.RAW_TEXT:
            self._state = self._raw
        elif name == b"plaintext":
            self._state = self._plaintext

    # -- tags that are too long to be held ----------------------------------------------

    def _long(self, text: bytes, at: int) -> int:
        """Begin a tag that is read attribute by attribute."""
        match = grammar.NAME.match(text, at, at + LIMIT)
        self._name = match[1].lower() if match[0][1:2] != b"/" else b"/"  # type: ignore[index]
        if self._name not in grammar.BEFORE_SCRIPTS:
            self._put_script()
        self._state = self._long_tag
        if match.end() == at + LIMIT:  # type: ignore[union-attr]
            self._state = self._long_word
        return self._pass(text, at, match.end())  # type: ignore[union-attr]

    def _long_tag(self, text: bytes, at: int) -> int:
        attributes: list[Attribute] = []
        end = grammar.read_attributes(text, at, attributes, 1)
        size = (end or len(text)) - at
        if size > LIMIT:
            return self._long_attribute(text, at)
        if not end:
            return self._wait(text, at)
        edits = edit_tag(self._urls, self._name, attributes, text)
        self._out.append(apply(text, edits, at, end))
        if text[end - 1] == 0x3E and not (attributes and attributes[0][2] >= end):
            self._opened(self._name, b"", False)
        return end

    def _long_attribute(self, text: bytes, at: int) -> int:
        match = grammar.OPEN_QUOTE.match(text, at, at + LIMIT)
        if match is None:
            self._state = self._long_word
            return self._pass(text, at, at + LIMIT)
        self._quote, self._state = match[1], self._long_value
        return self._pass(text, at, match.end())

    def _long_value(self, text: bytes, at: int) -> int:
        end = text.find(self._quote, at)
        if end < 0:
            return self._pass(text, at, len(text))
        self._state = self._long_tag
        return self._pass(text, at, end + 1)

    def _long_word(self, text: bytes, at: int) -> int:
        match = grammar.BARE_END.search(text, at)
        if match is None:
            return self._pass(text, at, len(text))
        self._state = self._long_tag
        return self._pass(text, at, match.start()) if match.start() > at else at

    # -- text that is no markup -----------------------------------------------------------

    def _plaintext(self, text: bytes, at: int) -> int:
        return self._pass(text, at, len(text))

    def _script(self, text: bytes, at: int) -> int:
        """HTML 13.2.5.4 and 13.2.5.17 to 31: where a script ends, with ``<!--`` in it."""
        match = (grammar.SCRIPT_ESCAPED if self._level else grammar.SCRIPT_PLAIN).search(text, at)
        if match is None:
            return self._hold(text, at, len(b"</script"))
        found = match[0]
        if found == b"<!--":
            self._level = 1
            return self._pass(text, at, match.end() - 2)  # its dashes may end it: <!-->
        if found == b"-->":
            self._level = 0
        elif self._level == 2 or not found.startswith(b"</"):
            self._level = 1 if found.startswith(b"</") else 2
        else:
            self._state = self._data
            return self._pass(text, at, match.start())
        return self._pass(text, at, match.end())

    def _raw(self, text: bytes, at: int) -> int:
        """Text up to the end tag of its element, through the sink if there is one."""
        match = grammar.RAW_ENDS[self._name].search(text, at)
        keep = 0 if self._last else len(self._name) + 2
        end = match.start() if match else len(text) - keep
        if end > at:
            piece = text[at:end]
            self._out.append(self._sink.feed(piece) if self._sink else piece)
        if match:
            self._close_sink()
            self._state = self._data
        return end if match or end > at else -1

    def _close_sink(self) -> None:
        if self._sink is not None:
            self._out.append(self._sink.finish())
            self._sink = None


def _preloads_module(attributes: list[Attribute], text: bytes) -> bool:
    return b"modulepreload" in get(attributes, text, b"rel").lower().split()
