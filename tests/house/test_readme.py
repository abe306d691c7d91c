"""What the README shows is run, or read by the code that would run it."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import docutils.core
import docutils.nodes
import pytest

from wsgiproxy import Route
from wsgiproxy.cli.command import default_text, document_of, parser
from wsgiproxy.cli.document import Config, from_strings, read_toml

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.rst").read_text()
INSTALL = "python -m pip install . && python -m wsgiproxy --demo"
TESTS = 'python -m pip install ".[test]" && python -m pytest'

#: What the snippets take for granted.
PREAMBLE = """
import django, flask, flask_login, pyramid.config, webob
from wsgiproxy import *
from wsgiproxy.cli.serve import not_found as application
from django.conf import settings
APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="readme", INSTALLED_APPS=APPS)
django.setup()
urlpatterns = []
environ, start_response = {}, print
app = flask.Flask("site")
flask_login.LoginManager(app)
config = pyramid.config.Configurator()
"""


def blocks(language: str) -> list[str]:
    """The code blocks of the README in a language."""
    document = docutils.core.publish_doctree(
        README, settings_overrides={"syntax_highlight": "none", "halt_level": 2}
    )
    wanted = {"code", language}
    return [
        node.astext()
        for node in document.findall(docutils.nodes.literal_block)
        if wanted <= set(node["classes"])
    ]


def commands() -> list[str]:
    """The command lines in the README that start the proxy."""
    lines = re.findall(r"^ +(?:python -m )?wsgiproxy (.*)$", README, re.MULTILINE)
    return [line.rpartition("&&")[2] for line in lines]


def test_readme_is_valid_and_begins_with_code() -> None:
    assert blocks("python")
    assert README.index(".. code-block:: python") < README.index("\n".join(README.split("\n")[20:]))


def test_first_commands_stand_in_the_readme_and_in_ci() -> None:
    assert README.index(INSTALL) < README.index(TESTS)
    assert TESTS in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("code", blocks("python"))
def test_python_of_the_readme_runs(code: str, tmp_path: Path, ca_file: str) -> None:
    code = re.sub(r'ca="[^"]*"', f'ca="{ca_file}"', code)
    for name in re.findall(r'(?:rules|theme)="([\w./]+)"', code):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(THEMES[Path(name).suffix])
    script = tmp_path / "snippet.py"
    script.write_text(PREAMBLE + textwrap.dedent(code))
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


THEMES = {
    ".xml": '<rules xmlns="http://namespaces.plone.org/diazo"><theme href="theme.html"/></rules>',
    ".html": "<html><head><title>Theme</title></head><body></body></html>",
}


@pytest.mark.parametrize("line", commands())
def test_command_line_of_the_readme_is_understood(line: str, tmp_path: Path) -> None:
    given = parser().parse_args(shlex.split(line.replace("[options]", ""), comments=True))
    assert given.config or given.demo or Config.read(document_of(given), "README").routes


@pytest.mark.parametrize("text", blocks("toml"))
def test_toml_of_the_readme_is_understood(text: str, tmp_path: Path) -> None:
    path = tmp_path / "proxy.toml"
    path.write_text(text)
    assert Config.read(read_toml(str(path)), "README").routes


@pytest.mark.parametrize("text", blocks("ini"))
def test_ini_of_the_readme_is_understood(text: str) -> None:
    ini = configparser.ConfigParser(inline_comment_prefixes=";")
    ini.optionxform = str  # type: ignore[assignment,method-assign]
    ini.read_string(text)
    for section in ini.sections():
        settings = {name: ini.get(section, name, raw=True) for name in ini.options(section)}
        if settings.pop("use", "").endswith("#proxy"):
            assert Config.read(from_strings(settings), "README").routes


def test_every_file_that_the_readme_names_exists() -> None:
    named = re.findall(r"<((?:examples|benchmarks|wsgiproxy|tests)/[\w./-]+)>`_", README)
    assert named
    for name in named:
        assert (ROOT / name).exists(), name


# -- the table of options ------------------------------------------------------

BEGIN, END = ".. begin of options\n", ".. end of options\n"


def option_table() -> str:
    """The options of a route as the README shows them, made from the table in the code."""
    rows = [["option", "value", "default", "what it does"]]
    for name, field in Route.table().items():
        rows.append(
            [
                f"``{name}``",
                field.kind.name,
                default_text(field.default),
                field.help,
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(3)] + [60]
    rule = "  ".join("=" * width for width in widths)
    lines = [rule, *_lines(rows[0], widths), rule]
    for row in rows[1:]:
        lines += _lines(row, widths)
    return "\n".join([*lines, rule]) + "\n"


def _lines(row: list[str], widths: list[int]) -> list[str]:
    first, *more = textwrap.wrap(row[3], widths[3])
    # A cell of a simple table's first column must not be empty where a row begins.
    cells = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
    indent = "  ".join(" " * width for width in widths[:3])
    return ["  ".join([*cells, first]), *(f"{indent}  {line}" for line in more)]


def test_options_in_the_readme_are_those_of_the_code() -> None:
    assert BEGIN in README
    shown = README.partition(BEGIN)[2].partition(END)[0].strip("\n") + "\n"
    assert shown == option_table(), "run: python -m tests.house.test_readme"


def main() -> None:
    """Write the table of options into the README."""
    before, begin, rest = README.partition(BEGIN)
    after = rest.partition(END)[2]
    (ROOT / "README.rst").write_text(f"{before}{begin}\n{option_table()}\n{END}{after}")


if __name__ == "__main__":
    main()
