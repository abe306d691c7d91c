"""Bodies: content codings taken off within limits, and every charset made UTF-8."""

from __future__ import annotations

import importlib
import re
import zlib
from typing import Any

__all__ = ["codings_of", "decode", "offer", "to_utf8"]

_RATIO_FROM = 64 << 10
_MAX_CODINGS = 3
_PIECE = 4 << 10


def _load_brotli() -> Any:
    """The brotli module, if it is there and can be told to stop (1.2 and newer)."""
    try:
        brotli = importlib.import_module("brotli")
        brotli.Decompressor().process(b"", output_buffer_limit=1)
    except (ImportError, TypeError, AttributeError):
        return None
    return brotli


_brotli = _load_brotli()
_BROKEN = (zlib.error, _brotli.error) if _brotli else (zlib.error,)
_READABLE = frozenset(("gzip", "x-gzip", "deflate") + (("br",) if _brotli else ()))


def offer(accept: str) -> str:
    """``Accept-Encoding`` for the application: what the client takes and we can read.

    Returned as it came where nothing must go; ``identity`` where nothing is left.
    """
    items = [item.strip() for item in accept.split(",") if item.strip()]
    kept = [item for item in items if item.split(";", 1)[0].strip().lower() in _READABLE]
    return accept if len(kept) == len(items) and kept else ", ".join(kept) or "identity"


def codings_of(header: str) -> list[str] | None:
    """The codings of a ``Content-Encoding``, in the order applied; ``None`` if one is unknown."""
    names = [name.strip().lower() for name in header.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > _MAX_CODINGS or not _READABLE.issuperset(names):
        return None
    return names


def decode(data: bytes, codings: list[str], max_size: int, max_ratio: int) -> bytes | None:
    """Take content codings off.

    :param max_size: bytes, the most that may come out of any step.
    :param max_ratio: how many times larger than ``data`` it may become over 64 KiB.
    :returns: ``None`` for what is over a limit, cut short or no such coding.
    """
    limit = min(max_size, max(_RATIO_FROM, max_ratio * len(data)))
    for coding in reversed(codings):
        decoder = {"br": _unbrotli, "deflate": _inflate}.get(coding, _gunzip)
        try:
            found = decoder(data, limit)
        except _BROKEN:
            return None
        if found is None:
            return None
        data = found
    return data


def _gunzip(data: bytes, limit: int) -> bytes | None:
    """All members of a gzip file (RFC 1952 section 2.2); padding after them is ignored."""
    parts, size, at = [], 0, 0
    while True:
        stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
        while not stream.eof:
            # In pieces: what a member leaves over is copied, and there may be many members.
            piece = data[at : at + _PIECE]
            parts.append(stream.decompress(piece, limit - size + 1))
            size += len(parts[-1])
            if size > limit or not piece:
                return None
            at += len(piece) - len(stream.unused_data)
        if not data.startswith(b"\x1f\x8b", at):
            return b"".join(parts)


def _inflate(data: bytes, limit: int) -> bytes | None:
    """RFC 9110 section 8.4.1.2 asks for zlib; some servers send it without its frame."""
    try:
        stream = zlib.decompressobj()
        found = stream.decompress(data, limit + 1)
    except zlib.error:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        found = stream.decompress(data, limit + 1)
    return found if stream.eof and len(found) <= limit else None


def _unbrotli(data: bytes, limit: int) -> bytes | None:
    stream = _brotli.Decompressor()
    parts, size = [], 0
    while size <= limit and not stream.is_finished():
        part = stream.process(data, output_buffer_limit=min(limit + 1 - size, 1 << 20))
        if not part and not data:
            return None
        data = b""
        parts.append(part)
        size += len(part)
    return b"".join(parts) if size <= limit else None


# -- charset -------------------------------------------------------------------

# The names of the WHATWG Encoding Standard whose codec is called otherwise in Python.
_CODECS = {
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "l1": "cp1252",
    "iso-8859-9": "cp1254",
    "latin5": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "big5": "big5hkscs",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "unicode-1-1-utf-8": "utf-8",
    "utf8": "utf-8",
}
_CODECS.update((f"windows-{page}", f"cp{page}") for page in (*range(1250, 1259), 874))
_CODECS.update(
    (f"iso-8859-{part}", f"iso8859-{part}") for part in (*range(2, 9), 10, 13, 14, 15, 16)
)
_CODECS.update(
    (name, name)
    for name in ("utf-8", "utf-16", "utf-16le", "utf-16be", "koi8-r", "koi8-u", "euc-jp",
                 "iso-2022-jp", "gb18030", "big5-hkscs")
)  # fmt: skip
_PARAMETER = re.compile(r";\s*charset\s*=\s*[\"']?([^\s\"';,]+)", re.IGNORECASE)
_META = re.compile(rb"<meta\b[^>]*?\bcharset\s*=\s*[\"']?\s*([^\s\"'/>;]+)", re.IGNORECASE)
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16le"), (b"\xfe\xff", "utf-16be"))
_QUOTED_CRLF = re.compile(rb"&#13;(?:\n|&#10;)")
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)


def find_charset(data: bytes, content_type: str | None) -> tuple[str, int]:
    """The codec of a page and how many bytes of byte order mark it begins with.

    From the header, then the byte order mark, then ``<meta>`` in the first KiB, then UTF-8.
    """
    bom = next(((codec, len(mark)) for mark, codec in _BOMS if data.startswith(mark)), ("", 0))
    match = _PARAMETER.search(content_type or "")
    codec = _CODECS.get(match[1].lower()) if match else None
    if codec is None and bom[0]:
        return bom
    if codec is None:
        codec = _meta_charset(data[:1024])
    return codec, bom[1] if bom[0] == codec else 0


def _meta_charset(head: bytes) -> str:
    """What ``<meta>`` says; it can be read, so it is not UTF-16 whatever it claims."""
    match = _META.search(_COMMENT.sub(b"", head))
    codec = _CODECS.get(match[1].decode("latin-1").lower(), "utf-8") if match else "utf-8"
    return "utf-8" if codec.startswith("utf-16") else codec


def to_utf8(data: bytes, content_type: str | None) -> bytes:
    """The page as valid UTF-8 with ``\\n`` for line ends, as browsers read it.

    Bytes that the charset does not have become U+FFFD.
    """
    codec, skip = find_charset(data, content_type)
    if skip:
        data = data[skip:]
    if codec == "utf-8":
        try:
            data.decode()
        except UnicodeDecodeError:
            data = data.decode("utf-8", "replace").encode()
    else:
        data = data.decode(codec, "replace").encode("utf-8", "replace")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    # What XML writers make of CRLF; diazo drops it too.
    return _QUOTED_CRLF.sub(b"\n", data) if b"&#13;" in data else data
