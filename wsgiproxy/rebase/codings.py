"""Content codings: taken off so that text can be edited, and put on again.

Both directions stream in constant memory, and what has come in is flushed out before
the next piece is waited for. br and zstd count as known if a library for them is there.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Protocol

__all__ = [
    "CodingError",
    "Decoder",
    "Encoder",
    "effective_coding",
    "known_codings",
    "narrowed",
    "normal",
]

#: Bytes that are decoded at once.
_PIECE = 1 << 16
#: Coded bytes that are given to a library at once: what it leaves is copied each time.
_SLICE = 1 << 13
# What a body may grow to where nothing else is said.
_ALLOWANCE = 32 << 20
_RATIO = 256

_ALIASES = {"x-gzip": "gzip", "x-compress": "compress"}
#: The names that are content codings (IANA's registry).
_REGISTERED = frozenset(
    ["aes128gcm", "br", "compress", "dcb", "dcz", "deflate", "exi", "gzip", "pack200-gzip", "zstd"]
)
_GZIP, _ZLIB, _RAW = 31, 15, -15


class CodingError(ValueError):
    """A body that is not coded as it says, is cut off or grows without measure."""


class Decoder:
    """Undoes one content coding.

    :param coding: one of :func:`known_codings`.
    :param allowance: bytes to which any body may grow.
    :param ratio: how many times its coded size a larger one may grow to.
    """

    def __init__(self, coding: str, *, allowance: int = _ALLOWANCE, ratio: int = _RATIO) -> None:
        self.coding = coding
        self._allowance, self._ratio = allowance, ratio
        self._codec = _DECODERS[coding]()
        self._received = self._made = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces of at most 64 KiB.

        :raises CodingError: for what is not coded as it says, or grows without measure.
        """
        self._received += len(data)
        for start in range(0, len(data), _SLICE):
            yield from self._feed(data[start : start + _SLICE])

    def _feed(self, data: bytes) -> Iterator[bytes]:
        try:
            for piece in self._codec.feed(data):
                self._made += len(piece)
                if self._made > max(self._allowance, self._received * self._ratio):
                    raise CodingError(f"a {self.coding} body that grows too large")
                yield piece
        except CodingError:
            raise
        except Exception as error:  # each library has exceptions of its own
            raise CodingError(f"an invalid {self.coding} body: {error}") from error

    def finish(self) -> None:
        """Check that nothing is missing.

        :raises CodingError: for a body that was cut: coded anew it would look whole.
        """
        if self._received and not self._codec.is_complete:
            raise CodingError(f"a {self.coding} body that is cut off")


class Encoder:
    """Puts one content coding on again."""

    def __init__(self, coding: str) -> None:
        self._add, self._flush, self._end = _ENCODERS[coding]()

    def feed(self, data: bytes) -> bytes:
        """More of the body; what is made of it may come later."""
        return self._add(data)

    def flush(self) -> bytes:
        """All that was fed so far, in a form that the client can decode at once."""
        return self._flush()

    def finish(self) -> bytes:
        """The end of the body."""
        return self._end()


@lru_cache(1)
def known_codings() -> frozenset[str]:
    """The content codings that can be taken off and put on again here."""
    known = {"identity", "gzip", "deflate"}
    if _brotli() is not None:
        known.add("br")
    if _zstd() is not None:
        known.add("zstd")
    return frozenset(known)


def normal(coding: str) -> str:
    """A content coding's proper name (RFC 9110, 8.4.1)."""
    coding = coding.strip().lower() or "identity"
    return _ALIASES.get(coding, coding)


def effective_coding(value: str) -> str | None:
    """The coding that a ``Content-Encoding`` amounts to, if it can be taken off here.

    Browsers take what is no coding at all, such as ``UTF-8``, for none.

    >>> effective_coding("UTF-8"), effective_coding("gzip, gzip")
    ('identity', None)
    """
    names = [normal(name) for name in value.split(",")]
    if not _REGISTERED.intersection(names):
        return "identity"
    return names[0] if len(names) == 1 and names[0] in known_codings() else None


def narrowed(accept: str) -> str:
    """An ``Accept-Encoding`` without the codings that cannot be taken off here.

    >>> narrowed("gzip, br;q=0.9, dcb")          # where no brotli is installed
    'gzip'
    """
    kept = [item for item in accept.split(",") if _is_known(item)]
    if len(kept) == accept.count(",") + 1:
        return accept
    return ",".join(kept).strip() or "identity"


