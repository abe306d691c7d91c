"""Routes inside a framework's URL map, apart from any framework."""

from __future__ import annotations

import contextlib
import logging
import threading

import pytest

from tests.support import RawClient, RawUpstream, UpstreamConnection, eventually, get, serve
from wsgiproxy import Route
from wsgiproxy.embedding import EmbeddedProxy, cut, moved


@pytest.mark.parametrize(("raw", "head", "rest"), [
    ("/a/b%2Fc", b"/a/", "b%2Fc"),
    ("/%61/b", b"/a/", "b"),
    ("/%E2%9C%93/b", "/✓/".encode(), "b"),
    ("/a/b", b"", "/a/b"),
    ("/a/b", b"/a/b", ""),
    ("/a/b", b"/c/", None),
    ("/a", b"/a/", None),
    ("/%zz/b", b"/%zz/", "b"),
])  # fmt: skip
def test_raw_path_is_cut_behind_what_decodes_to_the_head(
    raw: str, head: bytes, rest: str | None
) -> None:
    assert cut(raw, head) == rest


def test_views_together_leave_threads_to_the_application(upstream: RawUpstream) -> None:
    """Two views, each with an upstream that does not answer, on a server of eight threads."""
    release = threading.Event()

    def slow(conn: UpstreamConnection) -> None:
        conn.read_request()
        release.wait(10)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    upstream.script(slow)
    views = {name: EmbeddedProxy(Route(upstream.url), lambda e, s: []) for name in ("a", "b")}

    def site(environ, start_response):  # type: ignore[no-untyped-def]
        name = environ["PATH_INFO"][1:]
        if name not in views:
            start_response("200 OK", [("Content-Length", "4")])
            return [b"site"]
        answer = views[name].answer(moved(environ, "", "/" + name, "/"))
        return answer(environ, start_response)

    with serve(site) as address, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(address)) for _ in range(12)]
        for number, client in enumerate(clients):
            client.send(get("/" + "ab"[number % 2]))
        eventually(lambda: len(upstream.requests) >= 6, what="both views are busy")
        with RawClient(address) as visitor:
            assert visitor.exchange(get("/")).body == b"site"
        assert len(upstream.requests) == 6
        release.set()
        statuses = sorted(client.read_response().status for client in clients)
        assert statuses[:6] == [200] * 6
        assert set(statuses[6:]) <= {200, 503}


def test_failure_below_a_view_is_logged_with_the_views_own_prefix(
    closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    view = EmbeddedProxy(Route(f"http://127.0.0.1:{closed_port}"), lambda e, s: [])
    environ = {
        "REQUEST_METHOD": "GET",
        "SERVER_NAME": "front",
        "SERVER_PORT": "80",
        "HTTP_HOST": "front",
        "wsgi.url_scheme": "http",
    }
    with caplog.at_level(logging.WARNING, "wsgiproxy"):
        answer = view.answer(moved(environ, "", "/our/view", "/x"))
    assert answer.status.startswith("502")
    [record] = caplog.records
    assert vars(record)["proxy_prefix"] == "/our/view"
    assert vars(record)["proxy_path"] == "/our/view/x"
