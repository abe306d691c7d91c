"""The way a user goes: a Django site on one port, ``python -m http.server`` on another, and
``/new_req`` on the first browsed as if it were the second."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

import pytest

from tests.support import (
    GUNICORN,
    Address,
    RawClient,
    RawResponse,
    RawUpstream,
    UpstreamConnection,
    get,
    message,
    post,
    serve,
)
from tests.support.servers import ROOT

MEGABYTE = 1 << 20
DOWNLOAD = 200 * MEGABYTE

FILES = {
    "index.txt": b"hello from the other port\n",
    "a b+c%2Fd&é.txt": b"odd name\n",
    "folder/inner.txt": b"inner\n",
    "folder/übung/deep.txt": b"deep\n",
}


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """The standard handler, with the ranges that it lacks, quietly."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        path = self.translate_path(self.path)
        if match is None or not os.path.isfile(path):
            super().do_GET()
            return
        size = os.path.getsize(path)
        first = int(match[1])
        last = min(int(match[2] or size - 1), size - 1)
        with open(path, "rb") as file:
            file.seek(first)
            data = file.read(last - first + 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("files")
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with (root / "huge.bin").open("wb") as huge:  # sparse: it takes no room on the disk
        huge.truncate(DOWNLOAD)
        huge.seek(DOWNLOAD - 4)
        huge.write(b"END!")
    return root


@pytest.fixture(scope="module")
def service(files: Path) -> Iterator[str]:
    handler = functools.partial(RangeHandler, directory=str(files))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def sink(conn: UpstreamConnection) -> None:
    """A script that swallows an upload of any size and tells how much came."""
    while True:
        left = size = conn.read_request_head().length
        while left:
            piece = conn.read_some()
            assert piece, "the upload was cut"
            left -= len(piece)
        text = str(size).encode()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))


def django_site(url: str, sink: str) -> Any:
    """A Django site in one file, wrapped as the README says."""
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    from wsgiproxy import ProxyMiddleware

    if not settings.configured:
        page = HttpResponse
        urls = type(sys)("proof_urls")
        urls.urlpatterns = [path("", lambda request: page("the Django site"))]  # type: ignore[attr-defined]
        settings.configure(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], SECRET_KEY="k", USE_TZ=True)
        django.setup()
    return ProxyMiddleware(get_wsgi_application(), {"/new_req": url, "/upload": sink})


@pytest.fixture(scope="module", params=["waitress", "gunicorn-gthread"])
def site(request: pytest.FixtureRequest, service: str) -> Iterator[Address]:
    # Each in a process of its own, so that its memory can be looked at.
    with RawUpstream() as upstream:
        upstream.script(sink)
        arguments = {"url": service, "sink": upstream.url}
        if request.param in GUNICORN:
            spec = {
                "factory": "tests.forwarding.test_raw_bytes:django_site",
                "arguments": arguments,
            }
            with serve(spec, request.param) as address:
                yield address
        else:
            with waitress(arguments) as address:
                yield address


