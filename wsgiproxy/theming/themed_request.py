"""One request that may get a themed page."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lxml import etree
from webob import Request

from ..errors import ConfigurationError
from .charset import to_utf8
from .codings import decoded
from .compile import Compiled
from .decide import deciding_headers, is_html, is_xhtml, skips_response
from .etags import is_mixed, later, mix, unmix
from .fields import CHANGED_HEADERS, Headers, add_vary, find, replace
from .held_response import HeldResponse, Verdict
from .includes import CURRENT
from .page import DOCTYPE, PageError, parse, serialise, set_charset, show_error
from .params import own_values, vary_by, xslt_params
from .request import Conditions, outgoing
from .stylesheet import NOTHEME

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from .settings import ThemeOptions
    from .store import ThemeStore

__all__ = ["ThemedRequest"]

log = logging.getLogger("wsgiproxy.theming")

# RFC 9110 section 15.4.5: what a 304 does not repeat
_NOT_IN_304 = ("content-length", "content-encoding", "content-type", "content-language")


class ThemedRequest:
    """One request, and its response themed if that is a page.

    :param environ: the client's request; left as it is.
    :param options: of the middleware.
    :param store: has the compiled theme.
    """

    def __init__(self, environ: WSGIEnvironment, options: ThemeOptions, store: ThemeStore) -> None:
        self._environ = environ
        self._options = options
        self._store = store
        self._theme: Compiled | None = None
        self._no_theme = False
        self._conditions = self._read_conditions()
        self._asked = outgoing(environ, self._conditions, options)

    def answer(self, app: WSGIApplication, start_response: StartResponse) -> Iterable[bytes]:
        """Ask the application and theme its response if that is a page.

        :param app: the wrapped application.
        :param start_response: the server's.
        :returns: the body for the server.
        """
        held = HeldResponse(start_response, self._judge, self._options.max_size)
        # For the proxy inside, which may write to the server's connection: the
        # start_response it got, and the one behind it for responses that are not themed.
        self._asked["wsgiproxy.start_response"] = (held.start_response, start_response)
        passed = held.ask(app, self._asked)
        if held.overflowed:
            log.info("%s is over max_size and passes unthemed", self._path)
        if passed is not None:
            return passed
        body = self._themed(held)
        if body is None:
            return self._unthemed(held)
        held.headers.append(("Content-Length", str(len(body))))
        held.start()
        return [body]

    def _unthemed(self, held: HeldResponse) -> Iterable[bytes]:
        """The page as it came, or a 304 if the client has it."""
        held.headers = held.original
        conditions = self._conditions
        if conditions.were_changed and conditions.are_met(held.status, held.headers):
            _not_modified(held)
            held.start()
            return []
        held.start()
        return [held.body]

    # -- before and after the application -----------------------------------------

    def _read_conditions(self) -> Conditions:
        knows_ours = is_mixed(self._environ.get("HTTP_IF_NONE_MATCH", ""))
        theme = self._store.current()
        if self._store.is_callable:
            theme = self._choose(self._environ) if knows_ours else None
        tag = self._tag(theme, self._environ) if theme and self._has_validators(theme) else None
        return Conditions(self._environ, tag, self._modified(theme))

    def _judge(self, held: HeldResponse) -> Verdict:
        skipped = skips_response(held.status, held.headers, self._options)
        theme = self._choose(self._asked) if skipped is None else None
        if theme is None:
            return self._judge_unthemed(held)
        held.original = add_vary(held.headers, self._vary(theme))
        held.headers = self._themed_headers(held.headers, theme)
        if self._conditions.are_met(held.status, held.headers):
            return _not_modified(held)
        return "pass" if self._environ.get("REQUEST_METHOD") == "HEAD" else "hold"

    def _judge_unthemed(self, held: HeldResponse) -> Verdict:
        conditions = self._conditions
        if held.status.startswith("304"):
            held.headers = self._themed_304(held.headers)
        elif is_html(held.headers):
            held.headers = add_vary(held.headers, deciding_headers(self._options))
        if conditions.were_changed and conditions.are_met(held.status, held.headers):
            return _not_modified(held)
        return "pass"

    # -- the theme ------------------------------------------------------------------

    def _choose(self, environ: WSGIEnvironment) -> Compiled | None:
        """The theme of this request; ``None`` if there is none that works."""
        if self._theme is None and not self._no_theme:
            try:
                self._theme = self._store.current()
                if self._store.is_callable:
                    text = self._options.theme(Request(dict(environ)))
                    self._theme = self._store.of_text(str(text))
            except Exception as error:
                self._theme, self._no_theme = None, True
                known = isinstance(error, ConfigurationError)
                log.error("%s has no theme: %s", self._path, error, exc_info=not known)
        return self._theme

    def _tag(self, theme: Compiled, environ: WSGIEnvironment) -> str:
        """What makes the ETag of a themed page: the theme and the visitor's parameters."""
        values = f"{theme.fingerprint}\0{own_values(environ, self._options)}"
        return hashlib.sha256(values.encode("utf-8", "replace")).hexdigest()[:16]

    def _has_validators(self, theme: Compiled) -> bool:
        """Not if parts of other pages are shown, which change independently."""
        return not (theme.has_includes or self._options.remove_conditional_headers)

    def _modified(self, theme: Compiled | None) -> float | None:
        """When the theme was compiled, if pages depend on nothing else."""
        if theme is None or self._store.is_callable or self._options.environ_param_map:
            return None
        return theme.modified if self._has_validators(theme) else None

    # -- headers ----------------------------------------------------------------------

    def _themed_headers(self, headers: Headers, theme: Compiled) -> Headers:
        etag = date = None
        if self._has_validators(theme):
            etag = mix(find(headers, "etag"), self._tag(theme, self._asked))
            modified = self._modified(theme)
            date = later(find(headers, "last-modified"), modified) if modified else None
        kind = self._options.content_type or "text/html"
        headers = replace(
            headers,
            *CHANGED_HEADERS,
            content_type=f"{kind}; charset={self._options.charset}",
            etag=etag,
            last_modified=date,
        )
        return add_vary(headers, self._vary(theme))

    def _vary(self, theme: Compiled) -> list[str]:
        by_cookie = theme.has_includes or self._store.is_callable
        return [
            *deciding_headers(self._options),
            *vary_by(self._options),
            *(["Cookie"] if by_cookie else []),
        ]

    def _themed_304(self, headers: Headers) -> Headers:
        """The application's 304 in terms of the themed page that the client has."""
        etag = find(headers, "etag")
        for known in self._conditions.etags:
            original, tag = unmix(known)
            if tag is not None and etag in (None, original):
                theme = self._choose(self._environ)
                headers = replace(headers, "last-modified", etag=known)
                return add_vary(headers, self._vary(theme)) if theme else headers
        modified = self._modified(self._store.current())
        if modified is not None and not self._conditions.has_etags:
            return replace(headers, last_modified=later(find(headers, "last-modified"), modified))
        return headers

    # -- the page -----------------------------------------------------------------------

    def _themed(self, held: HeldResponse) -> bytes | None:
        """The themed page; ``None`` where it goes out as it came."""
        theme = self._theme
        plain = decoded(
            held.body,
            find(held.original, "content-encoding") or "",
            max_size=self._options.max_size,
            max_ratio=self._options.max_ratio,
        )
        if theme is None or plain is None or not plain.strip():
            reason = "it is empty" if plain is not None else "its Content-Encoding, or max_size"
            log.info("%s passes unthemed: %s", self._path, reason)
            return None
        try:
            kind = find(held.original, "content-type")
            page = parse(to_utf8(plain, kind), is_xhtml=is_xhtml(kind))
            result = self._transform(theme, page)
        except (PageError, etree.LxmlError, ValueError) as error:
            log.warning("%s passes unthemed: %s", self._path, error)
            return None
        return self._write(theme, page, result)

    def _transform(self, theme: Compiled, page: Any) -> Any:
        token = CURRENT.set(self._asked)
        try:
            result = theme.transform(page, xslt_params(self._asked, self._options))
        finally:
            CURRENT.reset(token)
        if result.getroot() is None:
            raise PageError("the rules leave nothing of it")
        return result

    def _write(self, theme: Compiled, page: Any, result: Any) -> bytes | None:
        options = self._options
        if not options.html5:
            written = bytes(result)
            return _with_doctype(written, options.doctype) if options.doctype else written
        doctype = "<!DOCTYPE html>" if options.doctype is None else options.doctype
        mark = _take_mark(result)
        error = self._store.error if options.debug else None
        if mark and not theme.changes_content and not error:
            return None
        if mark:
            doctype = page.docinfo.doctype
        set_charset(result, options.charset)
        if error:
            show_error(result, error)
        return theme.protection.undo(serialise(result, options.charset, doctype or None))

    @property
    def _path(self) -> str:
        return str(self._asked["diazo.path"])


def _take_mark(result: Any) -> bool:
    """Whether the rules applied no theme; the mark of it is taken away."""
    for node in result.getroot().itersiblings(preceding=True):
        if isinstance(node, etree._ProcessingInstruction) and node.target == NOTHEME:
            # Without a parent it can only be taken away by being put elsewhere.
            etree.Element("elsewhere").append(node)
            return True
    return False


def _not_modified(held: HeldResponse) -> Verdict:
    held.status = "304 Not Modified"
    held.headers = replace(held.headers, *_NOT_IN_304)
    return "discard"


def _with_doctype(page: bytes, doctype: str) -> bytes:
    return DOCTYPE.sub(lambda _: doctype.encode() + b"\n", page, count=1)
