"""Which hosts are ours, where an application around or inside says so.

Nothing is imported for this: an application of Django's or Flask's has loaded its framework
itself.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from ..protocol.hosts import Pattern, read_pattern

__all__ = ["Hosts", "django_hosts", "flask_hosts", "hosts_of"]

#: Finds out, for each request, which hosts are ours; ``None`` if nobody knows.
Hosts = Callable[[], "tuple[Pattern, ...] | None"]

#: How many middlewares around an application are looked through.
DEPTH = 16
#: By these names a middleware keeps the application that it wraps.
_INNER = ("app", "application", "wsgi_app", "_app", "_application", "__wrapped__", "wrapped")


def hosts_of(application: Any) -> Hosts | None:
    """What knows the hosts of a wrapped application, or ``None``.

    :param application: one of Django's or Flask's, maybe with middleware around it.

    Django's ``ALLOWED_HOSTS`` and Flask's ``TRUSTED_HOSTS`` are read for each request, since
    settings may change.
    """
    for _ in range(DEPTH):
        if _is_django(application):
            return django_hosts
        owner = getattr(application, "__self__", None)  # app.wsgi_app is a method
        for flask in (application, owner):
            if isinstance(getattr(flask, "config", None), dict) and hasattr(flask, "url_map"):
                return lambda: flask_hosts(flask)
        inner = (getattr(application, name, None) for name in _INNER)
        application = next((one for one in inner if callable(one)), None)
        if application is None:
            break
    return None


def _is_django(application: Any) -> bool:
    module = sys.modules.get("django.core.handlers.wsgi")
    return module is not None and isinstance(application, module.WSGIHandler)


def django_hosts() -> tuple[Pattern, ...]:
    """``settings.ALLOWED_HOSTS``; without any and with ``DEBUG``, what Django allows then."""
    settings = sys.modules["django.conf"].settings
    allowed = settings.ALLOWED_HOSTS
    if settings.DEBUG and not allowed:
        allowed = (".localhost", "127.0.0.1", "[::1]")
    return _read(tuple(allowed))


def flask_hosts(app: Any) -> tuple[Pattern, ...] | None:
    """``TRUSTED_HOSTS`` of a Flask application, if it is set."""
    trusted = app.config.get("TRUSTED_HOSTS")
    return _read(tuple(trusted)) if trusted else None


@lru_cache(64)
def _read(names: Iterable[str]) -> tuple[Pattern, ...]:
    """The patterns; what is none matches no host in the frameworks either."""
    patterns = []
    for name in names:
        with contextlib.suppress(ValueError):
            patterns.append(read_pattern(name))
    return tuple(patterns)
