"""Strays: who is sent on, where to, and above all who is not."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from wsgiproxy.rebase import Strays
from wsgiproxy.rebase.fetch_metadata import is_navigation
from wsgiproxy.rebase.strays import stray_target

OURS = "http://site.example/app/page"


def _environ(path: str = "/static/x.js", **changes: Any) -> dict[str, Any]:
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path.partition("?")[0],
        "QUERY_STRING": path.partition("?")[2],
        "REQUEST_URI": path,
        "HTTP_HOST": "site.example",
        "HTTP_REFERER": OURS,
    }
    environ |= changes
    return {key: value for key, value in environ.items() if value is not None}


def _target(path: str = "/static/x.js", **changes: Any) -> str | None:
    environ = _environ(path, **changes)
    return stray_target(environ, ["/app", "/app/sub", "/with%20blank"], environ["HTTP_HOST"])


SENT_ON = {
    "plain": ({}, "/app/static/x.js"),
    "query": ({"path": "/x?a=/b&c=%2F"}, "/app/x?a=/b&c=%2F"),
    "raw-spelling": ({"path": "/%41+b%2Fc"}, "/app/%41+b%2Fc"),
    "prefix-itself": ({"HTTP_REFERER": "http://site.example/app"}, "/app/static/x.js"),
    "longest": ({"HTTP_REFERER": "http://site.example/app/sub/y"}, "/app/sub/static/x.js"),
    "encoded": (
        {"HTTP_REFERER": "http://site.example/with%20blank/"},
        "/with%20blank/static/x.js",
    ),
    "tls-in-front": ({"HTTP_REFERER": "https://site.example/app/"}, "/app/static/x.js"),
    "upper-case-host": ({"HTTP_REFERER": "http://SITE.example/app/"}, "/app/static/x.js"),
    "browser-vouches": (
        {"HTTP_REFERER": "https://public.example/app/", "HTTP_SEC_FETCH_SITE": "same-origin"},
        "/app/static/x.js",
    ),
    "no-raw-target": (
        {"REQUEST_URI": None, "PATH_INFO": "/ä b".encode().decode("latin-1")},
        "/app/%C3%A4%20b",
    ),
    "post": ({"REQUEST_METHOD": "POST"}, "/app/static/x.js"),
    "two-slashes": ({"path": "//evil.example/x"}, "/app//evil.example/x"),
}
NOT_SENT_ON = {
    "no-referer": {"HTTP_REFERER": None},
    "foreign-referer": {"HTTP_REFERER": "http://evil.example/app/"},
    "other-port": {"HTTP_REFERER": "http://site.example:81/app/"},
    "host-as-user": {"HTTP_REFERER": "http://site.example@evil.example/app/"},
    "own-page-of-the-site": {"HTTP_REFERER": "http://site.example/"},
    "similar-prefix": {"HTTP_REFERER": "http://site.example/apple/"},
    "climbing-referer": {"HTTP_REFERER": "http://site.example/app/../own"},
    "encoded-climbing-referer": {"HTTP_REFERER": "http://site.example/app/%2e%2e/own"},
    "odd-scheme": {"HTTP_REFERER": "ftp://site.example/app/"},
    "broken-referer": {"HTTP_REFERER": "http://[site.example/app/"},
    "cross-site": {"HTTP_SEC_FETCH_SITE": "cross-site"},
    "same-site-only": {"HTTP_SEC_FETCH_SITE": "same-site"},
    "typed-address": {"HTTP_SEC_FETCH_SITE": "none"},
    "websocket": {"HTTP_UPGRADE": "websocket"},
    "no-host": {"HTTP_HOST": ""},
    "dots": {"path": "/../x"},
    "encoded-dots": {"path": "/%2e%2e/x"},
    "backslash": {"path": "/%5cevil"},
    "line-break": {"REQUEST_URI": "/x\r\nSet-Cookie:a", "PATH_INFO": "/..", "path": "/.."},
    "trace": {"REQUEST_METHOD": "TRACE"},
}


@pytest.mark.parametrize(("request_", "target"), SENT_ON.values(), ids=SENT_ON)
def test_stray_of_a_rebased_page_has_a_target(request_: dict[str, Any], target: str) -> None:
    assert _target(**request_) == target


@pytest.mark.parametrize("request_", NOT_SENT_ON.values(), ids=NOT_SENT_ON)
def test_any_other_request_has_none(request_: dict[str, Any]) -> None:
    assert _target(**request_) is None


NAVIGATIONS = {
    "document": ({"HTTP_SEC_FETCH_DEST": "document"}, True),
    "frame": ({"HTTP_SEC_FETCH_DEST": "iframe"}, True),
    "script": ({"HTTP_SEC_FETCH_DEST": "script", "HTTP_ACCEPT": "text/html"}, False),
    "fetch": ({"HTTP_SEC_FETCH_DEST": "empty"}, False),
    "plain-http-page": ({"HTTP_ACCEPT": "text/html,*/*;q=0.8"}, True),
    "plain-http-upgrade": ({"HTTP_UPGRADE_INSECURE_REQUESTS": "1"}, True),
    "plain-http-image": ({"HTTP_ACCEPT": "image/png,*/*"}, False),
}


@pytest.mark.parametrize(("fields", "expected"), NAVIGATIONS.values(), ids=NAVIGATIONS)
def test_navigation_is_told_from_what_a_page_loads(fields: dict[str, str], expected: bool) -> None:
    assert is_navigation(fields) is expected


class _App:
    """A wrapped application: what it answers, whether it was asked and closed."""

    def __init__(self, status: str = "404 Not Found", *, lazy: bool = False) -> None:
        self.status = status
        self.lazy = lazy
        self.asked = self.closed = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.asked += 1
        if not self.lazy:
            start_response(self.status, [])
        return self._body(start_response)

    def _body(self, start_response: Any) -> Iterator[bytes]:
        try:
            if self.lazy:
                start_response(self.status, [])
            yield b"one "
            yield b"two"
        finally:
            self.closed += 1


def _call(app: Any, environ: dict[str, Any]) -> tuple[str, dict[str, str], bytes]:
    answers: list[tuple[str, dict[str, str]]] = []
    strays: Any = Strays(app, [("/app", "")])
    body = strays(environ, lambda status, headers, *_: answers.append((status, dict(headers))))
    text = b"".join(body)
    close = getattr(body, "close", None)
    if close:
        close()
    assert len(answers) == 1
    return (*answers[0], text)


def test_subresource_is_sent_on_before_the_application_is_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = _App("200 OK")
    with caplog.at_level(logging.DEBUG, "wsgiproxy.rebase"):
        status, headers, body = _call(app, _environ(HTTP_SEC_FETCH_DEST="script"))

    assert (status, body, app.asked) == ("307 Temporary Redirect", b"", 0)
    assert headers["Location"] == "/app/static/x.js"
    assert (headers["Cache-Control"], headers["Vary"]) == ("no-store", "Referer")
    assert "stray GET /static/x.js, sent on to /app/static/x.js" in caplog.text


@pytest.mark.parametrize("lazy", [False, True], ids=["at-once", "with-the-first-piece"])
def test_navigation_is_sent_on_only_after_a_404(lazy: bool) -> None:
    missing, present = _App(lazy=lazy), _App("200 OK", lazy=lazy)
    environ = _environ("/page", HTTP_SEC_FETCH_DEST="document")

    assert _call(missing, environ)[0].startswith("307")
    assert (missing.asked, missing.closed) == (1, int(lazy))
    assert _call(present, environ) == ("200 OK", {}, b"one two")
    assert present.closed == 1


def _broken(piece: bytes) -> bytes:
    raise ValueError("broken")


def test_failing_application_is_closed() -> None:
    class Failing(_App):
        def _body(self, start_response: Any) -> Iterator[bytes]:
            try:
                yield from map(_broken, [b"one "])
            finally:
                self.closed += 1

    app = Failing(lazy=True)
    with pytest.raises(ValueError, match="broken"):
        _call(app, _environ("/page", HTTP_SEC_FETCH_DEST="document"))
    assert app.closed == 1


def test_prefix_counts_at_the_host_of_its_route_only() -> None:
    strays: Any = Strays(_App(), [("/app", "other.example")])
    answers: list[str] = []
    strays(_environ(), lambda status, *_: answers.append(status))

    assert answers == ["404 Not Found"]


def test_mounted_site_sends_on_below_its_own_mount() -> None:
    environ = _environ(
        SCRIPT_NAME="/site",
        PATH_INFO="/static/x.js",
        REQUEST_URI="/site/static/x.js",
        HTTP_REFERER="http://site.example/site/app/",
        HTTP_SEC_FETCH_DEST="script",
    )

    # The service asked for /static/x.js; the mount is ours, so it is not part of that.
    assert _call(_App(), environ)[1]["Location"] == "/site/app/site/static/x.js"
