"""The servers that are compared: how each is started, and what the system says it used."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: What has to be fetched once: packages that cannot stand beside this one, and Node's.
CACHE = Path.home() / ".cache" / "wsgiproxy-benchmarks"
_TICK = os.sysconf("SC_CLK_TCK")
_NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    client_max_body_size 0;
    keepalive_requests 100000000;
    upstream service {{ server {upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        location /new_req/ {{
            proxy_pass http://service/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_request_buffering off;
        }}
    }}
}}
"""


class Unavailable(Exception):
    """A contestant that is not installed here."""


@dataclasses.dataclass
class Server:
    """A contestant at work."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Where the upstream's root is found through it."""
        return f"http://127.0.0.1:{self.port}/new_req"

    def cpu(self) -> float:
        """Seconds of CPU that it and its children have used, in user mode and in the kernel."""
        return sum(_cpu(pid) for pid in _family(self.process.pid))

    def memory(self) -> int:
        """Kilobytes of memory that it and its children hold."""
        return sum(_status(pid, "VmRSS") for pid in _family(self.process.pid))

    def peak(self) -> int:
        """Kilobytes they held at most since :meth:`forget_peak`."""
        return sum(_status(pid, "VmHWM") for pid in _family(self.process.pid))

    def forget_peak(self) -> None:
        """Begin to measure :meth:`peak` anew."""
        for pid in _family(self.process.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def _cpu(pid: int) -> float:
    # proc(5): fields 14 and 15, counted from behind the name in parentheses.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


# -- how each is started ---------------------------------------------------------


def _waitress(name: str, *folder: str) -> Callable[[int, str, Path], list[str]]:
    def command(port: int, upstream: str, scratch: Path) -> list[str]:
        return [sys.executable, "-m", "benchmarks.serve", name, str(port), upstream, *folder]

    return command


def _gunicorn(name: str) -> Callable[[int, str, Path], list[str]]:
    def command(port: int, upstream: str, scratch: Path) -> list[str]:
        os.environ.update(BENCHMARK_NAME=name, BENCHMARK_UPSTREAM=upstream)
        bind = ["--bind", f"127.0.0.1:{port}", "--threads", "16", "--log-level", "warning"]
        return [sys.executable, "-m", "gunicorn", *bind, "benchmarks.serve:application()"]

    return command


def _wsgiproxy2(port: int, upstream: str, scratch: Path) -> list[str]:
    folder = CACHE / "wsgiproxy2"
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        _fetch([*pip, str(folder), "WSGIProxy2"], folder)
    return _waitress("wsgiproxy2", str(folder))(port, upstream, scratch)


def _node_keeping(port: int, upstream: str, scratch: Path) -> list[str]:
    return [*_node(port, upstream, scratch), "keep"]


def _node(port: int, upstream: str, scratch: Path) -> list[str]:
    folder = CACHE / "node"
    if not shutil.which("node") or not shutil.which("npm"):
        raise Unavailable("node or npm is missing")
    if not folder.exists():
        folder.mkdir(parents=True)
        _fetch(["npm", "install", "--prefix", str(folder), "http-proxy-middleware@3"], folder)
    os.environ["NODE_PATH"] = str(folder / "node_modules")
    return ["node", str(ROOT / "benchmarks" / "node_proxy.js"), str(port), upstream]


def _nginx(port: int, upstream: str, scratch: Path) -> list[str]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        raise Unavailable("nginx is missing")
    settings = {"folder": scratch, "port": port, "upstream": upstream.removeprefix("http://")}
    config = scratch / "nginx.conf"
    config.write_text(_NGINX.format(**settings))
    return [program, "-p", str(scratch), "-c", str(config), "-e", "stderr"]


def _fetch(command: list[str], folder: Path) -> None:
    if subprocess.run(command, check=False, capture_output=True).returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise Unavailable(f"{command[0]} could not install it")


#: By name, in the order of the table. The first is what the others are measured by.
CONTESTANTS = {
    "waitress alone": _waitress("bare"),
    "wsgiproxy": _waitress("wsgiproxy"),
    "urllib3, 20 lines": _waitress("urllib3"),
    "Werkzeug": _waitress("werkzeug"),
    "WSGIProxy2": _wsgiproxy2,
    "django-revproxy": _waitress("revproxy"),
    "http-proxy-middleware (Node)": _node,
    "the same with an agent": _node_keeping,
    "nginx": _nginx,
}
GUNICORN = {
    "gunicorn alone": _gunicorn("bare"),
    "wsgiproxy": _gunicorn("wsgiproxy"),
    "urllib3, 20 lines": _gunicorn("urllib3"),
}


@contextlib.contextmanager
def running(
    contestants: dict[str, Callable[[int, str, Path], list[str]]], upstream: str, scratch: Path
) -> Iterator[dict[str, Server]]:
    """Start them all; those that are not installed are named and left out."""
    servers: dict[str, Server] = {}
    with contextlib.ExitStack() as stack:
        for name, command in contestants.items():
            try:
                servers[name] = stack.enter_context(_start(name, command, upstream, scratch))
            except Unavailable as error:
                print(f"without {name}: {error}", flush=True)
        yield servers


@contextlib.contextmanager
def _start(
    name: str, command: Callable[[int, str, Path], list[str]], upstream: str, scratch: Path
) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    line = command(port, upstream, scratch)
    with (scratch / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(line, cwd=ROOT, stdout=log, stderr=log)
    try:
        _wait(name, port, process, scratch)
        yield Server(name, port, process)
    finally:
        process.terminate()
        process.wait()


def _wait(name: str, port: int, process: subprocess.Popen[bytes], scratch: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise Unavailable((scratch / f"{port}.log").read_text().strip().rpartition("\n")[2])
