"""The one file, by itself: every Python at hand runs it with no packages and no environment."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import wsgiproxy
from tests.support import DEADLINE, RawClient, RawUpstream, get
from tests.support.pythons import find_pythons
from tools.archive import sha256
from tools.tree import copy_tree

ROOT = Path(__file__).parents[2]
PYTHONS = find_pythons()
#: No site-packages, no folder of the user's, none of Python's variables.
ALONE = ("-I", "-S")
#: Nothing else in the environment, and nothing kept for later.
BARE = {"WSGIPROXY_CACHE": ""}


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, built once."""
    return build(tmp_path_factory.mktemp("pyz") / "wsgiproxy.pyz")


def build(path: Path, tree: Path = ROOT) -> Path:
    command = [sys.executable, "-m", "tools.pyz", "--output", str(path)]
    environ = {**os.environ, "PYTHONPATH": str(tree)}
    subprocess.run(command, check=True, cwd=tree, env=environ, stdout=subprocess.DEVNULL)
    return path


@contextlib.contextmanager
def serving(command: list[str], folder: Path, environ: Mapping[str, str]) -> Iterator[int]:
    """The port of a proxy that a command starts; it is told to stop at the end."""
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            found = re.fullmatch(r"Listening on http://127\.0\.0\.1:(\d+)/\n", first)
            assert found, first
            yield int(found[1])
        finally:
            process.terminate()
            status = process.wait(DEADLINE)
    assert status == 0


@pytest.mark.parametrize("version", PYTHONS)
def test_file_proxies_with_nothing_installed(
    version: str, pyz: Path, tmp_path: Path, upstream: RawUpstream
) -> None:
    command = [PYTHONS[version], *ALONE, str(pyz), "--listen", "127.0.0.1:0"]

    with (
        serving([*command, f"/new_req={upstream.url}"], tmp_path, {"HOME": str(tmp_path)}) as port,
        RawClient(("127.0.0.1", port)) as client,
    ):
        response = client.exchange(get("/new_req/x?y"))

    assert (response.status, response.body) == (200, b"ok")
    assert upstream.requests[0].target == "/x?y"


@pytest.mark.parametrize("version", PYTHONS)
def test_configuration_file_and_application_work_with_the_file(
    version: str, pyz: Path, tmp_path: Path
) -> None:
    (tmp_path / "site.toml").write_text(
        'app = "hello:application"\n[server]\nlisten = "127.0.0.1:0"\n'
        '[routes]\n"/new_req" = "http://localhost:9999"\n'
    )
    (tmp_path / "hello.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', '5')])\n"
        "    return [b'hello']\n"
    )
    command = [PYTHONS[version], *ALONE, str(pyz), "--config", "site.toml"]

    with (
        serving(command, tmp_path, BARE) as port,
        RawClient(("127.0.0.1", port)) as client,
    ):
        assert client.exchange(get("/")).body == b"hello"


#: What an application does that has the file on its path.
WSGI = """
import sys
sys.path.insert(0, {pyz!r})
from wsgiproxy import ProxyMiddleware, Route
from wsgiproxy.rebase.runtime import Runtime
import cgi, urllib3, waitress, webob, wsgiproxy
from importlib.metadata import version

def hello(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]

application = ProxyMiddleware(hello, {{"/p": Route("http://localhost:9", rebase=True)}})
assert application({{"PATH_INFO": "/"}}, lambda *_: None) == [b"hello"]
assert all({pyz!r} in m.__file__ for m in (urllib3, waitress, webob, wsgiproxy))
assert version("wsgi-reverse-proxy") == wsgiproxy.__version__
print(cgi.__file__)
"""


@pytest.mark.parametrize("version", PYTHONS)
def test_package_can_be_imported_from_the_file(version: str, pyz: Path, tmp_path: Path) -> None:
    script = tmp_path / "wsgi.py"
    script.write_text(WSGI.format(pyz=str(pyz)))

    done = subprocess.run(
        [PYTHONS[version], *ALONE, script], env=BARE, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    # The standard library's own module is not hidden where there is one.
    has_own = tuple(map(int, version.split("."))) < (3, 13)
    assert (str(pyz) in done.stdout) is not has_own


def test_data_of_the_package_is_found_in_the_file(pyz: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(pyz)!r});"
        "from wsgiproxy.rebase import runtime; print(runtime._template())"
    )
    done = subprocess.run([sys.executable, *ALONE, "-c", code], capture_output=True, check=True)

    script = (ROOT / "wsgiproxy" / "rebase" / "runtime.js").read_text("utf-8")
    assert done.stdout.decode().strip().splitlines()[-1] == script.strip().splitlines()[-1].strip()


# -- what it says ----------------------------------------------------------------


