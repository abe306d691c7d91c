"""How the body of an HTTP/1.1 response is read: where it ends, and what of it is payload.

Bytes in, values out: nothing here touches a socket, so worker threads and the relay share it.
"""

from __future__ import annotations

import re
from typing import Protocol

from ..errors import UpstreamBroken
from .fields import connection_options
from .heads import MAX_HEAD, MAX_INTERIM, Fields, Head, HeadReader, parse_field, parse_head

__all__ = [
    "MAX_HEAD",
    "MAX_INTERIM",
    "BodyReader",
    "ChunkedReader",
    "Fields",
    "Head",
    "HeadReader",
    "LengthReader",
    "OpenReader",
    "body_reader",
    "content_length",
    "parse_head",
]

# RFC 9112, 7.1: chunk-size [ chunk-ext ]; fifteen digits are more than any body needs.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_DIGITS = frozenset(b"0123456789abcdefABCDEF")


class BodyReader(Protocol):
    """Cuts one response body out of the bytes of a connection."""

    done: bool  #: the end has been seen
    clean: bool  #: nothing followed the end: the connection may be used again

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body that are in ``data``."""

    def eof(self) -> None:
        """The upstream closed; raises UpstreamBroken if the body was to go on."""

    @property
    def remaining(self) -> int | None:
        """The bytes of the body that are still to come; ``None`` if that is unknown."""

    @property
    def trailers(self) -> Fields:
        """The trailer fields that came behind the body (RFC 9110, 6.5)."""


class LengthReader:
    """A body of a known length, in bytes; also the empty one."""

    __slots__ = ("clean", "done", "remaining")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.done = length == 0
        self.clean = True

    @property
    def trailers(self) -> Fields:
        """None: only a chunked body has any."""
        return []

    def feed(self, data: bytes) -> bytes:
        """The part of ``data`` that belongs to the body."""
        if len(data) > self.remaining:
            self.clean = False
            data = data[: self.remaining]
        self.remaining -= len(data)
        self.done = not self.remaining
        return data

    def eof(self) -> None:
        """Refuse an early end."""
        if not self.done:
            raise UpstreamBroken(f"the body ended {self.remaining} bytes early", stage="body")


class OpenReader:
    """A body that ends when the upstream closes (RFC 9112, 6.3, last case)."""

    __slots__ = ("clean", "done")

    remaining = None

    def __init__(self) -> None:
        self.done = self.clean = False

    @property
    def trailers(self) -> Fields:
        """None: only a chunked body has any."""
        return []

    def feed(self, data: bytes) -> bytes:
        """All of ``data``."""
        return data

    def eof(self) -> None:
        """The regular end."""
        self.done = True


class ChunkedReader:
    """A chunked body (RFC 9112, 7.1); chunk extensions are dropped.

    :ivar trailers: the trailer fields, once the body is done.
    """

    __slots__ = (
        "_is_between",
        "_left",
        "_line",
        "_line_done",
        "_trailer",
        "clean",
        "done",
        "trailers",
    )

    remaining = None

    def __init__(self) -> None:
        self.done = False
        self.clean = True
        self.trailers: Fields = []
        self._left = 0  # bytes of the open chunk that are still to come
        self._line = b""  # the part of a line that has come so far
        self._trailer = 0
        self._is_between = True  # at the first byte of a chunk-size line
        self._line_done = self._size

    def feed(self, data: bytes) -> bytes:
        """The payload in ``data``.

        :raises UpstreamBroken: for anything that is no chunk.
        """
        if self._left >= len(data):
            self._left -= len(data)
            return data
        pieces = []
        at, end = 0, len(data)  # an index instead of the rest copied for each chunk
        while at < end and not self.done:
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                pieces.append(piece)
            elif self._is_between and (after := _whole_chunks(data, at, pieces)) > at:
                at = after
            else:
                at = self._take_line(data, at)
        if at < end:
            self.clean = False
        return b"".join(pieces)

    def eof(self) -> None:
        """Refuse an end before the last chunk."""
        if not self.done:
            raise UpstreamBroken("the chunked body broke off", stage="body")

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        stop = len(data) if end < 0 else end + 1
        self._line += data[at:stop]
        self._is_between = False
        if len(self._line) > MAX_HEAD:
            raise UpstreamBroken("over-long line in the chunked body", stage="body")
        if end >= 0:
            if not self._line.endswith(b"\r\n"):
                raise UpstreamBroken("bare line feed in the chunked body", stage="body")
            line, self._line = self._line[:-2], b""
            self._line_done(line)
        return stop

    def _size(self, line: bytes) -> None:
        size = _CHUNK_LINE.fullmatch(line)
        if size is None:
            raise UpstreamBroken(f"invalid chunk size {line[:40]!r}", stage="body")
        self._left = int(size[1], 16)
        self._line_done = self._end_of_chunk if self._left else self._end_of_trailers

    def _end_of_chunk(self, line: bytes) -> None:
        if line:
            raise UpstreamBroken("a chunk is longer than its size", stage="body")
        self._is_between = True
        self._line_done = self._size

    def _end_of_trailers(self, line: bytes) -> None:
        self._trailer += len(line)
        if self._trailer > MAX_HEAD:
            raise UpstreamBroken(f"trailers over {MAX_HEAD} bytes", stage="body")
        self.done = not line
        if line:  # RFC 9112, 7.1.2: a trailer section is made of field lines
            self.trailers.append(parse_field(line.decode("latin-1"), "body")[0])


def _whole_chunks(data: bytes, at: int, pieces: list[bytes]) -> int:
    """Take the plain chunks that lie in ``data`` as a whole; returns where they end.

    Thousands of small ones would cost several calls each otherwise. What is not plain is left to
    the reader, which knows what is wrong with it.
    """
    while (eol := data.find(b"\r\n", at, at + 17)) > at:
        digits = data[at:eol]
        size = int(digits, 16) if _DIGITS.issuperset(digits) else 0
        start = eol + 2
        stop = start + size
        if not size or data[stop : stop + 2] != b"\r\n":
            break
        pieces.append(data[start:stop])
        at = stop + 2
    return at


def body_reader(head: Head, method: str) -> tuple[BodyReader, bool]:
    """What reads the body behind ``head``, and whether the connection lives on after it.

    :param method: of the request; a response to ``HEAD`` has no body.
    :raises UpstreamBroken: for framing that two readers could read differently.

    The cases of RFC 9112, 6.3, in its order.
    """
    alive = _lives_on(head)
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return LengthReader(0), alive
    is_sized = "content-length" in head.names
    if "transfer-encoding" in head.names and (codings := _codings(head)):
        if codings != ["chunked"]:
            raise UpstreamBroken(f"unknown transfer coding {codings}", stage="head")
        # Both framings, or chunks from HTTP/1.0: read it, then trust no more.
        return ChunkedReader(), bool(alive and head.minor and not is_sized)
    if is_sized:
        return LengthReader(content_length(head)), alive
    return OpenReader(), False


def _codings(head: Head) -> list[str]:
    """The transfer codings; ``identity``, which older servers name, is none (RFC 7230, A.2)."""
    codings = ",".join(head.all("transfer-encoding")).lower().split(",")
    return [coding.strip(" \t") for coding in codings if coding.strip(" \t") != "identity"]


def _lives_on(head: Head) -> bool:
    # RFC 9112, 9.3: HTTP/1.1 keeps the connection unless told, HTTP/1.0 closes it unless told.
    if "connection" not in head.names:
        return head.minor > 0
    options = connection_options(",".join(head.all("connection")))
    return "close" not in options if head.minor else "keep-alive" in options


def content_length(head: Head) -> int:
    """The length that a head names, in bytes; it has to name one.

    :raises UpstreamBroken: for one that is no number, and for two that differ.
    """
    length = head.headers[head.names.index("content-length")][1]
    if head.names.count("content-length") > 1 or not length.isdigit():
        values = head.all("content-length")
        # RFC 9112, 6.3: the same value repeated, also as a list, counts as one.
        length, *others = {value.strip(" \t") for value in ",".join(values).split(",")}
        length = "" if others else length
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise UpstreamBroken(f"invalid Content-Length {length[:40]!r}", stage="head")
    return int(length)
