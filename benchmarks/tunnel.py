"""What tunnels, streams and slow answers cost: ``python benchmarks/tunnel.py [part ...]``.

Parts: ``messages`` (WebSocket messages a second and their latency: direct, through the proxy on
waitress, through nginx where it is installed), ``idle`` (memory and threads for 1,000 idle
tunnels), ``slow`` (200 answers of 2 s each in front of 16 threads, and how long the wrapped
application takes meanwhile), ``download`` (200 MB through waitress's buffers and through the
relay), ``events`` (how late a server-sent event is, with 300 streams open). All by default.

Front and upstream are processes of their own; the clients are this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SLOW = 2.0
SIZE = 200 << 20


# -- the two processes -------------------------------------------------------------------


def front(upstream: str, port: str, threads: str, *options: str) -> None:
    """Serve the proxy on waitress."""
    import waitress

    from wsgiproxy import ProxyMiddleware

    def application(environ, start_response):  # type: ignore[no-untyped-def]
        start_response("200 OK", [("Content-Length", "2"), ("Content-Type", "text/plain")])
        return [b"ok"]

    raise_limit()
    given = dict(option.split("=") for option in options)
    hold = given.pop("hold", None)
    proxy = ProxyMiddleware(application, {"/p": upstream}, max_tunnels=5000, **given)

    def held(environ, start_response):  # type: ignore[no-untyped-def]
        """A middleware around the proxy: then nothing may leave by the relay."""
        return proxy(environ, lambda *arguments: start_response(*arguments))

    waitress.serve(
        held if hold else proxy,
        listen=f"127.0.0.1:{port}",
        threads=int(threads),
        connection_limit=3000,
        backlog=2048,
        asyncore_use_poll=True,
        channel_request_lookahead=1,
    )


def upstream(port: str) -> None:
    """Serve WebSocket echoes at any path, slow answers at ``/slow``, bytes at ``/big``."""
    raise_limit()
    asyncio.run(_upstream(int(port)))


async def _upstream(port: int) -> None:
    block = bytes(1 << 18)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ", 2)[1]
                if b"Upgrade: " in head:
                    writer.write(switching(head))
                    while data := await reader.read(65536):
                        writer.write(data)
                        await writer.drain()
                    break
                if target.endswith(b"/big"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
                    for _ in range(SIZE // len(block)):
                        writer.write(block)
                        await writer.drain()
                    continue
                if target.endswith(b"/events"):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                    while True:
                        await asyncio.sleep(0.5)
                        writer.write(b"data: %.6f\n\n" % time.time())
                        await writer.drain()
                if target.endswith(b"/slow"):
                    await asyncio.sleep(SLOW)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


def switching(head: bytes) -> bytes:
    """The 101 for a WebSocket handshake."""
    import base64
    import hashlib

    from wsgiproxy.protocol.upgrade import WEBSOCKET_GUID

    key = head.lower().split(b"sec-websocket-key: ")[1].split(b"\r\n")[0]
    start = head.lower().index(b"sec-websocket-key: ") + len(b"sec-websocket-key: ")
    key = head[start : start + len(key)]
    accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID.encode()).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def raise_limit() -> None:
    """As many descriptors as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of the functions above in a process of its own, once it listens."""
    port = next(int(a) for a in arguments[1:] if a.isdigit())
    started = subprocess.Popen(
        [sys.executable, __file__, *arguments], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        wait_for(port)
        yield started
    finally:
        started.terminate()
        started.wait()


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise SystemExit(f"nobody listens on port {port}")


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def site(threads: int = 4, *options: str) -> Iterator[tuple[int, int, int]]:
    """Upstream and front; yields their ports and the front's process id."""
    behind, before = free_port(), free_port()
    arguments = ("front", f"http://127.0.0.1:{behind}", str(before), str(threads), *options)
    with process("upstream", str(behind)), process(*arguments) as running:
        yield behind, before, running.pid


@contextlib.contextmanager
def nginx(behind: int) -> Iterator[int | None]:
    """nginx in front of the upstream; ``None`` where it is not installed."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        yield None
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        config.write_text(NGINX % {"folder": folder, "port": port, "behind": behind})
        command = [binary, "-p", folder, "-c", str(config), "-e", f"{folder}/error.log"]
        started = subprocess.Popen(command)
        try:
            wait_for(port)
            yield port
        finally:
            started.terminate()
            started.wait()


NGINX = """
daemon off; worker_processes 1; pid %(folder)s/pid; error_log %(folder)s/error.log;
events { worker_connections 4096; }
http {
  access_log off; proxy_temp_path %(folder)s/p; client_body_temp_path %(folder)s/b;
  fastcgi_temp_path %(folder)s/f; uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s;
  server {
    listen 127.0.0.1:%(port)d;
    location = /front { return 200 "ok"; }
    location / {
      proxy_pass http://127.0.0.1:%(behind)d; proxy_http_version 1.1; proxy_buffering off;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;
    }
  }
}
"""

# -- the parts -----------------------------------------------------------------------------

HANDSHAKE = (
    b"GET /p/ws HTTP/1.1\r\nHost: front\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def open_tunnel(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket of which only the handshake is real; the rest is echoed bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HANDSHAKE)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101"):
        raise SystemExit(head.decode())
    return reader, writer


async def ping_pong(
    port: int, clients: int, seconds: float, size: int
) -> tuple[float, list[float]]:
    """Messages a second over all clients, and each one's round trip in seconds."""
    message = b"\x82" + bytes(size - 1)
    times: list[float] = []
    tunnels = [await open_tunnel(port) for _ in range(clients)]
    end = time.perf_counter() + seconds

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (start := time.perf_counter()) < end:
            writer.write(message)
            await reader.readexactly(size)
            times.append(time.perf_counter() - start)
        writer.close()

    await asyncio.gather(*(talk(*tunnel) for tunnel in tunnels))
    return len(times) / seconds, times


