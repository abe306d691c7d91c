"""A Django site in one file, and under /new_req the service on port 9999.

python -m http.server 9999 &
python django_wsgi.py

In a project of your own only one line of wsgi.py is new: the one with ProxyMiddleware around
get_wsgi_application().
"""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

from wsgiproxy import ProxyMiddleware

settings.configure(
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="an example keeps no secrets",
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware"],
)


def hello(request):
    return HttpResponse("Hello from Django\n", content_type="text/plain")


urlpatterns = [path("", hello)]

application = ProxyMiddleware(get_wsgi_application(), {"/new_req": "http://localhost:9999"})

if __name__ == "__main__":
    import waitress

    print("Open http://127.0.0.1:8080/ and http://127.0.0.1:8080/new_req/")
    # The lookahead lets the proxy notice when a client leaves before its answer is there.
    waitress.serve(application, listen="127.0.0.1:8080", threads=32, channel_request_lookahead=5)
