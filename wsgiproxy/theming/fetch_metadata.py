"""Whether a request asks for a page, or a script asks for a part of one.

Browsers say so in ``Sec-Fetch-Dest`` (Fetch Metadata Request Headers, section 2.1), scripts in
headers of their own: htmx, Turbo, PJAX, and ``X-Requested-With`` of the older libraries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["PAGE_HEADERS", "SCRIPT_KEYS", "asks_for_page", "is_ajax", "is_true"]

#: The request headers that :func:`asks_for_page` reads, for ``Vary``. The id that Turbo gives
#: each request is left out: it differs each time, and would leave nothing to cache.
PAGE_HEADERS = (
    "HX-Request",
    "HX-Boosted",
    "HX-History-Restore-Request",
    "Turbo-Frame",
    "X-PJAX",
    "Sec-Purpose",
    "Sec-Fetch-Dest",
)
#: The environ keys by which a script asks; what a server asks in its place has none.
SCRIPT_KEYS = frozenset(
    (
        "HTTP_HX_BOOSTED",
        "HTTP_HX_CURRENT_URL",
        "HTTP_HX_HISTORY_RESTORE_REQUEST",
        "HTTP_HX_REQUEST",
        "HTTP_HX_TARGET",
        "HTTP_HX_TRIGGER",
        "HTTP_HX_TRIGGER_NAME",
        "HTTP_TURBO_FRAME",
        "HTTP_X_PJAX",
        "HTTP_X_REQUESTED_WITH",
        "HTTP_X_TURBO_REQUEST_ID",
    )
)
_TRUE = frozenset(("true", "yes", "on", "y", "t", "1"))
_PAGES = frozenset(("", "document", "iframe", "frame", "embed", "object", "fencedframe"))


def is_true(value: str | None) -> bool:
    """Whether a header says yes; any other value does not.

    :param value: the header's; ``None`` without one.
    """
    return value is not None and value.strip().lower() in _TRUE


def is_ajax(environ: Mapping[str, Any]) -> bool:
    """Whether one of the older libraries asks, by ``X-Requested-With: XMLHttpRequest``.

    :param environ: of a WSGI request.
    """
    return str(environ.get("HTTP_X_REQUESTED_WITH", "")).lower() == "xmlhttprequest"


def asks_for_page(environ: Mapping[str, Any]) -> bool:
    """Whether the answer will be shown as a page of its own.

    ``HX-Boosted`` and Turbo Drive fetch whole pages by script and show them as pages;
    so does a prefetch.

    :param environ: of a WSGI request.

    >>> asks_for_page({"HTTP_SEC_FETCH_DEST": "empty"})
    False
    """
    if is_true(environ.get("HTTP_HX_REQUEST")):
        whole = environ.get("HTTP_HX_BOOSTED"), environ.get("HTTP_HX_HISTORY_RESTORE_REQUEST")
        return any(map(is_true, whole))
    if "HTTP_TURBO_FRAME" in environ or is_true(environ.get("HTTP_X_PJAX")):
        return False
    if "HTTP_X_TURBO_REQUEST_ID" in environ or "HTTP_SEC_PURPOSE" in environ:
        return True
    return environ.get("HTTP_SEC_FETCH_DEST", "").lower() in _PAGES
