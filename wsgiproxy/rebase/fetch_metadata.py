"""What a request is for: a page to show, or something that a page loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["DOCUMENTS", "destination", "is_navigation", "is_piece"]

#: What browsers call a page in ``Sec-Fetch-Dest`` (Fetch Metadata, 2.1).
DOCUMENTS = frozenset(("document", "iframe", "frame", "embed", "object", "fencedframe"))
# By these, libraries tell that a script asks for a piece of a page.
_PIECE_KEYS = ("HTTP_X_REQUESTED_WITH", "HTTP_HX_REQUEST", "HTTP_TURBO_FRAME", "HTTP_X_PJAX")


def destination(environ: Mapping[str, Any]) -> str:
    """What the browser wants to load; empty if it does not say so.

    Browsers say it over https and to localhost only.
    """
    value: str = environ.get("HTTP_SEC_FETCH_DEST", "")
    return value.strip().lower()


def is_navigation(environ: Mapping[str, Any]) -> bool:
    """Whether the user goes to this address, rather than a page loading it."""
    wanted = destination(environ)
    if wanted:
        return wanted in DOCUMENTS
    if is_piece(environ):
        return False
    accept = environ.get("HTTP_ACCEPT", "")
    return "HTTP_UPGRADE_INSECURE_REQUESTS" in environ or "text/html" in accept


def is_piece(environ: Mapping[str, Any]) -> bool:
    """Whether a library says that a script asks for a piece of a page."""
    return any(key in environ for key in _PIECE_KEYS)
