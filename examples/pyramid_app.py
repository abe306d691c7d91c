"""A Pyramid application, and under /new_req the service on port 9999.

python -m http.server 9999 &
python pyramid_app.py
"""

from pyramid.config import Configurator
from pyramid.response import Response

from wsgiproxy import ProxyMiddleware


def hello(request):
    return Response("Hello from Pyramid\n", content_type="text/plain")


def main(global_config, **settings):
    with Configurator(settings=settings) as config:
        config.add_route("hello", "/")
        config.add_view(hello, route_name="hello")
    return ProxyMiddleware(config.make_wsgi_app(), {"/new_req": "http://localhost:9999"})


if __name__ == "__main__":
    import waitress

    print("Open http://127.0.0.1:8080/ and http://127.0.0.1:8080/new_req/")
    # The lookahead lets the proxy notice when a client leaves before its answer is there.
    waitress.serve(main({}), listen="127.0.0.1:8080", threads=32, channel_request_lookahead=5)
