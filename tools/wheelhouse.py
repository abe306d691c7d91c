"""Wheels of everything, for machines without a package index: ``python -m tools.wheelhouse``.

It writes the folder ``wheelhouse/`` with a wheel of this package, one of each distribution that it
needs, and ``requirements.txt`` with their hashes. There, and with nothing but pip::

    python -m pip install --no-index --find-links wheelhouse --require-hashes \\
        -r wheelhouse/requirements.txt

Extras may be named, such as ``theme``; their compiled wheels fit this machine's kind only.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from email.parser import Parser
from pathlib import Path

from .archive import read_zip, sha256, write_zip
from .installed import dependencies
from .parts import Part, own_part
from .tree import ROOT, copy_tree

__all__ = ["build", "main"]

_PURE_TAG = "py3-none-any"


def build(folder: Path, extras: Sequence[str] = ()) -> None:
    """Write the wheels and the list of their hashes.

    :param folder: where to; wheels that are there already are removed.
    :param extras: extras of this package to have with it.
    :raises SystemExit: if a dependency is missing, or this package cannot be built.
    """
    parts = dependencies(*extras)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    lines = [_requirement(own_part(), _write_own(folder))]
    for part in parts:
        path = folder / _file_name(part)
        write_zip(path, _with_record(part))
        lines.append(_requirement(part, path))
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n", "utf-8")


def _requirement(part: Part, wheel: Path) -> str:
    condition = f" ; {part.marker}" if part.marker else ""
    return f"{part.key}=={part.version}{condition} --hash=sha256:{sha256(wheel.read_bytes())}"


def _write_own(folder: Path) -> Path:
    """Build this package's wheel with its build system, and write it in our form."""
    with tempfile.TemporaryDirectory() as scratch:
        tree, built = copy_tree(Path(scratch, "tree")), Path(scratch, "built")
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
        done = subprocess.run(
            [*command, "--outdir", built, tree], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        (wheel,) = built.iterdir()
        write_zip(folder / wheel.name, read_zip(wheel))
        return folder / wheel.name


def _tags(part: Part) -> list[str]:
    """What its wheel fits; what lost its compiled modules fits every system."""
    told = Parser().parsestr(part.files[f"{part.about}/WHEEL"].decode()).get_all("Tag", [])
    is_stripped = part.is_pure and not any(tag.endswith("-none-any") for tag in told)
    return [_PURE_TAG] if is_stripped else told


def _file_name(part: Part) -> str:
    columns = zip(*(tag.split("-") for tag in _tags(part)), strict=True)
    fits = "-".join(".".join(sorted(set(column))) for column in columns)
    return f"{part.key.replace('-', '_')}-{part.version}-{fits}.whl"


def _with_record(part: Part) -> dict[str, bytes]:
    """The files of its wheel, the list of them included."""
    about = part.about
    pure = str(part.is_pure).lower()
    tags = "".join(f"Tag: {tag}\n" for tag in _tags(part))
    wheel = f"Wheel-Version: 1.0\nGenerator: tools.wheelhouse\nRoot-Is-Purelib: {pure}\n{tags}"
    files = {**part.files, f"{about}/WHEEL": wheel.encode()}
    return {**files, f"{about}/RECORD": _record(files, f"{about}/RECORD").encode()}


def _record(files: Mapping[str, bytes], own_name: str) -> str:
    """The list of files, with hashes as wheels have them: base64 without padding."""
    rows = []
    for name, content in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        quoted = f'"{name}"' if "," in name else name
        rows.append(f"{quoted},sha256={digest},{len(content)}\n")
    return "".join(rows) + f"{own_name},,\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.wheelhouse", description=__doc__)
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help="such as theme")
    parser.add_argument("--output", type=Path, default=ROOT / "wheelhouse", help="the folder")
    given = parser.parse_args(arguments)
    build(given.output, given.extras)
    print(given.output)


if __name__ == "__main__":
    main()
