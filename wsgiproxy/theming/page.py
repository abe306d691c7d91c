"""One page: parsed once, written once, as HTML5."""

from __future__ import annotations

import re
import secrets
from typing import Any

from lxml import etree

from .elements import FOREIGN_ROOTS
from .markup import UNKNOWN_VOID, MarkupError, check_closed, mend_page, mend_xhtml
from .tokens import RAW_TEXT

__all__ = ["DOCTYPE", "PageError", "mended", "parse", "serialise", "set_charset", "show_error"]

_RAW_TEXT = ("iframe", "noembed", "noframes", "xmp")
# XML_ERR_RESOURCE_LIMIT of libxml2; the first releases of lxml 6 have no name for it.
_RESOURCE_LIMIT = 114
_LIMITS = (_RESOURCE_LIMIT, etree.ErrorTypes.ERR_DOCUMENT_END)
_RAW_URL = "wsgiproxy-raw-url"
_URL_NAMES = ("href", "src", "action", "name")
_SPACED = etree.XPath(
    "//*[@*[(name()='href' or name()='src' or name()='action' or name()='name')"
    " and translate(., ' \t\n\r{}|\\^`\"<>', '') != .]]"
)
# Escapes that change what a URL means; a blank inside of one is the same as %20.
_HARM = re.compile(rb"%20[\"}]|{%20|%0[9AD]|%7[BD]| name=\"[^\"]*%20")
_ESCAPES = (b"%20", b"%0", b"%7")
#: A document type declaration and the white space after it.
DOCTYPE = re.compile(rb"^<!DOCTYPE\s[^>]+>\s*", re.IGNORECASE | re.MULTILINE)
# The HTML Living Standard, section 13.2.6.5: names that libxml2 writes in lower case and
# that any reader but a browser wants as SVG has them.
_SVG_NAMES = (
    "altGlyph altGlyphDef altGlyphItem animateColor animateMotion animateTransform attributeName"
    " attributeType baseFrequency baseProfile calcMode clipPath clipPathUnits diffuseConstant"
    " edgeMode feBlend feColorMatrix feComponentTransfer feComposite feConvolveMatrix"
    " feDiffuseLighting feDisplacementMap feDistantLight feDropShadow feFlood feFuncA feFuncB"
    " feFuncG feFuncR feGaussianBlur feImage feMerge feMergeNode feMorphology feOffset"
    " fePointLight feSpecularLighting feSpotLight feTile feTurbulence filterUnits foreignObject"
    " glyphRef gradientTransform gradientUnits kernelMatrix kernelUnitLength keyPoints keySplines"
    " keyTimes lengthAdjust limitingConeAngle linearGradient markerHeight markerUnits markerWidth"
    " maskContentUnits maskUnits numOctaves pathLength patternContentUnits patternTransform"
    " patternUnits pointsAtX pointsAtY pointsAtZ preserveAlpha preserveAspectRatio primitiveUnits"
    " radialGradient refX refY repeatCount repeatDur requiredExtensions requiredFeatures"
    " specularConstant specularExponent spreadMethod startOffset stdDeviation stitchTiles"
    " surfaceScale systemLanguage tableValues targetX targetY textLength textPath viewBox"
    " viewTarget xChannelSelector yChannelSelector zoomAndPan"
)
_SVG_CASE = {name.lower(): name for name in _SVG_NAMES.split()}
_RAW_NAMES = frozenset(name.decode() for name in RAW_TEXT)
_VOID_NAMES = [name.decode() for name in sorted(UNKNOWN_VOID)]
_FOREIGN_NAMES = [name.decode() for name in sorted(FOREIGN_ROOTS)]
_DOUBTFUL_NAMES = [*_FOREIGN_NAMES, "select"]
_HIDING = (b"<svg", b"<math", b"<select")
_FATAL = etree.ErrorLevels.FATAL


class PageError(Exception):
    """A page that cannot be themed without losing some of it; the message says why."""


def mended(data: bytes, *, is_xhtml: bool = False) -> bytes:
    """The source of a page in a form that any parser of libxml2 reads as browsers do.

    :param data: UTF-8.
    :param is_xhtml: whether browsers read the page as XML.
    :raises PageError: as :func:`parse` does.
    """
    try:
        data = mend_xhtml(data) if is_xhtml else mend_page(data)
    except MarkupError as error:
        raise PageError(str(error)) from None
    if any(map(data.lower().__contains__, _HIDING)):
        _tree_of(data)
    return data


def parse(data: bytes, *, is_xhtml: bool = False) -> Any:
    """The tree of a page.

    External entities and DTDs are unknown to HTML, and nothing is ever fetched.

    :param data: UTF-8.
    :param is_xhtml: whether browsers read the page as XML.
    :raises PageError: for an empty page, one that lxml would cut at its limits
        (elements nested deeper than 255, texts over 10 MB), and one that libxml2 would
        read otherwise than browsers.
    """
    try:
        root = _tree_of(mend_xhtml(data) if is_xhtml else mend_page(data)).getroot()
        last = _last_node(root)
        if last.tag in _RAW_NAMES:
            check_closed(data, last.tag, last.text or "")
        return root.getroottree()
    except MarkupError as error:
        raise PageError(str(error)) from None


def _last_node(root: Any) -> Any:
    """The last node of the page in document order."""
    while len(root):
        root = root[-1]
    return root


