"""Microseconds of CPU for one proxied GET, in one process, without a server around it.

    python -m benchmarks.profile_one                    # 1 KB, against the floor of raw sockets
    python -m benchmarks.profile_one --size 20k --profile
    python -m benchmarks.profile_one --not-proxied      # what the wrapped application pays

The middleware is called with the environ that waitress makes of a browser's request. The upstream
runs in another process, so its CPU is not counted. The smallest of many rounds is the figure to
tune by; the median tells how quiet the machine was.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

HEADERS = {
    "HTTP_HOST": "www.example.com",
    "HTTP_CONNECTION": "keep-alive",
    "HTTP_ACCEPT": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "HTTP_ACCEPT_ENCODING": "gzip, deflate, br",
    "HTTP_ACCEPT_LANGUAGE": "en-GB,en;q=0.9",
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "HTTP_REFERER": "http://www.example.com/new_req/",
    "HTTP_COOKIE": "sessionid=0123456789abcdef; csrftoken=fedcba9876543210",
}


def waitress_environ(path: str) -> dict[str, Any]:
    """What waitress hands to an application for a browser's ``GET`` of ``path``."""
    return {
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_HOST": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "REQUEST_METHOD": "GET",
        "SERVER_PORT": "80",
        "SERVER_NAME": "waitress.invalid",
        "SERVER_SOFTWARE": "waitress",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "REQUEST_URI": path,
        "QUERY_STRING": "",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input": io.BytesIO(),
        "wsgi.file_wrapper": _FileWrapper,
        "wsgi.input_terminated": True,
        "waitress.client_disconnected": lambda: False,
        **HEADERS,
    }


class _FileWrapper:
    """Stands where waitress puts its own."""


def ignore_start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
    """A ``start_response`` that costs nothing."""


def call(application: Any, environ: dict[str, Any]) -> int:
    """Ask the application once as a server does; the number of bytes in its answer."""
    chunks: Iterable[bytes] = application(environ.copy(), ignore_start)
    total = sum(map(len, chunks))
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
    return total


def hello(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The application that is wrapped."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def microseconds(work: Callable[[], Any], count: int, rounds: int) -> tuple[float, float]:
    """CPU of this process for one call of ``work``: the smallest round and the median one."""
    for _ in range(count // 4 + 1):
        work()
    figures = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(count):
            work()
        figures.append((time.process_time() - start) / count * 1e6)
    return min(figures), statistics.median(figures)


def raw_sockets(port: int, size: str) -> Callable[[], int]:
    """The floor: the same request over a socket that stays open, read until it is whole."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = f"GET /{size} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()

    def ask() -> int:
        connection.sendall(request)
        answer = connection.recv(65536)
        start = answer.index(b"\r\n\r\n") + 4
        total = start + int(answer.split(b"Content-Length: ", 1)[1].split(b"\r\n", 1)[0])
        received = len(answer)
        while received < total:
            received += len(connection.recv(65536))
        return received

    return ask


def show(name: str, figures: tuple[float, float]) -> None:
    """One line of the result."""
    print(f"{name:28} {figures[0]:8.2f} µs   (median {figures[1]:.2f})", flush=True)


def profile(work: Callable[[], Any], count: int) -> None:
    """Where the time goes, by the functions' own time."""
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(count):
        work()
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


def measure_proxied(options: argparse.Namespace) -> None:
    """The proxied GET beside a raw-socket exchange with the same upstream."""
    from wsgiproxy import ProxyMiddleware

    command = [sys.executable, "-m", "benchmarks.upstream", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as upstream:
        try:
            assert upstream.stdout is not None
            url = upstream.stdout.readline().strip().rstrip("/")
            middleware = ProxyMiddleware(hello, {"/new_req": url})
            environ = waitress_environ(f"/new_req/{options.size}")
            print(f"{call(middleware, environ)} bytes in an answer")
            if options.profile:
                profile(lambda: call(middleware, environ), options.count)
                return
            port = int(url.rsplit(":", 1)[1])
            floor = microseconds(raw_sockets(port, options.size), options.count, options.rounds)
            show("raw sockets", floor)
            ours = lambda: call(middleware, environ)  # noqa: E731 - the shortest name for it
            show("ProxyMiddleware", microseconds(ours, options.count, options.rounds))
        finally:
            upstream.terminate()


def measure_not_proxied(options: argparse.Namespace) -> None:
    """What a request that matches no prefix costs more than without the middleware."""
    from wsgiproxy import ProxyMiddleware

    routes = {f"/new_req{number}": f"http://127.0.0.1:{9000 + number}" for number in range(3)}
    middleware = ProxyMiddleware(hello, routes)
    environ = waitress_environ("/about/us")
    count = options.count * 20
    bare = microseconds(lambda: call(hello, environ), count, options.rounds)
    wrapped = microseconds(lambda: call(middleware, environ), count, options.rounds)
    show("application alone", bare)
    show("inside ProxyMiddleware", wrapped)
    show("difference", (wrapped[0] - bare[0], wrapped[1] - bare[1]))


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", default="1k", choices=("1k", "20k", "100k"))
    parser.add_argument("--count", type=int, default=1000, help="calls in a round")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--not-proxied", action="store_true", help="measure the other requests")
    options = parser.parse_args()
    (measure_not_proxied if options.not_proxied else measure_proxied)(options)


if __name__ == "__main__":
    main()
