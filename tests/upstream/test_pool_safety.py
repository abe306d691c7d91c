"""Connections to the upstream: no byte of one exchange ever reaches another one's client."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.support import Site, UpstreamConnection, eventually, get, message, post

Proxied = Callable[..., Site]


def reply(body: str, *headers: str) -> bytes:
    return message("HTTP/1.1 200 OK", [*headers, f"Content-Length: {len(body)}"], body.encode())


def echoing(first: Callable[[UpstreamConnection], None]) -> Callable[[UpstreamConnection], None]:
    """A script that does ``first`` for the first request and then answers with each target."""

    def handler(conn: UpstreamConnection) -> None:
        first(conn)
        while True:
            conn.send(reply(conn.read_request().target))

    return handler


def own(conn: UpstreamConnection) -> None:
    while True:
        conn.send(reply(conn.read_request().target))


# -- interim responses (the response queue poisoned) --------------------------------------------


@pytest.mark.parametrize("code", [100, 102, 103, 199])
@pytest.mark.parametrize("count", [1, 5, 30])
def test_final_answer_behind_interim_ones_is_the_one_delivered(
    proxied: Proxied, code: int, count: int
) -> None:
    go_on = threading.Event()

    def hinting(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(message(f"HTTP/1.1 {code} Wait", ["Link: </a>"]) * count)
        assert go_on.wait(10)
        conn.send(reply("FINAL"))

    site = proxied()
    site.upstream.script(echoing(hinting))
    client = site.connect()
    client.send(get("/p/first"))
    site.upstream.wait_for_requests()
    go_on.set()

    assert client.read_response().body == b"FINAL"
    assert site.get("/p/second").body == b"/second"
    assert site.get("/p/third").body == b"/third"


def test_interim_answer_that_is_followed_by_nothing_poisons_nobody(proxied: Proxied) -> None:
    late = threading.Event()

    def hinting(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(b"HTTP/1.1 103 Early\r\n\r\n")
        late.wait(10)
        conn.send(reply("LATE"))

    site = proxied(read_timeout=0.3)
    site.upstream.script(hinting, own)

    assert site.get("/p/first").status == 504
    late.set()
    assert site.get("/p/second").body == b"/second"


# -- more bytes than an answer has ------------------------------------------------------------

EXCESS = {
    "length-too-short": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloEVIL", b"hello"),
    "second-answer": (reply("first") + reply("EVIL"), b"first"),
    "no-content-with-body": (b"HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\nEVIL", b""),
    "no-content-and-bytes": (b"HTTP/1.1 204 No\r\n\r\nEVIL", b""),
    "not-modified-with-body": (b"HTTP/1.1 304 No\r\nContent-Length: 4\r\n\r\nEVIL", b""),
    "behind-last-chunk": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" + reply("EVIL"),
        b"a",
    ),
    "length-and-chunks": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\na\r\n0\r\n\r\n",
        b"a",
    ),
    "empty-and-bytes": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nEVIL", b""),
}


@pytest.mark.parametrize("case", EXCESS)
@pytest.mark.parametrize("late", [False, True], ids=["at-once", "late"])
def test_excess_bytes_never_reach_the_next_client(proxied: Proxied, case: str, late: bool) -> None:
    raw, body = EXCESS[case]
    rest = threading.Event()
    sent = threading.Event()

    def handler(conn: UpstreamConnection) -> None:
        conn.read_request()
        cut = raw.index(b"EVIL") if late and b"EVIL" in raw else len(raw)
        conn.send(raw[:cut])
        rest.wait(10)
        conn.send(raw[cut:])
        sent.set()
        while True:
            conn.send(reply("EVIL " + conn.read_request().target))

    site = proxied()
    site.upstream.script(handler, own)
    if not late:
        rest.set()
    first = site.get("/p/first")
    rest.set()
    assert sent.wait(10)

    assert first.body == body
    eventually(lambda: site.get("/p/x").status)
    assert site.get("/p/second").body == b"/second"
    assert b"EVIL" not in first.body


@pytest.mark.parametrize("excess", [b"EVIL", reply("EVIL")], ids=["bytes", "answer"])
def test_body_of_a_head_answer_poisons_nobody(proxied: Proxied, excess: bytes) -> None:
    def handler(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + excess)
        own(conn)

    site = proxied()
    site.upstream.script(handler, own)

    assert site.get("/p/first", method="HEAD").status == 200
    assert site.get("/p/second").body == b"/second"


def test_answer_that_came_before_its_request_is_not_believed(proxied: Proxied) -> None:
    ready, sent = threading.Event(), threading.Event()

    def hasty(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(reply("first"))
        assert ready.wait(10)
        conn.send(reply("EVIL"))  # nobody has asked for this one
        sent.set()
        conn.wait_closed()

    site = proxied()
    site.upstream.script(hasty, own)
    assert site.get("/p/first").body == b"first"
    ready.set()
    assert sent.wait(10)

    # The bytes are there before the next request: the idle connection is known to be poisoned.
    assert site.get("/p/third").body == b"/third"
    eventually(site.upstream.connections[0].finished.is_set)


@pytest.mark.parametrize(
    "headers",
    [
        "Connection: close",
        "Connection: Close",
        "Connection: foo, close",
        "Proxy-Connection: close\r\nConnection: close",
    ],
)
def test_connection_that_the_upstream_closes_is_not_used_again(
    proxied: Proxied, headers: str
) -> None:
    def handler(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(reply("first", headers))
        conn.send(reply("EVIL")) if conn.wait_closed() else None

    site = proxied()
    site.upstream.script(handler, own)

    assert site.get("/p/first").body == b"first"
    assert site.get("/p/second").body == b"/second"
    assert [request.connection for request in site.upstream.requests] == [0, 1]


def test_http_1_0_connection_is_not_used_again(proxied: Proxied) -> None:
    def handler(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(reply("first").replace(b"HTTP/1.1", b"HTTP/1.0"))
        conn.wait_closed()

    site = proxied()
    site.upstream.script(handler, own)

    assert site.get("/p/first").body == b"first"
    assert site.get("/p/second").body == b"/second"


# -- stale connections ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_safe_request_on_a_stale_connection_is_sent_once_more(
    proxied: Proxied, method: str
) -> None:
    def hang_up(conn: UpstreamConnection) -> None:
        conn.send(reply(conn.read_request().target))
        conn.read_request()  # and closes without an answer

    site = proxied()
    site.upstream.script(hang_up, own)
    site.get("/p/first")

    assert site.get("/p/second", method=method).status == 200
    assert [r.target for r in site.upstream.requests] == ["/first", "/second", "/second"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_idempotent_request_whose_body_is_at_hand_is_sent_once_more(
    proxied: Proxied, method: str
) -> None:
    def hang_up(conn: UpstreamConnection) -> None:
        conn.send(reply(conn.read_request().target))
        conn.read_request()

    site = proxied()
    site.upstream.script(hang_up, own)
    site.get("/p/first")

    assert site.exchange(post("/p/second", b"body", method=method)).status == 200
    assert [r.target for r in site.upstream.requests] == ["/first", "/second", "/second"]


@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK"])
def test_unsafe_request_on_a_stale_connection_is_not_repeated(
    proxied: Proxied, method: str
) -> None:
    def hang_up(conn: UpstreamConnection) -> None:
        conn.send(reply(conn.read_request().target))
        conn.read_request()

    site = proxied()
    site.upstream.script(hang_up, own)
    site.get("/p/first")

    assert site.exchange(post("/p/second", b"", method=method)).status == 502
    assert [r.target for r in site.upstream.requests] == ["/first", "/second"]


def test_request_on_a_new_connection_is_not_repeated(proxied: Proxied) -> None:
    site = proxied()
    site.upstream.script(lambda conn: conn.read_request())

    assert site.get("/p/x").status == 502
    assert len(site.upstream.requests) == 1


def test_request_whose_answer_had_begun_is_not_repeated(proxied: Proxied) -> None:
    def begin(conn: UpstreamConnection) -> None:
        conn.send(reply(conn.read_request().target))
        conn.read_request()
        conn.send(b"HTTP/1.1 2")

    site = proxied()
    site.upstream.script(begin, own)
    site.get("/p/first")

    assert site.get("/p/second").status == 502
    assert len(site.upstream.requests) == 2


def test_connection_that_was_closed_while_idle_is_replaced(proxied: Proxied) -> None:
    def once(conn: UpstreamConnection) -> None:
        conn.send(reply(conn.read_request().target))

    site = proxied()
    site.upstream.script(once)
    for number in range(5):
        assert site.exchange(post(f"/p/{number}", b"x")).body == f"/{number}".encode()
        assert site.upstream.connections[-1].finished.wait(10)


# -- many at once -------------------------------------------------------------------------------


def test_concurrent_clients_get_their_own_answers(proxied: Proxied) -> None:
    site = proxied(server_options={"threads": 16})
    site.upstream.script(own)
    wrong: list[object] = []

    def ask(number: int) -> None:
        client = site.connect()
        for turn in range(20):
            target = f"/{number}/{turn}"
            response = client.exchange(get("/p" + target))
            if response.body != target.encode():
                wrong.append(response)
            if response.closes:  # a slow answer came by the relay
                client = site.connect()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
    assert len(site.upstream.connections) <= 16


def test_same_url_for_two_users_is_asked_for_twice(proxied: Proxied) -> None:
    site = proxied()
    site.upstream.respond(
        lambda request: reply(request.headers.get("Cookie") or "", "Cache-Control: public")
    )

    assert site.get("/p/x", "Cookie: u=1").body == b"u=1"
    assert site.get("/p/x", "Cookie: u=2").body == b"u=2"
    assert site.get("/p/x").body == b""


NTLM = "TlRMTVNTUAAB"


@pytest.mark.parametrize(
    ("request_bytes", "connections"),
    [
        (get("/p/x", f"Authorization: NTLM {NTLM}"), 2),
        (get("/p/x", f"Authorization: negotiate {NTLM}"), 2),
        (get("/p/x", "Authorization: Basic NTLM"), 1),
        (get("/p/x"), 1),
        (post("/p/x", b"body", method="GET"), 2),  # servers differ on whether they read it
        (post("/p/x", b"body", method="POST"), 1),
    ],
    ids=["ntlm", "negotiate", "basic", "plain", "get-with-body", "post"],
)
def test_connection_that_is_one_clients_own_is_not_used_again(
    proxied: Proxied, request_bytes: bytes, connections: int
) -> None:
    site = proxied()

    assert site.exchange(request_bytes).body == b"ok"
    assert site.get("/p/y").body == b"ok"

    assert len(site.upstream.connections) == connections


@pytest.mark.parametrize(
    ("challenge", "connections"),
    [("NTLM", 2), ("Basic realm=a, Negotiate", 2), ('Basic realm="NTLM"', 1)],
)
def test_connection_that_is_asked_to_belong_to_a_client_is_not_used_again(
    proxied: Proxied, challenge: str, connections: int
) -> None:
    site = proxied()
    head = ["Content-Length: 0", f"WWW-Authenticate: {challenge}"]
    site.upstream.respond(message("HTTP/1.1 401 Who", head))

    assert [site.get("/p/x").status for _ in range(2)] == [401, 401]

    assert len(site.upstream.connections) == connections
