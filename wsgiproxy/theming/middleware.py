"""``ThemeMiddleware``: the steps of a request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..settings.options import check_names
from .decide import deciding_headers, is_fragment, is_html, is_ignored
from .fields import add_vary
from .filtered_request import FilteredRequest, filter_expression
from .held_response import HeldResponse, Verdict
from .settings import ThemeOptions
from .store import ThemeStore
from .themed_request import ThemedRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ThemeMiddleware"]


class ThemeMiddleware:
    """Gives the pages of the wrapped application the look of a theme.

    Diazo's rules put parts of each HTML page into the theme; everything else passes
    unchanged and unbuffered::

        application = ThemeMiddleware(application, rules="rules.xml", theme="theme.html")

    :param app: any WSGI application, a ``ProxyMiddleware`` for one.
    :param rules: where the rules are: a path, ``python://package/file``, ``file://``, or
        the rules themselves. Without rules nothing is themed.
    :param theme: where the theme is, likewise, or a URL with ``read_network``, or a
        callable ``theme(request) -> str`` that makes it for each request. Not needed if
        the rules name theirs.
    :param options: see :class:`~wsgiproxy.theming.ThemeOptions`.
    :raises ConfigurationError: for wrong options, and for rules or a theme that cannot be
        compiled, with file and line.

    Rules and theme are trusted like the program: they are read from files that you name,
    and from the wrapped application only with ``read_app``. Pages are not trusted: nothing
    is fetched, read or run because a page says so.
    """

    def __init__(
        self, app: WSGIApplication, rules: Any = None, theme: Any = None, **options: Any
    ) -> None:
        check_names(options, ThemeOptions.table(), "theme")
        self.app = app
        self.options = ThemeOptions(rules=rules, theme=theme, **options)
        self._store = ThemeStore(app, self.options) if self.options.rules is not None else None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        # 1. What cannot be a page passes unchanged.
        store, options = self._store, self.options
        if store is None or "HTTP_UPGRADE" in environ or is_ignored(environ, options):
            return self.app(environ, start_response)
        # 2. A server-side include (SSI, ESI) asks for a part of a page.
        expression = filter_expression(environ) if options.filter_xpath else None
        if expression is not None:
            return FilteredRequest(environ, options, expression).answer(self.app, start_response)
        # 3. What a script fetches passes unchanged; Vary tells caches why.
        if is_fragment(environ, options):
            return self._ask_with_vary(environ, start_response)
        # 4. The response may be a page.
        if store.current() is None:
            return self.app(environ, start_response)
        return ThemedRequest(environ, options, store).answer(self.app, start_response)

    def _ask_with_vary(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """The response unthemed, with a ``Vary`` that names why."""
        names = deciding_headers(self.options)

        def judge(held: HeldResponse) -> Verdict:
            if is_html(held.headers):
                held.headers = add_vary(held.headers, names)
            return "pass"

        held = HeldResponse(start_response, judge, self.options.max_size)
        # With the verdict "pass" there is always a body.
        return held.ask(self.app, environ) or []
