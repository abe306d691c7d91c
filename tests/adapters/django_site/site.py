"""The site: settings, a database of its own, and the WSGI application with its proxies."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import django
from django.conf import settings

HERE = Path(__file__).parent
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
USERS = ("alice", "bob", "zoë", "\u5f20\u4e09")


def configure(upstream: str, **others: Any) -> None:
    """Set Django up, with sqlite in a folder that lasts as long as the process."""
    others = {"ALLOWED_HOSTS": ["*"], "MIDDLEWARE": MIDDLEWARE, **others}
    settings.configure(
        SECRET_KEY="test " * 10,
        ROOT_URLCONF="tests.adapters.django_site.urls",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": _database()}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "django.contrib.staticfiles",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [HERE / "templates"],
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        STATIC_URL="static/",
        LOGIN_URL="/accounts/login/",
        LOGIN_REDIRECT_URL="/",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        USE_TZ=True,
        UPSTREAM=upstream,
        LOGGING_CONFIG=None,
        **others,
    )
    django.setup()


def _database() -> str:
    folder = tempfile.TemporaryDirectory()
    _KEPT.append(folder)
    return os.path.join(folder.name, "db.sqlite3")


_KEPT: list[Any] = []


def populate() -> None:
    """Make the tables and the users; the password of each is ``secret``."""
    from django.contrib.auth.models import Group, Permission, User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    for name in USERS:
        User.objects.create_user(name, f"{name}@example.org", "secret")
    User.objects.create_superuser("admin", "admin@example.org", "secret")
    alice = User.objects.get(username="alice")
    alice.groups.add(Group.objects.create(name="editors"), Group.objects.create(name="a,b"))
    alice.user_permissions.add(Permission.objects.get(codename="view_user"))


def create(upstream: str, **others: Any) -> Any:
    """The site behind its proxies."""
    configure(upstream, **others)
    populate()
    from django.core.wsgi import get_wsgi_application

    from wsgiproxy import ProxyMiddleware, Route
    from wsgiproxy.django import current_email, current_groups, current_user

    named = Route(
        upstream,
        remote_user=current_user,
        identity_headers={"Remote-Email": current_email, "X-Groups": current_groups},
    )
    old = Route(upstream, remote_user=current_user, remote_user_header="REMOTE_USER")
    guarded = Route(upstream, auth="/check", copy_headers="X-Mail X-Level")
    return ProxyMiddleware(
        get_wsgi_application(), {"/named": named, "/old": old, "/guarded": guarded}
    )


def admin(**others: Any) -> Any:
    """The site as a service that knows nothing of proxies."""
    configure("http://localhost:1", **others)
    populate()
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
    settings.DEBUG = True  # for static files
    return StaticFilesHandler(application)


def prefixed(**others: Any) -> Any:
    """The same service, believing the ``X-Forwarded-Prefix`` that it is told."""
    application = admin(**others)

    def under_prefix(environ: Any, start_response: Any) -> Any:
        environ["SCRIPT_NAME"] = environ.get("HTTP_X_FORWARDED_PREFIX", "")
        return application(environ, start_response)

    return under_prefix


def front(upstream: str, told: str) -> Any:
    """The site in front of two such services: one rebased, one told of its prefix."""
    from wsgiproxy import ProxyMiddleware, Route

    site = create(upstream, ADMIN=upstream, TOLD=told)
    return ProxyMiddleware(
        site,
        {
            "/rebased": Route(upstream, rebase=True),
            "/told": Route(told),
            "/kept": Route(told, host="client"),
        },
    )
