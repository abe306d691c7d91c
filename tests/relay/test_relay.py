"""The relay by itself: two sockets, and what happens to the bytes between them."""

from __future__ import annotations

import gc
import multiprocessing
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import eventually
from tests.support.tunnels import descriptors, echo_bytes, read_exactly, server_context, tcp_pair
from wsgiproxy.errors import ClientGone, ExchangeError, UpstreamBroken, UpstreamTimeout
from wsgiproxy.relay import Endpoint, Relay, Tunnel
from wsgiproxy.relay.pair import MAX_CHATTER, LingeringClose

ROOT = Path(__file__).parents[2]


class Wired:
    """A tunnel with both far ends in the test's hands."""

    def __init__(self, relay: Relay, timeout: float | None = 60.0, **owed: bytes) -> None:
        self.client, near_client = tcp_pair()
        self.upstream, near_upstream = tcp_pair()
        self.errors: list[ExchangeError | None] = []
        self.ended = threading.Event()
        self.job = Tunnel(
            Endpoint(near_client, owed.get("to_client", b"")),
            Endpoint(near_upstream, owed.get("to_upstream", b"")),
            timeout,
            self._on_end,
        )
        relay.submit(self.job)

    def _on_end(self, pair: Any, error: ExchangeError | None) -> None:
        self.errors.append(error)
        self.ended.set()

    def close(self) -> None:
        self.client.close()
        self.upstream.close()


@pytest.fixture
def relay() -> Iterator[Relay]:
    relay = Relay()
    yield relay
    relay.close()


@pytest.fixture
def wired(relay: Relay) -> Iterator[Wired]:
    wired = Wired(relay)
    yield wired
    wired.close()


