"""Who the user of a Django site is, asked from in front of it.

For ``remote_user``, ``identity_headers`` and ``auth`` of a route::

    Route(
        "http://localhost:3000",
        remote_user=current_user,
        identity_headers={"Remote-Email": current_email, "Remote-Groups": current_groups},
    )

Each takes a WSGI environ. The site's session engine and authentication back ends are used as
they are set, and nothing is written: neither session nor cookie changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.db import close_old_connections
from django.http import HttpRequest, parse_cookie

__all__ = ["current_email", "current_groups", "current_user", "find_user"]

# Where one request's user is kept for the next who asks.
_FOUND = "wsgiproxy.django.user"


def current_user(environ: dict[str, Any]) -> str | None:
    """The user name of whoever is logged in and active, or ``None``.

    Visitors without a session cookie cost nothing. With one, the session is loaded as Django
    itself does, and the user by one query.
    """
    user = find_user(environ)
    return None if user is None else str(user.get_username())


def current_email(environ: dict[str, Any]) -> str | None:
    """The mail address of the user, or ``None``."""
    user = find_user(environ)
    if user is None:
        return None
    return getattr(user, user.get_email_field_name(), None) or None


def current_groups(environ: dict[str, Any]) -> list[str]:
    """The names of the user's groups, in alphabetical order; costs a query more."""
    user = find_user(environ)
    if user is None or not hasattr(user, "groups"):
        return []
    try:
        return sorted(user.groups.values_list("name", flat=True))
    finally:
        close_old_connections()


def find_user(environ: dict[str, Any]) -> Any:
    """The user model's instance, or ``None``; looked up once for an environ."""
    if _FOUND not in environ:
        environ[_FOUND] = _look_up(environ)
    return environ[_FOUND]


def _look_up(environ: Mapping[str, Any]) -> Any:
    name = settings.SESSION_COOKIE_NAME
    given = environ.get("HTTP_COOKIE", "")
    key = parse_cookie(given).get(name) if name in given else None
    if not key:
        return None
    request = HttpRequest()
    store = import_module(settings.SESSION_ENGINE).SessionStore(key)
    request.session = _ReadOnly(store)
    # No signal of Django's tells that a request begins and ends, so connections that have
    # served their time (CONN_MAX_AGE) are given up here.
    close_old_connections()
    try:
        user = get_user(request)
    finally:
        close_old_connections()
    is_real = getattr(user, "is_authenticated", False) and getattr(user, "is_active", False)
    return user if is_real else None


class _ReadOnly:
    """A session that is looked at and stays as it is.

    ``get_user`` would give it a new key after a change of ``SECRET_KEY``, and the browser would
    never learn that.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: str, default: Any = None) -> Any:
        """One value of the session."""
        return self._store.get(key, default)

    def __getitem__(self, key: str) -> Any:
        return self._store[key]

    def __setitem__(self, key: str, value: Any) -> None:
        """Not stored."""

    def __contains__(self, key: str) -> bool:
        return key in self._store

    def cycle_key(self) -> None:
        """Not done."""

    def flush(self) -> None:
        """Not done."""
