"""Changes to diazo's stylesheet before lxml compiles it, which make it faster.

Diazo's own templates walk a page node by node and pass every text through ``str:replace``.
Where the rules do not change content, ``copy-of`` gives the same nodes.
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

__all__ = ["NOTHEME", "changes_content", "has_includes", "improve"]

XSL = "{http://www.w3.org/1999/XSL/Transform}"
#: The processing instruction that a page under ``<notheme>`` begins with.
NOTHEME = "wsgiproxy-notheme"

_FILTER = "/html/@xmlns|/html/@*[local-name()='xml:lang']"
_AT_ONCE = '<xsl:copy-of select="@*"/><xsl:apply-templates/>'
_BY_TEMPLATE = '<xsl:apply-templates select="@*|node()"/>'
# diazo's identity template in four, with its priority; texts are copied by XSLT's own.
_IDENTITY_XSL = """
<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0">
<xsl:template match="*" priority="-0.5"><xsl:copy>%s</xsl:copy></xsl:template>
<xsl:template match="/html" priority="-0.4"
><xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy></xsl:template>
<xsl:template match="@*|comment()|processing-instruction()" priority="-0.5"
><xsl:copy/></xsl:template>
</xsl:stylesheet>
"""
_PREDICATE = re.compile(r"\[(?:[^\[\]'\"]|'[^']*'|\"[^\"]*\")*\]")
_IDENTITY = frozenset(("@*|node()", "text()", "style/text()|script/text()", _FILTER))
_CONTENT_MODES = frozenset(
    ("before-content", "before-content-children", "after-content", "after-content-children",
     "replace-content")
)  # fmt: skip


def improve(stylesheet: Any) -> None:
    """Make the stylesheet copy whole subtrees where it may, and keep the theme's white space.

    For HTML output only: scripts need no escaping switched off there.

    :param stylesheet: diazo's; changed in place.
    """
    root = stylesheet.getroot()
    raw_is_plain = not _own_templates(root, "raw")
    content_is_plain = not changes_content(stylesheet)
    _copy_faster(root)
    for template in root.iterchildren(f"{XSL}template"):
        if template.get("match") == "/":
            _mark_notheme(template)
            _keep_space(template)
    for call in list(root.iter(f"{XSL}apply-templates")):
        mode = call.get("mode")
        plain = raw_is_plain if mode == "raw" else content_is_plain and mode is None
        if plain and _is_final(call):
            _copy_instead(call)


def changes_content(stylesheet: Any) -> bool:
    """Whether content is changed while it is copied: ``drop content=``, inline XSL templates.

    :param stylesheet: diazo's.
    """
    return bool(_own_templates(stylesheet.getroot(), None))


def has_includes(stylesheet: Any) -> bool:
    """Whether a themed page holds parts of other documents.

    :param stylesheet: diazo's.
    """
    return any(
        "document(" in value
        for element in stylesheet.getroot().iter(f"{XSL}*")
        for value in element.attrib.values()
    )


def _own_templates(root: Any, mode: str | None) -> list[Any]:
    """The templates of a mode that are neither diazo's defaults nor a theme."""
    templates = root.iterchildren(f"{XSL}template")
    own = [t for t in templates if t.get("match") != "/" and _concerns(t, mode)]
    return [*own, *root.iterchildren(f"{XSL}strip-space")]


def _concerns(template: Any, mode: str | None) -> bool:
    found, match = template.get("mode"), template.get("match")
    if template.get("name"):
        return True
    if found == mode:
        return match not in _IDENTITY
    return mode is None and found in _CONTENT_MODES and match != "*"


def _is_final(call: Any) -> bool:
    """Whether it stands in a theme and takes no parameters or order."""
    return len(call) == 0 and call.getparent() is not None and not _in_default_template(call)


def _in_default_template(call: Any) -> bool:
    template = next(call.iterancestors(f"{XSL}template"), None)
    return template is None or template.get("match") != "/"


def _copy_instead(call: Any) -> None:
    call.tag = f"{XSL}copy-of"
    select = call.get("select", "node()")
    call.attrib.clear()
    call.set("select", select)


def _matches_attributes(template: Any) -> bool:
    """Whether it may be an attribute that a template changes; predicates do not count."""
    pattern, count = template.get("match", "@"), 1
    while count:
        pattern, count = _PREDICATE.subn("", pattern)
    return "@" in pattern or "attribute::" in pattern or "[" in pattern


def _copy_faster(root: Any) -> None:
    """Copy texts and attributes of content at once, not each by a template."""
    own = _own_templates(root, None)
    slow = any(map(_matches_attributes, own))
    for template in list(root.iterchildren(f"{XSL}template")):
        match, mode = template.get("match"), template.get("mode")
        if mode is None and match == "@*|node()":
            for fresh in etree.XML(_IDENTITY_XSL % (_BY_TEMPLATE if slow else _AT_ONCE)):
                template.addprevious(fresh)
            root.remove(template)
        elif mode in (None, "raw") and match in ("text()", "style/text()|script/text()"):
            if mode is None or match != "text()":
                root.remove(template)
            else:
                _copy_text(template)


def _copy_text(template: Any) -> None:
    for child in list(template):
        template.remove(child)
    template.text = None
    etree.SubElement(template, f"{XSL}value-of", select=".")


def _mark_notheme(template: Any) -> None:
    """Let the branches that apply no theme say so."""
    if template.get("mode"):
        return
    for call in template.iter(f"{XSL}apply-templates"):
        if call.get("select") == "@*|node()" and call.get("mode") is None:
            mark = etree.Element(f"{XSL}processing-instruction", name=NOTHEME)
            call.addprevious(mark)


def _keep_space(template: Any) -> None:
    """White space between the elements of a theme: XSLT would drop it."""
    for element in template.iter():
        if not isinstance(element.tag, str) or element.tag.startswith(XSL):
            continue
        if element.text and element.text.isspace():
            _wrap(element, 0, element.text)
            element.text = None
        for child in list(element):
            if child.tail and child.tail.isspace():
                space, child.tail = child.tail, None
                _wrap(element, element.index(child) + 1, space)


def _wrap(parent: Any, index: int, space: str) -> None:
    text = etree.Element(f"{XSL}text")
    text.text = space
    parent.insert(index, text)
