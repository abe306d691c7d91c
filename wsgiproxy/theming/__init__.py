"""Diazo theming as a middleware of its own: one look for every application behind it.

Needs ``pip install wsgi-reverse-proxy[theme]``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError

try:
    import diazo  # noqa: F401 - whether it is there
    import lxml  # noqa: F401
except ImportError as error:  # pragma: no cover - the tests have both
    raise ConfigurationError(
        f"theming needs {error.name}; pip install wsgi-reverse-proxy[theme]"
    ) from None

from .middleware import ThemeMiddleware
from .settings import ThemeOptions
from .templates import django_theme, jinja2_theme

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["ThemeMiddleware", "ThemeOptions", "django_theme", "filter_factory", "jinja2_theme"]


def filter_factory(
    global_conf: Mapping[str, str], **local_conf: Any
) -> Callable[[WSGIApplication], ThemeMiddleware]:
    """A paste.deploy filter: ``use = egg:wsgi-reverse-proxy#theme``.

    :param global_conf: the ``[DEFAULT]`` section; not used.
    :param local_conf: options of :class:`ThemeOptions`, as text.
    :returns: what makes a :class:`ThemeMiddleware` of an application.
    :raises ConfigurationError: for an unknown option or a value of the wrong kind.
    """

    def theme(app: WSGIApplication) -> ThemeMiddleware:
        return ThemeMiddleware(app, **local_conf)

    return theme
