"""The table of what a target does otherwise: made from the cases, compared by the tests.

``python -m tests.export.differences`` writes it anew.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

from .bench import TARGETS, Bench, Front
from .cases import CASES
from .scenarios import SCENARIOS

__all__ = ["FILE", "differences", "observed", "section", "table"]

FILE = Path(__file__).parents[2] / "docs" / "export-differences.rst"
_HEAD = """\
What the exported configurations do otherwise
=============================================

Each of the tests' cases is asked of wsgiproxy and of the real server with the exported
configuration, byte for byte the same request and the same answer of the upstream. What is not in
this table comes out the same. The tests write the table (``python -m tests.export.differences``)
and compare it. Left out are the fields that differ by nature: ``Date``, ``Server``, ``Via``,
``Connection``, ``Keep-Alive``, and how a body is framed.
"""


def observed(front: Front) -> dict[str, dict[str, Any]]:
    """What came of each case, by its name."""
    seen = {case.name: front.exchange(*case[1:]) for case in CASES}
    return {**seen, **{name: {"outcome": run(front)} for name, run in SCENARIOS.items()}}


def differences(
    here: dict[str, dict[str, Any]], there: dict[str, dict[str, Any]]
) -> dict[str, str]:
    """In words, by case, how the facts of a target differ from ours."""
    found = {name: _difference(here[name], there[name]) for name in here}
    return {name: words for name, words in found.items() if words}


def _difference(here: dict[str, Any], there: dict[str, Any]) -> str:
    if here["status" if "status" in here else "outcome"] != there.get(
        "status", there.get("outcome")
    ):
        if "outcome" in here:
            return f"{there['outcome']}, not {here['outcome']}"
        return f"status {there['status']}, not {here['status']}"
    if ("target" in here) != ("target" in there):
        return "the upstream is asked" if "target" in there else "the upstream is not asked"
    names = [*here, *(name for name in there if name not in here)]
    return "; ".join(
        _changed(n, here.get(n), there.get(n)) for n in names if here.get(n) != there.get(n)
    )


def _changed(name: str, here: Any, there: Any) -> str:
    if there is None:
        return f"{name} is missing"
    if here is None:
        return f"{name}: {_quoted(there)} is there"
    return f"{name}: {_quoted(there)}, not {_quoted(here)}"


def _quoted(value: Any) -> str:
    shown = _shown(value)
    return f"``{shown}``" if shown else "nothing"


def _shown(value: Any) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    text = " ".join(text.replace("`", "'").split())
    return text if len(text) < 100 else text[:97] + "..."


def table(found: dict[str, dict[str, str]]) -> str:
    """The page: a section for each target."""
    return _HEAD + "".join(section(target, found[target]) for target in TARGETS)


def section(target: str, found: dict[str, str]) -> str:
    """A line for each difference."""
    lines = [f"\n{target}\n{'-' * len(target)}\n\n"]
    lines.append(".. list-table::\n   :header-rows: 1\n   :widths: 35 65\n\n")
    lines.append("   * - case\n     - what it does otherwise\n")
    lines += [f"   * - {name}\n     - {words}\n" for name, words in found.items()]
    return "".join(lines)


def main() -> None:
    """Write the page."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bench = Bench(folder, stack)
        facts = {}
        for target in ("wsgiproxy", *TARGETS):
            with bench.front(target, folder / target) as front:
                facts[target] = observed(front)
        ours = facts.pop("wsgiproxy")
        FILE.write_text(table({target: differences(ours, seen) for target, seen in facts.items()}))


if __name__ == "__main__":
    main()
