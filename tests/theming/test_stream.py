"""PEP 3333 kept: nothing buffered but pages, every ``close`` called, ``write`` honoured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

import pytest
from webob import Request

from tests.theming.conftest import PAGE, RULES, THEME, Application, Closing, ask
from wsgiproxy.theming import ThemeMiddleware

HTML = [("Content-Type", "text/html")]


class Server:
    """The server's side of one call: what was started and written, and in which order."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self.events.append(("start", status, exc_info is not None))
        return lambda data: self.events.append(("write", data))

    def call(self, app: Any, path: str = "/", **options: Any) -> Any:
        middleware = ThemeMiddleware(app, rules=RULES, theme=THEME, **options)
        return middleware(Request.blank(path).environ, self.start_response)


def stop_after(chunks: list[bytes]) -> Iterator[bytes]:
    yield from chunks
    raise AssertionError("more was read than could be wanted")


@pytest.mark.parametrize("kind", ["text/event-stream", "video/mp4", "application/json"])
def test_other_types_are_handed_on_unread(kind: str, application: Application) -> None:
    application.headers = [("Content-Type", kind)]
    application.body = stop_after([])
    server = Server()
    answer = server.call(application)
    assert isinstance(answer, Closing), "the application's own iterable, for the server to send"
    assert server.events == [("start", "200 OK", False)]
    answer.close()


def test_page_over_max_size_streams_on_unthemed(application: Application) -> None:
    first = [b"<p>" + b"x" * 600, b"y" * 600]
    application.body = stop_after(first)
    answer = Server().call(application, max_size=1000)
    assert [next(answer), next(answer)] == first
    assert application.closed == 0
    answer.close()
    assert application.closed == 1


def test_page_that_says_it_is_too_large_is_not_read(application: Application) -> None:
    application.headers.append(("Content-Length", "1001"))
    application.body = stop_after([])
    Server().call(application, max_size=1000).close()
    assert application.closed == 1


def test_late_start_is_handed_on_with_the_first_chunk() -> None:
    closed: list[bool] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        try:
            start_response("200 OK", [("Content-Type", "text/event-stream")])
            yield b"data: 1\n\n"
            raise AssertionError("more was read than could be wanted")
        finally:
            closed.append(True)

    server = Server()
    answer = server.call(app)
    assert server.events == [("start", "200 OK", False)]
    assert next(iter(answer)) == b"data: 1\n\n"
    answer.close()
    assert closed == [True]


def test_late_start_of_a_page_is_themed() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HTML)
        yield from (PAGE[:20].encode(), b"", PAGE[20:].encode())

    assert "themed" in ask(app).text


def test_late_start_without_a_body_still_starts() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("204 No Content", [])
        yield from ()

    server = Server()
    answer = server.call(app)
    assert (list(answer), server.events) == ([], [("start", "204 No Content", False)])
    answer.close()


def write_app(kind: str, *written: bytes) -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("Content-Type", kind)])
        for data in written:
            write(data)
        return [b"</p>"]

    return app


def test_written_page_is_themed() -> None:
    response = ask(write_app("text/html", b"<p id=content>", b"written"))
    assert '<p id="content">written</p>' in response.text


def test_written_data_of_other_types_is_written_at_once() -> None:
    server = Server()
    answer = server.call(write_app("text/plain", b"a", b"b"))
    assert server.events[1:] == [("write", b"a"), ("write", b"b")]
    assert list(answer) == [b"</p>"]


def test_written_page_over_max_size_is_written_on() -> None:
    server = Server()
    answer = server.call(write_app("text/html", b"a" * 8, b"b" * 8, b"c"), max_size=10)
    assert server.events[1:] == [("write", b"a" * 8), ("write", b"b" * 8), ("write", b"c")]
    assert list(answer) == [b"</p>"]


def test_error_before_the_body_ended_replaces_the_page() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HTML)
        yield b"<p>half"
        try:
            raise ValueError("boom")
        except ValueError:
            import sys

            start_response("500 Oops", HTML, sys.exc_info())
        yield b"<p id=content>sorry"

    response = ask(app)
    assert response.status == "500 Oops"
    assert "sorry" in response.text
    assert "half" not in response.text


def test_error_after_the_start_goes_to_the_server() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise ValueError("boom")
        except ValueError:
            import sys

            start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        return []

    server = Server()
    server.call(app)
    assert server.events == [("start", "200 OK", False), ("start", "500 Oops", True)]


def test_second_start_without_exc_info_is_refused() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", HTML)
        start_response("200 OK", HTML)
        return []

    with pytest.raises(AssertionError, match="twice"):
        Server().call(app)


def test_body_that_breaks_is_closed_and_raises(application: Application) -> None:
    def broken() -> Iterator[bytes]:
        yield b"<p>half a page"
        raise ConnectionResetError("upstream")

    application.body = broken()
    with pytest.raises(ConnectionResetError):
        Server().call(application)
    assert application.closed == 1


def test_empty_page_passes(application: Application) -> None:
    for body in ([], [b""], [b"  \n"]):
        application.body = body
        assert ask(application).body == b"".join(body)


def test_both_sides_satisfy_the_validator(application: Application) -> None:
    middleware = ThemeMiddleware(validator(application), rules=RULES, theme=THEME)
    assert "themed" in ask(application, middleware=middleware).text
