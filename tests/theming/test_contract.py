"""What theming relies on in diazo, lxml and libxml2; and what it says when that has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from diazo.compiler import compile_theme, set_parser
from lxml import etree

from tests.theming.conftest import THEME, rules
from wsgiproxy.errors import ConfigurationError
from wsgiproxy.theming.contract import check_diazo_functions, diazo_is_known, libxml2_is_known
from wsgiproxy.theming.stylesheet import changes_content, has_includes, improve

ROOT = Path(__file__).parent.parent.parent
XSL = "{http://www.w3.org/1999/XSL/Transform}"
COPY = '<replace css:theme="#main" css:content="#content"/>'


def stylesheet(inside: str, tmp_path: Path) -> Any:
    """What diazo makes of some rules."""
    (tmp_path / "theme.html").write_text(THEME)
    source = BytesIO(rules(inside).encode())
    parser = etree.HTMLParser()
    return compile_theme(source, theme=str(tmp_path / "theme.html"), parser=parser)


def test_installed_diazo_and_libxml2_are_known() -> None:
    assert diazo_is_known()
    assert libxml2_is_known()
    check_diazo_functions(compile_theme)


@pytest.mark.parametrize(
    ("inside", "changes", "includes"),
    [
        ("", False, False),
        (COPY, False, False),
        ('<before theme="//p" content="//b"/><append theme="/html/body">x</append>', False, False),
        ('<notheme if-path="/x"/>', False, False),
        ('<drop content="//s"/>', True, False),
        ('<drop theme="//s"/>', False, False),
        ('<strip content="//s"/>', True, False),
        ('<replace content="//s">x</replace>', True, False),
        ('<replace content-children="//s">x</replace>', True, False),
        ('<before content="//s">x</before>', True, False),
        ('<after content-children="//s">x</after>', True, False),
        ('<xsl:template match="s"/>', True, False),
        ('<xsl:template match="@class"/>', True, False),
        ('<xsl:strip-space elements="p"/>', True, False),
        ('<append theme="/html/body" content="//p" href="/other"/>', False, True),
    ],
)
def test_generated_templates_are_told_apart(
    inside: str, changes: bool, includes: bool, tmp_path: Path
) -> None:
    made = stylesheet(inside, tmp_path)
    assert changes_content(made) is changes
    assert has_includes(made) is includes


def test_improved_stylesheet_copies_at_once_and_marks_pages_without_theme(tmp_path: Path) -> None:
    made = stylesheet(COPY + '<notheme if-path="/x"/>', tmp_path)
    improve(made)
    root = made.getroot()
    theme = next(t for t in root.iter(f"{XSL}template") if t.get("mode") == "id1")
    assert [copy.get("select") for copy in theme.iter(f"{XSL}copy-of")] == ["//*[@id = 'content']"]
    marks = list(root.iter(f"{XSL}processing-instruction"))
    assert [mark.get("name") for mark in marks] == ["wsgiproxy-notheme"]
    assert etree.XSLT(set_parser(etree.tostring(made), etree.HTMLParser())) is not None


def test_compiler_without_a_keyword_is_an_error() -> None:
    def older(rules: Any, theme: Any = None, parser: Any = None) -> None:
        """What diazo's function might become."""

    with pytest.raises(ConfigurationError, match=r"diazo 2\..* does not take absolute_prefix"):
        check_diazo_functions(older)


def run(code: str, packages: Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that finds its packages in a folder first."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": f"{packages}{os.pathsep}{ROOT}"},
    )


@pytest.mark.parametrize("name", ["defaults.xsl", "emit-stylesheet.xsl", "identity.xsl"])
def test_other_diazo_is_told_once_and_still_themes(name: str, tmp_path: Path) -> None:
    shutil.copytree(str(files("diazo")), tmp_path / "diazo", ignore=lambda *_: ["tests"])
    changed = tmp_path / "diazo" / name
    text = changed.read_text()
    end = "</xsl:stylesheet>"
    changed.write_text(text.replace(end, f'<xsl:template match="x" mode="new"/>{end}'))
    result = run(
        """
        from tests.theming.conftest import Application, ask, rules
        given = '<notheme if-path="/plain"/><replace css:theme="#main" css:content="#content"/>'
        for n in range(2):
            application = Application()
            application.headers.append(("ETag", '"a"'))
            response = ask(application, rules=rules(given))
            print(response.text, response.headers.get("ETag"))
            assert "themed" not in ask(application, "/plain", rules=rules(given)).text
        """,
        tmp_path,
    )
    expected = '<body class="themed"><div id="content">hello</div></body></html> None'
    assert result.stdout.count(expected) == 2
    assert result.stderr.count(f"has other insides than wsgi-reverse-proxy knows ({name})") == 1
    assert "pip install" in result.stderr


def test_comments_in_diazo_are_no_change(tmp_path: Path) -> None:
    shutil.copytree(str(files("diazo")), tmp_path / "diazo", ignore=lambda *_: ["tests"])
    changed = tmp_path / "diazo" / "defaults.xsl"
    text = changed.read_text()
    changed.write_text(text.replace("</xsl:stylesheet>", "\n<!-- new -->\n</xsl:stylesheet>"))
    code = "from wsgiproxy.theming.contract import diazo_is_known; print(diazo_is_known())"
    assert run(code, tmp_path).stdout.split() == ["True"]


def test_older_libxml2_is_told_once(tmp_path: Path) -> None:
    """The check in an interpreter whose lxml reads HTML as libxml2 2.13 did."""
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent(
            '''
            from lxml import etree
            read = etree.fromstring

            def older(text, *arguments, **keywords):
                """libxml2 2.13 ended a script at its first end tag."""
                if isinstance(text, bytes):
                    text = text.replace(b"<script><!--<script></script>", b"<script></script>")
                return read(text, *arguments, **keywords)

            etree.fromstring = older
            '''
        )
    )
    code = """
        from wsgiproxy.theming.contract import libxml2_is_known
        print(libxml2_is_known(), libxml2_is_known())
    """
    result = run(code, tmp_path)
    assert result.stdout.split() == ["False", "False"]
    assert result.stderr.count("finds tags by other rules than browsers") == 1
