"""What is themed and what is not: pure functions on requests and responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .codings import is_readable
from .settings import ThemeOptions
from .validators import Headers, find

__all__ = [
    "OFF_HEADER",
    "deciding_headers",
    "is_fragment",
    "is_html",
    "is_ignored",
    "is_true",
    "is_xhtml",
    "skips_response",
]

OFF_HEADER = "X-Diazo-Off"

# Not Turbo's request id, which differs each time and would leave nothing to cache.
_FRAGMENT_HEADERS = (
    "HX-Request",
    "HX-Boosted",
    "HX-History-Restore-Request",
    "Turbo-Frame",
    "Sec-Purpose",
    "Sec-Fetch-Dest",
)
_TRUE = frozenset(("true", "yes", "on", "y", "t", "1"))
_PAGES = frozenset(("", "document", "iframe", "frame", "embed", "object", "fencedframe"))
_HTML = frozenset(("text/html", "application/xhtml+xml"))


def is_true(value: str | None) -> bool:
    """Whether a header says yes; nonsense does not."""
    return value is not None and value.strip().lower() in _TRUE


def is_ignored(environ: Mapping[str, Any], options: ThemeOptions) -> bool:
    """Whether the path ends like a file that is no page."""
    head, dot, extension = environ.get("PATH_INFO", "").rpartition(".")
    return bool(dot and head) and extension.lower() in options.ignored_extensions


def is_fragment(environ: Mapping[str, Any], options: ThemeOptions) -> bool:
    """Whether the client says that it wants no page: a script fetches, or theming is off.

    ``HX-Boosted`` and Turbo Drive fetch whole pages by script and show them as pages;
    so does a prefetch. These are themed.
    """
    if options.client_off and is_true(environ.get("HTTP_X_DIAZO_OFF")):
        return True
    if environ.get("HTTP_X_REQUESTED_WITH", "").lower() == "xmlhttprequest":
        return True
    if options.theme_fragments:
        return False
    if is_true(environ.get("HTTP_HX_REQUEST")):
        whole = environ.get("HTTP_HX_BOOSTED"), environ.get("HTTP_HX_HISTORY_RESTORE_REQUEST")
        return not any(map(is_true, whole))
    if "HTTP_TURBO_FRAME" in environ:
        return True
    if "HTTP_X_TURBO_REQUEST_ID" in environ or "HTTP_SEC_PURPOSE" in environ:
        return False
    return environ.get("HTTP_SEC_FETCH_DEST", "").lower() not in _PAGES


def deciding_headers(options: ThemeOptions) -> list[str]:
    """The request headers that decide whether a page is themed, for ``Vary``."""
    names = [] if options.theme_fragments else _FRAGMENT_HEADERS
    return ["X-Requested-With", *names, *([OFF_HEADER] if options.client_off else [])]


def is_html(headers: Headers) -> bool:
    """Whether the type is one that is themed."""
    return _media_type(find(headers, "content-type")) in _HTML


def is_xhtml(content_type: str | None) -> bool:
    """Whether browsers read a page of this ``Content-Type`` as XML."""
    return _media_type(content_type) == "application/xhtml+xml"


def _media_type(content_type: str | None) -> str:
    return (content_type or "").split(";", 1)[0].strip().lower()


def skips_response(status: str, headers: Headers, options: ThemeOptions) -> str | None:
    """Why a response is not themed; ``None`` if it is."""
    code = int(status[:3]) if status[:3].isdigit() else 0
    if code < 200 or 300 <= code < 400 or code in (204, 205, 206):
        return f"status {code}"
    if code >= 400 and not (options.theme_401 if code == 401 else options.theme_errors):
        return f"status {code}"
    if not is_html(headers):
        return "no HTML"
    if is_true(find(headers, OFF_HEADER.lower())):
        return "X-Diazo-Off"
    return _skips_body(headers, options)


def _skips_body(headers: Headers, options: ThemeOptions) -> str | None:
    if find(headers, "content-range") is not None:
        return "a range"
    # RFC 9111 section 5.2.2.6: an intermediary MUST NOT transform the content
    if "no-transform" in (find(headers, "cache-control") or "").lower():
        return "Cache-Control: no-transform"
    if (find(headers, "content-disposition") or "").strip().lower().startswith("attachment"):
        return "a download"
    if (find(headers, "x-accel-buffering") or "").strip().lower() == "no":
        return "X-Accel-Buffering: no"
    if not is_readable(find(headers, "content-encoding") or ""):
        return "an unknown Content-Encoding"
    length = find(headers, "content-length") or ""
    if length == "0":
        return "no body"
    if length.isdigit() and int(length) > options.max_size:
        return "over max_size"
    return None
