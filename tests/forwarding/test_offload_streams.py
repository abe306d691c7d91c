"""Responses that go on: event streams that hold no worker thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import RawClient, RawUpstream, Site, eventually, get, serve
from tests.support.tunnels import SERVERS, descriptors, log_of
from wsgiproxy.errors import ClientGone, HijackRefused
from wsgiproxy.relay import relay
from wsgiproxy.relay.pair import MAX_CHATTER
from wsgiproxy.servers.waitress import WaitressHijacker

Proxied = Callable[..., Site]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
OPEN = HEAD + b"Connection: close\r\n\r\n"


class Script:
    """An upstream handler whose steps the test commands."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.conns: list[Any] = []
        self.release = threading.Event()

    def __call__(self, conn: Any) -> None:
        conn.read_request()
        conn.send(self.head)
        self.conns.append(conn)
        # Ends when the proxy closes, or when the test has ended the connection itself.
        conn.read_to_end()

    def conn(self) -> Any:
        """The one connection, once it is there."""
        self.wait_for(1)
        return self.conns[0]

    def wait_for(self, count: int) -> None:
        """Wait until so many connections have come."""
        eventually(lambda: len(self.conns) >= count)


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def streaming(upstream: RawUpstream) -> Script:
    script = Script(CHUNKED)
    upstream.script(script)
    return script


def read_chunk(client: RawClient) -> bytes:
    """One chunk of a chunked body."""
    size = int(client.read_until(b"\r\n"), 16)
    data = client.read_exactly(size)
    assert client.read_exactly(2) == b"\r\n"
    return data


