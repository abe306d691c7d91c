"""``auth``: the application is asked before the upstream hears of a request."""

from __future__ import annotations

from collections.abc import Iterator

from ..plan import Place
from ..site import Site
from .text import block, fixed, word
from .upstream import told

__all__ = ["auth"]

#: What concerns the client's own message, and would change the answer.
_NOT_ASKED = (
    *["Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"],
    *["Content-Type", "Upgrade", "Connection", "X-HTTP-Method-Override"],
)
#: A page load, by the signs of :func:`~wsgiproxy.access.check.is_page_load`.
_MODE, _DEST = "{http.request.header.Sec-Fetch-Mode}", "{http.request.header.Sec-Fetch-Dest}"
_PAGES = '["document", "iframe", "frame", "embed", "object", "fencedframe"]'
_ACCEPT = "{http.request.header.Accept}.lowerAscii()"
_PAGE = (
    f'{_MODE} == "navigate" || ({_MODE} == "" && ({_DEST} in {_PAGES} || ({_DEST} == "" && '
    f'({_ACCEPT}.contains("text/html") || {_ACCEPT}.contains("application/xhtml+xml")))))'
)


def auth(site: Site, place: Place) -> Iterator[str]:
    """Ask; 2xx lets pass, a page load is sent to the login, all else is refused."""
    route, number = place.mount.route, place.number
    for name in route.copy_headers:
        yield f"request_header -{name}"
    lines = ["method GET", f"rewrite {word(fixed(str(route.auth)))}"]
    for name in ("X-Original-URI", "X-Forwarded-Uri"):
        lines.append(f"header_up {name} {{http.request.orig_uri}}")
    for name in ("X-Original-Method", "X-Forwarded-Method"):
        lines.append(f"header_up {name} {{http.request.orig_method}}")
    lines += [f"header_up -{name}" for name in _NOT_ASKED]
    lines += told("", "x-forwarded", place)
    lines += [f"@passed_{number} status 2xx"]
    lines += block(f"handle_response @passed_{number}", _copied(place))
    lines += [f"@login_{number} status 301 302 303 307 308"]
    lines += block(f"handle_response @login_{number}", _login(number))
    lines += [f"@refused_{number} status 401 403"]
    lines += block(f"handle_response @refused_{number}", ["copy_response"])
    lines += block("handle_response", ["respond 500"])
    yield from block(f"reverse_proxy {site.to}", lines)


def _copied(place: Place) -> Iterator[str]:
    """What the answer says to the upstream."""
    for count, name in enumerate(place.mount.route.copy_headers):
        value, given = f"{{http.reverse_proxy.header.{name}}}", f"@copied_{place.number}_{count}"
        yield from block(given, [f'not vars {value} ""'])
        yield f"request_header {given} {name} {value}"


def _login(number: int) -> Iterator[str]:
    lines = [
        "not header Upgrade *",
        "not header_regexp X-Requested-With (?i)^xmlhttprequest$",
        f"expression `{_PAGE}`",
    ]
    yield from block(f"@page_{number}", lines)
    yield f"redir @page_{number} {{http.reverse_proxy.header.Location}} 302"
    yield "respond 401"
