"""A service that believes it lives at ``/``: pages, scripts, styles, cookies, WebSocket.

It writes down every request, so that a test can see what arrived and as what.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

__all__ = ["Service", "running"]

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

INDEX = """<!doctype html>
<html><head><meta charset="utf-8"><title>service</title>
<link rel="stylesheet" href="/static/app.css">
<link rel="manifest" href="/site.webmanifest">
<script>
window.address = "ws://127.0.0.1:%(port)s/ws"; window.inline = {"base": "\\u002fapi"};
</script>
</head><body>
<h1 id="title" class="bg">service</h1>
<img id="picture" src="/img/a.png" srcset="/img/b.png 2x">
<div id="styled" style="background-image: url(&quot;/img/style.png&quot;)"></div>
<a id="link" href="/items/7?x=1&amp;y=2">item</a>
<a id="own" href="http://127.0.0.1:%(port)s/items/8">own</a>
<a id="late" href="about:blank">late</a>
<form id="form" method="post" action="/login"><input name="user"><button>go</button></form>
<iframe id="frame" src="/framed"></iframe>
<script type="module" src="/static/main.js"></script>
<script src="/static/classic.js"></script>
</body></html>"""

STATIC = {
    "/static/app.css": (
        "text/css",
        '@import "/static/more.css"; @font-face { font-family: f; src: url(/static/f.woff) }'
        " .bg { background: url('/img/css.png') }",
    ),
    "/static/more.css": ("text/css", "#title { color: rgb(1, 2, 3) }"),
    "/static/main.js": (
        "text/javascript",
        'import { value } from "/static/dep.js"; import "./relative.js"; import * as again from'
        ' "/static/dep.js"; window.moduleValue = value; window.sameModule = again.value === value;'
        " window.lazily = name => import('/static/' + name + '.js');"
        " window.metaUrl = import.meta.url; window.moduleReady = true;",
    ),
    "/static/dep.js": ("text/javascript", "export const value = Symbol('dep').description;"),
    "/static/relative.js": ("text/javascript", "import '/static/dep.js'; window.relative = true;"),
    "/static/lazy.js": ("text/javascript", "export const answer = 42;"),
    "/static/classic.js": ("text/javascript", "window.classic = true;"),
    "/static/worker.js": (
        "text/javascript",
        "importScripts('/static/part.js'); onmessage = async () => postMessage([part,"
        " await (await fetch('/api/echo')).json(), new URL(location).pathname]);",
    ),
    "/static/part.js": ("text/javascript", "self.part = 'part';"),
    "/static/socket-worker.js": (
        "text/javascript",
        "const socket = new WebSocket('ws://' + location.host + '/ws');"
        " socket.onopen = () => socket.send('hi'); socket.onmessage = m => postMessage(m.data);",
    ),
    "/sw.js": (
        "text/javascript",
        "self.addEventListener('install', event => event.waitUntil(caches.open('v1').then("
        "cache => cache.addAll(['/static/app.css'])).then(() => self.skipWaiting())));"
        " self.addEventListener('activate', event => event.waitUntil(clients.claim()));",
    ),
    "/site.webmanifest": (
        "application/manifest+json",
        '{"name": "x", "start_url": "/", "icons": [{"src": "\\/img\\/icon.png"}]}',
    ),
}


class Service(socketserver.ThreadingTCPServer):
    """The service; ``requests`` are (method, path, headers) in the order of arrival."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: dict[str, bytes] = {}
        #: Headers of the next pages, such as a policy.
        self.page_headers: list[tuple[str, str]] = []
        #: Other pages by path: HTML.
        self.pages: dict[str, str] = {}

    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [path.partition("?")[0] for _, path, _ in self.requests]


@contextmanager
def running() -> Iterator[Service]:
    """A started service."""
    with Service() as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        headers = dict(self.headers.items())
        self.server.requests.append((self.command, self.path, headers))
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        self.server.bodies[path] = body
        if path == "/ws":
            self._websocket()
        elif path == "/events":
            self._answer("text/event-stream", "data: tick\n\n")
        elif path in STATIC:
            self._answer(*STATIC[path])
        elif path.startswith("/img/"):
            self._answer("image/png", PNG)
        elif path.startswith("/api/"):
            facts = {"path": self.path, "method": self.command, "cookie": headers.get("Cookie", "")}
            self._answer("application/json", json.dumps(facts | {"body": body.decode("latin-1")}))
        elif path == "/login":
            self._answer(
                "", "", "303 See Other", [("Location", "/items/"), ("Set-Cookie", "s=1; Path=/")]
            )
        elif path in ("/static/f.woff", "/missing"):
            self._answer("text/plain", "", "404 Not Found")
        else:
            page = self.server.pages.get(path) or (
                INDEX if path == "/" else f"<title>{path}</title><p id=where>{self.path}</p>"
            )
            page = page.replace("%(port)s", str(self.server.port))
            self._answer("text/html", page, headers=self.server.page_headers)

    do_POST = do_PUT = do_GET

    def _answer(
        self,
        kind: str,
        body: str | bytes,
        status: str = "200 OK",
        headers: list[tuple[str, str]] | None = None,
    ) -> None:
        content = body.encode() if isinstance(body, str) else body
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        if kind:
            self.send_header("Content-Type", kind)
        for name, value in headers or []:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _websocket(self) -> None:
        """One text frame in, the same with our path out; then the end."""
        key = self.headers["Sec-WebSocket-Key"] + _GUID
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response_only(101, "Switching Protocols")
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        head = self.rfile.read(2)
        if len(head) < 2:
            return
        size = head[1] & 0x7F
        mask, data = self.rfile.read(4), self.rfile.read(size)
        text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        reply = b"echo " + text
        self.wfile.write(bytes((0x81, len(reply))) + reply)
        self.rfile.read(1)
        self.close_connection = True
