"""Answers that take their time: a worker hands them to the relay when threads are scarce."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import RawClient, RawUpstream, Site, eventually, get, post, serve
from wsgiproxy import ProxyMiddleware, Route
from wsgiproxy.relay import relay
from wsgiproxy.relay.pair import MAX_CHATTER

Proxied = Callable[..., Site]


class Later:
    """Answers when the test says so; ``/now`` at once."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.go = threading.Event()

    def __call__(self, request: Any) -> bytes:
        if request.target == "/now":
            return b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnow"
        assert self.go.wait(15)
        return self.answer


@pytest.fixture
def later(upstream: RawUpstream) -> Iterator[Later]:
    answers = Later(b"HTTP/1.1 200 Fine\r\nContent-Length: 4\r\nX-Extra: 1\r\n\r\ndone")
    upstream.respond(answers)
    yield answers
    answers.go.set()


def ask(site: Site, count: int, request: bytes = b"") -> list[RawClient]:
    """So many clients that wait for their answers in the relay."""
    clients = [site.connect() for _ in range(count)]
    for client in clients:
        client.send(request or get("/p/slow"))
    eventually(lambda: relay.counts()["streams"] >= count - 1, what="answers in the relay")
    return clients


def test_slow_answers_leave_the_threads_to_the_application(proxied: Proxied, later: Later) -> None:
    site = proxied(server_options={"threads": 2})
    clients = ask(site, 20)
    for _ in range(3):
        assert site.get("/front").body == b"front GET /front 0"
    later.go.set()
    for client in clients:
        response = client.read_response()
        assert (response.status, response.reason, response.body) == (200, "Fine", b"done")
        assert response.headers.get("X-Extra") == "1"


def test_connection_ends_after_an_answer_from_the_relay(proxied: Proxied, later: Later) -> None:
    clients = ask(proxied(server_options={"threads": 2}), 3)
    later.go.set()
    closed = [client.read_response().closes for client in clients]
    assert closed.count(True) >= 2


def test_request_body_is_sent_before_the_wait(
    proxied: Proxied, later: Later, upstream: RawUpstream
) -> None:
    site = proxied(server_options={"threads": 2})
    clients = ask(site, 5, post("/p/slow", b"payload" * 20_000))
    later.go.set()
    for client in clients:
        assert client.read_response().body == b"done"
    assert {request.body for request in upstream.requests} == {b"payload" * 20_000}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", 304),
        (b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n", 302),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n", 201),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", 502),
        (b"nonsense\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 502),
    ],
    ids=["204", "304", "redirect", "early-hints", "unasked-101", "nonsense", "two-lengths"],
)
def test_late_heads_are_adapted_and_checked(
    proxied: Proxied, later: Later, answer: bytes, status: int
) -> None:
    later.answer = answer
    clients = ask(proxied(server_options={"threads": 2}), 4)
    later.go.set()
    for client in clients:
        response = client.read_response()
        assert response.status == status
        if status == 302:
            assert response.headers.get("Location") == "/p/there"


def test_late_head_request_gets_no_body(proxied: Proxied, upstream: RawUpstream) -> None:
    go = threading.Event()

    def answer(request: Any) -> bytes:
        assert go.wait(15)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

    upstream.respond(answer)
    clients = ask(proxied(server_options={"threads": 2}), 4, get("/p/slow", method="HEAD"))
    go.set()
    for client in clients:
        response = client.read_response(is_head=True)
        assert response.headers.get("Content-Length") == "1000"
        if response.closes:
            assert client.read_to_end() == b""


def test_late_chunked_body_arrives_whole(proxied: Proxied, later: Later) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (b"one", b"x" * 70_000)) + b"0\r\n\r\n"
    later.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    clients = ask(proxied(server_options={"threads": 2}), 4)
    later.go.set()
    for client in clients:
        assert client.read_response().body == b"one" + b"x" * 70_000


def test_late_body_that_breaks_off_is_not_whole(proxied: Proxied, upstream: RawUpstream) -> None:
    go = threading.Event()

    def handler(conn: Any) -> None:
        conn.read_request()
        assert go.wait(15)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    upstream.script(handler)
    clients = ask(proxied(server_options={"threads": 2}), 4)
    go.set()
    for client in clients:
        response = client.read_response(allow_cut=True)
        assert (response.body, response.complete) == (b"half", False)


