"""What a browser's parser makes of a page, and of an edited page with its edits undone."""

from __future__ import annotations

import json
import re
from typing import Any

import html5lib

__all__ = ["TAGS", "tree"]

#: What stands for the tags of the runtime: they can be told from a page's own.
TAGS = (b"<script src=ours></script>", b'<script type="importmap" id=ours>{"imports":{}}</script>')

Event = tuple[str, ...]

_ADDED = re.compile(r"\s*(?:'sha256-[^']*'|site\.example/app/\.wsgiproxy\S*)")
_ORIGIN = re.compile("http://localhost:9999")
_BARE_ORIGIN = re.compile("http://localhost:9999(?!/)")


def tree(page: bytes, *, scripting: bool = False) -> list[Event]:
    """The page as a list of tags and texts, without what an edit may add or take away.

    :param scripting: whether ``<noscript>`` is text.
    """
    parser = html5lib.HTMLParser(html5lib.getTreeBuilder("dom"), namespaceHTMLElements=True)
    document = parser.parse(page.decode("latin-1"), scripting=scripting)
    events: list[Event] = []
    _walk(document, events)
    return events


def _walk(node: Any, events: list[Event]) -> None:
    for child in node.childNodes:
        if child.nodeType == child.TEXT_NODE:
            text = _text(node, child.data)
            if events and events[-1][0] == "text":
                text = events.pop()[1] + text
            events.append(("text", text))
        elif child.nodeType == child.COMMENT_NODE:
            events.append(("comment", child.data))
        elif child.nodeType == child.DOCUMENT_TYPE_NODE:
            events.append(("doctype", child.name or ""))
        elif "ours" not in (child.getAttribute("src"), child.getAttribute("id")):
            _element(child, events)


def _element(element: Any, events: list[Event]) -> None:
    attributes = dict(element.attributes.items())
    events.append(("start", element.namespaceURI, element.tagName))
    for name in sorted(attributes):
        events.append(("attribute", name, _value(element, name, attributes[name])))
    texts = [child.data for child in element.childNodes if child.nodeType == child.TEXT_NODE]
    if element.tagName == "noscript" and len(texts) == len(element.childNodes):
        events.append(("markup", repr(tree("".join(texts).encode("latin-1", "replace")))))
    else:
        _walk(element, events)
    events.append(("end", element.tagName))


def _value(element: Any, name: str, value: str) -> str:
    if name == "srcdoc" and element.tagName == "iframe":
        return repr(tree(value.encode("latin-1", "replace")))
    if name == "integrity" and element.tagName == "link":
        return ""
    if name == "content" and element.tagName == "meta":
        return " ".join(_ADDED.sub("", _undone(value)).replace("script-src;", "").split())
    return _undone(value)


def _text(node: Any, text: str) -> str:
    is_map = node.nodeName == "script" and node.getAttribute("type") == "importmap"
    try:
        imports = json.loads(text)["imports"] if is_map else None
    except (ValueError, TypeError, KeyError, RecursionError):
        imports = None
    if not isinstance(imports, dict):
        return _undone(text)
    own = {key: value for key, value in imports.items() if key[:4] != "/app" and key != "/"}
    return _undone(json.dumps(own, sort_keys=True))


def _undone(text: str) -> str:
    """The text without the prefix and without the upstream's own origin."""
    return _ORIGIN.sub("", _BARE_ORIGIN.sub("/", text.replace("/app", "")))