def test_events_arrive_one_by_one_and_the_end_is_told(
    server: str, upstream: RawUpstream, streaming: Script
) -> None:
    with serve({"routes": {"/p": upstream.url}}, server) as address:
        with RawClient(address) as client:
            client.send(get("/p/events"))
            response = client.read_response_head()
            assert response.status == 200
            assert response.headers.get("Content-Type") == "text/event-stream; charset=utf-8"
            assert response.headers.get("Transfer-Encoding") == "chunked"
            assert response.closes
            for event in (b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n" * 1000):
                streaming.conn().send_chunk(event)
                received = b""
                while len(received) < len(event):
                    received += read_chunk(client)
                assert received == event
            streaming.conn().send_chunk(b"")
            assert client.read_until(b"\r\n") == b"0\r\n"
            assert client.read_until(b"\r\n") == b"\r\n"
            assert client.read_to_end() == b""
            assert client.ended == "eof"
        assert log_of(address) == ""


def test_client_that_leaves_is_noticed_though_the_upstream_is_silent(
    server: str, upstream: RawUpstream, streaming: Script
) -> None:
    with serve({"routes": {"/p": upstream.url}}, server) as address:
        with RawClient(address) as client:
            client.send(get("/p/events"))
            assert client.read_response_head().status == 200
        assert streaming.conn().finished.wait(15)


@pytest.mark.parametrize(
    "bad",
    [b"5\r\nab", b"xyz\r\n", b"1\r\nab\r\n", b""],
    ids=["cut-chunk", "no-size", "long-chunk", "no-end"],
)
def test_upstream_that_breaks_off_is_no_whole_response(
    proxied: Proxied, upstream: RawUpstream, streaming: Script, bad: bytes
) -> None:
    client = proxied().connect()
    client.send(get("/p/events"))
    assert client.read_response_head().status == 200
    conn = streaming.conn()
    conn.send_chunk(b"data: 1\n\n")
    assert read_chunk(client) == b"data: 1\n\n"
    conn.send(bad)
    with contextlib.suppress(OSError):  # the proxy may have hung up already
        conn.half_close()
    rest = client.read_to_end()
    assert not rest.endswith(b"0\r\n\r\n")


def test_upstream_that_resets_is_no_whole_response(proxied: Proxied, upstream: RawUpstream) -> None:
    started = threading.Event()

    def handler(conn: Any) -> None:
        conn.read_request()
        conn.send(CHUNKED)
        assert started.wait(15)
        conn.reset()

    upstream.script(handler)
    client = proxied().connect()
    client.send(get("/p/events"))
    assert client.read_response_head().status == 200
    started.set()
    assert client.read_to_end() == b""


def test_body_up_to_the_end_of_the_connection_becomes_chunks(
    proxied: Proxied, upstream: RawUpstream
) -> None:
    script = Script(OPEN)
    upstream.script(script)
    client = proxied().connect()
    client.send(get("/p/events"))
    assert client.read_response_head().headers.get("Transfer-Encoding") == "chunked"
    script.conn().send(b"data: 1\n\n")
    assert read_chunk(client) == b"data: 1\n\n"
    script.conn().half_close()
    assert client.read_until(b"\r\n\r\n") == b"0\r\n\r\n"


def test_http_1_0_client_gets_no_chunks(
    proxied: Proxied, upstream: RawUpstream, streaming: Script
) -> None:
    client = proxied().connect()
    client.send(b"GET /p/events HTTP/1.0\r\nHost: front\r\n\r\n")
    assert client.read_response_head().headers.get("Transfer-Encoding") is None
    streaming.conn().send_chunk(b"data: 1\n\n")
    assert client.read_exactly(9) == b"data: 1\n\n"
    streaming.conn().send_chunk(b"")
    assert client.read_to_end() == b""
    assert client.ended == "eof"


def test_http_1_0_client_of_a_broken_stream_gets_a_reset(
    proxied: Proxied, upstream: RawUpstream, streaming: Script
) -> None:
    client = proxied().connect()
    client.send(b"GET /p/events HTTP/1.0\r\nHost: front\r\n\r\n")
    client.read_response_head()
    streaming.conn().send_chunk(b"data: 1\n\n")
    assert client.read_exactly(9) == b"data: 1\n\n"
    streaming.conn().half_close()
    assert client.read_to_end() == b""
    assert client.ended == "reset"


def test_stream_of_another_type_goes_by_option(proxied: Proxied, upstream: RawUpstream) -> None:
    script = Script(CHUNKED.replace(b"text/event-stream; charset=utf-8", b"application/x-ndjson"))
    upstream.script(script)
    clients = []
    site = proxied(stream_types=("application/x-ndjson",), server_options={"threads": 1})
    for _ in range(3):
        client = site.connect()
        client.send(get("/p/lines"))
        assert client.read_response_head().status == 200
        clients.append(client)
    assert site.get("/front").status == 200


def test_event_with_the_head_is_not_lost(proxied: Proxied, upstream: RawUpstream) -> None:
    script = Script(CHUNKED + b"9\r\ndata: 1\n\n\r\n")
    upstream.script(script)
    client = proxied().connect()
    client.send(get("/p/events"))
    client.read_response_head()
    assert read_chunk(client) == b"data: 1\n\n"


def test_hook_may_change_the_headers_of_a_stream(
    proxied: Proxied, upstream: RawUpstream, streaming: Script
) -> None:
    def modify(response: Any, request: Any) -> None:
        response.headers["X-Seen"] = "yes"

    site = proxied(modify_response=modify, server_options={"threads": 1})
    clients = [site.connect() for _ in range(3)]
    for client in clients:
        client.send(get("/p/events"))
        assert client.read_response_head().headers.get("X-Seen") == "yes"


def test_middleware_around_us_still_sees_the_stream(upstream: RawUpstream) -> None:
    """What wraps us may add headers, so the stream takes the ordinary way."""
    from wsgiproxy import ProxyMiddleware

    script = Script(CHUNKED)
    upstream.script(script)
    inner = ProxyMiddleware(lambda *args: [], {"/p": upstream.url})

    def outer(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("X-Outer", "yes")])

        return inner(environ, start)

    with serve(outer, "waitress") as address, RawClient(address) as client:
        client.send(get("/p/events"))
        script.conn().send_chunk(b"data: 1\n\n")
        assert client.read_response_head().headers.get("X-Outer") == "yes"
        assert read_chunk(client) == b"data: 1\n\n"
        script.conn().send_chunk(b"")
        assert client.read_until(b"\r\n\r\n") == b"0\r\n\r\n"


