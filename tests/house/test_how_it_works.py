"""The walks of docs/how-it-works.rst name functions that exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "how-it-works.rst").read_text()
NAMES = sorted(set(re.findall(r"``([a-z_0-9]+(?:\.[A-Za-z_0-9]+)+)``", TEXT)))


def found(dotted: str) -> Any:
    """The object behind a dotted name in the package."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            thing: Any = importlib.import_module(".".join(["wsgiproxy", *parts[:count]]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            thing = vars(thing)[part]
        return thing
    raise LookupError(dotted)


@pytest.mark.parametrize("name", NAMES)
def test_step_names_a_function_that_exists(name: str) -> None:
    assert callable(found(name))


def test_walks_name_most_of_the_way() -> None:
    assert len(NAMES) > 30
    assert {name.partition(".")[0] for name in NAMES} >= {"forwarding", "upstream", "relay"}
