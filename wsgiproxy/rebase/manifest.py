"""URLs in the small JSON documents that hold little else: web manifests and import maps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from .escapes import apply, decode_json
from .page_urls import Edit, PageUrls

__all__ = [
    "LIMIT",
    "ManifestEditor",
    "WholeEditor",
    "edit_import_map",
    "edit_manifest",
    "import_map",
]

#: Bytes of a document that is edited; a larger one passes as it is.
LIMIT = 1 << 18

_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|[{}\[\],:]', re.DOTALL)
# Members of a web manifest that hold URLs (Web App Manifest and its extensions).
_MANIFEST_URLS = frozenset(
    (b"start_url", b"scope", b"id", b"src", b"url", b"action", b"note_taking_url", b"new_note_url")
)


class _String(NamedTuple):
    """A string of a JSON text: where its content stands and what leads to it."""

    start: int
    end: int
    path: tuple[bytes, ...]  #: the names of the members it lies in
    is_name: bool


class WholeEditor:
    """Holds a small document until its end to edit it; a large one passes as it is."""

    def __init__(self, edit: Callable[[bytes], bytes]) -> None:
        self._edit = edit
        self._held: bytes | None = b""

    def feed(self, data: bytes) -> bytes:
        """The next bytes; nothing comes back before the end, or all if it is too large."""
        if self._held is None:
            return data
        self._held += data
        if len(self._held) <= LIMIT:
            return b""
        held, self._held = self._held, None
        return held

    def finish(self) -> bytes:
        """The edited document."""
        return b"" if self._held is None else self._edit(self._held)


class ManifestEditor(WholeEditor):
    """Maps the URLs of a web manifest."""

    def __init__(self, urls: PageUrls) -> None:
        super().__init__(partial(edit_manifest, urls))


def edit_manifest(urls: PageUrls, text: bytes) -> bytes:
    """A web manifest with those members mapped that hold URLs."""
    edits = []
    for string in _strings(text):
        if not string.is_name and string.path and string.path[-1] in _MANIFEST_URLS:
            edits += _url_edit(urls, text, string)
    return apply(text, edits)


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
    opened = re.compile(rb"\s*\{").match(text)
    has_imports, edits = False, []
    for string in _strings(text):
        if string.path == () and string.is_name and text[string.start : string.end] == b"imports":
            has_imports = True
            opened = re.compile(rb'"\s*:\s*\{').match(text, string.end)
        if _is_address(string):
            edits += _url_edit(urls, text, string)
    if opened is None:
        return text
    rules = import_rules(urls) | _repeated(urls, imports)
    new = json.dumps(rules, separators=(",", ":"))[1:-1].encode()
    new = new if has_imports else b'"imports":{' + new + b"}"
    is_empty = text[opened.end() :].lstrip().startswith(b"}")
    edits.append(Edit(opened.end(), opened.end(), new if is_empty else new + b","))
    return apply(text, sorted(edits))


def import_map(urls: PageUrls) -> bytes:
    """The import map for a page that has none."""
    return json.dumps({"imports": import_rules(urls)}, separators=(",", ":")).encode()


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
    member, depth = string.path[:1], len(string.path)
    if member == (b"imports",):
        return not string.is_name
    if member == (b"scopes",):
        return depth == 1 if string.is_name else depth == 3
    return member == (b"integrity",) and string.is_name


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
            path = [outer for outer, _ in open_] + ([] if expects_name else [name])
            yield _String(match.start(1), match.end(1), tuple(filter(None, path)), expects_name)
            if expects_name:
                name, expects_name = decode_json(match[1]).text, False
