"""What a browser tells of a request's purpose: who waits for the response.

``Sec-Fetch-*`` (W3C, "Fetch Metadata Request Headers") are sent over https and to loopback names
only; libraries have headers of their own; ``Accept`` has to do where neither is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["DOCUMENTS", "is_page_load"]

#: The values of ``Sec-Fetch-Dest`` by which a browser loads a page.
DOCUMENTS = frozenset(("document", "iframe", "frame", "embed", "object", "fencedframe"))

#: By these, libraries tell that a script asks.
_SCRIPT_KEYS = ("HTTP_HX_REQUEST", "HTTP_TURBO_FRAME", "HTTP_X_PJAX", "HTTP_X_UP_VERSION")


def is_page_load(environ: Mapping[str, Any]) -> bool:
    """Whether a person waits for a page, who can be sent to a login form.

    :param environ: of the request.

    What the browser says decides, and ``Accept`` where it says nothing. No WebSocket is a page
    load, and nothing that a script fetches.
    """
    if "HTTP_UPGRADE" in environ or _is_by_script(environ):
        return False
    mode, destination = environ.get("HTTP_SEC_FETCH_MODE"), environ.get("HTTP_SEC_FETCH_DEST")
    if mode:
        return bool(mode == "navigate")
    if destination:
        return destination in DOCUMENTS
    accept = environ.get("HTTP_ACCEPT", "").lower()
    return "text/html" in accept or "application/xhtml+xml" in accept


def _is_by_script(environ: Mapping[str, Any]) -> bool:
    if environ.get("HTTP_X_REQUESTED_WITH", "").lower() == "xmlhttprequest":
        return True
    return any(key in environ for key in _SCRIPT_KEYS)