def test_middleware_that_lends_start_response_does_not_cost_the_thread(
    upstream: RawUpstream,
) -> None:
    from wsgiproxy import ProxyMiddleware

    upstream.script(Script(CHUNKED))
    inner = ProxyMiddleware(lambda *args: [], {"/p": upstream.url})

    def outer(environ: Any, start_response: Any) -> Any:
        def start(*arguments: Any) -> Any:
            return start_response(*arguments)

        environ["wsgiproxy.start_response"] = (start, start_response)
        return inner(environ, start)

    with serve(outer, "waitress", threads=1) as address:
        clients = [RawClient(address) for _ in range(3)]
        for client in clients:
            client.send(get("/p/events"))
            assert client.read_response_head().status == 200
        for client in clients:
            client.close()


def test_middleware_behind_the_one_that_lends_still_sees_the_stream(
    upstream: RawUpstream,
) -> None:
    from wsgiproxy import ProxyMiddleware

    upstream.respond(CHUNKED + b"2\r\nhi\r\n0\r\n\r\n")
    proxy = ProxyMiddleware(lambda *args: [], {"/p": upstream.url})

    def session(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("Set-Cookie", "session=1")])

        return proxy(environ, start)

    def theme(environ: Any, start_response: Any) -> Any:
        def start(*arguments: Any) -> Any:
            return start_response(*arguments)

        environ["wsgiproxy.start_response"] = (start, start_response)
        return session(environ, start)

    with serve(theme, "waitress") as address, RawClient(address) as client:
        response = client.exchange(get("/p/events"))
        assert response.headers.get("Set-Cookie") == "session=1"
        assert response.body == b"hi"


def test_slow_client_bounds_what_is_read_from_the_upstream(
    proxied: Proxied, upstream: RawUpstream, streaming: Script
) -> None:
    client = proxied().connect()
    client.send(get("/p/events"))
    client.read_response_head()
    conn = streaming.conn()
    conn.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        conn.send_chunk(bytes(1 << 25))


def test_idle_stream_ends_and_is_not_whole(
    proxied: Proxied, upstream: RawUpstream, streaming: Script
) -> None:
    client = proxied(idle_timeout=0.2).connect()
    client.send(get("/p/events"))
    client.read_response_head()
    streaming.conn().send_chunk(b"data: 1\n\n")
    assert read_chunk(client) == b"data: 1\n\n"
    assert client.read_to_end() == b""
    assert streaming.conn().finished.wait(15)


def test_client_that_stops_reading_is_given_up(
    proxied: Proxied, upstream: RawUpstream, streaming: Script
) -> None:
    client = proxied(write_timeout=0.3).connect()
    client.send(get("/p/events"))
    client.read_response_head()
    conn = streaming.conn()
    with pytest.raises(OSError):  # noqa: PT011 - reset, or closed by then
        conn.send_chunk(bytes(1 << 26))


