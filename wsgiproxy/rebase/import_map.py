"""Import maps: a page's own, with its addresses mapped, and ours for a page that has none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from .escapes import apply, decode_json, json_for_html
from .page_urls import Edit, PageUrls

__all__ = ["LIMIT", "ImportMapEditor", "edit_import_map", "import_map"]

#: Bytes of an import map that is edited; a larger one passes as it is.
LIMIT = 1 << 18

# A string that is not closed reaches to the end: nothing is looked at twice.
_TOKEN = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)(?:"|\\?\Z)|[{}\[\],:]', re.DOTALL)
_OBJECT = re.compile(rb"\s*\{")
_MEMBER_OBJECT = re.compile(rb'"\s*:\s*\{')


class _String(NamedTuple):
    """A string of a JSON text: where its content stands and what leads to it."""

    start: int
    end: int
    member: bytes  #: the name of the outermost member it lies in
    depth: int  #: how many members it lies in
    is_name: bool


class ImportMapEditor:
    """Holds an import map until its end to edit it.

    :param urls: where URLs belong.
    """

    def __init__(self, urls: PageUrls) -> None:
        self._urls = urls
        self._held: list[bytes] | None = []
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """The next bytes; nothing comes back before the end, or all if it is too large."""
        if self._held is None:
            return data
        self._held.append(data)
        self._size += len(data)
        return b"" if self._size <= LIMIT else self._let_go()

    def finish(self) -> bytes:
        """The edited import map."""
        return b"" if self._held is None else edit_import_map(self._urls, self._let_go())

    def _let_go(self) -> bytes:
        held, self._held = self._held or [], None
        return b"".join(held)


def edit_import_map(urls: PageUrls, text: bytes) -> bytes:
    """An import map with its addresses mapped and the rules for the prefix put first.

    Specifiers stay, for scripts still say ``/x``; since relative ones resolve under the
    prefix, each rule for ``/x`` is repeated there. Anything that is no import map comes
    back as it is.
    """
    try:
        imports = dict(json.loads(text).get("imports", {}))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return text
    opened = _OBJECT.match(text)
    has_imports, edits = False, []
    for string in _strings(text):
        is_member = string.is_name and not string.depth
        if is_member and text[string.start : string.end] == b"imports":
            has_imports = True
            opened = _MEMBER_OBJECT.match(text, string.end)
        if _is_address(string):
            edits += _url_edit(urls, text, string)
    if opened is None:
        return text
    rules = import_rules(urls) | _repeated(urls, imports)
    new = json_for_html(rules)[1:-1].encode()
    new = new if has_imports else b'"imports":{' + new + b"}"
    is_empty = text[opened.end() :].lstrip().startswith(b"}")
    edits.append(Edit(opened.end(), opened.end(), new if is_empty else new + b","))
    return apply(text, sorted(edits))


def import_map(urls: PageUrls) -> bytes:
    """The import map for a page that has none."""
    return json_for_html({"imports": import_rules(urls)}).encode()


def import_rules(urls: PageUrls) -> dict[str, str]:
    """Rules that lead every module specifier ``/x`` under the prefix, computed ones too.

    The longest rule that fits wins, so what lies under the prefix stays there.
    """
    prefix = urls.prefix.decode() + "/"
    return {urls.base.decode() + "/": prefix, prefix: prefix}


def _repeated(urls: PageUrls, imports: dict[str, object]) -> dict[str, str]:
    rules = {}
    for name, address in imports.items():
        mapped = _map_text(urls, name)
        if mapped != name and isinstance(address, str):
            rules[mapped] = _map_text(urls, address)
    return rules


def _map_text(urls: PageUrls, text: str) -> str:
    return urls.map(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def _is_address(string: _String) -> bool:
    """Whether a string of an import map is a URL rather than a specifier."""
    if string.member == b"imports":
        return not string.is_name
    if string.member == b"scopes":
        return string.depth == 1 if string.is_name else string.depth == 3
    return string.member == b"integrity" and string.is_name


def _url_edit(urls: PageUrls, text: bytes, string: _String) -> list[Edit]:
    decoded = decode_json(text[string.start : string.end])
    edit = urls.edit(decoded.text)
    if edit is None:
        return []
    return [
        Edit(string.start + found.start, string.start + found.end, found.new)
        for found in decoded.edits([edit])
    ]


def _strings(text: bytes) -> Iterator[_String]:
    """Every string of a JSON text, in order; of a broken one, what makes sense."""
    open_: list[tuple[bytes, bool]] = []  # name and whether it is an object, outermost first
    name, expects_name = b"", False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in (b"{", b"["):
            open_.append((name, token == b"{"))
            name, expects_name = b"", token == b"{"
        elif token in (b"}", b"]"):
            name, expects_name = (open_.pop()[0] if open_ else b""), False
        elif token == b",":
            name, expects_name = b"", bool(open_) and open_[-1][1]
        elif token != b":":
            depth = max(len(open_) - expects_name, 0)
            member = open_[1][0] if len(open_) > 1 else b"" if expects_name else name
            yield _String(match.start(1), match.end(1), member, depth, expects_name)
            if expects_name:
                name, expects_name = decode_json(match[1]).text, False
