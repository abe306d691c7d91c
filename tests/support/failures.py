"""What is true of every failure, and a script that makes one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.support import RawResponse, Site, UpstreamConnection

__all__ = ["OK", "broken", "failed"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def failed(site: Site, caplog: pytest.LogCaptureFixture, *headers: str) -> RawResponse:
    """The answer to a request that fails; checks what is true of every such answer."""
    response = site.get("/p/<script>alert(1)</script>?token=s3cret", *headers)
    records = [r for r in caplog.records if r.name.startswith("wsgiproxy")]
    assert len(records) == 1, [r.getMessage() for r in records]
    line = records[0].getMessage()
    text = (response.head + response.body).decode("latin-1")
    assert re.findall(r"\b[0-9a-f]{8,}\b", line)[0] in text, "the id of the log line"
    assert "\n" not in line
    assert "s3cret" not in line
    assert not re.search(r"127\.0\.0\.1|localhost|Traceback|\.py|<script>", text)
    assert response.headers.get("X-Content-Type-Options") == "nosniff"
    assert "charset" in (response.headers.get("Content-Type") or "") or response.headers.get(
        "Content-Type"
    ) in ("application/json", "application/problem+json")
    assert response.headers.get("Proxy-Status")
    return response


def broken(raw: bytes) -> Callable[[UpstreamConnection], None]:
    """A script: read a request, send these bytes, close."""

    def handler(conn: UpstreamConnection) -> None:
        conn.read_request()
        conn.send(raw)

    return handler
