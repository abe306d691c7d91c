"""HTML: what is a URL, what only looks like one, and that nothing else changes."""

from __future__ import annotations

import re
import tracemalloc
from functools import partial

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

import wsgiproxy.rebase.tags as tags_module
from tests.rebase.feeding import URLS, bytewise, in_pieces, whole
from wsgiproxy.rebase.html import HtmlEditor

edit = partial(HtmlEditor, URLS)
edit_with_tags = partial(HtmlEditor, URLS, b"[S]", b"[M]")
edit_xml = partial(HtmlEditor, URLS, is_xml=True)

# What is mapped: `@` marks each place where the prefix has to be put.
MAPPED = {
    "double-quotes": b'<a href="@/x">',
    "single-quotes": b"<a href='@/x'>",
    "no-quotes": b"<a href=@/x>",
    "upper-case": b'<A HREF="@/x">',
    "blanks-around-equals": b'<a href\n = \t"@/x">',
    "no-blank-before": b'<a title="t"href="@/x">',
    "slash-before": b'<img/src="@/x"/>',
    "line-breaks": b'<a\r\nhref="@/x"\r\n>',
    "greater-in-value": b'<a title=">" href="@/x">',
    "quote-in-bare-value": b"<a title=it's href=@/x>",
    "equals-first": b'<a ="b" href="@/x">',
    "decimal-reference": b'<a href="@&#47;x">',
    "hex-reference-without-semicolon": b'<a href="@&#x2Fx">',
    "named-reference": b'<a href="@&sol;x">',
    "reference-later": b'<a href="@/x?a=1&amp;b=2">',
    "script": b'<script src="@/x"></script>',
    "form": b'<form action="@/x"><button formaction="@/y">',
    "media": b'<video poster="@/p"><source src="@/s"><track src="@/t"></video>',
    "object-data": b'<object data="@/x">',
    "cite": b'<q cite="@/x">',
    "html-manifest": b'<html manifest="@/x">',
    "ping": b'<a ping="@/x  @/y" href="#">',
    "srcset": b'<img srcset="@/x 1x, @/y 2x,y/z 3x">',
    "srcset-without-blanks": b'<img srcset="@/x,/y">',
    "srcset-commas": b'<img srcset=", @/x, ,@/y 10w">',
    "imagesrcset": b'<link rel=preload imagesrcset="@/x 1x">',
    "svg": b'<svg><use href="@/s#a"/><image xlink:href="@/i"/></svg>',
    "style-attribute": b'<p style="background: url(@/x)">',
    "style-attribute-with-references": b'<p style="a: url(&quot;@/x&quot;) &amp; url(@/y)">',
    "style-element": b"<style>a { b: url(@/x) }</style>",
    "refresh": b'<meta http-equiv="Refresh" content="0; url=@/x">',
    "refresh-quoted": b"<meta content=\"5;URL='@/x'\" http-equiv=refresh>",
    "refresh-without-name": b'<meta http-equiv="refresh" content="0;@/x">',
    "base": b'<base href="@/">',
    "iframe": b'<iframe src="@/x"></iframe>',
    "background": b'<body background="@/x">',
    "template": b'<template><a href="@/x"></template>',
    "noscript": b'<noscript><img src="@/y"></noscript>',
    "after-comment": b'<!-- x --><a href="@/x">',
    "after-empty-comments": b'<!--><a href="@/x"><!---><a href="@/y">',
    "after-comment-with-bang": b'<!-- x --!><a href="@/x">',
    "after-bogus-comment": b'<!x "><a href="@/x"><?php ?><a href="@/y"></ ><a href="@/z">',
    "cdata-in-html-is-a-comment": b'<![CDATA[ > <a href="@/x"> ]]>',
    "after-raw-text": b'<textarea><a href="/x"></textarea ><a href="@/x">',
    "after-script-with-comment": b'<script><!-- <script></script> --></script><a href="@/x">',
    "after-script-with-empty-comment": b'<script><!--></script><a href="@/x">',
    "less-than-in-text": b'a < b <3 <a href="@/x">',
    "svg-title-is-markup": b'<svg><title><a href="@/x"></a></title></svg>',
    "svg-script-closed": b'<svg><script/><a href="@/x"></svg>',
    "sjis": b'<a title="\x83\x5c" href="@/x">\x83\x5c</a>',
    "unknown-element": b'<my-part src="@/x">',
    "duplicate": b'<a href="@/x" href="@/y">',
    "attribution": b'<img attributionsrc="@/x @/y">',
    "page-in-an-attribute": b"<iframe srcdoc='<a href=@/x>&lt;img src=&quot;@/y&quot;>'></iframe>",
    "style-in-svg": b"<svg><style>a { b: url(@/x) } <![CDATA[ c { d: url(@/y) } ]]></style></svg>",
    "after-svg": b"<svg><title>x</title><path d=/x></svg><title></title><a href=@/x>",
    "html-in-svg": b"<svg><desc><title><a></title><b>x</b></desc></svg><a href=@/x>",
    "html-that-ends-svg": b"<svg><g><p><title><a></title><a href=@/x>",
    "html-behind-svg": b"<svg><p><a></a><title><b></title><a href=@/x>",
    "html-in-math": b"<math><mi><title><a></title></mi></math><a href=@/x>",
    "template-in-select": b"<select><option><template><a href=@/x></template></select>",
    "noscript-in-two": b"<noscript><p>x</p><img src=@/x></noscript><a href=@/y>",
    "slash-at-the-end-of-a-value": b"<svg><g href=@/></g></svg><title></title>",
    "own-host-after-long-scheme": b'<a href="https://cdn.example/x"></a><a href=@/x>',
}
KEPT = {
    "relative": b'<a href="x"><a href="?x"><a href="#x"><a href=""><a href>',
    "foreign": b'<a href="https://cdn.example/x"><a href=//cdn.example/x>',
    "prefixed": b'<a href="/app/x">',
    "data-attributes": b'<a data-href="/x" data="/y" title="/z" content="/c">',
    "text": b"see /static/x or href=/x",
    "comment": b'<!-- <a href="/x"> -->',
    "comment-with-dashes": b'<!-- -- > <a href="/x"> --->',
    "conditional-comment": b'<!--[if IE]><script src="/x"></script><![endif]-->',
    "script": b"<script>fetch('/x'); '<a href=\"/y\">'</script>",
    "script-escaped-twice": b'<script><!-- <script> </script> <a href="/x"> --></script>',
    "json-island": b'<script type="application/json">{"url": "/x"}</script>',
    "textarea": b'<textarea><a href="/x"></textarea>',
    "title": b'<title><a href="/x"></title>',
    "plaintext": b'<plaintext><a href="/x">',
    "xmp": b'<xmp><a href="/x"></xmp>',
    "cdata-in-svg": b'<svg><![CDATA[ <a href="/x"> ]]></svg>',
    "end-tag": b'</a href="/x">',
    "unfinished": b'<a href="/x',
    "doctype": b'<!DOCTYPE html SYSTEM "/x">',
    "meta-content": b'<meta name="x" content="/x">',
    "instruction": b'<?xml href="/x"?>',
    "utf-16": '<a href="/x">'.encode("utf-16"),
    "invalid-utf-8": b'<a title="\xff\xfe">\x80</a>',
    "name-with-quote": b'<a b"c href="x">',
    "no-reference-in-an-attribute": b"<p style='a: url(&quotx;/x)'>",
    "srcdoc-of-no-frame": b"<p srcdoc='<a href=/x>'>",
    # What nobody can be sure of without a tree stays as it is, and the rest of the page.
    "end-tag-in-svg": b"<div><svg></div><title><a href=/x></title><a href=/y>",
    "misnested-in-svg": b"<svg><desc><div><p><div></desc><style>a</b>url(/x)</style>",
    "select-with-title": b"<select><style><b>url(/x)</style></select><a href=/y>",
    "frameset-with-style": b"<frameset><style><b>url(/x)</style>",
    "column-in-a-template": b"<template><col><title><a href=/x></title>",
    "noscript-cut-in-an-end-tag": b"<noscript>x</</noscript><a href=/x>",
    "noscript-cut-in-a-tag": b"<noscript><a title='</noscript><a href=/x>'></noscript>",
    "noscript-cut-in-a-title": b"<noscript><title></noscript><a href=/x></title>",
    "cdata-nobody-is-sure-of": b"<p><svg></p><![CDATA[><a href=/x>]]>",
}


