"""What a path may mean to others."""

from __future__ import annotations

import pytest

from wsgiproxy.errors import BadRequest
from wsgiproxy.protocol.path_readings import (
    climbs,
    is_ambiguous,
    is_normal,
    normal,
    readings,
    spellings,
)


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", False),
        ("/a/..", False),
        ("/a/../b/..", False),
        ("/..", True),
        ("/a/../..", True),
        ("/a/../../b/c", True),
        ("/./..", True),
        ("//..", True),
        ("/a/./..", False),
        ("/a//../..", True),
        ("/...", False),
        ("/..a", False),
        ("/a..", False),
    ],
)
def test_dots_that_lead_out_are_seen(rest: str, expected: bool) -> None:
    assert climbs(rest) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/../b", "/b"),
        ("//a//b/./c", "/a/b/c"),
        ("/../a", "/a"),
        ("a", "/a"),
        ("/a/", "/a/"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/", "/"),
        ("//", "/"),
    ],
)
def test_generous_reader_sees_the_normal_path(path: str, expected: str) -> None:
    assert normal(path) == expected


@pytest.mark.parametrize(
    ("path", "among"),
    [
        ("/a;x/b", "/a/b"),
        ("/..;/b", "/../b"),
        ("/a\\b", "/a/b"),
        ("/%61", "/a"),
        ("/%2561", "/a"),
        ("/%u0061", "/a"),
        ("/\xc1\xa1", "/a"),
        ("/\xe0\x81\xa1", "/a"),
        ("/\xf0\x80\x81\xa1", "/a"),
        ("//host/a", "/a"),
        ("/a%2fb/../%63", "/c"),
        ("/x;%2fq/../a", "/a"),
    ],
)
def test_reading_of_some_server_is_among_all(path: str, among: str) -> None:
    assert is_ambiguous(path)
    assert not is_normal(path)
    assert among in list(readings(path))


@pytest.mark.parametrize(
    "path", ["/", "/a/", "/a b", "/100%", "/\xc3\xa9", "/\xe0\xa0\x80", "/a.b/.c", "/...", "/a:@,+"]
)
def test_plain_path_has_one_reading(path: str) -> None:
    assert is_normal(path)
    assert list(readings(path)) == [path]


def test_path_is_spelt_as_the_client_did_first() -> None:
    assert list(spellings("/p", "/a", "?q")) == ["/p/a?q"]
    first, *others = spellings("/p", "/%61/", "?q")
    assert first == "/p/%61/?q"
    assert "/p/a/?q" in others


def test_path_without_end_of_readings_is_refused() -> None:
    with pytest.raises(BadRequest, match="too many"):
        list(readings("".join(f"/%{'25' * n}2f;a" for n in range(1, 40))))
