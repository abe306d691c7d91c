"""The versions of Python on this machine that the package is for."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.parts import PYTHONS

__all__ = ["find_pythons"]


@functools.cache
def find_pythons() -> Mapping[str, str]:
    """Paths of interpreters by version: those on the path, those of pyenv, and this one."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for version in PYTHONS:
        for candidate in _candidates(version):
            said, path = _ask(candidate)
            if said == version:
                found.setdefault(version, path)
    return {version: found[version] for version in sorted(found, key=_number)}


def _candidates(version: str) -> Iterator[str]:
    name = f"python{version}"
    on_path = shutil.which(name)
    if on_path:
        yield on_path
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/{name}")))


def _ask(path: str) -> tuple[str, str]:
    """The version of an interpreter, and its real path.

    pyenv puts stand-ins on the path: some do not start, all need the right environment.
    """
    code = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    done = subprocess.run([path, "-I", "-c", code], capture_output=True, text=True, check=False)
    version, _, executable = done.stdout.strip().partition(" ")
    return version, executable


def _number(version: str) -> int:
    return int(version.partition(".")[2])
