"""The source tree, as the tools see it."""

from __future__ import annotations

import configparser
import shutil
from pathlib import Path

__all__ = ["ROOT", "copy_tree", "requirements", "setting"]

ROOT = Path(__file__).parents[1]

#: What a release is made from, at the top of the tree; everything else there is left out.
_RELEASED = (
    *(".pre-commit-config.yaml", "CHANGES.rst", "CONTRIBUTING.rst", "LICENSE", "MANIFEST.in"),
    *("Makefile", "README.rst", "SECURITY.md", "noxfile.py", "pyproject.toml", "setup.cfg"),
    *("benchmarks", "docs", "examples", "tests", "tools", "wsgiproxy"),
)
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.py[cod]", "_build", ".*")


def copy_tree(folder: Path) -> Path:
    """Copy the source tree, because building in place leaves files behind.

    :param folder: where to; it must not exist.
    :returns: the folder.
    """
    folder.mkdir(parents=True)
    for name in _RELEASED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=_LEFT_OUT)
        else:
            shutil.copy2(source, folder / name)
    return folder


def setting(section: str, name: str) -> str:
    """A value of ``setup.cfg``, the one home of the metadata."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser.get(section, name)


def requirements(extra: str = "") -> list[str]:
    """The requirements in ``setup.cfg``.

    :param extra: of this extra; those of every installation by default.
    """
    section, name = ("options.extras_require", extra) if extra else ("options", "install_requires")
    return [line for line in setting(section, name).splitlines() if line.strip()]
