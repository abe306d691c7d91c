"""Every example that diazo ships for its rules language, through the middleware."""

from __future__ import annotations

import configparser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from webob import Request, Response

from wsgiproxy.theming import ThemeMiddleware

EXAMPLES = Path(str(files("diazo"))) / "tests"
NAMES = sorted(p.parent.name for p in EXAMPLES.glob("*/rules.xml"))
KNOWN = ("diazotest", "pretty-print", "absolute-prefix", "includemode", "theme", "path")


def settings(name: str) -> tuple[str, dict[str, Any]]:
    """The path to visit and the middleware's options."""
    config = configparser.ConfigParser()
    config.read([EXAMPLES / "default-options.cfg", EXAMPLES / name / "options.cfg"])
    given = config["diazotest"]
    params: dict[str, Any] = {}
    for item in given["extra-params"].split():
        key, _, default = item.partition(":")
        params[key] = given.get(key, default or None)
    folder = EXAMPLES / name
    return given["path"] or "/", {
        "rules": folder / "rules.xml",
        "theme": folder / given["theme"] if given["theme"] else None,
        "prefix": given["absolute-prefix"] or None,
        "params": params,
    }


def serve(folder: Path) -> Any:
    """The example's content at every path but those of its other files."""

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        path = folder / environ["PATH_INFO"].rsplit("/", 1)[-1]
        page = path if path.is_file() else folder / "content.html"
        return Response(page.read_bytes(), charset=None)(environ, start_response)

    return application


def tree_of(page: bytes) -> Any:
    return etree.fromstring(page, etree.HTMLParser(encoding="utf-8", remove_comments=False))


def shape(node: Any) -> Any:
    """An element as plain values: white space at the ends of texts does not count."""
    if not isinstance(node.tag, str):
        return ("comment", (node.text or "").strip())
    attributes = {k: v for k, v in node.attrib.items() if k not in ("xmlns", "xml:lang")}
    children = [(shape(child), (child.tail or "").strip()) for child in node if not is_meta(child)]
    return (node.tag, attributes, (node.text or "").strip(), children)


def is_meta(node: Any) -> bool:
    """The charset, which the XHTML serialiser of libxslt puts in."""
    return node.tag == "meta" and node.get("http-equiv") == "Content-Type"


@pytest.mark.parametrize("name", NAMES)
def test_example_of_diazo_gives_the_result_of_diazo(name: str) -> None:
    path, options = settings(name)
    middleware = ThemeMiddleware(serve(EXAMPLES / name), **options)
    response = Request.blank(path).send(middleware)
    assert response.status_code == 200
    result = tree_of(response.body)
    xpaths = EXAMPLES / name / "xpaths.txt"
    if xpaths.exists():
        for line in xpaths.read_text().splitlines():
            expression = line.strip()
            if expression and not expression.startswith("#"):
                assert result.xpath(expression), expression
    expected = EXAMPLES / name / "output.html"
    if expected.exists():
        assert shape(result) == shape(tree_of(expected.read_bytes()))
