"""Zip files that are the same to the byte wherever and whenever they are written."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["read_zip", "sha256", "write_zip"]

#: The first moment that a zip file can name.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_FILE_MODE = 0o100644 << 16


def write_zip(path: Path, files: Mapping[str, bytes], prefix: bytes = b"") -> None:
    """Write a zip file: sorted names, one date, one mode.

    Nothing is compressed, because implementations of deflate differ in what they write.

    :param files: contents by name.
    :param prefix: bytes in front of the zip file, such as a ``#!`` line.
    """
    buffer = io.BytesIO()
    buffer.write(prefix)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _FILE_MODE
            archive.writestr(entry, files[name])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())


def read_zip(path: Path) -> dict[str, bytes]:
    """The files of a zip file, by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name[-1:] != "/"}


def sha256(content: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
