"""A Flask application, and under /new_req the service on port 9999.

python -m http.server 9999 &
python flask_app.py
"""

from flask import Flask

from wsgiproxy import ProxyMiddleware

app = Flask(__name__)
app.wsgi_app = ProxyMiddleware(app.wsgi_app, {"/new_req": "http://localhost:9999"})


@app.route("/")
def hello():
    return "Hello from Flask\n"


if __name__ == "__main__":
    import waitress

    print("Open http://127.0.0.1:8080/ and http://127.0.0.1:8080/new_req/")
    # The lookahead lets the proxy notice when a client leaves before its answer is there.
    waitress.serve(app, listen="127.0.0.1:8080", threads=32, channel_request_lookahead=5)
