"""The dependencies as they are installed beside the tools."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from importlib import metadata

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .parts import PYTHONS, Part
from .tree import requirements, setting

__all__ = ["dependencies"]

_COMPILED = re.compile(r"\.(so|pyd)$")
#: The name of a compiled module, up to the first dot.
_STEM = re.compile(r"(?:.*/)?[^./]+")
#: What mypyc adds to the modules that it compiled.
_MYPYC = "__mypyc."
#: What is kept of a ``.dist-info`` folder; the rest tells how and where it was installed.
_ABOUT = re.compile(
    r"METADATA|WHEEL|entry_points\.txt|.*(licen[cs]e|copying|notice).*", re.IGNORECASE
)

Wanted = dict[str, set[str]]


def dependencies(*extras: str) -> list[Part]:
    """What this package needs at run time, and what that needs in turn.

    :param extras: extras of this package that are wanted as well.
    :raises SystemExit: if one is missing, or is installed in a version that does not fit.
    """
    wanted = _closure(_asked(("", *extras)))
    return [_part(name, wanted) for name in sorted(wanted)]


def _asked(extras: Iterable[str]) -> list[Requirement]:
    """The requirements of some extras; those that name extras in turn are followed."""
    found = []
    for extra in extras:
        for requirement in map(Requirement, requirements(extra)):
            own = requirement.name == setting("metadata", "name")
            found += _asked(sorted(requirement.extras)) if own else [requirement]
    return found


def _closure(asked: list[Requirement]) -> Wanted:
    """The names of all that is needed, each with the versions of Python that need it."""
    wanted: Wanted = defaultdict(set)
    queue = [(requirement, _holds(requirement, PYTHONS, ())) for requirement in asked]
    while queue:
        requirement, pythons = queue.pop()
        known = wanted[canonicalize_name(requirement.name)] if pythons else pythons
        new = pythons - known
        known |= pythons
        if new:
            lines = map(Requirement, _distribution(requirement).requires or ())
            queue += [(line, _holds(line, new, requirement.extras)) for line in lines]
    return wanted


def _holds(requirement: Requirement, pythons: Iterable[str], extras: Iterable[str]) -> set[str]:
    """The versions of Python on which a requirement counts."""
    if requirement.marker is None:
        return set(pythons)
    return {
        python
        for python in pythons
        for extra in ("", *extras)
        if requirement.marker.evaluate(
            {"python_version": python, "python_full_version": f"{python}.0", "extra": extra}
        )
    }


def _distribution(requirement: Requirement) -> metadata.Distribution:
    try:
        found = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError:
        raise SystemExit(
            f"{requirement.name} is not installed; run: python -m pip install {requirement.name}"
        ) from None
    if not requirement.specifier.contains(found.version, prereleases=True):
        raise SystemExit(f"{requirement} is needed, {found.version} is installed")
    return found


def _part(name: str, wanted: Wanted) -> Part:
    found = metadata.distribution(name)
    needs = {canonicalize_name(Requirement(line).name) for line in found.requires or ()}
    return Part(
        found.metadata["Name"],
        found.version,
        _license(found),
        _files(found),
        tuple(python for python in PYTHONS if python in wanted[name]),
        tuple(sorted(needs & wanted.keys())),
    )


def _license(found: metadata.Distribution) -> str:
    """The licence as an SPDX expression, where the metadata can be read so."""
    fields = found.metadata.json
    text = str(fields.get("license_expression") or fields.get("license") or "")
    try:
        return canonicalize_license_expression(text.strip().replace(" ", "-"))
    except InvalidLicenseExpression:
        return text.splitlines()[0] if text else "see its licence file"


def _files(found: metadata.Distribution) -> dict[str, bytes]:
    """The files of a distribution; compiled modules only where they have no source beside them."""
    paths = {path.as_posix(): path for path in found.files or () if _is_kept(path.as_posix())}
    return {
        name: path.read_binary()
        for name, path in paths.items()
        if not (_COMPILED.search(name) and _has_source(name, paths))
    }


def _is_kept(name: str) -> bool:
    if name.startswith("..") or name.endswith(".pyc"):
        return False  # scripts, and what Python made itself
    folder, _, rest = name.partition("/")
    return not folder.endswith(".dist-info") or _ABOUT.fullmatch(rest) is not None


def _has_source(name: str, names: Iterable[str]) -> bool:
    stem = _STEM.match(name)
    return _MYPYC in name or (stem is not None and f"{stem[0]}.py" in names)