@contextlib.contextmanager
def waitress(arguments: dict[str, str]) -> Iterator[Address]:
    code = (
        "import sys, json, waitress; from tests.forwarding.test_raw_bytes import django_site;"
        "app = django_site(**json.loads(sys.argv[1]));"
        "server = waitress.create_server(app, host='127.0.0.1', port=0);"
        "print(server.effective_port, flush=True); server.run()"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, json.dumps(arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    with process:
        yield Address("127.0.0.1", int(process.stdout.readline()), None, process.pid)
        process.terminate()


def ask(site: Address, target: str, *headers: str, method: str = "GET") -> RawResponse:
    with RawClient(site) as client:
        return client.exchange(get(target, *headers, method=method))


def test_both_services_are_on_the_one_port(site: Address) -> None:
    assert ask(site, "/").body == b"the Django site"
    assert ask(site, "/new_reqX").status == 404
    assert ask(site, "/new_req/index.txt").body == FILES["index.txt"]


def test_every_link_of_the_listing_leads_to_its_file(site: Address) -> None:
    redirect = ask(site, "/new_req")
    assert redirect.status in (301, 308)
    start = redirect.headers.get("Location") or ""
    seen: dict[str, bytes] = {}
    queue = [start]
    while queue:
        page = queue.pop()
        listing = ask(site, page)
        assert listing.status == 200
        for link in re.findall(r'href="([^"]+)"', listing.body.decode()):
            target = urljoin(page, link.replace("&amp;", "&"))
            if target.endswith("/"):
                queue.append(target)
            elif not target.endswith("huge.bin"):
                seen[target] = ask(site, target).body

    assert seen == {f"/new_req/{quote(name)}": content for name, content in FILES.items()}


def test_folder_without_slash_redirects_under_the_prefix(site: Address) -> None:
    response = ask(site, "/new_req/folder")

    assert response.status == 301
    assert response.headers.get("Location") == "/new_req/folder/"


@pytest.mark.parametrize(
    ("given", "length", "body"),
    [
        (f"bytes={DOWNLOAD - 6}-", 6, b"\0\0END!"),
        ("bytes=0-2", 3, b"\0\0\0"),
        (f"bytes={DOWNLOAD - 4}-{DOWNLOAD - 1}", 4, b"END!"),
    ],
)
def test_range_of_a_large_file_is_exact(
    site: Address, given: str, length: int, body: bytes
) -> None:
    response = ask(site, "/new_req/huge.bin", f"Range: {given}")

    assert (response.status, response.body) == (206, body)
    assert (response.headers.get("Content-Range") or "").endswith(f"/{DOWNLOAD}")


def test_conditional_and_head_requests_are_exact(site: Address) -> None:
    head = ask(site, "/new_req/huge.bin", method="HEAD")
    assert head.headers.get("Content-Length") == str(DOWNLOAD)
    modified = head.headers.get("Last-Modified")
    assert ask(site, "/new_req/huge.bin", f"If-Modified-Since: {modified}").status == 304
    assert ask(site, "/new_req/missing").status == 404


def memory(pid: int) -> int:
    """The largest resident memory so far, in bytes, of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = sum(memory(int(child)) for child in children)
    status = Path(f"/proc/{pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak is not None
    return total + int(peak[1]) * 1024


def test_large_download_takes_no_memory(site: Address) -> None:
    assert site.pid is not None
    ask(site, "/new_req/index.txt")
    before = memory(site.pid)
    received, tail = 0, b""
    with RawClient(site) as client:
        client.send(get("/new_req/huge.bin"))
        response = client.read_response_head()
        assert response.headers.get("Content-Length") == str(DOWNLOAD)
        while received < DOWNLOAD:
            piece = client.read_some()
            assert piece, "the download was cut"
            received += len(piece)
            tail = (tail + piece)[-4:]

    assert (received, tail) == (DOWNLOAD, b"END!")
    # waitress itself holds up to 17 MB of what a client has not taken yet.
    assert memory(site.pid) - before < 24 * MEGABYTE


def test_large_upload_takes_no_memory(site: Address) -> None:
    assert site.pid is not None
    ask(site, "/new_req/index.txt")
    before = memory(site.pid)
    block = bytes(MEGABYTE)
    with RawClient(site) as client:
        client.send(message("POST /upload/x HTTP/1.1", ["Host: f", f"Content-Length: {DOWNLOAD}"]))
        for _ in range(DOWNLOAD // MEGABYTE):
            client.send(block)
        response = client.read_response()

    assert (response.status, response.body) == (200, str(DOWNLOAD).encode())
    assert memory(site.pid) - before < 24 * MEGABYTE


def test_upload_that_the_service_refuses_brings_its_answer(site: Address) -> None:
    # http.server knows no POST; it says so without reading the body.
    with RawClient(site) as client:
        assert client.exchange(post("/new_req/x", b"x" * 3000)).status == 501
