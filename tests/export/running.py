"""Run the real servers with what was exported for them."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support import PeerClosed, RawClient, eventually, get
from wsgiproxy.export import Address, Export
from wsgiproxy.export.traefik import FILE

__all__ = ["free_port", "program", "run_target"]

_NGINX = """\
{user}
pid {folder}/nginx.pid;
daemon off;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/exported.conf;
}}
"""


def program(name: str) -> str:
    """Where a server's program is; the tests fail by name where it is not."""
    here = Path(sys.executable).parent
    found = shutil.which(name, path=os.pathsep.join([str(here), os.environ["PATH"], "/usr/sbin"]))
    assert found, f"{name} is not installed; see .ci/run for how to get it"
    return found


def free_port() -> int:
    """A port nobody listens on, outside the range from which others are given ports."""
    while True:
        port = random.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def _nginx(folder: Path) -> list[str]:
    # The sockets of the tests are ours alone.
    user = "" if os.geteuid() else "user root;"
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, user=user))
    return [program("nginx"), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]


def _haproxy(folder: Path) -> list[str]:
    return [program("haproxy"), "-db", "-f", str(folder / "exported.conf")]


def _caddy(folder: Path) -> list[str]:
    config = str(folder / "exported.conf")
    return [program("caddy"), "run", "--config", config, "--adapter", "caddyfile"]


def _traefik(folder: Path) -> list[str]:
    place = folder / "traefik.yml"
    place.write_text((folder / "exported.conf").read_text().replace(FILE, str(place)))
    return [program("traefik"), f"--configFile={place}"]


_COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "nginx": _nginx,
    "haproxy": _haproxy,
    "caddy": _caddy,
    "traefik": _traefik,
}


@contextlib.contextmanager
def run_target(target: str, export: Callable[[Address], Export], folder: Path) -> Iterator[Address]:
    """Run a server with what ``export`` gives for the address that it gets.

    Somebody may take the port before the server does: then another one is tried.
    """
    for attempt in range(5):
        address = Address("127.0.0.1", free_port())
        place = folder / str(attempt)
        place.mkdir(parents=True)
        (place / "exported.conf").write_text(export(address).text)
        process = _start(_COMMANDS[target](place), place)
        try:
            if _is_up(process, address):
                yield address
                return
        finally:
            process.kill()
            process.wait()
    raise AssertionError((place / "log").read_text())


def _start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    environment["XDG_DATA_HOME"] = str(folder)
    environment["CADDY_ADMIN"] = f"unix/{folder}/admin"
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)


def _is_up(process: subprocess.Popen[bytes], address: Address) -> bool:
    def settled() -> bool:
        return process.poll() is not None or _answers(address)

    eventually(settled, timeout=30, what="the server starts")
    return process.poll() is None


def _answers(address: Address) -> bool:
    """Whether the application is reached: a server may listen before it knows its routes."""
    with contextlib.suppress(OSError, PeerClosed, ValueError), RawClient(address) as client:
        return client.exchange(get("/")).status == 200
    return False
