"""Real WSGI servers on a free port of the loopback, stopped without a trace.

::

    with serve(application) as address:                        # waitress
    with serve(application, "werkzeug") as address:
    with serve({"app": "tests.support:front"}, "gunicorn-gthread") as address:

gunicorn runs in a process of its own, so it takes what JSON can carry: a spec for
:func:`tests.support.apps.build`, or ``{"app": "module:name"}``, or
``{"factory": "module:function", "arguments": {...}}``. The servers in
this process take such a spec or the application itself.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import wsgiref.simple_server
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from . import apps
from .deadline import DEADLINE

__all__ = ["GUNICORN", "SERVERS", "Address", "serve"]

GUNICORN = ("gunicorn-sync", "gunicorn-gthread", "gunicorn-gevent")
SERVERS = ("waitress", *GUNICORN, "werkzeug", "cheroot", "wsgiref")
ROOT = Path(__file__).parents[2]


class Address(NamedTuple):
    """Where a server listens; ``log`` is gunicorn's standard error, ``pid`` its master."""

    host: str
    port: int
    log: Path | None = None
    pid: int | None = None

    @property
    def netloc(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL of the root, without a slash."""
        return f"http://{self.netloc}"


@contextlib.contextmanager
def serve(application: Any, server: str = "waitress", **options: Any) -> Iterator[Address]:
    """Run an application (or a spec of one) until the block ends.

    ``options`` go to the server: waitress's adjustments (8 threads and a lookahead of 5
    unless told), gunicorn's command line as ``threads=2`` -> ``--threads 2``, cheroot's
    keywords. Werkzeug and wsgiref take ``host`` only.
    """
    if server in GUNICORN:
        assert isinstance(application, dict), "gunicorn needs a spec, not an application"
        with _gunicorn(application, server.partition("-")[2], **options) as address:
            yield address
        return
    if isinstance(application, dict):
        application = apps.build(application) if "routes" in application else _app(application)
    with _IN_PROCESS[server](application, **options) as address:
        yield address


def _app(spec: dict[str, Any]) -> Any:
    os.environ["TEST_SITE"] = json.dumps(spec)
    return apps.create()


@contextlib.contextmanager
def _waitress(application: Any, **options: Any) -> Iterator[Address]:
    from waitress import create_server, wasyncore

    settings = {"host": "127.0.0.1", "port": 0, "threads": 8, "channel_request_lookahead": 5}
    sockets: dict[int, Any] = {}
    server = create_server(application, map=sockets, **(settings | options))
    stopping = threading.Event()

    def loop() -> None:
        while not stopping.is_set():
            wasyncore.poll2(1.0, sockets)

    with _thread(loop):
        try:
            yield Address(str(server.effective_host), int(server.effective_port))
        finally:
            stopping.set()
            server.pull_trigger()
    server.task_dispatcher.shutdown(timeout=DEADLINE)
    wasyncore.close_all(sockets)


@contextlib.contextmanager
def _werkzeug(application: Any, host: str = "127.0.0.1") -> Iterator[Address]:
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, type: str, message: str, *args: Any) -> None:
            pass

    server: Any = make_server(host, 0, application, threaded=True, request_handler=Quiet)
    server.daemon_threads = False
    with _socketserver(server) as address:
        yield address


@contextlib.contextmanager
def _wsgiref(application: Any, host: str = "127.0.0.1") -> Iterator[Address]:
    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def get_stderr(self) -> Any:
            return io.StringIO()

    class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    server = wsgiref.simple_server.make_server(
        host, 0, application, server_class=Server, handler_class=Quiet
    )
    with _socketserver(server) as address:
        yield address


@contextlib.contextmanager
def _socketserver(server: Any) -> Iterator[Address]:
    with _thread(server.serve_forever, 0.05):
        try:
            yield Address(*server.server_address[:2])
        finally:
            server.shutdown()
    server.server_close()


@contextlib.contextmanager
def _cheroot(application: Any, **options: Any) -> Iterator[Address]:
    from cheroot.wsgi import Server

    settings: dict[str, Any] = {"numthreads": 8, "shutdown_timeout": 1, "server_name": "front"}
    server = Server(("127.0.0.1", 0), application, **(settings | options))
    setattr(server, "error_log", lambda *_, **__: None)  # noqa: B010 - it is a method
    server.prepare()
    with _thread(server.serve):
        try:
            yield Address(*server.bind_addr[:2])
        finally:
            server.stop()


@contextlib.contextmanager
def _gunicorn(spec: dict[str, Any], worker: str, **options: Any) -> Iterator[Address]:
    with socket.socket() as listener, tempfile.TemporaryDirectory() as folder:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        log = Path(folder, "log")
        with log.open("wb") as stream:
            process = _start_gunicorn(spec, worker, listener, stream, options)
        address = Address("127.0.0.1", listener.getsockname()[1], log, process.pid)
        try:
            yield address
        finally:
            _stop(process)


def _start_gunicorn(
    spec: dict[str, Any],
    worker: str,
    listener: socket.socket,
    log: IO[bytes],
    options: dict[str, Any],
) -> subprocess.Popen[bytes]:
    settings = {"bind": f"fd://{listener.fileno()}", "worker-class": worker, "workers": 1}
    settings |= {"graceful-timeout": 1, "worker-tmp-dir": "/dev/shm", "log-level": "warning"}
    if worker == "gthread":
        settings["threads"] = 8
    settings |= {name.replace("_", "-"): value for name, value in options.items()}
    arguments = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    # A socket for its own command line, which old versions have not, is nothing to the tests.
    quiet = ["--no-control-socket"] if _knows_control_socket() else []
    command = [sys.executable, "-m", "gunicorn", *quiet, *arguments]
    return subprocess.Popen(
        [*command, "tests.support.apps:create()"],
        pass_fds=[listener.fileno()],
        cwd=ROOT,
        env={**os.environ, "TEST_SITE": json.dumps(spec), "PYTHONPATH": str(ROOT)},
        stdout=log,
        stderr=log,
    )


def _knows_control_socket() -> bool:
    from gunicorn.config import KNOWN_SETTINGS

    return any(known.name == "control_socket_disable" for known in KNOWN_SETTINGS)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _thread(target: Callable[..., Any], *args: Any) -> Iterator[None]:
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(DEADLINE)
        assert not thread.is_alive(), "the server does not stop"


_IN_PROCESS: dict[str, Any] = {
    "waitress": _waitress,
    "werkzeug": _werkzeug,
    "cheroot": _cheroot,
    "wsgiref": _wsgiref,
}