@pytest.mark.parametrize("marked", MAPPED.values(), ids=MAPPED)
def test_url_gets_the_prefix_and_nothing_else_changes(marked: bytes) -> None:
    given_text, expected = marked.replace(b"@", b""), marked.replace(b"@", b"/app")

    assert whole(edit, given_text) == expected
    assert bytewise(edit, given_text) == expected


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_what_is_no_url_of_the_upstream_stays(text: bytes) -> None:
    assert whole(edit, text) == text
    assert bytewise(edit, text) == text


def test_own_origin_becomes_a_path() -> None:
    text = b'<a href="http://localhost:9999/x"><img srcset="//127.0.0.1:9999/y 2x">'

    assert whole(edit, text) == b'<a href="/app/x"><img srcset="/app/y 2x">'


def test_foreign_base_leaves_root_relative_links() -> None:
    text = b'<a href="/x"><base href="https://cdn.example/"><a href="/x">'

    assert whole(edit, text) == text.replace(b'"/x"', b'"/app/x"', 1)


def test_own_base_keeps_root_relative_links_mapped() -> None:
    text = b'<base href="http://site.example/"><a href="/x">'

    assert whole(edit, text).endswith(b'<a href="/app/x">')


def test_hash_of_a_mapped_style_sheet_is_emptied() -> None:
    ours = b'<link rel="stylesheet" href="/x.css" integrity="sha384-AAAA">'
    foreign = b'<link rel="stylesheet" href="//cdn.example/x.css" integrity="sha384-AAAA">'
    script = b'<script src="x.js" integrity="sha384-AAAA"></script>'

    assert whole(edit, ours + foreign + script) == (
        b'<link rel="stylesheet" href="/app/x.css" integrity="">' + foreign + script
    )