def reset(sock: socket.socket) -> None:
    """Close with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_bytes_pass_both_ways(wired: Wired) -> None:
    wired.client.sendall(b"question")
    assert wired.upstream.recv(100) == b"question"
    wired.upstream.sendall(b"answer")
    assert wired.client.recv(100) == b"answer"


def test_owed_bytes_go_first(relay: Relay) -> None:
    wired = Wired(relay, to_client=b"head;", to_upstream=b"early;")
    wired.client.sendall(b"later")
    wired.upstream.sendall(b"body")
    assert read_exactly(wired.client, 9) == b"head;body"
    assert read_exactly(wired.upstream, 11) == b"early;later"
    wired.close()


@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 3_000_000])
def test_every_byte_arrives_in_order(wired: Wired, size: int) -> None:
    data = os.urandom(size)
    sender = threading.Thread(target=wired.client.sendall, args=(data,))
    sender.start()
    assert read_exactly(wired.upstream, size) == data
    sender.join()


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_half_close_is_passed_on_and_the_other_half_goes_on(wired: Wired, first: str) -> None:
    one, other = wired.client, wired.upstream
    if first == "upstream":
        one, other = other, one
    one.sendall(b"all I have")
    one.shutdown(socket.SHUT_WR)
    assert read_exactly(other, 1000) == b"all I have"
    other.sendall(b"x" * 100_000)
    assert len(read_exactly(one, 100_000)) == 100_000
    other.close()
    assert one.recv(1) == b""
    assert wired.ended.wait(15)
    assert wired.errors == [None]


@pytest.mark.parametrize(
    ("who", "kind"), [("client", ClientGone), ("upstream", UpstreamBroken)], ids=lambda v: str(v)
)
def test_reset_of_one_side_ends_the_other(wired: Wired, who: str, kind: type) -> None:
    one, other = wired.client, wired.upstream
    if who == "upstream":
        one, other = other, one
    one.sendall(b"last words")
    assert read_exactly(other, 10) == b"last words"
    reset(one)
    assert other.recv(1) == b""
    assert wired.ended.wait(15)
    assert [type(error) for error in wired.errors] == [kind]


def test_slow_reader_stops_the_sender(wired: Wired) -> None:
    """Backpressure: what nobody reads is not taken from the sender either."""
    for sender, end in ((wired.upstream, wired.job.client), (wired.client, wired.job.upstream)):
        sender.settimeout(0.3)
        with pytest.raises(TimeoutError):
            # More than the buffers of the system and ours can hold together.
            sender.sendall(bytes(1 << 25))
        assert len(end.owed) <= 2 * 65536


def test_slow_reader_gets_all_in_the_end(wired: Wired) -> None:
    size = 8_000_000
    sender = threading.Thread(target=wired.upstream.sendall, args=(b"y" * size,))
    sender.start()
    eventually(lambda: not wired.job.client.has_room())
    assert read_exactly(wired.client, size) == b"y" * size
    sender.join()


def test_idle_tunnel_ends(relay: Relay) -> None:
    wired = Wired(relay, timeout=0.1)
    assert wired.client.recv(1) == b""
    assert wired.upstream.recv(1) == b""
    assert wired.ended.wait(15)
    assert [type(error) for error in wired.errors] == [UpstreamTimeout]
    wired.close()


def test_busy_tunnel_does_not_count_as_idle(relay: Relay) -> None:
    wired = Wired(relay, timeout=0.5)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        wired.client.sendall(b"x")
        assert wired.upstream.recv(10)
        time.sleep(0.02)
    assert wired.errors == []
    wired.close()


def test_half_closed_tunnel_ends_sooner(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsgiproxy.relay.tunnel.HALF_CLOSED", 0.1)
    wired = Wired(relay, timeout=3600)
    wired.client.close()
    assert wired.ended.wait(15)
    assert wired.upstream.recv(1) == b""
    wired.close()


def test_last_bytes_reach_a_client_that_sends_on_but_not_for_ever(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsgiproxy.relay.pair.LINGERING", 3600.0)
    far, near = tcp_pair()
    job = LingeringClose(Endpoint(near, b"last words"))
    relay.submit(job)
    far.sendall(bytes(MAX_CHATTER))
    assert read_exactly(far, 100) == b"last words"
    assert not job.end.is_closed
    far.sendall(b"!")
    eventually(lambda: job.end.is_closed)
    far.close()


def test_counts_tell_what_is_open(relay: Relay) -> None:
    assert relay.counts() == {"tunnels": 0, "streams": 0}
    wired = Wired(relay)
    eventually(lambda: relay.counts() == {"tunnels": 1, "streams": 0})
    wired.close()
    eventually(lambda: relay.counts() == {"tunnels": 0, "streams": 0})


def test_close_ends_every_tunnel_in_order_and_is_quick(relay: Relay) -> None:
    tunnels = [Wired(relay) for _ in range(20)]
    tunnels[0].client.sendall(b"x")
    assert tunnels[0].upstream.recv(1) == b"x"
    eventually(lambda: relay.counts()["tunnels"] == 20)
    start = time.monotonic()
    relay.close()
    assert time.monotonic() - start < 5
    for wired in tunnels:
        assert wired.client.recv(1) == b""
        assert wired.upstream.recv(1) == b""
        wired.close()


def test_relay_starts_again_after_close(relay: Relay) -> None:
    Wired(relay).close()
    relay.close()
    wired = Wired(relay)
    wired.client.sendall(b"again")
    assert wired.upstream.recv(10) == b"again"
    wired.close()


def test_hold_returns_when_the_tunnel_has_ended() -> None:
    relay = Relay()
    client, near_client = tcp_pair()
    upstream, near_upstream = tcp_pair()
    threading.Thread(target=echo_bytes, args=(upstream,), daemon=True).start()
    job = Tunnel(Endpoint(near_client, b"hi;"), Endpoint(near_upstream), 60.0, None)
    holder = threading.Thread(target=relay.hold, args=(job,))
    holder.start()
    client.sendall(b"echo")
    assert read_exactly(client, 7) == b"hi;echo"
    assert holder.is_alive()
    client.close()
    holder.join(15)
    assert not holder.is_alive()


def test_failing_callback_does_not_stop_the_others(
    relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: Any) -> None:
        raise RuntimeError("a bug")

    bad = Wired(relay)
    bad.job._on_end = fail
    good = Wired(relay)
    bad.close()
    eventually(lambda: "a relayed connection failed" in caplog.text)
    good.client.sendall(b"fine")
    assert good.upstream.recv(10) == b"fine"
    good.close()


# -- TLS upstreams ---------------------------------------------------------------------


@pytest.fixture
def secure(relay: Relay, authority: Any, ca_file: str) -> Iterator[Wired]:
    """The same with TLS on the upstream's side."""
    wired = Wired.__new__(Wired)
    wired.client, near_client = tcp_pair()
    raw_far, raw_near = tcp_pair()
    accepted: list[ssl.SSLSocket] = []
    context = server_context(authority, "localhost")
    accept = threading.Thread(
        target=lambda: accepted.append(context.wrap_socket(raw_far, server_side=True))
    )
    accept.start()
    trusting = ssl.create_default_context(cafile=ca_file)
    near_upstream = trusting.wrap_socket(raw_near, server_hostname="localhost")
    accept.join()
    wired.upstream = accepted[0]
    wired.errors, wired.ended = [], threading.Event()
    wired.job = Tunnel(Endpoint(near_client), Endpoint(near_upstream), 60.0, wired._on_end)
    relay.submit(wired.job)
    yield wired
    wired.close()


@pytest.mark.parametrize("size", [1, 16384, 16385, 1_000_000])
def test_tls_upstream_gets_and_gives_every_byte(secure: Wired, size: int) -> None:
    data = os.urandom(size)
    for source, sink in ((secure.client, secure.upstream), (secure.upstream, secure.client)):
        sender = threading.Thread(target=source.sendall, args=(data,))
        sender.start()
        assert read_exactly(sink, size) == data
        sender.join()


