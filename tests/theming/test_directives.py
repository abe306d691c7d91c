"""Each documented directive of Diazo's rules language, through the middleware."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.theming.conftest import Application, ask, rules

THEME = (
    '<!DOCTYPE html><html><head><title>Theme</title></head><body class="t">'
    '<div id="a" title="old"><b>theme</b></div><p id="b">gone</p></body></html>'
)
CONTENT = (
    '<html><head><title>Content</title></head><body class="c">'
    '<div id="x" title="new" lang="de"><i>one</i><i class="no">two</i></div>'
    '<span id="y">span</span></body></html>'
)
A = '<div id="a" title="old"><b>theme</b></div>'
X = '<div id="x" title="new" lang="de"><i>one</i><i class="no">two</i></div>'
I = '<i>one</i><i class="no">two</i>'  # noqa: E741 - the children of X

CASES = {
    "replace": ('<replace css:theme="#a" css:content="#x"/>', f"{X}<p"),
    "replace children of both": (
        '<replace css:theme-children="#a" css:content-children="#x"/>',
        f'<div id="a" title="old">{I}</div>',
    ),
    "replace with inline markup": (
        '<replace css:theme="#a"><em>mine</em></replace>',
        '<body class="t"><em>mine</em>',
    ),
    "replace content": (
        '<replace css:content=".no"><u>new</u></replace><replace css:theme="#a" css:content="#x"/>',
        "<i>one</i><u>new</u>",
    ),
    "before": ('<before css:theme="#a" css:content="#y"/>', f'<span id="y">span</span>{A}'),
    "before children": (
        '<before css:theme-children="#a" css:content="#y"/>',
        '<div id="a" title="old"><span id="y">span</span><b>',
    ),
    "after": ('<after css:theme="#a" css:content="#y"/>', f'{A}<span id="y">span</span>'),
    "after children": (
        '<after css:theme-children="#a" css:content="#y"/>',
        '<b>theme</b><span id="y">span</span></div>',
    ),
    "prepend": (
        '<prepend css:theme="#a" css:content="#y"/>',
        '<div id="a" title="old"><span id="y">span</span><b>',
    ),
    "append": (
        '<append css:theme="#a" css:content="#y"/>',
        '<b>theme</b><span id="y">span</span></div>',
    ),
    "copy": (
        '<copy css:theme="#a" css:content="#y"/>',
        '<div id="a" title="old"><span id="y">span</span></div>',
    ),
    "copy attributes": (
        '<copy attributes="title lang" css:theme="#a" css:content="#x"/>',
        '<div id="a" title="new" lang="de"><b>',
    ),
    "copy all attributes": (
        '<copy attributes="*" css:theme="#a" css:content="#x"/>',
        '<div id="x" title="new" lang="de"><b>',
    ),
    "merge": (
        '<merge attributes="class" css:theme="body" css:content="body"/>',
        '<body class="t c">',
    ),
    "merge with separator": (
        '<merge attributes="class" separator="-" css:theme="body" css:content="body"/>',
        '<body class="t-c">',
    ),
    "drop from theme": ('<drop css:theme="#b"/>', f'<body class="t">{A}</body>'),
    "drop from content": (
        '<drop css:content=".no"/><replace css:theme="#a" css:content="#x"/>',
        'lang="de"><i>one</i></div>',
    ),
    "drop attributes": ('<drop attributes="title" css:theme="#a"/>', '<div id="a"><b>'),
    "strip theme": ('<strip css:theme="#a"/>', '<body class="t"><b>theme</b><p'),
    "strip content": (
        '<strip css:content="#x"/><replace css:theme-children="#a" css:content="#x"/>',
        f'<div id="a" title="old">{I}</div>',
    ),
    "xpath": ('<replace theme="/html/body/div" content="//span"/>', "<span id="),
    "inline xsl": (
        '<replace css:theme="#a"><xsl:value-of select="count(//i)"/></replace>',
        '<body class="t">2<p',
    ),
    "inline xsl template": (
        '<xsl:template match="i[1]"><s><xsl:apply-templates/></s></xsl:template>'
        '<replace css:theme="#a" css:content="#x"/>',
        '<s>one</s><i class="no">',
    ),
    "if content": ('<drop css:theme="#b" css:if-content="#y"/>', f"{A}</body>"),
    "if not content": ('<drop css:theme="#b" css:if-not-content="#nothing"/>', f"{A}</body>"),
    "if path": ('<drop css:theme="#b" if-path="/news"/>', f"{A}</body>"),
    "if path ends": ('<drop css:theme="#b" if-path="item/"/>', f"{A}</body>"),
    "if not path": ('<drop css:theme="#b" if-not-path="/other"/>', f"{A}</body>"),
    "if": ("<drop css:theme='#b' if='$mode = \"dark\"'/>", f"{A}</body>"),
    "nested conditions": (
        '<rules if-path="/news"><rules css:if-content="#y"><drop css:theme="#b"/></rules></rules>',
        f"{A}</body>",
    ),
    "condition that fails": ('<drop css:theme="#b" if-path="/other"/>', "gone"),
    "theme of the rules wins if it applies": (
        '<theme if-path="/news"><html><body><h1>inline theme</h1></body></html></theme>',
        "<h1>inline theme</h1>",
    ),
    "include of another page": (
        '<append css:theme="#a" css:content="#other" href="/other"/>',
        '<b>theme</b><em id="other">from /other</em></div>',
    ),
    "include of a relative page": (
        '<append css:theme="#a" css:content="#other" href="../other"/>',
        '<em id="other">from /other</em>',
    ),
    "include under a condition": (
        '<append css:theme="#a" css:content="#other" href="/other" if-path="/news"/>',
        '<em id="other">from /other</em>',
    ),
    "include of what is not there": (
        '<append css:theme="#a" css:content="#other" href="/missing"/>',
        A,
    ),
    "ssi": (
        '<replace css:theme="#a" css:content="#other" href="/other" method="ssi"/>',
        "<!--#include  virtual=\"/other?;filter_xpath=//*[@id%20=%20'other']\"-->",
    ),
    "esi": (
        '<replace css:theme="#a" href="/other" method="esi"/>',
        '<esi:include src="/other">',
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_directive_does_what_diazo_documents(case: str, application: Application) -> None:
    directive, expected = CASES[case]
    application.body = [CONTENT.encode()]
    application.pages = {"/other": '<p>x</p><em id="other">from /other</em>', "/missing": ""}
    response = ask(
        application, "/news/item", rules=rules(directive), theme=THEME, params={"mode": "dark"}
    )
    assert expected in response.text


def test_notheme_leaves_the_page_byte_for_byte(application: Application) -> None:
    page = b"<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>\r\n<P>Old  <BR>page"
    application.body = [page]
    response = ask(application, rules=rules('<notheme css:if-not-content="#x"/>'), theme=THEME)
    assert response.body == page


def test_notheme_with_content_rules_keeps_the_pages_own_doctype(
    application: Application,
) -> None:
    application.body = [b"<!DOCTYPE html PUBLIC '-//W3C//DTD HTML 4.01//EN'><p>a<s>b</s></p>"]
    response = ask(
        application, rules=rules('<notheme if-path="/"/><drop content="//s"/>'), theme=THEME
    )
    assert response.text.startswith('<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN"')
    assert "<p>a</p>" in response.text
    assert "wsgiproxy" not in response.text


def test_notheme_by_path_themes_the_other_pages(application: Application) -> None:
    given = rules('<notheme if-path="/admin"/><replace css:theme="#a" css:content="#content"/>')
    assert "hello</div><p" in ask(application, "/", rules=given, theme=THEME).text
    assert "Page</title>" in ask(application, "/admin", rules=given, theme=THEME).text


def test_conditional_themes_are_chosen_by_path(application: Application, files: Path) -> None:
    (files / "one.html").write_text("<html><body>theme one</body></html>")
    (files / "two.html").write_text("<html><body>theme two</body></html>")
    (files / "rules.xml").write_text(
        rules('<theme href="one.html" if-path="/one"/><theme href="two.html"/>')
    )
    source = files / "rules.xml"
    assert "theme one" in ask(application, "/one", rules=source, theme=None).text
    assert "theme two" in ask(application, "/elsewhere", rules=source, theme=None).text


def test_xinclude_brings_in_other_rules(application: Application, files: Path) -> None:
    (files / "more.xml").write_text(rules('<drop css:theme="#b"/>'))
    (files / "rules.xml").write_text(rules('<xi:include href="more.xml"/>'))
    assert "gone" not in ask(application, rules=files / "rules.xml", theme=THEME).text


@pytest.mark.parametrize(
    ("prefix", "expected"), [("/static", 'src="/static/i.png"'), (None, 'src="i.png"')]
)
def test_prefix_is_put_before_relative_urls(
    prefix: str | None, expected: str, application: Application
) -> None:
    theme = '<html><body><img src="i.png"></body></html>'
    response = ask(application, rules=rules(""), theme=theme, prefix=prefix)
    assert expected in response.text


def test_includes_of_script_and_style_are_wrapped(application: Application) -> None:
    given = rules(
        '<append theme="/html/head" content="/html/body/style" href="/x"/>'
        '<append theme="/html/head" content="/html/body/script" href="/x"/>'
    )

    def app(environ, start_response):  # type: ignore[no-untyped-def]
        kind = "text/css" if environ["PATH_INFO"] == "/x" else "text/html"
        start_response("200 OK", [("Content-Type", kind)])
        return [b"a > b {}"] if kind == "text/css" else [b"<p>page"]

    assert "<style>a > b {}</style></head>" in ask(app, rules=given, theme=THEME).text