def test_hash_without_quotes_is_emptied_with_some() -> None:
    text = b"<link rel=stylesheet integrity=sha384-AAAA href=x.css><link as=style integrity=a>"

    assert whole(edit, text) == (
        b'<link rel=stylesheet integrity="" href=x.css><link as=style integrity="">'
    )


def test_hash_of_a_sheet_of_our_site_is_emptied_unless_it_is_beside_the_prefix() -> None:
    ours = b'<link rel=stylesheet integrity="" href=http://site.example/app/x.css>'
    sites = b'<link rel=stylesheet integrity="a" href=http://site.example/x.css>'
    based = b"<base href=//cdn.example><link rel=stylesheet integrity=a href=x>"

    assert whole(edit, ours.replace(b'""', b'"a"')) == ours
    assert whole(edit, sites) == sites
    assert whole(edit, based) == based


def test_only_the_first_base_counts() -> None:
    text = (
        b'<base target=x><base href="http://site.example/"><base href="//cdn.example"><a href=/x>'
    )

    assert whole(edit, text).endswith(b"<a href=/app/x>")


def test_page_in_an_attribute_gets_the_script_and_stays_in_it() -> None:
    script = partial(HtmlEditor, URLS, b"<script src='/x'>")
    put_in = b"&#60;script&#32;src&#61;&#39;/x&#39;&#62;"

    for quote in (b"'", b'"', b""):
        text = b"<iframe srcdoc=" + quote + b"<p/id=a&gt;x" + quote + b"></iframe>"
        assert whole(script, text) == b"<script src='/x'>" + text.replace(b"<p", put_in + b"<p")


