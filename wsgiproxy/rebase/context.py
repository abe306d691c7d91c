"""Where in a page a tag stands, so far as that tells markup from text.

``<title>`` holds text in HTML and markup in SVG, and ``<p>`` ends an SVG. What follows here
are the rules of the HTML standard's tree construction (HTML, 13.2.6) that decide about it.
Where they would take a whole tree the answer is that nobody can be sure: what depends on
it is then left alone.
"""

from __future__ import annotations

from typing import NamedTuple

from .attributes import Tag

__all__ = ["Context"]

_FOREIGN = {b"svg": "svg", b"math": "math"}
_VOID = frozenset(b"area base br embed hr img input link meta param source track wbr".split())
# Start tags that end SVG and MathML (HTML, 13.2.6.5).
_BREAKOUT = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img"
    b" li listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul"
    b" var".split()
)
# Elements that are opened and closed as they are written, and those that end a <p>.
_INLINE = frozenset(
    b"abbr b bdi bdo big cite code data del dfn em font i ins kbd label mark output q s samp small"
    b" span strike strong sub sup time tt u var".split()
)
_BLOCK = frozenset(
    b"address article aside blockquote center details div figcaption figure footer header main nav"
    b" ol p section summary ul".split()
)
_TEXTS = frozenset(b"script style title textarea iframe noembed noframes noscript".split())
_INTEGRATION = frozenset(((b"foreignobject", "svg"), (b"desc", "svg"), (b"title", "svg")))
_MATH_TEXT = frozenset(b"mi mo mn ms mtext".split())
# What a template may begin with before it is told what it is for (HTML, 13.2.6.4.22).
_HEAD = frozenset(b"base basefont bgsound link meta noframes script style title".split())
#: Open elements that are followed; browsers give up at some such number as well.
_DEEPEST = 512


class _Node(NamedTuple):
    name: bytes
    kind: str  #: html, svg or math
    takes: str = ""  #: html if HTML stands in it, text if all but two tags are HTML


