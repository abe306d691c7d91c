"""A Sphinx directive that shows a table of options as the code has it.

::

    .. options:: wsgiproxy:Route

The table is read when the documentation is built, so it cannot fall behind.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from wsgiproxy.cli.command import default_text
from wsgiproxy.settings.options import Option, Options

__all__ = ["OptionsTable", "setup"]

_HEADER = (
    ".. list-table::",
    "   :header-rows: 1",
    "   :widths: 22 24 16 38",
    "",
)
_COLUMNS = ("option", "value", "default", "what it does")


class OptionsTable(SphinxDirective):
    """``.. options:: module:Class``, of a class that derives from ``Options``."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """The nodes of the table."""
        module, _, name = self.arguments[0].partition(":")
        settings: type[Options] = getattr(importlib.import_module(module), name)
        lines = StringList(list(_table(settings)), source=f"{module}.{name}")
        return self.parse_text_to_nodes("\n".join(lines))


def _table(settings: type[Options]) -> Iterator[str]:
    yield from _HEADER
    yield from _row(_COLUMNS)
    for name, option in settings.table().items():
        yield from _row((f"``{name}``", option.kind.name, _literal(option), option.help))


def _row(cells: Iterable[str]) -> Iterator[str]:
    mark = "*"
    for cell in cells:
        yield f"   {mark} - {cell}".rstrip()
        mark = " "


def _literal(option: Option) -> str:
    text = default_text(option.default)
    return f"``{text}``" if text else ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("options", OptionsTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
