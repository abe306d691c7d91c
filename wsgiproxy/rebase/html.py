"""URLs in HTML, edited while it streams.

The text is split as the HTML standard's tokenizer does it (HTML, 13.2.5), so far as that
tells markup from text, and only bytes of URLs are replaced. Everything else goes through
as it came: odd spacing, missing quotes, broken tags, any charset that extends ASCII.
"""

from __future__ import annotations

from . import grammar, tags
from .attributes import Tag, edit_tag, is_foreign, new_value
from .context import Context
from .css import CssEditor
from .editor import State
from .escapes import apply, end_of
from .import_map import ImportMapEditor
from .page_urls import REACH, Edit, PageUrls
from .policy import Policies
from .texts import Sink, TextEditor

__all__ = ["HtmlEditor"]

_BEFORE_TEXT = b"\xef\xbb\xbf \t\n\f\r"


class HtmlEditor(TextEditor):
    """Maps the URLs of one page, and puts a script in front of all others.

    :param urls: where URLs belong.
    :param script: what goes in front of the page's first element that is neither
        ``html``, ``head`` nor says which charset it has.
    :param modules: what goes before the first module script, unless the page has an
        import map: a tag with one.
    :param is_xml: whether the page is XML, which has CDATA and no text but text.
    :param policies: the page's, which may know a text by its hash.
    :param is_piece: whether only a whole page, with a doctype or ``<html>``, gets the two.

    What the standard's tree construction would have to decide is left to
    :class:`~.context.Context`; where that is not sure, the rest of the page stays as it is.
    """

    def __init__(
        self,
        urls: PageUrls,
        script: bytes = b"",
        modules: bytes = b"",
        *,
        is_xml: bool = False,
        policies: Policies | None = None,
        is_piece: bool = False,
    ) -> None:
        super().__init__(urls)
        self._tags = (script, modules)
        self._script_tag = script
        self._modules_tag = modules
        self._is_xml = is_xml
        self._policies = policies or Policies(urls)
        self._is_piece = is_piece
        self._context = Context()
        self._has_base = False
        self._state = self._data
        self._last_end = -1  # where the last end tag stood
        self._has_scripts = True  # unlike what stands in <noscript>

    # -- text and what may stand in it ----------------------------------------------

    def _data(self, text: bytes, at: int) -> int:
        end = self._skip(text, at)
        return end if end > at else self._markup(text, at)

    def _skip(self, text: bytes, at: int) -> int:
        """Pass what cannot matter; the place of what may."""
        if self._sink is not None:  # a style sheet of SVG or XML, in which markup may stand
            end = end_of(grammar.TEXT, text, at)
            self._pour(text, at, end)
            return end
        if not (self._script_tag or self._is_xml or self._context.is_followed):
            return self._links(text, at)
        skip = grammar.DRAWING if self._context.is_drawing else grammar.TEXT
        end = end_of(skip, text, at)
        if self._is_piece and text[at:end].strip(_BEFORE_TEXT):
            self._drop_tags()
        return end

    def _links(self, text: bytes, at: int) -> int:
        """Pass tags without anything of interest, and edit those with one plain link."""
        urls, edits, match_links = self._urls, self._edits, grammar.LINKS.match
        prefix = b"" if urls.base or urls.foreign_base else urls.prefix
        sure = len(urls.prefix) + len(urls.base) + 1  # bytes that must not be escaped
        while True:
            match = match_links(text, at)
            assert match is not None  # it may be empty
            start, stop = match.span(2)
            if start < 0:
                return match.end()
            tag, at = match.start(1), match.end()
            if at - tag > tags.LIMIT or text.find(b"&", start, start + sure) >= 0:
                return tag
            if prefix and text[start] == 0x2F and not text.startswith(prefix, start):
                edits.append(Edit(start, start, prefix))  # the most usual one
                continue
            edit = urls.edit(text[start : min(stop, start + REACH)])
            if edit is not None:
                edits.append(Edit(start + edit.start, start + edit.end, edit.new))

    def _markup(self, text: bytes, at: int) -> int:
        """At a ``<``."""
        if self._sink is not None:  # what it holds stands in front of this
            self._replace(at, at, self._close_sink())
            self._sink = CssEditor(self._urls)
        second, third = text[at + 1 : at + 2], text[at + 2 : at + 3]
        if second.isalpha() or (second == b"/" and third.isalpha()):
            return self._tag(text, at)
        if not second or (second == b"/" and not third):
            return self._wait(text)
        if second == b"!":
            return self._declaration(text, at)
        if second == b"?" or (second == b"/" and third != b">"):
            self._state = self._instruction if self._is_xml else self._bogus
        return at + 1

    def _declaration(self, text: bytes, at: int) -> int:
        if text.startswith(b"<!--", at):
            self._state = self._comment_start
            return at + 4
        has_cdata = self._is_xml or self._context.has_cdata or self._context.is_unsure
        if has_cdata and text.startswith(b"<![CDATA[", at):
            self._state = self._plaintext if self._context.is_unsure else self._cdata
            return at + 9
        start = text[at : at + 9]
        if not self._last and (
            b"<!--".startswith(start) or (has_cdata and b"<![CDATA[".startswith(start))
        ):
            return -1
        if start.lower() == b"<!doctype":
            self._is_piece = False
        elif b"<!doctype".startswith(start.lower()) and not self._last:
            return -1
        self._state = self._bogus
        return at + 1

    # -- tags ---------------------------------------------------------------------------

    def _whole(self, tag: Tag) -> list[Edit]:
        inserted = self._inserted(tag)
        edits = [Edit(tag.start, tag.start, inserted)] if inserted else []
        self._state = self._data
        if tag.is_end:
            self._last_end = tag.start
            self._context.end(tag.name)
            return edits
        if self._is_policy(tag):
            return edits + self._edit_policy(tag)
        with_style = self._policies.may_edit("style-attribute")
        edits += edit_tag(self._urls, tag, with_style=with_style, srcdoc=self._srcdoc)
        self._opened(tag)
        return edits

    def _inserted(self, tag: Tag) -> bytes:
        """What has to stand in front of this tag."""
        made = self._close_sink()
        if self._is_piece:
            self._is_piece = False
            if tag.name != b"html":
                self._drop_tags()
        if self._script_tag and not _may_come_first(tag):
            made += self._take_script()
        if self._modules_tag and not tag.is_end and tag.name in (b"script", b"link"):
            made += self._inserted_map(tag)
        return made

    def _inserted_map(self, tag: Tag) -> bytes:
        kind = tag.get(b"type").lower()
        if tag.name == b"link":
            is_module = b"modulepreload" in tag.words(b"rel")
        else:
            is_module = kind == b"module"
        if not is_module and not (tag.name == b"script" and kind == b"importmap"):
            return b""
        made, self._modules_tag = self._modules_tag, b""
        return made if is_module else b""

    def _drop_tags(self) -> None:
        self._tags = (b"", b"")
        self._script_tag = self._modules_tag = b""
        self._is_piece = False

    def _take_script(self) -> bytes:
        script, self._script_tag = self._script_tag, b""
        return script

    def _is_policy(self, tag: Tag) -> bool:
        equivalent = tag.get(b"http-equiv").lower() if tag.name == b"meta" else b""
        return equivalent == b"content-security-policy"

    def _edit_policy(self, tag: Tag) -> list[Edit]:
        """A policy within the page counts for what comes behind it (CSP 3, 3.3)."""
        old = tag.get(b"content").decode("latin-1")
        new = self._policies.add(old)
        if self._policies.forbids_scripts:
            self._modules_tag = b""
        for name, start, end in tag.attributes:
            if name == b"content" and new != old:
                return [new_value(tag.text, start, end, new.encode("latin-1"))]
        return []

    def _srcdoc(self, page: bytes) -> list[Edit]:
        script, modules = self._tags
        editor = HtmlEditor(self._urls, script, modules, policies=self._policies.copy())
        return editor.edits(page)

    def _opened(self, tag: Tag) -> None:
        """Behind a start tag: which kind of text comes now."""
        self._name = tag.name
        if self._is_xml or not self._context.start(tag):
            if tag.name == b"style" and not tag.closes_itself:
                self._sink = self._sheet(tag)
        elif tag.name == b"base":
            self._found_base(tag)
        elif tag.name in grammar.TEXTS:
            self._state = self._text_of(tag)

    def _found_base(self, tag: Tag) -> None:
        """Only the first base counts (HTML, 4.2.3)."""
        if tag.has(b"href") and not self._has_base:
            self._has_base = True
            if is_foreign(self._urls, tag.get(b"href")):
                self._urls = self._urls.on_foreign_base()

    def _text_of(self, tag: Tag) -> State:
        """The state behind a start tag of HTML whose element holds text."""
        name, kind = tag.name, tag.get(b"type").lower()
        if name == b"plaintext":
            return self._plaintext
        if not self._context.is_sure_of(name):
            return self._doubtful
        if name == b"noscript":
            self._parts, self._length = [], 0
            return self._noscript
        if name == b"script" and kind != b"importmap":
            self._level = 0
            return self._script
        if name == b"style":
            self._sink = self._sheet(tag)
        elif name == b"script" and self._has_scripts and self._may_edit("import-map", tag):
            self._sink = ImportMapEditor(self._urls)
        return self._raw

    def _sheet(self, tag: Tag) -> Sink | None:
        return CssEditor(self._urls) if self._may_edit("style", tag) else None

    def _may_edit(self, kind: str, tag: Tag) -> bool:
        return self._policies.may_edit(kind, tag.get(b"nonce").decode("latin-1"))

    def _edited_noscript(self, text: bytes) -> bytes | None:
        editor = HtmlEditor(self._urls, policies=self._policies.copy())
        editor._context, editor._has_scripts = self._context.copy(), False
        reached = editor._run(text + b"</noscript>", 0)
        agrees = reached == len(text) + 11 and editor._last_end == len(text)
        if not agrees or not editor._context.is_at(self._context) or editor._state != editor._data:
            return None
        return apply(text, editor._edits)

    # -- tags that are too long to be held ------------------------------------------------

    def _long_begins(self, name: bytes, at: int) -> None:
        inserted = self._close_sink()
        if self._is_piece and name != b"html":
            self._drop_tags()
        if self._script_tag and name not in grammar.BEFORE_SCRIPTS:
            inserted += self._take_script()
        self._replace(at, at, inserted)

    def _long_ends(self, name: bytes) -> None:
        self._context.is_unsure |= self._context.is_followed or name in (b"svg", b"math")
        if name != b"/":
            self._opened(Tag(name, [], b"<>", 0, 2))


def _may_come_first(tag: Tag) -> bool:
    """Whether a tag may stand in front of our script."""
    if tag.is_end:  # browsers ignore the others in front of a page (HTML, 13.2.6.4.2)
        return tag.name not in (b"head", b"body", b"html", b"br")
    if tag.name in grammar.BEFORE_SCRIPTS:
        return True
    names_charset = tag.has(b"charset") or tag.get(b"http-equiv").lower() == b"content-type"
    return tag.name == b"meta" and names_charset
