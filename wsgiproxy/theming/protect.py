"""Names and comments of a theme that XSLT cannot hold, replaced while it is compiled.

A theme becomes a stylesheet, which is XML. ``@click``, ``:class``, ``v-on:submit``,
``*ngIf``, an undeclared ``xlink:href`` and ``<!-- a -- b -->`` are fine HTML and no XML;
diazo fails on them. Each is compiled as a random token, which no visitor can know, and
the token is replaced in the page after it was written.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from lxml import etree

from .page import serialise

__all__ = ["Protection"]

_XML_NAME = re.compile(r"[A-Za-z_\u00c0-\U0010fffd][\w.\-\u00b7]*")


class Protection:
    """The tokens of one compiled theme."""

    def __init__(self) -> None:
        self._prefix = f"wsgiproxy-{secrets.token_hex(12)}-"
        self._tokens: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._pattern = re.compile(re.escape(self._prefix.encode()) + rb"\d+z")

    def apply(self, theme: bytes) -> bytes:
        """The theme with tokens in place of what XSLT cannot hold.

        :param theme: UTF-8 HTML.
        """
        root = etree.fromstring(theme, etree.HTMLParser(encoding="utf-8", no_network=True))
        if root is None:
            return theme
        before = len(self._tokens)
        for node in root.getroottree().iter():
            self._protect_node(node)
        for node in (*root.itersiblings(preceding=True), *root.itersiblings()):
            self._protect_node(node)
        if len(self._tokens) == before:
            return theme
        return serialise(root.getroottree(), "utf-8", root.getroottree().docinfo.doctype or None)

    def undo(self, page: bytes) -> bytes:
        """The page with the names and comments in place of their tokens.

        :param page: as it was written.
        """
        if not self._tokens:
            return page
        return self._pattern.sub(lambda m: self._tokens[m[0].decode()].encode(), page)

    def neutral(self, stylesheet: bytes) -> bytes:
        """The stylesheet without its random tokens, to be hashed.

        :param stylesheet: as XML.
        """
        return self.undo(stylesheet)

    def _token(self, content: str) -> str:
        token = self._known.get(content)
        if token is None:
            token = self._known[content] = f"{self._prefix}{len(self._tokens)}z"
            self._tokens[token] = content
        return token

    def _protect_node(self, node: Any) -> None:
        if isinstance(node, etree._Comment):
            text = node.text or ""
            if "--" in text or text.endswith("-"):
                node.text = self._token(text)
        elif isinstance(node.tag, str):
            if not _is_name(node.tag):
                node.tag = self._token(node.tag)
            bad = {name for name in node.attrib if not _is_known(name, node)}
            if bad:
                kept = [(name, value) for name, value in node.attrib.items()]
                node.attrib.clear()
                for name, value in kept:
                    node.set(self._token(name) if name in bad else name, value)


def _is_name(name: str) -> bool:
    return _XML_NAME.fullmatch(name) is not None


def _is_known(name: str, node: Any) -> bool:
    """Whether an attribute name is one in XML too, its prefix declared."""
    prefix, colon, local = name.rpartition(":")
    if not colon:
        return _is_name(name)
    if not (_is_name(prefix) and _is_name(local)):
        return False
    return prefix in ("xml", "xmlns") or any(
        f"xmlns:{prefix}" in element.attrib for element in (node, *node.iterancestors())
    )
