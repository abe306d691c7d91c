"""Install, start and stop the services of the catalog; put a proxy in front of them.

Everything is installed below one folder, ``$WSGIPROXY_SERVICES`` or one in the temporary
directory, and is there again the next time.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import venv
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.services.catalog import Service
from tests.support import eventually, serve
from wsgiproxy import ProxyMiddleware, Route
from wsgiproxy.rebase import grammar, html, page_urls, policy, strays

__all__ = ["WAYS", "started", "way_to"]

FOLDER = Path(
    os.environ.get("WSGIPROXY_SERVICES") or Path(tempfile.gettempdir(), "wsgiproxy-services")
)


# -- the services ----------------------------------------------------------------------


def install(service: Service) -> Path:
    """The service's folder, with all that it needs."""
    folder = FOLDER / re.sub(r"\W+", "-", service.name.lower()).strip("-")
    for name, text in service.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folder.mkdir(parents=True, exist_ok=True)
    if service.packages:
        _pip(service.packages.split())
    if service.node_packages:
        _npm(folder, service.node_packages)
    for command in service.setup:
        subprocess.run(_filled(command, folder, 0), cwd=folder, check=True, capture_output=True)
    return folder


def _pip(packages: list[str]) -> None:
    python = _python()
    if not python.exists():
        venv.create(FOLDER / "python", with_pip=True)
    known = subprocess.run(
        [python, "-m", "pip", "show", "-q", *packages], capture_output=True, check=False
    )
    if known.returncode or b"not found" in known.stderr:
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)


def _npm(folder: Path, packages: str) -> None:
    shared = FOLDER / "node"
    if not (shared / "node_modules").exists():
        shared.mkdir(parents=True, exist_ok=True)
        (shared / "package.json").write_text('{"private": true}')
        subprocess.run(["npm", "install", "--silent", *packages.split()], cwd=shared, check=True)
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(shared / "node_modules")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')


def _python() -> Path:
    return FOLDER / "python" / "bin" / "python"


def _filled(command: str, folder: Path, port: int) -> list[str]:
    return shlex.split(command.format(python=_python(), folder=folder, port=port))


@contextmanager
def started(service: Service) -> Iterator[tuple[int, Path]]:
    """The service, ready on a port of the loopback; its port and folder."""
    folder, port = install(service), _free_port()
    environment = os.environ | {
        "HOME": str(folder),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "PYTHONWARNINGS": "ignore",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            _filled(service.command, folder, port),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            ready = f"http://127.0.0.1:{port}{service.ready}"
            eventually(lambda: _answers(process, ready), 120, service.name)
            yield port, folder
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    assert process.poll() is None, f"ended with {process.returncode}, see its log"
    try:
        with urllib.request.urlopen(url, timeout=30):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


# -- the ways to them --------------------------------------------------------------------


def _front(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The wrapped application, which has one page."""
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"none"]


def _no_tags(*_: Any) -> None:
    return None


def _no_edit(*_: Any) -> None:
    return None


def _tag_by_tag(self: html.HtmlEditor, text: bytes, at: int) -> int:
    match = grammar.TEXT.match(text, at)
    return match.end() if match else at


def _straight_on(self: strays.Strays, environ: Any, start_response: Any) -> Iterable[bytes]:
    return self.app(environ, start_response)


@contextmanager
def proxied(
    port: int, *, host_name: str = "localhost", layers: str = "123", **options: Any
) -> Iterator[str]:
    """This package in waitress; ``layers`` of rebasing: markup, scripts, strays."""
    with ExitStack() as stack:
        if "1" not in layers:
            stack.enter_context(mock.patch.object(page_urls.PageUrls, "edit", _no_edit))
            stack.enter_context(mock.patch.object(html.HtmlEditor, "_links", _tag_by_tag))
        if "2" not in layers:
            stack.enter_context(mock.patch.object(policy.Policies, "tags", _no_tags))
        if "3" not in layers:
            stack.enter_context(mock.patch.object(strays.Strays, "__call__", _straight_on))
        route = Route(f"http://127.0.0.1:{port}", rebase=bool(layers), **options)
        application = ProxyMiddleware(_front, {"/app": route})
        site = stack.enter_context(serve(application, threads=16))
        yield f"http://{host_name}:{site.port}/app/"


@contextmanager
def by_host(port: int) -> Iterator[str]:
    """This package, with a host for the service alone instead of a prefix."""
    route = Route(f"http://127.0.0.1:{port}", host_match="service.example")
    with serve(ProxyMiddleware(_front, {"/": route}), threads=16) as site:
        yield f"http://service.example:{site.port}/"


@contextmanager
def nginx(port: int) -> Iterator[str]:
    """nginx with ``proxy_pass``, and what WebSockets need."""
    own = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "nginx.conf").write_text(
            f"""daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}
            http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
            fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
            map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
            server {{ listen 127.0.0.1:{own}; location = / {{ return 404; }}
            location /app/ {{ proxy_pass http://127.0.0.1:{port}/; proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade; }} }} }}"""
        )
        binary = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") or "nginx"
        process = subprocess.Popen([binary, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/e"])
        try:
            eventually(lambda: _listens(own), what="nginx")
            yield f"http://localhost:{own}/app/"
        finally:
            process.terminate()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def direct(port: int) -> Iterator[str]:
    """No proxy at all."""
    yield f"http://127.0.0.1:{port}/"


#: How a service can be reached: for the table of results.
WAYS: dict[str, Any] = {
    "direct": direct,
    "nginx": nginx,
    "plain": lambda port: proxied(port, layers=""),
    "markup": lambda port: proxied(port, layers="1"),
    "scripts": lambda port: proxied(port, layers="2"),
    "strays": lambda port: proxied(port, layers="3"),
    "markup+scripts": lambda port: proxied(port, layers="12"),
    "markup+strays": lambda port: proxied(port, layers="13"),
    "scripts+strays": lambda port: proxied(port, layers="23"),
    "rebase": proxied,
    "rebase, public name": lambda port: proxied(port, host_name="site.example"),
    "rebase, host=client": lambda port: proxied(port, host="client"),
    "rebase, host=client, public name": lambda port: proxied(
        port, host="client", host_name="site.example"
    ),
    "own host": by_host,
    "plain, public name": lambda port: proxied(port, layers="", host_name="site.example"),
    "plain, host=client, public name": lambda port: proxied(
        port, layers="", host="client", host_name="site.example"
    ),
}


@contextmanager
def way_to(port: int, way: str) -> Iterator[str]:
    """The URL of a service's root, reached in one of the :data:`WAYS`."""
    with WAYS[way](port) as url:
        yield url


assert sys.platform != "win32"
