"""The same behaviour under every server, and what each of them makes impossible."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest

from tests.support import (
    GUNICORN,
    SERVERS,
    Address,
    PeerClosed,
    RawClient,
    RawResponse,
    RawUpstream,
    UpstreamConnection,
    eventually,
    get,
    message,
    post,
    serve,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"

# From Python 3.13 on, wsgiref's own buffer complains when it is collected after its connection.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in.*IOBase:pytest.PytestUnraisableExceptionWarning"
)

#: Servers that keep a client's connection for the next request.
KEEPING = ("waitress", "gunicorn-gthread", "gunicorn-gevent", "cheroot")
#: Servers that give no way to the client's socket: its leaving shows on writing only.
BLIND = ("cheroot", "wsgiref")


class Front:
    """A server with the proxy in it: one for all tests of this module, and its upstream."""

    def __init__(self, server: str, address: Address, upstream: RawUpstream) -> None:
        self.server = server
        self.address = address
        self.upstream = upstream
        self.stack = contextlib.ExitStack()

    def connect(self) -> RawClient:
        """A client connection that is closed at the end of the test."""
        return self.stack.enter_context(RawClient(self.address))

    def exchange(self, raw: bytes) -> RawResponse:
        """One exchange on a connection of its own."""
        with RawClient(self.address) as client:
            return client.exchange(raw)


@pytest.fixture(scope="module", params=SERVERS)
def running(request: pytest.FixtureRequest) -> Iterator[Front]:
    with RawUpstream() as upstream:
        routes = {
            "/p": upstream.url,
            "/brief": {"url": upstream.url, "read_timeout": 1},
            "/small": {"url": upstream.url, "max_body": 100_000},
            "/none": "http://127.0.0.1:9",
        }
        with serve({"routes": routes}, request.param) as address:
            yield Front(request.param, address, upstream)


@pytest.fixture
def front(running: Front) -> Iterator[Front]:
    """The running server with an upstream that has forgotten what was before."""
    upstream = running.upstream
    for conn in upstream.connections:
        conn.abort_waits()
        assert conn.finished.wait(10)
    upstream.connections.clear()
    upstream.requests.clear()
    upstream.respond(OK)
    with running.stack:
        yield running


# -- requests ----------------------------------------------------------------------------------


def test_request_reaches_the_upstream_and_the_answer_the_client(front: Front) -> None:
    response = front.exchange(get("/p/x?y=1", "X-Test: t"))

    assert (response.status, response.body) == (200, b"ok")
    assert front.upstream.request.target == "/x?y=1"
    assert front.upstream.request.headers.get("X-Test") == "t"
    assert front.upstream.request.headers.get("X-Forwarded-For") == "127.0.0.1"


def test_wrapped_application_answers_all_else(front: Front) -> None:
    assert front.exchange(get("/else")).body == b"front GET /else 0"
    assert not front.upstream.requests


@pytest.mark.parametrize(
    "target",
    [
        "/a%2Fb",
        "/a%252Fb",
        "/a%20b+c",
        "/%e2%9c%93/%ff",
        "/x/../y",
        "//a//b",
        "/100%",
        "/x?a[]=%zz&b",
    ],
)
def test_target_is_the_clients_own_spelling(front: Front, target: str) -> None:
    front.exchange(get("/p" + target))

    expected = target
    if front.server == "wsgiref":  # it gives the decoded path only: encoded once
        decoded = {"/a%2Fb": "/a/b", "/%e2%9c%93/%ff": "/%E2%9C%93/%FF", "/100%": "/100%25"}
        expected = decoded.get(target, target)
    assert front.upstream.request.target == expected


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_method_is_passed_on(front: Front, method: str) -> None:
    response = front.exchange(post("/p/x", b"", method=method))

    assert response.status == 200
    assert front.upstream.request.method == method


@pytest.mark.parametrize("size", [10, 300_000])
def test_upload_arrives_with_its_length(front: Front, size: int) -> None:
    assert front.exchange(post("/p/x", b"x" * size)).status == 200
    assert (front.upstream.request.length, front.upstream.request.body) == (size, b"x" * size)


def test_chunked_upload_arrives_whole(front: Front) -> None:
    client = front.connect()
    client.send(message("POST /p/x HTTP/1.1", ["Host: front", "Transfer-Encoding: chunked"]))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before its end
        for piece in (b"one", b"x" * 100_000, b"three", b""):
            client.send_chunk(piece)

    response = client.read_response()

    if front.server == "wsgiref":  # it hands over the raw chunks: refused, not guessed at
        assert response.status in (400, 411)
        assert not front.upstream.requests
        return
    assert response.status == 200
    assert front.upstream.request.complete
    assert front.upstream.request.body == b"one" + b"x" * 100_000 + b"three"


@pytest.mark.parametrize("size", [900_000])
def test_upload_is_streamed(front: Front, size: int) -> None:
    client = front.connect()
    client.send(message("POST /p/x HTTP/1.1", ["Host: front", f"Content-Length: {size}"]))
    client.send(b"x" * (size - 1))

    if front.server == "waitress":  # it takes the whole body first
        assert client.is_silent(0.2)
        assert not front.upstream.requests
    else:
        front.upstream.wait_for_requests()
    client.send(b"x")

    assert client.read_response().status == 200
    assert front.upstream.request.complete


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_upload_that_breaks_off_never_looks_complete(front: Front, framing: str) -> None:
    client = front.connect()
    if framing == "length":
        client.send(message("POST /p/x HTTP/1.1", ["Host: front", "Content-Length: 900000"]))
        client.send(b"x" * 400_000)
    else:
        client.send(message("POST /p/x HTTP/1.1", ["Host: front", "Transfer-Encoding: chunked"]))
        client.send_chunk(b"x" * 400_000)
    if front.server != "waitress" and (front.server, framing) != ("wsgiref", "chunked"):
        front.upstream.wait_for_requests()
    client.half_close()
    client.read_to_end()

    eventually(lambda: all(conn.finished.is_set() for conn in front.upstream.connections))
    assert not any(request.complete for request in front.upstream.requests)


def test_body_over_the_limit_is_refused(front: Front) -> None:
    response = front.exchange(post("/small/x", b"x" * 100_001))

    assert response.status == 413
    assert not front.upstream.requests


def test_early_refusal_is_delivered(front: Front) -> None:
    def refuse(conn: UpstreamConnection) -> None:
        conn.read_request_head()
        conn.send(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")
        conn.half_close()
        conn.wait_closed()

    front.upstream.script(refuse)
    response = front.exchange(post("/p/x", b"x" * 2_000_000))

    assert (response.status, response.body) == (413, b"no")


@pytest.mark.parametrize(
    "header",
    [
        *("Remote-User: root", "X-Remote-User: root", "Remote_User: root", "Proxy: http://root/"),
        *("X_Forwarded_For: root", "X-Forwarded-Host: root", "Forwarded: for=root"),
    ],
)
def test_forged_header_never_reaches_the_upstream(front: Front, header: str) -> None:
    front.exchange(get("/p/x", header))

    assert all(b"root" not in request.head for request in front.upstream.requests)


def test_two_hosts_are_refused_or_one_is_used(front: Front) -> None:
    front.exchange(message("GET /p/x HTTP/1.1", ["Host: a", "Host: b"]))

    for request in front.upstream.requests:
        assert request.headers.get("X-Forwarded-Host") in ("a", "b")


def test_client_of_http_1_0_is_answered(front: Front) -> None:
    def chunked(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(CHUNKED + b"1\r\nx\r\n0\r\n\r\n")

    front.upstream.script(chunked)
    response = front.exchange(b"GET /p/x HTTP/1.0\r\n\r\n")

    assert response.body == b"x"
    if front.server != "werkzeug":  # it sends chunks to everybody
        assert "transfer-encoding" not in response.headers.names()


# -- responses -----------------------------------------------------------------------------------


def test_status_reason_and_headers_are_passed_on(front: Front) -> None:
    front.upstream.respond(
        message(
            "HTTP/1.1 299 Fine by me",
            ["Content-Length: 0", "Set-Cookie: a=1", "X-Utf8: \xc3\xa9", "Set-Cookie: b=2; Path=/"],
        )
    )

    response = front.exchange(get("/p/x"))

    assert (response.status, response.reason) == (299, "Fine by me")
    assert response.headers.all("Set-Cookie") == ["a=1", "b=2; Path=/p/"]
    assert response.headers.get("X-Utf8") == "\xc3\xa9"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_status_without_a_body_has_none(front: Front, status: str) -> None:
    front.upstream.respond(message(f"HTTP/1.1 {status}", ["ETag: e"]))
    client = front.connect()

    response = client.exchange(get("/p/x"))

    assert (response.status, response.body) == (int(status[:3]), b"")
    if response.closes:
        assert client.read_to_end() in (b"", b"0\r\n\r\n")
    else:
        assert client.is_silent()


def test_head_has_the_length_and_no_body(front: Front) -> None:
    front.upstream.respond(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")
    client = front.connect()

    response = client.exchange(get("/p/x", method="HEAD"))

    assert response.headers.get("Content-Length") == "12345"
    assert client.read_to_end() == b"" if response.closes else client.is_silent()


def test_connection_of_the_client_is_kept(front: Front) -> None:
    client = front.connect()

    assert client.exchange(get("/p/x", "Connection: keep-alive")).body == b"ok"
    assert client.is_open() == (front.server in KEEPING)


@pytest.mark.parametrize("framing", ["length", "chunked", "open"])
def test_each_piece_is_at_the_client_at_once(front: Front, framing: str) -> None:
    seen = [threading.Event() for _ in range(3)]

    def stream(conn: UpstreamConnection) -> None:
        conn.read_request()
        head = {"length": OK.replace(b"h: 2\r\n\r\nok", b"h: 6\r\n\r\n"), "chunked": CHUNKED}
        conn.send(head.get(framing, b"HTTP/1.1 200 OK\r\n\r\n"))
        for number, event in enumerate(seen):
            piece = b"<%d" % number
            (conn.send_chunk if framing == "chunked" else conn.send)(piece)
            assert event.wait(10), "the client has not seen the piece"
        if framing == "chunked":
            conn.send_chunk(b"")

    front.upstream.script(stream)
    client = front.connect()
    client.send(get("/p/x"))
    for number, event in enumerate(seen):
        client.read_until(b"<%d" % number)
        event.set()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_half_a_body_is_never_a_whole_one(front: Front, framing: str) -> None:
    go_on = threading.Event()

    def stream(conn: UpstreamConnection) -> None:
        conn.read_request()
        if framing == "length":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        else:
            conn.send(CHUNKED)
            conn.send_chunk(b"half")
        assert go_on.wait(10)

    front.upstream.script(stream)
    client = front.connect()
    client.send(get("/p/x"))
    head = client.read_response_head()
    client.read_until(b"half")
    go_on.set()
    rest = client.read_to_end()

    assert not rest.endswith(b"0\r\n\r\n")
    assert client.ended
    if framing == "chunked" and front.server == "wsgiref":
        # HTTP/1.0 marks an end by closing and knows no cut: nothing can be done about it.
        assert head.version == "HTTP/1.0"
    else:
        assert {"content-length", "transfer-encoding"} & set(head.headers.names())


def test_client_that_leaves_a_download_ends_it_upstream(front: Front) -> None:
    ended = threading.Event()

    def endless(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(CHUNKED)
        try:
            while True:
                conn.send_chunk(b"x" * 60_000)
        except (ConnectionError, PeerClosed):
            ended.set()

    front.upstream.script(endless)
    client = front.connect()
    client.send(get("/p/x"))
    client.read_until(b"xxx")
    client.close()

    assert ended.wait(10)


def test_client_that_leaves_a_silent_upstream_ends_it(front: Front) -> None:
    ended = threading.Event()

    def silent(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(CHUNKED)
        conn.send_chunk(b"first")
        conn.wait_closed()
        ended.set()

    front.upstream.script(silent)
    client = front.connect()
    # Where the server hides its socket, the route's read timeout is what is left.
    client.send(get("/brief/x" if front.server in BLIND else "/p/x"))
    client.read_until(b"first")
    client.close()

    assert ended.wait(10)


def test_unreachable_upstream_is_a_502(front: Front) -> None:
    response = front.exchange(get("/none/x"))

    assert response.status == 502
    assert b"127.0.0.1" not in response.head + response.body


def test_gunicorn_logs_one_line_for_a_failure() -> None:
    spec = {"routes": {"/none": "http://127.0.0.1:9"}}
    with serve(spec, GUNICORN[0]) as address:
        with RawClient(address) as client:
            assert client.exchange(get("/none/x")).status == 502
        log = address.log
        assert log is not None
        lines = eventually(lambda: [x for x in log.read_text().splitlines() if "/none" in x])
    assert len(lines) == 1
    assert "Traceback" not in lines[0]
