"""What sort of text a response is: by its type, and by what the browser makes of that."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .codings import effective_coding
from .dav import DAV_METHODS
from .fetch_metadata import DOCUMENTS

__all__ = ["kind_of"]

_KINDS = {
    "text/html": "html",
    "application/xhtml+xml": "xhtml",
    "image/svg+xml": "svg",
    "text/css": "css",
    "application/manifest+json": "manifest",
}
_WORKERS = frozenset(("worker", "sharedworker", "serviceworker"))
_SCRIPTS = re.compile(r"(?:text|application)/(?:x-)?(?:java|ecma)script")
_XML = re.compile(r"(?:text|application)/xml|.+\+xml")
# As which of these a browser reads what it wants to load. A style sheet that says it is
# HTML is none: what is read as a script, a picture or a font is no page.
_PAGES = DOCUMENTS | {"", "empty"}
_READERS = {
    "html": _PAGES,
    "xhtml": _PAGES,
    "svg": _PAGES | {"image"},
    "css": _PAGES | {"style"},
    "manifest": _PAGES | {"manifest"},
    "json": _PAGES | {"json"},
    "dav": _PAGES,
    "unknown": _PAGES - {"empty"},
}
# Charsets in which the bytes of ASCII may mean something else.
_STRANGE = re.compile(r"charset\s*=\s*[\"']?(?:utf-?(?:16|32|7)|ucs|iso-?2022|hz|iso-10646)", re.I)
# Types for which browsers look at the first bytes (MIME Sniffing, 7).
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+")
_UNKNOWN = frozenset(("unknown/unknown", "application/unknown", "*/*"))


def kind_of(method: str, status: int, fields: Mapping[str, str], wanted: str) -> str | None:
    """How a response has to be edited, or ``None`` if it must not be touched.

    :param fields: its headers, by their names in lower case.
    :param wanted: what the browser wants to load, or an empty text.
    """
    if status in (204, 205, 206, 304) or status < 200 or "content-range" in fields:
        return None
    content_type = fields.get("content-type", "").strip()
    media_type = content_type.partition(";")[0].strip().lower()
    kind = _by_type(media_type, fields, wanted)
    if kind is None and _XML.fullmatch(media_type) and (status == 207 or method in DAV_METHODS):
        kind = "dav"
    is_ours = (
        kind is not None
        and wanted in _READERS.get(kind, (wanted,))
        and not _STRANGE.search(content_type)
        and not fields.get("content-disposition", "").strip().lower().startswith("attachment")
        and "no-transform" not in fields.get("cache-control", "").lower()
        and effective_coding(fields.get("content-encoding", "")) is not None
    )
    return kind if is_ours else None


def _by_type(media_type: str, fields: Mapping[str, str], wanted: str) -> str | None:
    """The kind of a media type; its suffix tells where its name is not known (RFC 6839)."""
    if wanted in _WORKERS:
        return "worker" if _SCRIPTS.fullmatch(media_type) else None
    if wanted == "manifest" and media_type.endswith("json"):
        return "manifest"
    if media_type in _KINDS:
        return _KINDS[media_type]
    if media_type.endswith("+html"):
        return "html"
    if media_type.endswith("+json"):
        return "json"
    if media_type not in _UNKNOWN and _MEDIA_TYPE.fullmatch(media_type):
        return None
    return None if "nosniff" in fields.get("x-content-type-options", "").lower() else "unknown"
