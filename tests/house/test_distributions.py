"""What would go to a package index: a source distribution, and a wheel built from it."""

from __future__ import annotations

import configparser
import email.message
import re
import subprocess
import sys
import tarfile
from email.parser import Parser
from pathlib import Path

import pytest

import wsgiproxy
from tools.archive import read_zip
from tools.tree import ROOT, copy_tree


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both, built once."""
    folder = tmp_path_factory.mktemp("distributions")
    tree, dist = copy_tree(folder / "tree"), folder / "dist"
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dist


def wheel_of(folder: Path) -> dict[str, bytes]:
    (path,) = folder.glob("*.whl")
    return read_zip(path)


def metadata_of(folder: Path) -> email.message.Message:
    files = wheel_of(folder)
    (name,) = (name for name in files if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(files[name].decode())


def test_twine_has_nothing_to_say(built: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    names = set(wheel_of(built))

    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "wsgiproxy").rglob("*")
        if path.suffix in (".js", ".py", ".typed")
    }
    assert {name for name in names if ".dist-info/" not in name} == package
    assert [name for name in names if name.endswith("LICENSE")]


def test_source_distribution_holds_what_developers_need(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {
        *("CHANGES.rst", "CONTRIBUTING.rst", "LICENSE", "Makefile", "README.rst", "SECURITY.md"),
        *("docs/conf.py", "noxfile.py", "pyproject.toml", "setup.cfg", "tools/pyz.py"),
        *("tests/conftest.py", "tests/adapters/django_site/templates/diazo.html"),
        *("benchmarks/__main__.py", "examples/proxy.toml", ".pre-commit-config.yaml"),
        *("tools/inside/__main__.py", "wsgiproxy/rebase/runtime.js", "examples/themed/rules.xml"),
    } <= names
    assert not [name for name in names if name.endswith(".pyc") or "__pycache__" in name]


def test_metadata_is_that_of_a_release(built: Path) -> None:
    metadata = metadata_of(built)

    assert metadata["Name"] == "wsgi-reverse-proxy"
    assert metadata["Version"] == wsgiproxy.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", wsgiproxy.__version__)
    assert "Development Status :: 5 - Production/Stable" in metadata.get_all("Classifier", [])
    # There is no home page, so there is no URL of one.
    assert metadata["Home-page"] is None
    assert metadata["Project-URL"] is None


def test_release_has_its_date_in_the_changes() -> None:
    changes = (ROOT / "CHANGES.rst").read_text()

    assert re.search(
        rf"^{re.escape(wsgiproxy.__version__)} \(\d{{4}}-\d\d-\d\d\)\n-+$", changes, re.MULTILINE
    )


def test_every_dependency_has_a_lower_bound() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    lines = parser["options"]["install_requires"].splitlines()
    for extra in parser["options.extras_require"].values():
        lines += extra.splitlines()

    asked = [line for line in lines if line and not line.startswith("wsgi-reverse-proxy[")]
    assert len(asked) > 20
    assert [line for line in asked if ">=" not in line] == []
