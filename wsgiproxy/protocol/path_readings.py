"""What a path may mean to others: every reading that some server is known to give it.

Where a path decides something (which route, who may pass), whoever decides and whoever serves
must mean the same. Servers differ: some take a backslash for a slash, some drop what follows
``;`` in a segment (Tomcat and its kin), some decode twice, most resolve dots and collapse
slashes, and each in an order of its own.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

from ..errors import BadRequest
from .request_target import PATH_SAFE, unquote

__all__ = ["climbs", "is_ambiguous", "is_normal", "normal", "readings", "spellings"]

#: More readings than this has no path that somebody means honestly.
MOST = 64

_AMBIGUOUS = re.compile(r"//|/\.|\\|[%;]")
_PARAMETERS = re.compile(r";[^/]*")
_UNICODE = re.compile(r"%u([0-9A-Fa-f]{4})")
# Bytes that no UTF-8 has: longer forms of ASCII (RFC 3629, 3), which old servers decode.
_OVERLONG = re.compile(r"(?:[\xc0\xc1]|\xe0[\x80\x81]|\xf0\x80[\x80\x81])[\x80-\xbf]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_ambiguous(path: str) -> bool:
    """Whether a path could have more than one reading; quick, for every request.

    :param path: one character for each byte; a percent sign may encode something.
    """
    return bool(_AMBIGUOUS.search(path) or _OVERLONG.search(path))


def readings(path: str) -> Iterator[str]:
    """Every reading of a path, itself first.

    :param path: with a slash first, one character for each byte; encoded or decoded.
    :raises BadRequest: if there is no end of them.
    """
    found = [path]
    for reading in found:  # grows meanwhile
        yield reading
        for read in _READERS:
            other = read(reading)
            if other not in found:
                if len(found) == MOST:
                    raise BadRequest(f"{path[:200]!r} may mean too many paths")
                found.append(other)


def spellings(prefix: str, path: str, query: str) -> Iterator[str]:
    """The encoded URLs that one may be taken for, itself first: for patterns that decide.

    :param prefix: the public prefix, encoded.
    :param path: what follows it, encoded.
    :param query: with its question mark, or empty.
    :raises BadRequest: if there is no end of them.
    """
    yield prefix + path + query
    if is_ambiguous(path):
        for reading in readings(path):
            yield prefix + quote(reading.encode("latin-1"), safe=PATH_SAFE + "%") + query


def normal(path: str) -> str:
    """A path as somebody reads it who resolves dots and collapses slashes.

    It must not climb above its root. A slash at the end stays.
    """
    resolved = posixpath.normpath("/" + path.lstrip("/"))
    is_folder = path.endswith(("/", "/.", "/..")) and resolved != "/"
    return resolved + "/" if is_folder else resolved


def climbs(path: str) -> bool:
    """Whether dots lead above where a path begins, at any point of it."""
    depth = 0
    for segment in path.split("/"):
        if segment == "..":
            depth -= 1
        elif segment not in ("", "."):
            depth += 1
        if depth < 0:
            return True
    return False


def is_normal(path: str) -> bool:
    """Whether a path has one reading only, so that a decision about it holds for everybody.

    :param path: decoded once, one character for each byte.
    """
    return not _CONTROL.search(path) and all(read(path) == path for read in _READERS)


def _decoded(path: str) -> str:
    text = _UNICODE.sub(lambda found: _one_byte(int(found[1], 16)), unquote(path))
    return _OVERLONG.sub(lambda found: chr(_overlong(found[0])), text)


def _one_byte(code: int) -> str:
    return chr(code) if code < 0x80 else "?"


def _overlong(text: str) -> int:
    return (ord(text[-2]) & 1) << 6 | (ord(text[-1]) & 0x3F)


def _without_parameters(path: str) -> str:
    return _PARAMETERS.sub("", path)


def _with_slashes(path: str) -> str:
    return path.replace("\\", "/")


def _without_authority(path: str) -> str:
    """``//host/path`` as a URL reference has it (RFC 3986, 4.2)."""
    return "/" + path[2:].partition("/")[2] if path.startswith("//") else path


_READERS: tuple[Callable[[str], str], ...] = (
    _decoded,
    _without_parameters,
    _with_slashes,
    _without_authority,
    normal,
)
