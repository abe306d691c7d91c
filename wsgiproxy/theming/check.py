"""Checks on rules before they are compiled, while line numbers are known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cssselect import GenericTranslator
from cssselect.parser import SelectorError
from lxml import etree

from ..errors import ConfigurationError
from .source_reader import CompileResolver, Document, SourceReader

__all__ = ["check_rules", "explain", "find_conflicts", "parse_rules", "rules_parser"]

_DIAZO = "http://namespaces.plone.org/diazo"
_CSS = "{http://namespaces.plone.org/diazo/css}"
_XPATHS = frozenset(
    (
        "content",
        "content-children",
        "if",
        "if-content",
        "if-not",
        "if-not-content",
        "theme",
        "theme-children",
    )
)
_XPATH_NAMESPACES = {
    "dyn": "http://exslt.org/dynamic",
    "exsl": "http://exslt.org/common",
    "set": "http://exslt.org/sets",
    "str": "http://exslt.org/strings",
    "date": "http://exslt.org/dates-and-times",
    "math": "http://exslt.org/math",
    "re": "http://exslt.org/regular-expressions",
    "xsl": "http://www.w3.org/1999/XSL/Transform",
}


def rules_parser(reader: SourceReader) -> Any:
    """A parser for rules: XML without external entities or DTDs, whatever lxml's defaults are.

    :param reader: reads the files that rules include.
    """
    internal: Any = "internal" if etree.LXML_VERSION >= (5, 0) else False
    parser = etree.XMLParser(
        resolve_entities=internal, no_network=True, load_dtd=False, huge_tree=False
    )
    parser.resolvers.add(CompileResolver(reader))
    return parser


def parse_rules(rules: Document, reader: SourceReader) -> Any:
    """The tree of the rules, with the rules that they include (XInclude).

    :param rules: the rules' source.
    :param reader: reads the files that rules include.
    :raises lxml.etree.LxmlError: for rules that are not XML.
    :raises OSError: for an include that cannot be read.
    """
    tree = etree.parse(Document(rules.getvalue(), rules.name), rules_parser(reader))
    tree.xinclude()
    return tree


def check_rules(rules: Document, reader: SourceReader) -> None:
    """Look for errors in the rules before diazo changes them, while lines are known.

    :param rules: the rules' source.
    :param reader: reads the files that rules include.
    :raises ConfigurationError: for rules that are not XML or not rules, an include that
        cannot be read, and an XPath or CSS expression that does not parse.
    """
    try:
        tree = parse_rules(rules, reader)
    except etree.XMLSyntaxError as error:
        where = error.filename or rules.name
        raise ConfigurationError(f"rules {where}:{error.lineno}: {error.msg}") from None
    except (etree.LxmlError, OSError, ValueError) as error:
        raise ConfigurationError(f"rules {rules.name}: {explain(error)}") from None
    if tree.getroot() is None or etree.QName(tree.getroot()).localname != "rules":
        raise ConfigurationError(
            f'rules {rules.name}:1: the root is no <rules xmlns="{_DIAZO}">; begin with that'
        )
    for element in tree.iter(f"{{{_DIAZO}}}*"):
        for name, value in element.attrib.items():
            _check_expression(element, name, value, rules.name)


def _check_expression(element: Any, name: str, value: str, fallback: str) -> None:
    is_css = name.startswith(_CSS)
    local = name.removeprefix(_CSS)
    if local not in _XPATHS or not value.strip():
        return
    namespaces = _XPATH_NAMESPACES | {k: v for k, v in element.nsmap.items() if k}
    try:
        if is_css:
            GenericTranslator().css_to_xpath(value)
        else:
            etree.XPath(value, namespaces=namespaces)
    except (etree.XPathError, SelectorError) as error:
        where = f"{element.base or fallback}:{element.sourceline}"
        shown = f"css:{local}" if is_css else local
        tag = etree.QName(element).localname
        raise ConfigurationError(
            f"rules {where}: <{tag} {shown}={value!r}> is no expression: {error}"
        ) from None


def explain(error: Exception) -> str:
    """The message of an error, with file and line where lxml's log has them.

    :param error: of lxml, or any other.
    """
    text = str(error) or type(error).__name__
    entries: Iterable[Any] = getattr(error, "error_log", None) or ()
    known = [f"{e.filename}:{e.line}: {e.message}" for e in entries if e.filename]
    extra = [line for line in known if text not in line and "<string>" not in line][:3]
    return " ".join("; ".join([text, *extra]).split())


def find_conflicts(rules: Document, reader: SourceReader) -> str:
    """The files and lines of unconditional rules for the same place in the theme.

    :param rules: the rules' source.
    :param reader: reads the files that rules include.
    :returns: text for an error message; empty if there are none.
    """
    tree = parse_rules(rules, reader)
    lines: dict[tuple[str, ...], list[str]] = {}
    for element in tree.iter(f"{{{_DIAZO}}}replace", f"{{{_DIAZO}}}copy"):
        places = [f"{n.removeprefix(_CSS)}={v!r}" for n, v in element.items() if "theme" in n]
        conditional = [n for e in (element, *element.iterancestors()) for n in e.attrib]
        if places and not any(_localname(name).startswith("if") for name in conditional):
            where = f"{element.base or rules.name}:{element.sourceline}"
            lines.setdefault((element.tag, *sorted(places)), []).append(where)
    return ", ".join(place for places in lines.values() if len(places) > 1 for place in places)


def _localname(name: str) -> str:
    return name.rpartition("}")[2]
