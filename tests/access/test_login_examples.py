"""The examples with a login, each started as its first lines say, and visited."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import Address, RawUpstream, eventually
from tests.support.auth import Visitor, service, told

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "login"
NAMES = sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.fixture(params=NAMES)
def visitor(
    request: pytest.FixtureRequest, tmp_path: Path, upstream: RawUpstream
) -> Iterator[Visitor]:
    """Somebody in front of a copy of an example, on a free port, with our service."""
    upstream.script(service)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    text = (EXAMPLES / request.param).read_text().replace("localhost:9999", upstream.netloc)
    (tmp_path / request.param).write_text(text.replace("8080", str(port)))
    process = subprocess.Popen(
        [sys.executable, request.param],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with process:
        try:
            eventually(lambda: _is_ready(process, port), what=f"{request.param} serves")
            yield Visitor(Address("127.0.0.1", port))
        finally:
            process.kill()


def _is_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.stdout is not None
    assert process.poll() is None, process.stdout.read().decode()
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_example_lets_its_users_and_nobody_else_pass(
    visitor: Visitor, upstream: RawUpstream
) -> None:
    for path in ("/new_req/x", "/reports/x", "/payroll/x"):
        response = visitor.page(path)
        assert response.status == 302
        assert "/login/?next=" in (response.headers.get("Location") or "")
    with visitor.websocket("/new_req/ws") as (_, refused):
        assert refused.status == 401
    assert not upstream.requests

    assert visitor.submit("/login/", username="bob", password="secret").status == 302
    headers = told(visitor.ask("/new_req/x?y"))["headers"]
    assert (headers["remote-user"], "cookie" in headers) == ("bob", False)
    assert told(visitor.ask("/reports/x"))["target"] == "/x"
    assert visitor.ask("/payroll/x").status in (302, 403)
    with visitor.websocket("/reports/ws") as (client, response):
        assert response.status == 101
        client.send(b"ping")
        assert client.read_until(b"ping") == b"echo ping"

    visitor.cookies.clear()
    visitor.submit("/login/", username="alice", password="secret")
    assert told(visitor.ask("/payroll/x"))["target"] == "/x"
