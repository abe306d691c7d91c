"""What the tests of identity, auth and the adapters share: a service, and a visitor of a site."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.support import (
    Address,
    RawClient,
    RawResponse,
    RequestRecord,
    UpstreamConnection,
    message,
    serve,
)
from tests.support.servers import GUNICORN

ROOT = Path(__file__).parents[2]
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {KEY}",
)


def service(conn: UpstreamConnection) -> None:
    """An upstream: tells what it got as JSON, echoes on WebSockets, and a few specials."""
    while True:
        record = conn.read_request_head()
        if record.headers.get("Upgrade") == "websocket":
            _switch(conn, record)
            return
        if record.target.startswith("/events"):
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
            conn.send(head + b"data: first\n\n")
            conn.wait_closed()
            return
        if record.target == "/half":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it")
            return
        if record.target.startswith("/upload"):
            _receive(conn, record)
        else:
            conn.read_request_body(record)
            conn.send(_answer(record))


#: How many bytes of an upload have come, while it lasts.
received = {"bytes": 0}


def _receive(conn: UpstreamConnection, record: RequestRecord) -> None:
    received["bytes"] = 0
    if record.is_chunked:
        for chunk in conn.iter_chunks():
            received["bytes"] += len(chunk)
    else:
        while received["bytes"] < record.length:
            received["bytes"] += len(conn.read_some())
    conn.send(_response(b"200 OK", str(received["bytes"]).encode()))


def _switch(conn: UpstreamConnection, record: RequestRecord) -> None:
    key = (record.headers.get("Sec-WebSocket-Key") or "").encode()
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
    head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    conn.send(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
    while data := conn.read_some():
        conn.send(b"echo " + data)


def _response(status: bytes, body: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 " + status, *headers, b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


PAGE = b"<html><head><title>Service</title></head><body><h1>Hello</h1></body></html>"


def _answer(record: RequestRecord) -> bytes:
    path = record.target.partition("?")[0]
    if path == "/repeats":
        return _response(
            b"299 Odd Reason",
            b"x",
            b"X-Twice: one",
            b"x-odd-CASE: 1",
            b"X-Twice: two",
            b"Set-Cookie: a=1; Path=/; Weird=yes; HttpOnly",
            b'Set-Cookie: a="2 3"; Path=/other',
            b"Set-Cookie: sessionid=theirs; Path=/",
            b"Content-Type: text/plain",
        )
    if path == "/page":
        return _response(b"200 OK", PAGE, b"Content-Type: text/html; charset=utf-8")
    if path == "/cookies":
        return _response(b"200 OK", b"", b"Set-Cookie: no equals", b"Set-Cookie: good=1")
    if path.startswith("/notype"):
        return _response(b"200 OK", b"?")
    if path == "/missing":
        return _response(b"404 Not Found", b"nothing", b"Content-Type: text/plain")
    if path == "/moved":
        location = f"http://{record.headers.get('Host')}/inside?next=http://other/"
        return _response(b"302 Found", b"", b"Location: " + location.encode())
    if path == "/chunks":
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"
        )
    told = {
        "method": record.method,
        "target": record.target,
        "headers": list(record.headers),
        "body": record.body.decode("latin-1"),
    }
    body = b"" if record.method == "HEAD" else json.dumps(told).encode()
    return _response(b"200 OK", body, b"Content-Type: application/json")


def told(response: RawResponse) -> dict[str, Any]:
    """What the service says it was asked; its headers by lower-case names."""
    assert response.status == 200, (response.status, response.body)
    found: dict[str, Any] = json.loads(response.body)
    found["names"] = [name for name, _ in found["headers"]]
    found["headers"] = {name.lower(): value for name, value in found["headers"]}
    return found


class Visitor:
    """A browser as far as cookies, forms and redirects go, one connection a request."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.cookies: dict[tuple[str, str], str] = {}

    def ask(
        self,
        target: str,
        *headers: str,
        method: str = "GET",
        body: bytes = b"",
        allow_cut: bool = False,
    ) -> RawResponse:
        """One request with the cookies that belong to its path."""
        with RawClient(self.address) as client:
            raw = self.request(target, *headers, method=method, body=body)
            return self.keep(client.exchange(raw, allow_cut=allow_cut))

    def request(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
        """The bytes of that request."""
        lines = [f"Host: {self.address.netloc}", *headers, *self._cookie(target)]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        return message(f"{method} {target} HTTP/1.1", lines, body)

    def _cookie(self, target: str) -> list[str]:
        path = target.partition("?")[0]
        pairs = [f"{n}={v}" for (n, scope), v in self.cookies.items() if path.startswith(scope)]
        return ["Cookie: " + "; ".join(pairs)] if pairs else []

    def keep(self, response: RawResponse) -> RawResponse:
        """Store the cookies that a response sets."""
        for text in response.headers.all("Set-Cookie"):
            pair, *attributes = (part.strip() for part in text.split(";"))
            name, _, value = pair.partition("=")
            scope = next((a[5:] for a in attributes if a.lower().startswith("path=")), "/")
            self.cookies[name, scope] = value
            if "max-age=0" in text.lower():
                del self.cookies[name, scope]
        return response

    def page(self, target: str) -> RawResponse:
        """Load a page as a browser does."""
        return self.ask(target, "Accept: text/html", "Sec-Fetch-Mode: navigate")

    def submit(self, target: str, **fields: str) -> RawResponse:
        """Send a form, with the token that its page holds if it holds one."""
        found = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', self.page(target).body)
        if found:
            fields["csrfmiddlewaretoken"] = found[1].decode()
        body = urlencode(fields).encode()
        kind = "Content-Type: application/x-www-form-urlencoded"
        return self.ask(target, kind, method="POST", body=body)

    @contextlib.contextmanager
    def websocket(self, target: str) -> Iterator[tuple[RawClient, RawResponse]]:
        """Ask for a WebSocket."""
        with RawClient(self.address) as client:
            client.send(self.request(target, *WEBSOCKET))
            yield client, client.read_response()


@contextlib.contextmanager
def serve_apart(factory: str, server: str, **arguments: Any) -> Iterator[Address]:
    """A site in a process of its own, as frameworks with global settings need it.

    :param factory: ``module:function``, called with the arguments, gives the application.
    """
    spec = {"factory": factory, "arguments": arguments}
    if server in GUNICORN:
        with serve(spec, server) as address:
            yield address
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.auth"],
        cwd=ROOT,
        env={**os.environ, "TEST_SITE": json.dumps(spec), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the site did not start"
        yield Address("127.0.0.1", int(line))
    finally:
        process.communicate()


def _main() -> None:
    from tests.support.apps import create

    with serve(create()) as address:
        print(address.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _main()
