"""Response headers for the client, value by value: what is dropped, kept and made one."""

from __future__ import annotations

from typing import Any

import pytest

from wsgiproxy.forwarding.respond import adapt_headers
from wsgiproxy.protocol.http1 import parse_head
from wsgiproxy.protocol.url_map import HeaderUrls

URLS = HeaderUrls("/p", "", frozenset({"up"}), "front", "http://up", "http://front")


def adapted(status: int, *lines: str, **options: Any) -> list[str]:
    """The lines that are left of these."""
    head = parse_head("\r\n".join([f"HTTP/1.1 {status} Told", *lines]).encode("latin-1"))
    headers = adapt_headers(head, lambda: URLS, **options)
    return [f"{name}: {value}" for name, value in headers]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Content-Length: 5"],
        ["x-a: 1", "X-A: 2", "Content-Length: 0", "X-B: \xe9"],
        ["Content-Type: a/b", "ETag: e", "Vary: *"],
        ["Location: http://other/x"],
        ["Set-Cookie: a=b", "Set-Cookie: a=b"],
    ],
)
def test_headers_that_concern_the_client_stay_as_they_are(lines: list[str]) -> None:
    assert adapted(200, *lines) == lines


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        (["Connection: close", "A: 1"], ["A: 1"]),
        (["A: 1", "Connection: a, B", "b: 2", "C: 3"], ["C: 3"]),
        (["A: 1", "Connection: a", "Connection: b", "b: 2", "C: 3"], ["C: 3"]),
        (
            [
                "Connection: content-type, Content-Length, a",
                "Content-Type: a/b",
                "Content-Length: 5",
            ],
            ["Content-Type: a/b", "Content-Length: 5"],
        ),
        (["Keep-Alive: 5", "Alt-Svc: h3", "Upgrade: x", "Trailer: T", "A: 1"], ["A: 1"]),
        (["Transfer-Encoding: chunked", "Content-Length: 5", "A: 1"], ["A: 1"]),
        (["Content-Length: 5", "Transfer-Encoding: chunked", "A: 1"], ["A: 1"]),
        (["Content-Length: 5, 5", "Transfer-Encoding: chunked", "A: 1"], ["A: 1"]),
        (["Transfer-Encoding: identity", "Content-Length: 5"], ["Content-Length: 5"]),
        (["Content-Length: 5", "A: 1", "Content-Length: 5"], ["A: 1", "Content-Length: 5"]),
        (["Content-Length: 5, 5", "A: 1"], ["A: 1", "Content-Length: 5"]),
        (["Location: /x", "Link: </y>"], ["Location: /p/x", "Link: </p/y>"]),
        (["Set-Cookie: a=b; Path=/"], ["Set-Cookie: a=b; Path=/p/"]),
    ],
)
def test_headers_of_one_connection_are_dropped_and_urls_translated(
    lines: list[str], left: list[str]
) -> None:
    assert adapted(200, *lines) == left


@pytest.mark.parametrize("status", [204, 304])
def test_response_without_a_body_has_no_length(status: int) -> None:
    assert adapted(status, "Content-Length: 5", "ETag: e") == ["ETag: e"]
    assert adapted(status, "Content-Length: 5, 5", "ETag: e") == ["ETag: e"]
    assert adapted(status, "ETag: e") == ["ETag: e"]
    assert adapted(status + 1, "Content-Length: 5") == ["Content-Length: 5"]


def test_hidden_cookies_are_kept_back_and_nothing_else() -> None:
    lines = ["Set-Cookie:  sid =1", "Set-Cookie: other=2", "Location: sid=1", "X: sid=1"]

    assert adapted(200, *lines, hidden=("sid",)) == lines[1:]


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (("X-New", "n"), ["A: 1", "b: 2", "X-New: n"]),
        (("a", "3"), ["b: 2", "a: 3"]),
        (("B", None), ["A: 1"]),
        (("C", None), ["A: 1", "b: 2"]),
    ],
)
def test_changes_of_the_route_come_last(change: tuple[str, str | None], left: list[str]) -> None:
    assert adapted(200, "A: 1", "b: 2", changes=[change]) == left
