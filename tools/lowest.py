"""The oldest versions that ``setup.cfg`` allows of what the proxy builds on.

::

    python -m tools.lowest > constraints.txt
    python -m pip install -c constraints.txt ".[test]"

The proxy depends on insides of these four, so its tests run with their oldest versions too.
"""

from __future__ import annotations

from packaging.requirements import Requirement

from .tree import requirements

__all__ = ["constraints", "main"]

NAMES = ("gunicorn", "urllib3", "waitress", "WebOb")


def constraints() -> list[str]:
    """Lines for pip's ``--constraint``, each with one exact version.

    :raises ValueError: if one of them has no lower bound.
    """
    found = {}
    for line in [*requirements(), *requirements("test")]:
        requirement = Requirement(line)
        if requirement.name in NAMES:
            found[requirement.name] = f"{requirement.name}=={_lower_bound(requirement)}"
    return [found[name] for name in NAMES]


def _lower_bound(requirement: Requirement) -> str:
    for specifier in requirement.specifier:
        if specifier.operator == ">=":
            return specifier.version
    raise ValueError(f"{requirement} has no lower bound; write {requirement.name}>=VERSION")


def main() -> None:
    """Print the constraints."""
    print("\n".join(constraints()))


if __name__ == "__main__":
    main()
