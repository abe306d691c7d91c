"""URLs in JSON: web manifests, and types that link by their members."""

from __future__ import annotations

import json
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rebase.feeding import URLS, bytewise, in_pieces, whole
from wsgiproxy.rebase.json_urls import LINKS, MANIFEST, JsonEditor

edit = partial(JsonEditor, URLS, MANIFEST)
edit_links = partial(JsonEditor, URLS, LINKS)


def test_urls_of_a_manifest_are_mapped_in_place() -> None:
    text = b"""{ "name": "/x", "start_url" : "/", "scope":"\\/", "id": "\\u002fx",
      "icons": [ {"src": "/i.png", "sizes": "9x9"} ], "shortcuts": [{"name": "/y", "url": "/y"}],
      "share_target": {"action": "/share"}, "related": ["/z"], "theme_color": "#fff" }"""
    expected = (
        text.replace(b'"/",', b'"/app/",')
        .replace(b'"\\/"', b'"/app\\/"')
        .replace(b'"\\u002fx"', b'"/app\\u002fx"')
        .replace(b'"/i.png"', b'"/app/i.png"')
        .replace(b'"url": "/y"', b'"url": "/app/y"')
        .replace(b'"/share"', b'"/app/share"')
    )

    assert whole(edit, text) == expected
    assert bytewise(edit, text) == expected


def test_large_manifest_is_edited_while_it_streams() -> None:
    editor = edit()
    filler = b'{"x": "' + b"x" * 500_000 + b'", '

    assert editor.feed(filler) == filler
    assert editor.feed(b'"start_url": "/"}') + editor.finish() == b'"start_url": "/app/"}'


# PEP 691, with URLs as simple repositories have them.
PROJECT = b"""{"meta": {"api-version": "1.1"}, "name": "x", "files": [
  {"filename": "x-1.tar.gz", "url": "/files/x-1.tar.gz#sha256=0", "hashes": {"url": 1}},
  {"filename": "/y", "url": "http://localhost:9999/y", "size": 1},
  {"filename": "z", "url": "../../z", "data-url" : "/z", "htmlUrl":"\\/w"}]}"""


def test_links_of_json_are_mapped_in_place() -> None:
    expected = (
        PROJECT.replace(b'"/files', b'"/app/files')
        .replace(b"http://localhost:9999/y", b"/app/y")
        .replace(b'"/z"', b'"/app/z"')
        .replace(b'"\\/w"', b'"/app\\/w"')
    )

    assert whole(edit_links, PROJECT) == expected
    assert bytewise(edit_links, PROJECT) == expected


def test_value_called_like_a_name_is_none() -> None:
    text = b'{"a": ["url", "/x"], "b": "url", "/y": "href"}'

    assert whole(edit_links, text) == bytewise(edit_links, text) == text


@pytest.mark.parametrize("text", [b"", b"[", b'{"start_url":', b"null", b'{"src": 1}', b"]]}}"])
def test_broken_manifest_stays(text: bytes) -> None:
    assert whole(edit, text) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["/x", "url", "/"]),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["url", "id"]), inner)
    ),
    max_leaves=10,
)


def _mapped(value: object, name: str = "") -> object:
    if isinstance(value, dict):
        return {key: _mapped(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mapped(inner) for inner in value]
    is_url = isinstance(value, str) and name == "url"
    return URLS.map(str(value).encode("utf-8", "surrogatepass")).decode() if is_url else value


@given(JSON, st.booleans(), st.sets(st.integers(1, 100), max_size=5))
def test_any_json_is_the_same_but_for_its_links(
    value: object, escape: bool, cuts: set[int]
) -> None:
    text = json.dumps(value, ensure_ascii=escape).encode("utf-8", "surrogatepass")
    edited = whole(edit_links, text)

    assert json.loads(edited) == _mapped(value)
    assert in_pieces(edit_links, text, cuts) == edited
