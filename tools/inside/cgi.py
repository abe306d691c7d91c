"""``cgi``, which WebOb imports: that of the standard library or of an installation, if any.

Python has none from 3.13 on. Then it is legacy-cgi's, which lies in a folder of its own so that it
replaces nothing.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

_here = os.path.dirname(os.path.abspath(__file__))
_others = [entry for entry in sys.path if os.path.abspath(entry) != _here]
_spec = PathFinder.find_spec("cgi", [*_others, os.path.join(_here, "legacy-cgi")])
assert _spec is not None
assert _spec.loader is not None
# The statement that imported this module binds what stands in the table of modules.
sys.modules["cgi"] = module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["cgi"])
