"""What is themed and what is not: pure functions on requests and responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .codings import is_readable
from .fetch_metadata import PAGE_HEADERS, asks_for_page, is_ajax, is_true
from .fields import Headers, find, media_type
from .settings import ThemeOptions

__all__ = [
    "OFF_HEADER",
    "deciding_headers",
    "is_fragment",
    "is_html",
    "is_ignored",
    "is_xhtml",
    "skips_response",
]

OFF_HEADER = "X-Diazo-Off"

_HTML = frozenset(("text/html", "application/xhtml+xml"))


def is_ignored(environ: Mapping[str, Any], options: ThemeOptions) -> bool:
    """Whether the path ends in an extension of files that are not pages.

    :param environ: the request.
    :param options: of the middleware.
    """
    head, dot, extension = environ.get("PATH_INFO", "").rpartition(".")
    return bool(dot and head) and extension.lower() in options.ignored_extensions


def is_fragment(environ: Mapping[str, Any], options: ThemeOptions) -> bool:
    """Whether the client asks for something else than a themed page.

    :param environ: the request of a script, for one, or with theming switched off.
    :param options: of the middleware.
    """
    if options.client_off and is_true(environ.get("HTTP_X_DIAZO_OFF")):
        return True
    return is_ajax(environ) or not (options.theme_fragments or asks_for_page(environ))


def deciding_headers(options: ThemeOptions) -> list[str]:
    """The request headers that decide whether a page is themed, for ``Vary``.

    :param options: of the middleware.
    """
    names = [] if options.theme_fragments else PAGE_HEADERS
    return ["X-Requested-With", *names, *([OFF_HEADER] if options.client_off else [])]


def is_html(headers: Headers) -> bool:
    """Whether the ``Content-Type`` is one that is themed.

    :param headers: of a response.
    """
    return media_type(find(headers, "content-type")) in _HTML


def is_xhtml(content_type: str | None) -> bool:
    """Whether browsers read a page as XML.

    :param content_type: its ``Content-Type``; ``None`` without one.
    """
    return media_type(content_type) == "application/xhtml+xml"


def skips_response(status: str, headers: Headers, options: ThemeOptions) -> str | None:
    """Why a response is not themed; ``None`` if it is.

    :param status: such as ``200 OK``.
    :param headers: of the response.
    :param options: of the middleware.
    """
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
