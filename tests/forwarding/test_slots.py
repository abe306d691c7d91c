"""Slots: how many requests may hold a thread, how many tunnels may be open."""

from __future__ import annotations

import resource
import threading
from typing import Any

import pytest

from tests.support import RawUpstream, eventually, get
from wsgiproxy.errors import TooBusy
from wsgiproxy.forwarding import slots as bulkhead
from wsgiproxy.forwarding.slots import Bulkhead, Slots, default_tunnels, share_of
from wsgiproxy.servers.hijack import threads_of


def test_slots_run_out_and_come_back() -> None:
    slots = Slots(2)
    assert [slots.acquire() for _ in range(3)] == [True, True, False]
    slots.release()
    assert slots.acquire()
    assert slots.released == 1


def test_no_limit_gives_any_number_of_slots() -> None:
    slots = Slots(None)
    assert all(slots.acquire() for _ in range(1000))
    slots.release()
    assert slots.plenty


def test_no_place_is_given_twice() -> None:
    slots, held, most = Slots(3), [0], [0]
    lock = threading.Lock()

    def work() -> None:
        for _ in range(2000):
            if slots.acquire():
                with lock:
                    held[0] += 1
                    most[0] = max(most[0], held[0])
                with lock:
                    held[0] -= 1
                slots.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 3
    assert [slots.acquire() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("taken", "plenty"), [(0, True), (2, True), (3, False), (4, False)], ids=lambda v: str(v)
)
def test_half_of_the_slots_are_plenty(taken: int, plenty: bool) -> None:
    slots = Slots(4)
    for _ in range(taken):
        assert slots.acquire()
    assert slots.plenty is plenty


def test_full_bulkhead_waits_for_a_place() -> None:
    doors = Bulkhead(1, "guests")
    doors.enter()
    entered = threading.Event()
    thread = threading.Thread(target=lambda: (doors.enter(), entered.set()))
    thread.start()
    doors.release()
    assert entered.wait(15)
    thread.join()


def test_stalled_bulkhead_refuses_at_once_until_something_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulkhead, "QUEUE", 0.05)
    doors = Bulkhead(1, "guests")
    doors.enter()
    with pytest.raises(TooBusy) as busy:
        doors.enter()
    assert busy.value.retry_after == 1

    def fail(self: Bulkhead, seconds: float) -> bool:
        raise AssertionError("it waited")

    monkeypatch.setattr(Bulkhead, "wait", fail)
    with pytest.raises(TooBusy):
        doors.enter()
    doors.release()
    doors.enter()
    with pytest.raises(AssertionError):  # moving again, so worth a wait
        doors.enter()


@pytest.mark.parametrize(
    ("threads", "share"), [(1, 1), (2, 1), (4, 3), (8, 6), (16, 12), (100, 75)]
)
def test_share_leaves_a_reserve(threads: int, share: int) -> None:
    assert share_of(threads) == share


def test_threads_are_unknown_on_most_servers() -> None:
    assert threads_of({}, lambda *arguments: None) is None


def test_tunnels_fit_into_the_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, expected in ((1024, 256), (20, 16), (1 << 20, 10_000), (-1, 10_000)):
        monkeypatch.setattr(resource, "getrlimit", lambda what, limit=limit: (limit, limit))
        assert default_tunnels() == expected


def test_max_in_flight_refuses_what_cannot_leave(proxied: Any, upstream: RawUpstream) -> None:
    go = threading.Event()

    def answer(request: Any) -> bytes:
        assert go.wait(15)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    upstream.respond(answer)
    site = proxied(max_in_flight=1, modify_response=lambda *arguments: None)
    first = site.connect()
    first.send(get("/p/x"))
    upstream.wait_for_requests(1)
    second = site.get("/p/x")
    assert second.status == 503
    assert second.headers.get("Retry-After") == "1"
    go.set()
    assert first.read_response().status == 200
    eventually(lambda: site.get("/p/x").status == 200)


@pytest.mark.parametrize("fault", ["refused", "broken", "hook"])
def test_failed_requests_give_their_place_back(
    proxied: Any, upstream: RawUpstream, fault: str
) -> None:
    def hook(response: Any, request: Any) -> None:
        raise RuntimeError("a bug in a hook")

    hooks = {"modify_response": hook} if fault == "hook" else {"on_error": lambda *a: None}
    site = proxied(max_in_flight=1, **hooks)
    if fault == "broken":
        upstream.respond(b"nonsense\r\n\r\n")
    if fault == "refused":
        upstream.stop_listening()
    for _ in range(5):
        assert site.get("/p/x").status in (500, 502)


def test_client_that_leaves_in_the_middle_gives_the_place_back(
    proxied: Any, upstream: RawUpstream
) -> None:
    def handler(conn: Any) -> None:
        conn.read_request()
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            conn.send_chunk(bytes(100_000))

    upstream.script(handler)
    site = proxied(max_in_flight=1, modify_response=lambda *arguments: None)
    for _ in range(3):
        with site.connect() as client:
            client.send(get("/p/x"))
            assert client.read_response_head().status == 200
            client.read_exactly(200_000)
