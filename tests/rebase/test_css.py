"""CSS: which strings are URLs, wherever the sheet is cut."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wsgiproxy.rebase.css as css_module
from tests.rebase.feeding import URLS, bytewise, in_pieces, whole
from wsgiproxy.rebase.css import CssEditor, css_edits
from wsgiproxy.rebase.escapes import apply

edit = partial(CssEditor, URLS)

MAPPED = {
    "bare": b"a { b: url(@/x.png) }",
    "double-quotes": b'url("@/x")',
    "single-quotes-and-blanks": b"url(\n '@/x' )",
    "upper-case": b"URL(@/x)",
    "several": b"src: url(@/a) format('woff2'), url(@/b)",
    "import-string": b'@import "@/x.css";',
    "import-url": b"@import url(@/x.css) screen;",
    "import-behind-comment": b"@import/**/ '@/x.css';",
    "escaped-slash": b"url(@\\2f x)",
    "escaped-in-string": b'url("@\\00002F x")',
    "custom-property": b"--logo: url(@/x)",
    "image-set": b'image-set("@/a.png" 1x, url("@/b.png") 2x, "@/c" type("image/png"))',
    "after-image-set": b'-webkit-image-set("@/a" 1x); content: "/b"; c: url(@/d)',
    "after-string-with-quote": b'content: "\\"/x"; b: url(@/x)',
    "after-bad-string": b'content: "/x\n; b: url(@/x)',
    "after-comment": b"/* url(/y) */ url(@/x)",
    "after-escaped-quote-in-name": b'.a\\"b { c: url(@/x) }',
    "after-data": b"url(data:image/png;base64,AAAA/BBB) url(@/x)",
    "in-supports": b"@supports (a: b) { c { d: url(@/x) } }",
    "unfinished": b"url(@/x",
    "division": b"width: calc(10px / 2); b: url(@/x)",
}
KEPT = {
    "relative": b"url(x.png) url(../y.png) url(#a) url()",
    "foreign": b"url(https://cdn.example/x) url(//cdn.example/x)",
    "prefixed": b"url(/app/x)",
    "string": b'content: "/x"',
    "other-function": b'my-url(/x) format("/y") curl(/z)',
    "comment": b'/* @import "/x"; url(/y) */',
    "import-lookalike": b'@imported "/x"; @import-x "/y"; import "/z"',
    "selector": b'a[href="/x"] { b: c }',
    "charset": b'@charset "utf-8";',
    "continued-string": b'"a\\\r\nurl(/x)"',
}


@pytest.mark.parametrize("marked", MAPPED.values(), ids=MAPPED)
def test_url_gets_the_prefix_and_nothing_else_changes(marked: bytes) -> None:
    text, expected = marked.replace(b"@/", b"/").replace(b"@\\", b"\\"), None
    expected = marked.replace(b"@/", b"/app/").replace(b"@\\", b"/app\\")

    assert whole(edit, text) == expected
    assert bytewise(edit, text) == expected
    assert apply(text, css_edits(URLS, text)) == expected


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_is_no_url_of_the_upstream_stays(text: bytes) -> None:
    assert whole(edit, text) == text
    assert bytewise(edit, text) == text


SOUP = st.lists(
    st.sampled_from(
        b"url(|/x|)|\"|'|\\|/*|*/|@import|image-set(|(|;|{|}".split(b"|")
        + b" |\n|\r\n|a|-|\\2f |data:|URL( |\x80".split(b"|")
    ),
    max_size=25,
).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(text=SOUP, cuts=st.sets(st.integers(1, 100), max_size=5))
def test_any_cut_gives_the_same_sheet(text: bytes, cuts: set[int]) -> None:
    expected = whole(edit, text)

    assert bytewise(edit, text) == expected
    assert in_pieces(edit, text, cuts) == expected
    assert apply(text, css_edits(URLS, text)) == expected


@settings(max_examples=300, deadline=None)
@given(text=SOUP, cuts=st.sets(st.integers(1, 100), max_size=5))
def test_any_cut_gives_the_same_sheet_with_long_urls(text: bytes, cuts: set[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(css_module, "REACH", 6)
        expected = whole(edit, text)

        assert bytewise(edit, text) == expected
        assert in_pieces(edit, text, cuts) == expected


def test_huge_url_is_let_through_while_it_comes() -> None:
    editor = edit()
    editor.feed(b"a { b: url(data:,")
    pieces = [editor.feed(b"A" * 10_000) for _ in range(10)]

    assert sum(map(len, pieces[1:])) == 90_000
    assert editor.feed(b") url(/x)").endswith(b") url(/app/x)")
