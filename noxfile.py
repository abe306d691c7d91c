"""The checks on every Python of this machine: ``nox``, or one session: ``nox -s lint``.

A version that is not there is left out. ``nox -l`` lists the sessions.
"""

from __future__ import annotations

import pathlib
import re

import nox

#: As the classifiers in ``setup.cfg`` name them.
PYTHONS = re.findall(r":: (3\.\d+)$", pathlib.Path("setup.cfg").read_text(), re.MULTILINE)
FREE_THREADED = ("3.13t", "3.14t")
#: What the oldest versions of the servers and of urllib3 could break.
WIRE = ("tests/protocol", "tests/servers", "tests/upstream")

nox.options.sessions = ["lint", "docs", "tests", "lowest"]
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True


@nox.session
def lint(session: nox.Session) -> None:
    """ruff and mypy."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, without a warning."""
    session.install("-e", ".[docs]")
    session.run("python", "-m", "sphinx", "-W", "-q", "-b", "html", "docs", "docs/_build")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests; what follows ``--`` goes to pytest."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", *(session.posargs or ["-n", "2"]))


@nox.session(python=FREE_THREADED)
def free_threaded(session: nox.Session) -> None:
    """The tests of the core on builds without the global lock."""
    session.install(".[test]")
    environ = {"PYTHON_GIL": "0"}
    session.run("python", "-m", "pytest", *(session.posargs or WIRE), env=environ)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The oldest versions that ``setup.cfg`` allows."""
    _constrained(session)
    session.run("python", "-m", "pytest", *(session.posargs or WIRE))


@nox.session(python=PYTHONS[-1])
def newest(session: nox.Session) -> None:
    """The newest versions there are, those before a release included."""
    session.install("--upgrade", "--pre", ".[test]")
    session.run("python", "-m", "pytest", *(session.posargs or ["-n", "2"]))


def _constrained(session: nox.Session) -> None:
    session.install("packaging>=24.2")
    lines = session.run("python", "-m", "tools.lowest", silent=True)
    constraints = pathlib.Path(session.create_tmp(), "lowest.txt")
    constraints.write_text(str(lines))
    session.install("-c", str(constraints), ".[test]")
