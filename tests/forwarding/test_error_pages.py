"""Error pages, hooks, counts and log lines."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import RawUpstream, Site, call, front, get
from tests.support.failures import failed
from wsgiproxy import ProxyMiddleware

Proxied = Callable[..., Site]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("text/html;q=0.1, application/json;q=0.9", "application/json"),
        ("text/plain", "text/plain"),
        ("*/*", "text/"),
        ("image/png", "text/"),
        ("nonsense", "text/"),
        (";;;,,,q=", "text/"),
    ],
)
def test_error_page_is_of_a_kind_that_the_client_takes(
    proxied: Proxied, closed_port: int, caplog: pytest.LogCaptureFixture, accept: str, kind: str
) -> None:
    site = proxied({"/p": f"http://127.0.0.1:{closed_port}"})

    response = failed(site, caplog, f"Accept: {accept}")

    assert kind in (response.headers.get("Content-Type") or "")
    if "json" in kind:
        assert json.loads(response.body)


def test_error_page_has_no_body_for_head(proxied: Proxied, closed_port: int) -> None:
    site = proxied({"/p": f"http://127.0.0.1:{closed_port}"}, validate=True)
    client = site.connect()

    response = client.exchange(get("/p/x", method="HEAD"))

    assert response.status == 502
    assert client.is_silent()


def test_error_hook_may_answer(proxied: Proxied, closed_port: int) -> None:
    import webob

    def hook(error: Any, request: Any) -> Any:
        body = f"{error.status} {error.stage} {request.method}"
        return webob.Response(body, status=599, content_type="text/plain")

    site = proxied({"/p": f"http://127.0.0.1:{closed_port}"}, on_error=hook)

    response = site.get("/p/x")

    assert (response.status, response.body) == (599, b"502 connect GET")


def test_failures_are_counted(closed_port: int) -> None:
    app = ProxyMiddleware(front, {"/p": f"http://127.0.0.1:{closed_port}"})
    for _ in range(3):
        call(app, "/p/x")

    assert app.failures == {"UpstreamUnreachable": 3}


def test_failure_of_the_client_is_logged_at_debug(
    upstream: RawUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "wsgiproxy")
    app = ProxyMiddleware(front, {"/p": upstream.url})

    assert call(app, "/p/../x").status.startswith("400")

    assert [r.levelno for r in caplog.records if "400" in r.getMessage()] == [logging.DEBUG]


def test_secrets_are_not_logged(
    proxied: Proxied, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for routes in (None, {"/p": f"http://127.0.0.1:{closed_port}"}):
        proxied(routes).get("/p/x?t=s3cret", "Authorization: Basic s3cret", "Cookie: a=s3cret")

    assert "s3cret" not in caplog.text
