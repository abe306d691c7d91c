"""The site's pages, and services mounted among them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, re_path

from wsgiproxy.django import DiazoProxyView, ProxyView, current_user

UP = settings.UPSTREAM


@login_required
def check(request: Any) -> HttpResponse:
    response = HttpResponse(status=204)
    response["X-Mail"] = request.user.email
    if request.user.is_superuser:
        response["X-Level"] = "9"
    return response


def queries(request: Any) -> JsonResponse:
    """How many queries it takes to find the user out from the outside."""
    environ = {key: value for key, value in request.META.items() if key == "HTTP_COOKIE"}
    with CaptureQueriesContext(connection) as captured:
        user = current_user(environ)
    return JsonResponse({"user": user, "queries": [q["sql"] for q in captured.captured_queries]})


EMPTY = ("/nothing", "/cookies")


def inside(request: Any) -> JsonResponse:
    """What the test client of a site's own tests sees of a proxied service."""
    response = Client().get("/view/repeats", headers={"cookie": "x=1"})
    streamed = Client().get("/view/chunks")
    posted = Client().post("/view/x", {"a": "1"})
    return JsonResponse(
        {
            "status": response.status_code,
            "reason": response.reason_phrase,
            "content": response.content.decode(),
            "cookie": response.cookies["a"].value,
            "path": response.cookies["a"]["path"],
            "twice": response["X-Twice"],
            "streamed": streamed.getvalue().decode(),
            "posted": posted.json()["body"],
            "empty": [Client().get("/view" + path).content.decode() for path in EMPTY],
        }
    )


def active(request: Any, name: str, value: int) -> HttpResponse:
    get_user_model().objects.filter(username=name).update(is_active=bool(value))
    return HttpResponse()


class Private(LoginRequiredMixin, ProxyView):
    """Behind the login."""

    upstream = UP
    add_remote_user = True


class Extra(ProxyView):
    """Changes headers and path as subclasses do."""

    upstream = UP

    def get_request_headers(self) -> dict[str, str]:
        headers = super().get_request_headers()
        headers["X-Extra"] = "yes"
        headers["X_Under"] = "kept"
        headers.pop("X-Unwanted", None)
        return headers

    def dispatch(self, request: Any, path: str = "", **kwargs: Any) -> Any:
        return super().dispatch(request, "v1/" + path)


class Chosen(ProxyView):
    """Chooses its upstream by the URL."""

    def get_upstream(self, path: str) -> str:
        return f"{UP}/{self.kwargs['team']}"

    def dispatch(self, request: Any, path: str = "", **kwargs: Any) -> Any:
        return super().dispatch(request, path)


class Fetched(ProxyView):
    """Asks the upstream by itself, as subclasses of other views do."""

    upstream = UP

    def _created_proxy_response(self, request: Any, path: str) -> Any:
        url = self.get_upstream(path) + self.get_quoted_path(path)
        return self.http.urlopen(
            request.method,
            url,
            headers=self.request_headers,
            redirect=False,
            decode_content=False,
            preload_content=False,
        )


class Remembering(ProxyView):
    """Looks at the request's body after the upstream has had it, as a view's own log would."""

    upstream = UP

    def dispatch(self, request: Any, path: str = "", **kwargs: Any) -> Any:
        response = super().dispatch(request, path)
        try:
            body, posted = request.body.decode("latin-1"), dict(request.POST)
        except Exception as error:
            return JsonResponse({"error": type(error).__name__})
        kind = "content" if hasattr(response, "content") else "stream"
        return JsonResponse({"body": body, "posted": posted, "kind": kind})


def counted(request: Any, path: str) -> Any:
    """A number among the headers, as tests and middleware put it there."""
    request.META["HTTP_X_COUNT"] = 5
    request.META["HTTP_X_NOBODY"] = None
    return ProxyView.as_view(upstream=UP)(request, path)