WHOLE = {
    "doctype": (b" <!-- x --><!DOCTYPE html><p>", b" <!-- x --><!DOCTYPE html>[S]<p>"),
    "html": (b"\xef\xbb\xbf<html><p>", b"\xef\xbb\xbf<html>[S]<p>"),
    "piece": (b"<p><html>", b"<p><html>"),
    "text": (b"x <!doctype html><p>", b"x <!doctype html><p>"),
    "module": (b"<script type=module>", b"<script type=module>"),
}


@pytest.mark.parametrize(("text", "expected"), WHOLE.values(), ids=WHOLE)
def test_what_a_script_asked_for_gets_the_script_if_it_is_a_whole_page(
    text: bytes, expected: bytes
) -> None:
    make = partial(HtmlEditor, URLS, b"[S]", b"[M]", is_piece=True)

    assert whole(make, text) == bytewise(make, text) == expected


def test_xml_has_cdata_and_no_raw_text() -> None:
    text = (
        b'<title><a href="/x"/></title><![CDATA[<a href="/y"/>]]><?pi > href="/z" ?><a href="/w"/>'
    )
    expected = text.replace(b'"/x"', b'"/app/x"').replace(b'"/w"', b'"/app/w"')

    assert whole(edit_xml, text) == expected
    assert bytewise(edit_xml, text) == expected


# -- what is put into a page --------------------------------------------------------

PLACES = {
    "head": b"<!doctype html><html><head>@<title>x</title></head>",
    "charset-first": b'<html><head><meta charset="utf-8">@<title>x</title>',
    "charset-http-equiv": b'<head><meta http-equiv="Content-Type" content="text/html">@<title>x',
    "policy-after": b'<head>@<meta http-equiv="Content-Security-Policy" content="default-src">',
    "empty-head": b"<html><head>@</head><body>",
    "no-head": b"<!doctype html>@<title>x</title>",
    "body-only": b"<html>@<body>x",
    "fragment": b"text @<p>x",
    "comment-before": b"<!-- <p> --><!doctype html><html>@<body>",
}


@pytest.mark.parametrize("marked", PLACES.values(), ids=PLACES)
def test_script_goes_in_front_of_all_others(marked: bytes) -> None:
    text, expected = marked.replace(b"@", b""), marked.replace(b"@", b"[S]")

    assert whole(edit_with_tags, text) == expected
    assert bytewise(edit_with_tags, text) == expected


def test_text_without_markup_gets_no_script() -> None:
    assert whole(edit_with_tags, b"a < b & c") == b"a < b & c"


def test_import_map_goes_before_the_first_module_only() -> None:
    text = b"<p><script>1</script><script type=module src=a></script><script type=module>"

    assert whole(edit_with_tags, text) == (
        b"[S]<p><script>1</script>[M]<script type=module src=a></script><script type=module>"
    )


def test_import_map_goes_before_a_preload_of_a_module() -> None:
    text = b'<link rel="modulepreload" href="/x"><script type="module">'

    assert whole(edit_with_tags, text) == (
        b'[S][M]<link rel="modulepreload" href="/app/x"><script type="module">'
    )


def test_page_with_an_import_map_keeps_it_as_the_only_one() -> None:
    text = b'<script type="importmap">{"imports": {"a": "/x"}}</script><script type="module">'

    assert (
        whole(edit_with_tags, text)
        == bytewise(edit_with_tags, text)
        == (
            b'[S]<script type="importmap">{"imports": {"/":"/app/","/app/":"/app/","a": "/app/x"}}'
            b'</script><script type="module">'
        )
    )


# -- streaming ------------------------------------------------------------------------

