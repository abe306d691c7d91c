"""A Django site with users, themed by a template of its own: prints two visits to /x."""

from __future__ import annotations

import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from webob import Request

RULES = (
    '<rules xmlns="http://namespaces.plone.org/diazo"'
    ' xmlns:css="http://namespaces.plone.org/diazo/css">'
    '<replace css:theme="#main" css:content="#content"/></rules>'
)
urlpatterns = [path("x", lambda request: HttpResponse('<div id="content">hi</div>'))]
settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="for this test only",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [Path(__file__).parent],
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                ]
            },
        }
    ],
)
django.setup()


def main() -> None:
    """Make a user, visit without and with its session."""
    from django.contrib.auth.models import User

    from wsgiproxy.theming import ThemeMiddleware, django_theme

    call_command("migrate", verbosity=0)
    client = Client()
    client.force_login(User.objects.create_user("bob"))
    theme = django_theme("django.html", context=lambda request: {"who": "<ann>"})
    application = ThemeMiddleware(WSGIHandler(), rules=RULES, theme=theme)
    for cookie in ("", f"sessionid={client.cookies['sessionid'].value}"):
        page = Request.blank("/x", headers={"Cookie": cookie}).send(application).text
        print(page.removeprefix("<!DOCTYPE html>\n").partition("</body>")[0].strip())


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))
    main()
