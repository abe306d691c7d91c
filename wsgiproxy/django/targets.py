"""Which URL a view was reached by, and what it has to ask the upstream for."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from django.core.exceptions import BadRequest
from django.utils.encoding import escape_uri_path, repercent_broken_unicode

from ..embedding import cut
from ..protocol.request_target import PATH_SAFE

__all__ = ["Place", "place_of"]

_ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class Place(NamedTuple):
    """Where a view is."""

    mount: str  #: its encoded URL path up to the part that goes upstream, no slash at the end
    path: str  #: that part as the URLconf has captured it, decoded
    raw: str  #: the same as the client spelt it
    slash: str  #: what stood between mount and path


def place_of(request: Any, path: str) -> Place:
    """The place of the view that handles a Django request.

    :param path: what the view was called with, for URLs without a ``path`` group.
    """
    match = getattr(request, "resolver_match", None)
    captured = path if match is None else match.kwargs.get("path", path)
    if not request.path.endswith(captured):
        # The part for the upstream is not the URL's last: links cannot be mapped to it.
        return Place(_script(request).rstrip("/"), captured, quote(captured, safe=PATH_SAFE), "/")
    head = request.path[: len(request.path) - len(captured)]
    raw_path = _raw_path(request)
    raw = cut(raw_path, head.encode())
    if raw is None:
        return Place(escape_uri_path(head).rstrip("/"), captured, escape_uri_path(captured), "/")
    mount = raw_path[: len(raw_path) - len(raw)]
    return Place(mount.rstrip("/"), captured, raw, "/" if mount.endswith("/") else "")


def _script(request: Any) -> str:
    return str(escape_uri_path(request.META.get("SCRIPT_NAME", "")))


def _raw_path(request: Any) -> str:
    """The path as the client spelt it, if what the server says agrees with Django's reading.

    :raises BadRequest: for what can stand in no request line.
    """
    for key in ("REQUEST_URI", "RAW_URI"):
        raw = _ABSOLUTE_FORM.sub("", request.META.get(key) or "", count=1).partition("?")[0]
        if re.search(r"[\x00-\x20\x7f#]", raw):
            raise BadRequest("invalid request target")
        if raw.startswith("//") and not request.path.startswith("//"):
            raw = "/" + raw.lstrip("/")  # as servers do with PATH_INFO
        if raw.isascii() and _decoded(raw) == request.path:
            return raw
    return str(escape_uri_path(request.path))


def _decoded(raw: str) -> str:
    return str(repercent_broken_unicode(unquote_to_bytes(raw)).decode())