_SOUP = (
    b'<a href="/x">|<img src=/y>|<svg>|</svg>|<title>|</title>|<script>|</script>|<!--|-->',
    b"--!>|<![CDATA[|]]>|<style>|</style>|url(/z)|<textarea|</textarea>|<|>|\"|'|=|/| |\n",
    b'&#47;|href=|src|a|!|?|-|<p |<base href=|<meta |<script type="importmap">|/x|\\',
    b'{"imports":{"/a":"/b"}}|<p style="a:url(/s)">|<script type=module>',
    b"<link rel=modulepreload href=/m>",
)
SOUP = st.lists(st.sampled_from(b"|".join(_SOUP).split(b"|")), max_size=30).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(text=SOUP, cuts=st.sets(st.integers(1, 200), max_size=6))
def test_any_cut_gives_the_same_page(text: bytes, cuts: set[int]) -> None:
    expected = whole(edit_with_tags, text)

    assert bytewise(edit_with_tags, text) == expected
    assert in_pieces(edit_with_tags, text, cuts) == expected


@settings(max_examples=300, deadline=None)
@given(text=SOUP, cuts=st.sets(st.integers(1, 200), max_size=6))
def test_any_cut_gives_the_same_page_with_long_tags(text: bytes, cuts: set[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tags_module, "LIMIT", 12)
        expected = whole(edit_with_tags, text)

        assert bytewise(edit_with_tags, text) == expected
        assert in_pieces(edit_with_tags, text, cuts) == expected


@settings(max_examples=300, deadline=None)
@given(text=SOUP)
def test_an_edit_only_ever_adds_the_prefix(text: bytes) -> None:
    edited = whole(edit, text)

    rest = iter(edited.replace(b"/app", b"").replace(b'"/":"/","/":"/",', b""))
    assert all(byte in rest for byte in text.replace(b"/app", b""))


def _urls_and_text(page: bytes) -> tuple[list[tuple[str, str, str]], str]:
    """Links and text as a browser's parser finds them."""
    tree = LexborHTMLParser(page)
    found = []
    for node in tree.css("*"):
        for name, value in node.attributes.items():
            if name in ("href", "src"):
                found.append((str(node.tag), name, value or ""))
    return found, tree.root.text() if tree.root else ""


@settings(max_examples=300, deadline=None)
@given(text=SOUP)
def test_links_are_those_that_a_browser_finds(text: bytes) -> None:
    # A base changes what the other links mean; which tags end an SVG is not followed.
    assume(not re.search(rb"<base|<svg|importmap", text))
    before, text_before = _urls_and_text(text)
    after, text_after = _urls_and_text(whole(edit, text))

    mapped = [(tag, name, URLS.map(value.encode()).decode()) for tag, name, value in before]
    assert after == mapped
    assert text_after.replace("/app", "") == text_before


def test_unfinished_tag_is_held_within_limits_and_let_through() -> None:
    editor = edit()
    tail = b'x" ' * 200_000

    tracemalloc.start()
    made = sum(len(editor.feed(tail[at : at + 4096])) for at in range(0, len(tail), 4096))
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    editor = edit()
    out = editor.feed(b"<a ") + editor.feed(tail)

    assert made == len(tail)
    assert held < 2 << 20
    assert len(out) > len(tail) - tags_module.LIMIT * 2


def test_link_behind_a_huge_attribute_is_still_mapped() -> None:
    picture = b"data:image/png;base64," + b"A" * 200_000
    text = b'<img src="' + picture + b'" srcset="/x 2x"><a href="/y">'

    assert whole(edit, text) == text.replace(b"/x", b"/app/x").replace(b"/y", b"/app/y")


def test_whole_tag_comes_out_without_waiting_for_more() -> None:
    editor = edit()

    assert editor.feed(b'<p>hello <a href="/x">you') == b'<p>hello <a href="/app/x">you'
