"""One file that runs without an installation: ``python -m tools.pyz`` or ``make pyz``.

It writes ``wsgiproxy.pyz``, a zip application with the package and all that it needs, and
beside it ``wsgiproxy.cdx.json``, its bill of materials. The same source and the same versions
of the dependencies make the same bytes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from .archive import sha256, write_zip
from .installed import dependencies
from .parts import Part, own_part
from .sbom import bill_of_materials
from .tree import ROOT

__all__ = ["build", "main"]

_INSIDE = Path(__file__).with_name("inside")
_SHEBANG = b"#!/usr/bin/env python3\n"
#: Not at the top, where it would hide the standard library's module of the same name.
_ASIDE = {"legacy-cgi": "legacy-cgi/"}
#: What differs between the wheels of one version, for one system and another.
_ORIGIN = (".dist-info/METADATA", ".dist-info/WHEEL", ".dist-info/entry_points.txt")
#: What needs compiled packages: one sentence stands in its place.
_THEMING = "wsgiproxy/theming/"


def build(output: Path) -> None:
    """Write the file, and its bill of materials beside it.

    :param output: the path of the file.
    :raises SystemExit: if a dependency is missing, or has no pure Python form.
    """
    parts = [own_part(), *dependencies()]
    for part in parts:
        if not part.is_pure:
            raise SystemExit(f"{part.name} holds compiled modules; one file cannot carry those")
    write_zip(output, _contents(parts), _SHEBANG)
    output.chmod(0o755)
    bill = bill_of_materials(output.name, sha256(output.read_bytes()), parts)
    output.with_suffix(".cdx.json").write_text(bill, "utf-8")


def _contents(parts: Sequence[Part]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for part in parts:
        folder = _ASIDE.get(part.key, "")
        files |= {_place(name, folder): content for name, content in part.files.items()}
    files = {
        name: content
        for name, content in files.items()
        if not (name.startswith(_THEMING) or name.endswith(_ORIGIN))
    }
    files |= {f"{part.about}/METADATA": _metadata(part) for part in parts}
    files[_THEMING + "__init__.py"] = (_INSIDE / "theming.py").read_bytes()
    files["cgi.py"] = (_INSIDE / "cgi.py").read_bytes()
    files["LICENSES.txt"] = _licenses(parts).encode()
    files["__main__.py"] = _main(files)
    return files


def _metadata(part: Part) -> bytes:
    """Enough to find the part and its version by ``importlib.metadata``."""
    fields = {"Name": part.name, "Version": part.version, "License": part.license}
    lines = [f"{name}: {value}\n" for name, value in fields.items()]
    return "".join(["Metadata-Version: 2.1\n", *lines]).encode()


def _place(name: str, folder: str) -> str:
    return name if ".dist-info/" in name else folder + name


def _main(files: dict[str, bytes]) -> bytes:
    """The code that starts it, with a name for this very content."""
    code = (_INSIDE / "__main__.py").read_text("utf-8")
    digests = [[name, sha256(content)] for name, content in sorted(files.items())]
    return code.replace("@BUILD@", sha256(json.dumps([code, digests]).encode())[:32]).encode()


def _licenses(parts: Sequence[Part]) -> str:
    """What the file holds, in which version and under which licence, with its text."""
    lines = ["What this file holds:", ""]
    lines += [f"    {part.name} {part.version}: {part.license}" for part in parts]
    for part in parts:
        if not part.license_files:
            raise SystemExit(f"{part.name} has no licence file; it cannot be passed on")
        for name in part.license_files:
            text = part.files[name].decode("utf-8", "replace").strip()
            lines += ["", "", f"-- {part.name} {part.version} ".ljust(78, "-"), "", text]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the file that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tools.pyz", description=__doc__)
    default = ROOT / "wsgiproxy.pyz"
    parser.add_argument("--output", type=Path, default=default, help="the path of the file")
    output = parser.parse_args(arguments).output
    build(output)
    print(output)


if __name__ == "__main__":
    main()
