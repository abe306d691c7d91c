"""Living inside Django: who the user is, and views that are proxies.

::

    # wsgi.py: in front of Django
    from wsgiproxy.django import current_user
    application = ProxyMiddleware(
        application, {"/new_req": Route("http://localhost:9999", remote_user=current_user)}
    )

    # urls.py: inside Django, with decorators, mixins and middleware
    from wsgiproxy.django import ProxyView
    urlpatterns = [
        re_path(r"^new_req/(?P<path>.*)$", ProxyView.as_view(upstream="http://localhost:9999")),
    ]

Needs Django 4.2 or newer. ``DiazoProxyView`` needs the ``theme`` extra as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .diazo import DiazoProxyView
    from .users import current_email, current_groups, current_user, find_user
    from .views import ProxyView

__all__ = [
    "DiazoProxyView",
    "ProxyView",
    "current_email",
    "current_groups",
    "current_user",
    "find_user",
]

_HOMES = {"DiazoProxyView": "diazo", "ProxyView": "views"}


def __getattr__(name: str) -> Any:
    # Late, since settings may name what is here while Django is being set up.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES.get(name, 'users')}", __name__), name)
