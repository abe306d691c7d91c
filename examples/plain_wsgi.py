"""A plain WSGI application, and under /new_req the service on port 9999.

python -m http.server 9999 &
python plain_wsgi.py
"""

from wsgiproxy import ProxyMiddleware


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "22")])
    return [b"Hello from plain WSGI\n"]


application = ProxyMiddleware(hello, {"/new_req": "http://localhost:9999"})

if __name__ == "__main__":
    import waitress

    print("Open http://127.0.0.1:8080/ and http://127.0.0.1:8080/new_req/")
    # The lookahead lets the proxy notice when a client leaves before its answer is there.
    waitress.serve(application, listen="127.0.0.1:8080", threads=32, channel_request_lookahead=5)
