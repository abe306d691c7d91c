"""``ThemeMiddleware``: the way of a request, and nothing else."""

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
    """One look for whatever application it wraps.

    HTML pages of the application are transformed by Diazo's rules into the theme;
    everything else goes by untouched and unbuffered::

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

    Rules and theme are trusted as the program is: they are read from files that you name,
    never from the wrapped application unless ``read_app`` says so. Pages are not: they
    cannot have anything fetched, read or run.
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
        # 1. What can be no page goes by untouched.
        store, options = self._store, self.options
        if store is None or "HTTP_UPGRADE" in environ or is_ignored(environ, options):
            return self.app(environ, start_response)
        # 2. A part of a page is asked for: Diazo's includes by SSI or ESI.
        expression = filter_expression(environ) if options.filter_xpath else None
        if expression is not None:
            return FilteredRequest(environ, options, expression).answer(self.app, start_response)
        # 3. What a script fetches stays as it is; caches are told why.
        if is_fragment(environ, options):
            return self._ask_with_vary(environ, start_response)
        # 4. A page, perhaps.
        if store.current() is None:
            return self.app(environ, start_response)
        return ThemedRequest(environ, options, store).answer(self.app, start_response)

    def _ask_with_vary(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """The application's answer, which says what would have made it a themed page."""
        names = deciding_headers(self.options)

        def judge(held: HeldResponse) -> Verdict:
            if is_html(held.headers):
                held.headers = add_vary(held.headers, names)
            return "pass"

        held = HeldResponse(start_response, judge, self.options.max_size)
        # With the verdict "pass" there is always a body.
        return held.ask(self.app, environ) or []
