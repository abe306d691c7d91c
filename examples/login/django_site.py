"""A Django site whose users, and nobody else, reach the service on port 9999.

python -m http.server 9999 &
python django_site.py

Log in as alice or bob, password "secret". The service is there four times:

/new_req/    in front of Django: asks /check who may pass, tells the service who the user is
/reports/    a view for everybody who is logged in (LoginRequiredMixin)
/payroll/    a view for those with a permission, alice only (permission_required)
/team/red/   a view that chooses its upstream and its headers itself
"""

import tempfile

import django
from django.conf import settings

folder = tempfile.TemporaryDirectory()

settings.configure(
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="an example keeps no secrets",
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder.name}/db.sqlite3"}
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {
                            "registration/login.html": "<!DOCTYPE html><title>Log in</title>"
                            "<form method=post>{% csrf_token %}{{ form }}<button>Log in</button>"
                        },
                    )
                ]
            },
        }
    ],
    LOGIN_URL="/login/",
    LOGIN_REDIRECT_URL="/reports/",
    LOGOUT_REDIRECT_URL="/login/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.contrib.auth.decorators import login_required, permission_required  # noqa: E402
from django.contrib.auth.mixins import LoginRequiredMixin  # noqa: E402
from django.contrib.auth.views import LoginView, LogoutView  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from wsgiproxy import ProxyMiddleware, Route  # noqa: E402
from wsgiproxy.django import ProxyView, current_user  # noqa: E402

SERVICE = "http://localhost:9999"


class ReportsView(LoginRequiredMixin, ProxyView):
    """For everybody who is logged in; the service learns the name."""

    upstream = SERVICE
    add_remote_user = True


class TeamView(LoginRequiredMixin, ProxyView):
    """Chooses for each request."""

    def get_upstream(self, path):
        return f"{SERVICE}/{self.kwargs['team']}"

    def get_request_headers(self):
        headers = super().get_request_headers()
        headers["X-Team"] = self.kwargs["team"]
        return headers

    def dispatch(self, request, path, team):
        return super().dispatch(request, path)


@login_required
def check(request):
    """Says who may pass to /new_req: 2xx is yes, the way to the login form is no."""
    return HttpResponse(status=204)


urlpatterns = [
    path("login/", LoginView.as_view()),
    path("logout/", LogoutView.as_view()),
    path("check", check),
    re_path(r"^reports/(?P<path>.*)$", ReportsView.as_view()),
    re_path(
        r"^payroll/(?P<path>.*)$",
        permission_required("auth.view_user")(ProxyView.as_view(upstream=SERVICE)),
    ),
    re_path(r"^team/(?P<team>\w+)/(?P<path>.*)$", TeamView.as_view()),
]

application = ProxyMiddleware(
    get_wsgi_application(),
    {
        "/new_req": Route(
            SERVICE,
            auth="/check",
            remote_user=current_user,
            hide_cookies=["sessionid", "csrftoken"],
        )
    },
)


def populate():
    """Make the users, as manage.py would."""
    from django.contrib.auth.models import Permission, User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    alice = User.objects.create_user("alice", password="secret")
    alice.user_permissions.add(Permission.objects.get(codename="view_user"))
    User.objects.create_user("bob", password="secret")


if __name__ == "__main__":
    import waitress

    populate()
    print("Open http://127.0.0.1:8080/new_req/ and log in")
    waitress.serve(application, listen="127.0.0.1:8080", threads=32, channel_request_lookahead=5)
