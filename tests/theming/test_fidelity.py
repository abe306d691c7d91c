"""HTML stays HTML5: what goes in comes out as browsers read it."""

from __future__ import annotations

import threading

import pytest

from tests.theming.conftest import Application, ask, rules
from wsgiproxy.theming import ThemeMiddleware

KEPT = {
    "void elements": '<p>a<br>b<img src="i.png" alt=""><input type="text"></p><hr>',
    "empty elements": '<p><i class="icon"></i><span></span></p><div></div>',
    "boolean attributes": '<input type="checkbox" checked disabled>',
    "svg with its case": '<svg viewBox="0 0 1 1"><linearGradient id="g"></linearGradient>'
    '<foreignObject><p>x</p></foreignObject><path d="M0 0"></path></svg>',
    "script": "<script>if (a < b && c) { x = \"</p>\" + '&amp;'; }</script>",
    "json": '<script type="application/json">{"a": "<b>&</b>"}</script>',
    "style": '<style>a > b { content: "<" }</style>',
    "template": "<template><p>row</p></template>",
    "conditional comment": '<!--[if lt IE 9]><script src="a.js"></script><![endif]-->',
    "comment with dashes": "<!-- a -- b -->",
    "custom elements": '<my-card some-attr="x"><slot name="s"></slot></my-card>',
    "html5 elements": "<main><section><article><figure></figure></article></section></main>",
    "entities": "<p>a &amp; b &lt; c \u00a0 \u2026 \u20ac \U0001f600</p>",
    "framework attributes": '<b @click="go()" :class="{a: b}" v-on:click.prevent="x">y</b>',
    "angular attributes": '<b *ngif="a" [x]="y" (click)="z">y</b>',
    "placeholders": '<a href="{{ url }}">{{ text }}</a>',
    "blank ends of URLs": '<a href="page.html ">x</a>',
    "white space": "<b>a</b> <i>b</i>\n  <u> c </u>",
    "pre": "<pre>\n\n  two\n</pre><textarea>\n <b></textarea>".replace("<b>", "&lt;b&gt;"),
    "iframe text": "<iframe><p>fallback</p></iframe>",
    "unrendered template": '<p {%="" if="" x="" %}="" href="a.html ">y</p>',
    "data attributes": '<p data-x=\'{"a":"b"}\'>x</p>',
}


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("place", ["content", "theme"])
def test_markup_survives(name: str, place: str, application: Application) -> None:
    markup = KEPT[name]
    theme = "<!DOCTYPE html><html><head></head><body>%s</body></html>"
    if place == "content":
        application.body = [f"<!DOCTYPE html><html><body>{markup}</body></html>".encode()]
        given = rules('<copy css:theme="body" content="/html/body/node()"/>')
        response = ask(application, rules=given, theme=theme % "")
    else:
        response = ask(application, rules=rules(""), theme=theme % markup)
    assert markup in response.text


@pytest.mark.parametrize("name", KEPT)
def test_markup_survives_rules_that_change_content(name: str, application: Application) -> None:
    application.body = [f"<html><body><s>x</s>{KEPT[name]}</body></html>".encode()]
    given = rules('<drop content="//s"/><copy css:theme="body" content="/html/body/node()"/>')
    response = ask(application, rules=given, theme="<html><body></body></html>")
    assert KEPT[name] in response.text
    assert "<s>" not in response.text


def test_default_doctype_is_html5(application: Application) -> None:
    assert ask(application).text.startswith("<!DOCTYPE html>\n<html>")


def test_doctype_option_replaces_it(application: Application) -> None:
    doctype = '<!DOCTYPE html SYSTEM "about:legacy-compat">'
    assert ask(application, doctype=doctype).text.startswith(doctype)
    assert ask(application, html5=False, doctype=doctype).text.startswith(doctype)


def test_html5_off_writes_what_the_rules_say(application: Application) -> None:
    application.body = [b"<p id=content>a<br>b</p>"]
    text = ask(application, html5=False).text
    assert text.startswith('<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"')
    assert "a<br />b" in text


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), "text/html; charset=utf-8", "é"),
        ("é".encode("latin-1"), "text/html; charset=ISO-8859-1", "é"),
        ("€".encode("cp1252"), "text/html; charset=latin1", "€"),
        (b"\xef\xbb\xbf" + "é".encode(), "text/html", "é"),
        ("é".encode("utf-16"), "text/html", "é"),
        ("<meta charset=windows-1251>Ж".encode("cp1251"), "text/html", "Ж"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">Ж'.encode("koi8-r"),
         "text/html", "Ж"),
        ("<!-- <meta charset=latin-1> -->é".encode(), "text/html", "é"),
        ("é".encode(), "text/html", "é"),
        ("日本".encode("shift_jis"), 'text/html; charset="Shift_JIS"', "日本"),
        ("é".encode(), "text/html; charset=rot13", "é"),
        (b"a\xffb", "text/html; charset=utf-8", "a\ufffdb"),
        ("<meta charset=latin-1>é".encode(), "text/html; charset=utf-8", "é"),
    ],
    ids=["utf-8", "latin-1", "latin-1 is windows-1252", "bom", "utf-16 bom", "meta", "http-equiv",
         "meta in a comment", "utf-8 without a word", "shift_jis", "unknown charset",
         "invalid bytes", "header before meta"],
)  # fmt: skip
def test_charset_is_found(
    body: bytes, content_type: str, text: str, application: Application
) -> None:
    application.headers = [("Content-Type", content_type)]
    application.body = [body]
    given = rules('<copy css:theme="#main" content="/html//text()"/>')
    response = ask(application, rules=given)
    assert response.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert f'<div id="main">{text}</div>' in response.body.decode()


def test_meta_says_what_is_written(application: Application) -> None:
    application.body = [b"<html><head><meta charset='iso-8859-1'></head></html>"]
    given = rules('<append css:theme="head" content="/html/head/meta"/>')
    assert '<meta charset="utf-8">' in ask(application, rules=given).text


def test_charset_option_writes_that_charset(application: Application) -> None:
    application.body = ["<p id=content>é€ \u0416".encode()]
    response = ask(application, charset="windows-1252")
    assert response.headers["Content-Type"] == "text/html; charset=windows-1252"
    assert "é€ &#1046;".encode("cp1252") in response.body


def test_xhtml_becomes_html(application: Application) -> None:
    application.headers = [("Content-Type", "application/xhtml+xml")]
    assert ask(application).headers["Content-Type"] == "text/html; charset=UTF-8"


def test_threads_write_the_same_bytes(application: Application) -> None:
    theme = '<html><body><b>a</b> <i>b</i> <p id="main"></p> <u>c</u></body></html>'
    given = rules('<replace css:theme="#main" css:content="#content"/><drop content="//s"/>')
    middleware = ThemeMiddleware(application, rules=given, theme=theme)
    expected = ask(application, middleware=middleware).body
    assert b"<b>a</b> <i>b</i> <div" in expected
    found: list[bytes] = []

    def work() -> None:
        found.extend(ask(application, middleware=middleware).body for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160
    assert set(found) == {expected}
