"""The documentation: ``python -m sphinx -W -b html docs docs/_build``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The extension beside this file, and the package of this very tree.
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import wsgiproxy  # noqa: E402 - found by the path above

project = "wsgiproxy"
author = "The wsgiproxy developers"
copyright = f"2026, {author}"
version = release = wsgiproxy.__version__

extensions = ["sphinx.ext.autodoc", "options_table"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {
    "description": "A reverse proxy that a Python web application carries inside itself",
    "fixed_sidebar": True,
}
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "mixed"