def test_tls_upstream_that_closes_ends_the_client(secure: Wired) -> None:
    secure.upstream.sendall(b"bye")
    secure.upstream.close()
    assert read_exactly(secure.client, 10) == b"bye"
    secure.client.close()
    assert secure.ended.wait(15)


def test_client_that_leaves_says_close_notify_to_a_tls_upstream(secure: Wired) -> None:
    secure.client.sendall(b"all")
    secure.client.shutdown(socket.SHUT_WR)
    assert read_exactly(secure.upstream, 10) == b"all"
    eventually(lambda: secure.job.upstream.is_shut)
    secure.upstream.sendall(b"still open")
    assert read_exactly(secure.client, 10) == b"still open"


def test_slow_client_of_a_tls_upstream_gets_all(secure: Wired) -> None:
    size = 8_000_000
    sender = threading.Thread(target=secure.upstream.sendall, args=(b"z" * size,))
    sender.start()
    eventually(lambda: not secure.job.client.has_room())
    assert read_exactly(secure.client, size) == b"z" * size
    sender.join()


# -- processes ---------------------------------------------------------------------------


def test_forked_child_lets_go_of_the_parents_tunnels(relay: Relay) -> None:
    """A child that lives on must not keep the connections of its parent open."""
    os.register_at_fork(after_in_child=relay.after_fork)
    wired = Wired(relay)
    wired.client.sendall(b"x")
    assert wired.upstream.recv(1) == b"x"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Our ends are closed here by the hook; the test's own must go as well.
        wired.close()
        os.read(reader, 1)
        os._exit(0)
    try:
        wired.client.sendall(b"y")
        assert wired.upstream.recv(1) == b"y"
        wired.client.close()
        assert wired.upstream.recv(1) == b""
    finally:
        os.write(writer, b"!")
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
        wired.close()


def test_forked_child_can_relay_itself(relay: Relay) -> None:
    os.register_at_fork(after_in_child=relay.after_fork)
    Wired(relay).close()

    def child(pipe: Any) -> None:
        wired = Wired(relay)
        wired.client.sendall(b"in the child")
        pipe.send(wired.upstream.recv(100))

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs,))
    process.start()
    try:
        assert ours.poll(15)
        assert ours.recv() == b"in the child"
    finally:
        process.join(15)
        ours.close()
        theirs.close()


def test_process_with_open_tunnels_exits_quickly() -> None:
    script = (
        "import socket\n"
        "from wsgiproxy.relay import Endpoint, Tunnel, relay\n"
        "a, b = socket.socketpair(); c, d = socket.socketpair()\n"
        "relay.submit(Tunnel(Endpoint(b), Endpoint(c), 60, None))\n"
        "a.sendall(b'x'); assert d.recv(1) == b'x'\n"
        "print('open', flush=True)\n"
    )
    start = time.monotonic()
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"open\n", b"")
    assert time.monotonic() - start < 15


# -- nothing leaks -------------------------------------------------------------------------


def test_a_thousand_tunnels_leave_nothing_behind(relay: Relay) -> None:
    """Ended in every ugly way, in turn; descriptors and threads are as before."""
    Wired(relay).close()  # the thread and its own descriptors
    eventually(lambda: relay.counts()["tunnels"] == 0)
    gc.collect()
    before, threads = descriptors(), threading.active_count()
    for _ in range(10):
        tunnels = [Wired(relay) for _ in range(100)]
        for number, wired in enumerate(tunnels):
            UGLY[number % len(UGLY)](wired)
        for wired in tunnels:
            assert wired.ended.wait(15)
            wired.close()
    eventually(lambda: descriptors() <= before, what=f"{before} descriptors")
    assert threading.active_count() == threads
    assert relay.counts() == {"tunnels": 0, "streams": 0}


def _both_reset(wired: Wired) -> None:
    reset(wired.client)
    reset(wired.upstream)


def _full_and_reset(wired: Wired) -> None:
    wired.upstream.setblocking(False)
    try:
        while True:
            wired.upstream.send(b"x" * 65536)
    except BlockingIOError:
        reset(wired.client)


def _half_then_reset(wired: Wired) -> None:
    wired.client.shutdown(socket.SHUT_WR)
    reset(wired.upstream)


UGLY = (
    Wired.close,
    lambda wired: reset(wired.client),
    lambda wired: reset(wired.upstream),
    _both_reset,
    _half_then_reset,
    lambda wired: (wired.client.sendall(b"unread"), wired.upstream.close(), wired.client.close()),
    lambda wired: wired.job.loop.call(wired.job.stop),
    _full_and_reset,
)
