"""Many WebSockets at once, and what they cost: no threads, no descriptors left behind."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from websockets.asyncio.client import connect as connect_async

from tests.support import RawClient, RawUpstream, Site, eventually, get, serve
from tests.support.tunnels import EchoServer, descriptors
from wsgiproxy.protocol.upgrade import WEBSOCKET_GUID
from wsgiproxy.relay import relay

HANDSHAKE = get(
    "/p/",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)


@pytest.fixture(scope="module")
def echo() -> Iterator[EchoServer]:
    with EchoServer() as server:
        yield server


async def talk(url: str, count: int, opened: asyncio.Event, go: asyncio.Event) -> int:
    """Open so many WebSockets, wait for the word, then have each answer; counts answers."""
    options: dict[str, Any] = {"ping_interval": None, "compression": None, "open_timeout": 60}
    gate = asyncio.Semaphore(50)

    async def one() -> Any:
        async with gate:
            return await connect_async(url, **options)

    sockets = await asyncio.gather(*(one() for _ in range(count)))
    opened.set()
    await go.wait()

    async def ask(number: int, socket: Any) -> int:
        await socket.send(f"message {number}")
        answer = await asyncio.wait_for(socket.recv(), 30)
        await socket.close()
        return int(answer == f"message {number}")

    return sum(await asyncio.gather(*(ask(n, s) for n, s in enumerate(sockets))))


def test_five_hundred_at_once_with_four_threads(echo: EchoServer) -> None:
    spec = {"routes": {"/p": {"url": echo.url, "max_tunnels": 600}}}
    with serve(spec, "waitress", threads=4, asyncore_use_poll=True) as address:

        async def run() -> int:
            opened, go = asyncio.Event(), asyncio.Event()
            task = asyncio.ensure_future(talk(f"ws://{address.netloc}/p/", 500, opened, go))
            await asyncio.wait_for(opened.wait(), 60)
            assert relay.counts()["tunnels"] == 500
            assert [t.name for t in threading.enumerate() if t.name.startswith("wsgiproxy")] == [
                "wsgiproxy-relay"
            ]
            loop = asyncio.get_running_loop()
            for _ in range(5):
                status = await loop.run_in_executor(None, ask_front)
                assert status == 200
            go.set()
            return await task

        def ask_front() -> int:
            with RawClient(address) as client:
                return client.exchange(get("/front")).status

        with ThreadPoolExecutor(1) as other:  # in this one the browser's loop may be running
            assert other.submit(lambda: asyncio.run(run())).result() == 500
        eventually(lambda: relay.counts()["tunnels"] == 0)


@pytest.mark.parametrize("way", ["close", "reset", "half-open handshake"])
def test_tunnels_dropped_in_ugly_ways_leave_nothing_behind(echo: EchoServer, way: str) -> None:
    spec = {"routes": {"/p": {"url": echo.url, "max_tunnels": 500}}}
    with serve(spec, "waitress", threads=4, connection_limit=500) as address:
        for step in range(4):
            clients = [RawClient(address) for _ in range(100)]
            for client in clients:
                client.send(HANDSHAKE)
            if way != "half-open handshake":
                for client in clients:
                    assert client.read_response_head().status == 101
            for client in clients:
                if way == "reset":
                    client.send(b"\x81\xff")  # a frame that will not be finished
                    client.reset()
                else:
                    client.close()
            eventually(lambda: relay.counts()["tunnels"] == 0)
            if step == 0:  # pools, threads and the relay are there now
                gc.collect()
                eventually(lambda: len(echo.connections) == 0)
                before, threads = descriptors(), threading.active_count()
        # Descriptors of the server under test only: its peers live in this process as well.
        eventually(lambda: descriptors() <= before + 4, what=f"{before} descriptors")
        assert threading.active_count() <= threads


@pytest.mark.parametrize("slow", ["client", "upstream"])
def test_slow_reader_makes_the_sender_wait(
    proxied: Callable[..., Site], upstream: RawUpstream, slow: str
) -> None:
    """What nobody reads is not taken from the sender: our memory does not hold it."""
    conns: list[Any] = []

    def handler(conn: Any) -> None:
        request = conn.read_request()
        key = request.headers.get("Sec-WebSocket-Key") or ""
        digest = hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest()
        accept = base64.b64encode(digest)
        conn.send(SWITCHING % accept)
        conns.append(conn)
        assert done.wait(15)

    done = threading.Event()
    upstream.script(handler)
    client = proxied().connect()
    client.send(HANDSHAKE)
    assert client.read_response_head().status == 101
    eventually(lambda: conns)
    sender, reader = (conns[0], client) if slow == "client" else (client, conns[0])
    sender.sock.settimeout(0.3)
    # More than the buffers of the system and ours can hold together.
    with pytest.raises(TimeoutError):
        sender.send(bytes(1 << 26))
    assert len(reader.read_exactly(1 << 20)) == 1 << 20
    done.set()
