"""The measurements run; what they measure is nobody's promise in a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import load, serve
from benchmarks.upstream import BIG, Upstream

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mode", [[], ["--not-proxied"], ["--profile"]], ids=str)
def test_profile_of_one_request_runs(mode: list[str]) -> None:
    command = [sys.executable, "-m", "benchmarks.profile_one", "--count", "3", "--rounds", "1"]
    done = subprocess.run([*command, *mode], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "ProxyMiddleware" in done.stdout or "function calls" in done.stdout


def test_upstream_answers_small_and_big_requests() -> None:
    upstream = Upstream().start()
    url = f"http://127.0.0.1:{upstream.port}"
    assert load.many_by_itself(f"{url}/20k", 0.1) > 0
    assert load.download(f"{url}/200m") > 0
    assert load.upload(f"{url}/sink") > 0
    upstream.close()


def test_bare_contestant_answers_as_the_upstream_does() -> None:
    started = []
    application = serve.make("bare", "")
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/new_req/200m"}
    pieces = application(environ, lambda *given: started.append(given))
    assert sum(map(len, pieces)) == BIG
    assert dict(started[0][1])["Content-Length"] == str(BIG)
