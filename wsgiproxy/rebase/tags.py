"""Tags of HTML, in one piece or in many, short or without end."""

from __future__ import annotations

import re

from . import grammar
from .attributes import Attribute, Tag, edit_tag
from .editor import State, StreamEditor
from .escapes import apply, end_of
from .page_urls import Edit, PageUrls

__all__ = ["LIMIT", "TagEditor"]

#: Bytes of a tag that is edited as a whole, and of an attribute that is edited at all.
LIMIT = 1 << 16

_TAG_END = re.compile(rb">")
_NAME_END = re.compile(rb"[\t\n\f\r />]")
_ATTRIBUTE_NAME_END = re.compile(rb"[\t\n\f\r />=]")
_VALUE_END = re.compile(rb"[\t\n\f\r >]")
_QUOTES = {b'"': re.compile(rb'"'), b"'": re.compile(rb"'")}


class TagEditor(StreamEditor):
    """Reads tags, each of its bytes a few times at most.

    What a tag that has come in part has shown so far is kept in ``_parts`` and goes out with
    the rest. A tag longer than ``LIMIT`` is edited attribute by attribute, as if each were
    its only one; an attribute longer than that stays.
    """

    def __init__(self, urls: PageUrls) -> None:
        super().__init__(urls)
        self._parts: list[bytes] | None = None  # of a tag or text that is held back
        self._length = 0  # of these
        self._attributes: list[Attribute] = []
        self._name = b""  # the element whose tag or text is being read
        self._is_end = False
        self._word_end = _NAME_END
        self._quote = b'"'

    # -- what a subclass knows of tags ------------------------------------------------

    def _data(self, text: bytes, at: int) -> int:
        """The state between tags."""
        raise NotImplementedError

    def _whole(self, tag: Tag) -> list[Edit]:
        """The edits of a tag; afterwards the state is what follows it."""
        raise NotImplementedError

    def _long_begins(self, name: bytes, at: int) -> None:
        """A tag begins that is too long to be held."""
        raise NotImplementedError

    def _long_ends(self, name: bytes) -> None:
        """It ends; afterwards the state is what follows it."""
        raise NotImplementedError

    # -- tags ---------------------------------------------------------------------------

    def _over(self, at: int) -> None:
        self._replace(at, at, b"".join(self._take()))

    def _tag(self, text: bytes, at: int) -> int:
        """At ``<`` and a letter, or ``</`` and one."""
        name = grammar.NAME.match(text, at)
        assert name is not None  # a letter stands there
        after = name.end()
        if after - at > LIMIT:
            return self._endless(text, at, after)
        if after == len(text):
            return self._wait(text, _NAME_END, LIMIT + 1)
        lowered = name[1].lower()
        attributes: list[Attribute] = []
        end = grammar.read_attributes(text, after, attributes)
        if end and end - at <= LIMIT:
            self._edits += self._whole(Tag(lowered, attributes, text, at, end))
            return end
        self._name, self._is_end = lowered, text[at + 1] == 0x2F
        self._attributes, self._parts, self._length = [], [], 0
        self._state = self._attribute
        self._keep(text, at, after)
        return after

    def _keep(self, text: bytes, at: int, end: int) -> None:
        """Hold back what was read of a tag or text."""
        if self._parts is not None:
            self._parts.append(text[at:end])
            self._length += end - at
            self._replace(at, end, b"")

    def _take(self) -> list[bytes]:
        parts, self._parts = self._parts or [], None
        return parts

    def _attribute(self, text: bytes, at: int) -> int:
        """Within a tag, in front of an attribute, of blanks or of the end."""
        end = end_of(grammar.SEPARATORS, text, at)
        if end > at:
            return self._read(text, at, end, [])
        attributes: list[Attribute] = []
        end = grammar.read_attributes(text, at, attributes, 1)
        if (end or len(text)) - at > LIMIT:
            self._overflow(at)
            return self._long_attribute(text, at)
        if not end:
            return self._wait_for_more(text, at)
        return self._read(text, at, end, attributes)

    def _wait_for_more(self, text: bytes, at: int) -> int:
        if self._last:  # browsers drop a tag without end
            self._over(at)
        match = grammar.ATTRIBUTE.match(text, at)
        assert match is not None  # it may be empty
        following = text[match.end() : match.end() + 1]
        quote = grammar.open_quote(match, following) if following else b""
        return self._wait(text, _QUOTES.get(quote, _TAG_END), LIMIT + 1)

    def _read(self, text: bytes, at: int, end: int, attributes: list[Attribute]) -> int:
        """What was read: an attribute, blanks, or the end of the tag."""
        if self._parts is not None and self._length + end - at > LIMIT:
            self._overflow(at)
        is_over = text[end - 1] == 0x3E
        if self._parts is None:
            tag = Tag(self._name, attributes, text, at, end)
            self._edits += [] if self._is_end else edit_tag(self._urls, tag)
            if is_over:
                self._state = self._data
                self._long_ends(b"/" if self._is_end else self._name)
            return end
        by = self._length - at
        self._attributes += [(name, start + by, stop + by) for name, start, stop in attributes]
        self._keep(text, at, end)
        if is_over:
            whole = b"".join(self._take())
            tag = Tag(self._name, self._attributes, whole, 0, len(whole))
            self._replace(end, end, apply(whole, self._whole(tag)))
        return end

    # -- tags that are too long to be held ------------------------------------------------

    def _endless(self, text: bytes, at: int, end: int) -> int:
        """A tag whose name is too long to be known."""
        self._name, self._is_end, self._parts = b"", text[at + 1] == 0x2F, None
        self._long_begins(b"/" if self._is_end else b"", at)
        self._state = self._long_name
        return end

    def _overflow(self, at: int) -> None:
        """Let go what is held of a tag, its attributes edited each by itself."""
        if self._parts is None:
            return
        self._long_begins(b"/" if self._is_end else self._name, at)
        whole, edits = b"".join(self._take()), []
        for attribute in [] if self._is_end else self._attributes:
            edits += edit_tag(self._urls, Tag(self._name, [attribute], whole, 0, len(whole)))
        self._replace(at, at, apply(whole, edits))

    def _long_name(self, text: bytes, at: int) -> int:
        return self._word(text, at, _NAME_END, self._attribute)

    def _long_attribute(self, text: bytes, at: int) -> int:
        match = grammar.ATTRIBUTE.match(text, at)
        assert match is not None  # it may be empty
        end = match.end()
        quote = grammar.open_quote(match, text[end : end + 1])
        if quote:
            self._quote, self._state = quote, self._long_quoted
            return end + 1
        if match[2] is None:
            self._state = self._long_attribute_name
            return end
        if match[5] is not None:
            self._state = self._long_value
            return end
        if match.lastindex == 2:
            self._state = self._long_equals
            return end
        self._state = self._attribute  # it is all here
        return end

    def _long_attribute_name(self, text: bytes, at: int) -> int:
        return self._word(text, at, _ATTRIBUTE_NAME_END, self._long_after_name)

    def _long_after_name(self, text: bytes, at: int) -> int:
        end = end_of(grammar.BLANKS, text, at)
        if end > at:
            return end
        is_equals = text[at] == 0x3D
        self._state = self._long_equals if is_equals else self._attribute
        return at + is_equals

    def _long_equals(self, text: bytes, at: int) -> int:
        """Behind the ``=`` of an attribute."""
        end = end_of(grammar.BLANKS, text, at)
        if end > at:
            return end
        first = text[at : at + 1]
        if first in b"\"'":
            self._quote, self._state = first, self._long_quoted
            return at + 1
        self._state = self._attribute if first == b">" else self._long_value
        return at

    def _long_value(self, text: bytes, at: int) -> int:
        return self._word(text, at, _VALUE_END, self._attribute)

    def _long_quoted(self, text: bytes, at: int) -> int:
        end = text.find(self._quote, at)
        if end < 0:
            return len(text)
        self._state = self._attribute
        return end + 1

    def _word(self, text: bytes, at: int, stop: re.Pattern[bytes], then: State) -> int:
        """Let a word through that is too long to be held."""
        match = stop.search(text, at)
        if match is None:
            return len(text)
        self._state = then
        return match.start() if match.start() > at else then(text, at)
