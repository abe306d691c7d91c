"""``/page?;filter_xpath=//div``: the part of a page that a server-side include wants.

Diazo writes such URLs with ``includemode`` ``ssi`` and ``esi``. They let anybody choose
the expression, so they are answered only with the option ``filter_xpath``. XPath as it
is used here reads nothing but the page.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from lxml import etree

from .charset import to_utf8
from .codings import decoded, offer
from .decide import is_xhtml, skips_response
from .fields import CHANGED_HEADERS, find, replace
from .held_response import HeldResponse, Verdict
from .page import PageError, parse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .settings import ThemeOptions

__all__ = ["FilteredRequest", "filter_expression"]

_MARK = ";filter_xpath="
_MAX_EXPRESSION = 1000
_NOTHING = "<!--WARNING: No content found-->"
_CONDITIONAL = (
    "HTTP_IF_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_RANGE",
    "HTTP_RANGE",
)
_DROPPED = (*CHANGED_HEADERS, "etag", "last-modified")


def filter_expression(environ: WSGIEnvironment) -> str | None:
    """The XPath expression at the end of the query.

    :param environ: the request.
    :returns: ``None`` if there is none.

    >>> filter_expression({"QUERY_STRING": "a=b;filter_xpath=//p"})
    '//p'
    """
    query = environ.get("QUERY_STRING", "")
    return unquote_plus(query.rpartition(_MARK)[2]) if _MARK in query else None


class FilteredRequest:
    """One request for a part of a page.

    :param environ: the client's request; left as it is.
    :param options: of the middleware.
    :param expression: XPath, of which the first 1,000 characters count.
    """

    def __init__(self, environ: WSGIEnvironment, options: ThemeOptions, expression: str) -> None:
        self._options = options
        self._expression = expression
        self._asked = {k: v for k, v in environ.items() if k not in _CONDITIONAL}
        for key in ("REQUEST_URI", "RAW_URI", "QUERY_STRING"):
            if _MARK in self._asked.get(key, ""):
                self._asked[key] = self._asked[key].rpartition(_MARK)[0]
        self._asked["HTTP_ACCEPT_ENCODING"] = offer(environ.get("HTTP_ACCEPT_ENCODING", ""))

    def answer(self, app: WSGIApplication, start_response: StartResponse) -> Iterable[bytes]:
        """Ask the application for the page and answer with the part.

        :param app: the wrapped application.
        :param start_response: the server's.
        :returns: the part, with the page's status and headers; 400 for an invalid expression.
        """
        try:
            xpath = etree.XPath(self._expression[:_MAX_EXPRESSION] or "/")
        except etree.XPathError:
            return _refuse(start_response)
        held = HeldResponse(start_response, self._judge, self._options.max_size)
        passed = held.ask(app, self._asked)
        if passed is not None:
            return passed
        body = self._part(held, xpath)
        if body is None:
            body = held.body
            held.give_up()
        else:
            held.headers.append(("Content-Length", str(len(body))))
            held.start()
        return [body]

    def _judge(self, held: HeldResponse) -> Verdict:
        if skips_response(held.status, held.headers, self._options) is not None:
            return "pass"
        kind = self._options.content_type or "text/html"
        held.headers = replace(
            held.headers, *_DROPPED, content_type=f"{kind}; charset={self._options.charset}"
        )
        return "pass" if self._asked.get("REQUEST_METHOD") == "HEAD" else "hold"

    def _part(self, held: HeldResponse, xpath: Any) -> bytes | None:
        options = self._options
        plain = decoded(
            held.body,
            find(held.original, "content-encoding") or "",
            max_size=options.max_size,
            max_ratio=options.max_ratio,
        )
        try:
            kind = find(held.original, "content-type")
            page = parse(to_utf8(plain or b"", kind), is_xhtml=is_xhtml(kind))
            found = xpath(page)
        except (PageError, etree.XPathError):
            return None
        nodes = found if isinstance(found, list) else [found]
        text = "".join(map(_as_text, nodes)) or _NOTHING
        return text.encode(self._options.charset, "xmlcharrefreplace")


def _as_text(node: Any) -> str:
    if isinstance(node, etree._Element):
        if node.getparent() is None and isinstance(node.tag, str):
            node = node.getroottree().getroot()
        return str(etree.tostring(node, method="html", encoding="unicode", with_tail=False))
    return html.escape(str(node), quote=False)


def _refuse(start_response: StartResponse) -> Iterable[bytes]:
    body = b"The filter_xpath of this URL is no XPath expression.\n"
    start_response(
        "400 Bad Request",
        [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))],
    )
    return [body]
