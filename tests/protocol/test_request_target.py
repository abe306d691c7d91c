"""Paths and queries: as the client spelt them, decoded, and cut behind a prefix."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest

from wsgiproxy.errors import BadRequest
from wsgiproxy.protocol.request_target import (
    cut,
    encode_path,
    encode_query,
    raw_target,
)

#: Every character that RFC 3986, 3.3 allows in a path as it is.
PCHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/"
EVERYTHING = "".join(map(chr, range(256)))


def test_path_is_encoded_as_far_as_it_must_be() -> None:
    encoded = encode_path(EVERYTHING)

    assert encoded.isascii()
    assert unquote_to_bytes(encoded) == EVERYTHING.encode("latin-1")
    assert [c for c in EVERYTHING if encode_path(c) == c] == sorted(PCHARS)


def test_query_keeps_every_printable_character() -> None:
    kept = [c for c in EVERYTHING if encode_query(c) == "?" + c]

    assert kept == [chr(code) for code in range(0x21, 0x7F)]
    assert encode_query("a=\xe9 b") == "?a=%E9%20b"
    assert encode_query("") == ""


@pytest.mark.parametrize(
    ("environ", "path", "expected"),
    [
        pytest.param({"REQUEST_URI": "/a"}, "/a", ("/a", ""), id="plain"),
        pytest.param({"REQUEST_URI": "/%61%2Fb"}, "/a/b", ("/%61%2Fb", ""), id="own-spelling"),
        pytest.param({"RAW_URI": "/%61"}, "/a", ("/%61", ""), id="gunicorn"),
        pytest.param({"REQUEST_URI": "", "RAW_URI": "/%61"}, "/a", ("/%61", ""), id="empty"),
        pytest.param({}, "/a b", ("/a%20b", ""), id="no-raw-target"),
        pytest.param(
            {"REQUEST_URI": "/a?b=%20", "QUERY_STRING": "b=%20"}, "/a", ("/a", "?b=%20"), id="query"
        ),
        pytest.param({"REQUEST_URI": "/a?"}, "/a", ("/a", "?"), id="empty-query"),
        pytest.param(
            {"REQUEST_URI": "/a?b?c", "QUERY_STRING": "b?c"}, "/a", ("/a", "?b?c"), id="two-marks"
        ),
        pytest.param(
            {"REQUEST_URI": "http://h:1/%61?b", "QUERY_STRING": "b"},
            "/a",
            ("/%61", "?b"),
            id="absolute-form",
        ),
        pytest.param(
            {"REQUEST_URI": "/a", "QUERY_STRING": "new=1"}, "/a", ("/a", "?new=1"), id="new-query"
        ),
        pytest.param(
            {"REQUEST_URI": "/a?old", "QUERY_STRING": ""}, "/a", ("/a", ""), id="query-taken-away"
        ),
        pytest.param({"REQUEST_URI": "/%61"}, "/b c", ("/b%20c", ""), id="path-changed"),
        pytest.param({"REQUEST_URI": "///a"}, "/a", ("///a", ""), id="slashes-collapsed"),
        pytest.param({"REQUEST_URI": "/\xc3\xa9"}, "/\xc3\xa9", ("/%C3%A9", ""), id="raw-utf-8"),
        pytest.param({"REQUEST_URI": "/\xe9'"}, "/\xe9'", ("/%E9'", ""), id="raw-latin-1"),
        pytest.param(
            {"REQUEST_URI": "/%E9"}, "/\xef\xbf\xbd", ("/%E9", ""), id="replacement-character"
        ),
        pytest.param(
            {"REQUEST_URI": "/a?\xe9", "QUERY_STRING": "\xe9"}, "/a", ("/a", "?%E9"), id="8-bit"
        ),
        pytest.param(
            {"REQUEST_URI": "http://h/%61/http://h/b"},
            "/a/http://h/b",
            ("/%61/http://h/b", ""),
            id="absolute-form-once",
        ),
        pytest.param(
            {"REQUEST_URI": "/%61/http://h/b"},
            "/a/http://h/b",
            ("/%61/http://h/b", ""),
            id="url-in-path",
        ),
        pytest.param(
            {"REQUEST_URI": "/a%2Fb?c", "QUERY_STRING": "c"},
            "/a%2Fb",
            ("/a%2Fb", "?c"),
            id="cheroot-and-query",
        ),
        pytest.param({"REQUEST_URI": "/a%2520"}, "/a%20", ("/a%2520", ""), id="encoded-twice"),
        pytest.param({"REQUEST_URI": "/a%2Fb"}, "/a%2Fb", ("/a%2Fb", ""), id="cheroot-keeps-%2F"),
    ],
)
def test_target_is_the_clients_own_spelling_where_it_agrees(
    environ: dict[str, str], path: str, expected: tuple[str, str]
) -> None:
    assert raw_target(environ, path) == expected


@pytest.mark.parametrize("bad", ["#", " ", "\x00", "\x1f", "\x7f", "\n"])
@pytest.mark.parametrize("target", ["/a{}", "/a?b{}", "/a{}?b"])
def test_target_that_no_client_may_send_is_refused(target: str, bad: str) -> None:
    raw = target.format(bad)
    path, _, query = raw.partition("?")

    with pytest.raises(BadRequest):
        raw_target({"REQUEST_URI": raw, "QUERY_STRING": query}, path)


@pytest.mark.parametrize(
    ("raw_path", "public", "prefix", "expected"),
    [
        ("/p", "/p", "/p", ""),
        ("/p/", "/p", "/p", "/"),
        ("/p/a%2Fb", "/p", "/p", "/a%2Fb"),
        ("//p/a", "/p", "/p", "/a"),
        ("/%70/a//b", "/p", "/p", "/a//b"),
        ("/%70", "/p", "/p", ""),
        ("/%70/", "/p", "/p", "/"),
        ("/p/q/a", "/p/q", "/p/q", "/a"),
        ("/p/%71/a/b", "/p/q", "/p/q", "/a/b"),
        ("/%C3%A9/a", "/\xc3\xa9", "/%C3%A9", "/a"),
        ("/%c3%a9/a", "/\xc3\xa9", "/%C3%A9", "/a"),
    ],
)
def test_path_is_cut_behind_any_spelling_of_the_prefix(
    raw_path: str, public: str, prefix: str, expected: str
) -> None:
    assert cut(raw_path, public, prefix) == expected


@pytest.mark.parametrize(
    ("raw_path", "prefix"),
    [
        ("/p%2Fq/a", "/p/q"),
        ("/p/./q/a", "/p/q"),
        ("/pX/q", "/p/q"),
        ("/p/qX", "/p/q"),
        ("/p", "/p/q"),
        ("/p//q/a", "/p/q"),
        ("/pX/a", "/p"),
        ("/p%2Fa", "/p"),
    ],
)
def test_prefix_in_other_segments_is_refused(raw_path: str, prefix: str) -> None:
    with pytest.raises(BadRequest):
        cut(raw_path, prefix, prefix)
