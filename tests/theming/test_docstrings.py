"""The examples in theming's docstrings give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import wsgiproxy.theming

EXAMPLES = {"codings": 1, "etags": 2, "fetch_metadata": 1, "fields": 2, "filtered_request": 1,
            "markup": 1}  # fmt: skip


def test_every_example_is_known() -> None:
    found = {}
    for module in pkgutil.iter_modules(wsgiproxy.theming.__path__):
        loaded = importlib.import_module(f"wsgiproxy.theming.{module.name}")
        tests = doctest.DocTestFinder().find(loaded)
        found[module.name] = sum(len(test.examples) for test in tests)
    assert {name: count for name, count in found.items() if count} == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_gives_what_it_says(name: str) -> None:
    module = importlib.import_module(f"wsgiproxy.theming.{name}")
    assert doctest.testmod(module).failed == 0
