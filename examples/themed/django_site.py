"""A Django site in one file: a home page and the menu that every page shows."""

from __future__ import annotations

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.html import format_html

if not settings.configured:
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="example only")
    django.setup()

PAGE = """<!DOCTYPE html><html><head><title>Home of the harbour</title></head><body>
<div id="page"><h1>Good morning, {}</h1>
<p>This page is the Django site's. Look at the <a href="/stock/">stock</a>, too.</p>
<script>document.documentElement.dataset.ready = 1 < 2 && "yes";</script></div>
<div id="hints"><h2>Tides</h2><p>High at 6:12 and 18:40.</p></div></body></html>"""
MENU = """<ul id="menu-only"></ul><nav id="menu"><ul><li><a href="/">Home</a></li>
<li><a href="/stock/">Stock</a></li></ul></nav>"""


def home(request: HttpRequest) -> HttpResponse:
    """The home page, for whoever comes."""
    return HttpResponse(format_html(PAGE, request.GET.get("name", "sailor")))


def menu(request: HttpRequest) -> HttpResponse:
    """The menu alone; the theme's rules include it."""
    return HttpResponse(MENU)


urlpatterns = [path("", home), path("menu", menu)]
application = WSGIHandler()
