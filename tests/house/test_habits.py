"""The project's own files agree with each other."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement

from tools import lowest
from tools.parts import PYTHONS
from tools.tree import ROOT, requirements, setting

CONTRIBUTING = (ROOT / "CONTRIBUTING.rst").read_text()


def test_lowest_versions_are_those_that_the_package_allows() -> None:
    pinned = {line.partition("==")[0]: line.partition("==")[2] for line in lowest.constraints()}

    assert pinned.keys() == {"gunicorn", "urllib3", "waitress", "WebOb"}
    for requirement in map(Requirement, requirements()):
        if requirement.name in pinned:
            bounds = {(bound.operator, bound.version) for bound in requirement.specifier}
            assert (">=", pinned[requirement.name]) in bounds
            # Its insides are used, so a new major version has to be looked at first.
            assert "<" in {operator for operator, _ in bounds}


def test_requirement_without_a_lower_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowest, "requirements", lambda extra="": ["urllib3<3"])

    with pytest.raises(ValueError, match="urllib3<3 has no lower bound"):
        lowest.constraints()


def test_oldest_python_is_the_one_that_is_required() -> None:
    assert setting("options", "python_requires") == f">={PYTHONS[0]}"


#: Paths in literals, alone or behind a command.
_PATH = re.compile(r"``(?:python -m pytest )?((?:tests|tools|wsgiproxy)/[\w/.]+)")
PATHS = sorted(set(_PATH.findall(CONTRIBUTING)))
TARGETS = sorted(set(re.findall(r"\bmake (\w+)``", CONTRIBUTING)))


@pytest.mark.parametrize("path", PATHS)
def test_path_in_the_contributors_guide_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", TARGETS)
def test_make_target_in_the_contributors_guide_exists(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text()

    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_hooks_fetch_nothing() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()

    assert re.findall(r"repo: (.*)", text) == ["local"]
    assert set(re.findall(r"language: (.*)", text)) == {"system"}