def test_late_event_stream_may_be_silent_for_longer_than_an_answer(
    proxied: Proxied, upstream: RawUpstream
) -> None:
    conns: list[Any] = []

    def handler(conn: Any) -> None:
        conn.read_request()
        assert go.wait(15)
        conn.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        conns.append(conn)
        conn.read_to_end()

    go = threading.Event()
    upstream.script(handler)
    clients = ask(proxied(server_options={"threads": 2}, read_timeout=1), 4)
    go.set()
    for client in clients:
        assert client.read_response_head().status == 200
    assert clients[0].is_silent(1.5)
    for conn in conns:
        conn.send_chunk(b"data: late\n\n")
    for client in clients:
        assert client.read_until(b"\n\n").endswith(b"data: late\n\n")


def test_late_body_that_stalls_is_not_whole(proxied: Proxied, upstream: RawUpstream) -> None:
    go = threading.Event()

    def handler(conn: Any) -> None:
        conn.read_request()
        assert go.wait(15)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        conn.read_to_end()

    upstream.script(handler)
    clients = ask(proxied(server_options={"threads": 2}, read_timeout=0.8), 3)
    go.set()
    for client in clients:
        response = client.read_response(allow_cut=True)
        assert (response.body, response.complete) == (b"half", False)


def test_no_head_in_time_is_504(proxied: Proxied, later: Later) -> None:
    site = proxied(server_options={"threads": 2}, read_timeout=0.5)
    clients = [site.connect() for _ in range(6)]
    for client in clients:
        client.send(get("/p/slow"))
    for client in clients:
        response = client.read_response()
        assert response.status == 504
        assert response.headers.get("Proxy-Status") is not None


def test_upstream_that_hangs_up_is_502(proxied: Proxied, upstream: RawUpstream) -> None:
    go = threading.Event()
    upstream.script(lambda conn: (conn.read_request(), go.wait(15)))
    clients = ask(proxied(server_options={"threads": 2}), 4)
    go.set()
    for client in clients:
        assert client.read_response().status == 502


def test_client_that_leaves_while_waiting_frees_the_upstream(
    proxied: Proxied, upstream: RawUpstream
) -> None:
    upstream.script(lambda conn: (conn.read_request(), conn.read_to_end()))
    clients = ask(proxied(server_options={"threads": 2}), 6)
    for client in clients[3:]:
        client.close()
    eventually(lambda: sum(conn.finished.is_set() for conn in upstream.connections) >= 3)


def test_server_at_ease_keeps_slow_answers_on_their_connection(
    proxied: Proxied, later: Later
) -> None:
    site = proxied(server_options={"threads": 16})
    client = site.connect()
    client.send(get("/p/slow"))
    assert client.is_silent(0.3)
    assert relay.counts()["streams"] == 0
    later.go.set()
    response = client.read_response()
    assert response.body == b"done"
    assert not response.closes


@pytest.mark.parametrize("option", ["modify_response", "on_error"])
def test_hooks_keep_the_answer_with_its_worker(proxied: Proxied, later: Later, option: str) -> None:
    site = proxied(server_options={"threads": 3}, **{option: lambda *arguments: None})
    clients = [site.connect() for _ in range(2)]
    for client in clients:
        client.send(get("/p/slow"))
        assert client.is_silent(0.1)
    assert relay.counts()["streams"] == 0
    later.go.set()
    for client in clients:
        assert client.read_response().body == b"done"


def test_finished_connection_can_be_used_again(
    proxied: Proxied, later: Later, upstream: RawUpstream
) -> None:
    site = proxied(server_options={"threads": 2})
    clients = ask(site, 5)
    later.go.set()
    for client in clients:
        assert client.read_response().body == b"done"
    eventually(lambda: relay.counts()["streams"] == 0)
    count = len(upstream.connections)
    for _ in range(5):
        assert site.get("/p/now").body == b"now"
    assert len(upstream.connections) == count


