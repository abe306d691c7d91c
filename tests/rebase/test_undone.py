"""Edited pages against a browser's parser: the edits undone, the tree must be the same.

This is what finds script out of nothing: text that an edit turns into markup, or markup
that is edited as if it were text.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rebase.feeding import URLS, in_pieces, whole
from tests.rebase.trees import TAGS, tree
from wsgiproxy.rebase.html import HtmlEditor
from wsgiproxy.rebase.policy import Policies
from wsgiproxy.rebase.runtime import Runtime

RUNTIME = Runtime(URLS)


def _editor() -> HtmlEditor:
    return HtmlEditor(URLS, *TAGS, policies=Policies(URLS, RUNTIME))


ELEMENTS = [
    *("a", "b", "p", "div", "span", "select", "option", "table", "tr", "td", "template"),
    *("col", "frameset", "noscript", "title", "textarea", "style", "script", "xmp", "iframe"),
    *("noembed", "noframes", "plaintext", "svg", "math", "foreignObject", "desc", "mi"),
    *("annotation-xml", "mglyph", "font", "img", "link", "meta", "base", "form", "object"),
    *("body", "html", "head", "br", "li", "use"),
]
NAMES = [
    *("href", "src", "action", "formaction", "poster", "cite", "background", "longdesc"),
    *("xlink:href", "srcset", "imagesrcset", "ping", "attributionsrc", "style", "data"),
    *("manifest", "content", "http-equiv", "integrity", "rel", "as", "type", "srcdoc"),
    *("title", "encoding", "color", "nonce"),
]
VALUES = [
    *("/x", "/", "/x?a=1&amp;b=2", "http://localhost:9999/x", "http://localhost:9999", "x", ""),
    *("//cdn.example/x", "&#47;x", "\\x", "/x 1x, /y 2x", "0;url=/x", "refresh", "url(/x)", ">"),
    *("content-security-policy", "img-src localhost:9999", "script-src 'none'", "style"),
    *("default-src 'self'", "style-src 'sha256-AAAA'", "stylesheet", "modulepreload", "module"),
    *("importmap", "text/html", "sha384-abc", "<img src=/x>", "<script>1</script>", "<p>&quot;"),
]
MAPS = [
    '{"imports":{"/a\\u003c/script\\u003e":"/\\u003cimg src=/x>"}}',
    '{"imports":{"b":"/b"}}',
]
TEXTS = [
    *("text", "<!--", "-->", "--!>", "<!>", "<!-->", "<![CDATA[", "]]>", "<?x", "</", "<", "&lt;"),
    *("/", "'", '"', "=", ">", " ", "\n", "a{b:url(/x)}", "@import '/y'", "<!doctype html>", *MAPS),
]
WHOLE = [
    '<script type="importmap">' + MAPS[0] + "</script>",
    "<script type=importmap>" + MAPS[1] + "</script>",
    '<link rel=stylesheet href=/x integrity=sha384-abc title="><img src=x>">',
    "<script type=module>",
    "<svg><style>",
]


def _attribute(name: str, value: str, quote: str) -> str:
    if not quote:  # what stands there without quotes
        value = value.replace(" ", "").replace(">", "")
    return f" {name}={quote}{value.replace(quote or chr(0), '')}{quote}"


attributes = st.lists(
    st.builds(
        _attribute, st.sampled_from(NAMES), st.sampled_from(VALUES), st.sampled_from(["", '"', "'"])
    ),
    max_size=4,
).map("".join)
starts = st.builds(
    "<{}{}{}>".format, st.sampled_from(ELEMENTS), attributes, st.sampled_from(["", "/"])
)
pieces = st.one_of(
    starts,
    starts,
    st.sampled_from(ELEMENTS).map("</{}>".format),
    st.sampled_from(TEXTS),
    st.sampled_from(WHOLE),
)
PAGES = st.lists(pieces, max_size=12).map(lambda page: "".join(page).encode("latin-1"))


@settings(max_examples=400, deadline=None)
@given(PAGES, st.booleans())
def test_page_with_its_edits_undone_is_the_page(page: bytes, scripting: bool) -> None:
    edited = whole(_editor, page)

    assert tree(edited, scripting=scripting) == tree(page, scripting=scripting)


@settings(max_examples=100, deadline=None)
@given(PAGES, st.sets(st.integers(1, 300), max_size=6))
def test_page_is_edited_the_same_however_it_is_cut(page: bytes, cuts: set[int]) -> None:
    assert in_pieces(_editor, page, cuts) == whole(_editor, page)
