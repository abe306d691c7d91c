"""The T rows: content has nothing read, fetched, written or run; limits instead of crashes."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.theming.conftest import RULES, THEME, Application, ask, rules
from wsgiproxy.errors import ConfigurationError
from wsgiproxy.theming import ThemeMiddleware

SECRET = "the secret of this test"
ENTITY = '<!DOCTYPE %s [<!ENTITY x SYSTEM "file://%s">]>'


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "secret.txt"
    path.parent.mkdir()
    path.write_text(SECRET)
    return path


ALL = rules('<copy css:theme="body" content="/html/body/node()"/>')


def test_entities_of_content_are_not_resolved(application: Application, secret: Path) -> None:
    for kind in ("text/html", "application/xhtml+xml"):
        application.headers = [("Content-Type", kind)]
        application.body = [
            (ENTITY % ("html", secret)).encode() + b"<html><body><p>a &x; b</p></body></html>"
        ]
        response = ask(application, rules=ALL)
        assert "themed" in response.text
        assert SECRET not in response.text


def test_entities_of_rules_are_not_resolved(application: Application, secret: Path) -> None:
    source = ENTITY % ("rules", secret) + rules('<replace css:theme="#main">a &x; b</replace>')
    try:
        text = ask(application, rules=source).text
    except ConfigurationError:
        return
    assert SECRET not in text


def test_entities_of_the_theme_are_not_resolved(application: Application, secret: Path) -> None:
    theme = ENTITY % ("html", secret) + "<html><body class=themed>&x;<p id=main></body></html>"
    assert SECRET not in ask(application, theme=theme).text


def test_xinclude_of_content_is_only_an_element(application: Application, secret: Path) -> None:
    application.body = [
        f'<body><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" parse="text"'
        f' href="{secret}"></xi:include></body>'.encode()
    ]
    response = ask(application, rules=ALL)
    assert "themed" in response.text
    assert SECRET not in response.text


def test_entity_bomb_in_rules_is_an_error(application: Application) -> None:
    entities = '<!ENTITY a "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa">'
    names = "abcdefghij"
    for before, name in itertools.pairwise(names):
        entities += f'<!ENTITY {name} "{f"&{before};" * 12}">'
    bomb = f"<!DOCTYPE rules [{entities}]>" + rules("<replace css:theme='#main'>&j;</replace>")
    with pytest.raises(ConfigurationError):
        ask(application, rules=bomb)


def test_rules_and_theme_are_never_asked_of_the_application(
    files: Path, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    for name in ("rules.xml", "/rules.xml", str(files / "rules.xml")):
        application.pages[name] = rules("<replace css:theme='#main'>evil</replace>")
    for _ in range(20):
        middleware = ThemeMiddleware(application, rules="rules.xml", theme="theme.html")
        assert application.asked == []
    assert "evil" not in ask(application, middleware=middleware).text


def test_missing_rules_are_an_error_not_a_request(application: Application) -> None:
    application.pages["/gone/rules.xml"] = RULES
    with pytest.raises(ConfigurationError, match=r"rules '/gone/rules\.xml' cannot be read"):
        ask(application, rules="/gone/rules.xml")
    assert application.asked == []


def test_read_app_asks_the_application_at_the_first_request(application: Application) -> None:
    application.pages = {"/themes/rules.xml": RULES, "/themes/theme.html": THEME}
    middleware = ThemeMiddleware(
        application, rules="/themes/rules.xml", theme="/themes/theme.html", read_app=True
    )
    assert application.asked == []
    assert "themed" in ask(application, middleware=middleware).text
    assert [e["PATH_INFO"] for e in application.asked][:1] == ["/themes/rules.xml"]


def test_read_app_that_fails_leaves_pages_unthemed(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = ask(application, rules="/none.xml", read_app=True)
    assert (response.status_int, "themed" in response.text) == (200, False)
    assert "cannot be compiled" in caplog.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/t.html", "https://x.invalid/", "ftp://x/"])
@pytest.mark.parametrize("place", ["theme", "rules", "theme in rules", "xinclude"])
def test_network_is_not_read(url: str, place: str, application: Application) -> None:
    given: dict[str, dict[str, Any]] = {
        "theme": {"theme": url},
        "rules": {"rules": url},
        "theme in rules": {"rules": rules(f'<theme href="{url}"/>'), "theme": None},
        "xinclude": {"rules": rules(f'<xi:include href="{url}"/>')},
    }
    with pytest.raises(ConfigurationError):
        ask(application, **given[place])


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "file://{}", "{}", "ftp://x/"])
def test_documents_named_by_content_are_not_read(
    url: str, application: Application, secret: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rules that follow a link of the page, which no rules should."""
    url = url.format(secret)
    application.body = [f'<body><a href="{url}">x</a></body>'.encode()]
    application.pages = {str(secret): "<p>the application's own page</p>"}
    given = rules(
        '<replace css:theme="#main"><xsl:copy-of select="document(//a/@href)"/></replace>'
    )
    response = ask(application, rules=given)
    assert response.status_int == 200
    assert SECRET not in response.text
    assert "denied" in caplog.text or "left empty" in caplog.text or url == str(secret)


