"""Every example is started as its first lines say, and asked."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import RawClient, RawUpstream, eventually, message

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"

#: By file: the command, and what the application in it says.
COMMANDS: dict[str, tuple[list[str], bytes]] = {
    "plain_wsgi.py": ([sys.executable, "plain_wsgi.py"], b"Hello from plain WSGI\n"),
    "waitress_serve.sh": (["sh", "waitress_serve.sh"], b"Hello from plain WSGI\n"),
    "flask_app.py": ([sys.executable, "flask_app.py"], b"Hello from Flask\n"),
    "pyramid_app.py": ([sys.executable, "pyramid_app.py"], b"Hello from Pyramid\n"),
    "django_wsgi.py": ([sys.executable, "django_wsgi.py"], b"Hello from Django\n"),
    "paste_site.py": ([sys.executable, "paste_site.py"], b"Hello from paste.deploy\n"),
    "paste_site.ini": (
        [sys.executable, "-m", "pyramid.scripts.pserve", "paste_site.ini"],
        b"Hello from paste.deploy\n",
    ),
    "proxy.toml": (
        [sys.executable, "-m", "wsgiproxy", "--config", "proxy.toml"],
        b"Not found\n",
    ),
}


class Copy(NamedTuple):
    """The examples in another folder, with the ports they name replaced by free ones."""

    folder: Path
    port: int

    @contextlib.contextmanager
    def start(self, command: list[str]) -> Iterator[None]:
        """Run a command until the block ends, from when it takes connections."""
        scripts = str(Path(sys.executable).parent)
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={
                **os.environ,
                "PATH": scripts + os.pathsep + os.environ["PATH"],
                "PYTHONPATH": f"{ROOT}{os.pathsep}{self.folder}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        with process:
            try:
                eventually(lambda: self._is_ready(process), what=f"{command} serves")
                yield
            finally:
                process.kill()

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.stdout is not None
        assert process.poll() is None, process.stdout.read().decode()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def get(self, target: str) -> bytes:
        """The body of an answer, asked for as a browser would."""
        with RawClient(("127.0.0.1", self.port)) as client:
            host = f"Host: 127.0.0.1:{self.port}"
            return client.exchange(message(f"GET {target} HTTP/1.1", [host])).body


@pytest.fixture
def copied(tmp_path: Path, upstream: RawUpstream) -> Copy:
    """The examples, with the fixture ``upstream`` for the service on port 9999."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for source in filter(Path.is_file, EXAMPLES.iterdir()):
        text = source.read_text().replace("9999", str(upstream.address[1]))
        (tmp_path / source.name).write_text(text.replace("8080", str(port)))
    return Copy(tmp_path, port)


@pytest.mark.parametrize("name", COMMANDS)
def test_example_serves_its_application_and_the_service(
    name: str, copied: Copy, upstream: RawUpstream
) -> None:
    command, greeting = COMMANDS[name]
    with copied.start(command):
        assert copied.get("/") == greeting
        assert copied.get("/new_req/x?y") == b"ok"
    assert upstream.requests[0].target == "/x?y"


@pytest.mark.parametrize("name", ["paste_site.py", "proxy.toml"])
def test_route_with_options_of_its_own_keeps_its_prefix(
    name: str, copied: Copy, upstream: RawUpstream
) -> None:
    with copied.start(COMMANDS[name][0]):
        assert copied.get("/kept/x") == b"ok"
    assert upstream.requests[0].target == "/kept/x"


def test_every_example_is_started() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == set(COMMANDS)
