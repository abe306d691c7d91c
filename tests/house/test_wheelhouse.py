"""The folder of wheels: pip installs from it with no index, and checks every hash."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import wheelhouse
from tools.installed import dependencies
from tools.parts import PYTHONS, Part

PACKAGES = {"legacy-cgi", "tomli", "urllib3", "waitress", "webob", "wsgi-reverse-proxy"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, built once."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    wheelhouse.build(folder)
    return folder


def install(wheels: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check"]
    command += ["install", "--no-index", "--find-links", str(wheels), "--require-hashes"]
    command += ["--target", str(site), "-r", str(wheels / "requirements.txt")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_pip_installs_from_it_without_an_index(wheels: Path, tmp_path: Path) -> None:
    installed = install(wheels, tmp_path)
    assert installed.returncode == 0, installed.stderr

    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import wsgiproxy.cli as cli;"
    code += "import urllib3, waitress; print(urllib3.__file__, waitress.__file__); cli.main([])"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout.count(str(tmp_path)) == 2, done.stderr
    assert done.stderr.startswith("wsgiproxy: no route given")
    assert (tmp_path / "wsgiproxy" / "rebase" / "runtime.js").is_file()


def test_pip_refuses_a_wheel_that_was_changed(wheels: Path, tmp_path: Path) -> None:
    changed = tmp_path / "wheels"
    changed.mkdir()
    for path in wheels.iterdir():
        (changed / path.name).write_bytes(path.read_bytes())
    wheel = next(changed.glob("waitress-*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"\0")

    refused = install(changed, tmp_path / "site")

    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr


def test_it_holds_everything_for_every_python(wheels: Path) -> None:
    lines = (wheels / "requirements.txt").read_text().splitlines()
    names = [path.name for path in wheels.glob("*.whl")]

    assert {line.partition("==")[0] for line in lines} == PACKAGES
    assert {name.partition("-")[0].replace("_", "-") for name in names} == PACKAGES
    assert all(name.endswith("-none-any.whl") for name in names)
    conditions = {line.partition("==")[0]: line for line in lines if ";" in line}
    assert 'python_version >= "3.13"' in conditions.pop("legacy-cgi")
    assert 'python_version < "3.11"' in conditions.pop("tomli")
    assert conditions == {}


def test_two_builds_are_the_same_to_the_byte(wheels: Path, tmp_path: Path) -> None:
    wheelhouse.build(tmp_path)

    assert contents(tmp_path) == contents(wheels)
    for path in wheels.glob("*.whl"):
        with zipfile.ZipFile(path) as archive:
            assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_extras_bring_their_compiled_wheels() -> None:
    parts = {part.key: part for part in dependencies("theme")}

    assert {"diazo", "lxml", "cssselect"} <= parts.keys()
    assert not parts["lxml"].is_pure
    assert parts["diazo"].is_pure


@pytest.mark.parametrize(
    ("pythons", "marker"),
    [
        (PYTHONS, ""),
        (PYTHONS[:1], 'python_version < "3.11"'),
        (PYTHONS[3:], 'python_version >= "3.13"'),
    ],
    ids=["all", "old ones", "new ones"],
)
def test_condition_says_which_pythons_need_a_part(pythons: tuple[str, ...], marker: str) -> None:
    assert Part("x", "1", "MIT", {}, pythons).marker == marker
