"""``DiazoProxyView``: a proxied service in the look of the Django site around it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.template import loader
from django.views.generic.base import ContextMixin

from ..access.hosts import django_hosts
from ..embedding import EmbeddedProxy
from ..theming import ThemeMiddleware
from .plumbing import VIEW, site
from .views import ProxyView

__all__ = ["DiazoProxyView"]

_UNSET: Any = object()


class DiazoProxyView(ProxyView, ContextMixin):  # type: ignore[misc]  # Django has no types
    """A :class:`ProxyView` whose pages Diazo puts into a Django template.

    :ivar diazo_rules: the rules' file, ``diazo.xml`` beside the subclass's module by default;
        ``None`` turns theming off.
    :ivar diazo_theme_template: the template's name, ``diazo.html`` by default; it is rendered for
        each page, with ``get_context_data()`` and the request. ``None`` turns theming off.
    :ivar html5: write HTML5 with its doctype.
    :ivar theme_options: more options of :class:`~wsgiproxy.theming.ThemeMiddleware`.

    A template that makes the same text again costs nothing again: the compiled theme is kept.
    """

    _diazo_rules: Any = _UNSET
    diazo_theme_template: str | None = "diazo.html"
    html5 = False
    theme_options: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed

    @property
    def diazo_rules(self) -> Any:
        """The rules' file, or ``None``."""
        if self._diazo_rules is _UNSET:
            module = sys.modules[type(self).__module__]
            return str(Path(str(module.__file__)).resolve().parent / "diazo.xml")
        return self._diazo_rules

    @diazo_rules.setter
    def diazo_rules(self, value: Any) -> None:
        self._diazo_rules = value

    def _key(self, upstream: str) -> tuple[Any, ...]:
        return (*super()._key(upstream), self.diazo_rules, self.diazo_theme_template is None)

    def _make(self, upstream: str) -> EmbeddedProxy:
        if self.diazo_rules is None or self.diazo_theme_template is None:
            return super()._make(upstream)
        options = {"html5": self.html5, "client_off": True, **self.theme_options}
        rules = self.diazo_rules
        return EmbeddedProxy(
            self.get_route(upstream),
            site,
            lambda proxy: ThemeMiddleware(proxy, rules=rules, theme=_theme, **options),
            hosts=django_hosts,
        )


def _theme(request: Any) -> str:
    """The theme for a page: the template as the view renders it."""
    view: DiazoProxyView = request.environ[VIEW]
    template = view.diazo_theme_template
    return str(loader.render_to_string(template, view.get_context_data(), view.request))
