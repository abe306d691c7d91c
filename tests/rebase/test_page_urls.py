"""One URL at a time: which of them are the upstream's own, and where they lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rebase.feeding import URLS
from wsgiproxy.rebase.page_urls import PageUrls

MAPPED = {
    "root": ("/", "/app/"),
    "root-relative": ("/static/x.js?v=1#f", "/app/static/x.js?v=1#f"),
    "similar-name": ("/apple", "/app/apple"),
    "own-http": ("http://localhost:9999/x", "/app/x"),
    "own-https": ("https://localhost:9999/x", "/app/x"),
    "own-upper-case": ("HTTP://LocalHost:9999/X", "/app/X"),
    "own-without-path": ("http://localhost:9999", "/app/"),
    "own-with-query-only": ("http://localhost:9999?x", "/app/?x"),
    "own-scheme-relative": ("//localhost:9999/x", "/app/x"),
    "alias-ipv4": ("http://127.0.0.1:9999/x", "/app/x"),
    "alias-ipv6": ("http://[::1]:9999/x", "/app/x"),
    "own-ws": ("ws://127.0.0.1:9999/ws", "ws://site.example/app/ws"),
    "own-wss": ("wss://localhost:9999/ws", "ws://site.example/app/ws"),
    "own-prefixed": ("http://localhost:9999/app/x", "/app/x"),
    "leading-blanks": (" \n/x", " \n/app/x"),
    "backslash": ("\\x", "/app\\x"),
    "dots": ("/../x", "/app/../x"),
}
KEPT = {
    "empty": "",
    "relative": "x/y",
    "climbing": "../x",
    "query": "?x",
    "fragment": "#x",
    "prefix": "/app",
    "under-prefix": "/app/x",
    "prefix-with-query": "/app?x",
    "foreign": "https://cdn.example/x",
    "foreign-scheme-relative": "//cdn.example/x",
    "two-slashes-by-backslash": "/\\cdn.example/x",
    "two-slashes-with-a-tab": "/\t/cdn.example/x",
    "other-port": "http://localhost:99990/x",
    "longer-name": "http://localhost:9999.example/x",
    "user-info": "http://localhost:9999@cdn.example/x",
    "data": "data:text/plain,/x",
    "javascript": "javascript:go('/x')",
    "mail": "mailto:a@localhost:9999",
}


@pytest.mark.parametrize(("url", "mapped"), MAPPED.values(), ids=MAPPED)
def test_own_url_goes_under_the_prefix(url: str, mapped: str) -> None:
    assert URLS.map_text(url) == mapped


@pytest.mark.parametrize("url", KEPT.values(), ids=KEPT)
def test_other_url_stays(url: str) -> None:
    assert URLS.map_text(url) == url


@given(st.text(alphabet="/\\ap.:?#x \t\nhtws@9localhost", max_size=30))
def test_any_url_is_mapped_once_only(url: str) -> None:
    once = URLS.map_text(url)

    assert URLS.map_text(once) == once


def test_base_path_gives_way_to_the_prefix() -> None:
    urls = PageUrls("/app", ["localhost:9999"], base="/base")

    assert urls.map_text("/base/x") == "/app/x"
    assert urls.map_text("/base") == "/app/"
    assert urls.map_text("http://localhost:9999/base/x") == "/app/x"
    assert urls.map_text("/elsewhere") == "/elsewhere"


def test_default_port_may_be_left_out() -> None:
    urls = PageUrls("/app", ["service.example"])

    assert urls.map_text("http://service.example/x") == "/app/x"
    assert urls.map_text("http://service.example:80/x") == "/app/x"
    assert urls.map_text("http://service.example:81/x") == "http://service.example:81/x"


def test_tls_makes_websockets_secure() -> None:
    urls = PageUrls("/app", ["localhost:9999"], front="site.example", tls=True)

    assert urls.map_text("ws://localhost:9999/ws") == "wss://site.example/app/ws"


@pytest.mark.parametrize("front", ["a;script-src", "a'b", "a&b", "a,b", ""])
def test_host_that_could_be_more_than_a_name_is_never_written(front: str) -> None:
    urls = PageUrls("/app", ["localhost:9999"], front=front)

    assert urls.front == b""
    assert urls.map_text("ws://localhost:9999/ws") == "/app/ws"


def test_prefix_cannot_end_an_attribute_or_string() -> None:
    urls = PageUrls("/a'b\"c(d)&e<f", [])

    assert urls.map_text("/x") == "/a%27b%22c%28d%29%26e%3Cf/x"


def test_empty_prefix_never_names_a_host() -> None:
    urls = PageUrls("", ["localhost:9999"])

    assert urls.map_text("http://localhost:9999//evil.example") == "/.//evil.example"
    assert urls.map_text("/x") == "/x"


def test_foreign_base_leaves_paths_to_it() -> None:
    urls = URLS.on_foreign_base()

    assert urls.map_text("/x") == "/x"
    assert urls.map_text("http://localhost:9999/x") == "/app/x"
    assert URLS.map_text("/x") == "/app/x"
