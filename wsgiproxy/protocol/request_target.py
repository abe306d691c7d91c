"""How paths and queries are spelt: in the request line, in PEP 3333, and upstream."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from ..errors import BadRequest

__all__ = [
    "PATH_SAFE",
    "authority_of",
    "cut",
    "encode_path",
    "encode_query",
    "host_of",
    "path_below",
    "raw_target",
    "unquote",
    "with_slash",
]

#: What ``quote`` leaves alone in a path: RFC 3986, 3.3 (pchar) and the slash.
PATH_SAFE = "/:@!$&'()*+,;=~-._"
#: Every printable ASCII character: to encode the rest of a raw target only.
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_UNUSUAL = re.compile(r"[^\x21\x22\x24-\x3e\x40-\x7e]")
_INVALID_TARGET = re.compile(r"[\x00-\x20\x7f#]")
_ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


def unquote(path: str) -> str:
    """A path decoded once, one character for each byte."""
    return unquote_to_bytes(path.encode("latin-1")).decode("latin-1")


def authority_of(environ: Mapping[str, Any]) -> str | None:
    """The authority of a target in absolute form, ``GET http://host/path``; else ``None``.

    It may be empty or malformed.
    """
    raw = environ.get("REQUEST_URI") or environ.get("RAW_URI") or ""
    if raw[:1] in ("/", "*", ""):
        return None
    match = _ABSOLUTE_FORM.match(raw)
    return match[1] if match else None


def host_of(environ: Mapping[str, Any]) -> str:
    """The host that a request asks for, ``name[:port]``; empty if it names none.

    RFC 9112, 3.2.2: in absolute form the authority replaces what ``Host`` says.
    """
    authority = authority_of(environ)
    host: str = environ.get("HTTP_HOST", "") if authority is None else authority
    return host


def with_slash(prefix: str, query: str) -> str:
    """Where a prefix without its slash is redirected to, so that relative links resolve.

    Path-absolute with exactly one slash in front, so that it cannot lead to another host.

    :param prefix: encoded, without a slash at its end.
    :param query: with its question mark, or empty.
    """
    return "/" + prefix.lstrip("/") + "/" + query


def raw_target(
    environ: Mapping[str, Any], path: str, decode: Callable[[str], str] = unquote
) -> tuple[str, str]:
    """The path as the client spelt it, and the query with its question mark.

    :param path: the decoded path, one character for each byte.
    :param decode: makes such a path of an encoded one, as whoever has decoded it did.
    :raises BadRequest: for a raw target that no request line can hold.

    The server's raw target counts only if it says the same as ``SCRIPT_NAME`` and
    ``PATH_INFO``, which an outer middleware may have changed; else these are encoded.
    """
    raw: str = environ.get("REQUEST_URI") or environ.get("RAW_URI") or ""
    query = environ.get("QUERY_STRING", "")
    if raw == path and not query and not _UNUSUAL.search(raw):
        return path, ""
    if raw and not raw.startswith("/"):
        raw = _ABSOLUTE_FORM.sub("", raw, count=1)
    raw_path, mark, raw_query = raw.partition("?")
    if _INVALID_TARGET.search(raw):
        raise BadRequest(f"invalid request target {raw[:200]!r}")
    if not raw_path.isascii():
        raw_path = quote(raw_path.encode("latin-1"), safe=_ASCII)
    # waitress collapses the slashes at the start of PATH_INFO, not of the raw target.
    if raw_path != path and not _agrees(decode(raw_path), path):
        raw_path = encode_path(path)
    if raw_query != query or not query.isascii():
        return raw_path, encode_query(query)
    return raw_path, mark + raw_query


def _agrees(decoded: str, path: str) -> bool:
    if decoded.lstrip("/") == path.lstrip("/"):
        return True
    # Werkzeug's server puts replacement characters where the bytes are no UTF-8.
    replaced = decoded.encode("latin-1").decode("utf-8", "replace")
    return replaced.encode().decode("latin-1") == path


def encode_path(path: str) -> str:
    """A decoded path (PEP 3333: bytes as latin-1) as it goes over the wire."""
    return quote(path.encode("latin-1"), safe=PATH_SAFE)


def encode_query(query: str) -> str:
    """A query with its question mark; what may not stand in a target is encoded."""
    return "?" + quote(query.encode("latin-1"), safe=_ASCII) if query else ""


def path_below(path: str, prefix: str) -> str | None:
    """What follows a prefix in a path or a URL's path; ``None`` if it is not under the prefix.

    Both are encoded, and compared without regard to what is encoded (RFC 3986, 6.2.2.2):
    ``/a%2Cb/x`` lies under ``/a,b``. An encoded slash is no slash.
    """
    if path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] in "/?#"):
        return path[len(prefix) :]
    if "%" not in path and "%" not in prefix:
        return None
    count = prefix.count("/") + 1
    end = min((at for at in map(path.find, "?#") if at >= 0), default=len(path))
    segments = path[:end].split("/")
    if len(segments) < count:
        return None
    wanted = prefix.split("/")
    if not all(map(_is_same_segment, segments[:count], wanted)):
        return None
    return path[len("/".join(segments[:count])) :]


def _is_same_segment(one: str, other: str) -> bool:
    return one == other or (
        "%2f" not in one.lower() and unquote_to_bytes(one) == unquote_to_bytes(other)
    )


def cut(raw_path: str, public: str, prefix: str) -> str:
    """The raw path behind the prefix, whose spelling must have the prefix's segments."""
    raw_path = "/" + raw_path.lstrip("/")
    if raw_path.startswith(prefix) and raw_path[len(prefix) : len(prefix) + 1] in ("", "/"):
        return raw_path[len(prefix) :]
    parts = raw_path.split("/", public.count("/") + 1)
    count = public.count("/") + 1
    segments = [unquote(part) for part in parts[:count]]
    if segments != public.split("/"):
        raise BadRequest(f"{raw_path!r} spells the prefix {prefix!r} with encoded slashes")
    return "/" + parts[count] if len(parts) > count else ""