def _hides_tags(root: Any) -> bool:
    """Whether browsers may find tags in raw text of the tree once it is written.

    libxml2 may close an element later than browsers do: ``<svg><td></svg><style>``.
    """
    return any(
        "<" in (element.text or "")
        and next(element.iterancestors(*_DOUBTFUL_NAMES), None) is not None
        for element in root.iter(*_RAW_NAMES)
    )


def _tree_of(data: bytes) -> Any:
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise PageError(f"it is no HTML: {error}") from None
    if root is None:
        raise PageError("it is empty")
    for entry in parser.error_log:
        if entry.level == _FATAL and entry.type in _LIMITS:
            raise PageError(f"it is over a limit of the parser: {entry.message}")
    if _hides_tags(root):
        raise PageError("raw text in its svg, math or select may be tags")
    return root.getroottree()


def serialise(tree: Any, charset: str, doctype: str | None) -> bytes:
    """The tree as HTML5.

    :param tree: changed in place, so that it can be written once only.
    :param charset: the encoding of the page; what it does not have becomes references.
    :param doctype: the whole ``<!DOCTYPE ...>``; ``None`` writes none.
    """
    token = f"wsgiproxy-{secrets.token_hex(12)}-"
    raw = _set_raw_text_aside(tree, token)
    has_void = _mark_void(tree, token)
    _set_svg_case(tree)
    page = _write(tree, charset, doctype)
    if any(map(page.__contains__, _ESCAPES)) and _HARM.search(page):
        page = _with_exact_urls(tree, page, charset, doctype)
    mark = token.encode()
    if raw:
        texts = [text.encode(charset, "xmlcharrefreplace") for text in raw]
        page = re.sub(rb"%b(\d+)z" % mark, lambda found: texts[int(found[1])], page)
    if has_void:
        page = re.sub(rb"</%b[a-z]+>" % mark, b"", page).replace(mark, b"")
    return page


def _write(tree: Any, charset: str, doctype: str | None) -> bytes:
    written: bytes = etree.tostring(
        tree, method="html", encoding=charset, doctype=doctype, with_tail=False
    )
    return written


def _set_raw_text_aside(tree: Any, token: str) -> list[str]:
    """The texts whose markup characters HTML does not escape and libxml2 does.

    In the tree a token with the number of the text, as in ``wsgiproxy-...-0z``, stands for each.
    """
    found: list[str] = []
    for element in tree.iter(*_RAW_TEXT):
        text = element.text
        if text and ("<" in text or "&" in text or ">" in text):
            element.text = f"{token}{len(found)}z"
            found.append(text)
    return found


def _mark_void(tree: Any, token: str) -> bool:
    """Put the token before the names of void elements that libxml2 does not know.

    It would write ``<wbr></wbr>``; the end tag can be told by the token and left out.

    :returns: whether there are any.
    """
    found = [
        element
        for element in tree.iter(*_VOID_NAMES)
        if len(element) == 0
        and not element.text
        and next(element.iterancestors(*_FOREIGN_NAMES), None) is None
    ]
    for element in found:
        element.tag = token + element.tag
    return bool(found)


def _set_svg_case(tree: Any) -> None:
    """Give the names in drawings the case that SVG has them in."""
    for drawing in tree.iter("svg"):
        if next(drawing.iterancestors("svg"), None) is None:
            for element in drawing.iter(etree.Element):
                element.tag = _SVG_CASE.get(element.tag, element.tag)
                if not _SVG_CASE.keys().isdisjoint(element.attrib):
                    _rename_attributes(element)


def _rename_attributes(element: Any) -> None:
    attributes = element.items()
    element.attrib.clear()
    for name, value in attributes:
        element.set(_SVG_CASE.get(name, name), value)


def _with_exact_urls(tree: Any, page: bytes, charset: str, doctype: str | None) -> bytes:
    """The page with URLs as they were.

    libxml2 turns the blank at the end of ``href="a.html "`` into ``%20``, which is
    another page, and breaks the placeholders of client-side templates. Under another
    name an attribute is left alone.
    """
    elements = _SPACED(tree)
    if not elements:
        return page
    token = f"{_RAW_URL}-{secrets.token_hex(8)}-"
    for element in elements:
        for name in _URL_NAMES:
            if name in element.attrib:
                element.set(token + name, element.attrib.pop(name))
    return _write(tree, charset, doctype).replace(token.encode(), b"")


def set_charset(tree: Any, charset: str) -> None:
    """Name the encoding of the page in its ``<meta>``, if it has one.

    :param tree: the page; changed in place.
    :param charset: such as ``UTF-8``.
    """
    for meta in tree.getroot().iterfind("head/meta"):
        if meta.get("charset") is not None:
            meta.set("charset", charset.lower())
        elif meta.get("http-equiv", "").lower() == "content-type":
            meta.set("content", f"text/html; charset={charset.lower()}")


def show_error(tree: Any, message: str) -> None:
    """Put a message at the top of the page.

    :param tree: the page; changed in place.
    :param message: plain text.
    """
    body = tree.getroot().find("body")
    if body is not None:
        block = etree.Element("pre", id="theme-error", role="alert")
        block.text, block.tail = f"The theme cannot be compiled: {message}", body.text
        body.text = None
        body.insert(0, block)