def _is_known(item: str) -> bool:
    return normal(item.partition(";")[0]) in known_codings()


# -- the libraries -------------------------------------------------------------------


class _Codec(Protocol):
    @property
    def is_complete(self) -> bool: ...

    def feed(self, data: bytes) -> Iterator[bytes]: ...


class _Identity:
    is_complete = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _PIECE):
            yield data[start : start + _PIECE]


class _Zlib:
    """gzip with any number of members, and both things that are called deflate."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._codec: Any = None
        self._head = b""

    @property
    def is_complete(self) -> bool:
        return self._codec is not None and bool(self._codec.eof)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._codec is None:
                data, self._head = self._head + data, b""
                if self._wbits == _ZLIB and len(data) < 2:
                    self._head = data
                    return
                self._codec = zlib.decompressobj(self._guess(data))
            elif self._codec.eof:
                if self._wbits != _GZIP or data[:1] != b"\x1f":
                    return  # padding behind the end
                self._codec = zlib.decompressobj(_GZIP)
            yield from self._member(data)
            data = self._codec.unused_data

    def _member(self, data: bytes) -> Iterator[bytes]:
        while True:
            piece = self._codec.decompress(data, _PIECE)
            data = self._codec.unconsumed_tail
            if piece:
                yield piece
            if self._codec.eof or (not data and len(piece) < _PIECE):
                return

    def _guess(self, data: bytes) -> int:
        """Some send deflate without the zlib head that RFC 9110, 8.4.1.2 asks for."""
        is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
        return _RAW if self._wbits == _ZLIB and not is_zlib else self._wbits


class _Brotli:
    def __init__(self) -> None:
        self._codec = _brotli().Decompressor()

    @property
    def is_complete(self) -> bool:
        return bool(self._codec.is_finished())

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            piece = self._codec.process(data, output_buffer_limit=_PIECE)
            data = b""
            if piece:
                yield piece
            if not piece or self._codec.is_finished():
                return


class _Zstd:
    def __init__(self) -> None:
        self._codec = _zstd().ZstdDecompressor()

    @property
    def is_complete(self) -> bool:
        return bool(self._codec.eof)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data or not self._codec.needs_input:
            if self._codec.eof:
                data = self._codec.unused_data or data
                self._codec = _zstd().ZstdDecompressor()
            piece = self._codec.decompress(data, _PIECE)
            data = b""
            if piece:
                yield piece
            if self._codec.eof:
                data = self._codec.unused_data
                if not data:
                    return


def _brotli() -> Any:
    """The brotli library, if it is one that can be told how much to make at once."""
    for name in ("brotli", "brotlicffi"):
        try:
            library = importlib.import_module(name)
        except ImportError:
            continue
        if hasattr(library.Decompressor, "can_accept_more_data"):
            return library
    return None


def _zstd() -> Any:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_Calls = tuple[Callable[[bytes], bytes], Callable[[], bytes], Callable[[], bytes]]


def _zlib_encoder(wbits: int) -> _Calls:
    codec = zlib.compressobj(5, zlib.DEFLATED, wbits)
    return codec.compress, lambda: codec.flush(zlib.Z_SYNC_FLUSH), codec.flush


def _brotli_encoder() -> _Calls:
    codec = _brotli().Compressor(quality=4)
    return codec.process, codec.flush, codec.finish


def _zstd_encoder() -> _Calls:
    codec = _zstd().ZstdCompressor()
    return codec.compress, lambda: codec.flush(codec.FLUSH_BLOCK), codec.flush


def _identity_encoder() -> _Calls:
    return lambda data: data, lambda: b"", lambda: b""


_DECODERS: dict[str, Callable[[], _Codec]] = {
    "identity": _Identity,
    "gzip": lambda: _Zlib(_GZIP),
    "deflate": lambda: _Zlib(_ZLIB),
    "br": _Brotli,
    "zstd": _Zstd,
}
_ENCODERS: dict[str, Callable[[], _Calls]] = {
    "identity": _identity_encoder,
    "gzip": lambda: _zlib_encoder(_GZIP),
    "deflate": lambda: _zlib_encoder(_ZLIB),
    "br": _brotli_encoder,
    "zstd": _zstd_encoder,
}