def said(command: list[str]) -> tuple[int, str]:
    """The exit status of a command, and what it wrote as an error."""
    done = subprocess.run(command, env=BARE, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_theming_is_refused_with_one_sentence(pyz: Path, tmp_path: Path) -> None:
    config = tmp_path / "site.toml"
    config.write_text('[routes]\n"/p" = "http://localhost:9"\n[theme]\nrules = "rules.xml"\n')

    status, error = said([sys.executable, *ALONE, str(pyz), "--config", str(config)])

    assert status == 2
    assert error == (
        "wsgiproxy: theming is not part of the one file, because lxml is compiled for each "
        "system; pip install wsgi-reverse-proxy[theme]\n"
    )


def test_old_python_is_told_what_is_missing(pyz: Path) -> None:
    code = (
        "import runpy, sys; sys.version_info = (3, 9, 18);"
        f"sys.path.insert(0, {str(pyz)!r}); runpy.run_path({str(pyz)!r}, run_name='__main__')"
    )
    status, error = said([sys.executable, *ALONE, "-c", code])

    assert status == 1
    assert error == "wsgiproxy needs Python 3.10 or newer; this is 3.9\n"


def test_file_is_a_command(pyz: Path, tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)
    environ = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([pyz, "--version"], env=environ, capture_output=True, check=True)

    assert done.stdout.decode() == f"wsgiproxy {wsgiproxy.__version__}\n"


# -- the copy that later starts run from -----------------------------------------


def origin(pyz: Path, cache: Path) -> str:
    """Where the file takes its code from."""
    code = (
        f"import runpy; names = runpy.run_path({str(pyz)!r});"
        f"print(names['find_code']({str(pyz)!r}))"
    )
    environ = {"XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_first_start_unpacks_and_later_ones_run_from_there(pyz: Path, tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, *ALONE, "-B", str(pyz), "--version"]

    for _ in range(2):
        subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)

    (copy,) = (tmp_path / "wsgiproxy").iterdir()
    # Compiled from the first start on, even where Python is told to write nothing.
    tag = sys.implementation.cache_tag
    assert (copy / "wsgiproxy" / "__pycache__" / f"middleware.{tag}.pyc").is_file()
    assert origin(pyz, tmp_path) == str(copy)


def test_copy_that_others_can_change_is_not_run(pyz: Path, tmp_path: Path) -> None:
    copy = Path(origin(pyz, tmp_path))
    assert copy.parent.parent == tmp_path
    copy.chmod(0o777)

    assert origin(pyz, tmp_path) == str(pyz)


def test_cache_that_others_can_change_is_not_used(pyz: Path, tmp_path: Path) -> None:
    origin(pyz, tmp_path)
    (tmp_path / "wsgiproxy").chmod(0o777)

    assert origin(pyz, tmp_path) == str(pyz)


def test_file_runs_where_no_cache_can_be_written(pyz: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert origin(pyz, tmp_path / "file") == str(pyz)
    assert origin(pyz, Path("relative")) == str(pyz)


def test_nothing_is_kept_if_no_cache_is_wanted(pyz: Path, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), **BARE}
    command = [sys.executable, *ALONE, str(pyz), "--version"]

    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)

    assert list(tmp_path.iterdir()) == []


# -- what it holds ----------------------------------------------------------------


def test_two_builds_are_the_same_to_the_byte(pyz: Path, tmp_path: Path) -> None:
    # Another folder, other times of the files, other modes.
    tree = copy_tree(tmp_path / "elsewhere")
    for path in tree.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o600)

    other = build(tmp_path / "out" / "wsgiproxy.pyz", tree)

    assert other.read_bytes() == pyz.read_bytes()
    assert bill_of(other) == bill_of(pyz)
    with zipfile.ZipFile(pyz) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
        # The wheels of one version differ in what they tell of themselves.
        (about,) = (name for name in archive.namelist() if re.match(r"tomli-.*/METADATA", name))
        assert len(archive.read(about).splitlines()) == 4


def test_file_holds_pure_python_with_its_licences(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        names = archive.namelist()
        licences = archive.read("LICENSES.txt").decode()

    assert not [name for name in names if name.endswith((".so", ".pyd", ".pyc"))]
    assert not [name for name in names if name.startswith(("tests/", "tools/"))]
    for name in ("WebOb", "legacy-cgi", "tomli", "urllib3", "waitress", "wsgi-reverse-proxy"):
        assert re.search(rf"^    {name} [\d.]+: [\w.-]+$", licences, re.MULTILINE), name
    # Words of the three licences, not of their names.
    for phrase in (
        "Zope Corporation",
        "Python Software Foundation",
        "Permission is hereby granted",
    ):
        assert phrase in licences


def bill_of(pyz: Path) -> str:
    return pyz.with_suffix(".cdx.json").read_text("utf-8")


def test_bill_of_materials_is_valid_and_names_the_file(pyz: Path) -> None:
    text = bill_of(pyz)
    bill = json.loads(text)

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert bill["metadata"]["component"]["hashes"] == [
        {"alg": "SHA-256", "content": sha256(pyz.read_bytes())}
    ]
    names = {component["name"] for component in bill["components"]}
    assert {"WebOb", "legacy-cgi", "tomli", "urllib3", "waitress"} < names
    assert all(component["licenses"] and component["purl"] for component in bill["components"])