def messages() -> None:
    """WebSocket messages, echoed one by one."""
    print(f"{'':22}{'clients':>8}{'size':>8}{'msg/s':>9}{'p50 ms':>8}{'p99 ms':>8}")
    with site() as (behind, before, _), nginx(behind) as beside:
        peers = {"direct": behind, "wsgiproxy, waitress": before, "nginx": beside}
        for clients, size in ((1, 100), (50, 100), (50, 10_000)):
            for name, port in peers.items():
                if port is not None:
                    rate, times = asyncio.run(ping_pong(port, clients, 3.0, size))
                    row = f"{name:22}{clients:8}{size:8}{rate:9.0f}"
                    print(f"{row}{_ms(times, 0.5):8.2f}{_ms(times, 0.99):8.2f}", flush=True)


def _ms(times: list[float], share: float) -> float:
    times = sorted(times)
    return 1000 * times[min(int(len(times) * share), len(times) - 1)] if times else float("nan")


def idle() -> None:
    """A thousand open tunnels that say nothing."""
    with site() as (_, before, pid):
        warm, threads = memory(pid), thread_count(pid)

        async def run() -> None:
            tunnels = [await open_tunnel(before) for _ in range(1000)]
            grown = memory(pid) - warm
            more = thread_count(pid) - threads
            print(
                f"1,000 idle tunnels: {grown / 1024:.1f} MB more, {more} threads more (the relay)"
            )
            for _, writer in tunnels:
                writer.close()

        asyncio.run(run())


def memory(pid: int) -> int:
    """Resident memory in KB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


def thread_count(pid: int) -> int:
    """Threads of a process."""
    return len(os.listdir(f"/proc/{pid}/task"))


async def ask(port: int, target: str) -> tuple[float, int]:
    """One request on its own connection: seconds and status."""
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {target} HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n"
    writer.write(request.encode())
    answer = await reader.read()
    writer.close()
    return time.perf_counter() - start, int(answer.split(b" ", 2)[1])


async def load(port: int, count: int) -> None:
    """So many slow answers at once, and the wrapped application meanwhile."""
    start = time.perf_counter()
    slow = asyncio.gather(*(ask(port, "/p/slow") for _ in range(count)))
    fronts: list[float] = []
    while not slow.done():
        seconds, _ = await ask(port, "/front")
        fronts.append(seconds)
        await asyncio.sleep(0.02)
    answers = await slow
    good = sum(status == 200 for _, status in answers)
    print(
        f"  {good}/{count} answered 200 in {time.perf_counter() - start:.2f} s; wrapped "
        f"application: {len(fronts)} requests, median {1000 * statistics.median(fronts):.1f} ms, "
        f"worst {1000 * max(fronts):.0f} ms",
        flush=True,
    )


def slow() -> None:
    """Slow answers in front of 16 threads."""
    for name, options in (("relay", ()), ("bulkhead only", ("hold=1",))):
        print(f"200 answers of {SLOW} s, 16 threads, {name}:")
        with site(16, *options) as (_, before, _):
            asyncio.run(load(before, 200))
    with process("upstream", str(behind := free_port())), nginx(behind) as beside:
        if beside:
            print(f"200 answers of {SLOW} s, nginx:")
            asyncio.run(load(beside, 200))


async def listen(port: int, late: list[float]) -> None:
    """One event stream: how late each of five events is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /p/events HTTP/1.1\r\nHost: front\r\n\r\n")
    for _ in range(5):
        line = await reader.readuntil(b"data: ") and await reader.readuntil(b"\n")
        late.append(time.time() - float(line))
    writer.close()


def events() -> None:
    """Server-sent events over many streams with four threads."""
    for count in (1, 300):
        late: list[float] = []
        with site() as (_, before, _):

            async def run(port: int = before, late: list[float] = late, n: int = count) -> None:
                await asyncio.gather(*(listen(port, late) for _ in range(n)))

            asyncio.run(run())
        figures = f"p50 {_ms(late, 0.5):.2f} ms, p99 {_ms(late, 0.99):.2f} ms"
        print(f"{count:4} event streams: {figures} late")


def download() -> None:
    """200 MB, and the processor time it costs the front."""
    for name, options in (("waitress's buffers", ("relay_over=",)), ("relay", ())):
        with site(4, *options) as (_, before, pid):
            for _ in range(2):
                used = cpu(pid)
                start = time.perf_counter()
                size = fetch(before)
                seconds = time.perf_counter() - start
                cost = cpu(pid) - used
            print(f"{name:20}{size / seconds / 1e6:8.0f} MB/s {cost:6.2f} s CPU")


def fetch(port: int) -> int:
    """Download; the number of bytes."""
    size = 0
    buffer = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET /p/big HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n")
        while size < SIZE and (count := sock.recv_into(buffer)):
            size += count
    return size


def cpu(pid: int) -> float:
    """Processor seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


PARTS = {"messages": messages, "idle": idle, "slow": slow, "download": download, "events": events}

if __name__ == "__main__":
    raise_limit()
    if sys.argv[1:2] == ["front"]:
        front(*sys.argv[2:])
    elif sys.argv[1:2] == ["upstream"]:
        upstream(*sys.argv[2:])
    else:
        for part in sys.argv[1:] or PARTS:
            PARTS[part]()
