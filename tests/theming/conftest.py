"""What the theming tests share: an application that answers what it is told, and a theme."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from webob import Request, Response

from wsgiproxy.theming import ThemeMiddleware

#: The standard library's in Python 3.14, its backport before.
zstd = importlib.import_module(
    "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
)
NAMESPACES = (
    'xmlns="http://namespaces.plone.org/diazo"'
    ' xmlns:css="http://namespaces.plone.org/diazo/css"'
    ' xmlns:xsl="http://www.w3.org/1999/XSL/Transform"'
    ' xmlns:xi="http://www.w3.org/2001/XInclude"'
)
RULES = f'<rules {NAMESPACES}><replace css:theme="#main" css:content="#content"/></rules>'
THEME = (
    "<!DOCTYPE html><html><head><title>Theme</title></head>"
    '<body class="themed"><div id="main">gap</div></body></html>'
)
PAGE = (
    "<!DOCTYPE html><html><head><title>Page</title></head>"
    '<body><div id="content">hello</div></body></html>'
)


def rules(inside: str) -> str:
    """Diazo rules around some directives."""
    return f"<rules {NAMESPACES}>{inside}</rules>"


class Application:
    """A WSGI application that answers one way and remembers what it was asked."""

    def __init__(self) -> None:
        self.status = "200 OK"
        self.headers: list[tuple[str, str]] = [("Content-Type", "text/html; charset=utf-8")]
        self.body: Iterable[bytes] = [PAGE.encode()]
        self.pages: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []
        self.closed = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.asked.append(dict(environ))
        page = self.pages.get(environ["PATH_INFO"])
        body = self.body if page is None else [page.encode()]
        start_response(self.status, list(self.headers))
        return Closing(self, [] if environ["REQUEST_METHOD"] == "HEAD" else body)


class Closing:
    """A body that tells its application when it was closed."""

    def __init__(self, application: Application, chunks: Iterable[bytes]) -> None:
        self._application = application
        self._chunks = iter(chunks)

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        self._application.closed += 1


@pytest.fixture
def application() -> Application:
    """The wrapped application; change its attributes to change its answer."""
    return Application()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with ``rules.xml`` and ``theme.html``."""
    (tmp_path / "rules.xml").write_text(RULES)
    (tmp_path / "theme.html").write_text(THEME)
    return tmp_path


Visit = Callable[..., Response]


@pytest.fixture
def visit(application: Application) -> Visit:
    """``visit(path, *, rules, theme, options..., **request)``: one request, validated twice."""
    return lambda path="/", **given: ask(application, path, **given)


def ask(
    app: Any,
    path: str = "/",
    *,
    headers: dict[str, str] | None = None,
    method: str = "GET",
    environ: dict[str, Any] | None = None,
    middleware: ThemeMiddleware | None = None,
    **options: Any,
) -> Response:
    """One request through a middleware, with ``wsgiref.validate`` on both of its sides."""
    if middleware is None:
        options.setdefault("rules", RULES)
        options.setdefault("theme", THEME)
        middleware = ThemeMiddleware(validator(app), **options)
    request = Request.blank(path, method=method, headers=headers or {}, environ=environ or {})
    response = request.send(validator(middleware))
    response.body  # noqa: B018 - read to the end
    close = getattr(response.app_iter, "close", None)
    if close is not None:
        close()
    return response
