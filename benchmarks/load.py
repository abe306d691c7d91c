"""Clients that cost little: many small requests, one big download, one big upload."""

from __future__ import annotations

import re
import selectors
import shutil
import socket
import subprocess
import time
from urllib.parse import urlsplit

from benchmarks.upstream import BIG

CONNECTIONS = 32
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_BLOCK = bytes(1 << 18)


def many(url: str, seconds: float) -> int:
    """Ask for ``url`` on 32 connections that stay open; the number of answers.

    wrk does it where it is installed, else :func:`many_by_itself`.
    """
    program = shutil.which("wrk")
    if program is None:
        return many_by_itself(url, seconds)
    command = [program, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors:.*", said)
    if bad:
        raise RuntimeError(f"{url}: {bad[0]}")
    count = re.search(r"(\d+) requests in", said)
    assert count, said
    return int(count[1])


def many_by_itself(url: str, seconds: float) -> int:
    """The same with plain sockets in one loop."""
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    count = 0
    waiting: dict[socket.socket, int] = {}  # bytes that are still to come
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            sock = socket.create_connection((parts.hostname, parts.port))
            selector.register(sock, selectors.EVENT_READ)
            sock.sendall(request)
            waiting[sock] = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for key, _ in selector.select(1):
                sock = key.fileobj  # type: ignore[assignment]
                waiting[sock] = _rest(sock.recv(1 << 18), waiting[sock])
                if not waiting[sock]:
                    count += 1
                    sock.sendall(request)
        for sock in waiting:
            sock.close()
    return count


def _rest(data: bytes, awaited: int) -> int:
    if awaited:
        return awaited - len(data)
    head, _, start = data.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not data.startswith(b"HTTP/1.1 200 ") or length is None:
        raise RuntimeError(f"not the answer that was expected: {data[:200]!r}")
    return int(length[1]) - len(start)


def download(url: str) -> float:
    """Megabytes a second of one GET of 200 MB."""
    parts = urlsplit(url)
    buffer = bytearray(1 << 20)
    with socket.create_connection((parts.hostname, parts.port)) as sock:
        request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        start = time.perf_counter()
        sock.sendall(request.encode())
        total = 0
        while size := sock.recv_into(buffer):
            total += size
    if total < BIG:
        raise RuntimeError(f"{url}: {total} bytes only")
    return BIG / (1 << 20) / (time.perf_counter() - start)


def upload(url: str) -> float:
    """Megabytes a second of one POST of 200 MB, until it is answered."""
    parts = urlsplit(url)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {BIG}\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port)) as sock:
        start = time.perf_counter()
        sock.sendall(head.encode())
        for _ in range(BIG // len(_BLOCK)):
            sock.sendall(_BLOCK)
        answer = sock.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{url}: {answer[:200]!r}")
    return BIG / (1 << 20) / (time.perf_counter() - start)