def test_client_that_talks_on_and_on_while_it_waits_is_cut_off(
    proxied: Proxied, later: Later
) -> None:
    clients = ask(proxied(server_options={"threads": 2}), 3)
    eventually(lambda: relay.counts()["streams"] == 3)
    for client in clients[1:]:
        client.send(bytes(MAX_CHATTER // 2))
    with contextlib.suppress(OSError):
        clients[-1].send(bytes(MAX_CHATTER))
    assert clients[-1].wait_closed()
    later.go.set()
    for client in clients[:-1]:
        assert client.read_response().body == b"done"


def test_large_download_holds_no_thread(proxied: Proxied, upstream: RawUpstream) -> None:
    size = 40 << 20
    upstream.respond(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    site = proxied(server_options={"threads": 1})
    clients = [site.connect() for _ in range(2)]
    for client in clients:
        client.send(get("/p/big"))
        assert client.read_response_head().status == 200
    assert site.get("/front").status == 200
    for client in clients:
        assert len(client.read_exactly(size)) == size
        assert client.read_to_end() == b""


def test_large_download_that_breaks_off_is_not_whole(
    proxied: Proxied, upstream: RawUpstream
) -> None:
    def handler(conn: Any) -> None:
        conn.read_request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + bytes(5_000_000))

    upstream.script(handler)
    response = proxied().get("/p/big", allow_cut=True)
    assert (len(response.body), response.complete) == (5_000_000, False)


@pytest.mark.parametrize(("status", "leaves"), [(299, True), (300, False), (404, False)])
def test_only_a_success_is_left_to_the_relay(
    proxied: Proxied, upstream: RawUpstream, status: int, leaves: bool
) -> None:
    """An upstream that says no may have left some of the request unread."""
    body = bytes(300_000)
    upstream.respond(b"HTTP/1.1 %d Told\r\nContent-Length: 300000\r\n\r\n" % status + body)
    client = proxied(relay_over=1000).connect()
    response = client.exchange(get("/p/big"))
    assert (response.status, response.body) == (status, body)
    assert response.closes == leaves  # the relay's responses end their connection
    assert client.is_open() != leaves


def test_gunicorn_threads_are_spared_too(upstream: RawUpstream) -> None:
    later = Later(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
    upstream.respond(later)
    with serve({"routes": {"/p": upstream.url}}, "gunicorn-gthread", threads=2) as address:
        clients = [RawClient(address) for _ in range(10)]
        for client in clients:
            client.send(get("/p/slow"))
        upstream.wait_for_requests(10)
        with RawClient(address) as front:
            assert front.exchange(get("/front")).status == 200
        later.go.set()
        for client in clients:
            assert client.read_response().body == b"done"
            client.close()


def test_middleware_around_us_gets_503_beyond_the_share(upstream: RawUpstream) -> None:
    """Nothing may leave by the relay, so a reserve of threads is kept by refusing."""
    later = Later(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
    upstream.respond(later)
    inner = ProxyMiddleware(front, {"/p": Route(upstream.url)})

    def outer(environ: Any, start_response: Any) -> Any:
        return inner(environ, lambda *arguments: start_response(*arguments))

    with serve(outer, "waitress", threads=4) as address:
        clients = [RawClient(address) for _ in range(8)]
        for client in clients:
            client.send(get("/p/slow"))
        eventually(lambda: sum(not client.is_silent(0) for client in clients) == 5)
        refused = [client.read_response() for client in clients if not client.is_silent(0)]
        assert {response.status for response in refused} == {503}
        assert {response.headers.get("Retry-After") for response in refused} == {"1"}
        with RawClient(address) as client:
            assert client.exchange(get("/front")).body == b"front"
        later.go.set()
        served = [client for client in clients if client.last is None]
        for client in served:
            assert client.read_response().body == b"done"
        for client in clients:
            client.close()


def test_lent_start_response_is_for_event_streams_only(upstream: RawUpstream) -> None:
    """A theme passes events on as they are, but a late page has to be themed."""
    upstream.respond(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000))
    inner = ProxyMiddleware(front, {"/p": Route(upstream.url)})

    def outer(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("X-Outer", "yes")])

        environ["wsgiproxy.start_response"] = (start, start_response)
        return inner(environ, start)

    with serve(outer, "waitress") as address, RawClient(address) as client:
        response = client.exchange(get("/p/big"))
        assert response.headers.get("X-Outer") == "yes"
        assert len(response.body) == 3_000_000


def front(environ: Any, start_response: Any) -> Any:
    """The wrapped application."""
    start_response("200 OK", [("Content-Length", "5")])
    return [b"front"]