class Context:
    """Follows the tags of one page."""

    def __init__(self) -> None:
        #: The open elements from the outermost ``svg`` or ``math`` on.
        self.nodes: list[_Node] = []
        #: Whether something came that would take a whole tree to be judged.
        self.is_unsure = False
        self._selects = 0
        self._outside: list[tuple[list[_Node], int]] = []  # of each open template
        self._is_bare = False  # whether nothing came in a template that tells what it is for

    def is_at(self, other: Context) -> bool:
        """Whether another one is at the same place."""
        return vars(self) == vars(other)

    def copy(self) -> Context:
        """Another one at the same place."""
        twin = Context()
        twin.nodes, twin.is_unsure = list(self.nodes), self.is_unsure
        twin._selects, twin._outside = self._selects, list(self._outside)
        twin._is_bare = self._is_bare
        return twin

    @property
    def has_cdata(self) -> bool:
        """Whether ``<![CDATA[`` is what it says here rather than a comment."""
        return bool(self.nodes) and self.nodes[-1].kind != "html"

    @property
    def is_followed(self) -> bool:
        """Whether each tag has to be seen."""
        return bool(self.nodes) and not self.is_unsure

    @property
    def is_drawing(self) -> bool:
        """Whether elements of SVG that close themselves need not be seen."""
        return self.is_followed and self.nodes[-1].kind == "svg" and not self.nodes[-1].takes

    def is_sure_of(self, name: bytes) -> bool:
        """Whether an element that holds text in HTML does so here.

        In a ``<select>`` older browsers ignore all of them but scripts.
        """
        return not self.is_unsure and (not self._selects or name == b"script")

    def start(self, tag: Tag) -> bool:
        """Follow a start tag; whether it is one of HTML."""
        if self.is_unsure:
            return True
        if self.nodes and not self._is_html(tag):
            if len(self.nodes) >= _DEEPEST:
                self.is_unsure = True
            elif not tag.closes_itself:
                kind = self.nodes[-1].kind
                self.nodes.append(_Node(tag.name, kind, _takes(tag, kind)))
            return False
        if tag.name in _FOREIGN:
            self._start_foreign(tag)
        elif self.nodes:
            self._start_within(tag.name)
        else:
            self._start_outside(tag.name)
        return True

    def end(self, name: bytes) -> None:
        """Follow an end tag."""
        if self.is_unsure or (self.has_cdata and self._end_foreign(name)):
            return
        if name == b"template" and self._outside:
            self.nodes, self._selects = self._outside.pop()
            self._is_bare = False
        elif not self.nodes:
            self._selects -= name == b"select" and self._selects > 0
        elif self.nodes[-1].kind == "html" and self.nodes[-1].name == name:
            self.nodes.pop()
        else:
            self.is_unsure = True

    def _is_html(self, tag: Tag) -> bool:
        """Whether the rules for HTML hold for a start tag within ``svg`` or ``math``."""
        top = self.nodes[-1]
        if top.kind == "html" or top.takes == "html":
            return True
        if top.takes == "text" and tag.name not in (b"mglyph", b"malignmark"):
            return True
        if (top.name, top.kind, tag.name) == (b"annotation-xml", "math", b"svg"):
            return True
        if not _breaks_out(tag):
            return False
        self._break_out()
        return True

    def _break_out(self) -> None:
        while self.nodes and self.nodes[-1].kind != "html" and not self.nodes[-1].takes:
            self.nodes.pop()

    def _start_foreign(self, tag: Tag) -> None:
        if self._selects or len(self.nodes) >= _DEEPEST:
            self.is_unsure = True
        elif not tag.closes_itself:
            self.nodes.append(_Node(tag.name, _FOREIGN[tag.name]))

    def _start_within(self, name: bytes) -> None:
        """A tag of HTML within SVG or MathML, where an end tag may be ignored."""
        in_paragraph = False
        for node in reversed(self.nodes):
            if node.kind != "html":
                break
            in_paragraph |= node.name == b"p"
        if name in _VOID and not (name == b"hr" and in_paragraph):
            return
        is_plain = name in _INLINE or name in _TEXTS or (name in _BLOCK and not in_paragraph)
        if not is_plain or len(self.nodes) >= _DEEPEST:
            self.is_unsure = True
            return
        self.nodes.append(_Node(name, "html"))

    def _start_outside(self, name: bytes) -> None:
        if name == b"select":
            self._selects += 1
        elif name == b"template":
            self._outside.append((self.nodes, self._selects))
            self.nodes = []
            self.is_unsure = len(self._outside) > _DEEPEST
        elif name == b"frameset" or (name == b"col" and self._is_bare):
            self.is_unsure = True  # here and there, all that follows is ignored
        if name not in _HEAD:
            self._is_bare = name == b"template"

    def _end_foreign(self, name: bytes) -> bool:
        """An end tag within ``svg`` or ``math``; whether it ends something there."""
        if name in (b"br", b"p"):
            return False  # once they were ignored, now they end it all
        for at in range(len(self.nodes) - 1, -1, -1):
            if self.nodes[at].kind == "html":
                return False
            if self.nodes[at].name == name:
                del self.nodes[at:]
                return True
        return False


def _takes(tag: Tag, kind: str) -> str:
    if (tag.name, kind) in _INTEGRATION:
        return "html"
    if kind != "math":
        return ""
    if tag.name == b"annotation-xml":
        encoding = tag.get(b"encoding").lower()
        return "html" if encoding in (b"text/html", b"application/xhtml+xml") else ""
    return "text" if tag.name in _MATH_TEXT else ""


def _breaks_out(tag: Tag) -> bool:
    if tag.name == b"font":
        return any(tag.has(name) for name in (b"color", b"face", b"size"))
    return tag.name in _BREAKOUT
