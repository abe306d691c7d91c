"""Where in a page browsers read tags by other rules than libxml2 does.

HTML Living Standard, section 13.2.6. Open elements are recorded in such regions only, from
the tag that opens one to the tag that ends it in every browser. Markup is refused if it is
in doubt whether a browser is still inside, or which element an end tag closes.
"""

from __future__ import annotations

from .tokens import MarkupError, Tag

__all__ = ["FOREIGN_ROOTS", "REGIONS", "VOID", "OpenElements"]

#: Elements without content, in HTML (sections 13.1.2 and 13.2.6.4).
VOID = frozenset(
    b"area base basefont bgsound br col embed frame hr img input keygen link meta param source"
    b" track wbr".split()
)
#: Elements in which ``/>`` ends an element.
FOREIGN_ROOTS = frozenset((b"math", b"svg"))
_FOREIGN, _HTML, _INERT, _IGNORING = "foreign", "html", "inert", "ignoring"
#: The elements that open a region: foreign content; content that is not shown, or only
#: without scripts; and content in which most start tags are ignored (13.2.6.4.16, 13.2.6.4.20).
REGIONS = {
    b"svg": _FOREIGN,
    b"math": _FOREIGN,
    b"template": _INERT,
    b"noscript": _INERT,
    b"select": _IGNORING,
    b"frameset": _IGNORING,
}
#: Integration points: HTML within foreign content (section 13.2.6).
_INTEGRATION = {
    b"svg": frozenset((b"foreignobject", b"desc")),
    b"math": frozenset((b"mi", b"mo", b"mn", b"ms", b"mtext")),
}
#: Start tags that end foreign content (section 13.2.6.5).
_BREAKOUT = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed font h1 h2 h3 h4 h5 h6 head hr"
    b" i img li listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt"
    b" u ul var".split()
)
_DOCUMENT = frozenset((b"html", b"head", b"body"))
#: Elements that the end tag of their parent closes too (section 13.1.2.4).
_OPTIONAL_END = frozenset(
    (b"dd", b"dt", b"li", b"optgroup", b"option", b"p", b"rp", b"rt")
)  # fmt: skip
#: libxml2 refuses more.
_MAX_DEPTH = 255


class _Region:
    def __init__(self, name: bytes, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.open: list[bytes] = []


class OpenElements:
    """The regions that are open, each with the elements that are open in it."""

    def __init__(self) -> None:
        self._regions: list[_Region] = []

    def __bool__(self) -> bool:
        return bool(self._regions)

    @property
    def is_doubtful(self) -> bool:
        """Whether a browser may read raw text here as tags."""
        return any(region.kind in (_FOREIGN, _IGNORING) for region in self._regions)

    @property
    def is_foreign(self) -> bool:
        """Whether ``/>`` ends an element here."""
        return bool(self._regions) and self._regions[-1].kind == _FOREIGN

    def start(self, tag: Tag) -> None:
        """Take a start tag.

        :param tag: the next one in the page that is not of raw text.
        :raises MarkupError: if browsers and libxml2 disagree from here on.
        """
        name = tag.name
        if not self._regions:
            if name in REGIONS and not (tag.is_self_closing and REGIONS[name] == _FOREIGN):
                self._regions.append(_Region(name, REGIONS[name]))
            return
        region = self._regions[-1]
        if name in _DOCUMENT:
            raise MarkupError(f"<{_shown(name)}> stands inside <{_shown(region.name)}>")
        if region.kind == _FOREIGN:
            self._start_foreign(tag, region)
        elif name in REGIONS:
            if not (tag.is_self_closing and REGIONS[name] == _FOREIGN):
                self._regions.append(_Region(name, REGIONS[name]))
        elif name not in VOID:
            region.open.append(name)
        if len(self._regions) + len(region.open) > _MAX_DEPTH:
            raise MarkupError(f"elements in <{_shown(region.name)}> are nested too deep")

    def _start_foreign(self, tag: Tag, region: _Region) -> None:
        name, known = tag.name, REGIONS.get(tag.name)
        if name in _BREAKOUT or known not in (None, _FOREIGN):
            raise MarkupError(f"<{_shown(name)}> stands inside <{_shown(region.name)}>")
        if tag.is_self_closing:
            return
        if known is not None:
            self._regions.append(_Region(name, known))
        elif name in _INTEGRATION[region.name] or _is_annotated_html(tag):
            self._regions.append(_Region(name, _HTML))
        else:
            region.open.append(name)

    def end(self, tag: Tag) -> None:
        """Take an end tag.

        :param tag: the next one in the page that is not of raw text.
        :raises MarkupError: if it is in doubt which element it closes.
        """
        if not self._regions:
            return
        name, region = tag.name, self._regions[-1]
        if name in region.open:
            at = len(region.open) - 1 - region.open[::-1].index(name)
            self._close(name, region, region.open[at + 1 :])
            del region.open[at:]
        elif name == region.name:
            self._close(name, region, region.open)
            # After a frameset too, start tags are ignored (section 13.2.6.4.21).
            if name != b"frameset":
                self._regions.pop()
        elif self._is_stray(name, region):
            raise MarkupError(f"</{_shown(name)}> stands inside <{_shown(region.name)}>")

    def _close(self, name: bytes, region: _Region, crossed: list[bytes]) -> None:
        may_cross = {_HTML: frozenset(), _INERT: _OPTIONAL_END}.get(region.kind)
        if may_cross is not None and not may_cross.issuperset(crossed):
            raise MarkupError(f"</{_shown(name)}> comes before </{_shown(crossed[-1])}>")

    def _is_stray(self, name: bytes, region: _Region) -> bool:
        """Whether an end tag that matches nothing in its region may have an effect."""
        if name in VOID and name != b"br":
            return False
        if region.kind in (_HTML, _INERT) or len(self._regions) > 1:
            return True
        if region.name == b"select":
            return name not in (b"option", b"optgroup")
        return region.kind == _FOREIGN and name in (b"p", b"br")


def _is_annotated_html(tag: Tag) -> bool:
    if tag.name != b"annotation-xml":
        return False
    if b"&" in tag.attributes:
        raise MarkupError("the encoding of an <annotation-xml> is in doubt")
    return b"html" in tag.attributes.lower()


def _shown(name: bytes) -> str:
    return name[:20].decode("utf-8", "replace")
