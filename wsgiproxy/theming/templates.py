"""Themes that are templates: of Django, of Jinja2, or of anything that makes text.

Each function returns a callable for ``ThemeMiddleware(..., theme=...)``. Rules are compiled
once for each different text that a template gives (about ten milliseconds), so keep what
differs between visitors in few places, or in XSLT parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from webob import Request

from ..errors import ConfigurationError

__all__ = ["django_theme", "jinja2_theme"]

Context = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] | None
Theme = Callable[[Request], str]


def django_theme(template: str, *, context: Context = None, using: str | None = None) -> Theme:
    """A theme from Django's template loaders, with the site's context processors.

    The template sees the visitor's Django request, with ``session`` and ``user`` where
    the site has those applications, although the theme is made outside of the site.

    :param template: the template's name.
    :param context: a mapping, or a callable that gets the Django request.
    :param using: the name of a template engine, for ``django.template.loader``.
    :raises ConfigurationError: if Django is not installed.
    """
    try:
        from django.template import loader
    except ImportError:
        raise ConfigurationError(
            f"the theme {template!r} is a Django template; pip install Django"
        ) from None

    def theme(request: Request) -> str:
        visitor = _django_request(request)
        values = dict(_resolve(context, visitor))
        return str(loader.render_to_string(template, values, visitor, using=using))

    return theme


def _django_request(request: Request) -> Any:
    """Django's view of a request; nothing is asked of a database until it is used."""
    from django.apps import apps
    from django.core.handlers.wsgi import WSGIRequest

    visitor = WSGIRequest(request.environ)
    if apps.is_installed("django.contrib.sessions"):
        from django.contrib.sessions.middleware import SessionMiddleware

        SessionMiddleware(lambda _: None).process_request(visitor)
        if apps.is_installed("django.contrib.auth"):
            from django.contrib.auth.middleware import AuthenticationMiddleware

            AuthenticationMiddleware(lambda _: None).process_request(visitor)
    return visitor


def jinja2_theme(environment: Any, template: str, *, context: Context = None) -> Theme:
    """A theme from a Jinja2 environment; the template sees ``request``, WebOb's.

    :param environment: a ``jinja2.Environment``.
    :param template: the template's name.
    :param context: a mapping, or a callable that gets the request.
    """

    def theme(request: Request) -> str:
        values = {"request": request, **_resolve(context, request)}
        return str(environment.get_template(template).render(values))

    return theme


def _resolve(context: Context, request: Any) -> Mapping[str, Any]:
    if context is None:
        return {}
    return context(request) if callable(context) else context
