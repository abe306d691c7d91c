"""Content codings, taken off a whole body within limits (RFC 9110, section 8.4).

The rest of theming knows three functions: whether a body can be read, what may be asked for,
and the body without its codings.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["decoded", "is_readable", "offer"]

# A body of so many bytes is never too much, however few it was made of.
_RATIO_FROM = 64 << 10
_MAX_CODINGS = 3
_PIECE = 4 << 10
_ALIASES = {"x-gzip": "gzip"}


def offer(accept: str) -> str:
    """``Accept-Encoding`` for the application: what the client takes and can be read here.

    :param accept: the client's.
    :returns: the same where nothing has to go, ``identity`` where nothing is left.

    >>> offer("gzip, dcb;q=0.5")
    'gzip'
    """
    items = [item.strip() for item in accept.split(",") if item.strip()]
    kept = [item for item in items if _normal(item.split(";", 1)[0]) in _DECODERS]
    return accept if len(kept) == len(items) and kept else ", ".join(kept) or "identity"


def is_readable(content_encoding: str) -> bool:
    """Whether a body can be read.

    :param content_encoding: its ``Content-Encoding``; empty without one.
    """
    return _codings(content_encoding) is not None


def decoded(data: bytes, content_encoding: str, *, max_size: int, max_ratio: int) -> bytes | None:
    """A body without its content codings.

    :param data: the whole body.
    :param content_encoding: the body's ``Content-Encoding``; empty without one.
    :param max_size: bytes, the most that may come out of any step.
    :param max_ratio: how many times larger than ``data`` it may become over 64 KiB.
    :returns: ``None`` for what is over a limit, cut short, or not coded as it says.
    """
    limit = min(max_size, max(_RATIO_FROM, max_ratio * len(data)))
    codings = _codings(content_encoding)
    if codings is None:
        return None
    for coding in reversed(codings):
        decoder, broken = _DECODERS[coding]
        try:
            found = decoder(data, limit)
        except broken:
            return None
        if found is None:
            return None
        data = found
    return data


def _codings(content_encoding: str) -> list[str] | None:
    """The codings in the order in which they were applied; ``None`` if one is unknown."""
    names = [_normal(name) for name in content_encoding.split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > _MAX_CODINGS or not _DECODERS.keys() >= set(names):
        return None
    return names


def _normal(coding: str) -> str:
    name = coding.strip().lower()
    return _ALIASES.get(name, name)


def _gunzip(data: bytes, limit: int) -> bytes | None:
    """All members of a gzip file (RFC 1952, section 2.2); padding after them is ignored."""
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
    """RFC 9110, section 8.4.1.2, asks for zlib; some servers send it without its frame."""
    try:
        stream = zlib.decompressobj()
        found = stream.decompress(data, limit + 1)
    except zlib.error:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        found = stream.decompress(data, limit + 1)
    return found if stream.eof and len(found) <= limit else None


_Decoder = tuple[Callable[[bytes, int], bytes | None], type[Exception]]


def _brotli_decoder() -> _Decoder | None:
    """br by a library that can be told to stop: brotli 1.2 or brotlicffi."""
    for name in ("brotli", "brotlicffi"):
        try:
            library: Any = importlib.import_module(name)
            library.Decompressor().process(b"", output_buffer_limit=1)
        except (ImportError, TypeError, AttributeError):
            continue
        return partial(_unbrotli, library), library.error
    return None


def _unbrotli(library: Any, data: bytes, limit: int) -> bytes | None:
    stream = library.Decompressor()
    parts, size = [], 0
    while size <= limit and not stream.is_finished():
        part = stream.process(data, output_buffer_limit=min(limit + 1 - size, 1 << 20))
        if not part and not data:
            return None
        data = b""
        parts.append(part)
        size += len(part)
    return b"".join(parts) if size <= limit else None


def _zstd_decoder() -> _Decoder | None:
    """zstd by the standard library (Python 3.14) or its backport."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            library: Any = importlib.import_module(name)
        except ImportError:
            continue
        return partial(_unzstd, library), library.ZstdError
    return None


def _unzstd(library: Any, data: bytes, limit: int) -> bytes | None:
    """All frames of a body (RFC 8878, section 3.1)."""
    parts: list[bytes] = []
    size, at = 0, 0
    while at < len(data) or not parts:
        stream = library.ZstdDecompressor()
        while not stream.eof:
            piece = data[at : at + _PIECE] if stream.needs_input else b""
            part = stream.decompress(piece, limit - size + 1)
            if not piece and not part and stream.needs_input:
                return None
            parts.append(part)
            size += len(part)
            if size > limit:
                return None
            at += len(piece)
        at -= len(stream.unused_data)
    return b"".join(parts)


_DECODERS: dict[str, _Decoder] = {"gzip": (_gunzip, zlib.error), "deflate": (_inflate, zlib.error)}
_DECODERS.update(
    (name, decoder)
    for name, decoder in (("br", _brotli_decoder()), ("zstd", _zstd_decoder()))
    if decoder is not None
)