@pytest.mark.parametrize("url", ["{}", "file://{}"])
def test_xslt_writes_no_file(
    url: str, application: Application, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "written.txt"
    xsl = f'<xsl:document href="{url.format(target)}" method="text">x</xsl:document>'
    response = ask(application, rules=rules(f'<replace css:theme="#main">{xsl}</replace>'))
    assert response.status_int == 200
    assert not target.exists()
    assert "write rights" in caplog.text


def nested(depth: int) -> bytes:
    return b"<body>" + b"<div>" * depth + b"deep" + b"</div>" * depth + b"tail</body>"


@pytest.mark.parametrize("depth", [200, 300, 3000, 20_000, 200_000])
@pytest.mark.parametrize("inside", ["", '<drop content="//s"/>'], ids=["copied", "by template"])
def test_deep_page_is_whole_themed_or_not(
    depth: int, inside: str, application: Application
) -> None:
    page = nested(depth)
    application.body = [page]
    copy = '<copy css:theme="body" content="/html/body/node()"/>'
    response = ask(application, rules=rules(inside + copy))
    if depth <= 200:
        assert "themed" in response.text
        assert response.text.count("<div>") == depth
    else:
        assert response.body == page


def test_endless_recursion_in_rules_passes_the_page(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    loop = (
        '<xsl:template name="loop"><xsl:call-template name="loop"/></xsl:template>'
        '<replace css:theme="#main"><xsl:call-template name="loop"/></replace>'
    )
    response = ask(application, rules=rules(loop))
    assert (response.status_int, "themed" in response.text) == (200, False)
    assert "passes unthemed" in caplog.text


def test_ssi_and_esi_are_not_enabled(application: Application) -> None:
    application.body = [b'<p id=content><!--#include virtual="/x" --><esi:include src="/y"/></p>']
    ask(application)
    assert [environ["PATH_INFO"] for environ in application.asked] == ["/"]


def test_token_of_protected_names_is_not_for_visitors(application: Application) -> None:
    theme = '<html><body @click="x"><!-- a--b --><p id="main"></p></body></html>'
    pages = set()
    for _ in range(3):
        response = ask(application, theme=theme)
        assert "wsgiproxy" not in response.text
        pages.add(response.body)
    assert len(pages) == 1


@pytest.mark.parametrize("value", ["\x00\x01", "'\"'", "//*", "\ud800", "\x85é"])
def test_parameters_from_the_request_are_only_text(value: str, application: Application) -> None:
    given = rules('<replace css:theme="#main"><b><xsl:value-of select="$x"/></b></replace>')
    response = ask(
        application, rules=given, environ={"my.x": value}, environ_param_map={"my.x": "x"}
    )
    assert "<b>" in response.text
    assert "hello" not in response.text


@pytest.mark.parametrize("header", ["HX-Boosted", "HX-Target", "X-Turbo-Request-Id", "HX-Trigger"])
def test_include_is_asked_for_as_a_page(header: str, application: Application) -> None:
    application.pages = {"/part": "<p id=part>other</p>"}
    given = rules('<replace css:theme="#main" css:content="#part" href="/part"/>')
    headers = {header: "true", "Cookie": "a=b"}
    assert "other" in ask(application, rules=given, headers=headers).text
    key = "HTTP_" + header.upper().replace("-", "_")
    page, part = application.asked
    assert key in page
    assert key not in part
    assert part["HTTP_COOKIE"] == "a=b"
