"""Which URL a view was reached by, and what it has to ask the upstream for."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from django.urls import Resolver404, resolve
from django.utils.encoding import escape_uri_path, repercent_broken_unicode

from ..embedding import as_text, check_place, place
from ..protocol.request_target import PATH_SAFE
from .plumbing import as_wsgi

__all__ = ["Place", "check_view", "place_of"]


class Place(NamedTuple):
    """Where a view is."""

    mount: str  #: its encoded URL path up to the part that goes upstream, no slash at the end
    path: str  #: that part as the URLconf has captured it, decoded
    raw: str  #: the same as the client spelt it
    slash: str  #: what stood between mount and path


def place_of(request: Any, path: str) -> Place:
    """The place of the view that handles a Django request.

    :param path: what the view was called with, for URLs without a ``path`` group.
    :raises BadRequest: ours, for what can stand in no request line.
    """
    match = getattr(request, "resolver_match", None)
    captured = path if match is None else match.kwargs.get("path", path)
    if not request.path.endswith(captured):
        # The part for the upstream is not the URL's last: links cannot be mapped to it.
        mount = str(escape_uri_path(_script(request)))
        return Place(mount.rstrip("/"), captured, quote(captured, safe=PATH_SAFE), "/")
    mount, target = place(request.META, captured, request.path, _decoded)
    raw = target.partition("?")[0]
    head = request.path[: len(request.path) - len(captured)]
    if head.endswith("/"):
        return Place(mount, captured, raw[1:], "/")
    return Place(mount, captured, raw, "")


def check_view(request: Any, found: Place) -> None:
    """Refuse a path that may be another view's: see :func:`~wsgiproxy.embedding.check_place`.

    :raises BadRequest: ours.
    """
    match = getattr(request, "resolver_match", None)
    if match is None:
        return
    root = len(as_wsgi(_script(request)))
    urlconf = getattr(request, "urlconf", None)

    def leads_here(path: str) -> bool:
        try:
            other = resolve(as_text(path[root:].encode("latin-1")), urlconf)
        except Resolver404:
            return False
        return bool(other.func is match.func)

    check_place(found.mount, found.slash + found.raw, leads_here)


def _script(request: Any) -> str:
    """What stands before the part of the path that the URLconf sees."""
    path: str = request.path
    return path.removesuffix(request.path_info) if path != request.path_info else ""


def _decoded(raw: str) -> str:
    """A path as Django decodes it: bytes that are no UTF-8 stay encoded."""
    return as_wsgi(str(repercent_broken_unicode(unquote_to_bytes(raw)).decode()))