@pytest.mark.parametrize("error", [HijackRefused, ClientGone])
def test_connection_that_cannot_be_had_streams_in_its_worker(
    proxied: Proxied, upstream: RawUpstream, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    def refuse(*arguments: Any, **options: Any) -> Any:
        raise error("not now")

    monkeypatch.setattr(WaitressHijacker, "hijack", refuse)
    two = b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"
    upstream.respond(CHUNKED + two)
    site = proxied(max_tunnels=1)
    for _ in range(2):
        assert site.get("/p/events").body == b"data: 1\n\ndata: 2\n\n"


def test_full_relay_leaves_the_stream_with_its_worker(
    proxied: Proxied, upstream: RawUpstream, streaming: Script
) -> None:
    site = proxied(max_tunnels=1)
    clients = [site.connect() for _ in range(2)]
    for number, client in enumerate(clients):
        client.send(get("/p/events"))
        streaming.wait_for(number + 1)
        # A server sends the head with the first piece of the body.
        streaming.conns[number].send_chunk(b"data: 1\n\n")
        assert client.read_response_head().status == 200
        assert read_chunk(client) == b"data: 1\n\n"
        assert relay.counts()["streams"] == 1
    for conn, client in zip(streaming.conns, clients, strict=True):
        conn.send_chunk(b"")
        assert client.read_until(b"\r\n\r\n") == b"0\r\n\r\n"


def test_second_request_on_a_streaming_connection_is_not_served(
    proxied: Proxied, upstream: RawUpstream, streaming: Script
) -> None:
    client = proxied().connect()
    client.send(get("/p/events"))
    client.read_response_head()
    client.send(get("/p/second"))
    streaming.conn().send_chunk(b"data: 1\n\n")
    assert read_chunk(client) == b"data: 1\n\n"
    streaming.conn().send_chunk(b"")
    assert client.read_until(b"\r\n\r\n") == b"0\r\n\r\n"
    assert client.read_to_end() == b""
    assert [request.target for request in upstream.requests] == ["/events"]


def test_client_that_talks_on_and_on_during_a_stream_is_cut_off(
    proxied: Proxied, upstream: RawUpstream, streaming: Script
) -> None:
    client = proxied().connect()
    client.send(get("/p/events"))
    client.read_response_head()
    client.send(bytes(MAX_CHATTER // 2))
    streaming.conn().send_chunk(b"data: 1\n\n")
    assert read_chunk(client) == b"data: 1\n\n"
    assert not streaming.conn().finished.is_set()
    with contextlib.suppress(OSError):  # cut off before all is sent
        client.send(bytes(MAX_CHATTER))
    assert streaming.conn().finished.wait(15)
    assert not client.read_to_end().endswith(b"0\r\n\r\n")


def test_finished_upstream_connection_goes_back_to_the_pool(
    proxied: Proxied, upstream: RawUpstream
) -> None:
    def handler(conn: Any) -> None:
        while True:
            conn.read_request()
            conn.send(CHUNKED)
            conn.send_chunk(b"data: 1\n\n")
            conn.send_chunk(b"")

    upstream.script(handler)
    site = proxied()
    for _ in range(3):
        assert site.get("/p/events").body == b"data: 1\n\n"
        eventually(lambda: relay.counts()["streams"] == 0)
    assert len(upstream.connections) == 1


def test_tls_upstream_streams_too(
    proxied: Proxied, tls_upstream: RawUpstream, ca_file: str
) -> None:
    script = Script(CHUNKED + b"2\r\nhi\r\n")
    tls_upstream.script(script)
    site = proxied(routes={"/p": {"url": tls_upstream.url, "ca": ca_file}})
    client = site.connect()
    client.send(get("/p/events"))
    client.read_response_head()
    assert read_chunk(client) == b"hi"
    data = b"data: secret\n\n" * 50_000
    sender = threading.Thread(target=script.conn().send_chunk, args=(data,))
    sender.start()
    received = b""
    while len(received) < len(data):
        received += read_chunk(client)
    assert received == data
    sender.join()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_many_abandoned_streams_leave_nothing_behind(
    proxied: Proxied, upstream: RawUpstream, how: str
) -> None:
    upstream.script(Script(CHUNKED))
    site = proxied(server_options={"threads": 4, "connection_limit": 1000})
    eventually(lambda: relay.counts()["streams"] == 0)
    before = descriptors()
    for _ in range(3):
        clients = [RawClient(site.address) for _ in range(50)]
        for client in clients:
            client.send(get("/p/events"))
        for client in clients:
            assert client.read_response_head().status == 200
            getattr(client, how)()
    # The relay's own three, should this be the first test to use it.
    eventually(lambda: descriptors() <= before + 3, what=f"{before} descriptors")
    eventually(lambda: relay.counts()["streams"] == 0)


def test_three_hundred_streams_with_four_threads(proxied: Proxied, upstream: RawUpstream) -> None:
    script = Script(CHUNKED)
    upstream.script(script)
    site = proxied(server_options={"threads": 4, "connection_limit": 1000})
    clients = [site.connect() for _ in range(300)]
    for client in clients:
        client.send(get("/p/events"))
    for client in clients:
        assert client.read_response_head().status == 200
    assert site.get("/front").body == b"front GET /front 0"
    eventually(lambda: len(script.conns) == 300)
    for conn in script.conns:
        conn.send_chunk(b"data: all\n\n")
    for client in clients:
        assert read_chunk(client) == b"data: all\n\n"
    assert site.get("/front").status == 200
