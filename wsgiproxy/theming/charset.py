"""The charset of a page, told and taken off as browsers do."""

from __future__ import annotations

import re

__all__ = ["to_utf8"]

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
    """The Python codec of a page, and the length of its byte order mark in bytes.

    From the header, then the byte order mark, then ``<meta>`` in the first KiB, then UTF-8
    (HTML Living Standard, section 13.2.3.2).

    :param data: the page.
    :param content_type: its ``Content-Type``; ``None`` without one.
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

    :param data: the page without content codings.
    :param content_type: its ``Content-Type``; ``None`` without one.
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