RULES = (
    (r"^/rules/old/(?P<rest>.*)$", r"/rules/new/\g<rest>"),
    (r"^/rules/out/(.*)$", r"https://other.example/\1"),
    (r"^/rules/bare(.*)$", r"/\1"),
    (r"^/rules/named$", "hello"),
)


class Themed(DiazoProxyView):
    """In the look of the site."""

    upstream = UP
    html5 = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(site="Our Site", **kwargs)


urlpatterns = [
    path("", lambda request: HttpResponse(f"home of {request.user}"), name="hello"),
    path("accounts/", include("django.contrib.auth.urls")),
    path("admin/", admin.site.urls),
    path("check", check),
    path("queries", queries),
    path("inside", inside),
    path("active/<name>/<int:value>", active),
    re_path(r"^view/(?P<path>.*)$", ProxyView.as_view(upstream=UP)),
    re_path(r"^glued(?P<path>.*)$", ProxyView.as_view(upstream=UP + "/base")),
    re_path(r"^private/(?P<path>.*)$", Private.as_view()),
    re_path(r"^old/(?P<path>.*)$", Private.as_view(remote_user_header="REMOTE_USER")),
    re_path(
        r"^perm/(?P<path>.*)$",
        permission_required("auth.view_user", raise_exception=True)(
            ProxyView.as_view(upstream=UP, add_remote_user=True, add_x_forwarded=True)
        ),
    ),
    re_path(r"^extra/(?P<path>.*)$", Extra.as_view()),
    re_path(r"^team/(?P<team>\w+)/(?P<path>.*)$", Chosen.as_view()),
    re_path(r"^one$", ProxyView.as_view(upstream=UP + "/status.json"), {"path": ""}),
    re_path(r"^rules/(?P<path>.*)$", ProxyView.as_view(upstream=UP, rewrite=RULES)),
    re_path(r"^strict/(?P<path>.*)$", ProxyView.as_view(upstream=UP, strict_cookies=True)),
    re_path(r"^plus/(?P<path>.*)$", ProxyView.as_view(upstream=UP, quote_spaces_as_plus=True)),
    re_path(r"^empty/(?P<path>.*)$", ProxyView.as_view(upstream=UP, suppress_empty_body=True)),
    re_path(
        r"^asked/(?P<path>.*)$",
        ProxyView.as_view(upstream=UP, auth="/check", copy_headers=["X-Mail"], read_timeout=5),
    ),
    re_path(r"^themed/(?P<path>.*)$", Themed.as_view()),
    re_path(r"^bare/(?P<path>.*)$", Themed.as_view(diazo_rules=None)),
    re_path(
        r"^view-rebased/(?P<path>.*)$",
        ProxyView.as_view(upstream=getattr(settings, "ADMIN", UP), rebase=True),
    ),
    re_path(
        r"^view-told/(?P<path>.*)$",
        ProxyView.as_view(upstream=getattr(settings, "TOLD", UP), add_x_forwarded=True),
    ),
    re_path(r"^fetched/(?P<path>.*)$", Fetched.as_view()),
    path("simple/<path:path>", ProxyView.as_view(upstream=UP)),
    re_path(r"^(?P<path>everywhere/.*)$", ProxyView.as_view(upstream=UP)),
    re_path(r"^remembering/(?P<path>.*)$", Remembering.as_view()),
    re_path(r"^counted/(?P<path>.*)$", counted),
    re_path(r"^login-name/(?P<path>.*)$", Private.as_view(remote_user_header="X-Login")),
    re_path(
        r"^maybe/(?P<path>.*)$",
        ProxyView.as_view(upstream=UP, add_remote_user=True, remote_user_header="X-Login"),
    ),
    re_path(r"^kept/(?P<path>.*)$", ProxyView.as_view(upstream=UP, hide_cookies=())),
    re_path(r"^nested/closed/(?P<path>.*)$", Private.as_view(upstream=UP + "/closed")),
    re_path(r"^nested/(?P<path>.*)$", ProxyView.as_view(upstream=UP)),
    re_path(r"^scheme/(?P<path>.*)$", ProxyView.as_view(upstream="ftp://example.org")),
]
