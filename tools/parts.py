"""The parts of a bundle: this package, and what it needs at run time.

Dependencies are taken from the distributions that are installed beside the tool, so a build
downloads nothing. Which of them are needed, and by which versions of Python, is worked out
from their own metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import wsgiproxy

from .tree import ROOT, requirements, setting

__all__ = ["PYTHONS", "Part", "own_part"]

#: The versions of Python that a bundle is for, as the classifiers in ``setup.cfg`` name them.
PYTHONS = tuple(re.findall(r":: (3\.\d+)$", setting("metadata", "classifiers"), re.MULTILINE))

_COMPILED = (".so", ".pyd")
#: The kinds of files in this package.
_SUFFIXES = (".js", ".py", ".typed")
_LICENSE_FILE = re.compile(r"[^/]+\.dist-info/.*(licen[cs]e|copying|notice)", re.IGNORECASE)


class Part(NamedTuple):
    """One distribution in a bundle.

    :ivar name: as its metadata spells it.
    :ivar license: an SPDX expression, or what its metadata says instead.
    :ivar files: contents by their paths below ``site-packages``.
    :ivar pythons: the versions of Python that need it, of :data:`PYTHONS`.
    :ivar needs: the keys of the parts that it needs itself.
    """

    name: str
    version: str
    license: str
    files: Mapping[str, bytes]
    pythons: tuple[str, ...] = PYTHONS
    needs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The normalised name."""
        return canonicalize_name(self.name)

    @property
    def is_pure(self) -> bool:
        """Whether it runs on every system, since nothing in it is compiled."""
        return not any(name.endswith(_COMPILED) for name in self.files)

    @property
    def marker(self) -> str:
        """The condition on Python under which it is needed; nothing if always."""
        if self.pythons == PYTHONS:
            return ""
        if self.pythons[-1] == PYTHONS[-1]:
            return f'python_version >= "{self.pythons[0]}"'
        following = PYTHONS[PYTHONS.index(self.pythons[-1]) + 1]
        return f'python_version < "{following}"'

    @property
    def about(self) -> str:
        """Its ``.dist-info`` folder."""
        folders = (name.partition("/")[0] for name in self.files)
        return next(folder for folder in folders if folder.endswith(".dist-info"))

    @property
    def license_files(self) -> list[str]:
        """The paths of its licences' texts."""
        return sorted(filter(_LICENSE_FILE.match, self.files))


def own_part() -> Part:
    """This package, from the source tree."""
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in (ROOT / "wsgiproxy").rglob("*")
        if path.suffix in _SUFFIXES
    }
    name, version = setting("metadata", "name"), wsgiproxy.__version__
    about = f"{name.replace('-', '_')}-{version}.dist-info"
    files[f"{about}/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    needs = sorted(canonicalize_name(Requirement(line).name) for line in requirements())
    return Part(name, version, setting("metadata", "license"), files, needs=tuple(needs))
